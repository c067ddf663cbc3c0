/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings: config.list, config.show, config.set. Main thread of the store. The settings belong to
 * the parent; the store authorises and audits.
 *
 * Fields of a setting, as the parent gives them (ipc/messages.def, SETTING_DONE):
 *   key, section, value, origin, source, text      str
 *   file_only, restart                             bool
 *
 * config.list     items: list of settings in the order of the manual; next: null; held: {token,
 *                 seconds, keys} of a change that waits to be confirmed, or null
 * config.show     a setting
 * config.set      the setting as it is now; key and an empty value when its section is gone with
 * it; with confirm-within also token and confirm_within; warning, where the caller may have cut
 * himself off
 * config.reload   changed, needs_restart: lists of keys
 * config.confirm  kept: bool
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/authorise.h"
#include "db/plan.h"
#include "db/settings.h"

#include <stdio.h>
#include <stdlib.h>

enum { EVENT_VALUE_MAX = 1024 };

/* The answer of the parent. False: the call was refused. */
static bool take_reply(struct op_call *c, int err, struct record *reply, struct buf *rec,
		       struct body_setting_done *done)
{
	if (err || body_setting_done_get(reply->body, done)) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the parent process does not answer: try again");
		return false;
	}
	if (done->status != OP_OK) {
		settings_refuse(c, done);
		return false;
	}
	if (reply->fd >= 0 &&
	    (memfd_read(reply->fd, SETTINGS_MAX, rec) || !rec_valid(buf_view(rec))))
		rec->n = 0;
	return true;
}

/* The first item of {items: [...]} becomes the result. */
static bool put_first(struct op_call *c, struct str rec)
{
	struct rec_value items;
	struct rec_value first;
	if (!rec_find(rec, "items", &items) || items.kind != REC_LIST)
		return false;
	struct cur cur = cur_of(items.text);
	if (!rec_next(&cur, &first) || first.kind != REC_OBJECT)
		return false;
	buf_str(&c->result, first.text);
	return true;
}

static void listed(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	AUTO_BUF rec = {0};
	struct body_setting_done done;
	if (!take_reply(c, err, reply, &rec, &done))
		return;
	buf_str(&c->result, buf_view(&rec));
	rec_null(&c->result, "next");
	op_done(c);
}

static void shown(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	AUTO_BUF rec = {0};
	struct str key;
	struct body_setting_done done;
	if (!take_reply(c, err, reply, &rec, &done))
		return;
	if (put_first(c, buf_view(&rec))) {
		op_done(c);
		return;
	}
	op_str(c, "key", &key);
	op_refuse(c, OP_NOT_FOUND, "key", "there is no setting \"%.*s\"", STR_ARG(key));
}

bool settings_have_parent(struct op_call *c)
{
	/* Before READY the parent takes such questions for those of an intruder. */
	if (c->s->parent && c->s->ready)
		return true;
	op_refuse(c, OP_UNAVAILABLE, NULL,
		  c->s->parent ? "the store is starting: try again in a moment"
			       : "the parent process is away");
	return false;
}

void settings_refuse(struct op_call *c, const struct body_setting_done *done)
{
	const enum op_status status = done->status <= OP_FAILED ? done->status : OP_FAILED;
	const bool one = c->op == OP_CONFIG_SET || c->op == OP_CONFIG_SHOW;
	const char *field = one ? "key" : NULL;
	if (status == OP_CONFLICT)
		field = NULL;
	else if (c->op == OP_CONFIG_SET && status == OP_INVALID)
		field = "value";
	op_refuse(c, status, field, "%.*s", STR_ARG(done->why));
}

static void get(struct op_call *c, void (*done)(struct link_call *, int, struct record *))
{
	struct body_setting_get body = {.key = STR("")};
	op_str(c, "key", &body.key);
	LINK_ASK(c->s->parent, &c->ask, SETTING_GET, setting_get, -1, &body, OP_PARENT_MS, done);
}

void op_config_list(struct op_call *c)
{
	if (settings_have_parent(c))
		get(c, listed);
}

void op_config_show(struct op_call *c)
{
	if (settings_have_parent(c))
		get(c, shown);
}

/* ---- changes ---- */

void settings_put_revisions(struct op_call *c, struct str rec)
{
	struct rec_value items, item, before, after;
	struct str key;
	if (!rec_find(rec, "items", &items))
		return;
	struct cur cur = cur_of(items.text);
	while (rec_next(&cur, &item))
		if (rec_get_str(item.text, "key", &key) && rec_find(item.text, "before", &before) &&
		    rec_find(item.text, "after", &after))
			change_revision(c, "setting", key, before.text, after.text);
}

/* An event has little room: the revision has the whole value. */
static void put_setting(struct str key, struct str value, struct buf *detail)
{
	AUTO_CHAR cut = NULL;
	rec_str(detail, "key", key);
	if (value.n > EVENT_VALUE_MAX)
		cut = mem_printf("%.*s...", STR_ARG(str_head(value, EVENT_VALUE_MAX)));
	rec_str(detail, "value", cut ? str_of(cut) : value);
}

void settings_put_events(struct op_call *c, struct str rec)
{
	struct rec_value items, item, after;
	struct str key, value;
	if (!rec_find(rec, "items", &items))
		return;
	struct cur cur = cur_of(items.text);
	while (rec_next(&cur, &item)) {
		AUTO_BUF detail = {0};
		if (!rec_get_str(item.text, "key", &key) || !rec_find(item.text, "after", &after) ||
		    !rec_get_str(after.text, "value", &value))
			continue;
		put_setting(key, value, &detail);
		change_event(c, EVENT_CONFIG_CHANGED, 0, STR(""), buf_view(&detail));
	}
}

static void put_change(struct op_call *c, struct str value)
{
	struct str key = STR("");
	AUTO_BUF detail = {0};
	op_str(c, "key", &key);
	put_setting(key, value, &detail);
	const struct body_event event = {
		.event = EVENT_CONFIG_CHANGED,
		.time_ms = clock_wall_ms(),
		.actor = str_of(c->actor),
		.reason = value.n ? STR("set") : STR("back to the default"),
		.detail = buf_view(&detail),
	};
	events_add(c->s->events, &event, STR(""));
}

/* What is answered beside the setting. */
struct beside {
	char *token; /* NULL: nothing is held */
	char *warning;
};

static void beside_free(void *state)
{
	struct beside *b = state;
	free(b->token);
	free(b->warning);
	free(b);
}

static void put_beside(struct op_call *c)
{
	const struct beside *b = c->state;
	int64_t seconds = 0;
	if (b->warning)
		rec_text(&c->result, "warning", b->warning);
	if (!b->token)
		return;
	op_int(c, "confirm-within", &seconds);
	rec_text(&c->result, "token", b->token);
	rec_int(&c->result, "confirm_within", seconds);
}

/* A key of a section that ended with it is no setting any more. */
static void shown_if_any(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_setting_done done;
	struct str key = STR("");
	put_beside(c);
	if (err || body_setting_done_get(reply->body, &done) || done.status != OP_NOT_FOUND) {
		shown(call, err, reply);
		return;
	}
	op_str(c, "key", &key);
	rec_str(&c->result, "key", key);
	rec_text(&c->result, "value", "");
	op_done(c);
}

/* The parent has done it already: what cannot be written here is told, not refused. */
static void record(struct op_call *c, struct str rec, const char *why)
{
	sql_begin(c->s->registry);
	c->change.audit_id = authorise_audit(c, "ok", why);
	settings_put_revisions(c, rec);
	const int err = sql_commit(c->s->registry);
	if (err)
		store_registry_failed(c->s, err);
}

static void set(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	AUTO_BUF rec = {0};
	struct body_setting_done done;
	if (!take_reply(c, err, reply, &rec, &done))
		return;
	const struct str value = op_text(c, "value", "");
	AUTO_CHAR text = mem_printf("set to \"%.*s\"", STR_ARG(value));
	record(c, buf_view(&rec), text);
	put_change(c, value);
	struct beside *beside = mem_new(struct beside);
	beside->token = done.token.n ? str_dup(done.token) : NULL;
	beside->warning = done.why.n ? str_dup(done.why) : NULL;
	c->state = beside;
	c->state_free = beside_free;
	get(c, shown_if_any);
}

void settings_ask(struct op_call *c, struct str changes, bool dry, bool lazy, uint32_t hold_s,
		  void (*done)(struct link_call *, int, struct record *))
{
	const struct body_setting_set body = {
		.changes = changes,
		.dry = dry,
		.lazy = lazy,
		.hold_ms = hold_s * 1000,
		.source = str_of(c->source),
		.confirms = (c->plan ? (uint32_t)c->plan->confirm_s : hold_s) != 0,
	};
	LINK_ASK(c->s->parent, &c->ask, SETTING_SET, setting_set, -1, &body, OP_PARENT_MS, done);
}

void op_config_set(struct op_call *c)
{
	AUTO_BUF changes = {0};
	int64_t seconds = 0;
	op_int(c, "confirm-within", &seconds);
	strs_put(&changes, op_text(c, "key", ""));
	strs_put(&changes, op_text(c, "value", ""));
	if (settings_have_parent(c))
		settings_ask(c, buf_view(&changes), false, false, (uint32_t)seconds, set);
}

static void reloaded(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_setting_done done;
	if (!take_reply(c, err, reply, &c->result, &done))
		return;
	record(c, STR(""), "configuration files read again");
	op_done(c);
}

void op_config_reload(struct op_call *c)
{
	const struct body_setting_reload body = {};
	if (settings_have_parent(c))
		LINK_ASK(c->s->parent, &c->ask, SETTING_RELOAD, setting_reload, -1, &body,
			 OP_PARENT_MS, reloaded);
}

void settings_keep(struct op_call *c, struct str token, bool keep,
		   void (*done)(struct link_call *, int, struct record *))
{
	const struct body_setting_keep body = {token, keep};
	LINK_ASK(c->s->parent, &c->ask, SETTING_KEEP, setting_keep, -1, &body, OP_PARENT_MS, done);
}

/* Other pages that ask whether to keep it stop asking. */
static void tell_confirmed(struct op_call *c, bool keep)
{
	const struct body_event event = {
		.event = EVENT_CONFIG_CHANGED,
		.time_ms = clock_wall_ms(),
		.actor = str_of(c->actor),
		.reason = keep ? STR("kept") : STR("undone"),
	};
	events_add(c->s->events, &event, STR(""));
}

static void confirmed(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	AUTO_BUF rec = {0};
	struct body_setting_done done;
	bool keep = true;
	if (!take_reply(c, err, reply, &rec, &done))
		return;
	op_bool(c, "keep", &keep);
	record(c, buf_view(&rec), keep ? "kept" : "undone");
	tell_confirmed(c, keep);
	rec_bool(&c->result, "kept", keep);
	op_done(c);
}

void op_config_confirm(struct op_call *c)
{
	bool keep = true;
	op_bool(c, "keep", &keep);
	if (settings_have_parent(c))
		settings_keep(c, op_text(c, "token", ""), keep, confirmed);
}

int settings_undone(struct store *s, enum process peer, struct record *r)
{
	struct body_setting_undone b;
	AUTO_BUF changes = {0};
	bool crowded;
	if (job_keep_back(s, peer, r, settings_undone, &crowded))
		return 0;
	struct op_call c = {.s = s, .op = OP_CONFIG_CONFIRM, .name = "config.undo"};
	if (body_setting_undone_get(r->body, &b))
		return ERR_MALFORMED;
	/* Out of descriptors or memory, there or here: the audit row alone. */
	if (r->fd >= 0 && memfd_read(r->fd, SETTINGS_MAX, &changes))
		changes.n = 0;
	if (!rec_valid(buf_view(&changes)))
		return ERR_MALFORMED;
	snprintf(c.actor, sizeof(c.actor), "gateway");
	snprintf(c.source, sizeof(c.source), "parent");
	record(&c, buf_view(&changes), "nobody confirmed the change in time");
	return 0;
}
