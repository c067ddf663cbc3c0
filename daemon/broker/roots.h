/* SPDX-License-Identifier: Apache-2.0
 *
 * The root certificates for devices that speak no HTTP: one retained message on $gw/pki/roots, all
 * of them in PEM as EST's cacerts has them, the one in use first. It is another one as soon as a
 * rollover begins, so that a device knows the next root before the gateway shows it. Whoever reads
 * it needs a rule that spells $gw, and nobody can publish there. Asked of the store at every start
 * and when the authorities change, never stored. Control thread; the first worker publishes.
 */
#pragma once

#include "daemon/ipc/link.h"

struct control;

/* Asks the store for them. */
void roots_ask(struct control *k);
/* AUTHORITIES_CHANGED. Returns like a link_handler. */
int roots_changed(struct link *l, struct record *r);
