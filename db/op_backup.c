/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: see op_backup.h. First a copy of the registry; then, of the parent, what settings.conf
 * has; both go to the vault, whose answer is the file.
 */
#include "db/op_backup.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"
#include "db/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAKE_MS = 60000, SETTINGS_FILE_MAX = 60000, PAGES = 64 /* at a step: 256 KiB */ };

int64_t backup_last(struct store *s, struct buf *actor)
{
	AUTO_QUERY q =
		SQL_QUERY(s->registry, "SELECT at, actor FROM audit WHERE operation IN ('ca.copy', "
				       "'backup.add') AND outcome = 'ok' ORDER BY id DESC LIMIT 1");
	if (!sql_next(&q))
		return 0;
	if (actor)
		buf_str(actor, sql_at_str(&q, 1));
	return sql_at_int(&q, 0);
}

static void refuse_away(struct op_call *c)
{
	op_refuse(c, OP_UNAVAILABLE, NULL, "the vault does not answer: try again");
}

/* False: the call was refused. */
static bool take_answer(struct op_call *c, int err, struct record *reply,
			struct body_backup_done *done)
{
	if (!err && body_backup_done_get(reply->body, done) == 0)
		return true;
	refuse_away(c);
	return false;
}

static void refuse_as_vault(struct op_call *c, const struct body_backup_done *done)
{
	op_refuse(c, done->status <= OP_LOCKED ? done->status : OP_FAILED, NULL, "%.*s",
		  STR_ARG(done->why));
}

/* Could one be made? */
static void look(struct op_call *c, void (*done)(struct link_call *, int, struct record *))
{
	const struct body_backup body = {.look = 1, .settings = STR("")};
	struct link *vault = c->s->peer[PROCESS_VAULT].link;
	if (vault)
		LINK_ASK(vault, &c->ask, BACKUP, backup, -1, &body, OP_VAULT_MS, done);
	else
		refuse_away(c);
}

/* ---- show ---- */

static void looked(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_backup_done done;
	AUTO_BUF actor = {0};
	if (!take_answer(c, err, reply, &done))
		return;
	const int64_t last = backup_last(c->s, &actor);
	rec_bool(&c->result, "ready", done.status == OP_OK);
	op_put_str(&c->result, "why", done.status == OP_OK ? STR("") : done.why);
	op_put_time(&c->result, "last", last);
	op_put_str(&c->result, "last_actor", buf_view(&actor));
	op_done(c);
}

void op_backup_show(struct op_call *c)
{
	look(c, looked);
}

/* ---- a copy of the registry ---- */

struct copying {
	struct op_call *c;
	char *path;
	struct sql_copy *copy; /* NULL: it has not begun, or is over */
	bool keep;             /* the file stays */
	int err;               /* of the copy; ERR_EOF: it is whole */
	char why[160];
	void (*then)(struct op_call *c, const char *path);
};

static void forget(void *state)
{
	struct copying *k = state;
	if (k->copy)
		sql_copy_free(k->copy);
	if (!k->keep)
		unlink(k->path);
	k->c->s->backing_up = false;
	free(k->path);
	free(k);
}

static bool copy_portion(struct job *j)
{
	const struct op_call *c = container_of(j, struct op_call, job);
	struct copying *k = c->state;
	if (!k->copy)
		k->err = sql_copy_begin(j->s->registry, k->path, &k->copy);
	if (!k->err)
		k->err = sql_copy_step(k->copy, PAGES);
	if (!k->err)
		return true;
	snprintf(k->why, sizeof(k->why), "%s", sql_why(j->s->registry));
	if (k->copy)
		sql_copy_free(k->copy);
	k->copy = NULL;
	return false;
}

static void copied(struct job *j)
{
	struct op_call *c = container_of(j, struct op_call, job);
	const struct copying *k = c->state;
	if (k->err == ERR_EOF)
		k->then(c, k->path);
	else
		op_refuse(c, OP_FAILED, NULL, "the registry cannot be copied to %s: %s", k->path,
			  k->why);
}

/* then: the copy is there. */
static void copy_registry(struct op_call *c, const char *name,
			  void (*then)(struct op_call *c, const char *path))
{
	struct store *s = c->s;
	if (s->backing_up) {
		op_refuse(c, OP_CONFLICT, NULL, "a backup is being made already");
		return;
	}
	struct copying *k = mem_new(struct copying);
	k->c = c;
	k->path = mem_printf("%s/%s", s->dir, name);
	k->then = then;
	unlink(k->path);
	s->backing_up = true;
	c->state = k;
	c->state_free = forget;
	c->job.portion = copy_portion;
	c->job.over = copied;
	job_start(s, &c->job);
}

static void give_path(struct op_call *c, const char *path)
{
	struct copying *k = c->state;
	AUTO_CHAR file = mem_strdup(path);
	k->keep = true;
	change_begin(c);
	rec_text(&c->result, "path", path);
	if (change_commit(c))
		unlink(file);
}

void op_ca_copy(struct op_call *c)
{
	if (c->peer == PROCESS_CTL)
		copy_registry(c, "registry.copy", give_path);
	else
		op_refuse(c, OP_DENIED, NULL, "a backup is made on the gateway itself");
}

/* ---- add ---- */

static void made(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_backup_done done;
	if (!take_answer(c, err, reply, &done))
		return;
	if (done.status != OP_OK) {
		refuse_as_vault(c, &done);
		return;
	}
	c->file = fcntl(reply->fd, F_DUPFD_CLOEXEC, 3);
	if (c->file < 0) {
		c->file = 0;
		op_refuse(c, OP_FAILED, NULL, "out of descriptors: try again");
		return;
	}
	change_begin(c);
	change_event(c, EVENT_BACKUP_MADE, 0, STR(""), STR(""));
	change_commit(c);
}

static void settings_came(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct link *vault = c->s->peer[PROCESS_VAULT].link;
	AUTO_BUF text = {0};
	struct body_setting_done done;
	if (err || body_setting_done_get(reply->body, &done) || done.status != OP_OK ||
	    memfd_read(reply->fd, SETTINGS_FILE_MAX, &text)) {
		op_refuse(c, OP_UNAVAILABLE, NULL,
			  "the parent process does not say what settings.conf has: try again");
		return;
	}
	if (!vault) {
		refuse_away(c);
		return;
	}
	const struct copying *k = c->state;
	AUTO_FD copy = open(k->path, O_RDONLY | O_CLOEXEC);
	if (copy < 0) {
		op_refuse(c, OP_FAILED, NULL, "the copy %s cannot be read: %s", k->path,
			  strerror(errno));
		return;
	}
	const struct body_backup body = {.settings = buf_view(&text)};
	LINK_ASK(vault, &c->ask, BACKUP, backup, copy, &body, MAKE_MS, made);
}

static void ask_settings(struct op_call *c, const char *path)
{
	const struct body_setting_file body = {};
	(void)path;
	if (settings_have_parent(c))
		LINK_ASK(c->s->parent, &c->ask, SETTING_FILE, setting_file, -1, &body, OP_PARENT_MS,
			 settings_came);
}

/* Before the work: most have set no passphrase. */
static void may_begin(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_backup_done done;
	if (!take_answer(c, err, reply, &done))
		return;
	if (done.status == OP_OK)
		copy_registry(c, "registry.backup", ask_settings);
	else
		refuse_as_vault(c, &done);
}

void op_backup_add(struct op_call *c)
{
	look(c, may_begin);
}
