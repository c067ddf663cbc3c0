/* SPDX-License-Identifier: Apache-2.0
 *
 * ban.list, ban.add, ban.remove, limit.list: who may not come now, and what bounds there are. Main
 * thread of the store.
 *
 * ban.list      items: list of
 *                 source   str, a network, or the address that has to wait
 *                 kind     "ban": an administrator's; "login": wrong passwords of administrators;
 *                          "password": of devices
 *                 account  str or null: whose password it tried, if there is such an administrator
 *                 reason, by   str
 *                 since    time or null;  until: time
 *                 count    int: what was refused since the processes started, or wrong passwords
 *                 last     time or null: the last of them
 * ban.add       network str, as it counts; until time; sessions_closed int; broker ("done", "away")
 * ban.remove    network str; removed int: bans, and addresses that need not wait any more
 * limit.list    items: list of
 *                 name     str, of the setting: max-packet, and store.password-tries, which is
 *                          not of the section broker
 *                 per      "gateway", "listener", "address", "device", "session"
 *                 value    int, as configured, 0: no bound; null: the broker has not told yet
 *                 refused  int, since the process started; of spool-max-size changes, of which
 *                          each may be many messages
 *                 last, who, address   of the last event that tells of it; null, and so for the
 *                          limits of the store, which no event tells apart
 */
#include "daemon/base/clock.h"
#include "daemon/net/ban.h"
#include "db/ops.h"
#include "db/people.h"

#include <stdio.h>

enum { FOR_DEFAULT_S = 3600, FOR_MIN_S = 60, BITS_MIN_4 = 8, BITS_MIN_6 = 32, SITE_6 = 64 };

/* ---- what is banned ----
 */

/* One address of IPv6 is easily changed for its neighbour. */
static void widen(struct cidr *n)
{
	if (n->family != AF_INET6 || n->bits <= SITE_6)
		return;
	n->bits = SITE_6;
	memset(n->ip + SITE_6 / 8, 0, sizeof(n->ip) - SITE_6 / 8);
}

static bool covers(const struct cidr *n, struct str address)
{
	struct addr a;
	return addr_parse_ip(address, &a) == 0 && cidr_match(n, &a);
}

static bool is_loopback(const struct cidr *n)
{
	return (n->family == AF_INET && n->ip[0] == 127) || covers(n, STR("::1"));
}

/* The caller's own address and this machine stay: nobody bans himself by mistake. */
static bool may_be_banned(struct op_call *c, struct str text, const struct cidr *n)
{
	const int least = n->family == AF_INET ? BITS_MIN_4 : BITS_MIN_6;
	if (n->bits < least)
		op_refuse(c, OP_INVALID, "network",
			  "%.*s is too much of the world: at least /%d of IPv4 and /%d of IPv6; "
			  "what a listener is open to is its allow-from",
			  STR_ARG(text), BITS_MIN_4, BITS_MIN_6);
	else if (is_loopback(n))
		op_refuse(c, OP_REFUSED, "network", "%.*s is this machine itself, which stays",
			  STR_ARG(text));
	else if (covers(n, str_of(c->source)))
		op_refuse(c, OP_REFUSED, "network",
			  "%.*s has the address %s that you come from: you would lock yourself out",
			  STR_ARG(text), c->source);
	else
		return true;
	return false;
}

static bool take_network(struct op_call *c, struct cidr *n)
{
	const struct str text = op_text(c, "network", "");
	if (cidr_parse(text, n)) {
		op_refuse(c, OP_INVALID, "network",
			  "\"%.*s\" is no network: give one such as 192.0.2.0/24, 2001:db8::/48 "
			  "or one address, with nothing behind the prefix",
			  STR_ARG(text));
		return false;
	}
	widen(n);
	return may_be_banned(c, text, n);
}

static bool has_room(struct op_call *c)
{
	int64_t n = 0;
	SQL_GET_INT(c->s->registry, &n, "SELECT count(*) FROM ban WHERE until > ?",
		    sql_int(timefloor_now(&c->s->floor)));
	if (n < BANS_MAX)
		return true;
	op_refuse(c, OP_REFUSED, NULL,
		  "there are %d bans: remove some, or ban the networks that they are in", BANS_MAX);
	return false;
}

static void told(struct bans_waiter *w)
{
	struct op_call *c = container_of(w, struct op_call, bans_waiter);
	rec_int(&c->result, "sessions_closed", c->s->bans.closed);
	rec_text(&c->result, "broker", c->s->bans.away ? "away" : "done");
	op_done(c);
}

static void tell(struct op_call *c)
{
	c->bans_waiter.woken = told;
	bans_tell_all(c->s, &c->bans_waiter);
}

static void raise_event(struct op_call *c, const char *network, int64_t until, struct str reason)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "network", network);
	if (until)
		rec_time(&detail, "until", until * 1000);
	else
		rec_bool(&detail, "ended", true);
	if (reason.n)
		rec_str(&detail, "why", reason);
	change_event(c, EVENT_BAN_CHANGED, 0, STR(""), buf_view(&detail));
}

void op_ban_add(struct op_call *c)
{
	struct cidr network;
	char text[ADDR_TEXT];
	int64_t seconds = FOR_DEFAULT_S;
	const struct str reason = op_text(c, "reason", "");
	const int64_t now = timefloor_now(&c->s->floor);
	op_int(c, "for", &seconds);
	if (seconds < FOR_MIN_S) {
		op_refuse(c, OP_INVALID, "for", "for is %lld; allowed are %d to 31622400 seconds",
			  (long long)seconds, FOR_MIN_S);
		return;
	}
	if (!take_network(c, &network) || !has_room(c))
		return;
	cidr_format(&network, text);
	change_begin(c);
	SQL_RUN(c->s->registry, "DELETE FROM ban WHERE until <= ?", sql_int(now));
	SQL_RUN(c->s->registry,
		"INSERT INTO ban VALUES(?, ?, ?, ?, ?) ON CONFLICT(network) DO UPDATE SET reason = "
		"excluded.reason, created = excluded.created, created_by = excluded.created_by, "
		"until = excluded.until",
		sql_text(text), sql_str(reason), sql_int(now), sql_text(c->actor),
		sql_int(now + seconds));
	rec_text(&c->result, "network", text);
	op_put_time(&c->result, "until", now + seconds);
	raise_event(c, text, now + seconds, reason);
	c->then = tell;
	change_commit(c);
}

static void ended(struct bans_waiter *w)
{
	op_done(container_of(w, struct op_call, bans_waiter));
}

static void tell_end(struct op_call *c)
{
	c->bans_waiter.woken = ended;
	bans_tell_all(c->s, &c->bans_waiter);
}

/* These clocks are monotonic. */
static int64_t mono_now(void)
{
	return (int64_t)(clock_mono_ms() / 1000);
}

struct waiting {
	struct str source;
	bool found;
};

static void compare_source(void *arg, const struct backoff_entry *e)
{
	struct waiting *w = arg;
	w->found |= str_eq(e->source, w->source);
}

static void refuse_removal(struct op_call *c, struct str wanted)
{
	struct waiting w = {.source = wanted};
	if (c->level < ADMIN)
		backoff_each(&c->s->backoff, mono_now(), compare_source, &w);
	if (w.found)
		op_refuse(c, OP_DENIED, "network",
			  "\"%.*s\" waits after wrong passwords of administrators: only the level "
			  "admin lets it try again before its time",
			  STR_ARG(wanted));
	else
		op_refuse(c, OP_NOT_FOUND, "network",
			  "\"%.*s\" is not banned and has not to wait: ban list shows who is",
			  STR_ARG(wanted));
}

/* By what the list shows; a network also as one would write it for ban.add. Who guesses passwords
 * of a higher level does not get more tries by his own. */
void op_ban_remove(struct op_call *c)
{
	const struct str wanted = op_text(c, "network", "");
	const int64_t now = timefloor_now(&c->s->floor);
	struct cidr network;
	char text[ADDR_TEXT];
	int64_t n = 0;
	snprintf(text, sizeof(text), "%.*s", STR_ARG(wanted));
	if (cidr_parse(wanted, &network) == 0) {
		widen(&network);
		cidr_format(&network, text);
	}
	SQL_GET_INT(c->s->registry, &n, "SELECT count(*) FROM ban WHERE network = ? AND until > ?",
		    sql_text(text), sql_int(now));
	if (c->level == ADMIN)
		n += (int64_t)backoff_lift(&c->s->backoff, wanted, mono_now());
	n += (int64_t)guard_lift(c->s->guard, wanted, clock_mono_ms() * 1000);
	if (n == 0) {
		refuse_removal(c, wanted);
		return;
	}
	change_begin(c);
	SQL_RUN(c->s->registry, "DELETE FROM ban WHERE network = ?", sql_text(text));
	rec_text(&c->result, "network", text);
	rec_int(&c->result, "removed", n);
	raise_event(c, text, 0, STR(""));
	c->then = tell_end;
	change_commit(c);
}

/* ---- ban.list ---- */

static void put_bans(struct op_call *c)
{
	AUTO_QUERY q =
		SQL_QUERY(c->s->registry,
			  "SELECT network, reason, created_by, created, until FROM ban WHERE "
			  "until > ? ORDER BY created DESC, network",
			  sql_int(timefloor_now(&c->s->floor)));
	struct buf *out = &c->result;
	while (sql_next(&q)) {
		uint64_t last_ms;
		const uint64_t n = bans_refused(c->s, sql_at_str(&q, 0), &last_ms);
		rec_object(out, "");
		rec_str(out, "source", sql_at_str(&q, 0));
		rec_text(out, "kind", "ban");
		rec_null(out, "account");
		rec_str(out, "reason", sql_at_str(&q, 1));
		rec_str(out, "by", sql_at_str(&q, 2));
		op_put_time(out, "since", sql_at_int(&q, 3));
		op_put_time(out, "until", sql_at_int(&q, 4));
		rec_int(out, "count", (int64_t)n);
		op_put_time(out, "last", (int64_t)(last_ms / 1000));
		rec_end(out);
	}
}

/* What a device or somebody who logs in may have said. */
static struct str readable(struct str s)
{
	return str_is_utf8(s) ? s : STR("");
}

static void put_waiting(struct buf *out, const char *kind, struct str source, struct str account,
			const char *reason, int64_t until, int64_t count, int64_t last)
{
	rec_object(out, "");
	rec_str(out, "source", source);
	rec_text(out, "kind", kind);
	op_put_str(out, "account", readable(account));
	rec_text(out, "reason", reason);
	rec_text(out, "by", "gateway");
	rec_null(out, "since");
	op_put_time(out, "until", until);
	rec_int(out, "count", count);
	op_put_time(out, "last", last);
	rec_end(out);
}

/* What is typed as a name may be a password: only names that exist are shown. */
static void put_login(void *arg, const struct backoff_entry *e)
{
	struct op_call *c = arg;
	struct person who;
	const int64_t ahead = clock_wall() - mono_now();
	const bool known = e->account.n && people_find(c->s->registry, e->account, &who) == 0;
	put_waiting(&c->result, "login", e->source, known ? e->account : STR(""),
		    "wrong passwords of the administrators' interface", e->until + ahead,
		    e->failures, e->last + ahead);
}

static void put_password(void *arg, const struct guard_entry *e)
{
	const int64_t now = clock_wall();
	put_waiting(arg, "password", e->source, e->account, "wrong passwords of a device",
		    now + (int64_t)(e->wait_us / 1000000) + 1, (int64_t)e->refused, 0);
}

static void list(struct bans_waiter *w)
{
	struct op_call *c = container_of(w, struct op_call, bans_waiter);
	rec_list(&c->result, "items");
	put_bans(c);
	backoff_each(&c->s->backoff, mono_now(), put_login, c);
	guard_each(c->s->guard, clock_mono_ms() * 1000, put_password, &c->result);
	op_put_next(&c->result, (struct str){NULL, 0});
	op_done(c);
}

void op_ban_list(struct op_call *c)
{
	c->bans_waiter.woken = list;
	bans_tell_all(c->s, &c->bans_waiter);
}

/* ---- limit.list ---- */

static const struct {
	const char *name; /* of the counter: limit.NAME, limits.refused.NAME */
	const char *per;
} limits[] = {
	{"max-connections", "gateway"},
	{"max-connections-per-address", "address"},
	{"max-connections-per-device", "device"},
	{"max-half-open", "gateway"},
	{"max-half-open-per-address", "address"},
	{"pre-connect-memory", "gateway"},
	{"pre-connect-memory-per-address", "address"},
	{"handshake-rate", "gateway"},
	{"handshake-rate-per-address", "address"},
	{"connect-timeout", "session"},
	{"publish-rate-per-device", "device"},
	{"publish-bytes-per-device", "device"},
	{"max-packet", "session"},
	{"max-payload", "session"},
	{"max-topic-length", "session"},
	{"max-topic-levels", "session"},
	{"max-subscriptions", "session"},
	{"max-inflight", "session"},
	{"max-queued-messages", "session"},
	{"max-queued-bytes", "session"},
	{"max-queued-age", "session"},
	{"max-output-bytes", "session"},
	{"max-sessions", "gateway"},
	{"max-retained-messages", "gateway"},
	{"max-retained-bytes", "gateway"},
};

static bool counter(const struct store *s, const char *group, const char *name, int64_t *n)
{
	char key[96];
	snprintf(key, sizeof(key), "%s.%s", group, name);
	return rec_get_int(buf_view(&s->presence.counters), key, n);
}

/* What the broker tells once a second, from its first second on. */
static void put_figures(const struct store *s, const char *name, struct buf *out)
{
	int64_t value;
	int64_t refused = 0;
	if (counter(s, "limit", name, &value))
		rec_int(out, "value", value);
	else
		rec_null(out, "value");
	counter(s, "limits.refused", name, &refused);
	rec_int(out, "refused", refused);
}

/* Of the newest events of limits only: there may be millions. A packet that is too large has an
 * event of its own. */
static void put_last(struct op_call *c, const char *name)
{
	struct buf *out = &c->result;
	const bool packet = strcmp(name, "max-packet") == 0;
	AUTO_QUERY q = SQL_QUERY(events_db(c->s->events),
				 "SELECT time_ms, coalesce(device, actor, client_id), address FROM "
				 "(SELECT * FROM event WHERE name = ?1 ORDER BY seq DESC LIMIT "
				 "500) WHERE ?2 IS NULL OR reason = ?2 LIMIT 1",
				 sql_text(packet ? "packet.too-large" : "limit.reached"),
				 packet ? sql_null() : sql_text(name));
	const bool any = sql_next(&q);
	op_put_time(out, "last", any ? sql_at_int(&q, 0) / 1000 : 0);
	op_put_str(out, "who", any ? readable(sql_at_str(&q, 1)) : STR(""));
	op_put_str(out, "address", any ? readable(sql_at_str(&q, 2)) : STR(""));
}

static void put_own(struct buf *out, const char *name, const char *per, uint64_t value,
		    uint64_t refused)
{
	rec_object(out, "");
	rec_text(out, "name", name);
	rec_text(out, "per", per);
	rec_int(out, "value", (int64_t)value);
	rec_int(out, "refused", (int64_t)refused);
	rec_null(out, "last");
	rec_null(out, "who");
	rec_null(out, "address");
	rec_end(out);
}

static void put_own_limits(const struct store *s, struct buf *out)
{
	const struct guard_stats guard = guard_stats(s->guard);
	struct spool_figures spool;
	spool_figures(s->spool, &spool);
	put_own(out, "store.password-rate-per-address", "address", s->bounds.password_rate,
		logins_stats(s->logins)->refused);
	put_own(out, "store.password-tries", "address", s->bounds.password_tries,
		guard.source + guard.account);
	put_own(out, "store.spool-max-size", "gateway", spool.max_bytes, spool.refused);
	put_own(out, "events.rate-per-source", "address", s->bounds.events_per_source,
		events_suppressed(s->events));
}

void op_limit_list(struct op_call *c)
{
	struct buf *out = &c->result;
	events_flush(c->s->events);
	if (!events_db(c->s->events)) {
		op_refuse(c, OP_FAILED, NULL,
			  "the events cannot be read now: see the journal of the gateway");
		return;
	}
	rec_list(out, "items");
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		const char *name = limits[i].name;
		rec_object(out, "");
		rec_text(out, "name", name);
		rec_text(out, "per", limits[i].per);
		put_figures(c->s, name, out);
		put_last(c, name);
		rec_end(out);
	}
	put_own_limits(c->s, out);
	op_put_next(out, (struct str){NULL, 0});
	op_done(c);
}
