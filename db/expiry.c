/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that end: see expiry.h.
 */
#include "db/expiry.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rec.h"
#include "db/change.h"
#include "db/registry.h"
#include "db/store.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIRST_MS = 1000, FINGERPRINT = 32, EXPIRED = 100, STEP = 24 * 3600, LATE = 30 * STEP };

static const int stages[] = {95, 80, 66};

struct ending {
	int64_t id;
	int64_t device_id;
	char device[NAME_SIZE];
	unsigned char fp[FINGERPRINT];
	int64_t not_after;
	int percent; /* of its life */
	int stage;   /* that it has reached */
	int told;    /* 0: none */
	int64_t told_at;
};

static int percent_of(int64_t begin, int64_t end, int64_t now)
{
	if (now >= end)
		return EXPIRED;
	return end > begin ? (int)((now - begin) * EXPIRED / (end - begin)) : EXPIRED;
}

static int stage_of(int percent)
{
	if (percent >= EXPIRED)
		return EXPIRED;
	for (size_t i = 0; i < ARRAY_LEN(stages); i++)
		if (percent >= stages[i])
			return stages[i];
	return 0;
}

static void read_ending(const struct sql_query *q, int64_t now, struct ending *e)
{
	const struct str name = sql_at_str(q, 2);
	const struct str fp = sql_at_str(q, 3);
	*e = (struct ending){
		.id = sql_at_int(q, 0),
		.device_id = sql_at_int(q, 1),
		.not_after = sql_at_int(q, 5),
		.percent = percent_of(sql_at_int(q, 4), sql_at_int(q, 5), now),
		.told = (int)sql_at_int(q, 6),
		.told_at = sql_at_int(q, 7),
	};
	e->stage = stage_of(e->percent);
	snprintf(e->device, sizeof(e->device), "%.*s", STR_ARG(name));
	memcpy(e->fp, fp.p, MIN(fp.n, sizeof(e->fp)));
}

/* Those that are due to be told of. */
static size_t collect(struct store *s, int64_t now, struct ending *out)
{
	size_t n = 0;
	AUTO_QUERY q = SQL_QUERY(
		s->registry,
		"SELECT cert.id, device.id, device.name, fp, not_before, not_after, "
		"coalesce(stage, 0), coalesce(notice.at, 0) FROM cert "
		"JOIN device ON device.id = device_id LEFT JOIN notice ON cert_id = cert.id "
		"WHERE status = 0 AND profile = 'device' AND ca_id IS NOT NULL AND enabled AND "
		"(?1 - not_before) * 100 >= 66 * (not_after - not_before) AND "
		"(not_after > ?1 - ?2 OR (coalesce(stage, 0) < 100 AND not_after > ?1 - ?5)) AND "
		"(coalesce(notice.at, 0) <= ?1 - ?3 OR coalesce(stage, 0) < CASE "
		"WHEN not_after <= ?1 THEN 100 "
		"WHEN (?1 - not_before) * 100 >= 95 * (not_after - not_before) THEN 95 "
		"WHEN (?1 - not_before) * 100 >= 80 * (not_after - not_before) THEN 80 "
		"ELSE 66 END) AND NOT EXISTS (SELECT 1 FROM cert AS newer WHERE "
		"newer.device_id = cert.device_id AND newer.status = 0 AND newer.id > cert.id AND "
		"newer.not_after > cert.not_after) LIMIT ?4",
		sql_int(now), sql_int(MIN(s->expiry.grace, now)), sql_int(STEP),
		sql_int(EXPIRY_AT_ONCE), sql_int(LATE));
	while (n < EXPIRY_AT_ONCE && sql_next(&q))
		read_ending(&q, now, &out[n++]);
	return n;
}

static void raise(struct store *s, const struct ending *e)
{
	AUTO_BUF detail = {0};
	char ends[CLOCK_TEXT];
	const bool over = e->stage == EXPIRED;
	rec_bytes(&detail, "fingerprint", str_make(e->fp, FINGERPRINT));
	rec_text(&detail, "not_after", clock_format(e->not_after, ends));
	rec_int(&detail, "percent", e->percent);
	const struct body_event fields = {
		.event = over ? EVENT_CERTIFICATE_EXPIRED : EVENT_CERTIFICATE_EXPIRING,
		.time_ms = clock_wall_ms(),
		.device_id = (uint64_t)e->device_id,
		.actor = STR("store"),
		.reason = over                    ? STR("it has ended and was not renewed")
			  : e->stage == stages[0] ? STR("its end is near")
						  : STR("it should be renewed"),
		.detail = buf_view(&detail),
	};
	events_add(s->events, &fields, str_of(e->device));
}

static void notify(struct store *s, const struct ending *e)
{
	char hex[2 * FINGERPRINT + 1];
	char ends[CLOCK_TEXT];
	char text[256];
	if (!s->peer[PROCESS_BROKER].link)
		return;
	hex_encode(e->fp, FINGERPRINT, hex);
	const int n = snprintf(text, sizeof(text),
			       "{\"fingerprint\":\"%s\",\"expires\":\"%s\",\"percent\":%d}", hex,
			       clock_format(e->not_after, ends), e->percent);
	const struct body_notice body = {(uint64_t)e->device_id, STR(EXPIRY_TOPIC),
					 str_make(text, (size_t)n)};
	LINK_SEND(s->peer[PROCESS_BROKER].link, NOTICE, notice, 0, -1, &body);
}

void expiry_look(struct store *s)
{
	const int64_t now = timefloor_now(&s->floor);
	struct ending *list = mem_array(struct ending, EXPIRY_AT_ONCE);
	const size_t n = timefloor_ok(&s->floor) ? collect(s, now, list) : 0;
	sql_begin(s->registry);
	for (size_t i = 0; i < n; i++)
		SQL_RUN(s->registry,
			"INSERT INTO notice VALUES(?1, ?2, ?3) ON CONFLICT(cert_id) DO UPDATE SET "
			"stage = ?2, at = ?3",
			sql_int(list[i].id), sql_int(list[i].stage), sql_int(now));
	const int err = sql_commit(s->registry);
	if (err)
		store_registry_failed(s, err);
	for (size_t i = 0; !err && i < n; i++) {
		if (list[i].stage > list[i].told || list[i].stage == EXPIRED)
			raise(s, &list[i]);
		notify(s, &list[i]);
	}
	free(list);
}

static void look(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, expiry.timer);
	const bool later = job_writes(s);
	loop_timer_start(s->loop, t, "certificates that end",
			 later ? JOB_RETRY_MS : EXPIRY_LOOK_S * UINT64_C(1000), look);
	if (!later)
		expiry_look(s);
}

int64_t expiry_forgotten(const struct store *s)
{
	const int64_t now = timefloor_now(&s->floor);
	return now - MIN(MAX(s->expiry.grace, (int64_t)LATE), now);
}

int64_t expiry_cutoff(const struct store *s)
{
	const int64_t now = timefloor_now(&s->floor);
	return now - MIN(s->expiry.grace, now);
}

void expiry_set(struct store *s, int64_t grace)
{
	const bool more = grace > s->expiry.grace;
	s->expiry.grace = grace;
	if (more)
		deltas_missed(s);
}

void expiry_start(struct store *s)
{
	if (!loop_timer_running(&s->expiry.timer))
		loop_timer_start(s->loop, &s->expiry.timer, "certificates that end", FIRST_MS,
				 look);
}

void expiry_stop(struct store *s)
{
	loop_timer_stop(s->loop, &s->expiry.timer);
}
