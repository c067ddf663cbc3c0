/* SPDX-License-Identifier: Apache-2.0
 *
 * SIGN_CRL and SIGN_OCSP: the store says which certificates are revoked, the vault makes the list
 * or the answer and signs it with the key of the authority that issued them. The life and the clock
 * are the vault's. Main thread of the vault.
 */
#pragma once

#include "certs/issue.h"
#include "daemon/ipc/link.h"

/* Handlers of the link to the store; they return like a link_handler. */
int statement_service_list(struct issuer *i, struct link *l, struct record *r);
int statement_service_ocsp(struct issuer *i, struct link *l, struct record *r);
