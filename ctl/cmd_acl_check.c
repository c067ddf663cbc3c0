/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse acl check: the verdict, the rule that made it, and of the other rules those that nearly
 * match, nearest first. The explanation itself is the store's. What is not saved comes from a file.
 */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { NEAR_MISSES = 5, WITH_MAX = 60000, WITH_LINES = 256 };

static void print_reason(const json_t *reason)
{
	printf("  %s\n    %s\n", text_of(reason, "text"), text_of(reason, "because"));
}

static bool misses_condition(const json_t *reason)
{
	return strcmp(text_of(reason, "part"), "condition") == 0;
}

static bool differs(const json_t *reason)
{
	return strcmp(text_of(reason, "part"), "differs") == 0 || misses_condition(reason);
}

/* Where the filter differs; behind all levels when only a condition does not hold. */
static json_int_t level(const json_t *reason)
{
	return misses_condition(reason) ? INT64_MAX
					: json_integer_value(json_object_get(reason, "level"));
}

/* The later a filter differs, the nearer it is. */
static int by_level(const void *a, const void *b)
{
	const json_int_t x = level(*(const json_t *const *)a);
	const json_int_t y = level(*(const json_t *const *)b);
	return (x < y) - (x > y);
}

static void print_near_misses(const json_t *reasons, size_t most)
{
	const size_t n = json_array_size(reasons);
	const json_t **miss = calloc(n + 1, sizeof(*miss));
	size_t misses = 0;
	size_t i;
	const json_t *reason;
	json_array_foreach(reasons, i, reason)
	{
		if (miss && differs(reason))
			miss[misses++] = reason;
	}
	if (misses)
		qsort(miss, misses, sizeof(*miss), by_level);
	if (misses)
		printf("does not match:\n");
	for (i = 0; i < misses && i < most; i++)
		print_reason(miss[i]);
	if (misses > most)
		printf("  and %zu more; --all shows them\n", misses - most);
	free(miss);
}

static void print_values(const json_t *list)
{
	size_t i;
	const json_t *value;
	json_array_foreach(list, i, value) printf("%s%s", i ? "," : "", json_string_value(value));
	printf("%s", i ? "" : "-");
}

static void print_variables(const json_t *variables)
{
	const char *cn = text_of(variables, "cn");
	const char *address = text_of(variables, "address");
	printf("${clientid} %s  ${device} %s  ${cn} %s  ${san} ", text_of(variables, "clientid"),
	       text_of(variables, "device"), cn[0] ? cn : "-");
	print_values(json_object_get(variables, "san"));
	printf("  ${group} ");
	print_values(json_object_get(variables, "group"));
	printf("  address %s\n", address[0] ? address : "-");
}

static void print_answer(const json_t *answer, bool all)
{
	const json_t *rule = json_object_get(answer, "rule");
	const json_t *reasons = json_object_get(answer, "reasons");
	size_t i;
	const json_t *reason;
	bool matching = false;
	printf("%s %s %s: %s", text_of(answer, "device"), text_of(answer, "action"),
	       text_of(answer, "topic"), text_of(answer, "verdict"));
	const json_int_t number = json_integer_value(rule);
	if (number < 0)
		printf(" by line %lld, which is not saved\n", (long long)-number);
	else if (json_is_integer(rule))
		printf(" by rule %lld\n", (long long)number);
	else
		printf(", no rule allows it\n");
	if (json_is_string(json_object_get(answer, "barred")))
		printf("%s cannot connect now: %s\n", text_of(answer, "device"),
		       text_of(answer, "barred"));
	print_variables(json_object_get(answer, "variables"));
	json_array_foreach(reasons, i, reason)
	{
		if (differs(reason))
			continue;
		if (!matching)
			printf("matches:\n");
		matching = true;
		print_reason(reason);
	}
	print_near_misses(reasons, all ? SIZE_MAX : NEAR_MISSES);
}

/* The lines of a text as a list; those that say nothing stay, so that errors name the right one. */
static json_t *lines_of(struct str text)
{
	json_t *list = json_array();
	while (text.n) {
		const struct str line = str_trim(str_split(&text, '\n'));
		json_array_append_new(list,
				      line.n ? json_stringn(line.p, line.n) : json_string("#"));
	}
	return list;
}

bool draft_take(struct invocation *in)
{
	AUTO_BUF text = {0};
	const char *why;
	const char *named = json_string_value(json_object_get(in->args, "with"));
	const char *local = invocation_local(in, "with");
	AUTO_CHAR path = named || local ? strdup(named ? named : local) : NULL;
	if (!path)
		return true;
	if (file_read(path, WITH_MAX, &text, &why)) {
		print_error("%s: %s", path, why);
		return false;
	}
	json_t *lines = str_is_utf8(buf_view(&text)) ? lines_of(buf_view(&text)) : NULL;
	if (lines && json_array_size(lines) <= WITH_LINES) {
		json_object_set_new(in->args, "with", lines);
		return true;
	}
	if (lines)
		print_error("%s: it has more than %d lines", path, WITH_LINES);
	else
		print_error("%s: it is no UTF-8 text", path);
	json_decref(lines);
	return false;
}

int run_acl_check(struct invocation *in)
{
	json_t *answer = NULL;
	if (!json_object_get(in->args, "device")) {
		print_error("say who would do it: --as DEVICE");
		return EXIT_USAGE;
	}
	if (!draft_take(in))
		return EXIT_USAGE;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		print_answer(answer, invocation_switch(in, "all"));
	json_decref(answer);
	return status;
}
