/* SPDX-License-Identifier: Apache-2.0
 *
 * Thread and links of the spool: see spool.h.
 */
#include "db/spool.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"
#include "daemon/base/thread.h"
#include "daemon/ipc/link.h"
#include "daemon/ipc/rec.h"
#include "db/spool_tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	GROUP_MAX = 64 * MiB,  /* bytes of batches that are read before they are committed */
	OLD_LINK_MS = 2000,    /* how long SPOOL_GET waits for the last words of earlier brokers */
	REOPEN_MS = 1000,      /* between attempts to open the file */
	BYTES_MS = 1000,       /* between looks at its size */
	FORGET_MS = 10 * 1000, /* between looks for what can be forgotten */
	RECOVER_MS = 1000, /* after the last refusal: large batches may fail where small ones go */
};

/* The way to the main thread; notes that are under way may outlive the spool. */
struct door {
	struct ref ref;
	bool closed; /* main thread */
	struct spool_hooks hooks;
};

struct spool_link {
	struct list node; /* in spool.links */
	struct spool *spool;
	struct link *link;
	unsigned worker;
	bool old;        /* another one has its place: it says its last words */
	uint64_t stored; /* the last batch of this link that is stored and not yet answered, 0 none
			  */
};

/* A broker that starts and waits for everything that is kept. */
struct asker {
	struct spool_link *link; /* NULL: nobody asks */
	uint64_t id;
	uint64_t epoch;
	uint64_t until_ms;
};

struct spool {
	struct door *door;
	struct loop *loop;
	pthread_t thread;
	struct spool_tables tables;
	struct list links;
	struct list group; /* struct spool_batch */
	size_t group_bytes;
	struct loop_task turn_over;
	struct loop_timer asker_timer;
	struct loop_timer forget_timer;
	struct loop_timer recover_timer;
	struct asker asker;
	uint64_t epoch; /* of the broker of now, 0: it has not said yet */
	bool heard;     /* a batch came in this turn */
	int trouble;    /* 0, or why the last group was not stored */
	uint64_t reopen_ms;
	uint64_t bytes_ms;
	pthread_mutex_t lock; /* of the figures */
	struct spool_figures figures;
};

/* ---- to the main thread ---- */

struct told {
	struct loop_note note;
	struct door *door;
	enum event event;
	bool misbehaved;
	char text[160];
	struct buf detail;
};

static void door_unref(struct door *d)
{
	if (ref_put(&d->ref))
		free(d);
}

static struct told *tell(struct spool *s, const char *text)
{
	struct told *t = mem_new(struct told);
	t->door = s->door;
	ref_get(&t->door->ref);
	snprintf(t->text, sizeof(t->text), "%s", text);
	return t;
}

static void told_done(struct told *t)
{
	door_unref(t->door);
	buf_fini(&t->detail);
	free(t);
}

static void run_event(struct loop_note *note)
{
	struct told *t = container_of(note, struct told, note);
	const struct spool_hooks *h = &t->door->hooks;
	if (!t->door->closed)
		h->event(h->arg, t->event, t->text, buf_view(&t->detail));
	told_done(t);
}

static void tell_event(struct spool *s, enum event event, const char *reason, const char *file)
{
	struct told *t = tell(s, reason);
	t->event = event;
	rec_text(&t->detail, "file", file);
	loop_post(t->door->hooks.loop, &t->note, run_event);
}

static void run_broken(struct loop_note *note)
{
	struct told *t = container_of(note, struct told, note);
	const struct spool_hooks *h = &t->door->hooks;
	if (!t->door->closed)
		h->broken(h->arg, t->text, t->misbehaved);
	told_done(t);
}

static void tell_broken(struct spool *s, const char *why, bool misbehaved)
{
	struct told *t = tell(s, why);
	t->misbehaved = misbehaved;
	loop_post(t->door->hooks.loop, &t->note, run_broken);
}

/* ---- figures ---- */

static void count(struct spool *s, uint64_t commits, uint64_t batches, uint64_t refused)
{
	const struct spool_tables *t = &s->tables;
	const uint64_t now = clock_mono_ms();
	struct spool_bytes bytes = {0};
	const bool look = now >= s->bytes_ms;
	if (look) {
		bytes = spool_tables_bytes(&s->tables);
		s->bytes_ms = now + BYTES_MS;
	}
	pthread_mutex_lock(&s->lock);
	struct spool_figures *f = &s->figures;
	f->health = !s->trouble               ? SPOOL_WORKS
		    : s->trouble == ERR_LIMIT ? SPOOL_IS_FULL
					      : SPOOL_IS_BROKEN;
	f->sessions = t->sessions.n;
	f->messages = t->messages.n;
	f->queued = t->counts.queued;
	f->retained = t->counts.retained;
	f->cancelled = t->cancelled;
	f->max_bytes = t->max_size;
	if (look) {
		f->bytes = bytes.used;
		f->file_bytes = bytes.file;
	}
	f->commits += commits;
	f->batches += batches;
	f->refused += refused;
	pthread_mutex_unlock(&s->lock);
}

void spool_figures(struct spool *s, struct spool_figures *out)
{
	pthread_mutex_lock(&s->lock);
	*out = s->figures;
	pthread_mutex_unlock(&s->lock);
}

/* ---- trouble with the file ---- */

static const char *reason_of(int err)
{
	return err == ERR_LIMIT ? "no space left: sessions and messages cannot be stored"
				: "sessions and messages cannot be stored";
}

static void failed(struct spool *s, int err, const char *why)
{
	loop_timer_stop(s->loop, &s->recover_timer);
	if (s->trouble == err)
		return;
	s->trouble = err;
	log_error(
		"spool.db: %s: publishers to persistent sessions are refused until it works again",
		why);
	tell_event(s, err == ERR_LIMIT ? EVENT_DISK_FULL : EVENT_SPOOL_FAILED, reason_of(err),
		   "spool.db");
}

static void recovered(struct loop_timer *timer)
{
	struct spool *s = container_of(timer, struct spool, recover_timer);
	s->trouble = 0;
	count(s, 0, 0, 0);
	log_notice("spool.db is written again");
	tell_event(s, EVENT_SPOOL_RECOVERED, "sessions and messages are stored again", "spool.db");
}

static void told_aside(struct spool *s, char *aside)
{
	if (!aside)
		return;
	log_error("spool.db was damaged: it was set aside as %s and a new one started; what was in "
		  "it and not in the memory of the broker is lost",
		  aside);
	tell_event(s, EVENT_DATABASE_SET_ASIDE, "spool.db was damaged", aside);
	free(aside);
}

static const char *file_why(const struct spool *s, int err)
{
	if (err == ERR_LIMIT)
		return "no space left on the disk, or spool-max-size is reached";
	return s->tables.db ? sql_why(s->tables.db) : err_text(err);
}

static void worked(struct spool *s)
{
	if (s->trouble && !loop_timer_running(&s->recover_timer))
		loop_timer_start(s->loop, &s->recover_timer, "spool", RECOVER_MS, recovered);
}

/* Opens the file when it is not; at most once in REOPEN_MS. */
static int ready(struct spool *s)
{
	const uint64_t now = clock_mono_ms();
	struct why why;
	char *aside;
	if (s->tables.db)
		return 0;
	if (now < s->reopen_ms)
		return s->trouble ? s->trouble : ERR_IO;
	s->reopen_ms = now + REOPEN_MS;
	const int err = spool_tables_open(&s->tables, &aside, &why);
	told_aside(s, aside);
	if (err == ERR_CONFLICT)
		log_error("%s", why.text);
	else if (err)
		failed(s, err, why.text);
	return err;
}

/* The file turned out to be damaged. The broker has in memory what it needs of it. */
static int begin_anew(struct spool *s)
{
	struct why why;
	char *aside;
	const int err = spool_tables_replace(&s->tables, &aside, &why);
	told_aside(s, aside);
	if (err) {
		failed(s, err, why.text);
		return err;
	}
	list_each (it, &s->links) {
		struct spool_link *l = list_entry(it, struct spool_link, node);
		if (!l->old)
			LINK_SEND(l->link, SPOOL_LOST, spool_lost, 0, -1,
				  &(struct body_spool_lost){});
	}
	return 0;
}

static int apply(struct spool *s, const struct list *batches)
{
	int err = ready(s);
	if (!err)
		err = spool_tables_apply(&s->tables, batches);
	if (err == ERR_MALFORMED) {
		err = begin_anew(s);
		if (!err)
			err = spool_tables_apply(&s->tables, batches);
	}
	return err;
}

/* ---- answers ---- */

static void answer(struct spool_link *l, uint64_t seq, enum spool_status status, const char *why)
{
	const struct body_spool_done b = {seq, (uint8_t)status, str_of(why)};
	/* A link that takes no more is broken, and says so by itself. */
	if (l)
		LINK_SEND(l->link, SPOOL_DONE, spool_done, 0, -1, &b);
}

static void answer_stored(struct spool *s)
{
	list_each (it, &s->links) {
		struct spool_link *l = list_entry(it, struct spool_link, node);
		if (l->stored)
			answer(l, l->stored, SPOOL_STORED, "");
		l->stored = 0;
	}
}

static void stored(struct spool_batch *b)
{
	struct spool_link *l = b->from;
	if (l)
		l->stored = b->seq;
}

static enum spool_status status_of(int err)
{
	return err == ERR_LIMIT ? SPOOL_FULL : SPOOL_FAILED;
}

/* The answer leaves before anything later is committed: after a crash the broker knows that it
 * need not send this one again, or the table of batches does not know it. */
static void refuse(struct spool *s, struct spool_batch *b, int err)
{
	const char *why = file_why(s, err);
	spool_tables_refuse(&s->tables, b);
	failed(s, err, why);
	count(s, 0, 0, 1);
	answer_stored(s);
	answer(b->from, b->seq, status_of(err), why);
}

/* ---- groups ---- */

static bool old_links(const struct spool *s)
{
	list_each (it, &s->links)
		if (list_entry(it, struct spool_link, node)->old)
			return true;
	return false;
}

static void group_free(struct list *group)
{
	while (!list_empty(group)) {
		struct spool_batch *b = list_entry(group->next, struct spool_batch, node);
		list_remove(&b->node);
		spool_batch_free(b);
	}
}

/* One by one, so that a batch that takes things away is not held up by one that has no room. */
static void apply_singly(struct spool *s)
{
	while (!list_empty(&s->group)) {
		struct spool_batch *b = list_entry(s->group.next, struct spool_batch, node);
		struct list one;
		list_init(&one);
		list_remove(&b->node);
		list_append(&one, &b->node);
		const int err = apply(s, &one);
		if (err) {
			refuse(s, b, err);
		} else {
			worked(s);
			stored(b);
			count(s, 1, 1, 0);
		}
		group_free(&one);
	}
}

static void commit_group(struct spool *s)
{
	uint64_t batches = 0;
	if (list_empty(&s->group))
		return;
	loop_excuse(s->loop);
	s->group_bytes = 0;
	if (s->trouble || apply(s, &s->group)) {
		apply_singly(s);
		answer_stored(s);
		return;
	}
	list_each (it, &s->group) {
		stored(list_entry(it, struct spool_batch, node));
		batches++;
	}
	count(s, 1, batches, 0);
	answer_stored(s);
	group_free(&s->group);
}

/* ---- a broker that starts ---- */

static int make_state(struct spool *s, int *fd)
{
	int err = ready(s);
	if (!err)
		err = spool_tables_tidy(&s->tables);
	if (err == ERR_LIMIT || err == ERR_IO)
		err = s->tables.db ? 0 : err; /* reading may do without */
	if (!err)
		err = spool_tables_state(&s->tables, fd);
	return err;
}

static void give_state(struct spool *s)
{
	const struct asker a = s->asker;
	AUTO_FD fd = -1;
	s->asker = (struct asker){0};
	s->epoch = a.epoch;
	loop_timer_stop(s->loop, &s->asker_timer);
	loop_excuse(s->loop);
	int err = make_state(s, &fd);
	if (err == ERR_MALFORMED) {
		err = begin_anew(s);
		if (!err)
			err = make_state(s, &fd);
	}
	if (err)
		failed(s, err, file_why(s, err));
	const struct body_spool_state b = {
		err ? (uint8_t)status_of(err) : SPOOL_STORED,
		err ? str_of(file_why(s, err)) : STR(""),
	};
	LINK_SEND(a.link->link, SPOOL_STATE, spool_state, a.id, fd, &b);
	count(s, 0, 0, 0);
}

static void asker_expired(struct loop_timer *t);

/* The end of a turn: what was read is committed, then a new broker may ask what there is. */
static void turn_over(struct loop_task *task)
{
	struct spool *s = container_of(task, struct spool, turn_over);
	commit_group(s);
	if (!s->asker.link)
		return;
	if (old_links(s) && loop_now_ms(s->loop) < s->asker.until_ms)
		loop_timer_start(s->loop, &s->asker_timer, "spool", 10, asker_expired);
	else
		give_state(s);
}

static void asker_expired(struct loop_timer *t)
{
	struct spool *s = container_of(t, struct spool, asker_timer);
	loop_defer(s->loop, &s->turn_over, turn_over);
}

/* ---- links ---- */

/* The bytes of a batch, from the record or its memfd. */
static int take_records(const struct record *r, const struct body_spool *b, struct buf *out)
{
	if (r->fd < 0) {
		buf_str(out, b->records);
		return 0;
	}
	return b->records.n ? ERR_MALFORMED : memfd_read(r->fd, SPOOL_BATCH_MAX, out);
}

/* Sent again over a new link while the one that came over the old link waits to be committed: the
 * new link is answered. */
static bool is_waiting(struct spool *s, const struct spool_batch *b)
{
	list_each (it, &s->group) {
		struct spool_batch *w = list_entry(it, struct spool_batch, node);
		if (w->worker != b->worker || w->seq != b->seq || w->epoch != b->epoch)
			continue;
		const struct spool_link *l = b->from;
		if (!l->old)
			w->from = b->from;
		return true;
	}
	return false;
}

/* A batch that comes again after the store was restarted is answered as it was then. */
static bool seen_before(struct spool *s, const struct spool_batch *b)
{
	if (old_links(s) && is_waiting(s, b))
		return true;
	if (ready(s))
		return false;
	switch (spool_tables_seen(&s->tables, b)) {
	case SPOOL_IS_APPLIED:
		answer(b->from, b->seq, SPOOL_STORED, "");
		return true;
	case SPOOL_IS_REFUSED:
		answer(b->from, b->seq, SPOOL_FAILED, "it was refused before");
		return true;
	default:
		return false;
	}
}

static void take_batch(struct spool *s, const struct spool_batch *from)
{
	struct spool_batch *b = mem_new(struct spool_batch);
	*b = *from;
	list_append(&s->group, &b->node);
	s->group_bytes += b->records.n;
	if (s->group_bytes > GROUP_MAX)
		commit_group(s);
	loop_defer(s->loop, &s->turn_over, turn_over);
}

static int on_spool(struct link *link, struct record *r)
{
	struct spool_link *l = link_owner(link);
	struct spool *s = l->spool;
	struct body_spool b;
	AUTO_BUF records = {0};
	if (body_spool_get(r->body, &b) || b.epoch == 0 || b.seq == 0)
		return ERR_MALFORMED;
	if (take_records(r, &b, &records) || !spool_valid(buf_view(&records)))
		return ERR_MALFORMED;
	s->heard = true;
	if (s->epoch == 0)
		s->epoch = b.epoch;
	if (s->epoch != b.epoch)
		return 0; /* of a broker that is gone; the next one was told without it */
	struct spool_batch batch = {
		.from = l, .worker = l->worker, .epoch = b.epoch, .seq = b.seq, .records = records};
	if (seen_before(s, &batch))
		return 0;
	records = (struct buf){0};
	take_batch(s, &batch);
	return 0;
}

static int on_get(struct link *link, struct record *r)
{
	struct spool_link *l = link_owner(link);
	struct spool *s = l->spool;
	struct body_spool_get b;
	if (body_spool_get_get(r->body, &b) || b.epoch == 0)
		return ERR_MALFORMED;
	s->asker = (struct asker){l, r->id, b.epoch, loop_now_ms(s->loop) + OLD_LINK_MS};
	loop_defer(s->loop, &s->turn_over, turn_over);
	return 0;
}

static void drop_link(struct spool_link *l)
{
	struct spool *s = l->spool;
	list_each (it, &s->group) {
		struct spool_batch *b = list_entry(it, struct spool_batch, node);
		if (b->from == l)
			b->from = NULL;
	}
	if (s->asker.link == l)
		s->asker = (struct asker){0};
	list_remove(&l->node);
	link_free(l->link);
	free(l);
}

static void broken(struct link *link, const char *why, bool misbehaved)
{
	struct spool_link *l = link_owner(link);
	struct spool *s = l->spool;
	if (misbehaved || !l->old)
		tell_broken(s, why, misbehaved);
	drop_link(l);
	loop_defer(s->loop, &s->turn_over, turn_over);
}

static const link_handler handlers[MSG_COUNT] = {
	[MSG_SPOOL] = on_spool,
	[MSG_SPOOL_GET] = on_get,
};

struct new_link {
	struct loop_note note;
	struct spool *spool;
	unsigned worker;
	int fd;
};

static void run_link(struct loop_note *note)
{
	struct new_link *n = container_of(note, struct new_link, note);
	struct spool *s = n->spool;
	list_each (it, &s->links) {
		struct spool_link *l = list_entry(it, struct spool_link, node);
		l->old = l->old || l->worker == n->worker;
	}
	struct spool_link *l = mem_new(struct spool_link);
	l->spool = s;
	l->worker = n->worker;
	const struct link_config config = {
		.self = PROCESS_STORE,
		.peer = PROCESS_BROKER,
		.handler = handlers,
		.owner = l,
		.broken = broken,
	};
	l->link = link_new(s->loop, n->fd, &config);
	list_append(&s->links, &l->node);
	free(n);
}

void spool_set_link(struct spool *s, unsigned worker, int fd)
{
	if (worker >= SPOOL_WORKERS_MAX) {
		close(fd);
		return;
	}
	struct new_link *n = mem_new(struct new_link);
	n->spool = s;
	n->worker = worker;
	n->fd = fd;
	loop_post(s->loop, &n->note, run_link);
}

/* ---- life ---- */

struct new_max {
	struct loop_note note;
	struct spool *spool;
	uint64_t max_size;
};

static void run_max(struct loop_note *note)
{
	struct new_max *n = container_of(note, struct new_max, note);
	spool_tables_set_max(&n->spool->tables, n->max_size);
	count(n->spool, 0, 0, 0);
	free(n);
}

void spool_set_max(struct spool *s, uint64_t max_size)
{
	struct new_max *n = mem_new(struct new_max);
	n->spool = s;
	n->max_size = max_size;
	loop_post(s->loop, &n->note, run_max);
}

static void forget(struct loop_timer *t)
{
	struct spool *s = container_of(t, struct spool, forget_timer);
	if (s->tables.db && !s->trouble) {
		spool_tables_forget(&s->tables);
		spool_tables_shrink(&s->tables);
	}
	loop_timer_start(s->loop, t, "spool", FORGET_MS, forget);
}

static void *thread_main(void *arg)
{
	struct spool *s = arg;
	loop_timer_start(s->loop, &s->forget_timer, "spool", FORGET_MS, forget);
	loop_run(s->loop);
	/* The broker stopped before: everything it sent is in the sockets. */
	do {
		s->heard = false;
		loop_turn(s->loop, 0);
	} while (s->heard);
	while (!list_empty(&s->links))
		drop_link(list_entry(s->links.next, struct spool_link, node));
	loop_timer_stop(s->loop, &s->forget_timer);
	loop_timer_stop(s->loop, &s->asker_timer);
	loop_timer_stop(s->loop, &s->recover_timer);
	loop_undefer(&s->turn_over);
	spool_tables_fini(&s->tables);
	return NULL;
}

static void spool_free(struct spool *s)
{
	s->door->closed = true;
	door_unref(s->door);
	loop_free(s->loop);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int spool_open(const struct spool_hooks *hooks, const char *dir, uint64_t max_size,
	       struct spool **out)
{
	struct spool *s = mem_new(struct spool);
	s->door = mem_new(struct door);
	ref_init(&s->door->ref);
	s->door->hooks = *hooks;
	s->loop = loop_new();
	list_init(&s->links);
	list_init(&s->group);
	pthread_mutex_init(&s->lock, NULL);
	spool_tables_init(&s->tables, dir, max_size);
	int err = ready(s);
	count(s, 0, 0, 0);
	if (err != ERR_CONFLICT)
		err = thread_start(&s->thread, thread_main, s) ? ERR_IO : 0;
	if (err) {
		spool_tables_fini(&s->tables);
		spool_free(s);
		return err;
	}
	*out = s;
	return 0;
}

struct stop {
	struct loop_note note;
	struct loop *loop;
};

static void run_stop(struct loop_note *note)
{
	loop_stop(container_of(note, struct stop, note)->loop);
}

void spool_close(struct spool *s)
{
	struct stop stop = {.loop = s->loop};
	loop_post(s->loop, &stop.note, run_stop);
	pthread_join(s->thread, NULL);
	spool_free(s);
}
