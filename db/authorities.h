/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate authorities and server certificates of this gateway, as the vault tells them:
 * asked at the start and whenever the vault was restarted, kept in the tables ca and cert, sent to
 * the broker when they changed, and the roots to the parent, which publishes them. Main thread of
 * the store. It decides nothing about them: the vault does.
 */
#pragma once

#include "db/certificate.h"
#include "db/store.h"

enum { AUTHORITIES_MS = 10000 };

/* Within a transaction: makes the tables say what the vault says (records of struct body_ca_cert).
 * Appends entries for the broker. Certificates of an authority that is compromised are revoked, of
 * one that is retired superseded. 0
 * or ERR_MALFORMED. */
int authorities_take(struct store *s, struct str list, struct buf *entries);

/* Asks the vault over its present link. The first answer makes the store ready. */
void authorities_ask(struct store *s);
/* AUTHORITIES_GET. Returns like a link_handler. */
int authorities_answer(struct store *s, struct link *l, struct record *r);
/* After the commit of a change: tells those who publish, show or hand out authorities. */
bool authorities_locked(struct store *s); /* the one in use: ca lock */
void authorities_changed(struct store *s);
/* The row of the authority that issued this certificate, 0 when it is none of ours. */
int64_t authorities_issuer(struct store *s, const struct certificate *cert);
/* PEM of a certificate's issuing authorities below the root, and of the active root
 * and the one that comes next; appended. */
void authorities_chain_pem(struct store *s, struct buf *out);
void authorities_roots_pem(struct store *s, struct buf *out);
