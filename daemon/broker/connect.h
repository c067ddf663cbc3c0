/* SPDX-License-Identifier: Apache-2.0
 *
 * CONNECT: who is it (certificate, password, both, nobody, as the listener demands), may it be
 * here, which session is its own; then CONNACK. A password is judged by the store, meanwhile the
 * connection waits. A session on another worker draws the connection there. Runs in the worker.
 * Sections 3.1, 3.2, 4.12; MQTT 3.1 and 3.1.1 alike.
 */
#pragma once

#include "daemon/broker/conn.h"
#include "daemon/broker/login.h"

enum { CLIENT_ID_MAX = 1024 /* bytes; what events and the client list can hold */ };

/* The first packet, complete: p[0..n). The state afterwards tells: CONN_OPEN; CONN_LOGIN or
 * CONN_MOVING: come again with the same bytes; CONN_CLOSED. */
void connect_received(struct conn *c, const void *p, size_t n);
/* Ends an exchange of AUTH packets before CONNACK: with what the store said, or with a reason,
 * after which the caller closes. */
void connect_refuse_login(struct conn *c, enum login_result result);
/* In CONN_STORING: the session cannot be stored. */
void connect_not_stored(struct conn *c, enum reason reason, const char *why);
void connect_refuse_reason(struct conn *c, enum reason reason);
/* Refuses a first packet that could not be decoded or is too large (p: as much as is there). */
void connect_refuse_bytes(struct conn *c, const void *p, size_t n, enum reason reason);
