/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings: config.list, config.show, config.set. Main thread of the store. The settings belong to
 * the parent; the store authorises and audits.
 *
 * Fields of a setting, as the parent gives them (ipc/messages.def, SETTING_DONE):
 *   key, section, value, origin, source, text      str
 *   file_only, restart                             bool
 *
 * config.list   items: list of settings in the order of the manual; next: null
 * config.show   a setting
 * config.set    the setting as it is now; key and an empty value when its section is gone with it
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/authorise.h"
#include "db/ops.h"

enum { SETTINGS_MAX = 1 * MiB };

/* The answer's list of settings. False: the call was refused. */
static bool take_reply(struct op_call *c, int err, struct record *reply, struct buf *rec)
{
	struct body_setting_done done;
	if (err || body_setting_done_get(reply->body, &done)) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the parent process does not answer: try again");
		return false;
	}
	if (done.status != OP_OK) {
		op_refuse(c, done.status <= OP_FAILED ? done.status : OP_FAILED,
			  c->op == OP_CONFIG_SET && done.status == OP_INVALID ? "value" : "key",
			  "%.*s", STR_ARG(done.why));
		return false;
	}
	if (reply->fd >= 0 && memfd_read(reply->fd, SETTINGS_MAX, rec) == 0 &&
	    rec_valid(buf_view(rec)))
		return true;
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
	if (!take_reply(c, err, reply, &rec))
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
	if (!take_reply(c, err, reply, &rec))
		return;
	if (put_first(c, buf_view(&rec))) {
		op_done(c);
		return;
	}
	op_str(c, "key", &key);
	op_refuse(c, OP_NOT_FOUND, "key", "there is no setting \"%.*s\"", STR_ARG(key));
}

static bool has_parent(struct op_call *c)
{
	if (c->s->parent)
		return true;
	op_refuse(c, OP_UNAVAILABLE, NULL, "the parent process is away");
	return false;
}

static void get(struct op_call *c, void (*done)(struct link_call *, int, struct record *))
{
	struct body_setting_get body = {.key = STR("")};
	op_str(c, "key", &body.key);
	LINK_ASK(c->s->parent, &c->ask, SETTING_GET, setting_get, -1, &body, OP_PARENT_MS, done);
}

void op_config_list(struct op_call *c)
{
	if (has_parent(c))
		get(c, listed);
}

void op_config_show(struct op_call *c)
{
	if (has_parent(c))
		get(c, shown);
}

static void tell_change(struct op_call *c, struct str value)
{
	struct str key = STR("");
	AUTO_BUF detail = {0};
	op_str(c, "key", &key);
	rec_str(&detail, "key", key);
	rec_str(&detail, "value", value);
	const struct body_event event = {
		.event = EVENT_CONFIG_CHANGED,
		.time_ms = clock_wall_ms(),
		.actor = str_of(c->actor),
		.reason = value.n ? STR("set") : STR("back to the default"),
		.detail = buf_view(&detail),
	};
	events_add(c->s->events, &event, STR(""));
}

/* A key of a section that ended with it is no setting any more. */
static void shown_if_any(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_setting_done done;
	struct str key = STR("");
	if (err || body_setting_done_get(reply->body, &done) || done.status != OP_NOT_FOUND) {
		shown(call, err, reply);
		return;
	}
	op_str(c, "key", &key);
	rec_str(&c->result, "key", key);
	rec_text(&c->result, "value", "");
	op_done(c);
}

static void set(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	AUTO_BUF rec = {0};
	if (!take_reply(c, err, reply, &rec))
		return;
	struct str value = STR("");
	op_str(c, "value", &value);
	AUTO_CHAR text = mem_printf("set to \"%.*s\"", STR_ARG(value));
	authorise_audit(c, "ok", text);
	tell_change(c, value);
	get(c, shown_if_any);
}

void op_config_set(struct op_call *c)
{
	struct body_setting_set body = {0};
	op_str(c, "key", &body.key);
	op_str(c, "value", &body.value);
	if (has_parent(c))
		LINK_ASK(c->s->parent, &c->ask, SETTING_SET, setting_set, -1, &body, OP_PARENT_MS,
			 set);
}
