/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's requests to issue: ISSUE_DEVICE. Answers of one loop turn wait for one sync of the
 * journal together: a fleet that enrols from a list costs one sync per turn, not one per device,
 * and still no certificate leaves before it is durable. Main thread.
 */
#pragma once

#include "certs/issue.h"
#include "daemon/ipc/link.h"

struct issue_service {
	struct issuer *issuer;
	struct loop *loop;
	/* Something an operator should hear about: ERR_DENIED (clock), ERR_IO (disk), ERR_LIMIT. */
	void (*trouble)(struct issue_service *s, int err, const char *why);
	/* A certificate ends with its authority, earlier than it was to: what to do about it. */
	void (*ending)(struct issue_service *s, const char *why);
	struct list waiting; /* issued, not yet committed */
	struct loop_task commit;
};

void issue_service_init(struct issue_service *s);
/* The link to the store that issue requests come from is about to be freed: their answers are
 * dropped. What was issued stays in the journal; the store asks again. */
void issue_service_forget(struct issue_service *s, const struct link *l);

/* Handles one record; returns like a link_handler. */
int issue_service_device(struct issue_service *s, struct link *l, struct record *r);
/* What an error of the issuer is for the one who asked. */
enum op_status issue_service_status(int err);
