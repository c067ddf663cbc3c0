/* SPDX-License-Identifier: Apache-2.0
 *
 * From a public key to a certificate in the registry: whether this key may be certified for this
 * device, the question to the vault, the row. Main thread of the store; the vault judges the key
 * itself and builds the certificate.
 *
 * Result field certificate (object):
 *   fingerprint, serial           bytes
 *   not_before, not_after         time
 *   pem                           str: the certificate and its issuing authority
 *   roots_pem                     str: the root certificates
 */
#pragma once

#include "daemon/ipc/frame.h"
#include "db/ops.h"

/* May this key be certified for the device (0: one that is being added)? Checks the arguments spki
 * and csr-name, blocked keys, other devices, the clock, and operations in progress. False: refused.
 */
bool issue_check(struct op_call *c, struct str name, int64_t device_id);

/* May this key be this device's: not blocked, and not another device's? field is the argument that
 * gave it. False: refused. */
bool issue_check_key(struct op_call *c, const char *field, struct str spki, int64_t device_id);

/* Asks the vault, for a life until c->not_after. issued() runs when there is a certificate;
 * otherwise the call was refused. The strings of *done live until it returns. */
typedef void issue_handler(struct op_call *c, const struct body_issue_done *done);
void issue_ask(struct op_call *c, struct str name, struct str uuid, issue_handler *issued);

/* Within a change: the row, its entry, its event, its revision, the result field. */
void issue_store(struct op_call *c, struct str name, int64_t device_id,
		 const struct body_issue_done *done);
