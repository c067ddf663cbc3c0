/* SPDX-License-Identifier: Apache-2.0
 *
 * Connections: see op_client.h.
 */
#include "db/op_client.h"
#include "daemon/base/mem.h"
#include "db/authorise.h"
#include "db/registry.h"

#include <stdio.h>
#include <stdlib.h>

enum { SHOWN_OF_DEVICE = 100, REASON_ADMINISTRATIVE_ACTION = 0x98, ANSWER_MS = 2000 };

/* Client identifiers of 3.1.1 clients are UTF-8; what is not must not become JSON text. */
static struct str text_of(struct str s)
{
	return str_is_utf8(s) ? s : STR("?");
}

/* What the broker tells once a second: up to that old, and the rates. */
static void put_figures(const struct presence_client *client, struct buf *out)
{
	const struct body_client *b = &client->body;
	rec_int(out, "subscriptions", b->subscriptions);
	rec_int(out, "queued", b->queued);
	rec_int(out, "messages_in", (int64_t)b->messages_in);
	rec_int(out, "messages_out", (int64_t)b->messages_out);
	rec_int(out, "bytes_in", (int64_t)b->bytes_in);
	rec_int(out, "bytes_out", (int64_t)b->bytes_out);
}

static void put_client(struct store *s, const struct presence_client *client, struct buf *out)
{
	const struct body_client *b = &client->body;
	char device[NAME_SIZE];
	rec_str(out, "client_id", text_of(b->client_id));
	if (b->device_id && registry_device_name(s->registry, (int64_t)b->device_id, device))
		rec_text(out, "device", device);
	else
		rec_null(out, "device");
	rec_str(out, "address", text_of(b->address));
	rec_str(out, "listener", text_of(b->listener));
	rec_str(out, "protocol", text_of(b->protocol));
	op_put_str(out, "tls", text_of(b->tls));
	if (b->fingerprint.n)
		rec_bytes(out, "fingerprint", b->fingerprint);
	else
		rec_null(out, "fingerprint");
	rec_time(out, "connected", (int64_t)b->connected_ms);
	rec_int(out, "keep_alive", b->keep_alive);
	rec_int(out, "messages_in_per_minute", (int64_t)presence_rate_in(client));
	rec_int(out, "messages_out_per_minute", (int64_t)presence_rate_out(client));
}

static void put_clients(struct store *s, const struct presence_client **client, size_t n,
			const char *name, struct buf *out)
{
	rec_list(out, name);
	for (size_t i = 0; i < n; i++) {
		rec_object(out, "");
		put_client(s, client[i], out);
		put_figures(client[i], out);
		rec_end(out);
	}
}

void client_put_of_device(struct store *s, int64_t device_id, struct buf *out)
{
	const struct presence_client *client[SHOWN_OF_DEVICE];
	const size_t n =
		presence_page(&s->presence, 0, (uint64_t)device_id, SHOWN_OF_DEVICE, client);
	put_clients(s, client, n, "clients", out);
	rec_end(out);
}

void op_client_list(struct op_call *c)
{
	struct str device;
	uint64_t after;
	int64_t limit;
	int64_t device_id = 0;
	char cursor[24];
	struct str next = {NULL, 0};
	if (!op_limit(c, &limit) || !op_number_cursor(c, &after))
		return;
	if (op_str(c, "device", &device) && !op_find_device(c, "device", device, &device_id))
		return;
	const size_t max = (size_t)limit + 1;
	const struct presence_client **client = mem_array(const struct presence_client *, max);
	size_t n = presence_page(&c->s->presence, after, (uint64_t)device_id, max, client);
	if (n == max) {
		n--;
		snprintf(cursor, sizeof(cursor), "%llu",
			 (unsigned long long)client[n - 1]->body.handle);
		next = str_of(cursor);
	}
	put_clients(c->s, client, n, "items", &c->result);
	op_put_next(&c->result, next);
	free(client);
	op_done(c);
}

static bool refuse_unknown(struct op_call *c, struct str client_id)
{
	op_refuse(c, OP_NOT_FOUND, "client-id", "no client \"%.*s\" is connected",
		  (int)MIN(client_id.n, (size_t)128), client_id.p);
	return false;
}

/* A session whose client is away is known to the broker alone. */
static void shown(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_client_get_done done;
	struct str client_id;
	op_str(c, "client-id", &client_id);
	if (err || body_client_get_done_get(reply->body, &done) || !rec_valid(done.session)) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the broker does not answer: try again");
		return;
	}
	if (!done.found) {
		refuse_unknown(c, client_id);
		return;
	}
	const struct presence_client *client = presence_by_client_id(&c->s->presence, client_id);
	if (client)
		put_client(c->s, client, &c->result);
	else
		rec_str(&c->result, "client_id", text_of(client_id));
	buf_str(&c->result, done.session);
	op_done(c);
}

void op_client_show(struct op_call *c)
{
	struct link *broker = c->s->peer[PROCESS_BROKER].link;
	struct body_client_get body;
	op_str(c, "client-id", &body.client_id);
	if (!broker) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the broker is away: nobody is connected");
		return;
	}
	LINK_ASK(broker, &c->ask, CLIENT_GET, client_get, -1, &body, ANSWER_MS, shown);
}

static void kicked(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_kick_done done;
	struct str client_id;
	op_str(c, "client-id", &client_id);
	if (err || body_kick_done_get(reply->body, &done)) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the broker does not answer: try again");
		return;
	}
	if (done.closed == 0) {
		refuse_unknown(c, client_id);
		return;
	}
	authorise_audit(c, "ok", "");
	rec_str(&c->result, "client_id", client_id);
	rec_int(&c->result, "sessions_closed", done.closed);
	op_done(c);
}

void op_client_remove(struct op_call *c)
{
	struct link *broker = c->s->peer[PROCESS_BROKER].link;
	struct body_kick body = {.reason = REASON_ADMINISTRATIVE_ACTION};
	op_str(c, "client-id", &body.client_id);
	if (body.client_id.n == 0) {
		op_refuse(c, OP_INVALID, "client-id", "client-id is empty");
		return;
	}
	if (!broker) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the broker is away: nobody is connected");
		return;
	}
	LINK_ASK(broker, &c->ask, KICK, kick, -1, &body, ANSWER_MS, kicked);
}
