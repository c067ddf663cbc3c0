/* SPDX-License-Identifier: Apache-2.0
 *
 * Server certificates: see server.h.
 */
#include "certs/server.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <pthread.h>
#include <stdlib.h>

struct server {
	struct key *key;
	struct certificate certificate; /* der.n = 0: none yet */
	struct buf rest;                /* of the chain: issuer_chain */
};

struct servers {
	struct keystore *ks;
	pthread_mutex_t lock; /* of the certificates */
	struct server server[SLOT_COUNT];
};

/* A certificate that cannot be read or belongs to another key is made anew, so it is no error. */
static void load_certificate(struct servers *s, enum key_slot slot)
{
	struct why why;
	AUTO_BUF der = {0};
	struct certificate c;
	const char *name = key_slot_info(slot)->name;
	int err = keystore_load_certificate(s->ks, slot, &der, &why);
	if (err == ERR_NOT_FOUND)
		return;
	if (!err)
		err = profile_read(buf_view(&der), name, &c, &why);
	if (err) {
		log_warning("%s; it is made anew", why.text);
		return;
	}
	if (str_eq(certificate_spki(&c), key_spki(s->server[slot].key)))
		s->server[slot].certificate = c;
	else
		certificate_fini(&c);
}

int servers_open(struct keystore *ks, struct servers **out, struct why *why)
{
	AUTO(servers) s = mem_new(struct servers);
	s->ks = ks;
	CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
	for (enum key_slot slot = SLOT_SERVER; slot < SLOT_COUNT; slot++) {
		const int err = keystore_need_key(ks, slot, &s->server[slot].key, why);
		if (err)
			return err;
		load_certificate(s, slot);
	}
	*out = TAKE(s);
	return 0;
}

void servers_free(struct servers *s)
{
	for (enum key_slot slot = SLOT_SERVER; slot < SLOT_COUNT; slot++) {
		if (s->server[slot].key)
			key_unref(s->server[slot].key);
		certificate_fini(&s->server[slot].certificate);
		buf_fini(&s->server[slot].rest);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct key *servers_key(const struct servers *s, enum key_slot slot)
{
	CHECK(slot >= SLOT_SERVER && slot < SLOT_COUNT);
	return s->server[slot].key;
}

/* Why a certificate must be made anew; NULL when it is good. */
static const char *why_renew(const struct certificate *c, const struct issuer *issuer,
			     const struct san_set *names, int64_t now)
{
	struct san_set have;
	if (c->der.n == 0)
		return "there was none";
	if (!certificate_is_by(c, issuer_issuing(issuer)))
		return "it is of another authority";
	if (now < c->not_before)
		return "its life has not begun: the clock was wrong when it was made";
	if (certificate_names(c, &have) || !san_equal(&have, names))
		return "the names of the machine changed";
	if (now >= c->not_before + (c->not_after - c->not_before) / 3 * 2)
		return "two thirds of its life have passed";
	return NULL;
}

/* Leaf and rest change together: nobody sees a chain of two authorities. */
static void publish(struct servers *s, enum key_slot slot, const struct issuer *issuer,
		    struct certificate *c)
{
	struct buf rest = {0};
	issuer_chain(issuer, c, &rest);
	pthread_mutex_lock(&s->lock);
	struct certificate old = s->server[slot].certificate;
	struct buf old_rest = s->server[slot].rest;
	s->server[slot].certificate = *c;
	s->server[slot].rest = rest;
	pthread_mutex_unlock(&s->lock);
	certificate_fini(&old);
	buf_fini(&old_rest);
}

/* The rest may change while the leaf stays. True: it did, after the leaf was shown once. */
static bool refresh_rest(struct servers *s, enum key_slot slot, const struct issuer *issuer)
{
	struct buf rest = {0};
	struct server *server = &s->server[slot];
	issuer_chain(issuer, &server->certificate, &rest);
	pthread_mutex_lock(&s->lock);
	struct buf old = server->rest;
	server->rest = rest;
	pthread_mutex_unlock(&s->lock);
	const bool changed = old.n && !str_eq(buf_view(&old), buf_view(&rest));
	buf_fini(&old);
	return changed;
}

static int make(struct servers *s, enum key_slot slot, struct issuer *issuer,
		const char *common_name, const struct san_set *names, struct issue_time now,
		struct why *why)
{
	struct certificate c;
	int err = issuer_server(issuer, s->server[slot].key, common_name, names, now, &c, why);
	if (err)
		return err;
	err = issuer_commit(issuer, why);
	if (!err)
		err = keystore_save_certificate(s->ks, slot, buf_view(&c.der), why);
	if (err) {
		certificate_fini(&c);
		return err;
	}
	publish(s, slot, issuer, &c);
	return 0;
}

int servers_renew(struct servers *s, struct issuer *issuer, const char *common_name,
		  const struct san_set *names, struct issue_time now, unsigned *made,
		  struct why *why)
{
	unsigned count = 0;
	for (enum key_slot slot = SLOT_SERVER; slot < SLOT_COUNT; slot++) {
		const char *name = key_slot_info(slot)->name;
		const struct certificate *have = &s->server[slot].certificate;
		const char *cause = why_renew(have, issuer, names, now.wall);
		if (!cause) {
			count += refresh_rest(s, slot, issuer);
			continue;
		}
		const bool usable = have->der.n && issuer_vouches(issuer, have);
		const int err = make(s, slot, issuer, common_name, names, now, why);
		if (err && !usable)
			return err;
		if (err) {
			log_warning("the server certificate %s stays as it is (%s, but: %s)", name,
				    cause, why->text);
			count += refresh_rest(s, slot, issuer);
			continue;
		}
		log_notice("made the server certificate %s: %s", name, cause);
		count++;
	}
	*made = count;
	return 0;
}

int servers_certificate(struct servers *s, enum key_slot slot, struct buf *der)
{
	CHECK(slot >= SLOT_SERVER && slot < SLOT_COUNT);
	pthread_mutex_lock(&s->lock);
	const struct str bytes = buf_view(&s->server[slot].certificate.der);
	buf_str(der, bytes);
	pthread_mutex_unlock(&s->lock);
	return bytes.n ? 0 : ERR_NOT_FOUND;
}

int servers_chain(struct servers *s, enum key_slot slot, struct buf *list)
{
	CHECK(slot >= SLOT_SERVER && slot < SLOT_COUNT);
	pthread_mutex_lock(&s->lock);
	const struct server *server = &s->server[slot];
	const bool there = server->certificate.der.n != 0;
	if (there) {
		issuer_put_certificate(list, buf_view(&server->certificate.der));
		buf_str(list, buf_view(&server->rest));
	}
	pthread_mutex_unlock(&s->lock);
	return there ? 0 : ERR_NOT_FOUND;
}
