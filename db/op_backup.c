/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups: see op_backup.h. First what settings.conf has, of the parent; then a copy of the
 * registry; both go to the vault, whose answer is the file.
 */
#include "db/op_backup.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"
#include "db/migrate.h"
#include "db/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAKE_MS = 60000, SETTINGS_FILE_MAX = 60000 };

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
	if (done.status == OP_OK)
		rec_null(&c->result, "why");
	else
		rec_str(&c->result, "why", done.why);
	op_put_time(&c->result, "last", last);
	if (last)
		rec_str(&c->result, "last_actor", buf_view(&actor));
	else
		rec_null(&c->result, "last_actor");
	op_done(c);
}

void op_backup_show(struct op_call *c)
{
	const struct body_backup body = {.look = 1, .settings = STR("")};
	struct link *vault = c->s->peer[PROCESS_VAULT].link;
	if (vault)
		LINK_ASK(vault, &c->ask, BACKUP, backup, -1, &body, OP_VAULT_MS, looked);
	else
		refuse_away(c);
}

/* ---- add ---- */

static void made(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_backup_done done;
	if (!take_answer(c, err, reply, &done))
		return;
	if (done.status != OP_OK) {
		op_refuse(c, done.status <= OP_LOCKED ? done.status : OP_FAILED, NULL, "%.*s",
			  STR_ARG(done.why));
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

/* A descriptor of a copy that has no name any more. -1: the call was refused. */
static int copy_registry(struct op_call *c)
{
	struct why why;
	AUTO_CHAR path = mem_printf("%s/registry.backup", c->s->dir);
	const int err = migrate_back_up(c->s->registry, path, &why);
	AUTO_FD fd = err ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	if (!err && fd < 0)
		why_text(&why, "%s", strerror(errno));
	unlink(path);
	if (fd < 0)
		op_refuse(c, OP_FAILED, NULL, "the registry cannot be copied: %s", why.text);
	return TAKE_FD(fd);
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
	AUTO_FD copy = copy_registry(c);
	if (copy < 0)
		return;
	const struct body_backup body = {.settings = buf_view(&text)};
	LINK_ASK(vault, &c->ask, BACKUP, backup, TAKE_FD(copy), &body, MAKE_MS, made);
}

static void let_others(void *state)
{
	struct store *s = state;
	s->backing_up = false;
}

void op_backup_add(struct op_call *c)
{
	const struct body_setting_file body = {};
	if (!settings_have_parent(c))
		return;
	if (c->s->backing_up) {
		op_refuse(c, OP_CONFLICT, NULL, "a backup is being made already");
		return;
	}
	c->s->backing_up = true;
	c->state = c->s;
	c->state_free = let_others;
	LINK_ASK(c->s->parent, &c->ask, SETTING_FILE, setting_file, -1, &body, OP_PARENT_MS,
		 settings_came);
}
