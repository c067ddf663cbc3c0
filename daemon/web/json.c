/* SPDX-License-Identifier: Apache-2.0
 *
 * Between JSON and rec: see json.h.
 */
#include "daemon/web/json.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void json_seed_tables(void)
{
	size_t seed;
	secret_random(&seed, sizeof(seed));
	json_object_seed(seed | 1); /* 0 would mean: find one */
}

static json_t *text_value(struct str s)
{
	json_t *j = json_stringn(s.n ? s.p : "", s.n);
	return j ? j : json_string("(not UTF-8)");
}

static json_t *hex_value(struct str s)
{
	AUTO_CHAR hex = mem_alloc(2 * s.n + 1);
	hex_encode(s.p, s.n, hex);
	return json_string(hex);
}

static json_t *time_value(int64_t ms)
{
	char text[CLOCK_TEXT];
	return json_string(ms % 1000 ? clock_format_ms((uint64_t)ms, text)
				     : clock_format(ms / 1000, text));
}

static json_t *list_value(struct str inside);

static json_t *value_of(const struct rec_value *v)
{
	switch (v->kind) {
	case REC_BOOL:
		return json_boolean(v->number != 0);
	case REC_INT:
		return json_integer(v->number);
	case REC_TIME:
		return time_value(v->number);
	case REC_STR:
		return text_value(v->text);
	case REC_BYTES:
		return hex_value(v->text);
	case REC_LIST:
		return list_value(v->text);
	case REC_OBJECT:
		return json_from_rec(v->text);
	default:
		return json_null();
	}
}

static json_t *list_value(struct str inside)
{
	json_t *list = json_array();
	struct cur c = cur_of(inside);
	struct rec_value v;
	while (rec_next(&c, &v))
		json_array_append_new(list, value_of(&v));
	return list;
}

json_t *json_from_rec(struct str rec)
{
	json_t *object = json_object();
	struct cur c = cur_of(rec);
	struct rec_value v;
	while (rec_next(&c, &v)) {
		AUTO_CHAR name = str_dup(v.name);
		json_object_set_new(object, name, value_of(&v));
	}
	return object;
}

static int wrong(struct json_problem *p, const char *field, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int wrong(struct json_problem *p, const char *field, const char *fmt, ...)
{
	va_list ap;
	snprintf(p->field, sizeof(p->field), "%s", field);
	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return ERR_INVALID;
}

static const struct op_arg *find_arg(const struct op_spec *spec, struct str name)
{
	for (const struct op_arg *a = spec->args; a->name; a++)
		if (str_is(name, a->name))
			return a;
	return NULL;
}

static int put_text(const struct op_arg *arg, struct str s, struct buf *args,
		    struct json_problem *p)
{
	if (s.n > arg->max)
		return wrong(p, arg->name, "%s is %zu bytes long; at most %llu are allowed",
			     arg->name, s.n, (unsigned long long)arg->max);
	if (!str_is_utf8(s))
		return wrong(p, arg->name, "%s is not valid UTF-8 text", arg->name);
	rec_str(args, arg->name, s);
	return 0;
}

static int put_number(const struct op_arg *arg, int64_t v, struct buf *args, struct json_problem *p)
{
	if (v < 0 || (uint64_t)v > arg->max)
		return wrong(p, arg->name, "%s is %lld; it must be between 0 and %llu", arg->name,
			     (long long)v, (unsigned long long)arg->max);
	rec_int(args, arg->name, v);
	return 0;
}

static int put_list(const struct op_arg *arg, const json_t *list, struct buf *args,
		    struct json_problem *p)
{
	const size_t n = json_array_size(list);
	if (n > JSON_LIST_MAX)
		return wrong(p, arg->name, "%s has %zu entries; at most %d are allowed", arg->name,
			     n, JSON_LIST_MAX);
	rec_list(args, arg->name);
	for (size_t i = 0; i < n; i++) {
		const json_t *item = json_array_get(list, i);
		const struct str s = {json_string_value(item), json_string_length(item)};
		if (!json_is_string(item) || s.n == 0 || s.n > arg->max || !str_is_utf8(s))
			return wrong(p, arg->name,
				     "entry %zu of %s must be text of 1 to %llu bytes", i + 1,
				     arg->name, (unsigned long long)arg->max);
		rec_str(args, "", s);
	}
	rec_end(args);
	return 0;
}

static int list_to_rec(json_t *list, unsigned depth, struct buf *out)
{
	size_t i;
	json_t *item;
	json_array_foreach(list, i, item)
	{
		const int err = json_to_rec("", item, depth + 1, out);
		if (err)
			return err;
	}
	return 0;
}

static int object_to_rec(json_t *object, unsigned depth, struct buf *out)
{
	const char *key;
	json_t *item;
	json_object_foreach(object, key, item)
	{
		const int err = json_to_rec(key, item, depth + 1, out);
		if (err)
			return err;
	}
	return 0;
}

int json_to_rec(const char *name, json_t *value, unsigned depth, struct buf *out)
{
	int err = 0;
	if (strlen(name) > 255 || depth > REC_DEPTH || json_is_real(value))
		return ERR_INVALID;
	if (json_is_string(value)) {
		rec_str(out, name, str_make(json_string_value(value), json_string_length(value)));
	} else if (json_is_integer(value)) {
		rec_int(out, name, json_integer_value(value));
	} else if (json_is_boolean(value)) {
		rec_bool(out, name, json_is_true(value));
	} else if (json_is_array(value)) {
		rec_list(out, name);
		err = list_to_rec(value, depth, out);
		rec_end(out);
	} else if (json_is_object(value)) {
		rec_object(out, name);
		err = object_to_rec(value, depth, out);
		rec_end(out);
	} else {
		rec_null(out, name);
	}
	return err;
}

static int put_object(const struct op_arg *arg, json_t *value, struct buf *args,
		      struct json_problem *p)
{
	if (!json_is_object(value))
		return wrong(p, arg->name, "%s must be an object of at most %llu bytes", arg->name,
			     (unsigned long long)arg->max);
	const size_t before = args->n;
	if (json_to_rec(arg->name, value, 1, args))
		return wrong(p, arg->name,
			     "%s holds a fraction, a name of more than 255 bytes, or more than %d "
			     "levels",
			     arg->name, REC_DEPTH);
	if (args->n - before > arg->max)
		return wrong(
			p, arg->name,
			"%s has %zu bytes as the gateway counts them; at most %llu are allowed",
			arg->name, args->n - before, (unsigned long long)arg->max);
	return 0;
}

static int put_json(const struct op_arg *arg, json_t *value, struct buf *args,
		    struct json_problem *p)
{
	const struct str text = {json_string_value(value), json_string_length(value)};
	switch (arg->type) {
	case ARG_STR:
	case ARG_BYTES:
		return json_is_string(value) ? put_text(arg, text, args, p)
					     : wrong(p, arg->name, "%s must be text", arg->name);
	case ARG_INT:
		return json_is_integer(value)
			       ? put_number(arg, json_integer_value(value), args, p)
			       : wrong(p, arg->name, "%s must be a whole number", arg->name);
	case ARG_BOOL:
		if (!json_is_boolean(value))
			return wrong(p, arg->name, "%s must be true or false", arg->name);
		rec_bool(args, arg->name, json_is_true(value));
		return 0;
	case ARG_STRS:
		return json_is_array(value)
			       ? put_list(arg, value, args, p)
			       : wrong(p, arg->name, "%s must be a list of texts", arg->name);
	case ARG_STATE:
		return put_object(arg, value, args, p);
	}
	return ERR_INVALID;
}

static int unknown(const struct op_spec *spec, struct str name, struct json_problem *p)
{
	char field[65];
	snprintf(field, sizeof(field), "%.*s", STR_ARG(name));
	return wrong(p, field, "%s takes no argument named \"%s\"", spec->name, field);
}

int json_args(const struct op_spec *spec, json_t *object, struct buf *args,
	      struct json_problem *problem)
{
	const char *key;
	json_t *value;
	json_object_foreach(object, key, value)
	{
		const struct op_arg *arg = find_arg(spec, str_of(key));
		struct rec_value before;
		if (!arg)
			return unknown(spec, str_of(key), problem);
		if (rec_find(buf_view(args), key, &before))
			return wrong(problem, key, "%s is given twice: in the path and in the body",
				     key);
		if (json_is_null(value))
			continue;
		const int err = put_json(arg, value, args, problem);
		if (err)
			return err;
	}
	return 0;
}

int json_arg_text(const struct op_spec *spec, struct str name, struct str text, struct buf *args,
		  struct json_problem *problem)
{
	const struct op_arg *arg = find_arg(spec, name);
	uint64_t number;
	struct rec_value before;
	if (!arg)
		return unknown(spec, name, problem);
	if (rec_find(buf_view(args), arg->name, &before))
		return wrong(problem, arg->name, "%s is given twice", arg->name);
	switch (arg->type) {
	case ARG_INT:
		if (str_u64(text, INT64_MAX, &number))
			return wrong(problem, arg->name,
				     "%s must be a whole number between 0 and %llu", arg->name,
				     (unsigned long long)arg->max);
		return put_number(arg, (int64_t)number, args, problem);
	case ARG_BOOL:
		if (!str_is(text, "true") && !str_is(text, "false"))
			return wrong(problem, arg->name, "%s must be true or false", arg->name);
		rec_bool(args, arg->name, str_is(text, "true"));
		return 0;
	case ARG_STATE:
	case ARG_STRS:
		return wrong(problem, arg->name,
			     "%s is a list or an object: it belongs into the body", arg->name);
	default:
		return put_text(arg, text, args, problem);
	}
}

int json_args_complete(const struct op_spec *spec, struct str args, struct json_problem *problem)
{
	struct rec_value v;
	for (const struct op_arg *a = spec->args; a->name; a++)
		if (a->need == REQUIRED && !rec_find(args, a->name, &v))
			return wrong(problem, a->name, "%s is missing: %s", a->name, a->text);
	return 0;
}
