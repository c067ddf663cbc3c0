/* SPDX-License-Identifier: Apache-2.0
 *
 * The intrusive list: daemon/base/list.h.
 */
#include "daemon/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct item {
	char name;
	struct list node;
};

static void expect(struct list *head, const char *names)
{
	list_each (it, head)
		assert_int_equal(list_entry(it, struct item, node)->name, *names++);
	assert_int_equal(*names, '\0');
}

/* The same from the other end. */
static void expect_backwards(const struct list *head, const char *names)
{
	for (struct list *it = head->prev; it != head; it = it->prev)
		assert_int_equal(list_entry(it, struct item, node)->name, *names++);
	assert_int_equal(*names, '\0');
}

static void both_ends(void **state)
{
	(void)state;
	struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'};
	struct list head;
	list_init(&head);
	assert_true(list_empty(&head));
	assert_false(list_linked(&a.node));
	list_append(&head, &b.node);
	list_append(&head, &c.node);
	list_prepend(&head, &a.node);
	assert_false(list_empty(&head));
	assert_true(list_linked(&a.node));
	expect(&head, "abc");
	expect_backwards(&head, "cba");
}

static void removing(void **state)
{
	(void)state;
	struct item i[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};
	struct list head;
	list_init(&head);
	for (size_t k = 0; k < ARRAY_LEN(i); k++)
		list_append(&head, &i[k].node);
	list_remove(&i[1].node);
	assert_false(list_linked(&i[1].node));
	expect(&head, "ac");
	list_remove(&i[1].node); /* is in no list: nothing happens */
	expect(&head, "ac");
	list_remove(&i[0].node);
	list_remove(&i[2].node);
	assert_true(list_empty(&head));
	list_append(&head, &i[1].node);
	expect(&head, "b");
	expect_backwards(&head, "b");
}

static void removing_while_walking(void **state)
{
	(void)state;
	struct item i[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}, {.name = 'd'}};
	struct list head;
	list_init(&head);
	for (size_t k = 0; k < ARRAY_LEN(i); k++)
		list_append(&head, &i[k].node);
	int walked = 0;
	list_each_safe (it, &head) {
		walked++;
		if (list_entry(it, struct item, node)->name != 'c')
			list_remove(it);
	}
	assert_int_equal(walked, 4);
	expect(&head, "c");
	list_each_safe (it, &head)
		list_remove(it);
	assert_true(list_empty(&head));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends),
		cmocka_unit_test(removing),
		cmocka_unit_test(removing_while_walking),
	};
	return cmocka_run_group_tests_name("list", tests, NULL, NULL);
}
