/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's questions about the authority and its orders to it: CA_GET, CA_CHANGE, CA_CHECK.
 * Which administrator may give an order is the store's affair; what an order may do is in
 * succession.h. Main thread of the vault.
 */
#pragma once

#include "certs/server.h"
#include "certs/succession.h"
#include "daemon/ipc/link.h"

enum { CA_CHECK_PART = 100 }; /* records in one answer: some 50 ms of signatures */

struct ca_service {
	struct issuer *issuer;
	struct servers *servers;
	/* Who issues is another, or issues again: the server certificates are looked at. */
	void (*changed)(struct ca_service *s);
};

/* Handle one record each; they return like a link_handler. */
int ca_service_get(struct ca_service *s, struct link *l, struct record *r);
int ca_service_change(struct ca_service *s, struct link *l, struct record *r);
int ca_service_check(struct ca_service *s, struct link *l, struct record *r);
