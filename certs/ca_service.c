/* SPDX-License-Identifier: Apache-2.0
 *
 * The authority for the store: see ca_service.h.
 */
#include "certs/ca_service.h"
#include "certs/issue_service.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <gnutls/crypto.h>

static struct issue_time now(void)
{
	return (struct issue_time){clock_wall(), clock_mono_ms()};
}

/* ---- CA_GET -----------------------------------------------------------------------------------
 */

/* Those that are over, but for the last few, were told long ago: the list has room for so many. */
enum { TOLD_MAX = 6 };

struct told {
	unsigned newest;
	struct buf *list;
};

static void find_newest(void *arg, const struct authority *a)
{
	unsigned *newest = arg;
	*newest = MAX(*newest, a->generation);
}

static void put_authority(void *arg, const struct authority *a)
{
	const struct told *told = arg;
	struct buf *list = told->list;
	const bool over = a->state == CA_RETIRED || a->state == CA_COMPROMISED;
	if (over && a->generation + TOLD_MAX <= told->newest)
		return;
	const struct body_ca_cert b = {
		.kind = (uint8_t)a->kind,
		.state = (uint8_t)a->state,
		.generation = a->generation,
		.key = (uint8_t)a->key,
		.name = str_of(a->name),
		.der = a->der,
	};
	ENTRIES_PUT(list, ca_cert, &b);
}

static void put_all(struct ca_service *s, struct buf *list)
{
	struct told told = {0, list};
	succession_each(s->issuer, find_newest, &told.newest);
	succession_each(s->issuer, put_authority, &told);
	for (enum key_slot slot = SLOT_SERVER; slot < SLOT_COUNT; slot++) {
		AUTO_BUF der = {0};
		if (servers_certificate(s->servers, slot, &der))
			continue;
		const struct body_ca_cert b = {
			.kind = CA_SERVER,
			.state = CA_ACTIVE,
			.key = CA_KEY_HERE,
			.name = str_of(key_slot_info(slot)->name),
			.der = buf_view(&der),
		};
		ENTRIES_PUT(list, ca_cert, &b);
	}
}

int ca_service_get(struct ca_service *s, struct link *l, struct record *r)
{
	AUTO_BUF list = {0};
	put_all(s, &list);
	const struct body_ca_get_done done = {buf_view(&list)};
	LINK_SEND(l, CA_GET_DONE, ca_get_done, r->id, -1, &done);
	return 0;
}

/* ---- CA_CHANGE --------------------------------------------------------------------------------
 */

static int change(struct ca_service *s, const struct body_ca_change *b, struct buf *csr,
		  struct why *why)
{
	struct issuer *i = s->issuer;
	switch ((enum ca_change)b->what) {
	case CA_LOCK:
		return succession_lock(i, b->passphrase, why);
	case CA_UNLOCK:
		return succession_unlock(i, b->passphrase, why);
	case CA_FORGET_ROOT:
		return succession_forget_root(i, b->fingerprint, why);
	case CA_START:
		return succession_start(i, b->p384 ? KEY_P384 : KEY_P256, now(), why);
	case CA_REQUEST:
		return succession_request(i, csr, why);
	case CA_IMPORT:
		return succession_import(i, b->certificates, now(), why);
	case CA_TAKE_CROSS:
		return succession_cross(i, b->certificates, now(), why);
	case CA_SWITCH:
		return succession_switch(i, b->force, why);
	case CA_FINISH:
		return succession_finish(i, why);
	case CA_ABORT:
		return succession_abort(i, why);
	case CA_COMPROMISE:
		return succession_compromise(i, b->fingerprint, now(), why);
	}
	return ERR_INVALID;
}

int ca_service_change(struct ca_service *s, struct link *l, struct record *r)
{
	struct body_ca_change b;
	if (body_ca_change_get(r->body, &b) || b.what > CA_COMPROMISE)
		return ERR_MALFORMED;
	struct why why = {""};
	AUTO_BUF csr = {0};
	AUTO_BUF list = {0};
	const int err = change(s, &b, &csr, &why);
	if (!err) {
		s->changed(s);
		put_all(s, &list);
	}
	const struct body_ca_change_done done = {
		.status = (uint8_t)issue_service_status(err),
		.why = str_of(why.text),
		.csr = buf_view(&csr),
		.certificates = buf_view(&list),
	};
	LINK_SEND(l, CA_CHANGE_DONE, ca_change_done, r->id, -1, &done);
	return 0;
}

/* ---- CA_CHECK ---------------------------------------------------------------------------------
 */

struct check {
	const struct issuer *issuer;
	struct buf entries;
};

static void check_entry(void *arg, const struct journal_entry *entry)
{
	struct check *c = arg;
	unsigned char fp[FINGERPRINT_LEN];
	struct why why = {""};
	bool known = true;
	CHECK(gnutls_hash_fast(GNUTLS_DIG_SHA256, entry->der.p, entry->der.n, fp) == 0);
	const int err = issuer_judge(c->issuer, entry, &known, &why);
	if (!known)
		return;
	const struct body_journal_entry b = {
		.authority = entry->kind != JOURNAL_DEVICE && entry->kind != JOURNAL_SERVER,
		.sequence = entry->sequence,
		.fingerprint = str_make(fp, sizeof(fp)),
		.fault = str_of(err ? why.text : ""),
	};
	ENTRIES_PUT(&c->entries, journal_entry, &b);
}

int ca_service_check(struct ca_service *s, struct link *l, struct record *r)
{
	struct body_ca_check b;
	struct journal_place at = journal_beginning();
	if (body_ca_check_get(r->body, &b) || (b.chain.n && b.chain.n != sizeof(at.chain)))
		return ERR_MALFORMED;
	if (b.chain.n) {
		at.size = b.offset;
		at.sequence = b.sequence;
		memcpy(at.chain, b.chain.p, sizeof(at.chain));
	}
	struct check check = {.issuer = s->issuer};
	struct why why = {""};
	bool end = false;
	const int err = issuer_walk(s->issuer, &at, CA_CHECK_PART, check_entry, &check, &end, &why);
	const struct body_ca_check_done done = {
		.status = (uint8_t)issue_service_status(err),
		.why = str_of(why.text),
		.end = end,
		.offset = at.size,
		.sequence = at.sequence,
		.chain = str_make(at.chain, sizeof(at.chain)),
		.entries = buf_view(&check.entries),
	};
	LINK_SEND(l, CA_CHECK_DONE, ca_check_done, r->id, -1, &done);
	buf_fini(&check.entries);
	return 0;
}
