/* SPDX-License-Identifier: Apache-2.0
 *
 * A spool and the workers of a broker: see spool_rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/ipc/rec.h"
#include "tests/unit/spool_rig.h"

#include <sys/socket.h>

enum { PATIENCE_MS = 20000, STATE_MAX = 64 * MiB };

/* ---- what the spool says ---- */

static int on_done(struct link *l, struct record *r)
{
	struct rig_worker *w = link_owner(l);
	struct body_spool_done b;
	assert_int_equal(body_spool_done_get(r->body, &b), 0);
	assert_true(b.seq >= w->done);
	w->answers++;
	w->done = b.seq;
	if (b.status == SPOOL_STORED)
		return 0;
	assert_true(w->refusals < RIG_REFUSALS);
	assert_true(b.why.n > 0);
	w->status[w->refusals] = b.status;
	w->refused[w->refusals++] = b.seq;
	return 0;
}

static int on_lost(struct link *l, struct record *r)
{
	struct rig_worker *w = link_owner(l);
	(void)r;
	w->lost = true;
	return 0;
}

static void on_broken(struct link *l, const char *why, bool misbehaved)
{
	struct rig_worker *w = link_owner(l);
	(void)why;
	assert_false(misbehaved);
	w->broken = true;
	w->link = NULL;
	link_free(l);
}

static void on_event(void *arg, enum event event, const char *reason, struct str detail)
{
	struct spool_rig *r = arg;
	struct str file;
	assert_true(reason[0] != 0);
	assert_true(rec_get_str(detail, "file", &file));
	snprintf(r->detail, sizeof(r->detail), "%.*s", STR_ARG(file));
	r->events[event]++;
}

static void on_spool_broken(void *arg, const char *why, bool misbehaved)
{
	struct spool_rig *r = arg;
	(void)why;
	r->misbehaved += misbehaved;
}

/* ---- life ---- */

void spool_rig_use(struct spool_rig *r, unsigned worker, int fd)
{
	static const link_handler handlers[MSG_COUNT] = {
		[MSG_SPOOL_DONE] = on_done,
		[MSG_SPOOL_LOST] = on_lost,
	};
	struct rig_worker *w = &r->worker[worker];
	const struct link_config config = {
		.self = PROCESS_BROKER,
		.peer = PROCESS_STORE,
		.handler = handlers,
		.owner = w,
		.broken = on_broken,
	};
	if (w->link)
		link_free(w->link);
	*w = (struct rig_worker){.rig = r, .link = link_new(r->loop, fd, &config)};
}

void spool_rig_link(struct spool_rig *r, unsigned worker)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	spool_set_link(r->spool, worker, pair[0]);
	spool_rig_use(r, worker, pair[1]);
}

int spool_rig_open(struct spool_rig *r)
{
	const struct spool_hooks hooks = {
		.loop = r->loop,
		.arg = r,
		.event = on_event,
		.broken = on_spool_broken,
	};
	return spool_open(&hooks, r->dir.path, r->max_size, &r->spool);
}

void spool_rig_close(struct spool_rig *r)
{
	if (r->spool)
		spool_close(TAKE(r->spool));
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		if (r->worker[w].link)
			link_free(TAKE(r->worker[w].link));
}

struct spool_rig *spool_rig_new(void)
{
	struct spool_rig *r = mem_new(struct spool_rig);
	log_init("test", LOG_LEVEL_ERROR);
	r->loop = loop_new();
	r->epoch = 77;
	r->max_size = 64 * MiB;
	scratch_make(&r->dir);
	assert_int_equal(spool_rig_open(r), 0);
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		spool_rig_link(r, w);
	return r;
}

void spool_rig_free(struct spool_rig *r)
{
	spool_rig_close(r);
	loop_free(r->loop);
	scratch_remove(&r->dir);
	buf_fini(&r->state);
	free(r);
}

void spool_rig_until(struct spool_rig *r, const bool *flag)
{
	const uint64_t end = clock_mono_ms() + PATIENCE_MS;
	while (!*flag && clock_mono_ms() < end)
		loop_turn(r->loop, 20);
	assert_true(*flag);
}

void spool_rig_answered(struct spool_rig *r, unsigned worker, uint64_t seq)
{
	const struct rig_worker *w = &r->worker[worker];
	const uint64_t end = clock_mono_ms() + PATIENCE_MS;
	while (w->done < seq && clock_mono_ms() < end)
		loop_turn(r->loop, 20);
	assert_true(w->done >= seq);
}

/* ---- batches ---- */

void spool_rig_send_as(struct spool_rig *r, unsigned worker, uint64_t seq, struct str batch)
{
	struct body_spool b = {.epoch = r->epoch, .seq = seq};
	int fd = -1;
	if (batch.n > SPOOL_INLINE_MAX)
		fd = memfd_make("spool", batch);
	else
		b.records = batch;
	LINK_SEND(r->worker[worker].link, SPOOL, spool, 0, fd, &b);
	if (fd >= 0)
		close(fd);
}

uint64_t spool_rig_send(struct spool_rig *r, unsigned worker, struct buf *batch)
{
	const uint64_t seq = ++r->worker[worker].seq;
	spool_rig_send_as(r, worker, seq, buf_view(batch));
	buf_fini(batch);
	return seq;
}

int spool_rig_store(struct spool_rig *r, unsigned worker, struct buf *batch)
{
	const struct rig_worker *w = &r->worker[worker];
	const uint64_t seq = spool_rig_send(r, worker, batch);
	spool_rig_answered(r, worker, seq);
	for (size_t i = 0; i < w->refusals; i++)
		if (w->refused[i] == seq)
			return w->status[i];
	return SPOOL_STORED;
}

/* ---- what is kept, as text ---- */

#define NUMBER(v) ((unsigned long long)(v))

static void describe_session(struct buf *b, const struct body_spool_session *s)
{
	buf_printf(b, "session %llu %.*s device=%llu expiry=%u away=%llu will=%.*s due=%llu %.*s\n",
		   NUMBER(s->sid), STR_ARG(s->client_id), NUMBER(s->device_id), s->expiry,
		   NUMBER(s->disconnected_ms), STR_ARG(s->will), NUMBER(s->will_due_ms),
		   STR_ARG(s->more));
}

static void describe_message(struct buf *b, const struct body_spool_message *m)
{
	buf_printf(b, "message %llu %.*s %.*s qos=%u retain=%u expires=%llu origin=%llu %.*s\n",
		   NUMBER(m->mid), STR_ARG(m->topic), (int)MIN(m->payload.n, (size_t)60),
		   m->payload.p, m->qos, m->retain, NUMBER(m->expires_ms), NUMBER(m->origin),
		   STR_ARG(m->properties));
}

static void describe(struct buf *b, const struct spool_record *r)
{
	switch (r->kind) {
	case SPOOL_KIND_SESSION:
		describe_session(b, &r->session);
		return;
	case SPOOL_KIND_SUB:
		buf_printf(b, "sub %llu %.*s options=%u identifier=%u\n", NUMBER(r->sub.sid),
			   STR_ARG(r->sub.filter), r->sub.options, r->sub.identifier);
		return;
	case SPOOL_KIND_RECEIVED:
		buf_printf(b, "received %llu %u %llx\n", NUMBER(r->received.sid),
			   r->received.packet_id, NUMBER(r->received.workers));
		return;
	case SPOOL_KIND_MESSAGE:
		describe_message(b, &r->message);
		return;
	case SPOOL_KIND_QUEUE:
		buf_printf(b,
			   "queue %llu %llu message=%llu at=%llu qos=%u retain=%u %.*s ids=%zu\n",
			   NUMBER(r->queue.sid), NUMBER(r->queue.place), NUMBER(r->queue.mid),
			   NUMBER(r->queue.queued_ms), r->queue.qos, r->queue.retain,
			   STR_ARG(r->queue.share), r->queue.ids.n / 4);
		return;
	case SPOOL_KIND_SENT:
		buf_printf(b, "sent %llu %llu id=%u state=%u\n", NUMBER(r->sent.sid),
			   NUMBER(r->sent.place), r->sent.packet_id, r->sent.state);
		return;
	case SPOOL_KIND_RETAIN:
		buf_printf(b, "retain %.*s message=%llu version=%llu\n", STR_ARG(r->retain.topic),
			   NUMBER(r->retain.mid), NUMBER(r->retain.version));
		return;
	default:
		fail_msg("a record of kind %d in the state", r->kind);
	}
}

static void state_arrived(struct link_call *call, int err, struct record *reply)
{
	struct spool_rig *r = container_of(call, struct spool_rig, call);
	struct body_spool_state b;
	struct spool_record record;
	AUTO_BUF bytes = {0};
	assert_int_equal(err, 0);
	assert_int_equal(body_spool_state_get(reply->body, &b), 0);
	r->state_status = b.status;
	r->state_came = true;
	r->state.n = 0;
	if (b.status != SPOOL_STORED)
		return;
	assert_int_equal(memfd_read(reply->fd, STATE_MAX, &bytes), 0);
	struct cur c = cur_of(buf_view(&bytes));
	while (spool_next(&c, &record))
		describe(&r->state, &record);
	assert_true(cur_done(&c));
}

const char *spool_rig_state(struct spool_rig *r)
{
	r->state_came = false;
	r->epoch++;
	for (unsigned w = 0; w < RIG_WORKERS; w++)
		r->worker[w].seq = r->worker[w].done = 0;
	LINK_ASK(r->worker[0].link, &r->call, SPOOL_GET, spool_get, -1,
		 &(struct body_spool_get){r->epoch}, PATIENCE_MS, state_arrived);
	spool_rig_until(r, &r->state_came);
	return buf_cstr(&r->state);
}

/* ---- records ---- */

void put_session(struct buf *b, uint64_t sid, const char *client_id)
{
	const struct body_spool_session body = {
		.sid = sid,
		.device_id = 7,
		.expiry = 60,
		.client_id = str_of(client_id),
		.will = STR(""),
		.more = STR(""),
	};
	SPOOL_PUT(b, SESSION, session, &body);
}

void put_session_gone(struct buf *b, uint64_t sid)
{
	SPOOL_PUT(b, SESSION_GONE, session_gone, &(struct body_spool_session_gone){sid});
}

void put_sub(struct buf *b, uint64_t sid, const char *filter)
{
	const struct body_spool_sub body = {sid, 1, 0, str_of(filter)};
	SPOOL_PUT(b, SUB, sub, &body);
}

void put_sub_gone(struct buf *b, uint64_t sid, const char *filter)
{
	const struct body_spool_sub_gone body = {sid, str_of(filter)};
	SPOOL_PUT(b, SUB_GONE, sub_gone, &body);
}

void put_message(struct buf *b, uint64_t mid, const char *topic, const char *payload)
{
	const struct body_spool_message body = {
		.mid = mid,
		.qos = 1,
		.topic = str_of(topic),
		.properties = STR(""),
		.payload = str_of(payload),
	};
	SPOOL_PUT(b, MESSAGE, message, &body);
}

void put_queue(struct buf *b, uint64_t sid, uint64_t place, uint64_t mid)
{
	const struct body_spool_queue body = {sid, place, mid, 0, 1, 0, STR(""), STR("")};
	SPOOL_PUT(b, QUEUE, queue, &body);
}

void put_sent(struct buf *b, uint64_t sid, uint64_t place, uint16_t packet_id, uint8_t state)
{
	const struct body_spool_sent body = {sid, place, packet_id, state};
	SPOOL_PUT(b, SENT, sent, &body);
}

void put_queue_gone(struct buf *b, uint64_t sid, uint64_t place, uint64_t mid)
{
	const struct body_spool_queue_gone body = {sid, place, mid};
	SPOOL_PUT(b, QUEUE_GONE, queue_gone, &body);
}

void put_received(struct buf *b, uint64_t sid, uint16_t packet_id, uint64_t workers)
{
	const struct body_spool_received body = {sid, packet_id, workers};
	SPOOL_PUT(b, RECEIVED, received, &body);
}

void put_received_gone(struct buf *b, uint64_t sid, uint16_t packet_id)
{
	const struct body_spool_received_gone body = {sid, packet_id};
	SPOOL_PUT(b, RECEIVED_GONE, received_gone, &body);
}

void put_retain(struct buf *b, const char *topic, uint64_t version, uint64_t mid)
{
	const struct body_spool_retain body = {mid, version, str_of(topic)};
	SPOOL_PUT(b, RETAIN, retain, &body);
}

void put_retain_gone(struct buf *b, const char *topic, uint64_t version)
{
	const struct body_spool_retain_gone body = {version, str_of(topic)};
	SPOOL_PUT(b, RETAIN_GONE, retain_gone, &body);
}
