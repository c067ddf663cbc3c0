/* SPDX-License-Identifier: Apache-2.0
 *
 * Routes of the API: every operation is reached, arguments come out of the path, and the table does
 * not contradict that of the operations.
 */
#include "daemon/base/err.h"
#include "daemon/web/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
	const char *method, *path;
	enum op op;
	unsigned status;
} routes[] = {
#define ROUTE(method, path, op, status) {method, path, OP_##op, status},
#include "daemon/web/routes.def"
};

static int find(const char *method, const char *path, struct router_match *m)
{
	char allow[64];
	return router_find(method, str_of(path), m, allow, sizeof(allow));
}

static void every_operation_is_reached(void **state)
{
	bool reached[OP_COUNT] = {false};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		struct router_match m;
		/* A pattern is a path that fits itself; but where another row takes "{id}" first.
		 */
		assert_int_equal(find(routes[i].method, routes[i].path, &m), 0);
		assert_int_equal(m.op, routes[i].op);
		assert_int_equal(m.status, routes[i].status);
		reached[m.op] = true;
	}
	for (unsigned op = 0; op < OP_COUNT; op++)
		if (!reached[op])
			fail_msg("no route leads to %s", op_spec(op)->name);
}

/* What the path gives is an argument of the operation, and one that it demands. */
static void arguments_of_the_path_exist(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		struct router_match m;
		assert_int_equal(find(routes[i].method, routes[i].path, &m), 0);
		for (size_t p = 0; p < m.params; p++) {
			const struct op_arg *a = op_spec(m.op)->args;
			while (a->name && !str_is(m.name[p], a->name))
				a++;
			assert_non_null(a->name);
			assert_int_equal(a->need, REQUIRED);
		}
	}
}

/* Only what changes something is reached by a method that may; reading is GET. */
static void methods_tell_the_effect(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++)
		if (strcmp(routes[i].method, "GET") == 0)
			assert_int_equal(op_spec(routes[i].op)->effect, READS);
}

static void values_come_out_as_they_were_sent(void **state)
{
	struct router_match m;
	(void)state;
	assert_int_equal(find("HEAD", "/api/v1/devices", &m), 0);
	assert_int_equal(m.op, OP_DEVICE_LIST);
	assert_int_equal(find("PATCH", "/api/v1/devices/a%2Fb", &m), 0);
	assert_int_equal(m.op, OP_DEVICE_SET);
	assert_int_equal(m.params, 1);
	assert_true(str_is(m.name[0], "name") && str_is(m.value[0], "a%2Fb"));
}

static void paths_that_lead_nowhere(void **state)
{
	static const char *const paths[] = {
		"",
		"/",
		"/api/v1/status/",
		"/api/v1/devices/",
		"/api/v1/devices//x",
		"*",
		"//",
		"/api/v1/devices/a/b",
		"/api/v1/Devices",
		"/api/v2/status",
		"/api/",
		"/API/v1/status",
		"api/v1/status",
		"/api/v1/status/..",
		"/api/v1//status",
	};
	struct router_match m;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(paths); i++)
		assert_int_equal(find("GET", paths[i], &m), ERR_NOT_FOUND);
}

static void methods_that_a_resource_does_not_know(void **state)
{
	char allow[64];
	struct router_match m;
	(void)state;
	assert_int_equal(router_find("PUT", STR("/api/v1/devices"), &m, allow, sizeof(allow)),
			 ERR_DENIED);
	assert_string_equal(allow, "GET, HEAD, POST");
	assert_int_equal(find("get", "/api/v1/devices", &m), ERR_DENIED);
	assert_int_equal(find("", "/api/v1/devices", &m), ERR_DENIED);
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		router_find("NONE", str_of(routes[i].path), &m, allow, sizeof(allow));
		assert_true(strlen(allow) > 2 && strlen(allow) < sizeof(allow) - 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_operation_is_reached),
		cmocka_unit_test(arguments_of_the_path_exist),
		cmocka_unit_test(methods_tell_the_effect),
		cmocka_unit_test(values_come_out_as_they_were_sent),
		cmocka_unit_test(paths_that_lead_nowhere),
		cmocka_unit_test(methods_that_a_resource_does_not_know),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
