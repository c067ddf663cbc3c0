/* SPDX-License-Identifier: Apache-2.0
 *
 * A small MQTT client: see mqtt_client.h.
 */
#include "ctl/mqtt_client.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/mqtt/decode.h"
#include "daemon/mqtt/encode.h"

#include <stdlib.h>

enum { PACKET_MAX = 64 * KiB, CHUNK = 4 * KiB };

void mqtt_client_fini(struct mqtt_client *c)
{
	if (c->tls)
		tls_client_free(c->tls);
	buf_fini(&c->in);
	arena_fini(&c->arena);
}

int mqtt_send(struct mqtt_client *c, const struct packet *p, struct buf *why)
{
	const size_t n = packet_size(MQTT_5, p);
	AUTO_BUF bytes = {0};
	struct out o = out_make(buf_reserve(&bytes, n), n);
	if (!packet_encode(MQTT_5, p, &o)) {
		buf_puts(why, "a packet cannot be written");
		return ERR_INVALID;
	}
	return tls_client_send(c->tls, str_make(bytes.p, n), why);
}

/* A whole packet is at the front of the input: 0 with its size, ERR_AGAIN, or an error. */
static int next_size(const struct mqtt_client *c, size_t *size, struct buf *why)
{
	const int err = packet_frame(c->in.p, c->in.n, PACKET_MAX, size);
	if (err && err != ERR_AGAIN)
		buf_puts(why, "the gateway sent no MQTT");
	return err;
}

int mqtt_receive(struct mqtt_client *c, int timeout_ms, struct packet *out, struct buf *why)
{
	const uint64_t until = clock_mono_ms() + (uint64_t)timeout_ms;
	size_t size = 0;
	int err;
	buf_consume(&c->in, c->used);
	c->used = 0;
	arena_reset(&c->arena);
	while ((err = next_size(c, &size, why)) == ERR_AGAIN) {
		const uint64_t now = clock_mono_ms();
		size_t n = 0;
		err = tls_client_receive(c->tls, buf_reserve(&c->in, CHUNK), CHUNK,
					 until > now ? (int)(until - now) : 0, &n, why);
		if (err)
			return err;
		c->in.n += n;
	}
	if (err)
		return err;
	if (packet_decode(MQTT_5, SENDER_SERVER, c->in.p, size, &c->arena, out) != REASON_SUCCESS) {
		buf_puts(why, "the gateway sent a malformed packet");
		return ERR_MALFORMED;
	}
	c->used = size;
	return 0;
}
