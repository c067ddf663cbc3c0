/* SPDX-License-Identifier: Apache-2.0
 *
 * Intrusive doubly linked list with a head that points at itself when empty. The list owns nothing;
 * a node that is {NULL, NULL} is in no list.
 */
#pragma once

#include "daemon/base/defs.h"

struct list {
	struct list *next;
	struct list *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct list *head)
{
	return head->next == head;
}

static inline bool list_linked(const struct list *node)
{
	return node->next != NULL;
}

static inline void list_insert_(struct list *node, struct list *prev, struct list *next)
{
	node->prev = prev;
	node->next = next;
	prev->next = node;
	next->prev = node;
}

static inline void list_append(struct list *head, struct list *node)
{
	list_insert_(node, head->prev, head);
}

static inline void list_prepend(struct list *head, struct list *node)
{
	list_insert_(node, head, head->next);
}

static inline void list_remove(struct list *node)
{
	if (!node->next)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

#define list_entry(node, type, member) container_of(node, type, member)

/* The loop variable is a struct list *; the safe form lets the body remove it. */
#define list_each(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
#define list_each_safe(it, head)                                                  \
	for (struct list *it = (head)->next, *it##_next = it->next; it != (head); \
	     it = it##_next, it##_next = it->next)
