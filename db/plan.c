/* SPDX-License-Identifier: Apache-2.0
 *
 * A change of the registry and of settings together: see plan.h.
 */
#include "db/plan.h"
#include "daemon/base/err.h"
#include "db/op_revision.h"
#include "db/settings.h"

#include <stdio.h>
#include <stdlib.h>

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	buf_fini(&plan->changes);
	buf_fini(&plan->settings);
	if (plan->work)
		plan->work_free(plan->work);
	free(plan);
}

static void put_result(struct op_call *c)
{
	const struct plan *p = c->plan;
	if (p->put)
		p->put(c);
	if (p->dry || !revision_any(c->s, c->change.audit_id))
		rec_null(&c->result, "id");
	else
		rec_int(&c->result, "id", c->change.audit_id);
	revision_put_changes(c->s, c->change.audit_id, &c->result);
	if (p->confirm_s && p->token[0]) {
		rec_text(&c->result, "token", p->token);
		rec_int(&c->result, "confirm_within", p->confirm_s);
	}
}

static void kept(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_setting_done done;
	if (!err && body_setting_done_get(reply->body, &done) == 0 && done.status == OP_OK)
		op_done(c);
	else
		op_refuse(c, OP_UNAVAILABLE, NULL,
			  "the registry was changed, but the settings were not kept: apply them "
			  "again");
}

static void keep_settings(struct op_call *c)
{
	c->then = NULL;
	settings_keep(c, str_of(c->plan->token), true, kept);
}

static void undone(struct link_call *call, int err, struct record *reply)
{
	(void)err;
	(void)reply;
	batch_refuse_call(container_of(call, struct op_call, ask));
}

/* ---- the job ---- */

static bool is_changed(struct op_call *c)
{
	return !c->batch->failed && !c->plan->dry && revision_any(c->s, c->change.audit_id);
}

static bool run_portion(struct job *j)
{
	struct op_call *c = container_of(j, struct op_call, job);
	struct plan *p = c->plan;
	switch (p->phase) {
	case PLAN_BEGINS:
		batch_begin(c);
		settings_put_revisions(c, buf_view(&p->settings));
		settings_put_events(c, buf_view(&p->settings));
		p->phase = PLAN_RUNS;
		return true;
	case PLAN_RUNS:
		if (!p->steps(c))
			p->phase = PLAN_ENDS;
		return !c->batch->failed;
	case PLAN_ENDS:
		break;
	}
	put_result(c);
	change_count(c);
	j->keeps = is_changed(c);
	return false;
}

/* What was refused, or not written, leaves no setting behind. */
static void take_back(struct op_call *c)
{
	if (c->plan->token[0])
		settings_keep(c, str_of(c->plan->token), false, undone);
	else
		batch_refuse_call(c);
}

static void finished(struct job *j)
{
	struct op_call *c = container_of(j, struct op_call, job);
	const struct plan *p = c->plan;
	if (j->error) {
		c->batch->at[0] = 0;
		op_refuse_sql(c, j->error); /* the batch takes it */
	}
	if (c->batch->failed) {
		take_back(c);
		return;
	}
	batch_end(c);
	if (p->token[0] && !p->confirm_s)
		c->then = keep_settings;
	if (j->keeps)
		change_committed(c);
	else
		op_done(c);
}

static void run_steps(struct op_call *c)
{
	c->job.writes = true;
	c->job.portion = run_portion;
	c->job.over = finished;
	job_start(c->s, &c->job);
}

static void refuse(struct op_call *c, const struct body_setting_done *done)
{
	char path[BATCH_PATH] = "";
	if (c->plan->path && done->key.n) {
		c->plan->path(done->key, path);
		op_refuse(c, done->status <= OP_FAILED ? done->status : OP_FAILED, path, "%s: %.*s",
			  path, STR_ARG(done->why));
	} else {
		settings_refuse(c, done);
	}
}

static void taken(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct plan *p = c->plan;
	struct body_setting_done done;
	if (err || body_setting_done_get(reply->body, &done)) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the parent process does not answer: try again");
		return;
	}
	if (done.status != OP_OK) {
		refuse(c, &done);
		return;
	}
	if (reply->fd < 0 || memfd_read(reply->fd, SETTINGS_MAX, &p->settings) ||
	    !rec_valid(buf_view(&p->settings)))
		p->settings.n = 0;
	snprintf(p->token, sizeof(p->token), "%.*s", STR_ARG(done.token));
	run_steps(c);
}

void plan_run(struct op_call *c, struct plan *plan)
{
	c->plan = plan;
	if (plan->changes.n > SETTINGS_CHANGES) {
		op_refuse(c, OP_INVALID, "settings", "the settings take %zu bytes; allowed are %d",
			  plan->changes.n, SETTINGS_CHANGES);
	} else if (plan->changes.n == 0) {
		run_steps(c);
	} else if (c->level < ADMIN && !plan->dry) {
		op_refuse(c, OP_DENIED, NULL,
			  "settings are changed by the level admin; ask an administrator");
	} else if (settings_have_parent(c)) {
		settings_ask(c, buf_view(&plan->changes), plan->dry, plan->path != NULL,
			     plan->confirm_s ? plan->confirm_s : PLAN_HOLD_S, taken);
	}
}
