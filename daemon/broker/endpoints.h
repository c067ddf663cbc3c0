/* SPDX-License-Identifier: Apache-2.0
 *
 * From configuration, certificates and authorities to listeners that can be used: asks the vault
 * for the chains, builds the TLS credentials of each listener and puts them into a snapshot of the
 * settings. Control thread.
 */
#pragma once

#include "daemon/broker/control.h"

/* Asks the vault for all chains that the configuration needs (again). What it answers leads to
 * control_progress(). */
void endpoints_ask(struct control *k);
/* True when an answer for every listener with TLS is there. */
bool endpoints_known(const struct control *k);
/* Fills the endpoints of a new snapshot. 0, or an error after one log line; why (may be NULL) gets
 * the same line. */
int endpoints_build(struct control *k, struct settings *s, struct buf *why);
/* Certificates of a listener, from the parent. Takes r->fd. 0 or ERR_MALFORMED. */
int endpoints_files(struct control *k, struct record *r);
