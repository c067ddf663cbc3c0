/* SPDX-License-Identifier: Apache-2.0
 *
 * Enhanced authentication (section 4.12) with the method SCRAM-SHA-256: the exchange of AUTH
 * packets before CONNACK, and again whenever the client likes. The store judges. While a CONNECT
 * waits for it the exchange keeps a copy; the connection is then in CONN_LOGIN or CONN_AUTH.
 * Belongs to the connection; its worker.
 */
#pragma once

#include "daemon/broker/conn.h"

struct auth;

void auth_free(struct auth *a); /* NULL is allowed */
/* Whether this is the method that is offered. */
bool auth_offered(struct str method);

/* Begins with the data of a CONNECT, whose bytes are kept. False: the data is no beginning. */
bool auth_begin(struct conn *c, struct str data, struct str connect) MUST_CHECK;
/* AUTH from the client, before CONNACK or later. Not REASON_SUCCESS: the connection has to be
 * closed, or refused while it waits for its CONNACK. */
enum reason auth_received(struct conn *c, const struct packet *p);
/* Adds method and data to the CONNACK of a successful exchange [MQTT-4.12.0-5]. */
void auth_finish(const struct conn *c, struct props *props);
/* Who it claims to be, for events. */
struct str auth_name(const struct conn *c);
