/* SPDX-License-Identifier: Apache-2.0
 *
 * Private keys: see key.h. GnuTLS objects are only read after they were made, so threads share
 * them.
 */
#include "certs/key.h"
#include "certs/csr.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"

#include <gnutls/pkcs11.h>
#include <gnutls/x509.h>

#include <stdlib.h>

struct key {
	struct ref ref;
	gnutls_x509_privkey_t x509;
	gnutls_privkey_t handle;
	const char *kind;
	key_ask_pin *ask; /* of a key in a token */
	size_t spki_len;
	uint8_t spki[SPKI_MAX];
};

static void key_free(struct key *k)
{
	if (k->handle)
		gnutls_privkey_deinit(k->handle);
	if (k->x509)
		gnutls_x509_privkey_deinit(k->x509);
	free(k);
}

static struct key *key_new(void)
{
	struct key *k = mem_new(struct key);
	ref_init(&k->ref);
	CHECK(gnutls_x509_privkey_init(&k->x509) == 0);
	CHECK(gnutls_privkey_init(&k->handle) == 0);
	return k;
}

static int export_public(gnutls_pubkey_t public, struct key *k)
{
	int r = gnutls_pubkey_import_privkey(public, k->handle, 0, 0);
	if (r < 0)
		return r;
	k->spki_len = sizeof(k->spki);
	return gnutls_pubkey_export(public, GNUTLS_X509_FMT_DER, k->spki, &k->spki_len);
}

/* Completes a key whose handle is there. */
static int finish_public(struct key *k, struct why *why)
{
	struct spki_facts facts;
	gnutls_pubkey_t public;
	CHECK(gnutls_pubkey_init(&public) == 0);
	const int r = export_public(public, k);
	gnutls_pubkey_deinit(public);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "%s", gnutls_strerror(r));
	const int err = spki_check(key_spki(k), &facts, why);
	if (err)
		return err;
	k->kind = facts.kind;
	return 0;
}

/* Completes a key whose x509 part is there. */
static int finish(struct key *k, struct why *why)
{
	const int r = gnutls_privkey_import_x509(k->handle, k->x509, 0);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "%s", gnutls_strerror(r));
	return finish_public(k, why);
}

struct key *key_generate(enum key_algorithm algorithm)
{
	struct key *k = key_new();
	static const struct {
		gnutls_pk_algorithm_t kind;
		unsigned bits;
	} how[] = {
		[KEY_P256] = {GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)},
		[KEY_P384] = {GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP384R1)},
		[KEY_RSA2048] = {GNUTLS_PK_RSA, 2048},
	};
	const int r =
		gnutls_x509_privkey_generate(k->x509, how[algorithm].kind, how[algorithm].bits, 0);
	CHECK(r == 0);
	CHECK(finish(k, NULL) == 0);
	return k;
}

bool key_is_encrypted(struct str bytes)
{
	return str_find(bytes, "ENCRYPTED") != NULL;
}

static int check_size(struct str bytes, const char *name, struct why *why)
{
	if (bytes.n == 0 || bytes.n > KEY_FILE_MAX)
		return why_set(why, ERR_MALFORMED, "the key %s has %zu bytes; 1 to %u are allowed",
			       name, bytes.n, KEY_FILE_MAX);
	return 0;
}

/* passphrase NULL: none. */
static int parse(struct str bytes, const char *name, const char *passphrase, struct key **out,
		 struct why *why)
{
	AUTO(key) k = key_new();
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)bytes.p, (unsigned)bytes.n};
	const bool pem = str_find(bytes, "-----BEGIN") != NULL;
	const int r = gnutls_x509_privkey_import2(k->x509, &in,
						  pem ? GNUTLS_X509_FMT_PEM : GNUTLS_X509_FMT_DER,
						  passphrase, passphrase ? 0 : GNUTLS_PKCS_PLAIN);
	/* One wrong passphrase in 256 gives bytes with good padding, which are no key. */
	if (r < 0 && passphrase)
		return why_set(why, ERR_DENIED,
			       "the passphrase does not open %s (or the file is damaged)", name);
	if (r < 0)
		return why_set(why, ERR_MALFORMED, "the key %s cannot be read as PEM or DER: %s",
			       name, gnutls_strerror(r));
	struct why detail;
	const int err = finish(k, &detail);
	if (err)
		return why_set(why, err, "the key %s is refused: %s", name, detail.text);
	*out = TAKE(k);
	return 0;
}

int key_parse(struct str bytes, const char *name, struct key **out, struct why *why)
{
	const int err = check_size(bytes, name, why);
	if (err)
		return err;
	if (key_is_encrypted(bytes))
		return why_set(
			why, ERR_CRYPTO,
			"the key %s is encrypted; store it without a passphrase, readable by "
			"root alone",
			name);
	return parse(bytes, name, NULL, out, why);
}

int key_parse_encrypted(struct str bytes, const char *name, struct str passphrase, struct key **out,
			struct why *why)
{
	int err = check_size(bytes, name, why);
	if (err)
		return err;
	char *text = str_dup(passphrase);
	err = parse(bytes, name, text, out, why);
	secret_wipe(text, passphrase.n);
	free(text);
	return err;
}

static int write_pem(const struct key *k, const char *passphrase, unsigned flags, struct buf *out)
{
	gnutls_datum_t pem;
	if (gnutls_x509_privkey_export2_pkcs8(k->x509, GNUTLS_X509_FMT_PEM, passphrase, flags,
					      &pem) < 0)
		return ERR_INVALID;
	/* Room first: a buf that grows would leave a copy of the key behind. */
	buf_reserve(out, pem.size);
	buf_put(out, pem.data, pem.size);
	secret_wipe(pem.data, pem.size);
	gnutls_free(pem.data);
	return 0;
}

int key_write_encrypted(const struct key *k, struct str passphrase, struct buf *out)
{
	char *text = str_dup(passphrase);
	const int err = write_pem(k, text, GNUTLS_PKCS_PBES2_AES_256, out);
	secret_wipe(text, passphrase.n);
	free(text);
	return err;
}

void key_write(const struct key *k, struct buf *out)
{
	CHECK(write_pem(k, NULL, GNUTLS_PKCS_PLAIN, out) == 0);
}

/* ---- tokens ---- */

/* GnuTLS calls this when the key is opened, and again for tokens that want the PIN each time. */
static int give_pin(void *arg, int attempt, const char *url, const char *label, unsigned flags,
		    char *out, size_t max)
{
	const struct key *k = arg;
	AUTO_SECRET text = {0};
	(void)url;
	(void)flags;
	/* A token locks itself after a few: each try is one that a person made. */
	if (attempt > 0 || !k->ask(label, &text) || text.n >= max)
		return GNUTLS_E_PKCS11_PIN_ERROR;
	memcpy(out, text.p, text.n);
	out[text.n] = 0;
	return 0;
}

bool key_is_url(const char *name)
{
	return strncmp(name, "pkcs11:", strlen("pkcs11:")) == 0;
}

static int refuse_token(const char *url, int r, struct why *why)
{
	if (r == GNUTLS_E_PKCS11_PIN_ERROR || r == GNUTLS_E_PKCS11_PIN_LOCKED)
		return why_set(why, ERR_DENIED, "the token does not take the PIN: %s",
			       gnutls_strerror(r));
	return why_set(why, ERR_NOT_FOUND,
		       "no private key is found as %s: %s; p11tool --list-privkeys --login shows "
		       "them",
		       url, gnutls_strerror(r));
}

int key_open_token(const char *url, key_ask_pin *ask, struct key **out, struct why *why)
{
	struct why detail;
	AUTO(key) k = key_new();
	k->ask = ask;
	gnutls_privkey_set_pin_function(k->handle, give_pin, k);
	const int r = gnutls_privkey_import_url(k->handle, url, 0);
	if (r < 0)
		return refuse_token(url, r, why);
	const int err = finish_public(k, &detail);
	if (err)
		return why_set(why, err, "the key %s is refused: %s", url, detail.text);
	*out = TAKE(k);
	return 0;
}

struct key *key_ref(struct key *k)
{
	ref_get(&k->ref);
	return k;
}

void key_unref(struct key *k)
{
	if (ref_put(&k->ref))
		key_free(k);
}

struct str key_spki(const struct key *k)
{
	return str_make(k->spki, k->spki_len);
}

const char *key_kind(const struct key *k)
{
	return k->kind;
}

gnutls_privkey_t key_handle(struct key *k)
{
	return k->handle;
}
