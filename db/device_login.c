/* SPDX-License-Identifier: Apache-2.0
 *
 * Password logins: see device_login.h.
 */
#include "db/device_login.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/net/addr.h"

#include <stdio.h>
#include <stdlib.h>

struct login_ask {
	struct list node; /* in store->login_asks */
	struct store *s;
	unsigned generation;
	uint64_t id; /* of the LOGIN */
	struct buf name;
	struct buf source;
	int64_t device_id; /* 0: no such device */
	char verifier[VERIFIER_MAX];
	struct buf
		password; /* kept while the verifier is an imported one or SCRAM keys are missing */
};

static void free_ask(struct login_ask *ask)
{
	list_remove(&ask->node);
	secret_buf_fini(&ask->password);
	buf_fini(&ask->name);
	buf_fini(&ask->source);
	secret_wipe(ask->verifier, sizeof(ask->verifier));
	free(ask);
}

struct login_row {
	int64_t id;
	bool enabled;
	bool has_scram;
	char verifier[VERIFIER_MAX]; /* "" when it has no password */
};

static void read_row(struct sql_query *q, struct login_row *row)
{
	const struct str verifier = sql_at_str(q, 2);
	row->id = sql_at_int(q, 0);
	row->enabled = sql_at_int(q, 1);
	row->has_scram = sql_at_str(q, 3).n > 0;
	snprintf(row->verifier, sizeof(row->verifier), "%.*s", (int)verifier.n,
		 verifier.n ? verifier.p : "");
}

static void find_by_name(struct store *s, struct str name, struct login_row *row)
{
	*row = (struct login_row){0};
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT id, enabled, verifier, scram FROM device WHERE name = ?",
				 sql_str(name));
	if (sql_next(&q))
		read_row(&q, row);
}

static void find_by_id(struct store *s, int64_t id, struct login_row *row)
{
	*row = (struct login_row){0};
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT id, enabled, verifier, scram FROM device WHERE id = ?",
				 sql_int(id));
	if (sql_next(&q))
		read_row(&q, row);
}

static enum login_verdict judge(struct login_ask *ask, enum login_result result)
{
	struct login_row now;
	if (result == LOGIN_TOO_MANY)
		return LOGIN_BUSY;
	if (result != LOGIN_RIGHT)
		return LOGIN_WRONG;
	find_by_id(ask->s, ask->device_id, &now);
	if (strcmp(now.verifier, ask->verifier) != 0)
		return LOGIN_WRONG;
	return now.enabled ? LOGIN_OK : LOGIN_DISABLED;
}

/* In place of a verifier that is quick to break, or has no SCRAM keys beside it, unless a new
 * password was set meanwhile. */
static void hashed_anew(void *arg, const char *verifier, struct str scram)
{
	struct login_ask *ask = arg;
	struct sql *db = ask->s->registry;
	/* What cannot be written now is hashed at the next login. */
	if (verifier) {
		const int err = SQL_RUN(
			db,
			"UPDATE device SET verifier = ?, scram = ? WHERE id = ? AND verifier = ?",
			sql_text(verifier), sql_blob(scram), sql_int(ask->device_id),
			sql_text(ask->verifier));
		if (!err && sql_changes(db) > 0)
			log_info("the password of device %lld was hashed anew",
				 (long long)ask->device_id);
	}
	free_ask(ask);
}

static void judged(void *arg, enum login_result result)
{
	struct login_ask *ask = arg;
	const struct peer *broker = &ask->s->peer[PROCESS_BROKER];
	const enum login_verdict verdict = judge(ask, result);
	const bool known = verdict == LOGIN_OK || verdict == LOGIN_DISABLED;
	if (known)
		guard_right(ask->s->guard, buf_view(&ask->name), buf_view(&ask->source));
	const struct body_login_done body = {(uint8_t)verdict,
					     known ? (uint64_t)ask->device_id : 0};
	if (broker->link && broker->generation == ask->generation)
		LINK_SEND(broker->link, LOGIN_DONE, login_done, ask->id, -1, &body);
	if (verdict == LOGIN_OK && ask->password.n)
		logins_make(ask->s->logins, buf_view(&ask->password), hashed_anew, ask);
	else
		free_ask(ask);
}

/* What was verified before is right and costs nothing, whoever guesses at the same name. */
static void check(struct login_ask *ask, struct str password)
{
	struct store *s = ask->s;
	const struct str source = buf_view(&ask->source);
	if (logins_remembered(s->logins, password, ask->verifier)) {
		logins_check(s->logins, password, ask->verifier, source, judged, ask);
		return;
	}
	switch (guard_try(s->guard, buf_view(&ask->name), source, clock_mono_ms() * 1000)) {
	case GUARD_KNOWN:
		logins_check_known(s->logins, password, ask->verifier, source, judged, ask);
		return;
	case GUARD_STRANGER:
		logins_check(s->logins, password, ask->verifier, source, judged, ask);
		return;
	case GUARD_SOURCE:
	case GUARD_ACCOUNT:
		judged(ask, LOGIN_TOO_MANY);
	}
}

int device_login(struct store *s, struct record *r)
{
	struct body_login b;
	struct login_row row;
	if (body_login_get(r->body, &b))
		return ERR_MALFORMED;
	find_by_name(s, b.name.p ? b.name : STR(""), &row);
	struct login_ask *ask = mem_new(struct login_ask);
	ask->s = s;
	ask->generation = s->peer[PROCESS_BROKER].generation;
	ask->id = r->id;
	ask->device_id = row.id;
	snprintf(ask->verifier, sizeof(ask->verifier), "%s", row.verifier);
	if (password_is_imported(row.verifier) || !row.has_scram)
		buf_str(&ask->password, b.password);
	list_append(&s->login_asks, &ask->node);
	buf_str(&ask->name, b.name);
	buf_str(&ask->source, b.source);
	check(ask, b.password);
	return 0;
}

void device_login_cancel_all(struct store *s)
{
	while (!list_empty(&s->login_asks))
		free_ask(list_entry(s->login_asks.next, struct login_ask, node));
}

enum { RECALLED_MAX = 20000 /* connections, the newest ones */ };

void device_login_recall(struct store *s)
{
	AUTO_QUERY q =
		SQL_QUERY(events_db(s->events),
			  "SELECT device, address FROM event WHERE name = ? AND device IS "
			  "NOT NULL ORDER BY seq DESC LIMIT ?",
			  sql_text(event_name(EVENT_CLIENT_CONNECTED)), sql_int(RECALLED_MAX));
	while (sql_next(&q)) {
		struct addr from;
		char ip[ADDR_TEXT];
		if (addr_parse(sql_at_str(&q, 1), &from) == 0)
			guard_right(s->guard, sql_at_str(&q, 0), str_of(addr_format_ip(&from, ip)));
	}
}
