/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate authority: see op_ca.h.
 */
#include "db/op_ca.h"
#include "certs/key.h"
#include "certs/pem.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/authorities.h"
#include "db/hash.h"
#include "db/op_cert.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	CA_CHANGE_MS = 9000,
	CERTIFICATES_MAX = 32 * KiB,
	LOCK_VALID = 30 * 24 * 3600, /* of lists and staples that are made for a lock */
};

/* ---- show ---- */

static void put_authority(struct store *s, const struct sql_query *q, struct buf *out)
{
	AUTO_BUF pem = {0};
	int64_t issued = 0;
	SQL_GET_INT(
		s->registry, &issued,
		"SELECT count(*) FROM cert WHERE ca_id = ? AND status = 0 AND not_after > ? AND "
		"profile = 'device'",
		sql_int(sql_at_int(q, 8)), sql_int(timefloor_now(&s->floor)));
	certificate_pem(sql_at_str(q, 7), &pem);
	rec_object(out, "");
	rec_str(out, "name", sql_at_str(q, 0));
	rec_int(out, "generation", sql_at_int(q, 9));
	rec_str(out, "kind", sql_at_str(q, 1));
	rec_str(out, "subject", sql_at_str(q, 2));
	rec_str(out, "state", sql_at_str(q, 3));
	rec_str(out, "key", sql_at_str(q, 10));
	rec_bytes(out, "fingerprint", sql_at_str(q, 4));
	op_put_time(out, "not_before", sql_at_int(q, 5));
	op_put_time(out, "not_after", sql_at_int(q, 6));
	rec_int(out, "certificates", issued);
	rec_str(out, "pem", buf_view(&pem));
	rec_end(out);
}

static bool there_is(struct store *s, const char *state)
{
	int64_t unused;
	return SQL_GET_INT(s->registry, &unused,
			   "SELECT 1 FROM ca WHERE kind = 'root' AND state = ?", sql_text(state));
}

#define HOLDERS(state)                                                                    \
	"SELECT device_id FROM ca CROSS JOIN cert ON ca_id = ca.id WHERE state = '" state \
	"' AND status = 0 AND cert.not_after > ?1 AND profile = 'device' "                \
	"AND device_id IS NOT NULL"

/* Devices that would not be let in once the authority that retires is retired. CROSS JOIN: the few
 * authorities first. */
static int64_t count_left(struct store *s)
{
	int64_t n = 0;
	SQL_GET_INT(s->registry, &n,
		    "SELECT count(*) FROM (" HOLDERS("retiring") " EXCEPT " HOLDERS("active") ")",
		    sql_int(timefloor_now(&s->floor)));
	return n;
}

/* Devices that log in with a password: nobody knows which root they trust. */
static int64_t count_unknown(struct store *s)
{
	int64_t n = 0;
	SQL_GET_INT(s->registry, &n,
		    "SELECT count(*) FROM device WHERE enabled AND verifier IS NOT NULL");
	return n;
}

static void put_show(struct store *s, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(
		s->registry, "SELECT name, kind, subject, state, fp, not_before, not_after, der, "
			     "id, generation, key FROM ca ORDER BY id");
	rec_list(out, "authorities");
	while (sql_next(&q))
		put_authority(s, &q, out);
	rec_end(out);
	rec_bool(out, "locked", authorities_locked(s));
	op_put_time(out, "lists_until", lists_until(s));
	op_put_time(out, "staples_until", s->staples.until);
	rec_text(out, "rollover",
		 there_is(s, "next") ? "next" : (there_is(s, "retiring") ? "retiring" : "none"));
	rec_int(out, "devices_left", count_left(s));
	rec_int(out, "devices_unknown", count_unknown(s));
	cert_put_servers(s, out);
}

void op_ca_show(struct op_call *c)
{
	put_show(c->s, &c->result);
	op_done(c);
}

/* ---- changes ---- */

static void commit(struct op_call *c, const struct body_ca_change_done *done)
{
	struct store *s = c->s;
	AUTO_BUF detail = {0};
	struct str step;
	change_begin(c);
	if (authorities_take(s, done->certificates, &c->change.entries)) {
		op_refuse(c, OP_FAILED, NULL, "the vault answered what cannot be read");
		return;
	}
	rec_text(&detail, "operation", op_spec(c->op)->name);
	if (op_str(c, "step", &step))
		rec_str(&detail, "step", step);
	change_event(c, c->op == OP_CA_COMPROMISE ? EVENT_CA_COMPROMISED : EVENT_CA_CHANGED, 0,
		     STR(""), buf_view(&detail));
	if (c->op == OP_CA_CSR)
		rec_str(&c->result, "csr", done->csr);
	put_show(s, &c->result);
	const bool unlocked = c->op == OP_CA_UNLOCK;
	if (change_commit(c))
		return;
	authorities_changed(s);
	if (unlocked)
		staples_make(s);
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_ca_change_done done;
	if (err || body_ca_change_done_get(reply->body, &done)) {
		op_refuse(c, OP_UNAVAILABLE, NULL,
			  "the vault does not answer: ca show tells whether it was done");
		return;
	}
	if (done.status == OP_OK)
		commit(c, &done);
	else
		op_refuse(c, done.status <= OP_LOCKED ? done.status : OP_FAILED, NULL, "%.*s",
			  STR_ARG(done.why));
}

static bool may_change(struct op_call *c)
{
	if (c->peer == PROCESS_CTL)
		return true;
	op_refuse(c, OP_DENIED, NULL,
		  "the authority is changed on the gateway itself: run gatehouse there");
	return false;
}

static void ask_vault(struct op_call *c, const struct body_ca_change *body)
{
	struct link *vault = c->s->peer[PROCESS_VAULT].link;
	if (!may_change(c))
		return;
	if (!vault) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the vault is away: try again");
		return;
	}
	LINK_ASK(vault, &c->ask, CA_CHANGE, ca_change, -1, body, CA_CHANGE_MS, answered);
}

static void ask_with_passphrase(struct op_call *c, enum ca_change what)
{
	struct body_ca_change body = {.what = (uint8_t)what};
	op_str(c, "passphrase", &body.passphrase);
	ask_vault(c, &body);
}

/* Nothing can be signed while the lock is on: lists and staples are made for its time first. */
static void stapled(void *arg, const char *failed)
{
	struct op_call *c = arg;
	if (failed)
		op_refuse(c, OP_UNAVAILABLE, NULL, "not locked: %s", failed);
	else
		ask_with_passphrase(c, CA_LOCK);
}

static void listed(void *arg, const char *failed)
{
	struct op_call *c = arg;
	if (failed)
		op_refuse(c, OP_UNAVAILABLE, NULL, "not locked: no revocation lists: %s", failed);
	else if (!staples_fresh(c->s, LOCK_VALID, stapled, c))
		op_refuse(c, OP_CONFLICT, NULL, "the authority is being locked already");
}

/* Of the call whose state it is; nobody else can have begun meanwhile. */
static void forget_lock(void *state)
{
	struct store *s = state;
	lists_fresh_forget(s);
	staples_fresh_forget(s);
}

/* Until it is answered, the vault's part included. */
static bool is_being_locked(const struct store *s)
{
	list_each (it, &s->calls)
		if (list_entry(it, struct op_call, node)->state_free == forget_lock)
			return true;
	return false;
}

void op_ca_lock(struct op_call *c)
{
	struct str passphrase = {NULL, 0};
	op_str(c, "passphrase", &passphrase);
	if (!may_change(c))
		return;
	if (passphrase.n < PASSPHRASE_MIN) {
		op_refuse(c, OP_INVALID, "passphrase",
			  "the passphrase has %zu bytes; %d to %d are allowed", passphrase.n,
			  PASSPHRASE_MIN, PASSPHRASE_MAX);
		return;
	}
	if (authorities_locked(c->s)) {
		op_refuse(c, OP_CONFLICT, NULL, "the authority is locked already");
		return;
	}
	if (is_being_locked(c->s) || !lists_fresh(c->s, LOCK_VALID, listed, c)) {
		op_refuse(c, OP_CONFLICT, NULL, "the authority is being locked already");
		return;
	}
	c->state = c->s;
	c->state_free = forget_lock;
}

void op_ca_unlock(struct op_call *c)
{
	ask_with_passphrase(c, CA_UNLOCK);
}

static void ask_about_root(struct op_call *c, enum ca_change what)
{
	unsigned char fp[SHA256_SIZE];
	struct str hex;
	op_str(c, "fingerprint", &hex);
	if (hex_decode(hex, fp, sizeof(fp))) {
		op_refuse(c, OP_INVALID, "fingerprint",
			  "fingerprint must be 64 hexadecimal digits, as ca show says them");
		return;
	}
	const struct body_ca_change body = {.what = (uint8_t)what,
					    .fingerprint = str_make(fp, sizeof(fp))};
	ask_vault(c, &body);
}

void op_ca_forget_root(struct op_call *c)
{
	ask_about_root(c, CA_FORGET_ROOT);
}

void op_ca_compromise(struct op_call *c)
{
	ask_about_root(c, CA_COMPROMISE);
}

void op_ca_csr(struct op_call *c)
{
	const struct body_ca_change body = {.what = CA_REQUEST};
	ask_vault(c, &body);
}

void op_ca_rollover(struct op_call *c)
{
	static const struct {
		const char *word;
		enum ca_change what;
	} steps[] = {{"start", CA_START},
		     {"switch", CA_SWITCH},
		     {"finish", CA_FINISH},
		     {"abort", CA_ABORT}};
	struct body_ca_change body = {0};
	struct str step;
	bool force = false;
	op_str(c, "step", &step);
	op_bool(c, "force", &force);
	size_t i = 0;
	while (i < ARRAY_LEN(steps) && !str_is(step, steps[i].word))
		i++;
	if (i == ARRAY_LEN(steps)) {
		op_refuse(c, OP_INVALID, "step",
			  "step is \"%.*s\"; allowed are start, switch, finish, abort",
			  STR_ARG(step));
		return;
	}
	struct str curve = op_text(c, "root", "P-256");
	if (!str_is(curve, "P-256") && !str_is(curve, "P-384")) {
		op_refuse(c, OP_INVALID, "root", "root is \"%.*s\"; allowed are P-256 and P-384",
			  STR_ARG(curve));
		return;
	}
	const int64_t left = steps[i].what == CA_FINISH ? count_left(c->s) : 0;
	if (left && !force) {
		op_refuse(c, OP_CONFLICT, NULL,
			  "%lld %s no certificate of the new authority yet: renew first, or leave "
			  "them behind with --force",
			  (long long)left, left == 1 ? "device has" : "devices have");
		return;
	}
	const int64_t unknown = steps[i].what == CA_FINISH ? count_unknown(c->s) : 0;
	if (unknown && !force) {
		op_refuse(
			c, OP_CONFLICT, NULL,
			"%lld %s with a password, and the gateway cannot know whether they trust "
			"the new root: make sure (it is in EST cacerts and in every bundle), then "
			"--force",
			(long long)unknown, unknown == 1 ? "device logs in" : "devices log in");
		return;
	}
	body.what = (uint8_t)steps[i].what;
	body.force = force;
	body.p384 = str_is(curve, "P-384");
	ask_vault(c, &body);
}

/* PEM to DER, each behind its length. False: refused. */
static bool read_certificates(struct op_call *c, struct buf *list)
{
	struct str text;
	struct str label;
	AUTO_BUF der = {0};
	int err;
	op_str(c, "certificates", &text);
	while ((err = pem_next(&text, &label, &der)) == 0) {
		const uint32_t n = (uint32_t)der.n;
		if (!str_is(label, "CERTIFICATE"))
			continue;
		buf_put(list, &n, sizeof(n));
		buf_str(list, buf_view(&der));
	}
	if (err == ERR_NOT_FOUND && list->n && list->n <= CERTIFICATES_MAX)
		return true;
	op_refuse(c, OP_INVALID, "certificates",
		  "certificates must be PEM, one certificate or more, %d bytes at most",
		  CERTIFICATES_MAX);
	return false;
}

static void ask_with_certificates(struct op_call *c, enum ca_change what)
{
	AUTO_BUF list = {0};
	if (!read_certificates(c, &list))
		return;
	const struct body_ca_change body = {.what = (uint8_t)what, .certificates = buf_view(&list)};
	ask_vault(c, &body);
}

void op_ca_import(struct op_call *c)
{
	ask_with_certificates(c, CA_IMPORT);
}

void op_ca_cross(struct op_call *c)
{
	ask_with_certificates(c, CA_TAKE_CROSS);
}
