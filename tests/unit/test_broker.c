/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker process over socketpairs and TCP: who may connect, what is delivered to whom, what
 * happens to sessions, and how changes of the registry bite.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/err.h"
#include "tests/unit/broker_rig.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PUB = 1, SUB = 2, RECV = 4, ALL = 7 };

#define V3 MQTT_3_1_1
#define V5 MQTT_5

static struct rig rig;

/* Two devices that may use plant/#, one disabled, one without rules. */
static void standard_registry(void)
{
	rig.seq = 7;
	rig_device(&rig.snapshot, 1, "pump-1", true, "plant");
	rig_device(&rig.snapshot, 2, "panel", true, "plant");
	rig_device(&rig.snapshot, 3, "old", false, "plant");
	rig_device(&rig.snapshot, 4, "stranger", true, NULL);
	rig_rule(&rig.snapshot, 1, "plant", true, ALL, "plant/#");
}

static int start_one(void **state)
{
	(void)state;
	standard_registry();
	rig_start(&rig, 1,
		  "listener.here.auth=password broker.max-queued-messages=5 "
		  "broker.max-inflight=4 broker.connect-timeout=500ms "
		  "broker.max-output-bytes=64K broker.max-packet=32K");
	return 0;
}

static int start_two(void **state)
{
	(void)state;
	standard_registry();
	rig_start(&rig, 2, "listener.here.auth=password");
	return 0;
}

static int start_anonymous(void **state)
{
	(void)state;
	rig.seq = 1;
	rig_rule(&rig.snapshot, 1, NULL, true, ALL, "open/#");
	rig_start(&rig, 1, "listener.here.auth=anonymous broker.max-packet=1K");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	rig_stop(&rig);
	return 0;
}

static const struct connect_options pump = {
	.client_id = "pump-1", .user = "pump-1", .password = "secret", .keep_alive = 60};
static const struct connect_options panel = {
	.client_id = "panel", .user = "panel", .password = "secret", .keep_alive = 60};
static const struct connect_options panel_stays = {.client_id = "panel",
						   .user = "panel",
						   .password = "secret",
						   .keep_alive = 60,
						   .dirty = true,
						   .expiry = 100};

static enum reason try(enum mqtt_version version, const struct connect_options *o)
{
	struct client c;
	client_open(&c, &rig, version);
	const enum reason reason = client_connect(&c, o).connack.reason;
	if (reason_is_error(reason))
		assert_true(client_closed(&c));
	client_close(&c);
	return reason;
}

static void test_logins(void **state)
{
	(void)state;
	struct connect_options o = pump;
	assert_int_equal(try(V5, &o), REASON_SUCCESS);
	assert_int_equal(try(V3, &o), REASON_SUCCESS);
	assert_int_equal(try(MQTT_3_1, &o), REASON_SUCCESS);
	o.password = "wrong";
	assert_int_equal(try(V5, &o), REASON_BAD_USER_NAME_OR_PASSWORD);
	assert_int_equal(try(V3, &o), REASON_BAD_USER_NAME_OR_PASSWORD);
	const struct rig_event e = rig_event(&rig, EVENT_LOGIN_REFUSED, "wrong user name");
	assert_string_equal(e.actor, "pump-1");
	o.user = "old";
	o.password = "secret";
	assert_int_equal(try(V5, &o), REASON_NOT_AUTHORIZED);
	o.user = o.password = NULL;
	assert_int_equal(try(V5, &o), REASON_BAD_USER_NAME_OR_PASSWORD);
}

static void test_delivery(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V3, &panel);
	assert_int_equal(client_subscribe(&b, "plant/#", 1), 1);
	client_publish(&a, "plant/1", "zero", 0, 0);
	client_publish(&a, "plant/2", "one", 1, 9);
	assert_int_equal(client_receive(&a).ack.packet_id, 9);
	client_expect(&b, "plant/1", "zero", 0);
	const struct packet p = client_expect(&b, "plant/2", "one", 1);
	client_ack(&b, PACKET_PUBACK, p.publish.packet_id);
	assert_true(client_quiet(&b));
	client_close(&a);
	client_close(&b);
}

static void test_exactly_once(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V5, &panel);
	assert_int_equal(client_subscribe(&b, "plant/#", 2), 2);
	client_publish(&a, "plant/1", "two", 2, 5);
	assert_int_equal(client_receive(&a).type, PACKET_PUBREC);
	client_publish(&a, "plant/1", "two", 2, 5);
	assert_int_equal(client_receive(&a).type, PACKET_PUBREC);
	client_ack(&a, PACKET_PUBREL, 5);
	assert_int_equal(client_receive(&a).type, PACKET_PUBCOMP);
	client_ack(&a, PACKET_PUBREL, 5);
	assert_int_equal(client_receive(&a).ack.reason, REASON_PACKET_IDENTIFIER_NOT_FOUND);
	const uint16_t id = client_expect(&b, "plant/1", "two", 2).publish.packet_id;
	client_ack(&b, PACKET_PUBREC, id);
	assert_int_equal(client_receive(&b).type, PACKET_PUBREL);
	client_ack(&b, PACKET_PUBCOMP, id);
	assert_true(client_quiet(&b));
	client_close(&a);
	client_close(&b);
}

static void test_denials(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V3, &panel);
	assert_int_equal(client_subscribe(&a, "other/#", 1), REASON_NOT_AUTHORIZED);
	assert_int_equal(client_subscribe(&b, "other/#", 1), 0x80);
	assert_int_equal(client_subscribe(&a, "#", 1), REASON_NOT_AUTHORIZED);
	assert_int_equal(client_subscribe(&a, "$share/g/other/#", 1), REASON_NOT_AUTHORIZED);
	client_publish(&a, "other/1", "x", 1, 3);
	assert_int_equal(client_receive(&a).ack.reason, REASON_NOT_AUTHORIZED);
	client_publish(&b, "other/1", "x", 1, 4);
	assert_int_equal(client_receive(&b).type, PACKET_PUBACK);
	const struct rig_event e = rig_event(&rig, EVENT_ACL_DENIED, "no rule allows it");
	assert_string_equal(e.actor, "pump-1");
	client_close(&a);
	client_close(&b);
}

static void test_takeover(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V5, &pump);
	const struct packet p = client_receive(&a);
	assert_int_equal(p.type, PACKET_DISCONNECT);
	assert_int_equal(p.disconnect.reason, REASON_SESSION_TAKEN_OVER);
	assert_true(client_closed(&a));
	assert_true(client_quiet(&b));
	rig_event(&rig, EVENT_CLIENT_TAKEN_OVER, "");
	client_close(&a);
	client_close(&b);
}

static void test_foreign_session(void **state)
{
	(void)state;
	struct client a;
	struct connect_options o = panel;
	client_join(&a, &rig, V5, &pump);
	o.client_id = "pump-1";
	assert_int_equal(try(V5, &o), REASON_CLIENT_IDENTIFIER_NOT_VALID);
	assert_int_equal(try(V3, &o), REASON_CLIENT_IDENTIFIER_NOT_VALID);
	assert_true(client_quiet(&a));
	rig_event(&rig, EVENT_LOGIN_REFUSED, "another device's session");
	client_close(&a);
}

static void test_session_resumes(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V3, &pump);
	client_join(&b, &rig, V5, &panel_stays);
	assert_int_equal(client_subscribe(&b, "plant/+", 1), 1);
	client_publish(&a, "plant/1", "first", 1, 1);
	const uint16_t id = client_expect(&b, "plant/1", "first", 1).publish.packet_id;
	client_close(&b);
	rig_event(&rig, EVENT_CLIENT_DISCONNECTED, "closed the connection");
	client_publish(&a, "plant/1", "dropped", 0, 0);
	client_publish(&a, "plant/1", "second", 1, 2);
	client_receive(&a);
	client_receive(&a);
	client_open(&b, &rig, V5);
	assert_true(client_connect(&b, &panel_stays).connack.session_present);
	const struct packet p = client_expect(&b, "plant/1", "first", 1);
	assert_true(p.publish.dup);
	assert_int_equal(p.publish.packet_id, id);
	assert_false(client_expect(&b, "plant/1", "second", 1).publish.dup);
	client_close(&b);
	/* A clean start throws it all away. */
	client_open(&b, &rig, V5);
	assert_false(client_connect(&b, &panel).connack.session_present);
	client_publish(&a, "plant/1", "third", 0, 0);
	assert_true(client_quiet(&a));
	assert_true(client_quiet(&b));
	client_close(&a);
	client_close(&b);
}

static void test_window_and_queue(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	struct connect_options o = panel;
	o.receive_maximum = 2;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V5, &o);
	assert_int_equal(client_subscribe(&b, "plant/#", 1), 1);
	/* Two are under way, five wait (max-queued-messages), the eighth is dropped. */
	for (uint16_t i = 1; i <= 8; i++) {
		char payload[2] = {(char)('0' + i), 0};
		client_publish(&a, "plant/1", payload, 1, i);
		client_receive(&a);
	}
	const uint16_t first = client_expect(&b, "plant/1", "1", 1).publish.packet_id;
	client_expect(&b, "plant/1", "2", 1);
	assert_true(client_quiet(&b));
	client_ack(&b, PACKET_PUBACK, first);
	for (char i = '3'; i <= '7'; i++) {
		const char payload[2] = {i, 0};
		const uint16_t id = client_expect(&b, "plant/1", payload, 1).publish.packet_id;
		client_ack(&b, PACKET_PUBACK, id);
	}
	assert_true(client_quiet(&b));
	rig_event(&rig, EVENT_LIMIT_REACHED, "max-queued");
	client_close(&a);
	client_close(&b);
}

static void test_overlap(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V5, &panel);
	uint32_t id = 11;
	struct packet_subscription one = {.filter = STR("plant/#"), .qos = 0};
	struct packet p = {.type = PACKET_SUBSCRIBE, .props = props_none};
	p.props.subscription_ids = (struct subscription_ids){&id, 1};
	props_mark(&p.props, PROPERTY_SUBSCRIPTION_IDENTIFIER);
	p.subscribe = (struct packet_subscribe){1, &one, 1};
	client_send(&b, &p);
	client_receive(&b);
	id = 22;
	one = (struct packet_subscription){.filter = STR("plant/+"), .qos = 1};
	client_send(&b, &p);
	client_receive(&b);
	client_publish(&a, "plant/1", "x", 1, 1);
	/* One copy, at the higher QoS, with both identifiers. */
	const struct packet got = client_expect(&b, "plant/1", "x", 1);
	assert_int_equal(got.props.subscription_ids.n, 2);
	assert_int_equal(got.props.subscription_ids.p[0] + got.props.subscription_ids.p[1], 33);
	client_ack(&b, PACKET_PUBACK, got.publish.packet_id);
	assert_true(client_quiet(&b));
	client_close(&a);
	client_close(&b);
}

static void test_no_local(void **state)
{
	(void)state;
	struct client a;
	client_join(&a, &rig, V5, &pump);
	const struct packet_subscription one = {
		.filter = STR("plant/#"), .qos = 1, .no_local = true};
	client_send(&a, &(struct packet){.type = PACKET_SUBSCRIBE,
					 .props = props_none,
					 .subscribe = {1, &one, 1}});
	assert_int_equal(client_receive(&a).type, PACKET_SUBACK);
	client_publish(&a, "plant/1", "x", 0, 0);
	assert_true(client_quiet(&a));
	client_close(&a);
}

static void test_will(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	struct connect_options o = pump;
	o.will_topic = "plant/will";
	client_join(&b, &rig, V5, &panel);
	assert_int_equal(client_subscribe(&b, "plant/#", 0), 0);
	client_join(&a, &rig, V5, &o);
	client_send(&a, &(struct packet){.type = PACKET_DISCONNECT, .props = props_none});
	assert_true(client_closed(&a));
	client_close(&a);
	client_join(&a, &rig, V5, &o);
	assert_true(client_quiet(&b));
	client_close(&a);
	client_expect(&b, "plant/will", "gone", 0);
	/* One that waits for its delay is not published when its client returns. */
	o.will_delay = 30;
	o.expiry = 60;
	client_join(&a, &rig, V5, &o);
	client_close(&a);
	o.dirty = true;
	client_join(&a, &rig, V5, &o);
	assert_true(client_quiet(&b));
	client_close(&a);
	client_close(&b);
}

static void test_capabilities(void **state)
{
	(void)state;
	struct client a;
	struct connect_options o = pump;
	o.client_id = "";
	o.keep_alive = 0;
	client_open(&a, &rig, V5);
	const struct packet p = client_connect(&a, &o);
	assert_true(p.props.assigned_client_identifier.n > 0);
	assert_int_equal(p.props.server_keep_alive, 3600);
	assert_int_equal(p.props.receive_maximum, 4);
	assert_int_equal(p.props.retain_available, 1);
	assert_int_equal(p.props.shared_subscription_available, 1);
	client_close(&a);
	/* A CONNACK that fits a very small client. */
	o = pump;
	o.packet_max = 20;
	assert_int_equal(try(V5, &o), REASON_SUCCESS);
}

static void test_aliases(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V3, &panel);
	assert_int_equal(client_subscribe(&b, "plant/#", 0), 0);
	struct packet p = {.type = PACKET_PUBLISH, .props = props_none};
	p.props.topic_alias = 3;
	props_mark(&p.props, PROPERTY_TOPIC_ALIAS);
	p.publish = (struct packet_publish){.topic = STR("plant/alias"), .payload = STR("a")};
	client_send(&a, &p);
	p.publish.topic = (struct str){NULL, 0};
	client_send(&a, &p);
	client_expect(&b, "plant/alias", "a", 0);
	client_expect(&b, "plant/alias", "a", 0);
	p.props.topic_alias = 17;
	p.publish.topic = STR("plant/alias");
	client_send(&a, &p);
	assert_int_equal(client_receive(&a).disconnect.reason, REASON_TOPIC_ALIAS_INVALID);
	client_close(&a);
	client_close(&b);
}

static void test_malformed(void **state)
{
	(void)state;
	struct client a;
	client_join(&a, &rig, V5, &pump);
	client_bytes(&a, "\x00\x00", 2);
	assert_int_equal(client_receive(&a).disconnect.reason, REASON_MALFORMED_PACKET);
	assert_true(client_closed(&a));
	rig_event(&rig, EVENT_PACKET_MALFORMED, "");
	client_close(&a);
	client_open(&a, &rig, V3);
	client_bytes(&a, "GET / HTTP/1.1\r\n\r\n", 18);
	assert_true(client_closed(&a));
	client_close(&a);
}

static void test_disabling_bites(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	AUTO_BUF change = {0};
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V5, &panel);
	rig_device(&change, 2, "panel", false, "plant");
	assert_int_equal(rig_delta(&rig, &change), 1);
	assert_int_equal(client_receive(&b).disconnect.reason, REASON_ADMINISTRATIVE_ACTION);
	assert_true(client_closed(&b));
	assert_true(client_quiet(&a));
	assert_int_equal(try(V5, &panel), REASON_NOT_AUTHORIZED);
	rig_event(&rig, EVENT_CLIENT_KICKED, "disabled");
	change.n = 0;
	rig_device(&change, 2, "panel", true, "plant");
	assert_int_equal(rig_delta(&rig, &change), 0);
	assert_int_equal(try(V5, &panel), REASON_SUCCESS);
	client_close(&a);
	client_close(&b);
}

static void test_rules_bite(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	AUTO_BUF change = {0};
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V5, &panel);
	assert_int_equal(client_subscribe(&b, "plant/#", 1), 1);
	/* A part of what the filter brings is taken away: deliveries are judged. */
	rig_rule(&change, 2, "plant", false, RECV, "plant/secret");
	rig_delta(&rig, &change);
	client_publish(&a, "plant/secret", "x", 0, 0);
	client_publish(&a, "plant/open", "y", 0, 0);
	client_expect(&b, "plant/open", "y", 0);
	/* All of it. */
	change.n = 0;
	rig_rule_gone(&change, 1);
	rig_delta(&rig, &change);
	client_publish(&a, "plant/open", "z", 1, 1);
	assert_int_equal(client_receive(&a).ack.reason, REASON_NOT_AUTHORIZED);
	assert_true(client_quiet(&b));
	/* And given back: the old subscription brings messages again. */
	change.n = 0;
	rig_rule(&change, 1, "plant", true, ALL, "plant/#");
	rig_rule_gone(&change, 2);
	rig_delta(&rig, &change);
	client_publish(&a, "plant/secret", "back", 0, 0);
	client_expect(&b, "plant/secret", "back", 0);
	client_close(&a);
	client_close(&b);
}

/* A message of the gateway's own reaches the sessions of one device, and of those only the ones
 * that asked for it and may have it. */
static void test_notice(void **state)
{
	(void)state;
	struct client a, b;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V5, &panel);
	assert_int_equal(client_subscribe(&a, "plant/notice", 1), 1);
	assert_int_equal(client_subscribe(&b, "plant/#", 1), 1);
	rig_notice(&rig, 1, "plant/notice", "renew");
	rig_notice(&rig, 1, "plant/other", "not asked for");
	rig_notice(&rig, 1, "elsewhere", "not allowed");
	rig_notice(&rig, 77, "plant/notice", "nobody");
	client_expect(&a, "plant/notice", "renew", 1);
	assert_true(client_quiet(&b));
	assert_true(client_quiet(&a));
	client_close(&a);
	client_close(&b);
}

static void test_kick(void **state)
{
	(void)state;
	struct client a;
	client_join(&a, &rig, V3, &pump);
	assert_int_equal(rig_kick(&rig, "nobody"), 0);
	assert_int_equal(rig_kick(&rig, "pump-1"), 1);
	assert_true(client_closed(&a));
	client_close(&a);
}

static void test_gap_asks_for_snapshot(void **state)
{
	(void)state;
	struct client a;
	AUTO_BUF change = {0};
	client_join(&a, &rig, V5, &pump);
	/* The change with seq + 1 never arrives; the snapshot that is asked for says it all. */
	pthread_mutex_lock(&rig.lock);
	buf_fini(&rig.snapshot);
	rig_device(&rig.snapshot, 1, "pump-1", false, NULL);
	rig_device(&rig.snapshot, 2, "panel", true, "plant");
	rig_rule(&rig.snapshot, 1, "plant", true, ALL, "plant/#");
	rig.seq++;
	/* One that cannot be read is asked for again. */
	rig.spoilt = 1;
	pthread_mutex_unlock(&rig.lock);
	/* The answer comes when the snapshot has closed what it takes away, not before. */
	assert_int_equal(rig_delta(&rig, &change), 1);
	assert_int_equal(client_receive(&a).disconnect.reason, REASON_ADMINISTRATIVE_ACTION);
	client_close(&a);
}

static void test_store_away(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	rig_wait_present(&rig, 1);
	rig_store_dies(&rig);
	assert_int_equal(try(V5, &panel), REASON_SERVER_UNAVAILABLE);
	assert_int_equal(try(V3, &panel), REASON_SERVER_UNAVAILABLE);
	/* Who is connected goes on. */
	assert_int_equal(client_subscribe(&a, "plant/#", 0), 0);
	client_publish(&a, "plant/1", "x", 0, 0);
	client_expect(&a, "plant/1", "x", 0);
	rig_store_returns(&rig);
	rig_wait_present(&rig, 1);
	client_join(&b, &rig, V5, &panel);
	rig_wait_present(&rig, 2);
	/* What happened meanwhile was kept. */
	rig_event(&rig, EVENT_LOGIN_REFUSED, "registry is away");
	client_close(&b);
	rig_wait_present(&rig, 1);
	client_close(&a);
}

static void test_silence(void **state)
{
	(void)state;
	struct client a;
	struct connect_options o = pump;
	o.keep_alive = 1;
	client_join(&a, &rig, V5, &o);
	assert_int_equal(client_receive(&a).disconnect.reason, REASON_KEEP_ALIVE_TIMEOUT);
	assert_true(client_closed(&a));
	client_close(&a);
	client_open(&a, &rig, V5);
	assert_true(client_closed(&a));
	rig_event(&rig, EVENT_LOGIN_REFUSED, "no CONNECT in time");
	client_close(&a);
}

static void test_session_expires(void **state)
{
	(void)state;
	struct client a;
	struct connect_options o = panel_stays;
	o.expiry = 1;
	client_join(&a, &rig, V5, &o);
	client_send(&a, &(struct packet){.type = PACKET_DISCONNECT, .props = props_none});
	assert_true(client_closed(&a));
	client_close(&a);
	/* Sees it while it lives, and no more when it has expired. */
	bool present = true;
	while (present) {
		usleep(1200000);
		client_open(&a, &rig, V5);
		present = client_connect(&a, &o).connack.session_present;
		client_send(&a, &(struct packet){.type = PACKET_DISCONNECT, .props = props_none});
		assert_true(client_closed(&a));
		client_close(&a);
	}
}

static void test_slow_reader(void **state)
{
	(void)state;
	enum { MESSAGES = 40000 };
	static char payload[1001];
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V5, &panel);
	assert_int_equal(client_subscribe(&b, "plant/#", 0), 0);
	memset(payload, 'x', sizeof(payload) - 1);
	for (int i = 0; i < MESSAGES; i++)
		client_publish(&a, "plant/1", payload, 0, 0);
	assert_true(client_quiet(&a));
	rig_event(&rig, EVENT_LIMIT_REACHED, "max-output-bytes");
	/* It gets what had been queued, and what comes after it reads again. */
	size_t got = 0;
	client_send(&b, &(struct packet){.type = PACKET_PINGREQ, .props = props_none});
	while (client_receive(&b).type == PACKET_PUBLISH)
		got++;
	assert_in_range(got, 1, MESSAGES - 1);
	client_publish(&a, "plant/1", "after", 0, 0);
	client_expect(&b, "plant/1", "after", 0);
	client_close(&a);
	client_close(&b);
}

static void test_flood_of_events(void **state)
{
	(void)state;
	enum { TRIES = 300 };
	struct client a;
	client_join(&a, &rig, V3, &pump);
	for (uint16_t i = 1; i <= TRIES; i++) {
		client_publish(&a, "other", "x", 1, i);
		assert_int_equal(client_receive(&a).type, PACKET_PUBACK);
	}
	client_send(&a, &(struct packet){.type = PACKET_DISCONNECT, .props = props_none});
	rig_event(&rig, EVENT_CLIENT_DISCONNECTED, "the client disconnected");
	assert_in_range(rig_count(&rig, EVENT_ACL_DENIED), 1, TRIES / 2);
	client_close(&a);
}

static void test_reload(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	client_join(&a, &rig, V5, &pump);
	assert_true(rig_reload(&rig, 1,
			       "listener.here.auth=password broker.max-inflight=9 "
			       "listener.here.client-id=device"));
	client_open(&b, &rig, V5);
	assert_int_equal(client_connect(&b, &panel).props.receive_maximum, 9);
	assert_true(client_quiet(&a));
	struct connect_options o = panel;
	o.client_id = "other";
	assert_int_equal(try(V5, &o), REASON_CLIENT_IDENTIFIER_NOT_VALID);
	client_close(&a);
	client_close(&b);
}

static enum reason publish_retained(struct client *c, const char *topic, const char *payload,
				    uint8_t qos)
{
	struct packet p = {.type = PACKET_PUBLISH, .props = props_none};
	p.publish = (struct packet_publish){.topic = str_of(topic),
					    .payload = str_of(payload),
					    .qos = qos,
					    .packet_id = 77,
					    .retain = true};
	client_send(c, &p);
	return qos ? client_receive(c).ack.reason : REASON_SUCCESS;
}

/* 100 messages for a client that takes 4 at a time and for whom no more than 5 wait. */
static void test_retained(void **state)
{
	(void)state;
	struct client a;
	struct client b;
	char topic[32];
	bool seen[100] = {0};
	client_join(&a, &rig, V5, &pump);
	client_join(&b, &rig, V3, &panel);
	for (int i = 0; i < 100; i++) {
		snprintf(topic, sizeof(topic), "plant/kept/%d", i);
		assert_false(reason_is_error(publish_retained(&a, topic, "r", 1)));
	}
	assert_int_equal(client_subscribe(&b, "plant/kept/#", 1), 1);
	for (int i = 0; i < 100; i++) {
		const struct packet p = client_receive(&b);
		assert_int_equal(p.type, PACKET_PUBLISH);
		assert_true(p.publish.retain);
		const int n = atoi(p.publish.topic.p + 11);
		assert_true(n >= 0 && n < 100 && !seen[n]);
		seen[n] = true;
		client_ack(&b, PACKET_PUBACK, p.publish.packet_id);
	}
	assert_true(client_quiet(&b));
	for (int i = 0; i < 100; i++) {
		snprintf(topic, sizeof(topic), "plant/kept/%d", i);
		publish_retained(&a, topic, "", 0);
	}
	assert_true(client_quiet(&a));
	client_close(&a);
	client_close(&b);
}

static void test_two_workers(void **state)
{
	(void)state;
	enum { CLIENTS = 12 };
	struct client c[CLIENTS];
	char name[CLIENTS][8];
	struct client a;
	struct connect_options o = panel;
	client_join(&a, &rig, V5, &pump);
	for (int i = 0; i < CLIENTS; i++) {
		snprintf(name[i], sizeof(name[i]), "c%d", i);
		o.client_id = name[i];
		client_join(&c[i], &rig, i % 2 ? V3 : V5, &o);
		assert_int_equal(client_subscribe(&c[i], "plant/#", 1), 1);
	}
	for (uint16_t i = 1; i <= 3; i++) {
		const char payload[2] = {(char)('0' + i), 0};
		client_publish(&a, "plant/1", payload, 1, i);
		client_receive(&a);
	}
	for (int i = 0; i < CLIENTS; i++) {
		for (uint16_t n = 1; n <= 3; n++) {
			const char payload[2] = {(char)('0' + n), 0};
			const struct packet p = client_expect(&c[i], "plant/1", payload, 1);
			client_ack(&c[i], PACKET_PUBACK, p.publish.packet_id);
		}
	}
	/* Whichever workers two connections come to: one session, one connection. */
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < CLIENTS; i++) {
			struct client again;
			o.client_id = name[i];
			client_join(&again, &rig, V5, &o);
			if (c[i].version == V5)
				client_receive(&c[i]);
			assert_true(client_closed(&c[i]));
			client_close(&c[i]);
			c[i] = again;
		}
	}
	for (int i = 0; i < CLIENTS; i++)
		client_close(&c[i]);
	client_close(&a);
}

static void test_anonymous(void **state)
{
	(void)state;
	struct client a;
	const struct connect_options o = {.client_id = "x"};
	client_join(&a, &rig, V3, &o);
	assert_int_equal(client_subscribe(&a, "open/#", 0), 0);
	client_publish(&a, "open/1", "hello", 0, 0);
	client_expect(&a, "open/1", "hello", 0);
	client_close(&a);
}

static void test_too_large(void **state)
{
	(void)state;
	struct client a;
	const struct connect_options o = {.client_id = "x"};
	client_join(&a, &rig, V5, &o);
	client_bytes(&a, "\x30\xff\x7f", 3);
	assert_int_equal(client_receive(&a).disconnect.reason, REASON_PACKET_TOO_LARGE);
	assert_true(client_closed(&a));
	rig_event(&rig, EVENT_PACKET_TOO_LARGE, "");
	client_close(&a);
}

static void test_split_packets(void **state)
{
	(void)state;
	struct client a;
	const struct connect_options o = {.client_id = "x"};
	/* CONNECT, SUBSCRIBE and PUBLISH byte by byte. */
	static const unsigned char bytes[] = "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01y"
					     "\x82\x0b\x00\x01\x00\x06open/#\x00"
					     "\x30\x09\x00\x06open/1z";
	(void)o;
	client_open(&a, &rig, V3);
	for (size_t i = 0; i < sizeof(bytes) - 1; i++)
		client_bytes(&a, bytes + i, 1);
	assert_int_equal(client_receive(&a).type, PACKET_CONNACK);
	assert_int_equal(client_receive(&a).type, PACKET_SUBACK);
	client_expect(&a, "open/1", "z", 0);
	client_close(&a);
}

static void test_shutdown_is_told(void **state)
{
	(void)state;
	struct client a;
	const struct connect_options o = {.client_id = "x"};
	rig.seq = 1;
	rig_start(&rig, 1, "listener.here.auth=anonymous");
	client_join(&a, &rig, V5, &o);
	rig_stop(&rig);
	assert_int_equal(client_receive(&a).disconnect.reason, REASON_SERVER_SHUTTING_DOWN);
	assert_true(client_closed(&a));
	client_close(&a);
}

#define ON(start, test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	const struct CMUnitTest tests[] = {
		ON(start_one, test_logins),
		ON(start_one, test_delivery),
		ON(start_one, test_exactly_once),
		ON(start_one, test_denials),
		ON(start_one, test_takeover),
		ON(start_one, test_foreign_session),
		ON(start_one, test_session_resumes),
		ON(start_one, test_window_and_queue),
		ON(start_one, test_overlap),
		ON(start_one, test_no_local),
		ON(start_one, test_will),
		ON(start_one, test_capabilities),
		ON(start_one, test_aliases),
		ON(start_one, test_malformed),
		ON(start_one, test_disabling_bites),
		ON(start_one, test_rules_bite),
		ON(start_one, test_notice),
		ON(start_one, test_kick),
		ON(start_one, test_gap_asks_for_snapshot),
		ON(start_one, test_store_away),
		ON(start_one, test_silence),
		ON(start_one, test_session_expires),
		ON(start_one, test_slow_reader),
		ON(start_one, test_flood_of_events),
		ON(start_one, test_reload),
		ON(start_one, test_retained),
		ON(start_two, test_two_workers),
		ON(start_anonymous, test_anonymous),
		ON(start_anonymous, test_too_large),
		ON(start_anonymous, test_split_packets),
		cmocka_unit_test(test_shutdown_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
