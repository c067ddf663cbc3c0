/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate authority: see issue.h. On the first start the order is key, journal, certificate
 * file, so a crash anywhere leaves nothing that the next start does not mend: a key without a
 * certificate gets one, and a certificate that the journal does not know was never made by us.
 */
#include "certs/csr.h"
#include "certs/issuer.h"
#include "certs/leaf.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <gnutls/crypto.h>

#include <stdio.h>
#include <stdlib.h>

enum { UUID_LEN = 36, COMMON_NAME_MAX = 64, MS = 1000 };

/* ---- clock and rate ---------------------------------------------------------------------------
 */

int issuer_check_clock(const struct issuer *i, int64_t now, struct why *why)
{
	char shown[CLOCK_TEXT];
	char least[CLOCK_TEXT];
	if (now < i->floor)
		return why_set(
			why, ERR_DENIED,
			"the clock shows %s, before this program was built (%s); set the clock, "
			"then certificates can be issued",
			clock_format(now, shown), clock_format(i->floor, least));
	if (now < i->newest_at - ISSUE_JUMP_BACK_MAX)
		return why_set(why, ERR_DENIED,
			       "the clock shows %s, more than a day before the newest certificate "
			       "(%s); set the clock, then certificates can be issued",
			       clock_format(now, shown), clock_format(i->newest_at, least));
	return 0;
}

static int take_token(struct issuer *i, uint64_t mono_ms, struct why *why)
{
	const uint64_t elapsed = mono_ms - i->filled_ms;
	const uint64_t full = (uint64_t)ISSUE_BURST * MS;
	/* Thousandths per millisecond are certificates per second. */
	i->tokens = elapsed < full ? MIN(full, i->tokens + elapsed * ISSUE_PER_SECOND) : full;
	i->filled_ms = mono_ms;
	if (i->tokens < MS)
		return why_set(
			why, ERR_LIMIT,
			"more than %d certificates were asked for at once; at most %d a second "
			"are issued from here on, try again later",
			ISSUE_BURST, ISSUE_PER_SECOND);
	i->tokens -= MS;
	return 0;
}

/* ---- making -----------------------------------------------------------------------------------
 */

/* Server certificates do not count: they are made anew without a person, so one false leap of the
 * clock into the future would stop all issuing for as long as it was. */
static void count_time(struct issuer *i, enum journal_kind kind, int64_t at)
{
	if (kind != JOURNAL_SERVER)
		i->newest_at = MAX(i->newest_at, at);
}

int issuer_record(struct issuer *i, enum journal_kind kind, int64_t now,
		  const struct certificate *c, struct why *why)
{
	const int err = journal_append(i->journal, kind, now, buf_view(&c->der), why);
	if (!err)
		count_time(i, kind, now);
	return err;
}

/* by NULL: signed by itself. */
static int make(struct issuer *i, const struct certificate_order *order,
		const struct certificate *by, struct key *key, enum journal_kind kind,
		struct certificate *out, struct why *why)
{
	struct certificate c;
	int err = issuer_check_clock(i, order->now, why);
	if (!err)
		err = certificate_make(order, by, key, &c, why);
	if (err)
		return err;
	err = issuer_record(i, kind, order->now, &c, why);
	if (err) {
		certificate_fini(&c);
		return err;
	}
	*out = c;
	return 0;
}

static bool is_uuid(struct str s)
{
	if (s.n != UUID_LEN)
		return false;
	for (size_t k = 0; k < s.n; k++) {
		const bool dash = k == 8 || k == 13 || k == 18 || k == 23;
		const char c = s.p[k];
		const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
		if (dash ? c != '-' : !digit)
			return false;
	}
	return true;
}

static int judge_device(const struct issuer *i, const struct device_order *order, struct why *why)
{
	struct spki_facts facts;
	int err = device_name_check(order->name, why);
	if (!err)
		err = spki_check(order->spki, &facts, why);
	if (err)
		return err;
	if (!is_uuid(order->uuid))
		return why_set(why, ERR_INVALID,
			       "the device's UUID is not 36 characters of the "
			       "form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
	if (order->not_after < 0)
		return why_set(why, ERR_INVALID, "the end of the certificate is before 1970");
	if (issuer_owns(i, order->spki))
		return why_set(why, ERR_CRYPTO,
			       "the key is the gateway's own; a device needs a key of its own");
	return 0;
}

static int check_lock(const struct issuer *i, struct why *why)
{
	if (i->active->issuing_key)
		return 0;
	return why_set(why, ERR_AGAIN,
		       "the certificate authority is locked: unlock it (gatehouse ca unlock), then "
		       "ask again");
}

int issuer_device(struct issuer *i, const struct device_order *order, struct issue_time now,
		  struct certificate *out, struct why *why)
{
	int err = judge_device(i, order, why);
	if (!err)
		err = check_lock(i, why);
	if (!err)
		err = take_token(i, now.mono_ms, why);
	if (err)
		return err;
	AUTO_CHAR name = str_dup(order->name);
	AUTO_CHAR uri = mem_printf("urn:uuid:%.*s", STR_ARG(order->uuid));
	const struct certificate_order wanted = {
		.profile = PROFILE_DEVICE,
		.spki = order->spki,
		.common_name = name,
		.uri = uri,
		.now = now.wall,
		.not_after = order->not_after,
	};
	return make(i, &wanted, &i->active->issuing, i->active->issuing_key, JOURNAL_DEVICE, out,
		    why);
}

int issuer_server(struct issuer *i, const struct key *key, const char *common_name,
		  const struct san_set *names, struct issue_time now, struct certificate *out,
		  struct why *why)
{
	const size_t n = strlen(common_name);
	const int locked = check_lock(i, why);
	if (locked)
		return locked;
	const struct certificate_order wanted = {
		.profile = PROFILE_SERVER,
		.spki = key_spki(key),
		.common_name = n >= 1 && n <= COMMON_NAME_MAX ? common_name : "Gatehouse",
		.names = names,
		.now = now.wall,
	};
	return make(i, &wanted, &i->active->issuing, i->active->issuing_key, JOURNAL_SERVER, out,
		    why);
}

int issuer_commit(struct issuer *i, struct why *why)
{
	return journal_sync(i->journal, why);
}

const struct certificate *issuer_root(const struct issuer *i)
{
	return &i->active->root;
}

const struct certificate *issuer_issuing(const struct issuer *i)
{
	return &i->active->issuing;
}

bool issuer_is_locked(const struct issuer *i)
{
	return !i->active->issuing_key;
}

static const struct generation *signer_of(const struct issuer *i, const struct certificate *c)
{
	for (size_t k = i->all.n; k-- > 0;) {
		const struct generation *g = i->all.at[k];
		if (g->issuing.der.n && certificate_is_by(c, &g->issuing))
			return g;
	}
	return NULL;
}

bool issuer_vouches(const struct issuer *i, const struct certificate *server)
{
	const struct generation *g = signer_of(i, server);
	return g && g->state != CA_COMPROMISED;
}

/* One of our own roots leads to the newer one as long as it retires; another authority's always:
 * who knows only that one has no other way here. */
static bool shows_cross(const struct issuer *i, const struct generation *g)
{
	if (g != i->active || g->cross.der.n == 0)
		return false;
	for (size_t k = 0; k < i->all.n; k++)
		if (i->all.at[k]->root.der.n && certificate_is_by(&g->cross, &i->all.at[k]->root))
			return generations_in(&i->all, CA_RETIRING) != NULL;
	return true;
}

void issuer_chain(const struct issuer *i, const struct certificate *leaf, struct buf *list)
{
	const struct generation *g = signer_of(i, leaf);
	if (!g)
		return;
	issuer_put_certificate(list, buf_view(&g->issuing.der));
	if (shows_cross(i, g))
		issuer_put_certificate(list, buf_view(&g->cross.der));
}

void issuer_put_certificate(struct buf *list, struct str der)
{
	const uint32_t n = (uint32_t)der.n;
	buf_put(list, &n, sizeof(n));
	buf_str(list, der);
}

bool issuer_is_new(const struct issuer *i)
{
	return i->is_new;
}

const struct journal_report *issuer_journal(const struct issuer *i)
{
	return &i->report;
}

int issuer_status_key(struct issuer *i, struct str fingerprint, int64_t now,
		      const struct certificate **authority, struct key **key, struct why *why)
{
	for (size_t k = 0; k < i->all.n; k++) {
		const struct generation *g = i->all.at[k];
		const struct certificate *c = &g->issuing;
		if (c->der.n == 0 ||
		    !str_eq(fingerprint, str_make(c->fingerprint, FINGERPRINT_LEN)))
			continue;
		if (g->locked)
			return why_set(why, ERR_AGAIN,
				       "the key of the authority is locked: gatehouse ca unlock");
		if (!g->issuing_key)
			return why_set(why, ERR_NOT_FOUND, "the key of this authority is gone");
		*authority = c;
		*key = g->issuing_key;
		return issuer_check_clock(i, now, why);
	}
	return why_set(why, ERR_NOT_FOUND, "there is no authority with this certificate");
}

static bool is_own(const struct certificate *c, struct str spki)
{
	return c->der.n && str_eq(spki, certificate_spki(c));
}

bool issuer_owns(const struct issuer *i, struct str spki)
{
	for (size_t k = 0; k < i->all.n; k++) {
		const struct generation *g = i->all.at[k];
		if (is_own(&g->root, spki) || is_own(&g->issuing, spki) ||
		    (g->issuing_key && str_eq(spki, key_spki(g->issuing_key))))
			return true;
	}
	return false;
}

/* ---- judging what is in the journal -----------------------------------------------------------
 */

static int judge_leaf(const struct issuer *i, const struct journal_entry *entry,
		      const struct certificate *c, struct why *why)
{
	struct leaf leaf;
	const struct generation *g = signer_of(i, c);
	if (!g)
		return why_set(why, ERR_CRYPTO, "no authority of this gateway signed it");
	if (c->not_after > g->issuing.not_after || c->not_before < g->issuing.not_before)
		return why_set(why, ERR_INVALID, "its life is longer than its authority's");
	if (leaf_read(entry->der, &leaf))
		return why_set(why, ERR_MALFORMED, "it cannot be read");
	if (entry->kind == JOURNAL_DEVICE)
		return leaf_lint(&leaf, LEAF_STRICT, why);
	if (leaf.ca || leaf.key_cert_sign || leaf.client_auth)
		return why_set(why, ERR_INVALID, "it is more than the certificate of a server");
	return 0;
}

/* One of the authorities' own certificates. */
static bool is_authority(const struct issuer *i, struct str der)
{
	for (size_t k = 0; k < i->all.n; k++) {
		const struct generation *g = i->all.at[k];
		if (str_eq(der, buf_view(&g->root.der)) || str_eq(der, buf_view(&g->issuing.der)) ||
		    str_eq(der, buf_view(&g->cross.der)))
			return true;
	}
	return false;
}

int issuer_judge(const struct issuer *i, const struct journal_entry *entry, bool *known,
		 struct why *why)
{
	struct certificate c;
	int err = profile_read(entry->der, "in the journal", &c, why);
	if (err)
		return err;
	*known = true;
	if (entry->kind == JOURNAL_DEVICE || entry->kind == JOURNAL_SERVER)
		err = judge_leaf(i, entry, &c, why);
	else
		*known = entry->kind == JOURNAL_CROSS || is_authority(i, entry->der);
	certificate_fini(&c);
	return err;
}

int issuer_walk(const struct issuer *i, struct journal_place *at, size_t max,
		void (*each)(void *arg, const struct journal_entry *entry), void *arg, bool *end,
		struct why *why)
{
	return journal_walk(i->journal, at, max, each, arg, end, why);
}

/* ---- opening ----------------------------------------------------------------------------------
 */

/* "Gatehouse CA 3f9a01": the digits tell the authorities of two gateways apart. */
char *issuer_name(const char *title, struct str spki)
{
	uint8_t digest[FINGERPRINT_LEN];
	char hex[7];
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.p, spki.n, digest) == 0);
	hex_encode(digest, 3, hex);
	return mem_printf("%s %s", title, hex);
}

static int make_authority(struct issuer *i, const struct generation *g, bool root, int64_t now,
			  struct certificate *out, struct why *why)
{
	struct key *key = root ? g->root_key : g->issuing_key;
	AUTO_CHAR name = issuer_name(root ? "Gatehouse CA" : "Gatehouse Issuing CA", key_spki(key));
	const struct certificate_order order = {
		.profile = root ? PROFILE_ROOT : PROFILE_ISSUING,
		.spki = key_spki(key),
		.common_name = name,
		.now = now,
	};
	int err = make(i, &order, root ? NULL : &g->root, g->root_key,
		       root ? JOURNAL_ROOT : JOURNAL_ISSUING, out, why);
	if (!err)
		err = journal_sync(i->journal, why);
	if (!err)
		log_notice("made the certificate authority \"%s\"", name);
	return err;
}

int issuer_complete(struct issuer *i, struct generation *g, int64_t now, struct why *why)
{
	int err = 0;
	if (g->root.der.n == 0)
		err = make_authority(i, g, true, now, &g->root, why);
	if (!err)
		err = generation_save_certificates(i->ks, g, why);
	if (!err && g->issuing.der.n == 0)
		err = make_authority(i, g, false, now, &g->issuing, why);
	return err ? err : generation_save_certificates(i->ks, g, why);
}

/* Sees every entry of the journal while it is verified. */
static void see_entry(void *arg, const struct journal_entry *entry)
{
	struct issuer *i = arg;
	for (size_t k = 0; k < i->all.n; k++) {
		struct generation *g = i->all.at[k];
		g->root_journalled |= str_eq(entry->der, buf_view(&g->root.der));
		g->issuing_journalled |= str_eq(entry->der, buf_view(&g->issuing.der));
	}
	i->issued |= entry->kind == JOURNAL_SERVER || entry->kind == JOURNAL_DEVICE;
	count_time(i, entry->kind, entry->at);
}

static int open_journal(struct issuer *i, bool fresh, struct why *why)
{
	const int err = journal_open(i->ks, fresh, see_entry, i, &i->journal, &i->report, why);
	if (err == ERR_NOT_FOUND)
		return why_set(
			why, ERR_NOT_FOUND,
			"the journal %s/journal is missing though the authority exists: restore "
			"it from the backup, or make an empty file (mode 600) to begin a new one",
			keystore_path(i->ks));
	if (err)
		return err;
	if (i->report.broken)
		log_error("%s", i->report.why.text);
	else if (i->report.torn)
		log_warning("%s", i->report.why.text);
	return 0;
}

/* An authority that the journal does not know: begin a new journal with it when the operator made
 * an empty file, else something was mixed up. */
static int adopt(struct issuer *i, const struct generation *g, const char *what,
		 const struct certificate *c, bool journalled, bool new_journal, int64_t now,
		 struct why *why)
{
	char name[GENERATION_FILE];
	if (journalled || c->der.n == 0)
		return 0;
	generation_file(g, what, name);
	if (!new_journal)
		return why_set(why, ERR_CRYPTO,
			       "%s/journal does not know %s.crt: they are of different backups; "
			       "restore the whole directory from one",
			       keystore_path(i->ks), name);
	log_warning("a new journal begins: what was issued before with %s.crt is not in it", name);
	return issuer_record(i,
			     g->external                 ? JOURNAL_IMPORTED
			     : strcmp(what, "root") == 0 ? JOURNAL_ROOT
							 : JOURNAL_ISSUING,
			     now, c, why);
}

static int adopt_all(struct issuer *i, int64_t now, struct why *why)
{
	int err = 0;
	const bool fresh = journal_entries(i->journal) == 0;
	for (size_t k = 0; k < i->all.n && err == 0; k++) {
		const struct generation *g = i->all.at[k];
		err = adopt(i, g, "root", &g->root, g->root_journalled, fresh, now, why);
		if (!err)
			err = adopt(i, g, "issuing", &g->issuing, g->issuing_journalled, fresh, now,
				    why);
	}
	return err || !fresh ? err : journal_sync(i->journal, why);
}

static int lost(const struct issuer *i, const struct generation *g, const char *what,
		const char *suffix, struct why *why)
{
	char name[GENERATION_FILE];
	generation_file(g, what, name);
	return why_set(why, ERR_NOT_FOUND,
		       "%s/%s.%s is missing though certificates were issued with it: restore the "
		       "whole directory from one backup, or move it away to begin a new authority, "
		       "which no device knows",
		       keystore_path(i->ks), name, suffix);
}

static int need_key(struct issuer *i, const struct generation *g, const char *what,
		    struct key **key, struct why *why)
{
	char name[GENERATION_FILE];
	if (*key)
		return 0;
	generation_file(g, what, name);
	AUTO(key) made = key_generate(KEY_P256);
	const int err = keystore_save_key_named(i->ks, name, made, why);
	if (err)
		return err;
	log_notice("made the key %s/%s.key", keystore_path(i->ks), name);
	*key = TAKE(made);
	return 0;
}

/* The one in use must be whole, or be made whole on a first start that was cut short. */
static int complete_active(struct issuer *i, int64_t now, struct why *why)
{
	struct generation *g = i->active;
	/* A second one would be worth nothing to the devices that trust the first. */
	if (g->root.der.n == 0 && i->issued)
		return lost(i, g, "root", "crt", why);
	if (g->issuing.der.n && !g->issuing_key && !g->locked)
		return lost(i, g, "issuing", "key", why);
	if (g->root.der.n && g->issuing.der.n)
		return 0;
	if (g->root.der.n && !g->root_key)
		return lost(i, g, "issuing", "crt", why);
	int err = issuer_check_clock(i, now, why);
	if (!err)
		err = need_key(i, g, "root", &g->root_key, why);
	if (!err)
		err = need_key(i, g, "issuing", &g->issuing_key, why);
	return err ? err : issuer_complete(i, g, now, why);
}

static int open_all(struct issuer *i, struct issue_time now, struct why *why)
{
	int err = generations_load(i->ks, &i->all, why);
	if (err)
		return err;
	i->active = generations_in(&i->all, CA_ACTIVE);
	i->is_new = i->active->root.der.n == 0;
	err = open_journal(i, i->is_new, why);
	if (!err)
		err = adopt_all(i, now.wall, why);
	return err ? err : complete_active(i, now.wall, why);
}

int issuer_open(struct keystore *ks, int64_t floor, struct issue_time now, struct issuer **out,
		struct why *why)
{
	AUTO(issuer) i = mem_new(struct issuer);
	i->ks = ks;
	i->floor = floor;
	i->tokens = (uint64_t)ISSUE_BURST * MS;
	i->filled_ms = now.mono_ms;
	const int err = open_all(i, now, why);
	if (err)
		return err;
	*out = TAKE(i);
	return 0;
}

void issuer_free(struct issuer *i)
{
	generations_fini(&i->all);
	if (i->journal)
		journal_free(i->journal);
	free(i);
}
