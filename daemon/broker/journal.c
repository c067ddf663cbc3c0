/* SPDX-License-Identifier: Apache-2.0
 *
 * Events on their way from a worker to the store: see journal.h.
 */
#include "daemon/broker/journal.h"
#include "daemon/base/clock.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rec.h"

#include <stdlib.h>

enum { DETAIL_MAX = 4096, DETAIL_ROOM = 64 };

struct parcel {
	struct loop_note note;
	struct journal *journal;
	struct buf events;
};

void journal_init(struct journal *j, struct loop *loop, struct loop *control, struct report *report)
{
	*j = (struct journal){.loop = loop, .control = control, .report = report};
}

void journal_fini(struct journal *j)
{
	loop_undefer(&j->task);
	buf_fini(&j->pending);
}

static void arrived(struct loop_note *note)
{
	struct parcel *p = container_of(note, struct parcel, note);
	struct cur c = cur_of(buf_view(&p->events));
	struct str record;
	struct body_event e;
	while (entries_next(&c, &record))
		if (body_event_get(record, &e) == 0)
			report_event(p->journal->report, e.event, &e);
	atomic_fetch_sub(&p->journal->on_the_way, p->events.n);
	buf_fini(&p->events);
	free(p);
}

static void hand_over(struct loop_task *task)
{
	struct journal *j = container_of(task, struct journal, task);
	struct parcel *p = mem_new(struct parcel);
	p->journal = j;
	p->events = j->pending;
	j->pending = (struct buf){0};
	atomic_fetch_add(&j->on_the_way, p->events.n);
	loop_post(j->control, &p->note, arrived);
}

/* True when the event passes; then *left_out is how many like it did not. A place in the table may
 * be shared by two sources: whoever comes later starts it anew, which lets a little more pass. */
static bool passes(struct journal *j, enum event event, uint64_t source, uint32_t *left_out)
{
	const uint64_t key = source * 31 + (uint64_t)event + 1;
	struct journal_source *s = &j->source[hash_bytes(&key, sizeof(key)) % JOURNAL_SOURCES];
	const uint64_t second = loop_now_ms(j->loop) / 1000;
	*left_out = 0;
	if (s->key != key)
		*s = (struct journal_source){.key = key, .second = second};
	if (s->second != second) {
		*left_out = s->suppressed;
		*s = (struct journal_source){.key = key, .second = second};
	}
	const bool room = j->pending.n + atomic_load(&j->on_the_way) < JOURNAL_WAITING;
	if (s->passed < JOURNAL_PER_SECOND && room) {
		s->passed++;
		return true;
	}
	s->suppressed += *left_out + 1;
	j->suppressed++;
	return false;
}

static struct str cut(struct str s, size_t max)
{
	return (struct str){s.p, MIN(s.n, max)};
}

void journal_topic(struct buf *detail, struct str topic)
{
	size_t n = MIN(topic.n, (size_t)JOURNAL_TOPIC_MAX);
	/* Not within a character. */
	while (n && n < topic.n && ((unsigned char)topic.p[n] & 0xc0) == 0x80)
		n--;
	rec_str(detail, "topic", (struct str){topic.p, n});
}

void journal_event(struct journal *j, enum event event, uint64_t source, struct body_event *fields,
		   struct buf *detail)
{
	AUTO_BUF own = {0};
	uint32_t left_out;
	if (!passes(j, event, source, &left_out))
		return;
	if (!detail || detail->n > DETAIL_MAX - DETAIL_ROOM)
		detail = &own;
	if (left_out)
		rec_int(detail, "suppressed", left_out);
	struct body_event e = *fields;
	e.event = (uint16_t)event;
	e.time_ms = clock_wall_ms();
	e.actor = cut(e.actor, 256);
	e.client_id = cut(e.client_id, 1024);
	e.address = cut(e.address, 64);
	e.listener = cut(e.listener, 64);
	e.reason = cut(e.reason, 256);
	e.detail = buf_view(detail);
	ENTRIES_PUT(&j->pending, event, &e);
	loop_defer(j->loop, &j->task, hand_over);
}
