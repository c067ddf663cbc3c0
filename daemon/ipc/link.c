/* SPDX-License-Identifier: Apache-2.0
 *
 * Links between processes: see link.h.
 */
#include "daemon/ipc/link.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_BUDGET = 64, REASON_MAX = 160 };

/* A record that waits for room in the socket. */
struct queued {
	struct list node;
	enum message type;
	uint64_t id;
	uint32_t deadline_ms;
	int fd;
	size_t n;
	char body[];
};

struct link {
	struct loop *loop;
	struct loop_io io;
	struct loop_task fail_task; /* tells `broken` from the end of the turn, never from inside
				       link_send */
	struct link_config config;
	bool serving;
	bool greeted; /* the peer said HELLO */
	bool deaf;    /* the peer reads no more; what it sent before may still be here */
	bool failed;
	bool misbehaved;
	bool freed;    /* by its owner; the memory goes when no work on it is left */
	unsigned busy; /* stretches of work in which the owner may free it */
	char why[REASON_MAX];
	struct list queue;
	size_t queued;
	struct list calls;
	uint64_t next_id;
	unsigned char buf[FRAME_MAX];
};

/* Ends a stretch of work in which the owner may have freed the link. False when it did. */
static bool leave(struct link *l)
{
	if (--l->busy || !l->freed)
		return !l->freed;
	free(l);
	return false;
}

static void end_calls(struct link *l)
{
	while (!list_empty(&l->calls)) {
		struct link_call *call = list_entry(l->calls.next, struct link_call, node);
		link_call_cancel(call);
		call->done(call, ERR_UNAVAILABLE, NULL);
	}
}

static void tell_broken(struct loop_task *task)
{
	struct link *l = container_of(task, struct link, fail_task);
	l->busy++;
	end_calls(l);
	if (leave(l))
		l->config.broken(l, l->why, l->misbehaved);
}

static void fail(struct link *l, bool misbehaved, const char *why)
{
	if (l->failed)
		return;
	l->failed = true;
	l->misbehaved = misbehaved;
	snprintf(l->why, sizeof(l->why), "%s", why);
	const int sock = l->io.fd;
	loop_remove(l->loop, &l->io);
	close(sock);
	loop_defer(l->loop, &l->fail_task, tell_broken);
}

static void fail_errno(struct link *l, int err)
{
	fail(l, err == ERR_MALFORMED,
	     err == ERR_MALFORMED ? "sent a malformed record"
	     : err == ERR_LIMIT   ? "no descriptor is left for what it sent"
				  : err_text(err));
}

static void drop_queued(struct link *l, struct queued *q)
{
	list_remove(&q->node);
	l->queued -= q->n + FRAME_HEADER;
	if (q->fd >= 0)
		close(q->fd);
	free(q);
}

/* Writing showed that the peer is gone. Reading goes on to its last word and then sees the end. */
static void become_deaf(struct link *l)
{
	l->deaf = true;
	while (!list_empty(&l->queue))
		drop_queued(l, list_entry(l->queue.next, struct queued, node));
	loop_set_events(l->loop, &l->io, EPOLLIN);
}

static void flush(struct link *l)
{
	while (!l->failed && !list_empty(&l->queue)) {
		struct queued *q = list_entry(l->queue.next, struct queued, node);
		const struct record r = {q->type, q->id, q->deadline_ms, {q->body, q->n}, q->fd};
		const int err = frame_send(l->io.fd, &r);
		if (err == ERR_AGAIN)
			return;
		if (err == ERR_EOF) {
			become_deaf(l);
			return;
		}
		if (err) {
			fail_errno(l, err);
			return;
		}
		drop_queued(l, q);
	}
	if (!l->failed)
		loop_set_events(l->loop, &l->io, EPOLLIN);
}

static int enqueue(struct link *l, const struct record *r)
{
	if (l->queued + r->body.n + FRAME_HEADER > LINK_QUEUE_MAX)
		return ERR_LIMIT;
	const int fd = r->fd >= 0 ? fcntl(r->fd, F_DUPFD_CLOEXEC, 3) : -1;
	if (r->fd >= 0 && fd < 0)
		return ERR_LIMIT;
	struct queued *q = mem_alloc(sizeof(*q) + r->body.n);
	q->type = r->type;
	q->id = r->id;
	q->deadline_ms = r->deadline_ms;
	q->fd = fd;
	q->n = r->body.n;
	if (q->n)
		memcpy(q->body, r->body.p, q->n);
	list_append(&l->queue, &q->node);
	l->queued += q->n + FRAME_HEADER;
	loop_set_events(l->loop, &l->io, EPOLLIN | EPOLLOUT);
	return 0;
}

static int send_record(struct link *l, const struct record *r)
{
	CHECK(frame_permitted(r->type, l->config.self, l->config.peer));
	if (l->failed || l->deaf)
		return ERR_UNAVAILABLE;
	if (!list_empty(&l->queue))
		return enqueue(l, r);
	const int err = frame_send(l->io.fd, r);
	if (err == 0)
		return 0;
	if (err == ERR_AGAIN)
		return enqueue(l, r);
	if (err == ERR_EOF)
		become_deaf(l);
	else
		fail_errno(l, err);
	return ERR_UNAVAILABLE;
}

int link_send(struct link *l, enum message type, uint64_t id, struct str body, int fd)
{
	const struct record r = {type, id, 0, body, fd};
	return send_record(l, &r);
}

static struct link_call *find_call(struct link *l, uint64_t id)
{
	list_each (it, &l->calls) {
		struct link_call *call = list_entry(it, struct link_call, node);
		if (call->id == id)
			return call;
	}
	return NULL;
}

static int handle_reply(struct link *l, struct record *r)
{
	struct link_call *call = find_call(l, r->id);
	if (!call)
		return 0; /* it came after its deadline */
	if (!frame_answers(r->type, call->type))
		return ERR_DENIED;
	link_call_cancel(call);
	call->done(call, 0, r);
	return 0;
}

static int handle_hello(struct link *l, struct record *r)
{
	struct body_hello hello;
	if (body_hello_get(r->body, &hello) || hello.process != l->config.peer ||
	    hello.table_hash != frame_table_hash())
		return ERR_MALFORMED;
	l->greeted = true;
	return 0;
}

static int dispatch(struct link *l, struct record *r)
{
	const struct frame_rule *rule = frame_rule(r->type);
	const unsigned now = l->serving ? AT_SERVING : AT_START;
	if (!frame_permitted(r->type, l->config.peer, l->config.self) || !(rule->when & now))
		return ERR_DENIED;
	if (r->type == MSG_HELLO)
		return handle_hello(l, r);
	if (!l->greeted)
		return ERR_DENIED;
	if (rule->kind == REPLY)
		return handle_reply(l, r);
	const link_handler handler = l->config.handler[r->type];
	return handler ? handler(l, r) : ERR_DENIED;
}

/* Reads one record. False when nothing is left to do now or the link is gone. */
static bool read_one(struct link *l)
{
	struct record r;
	const int err = frame_receive(l->io.fd, l->buf, &r);
	if (err == ERR_AGAIN)
		return false;
	if (err) {
		fail_errno(l, err);
		return false;
	}
	l->busy++;
	const int bad = dispatch(l, &r);
	frame_done(&r);
	if (!leave(l))
		return false;
	if (bad == ERR_DENIED || bad == ERR_MALFORMED) {
		char why[REASON_MAX];
		snprintf(why, sizeof(why), "sent %s %s",
			 bad == ERR_DENIED ? "a forbidden" : "a malformed",
			 frame_rule(r.type)->name);
		fail(l, true, why);
	}
	return !l->failed;
}

static void ready(struct loop_io *io, uint32_t events)
{
	struct link *l = container_of(io, struct link, io);
	if (events & EPOLLOUT)
		flush(l);
	if (l->failed || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	for (int i = 0; i < READ_BUDGET && read_one(l); i++)
		;
}

struct link *link_new(struct loop *loop, int sock, const struct link_config *config)
{
	struct link *l = mem_new(struct link);
	l->loop = loop;
	l->config = *config;
	l->serving = true;
	l->next_id = 1;
	list_init(&l->queue);
	list_init(&l->calls);
	fcntl(sock, F_SETFL, O_NONBLOCK);
	CHECK(loop_add(loop, &l->io, process_name(config->peer), sock, EPOLLIN, ready) == 0);
	const struct body_hello hello = {frame_table_hash(), (uint8_t)config->self};
	LINK_SEND(l, HELLO, hello, 0, -1, &hello);
	return l;
}

void link_free(struct link *l)
{
	if (l->freed)
		return;
	l->freed = true;
	l->busy++;
	fail(l, false, "");
	loop_undefer(&l->fail_task);
	end_calls(l);
	while (!list_empty(&l->queue))
		drop_queued(l, list_entry(l->queue.next, struct queued, node));
	leave(l);
}

void *link_owner(const struct link *l)
{
	return l->config.owner;
}

enum process link_peer(const struct link *l)
{
	return l->config.peer;
}

size_t link_queued(const struct link *l)
{
	return l->queued;
}

void link_set_serving(struct link *l, bool serving)
{
	l->serving = serving;
}

static void call_expired(struct loop_timer *t)
{
	struct link_call *call = container_of(t, struct link_call, timer);
	const int err = list_linked(&call->node) ? ERR_TIMEOUT : ERR_UNAVAILABLE;
	link_call_cancel(call);
	call->done(call, err, NULL);
}

void link_ask(struct link *l, struct link_call *call, enum message type, struct str body, int fd,
	      uint32_t timeout_ms, void (*done)(struct link_call *, int, struct record *))
{
	CHECK(frame_rule(type)->kind == ASK);
	CHECK(!list_linked(&call->node) && !loop_timer_running(&call->timer));
	call->loop = l->loop;
	call->type = type;
	call->id = l->next_id++;
	call->done = done;
	const struct record r = {type, call->id, timeout_ms, body, fd};
	/* A call that could not be sent is not the link's: it ends by its timer, at once. */
	const bool sent = send_record(l, &r) == 0;
	if (sent)
		list_append(&l->calls, &call->node);
	loop_timer_start(l->loop, &call->timer, frame_rule(type)->name, sent ? timeout_ms : 0,
			 call_expired);
}

void link_call_cancel(struct link_call *call)
{
	list_remove(&call->node);
	if (loop_timer_running(&call->timer))
		loop_timer_stop(call->loop, &call->timer);
}
