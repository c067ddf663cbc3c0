/* SPDX-License-Identifier: Apache-2.0
 *
 * Whether a verified client certificate opens a device, and which: the rules of one listener
 * (client-ca, lint, crl, device-from). Asked at each handshake, at CONNECT, and whenever registry
 * or listeners have changed.
 *
 * Without client-ca the registry alone decides, by fingerprint. With it the certificate passes the
 * lint and the revocation lists first; a certificate that the registry knows is judged by it even
 * where names are mapped, so that a single one can be revoked here. Immutable, counted, any thread.
 */
#pragma once

#include "certs/crl.h"
#include "daemon/broker/registry.h"
#include "daemon/conf/config.h"

enum { CLIENT_POLICY_WHY = 128 };

struct client_policy;

/* crl may be NULL; a reference of its own is taken. NULL when the listener has no client-ca. */
struct client_policy *client_policy_new(const struct config_listener *l, struct crl_set *crl);
struct client_policy *client_policy_ref(struct client_policy *p); /* NULL gives NULL */
void client_policy_unref(struct client_policy *p);                /* NULL is fine */

struct client_certificate {
	const unsigned char *fingerprint; /* STREAM_FINGERPRINT bytes */
	const struct str *chain;          /* DER, leaf first */
	size_t chain_n;
	int64_t now; /* seconds since 1970 */
};

/* policy may be NULL. Outputs as registry_certificate; why (CLIENT_POLICY_WHY bytes, may be NULL)
 * gets one phrase when the registry did not decide. */
enum handshake_verdict client_policy_judge(const struct client_policy *policy, struct registry *r,
					   const struct client_certificate *c, uint64_t *device_id,
					   int64_t *not_after, char *why);
