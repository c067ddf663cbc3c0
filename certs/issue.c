/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate authority: see issue.h. On the first start the order is key, journal, certificate
 * file, so a crash anywhere leaves nothing that the next start does not mend: a key without a
 * certificate gets one, and a certificate that the journal does not know was never made by us.
 */
#include "certs/issue.h"
#include "certs/csr.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <gnutls/crypto.h>

#include <stdio.h>
#include <stdlib.h>

enum { UUID_LEN = 36, COMMON_NAME_MAX = 64, MS = 1000 };

struct authority {
	struct key *key;
	struct certificate certificate;
	bool journalled; /* the journal knows the certificate */
};

struct issuer {
	struct keystore *ks;
	struct journal *journal;
	struct authority root;
	struct authority issuing;
	struct journal_report report;
	bool is_new;       /* the authority was made by issuer_open */
	bool issued;       /* the journal knows certificates below the authorities */
	int64_t floor;     /* the clock is wrong below this */
	int64_t newest_at; /* of all that was issued but server certificates */
	uint64_t tokens;   /* thousandths of a certificate that may be issued now */
	uint64_t filled_ms;
};

/* ---- clock and rate ---------------------------------------------------------------------------
 */

static int check_clock(const struct issuer *i, int64_t now, struct why *why)
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

static int record(struct issuer *i, enum journal_kind kind, int64_t now,
		  const struct certificate *c, struct why *why)
{
	const int err = journal_append(i->journal, kind, now, buf_view(&c->der), why);
	if (!err)
		count_time(i, kind, now);
	return err;
}

static int make(struct issuer *i, const struct certificate_order *order, const struct authority *by,
		struct key *key, enum journal_kind kind, struct certificate *out, struct why *why)
{
	struct certificate c;
	int err = check_clock(i, order->now, why);
	if (!err)
		err = certificate_make(order, by ? &by->certificate : NULL, key, &c, why);
	if (err)
		return err;
	err = record(i, kind, order->now, &c, why);
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

int issuer_device(struct issuer *i, const struct device_order *order, struct issue_time now,
		  struct certificate *out, struct why *why)
{
	int err = judge_device(i, order, why);
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
	return make(i, &wanted, &i->issuing, i->issuing.key, JOURNAL_DEVICE, out, why);
}

int issuer_server(struct issuer *i, const struct key *key, const char *common_name,
		  const struct san_set *names, struct issue_time now, struct certificate *out,
		  struct why *why)
{
	const size_t n = strlen(common_name);
	const struct certificate_order wanted = {
		.profile = PROFILE_SERVER,
		.spki = key_spki(key),
		.common_name = n >= 1 && n <= COMMON_NAME_MAX ? common_name : "Gatehouse",
		.names = names,
		.now = now.wall,
	};
	return make(i, &wanted, &i->issuing, i->issuing.key, JOURNAL_SERVER, out, why);
}

int issuer_commit(struct issuer *i, struct why *why)
{
	return journal_sync(i->journal, why);
}

const struct certificate *issuer_root(const struct issuer *i)
{
	return &i->root.certificate;
}

const struct certificate *issuer_issuing(const struct issuer *i)
{
	return &i->issuing.certificate;
}

bool issuer_is_new(const struct issuer *i)
{
	return i->is_new;
}

const struct journal_report *issuer_journal(const struct issuer *i)
{
	return &i->report;
}

bool issuer_owns(const struct issuer *i, struct str spki)
{
	return str_eq(spki, key_spki(i->root.key)) || str_eq(spki, key_spki(i->issuing.key));
}

/* ---- opening ----------------------------------------------------------------------------------
 */

/* 0; ERR_NOT_FOUND when there is no certificate yet. */
static int load_certificate(struct keystore *ks, enum key_slot slot, struct authority *a,
			    struct why *why)
{
	AUTO_BUF der = {0};
	const char *name = key_slot_info(slot)->name;
	int err = keystore_load_certificate(ks, slot, &der, why);
	if (!err)
		err = profile_read(buf_view(&der), name, &a->certificate, why);
	if (err)
		return err;
	if (!str_eq(certificate_spki(&a->certificate), key_spki(a->key)))
		return why_set(why, ERR_CRYPTO,
			       "%s/%s.crt does not belong to %s.key; restore both from one backup",
			       keystore_path(ks), name, name);
	return 0;
}

/* "Gatehouse CA 3f9a01": the digits tell the authorities of two gateways apart. */
static char *authority_name(const char *title, struct str spki)
{
	uint8_t digest[FINGERPRINT_LEN];
	char hex[7];
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, spki.p, spki.n, digest) == 0);
	hex_encode(digest, 3, hex);
	return mem_printf("%s %s", title, hex);
}

static int make_authority(struct issuer *i, enum key_slot slot, struct authority *a, int64_t now,
			  struct why *why)
{
	const bool root = slot == SLOT_ROOT;
	AUTO_CHAR name =
		authority_name(root ? "Gatehouse CA" : "Gatehouse Issuing CA", key_spki(a->key));
	const struct certificate_order order = {
		.profile = root ? PROFILE_ROOT : PROFILE_ISSUING,
		.spki = key_spki(a->key),
		.common_name = name,
		.now = now,
	};
	int err = make(i, &order, root ? NULL : &i->root, i->root.key,
		       root ? JOURNAL_ROOT : JOURNAL_ISSUING, &a->certificate, why);
	if (!err)
		err = journal_sync(i->journal, why);
	if (!err)
		err = keystore_save_certificate(i->ks, slot, buf_view(&a->certificate.der), why);
	if (!err)
		log_notice("made the certificate authority \"%s\"", name);
	return err;
}

static void note(struct authority *a, const struct journal_entry *entry)
{
	if (str_eq(entry->der, buf_view(&a->certificate.der)))
		a->journalled = true;
}

/* Sees every entry of the journal while it is verified. */
static void see_entry(void *arg, const struct journal_entry *entry)
{
	struct issuer *i = arg;
	if (entry->kind == JOURNAL_ROOT)
		note(&i->root, entry);
	if (entry->kind == JOURNAL_ISSUING)
		note(&i->issuing, entry);
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
static int adopt(struct issuer *i, enum key_slot slot, struct authority *a, int64_t now,
		 bool new_journal, struct why *why)
{
	if (a->journalled)
		return 0;
	const char *name = key_slot_info(slot)->name;
	if (!new_journal)
		return why_set(why, ERR_CRYPTO,
			       "%s/journal does not know %s.crt: they are of different backups; "
			       "restore the whole directory from one",
			       keystore_path(i->ks), name);
	log_warning("a new journal begins: what was issued before with %s.crt is not in it", name);
	return record(i, slot == SLOT_ROOT ? JOURNAL_ROOT : JOURNAL_ISSUING, now, &a->certificate,
		      why);
}

static int complete(struct issuer *i, enum key_slot slot, struct authority *a, bool there,
		    bool new_journal, int64_t now, struct why *why)
{
	if (there)
		return adopt(i, slot, a, now, new_journal, why);
	/* A second one would be worth nothing to the devices that trust the first. */
	if (slot == SLOT_ROOT && i->issued)
		return why_set(
			why, ERR_NOT_FOUND,
			"%s/%s.crt is missing though certificates were issued with it: restore "
			"the whole directory from one backup, or move it away to begin a new "
			"authority, which no device knows",
			keystore_path(i->ks), key_slot_info(slot)->name);
	return make_authority(i, slot, a, now, why);
}

static int load_authority(struct issuer *i, enum key_slot slot, struct authority *a, bool *there,
			  struct why *why)
{
	int err = keystore_need_key(i->ks, slot, &a->key, why);
	if (err)
		return err;
	err = load_certificate(i->ks, slot, a, why);
	*there = err == 0;
	return err == ERR_NOT_FOUND ? 0 : err;
}

static int open_all(struct issuer *i, struct issue_time now, struct why *why)
{
	bool root = false;
	bool issuing = false;
	int err = load_authority(i, SLOT_ROOT, &i->root, &root, why);
	if (!err)
		err = load_authority(i, SLOT_ISSUING, &i->issuing, &issuing, why);
	if (!err)
		err = open_journal(i, !root, why);
	if (err)
		return err;
	i->is_new = !root;
	if (!root)
		err = check_clock(i, now.wall, why);
	const bool new_journal = journal_entries(i->journal) == 0;
	if (!err)
		err = complete(i, SLOT_ROOT, &i->root, root, new_journal, now.wall, why);
	if (!err)
		err = complete(i, SLOT_ISSUING, &i->issuing, issuing, new_journal, now.wall, why);
	return err || !new_journal ? err : journal_sync(i->journal, why);
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

static void authority_fini(struct authority *a)
{
	if (a->key)
		key_unref(a->key);
	certificate_fini(&a->certificate);
}

void issuer_free(struct issuer *i)
{
	authority_fini(&i->root);
	authority_fini(&i->issuing);
	if (i->journal)
		journal_free(i->journal);
	free(i);
}
