/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and clients for tests of TLS: see tls_peer.h.
 */
#include "tests/unit/tls_peer.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <sys/socket.h>
#include <unistd.h>

#define MUST(call) CHECK((call) >= 0)

static void add_name(gnutls_x509_crt_t crt, const char *oid, const char *text)
{
	if (text)
		MUST(gnutls_x509_crt_set_dn_by_oid(crt, oid, 0, text, (unsigned)strlen(text)));
}

struct cert cert_make(const struct cert_plan *plan)
{
	static unsigned char serial;
	const int64_t from = clock_wall() + plan->from_s - 60;
	const unsigned char number[2] = {0x2a, ++serial};
	struct cert c;
	MUST(gnutls_x509_privkey_init(&c.key));
	if (plan->rsa)
		MUST(gnutls_x509_privkey_generate(c.key, GNUTLS_PK_RSA, 2048, 0));
	else
		MUST(gnutls_x509_privkey_generate(c.key, GNUTLS_PK_ECDSA,
						  GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
						  0));
	MUST(gnutls_x509_crt_init(&c.crt));
	MUST(gnutls_x509_crt_set_version(c.crt, 3));
	MUST(gnutls_x509_crt_set_serial(c.crt, number, sizeof(number)));
	add_name(c.crt, GNUTLS_OID_X520_COMMON_NAME, plan->cn);
	MUST(gnutls_x509_crt_set_activation_time(c.crt, (time_t)from));
	MUST(gnutls_x509_crt_set_expiration_time(
		c.crt, (time_t)(from + (plan->for_s ? plan->for_s : 86400))));
	MUST(gnutls_x509_crt_set_key(c.crt, c.key));
	MUST(gnutls_x509_crt_set_basic_constraints(c.crt, plan->ca, -1));
	MUST(gnutls_x509_crt_set_key_usage(c.crt, plan->ca ? GNUTLS_KEY_KEY_CERT_SIGN
							   : GNUTLS_KEY_DIGITAL_SIGNATURE));
	add_name(c.crt, GNUTLS_OID_X520_COMMON_NAME, plan->second_cn);
	add_name(c.crt, GNUTLS_OID_X520_ORGANIZATION_NAME, plan->organization);
	if (plan->purpose)
		MUST(gnutls_x509_crt_set_key_purpose_oid(c.crt, plan->purpose, 0));
	const struct cert *by = plan->issuer ? plan->issuer : &c;
	MUST(gnutls_x509_crt_sign2(c.crt, by->crt, by->key, GNUTLS_DIG_SHA256, 0));
	MUST(gnutls_x509_crt_export2(c.crt, GNUTLS_X509_FMT_DER, &c.der));
	/* Read back: one that was only built does not know its names in DER, and chains break. */
	gnutls_x509_crt_deinit(c.crt);
	MUST(gnutls_x509_crt_init(&c.crt));
	MUST(gnutls_x509_crt_import(c.crt, &c.der, GNUTLS_X509_FMT_DER));
	return c;
}

void cert_free(struct cert *c)
{
	gnutls_x509_crt_deinit(c->crt);
	gnutls_x509_privkey_deinit(c->key);
	gnutls_free(c->der.data);
}

struct str cert_der(const struct cert *c)
{
	return str_make(c->der.data, c->der.size);
}

/* The signer. */

static const struct cert *signer_keys[4];
bool signer_away;

void signer_set(uint32_t key_id, const struct cert *c)
{
	signer_keys[key_id] = c;
}

static gnutls_sign_algorithm_t algorithm_of(int scheme)
{
	switch (scheme) {
	case TLS_ECDSA_P256_SHA256:
		return GNUTLS_SIGN_ECDSA_SHA256;
	case TLS_RSA_PKCS1_SHA256:
		return GNUTLS_SIGN_RSA_SHA256;
	case TLS_RSA_PKCS1_SHA384:
		return GNUTLS_SIGN_RSA_SHA384;
	case TLS_RSA_PKCS1_SHA512:
		return GNUTLS_SIGN_RSA_SHA512;
	case TLS_RSA_PSS_SHA256:
		return GNUTLS_SIGN_RSA_PSS_RSAE_SHA256;
	case TLS_RSA_PSS_SHA384:
		return GNUTLS_SIGN_RSA_PSS_RSAE_SHA384;
	default:
		return GNUTLS_SIGN_RSA_PSS_RSAE_SHA512;
	}
}

int signer_tls_sign(void *context, uint32_t key_id, int scheme, const void *data, size_t n,
		    struct buf *signature)
{
	gnutls_privkey_t key;
	gnutls_datum_t out = {NULL, 0};
	const gnutls_datum_t hash = {(unsigned char *)data, (unsigned)n};
	(void)context;
	if (signer_away)
		return ERR_UNAVAILABLE;
	MUST(gnutls_privkey_init(&key));
	MUST(gnutls_privkey_import_x509(key, signer_keys[key_id]->key, 0));
	const int e = gnutls_privkey_sign_hash2(key, algorithm_of(scheme), 0, &hash, &out);
	gnutls_privkey_deinit(key);
	if (e < 0)
		return ERR_CRYPTO;
	buf_put(signature, out.data, out.size);
	gnutls_free(out.data);
	return 0;
}

/* The client. */

/* Follows the record layer, to see how large the records are. */
static void follow(struct client *c, const unsigned char *p, size_t n)
{
	while (n) {
		if (c->record_left) {
			const size_t part = MIN(n, c->record_left);
			c->record_left -= part;
			p += part;
			n -= part;
			continue;
		}
		c->head[c->head_n++] = *p++;
		n--;
		if (c->head_n == sizeof(c->head)) {
			c->record_left = (size_t)(c->head[3] << 8 | c->head[4]);
			c->largest_record = MAX(c->largest_record, c->record_left);
			c->head_n = 0;
		}
	}
}

static ssize_t client_pull(gnutls_transport_ptr_t ptr, void *p, size_t n)
{
	struct client *c = ptr;
	const ssize_t got = recv(c->fd, p, n, 0);
	if (got > 0)
		follow(c, p, (size_t)got);
	else if (got < 0)
		gnutls_transport_set_errno(c->session, errno);
	return got;
}

static ssize_t client_push(gnutls_transport_ptr_t ptr, const void *p, size_t n)
{
	struct client *c = ptr;
	const ssize_t sent = send(c->fd, p, n, MSG_NOSIGNAL);
	if (sent < 0)
		gnutls_transport_set_errno(c->session, errno);
	return sent;
}

static void give_certificate(struct client *c, const struct client_plan *plan)
{
	gnutls_x509_crt_t chain[2] = {plan->leaf->crt, NULL};
	if (plan->issuing)
		chain[1] = plan->issuing->crt;
	MUST(gnutls_certificate_set_x509_key(c->cred, chain, plan->issuing ? 2 : 1,
					     plan->leaf->key));
}

void client_init(struct client *c, int fd, const struct client_plan *plan)
{
	*c = (struct client){.fd = fd};
	MUST(gnutls_certificate_allocate_credentials(&c->cred));
	if (plan->leaf)
		give_certificate(c, plan);
	MUST(gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_FORCE_CLIENT_CERT));
	MUST(gnutls_priority_set_direct(c->session, plan->priority ? plan->priority : "NORMAL",
					NULL));
	MUST(gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->cred));
	if (plan->resume)
		MUST(gnutls_session_set_data(c->session, plan->resume->data, plan->resume->size));
	if (plan->alpn) {
		const gnutls_datum_t name = {(unsigned char *)plan->alpn,
					     (unsigned)strlen(plan->alpn)};
		MUST(gnutls_alpn_set_protocols(c->session, &name, 1, 0));
	}
	if (plan->record_max)
		MUST(gnutls_record_set_max_size(c->session, plan->record_max));
	gnutls_transport_set_ptr(c->session, c);
	gnutls_transport_set_pull_function(c->session, client_pull);
	gnutls_transport_set_push_function(c->session, client_push);
}

int client_handshake(struct client *c)
{
	int e;
	do
		e = gnutls_handshake(c->session);
	while (e < 0 && !gnutls_error_is_fatal(e));
	return e;
}

ssize_t client_recv(struct client *c, void *p, size_t n)
{
	ssize_t got;
	do
		got = gnutls_record_recv(c->session, p, n);
	while (got < 0 && !gnutls_error_is_fatal((int)got));
	return got;
}

gnutls_datum_t client_session(struct client *c)
{
	gnutls_datum_t data = {NULL, 0};
	MUST(gnutls_session_get_data2(c->session, &data));
	return data;
}

void client_end(struct client *c)
{
	gnutls_deinit(c->session);
	gnutls_certificate_free_credentials(c->cred);
	close(c->fd);
}
