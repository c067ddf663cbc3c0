/* SPDX-License-Identifier: Apache-2.0
 *
 * Load generator of the benchmark: a few hundred honest MQTT clients in one thread. tests/bench/run
 * drives it over standard input and output: it prints {"ready":true} when all are connected and
 * have subscribed, waits for a line, sends and receives until everything has arrived or nothing
 * moves any more, prints what it counted, and waits for the next line before it disconnects. So the
 * driver can read the broker's clocks before and after without the connects in between.
 *
 *   load flow  PORT PUBLISHERS SUBSCRIBERS QOS MESSAGES WINDOW BURST RATE
 *   load away  PORT PUBLISHERS SUBSCRIBERS QOS MESSAGES WINDOW BURST RATE
 *   load idle  PORT CLIENTS CERTIFICATES
 *   load storm PORT CONNECTS AT-A-TIME CERTIFICATES RESUMED   full handshakes, or resumed (1)
 *
 * TLS with client certificates when BENCH_CERTS is set: a folder with NAME/device.crt and
 * NAME/device.key; else plain TCP with the login in BENCH_USER and BENCH_PASSWORD. Publisher n is
 * client pN (with the user before it on plain TCP) and publishes to bench/pN/state. As many
 * subscribers as publishers: pairs. One subscriber: all publishers. Several, and one publisher: all
 * get everything.
 *
 * Each publisher sends MESSAGES, up to BURST of them with one send (1: each in a TLS record and a
 * send of its own). In away the subscribers have sessions that outlive them, and are not there: a
 * message counts when it is acknowledged; then they come, and the next line counts what they got.
 * It is at most WINDOW messages ahead of its slowest receiver, and of PUBACK: what a broker drops,
 * loses or sends twice is then its own doing. A window of 1 is a device that sends now and then: no
 * message ever finds company. With a RATE other than 0 so many messages a second leave in all,
 * evenly spaced, and the time from publisher to receiver is measured.
 */
#include "tests/bench/load_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	AT_A_TIME = 32, /* clients that connect at the same moment */
	CERTIFICATES = 100,
	PAYLOAD = 100,
	TOPIC = NAME_MAX_BYTES + 16,
	EVENTS = 128,
};

static const uint64_t stalled_ns = UINT64_C(5000000000);

struct publisher {
	struct client client;
	uint32_t sent;
	uint32_t acknowledged;
	uint32_t behind; /* what its slowest receiver has */
	char topic[TOPIC];
};

static struct target target;
static struct publisher *publishers;
static struct client *subscribers;
static unsigned publishers_n, subscribers_n, qos, window, burst, rate;
static uint32_t messages;
static uint32_t *next; /* [subscriber][publisher]: the number that comes next */
static uint64_t delivered, lost, duplicated, resent;
static uint32_t *latency_ns; /* of each delivery, when there is a rate */
static unsigned ready_n, resumed_n;
static bool running;

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static uint64_t now_us(clockid_t clock)
{
	return now_ns(clock) / 1000;
}

static unsigned number_of(const char *text)
{
	char *end;
	const unsigned long n = strtoul(text, &end, 10);
	if (*end || end == text || n > 100000000)
		fail("'%s' is not a number from 0 to 100000000", text);
	return (unsigned)n;
}

/* ---- clients ----------------------------------------------------------------------------------
 */

static gnutls_certificate_credentials_t credentials_of(char kind, unsigned number)
{
	static gnutls_certificate_credentials_t made[2][CERTIFICATES];
	gnutls_certificate_credentials_t *c = &made[kind == 's'][number % CERTIFICATES];
	const char *folder = getenv("BENCH_CERTS");
	if (!folder)
		return NULL;
	if (!*c) {
		char crt[4096], key[4096];
		snprintf(crt, sizeof(crt), "%s/%c%u/device.crt", folder, kind, number);
		snprintf(key, sizeof(key), "%s/%c%u/device.key", folder, kind, number);
		*c = client_credentials(crt, key);
	}
	return *c;
}

static void prepare(struct client *c, char kind, unsigned number, unsigned certificates)
{
	c->number = number;
	c->target = &target;
	c->credentials = credentials_of(kind, number % certificates);
	/* A client identifier stays with its user while the broker has not seen the end of it. */
	snprintf(c->name, sizeof(c->name), "%s%c%u", target.tls ? "" : target.user, kind, number);
}

static int turn(uint64_t timeout_ns, const struct client_events *tell)
{
	struct epoll_event event[EVENTS];
	const struct timespec timeout = {(time_t)(timeout_ns / 1000000000),
					 (long)(timeout_ns % 1000000000)};
	const int n = epoll_pwait2(target.epoll, event, EVENTS, &timeout, NULL);
	if (n < 0 && errno != EINTR)
		fail("epoll: %s", strerror(errno));
	for (int i = 0; i < n; i++)
		client_ready(event[i].data.ptr, event[i].events, tell);
	return n;
}

/* Connects all, a few at a time. client(i) gives each. */
static void connect_all(struct client *(*client)(unsigned i), unsigned n,
			const struct client_events *tell)
{
	unsigned begun = 0;
	ready_n = 0;
	while (ready_n < n) {
		while (begun < n && begun - ready_n < AT_A_TIME)
			client_connect(client(begun++));
		if (turn(4 * stalled_ns, tell) == 0)
			fail("%u of %u clients are connected, and nothing moves", ready_n, n);
	}
}

static void say(const char *line)
{
	puts(line);
	fflush(stdout);
}

static void await_line(void)
{
	char line[64];
	if (!fgets(line, sizeof(line), stdin))
		exit(0);
}

/* ---- flow -------------------------------------------------------------------------------------
 */

static void flow_connected(struct client *c)
{
	if (c != &subscribers[c->number]) {
		ready_n++;
		return;
	}
	char filter[TOPIC] = "bench/+/state";
	if (subscribers_n > 1)
		snprintf(filter, sizeof(filter), "%s",
			 publishers[publishers_n > 1 ? c->number : 0].topic);
	client_subscribe(c, filter, qos);
}

static void flow_subscribed(struct client *c)
{
	(void)c;
	ready_n++;
}

static uint32_t slowest(unsigned p)
{
	if (subscribers_n == publishers_n)
		return next[p * publishers_n + p];
	uint32_t least = next[p];
	for (unsigned s = 1; s < subscribers_n; s++)
		least = next[s * publishers_n + p] < least ? next[s * publishers_n + p] : least;
	return least;
}

/* What a message is made of: who sent it, which one it is, when, and filling. */
struct payload {
	uint32_t publisher;
	uint32_t number;
	uint64_t sent_ns;
	unsigned char filling[PAYLOAD - 16];
} __attribute__((packed));

static void flow_published(struct client *c, const struct publish *m)
{
	struct payload p;
	if (m->payload_n != sizeof(p) || m->qos != qos)
		fail("%s: a message of %zu bytes with QoS %u", c->name, m->payload_n, m->qos);
	memcpy(&p, m->payload, sizeof(p));
	if (p.publisher >= publishers_n || p.number >= messages)
		fail("%s: a message that nobody sent", c->name);
	uint32_t *due = &next[c->number * publishers_n + p.publisher];
	if (p.number < *due) {
		duplicated += !m->dup;
		resent += m->dup;
	} else {
		lost += p.number - *due;
		*due = p.number + 1;
		if (rate)
			latency_ns[delivered] = (uint32_t)(now_ns(CLOCK_MONOTONIC) - p.sent_ns);
		delivered++;
	}
	client_acknowledge(c, qos, m->packet_id);
}

static void flow_acknowledged(struct client *c, uint16_t packet_id)
{
	struct publisher *p = &publishers[c->number];
	if (packet_id != p->acknowledged % UINT16_MAX + 1)
		fail("%s: acknowledgement of %u out of order", c->name, packet_id);
	p->acknowledged++;
}

static void flow_turn_over(struct client *c)
{
	(void)c;
}

static const struct client_events flow = {
	.connected = flow_connected,
	.subscribed = flow_subscribed,
	.published = flow_published,
	.acknowledged = flow_acknowledged,
	.turn_over = flow_turn_over,
};

static void only_ready(struct client *c)
{
	(void)c;
	ready_n++;
}

/* Those who come back to their sessions. */
static const struct client_events connects_again = {
	.connected = only_ready,
	.subscribed = only_ready,
	.published = flow_published,
	.acknowledged = flow_acknowledged,
	.turn_over = flow_turn_over,
};

static void publish_one(struct publisher *p)
{
	static struct payload payload;
	payload.publisher = p->client.number;
	payload.number = p->sent;
	payload.sent_ns = rate ? now_ns(CLOCK_MONOTONIC) : 0;
	client_publish(&p->client, p->topic, qos, (uint16_t)(p->sent % UINT16_MAX + 1),
		       (const unsigned char *)&payload, sizeof(payload));
	p->sent++;
}

static bool may_publish(const struct publisher *p)
{
	const uint32_t arrived = slowest(p->client.number);
	const uint32_t settled = qos && p->acknowledged < arrived ? p->acknowledged : arrived;
	return p->sent < messages && p->sent - settled < window && !p->client.out_n;
}

/* Everything that the window allows. */
static bool publish_more(struct publisher *p)
{
	const uint32_t before = p->sent;
	while (may_publish(p)) {
		publish_one(p);
		if (p->sent % burst == 0)
			client_flush(&p->client);
	}
	client_flush(&p->client);
	return p->sent > before;
}

/* Sends as much as the window allows, and hears what comes back. False: nothing moves. */
static bool turn_of_windows(void)
{
	bool sent = false;
	for (unsigned i = 0; i < publishers_n; i++)
		sent |= publish_more(&publishers[i]);
	return turn(stalled_ns, &flow) > 0 || sent;
}

/* Sends what is due, one publisher after the other, and hears what comes back until more is. */
static bool turn_of_rate(uint64_t begun_ns)
{
	static uint64_t sent;
	const uint64_t all = (uint64_t)messages * publishers_n;
	for (uint64_t now; sent < all; sent++) {
		const uint64_t due = begun_ns + sent * 1000000000 / rate;
		struct publisher *p = &publishers[sent % publishers_n];
		now = now_ns(CLOCK_MONOTONIC);
		if (due > now)
			return turn(due - now, &flow) >= 0;
		publish_one(p);
		client_flush(&p->client);
	}
	return turn(stalled_ns, &flow) > 0;
}

static bool finished(void)
{
	const uint64_t receivers = publishers_n == subscribers_n ? 1 : subscribers_n;
	if (delivered + lost < (uint64_t)messages * publishers_n * receivers)
		return false;
	for (unsigned i = 0; qos && i < publishers_n; i++)
		if (publishers[i].acknowledged < messages)
			return false;
	return true;
}

static struct client *flow_client(unsigned i)
{
	return i < publishers_n ? &publishers[i].client : &subscribers[i - publishers_n];
}

static void flow_prepare(char **arg)
{
	publishers_n = number_of(arg[0]);
	subscribers_n = number_of(arg[1]);
	qos = number_of(arg[2]);
	messages = number_of(arg[3]);
	window = number_of(arg[4]);
	burst = number_of(arg[5]);
	rate = number_of(arg[6]);
	if (!publishers_n || !subscribers_n || qos > 2 || !window || !burst)
		fail("one of the numbers is out of range");
	if (publishers_n > 1 && subscribers_n > 1 && publishers_n != subscribers_n)
		fail("several publishers and several subscribers must be pairs");
	publishers = calloc(publishers_n, sizeof(*publishers));
	subscribers = calloc(subscribers_n, sizeof(*subscribers));
	next = calloc((size_t)publishers_n * subscribers_n, sizeof(*next));
	latency_ns = calloc((size_t)messages * publishers_n * subscribers_n, sizeof(*latency_ns));
	if (!publishers || !subscribers || !next || !latency_ns)
		fail("out of memory");
	for (unsigned i = 0; i < publishers_n; i++) {
		prepare(&publishers[i].client, 'p', i, CERTIFICATES);
		snprintf(publishers[i].topic, TOPIC, "bench/%s/state", publishers[i].client.name);
	}
	for (unsigned i = 0; i < subscribers_n; i++)
		prepare(&subscribers[i], 's', i, CERTIFICATES);
}

static int by_size(const void *a, const void *b)
{
	const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

static double latency_us(double share)
{
	return delivered ? latency_ns[(size_t)((double)(delivered - 1) * share)] / 1000.0 : 0;
}

static void say_counts(uint64_t wall_us, uint64_t cpu_us)
{
	const uint64_t receivers = publishers_n == subscribers_n ? 1 : subscribers_n;
	printf("{\"delivered\": %llu, \"expected\": %llu, \"lost\": %llu, \"duplicated\": %llu, "
	       "\"resent\": %llu, \"wall_us\": %llu, \"load_cpu_us\": %llu",
	       (unsigned long long)delivered,
	       (unsigned long long)(messages * receivers * publishers_n), (unsigned long long)lost,
	       (unsigned long long)duplicated, (unsigned long long)resent,
	       (unsigned long long)wall_us, (unsigned long long)cpu_us);
	if (rate) {
		qsort(latency_ns, delivered, sizeof(*latency_ns), by_size);
		printf(", \"p50_us\": %.1f, \"p99_us\": %.1f", latency_us(.5), latency_us(.99));
	}
	say("}");
}

static void run_flow(char **arg)
{
	flow_prepare(arg);
	connect_all(flow_client, publishers_n + subscribers_n, &flow);
	say("{\"ready\": true}");
	await_line();
	const uint64_t cpu = now_us(CLOCK_PROCESS_CPUTIME_ID), wall = now_ns(CLOCK_MONOTONIC);
	while (!finished() && (rate ? turn_of_rate(wall) : turn_of_windows()))
		;
	say_counts((now_ns(CLOCK_MONOTONIC) - wall) / 1000, now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	await_line();
	for (unsigned i = 0; i < publishers_n + subscribers_n; i++)
		client_close(flow_client(i));
}

/* ---- away -------------------------------------------------------------------------------------
 */

static struct client *subscriber(unsigned i)
{
	return &subscribers[i];
}

static struct client *publisher(unsigned i)
{
	return &publishers[i].client;
}

static bool all_acknowledged(void)
{
	for (unsigned i = 0; i < publishers_n; i++)
		if (publishers[i].acknowledged < messages)
			return false;
	return true;
}

static bool publish_window(struct publisher *p)
{
	const uint32_t before = p->sent;
	while (p->sent < messages && p->sent - p->acknowledged < window && !p->client.out_n) {
		publish_one(p);
		if (p->sent % burst == 0)
			client_flush(&p->client);
	}
	client_flush(&p->client);
	return p->sent > before;
}

static void publish_all(void)
{
	for (bool moves = true; moves && !all_acknowledged();) {
		moves = false;
		for (unsigned i = 0; i < publishers_n; i++)
			moves |= publish_window(&publishers[i]);
		moves |= turn(stalled_ns, &flow) > 0;
	}
}

static void run_away(char **arg)
{
	flow_prepare(arg);
	for (unsigned i = 0; i < subscribers_n; i++)
		subscribers[i].persistent = true;
	connect_all(subscriber, subscribers_n, &flow);
	for (unsigned i = 0; i < subscribers_n; i++)
		client_close(&subscribers[i]);
	connect_all(publisher, publishers_n, &flow);
	say("{\"ready\": true}");
	await_line();
	const uint64_t cpu = now_us(CLOCK_PROCESS_CPUTIME_ID), wall = now_ns(CLOCK_MONOTONIC);
	publish_all();
	for (unsigned i = 0; i < publishers_n; i++)
		delivered += publishers[i].acknowledged;
	say_counts((now_ns(CLOCK_MONOTONIC) - wall) / 1000, now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu);
	await_line();
	delivered = 0;
	connect_all(subscriber, subscribers_n, &connects_again);
	while (!finished() && turn(stalled_ns, &connects_again) > 0)
		;
	say_counts(0, 0);
	await_line();
	for (unsigned i = 0; i < publishers_n + subscribers_n; i++)
		client_close(flow_client(i));
	/* Nothing stays behind for the next scenario. */
	for (unsigned i = 0; i < subscribers_n; i++)
		subscribers[i].persistent = false;
	connect_all(subscriber, subscribers_n, &connects_again);
	for (unsigned i = 0; i < subscribers_n; i++)
		client_close(&subscribers[i]);
}

/* ---- idle and storm ---------------------------------------------------------------------------
 */

static void only_connected(struct client *c)
{
	ready_n++;
	resumed_n += client_resumed(c);
}

/* In a storm a client leaves as soon as it has what it came for. */
static void leave(struct client *c)
{
	if (running && c->state == CLIENT_CONNECTED && (!c->resumes || client_can_resume(c)))
		client_close(c);
}

static void unexpected_publish(struct client *c, const struct publish *m)
{
	(void)m;
	fail("%s: a message that nobody sent", c->name);
}

static void unexpected_ack(struct client *c, uint16_t packet_id)
{
	fail("%s: acknowledgement of %u for nothing", c->name, packet_id);
}

static const struct client_events connects = {
	.connected = only_connected,
	.subscribed = only_connected,
	.published = unexpected_publish,
	.acknowledged = unexpected_ack,
	.turn_over = leave,
};

static struct client *idle_client(unsigned i)
{
	return &subscribers[i];
}

static void make_clients(unsigned n, unsigned certificates)
{
	subscribers = calloc(n, sizeof(*subscribers));
	if (!subscribers)
		fail("out of memory");
	for (unsigned i = 0; i < n; i++)
		prepare(&subscribers[i], 'p', i, certificates);
}

static void run_idle(char **arg)
{
	const unsigned n = number_of(arg[0]);
	make_clients(n, number_of(arg[1]));
	connect_all(idle_client, n, &connects);
	say("{\"ready\": true}");
	await_line();
}

/* n connects in all, by as many clients as there are places. */
static void storm(unsigned n, unsigned places)
{
	ready_n = resumed_n = 0;
	for (unsigned begun = 0, left = n; left;) {
		for (unsigned i = 0; i < places && begun < n; i++) {
			if (subscribers[i].state != CLIENT_CLOSED)
				continue;
			client_connect(&subscribers[i]);
			begun++;
		}
		if (turn(stalled_ns, &connects) == 0)
			fail("%u of %u connects are done, and nothing moves", ready_n, n);
		left = n - begun;
		for (unsigned i = 0; i < places; i++)
			left += subscribers[i].state != CLIENT_CLOSED;
	}
}

static void run_storm(char **arg)
{
	const unsigned n = number_of(arg[0]), places = number_of(arg[1]);
	const bool resumed = number_of(arg[3]);
	make_clients(places, number_of(arg[2]));
	running = true;
	for (unsigned i = 0; i < places; i++)
		subscribers[i].resumes = resumed;
	if (resumed)
		storm(places, places); /* for the tickets */
	say("{\"ready\": true}");
	await_line();
	const uint64_t wall = now_us(CLOCK_MONOTONIC), cpu = now_us(CLOCK_PROCESS_CPUTIME_ID);
	storm(n, places);
	const unsigned lost_n = n - (resumed ? resumed_n : ready_n);
	printf("{\"delivered\": %u, \"expected\": %u, \"lost\": %u, \"duplicated\": 0, "
	       "\"wall_us\": %llu, \"load_cpu_us\": %llu}\n",
	       n - lost_n, n, lost_n, (unsigned long long)(now_us(CLOCK_MONOTONIC) - wall),
	       (unsigned long long)(now_us(CLOCK_PROCESS_CPUTIME_ID) - cpu));
	fflush(stdout);
	await_line();
}

/* ---- start ------------------------------------------------------------------------------------
 */

static void many_descriptors(void)
{
	struct rlimit r;
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

static const struct {
	const char *name;
	int arguments;
	void (*run)(char **arg);
} scenario[] = {
	{"flow", 7, run_flow},
	{"away", 7, run_away},
	{"idle", 2, run_idle},
	{"storm", 4, run_storm},
};

int main(int argc, char **argv)
{
	many_descriptors();
	prctl(PR_SET_TIMERSLACK, 1);
	target.epoll = epoll_create1(EPOLL_CLOEXEC);
	target.tls = getenv("BENCH_CERTS") != NULL;
	target.user = getenv("BENCH_USER");
	target.password = getenv("BENCH_PASSWORD");
	if (!target.tls && (!target.user || !target.password))
		fail("neither BENCH_CERTS nor BENCH_USER and BENCH_PASSWORD are set");
	for (size_t i = 0; argc > 2 && i < sizeof(scenario) / sizeof(scenario[0]); i++) {
		if (strcmp(argv[1], scenario[i].name) != 0)
			continue;
		if (argc != 3 + scenario[i].arguments)
			fail("%s takes a port and %d numbers", argv[1], scenario[i].arguments);
		target.port = (uint16_t)number_of(argv[2]);
		scenario[i].run(argv + 3);
		return 0;
	}
	fail("usage: load flow|away|idle|storm PORT NUMBER...");
}
