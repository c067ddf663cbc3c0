/* SPDX-License-Identifier: Apache-2.0
 *
 * security.check, security.mute, security.unmute. Main thread of the store. The findings are made
 * by security.h from what the store has and the settings, which are the parent's.
 *
 * security.mute, security.unmute   id str
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "db/ops.h"
#include "db/security.h"
#include "db/settings.h"

/* With so many devices a check takes long enough for others to notice: then an answer counts for a
 * while, unless somebody changed something. */
enum { MANY = 10000, COUNTS_MS = 60000 };

static int64_t last_change(struct store *s)
{
	int64_t id = 0;
	SQL_GET_INT(s->registry, &id, "SELECT coalesce(max(id), 0) FROM audit");
	return id;
}

static bool still_counts(const struct store *s, const struct security *k, int64_t change)
{
	int64_t many = 0;
	SQL_GET_INT(s->registry, &many, "SELECT EXISTS(SELECT 1 FROM device LIMIT 1 OFFSET ?)",
		    sql_int(MANY));
	return many && k->result.n && k->change == change && clock_mono_ms() - k->at_ms < COUNTS_MS;
}

static void answer(struct op_call *c, struct str settings)
{
	const bool names = c->level == ADMIN;
	struct security *k = &c->s->security[names];
	const int64_t change = last_change(c->s);
	if (!still_counts(c->s, k, change)) {
		buf_fini(&k->result);
		security_check(c->s, settings, names, &k->result);
		k->at_ms = clock_mono_ms();
		k->change = change;
	}
	buf_str(&c->result, buf_view(&k->result));
	op_done(c);
}

static void checked(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_setting_done done;
	struct rec_value items;
	AUTO_BUF rec = {0};
	if (err || body_setting_done_get(reply->body, &done) || done.status != OP_OK ||
	    reply->fd < 0 || memfd_read(reply->fd, SETTINGS_MAX, &rec) ||
	    !rec_valid(buf_view(&rec)) || !rec_find(buf_view(&rec), "items", &items) ||
	    items.kind != REC_LIST) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the parent process does not answer: try again");
		return;
	}
	answer(c, items.text);
}

void op_security_check(struct op_call *c)
{
	const struct body_setting_get all = {.key = STR("")};
	if (settings_have_parent(c))
		LINK_ASK(c->s->parent, &c->ask, SETTING_GET, setting_get, -1, &all, OP_PARENT_MS,
			 checked);
}

static bool take_id(struct op_call *c, struct str *id)
{
	op_str(c, "id", id);
	if (security_knows(*id))
		return true;
	op_refuse(c, OP_NOT_FOUND, "id", "the security check has no finding \"%.*s\"",
		  STR_ARG(*id));
	return false;
}

void op_security_mute(struct op_call *c)
{
	struct str id;
	struct str reason = STR("");
	if (!take_id(c, &id))
		return;
	op_str(c, "reason", &reason);
	if (str_trim(reason).n == 0) {
		op_refuse(c, OP_INVALID, "reason",
			  "reason is empty: say why this is no trouble here");
		return;
	}
	change_begin(c);
	SQL_RUN(c->s->registry,
		"INSERT INTO muted VALUES(?, ?, ?, ?) ON CONFLICT(finding) DO UPDATE SET reason = "
		"excluded.reason, at = excluded.at, by = excluded.by",
		sql_str(id), sql_str(reason), sql_int(timefloor_now(&c->s->floor)),
		sql_text(c->actor));
	rec_str(&c->result, "id", id);
	change_commit(c);
}

void op_security_unmute(struct op_call *c)
{
	struct str id;
	if (!take_id(c, &id))
		return;
	change_begin(c);
	SQL_RUN(c->s->registry, "DELETE FROM muted WHERE finding = ?", sql_str(id));
	rec_str(&c->result, "id", id);
	change_commit(c);
}
