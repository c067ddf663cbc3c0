/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates: revocation, and its reversible kind, the hold. See op_cert.h. The answer waits
 * until the broker has closed the sessions (change.h).
 */
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "db/op_cert.h"
#include "db/op_cert_find.h"
#include "db/registry.h"

#include <stdlib.h>

enum { FINGERPRINT = 32 };

/* What revoking needs to know of one certificate. */
struct target {
	int64_t id;
	int64_t device_id;
	char device[NAME_SIZE];
	unsigned char fp[FINGERPRINT];
	int status; /* enum cert_status */
	bool server;
	int64_t revoked_at;
	struct buf serial;
};

static void block_key(struct op_call *c, const struct target *t)
{
	SQL_RUN(c->s->registry,
		"INSERT INTO blocked_key SELECT spki, 'key-compromise', ? FROM cert WHERE id = ? "
		"ON CONFLICT DO NOTHING",
		sql_int(timefloor_now(&c->s->floor)), sql_int(t->id));
}

static void raise_event(struct op_call *c, const struct target *t, enum event event,
			const char *why)
{
	AUTO_BUF detail = {0};
	rec_bytes(&detail, "fingerprint", str_make(t->fp, FINGERPRINT));
	rec_bytes(&detail, "serial", buf_view(&t->serial));
	if (why)
		rec_text(&detail, "why", why);
	change_event(c, event, t->device_id, str_of(t->device), buf_view(&detail));
}

/* The new state of a certificate: its row, its entry, its revision. reason below 0: none, good. */
static void set_status(struct op_call *c, const struct target *t, enum cert_status status,
		       int reason)
{
	struct sql *db = c->s->registry;
	char hex[2 * FINGERPRINT + 1];
	AUTO_BUF before = {0};
	AUTO_BUF after = {0};
	cert_put(c->s, t->id, &before);
	SQL_RUN(db,
		"UPDATE cert SET status = ?4, reason = CASE WHEN ?1 >= 0 THEN ?1 END, "
		"revoked_at = CASE WHEN ?1 >= 0 THEN coalesce(revoked_at, ?2) END WHERE id = ?3",
		sql_int(reason), sql_int(timefloor_now(&c->s->floor)), sql_int(t->id),
		sql_int(status));
	if (reason == REASON_KEY_COMPROMISE)
		block_key(c, t);
	cert_put(c->s, t->id, &after);
	registry_put_cert(db, t->id, &c->change.entries);
	hex_encode(t->fp, FINGERPRINT, hex);
	change_revision(c, "cert", str_of(hex), buf_view(&before), buf_view(&after));
}

static void revoke(struct op_call *c, const struct target *t, int reason)
{
	set_status(c, t, CERT_REVOKED, reason);
	raise_event(c, t, EVENT_CERTIFICATE_REVOKED, cert_reason_word(reason));
}

static bool read_target(struct store *s, int64_t id, struct target *t)
{
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT device_id, fp, status, revoked_at, serial, profile "
				 "FROM cert WHERE id = ?",
				 sql_int(id));
	*t = (struct target){.id = id};
	if (!sql_next(&q))
		return false;
	const struct str fp = sql_at_str(&q, 1);
	t->device_id = sql_at_int(&q, 0);
	memcpy(t->fp, fp.p, MIN(fp.n, (size_t)FINGERPRINT));
	t->status = (int)sql_at_int(&q, 2);
	t->revoked_at = sql_at_int(&q, 3);
	buf_str(&t->serial, sql_at_str(&q, 4));
	t->server = str_is(sql_at_str(&q, 5), "server");
	registry_device_name(s->registry, t->device_id, t->device);
	return true;
}

static void revoke_id(struct op_call *c, int64_t id, int reason)
{
	struct target t;
	if (read_target(c->s, id, &t))
		revoke(c, &t, reason);
	buf_fini(&t.serial);
}

/* The identifiers first: a statement that walks a table while it changes is hard to trust. */
static size_t unrevoked_of(struct store *s, int64_t device_id, struct buf *ids)
{
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT id FROM cert WHERE device_id = ? AND status <> 1 "
				 "ORDER BY id",
				 sql_int(device_id));
	size_t n = 0;
	for (; sql_next(&q); n++) {
		const int64_t id = sql_at_int(&q, 0);
		buf_put(ids, &id, sizeof(id));
	}
	return n;
}

static int64_t id_at(const struct buf *ids, size_t i)
{
	int64_t id;
	memcpy(&id, ids->p + i * sizeof(id), sizeof(id));
	return id;
}

int64_t cert_revoke_all(struct op_call *c, int64_t device_id, int reason)
{
	AUTO_BUF ids = {0};
	const size_t n = unrevoked_of(c->s, device_id, &ids);
	for (size_t i = 0; i < n; i++)
		revoke_id(c, id_at(&ids, i), reason);
	return (int64_t)n;
}

static void put_revoked(struct op_call *c, const struct buf *ids, size_t n)
{
	rec_list(&c->result, "items");
	for (size_t i = 0; i < n; i++) {
		rec_object(&c->result, "");
		cert_put(c->s, id_at(ids, i), &c->result);
		rec_end(&c->result);
	}
	rec_end(&c->result);
}

static void revoke_of_device(struct op_call *c, struct str device, int reason)
{
	AUTO_BUF ids = {0};
	int64_t device_id;
	if (!op_find_device(c, "device", device, &device_id))
		return;
	const size_t n = unrevoked_of(c->s, device_id, &ids);
	if (n == 0) {
		op_refuse(c, OP_NOT_FOUND, "device",
			  "device \"%.*s\" has no certificate that is not revoked already",
			  STR_ARG(device));
		return;
	}
	change_begin(c);
	cert_revoke_all(c, device_id, reason);
	put_revoked(c, &ids, n);
	change_commit(c);
}

/* May this one be revoked? A second time only to say that its key was compromised after all. */
static bool check_target(struct op_call *c, const struct target *t, int reason)
{
	char time[CLOCK_TEXT];
	if (t->server) {
		op_refuse(
			c, OP_REFUSED, "id",
			"this is a certificate of the gateway itself: it is replaced by the vault, "
			"not revoked");
		return false;
	}
	if (t->status != CERT_REVOKED || reason == REASON_KEY_COMPROMISE)
		return true;
	op_refuse(c, OP_CONFLICT, "id", "it was revoked at %s already",
		  clock_format(t->revoked_at, time));
	return false;
}

static void revoke_one(struct op_call *c, struct str text, int reason)
{
	AUTO_BUF ids = {0};
	struct target t;
	int64_t id;
	if (!cert_find(c, text, &id))
		return;
	const bool found = read_target(c->s, id, &t);
	buf_fini(&t.serial);
	CHECK(found);
	if (!check_target(c, &t, reason))
		return;
	buf_put(&ids, &id, sizeof(id));
	change_begin(c);
	revoke_id(c, id, reason);
	put_revoked(c, &ids, 1);
	change_commit(c);
}

void op_cert_revoke(struct op_call *c)
{
	struct str id;
	struct str device;
	int reason;
	const bool by_id = op_str(c, "id", &id);
	const bool by_device = op_str(c, "device", &device);
	if (!cert_reason(c, &reason))
		return;
	if (by_id == by_device)
		op_refuse(c, OP_INVALID, by_id ? "device" : "id",
			  "give either id (fingerprint or serial number) or device, not %s",
			  by_id ? "both" : "neither");
	else if (by_id)
		revoke_one(c, id, reason);
	else
		revoke_of_device(c, device, reason);
}

/* ---- hold and release ---- */

static const char *status_word(int status)
{
	static const char *const word[] = {
		[CERT_GOOD] = "good",
		[CERT_REVOKED] = "revoked for good",
		[CERT_HOLD] = "on hold",
		[CERT_SUPERSEDED] = "superseded",
		[CERT_PENDING] = "not yet in use",
	};
	return status >= 0 && status < (int)ARRAY_LEN(word) ? word[status] : "unknown";
}

/* From one state to the other: anything else is a conflict that names the state it is in. */
static void move(struct op_call *c, enum cert_status from, enum cert_status to, enum event event)
{
	struct str text;
	struct target t;
	int64_t id;
	op_str(c, "id", &text);
	if (!cert_find(c, text, &id))
		return;
	const bool found = read_target(c->s, id, &t);
	CHECK(found);
	if (t.server) {
		op_refuse(c, OP_REFUSED, "id", "this is a certificate of the gateway itself");
	} else if (t.status != (int)from) {
		op_refuse(c, OP_CONFLICT, "id", "it is %s; %s needs one that is %s",
			  status_word(t.status), to == CERT_HOLD ? "hold" : "release",
			  status_word(from));
	} else {
		change_begin(c);
		set_status(c, &t, to, to == CERT_HOLD ? REASON_HOLD : -1);
		raise_event(c, &t, event, NULL);
		cert_put(c->s, id, &c->result);
		change_commit(c);
	}
	buf_fini(&t.serial);
}

void op_cert_hold(struct op_call *c)
{
	move(c, CERT_GOOD, CERT_HOLD, EVENT_CERTIFICATE_HELD);
}

void op_cert_release(struct op_call *c)
{
	move(c, CERT_HOLD, CERT_GOOD, EVENT_CERTIFICATE_RELEASED);
}
