/* SPDX-License-Identifier: Apache-2.0
 *
 * The rig of the broker's tests: see broker_rig.h.
 */
#include "tests/unit/broker_rig.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/broker/process.h"
#include "daemon/conf/config.h"
#include "daemon/mqtt/decode.h"
#include "daemon/mqtt/encode.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WAIT_MS = 10000, RIG_SPOOL_S = 30, SETTINGS_MAX = 16 };

static void fail(const char *what)
{
	fprintf(stderr, "broker rig: %s\n", what);
	abort();
}

#define SEND(sock, TYPE, name, ident, descriptor, what)                             \
	do {                                                                        \
		unsigned char bytes_[FRAME_BODY_MAX];                               \
		struct out out_ = out_make(bytes_, sizeof(bytes_));                 \
		body_##name##_put(&out_, (what));                                   \
		const struct record record_ = {.type = MSG_##TYPE,                  \
					       .id = (ident),                       \
					       .body = {(char *)bytes_, out_.need}, \
					       .fd = (descriptor)};                 \
		if (!out_ok(&out_) || frame_send((sock), &record_))                 \
			fail("cannot send " #TYPE);                                 \
	} while (0)

/* ---- entries ----------------------------------------------------------------------------------
 */

#define ENTRY(buf, KIND, is_gone, name, body)                                                \
	do {                                                                                 \
		unsigned char inner_[4096];                                                  \
		struct out o_ = out_make(inner_, sizeof(inner_));                            \
		body_##name##_put(&o_, (body));                                              \
		const struct body_entry e_ = {(KIND), (is_gone), {(char *)inner_, o_.need}}; \
		ENTRIES_PUT((buf), entry, &e_);                                              \
	} while (0)

void rig_device(struct buf *b, uint64_t id, const char *name, bool enabled, const char *group)
{
	AUTO_BUF groups = {0};
	if (group)
		strs_put(&groups, str_of(group));
	const struct body_reg_device d = {
		.id = id, .name = str_of(name), .enabled = enabled, .groups = buf_view(&groups)};
	ENTRY(b, ENTRY_DEVICE, 0, reg_device, &d);
}

void rig_rule(struct buf *b, uint64_t id, const char *group, bool allow, unsigned actions,
	      const char *filter)
{
	const struct body_reg_rule r = {
		.id = id,
		.subject_kind = group ? SUBJECT_GROUP : SUBJECT_ANY,
		.subject = str_of(group),
		.allow = allow,
		.actions = (uint8_t)actions,
		.priority = 0x80000000,
		.filter = str_of(filter),
	};
	ENTRY(b, ENTRY_RULE, 0, reg_rule, &r);
}

void rig_rule_gone(struct buf *b, uint64_t id)
{
	ENTRY(b, ENTRY_RULE, 1, reg_rule, &(struct body_reg_rule){.id = id});
}

/* ---- the store --------------------------------------------------------------------------------
 */

static void copy(char *to, size_t size, struct str s)
{
	snprintf(to, size, "%.*s", STR_ARG(s));
}

static void keep_event(struct rig *r, const struct body_event *b)
{
	struct rig_event *e = &r->event[r->events++ % RIG_EVENTS];
	*e = (struct rig_event){.event = b->event, .device_id = b->device_id};
	copy(e->actor, sizeof(e->actor), b->actor);
	copy(e->client_id, sizeof(e->client_id), b->client_id);
	copy(e->reason, sizeof(e->reason), b->reason);
	e->detail_n = MIN(b->detail.n, sizeof(e->detail));
	if (e->detail_n)
		memcpy(e->detail, b->detail.p, e->detail_n);
}

static void on_events(struct rig *r, const struct record *m)
{
	struct body_events b;
	struct str one;
	struct body_event e;
	if (body_events_get(m->body, &b))
		fail("EVENTS");
	struct cur c = cur_of(b.events);
	while (entries_next(&c, &one)) {
		if (body_event_get(one, &e))
			fail("event");
		keep_event(r, &e);
	}
}

static void present(struct rig *r, const struct body_client *c)
{
	size_t i = 0;
	while (i < r->present && r->handle[i] != c->handle)
		i++;
	if (i == RIG_CLIENTS)
		fail("too many clients");
	if (c->gone && i < r->present)
		r->handle[i] = r->handle[--r->present];
	else if (!c->gone && i == r->present)
		r->handle[r->present++] = c->handle;
}

static void on_presence(struct rig *r, const struct record *m)
{
	struct body_presence b;
	struct str one;
	struct body_client client;
	if (body_presence_get(m->body, &b))
		fail("PRESENCE");
	struct cur c = cur_of(b.clients);
	r->presence++;
	if (b.reset)
		r->present = 0;
	while (entries_next(&c, &one)) {
		if (body_client_get(one, &client))
			fail("client");
		present(r, &client);
	}
}

/* Finds the device of that name in the snapshot. */
static uint64_t device_named(struct rig *r, struct str name, bool *enabled)
{
	struct cur c = cur_of(buf_view(&r->snapshot));
	struct str one;
	struct body_entry e;
	struct body_reg_device d;
	while (entries_next(&c, &one))
		if (body_entry_get(one, &e) == 0 && e.kind == ENTRY_DEVICE &&
		    body_reg_device_get(e.body, &d) == 0 && str_eq(d.name, name)) {
			*enabled = d.enabled;
			return d.id;
		}
	return 0;
}

static void on_login(struct rig *r, const struct record *m)
{
	struct body_login b;
	bool enabled = false;
	if (body_login_get(m->body, &b))
		fail("LOGIN");
	if (r->deaf)
		return;
	const uint64_t id = device_named(r, b.name, &enabled);
	const bool right = id && str_is(b.password, "secret");
	const struct body_login_done done = {
		!right ? LOGIN_WRONG : (enabled ? LOGIN_OK : LOGIN_DISABLED), id};
	SEND(r->store, LOGIN_DONE, login_done, m->id, -1, &done);
}

static void on_snapshot(struct rig *r, const struct record *m)
{
	const bool spoilt = r->spoilt && r->spoilt--;
	AUTO_FD fd = memfd_make("snapshot", spoilt ? STR("nonsense") : buf_view(&r->snapshot));
	const struct body_snapshot b = {r->seq};
	SEND(r->store, SNAPSHOT, snapshot, m->id, fd, &b);
}

static void on_done(struct rig *r, const struct record *m)
{
	struct body_delta_done d;
	struct body_kick_done k;
	if (m->type == MSG_DELTA_DONE && body_delta_done_get(m->body, &d) == 0) {
		r->delta_done = d.seq;
		r->closed = d.closed;
	} else if (m->type == MSG_KICK_DONE && body_kick_done_get(m->body, &k) == 0) {
		r->delta_done = UINT64_MAX;
		r->closed = k.closed;
	}
}

static void on_record(struct rig *r, const struct record *m)
{
	switch (m->type) {
	case MSG_SNAPSHOT_GET:
		on_snapshot(r, m);
		break;
	case MSG_LOGIN:
		on_login(r, m);
		break;
	case MSG_EVENTS:
		on_events(r, m);
		break;
	case MSG_PRESENCE:
		on_presence(r, m);
		break;
	default:
		on_done(r, m);
	}
}

static void *play_store(void *arg)
{
	struct rig *r = arg;
	static unsigned char buf[FRAME_MAX];
	struct record m;
	while (frame_receive(r->store, buf, &m) == 0) {
		if (!frame_permitted(m.type, PROCESS_BROKER, PROCESS_STORE))
			fail("the broker sent what it may not");
		pthread_mutex_lock(&r->lock);
		on_record(r, &m);
		pthread_cond_broadcast(&r->changed);
		pthread_mutex_unlock(&r->lock);
		frame_done(&m);
	}
	return NULL;
}

/* ---- the spool --------------------------------------------------------------------------------
 */

static uint32_t kinds_of(struct str records)
{
	struct cur c = cur_of(records);
	struct spool_record r;
	uint32_t kinds = 0;
	while (spool_next(&c, &r))
		kinds |= UINT32_C(1) << r.kind;
	if (!cur_ok(&c))
		fail("a malformed batch");
	return kinds;
}

static bool knows(const struct rig_spool *s, uint64_t sid)
{
	for (size_t at = 0; at < s->sids.n; at += sizeof(sid))
		if (memcmp(s->sids.p + at, &sid, sizeof(sid)) == 0)
			return true;
	return false;
}

static void store(struct rig_spool *s, struct str records)
{
	struct cur c = cur_of(records);
	struct spool_record r;
	while (spool_next(&c, &r)) {
		if (r.kind == SPOOL_KIND_SESSION && !knows(s, r.session.sid))
			buf_put(&s->sids, &r.session.sid, sizeof(r.session.sid));
		s->stored[r.kind] += r.kind != SPOOL_KIND_QUEUE || knows(s, r.queue.sid);
	}
}

/* It remembers nothing but how many records came. */
static enum spool_status take_batch(struct rig_spool *s, struct str records)
{
	struct rig *r = s->rig;
	const uint32_t kinds = kinds_of(records);
	pthread_mutex_lock(&r->lock);
	s->held = s->holds;
	pthread_cond_broadcast(&r->changed);
	while (s->holds)
		pthread_cond_wait(&r->changed, &r->lock);
	s->held = false;
	const bool refused = kinds & s->refuses;
	s->largest = MAX(s->largest, records.n);
	s->refused += refused;
	if (!refused)
		store(s, records);
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
	return refused ? SPOOL_FULL : SPOOL_STORED;
}

static void answer_batch(struct rig_spool *s, const struct record *m, const struct body_spool *b)
{
	AUTO_BUF large = {0};
	if (m->fd >= 0 && memfd_read(m->fd, SPOOL_BATCH_MAX, &large))
		fail("a batch cannot be read");
	const enum spool_status status = take_batch(s, m->fd >= 0 ? buf_view(&large) : b->records);
	const struct body_spool_done done = {.seq = b->seq, .status = (uint8_t)status};
	SEND(s->sock, SPOOL_DONE, spool_done, 0, -1, &done);
}

static void *play_spool(void *arg)
{
	struct rig_spool *s = arg;
	unsigned char *buf = mem_alloc(FRAME_MAX);
	struct record m;
	while (frame_receive(s->sock, buf, &m) == 0) {
		struct body_spool b;
		if (m.type == MSG_SPOOL_GET) {
			AUTO_FD fd = memfd_make("spool", buf_view(&s->rig->spooled));
			const struct body_spool_state state = {.status = SPOOL_STORED};
			SEND(s->sock, SPOOL_STATE, spool_state, m.id, fd, &state);
		} else if (m.type == MSG_SPOOL && body_spool_get(m.body, &b) == 0) {
			answer_batch(s, &m, &b);
		}
		frame_done(&m);
	}
	free(buf);
	return NULL;
}

void rig_spool_set(struct rig *r, unsigned worker, bool holds, uint32_t refuses)
{
	pthread_mutex_lock(&r->lock);
	r->spool[worker].holds = holds;
	r->spool[worker].refuses = refuses;
	pthread_cond_broadcast(&r->changed);
	pthread_mutex_unlock(&r->lock);
}

static void spool_deadline(struct timespec *until)
{
	clock_gettime(CLOCK_REALTIME, until);
	until->tv_sec += RIG_SPOOL_S;
}

void rig_spool_wait_held(struct rig *r, unsigned worker)
{
	struct timespec until;
	spool_deadline(&until);
	pthread_mutex_lock(&r->lock);
	while (!r->spool[worker].held)
		if (pthread_cond_timedwait(&r->changed, &r->lock, &until))
			fail("no batch came to the spool");
	pthread_mutex_unlock(&r->lock);
}

void rig_spool_wait(struct rig *r, unsigned worker, enum spool_kind kind, unsigned n)
{
	struct timespec until;
	spool_deadline(&until);
	pthread_mutex_lock(&r->lock);
	while (r->spool[worker].stored[kind] < n)
		if (pthread_cond_timedwait(&r->changed, &r->lock, &until))
			fail("the spool did not get what it was to get");
	pthread_mutex_unlock(&r->lock);
}

void rig_spool_lost(struct rig *r)
{
	for (unsigned i = 0; i < r->workers; i++) {
		pthread_mutex_lock(&r->lock);
		r->spool[i].sids.n = 0;
		pthread_mutex_unlock(&r->lock);
		SEND(r->spool[i].sock, SPOOL_LOST, spool_lost, 0, -1, &(struct body_spool_lost){});
	}
}

static void hello(int sock, enum process self)
{
	const struct body_hello b = {frame_table_hash(), (uint8_t)self};
	SEND(sock, HELLO, hello, 0, -1, &b);
}

static void start_spool(struct rig *r)
{
	for (unsigned i = 0; i < r->workers; i++) {
		struct rig_spool *s = &r->spool[i];
		int pair[2];
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			fail("socketpair");
		*s = (struct rig_spool){.rig = r, .sock = pair[0]};
		hello(s->sock, PROCESS_STORE);
		const struct body_link l = {PROCESS_STORE, (uint16_t)(1 + i)};
		SEND(r->parent, LINK, link, 0, pair[1], &l);
		close(pair[1]);
		if (pthread_create(&s->thread, NULL, play_spool, s))
			fail("pthread_create");
	}
}

static void stop_spool(struct rig *r)
{
	for (unsigned i = 0; i < r->workers; i++) {
		shutdown(r->spool[i].sock, SHUT_RDWR);
		pthread_join(r->spool[i].thread, NULL);
		close(r->spool[i].sock);
		buf_fini(&r->spool[i].sids);
	}
}

/* ---- the parent -------------------------------------------------------------------------------
 */

static int no_sandbox(struct child *p)
{
	(void)p;
	return 0;
}

static int listen_here(uint16_t *port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(a);
	const int one = 1;
	const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	a.sin_port = htons(*port);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) ||
	    bind(fd, (struct sockaddr *)&a, n) || listen(fd, 64) ||
	    getsockname(fd, (struct sockaddr *)&a, &n))
		fail("cannot listen");
	*port = ntohs(a.sin_port);
	return fd;
}

static void wait_ready(struct rig *r)
{
	unsigned char *buf = mem_alloc(FRAME_MAX);
	struct record m;
	for (;;) {
		if (frame_receive(r->parent, buf, &m))
			fail("the broker ended before it was ready");
		const enum message type = m.type;
		frame_done(&m);
		if (type == MSG_READY)
			break;
	}
	free(buf);
}

static void slice_of(const char *settings, unsigned workers, struct buf *out)
{
	const char *override[SETTINGS_MAX];
	size_t n = 0;
	struct config *config;
	struct config_errors errors = {0};
	AUTO_CHAR copy_of = mem_strdup(settings);
	char *save = NULL;
	override[n++] = workers == 2 ? "broker.workers=2" : "broker.workers=1";
	override[n++] = "log.level=error";
	override[n++] = "listener.here.bind=127.0.0.1:1883";
	override[n++] = "listener.here.tls=off";
	for (char *one = strtok_r(copy_of, " ", &save); one; one = strtok_r(NULL, " ", &save))
		override[n++] = one;
	if (config_load(NULL, NULL, override, n, &config, &errors))
		fail(errors.text[0]);
	config_slice(config, PROCESS_BROKER, out);
	config_free(config);
}

static void give(struct rig *r, const char *settings, int store, unsigned workers)
{
	AUTO_BUF text = {0};
	slice_of(settings, workers, &text);
	AUTO_FD config = memfd_make("config", buf_view(&text));
	hello(r->parent, PROCESS_PARENT);
	SEND(r->parent, CONFIG, config, 1, config, &(struct body_config){});
	for (unsigned i = 0; i < workers; i++) {
		AUTO_FD fd = listen_here(&r->port);
		const struct body_listener l = {STR("here"), (uint16_t)i, STR("127.0.0.1")};
		SEND(r->parent, LISTENER, listener, 0, fd, &l);
	}
	const struct body_link l = {PROCESS_STORE, 0};
	SEND(r->parent, LINK, link, 0, store, &l);
	r->workers = workers;
	start_spool(r);
	SEND(r->parent, START, start, 0, -1, &(struct body_start){});
}

void rig_start(struct rig *r, unsigned workers, const char *settings)
{
	int parent[2];
	int store[2];
	r->port = 0;
	r->events = 0;
	r->deaf = 0;
	r->spoilt = 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, parent) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, store))
		fail("socketpair");
	r->pid = fork();
	if (r->pid == 0) {
		close(parent[0]);
		close(store[0]);
		close(store[1]);
		log_init("broker", LOG_LEVEL_ERROR);
		exit(child_run(&broker_hooks, parent[1], no_sandbox));
	}
	close(parent[1]);
	r->parent = parent[0];
	r->store = store[0];
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->changed, NULL);
	hello(r->store, PROCESS_STORE);
	give(r, settings, store[1], workers);
	close(store[1]);
	if (pthread_create(&r->thread, NULL, play_store, r))
		fail("pthread_create");
	wait_ready(r);
}

static void join_store(struct rig *r)
{
	shutdown(r->store, SHUT_RDWR);
	pthread_join(r->thread, NULL);
	close(r->store);
	stop_spool(r);
}

void rig_store_dies(struct rig *r)
{
	join_store(r);
	r->store = -1;
}

void rig_store_returns(struct rig *r)
{
	int store[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, store))
		fail("socketpair");
	r->store = store[0];
	r->presence = 0;
	hello(r->store, PROCESS_STORE);
	const struct body_link l = {PROCESS_STORE, 0};
	SEND(r->parent, LINK, link, 0, store[1], &l);
	close(store[1]);
	start_spool(r);
	if (pthread_create(&r->thread, NULL, play_store, r))
		fail("pthread_create");
}

bool rig_reload(struct rig *r, unsigned workers, const char *settings)
{
	AUTO_BUF text = {0};
	struct body_config_done done = {0};
	slice_of(settings, workers, &text);
	AUTO_FD config = memfd_make("config", buf_view(&text));
	SEND(r->parent, CONFIG, config, 2, config, &(struct body_config){});
	unsigned char *buf = mem_alloc(FRAME_MAX);
	struct record m;
	do {
		if (frame_receive(r->parent, buf, &m))
			fail("no CONFIG_DONE");
	} while (m.type != MSG_CONFIG_DONE || m.id != 2);
	if (body_config_done_get(m.body, &done))
		fail("CONFIG_DONE");
	free(buf);
	return done.ok;
}

void rig_stop(struct rig *r)
{
	int status;
	SEND(r->parent, STOP, stop, 0, -1, &(struct body_stop){});
	if (waitpid(r->pid, &status, 0) != r->pid || !WIFEXITED(status) || WEXITSTATUS(status))
		fail("the broker did not end in order");
	if (r->store >= 0)
		join_store(r);
	close(r->parent);
	buf_fini(&r->snapshot);
	buf_fini(&r->spooled);
}

static void deadline(struct timespec *t)
{
	clock_gettime(CLOCK_REALTIME, t);
	t->tv_sec += WAIT_MS / 1000;
}

static uint32_t wait_done(struct rig *r, uint64_t seq)
{
	struct timespec t;
	deadline(&t);
	while (r->delta_done != seq)
		if (pthread_cond_timedwait(&r->changed, &r->lock, &t))
			fail("no DELTA_DONE or KICK_DONE");
	r->delta_done = 0;
	return r->closed;
}

uint32_t rig_delta(struct rig *r, const struct buf *entries)
{
	pthread_mutex_lock(&r->lock);
	const struct body_delta b = {++r->seq, buf_view(entries)};
	SEND(r->store, DELTA, delta, r->seq, -1, &b);
	const uint32_t closed = wait_done(r, r->seq);
	pthread_mutex_unlock(&r->lock);
	return closed;
}

uint32_t rig_kick(struct rig *r, const char *client_id)
{
	pthread_mutex_lock(&r->lock);
	const struct body_kick b = {.client_id = str_of(client_id),
				    .reason = REASON_ADMINISTRATIVE_ACTION};
	SEND(r->store, KICK, kick, 1, -1, &b);
	const uint32_t closed = wait_done(r, UINT64_MAX);
	pthread_mutex_unlock(&r->lock);
	return closed;
}

void rig_notice(struct rig *r, uint64_t device_id, const char *topic, const char *payload)
{
	pthread_mutex_lock(&r->lock);
	const struct body_notice b = {device_id, str_of(topic), str_of(payload)};
	SEND(r->store, NOTICE, notice, 0, -1, &b);
	pthread_mutex_unlock(&r->lock);
}

size_t rig_count(struct rig *r, enum event event)
{
	size_t n = 0;
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < MIN(r->events, (size_t)RIG_EVENTS); i++)
		n += r->event[i].event == event;
	pthread_mutex_unlock(&r->lock);
	return n;
}

void rig_wait_present(struct rig *r, size_t n)
{
	struct timespec t;
	deadline(&t);
	pthread_mutex_lock(&r->lock);
	while (r->present != n || r->presence == 0)
		if (pthread_cond_timedwait(&r->changed, &r->lock, &t))
			fail("the client list does not become what it should");
	pthread_mutex_unlock(&r->lock);
}

static bool take_event(struct rig *r, enum event event, const char *reason, struct rig_event *out)
{
	for (size_t i = 0; i < MIN(r->events, (size_t)RIG_EVENTS); i++) {
		if (r->event[i].event != event || !strstr(r->event[i].reason, reason))
			continue;
		*out = r->event[i];
		r->event[i].event = EVENT_COUNT;
		return true;
	}
	return false;
}

struct rig_event rig_event(struct rig *r, enum event event, const char *reason)
{
	struct rig_event e;
	struct timespec t;
	deadline(&t);
	pthread_mutex_lock(&r->lock);
	while (!take_event(r, event, reason, &e))
		if (pthread_cond_timedwait(&r->changed, &r->lock, &t))
			fail(event_name(event));
	pthread_mutex_unlock(&r->lock);
	return e;
}

/* ---- clients ----------------------------------------------------------------------------------
 */

void client_open(struct client *c, const struct rig *r, enum mqtt_version version)
{
	const struct sockaddr_in a = {.sin_family = AF_INET,
				      .sin_port = htons(r->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	*c = (struct client){.version = version};
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&a, sizeof(a)))
		fail("cannot connect");
}

void client_bytes(struct client *c, const void *p, size_t n)
{
	if (send(c->fd, p, n, MSG_NOSIGNAL) != (ssize_t)n)
		fail("cannot send to the broker");
}

void client_send(struct client *c, const struct packet *p)
{
	const size_t n = packet_size(c->version, p);
	unsigned char *bytes = mem_alloc(n);
	struct out o = out_make(bytes, n);
	if (!packet_encode(c->version, p, &o))
		fail("cannot encode");
	client_bytes(c, bytes, n);
	free(bytes);
}

/* False at the end of the stream. */
static bool more(struct client *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	if (poll(&p, 1, WAIT_MS) != 1)
		fail("nothing came from the broker");
	const ssize_t n = recv(c->fd, buf_reserve(&c->in, 65536), 65536, 0);
	if (n <= 0)
		return false;
	c->in.n += (size_t)n;
	return true;
}

static bool next(struct client *c, struct packet *out)
{
	size_t size;
	buf_consume(&c->in, c->taken);
	c->taken = 0;
	arena_reset(&c->arena);
	while (packet_frame(c->in.p, c->in.n, PACKET_SIZE_MAX, &size) != 0)
		if (!more(c))
			return false;
	if (packet_decode(c->version, SENDER_SERVER, c->in.p, size, &c->arena, out))
		fail("the broker sent a bad packet");
	c->taken = size;
	return true;
}

struct packet client_receive(struct client *c)
{
	struct packet p;
	if (!next(c, &p))
		fail("the broker closed the connection");
	return p;
}

bool client_closed(struct client *c)
{
	struct packet p;
	return !next(c, &p);
}

bool client_quiet(struct client *c)
{
	client_send(c, &(struct packet){.type = PACKET_PINGREQ, .props = props_none});
	return client_receive(c).type == PACKET_PINGRESP;
}

void client_close(struct client *c)
{
	close(c->fd);
	buf_fini(&c->in);
	arena_fini(&c->arena);
}

static void set_props(struct packet *p, const struct connect_options *o)
{
	if (o->expiry) {
		p->props.session_expiry_interval = o->expiry;
		props_mark(&p->props, PROPERTY_SESSION_EXPIRY_INTERVAL);
	}
	if (o->receive_maximum) {
		p->props.receive_maximum = o->receive_maximum;
		props_mark(&p->props, PROPERTY_RECEIVE_MAXIMUM);
	}
	if (o->packet_max) {
		p->props.maximum_packet_size = o->packet_max;
		props_mark(&p->props, PROPERTY_MAXIMUM_PACKET_SIZE);
	}
}

struct packet client_connect(struct client *c, const struct connect_options *o)
{
	struct packet p = {.type = PACKET_CONNECT, .props = props_none};
	p.connect = (struct packet_connect){
		.version = c->version,
		.clean_start = !o->dirty,
		.keep_alive = o->keep_alive,
		.client_id = str_of(o->client_id),
		.has_will = o->will_topic != NULL,
		.has_user_name = o->user != NULL,
		.has_password = o->password != NULL,
		.user_name = str_of(o->user),
		.password = str_of(o->password),
	};
	p.connect.will = (struct packet_will){
		.topic = str_of(o->will_topic), .payload = STR("gone"), .props = props_none};
	if (o->will_delay) {
		p.connect.will.props.will_delay_interval = o->will_delay;
		props_mark(&p.connect.will.props, PROPERTY_WILL_DELAY_INTERVAL);
	}
	set_props(&p, o);
	client_send(c, &p);
	const struct packet answer = client_receive(c);
	if (answer.type != PACKET_CONNACK)
		fail("no CONNACK");
	return answer;
}

void client_join(struct client *c, const struct rig *r, enum mqtt_version version,
		 const struct connect_options *o)
{
	client_open(c, r, version);
	if (client_connect(c, o).connack.reason != REASON_SUCCESS)
		fail("CONNECT was refused");
}

unsigned client_subscribe(struct client *c, const char *filter, uint8_t qos)
{
	const struct packet_subscription one = {.filter = str_of(filter), .qos = qos};
	const struct packet p = {
		.type = PACKET_SUBSCRIBE, .props = props_none, .subscribe = {1, &one, 1}};
	client_send(c, &p);
	const struct packet answer = client_receive(c);
	if (answer.type != PACKET_SUBACK || answer.suback.codes.n != 1)
		fail("no SUBACK");
	return (unsigned char)answer.suback.codes.p[0];
}

void client_publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
		    uint16_t packet_id)
{
	const struct packet p = {
		.type = PACKET_PUBLISH,
		.props = props_none,
		.publish = {.topic = str_of(topic),
			    .payload = str_of(payload),
			    .qos = qos,
			    .packet_id = packet_id},
	};
	client_send(c, &p);
}

struct packet client_expect(struct client *c, const char *topic, const char *payload, uint8_t qos)
{
	const struct packet p = client_receive(c);
	if (p.type != PACKET_PUBLISH)
		fail(packet_name(p.type));
	if (!str_is(p.publish.topic, topic) || !str_is(p.publish.payload, payload) ||
	    p.publish.qos != qos) {
		fprintf(stderr, "wanted %s %s at %u, got %.*s %.*s at %u\n", topic, payload, qos,
			STR_ARG(p.publish.topic), STR_ARG(p.publish.payload), p.publish.qos);
		fail("another message");
	}
	return p;
}

void client_ack(struct client *c, enum packet_type type, uint16_t packet_id)
{
	const struct packet p = {
		.type = type, .props = props_none, .ack = {packet_id, REASON_SUCCESS}};
	client_send(c, &p);
}
