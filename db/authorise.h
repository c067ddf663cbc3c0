/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may do what: the level of a caller from its credential, and the audit log. The table of
 * levels is operations.def. Main thread of the store. It knows no operation by itself.
 */
#pragma once

#include "db/ops.h"

/* Fills actor, level and denied of the call, for a session or a token also whose it is and what it
 * is not for. The credentials of a peer count only when they come from the control socket: whoever
 * its permissions let in is an administrator. Credentials that open nothing leave the call denied.
 * 0, or ERR_MALFORMED for a credential that no honest web process sends. */
int authorise_caller(struct op_call *c, uint8_t kind, struct str credential);
/* Is an API token that asks for this operation too? True for every other caller. */
bool authorise_scope_holds(const struct op_call *c, const char *operation);
/* May the caller see what devices say: the payloads of messages? Topics, sizes and QoS are for
 * every level. The one rule for watches, traces and retained messages. */
static inline bool authorise_payload(const struct op_call *c)
{
	return c->level >= OPERATOR;
}
/* May the caller run c->op? True: no, and the call was refused. */
bool authorise_refused(struct op_call *c);

/* Inserts the row; outcome is "ok" or a word of enum op_status. Part of an open transaction if
 * there is one. Returns the row's id, 0 when it could not be written. */
int64_t authorise_audit(struct op_call *c, const char *outcome, const char *why);
/* "ok", "invalid", "not-found" ... */
const char *authorise_outcome(enum op_status status);
