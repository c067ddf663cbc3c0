/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker's side of the spool, against one that this program plays: a spool that is slow, has no
 * room, or has lost everything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/broker_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define V5        MQTT_5
#define BIT(NAME) (UINT32_C(1) << SPOOL_KIND_##NAME)
#define ROOMY                                                             \
	"listener.here.auth=anonymous broker.max-queued-messages=100000 " \
	"broker.max-queued-bytes=1G broker.publish-bytes-per-device=0 "   \
	"broker.max-packet=2M "

enum { LARGE = 1000000, MANY = 80, MEMBERS_MAX = 40 };

static struct rig rig;

static void start(unsigned workers, const char *settings)
{
	rig.seq = 1;
	rig_rule(&rig.snapshot, 1, NULL, true, 7, "#");
	rig_start(&rig, workers, settings);
}

static int start_full(void **state)
{
	(void)state;
	start(1, ROOMY "listener.here.durability=full");
	return 0;
}

static int start_relaxed(void **state)
{
	(void)state;
	start(1, ROOMY "listener.here.durability=relaxed");
	return 0;
}

static int start_two(void **state)
{
	(void)state;
	start(2, ROOMY "listener.here.durability=full");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static const struct connect_options publisher = {.client_id = "publisher", .keep_alive = 600};
static const struct connect_options receiver = {
	.client_id = "receiver", .keep_alive = 600, .dirty = true, .expiry = 1000};

static void disconnect(struct client *c)
{
	client_send(c, &(struct packet){.type = PACKET_DISCONNECT, .props = props_none});
	assert_true(client_closed(c));
	client_close(c);
}

/* A session that subscribes and goes. */
static void away(const char *filter, uint8_t qos)
{
	struct client c;
	client_join(&c, &rig, V5, &receiver);
	assert_int_equal(client_subscribe(&c, filter, qos), qos);
	disconnect(&c);
}

static void publish(struct client *c, const char *topic, const char *payload, uint8_t qos,
		    uint16_t id)
{
	client_publish(c, topic, payload, qos, id);
	const struct packet p = client_receive(c);
	assert_int_equal(p.type, qos == 1 ? PACKET_PUBACK : PACKET_PUBREC);
	assert_int_equal(p.ack.packet_id, id);
	assert_int_equal(p.ack.reason, REASON_SUCCESS);
}

static char *large(void)
{
	char *text = mem_alloc(LARGE + 1);
	memset(text, 'x', LARGE);
	text[LARGE] = 0;
	return text;
}

static void publish_many(struct client *c, const char *topic)
{
	AUTO_CHAR payload = large();
	for (uint16_t i = 1; i <= MANY; i++)
		publish(c, topic, payload, 1, i);
}

static unsigned stored(unsigned worker, enum spool_kind kind)
{
	pthread_mutex_lock(&rig.lock);
	const unsigned n = rig.spool[worker].stored[kind];
	pthread_mutex_unlock(&rig.lock);
	return n;
}

static size_t largest(void)
{
	pthread_mutex_lock(&rig.lock);
	const size_t n = rig.spool[0].largest;
	rig.spool[0].largest = 0;
	pthread_mutex_unlock(&rig.lock);
	return n;
}

/* More than 64 MiB wait for a session when the spool is lost: they go in many batches. */
static void what_was_lost_is_stored_in_pieces(void **state)
{
	struct client p;
	(void)state;
	away("t", 1);
	client_join(&p, &rig, V5, &publisher);
	publish_many(&p, "t");
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE, MANY);
	largest();
	rig_spool_lost(&rig);
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE, 2 * MANY);
	assert_in_range(largest(), LARGE, 8 * MiB);
	client_close(&p);
}

/* One message was on its way when the spool was lost, another one waited behind it: both are
 * acknowledged when they are stored for a session that is stored again. */
static void what_was_on_its_way_to_a_lost_spool_goes_again(void **state)
{
	struct client p;
	(void)state;
	away("t", 1);
	client_join(&p, &rig, V5, &publisher);
	rig_spool_wait(&rig, 0, SPOOL_KIND_SESSION, 2);
	rig_spool_set(&rig, 0, true, 0);
	client_publish(&p, "t", "one", 1, 1);
	assert_true(client_quiet(&p));
	client_publish(&p, "t", "two", 1, 2);
	rig_spool_lost(&rig);
	assert_true(client_quiet(&p));
	rig_spool_set(&rig, 0, false, 0);
	for (uint16_t id = 1; id <= 2; id++) {
		const struct packet ack = client_receive(&p);
		assert_int_equal(ack.type, PACKET_PUBACK);
		assert_int_equal(ack.ack.packet_id, id);
		assert_int_equal(ack.ack.reason, REASON_SUCCESS);
		assert_in_range(stored(0, SPOOL_KIND_QUEUE), id, 4);
	}
	client_close(&p);
}

/* Nobody waits for the messages of relaxed listeners: they stand before no removal. */
static void a_full_spool_is_told_what_makes_room(void **state)
{
	struct client p, r;
	(void)state;
	away("t", 1);
	client_join(&p, &rig, V5, &publisher);
	publish(&p, "t", "first", 1, 1);
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE, 1);
	rig_spool_set(&rig, 0, false, BIT(MESSAGE));
	publish(&p, "t", "second", 1, 2);
	publish(&p, "t", "third", 1, 3);
	client_join(&r, &rig, V5, &receiver);
	const uint16_t id = client_expect(&r, "t", "first", 1).publish.packet_id;
	client_expect(&r, "t", "second", 1);
	client_expect(&r, "t", "third", 1);
	client_ack(&r, PACKET_PUBACK, id);
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE_GONE, 1);
	/* There is room: the two that were owed are stored, with their identifiers. */
	rig_spool_set(&rig, 0, false, 0);
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE, 3);
	rig_spool_wait(&rig, 0, SPOOL_KIND_SENT, 3);
	client_close(&r);
	client_close(&p);
}

/* A relaxed publisher does not wait, whatever waits for the store; the queue bounds it. */
static void a_slow_store_holds_no_relaxed_publisher(void **state)
{
	struct client p;
	(void)state;
	away("t", 1);
	client_join(&p, &rig, V5, &publisher);
	rig_spool_wait(&rig, 0, SPOOL_KIND_SESSION, 2);
	rig_spool_set(&rig, 0, true, 0);
	publish_many(&p, "t");
	rig_event(&rig, EVENT_SPOOL_BEHIND, "");
	rig_spool_set(&rig, 0, false, 0);
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE, MANY);
	assert_in_range(largest(), LARGE, 70 * MiB);
	client_close(&p);
}

/* What a receiver has acknowledged meanwhile takes no memory until the store answers. */
static void what_is_undone_gives_its_bytes_back(void **state)
{
	struct client p, r;
	AUTO_CHAR payload = large();
	(void)state;
	client_join(&r, &rig, V5, &receiver);
	assert_int_equal(client_subscribe(&r, "#", 1), 1);
	client_join(&p, &rig, V5, &publisher);
	rig_spool_set(&rig, 0, true, 0);
	client_publish(&p, "first", "", 1, 1);
	const uint16_t first = client_expect(&r, "first", "", 1).publish.packet_id;
	for (uint16_t i = 2; i < 2 * MANY; i++) {
		client_publish(&p, "t", payload, 1, i);
		client_ack(&r, PACKET_PUBACK, client_receive(&r).publish.packet_id);
	}
	client_publish(&p, "last", "", 1, 2 * MANY);
	client_expect(&r, "last", "", 1);
	assert_int_equal(rig_count(&rig, EVENT_SPOOL_BEHIND), 0);
	rig_spool_set(&rig, 0, false, 0);
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE, 2);
	rig_spool_wait(&rig, 0, SPOOL_KIND_SENT, 2);
	client_ack(&r, PACKET_PUBACK, first);
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE_GONE, 1);
	assert_int_equal(stored(0, SPOOL_KIND_QUEUE), 2);
	client_close(&r);
	client_close(&p);
}

/* A subscription of a relaxed session waits, too, when the store is so far behind. */
static void what_relaxed_sessions_change_is_bounded(void **state)
{
	struct client p, r;
	(void)state;
	away("t", 1);
	client_join(&p, &rig, V5, &publisher);
	client_join(&r, &rig, V5, &(struct connect_options){.client_id = "other", .expiry = 1000});
	rig_spool_wait(&rig, 0, SPOOL_KIND_SESSION, 3);
	rig_spool_set(&rig, 0, true, 0);
	assert_int_equal(client_subscribe(&r, "soon", 1), 1);
	publish_many(&p, "t");
	const struct packet_subscription one = {.filter = STR("later"), .qos = 1};
	client_send(&r, &(struct packet){.type = PACKET_SUBSCRIBE,
					 .props = props_none,
					 .subscribe = {2, &one, 1}});
	assert_true(client_quiet(&p));
	assert_true(client_quiet(&p)); /* the worker has had its turn with both */
	char byte;
	assert_int_equal(recv(r.fd, &byte, 1, MSG_DONTWAIT), -1);
	rig_spool_set(&rig, 0, false, 0);
	assert_int_equal(client_receive(&r).type, PACKET_SUBACK);
	client_close(&r);
	client_close(&p);
}

/* The identifier of a QoS 2 message has to be on disk before it leaves: also when the batch with it
 * was refused, and the client came again. */
static void a_refused_identifier_is_waited_for_over_a_reconnect(void **state)
{
	struct client p, r;
	(void)state;
	away("t", 2);
	client_join(&p, &rig, V5, &publisher);
	publish(&p, "t", "once", 2, 1);
	rig_spool_wait(&rig, 0, SPOOL_KIND_QUEUE, 1);
	rig_spool_set(&rig, 0, false, BIT(SENT));
	client_join(&r, &rig, V5, &receiver);
	assert_true(client_quiet(&r));
	client_close(&r);
	client_join(&r, &rig, V5, &receiver);
	assert_true(client_quiet(&r));
	assert_true(client_quiet(&r));
	rig_spool_set(&rig, 0, false, 0);
	client_expect(&r, "t", "once", 2);
	assert_true(stored(0, SPOOL_KIND_SENT) > 0);
	client_close(&r);
	client_close(&p);
}

/* A session of the group that stays away; the worker that has it. */
static unsigned member(const char *client_id)
{
	const struct connect_options o = {.client_id = client_id, .dirty = true, .expiry = 1000};
	struct client c;
	client_join(&c, &rig, V5, &o);
	client_subscribe(&c, "$share/group/t", 1);
	const unsigned before = stored(0, SPOOL_KIND_SUB);
	disconnect(&c);
	return before;
}

/* What another member of the group gets of a session that ends is on disk before it is gone from
 * there; and only then the client is told that there is no session. */
static void a_session_ends_when_others_have_its_messages(void **state)
{
	char names[MEMBERS_MAX][8];
	struct client p, c;
	unsigned of[2] = {0, 0}, on_first = 0;
	(void)state;
	for (unsigned i = 0; i < MEMBERS_MAX && !(of[0] && of[1]); i++) {
		snprintf(names[i], sizeof(names[i]), "m%u", i);
		const unsigned now = member(names[i]);
		of[now == on_first] = i + 1;
		on_first = now;
	}
	assert_true(of[0] && of[1]); /* the kernel spreads connections over both workers */
	client_join(&p, &rig, V5, &publisher);
	for (uint16_t id = 1; id <= 2 * MEMBERS_MAX; id++)
		publish(&p, "t", "message", 1, id);
	rig_spool_set(&rig, 1, true, 0);
	const struct packet connect = {
		.type = PACKET_CONNECT,
		.props = props_none,
		.connect = {.version = V5,
			    .clean_start = true,
			    .client_id = str_of(names[of[0] - 1])},
	};
	client_open(&c, &rig, V5);
	client_send(&c, &connect);
	rig_spool_wait_held(&rig, 1);
	assert_int_equal(stored(0, SPOOL_KIND_SESSION_GONE), 0);
	rig_spool_set(&rig, 1, false, 0);
	assert_int_equal(client_receive(&c).type, PACKET_CONNACK);
	assert_int_equal(stored(0, SPOOL_KIND_SESSION_GONE), 1);
	client_close(&c);
	client_close(&p);
}

#define ON(setup, test) cmocka_unit_test_setup_teardown(test, setup, stop)

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		ON(start_full, what_was_lost_is_stored_in_pieces),
		ON(start_full, what_was_on_its_way_to_a_lost_spool_goes_again),
		ON(start_relaxed, a_full_spool_is_told_what_makes_room),
		ON(start_relaxed, a_slow_store_holds_no_relaxed_publisher),
		ON(start_full, what_is_undone_gives_its_bytes_back),
		ON(start_relaxed, what_relaxed_sessions_change_is_bounded),
		ON(start_full, a_refused_identifier_is_waited_for_over_a_reconnect),
		ON(start_two, a_session_ends_when_others_have_its_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
