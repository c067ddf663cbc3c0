/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a gateway as one document: see op_state.h. Here is who asks for what; state.h names
 * the rooms that do it.
 */
#include "db/op_state.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/plan.h"
#include "db/settings.h"
#include "db/state.h"

/* The settings of the parent's answer; a refusal was told when false. */
static bool take_settings(struct op_call *c, int err, struct record *reply, struct buf *rec,
			  struct str *items)
{
	struct body_setting_done done;
	struct rec_value list;
	if (!err && body_setting_done_get(reply->body, &done) == 0 && done.status == OP_OK &&
	    reply->fd >= 0 && memfd_read(reply->fd, SETTINGS_MAX, rec) == 0 &&
	    rec_valid(buf_view(rec)) && rec_find(buf_view(rec), "items", &list)) {
		*items = list.text;
		return true;
	}
	op_refuse(c, OP_UNAVAILABLE, NULL, "the parent process does not answer: try again");
	return false;
}

static void show(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	AUTO_BUF rec = {0};
	struct str items;
	if (take_settings(c, err, reply, &rec, &items))
		state_show(c, items);
}

static void ask_settings(struct op_call *c, void (*done)(struct link_call *, int, struct record *))
{
	const struct body_setting_get all = {.key = STR("")};
	if (settings_have_parent(c))
		LINK_ASK(c->s->parent, &c->ask, SETTING_GET, setting_get, -1, &all, OP_PARENT_MS,
			 done);
}

void op_state_show(struct op_call *c)
{
	ask_settings(c, show);
}

static bool run_step(struct op_call *c)
{
	return state_step(c, c->plan->work);
}

static void put_new(struct op_call *c)
{
	state_put_new(c, c->plan->work);
}

static void planned(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct plan *plan = c->plan;
	AUTO_BUF rec = {0};
	struct str items;
	if (!take_settings(c, err, reply, &rec, &items))
		return;
	state_collect_settings(state_document_of(plan->work), items, &plan->changes);
	plan_run(c, plan);
}

void op_state_diff(struct op_call *c)
{
	int64_t seconds = 0;
	struct state_work *work = state_work_new(c);
	if (!work)
		return;
	op_int(c, "confirm-within", &seconds);
	struct plan *plan = mem_new(struct plan);
	plan->dry = c->op == OP_STATE_DIFF;
	plan->confirm_s = (uint32_t)seconds;
	plan->steps = run_step;
	plan->put = put_new;
	plan->path = state_place_of;
	plan->work = work;
	plan->work_free = state_work_free;
	c->plan = plan;
	ask_settings(c, planned);
}

void op_state_apply(struct op_call *c)
{
	op_state_diff(c);
}
