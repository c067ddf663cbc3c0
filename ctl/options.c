/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of one command, by its row of commands.def.
 */
#include "ctl/ctl.h"
#include "ctl/help.h"
#include "daemon/base/err.h"

#include <stdio.h>

static int wrong(const struct invocation *in, const char *what, const char *value)
{
	print_error("%s%.200s; see gatehouse %s%s%s --help", what, value, in->command->noun,
		    in->command->verb[0] ? " " : "", in->command->verb);
	return ERR_INVALID;
}

static const struct ctl_param *find_option(const struct ctl_command *c, struct str name)
{
	for (const struct ctl_param *p = c->param; p->name; p++)
		if (!p->positional && str_is(name, p->name))
			return p;
	return NULL;
}

static const struct ctl_param *nth_positional(const struct ctl_command *c, size_t n)
{
	for (const struct ctl_param *p = c->param; p->name; p++)
		if (p->positional && n-- == 0)
			return p;
	return NULL;
}

static bool takes_value(enum ctl_kind kind)
{
	return kind != ON && kind != OFF && kind != SWITCH;
}

/* "90", "90s", "10min", "12h", "30d" in seconds. */
static int parse_duration(struct str text, uint64_t *seconds)
{
	static const struct {
		const char *unit;
		uint64_t factor;
	} units[] = {{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
	size_t digits = 0;
	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	const struct str unit = {text.p + digits, text.n - digits};
	for (size_t i = 0; i < ARRAY_LEN(units); i++) {
		if (!str_is(unit, units[i].unit))
			continue;
		const int err = str_u64((struct str){text.p, digits}, UINT32_MAX, seconds);
		*seconds *= units[i].factor;
		return err;
	}
	return ERR_MALFORMED;
}

static int wrong_value(const struct invocation *in, const struct ctl_param *p, const char *value,
		       const char *allowed)
{
	print_error("%s%s \"%.80s\": must be %s; see gatehouse %s%s%s --help", option_dashes(p),
		    p->name, value, allowed, in->command->noun, in->command->verb[0] ? " " : "",
		    in->command->verb);
	return ERR_INVALID;
}

/* What nothing can be made of when it is empty, as a variable of a script is that was never set: a
 * file, and whatever stands where a command's object does. Texts may be empty. */
static bool may_be_empty(const struct ctl_command *c, const struct ctl_param *p)
{
	static const char *const never[] = {"FILE", "DIR", "COUNT", "HOST", "PORT", "ID"};
	static const char *const texts[] = {"VALUE", "MESSAGE", "REASON", "FILTER"};
	/* Of a list that is replaced: none. Of one that narrows something: a hole. */
	if (p->kind == MANY)
		return strcmp(c->method, "PATCH") == 0;
	if (!p->positional) {
		for (size_t i = 0; i < ARRAY_LEN(never); i++)
			if (strcmp(p->arg, never[i]) == 0)
				return false;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(p->name, texts[i]) == 0)
			return true;
	return false;
}

static int take_number(struct invocation *in, const struct ctl_param *p, const char *value)
{
	uint64_t number = 0;
	const int err = p->kind == DURATION ? parse_duration(str_of(value), &number)
					    : str_u64(str_of(value), INT64_MAX, &number);
	if (err)
		return wrong_value(in, p, value,
				   p->kind == DURATION ? "a time such as 90s, 12h or 30d"
						       : "a whole number");
	json_object_set_new(in->args, p->field, json_integer((json_int_t)number));
	return 0;
}

static void append(json_t *args, const char *field, json_t *value)
{
	json_t *list = json_object_get(args, field);
	if (!list) {
		list = json_array();
		json_object_set_new(args, field, list);
	}
	/* An empty one is none: device set --group '' takes all groups away. */
	if (json_string_length(value))
		json_array_append(list, value);
	json_decref(value);
}

static int take_value(struct invocation *in, const struct ctl_param *p, const char *value)
{
	json_t *text = json_string(value);
	if (!text)
		return wrong(in, "not valid UTF-8 text: ", value);
	if (!value[0] && !may_be_empty(in->command, p)) {
		json_decref(text);
		print_error("%s%s is empty: %s", option_dashes(p), p->name, p->text);
		return ERR_INVALID;
	}
	if (p->kind == LOCAL)
		json_object_set_new(in->local, p->name, text);
	else if (p->kind == MANY)
		append(in->args, p->field, text);
	else
		json_object_set_new(in->args, p->field, text);
	return 0;
}

static int take_option(struct invocation *in, const struct ctl_param *p, const char *value)
{
	switch (p->kind) {
	case ON:
	case OFF:
		if (json_object_get(in->args, p->field))
			return wrong(in, "give only one of the two, not also --", p->name);
		json_object_set_new(in->args, p->field, json_boolean(p->kind == ON));
		return 0;
	case SWITCH:
		json_object_set_new(in->local, p->name, json_true());
		return 0;
	case NUMBER:
	case DURATION:
		return take_number(in, p, value);
	default:
		return take_value(in, p, value);
	}
}

/* "-n" where the command has an option of that one letter. */
static bool is_short(const struct ctl_command *c, const char *word)
{
	return word[0] == '-' && word[1] && word[1] != '-' && !word[2] &&
	       find_option(c, str_make(word + 1, 1));
}

/* The options themselves: who guessed one sees what it is called. */
static int unknown(const struct invocation *in, const char *what, const char *word)
{
	const char *before = "Its options: ";
	const int err = wrong(in, what, word);
	if (says_json())
		return err;
	for (const struct ctl_param *p = in->command->param; p->name; p++) {
		if (p->positional)
			continue;
		fprintf(stderr, "%s%s%s", before, option_dashes(p), p->name);
		before = ", ";
	}
	fprintf(stderr, "%s\n", before[0] == ',' ? "" : "It has no options.");
	return err;
}

static int unexpected(const struct invocation *in, const char *word)
{
	const int err = unknown(in, "unexpected argument ", word);
	if (!says_json())
		help_print_usage(stderr, in->command);
	return err;
}

/* "--name value", "--name=value" or "-n value"; *i moves behind what was used. */
static int take_named(struct invocation *in, int argc, char **argv, int *i)
{
	struct str value = str_of(argv[*i] + (argv[*i][1] == '-' ? 2 : 1));
	const struct str name = str_split(&value, '=');
	const struct ctl_param *p = find_option(in->command, name);
	if (!p)
		return unknown(in, "unknown option ", argv[*i]);
	if (!takes_value(p->kind))
		return value.p ? wrong(in, "this option takes no value: ", argv[*i])
			       : take_option(in, p, NULL);
	if (value.p)
		return take_option(in, p, value.p);
	if (*i + 1 >= argc)
		return wrong(in, "a value is missing after ", argv[*i]);
	return take_option(in, p, argv[++*i]);
}

static int check_required(const struct invocation *in)
{
	for (const struct ctl_param *p = in->command->param; p->name; p++) {
		if (p->need != REQUIRED || json_object_get(in->args, p->field))
			continue;
		wrong(in, "missing argument ", p->name);
		if (!says_json())
			help_print_usage(stderr, in->command);
		return ERR_INVALID;
	}
	return 0;
}

int options_take(struct invocation *in, int argc, char **argv)
{
	size_t positionals = 0;
	bool only_positionals = false;
	for (int i = 0; i < argc; i++) {
		int err;
		if (!only_positionals && strcmp(argv[i], "--") == 0) {
			only_positionals = true;
			continue;
		}
		if (!only_positionals &&
		    (strncmp(argv[i], "--", 2) == 0 || is_short(in->command, argv[i]))) {
			err = take_named(in, argc, argv, &i);
		} else {
			const struct ctl_param *p = nth_positional(in->command, positionals++);
			err = p ? take_value(in, p, argv[i]) : unexpected(in, argv[i]);
		}
		if (err)
			return err;
	}
	return check_required(in);
}

const char *invocation_local(const struct invocation *in, const char *name)
{
	return json_string_value(json_object_get(in->local, name));
}

bool invocation_switch(const struct invocation *in, const char *name)
{
	return json_is_true(json_object_get(in->local, name));
}
