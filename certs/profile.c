/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates: see profile.h. GnuTLS assembles and signs; what comes out is exported and read
 * again before anyone uses it, because GnuTLS's fresh objects lack their encoded names.
 */
#include "certs/profile.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

static const struct profile profiles[] = {
	/* Two below it: the next root (cross; no self-issued one, its name differs, so it counts:
	 * RFC 5280, 6.1.4 l), and the issuing authority of that one. A third never: the rollover
	 * after it starts when this root is retired. */
	[PROFILE_ROOT] = {"root", true, 2, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN, NULL,
			  (int64_t)20 * YEAR},
	[PROFILE_ISSUING] = {"issuing", true, 0,
			     GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN |
				     GNUTLS_KEY_DIGITAL_SIGNATURE /* for OCSP */,
			     NULL, (int64_t)10 * YEAR},
	[PROFILE_SERVER] = {"server", false, -1, GNUTLS_KEY_DIGITAL_SIGNATURE,
			    GNUTLS_KP_TLS_WWW_SERVER, (int64_t)397 * DAY},
	[PROFILE_DEVICE] = {"device", false, -1, GNUTLS_KEY_DIGITAL_SIGNATURE,
			    GNUTLS_KP_TLS_WWW_CLIENT, 0},
	[PROFILE_CROSS] = {"cross", true, 1, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN, NULL,
			   0},
};

const struct profile *profile_get(enum profile_id id)
{
	CHECK(id < ARRAY_LEN(profiles));
	return &profiles[id];
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static int read_spki(gnutls_x509_crt_t crt, struct certificate *c)
{
	gnutls_pubkey_t key;
	CHECK(gnutls_pubkey_init(&key) == 0);
	int r = gnutls_pubkey_import_x509(key, crt, 0);
	c->spki_len = sizeof(c->spki);
	if (r >= 0)
		r = gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, c->spki, &c->spki_len);
	gnutls_pubkey_deinit(key);
	return r;
}

static int read_fields(gnutls_x509_crt_t crt, struct certificate *c)
{
	size_t n = sizeof(c->fingerprint);
	int r = gnutls_x509_crt_get_fingerprint(crt, GNUTLS_DIG_SHA256, c->fingerprint, &n);
	if (r < 0)
		return r;
	c->serial_len = sizeof(c->serial);
	r = gnutls_x509_crt_get_serial(crt, c->serial, &c->serial_len);
	if (r < 0)
		return r;
	n = sizeof(c->key_id);
	r = gnutls_x509_crt_get_subject_key_id(crt, c->key_id, &n, NULL);
	if (r < 0)
		return r;
	c->not_before = gnutls_x509_crt_get_activation_time(crt);
	c->not_after = gnutls_x509_crt_get_expiration_time(crt);
	return read_spki(crt, c);
}

static int import(struct str der, gnutls_x509_crt_t *out)
{
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)der.p, (unsigned)der.n};
	gnutls_x509_crt_t crt;
	CHECK(gnutls_x509_crt_init(&crt) == 0);
	const int r = gnutls_x509_crt_import(crt, &in, GNUTLS_X509_FMT_DER);
	if (r < 0)
		gnutls_x509_crt_deinit(crt);
	else
		*out = crt;
	return r;
}

int profile_read(struct str der, const char *name, struct certificate *out, struct why *why)
{
	struct certificate c = {0};
	gnutls_x509_crt_t crt;
	int r = import(der, &crt);
	if (r >= 0) {
		r = read_fields(crt, &c);
		gnutls_x509_crt_deinit(crt);
	}
	if (r < 0)
		return why_set(why, ERR_MALFORMED, "the certificate %s cannot be read: %s", name,
			       gnutls_strerror(r));
	buf_str(&c.der, der);
	*out = c;
	return 0;
}

void certificate_fini(struct certificate *c)
{
	buf_fini(&c->der);
}

bool certificate_is_by(const struct certificate *c, const struct certificate *issuer)
{
	gnutls_x509_crt_t crt;
	gnutls_x509_crt_t parent;
	unsigned status = 1;
	if (c->der.n == 0 || import(buf_view(&c->der), &crt) < 0)
		return false;
	if (import(buf_view(&issuer->der), &parent) == 0) {
		const unsigned any_time = GNUTLS_VERIFY_DISABLE_TIME_CHECKS |
					  GNUTLS_VERIFY_DISABLE_TRUSTED_TIME_CHECKS;
		if (gnutls_x509_crt_verify(crt, &parent, 1, any_time, &status) < 0)
			status = 1;
		gnutls_x509_crt_deinit(parent);
	}
	gnutls_x509_crt_deinit(crt);
	return status == 0;
}

static int read_name(gnutls_x509_crt_t crt, unsigned i, struct san_set *set)
{
	char value[SAN_ENTRY_MAX];
	size_t n = sizeof(value);
	const int kind = gnutls_x509_crt_get_subject_alt_name(crt, i, value, &n, NULL);
	if (kind == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return ERR_EOF;
	if (kind == GNUTLS_SAN_DNSNAME)
		return san_add_raw(set, SAN_DNS, str_make(value, n));
	if (kind == GNUTLS_SAN_IPADDRESS)
		return san_add_raw(set, SAN_ADDRESS, str_make(value, n));
	return ERR_MALFORMED;
}

int certificate_names(const struct certificate *c, struct san_set *out)
{
	gnutls_x509_crt_t crt;
	if (import(buf_view(&c->der), &crt) < 0)
		return ERR_MALFORMED;
	*out = (struct san_set){0};
	int err = 0;
	for (unsigned i = 0; err == 0; i++)
		err = read_name(crt, i, out);
	gnutls_x509_crt_deinit(crt);
	return err == ERR_EOF ? 0 : ERR_MALFORMED;
}

/* ---- making -----------------------------------------------------------------------------------
 */

struct period {
	int64_t from;
	int64_t to;
};

static int choose_period(const struct certificate_order *order, const struct certificate *issuer,
			 struct period *out, struct why *why)
{
	const struct profile *p = profile_get(order->profile);
	struct period period = {order->now - BACKDATE, INT64_MAX};
	if (p->lifetime)
		period.to = order->now + p->lifetime;
	if (order->not_after)
		period.to = MIN(period.to, order->not_after);
	if (issuer) {
		period.from = MAX(period.from, issuer->not_before);
		period.to = MIN(period.to, issuer->not_after);
	}
	CHECK(period.to != INT64_MAX);
	if (period.to <= order->now)
		return why_set(why, ERR_INVALID,
			       "the certificate would have ended already: ask for a later end, or "
			       "renew the gateway's issuing certificate");
	*out = period;
	return 0;
}

static int set_names(gnutls_x509_crt_t crt, const struct certificate_order *order)
{
	int r = 0;
	if (order->uri)
		r = gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_URI, order->uri,
							 (unsigned)strlen(order->uri),
							 GNUTLS_FSAN_APPEND);
	for (size_t i = 0; order->names && i < order->names->n && r >= 0; i++) {
		const struct san *s = &order->names->entry[i];
		r = gnutls_x509_crt_set_subject_alt_name(
			crt, s->kind == SAN_DNS ? GNUTLS_SAN_DNSNAME : GNUTLS_SAN_IPADDRESS,
			s->value, s->n, GNUTLS_FSAN_APPEND);
	}
	return r;
}

static int set_subject(gnutls_x509_crt_t crt, const struct certificate_order *order)
{
	int r = 0;
	if (order->common_name)
		r = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
						  order->common_name,
						  (unsigned)strlen(order->common_name));
	return r < 0 ? r : set_names(crt, order);
}

static int set_usage(gnutls_x509_crt_t crt, const struct profile *p)
{
	int r = gnutls_x509_crt_set_basic_constraints(crt, p->ca, p->path_len);
	if (r >= 0)
		r = gnutls_x509_crt_set_key_usage(crt, p->key_usage);
	if (r >= 0 && p->purpose)
		r = gnutls_x509_crt_set_key_purpose_oid(crt, p->purpose, 0);
	return r;
}

static int set_key(gnutls_x509_crt_t crt, struct str spki, const struct certificate *issuer)
{
	gnutls_pubkey_t key;
	uint8_t id[KEY_ID_LEN];
	size_t n = sizeof(id);
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)spki.p, (unsigned)spki.n};
	CHECK(gnutls_pubkey_init(&key) == 0);
	int r = gnutls_pubkey_import(key, &in, GNUTLS_X509_FMT_DER);
	if (r >= 0)
		r = gnutls_x509_crt_set_pubkey(crt, key);
	if (r >= 0)
		r = gnutls_pubkey_get_key_id(key, GNUTLS_KEYID_USE_SHA1, id, &n);
	gnutls_pubkey_deinit(key);
	if (r >= 0)
		r = gnutls_x509_crt_set_subject_key_id(crt, id, n);
	if (r >= 0)
		r = gnutls_x509_crt_set_authority_key_id(crt, issuer ? issuer->key_id : id,
							 KEY_ID_LEN);
	return r;
}

static int set_life(gnutls_x509_crt_t crt, const struct period *period)
{
	uint8_t serial[SERIAL_LEN];
	secret_random(serial, sizeof(serial));
	serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40);
	int r = gnutls_x509_crt_set_version(crt, 3);
	if (r >= 0)
		r = gnutls_x509_crt_set_serial(crt, serial, sizeof(serial));
	if (r >= 0)
		r = gnutls_x509_crt_set_activation_time(crt, (time_t)period->from);
	if (r >= 0)
		r = gnutls_x509_crt_set_expiration_time(crt, (time_t)period->to);
	return r;
}

/* SHA-256 for P-256 and RSA, SHA-384 for P-384; Ed25519 has one of its own. */
static gnutls_digest_algorithm_t digest_for(struct key *key)
{
	gnutls_digest_algorithm_t digest = GNUTLS_DIG_SHA256;
	gnutls_pubkey_t public;
	unsigned only;
	CHECK(gnutls_pubkey_init(&public) == 0);
	if (gnutls_pubkey_import_privkey(public, key_handle(key), 0, 0) >= 0)
		gnutls_pubkey_get_preferred_hash_algorithm(public, &digest, &only);
	gnutls_pubkey_deinit(public);
	return digest;
}

static int sign(gnutls_x509_crt_t crt, const struct certificate *issuer, struct key *key)
{
	const gnutls_digest_algorithm_t digest = digest_for(key);
	if (!issuer)
		return gnutls_x509_crt_privkey_sign(crt, crt, key_handle(key), digest, 0);
	gnutls_x509_crt_t parent;
	int r = import(buf_view(&issuer->der), &parent);
	if (r < 0)
		return r;
	r = gnutls_x509_crt_privkey_sign(crt, parent, key_handle(key), digest, 0);
	gnutls_x509_crt_deinit(parent);
	return r;
}

static int assemble(gnutls_x509_crt_t crt, const struct certificate_order *order,
		    const struct period *period, const struct certificate *issuer, struct key *key)
{
	int r = set_life(crt, period);
	if (r >= 0)
		r = set_subject(crt, order);
	if (r >= 0)
		r = set_usage(crt, profile_get(order->profile));
	if (r >= 0)
		r = set_key(crt, order->spki, issuer);
	return r < 0 ? r : sign(crt, issuer, key);
}

static int read_back(gnutls_x509_crt_t crt, const char *name, struct certificate *out,
		     struct why *why)
{
	gnutls_datum_t der;
	const int r = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "the certificate cannot be written: %s",
			       gnutls_strerror(r));
	const int err = profile_read(str_make(der.data, der.size), name, out, why);
	gnutls_free(der.data);
	return err;
}

int certificate_make(const struct certificate_order *order, const struct certificate *issuer,
		     struct key *issuer_key, struct certificate *out, struct why *why)
{
	const char *name = profile_get(order->profile)->name;
	struct period period = {0, 0};
	int err = choose_period(order, issuer, &period, why);
	if (err)
		return err;
	gnutls_x509_crt_t crt;
	CHECK(gnutls_x509_crt_init(&crt) == 0);
	const int r = assemble(crt, order, &period, issuer, issuer_key);
	if (r < 0)
		err = why_set(why, ERR_CRYPTO, "the %s certificate cannot be made: %s", name,
			      gnutls_strerror(r));
	else
		err = read_back(crt, name, out, why);
	gnutls_x509_crt_deinit(crt);
	return err;
}

/* ---- authorities ------------------------------------------------------------------------------
 */

/* The subject as it is encoded; freed by the caller. */
static int raw_subject(const struct certificate *c, gnutls_datum_t *out)
{
	gnutls_x509_crt_t crt;
	int r = import(buf_view(&c->der), &crt);
	if (r < 0)
		return r;
	r = gnutls_x509_crt_get_raw_dn(crt, out);
	gnutls_x509_crt_deinit(crt);
	return r;
}

static bool same_subject(const struct certificate *a, const struct certificate *b)
{
	gnutls_datum_t one = {NULL, 0};
	gnutls_datum_t two = {NULL, 0};
	const bool same = raw_subject(a, &one) >= 0 && raw_subject(b, &two) >= 0 &&
			  str_eq(str_make(one.data, one.size), str_make(two.data, two.size));
	gnutls_free(one.data);
	gnutls_free(two.data);
	return same;
}

static bool common_name_of(const struct certificate *c, char out[SAN_ENTRY_MAX])
{
	gnutls_x509_crt_t crt;
	size_t n = SAN_ENTRY_MAX;
	if (import(buf_view(&c->der), &crt) < 0)
		return false;
	const int r =
		gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, 0, out, &n);
	gnutls_x509_crt_deinit(crt);
	return r >= 0;
}

/* For so many authorities, one below the other. */
static bool has_room(const struct certificate *issuer, int authorities)
{
	gnutls_x509_crt_t crt;
	unsigned ca = 0;
	int path_len = -1;
	if (import(buf_view(&issuer->der), &crt) < 0)
		return false;
	const int r = gnutls_x509_crt_get_basic_constraints(crt, NULL, &ca, &path_len);
	gnutls_x509_crt_deinit(crt);
	return r >= 0 && ca && (path_len < 0 || path_len >= authorities);
}

int certificate_cross(const struct certificate *root, const struct certificate *issuer,
		      struct key *issuer_key, int64_t now, struct certificate *out, struct why *why)
{
	char name[SAN_ENTRY_MAX];
	struct certificate c;
	const struct certificate_order order = {
		.profile = PROFILE_CROSS,
		.spki = certificate_spki(root),
		.common_name = name,
		.now = now,
		.not_after = root->not_after,
	};
	if (!common_name_of(root, name))
		return why_set(why, ERR_INVALID, "the new root has no common name");
	/* The root that it certifies, and the issuing authority below that. */
	if (!has_room(issuer, 2))
		return why_set(why, ERR_INVALID,
			       "the older root allows less than two authorities below it (path "
			       "length): it cannot certify another root");
	const int err = certificate_make(&order, issuer, issuer_key, &c, why);
	if (err)
		return err;
	if (!certificate_is_cross(&c, root, issuer)) {
		certificate_fini(&c);
		return why_set(
			why, ERR_INVALID,
			"the new root's name cannot be written as its owner wrote it: let its "
			"owner make the cross certificate and import it");
	}
	*out = c;
	return 0;
}

static int read_request(gnutls_x509_crq_t crq, struct str pem, char name[SAN_ENTRY_MAX],
			struct certificate *keyed)
{
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)pem.p, (unsigned)pem.n};
	gnutls_pubkey_t key;
	size_t n = SAN_ENTRY_MAX;
	CHECK(gnutls_pubkey_init(&key) == 0);
	int r = gnutls_x509_crq_import(crq, &in, GNUTLS_X509_FMT_PEM);
	if (r >= 0)
		r = gnutls_x509_crq_verify(crq, 0);
	if (r >= 0)
		r = gnutls_x509_crq_get_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name, &n);
	if (r >= 0)
		r = gnutls_pubkey_import_x509_crq(key, crq, 0);
	keyed->spki_len = sizeof(keyed->spki);
	if (r >= 0)
		r = gnutls_pubkey_export(key, GNUTLS_X509_FMT_DER, keyed->spki, &keyed->spki_len);
	gnutls_pubkey_deinit(key);
	return r;
}

int certificate_answer(struct str request_pem, const struct certificate *root, struct key *root_key,
		       int64_t now, struct certificate *out, struct why *why)
{
	char name[SAN_ENTRY_MAX];
	struct certificate asked = {0};
	gnutls_x509_crq_t crq;
	CHECK(gnutls_x509_crq_init(&crq) == 0);
	const int r = read_request(crq, request_pem, name, &asked);
	gnutls_x509_crq_deinit(crq);
	if (r < 0)
		return why_set(why, ERR_MALFORMED, "the signing request cannot be read: %s",
			       gnutls_strerror(r));
	if (!has_room(root, 1))
		return why_set(why, ERR_INVALID,
			       "the root allows no authority below it (path length 0)");
	const struct certificate_order order = {
		.profile = PROFILE_ISSUING,
		.spki = certificate_spki(&asked),
		.common_name = name,
		.now = now,
	};
	return certificate_make(&order, root, root_key, out, why);
}

bool certificate_is_cross(const struct certificate *c, const struct certificate *root,
			  const struct certificate *issuer)
{
	return c->der.n && str_eq(certificate_spki(c), certificate_spki(root)) &&
	       same_subject(c, root) && certificate_is_by(c, issuer);
}

bool certificate_is_root(const struct certificate *c)
{
	gnutls_x509_crt_t crt;
	if (import(buf_view(&c->der), &crt) < 0)
		return false;
	const bool root = gnutls_x509_crt_check_issuer(crt, crt) == 1;
	gnutls_x509_crt_deinit(crt);
	return root;
}

int certificate_judge_authority(const struct certificate *c, struct why *why)
{
	gnutls_x509_crt_t crt;
	unsigned ca = 0;
	unsigned usage = 0;
	struct spki_facts facts;
	if (import(buf_view(&c->der), &crt) < 0)
		return why_set(why, ERR_INVALID, "a certificate cannot be read");
	const int r = gnutls_x509_crt_get_basic_constraints(crt, NULL, &ca, NULL);
	const int u = gnutls_x509_crt_get_key_usage(crt, &usage, NULL);
	gnutls_x509_crt_deinit(crt);
	if (r < 0 || !ca || (u >= 0 && !(usage & GNUTLS_KEY_KEY_CERT_SIGN)))
		return why_set(why, ERR_INVALID,
			       "a certificate is none of an authority (CA:TRUE, keyCertSign)");
	return spki_check(certificate_spki(c), &facts, why);
}
