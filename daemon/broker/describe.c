/* SPDX-License-Identifier: Apache-2.0
 *
 * What a connection is: see describe.h.
 */
#include "daemon/broker/describe.h"
#include "daemon/base/clock.h"
#include "daemon/ipc/rec.h"

const char *describe_protocol(const struct conn *c)
{
	switch (c->version) {
	case MQTT_5:
		return "MQTT 5.0";
	case MQTT_3_1_1:
		return "MQTT 3.1.1";
	case MQTT_3_1:
		return "MQTT 3.1";
	default:
		return NULL;
	}
}

void describe_way(const struct conn *c, struct buf *detail)
{
	struct stream_info info = {0};
	const char *protocol = describe_protocol(c);
	if (protocol)
		rec_text(detail, "protocol", protocol);
	if (c->stream) {
		stream_info(c->stream, &info);
		rec_text(detail, "transport", info.transport);
	}
	if (info.version) {
		rec_text(detail, "tls", info.version);
		rec_text(detail, "cipher", info.cipher);
		rec_bool(detail, "resumed", info.resumed);
	}
	if (c->proxy)
		rec_text(detail, "proxy", c->proxy);
}

void describe_traffic(const struct conn *c, struct buf *detail)
{
	const uint64_t now = clock_wall_ms();
	/* That clock may have been set back. */
	const uint64_t connected = now - MIN(now, c->connected_ms);
	const uint64_t duration =
		c->connected_ms ? connected : loop_now_ms(c->worker->loop) - c->accepted_ms;
	rec_int(detail, "duration_ms", (int64_t)duration);
	rec_int(detail, "bytes_received", (int64_t)c->bytes_in);
	rec_int(detail, "bytes_sent", (int64_t)c->bytes_out);
	if (!c->connected_ms)
		return;
	rec_int(detail, "messages_received", (int64_t)c->messages_in);
	rec_int(detail, "messages_sent", (int64_t)c->messages_out);
}
