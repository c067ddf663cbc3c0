/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and keys of people: see identity.h.
 */
#include "certs/identity.h"
#include "certs/key.h"
#include "certs/leaf.h"
#include "daemon/base/err.h"
#include "daemon/net/tls_digest.h"
#include "daemon/net/tls_pem.h"

#include <gnutls/x509.h>

#include <time.h>

struct chain {
	struct buf list;
	struct str der[IDENTITY_CHAIN_MAX];
	struct leaf leaf[IDENTITY_CHAIN_MAX];
	size_t n;
};

static int read_chain(struct str file, struct chain *c, struct why *why)
{
	const int err = tls_certificates_read(file, IDENTITY_CHAIN_MAX, &c->list);
	if (err == ERR_LIMIT)
		return why_set(why, err,
			       "holds more than %d certificates; it takes that of the server and "
			       "those that lead to a root",
			       IDENTITY_CHAIN_MAX);
	if (err)
		return why_set(why, err, "holds no certificate in PEM or DER, or a broken one");
	struct cur cur = cur_of(buf_view(&c->list));
	while (c->n < IDENTITY_CHAIN_MAX && cur_left(&cur)) {
		c->der[c->n] = cur_str32le(&cur);
		if (!cur_ok(&cur) || leaf_read(c->der[c->n], &c->leaf[c->n]))
			return why_set(why, ERR_MALFORMED, "certificate %zu is broken", c->n + 1);
		c->n++;
	}
	return 0;
}

static int check_key(const struct chain *c, const struct key *key, const char *path,
		     struct why *why)
{
	size_t i = 0;
	while (i < c->n && !str_eq(c->leaf[i].spki, key_spki(key)))
		i++;
	if (i == c->n)
		return why_set(
			why, ERR_CONFLICT,
			"its certificate and its key do not belong together: %s is the key of "
			"another one",
			path);
	if (i)
		return why_set(why, ERR_CONFLICT,
			       "the certificate of this key stands in place %zu; it must be the "
			       "first",
			       i + 1);
	return 0;
}

/* A root at the end is of no use and does no harm. */
static int check_order(const struct chain *c, struct why *why)
{
	for (size_t i = 1; i < c->n; i++)
		if (!str_eq(c->leaf[i - 1].issuer, c->leaf[i].subject))
			return why_set(why, ERR_CONFLICT,
				       "certificate %zu is not that of the issuer of certificate "
				       "%zu: the server's comes first, then each one's issuer",
				       i + 1, i);
	return 0;
}

static int judge(const struct chain *c, struct str key_bytes, const char *key_path,
		 struct identity *out, bool *of_key, struct why *why)
{
	struct key *parsed = NULL;
	int err = key_parse(key_bytes, key_path, &parsed, why);
	*of_key = err != 0;
	if (err)
		return err;
	AUTO(key) key = parsed;
	err = check_key(c, key, key_path, why);
	if (!err)
		err = check_order(c, why);
	if (err)
		return err;
	out->not_before = c->leaf[0].not_before;
	out->not_after = c->leaf[0].not_after;
	tls_sha256(c->der[0], out->fingerprint);
	return 0;
}

int identity_read(struct str certificates, struct str key, const char *key_path,
		  struct identity *out, bool *of_key, struct why *why)
{
	struct chain c = {0};
	*of_key = false;
	int err = read_chain(certificates, &c, why);
	if (!err)
		err = judge(&c, key, key_path, out, of_key, why);
	buf_fini(&c.list);
	return err;
}

static void day(int64_t seconds, char out[32])
{
	struct tm tm;
	const time_t t = (time_t)seconds;
	if (!gmtime_r(&t, &tm) || !strftime(out, 32, "%Y-%m-%d %H:%M:%S UTC", &tm))
		out[0] = 0;
}

int identity_time(const struct identity *i, int64_t now, struct why *why)
{
	char text[32];
	if (now >= i->not_after) {
		day(i->not_after, text);
		return why_set(why, ERR_INVALID, "the certificate ended at %s: get a new one",
			       text);
	}
	if (now < i->not_before) {
		day(i->not_before, text);
		return why_set(why, ERR_INVALID,
			       "the certificate begins at %s: wait, or set the clock", text);
	}
	return 0;
}

static bool verifies(gnutls_x509_trust_list_t trust, const struct chain *c)
{
	gnutls_x509_crt_t crt[IDENTITY_CHAIN_MAX];
	unsigned n = 0, status = 1;
	for (; n < c->n; n++) {
		const gnutls_datum_t der = {(unsigned char *)(uintptr_t)c->der[n].p,
					    (unsigned)c->der[n].n};
		if (gnutls_x509_crt_init(&crt[n]))
			break;
		if (gnutls_x509_crt_import(crt[n], &der, GNUTLS_X509_FMT_DER)) {
			gnutls_x509_crt_deinit(crt[n]);
			break;
		}
	}
	const bool all = n && n == c->n;
	const int err =
		all ? gnutls_x509_trust_list_verify_crt2(trust, crt, n, NULL, 0, 0, &status, NULL)
		    : -1;
	while (n)
		gnutls_x509_crt_deinit(crt[--n]);
	return err == 0 && status == 0;
}

bool identity_is_public(struct str certificates)
{
	struct chain c = {0};
	struct why why;
	gnutls_x509_trust_list_t trust;
	bool is = false;
	if (read_chain(certificates, &c, &why) == 0 &&
	    gnutls_x509_trust_list_init(&trust, 0) == 0) {
		is = gnutls_x509_trust_list_add_system_trust(trust, 0, 0) > 0 &&
		     verifies(trust, &c);
		gnutls_x509_trust_list_deinit(trust, 1);
	}
	buf_fini(&c.list);
	return is;
}
