/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSP stapling (RFC 6066, 8; RFC 8446, 4.4.2.1): a server shows with its certificate what its
 * authority says about it. One table per process, by the fingerprint of the certificate; whoever
 * has the responses replaces it whole, and the next handshake shows the new ones. A certificate
 * without one, or a client that does not ask, is served as ever. Any thread.
 */
#pragma once

#include "daemon/base/str.h"

#include <gnutls/gnutls.h>

enum {
	TLS_STAPLES_MAX = 64,
	TLS_STAPLE_FINGERPRINT = 32, /* SHA-256 of a certificate's DER */
};

struct tls_staple {
	unsigned char fingerprint[TLS_STAPLE_FINGERPRINT];
	struct str response; /* OCSPResponse, DER; copied */
};

/* Replaces the table; what is beyond TLS_STAPLES_MAX is left out. */
void tls_staples_set(const struct tls_staple *staple, size_t n);
/* Handshakes with these credentials show them. */
void tls_staples_use(gnutls_certificate_credentials_t credentials);
