/* SPDX-License-Identifier: Apache-2.0
 *
 * A request to the API: the first byte chooses the operation, the rest is path and query up to the
 * first NUL, then the body. Whatever comes, the arguments are a valid rec within the limits of the
 * operation, or a problem is named; and a valid rec of any bytes becomes JSON.
 */
#include "daemon/base/check.h"
#include "daemon/web/json.h"
#include "daemon/web/router.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_args(const struct op_spec *spec, struct str args)
{
	struct cur c = cur_of(args);
	struct rec_value v;
	CHECK(rec_valid(args));
	while (rec_next(&c, &v)) {
		const struct op_arg *a = spec->args;
		while (a->name && !str_is(v.name, a->name))
			a++;
		CHECK(a->name != NULL);
		if (v.kind == REC_STR)
			CHECK(v.text.n <= a->max && str_is_utf8(v.text));
		if (v.kind == REC_INT)
			CHECK(v.number >= 0 && (uint64_t)v.number <= a->max);
	}
}

static void try_body(const struct op_spec *spec, struct str body, struct buf *args)
{
	struct json_problem problem = {0};
	json_t *j = json_loadb(body.p ? body.p : "", body.n, JSON_REJECT_DUPLICATES, NULL);
	if (json_is_object(j) && json_args(spec, j, args, &problem) == 0)
		check_args(spec, buf_view(args));
	else if (json_is_object(j))
		CHECK(problem.why[0] != '\0');
	json_decref(j);
}

/* "name=value&name=value", not decoded. */
static bool try_query(const struct op_spec *spec, struct str query, struct buf *args)
{
	struct json_problem problem = {0};
	while (query.p) {
		struct str value = str_split(&query, '&');
		const struct str name = str_split(&value, '=');
		const size_t before = args->n;
		if (json_arg_text(spec, name, value, args, &problem)) {
			CHECK(problem.why[0] != '\0' && args->n == before);
			return false;
		}
	}
	check_args(spec, buf_view(args));
	return true;
}

static void try_rec(struct str rec)
{
	if (!rec_valid(rec))
		return;
	json_t *j = json_from_rec(rec);
	char *text = json_dumps(j, JSON_COMPACT);
	CHECK(text != NULL);
	free(text);
	json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool seeded;
	AUTO_BUF args = {0};
	struct router_match m;
	char allow[64];
	if (!seeded)
		json_seed_tables();
	seeded = true;
	if (size == 0)
		return 0;
	const struct op_spec *spec = op_spec(data[0] % OP_COUNT);
	struct str body = str_make(data + 1, size - 1);
	struct str target = str_split(&body, '\0');
	try_rec(str_make(data + 1, size - 1));
	struct str query = target;
	router_find("GET", str_split(&query, '?'), &m, allow, sizeof(allow));
	if (try_query(spec, query, &args))
		try_body(spec, body, &args);
	return 0;
}
