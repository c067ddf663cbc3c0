/* SPDX-License-Identifier: Apache-2.0
 *
 * One session in full, for a person who looks for a fault: asked by the store with CLIENT_GET,
 * answered by the worker that has the session. Control thread and workers.
 *
 * The rec of the answer, which the operation client.show gives on (db/op_client.h explains it):
 * is_connected, session_expiry, queued_now, queued_bytes, in_flight, received, dropped, will; while
 * connected transport, tls_version, cipher, group, alpn, resumed, receive_maximum, packet_max,
 * unsent_bytes, heard; then the list subscription_list, and how many of them were left out.
 */
#pragma once

#include "daemon/broker/control.h"

enum { INSPECT_SUBSCRIPTIONS = 200, INSPECT_BYTES = 48 * KiB };

/* CLIENT_GET. 0 or ERR_MALFORMED. */
int inspect_asked(struct link *l, struct record *r);
