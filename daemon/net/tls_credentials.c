/* SPDX-License-Identifier: Apache-2.0
 *
 * Credentials of a listener: see tls_credentials.h. Built by one thread, then never changed; GnuTLS
 * only reads what is inside, so all threads share it.
 */
#include "daemon/net/tls_credentials.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/net/tls_internal.h"
#include "daemon/net/tls_staple.h"

#include <gnutls/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* AEAD only, forward secrecy only, AES-128 before AES-256 before ChaCha20. */
#define PRIORITY_HEAD "NORMAL:-VERS-ALL"
#define PRIORITY_TAIL                                                             \
	":-RSA:-DHE-RSA:-CIPHER-ALL:+AES-128-GCM:+AES-256-GCM:+CHACHA20-POLY1305" \
	":-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:+GROUP-SECP384R1:%SERVER_PRECEDENCE"

static int64_t floor_time;

int64_t tls_now(void)
{
	return MAX(clock_wall(), floor_time);
}

bool tls_clock_is_low(void)
{
	return clock_wall() < floor_time;
}

static time_t gnutls_clock(time_t *out)
{
	const time_t now = (time_t)tls_now();
	if (out)
		*out = now;
	return now;
}

void tls_global_init(int64_t time_floor)
{
	floor_time = time_floor;
	gnutls_global_set_time_function(gnutls_clock);
}

/* Where an error goes: the first sentence wins. */
struct report {
	const char *name;
	char **error;
};

static int fail(const struct report *r, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int fail(const struct report *r, int err, const char *fmt, ...)
{
	char what[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	*r->error = mem_printf("listener \"%s\": %s", r->name, what);
	return err;
}

static int judge(const struct tls_settings *set, const struct report *r)
{
	if (set->no_tls12 && set->no_tls13)
		return fail(r, ERR_INVALID, "both TLS 1.2 and TLS 1.3 are switched off; allow one");
	if (set->identity_n == 0 || set->identity_n > TLS_IDENTITIES_MAX)
		return fail(r, ERR_INVALID, "%zu certificates; allowed are 1 to %d",
			    set->identity_n, TLS_IDENTITIES_MAX);
	if (set->trust_n > TLS_TRUST_MAX)
		return fail(r, ERR_LIMIT, "%zu client CA certificates; allowed are up to %d",
			    set->trust_n, TLS_TRUST_MAX);
	if (set->client_certificate != TLS_CLIENT_NONE && set->trust_n == 0)
		return fail(r, ERR_INVALID,
			    "client certificates are asked for but no client CA is given");
	if (set->record_max &&
	    (set->record_max < TLS_RECORD_MIN || set->record_max > TLS_RECORD_MAX))
		return fail(r, ERR_LIMIT, "record-max is %u; allowed are %d to %d bytes",
			    set->record_max, TLS_RECORD_MIN, (int)TLS_RECORD_MAX);
	if (set->ticket_life > TLS_TICKET_LIFE_MAX)
		return fail(r, ERR_LIMIT, "tickets live %u s; allowed are up to %d s",
			    set->ticket_life, TLS_TICKET_LIFE_MAX);
	if (set->ticket_life && set->ticket_master.n != TLS_TICKET_MASTER)
		return fail(r, ERR_INVALID, "the ticket master key has %zu bytes instead of %d",
			    set->ticket_master.n, TLS_TICKET_MASTER);
	return 0;
}

static int set_priority(const struct tls_settings *set, const struct report *r,
			struct tls_credentials *c)
{
	AUTO_CHAR text = mem_printf("%s%s%s%s", PRIORITY_HEAD, set->no_tls13 ? "" : ":+VERS-TLS1.3",
				    set->no_tls12 ? "" : ":+VERS-TLS1.2", PRIORITY_TAIL);
	const char *at = "";
	if (gnutls_priority_init(&c->priority, text, &at) < 0)
		return fail(r, ERR_CRYPTO, "GnuTLS does not know its priority string at \"%s\"",
			    at);
	return 0;
}

static void free_pcerts(gnutls_pcert_st *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		gnutls_pcert_deinit(&list[i]);
}

/* Hands chain and key over to c->own. */
static int give_identity(struct tls_credentials *c, const struct report *r, gnutls_pcert_st *list,
			 size_t n, gnutls_privkey_t key)
{
	const int e = gnutls_certificate_set_key(c->own, NULL, 0, list, (int)n, key);
	if (e == 0)
		return 0;
	free_pcerts(list, n);
	gnutls_privkey_deinit(key);
	return fail(r, ERR_CRYPTO, "its certificate cannot be used: %s", gnutls_strerror(e));
}

static int add_identity(struct tls_credentials *c, const struct tls_settings *set,
			const struct tls_identity *id, const struct report *r)
{
	gnutls_pcert_st list[TLS_CHAIN_MAX];
	gnutls_privkey_t key;
	if (id->chain_n == 0 || id->chain_n > TLS_CHAIN_MAX)
		return fail(r, ERR_LIMIT, "a chain of %zu certificates; allowed are 1 to %d",
			    id->chain_n, TLS_CHAIN_MAX);
	for (size_t i = 0; i < id->chain_n; i++) {
		const gnutls_datum_t der = {(unsigned char *)id->chain[i].p,
					    (unsigned)id->chain[i].n};
		const int e = gnutls_pcert_import_x509_raw(&list[i], &der, GNUTLS_X509_FMT_DER, 0);
		if (e < 0) {
			free_pcerts(list, i);
			return fail(r, ERR_CRYPTO, "certificate %zu of its chain is unreadable: %s",
				    i + 1, gnutls_strerror(e));
		}
	}
	const int e = tls_key_new(id->chain[0], id->key_id, set->sign, NULL, &key);
	if (e < 0) {
		free_pcerts(list, id->chain_n);
		return fail(r, e,
			    "its certificate has an unsupported kind of key; use ECDSA P-256 or "
			    "P-384, RSA, or Ed25519");
	}
	return give_identity(c, r, list, id->chain_n, key);
}

static int add_identities(struct tls_credentials *c, const struct tls_settings *set,
			  const struct report *r)
{
	if (gnutls_certificate_allocate_credentials(&c->own) < 0)
		return fail(r, ERR_NOMEM, "no memory for its certificates");
	/* GnuTLS would test the match with a signature; the vault has checked its own keys. */
	gnutls_certificate_set_flags(c->own, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	tls_staples_use(c->own);
	for (size_t i = 0; i < set->identity_n; i++) {
		const int e = add_identity(c, set, &set->identity[i], r);
		if (e < 0)
			return e;
	}
	return 0;
}

static int add_anchor(struct tls_credentials *c, struct str der, size_t number,
		      const struct report *r)
{
	gnutls_x509_crt_t crt;
	const gnutls_datum_t d = {(unsigned char *)der.p, (unsigned)der.n};
	CHECK(gnutls_x509_crt_init(&crt) == 0);
	int e = gnutls_x509_crt_import(crt, &d, GNUTLS_X509_FMT_DER);
	if (e < 0) {
		gnutls_x509_crt_deinit(crt);
		return fail(r, ERR_CRYPTO, "client CA certificate %zu is unreadable: %s", number,
			    gnutls_strerror(e));
	}
	if (gnutls_x509_crt_get_ca_status(crt, NULL) != 1) {
		gnutls_x509_crt_deinit(crt);
		return fail(r, ERR_INVALID,
			    "client CA certificate %zu is not one of a CA (basicConstraints "
			    "CA:TRUE is missing)",
			    number);
	}
	const int64_t until = gnutls_x509_crt_get_expiration_time(crt);
	if (until > tls_now())
		c->trust_until = MIN(c->trust_until, until);
	/* The list owns it from here on. */
	if (gnutls_x509_trust_list_add_cas(c->trust, &crt, 1, GNUTLS_TL_NO_DUPLICATES) < 0) {
		gnutls_x509_crt_deinit(crt);
		return fail(r, ERR_CRYPTO, "client CA certificate %zu cannot be trusted", number);
	}
	return 0;
}

static int compare_digests(const void *a, const void *b)
{
	return memcmp(a, b, SHA256_SIZE);
}

/* The same for the same set of anchors in any order. */
static void trust_digest(const struct tls_settings *set, unsigned char out[SHA256_SIZE])
{
	AUTO_BUF all = {0};
	for (size_t i = 0; i < set->trust_n; i++) {
		unsigned char one[SHA256_SIZE];
		tls_sha256(set->trust[i], one);
		buf_put(&all, one, sizeof(one));
	}
	if (all.n)
		qsort(all.p, set->trust_n, SHA256_SIZE, compare_digests);
	tls_sha256(buf_view(&all), out);
}

static int add_trust(struct tls_credentials *c, const struct tls_settings *set,
		     const struct report *r)
{
	c->trust_until = INT64_MAX;
	if (gnutls_x509_trust_list_init(&c->trust, 0) < 0)
		return fail(r, ERR_NOMEM, "no memory for its client CAs");
	for (size_t i = 0; i < set->trust_n; i++) {
		const int e = add_anchor(c, set->trust[i], i + 1, r);
		if (e < 0)
			return e;
	}
	trust_digest(set, c->trust_id);
	return 0;
}

/* RFC 5869; the info keeps listeners with other clients or rules apart. */
static int derive_ticket_key(struct tls_credentials *c, const struct tls_settings *set,
			     const struct report *r)
{
	if (set->ticket_life == 0)
		return 0;
	unsigned char prk[SHA256_SIZE];
	AUTO_BUF info = {0};
	buf_puts(&info, "gatehouse tls ticket");
	buf_printf(&info, "%c%s%c", 0, c->name, 0);
	buf_put(&info, c->trust_id, sizeof(c->trust_id));
	buf_printf(&info, "%d%d%d", (int)set->client_certificate, set->no_tls12, set->no_tls13);
	buf_str(&info, set->policy);
	const gnutls_datum_t master = {(unsigned char *)set->ticket_master.p, TLS_TICKET_MASTER};
	const gnutls_datum_t salt = {(unsigned char *)"", 0};
	const gnutls_datum_t key = {prk, sizeof(prk)};
	const gnutls_datum_t about = {(unsigned char *)info.p, (unsigned)info.n};
	const bool ok = gnutls_hkdf_extract(GNUTLS_MAC_SHA256, &master, &salt, prk) == 0 &&
			gnutls_hkdf_expand(GNUTLS_MAC_SHA256, &key, &about, c->ticket_key,
					   sizeof(c->ticket_key)) == 0;
	secret_wipe(prk, sizeof(prk));
	return ok ? 0 : fail(r, ERR_CRYPTO, "its ticket key cannot be derived");
}

int tls_credentials_new(const struct tls_settings *set, char **error, struct tls_credentials **out)
{
	const struct report r = {set->name, error};
	int e = judge(set, &r);
	if (e < 0)
		return e;
	AUTO(tls_credentials) c = mem_new(struct tls_credentials);
	ref_init(&c->ref);
	c->name = mem_strdup(set->name);
	c->client_certificate = set->client_certificate;
	c->grace = set->grace;
	c->record_max = set->record_max ? set->record_max : TLS_RECORD_MAX;
	c->ticket_life = set->ticket_life;
	c->alpn_http = set->alpn_http;
	e = set_priority(set, &r, c);
	if (e == 0)
		e = add_identities(c, set, &r);
	if (e == 0)
		e = add_trust(c, set, &r);
	if (e == 0)
		e = derive_ticket_key(c, set, &r);
	if (e < 0)
		return e;
	c->attached = set->attached;
	c->attached_unref = set->attached_unref;
	*out = TAKE(c);
	return 0;
}

struct tls_credentials *tls_credentials_ref(struct tls_credentials *c)
{
	ref_get(&c->ref);
	return c;
}

void tls_credentials_unref(struct tls_credentials *c)
{
	if (!ref_put(&c->ref))
		return;
	if (c->own)
		gnutls_certificate_free_credentials(c->own);
	if (c->priority)
		gnutls_priority_deinit(c->priority);
	if (c->trust)
		gnutls_x509_trust_list_deinit(c->trust, 1);
	if (c->attached)
		c->attached_unref(c->attached);
	secret_wipe(c->ticket_key, sizeof(c->ticket_key));
	free(c->name);
	free(c);
}

void *tls_credentials_attached(const struct tls_credentials *c)
{
	return c->attached;
}
