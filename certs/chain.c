/* SPDX-License-Identifier: Apache-2.0
 *
 * Chains of client certificates: see chain.h.
 */
#include "certs/chain.h"
#include "certs/leaf.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <gnutls/x509.h>
#include <stdlib.h>

struct chain_trust {
	gnutls_x509_trust_list_t list;
	struct buf authorities; /* DER, each behind a 32-bit length */
};

struct chain_trust *chain_trust_new(void)
{
	struct chain_trust *t = mem_new(struct chain_trust);
	CHECK(gnutls_x509_trust_list_init(&t->list, 0) >= 0);
	return t;
}

void chain_trust_free(struct chain_trust *t)
{
	gnutls_x509_trust_list_deinit(t->list, 1);
	buf_fini(&t->authorities);
	free(t);
}

static int import_one(struct str der, gnutls_x509_crt_t *out)
{
	gnutls_x509_crt_t crt;
	const gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.p, (unsigned)der.n};
	if (gnutls_x509_crt_init(&crt) < 0)
		return ERR_NOMEM;
	if (gnutls_x509_crt_import(crt, &datum, GNUTLS_X509_FMT_DER) < 0) {
		gnutls_x509_crt_deinit(crt);
		return ERR_MALFORMED;
	}
	*out = crt;
	return 0;
}

int chain_trust_add(struct chain_trust *t, struct str der)
{
	gnutls_x509_crt_t crt;
	const int err = import_one(der, &crt);
	if (err)
		return err;
	/* The list takes it, and frees a second copy of one that it has. */
	if (gnutls_x509_trust_list_add_cas(t->list, &crt, 1, GNUTLS_TL_NO_DUPLICATES) < 0)
		return ERR_MALFORMED;
	const uint32_t n = (uint32_t)der.n;
	buf_put(&t->authorities, &n, sizeof(n));
	buf_str(&t->authorities, der);
	return 0;
}

/* Of one authority's name and another's bytes. */
static bool usurps(const struct chain_trust *t, struct str der)
{
	struct leaf shown;
	struct leaf ours;
	bool named = false;
	struct cur c = cur_of(buf_view(&t->authorities));
	if (leaf_read(der, &shown))
		return true;
	while (cur_left(&c)) {
		const struct str one = cur_str32le(&c);
		if (str_eq(one, der))
			return false;
		named |= leaf_read(one, &ours) == 0 && str_eq(ours.subject, shown.subject);
	}
	return named;
}

static bool verify(const struct chain_trust *t, gnutls_x509_crt_t *crt, unsigned n, unsigned flags,
		   unsigned *status)
{
	gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
					 .data = (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT};
	return gnutls_x509_trust_list_verify_crt2(
		       t->list, crt, n, &purpose, 1,
		       GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM) | flags, status, NULL) >= 0;
}

static enum chain_verdict judge_imported(const struct chain_trust *t, gnutls_x509_crt_t *crt,
					 unsigned n, struct why *why)
{
	unsigned status = 0;
	gnutls_datum_t text = {NULL, 0};
	if (!verify(t, crt, n, 0, &status)) {
		why_text(why, "the client certificate's chain cannot be verified");
		return CHAIN_REFUSED;
	}
	if (status == 0)
		return CHAIN_GOOD;
	const bool over = status & GNUTLS_CERT_EXPIRED;
	/* GnuTLS stops at what is expired, with signatures unchecked. */
	if (over && verify(t, crt, n, GNUTLS_VERIFY_DISABLE_TIME_CHECKS, &status) && status == 0) {
		why_text(why, "the client certificate has expired");
		return CHAIN_EXPIRED;
	}
	gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0);
	const struct str words =
		str_trim(text.data ? str_make(text.data, text.size) : STR("not verified"));
	why_text(why, "the client certificate is not accepted: %.*s", STR_ARG(words));
	gnutls_free(text.data);
	return CHAIN_REFUSED;
}

static enum chain_verdict refuse(struct why *why, const char *text)
{
	why_text(why, "%s", text);
	return CHAIN_REFUSED;
}

enum chain_verdict chain_verify_client(const struct chain_trust *t, const struct str *chain,
				       size_t n, struct why *why)
{
	gnutls_x509_crt_t crt[CHAIN_MAX];
	struct leaf leaf;
	struct why lint = {0};
	size_t got = 0;
	enum chain_verdict verdict = CHAIN_REFUSED;
	if (n == 0 || n > CHAIN_MAX)
		return refuse(why, "the client certificate's chain is too long; allowed are 8");
	if (leaf_read(chain[0], &leaf))
		return refuse(why, "the client certificate cannot be read");
	if (leaf_lint(&leaf, LEAF_STRICT, &lint)) {
		why_text(why, "the client certificate is not accepted: %s", lint.text);
		return CHAIN_REFUSED;
	}
	for (size_t i = 1; i < n; i++)
		if (usurps(t, chain[i]))
			return refuse(why,
				      "the client certificate is not accepted: an authority of "
				      "its chain bears the name of another");
	while (got < n && import_one(chain[got], &crt[got]) == 0)
		got++;
	if (got == n)
		verdict = judge_imported(t, crt, (unsigned)n, why);
	else
		refuse(why, "a certificate of the client's chain cannot be read");
	while (got)
		gnutls_x509_crt_deinit(crt[--got]);
	return verdict;
}
