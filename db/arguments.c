/* SPDX-License-Identifier: Apache-2.0
 *
 * Arguments of operations: see arguments.h.
 */
#include "db/arguments.h"
#include "certs/csr.h"
#include "daemon/base/err.h"
#include "daemon/ipc/rec.h"

#include <stdio.h>

static const struct op_arg parsed_csr[] = {
	{"spki", ARG_BYTES, OPTIONAL, SPKI_MAX, "public key of the request"},
	{"csr-name", ARG_STR, OPTIONAL, DEVICE_NAME_MAX, "common name of the request"},
	{NULL, ARG_STR, OPTIONAL, 0, NULL},
};

static const struct op_arg *find(const struct op_arg *list, struct str name)
{
	for (const struct op_arg *a = list; a->name; a++)
		if (str_is(name, a->name))
			return a;
	return NULL;
}

static const struct op_arg *find_arg(const struct op_spec *spec, struct str name)
{
	const bool has_csr = find(spec->args, STR("csr")) != NULL;
	if (has_csr && str_is(name, "csr"))
		return NULL;
	const struct op_arg *a = find(spec->args, name);
	return a || !has_csr ? a : find(parsed_csr, name);
}

bool arguments_known(const struct op_spec *spec, const char *name)
{
	return find_arg(spec, str_of(name)) != NULL;
}

static int wrong_kind(const struct op_arg *a, const char *wanted, struct why *why)
{
	return why_set(why, ERR_INVALID, "%s must be %s: %s", a->name, wanted, a->text);
}

static int check_text(const struct op_arg *a, struct str s, struct why *why)
{
	if (s.n > a->max)
		return why_set(why, ERR_INVALID, "%s has %zu bytes; allowed are %llu", a->name, s.n,
			       (unsigned long long)a->max);
	if (!str_is_utf8(s))
		return why_set(why, ERR_INVALID, "%s is not UTF-8 text without zero bytes",
			       a->name);
	return 0;
}

static int check_list(const struct op_arg *a, struct str list, struct why *why)
{
	struct cur c = cur_of(list);
	struct rec_value v;
	size_t n = 0;
	while (rec_next(&c, &v)) {
		if (v.kind != REC_STR)
			return wrong_kind(a, "a list of strings", why);
		const int err = check_text(a, v.text, why);
		if (err)
			return err;
		if (++n > ARGUMENTS_LIST_MAX)
			return why_set(why, ERR_INVALID, "%s has more than %d entries", a->name,
				       ARGUMENTS_LIST_MAX);
	}
	return 0;
}

static int check_int(const struct op_arg *a, const struct rec_value *v, struct why *why)
{
	if (v->kind != REC_INT)
		return wrong_kind(a, "a whole number", why);
	if (v->number < 0 || (uint64_t)v->number > a->max)
		return why_set(why, ERR_INVALID, "%s is %lld; allowed is 0 to %llu", a->name,
			       (long long)v->number, (unsigned long long)a->max);
	return 0;
}

static int check_bytes(const struct op_arg *a, const struct rec_value *v, struct why *why)
{
	if (v->kind != REC_BYTES)
		return wrong_kind(a, "bytes", why);
	if (v->text.n > a->max)
		return why_set(why, ERR_INVALID, "%s has %zu bytes; allowed are %llu", a->name,
			       v->text.n, (unsigned long long)a->max);
	return 0;
}

static int check_value(const struct op_arg *a, const struct rec_value *v, struct why *why)
{
	switch (a->type) {
	case ARG_STR:
		return v->kind == REC_STR ? check_text(a, v->text, why)
					  : wrong_kind(a, "a string", why);
	case ARG_INT:
		return check_int(a, v, why);
	case ARG_BOOL:
		return v->kind == REC_BOOL ? 0 : wrong_kind(a, "true or false", why);
	case ARG_STRS:
		return v->kind == REC_LIST ? check_list(a, v->text, why)
					   : wrong_kind(a, "a list of strings", why);
	case ARG_BYTES:
		return check_bytes(a, v, why);
	case ARG_STATE:
		return v->kind == REC_OBJECT ? 0 : wrong_kind(a, "an object", why);
	}
	return 0;
}

static int check_required(const struct op_spec *spec, struct str args, char field[65],
			  struct why *why)
{
	struct rec_value v;
	for (const struct op_arg *a = spec->args; a->name; a++) {
		const char *name = strcmp(a->name, "csr") == 0 ? "spki" : a->name;
		if (a->need == REQUIRED && !rec_find(args, name, &v)) {
			snprintf(field, 65, "%s", a->name);
			return why_set(why, ERR_INVALID, "%s is missing: %s", a->name, a->text);
		}
	}
	return 0;
}

int arguments_check(const struct op_spec *spec, struct str args, char field[65], struct why *why)
{
	struct cur c = cur_of(args);
	struct rec_value v;
	while (rec_next(&c, &v)) {
		const struct str name = str_head(v.name, 64);
		snprintf(field, 65, "%.*s", STR_ARG(name));
		const struct op_arg *a = find_arg(spec, v.name);
		struct rec_value again;
		if (!a)
			return why_set(why, ERR_INVALID, "%s takes no argument \"%s\"", spec->name,
				       field);
		if (v.kind == REC_NULL)
			continue;
		if (rec_find(str_make(c.p, cur_left(&c)), a->name, &again))
			return why_set(why, ERR_INVALID, "%s is given twice", a->name);
		const int err = check_value(a, &v, why);
		if (err)
			return err;
	}
	return check_required(spec, args, field, why);
}
