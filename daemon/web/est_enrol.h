/* SPDX-License-Identifier: Apache-2.0
 *
 * The three operations of EST that give a certificate: one POST, from its body to the store and
 * back. Private to est*.c. Main thread.
 */
#pragma once

#include "daemon/web/est.h"
#include "daemon/web/est_wire.h"

/* Answers now or when the store has. op is SIMPLE, SIMPLE_AGAIN or SERVERKEYGEN. */
void est_enrol(struct est *est, struct http_request *r, enum est_op op, struct str label);
