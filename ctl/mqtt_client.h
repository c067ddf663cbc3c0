/* SPDX-License-Identifier: Apache-2.0
 *
 * A small MQTT 5.0 client over tls_client.h: one packet out, one packet in. Keeps no session and
 * acknowledges nothing by itself. One thread.
 */
#pragma once

#include "ctl/tls_client.h"
#include "daemon/base/mem.h"
#include "daemon/mqtt/packet.h"

struct mqtt_client {
	struct tls_client *tls; /* owned */
	struct buf in;          /* received and not yet decoded */
	size_t used;            /* of the packet that mqtt_receive gave last */
	struct arena arena;     /* of that packet */
};

void mqtt_client_fini(struct mqtt_client *c);
#define AUTO_MQTT_CLIENT __attribute__((cleanup(mqtt_client_fini))) struct mqtt_client

int mqtt_send(struct mqtt_client *c, const struct packet *p, struct buf *why) MUST_CHECK;
/* The next packet; its strings are valid until the next call. 0, ERR_TIMEOUT, or another error with
 * a sentence in *why. */
int mqtt_receive(struct mqtt_client *c, int timeout_ms, struct packet *out,
		 struct buf *why) MUST_CHECK;
