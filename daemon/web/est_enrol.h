/* SPDX-License-Identifier: Apache-2.0
 *
 * The three operations of EST that give a certificate: one POST, from its body to the store and
 * back. Private to est*.c, apart from the check of the channel binding. Main thread.
 */
#pragma once

#include "daemon/web/est.h"
#include "daemon/web/est_wire.h"

/* Answers now or when the store has. op is SIMPLE, SIMPLE_AGAIN or SERVERKEYGEN. */
void est_enrol(struct est *est, struct http_request *r, enum est_op op, struct str label);
/* Whether the challengePassword of a request binds it to the TLS session that it came over (RFC
 * 7030, 3.5), where it must, or says that it does. 0, or the status of HTTP with why. For requests
 * in JSON too. */
unsigned est_check_binding(const struct est *est, const struct http_request *r,
			   struct str challenge, struct why *why);
