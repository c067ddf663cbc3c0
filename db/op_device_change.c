/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices: add and set. See op_device.h. Both may wait, for a password thread and for the vault;
 * what the registry says is looked up again afterwards.
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "db/issue.h"
#include "db/op_device.h"
#include "db/registry.h"
#include "db/scram.h"

#include <stdio.h>
#include <stdlib.h>

struct pending {
	char verifier[VERIFIER_MAX]; /* "" without a password */
	unsigned char scram[SCRAM_RECORD];
	bool has_scram; /* not with an imported hash: they are made at its first login */
	char uuid[UUID_SIZE];
};

static void pending_free(void *p)
{
	secret_wipe(p, sizeof(struct pending));
	free(p);
}

static struct pending *pending_of(struct op_call *c)
{
	if (!c->state) {
		c->state = mem_new(struct pending);
		c->state_free = pending_free;
	}
	return c->state;
}

static struct sql_value scram_of(const struct pending *p)
{
	return p->has_scram ? sql_blob(str_make(p->scram, sizeof(p->scram))) : sql_null();
}

void device_make_uuid(char out[UUID_SIZE])
{
	unsigned char b[16];
	char hex[33];
	secret_random(b, sizeof(b));
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	hex_encode(b, sizeof(b), hex);
	snprintf(out, UUID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
		 hex + 20);
}

/* The argument password-hash. False: refused. */
static bool take_hash(struct op_call *c)
{
	struct str hash;
	struct str password;
	struct why why;
	if (!op_str(c, "password-hash", &hash))
		return true;
	if (op_str(c, "password", &password)) {
		op_refuse(c, OP_INVALID, "password-hash", "give a password or its hash, not both");
		return false;
	}
	if (password_import(hash, pending_of(c)->verifier, &why) == 0)
		return true;
	op_refuse(c, OP_INVALID, "password-hash", "%s", why.text);
	return false;
}

/* ---- add ---- */

static void insert_device(struct op_call *c, const struct body_issue_done *issued)
{
	const struct pending *p = pending_of(c);
	struct sql *db = c->s->registry;
	const int64_t now = timefloor_now(&c->s->floor);
	const struct str name = op_text(c, "name", "");
	AUTO_BUF after = {0};
	if (!device_check_lists(c)) /* a role may have been removed while this waited */
		return;
	change_begin(c);
	const int err = SQL_RUN(
		db,
		"INSERT INTO device(name, uuid, kind, note, verifier, scram, created, created_by, "
		"changed) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
		sql_str(name), sql_text(p->uuid), sql_str(op_text(c, "kind", "device")),
		sql_str(op_text(c, "note", "")),
		p->verifier[0] ? sql_text(p->verifier) : sql_null(), scram_of(p), sql_int(now),
		sql_text(c->actor), sql_int(now));
	const int64_t id = sql_last_id(db);
	if (!err) {
		device_set_lists(c, id);
		registry_put_device(db, id, &c->change.entries);
		device_put(c->s, id, false, &after);
		change_revision(c, "device", name, STR(""), buf_view(&after));
		change_event(c, EVENT_DEVICE_ADDED, id, name, STR(""));
		if (issued)
			issue_store(c, name, id, issued);
		device_put(c->s, id, true, &c->result);
	}
	change_commit(c);
}

static void ask_vault_or_insert(struct op_call *c)
{
	struct str spki;
	if (op_str(c, "spki", &spki))
		issue_ask(c, op_text(c, "name", ""), str_of(pending_of(c)->uuid), insert_device);
	else
		insert_device(c, NULL);
}

static bool keep_verifier(struct op_call *c, const char *verifier, struct str scram)
{
	if (!verifier) {
		op_refuse(c, OP_INVALID, "password",
			  "this password cannot be stored: it holds a zero byte or the machine is "
			  "out of memory");
		return false;
	}
	snprintf(pending_of(c)->verifier, VERIFIER_MAX, "%s", verifier);
	CHECK(scram.n == SCRAM_RECORD);
	memcpy(pending_of(c)->scram, scram.p, scram.n);
	pending_of(c)->has_scram = true;
	return true;
}

static void add_hashed(void *arg, const char *verifier, struct str scram)
{
	struct op_call *c = arg;
	if (keep_verifier(c, verifier, scram))
		ask_vault_or_insert(c);
}

void op_device_add(struct op_call *c)
{
	const struct str name = op_text(c, "name", "");
	struct str password;
	bool has_password;
	int64_t id;
	if (!op_check_name(c, "name", "device", name) || !device_check_lists(c) ||
	    !device_check_password(c, &has_password))
		return;
	if (registry_device(c->s->registry, name, &id) == 0) {
		op_refuse(c, OP_CONFLICT, "name",
			  "there is a device \"%.*s\" already: choose another name, or change it "
			  "with device set",
			  STR_ARG(name));
		return;
	}
	if (!issue_check(c, name, 0))
		return;
	device_make_uuid(pending_of(c)->uuid);
	if (!take_hash(c))
		return;
	if (has_password && op_str(c, "password", &password))
		logins_make(c->s->logins, password, add_hashed, c);
	else
		ask_vault_or_insert(c);
}

/* ---- set ---- */

static const char *const settable[] = {"enabled", "kind",     "groups",       "roles",
				       "note",    "password", "password-hash"};

/* "enabled, groups": the arguments that are there. False when there is none. */
static bool name_changes(const struct op_call *c, struct buf *out)
{
	struct rec_value v;
	for (size_t i = 0; i < ARRAY_LEN(settable); i++) {
		if (!rec_find(buf_view(&c->args), settable[i], &v))
			continue;
		buf_puts(out, out->n ? ", " : "");
		buf_puts(out, settable[i]);
	}
	return out->n > 0;
}

static void update_columns(struct op_call *c, int64_t id)
{
	struct sql *db = c->s->registry;
	const struct pending *p = pending_of(c);
	struct str text;
	bool enabled;
	if (op_bool(c, "enabled", &enabled))
		SQL_RUN(db, "UPDATE device SET enabled = ? WHERE id = ?", sql_int(enabled),
			sql_int(id));
	if (op_str(c, "kind", &text))
		SQL_RUN(db, "UPDATE device SET kind = ? WHERE id = ?", sql_str(text), sql_int(id));
	if (op_str(c, "note", &text))
		SQL_RUN(db, "UPDATE device SET note = ? WHERE id = ?", sql_str(text), sql_int(id));
	if (op_str(c, "password", &text) || op_str(c, "password-hash", &text))
		SQL_RUN(db, "UPDATE device SET verifier = ?, scram = ? WHERE id = ?",
			p->verifier[0] ? sql_text(p->verifier) : sql_null(), scram_of(p),
			sql_int(id));
	SQL_RUN(db, "UPDATE device SET changed = ? WHERE id = ?",
		sql_int(timefloor_now(&c->s->floor)), sql_int(id));
}

static void update_device(struct op_call *c)
{
	const struct str name = op_text(c, "name", "");
	AUTO_BUF before = {0};
	AUTO_BUF after = {0};
	AUTO_BUF detail = {0};
	AUTO_BUF changes = {0};
	int64_t id;
	if (!op_find_device(c, "name", name, &id) || !device_check_lists(c) ||
	    !change_is_current(c, "device", name))
		return;
	name_changes(c, &changes);
	rec_str(&detail, "fields", buf_view(&changes));
	device_put(c->s, id, false, &before);
	change_begin(c);
	update_columns(c, id);
	device_set_lists(c, id);
	device_put(c->s, id, false, &after);
	registry_put_device(c->s->registry, id, &c->change.entries);
	change_revision(c, "device", name, buf_view(&before), buf_view(&after));
	change_event(c, EVENT_DEVICE_CHANGED, id, name, buf_view(&detail));
	device_put(c->s, id, true, &c->result);
	change_commit(c);
}

static void set_hashed(void *arg, const char *verifier, struct str scram)
{
	struct op_call *c = arg;
	if (keep_verifier(c, verifier, scram))
		update_device(c);
}

void op_device_set(struct op_call *c)
{
	AUTO_BUF changes = {0};
	struct str password;
	bool has_password;
	int64_t id;
	if (!op_find_device(c, "name", op_text(c, "name", ""), &id) || !device_check_lists(c) ||
	    !device_check_password(c, &has_password))
		return;
	if (!take_hash(c))
		return;
	if (!name_changes(c, &changes)) {
		op_refuse(c, OP_INVALID, NULL,
			  "nothing to change: give enabled, kind, groups, roles, note or password");
		return;
	}
	if (has_password && op_str(c, "password", &password))
		logins_make(c->s->logins, password, set_hashed, c);
	else
		update_device(c);
}
