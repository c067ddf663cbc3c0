/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the authority: see succession.h. Order of every change: keys, journal, certificates,
 * then the file that says which generation is in which state (generation.h). What a crash leaves
 * before that is removed by the next attempt.
 */
#include "certs/succession.h"
#include "certs/issuer.h"
#include "daemon/base/check.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <gnutls/x509.h>

#include <stdio.h>
#include <stdlib.h>

enum { IMPORTED_MAX = 8, IMPORTED_DER_MAX = 2 * KiB };

/* ---- telling ----------------------------------------------------------------------------------
 */

static enum ca_key where(const struct generation *g, enum ca_kind kind)
{
	if (kind == CA_ROOT && g->root_key)
		return CA_KEY_HERE;
	if (kind == CA_ISSUING && g->locked)
		return CA_KEY_LOCKED;
	if (kind == CA_ISSUING && g->issuing_key)
		return CA_KEY_HERE;
	return CA_KEY_AWAY;
}

static void tell(const struct generation *g, enum ca_kind kind, const char *what,
		 const struct certificate *c, void (*each)(void *arg, const struct authority *a),
		 void *arg)
{
	struct authority a = {kind, g->state, g->number, where(g, kind), "", buf_view(&c->der)};
	if (c->der.n == 0)
		return;
	generation_file(g, what, a.name);
	each(arg, &a);
}

void succession_each(const struct issuer *i, void (*each)(void *arg, const struct authority *a),
		     void *arg)
{
	for (size_t k = 0; k < i->all.n; k++) {
		const struct generation *g = i->all.at[k];
		tell(g, CA_ROOT, "root", &g->root, each, arg);
		tell(g, CA_ISSUING, "issuing", &g->issuing, each, arg);
		tell(g, CA_CROSS, "cross", &g->cross, each, arg);
	}
}

/* ---- lock -------------------------------------------------------------------------------------
 */

int succession_lock(struct issuer *i, struct str passphrase, struct why *why)
{
	if (issuer_is_locked(i))
		return why_set(why, ERR_EXISTS, "the authority is locked already");
	if (passphrase.n < PASSPHRASE_MIN || passphrase.n > PASSPHRASE_MAX)
		return why_set(why, ERR_INVALID,
			       "the passphrase has %zu bytes; %d to %d are allowed", passphrase.n,
			       PASSPHRASE_MIN, PASSPHRASE_MAX);
	/* The one in use last: when that worked, all did. */
	for (size_t k = 0; k < 2 * i->all.n; k++) {
		const bool second = k >= i->all.n;
		struct generation *g = i->all.at[second ? k - i->all.n : k];
		char name[GENERATION_FILE];
		if (!g->issuing_key || (g == i->active) != second)
			continue;
		generation_file(g, "issuing", name);
		const int err = keystore_lock_key(i->ks, name, g->issuing_key, passphrase, why);
		if (err)
			return err;
		key_unref(g->issuing_key);
		g->issuing_key = NULL;
		g->locked = true;
	}
	log_notice("the certificate authority is locked: nothing is issued");
	return 0;
}

int succession_unlock(struct issuer *i, struct str passphrase, struct why *why)
{
	bool any = false;
	for (size_t k = 0; k < i->all.n; k++) {
		struct generation *g = i->all.at[k];
		char name[GENERATION_FILE];
		if (!g->locked)
			continue;
		generation_file(g, "issuing", name);
		const int err = keystore_unlock_key(i->ks, name, passphrase, &g->issuing_key, why);
		if (err)
			return err;
		g->locked = false;
		any = true;
	}
	if (!any)
		return why_set(why, ERR_EXISTS, "the authority is not locked");
	log_notice("the certificate authority is unlocked");
	return 0;
}

/* ---- root -------------------------------------------------------------------------------------
 */

static struct generation *by_root(const struct issuer *i, struct str fingerprint)
{
	for (size_t k = 0; k < i->all.n; k++) {
		struct generation *g = i->all.at[k];
		if (g->root.der.n &&
		    str_eq(fingerprint, str_make(g->root.fingerprint, FINGERPRINT_LEN)))
			return g;
	}
	return NULL;
}

int succession_forget_root(struct issuer *i, struct str fingerprint, struct why *why)
{
	char name[GENERATION_FILE];
	struct generation *g = by_root(i, fingerprint);
	if (!g)
		return why_set(why, ERR_NOT_FOUND, "there is no root with this fingerprint");
	if (!g->root_key)
		return why_set(why, ERR_NOT_FOUND, "the key of this root is not on this machine");
	generation_file(g, "root", name);
	AUTO_CHAR file = mem_printf("%s.key", name);
	const int err = keystore_remove_file(i->ks, file, why);
	if (err)
		return err;
	key_unref(g->root_key);
	g->root_key = NULL;
	log_notice("removed the root key %s/%s", keystore_path(i->ks), file);
	return 0;
}

/* ---- the next generation ----------------------------------------------------------------------
 */

static int check_start(const struct issuer *i, struct why *why)
{
	if (generations_in(&i->all, CA_NEXT))
		return why_set(why, ERR_EXISTS,
			       "the next authority is there already: switch to it, or abort the "
			       "rollover");
	if (generations_in(&i->all, CA_RETIRING))
		return why_set(why, ERR_CONFLICT,
			       "an older authority still retires: finish that rollover first");
	if (i->all.n == GENERATIONS_MAX)
		return why_set(why, ERR_LIMIT, "there were %d authorities: no room for another",
			       GENERATIONS_MAX);
	return 0;
}

/* A fresh one with an issuing key, and a root key unless it is someone else's. */
static int make_keys(struct issuer *i, struct generation *g, enum key_algorithm root,
		     struct why *why)
{
	char name[GENERATION_FILE];
	int err = generation_clear(i->ks, g, why);
	g->issuing_key = key_generate(KEY_P256);
	generation_file(g, "issuing", name);
	if (!err)
		err = keystore_save_key_named(i->ks, name, g->issuing_key, why);
	if (err || g->external)
		return err;
	g->root_key = key_generate(root);
	generation_file(g, "root", name);
	return keystore_save_key_named(i->ks, name, g->root_key, why);
}

static unsigned next_number(const struct issuer *i)
{
	return i->all.at[i->all.n - 1]->number + 1;
}

/* Adds it to the list; without success it is not there. */
static int commit_new(struct issuer *i, struct generation *g, struct why *why)
{
	i->all.at[i->all.n++] = g;
	const int err = generations_save(i->ks, &i->all, why);
	if (err)
		i->all.n--;
	return err;
}

static int record_cross(struct issuer *i, struct generation *g, struct certificate *cross,
			int64_t now, struct why *why)
{
	int err = issuer_record(i, JOURNAL_CROSS, now, cross, why);
	if (!err)
		err = issuer_commit(i, why);
	if (err)
		return err;
	certificate_fini(&g->cross);
	g->cross = *cross;
	*cross = (struct certificate){0};
	return generation_save_certificates(i->ks, g, why);
}

/* Where that cannot be, the switch tells what it means. */
static int cross_sign(struct issuer *i, struct generation *g, int64_t now, struct why *why)
{
	struct certificate cross;
	const struct generation *old = i->active;
	if (!old->root_key)
		return 0;
	int err = certificate_cross(&g->root, &old->root, old->root_key, now, &cross, why);
	if (err == ERR_INVALID) {
		log_warning("no cross certificate for the next root: %s", why->text);
		return 0;
	}
	if (err)
		return err;
	err = record_cross(i, g, &cross, now, why);
	certificate_fini(&cross);
	return err;
}

static int make_generation(struct issuer *i, struct generation *g, enum key_algorithm root,
			   int64_t now, struct why *why)
{
	int err = issuer_check_clock(i, now, why);
	if (!err)
		err = make_keys(i, g, root, why);
	return err ? err : issuer_complete(i, g, now, why);
}

int succession_start(struct issuer *i, enum key_algorithm root, struct issue_time now,
		     struct why *why)
{
	int err = check_start(i, why);
	if (err)
		return err;
	AUTO(generation) g = generation_new(next_number(i), CA_NEXT);
	err = make_generation(i, g, root, now.wall, why);
	if (!err)
		err = cross_sign(i, g, now.wall, why);
	if (!err)
		err = commit_new(i, g, why);
	if (err)
		return err;
	TAKE(g);
	return 0;
}

/* ---- a root that is someone else's ------------------------------------------------------------
 */

static int write_request(struct key *key, struct buf *pem, struct why *why)
{
	gnutls_x509_crq_t crq;
	gnutls_pubkey_t public;
	gnutls_datum_t text;
	AUTO_CHAR name = issuer_name("Gatehouse Issuing CA", key_spki(key));
	CHECK(gnutls_x509_crq_init(&crq) == 0 && gnutls_pubkey_init(&public) == 0);
	int r = gnutls_pubkey_import_privkey(public, key_handle(key), 0, 0);
	if (r >= 0)
		r = gnutls_x509_crq_set_pubkey(crq, public);
	if (r >= 0)
		r = gnutls_x509_crq_set_version(crq, 1);
	if (r >= 0)
		r = gnutls_x509_crq_set_dn_by_oid(crq, GNUTLS_OID_X520_COMMON_NAME, 0, name,
						  (unsigned)strlen(name));
	if (r >= 0)
		r = gnutls_x509_crq_set_basic_constraints(crq, 1, 0);
	if (r >= 0)
		r = gnutls_x509_crq_set_key_usage(crq, profile_get(PROFILE_ISSUING)->key_usage);
	if (r >= 0)
		r = gnutls_x509_crq_privkey_sign(crq, key_handle(key), GNUTLS_DIG_SHA256, 0);
	if (r >= 0)
		r = gnutls_x509_crq_export2(crq, GNUTLS_X509_FMT_PEM, &text);
	gnutls_x509_crq_deinit(crq);
	gnutls_pubkey_deinit(public);
	if (r < 0)
		return why_set(why, ERR_CRYPTO, "the request cannot be made: %s",
			       gnutls_strerror(r));
	buf_put(pem, text.data, text.size);
	gnutls_free(text.data);
	return 0;
}

/* The generation whose request is out, or NULL. */
static struct generation *requested(const struct issuer *i)
{
	struct generation *g = generations_in(&i->all, CA_NEXT);
	return g && g->external && g->root.der.n == 0 ? g : NULL;
}

int succession_request(struct issuer *i, struct buf *csr_pem, struct why *why)
{
	const struct generation *out = requested(i);
	if (out && out->issuing_key)
		return write_request(out->issuing_key, csr_pem, why);
	int err = check_start(i, why);
	if (err)
		return err;
	AUTO(generation) g = generation_new(next_number(i), CA_NEXT);
	g->external = true;
	err = make_keys(i, g, KEY_P256, why);
	if (!err)
		err = write_request(g->issuing_key, csr_pem, why);
	if (!err)
		err = commit_new(i, g, why);
	if (err)
		return err;
	TAKE(g);
	return 0;
}

struct imported {
	size_t n;
	struct certificate at[IMPORTED_MAX];
};

static void imported_fini(struct imported *m)
{
	for (size_t k = 0; k < m->n; k++)
		certificate_fini(&m->at[k]);
	m->n = 0;
}

static int read_imported(struct str list, struct imported *out, struct why *why)
{
	struct cur c = cur_of(list);
	while (cur_left(&c)) {
		const struct str der = cur_str32le(&c);
		if (!cur_ok(&c) || out->n == IMPORTED_MAX)
			return why_set(why, ERR_INVALID,
				       "more than %d certificates, or none that can be read",
				       IMPORTED_MAX);
		if (der.n > IMPORTED_DER_MAX)
			return why_set(why, ERR_INVALID,
				       "certificate %zu has %zu bytes; at most %d are allowed",
				       out->n + 1, der.n, IMPORTED_DER_MAX);
		const int err = profile_read(der, "to import", &out->at[out->n], why);
		if (err)
			return why_set(why, ERR_INVALID,
				       "certificate %zu cannot be read, or has no subject key "
				       "identifier",
				       out->n + 1);
		out->n++;
	}
	return 0;
}

static const struct certificate *find_issuing(const struct imported *m, struct str spki)
{
	for (size_t k = 0; k < m->n; k++)
		if (str_eq(certificate_spki(&m->at[k]), spki))
			return &m->at[k];
	return NULL;
}

static const struct certificate *find_root(const struct imported *m,
					   const struct certificate *issuing)
{
	for (size_t k = 0; k < m->n; k++)
		if (certificate_is_root(&m->at[k]) && certificate_is_by(issuing, &m->at[k]))
			return &m->at[k];
	return NULL;
}

static int judge_imported(const struct certificate *c, int64_t now, struct why *why)
{
	if (now < c->not_before || now >= c->not_after)
		return why_set(why, ERR_INVALID, "a certificate is not valid now");
	return certificate_judge_authority(c, why);
}

static void copy(struct certificate *to, const struct certificate *from)
{
	*to = *from;
	to->der = (struct buf){0};
	buf_str(&to->der, buf_view(&from->der));
}

/* Issuing certificate and root for the request; the cross certificate if there is one. */
static int take_imported(struct issuer *i, struct generation *g, const struct imported *m,
			 int64_t now, struct why *why)
{
	const struct certificate *issuing = find_issuing(m, key_spki(g->issuing_key));
	const struct certificate *root = issuing ? find_root(m, issuing) : NULL;
	if (!issuing)
		return why_set(why, ERR_INVALID,
			       "no certificate is for the key of the signing request: ca csr "
			       "writes the request again");
	if (!root)
		return why_set(why, ERR_INVALID,
			       "the root that signed it, itself signed by no other, is missing: "
			       "import both in one file");
	int err = judge_imported(issuing, now, why);
	if (!err)
		err = judge_imported(root, now, why);
	if (!err)
		err = issuer_record(i, JOURNAL_IMPORTED, now, root, why);
	if (!err)
		err = issuer_record(i, JOURNAL_IMPORTED, now, issuing, why);
	if (!err)
		err = issuer_commit(i, why);
	if (err)
		return err;
	copy(&g->root, root);
	copy(&g->issuing, issuing);
	for (size_t k = 0; k < m->n; k++)
		if (g->cross.der.n == 0 && certificate_is_cross(&m->at[k], root, &i->active->root))
			copy(&g->cross, &m->at[k]);
	return generation_save_certificates(i->ks, g, why);
}

static bool needs_cross(const struct issuer *i, const struct generation *g)
{
	return g->cross.der.n == 0 &&
	       !str_eq(buf_view(&g->root.der), buf_view(&i->active->root.der));
}

int succession_import(struct issuer *i, struct str certificates, struct issue_time now,
		      struct why *why)
{
	struct imported m = {0};
	struct generation *g = requested(i);
	if (!g)
		return why_set(why, ERR_NOT_FOUND, "no signing request is out: ca csr writes one");
	if (!g->issuing_key)
		return why_set(why, ERR_AGAIN, "the authority is locked: unlock it first");
	int err = issuer_check_clock(i, now.wall, why);
	if (!err)
		err = read_imported(certificates, &m, why);
	if (!err)
		err = take_imported(i, g, &m, now.wall, why);
	imported_fini(&m);
	return err || !needs_cross(i, g) ? err : cross_sign(i, g, now.wall, why);
}

static int take_cross(struct issuer *i, struct generation *g, struct imported *m,
		      const struct certificate *by, int64_t now, struct why *why)
{
	if (!certificate_is_cross(&m->at[0], &g->root, by))
		return why_set(why, ERR_INVALID,
			       "it is not the gateway's root, certified by the other authority");
	const int err = judge_imported(&m->at[0], now, why);
	return err ? err : record_cross(i, g, &m->at[0], now, why);
}

/* Another authority vouches for the root in use. */
static int take_foreign_cross(struct issuer *i, struct imported *m, int64_t now, struct why *why)
{
	if (generations_in(&i->all, CA_RETIRING))
		return why_set(why, ERR_CONFLICT,
			       "a rollover is under way: finish it, then let the other authority "
			       "certify the root in use");
	const int err = judge_imported(&m->at[1], now, why);
	return err ? err : take_cross(i, i->active, m, &m->at[1], now, why);
}

int succession_cross(struct issuer *i, struct str certificates, struct issue_time now,
		     struct why *why)
{
	struct imported m = {0};
	struct generation *g = generations_in(&i->all, CA_NEXT);
	int err = read_imported(certificates, &m, why);
	if (!err && m.n == 2)
		err = take_foreign_cross(i, &m, now.wall, why);
	else if (!err && (!g || g->root.der.n == 0))
		err = why_set(why, ERR_NOT_FOUND, "no next authority waits for a certificate");
	else if (!err)
		err = take_cross(i, g, &m, &i->active->root, now.wall, why);
	imported_fini(&m);
	return err;
}

/* ---- from one to the other --------------------------------------------------------------------
 */

/* Writes the new states, or takes them back. */
static int commit_states(struct issuer *i, const enum ca_state before[GENERATIONS_MAX],
			 struct why *why)
{
	const int err = generations_save(i->ks, &i->all, why);
	for (size_t k = 0; err && k < i->all.n; k++)
		i->all.at[k]->state = before[k];
	i->active = generations_in(&i->all, CA_ACTIVE);
	return err;
}

static void note_states(const struct issuer *i, enum ca_state states[GENERATIONS_MAX])
{
	for (size_t k = 0; k < i->all.n; k++)
		states[k] = i->all.at[k]->state;
}

/* Keys of those whose work is over. Left ones go at the next attempt: nothing uses them. */
static void drop_old_keys(struct issuer *i)
{
	struct why why;
	for (size_t k = 0; k < i->all.n; k++) {
		struct generation *g = i->all.at[k];
		if (g->state != CA_RETIRED && g->state != CA_COMPROMISED)
			continue;
		if (generation_drop_keys(i->ks, g, &why))
			log_warning("%s", why.text);
	}
}

int succession_switch(struct issuer *i, bool force, struct why *why)
{
	enum ca_state before[GENERATIONS_MAX];
	struct generation *next = generations_in(&i->all, CA_NEXT);
	if (!next || next->root.der.n == 0)
		return why_set(why, ERR_NOT_FOUND,
			       next ? "the signing request has not been answered: ca import takes "
				      "the certificate"
				    : "no next authority is there: ca rollover start makes one");
	if (needs_cross(i, next) && !force)
		return why_set(
			why, ERR_CONFLICT,
			"the root in use has not certified the next one, so devices that "
			"know only the older would leave: ca rollover start --root-key FILE, "
			"or ca rollover switch --force");
	note_states(i, before);
	i->active->state = CA_RETIRING;
	next->state = CA_ACTIVE;
	return commit_states(i, before, why);
}

int succession_finish(struct issuer *i, struct why *why)
{
	enum ca_state before[GENERATIONS_MAX];
	struct generation *old = generations_in(&i->all, CA_RETIRING);
	if (!old)
		return why_set(why, ERR_NOT_FOUND, "no authority retires");
	note_states(i, before);
	old->state = CA_RETIRED;
	const int err = commit_states(i, before, why);
	if (!err)
		drop_old_keys(i);
	return err;
}

int succession_abort(struct issuer *i, struct why *why)
{
	enum ca_state before[GENERATIONS_MAX];
	struct generation *next = generations_in(&i->all, CA_NEXT);
	if (!next)
		return why_set(why, ERR_NOT_FOUND,
			       "no next authority is there; after the switch there is no way back");
	note_states(i, before);
	next->state = CA_RETIRED;
	const int err = commit_states(i, before, why);
	if (!err)
		drop_old_keys(i);
	return err;
}

/* Something must issue: the next one if it is there, else a new one. No cross certificate: the word
 * of a compromised root is worth nothing. */
static int replace_active(struct issuer *i, int64_t now, struct generation **made, struct why *why)
{
	struct generation *next = generations_in(&i->all, CA_NEXT);
	if (next && next->root.der.n) {
		*made = next;
		return 0;
	}
	if (i->all.n == GENERATIONS_MAX)
		return why_set(why, ERR_LIMIT, "there were %d authorities: no room for another",
			       GENERATIONS_MAX);
	AUTO(generation) g = generation_new(next_number(i), CA_NEXT);
	const int err = make_generation(i, g, KEY_P256, now, why);
	if (err)
		return err;
	i->all.at[i->all.n] = g;
	*made = TAKE(g);
	i->all.n++;
	return 0;
}

int succession_compromise(struct issuer *i, struct str fingerprint, struct issue_time now,
			  struct why *why)
{
	enum ca_state before[GENERATIONS_MAX];
	struct generation *bad = by_root(i, fingerprint);
	struct generation *next = NULL;
	if (!bad)
		return why_set(why, ERR_NOT_FOUND, "there is no root with this fingerprint");
	if (bad->state == CA_COMPROMISED)
		return why_set(why, ERR_EXISTS, "this authority is marked compromised already");
	const size_t n = i->all.n;
	const int failed = bad == i->active ? replace_active(i, now.wall, &next, why) : 0;
	if (failed)
		return failed;
	note_states(i, before);
	bad->state = CA_COMPROMISED;
	if (next)
		next->state = CA_ACTIVE;
	const int err = commit_states(i, before, why);
	if (err && i->all.n > n) {
		generation_free(i->all.at[--i->all.n]);
		return err;
	}
	if (!err)
		drop_old_keys(i);
	return err;
}
