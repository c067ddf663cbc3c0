/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on devices, and what the other operations need of them. Main thread of the store.
 *
 * Fields of a device:
 *   name, uuid, kind, note        str
 *   enabled                       bool
 *   groups, roles                 list of str
 *   password                      bool: it has one
 *   certificate_count             int, good ones
 *   certificate_end               time or null: when its good certificate that ends last ends
 *   state                         str, at this moment: connected, away, never, barred, disabled
 *   last_seen                     time or null; of a connected device the time of the answer
 *   last_address, last_listener, last_protocol, last_tls   str or null: of its newest connection
 *   connection_count              int, now
 *   barred                        str or null: why it cannot connect, if it cannot
 *   version                       int, another one after every change (change.h)
 *   created, changed              time
 *   created_by                    str
 *
 * device.list    items: list of devices; next: str or null (op_device_list.c)
 * device.show    a device, and certificates: list of certificates (op_cert.h), rules: list of rules
 * that name it, its groups, its roles or everyone (op_acl.h), clients: list of its connections
 * (op_client.h) device.add     a device, and with a csr: certificate: object (issue.h) device.set
 * a device device.remove  name; certificates_revoked: int Changes also answer broker and
 * sessions_closed (change.h).
 */
#pragma once

#include "db/ops.h"

#define DEVICE_NO_END INT64_MAX /* certificate_end of a device without a good certificate */

enum {
	UUID_SIZE = 37,
	MEMBERSHIPS_MAX = 32 /* groups, and roles, of one device: the broker's entry has a limit */
};

/* Version 4 of RFC 4122, with its terminator. */
void device_make_uuid(char out[UUID_SIZE]);
/* Appends the fields of a device. live: with the counts, which no revision keeps. */
void device_put(struct store *s, int64_t id, bool live, struct buf *out);
/* Appends barred: why it cannot connect, "its certificate was revoked", or null. A certificate of
 * an authority outside counts too; whether a listener trusts that one is not looked at. */
void device_put_barred(struct store *s, int64_t id, struct buf *out);

/* Judge the arguments "groups" and "roles" (roles must exist) and "kind". False: refused. */
bool device_check_lists(struct op_call *c);
/* Judges the argument "password"; *given says whether it is there and not empty. False: refused. */
bool device_check_password(struct op_call *c, bool *given);
/* Replace the memberships by these arguments, where given. In a transaction. */
void device_set_lists(struct op_call *c, int64_t id);
