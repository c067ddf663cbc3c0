/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest log lines: see logs.h.
 */
#include "db/logs.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/frame.h"

#include <stdlib.h>
#include <unistd.h>

enum { READ_BUDGET = 64, REST_MS = 1000 };

struct source {
	struct logs *logs;
	enum process process;
	struct loop_io io;
	bool open;
	bool watched;
	struct loop_timer rest; /* it said too much in this second */
	unsigned taken;         /* since counted_ms */
	uint64_t counted_ms;
};

struct ring {
	struct logs_line *line[LOGS_LINES];
	size_t first;
	size_t n;
	size_t bytes;
};

struct logs {
	struct loop *loop;
	void (*misbehaved)(void *arg, enum process process);
	void *arg;
	struct source source[PROCESS_COUNT];
	struct ring ring[PROCESS_COUNT];
	uint64_t seq;
	struct list waiters;
	struct loop_task wake;
	unsigned char buf[FRAME_MAX];
};

struct logs *logs_new(struct loop *loop, void (*misbehaved)(void *arg, enum process process),
		      void *arg)
{
	struct logs *l = mem_new(struct logs);
	l->loop = loop;
	l->misbehaved = misbehaved;
	l->arg = arg;
	/* Whoever follows goes on after a restart: no process writes a line per microsecond. */
	l->seq = clock_wall_ms() * 1000;
	list_init(&l->waiters);
	for (enum process p = 0; p < PROCESS_COUNT; p++) {
		l->source[p].logs = l;
		l->source[p].process = p;
	}
	return l;
}

/* ---- the rings --------------------------------------------------------------------------------
 */

static struct logs_line *at(const struct ring *r, size_t i)
{
	return r->line[(r->first + i) % LOGS_LINES];
}

static void drop_first(struct ring *r)
{
	struct logs_line *line = at(r, 0);
	r->bytes -= line->text.n;
	r->first = (r->first + 1) % LOGS_LINES;
	r->n--;
	free(line);
}

/* Bytes of the character at the beginning, 0: it is none. */
static size_t character(const char *p, size_t n)
{
	for (size_t k = 1; k <= MIN(n, (size_t)4); k++)
		if (str_is_utf8(str_make(p, k)))
			return k;
	return 0;
}

/* In one pass: whoever was taken over may send nothing but nonsense. */
static void make_printable(char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		const size_t k = character(p + i, n - i);
		if (k == 0)
			p[i] = '?';
		i += MAX(k, (size_t)1);
	}
	str_mask_controls(p, n);
}

static void keep(struct logs *l, enum process process, const struct body_log_line *b)
{
	struct ring *r = &l->ring[process];
	while (r->n == LOGS_LINES || (r->n && r->bytes + b->text.n > LOGS_BYTES))
		drop_first(r);
	struct logs_line *line = mem_alloc(sizeof(*line) + b->text.n);
	char *text = (char *)(line + 1);
	if (b->text.n)
		memcpy(text, b->text.p, b->text.n);
	make_printable(text, b->text.n);
	*line = (struct logs_line){
		.seq = ++l->seq,
		.time_ms = MIN(b->time_ms, clock_wall_ms()),
		.process = process,
		.level = (enum log_level)b->level,
		.left_out = b->left_out,
		.text = {text, b->text.n},
	};
	r->line[(r->first + r->n++) % LOGS_LINES] = line;
	r->bytes += b->text.n;
}

/* ---- what comes -------------------------------------------------------------------------------
 */

static void unwatch(struct source *s)
{
	if (s->watched)
		loop_remove(s->logs->loop, &s->io);
	s->watched = false;
}

static void close_source(struct source *s)
{
	if (!s->open)
		return;
	unwatch(s);
	loop_timer_stop(s->logs->loop, &s->rest);
	close(s->io.fd);
	s->open = false;
}

static void wake(struct loop_task *task)
{
	struct logs *l = container_of(task, struct logs, wake);
	struct list woken;
	list_init(&woken);
	while (!list_empty(&l->waiters)) {
		struct list *node = l->waiters.next;
		list_remove(node);
		list_append(&woken, node);
	}
	while (!list_empty(&woken)) {
		struct logs_waiter *w = list_entry(woken.next, struct logs_waiter, node);
		list_remove(&w->node);
		w->woken(w);
	}
}

static int judge(const struct source *s, const struct record *r, struct body_log_line *b)
{
	if (!frame_permitted(r->type, s->process, PROCESS_STORE) || r->type != MSG_LOG_LINE ||
	    body_log_line_get(r->body, b) || b->level < LOG_LEVEL_ERROR ||
	    b->level > LOG_LEVEL_DEBUG)
		return ERR_MALFORMED;
	return 0;
}

/* One line. False when nothing is left for now, or nothing more comes. */
static bool take(struct source *s)
{
	struct logs *l = s->logs;
	struct record r;
	struct body_log_line b;
	int err = frame_receive(s->io.fd, l->buf, &r);
	if (err == ERR_AGAIN)
		return false;
	if (!err) {
		err = judge(s, &r, &b);
		frame_done(&r);
	}
	if (err) {
		close_source(s);
		if (err == ERR_MALFORMED)
			l->misbehaved(l->arg, s->process);
		return false;
	}
	keep(l, s->process, &b);
	loop_defer(l->loop, &l->wake, wake);
	s->taken++;
	return true;
}

static void watch(struct source *s);

static void rested(struct loop_timer *t)
{
	watch(container_of(t, struct source, rest));
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct source *s = container_of(io, struct source, io);
	const uint64_t now = loop_now_ms(s->logs->loop);
	(void)events;
	if (now - s->counted_ms >= REST_MS) {
		s->counted_ms = now;
		s->taken = 0;
	}
	for (int i = 0; i < READ_BUDGET && s->taken < LOGS_RATE && take(s); i++)
		;
	if (s->open && s->taken >= LOGS_RATE) {
		unwatch(s);
		loop_timer_start(s->logs->loop, &s->rest, "log rest", REST_MS, rested);
	}
}

static void watch(struct source *s)
{
	s->watched = loop_add(s->logs->loop, &s->io, "log", s->io.fd, EPOLLIN, ready) == 0;
	if (!s->watched)
		close_source(s);
}

void logs_source(struct logs *l, enum process process, int fd)
{
	struct source *s = &l->source[process];
	/* No more than a socket holds. */
	for (int i = 0; s->open && i < LOGS_LINES && take(s); i++)
		;
	close_source(s);
	s->io.fd = fd;
	s->open = true;
	watch(s);
}

void logs_free(struct logs *l)
{
	loop_undefer(&l->wake);
	for (enum process p = 0; p < PROCESS_COUNT; p++) {
		close_source(&l->source[p]);
		while (l->ring[p].n)
			drop_first(&l->ring[p]);
	}
	free(l);
}

/* ---- who reads --------------------------------------------------------------------------------
 */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(struct str text, struct str what)
{
	for (size_t i = 0; i + what.n <= text.n; i++) {
		size_t k = 0;
		while (k < what.n && lower(text.p[i + k]) == lower(what.p[k]))
			k++;
		if (k == what.n)
			return true;
	}
	return false;
}

static bool passes(const struct logs_line *line, const struct logs_filter *f)
{
	return line->seq > f->since && line->level <= f->level && contains(line->text, f->match);
}

static int by_seq(const void *a, const void *b)
{
	const struct logs_line *const *x = a;
	const struct logs_line *const *y = b;
	return (*x)->seq < (*y)->seq ? -1 : (*x)->seq > (*y)->seq;
}

size_t logs_find(const struct logs *l, const struct logs_filter *f, bool newest, size_t max,
		 const struct logs_line **out)
{
	const struct logs_line **all = mem_alloc(sizeof(*all) * LOGS_LINES * PROCESS_COUNT);
	size_t n = 0;
	for (enum process p = 0; p < PROCESS_COUNT; p++) {
		const struct ring *r = &l->ring[p];
		if (f->process != PROCESS_COUNT && f->process != p)
			continue;
		for (size_t i = 0; i < r->n; i++)
			if (passes(at(r, i), f))
				all[n++] = at(r, i);
	}
	qsort(all, n, sizeof(*all), by_seq);
	const size_t from = newest && n > max ? n - max : 0;
	n = MIN(n - from, max);
	memcpy(out, all + from, n * sizeof(*out));
	free(all);
	return n;
}

uint64_t logs_last(const struct logs *l)
{
	return l->seq;
}

void logs_wait(struct logs *l, struct logs_waiter *w)
{
	list_append(&l->waiters, &w->node);
}

void logs_unwait(struct logs_waiter *w)
{
	list_remove(&w->node);
}
