/* SPDX-License-Identifier: Apache-2.0
 *
 * Judging a peer's certificate: full verification of the chain, the cache of leaves that were
 * verified lately, a certificate in words. Status, expiry of the device and everything else that
 * can change is not decided here but by authorise(), on each handshake. No CRL is ever loaded:
 * GnuTLS searches it linearly. RFC 5280 section 6, RFC 6125 does not apply (no names are checked).
 */
#include "daemon/base/err.h"
#include "daemon/base/list.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/net/tls_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { VERIFIED_WAYS = 4 };

/* 112 bits: what Debian's OpenSSL demands as well. */
#define VERIFY_FLAGS GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM)

static void free_crts(gnutls_x509_crt_t *crt, size_t n)
{
	for (size_t i = 0; i < n; i++)
		gnutls_x509_crt_deinit(crt[i]);
}

static size_t import_chain(const struct str *chain, size_t n, gnutls_x509_crt_t *crt)
{
	for (size_t i = 0; i < n; i++) {
		const gnutls_datum_t der = {(unsigned char *)chain[i].p, (unsigned)chain[i].n};
		if (gnutls_x509_crt_init(&crt[i]) < 0)
			return i;
		if (gnutls_x509_crt_import(crt[i], &der, GNUTLS_X509_FMT_DER) < 0) {
			gnutls_x509_crt_deinit(crt[i]);
			return i;
		}
	}
	return n;
}

static enum handshake_outcome judge_status(unsigned status, char detail[128])
{
	gnutls_datum_t text = {NULL, 0};
	if (status == 0)
		return HANDSHAKE_DONE;
	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) == 0)
		snprintf(detail, 128, "%s", text.data);
	gnutls_free(text.data);
	if (status & (GNUTLS_CERT_SIGNER_NOT_FOUND | GNUTLS_CERT_SIGNER_NOT_CA))
		return HANDSHAKE_UNKNOWN_CA;
	if (status & (GNUTLS_CERT_SIGNATURE_FAILURE | GNUTLS_CERT_INSECURE_ALGORITHM))
		return HANDSHAKE_BAD_CERTIFICATE;
	if (status & GNUTLS_CERT_EXPIRED)
		return HANDSHAKE_EXPIRED;
	if (status & GNUTLS_CERT_NOT_ACTIVATED)
		return HANDSHAKE_NOT_YET_VALID;
	return status & GNUTLS_CERT_PURPOSE_MISMATCH ? HANDSHAKE_BAD_PURPOSE
						     : HANDSHAKE_BAD_CERTIFICATE;
}

/* Has the leaf ended, and nothing else of the chain, within the grace of this listener? Only then
 * is the rest judged without the clock: whether it opens a device is the registry's to say. */
static bool is_late(const struct tls_credentials *c, gnutls_x509_crt_t *crt, size_t n)
{
	const int64_t now = tls_now();
	if (n == 0 || c->grace == 0)
		return false;
	const int64_t end = gnutls_x509_crt_get_expiration_time(crt[0]);
	if (end >= now || end + c->grace < now)
		return false;
	for (size_t i = 1; i < n; i++)
		if (gnutls_x509_crt_get_expiration_time(crt[i]) < now ||
		    gnutls_x509_crt_get_activation_time(crt[i]) > now)
			return false;
	return true;
}

static int64_t end_of(const struct tls_credentials *c, gnutls_x509_crt_t *crt, size_t n, bool late)
{
	int64_t until = c->trust_until;
	for (size_t i = 0; i < n; i++)
		until = MIN(until, (int64_t)gnutls_x509_crt_get_expiration_time(crt[i]) +
					   (late && i == 0 ? c->grace : 0));
	return until;
}

enum handshake_outcome tls_verify_chain(const struct tls_credentials *c, const struct str *chain,
					size_t n, int64_t *until, char detail[128])
{
	gnutls_x509_crt_t crt[TLS_CHAIN_MAX];
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
					 .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
	unsigned status = 0;
	/* A clock that is known to be wrong cannot tell what begins in the future. GnuTLS would
	 * stop at such a certificate, with signatures unchecked, so its time checks go as a whole.
	 */
	const bool low = tls_clock_is_low();
	if (n == 0 || n > TLS_CHAIN_MAX) {
		snprintf(detail, 128, "a chain of %zu certificates; allowed are 1 to %d", n,
			 TLS_CHAIN_MAX);
		return HANDSHAKE_BAD_CERTIFICATE;
	}
	const size_t got = import_chain(chain, n, crt);
	const bool late = is_late(c, crt, got);
	const int64_t valid_until = end_of(c, crt, got, late);
	const unsigned flags = VERIFY_FLAGS | (low || late ? GNUTLS_VERIFY_DISABLE_TIME_CHECKS : 0);
	const int e =
		got == n ? gnutls_x509_trust_list_verify_crt2(c->trust, crt, (unsigned)n, &purpose,
							      1, flags, &status, NULL)
			 : GNUTLS_E_ASN1_DER_ERROR;
	free_crts(crt, got);
	if (e < 0) {
		snprintf(detail, 128, "unreadable certificate: %s", gnutls_strerror(e));
		return HANDSHAKE_BAD_CERTIFICATE;
	}
	if (low && status == 0 && valid_until < tls_now())
		return HANDSHAKE_EXPIRED;
	*until = valid_until;
	return judge_status(status, detail);
}

/* Set-associative; an entry is replaced by the clock hand of its set. */
struct entry {
	unsigned char fingerprint[SHA256_SIZE];
	unsigned char trust_id[SHA256_SIZE];
	int64_t until; /* 0 = free */
};

struct tls_verified {
	pthread_mutex_t lock;
	size_t sets;
	unsigned hand;
	struct entry entry[];
};

struct tls_verified *tls_verified_new(size_t entries)
{
	const size_t sets = MAX(entries / VERIFIED_WAYS, (size_t)1);
	struct tls_verified *v =
		mem_alloc(sizeof(*v) + sets * VERIFIED_WAYS * sizeof(struct entry));
	pthread_mutex_init(&v->lock, NULL);
	v->sets = sets;
	return v;
}

void tls_verified_free(struct tls_verified *v)
{
	pthread_mutex_destroy(&v->lock);
	free(v);
}

static struct entry *set_of(struct tls_verified *v, const unsigned char *fingerprint)
{
	return &v->entry[hash_bytes(fingerprint, SHA256_SIZE) % v->sets * VERIFIED_WAYS];
}

static bool entry_is(const struct entry *e, const struct tls_credentials *c,
		     const unsigned char *fingerprint)
{
	return memcmp(e->fingerprint, fingerprint, SHA256_SIZE) == 0 &&
	       memcmp(e->trust_id, c->trust_id, SHA256_SIZE) == 0;
}

bool tls_verified_has(struct tls_verified *v, const struct tls_credentials *c,
		      const unsigned char *fingerprint, int64_t now)
{
	bool found = false;
	pthread_mutex_lock(&v->lock);
	const struct entry *set = set_of(v, fingerprint);
	for (size_t i = 0; i < VERIFIED_WAYS && !found; i++)
		found = set[i].until >= now && entry_is(&set[i], c, fingerprint);
	pthread_mutex_unlock(&v->lock);
	return found;
}

void tls_verified_add(struct tls_verified *v, const struct tls_credentials *c,
		      const unsigned char *fingerprint, int64_t until)
{
	pthread_mutex_lock(&v->lock);
	struct entry *set = set_of(v, fingerprint);
	struct entry *e = NULL;
	for (size_t i = 0; i < VERIFIED_WAYS && !e; i++)
		if (set[i].until == 0 || entry_is(&set[i], c, fingerprint))
			e = &set[i];
	if (!e)
		e = &set[v->hand++ % VERIFIED_WAYS];
	memcpy(e->fingerprint, fingerprint, SHA256_SIZE);
	memcpy(e->trust_id, c->trust_id, SHA256_SIZE);
	e->until = until;
	pthread_mutex_unlock(&v->lock);
}

/* Cuts to what fits, at a character's border; anything that is not UTF-8 becomes '?'. */
static void put_text(char *out, size_t size, const gnutls_datum_t *text)
{
	size_t n = MIN((size_t)text->size, size - 1);
	while (n && n < text->size && (text->data[n] & 0xc0) == 0x80)
		n--;
	memcpy(out, text->data, n);
	out[n] = '\0';
	if (n && !str_is_utf8(str_make(out, n)))
		for (size_t i = 0; i < n; i++)
			if ((unsigned char)out[i] >= 0x80 || out[i] == '\0')
				out[i] = '?';
}

static void put_name(gnutls_x509_crt_t crt,
		     int (*get)(gnutls_x509_crt_t, gnutls_datum_t *, unsigned), char *out,
		     size_t size)
{
	gnutls_datum_t text = {NULL, 0};
	out[0] = '\0';
	if (get(crt, &text, 0) == 0 && text.data)
		put_text(out, size, &text);
	gnutls_free(text.data);
}

/* Never out of the subject's text: what stands there depends on what others put beside it. */
static void put_common_name(gnutls_x509_crt_t crt, char *out, size_t size)
{
	size_t n = size;
	size_t second = 0;
	const int e =
		gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, out, &n);
	if (e < 0 || memchr(out, '\0', n) || !str_is_utf8(str_make(out, n)) ||
	    gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 1, 0, NULL, &second) !=
		    GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		out[0] = '\0';
}

int tls_describe(struct str der, struct tls_description *out)
{
	gnutls_x509_crt_t crt;
	struct tls_description d = {.not_before = 0};
	unsigned char serial[(sizeof(d.serial) - 1) / 2];
	unsigned char digest[SHA256_SIZE];
	size_t serial_n = sizeof(serial);
	const gnutls_datum_t raw = {(unsigned char *)der.p, (unsigned)der.n};
	if (gnutls_x509_crt_init(&crt) < 0)
		return ERR_CRYPTO;
	if (gnutls_x509_crt_import(crt, &raw, GNUTLS_X509_FMT_DER) < 0) {
		gnutls_x509_crt_deinit(crt);
		return ERR_CRYPTO;
	}
	put_name(crt, gnutls_x509_crt_get_dn3, d.subject, sizeof(d.subject));
	put_common_name(crt, d.common_name, sizeof(d.common_name));
	put_name(crt, gnutls_x509_crt_get_issuer_dn3, d.issuer, sizeof(d.issuer));
	if (gnutls_x509_crt_get_serial(crt, serial, &serial_n) == 0)
		hex_encode(serial, serial_n, d.serial);
	tls_sha256(der, digest);
	hex_encode(digest, sizeof(digest), d.fingerprint);
	d.not_before = gnutls_x509_crt_get_activation_time(crt);
	d.not_after = gnutls_x509_crt_get_expiration_time(crt);
	gnutls_x509_crt_deinit(crt);
	*out = d;
	return 0;
}
