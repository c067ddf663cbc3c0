/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the registry, and orders of administrators, as they bite: connections that lost their
 * right are closed, sessions are judged by the new rules. Runs in each worker; the control thread
 * answers the store when all have done it.
 */
#pragma once

#include "daemon/broker/conn.h"

/* Closes the connections whose device or certificate is no longer good; returns how many. */
unsigned revoke_connections(struct worker *w);
/* Has every session judge its identity and subscriptions anew; sessions of devices that are gone or
 * disabled end. Call it after the one above. */
void revoke_rejudge(struct worker *w);
/* Closes the connections of a client identifier, or, where that is empty, of a device. */
unsigned revoke_kick(struct worker *w, struct str client_id, uint64_t device_id,
		     enum reason reason);
/* Closes what comes from a network that is banned (daemon/net/ban.h). How many. */
unsigned revoke_banned(struct worker *w);
/* The gateway stops: everyone is told [MQTT 5.0 reason 0x8B]. */
void revoke_all(struct worker *w);
