/* SPDX-License-Identifier: Apache-2.0
 *
 * Last seen: see seen.h.
 */
#include "db/seen.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rec.h"
#include "daemon/net/addr.h"
#include "db/ops.h"
#include "db/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLACE_ADDRESS, PLACE_LISTENER, PLACE_PROTOCOL, PLACE_TLS, PLACES };

struct seen_place {
	char text[PLACES][SEEN_PLACE_MAX + 1];
};

struct seen_change {
	uint64_t device_id;
	int64_t at;               /* seconds, or SEEN_NOW */
	struct seen_place *place; /* NULL: it went only, where from is written */
};

static const char *const names[SEEN_STATES] = {"connected", "away", "never", "barred", "disabled"};

const char *seen_state_name(enum seen_state state)
{
	return names[state];
}

bool seen_state_parse(struct str name, enum seen_state *out)
{
	for (unsigned i = 0; i < SEEN_STATES; i++) {
		if (!str_is(name, names[i]))
			continue;
		*out = (enum seen_state)i;
		return true;
	}
	return false;
}

/* ---- writing ---- */

static void write_timer(struct loop_timer *t);

static void change_free(struct seen_change *c)
{
	free(c->place);
	free(c);
}

static void arm(struct store *s, uint64_t delay_ms, bool soon)
{
	s->seen.soon = soon;
	loop_timer_start(s->loop, &s->seen.timer, "last seen", delay_ms, write_timer);
}

/* A row that says so already is left alone: after a new link all are told again. */
static void write_change(struct sql *db, const struct seen_change *c)
{
	const struct seen_place *p = c->place;
	if (p)
		SQL_RUN(db,
			"UPDATE device SET seen = ?2, seen_address = ?3, seen_listener = ?4, "
			"seen_protocol = ?5, seen_tls = nullif(?6, '') WHERE id = ?1 AND (seen <> "
			"?2 OR seen_address IS NOT ?3 OR seen_listener IS NOT ?4 OR seen_protocol "
			"IS NOT ?5 OR seen_tls IS NOT nullif(?6, ''))",
			sql_int((int64_t)c->device_id), sql_int(c->at),
			sql_text(p->text[PLACE_ADDRESS]), sql_text(p->text[PLACE_LISTENER]),
			sql_text(p->text[PLACE_PROTOCOL]), sql_text(p->text[PLACE_TLS]));
	else
		SQL_RUN(db, "UPDATE device SET seen = ?2 WHERE id = ?1 AND seen <> ?2",
			sql_int((int64_t)c->device_id), sql_int(c->at));
}

static void write_alive(struct store *s)
{
	SQL_RUN(s->registry, "UPDATE meta SET value = ? WHERE name = 'seen-alive'",
		sql_int(timefloor_now(&s->floor)));
}

static bool commit(struct store *s)
{
	const int err = sql_commit(s->registry);
	if (err)
		store_registry_failed(s, err);
	else
		store_registry_worked(s);
	return err == 0;
}

bool seen_write(struct store *s)
{
	struct seen_change *change[SEEN_AT_ONCE];
	size_t n = 0;
	size_t at = 0;
	struct str key;
	void *value;
	while (n < ARRAY_LEN(change) && map_next(&s->seen.waiting, &at, &key, &value))
		change[n++] = value;
	sql_begin(s->registry);
	write_alive(s);
	for (size_t i = 0; i < n; i++)
		write_change(s->registry, change[i]);
	if (!commit(s))
		return false;
	for (size_t i = 0; i < n; i++) {
		map_remove(&s->seen.waiting, MAP_KEY(change[i]->device_id));
		change_free(change[i]);
	}
	return true;
}

static void write_timer(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, seen.timer);
	const bool written = !job_writes(s) && seen_write(s);
	if (s->seen.waiting.n)
		arm(s, written ? SEEN_AGAIN_MS : SEEN_WRITE_MS, true);
	else if (s->presence.devices.n)
		arm(s, SEEN_ALIVE_MS, false);
	else
		s->seen.soon = false;
}

/* ---- what presence tells ---- */

static struct seen_change *change_of(struct store *s, uint64_t device_id)
{
	struct seen_change *c = map_get(&s->seen.waiting, MAP_KEY(device_id));
	if (c || s->seen.waiting.n >= PRESENCE_MAX)
		return c;
	c = mem_new(struct seen_change);
	c->device_id = device_id;
	map_set(&s->seen.waiting, MAP_KEY(device_id), c);
	if (!s->seen.soon)
		arm(s, SEEN_WRITE_MS, true);
	return c;
}

/* Without the port, which says nothing later. */
static void put_address(char out[SEEN_PLACE_MAX + 1], struct str address)
{
	struct addr a;
	char ip[ADDR_TEXT];
	if (addr_parse(address, &a) == 0)
		snprintf(out, SEEN_PLACE_MAX + 1, "%s", addr_format_ip(&a, ip));
	else
		snprintf(out, SEEN_PLACE_MAX + 1, "%.*s", STR_ARG(address));
}

static void put_place(char out[SEEN_PLACE_MAX + 1], struct str text)
{
	snprintf(out, SEEN_PLACE_MAX + 1, "%.*s", STR_ARG(str_is_utf8(text) ? text : STR("?")));
}

void seen_came(struct store *s, const struct body_client *client)
{
	struct seen_change *c = client->device_id ? change_of(s, client->device_id) : NULL;
	if (!c)
		return;
	c->at = SEEN_NOW;
	if (!c->place)
		c->place = mem_new(struct seen_place);
	put_address(c->place->text[PLACE_ADDRESS], client->address);
	put_place(c->place->text[PLACE_LISTENER], client->listener);
	put_place(c->place->text[PLACE_PROTOCOL], client->protocol);
	put_place(c->place->text[PLACE_TLS], client->tls);
}

void seen_went(struct store *s, uint64_t device_id)
{
	struct seen_change *c = change_of(s, device_id);
	if (c)
		c->at = timefloor_now(&s->floor);
}

/* ---- when certificates end ---- */

void seen_settle(struct store *s)
{
	struct sql *db = s->registry;
	const int64_t now = expiry_cutoff(s);
	int64_t before = 0;
	int64_t some = 0;
	SQL_GET_INT(db, &before, "SELECT value FROM meta WHERE name = 'state-cutoff'");
	const int64_t from = MIN(before, now);
	const int64_t to = MAX(before, now); /* the setting may have been changed */
	SQL_GET_INT(db, &some,
		    "SELECT EXISTS(SELECT 1 FROM cert WHERE status = 0 AND not_after > ? AND "
		    "not_after <= ? AND device_id IS NOT NULL)",
		    sql_int(from), sql_int(to));
	if (!some || job_writes(s))
		return; /* the next list makes it good */
	sql_begin(db);
	SQL_RUN(db, "UPDATE meta SET value = ? WHERE name = 'state-cutoff'", sql_int(now));
	SQL_RUN(db,
		"UPDATE device SET seen = seen WHERE id IN (SELECT device_id FROM cert WHERE "
		"status = 0 AND not_after > ? AND not_after <= ?)",
		sql_int(from), sql_int(to));
	commit(s);
}

/* ---- showing ---- */

void seen_put(struct store *s, int64_t device_id, bool enabled, bool barred,
	      const struct sql_query *q, int column, struct buf *out)
{
	static const char *const fields[PLACES] = {"last_address", "last_listener", "last_protocol",
						   "last_tls"};
	const struct seen_change *c =
		map_get(&s->seen.waiting, MAP_KEY(((const uint64_t){(uint64_t)device_id})));
	const bool connected = presence_of_device(&s->presence, (uint64_t)device_id) > 0;
	int64_t at = c ? c->at : sql_at_int(q, column);
	enum seen_state state = SEEN_AWAY;
	if (connected || at == SEEN_NOW)
		at = timefloor_now(&s->floor);
	if (!enabled)
		state = SEEN_DISABLED;
	else if (connected)
		state = SEEN_CONNECTED;
	else if (barred)
		state = SEEN_BARRED;
	else if (at == 0)
		state = SEEN_NEVER;
	rec_text(out, "state", seen_state_name(state));
	op_put_time(out, "last_seen", at);
	for (int i = 0; i < PLACES; i++)
		op_put_str(out, fields[i],
			   c && c->place ? str_of(c->place->text[i])
					 : sql_at_str(q, column + 1 + i));
}

/* ---- life ---- */

void seen_start(struct store *s)
{
	SQL_RUN(s->registry,
		"UPDATE device SET seen = max(1, (SELECT value FROM meta WHERE name = "
		"'seen-alive')) WHERE seen = ?",
		sql_int(SEEN_NOW));
}

void seen_stop(struct store *s)
{
	size_t at = 0;
	struct str key;
	void *value;
	loop_timer_stop(s->loop, &s->seen.timer);
	sql_begin(s->registry);
	while (map_next(&s->seen.waiting, &at, &key, &value)) {
		const struct seen_change *c = value;
		if (c->place)
			write_change(s->registry, c);
	}
	/* In one statement: a fleet that went together. */
	SQL_RUN(s->registry, "UPDATE device SET seen = ? WHERE seen = ?",
		sql_int(timefloor_now(&s->floor)), sql_int(SEEN_NOW));
	commit(s);
	at = 0;
	while (map_next(&s->seen.waiting, &at, &key, &value))
		change_free(value);
	map_fini(&s->seen.waiting);
}
