/* SPDX-License-Identifier: Apache-2.0
 *
 * status: the gateway at one glance. Main thread of the store.
 *
 * Result:
 *   name, version, config_path    str, "" until the parent has told
 *   built                   time, of this program's source
 *   started                 time or null;  uptime: int, seconds
 *   processes               list of {name, state (down, starting, serving, stopping), pid: int,
 *                           since: time, restarts: int, last_exit: str, "" when it never ended}
 *   listeners               list of {name, address, protocol, connections: int, of this name}
 *   server_files            list of {name ("admin", "listener NAME"), path, fingerprint: str,
 *                           not_after: time, public: bool}: certificates out of files
 *   devices                 {total, enabled, connected: int}
 *   certificates            {good, revoked, expired, expiring: int, within 30 days}
 *   connections             int
 *   rules, roles            int
 *   events                  {first, last: int, sequence numbers}
 *   counters                {name: int}: what the broker counts since it started
 *   spool                   {ok: bool, state: "works", "full" or "failed",
 *                           kept: {sessions, messages, queued, retained: int},
 *                           bytes: {used, file, max: int},
 *                           commits, batches, refused: int, since the store started}
 *   disk                    {free, total: int, bytes of the disk with the databases}
 *   clock                   {ok: bool, time: time}
 */
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/processes.h"
#include "db/ops.h"

#include <sys/statvfs.h>

enum { SOON = 30 * 24 * 3600 };

static const char *state_word(uint8_t state)
{
	static const char *const word[] = {
		[PROCESS_DOWN] = "down",
		[PROCESS_STARTING] = "starting",
		[PROCESS_SERVING] = "serving",
		[PROCESS_STOPPING] = "stopping",
	};
	return state < ARRAY_LEN(word) ? word[state] : "unknown";
}

static void put_processes(struct store *s, struct buf *out)
{
	rec_list(out, "processes");
	for (enum process i = 0; i < PROCESS_COUNT; i++) {
		const struct process_info *p = &s->process[i];
		if (!p->known)
			continue;
		rec_object(out, "");
		rec_text(out, "name", process_name(i));
		rec_text(out, "state", state_word(p->state));
		rec_int(out, "pid", p->pid);
		rec_time(out, "since", (int64_t)p->since_ms);
		rec_int(out, "restarts", p->restarts);
		rec_text(out, "last_exit", p->last_exit);
		rec_end(out);
	}
	rec_end(out);
}

static void put_listeners(struct store *s, struct buf *out)
{
	struct str list = buf_view(&s->gateway.addresses);
	struct str item;
	rec_list(out, "listeners");
	while (strs_next(&list, &item)) {
		const struct str name = str_split(&item, ' ');
		const struct str address = str_split(&item, ' ');
		rec_object(out, "");
		rec_str(out, "name", name);
		rec_str(out, "address", address.p ? address : STR(""));
		rec_str(out, "protocol", item.p ? item : STR(""));
		rec_int(out, "connections", (int64_t)presence_of_listener(&s->presence, name));
		rec_end(out);
	}
	rec_end(out);
}

static void put_server_files(struct store *s, struct buf *out)
{
	struct str list = buf_view(&s->gateway.certificates);
	struct gateway_certificate c;
	rec_list(out, "server_files");
	while (gateway_certificate_next(&list, &c)) {
		rec_object(out, "");
		rec_str(out, "name", c.name);
		rec_str(out, "path", c.path);
		rec_str(out, "fingerprint", c.fingerprint);
		rec_time(out, "not_after", c.ends * 1000);
		rec_bool(out, "public", c.is_public);
		rec_end(out);
	}
	rec_end(out);
}

static void put_devices(struct store *s, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(
		s->registry, "SELECT (SELECT count(*) FROM device), (SELECT count(*) FROM device "
			     "WHERE enabled = 0)");
	rec_object(out, "devices");
	if (sql_next(&q)) {
		rec_int(out, "total", sql_at_int(&q, 0));
		rec_int(out, "enabled", sql_at_int(&q, 0) - sql_at_int(&q, 1));
	}
	rec_int(out, "connected", (int64_t)s->presence.devices.n);
	rec_end(out);
}

/* One range of the index cert_figures each. */
#define COUNT "SELECT count(*) FROM cert WHERE profile = 'device' AND "

static void put_certificates(struct store *s, struct buf *out)
{
	const int64_t now = timefloor_now(&s->floor);
	AUTO_QUERY q = SQL_QUERY(s->registry,
				 "SELECT (" COUNT "status = 0 AND not_after > ?1), (" COUNT
				 "status = 1), (" COUNT "status = 0 AND not_after <= ?1), (" COUNT
				 "status = 0 AND not_after > ?1 AND not_after <= ?2)",
				 sql_int(now), sql_int(now + SOON));
	rec_object(out, "certificates");
	if (sql_next(&q)) {
		rec_int(out, "good", sql_at_int(&q, 0));
		rec_int(out, "revoked", sql_at_int(&q, 1));
		rec_int(out, "expired", sql_at_int(&q, 2));
		rec_int(out, "expiring", sql_at_int(&q, 3));
	}
	rec_end(out);
}

static void put_count(struct store *s, const char *name, const char *text, struct buf *out)
{
	int64_t n = 0;
	sql_get_int(s->registry, &n, text, NULL, 0);
	rec_int(out, name, n);
}

static void put_logins(const struct store *s, struct buf *out)
{
	const struct logins_stats *l = logins_stats(s->logins);
	const struct guard_stats refused = guard_stats(s->guard);
	rec_object(out, "logins");
	rec_int(out, "remembered", (int64_t)l->remembered);
	rec_int(out, "right", (int64_t)l->right);
	rec_int(out, "wrong", (int64_t)l->wrong);
	rec_int(out, "busy", (int64_t)l->refused);
	rec_int(out, "refused-source", (int64_t)refused.source);
	rec_int(out, "refused-account", (int64_t)refused.account);
	rec_end(out);
}

static void put_figures(struct store *s, struct buf *out)
{
	put_devices(s, out);
	put_certificates(s, out);
	rec_int(out, "connections", (int64_t)presence_count(&s->presence));
	put_count(s, "rules", "SELECT count(*) FROM rule", out);
	put_count(s, "roles", "SELECT count(*) FROM role", out);
	rec_object(out, "events");
	rec_int(out, "first", events_first(s->events));
	rec_int(out, "last", events_last(s->events));
	rec_end(out);
	put_logins(s, out);
	rec_object(out, "counters");
	buf_str(out, buf_view(&s->presence.counters));
	rec_end(out);
}

static void put_spool(struct store *s, struct buf *out)
{
	static const char *const state[] = {
		[SPOOL_WORKS] = "works",
		[SPOOL_IS_FULL] = "full",
		[SPOOL_IS_BROKEN] = "failed",
	};
	struct spool_figures f;
	spool_figures(s->spool, &f);
	rec_object(out, "spool");
	rec_bool(out, "ok", f.health == SPOOL_WORKS);
	rec_text(out, "state", state[f.health]);
	rec_object(out, "kept");
	rec_int(out, "sessions", (int64_t)f.sessions);
	rec_int(out, "messages", (int64_t)f.messages);
	rec_int(out, "queued", (int64_t)f.queued);
	rec_int(out, "retained", (int64_t)f.retained);
	rec_end(out);
	rec_object(out, "bytes");
	rec_int(out, "used", (int64_t)f.bytes);
	rec_int(out, "file", (int64_t)f.file_bytes);
	rec_int(out, "max", (int64_t)f.max_bytes);
	rec_end(out);
	rec_int(out, "commits", (int64_t)f.commits);
	rec_int(out, "batches", (int64_t)f.batches);
	rec_int(out, "refused", (int64_t)f.refused);
	rec_end(out);
}

static void put_disk(struct store *s, struct buf *out)
{
	struct statvfs disk = {0};
	rec_object(out, "disk");
	if (fstatvfs(s->dir_fd, &disk) == 0) {
		rec_int(out, "free", (int64_t)(disk.f_bavail * disk.f_frsize));
		rec_int(out, "total", (int64_t)(disk.f_blocks * disk.f_frsize));
	}
	rec_end(out);
}

void op_status_(struct op_call *c)
{
	struct store *s = c->s;
	struct buf *out = &c->result;
	const uint64_t now_ms = clock_wall_ms();
	const uint64_t started_ms = s->gateway.started_ms;
	rec_text(out, "name", s->gateway.name);
	rec_text(out, "version", s->gateway.version);
	rec_text(out, "config_path", s->gateway.config_path);
	op_put_time(out, "built", build_time());
	op_put_time(out, "started", (int64_t)(started_ms / 1000));
	rec_int(out, "uptime",
		started_ms && now_ms > started_ms ? (int64_t)((now_ms - started_ms) / 1000) : 0);
	put_processes(s, out);
	put_listeners(s, out);
	put_server_files(s, out);
	put_figures(s, out);
	put_spool(s, out);
	put_disk(s, out);
	rec_object(out, "clock");
	rec_bool(out, "ok", timefloor_ok(&s->floor));
	rec_time(out, "time", (int64_t)now_ms);
	rec_end(out);
	op_done(c);
}
