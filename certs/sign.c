/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures for TLS handshakes: see sign.h.
 */
#include "certs/sign.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <gnutls/gnutls.h>

#include <pthread.h>
#include <stdlib.h>

enum { MESSAGE_MAX = 1024, KEY_FIRST = 1 };

struct entry {
	enum process owner;
	char listener[SIGN_LISTENER_MAX + 1];
	struct key *key;
	bool current; /* the newest of its listener */
};

struct signer {
	const struct issuer *authority; /* whose keys never get in */
	pthread_mutex_t lock;
	size_t n;
	struct entry entry[SIGN_KEYS_MAX]; /* the number of a key is its place plus KEY_FIRST */
};

static const struct scheme {
	uint16_t scheme;
	uint16_t hash_len; /* 0: the whole message */
	char kind;         /* first letter of key_kind: R, P, E */
	gnutls_sign_algorithm_t algorithm;
} schemes[] = {
	{0x0401, 32, 'R', GNUTLS_SIGN_RSA_SHA256},
	{0x0501, 48, 'R', GNUTLS_SIGN_RSA_SHA384},
	{0x0601, 64, 'R', GNUTLS_SIGN_RSA_SHA512},
	{0x0804, 32, 'R', GNUTLS_SIGN_RSA_PSS_RSAE_SHA256},
	{0x0805, 48, 'R', GNUTLS_SIGN_RSA_PSS_RSAE_SHA384},
	{0x0806, 64, 'R', GNUTLS_SIGN_RSA_PSS_RSAE_SHA512},
	/* TLS 1.2 lets any curve go with any hash. */
	{0x0403, 32, 'P', GNUTLS_SIGN_ECDSA_SHA256},
	{0x0503, 48, 'P', GNUTLS_SIGN_ECDSA_SHA384},
	{0x0603, 64, 'P', GNUTLS_SIGN_ECDSA_SHA512},
	{0x0807, 0, 'E', GNUTLS_SIGN_EDDSA_ED25519},
};

struct signer *signer_new(const struct issuer *authority)
{
	struct signer *s = mem_new(struct signer);
	s->authority = authority;
	CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
	return s;
}

void signer_free(struct signer *s)
{
	for (size_t i = 0; i < s->n; i++)
		key_unref(s->entry[i].key);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static bool is_for(const struct entry *e, enum process owner, struct str listener)
{
	return e->owner == owner && str_is(listener, e->listener);
}

static struct entry *find(struct signer *s, enum process owner, struct str listener,
			  const struct key *key)
{
	for (size_t i = 0; i < s->n; i++) {
		struct entry *e = &s->entry[i];
		if (is_for(e, owner, listener) && str_eq(key_spki(e->key), key_spki(key)))
			return e;
	}
	return NULL;
}

static struct entry *append(struct signer *s, enum process owner, struct str listener,
			    struct key *key)
{
	if (s->n == SIGN_KEYS_MAX)
		return NULL;
	struct entry *e = &s->entry[s->n++];
	e->owner = owner;
	memcpy(e->listener, listener.p, listener.n);
	e->key = key_ref(key);
	return e;
}

static struct entry *add_locked(struct signer *s, enum process owner, struct str listener,
				struct key *key)
{
	struct entry *mine = find(s, owner, listener, key);
	if (!mine)
		mine = append(s, owner, listener, key);
	if (!mine)
		return NULL;
	for (size_t i = 0; i < s->n; i++)
		if (is_for(&s->entry[i], owner, listener))
			s->entry[i].current = false;
	mine->current = true;
	return mine;
}

int signer_add(struct signer *s, enum process owner, struct str listener, struct key *key,
	       uint32_t *id, struct why *why)
{
	CHECK(listener.n <= SIGN_LISTENER_MAX);
	if (issuer_owns(s->authority, key_spki(key)))
		return why_set(why, ERR_DENIED,
			       "listener %.*s: the key is the certificate authority's; a listener "
			       "needs a key of its own",
			       STR_ARG(listener));
	pthread_mutex_lock(&s->lock);
	const struct entry *e = add_locked(s, owner, listener, key);
	pthread_mutex_unlock(&s->lock);
	if (!e)
		return why_set(why, ERR_LIMIT,
			       "more than %d listener keys were used since the start; restart the "
			       "gateway",
			       SIGN_KEYS_MAX);
	*id = (uint32_t)(e - s->entry) + KEY_FIRST;
	return 0;
}

int signer_listener_key(struct signer *s, enum process owner, struct str listener, uint32_t *id,
			struct key **key)
{
	int err = ERR_NOT_FOUND;
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; err && i < s->n; i++) {
		const struct entry *e = &s->entry[i];
		if (e->current && is_for(e, owner, listener)) {
			*id = (uint32_t)i + KEY_FIRST;
			*key = key_ref(e->key);
			err = 0;
		}
	}
	pthread_mutex_unlock(&s->lock);
	return err;
}

static struct key *key_of(struct signer *s, enum process asker, uint32_t id)
{
	struct key *key = NULL;
	pthread_mutex_lock(&s->lock);
	if (id >= KEY_FIRST && id - KEY_FIRST < s->n && s->entry[id - KEY_FIRST].owner == asker)
		key = key_ref(s->entry[id - KEY_FIRST].key);
	pthread_mutex_unlock(&s->lock);
	return key;
}

static const struct scheme *find_scheme(uint16_t number, const struct key *key, size_t n)
{
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		const struct scheme *s = &schemes[i];
		const bool fits = s->hash_len ? n == s->hash_len : n <= MESSAGE_MAX;
		if (s->scheme == number && s->kind == key_kind(key)[0] && fits)
			return s;
	}
	return NULL;
}

static int sign_with(struct key *key, const struct scheme *scheme, struct str data,
		     struct buf *signature)
{
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)data.p, (unsigned)data.n};
	gnutls_datum_t made;
	const int r = scheme->hash_len ? gnutls_privkey_sign_hash2(key_handle(key),
								   scheme->algorithm, 0, &in, &made)
				       : gnutls_privkey_sign_data2(
						 key_handle(key), scheme->algorithm, 0, &in, &made);
	if (r < 0)
		return r;
	buf_put(signature, made.data, made.size);
	gnutls_free(made.data);
	return 0;
}

int signer_tls_sign(struct signer *s, enum process asker, uint32_t id, uint16_t scheme,
		    struct str data, struct buf *signature, struct why *why)
{
	AUTO(key) key = key_of(s, asker, id);
	if (!key)
		return why_set(why, ERR_DENIED, "key %u does not belong to %s", id,
			       process_name(asker));
	const struct scheme *how = find_scheme(scheme, key, data.n);
	if (!how)
		return why_set(why, ERR_INVALID,
			       "signature scheme 0x%04x with %zu bytes does not fit an %s key",
			       scheme, data.n, key_kind(key));
	const int r = sign_with(key, how, data, signature);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "signing failed: %s", gnutls_strerror(r));
	return 0;
}
