/* SPDX-License-Identifier: Apache-2.0
 *
 * Queue between threads: see inbox.h.
 */
#include "daemon/base/inbox.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int inbox_init(struct inbox *in)
{
	const int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return ERR_IO;
	atomic_init(&in->head, NULL);
	in->fd = fd;
	return 0;
}

void inbox_fini(struct inbox *in)
{
	CHECK(atomic_load(&in->head) == NULL);
	close(in->fd);
	in->fd = -1;
}

void inbox_post_chain(struct inbox *in, struct inbox_node *newest, struct inbox_node *oldest)
{
	struct inbox_node *head = atomic_load_explicit(&in->head, memory_order_relaxed);
	do
		oldest->next = head;
	while (!atomic_compare_exchange_weak_explicit(&in->head, &head, newest,
						      memory_order_release, memory_order_relaxed));
	/* Only the post that finds the queue empty has to wake the receiver. */
	if (head == NULL) {
		const uint64_t one = 1;
		while (write(in->fd, &one, sizeof(one)) < 0 && errno == EINTR)
			;
	}
}

void inbox_post(struct inbox *in, struct inbox_node *node)
{
	inbox_post_chain(in, node, node);
}

struct inbox_node *inbox_drain(struct inbox *in)
{
	uint64_t count;
	while (read(in->fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	struct inbox_node *node = atomic_exchange_explicit(&in->head, NULL, memory_order_acquire);
	struct inbox_node *oldest = NULL;
	while (node) {
		struct inbox_node *next = node->next;
		node->next = oldest;
		oldest = node;
		node = next;
	}
	return oldest;
}
