/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of TLS: authorities and certificates made on the spot, a signer that plays the vault,
 * and a blocking GnuTLS client on one end of a socket pair. Single-threaded but for the signer.
 */
#pragma once

#include "daemon/net/tls_credentials.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

struct cert {
	gnutls_x509_crt_t crt;
	gnutls_x509_privkey_t key;
	gnutls_datum_t der;
};

struct cert_plan {
	const char *cn;
	const char *second_cn;     /* NULL = none, as the next */
	const char *organization;  /* behind the names */
	const struct cert *issuer; /* NULL = self-signed */
	bool ca;
	bool rsa;
	const char *purpose; /* an OID, or NULL for no extended key usage */
	int64_t from_s;      /* relative to now */
	int64_t for_s;       /* how long it is valid; 0 = a day */
};

struct cert cert_make(const struct cert_plan *plan);
void cert_free(struct cert *c);
struct str cert_der(const struct cert *c);

/* tls_sign_fn over keys by number; context is ignored. The keys must outlive their use. */
void signer_set(uint32_t key_id, const struct cert *c);
extern bool signer_away; /* fails every signature */
int signer_tls_sign(void *context, uint32_t key_id, int scheme, const void *data, size_t n,
		    struct buf *signature);

struct client {
	gnutls_session_t session;
	gnutls_certificate_credentials_t cred;
	int fd;
	size_t largest_record; /* payload length of a record that was received, as on the wire */
	unsigned char head[5]; /* of the record that is being received */
	size_t head_n;
	size_t record_left;
};

struct client_plan {
	const char *priority;         /* NULL = "NORMAL" */
	const struct cert *leaf;      /* NULL = no certificate */
	const struct cert *issuing;   /* sent behind the leaf; may be NULL */
	const gnutls_datum_t *resume; /* session data, or NULL */
	const char *alpn;
	size_t record_max; /* asked for by extension; 0 = nothing */
};

/* Takes fd (blocking). */
void client_init(struct client *c, int fd, const struct client_plan *plan);
int client_handshake(struct client *c); /* GnuTLS's code */
ssize_t client_recv(struct client *c, void *p, size_t n);
/* Session data for resumption, after something was received on TLS 1.3. */
gnutls_datum_t client_session(struct client *c);
void client_end(struct client *c);
