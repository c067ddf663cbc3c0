/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches for the store: see spool.h.
 */
#include "daemon/broker/spool.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/broker/control.h"
#include "daemon/broker/session.h"
#include "daemon/broker/spool_restore.h"
#include "daemon/broker/spool_session.h"

#include <stdlib.h>
#include <unistd.h>

enum { SQUEEZE_MIN = 1 * MiB };

void spool_init(struct spool *s, struct worker *w)
{
	*s = (struct spool){.worker = w, .open.number = SPOOL_RESTORED + 1, .piece = SPOOL_PIECE};
	list_init(&s->open.waits);
	list_init(&s->sent.waits);
}

void spool_number_from(struct spool *s, uint64_t base)
{
	s->next_id = (base / WORKERS_MAX + 1) * WORKERS_MAX + s->worker->index;
}

uint64_t spool_number(struct spool *s)
{
	const uint64_t id = s->next_id;
	s->next_id += WORKERS_MAX;
	return id;
}

/* ---- the open batch ---------------------------------------------------------------------------
 */

static void send_task(struct loop_task *task);

uint32_t spool_added_(struct spool *s, enum spool_kind kind, size_t at)
{
	struct spool_batch *b = &s->open;
	if (b->n == b->cap) {
		b->cap = b->cap ? b->cap * 2 : 64;
		b->entry = mem_grow(b->entry, b->cap * sizeof(*b->entry));
	}
	b->entry[b->n] = (struct spool_entry){.at = at, .kind = (uint8_t)kind, .kept = true};
	loop_defer(s->worker->loop, &s->task, send_task);
	return b->n++;
}

static uint64_t number_of(struct spool *s, struct msg *m)
{
	uint64_t mid = atomic_load_explicit(&m->mid, memory_order_relaxed);
	if (mid)
		return mid;
	const uint64_t fresh = spool_number(s);
	/* Another worker may give it one at the same time. */
	return atomic_compare_exchange_strong(&m->mid, &mid, fresh) ? fresh : mid;
}

static uint64_t wall_of(uint64_t mono_ms, uint64_t now_ms)
{
	return mono_ms ? clock_wall_ms() + mono_ms - now_ms : 0;
}

uint32_t spool_add_message(struct spool *s, struct msg *m, bool kept)
{
	const uint64_t mid = number_of(s, m);
	if (s->mid != mid) {
		const struct session *origin = session_find(s->worker, m->origin);
		const struct body_spool_message body = {
			.mid = mid,
			.qos = m->qos,
			.retain = m->retain,
			.expires_ms = wall_of(m->expires_ms, loop_now_ms(s->worker->loop)),
			.origin = origin ? origin->sid : 0,
			.topic = m->shared.topic,
			.properties = m->shared.properties,
			.payload = m->shared.payload,
		};
		s->mid_entry = SPOOL_ADD(s, MESSAGE, message, &body);
		spool_entry(s, s->mid_entry)->kept = false;
		s->mid = mid;
	}
	struct spool_entry *e = spool_entry(s, s->mid_entry);
	e->refs++;
	e->kept |= kept;
	return s->mid_entry;
}

static size_t end_of(const struct spool_batch *b, uint32_t i)
{
	return i + 1 < b->n ? b->entry[i + 1].at : b->bytes.n;
}

void spool_undo(struct spool *s, uint32_t index)
{
	struct spool_entry *e = spool_entry(s, index);
	e->undone = true;
	s->open.undone += end_of(&s->open, index) - e->at;
}

void spool_release_message(struct spool *s, uint32_t entry)
{
	struct spool_entry *e = spool_entry(s, entry);
	if (--e->refs)
		return;
	spool_undo(s, entry);
	if (s->mid_entry == entry)
		s->mid = 0;
}

/* Undone records leave the open batch; to[] says where the others are now. */
static void close_gaps(struct spool_batch *b, uint32_t *to)
{
	uint32_t n = 0;
	size_t at = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		const struct spool_entry e = b->entry[i];
		const size_t size = end_of(b, i) - e.at;
		to[i] = n;
		if (e.undone)
			continue;
		memmove(b->bytes.p + at, b->bytes.p + e.at, size);
		b->entry[n] = e;
		b->entry[n++].at = at;
		at += size;
	}
	b->n = n;
	b->bytes.n = at;
	b->undone = 0;
}

/* While the store is slow most of the batch may be what receivers have acknowledged since. */
static void squeeze(struct spool *s)
{
	struct spool_batch *b = &s->open;
	if (b->undone < SQUEEZE_MIN || b->undone < b->bytes.n / 2)
		return;
	uint32_t *to = mem_array(uint32_t, b->n);
	close_gaps(b, to);
	for (uint32_t i = 0; i < b->n; i++) {
		struct spool_row *row = b->entry[i].row;
		if (!row)
			continue;
		row->entry = to[row->entry];
		row->message = to[row->message];
		if (row->sent)
			row->sent = to[row->sent - 1] + 1;
	}
	if (s->mid)
		s->mid_entry = to[s->mid_entry];
	free(to);
}

void spool_owe(struct spool *s)
{
	s->owes = true;
	loop_defer(s->worker->loop, &s->task, send_task);
}

void spool_wait(struct spool *s, struct spool_wait *wait,
		void (*done)(struct spool_wait *wait, enum spool_status status))
{
	wait->done = done;
	list_append(&s->open.waits, &wait->node);
	loop_defer(s->worker->loop, &s->task, send_task);
}

/* ---- how much is there ------------------------------------------------------------------------
 */

bool spool_is_full(const struct broker *b)
{
	return atomic_load_explicit(&b->spooled, memory_order_relaxed) > SPOOL_UNANSWERED_MAX;
}

bool spool_is_idle(const struct broker *b)
{
	return atomic_load_explicit(&b->spooled, memory_order_relaxed) == 0;
}

static void tell_behind(struct worker *w)
{
	struct broker *b = w->broker;
	struct body_event e = {.reason = STR("the store does not keep up")};
	const size_t spooled = atomic_load_explicit(&b->spooled, memory_order_relaxed);
	if (spooled < SPOOL_UNANSWERED_MAX / 2 &&
	    atomic_load_explicit(&b->spool_behind, memory_order_relaxed))
		atomic_store(&b->spool_behind, false);
	else if (spooled > SPOOL_UNANSWERED_MAX && !atomic_exchange(&b->spool_behind, true))
		journal_event(&w->journal, EVENT_SPOOL_BEHIND, 0, &e, NULL);
}

static void tell(struct spool *s)
{
	const size_t now = s->open.bytes.n + s->message.n + s->first.n + s->owes;
	if (now == s->told)
		return;
	atomic_fetch_add(&s->worker->broker->spooled, now - s->told);
	s->told = s->worker->stats.spool_waiting = now;
	tell_behind(s->worker);
}

/* ---- sending ----------------------------------------------------------------------------------
 */

/* Appends the records that are wanted, neighbours at once. */
static void copy_entries(const struct spool_batch *b, struct buf *to,
			 bool (*wanted)(const struct spool_entry *e))
{
	uint32_t i = 0;
	while (i < b->n) {
		const uint32_t from = i;
		while (i < b->n && wanted(&b->entry[i]))
			i++;
		if (i > from)
			buf_put(to, b->bytes.p + b->entry[from].at,
				end_of(b, i - 1) - b->entry[from].at);
		else
			i++;
	}
}

static bool is_wanted(const struct spool_entry *e)
{
	return !e->undone;
}

/* Has to be stored, and stands for itself. */
static bool is_kept(const struct spool_entry *e)
{
	return !e->undone && e->kept && e->kind != SPOOL_KIND_MESSAGE &&
	       e->kind != SPOOL_KIND_QUEUE && e->kind != SPOOL_KIND_RETAIN;
}

/* Makes room, also when it comes sooner than its place: at its place it comes again. */
static bool is_removal(enum spool_kind kind)
{
	return kind == SPOOL_KIND_QUEUE_GONE || kind == SPOOL_KIND_SESSION_GONE ||
	       kind == SPOOL_KIND_RETAIN_GONE;
}

/* What it takes away is not put by anything in first: once is enough. */
static bool is_not_over(enum spool_kind kind)
{
	return kind != SPOOL_KIND_QUEUE_GONE && kind != SPOOL_KIND_RETAIN_GONE;
}

static void copy_kinds(struct str from, struct buf *to, bool (*wanted)(enum spool_kind kind))
{
	struct cur c = cur_of(from);
	struct str record;
	for (const unsigned char *start = c.p; entries_next(&c, &record); start = c.p)
		if (wanted((unsigned char)record.p[0]))
			buf_put(to, start, (size_t)(c.p - start));
}

static void transmit(struct spool *s);

static void again(struct loop_timer *t)
{
	struct spool *s = container_of(t, struct spool, again);
	if (s->is_unsent)
		transmit(s);
	loop_defer(s->worker->loop, &s->task, send_task);
}

static void transmit(struct spool *s)
{
	struct body_spool b = {.epoch = s->worker->broker->spool_epoch, .seq = s->seq};
	AUTO_FD fd = -1;
	s->is_unsent = false;
	if (!s->link)
		return; /* spool_use comes */
	if (s->message.n <= SPOOL_INLINE_MAX) {
		b.records = buf_view(&s->message);
	} else {
		fd = memfd_make("spool", buf_view(&s->message));
		s->is_unsent = fd < 0;
	}
	if (!s->is_unsent)
		LINK_SEND(s->link, SPOOL, spool, 0, fd, &b);
	else
		loop_timer_start(s->worker->loop, &s->again, "spool", SPOOL_AGAIN_MS, again);
}

static void run_waits(struct spool *s, struct list *waits, enum spool_status status)
{
	struct list now;
	list_init(&now);
	while (!list_empty(waits)) {
		struct list *it = waits->next;
		list_remove(it);
		list_append(&now, it);
	}
	while (!list_empty(&now)) {
		struct spool_wait *wait = list_entry(now.next, struct spool_wait, node);
		list_remove(&wait->node);
		wait->done(wait, status);
		arena_reset(&s->worker->arena);
	}
}

/* The batch that was open is the sent one now, and another one is open. */
static void turn(struct spool *s)
{
	struct spool_batch *open = &s->open, *sent = &s->sent;
	const struct spool_batch old = *sent;
	sent->number = open->number++;
	sent->bytes = open->bytes;
	sent->entry = open->entry;
	sent->cap = open->cap;
	sent->n = open->n;
	open->bytes = old.bytes;
	open->bytes.n = 0;
	open->entry = old.entry;
	open->cap = old.cap;
	open->n = 0;
	open->undone = 0;
	while (!list_empty(&open->waits)) {
		struct list *it = open->waits.next;
		list_remove(it);
		list_append(&sent->waits, it);
	}
	s->mid = 0;
}

static void answered(struct spool *s, enum spool_status status)
{
	s->is_sent = false;
	if (status == SPOOL_STORED && s->first.n == 0) {
		s->committed = s->sent.number;
		s->has_rows = false;
	}
	buf_fini(&s->message);
	/* A large one is not kept for the rare case. */
	if (s->sent.bytes.cap > MiB)
		buf_fini(&s->sent.bytes);
	run_waits(s, &s->sent.waits, status);
	loop_defer(s->worker->loop, &s->task, send_task);
}

/* Nothing is new: what was refused is tried again when its time has come. */
static bool has_to_rest(const struct spool *s)
{
	if (s->is_alone || s->open.n)
		return false;
	if (loop_timer_running(&s->again))
		return true;
	return s->first.n == 0 && list_empty(&s->open.waits);
}

/* How much of first goes with one message. */
static size_t first_piece(const struct spool *s)
{
	struct cur c = cur_of(buf_view(&s->first));
	const size_t all = cur_left(&c);
	struct str record;
	while (all - cur_left(&c) < SPOOL_UNANSWERED_MAX && entries_next(&c, &record))
		;
	return all - cur_left(&c);
}

static void make_message(struct spool *s)
{
	s->is_removals = s->is_alone;
	s->is_alone = false;
	s->sent.n = 0;
	s->message_first = 0;
	if (s->is_removals) {
		copy_kinds(buf_view(&s->first), &s->message, is_removal);
		if (s->message.n)
			return;
		s->is_removals = false;
	}
	s->message_first = first_piece(s);
	buf_put(&s->message, s->first.p, s->message_first);
	buf_consume(&s->first, s->message_first);
	if (s->first.n)
		return;
	buf_fini(&s->first);
	turn(s);
	copy_entries(&s->sent, &s->message, is_wanted);
}

static void send_task(struct loop_task *task)
{
	struct spool *s = container_of(task, struct spool, task);
	if (!s->is_sent && s->owes && !loop_timer_running(&s->again))
		s->owes = !spool_pay(s->worker);
	if (s->is_sent || has_to_rest(s)) {
		squeeze(s);
		tell(s);
		return;
	}
	make_message(s);
	if (s->message.n == 0) {
		answered(s, SPOOL_STORED);
		return;
	}
	s->is_sent = true;
	s->seq++;
	tell(s);
	transmit(s);
}

/* ---- answers ----------------------------------------------------------------------------------
 */

/* The store tells of it. */
static void refused(struct spool *s, enum spool_status status)
{
	struct worker *w = s->worker;
	const struct spool_batch *b = &s->sent;
	if (!s->is_removals) {
		struct buf first = s->message;
		first.n = s->message_first;
		copy_entries(b, &first, is_kept);
		buf_str(&first, buf_view(&s->first));
		buf_fini(&s->first);
		s->first = first;
		s->message = (struct buf){0};
	}
	for (uint32_t i = 0; i < b->n; i++)
		if (is_wanted(&b->entry[i]))
			spool_refuse(w, &b->entry[i],
				     str_make(b->bytes.p + b->entry[i].at,
					      end_of(b, i) - b->entry[i].at));
	/* What makes room goes alone at first. Then all with what is new, so that its publishers
	 * are answered; or when this time is over. */
	s->is_alone = !s->is_removals && s->first.n;
	s->is_lost = false;
	s->piece = SPOOL_PIECE_FULL;
	loop_timer_start(w->loop, &s->again, "spool", SPOOL_AGAIN_MS, again);
	answered(s, status);
}

static void stored(struct spool *s)
{
	if (s->is_removals && !s->has_rows) {
		struct buf rest = {0};
		copy_kinds(buf_view(&s->first), &rest, is_not_over);
		buf_fini(&s->first);
		s->first = rest;
	}
	s->piece = MIN(s->piece * 2, (size_t)SPOOL_PIECE);
	answered(s, SPOOL_STORED);
}

/* The store began anew before it took this batch: rows of sessions that it did not know are in no
 * table. The records go once more, behind the sessions; who waits, waits. */
static void stored_in_vain(struct spool *s)
{
	copy_entries(&s->sent, &s->first, is_wanted);
	while (!list_empty(&s->sent.waits)) {
		struct list *it = s->sent.waits.next;
		list_remove(it);
		list_append(&s->open.waits, it);
	}
	s->sent.n = 0;
	s->is_lost = false;
	s->has_rows = true;
	answered(s, SPOOL_STORED);
}

static int on_done(struct link *l, struct record *r)
{
	struct spool *s = link_owner(l);
	struct body_spool_done b;
	if (body_spool_done_get(r->body, &b))
		return ERR_MALFORMED;
	if (!s->is_sent || b.seq != s->seq)
		return 0; /* of the link before: the batch was answered already */
	if (b.status == SPOOL_STORED && s->is_lost)
		stored_in_vain(s);
	else if (b.status == SPOOL_STORED)
		stored(s);
	else
		refused(s, (enum spool_status)b.status);
	return 0;
}

static int on_lost(struct link *l, struct record *r)
{
	struct spool *s = link_owner(l);
	struct body_spool_lost b;
	if (body_spool_lost_get(r->body, &b))
		return ERR_MALFORMED;
	s->is_lost = s->is_sent;
	spool_store_all(s->worker);
	return 0;
}

/* ---- the link ---------------------------------------------------------------------------------
 */

static void broken(struct link *l, const char *why, bool misbehaved)
{
	struct spool *s = link_owner(l);
	s->link = NULL;
	control_link_broken(s->worker->broker->control, PROCESS_STORE, 1 + s->worker->index, why,
			    misbehaved);
	link_free(l);
}

static void use(struct spool *s, int fd)
{
	static const link_handler handlers[MSG_COUNT] = {
		[MSG_SPOOL_DONE] = on_done,
		[MSG_SPOOL_LOST] = on_lost,
	};
	const struct link_config config = {
		.self = PROCESS_BROKER,
		.peer = PROCESS_STORE,
		.handler = handlers,
		.owner = s,
		.broken = broken,
	};
	struct worker *w = s->worker;
	struct link *old = TAKE(s->link);
	if (old)
		link_free(old); /* ends a question of the restore */
	s->link = link_new(w->loop, fd, &config);
	if (w->index == 0)
		spool_restore_ask(w);
	if (s->is_sent)
		transmit(s);
}

struct given {
	struct loop_note note;
	struct worker *worker;
	int fd;
};

static void arrived(struct loop_note *note)
{
	struct given *g = container_of(note, struct given, note);
	use(&g->worker->spool, g->fd);
	free(g);
}

void spool_give(struct worker *w, int fd)
{
	struct given *g = mem_new(struct given);
	g->worker = w;
	g->fd = fd;
	loop_post(w->loop, &g->note, arrived);
}
