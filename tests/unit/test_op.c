/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of operations: rows that contradict themselves would be found only by whoever needs
 * them.
 */
#include "daemon/ipc/frame.h"
#include "daemon/ipc/op.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* "device.add" and the like; arguments in the same style. */
static bool is_word(const char *s)
{
	const size_t n = strlen(s);
	return n > 0 && n <= 64 && strspn(s, "abcdefghijklmnopqrstuvwxyz.-") == n;
}

static void names_are_words_and_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OP_COUNT; i++) {
		assert_true(is_word(op_spec(i)->name));
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(op_spec(i)->name, op_spec(k)->name);
		for (const struct op_arg *a = op_spec(i)->args; a->name; a++) {
			assert_true(is_word(a->name));
			assert_true(strlen(a->text) > 3);
			for (const struct op_arg *b = op_spec(i)->args; b != a; b++)
				assert_string_not_equal(a->name, b->name);
		}
	}
}

static bool ends_with(const char *s, const char *end)
{
	const size_t n = strlen(s), m = strlen(end);
	return n >= m && strcmp(s + n - m, end) == 0;
}

static bool begins_with(const char *s, const char *beginning)
{
	return strncmp(s, beginning, strlen(beginning)) == 0;
}

/* Of oneself, and of what one looks at, a viewer may change something, too; whoever logs in has no
 * level yet. */
static bool is_about_oneself(const char *name)
{
	static const char *const nouns[] = {"setup.", "session.", "password.", "totp.", "watch."};
	for (size_t i = 0; i < ARRAY_LEN(nouns); i++)
		if (begins_with(name, nouns[i]))
			return true;
	return false;
}

/* What changes something is audited and not for viewers; what only shows never changes. */
static void changing_needs_a_level(void **state)
{
	(void)state;
	for (unsigned i = 0; i < OP_COUNT; i++) {
		const struct op_spec *s = op_spec(i);
		if (s->effect == CHANGES)
			assert_true(s->level > VIEWER || is_about_oneself(s->name));
		else
			assert_true(ends_with(s->name, ".list") || ends_with(s->name, ".show") ||
				    ends_with(s->name, ".diff") || ends_with(s->name, ".check") ||
				    ends_with(s->name, ".preview") ||
				    ends_with(s->name, ".propose") ||
				    strcmp(s->name, "status") == 0);
	}
}

/* The largest set of arguments of every operation fits the message that carries it. */
static void arguments_fit_one_message(void **state)
{
	enum { ARGS_MAX = 60000, HEAD = 2 + 64 + 8, ITEMS = 64 };
	(void)state;
	for (unsigned i = 0; i < OP_COUNT; i++) {
		uint64_t most = 0;
		for (const struct op_arg *a = op_spec(i)->args; a->name; a++)
			most += HEAD + (a->type == ARG_STRS ? ITEMS * (a->max + HEAD)
					: a->type == ARG_INT || a->type == ARG_STATE
						? 0 /* in a memfd */
						: a->max);
		assert_true(most <= ARGS_MAX);
	}
}

static void levels_have_names(void **state)
{
	(void)state;
	assert_string_equal(op_level_name(VIEWER), "viewer");
	assert_string_equal(op_level_name(OPERATOR), "operator");
	assert_string_equal(op_level_name(ADMIN), "admin");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_words_and_unique),
		cmocka_unit_test(changing_needs_a_level),
		cmocka_unit_test(arguments_fit_one_message),
		cmocka_unit_test(levels_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
