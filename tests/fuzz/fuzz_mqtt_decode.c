/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz target for the MQTT codec. The first byte chooses version and sender, the rest is a stream
 * of packets. What decodes must encode to the size that was announced, decode again and say the
 * same; a PUBLISH also by way of the split encoding for many receivers. Then the bytes are read as
 * a topic filter and a topic name.
 */
#include "daemon/base/check.h"
#include "daemon/mqtt/decode.h"
#include "daemon/mqtt/encode.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct way {
	enum mqtt_version version;
	enum sender sender;
	struct arena *arena;
};

static void decode_again(const struct way *w, const unsigned char *bytes, size_t n,
			 const struct packet *want)
{
	size_t size;
	CHECK(packet_frame(bytes, n, n, &size) == 0 && size == n);
	struct packet again;
	CHECK(packet_decode(w->version, w->sender, bytes, n, w->arena, &again) == REASON_SUCCESS);
	CHECK(packet_equal(want, &again));
}

static void round_trip(const struct way *w, const struct packet *p)
{
	const size_t size = packet_size(w->version, p);
	CHECK(size != 0);
	unsigned char *bytes = mem_try(size);
	CHECK(bytes != NULL);
	struct out o = out_make(bytes, size);
	CHECK(packet_encode(w->version, p, &o));
	CHECK(o.p == o.end && o.need == size);
	decode_again(w, bytes, size, p);
	free(bytes);
}

static void shared_round_trip(const struct way *w, const struct packet *p)
{
	const size_t shared = publish_shared_size(&p->props);
	const size_t payload = p->publish.payload.n;
	char *block = mem_try(shared + payload);
	CHECK(block != NULL);
	struct out o = out_make(block, shared + payload);
	publish_shared_encode(&p->props, &o);
	out_bytes(&o, p->publish.payload.p, payload);
	CHECK(out_ok(&o) && o.p == o.end);
	const struct publish_shared m = {
		.topic = p->publish.topic,
		.properties = str_make(block, shared),
		.payload = str_make(block + shared, payload),
	};
	const struct publish_receiver r = {
		.version = w->version,
		.qos = p->publish.qos,
		.retain = p->publish.retain,
		.dup = p->publish.dup,
		.has_message_expiry = props_has(&p->props, PROPERTY_MESSAGE_EXPIRY_INTERVAL),
		.message_expiry = p->props.message_expiry_interval,
		.packet_id = p->publish.packet_id,
		.topic_alias = p->props.topic_alias,
		.ids = p->props.subscription_ids,
	};
	const size_t size = publish_size(&m, &r);
	CHECK(size == packet_size(w->version, p));
	unsigned char *bytes = mem_try(size);
	CHECK(bytes != NULL);
	o = out_make(bytes, size);
	CHECK(publish_encode(&m, &r, &o) && o.p == o.end);
	if (r.qos)
		publish_patch(bytes, publish_packet_id_at(&m, &r), r.packet_id, r.dup);
	decode_again(w, bytes, size, p);
	free(bytes);
	free(block);
}

static void stream(struct way w, const uint8_t *p, size_t n)
{
	size_t size;
	while (packet_frame(p, n, 1 * MiB, &size) == 0) {
		CHECK(packet_need(p, n) == size);
		struct packet packet;
		if (packet_decode(w.version, w.sender, p, size, w.arena, &packet))
			break;
		if (packet.type == PACKET_CONNECT)
			CHECK(connect_version(p, size) == packet.connect.version);
		round_trip(&w, &packet);
		if (packet.type == PACKET_PUBLISH)
			shared_round_trip(&w, &packet);
		if (w.version == MQTT_UNKNOWN)
			w.version = packet.connect.version;
		p += size;
		n -= size;
	}
}

static void topics(struct str s)
{
	struct str name = s;
	const struct str filter = str_split(&name, '\n');
	if (!topic_filter_valid(filter))
		return;
	const struct topic_share share = topic_share_split(filter);
	if (topic_is_shared(
		    share.filter)) /* "$share/g/$share/x": the inner one is a plain filter */
		return;
	CHECK(topic_filter_valid(share.filter));
	if (topic_name_valid(share.filter))
		CHECK(topic_matches(share.filter, share.filter));
	if (topic_name_valid(name) && topic_matches(share.filter, name))
		CHECK(topic_has_wildcard(share.filter) || str_eq(share.filter, name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const enum mqtt_version versions[] = {MQTT_UNKNOWN, MQTT_3_1, MQTT_3_1_1, MQTT_5};
	if (n == 0)
		return 0;
	struct arena arena = {0};
	const struct way w = {
		.version = versions[data[0] & 3],
		.sender = data[0] & 4 ? SENDER_SERVER : SENDER_CLIENT,
		.arena = &arena,
	};
	(void)connect_version(data + 1, n - 1);
	stream(w, data + 1, n - 1);
	topics(str_make(data + 1, n - 1));
	arena_fini(&arena);
	return 0;
}
