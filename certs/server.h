/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's own server certificates: one P-256 and one RSA-2048 for each of broker, admin and
 * enrol (clients that know only ECDHE-RSA exist). The first start makes keys and certificates; a
 * certificate is made anew, with the same key because small clients pin it, when the machine's
 * names change or two thirds of its life have passed. The issuer thread writes; signer threads read
 * the chains under a lock.
 */
#pragma once

#include "certs/issue.h"

struct servers;

/* Loads or makes the keys. Certificates come with servers_renew. 0 or what the key store says. */
int servers_open(struct keystore *ks, struct servers **out, struct why *why);
void servers_free(struct servers *s);
DEFINE_AUTO(servers, servers_free)

struct key *servers_key(const struct servers *s, enum key_slot slot); /* owned by s */

/* Loads what is on disk and makes every certificate that is missing, damaged, of another authority,
 * for other names, or past two thirds of its life. common_name is the gateway's name; names should
 * hold it too. Counts in *made what it made, and chains that go on otherwise than before. When one
 * cannot be made while a usable one exists, that one stays and the cause is logged; 0 then. Else
 * what issuer_server says. */
int servers_renew(struct servers *s, struct issuer *issuer, const char *common_name,
		  const struct san_set *names, struct issue_time now, unsigned *made,
		  struct why *why);

/* The certificate of a server slot as DER, appended. ERR_NOT_FOUND before servers_renew made it.
 * Any thread. */
int servers_certificate(struct servers *s, enum key_slot slot, struct buf *der);
/* The same with what completes its chain, each behind a 32-bit length. */
int servers_chain(struct servers *s, enum key_slot slot, struct buf *list);
