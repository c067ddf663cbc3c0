/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse ping: connects as a device, with the bundle of `device add --bundle`, sends messages to
 * a topic of its own and takes the time until they come back. Whatever is in the way (address,
 * certificate, a rule) is named with what to do about it.
 */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/mqtt_client.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "daemon/mqtt/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	COUNT_DEFAULT = 10,
	COUNT_MAX = 100000,
	TIMEOUT_MS = 5000,
	RETURN_MS = 2000, /* how long a message may take to come back */
	FILE_MAX = 256 * KiB,
	VALUE_MAX = 256,
	SUBSCRIBE_ID = 1,
	PUBLISH_ID = 2,
};

struct ping {
	const struct invocation *in;
	char host[VALUE_MAX];
	char port[VALUE_MAX];
	char device[VALUE_MAX];
	char client_id[VALUE_MAX];
	char topic[2 * VALUE_MAX];
	uint64_t count;
	struct mqtt_client client;
	struct buf why;
	uint64_t *took_ns;
};

static int complain(const struct ping *p, const char *what)
{
	print_error("%s", what);
	(void)p;
	return EXIT_FAILED;
}

static int complain_why(struct ping *p)
{
	return complain(p, buf_cstr(&p->why));
}

/* ---- what to do -------------------------------------------------------------------------------
 */

static int read_file(const struct ping *p, const char *name, struct buf *out)
{
	char path[4096];
	const char *why = "";
	const char *dir = invocation_local(p->in, "bundle");
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	const int err = file_read(path, FILE_MAX, out, &why);
	if (err)
		print_error("%s: %s; --bundle names the directory that \"gatehouse device "
			    "add "
			    "NAME --bundle DIR\" made",
			    path, why);
	return err ? EXIT_USAGE : EXIT_OK;
}

/* NAME='value' of client.env, as bundle.c writes it. */
static void take_variable(struct str text, const char *name, char out[VALUE_MAX])
{
	while (text.p) {
		const struct str line = str_split(&text, '\n');
		const size_t n = strlen(name);
		size_t k = 0;
		if (line.n < n + 3 || !str_prefix(line, str_of(name)) || line.p[n] != '=')
			continue;
		for (size_t i = n + 1; i < line.n && k < VALUE_MAX - 1; i++)
			if (line.p[i] != '\'' && line.p[i] != '\\')
				out[k++] = line.p[i];
		out[k] = '\0';
	}
}

static void choose(const struct ping *p, const char *option, char *value, size_t size)
{
	const char *given = invocation_local(p->in, option);
	if (given)
		snprintf(value, size, "%s", given);
}

static int read_options(struct ping *p)
{
	AUTO_BUF env = {0};
	const char *count = invocation_local(p->in, "n");
	p->count = COUNT_DEFAULT;
	if (!invocation_local(p->in, "bundle")) {
		print_error("say as which device: --bundle DIR, the directory that "
			    "\"gatehouse device add NAME --bundle DIR\" made");
		return EXIT_USAGE;
	}
	if (count && (str_u64(str_of(count), COUNT_MAX, &p->count) || p->count == 0)) {
		print_error("-n %s: must be a number from 1 to %d", count, COUNT_MAX);
		return EXIT_USAGE;
	}
	const int status = read_file(p, "client.env", &env);
	if (status)
		return status;
	take_variable(buf_view(&env), "MQTT_HOST", p->host);
	take_variable(buf_view(&env), "MQTT_PORT", p->port);
	take_variable(buf_view(&env), "MQTT_CLIENT_ID", p->device);
	/* Not the device's own: that would end the connection of the device. */
	snprintf(p->client_id, sizeof(p->client_id), "%.240s-ping", p->device);
	snprintf(p->topic, sizeof(p->topic), "ping/%s", p->device);
	choose(p, "host", p->host, sizeof(p->host));
	choose(p, "port", p->port, sizeof(p->port));
	choose(p, "topic", p->topic, sizeof(p->topic));
	choose(p, "client-id", p->client_id, sizeof(p->client_id));
	return EXIT_OK;
}

/* ---- connection -------------------------------------------------------------------------------
 */

static int connect_tls(struct ping *p)
{
	AUTO_BUF ca = {0};
	AUTO_BUF certificate = {0};
	AUTO_SECRET key = {0};
	int status = read_file(p, "ca.crt", &ca);
	if (!status)
		status = read_file(p, "device.crt", &certificate);
	if (!status)
		status = read_file(p, "device.key", &key);
	if (status)
		return status;
	const struct tls_client_settings set = {
		.host = p->host,
		.port = p->port,
		.ca = buf_view(&ca),
		.certificate = buf_view(&certificate),
		.key = buf_view(&key),
		.timeout_ms = TIMEOUT_MS,
	};
	if (tls_client_connect(&set, &p->client.tls, &p->why) == 0)
		return EXIT_OK;
	complain_why(p);
	return EXIT_UNREACHABLE;
}

/* The next packet, within the time; packets of other types than those two are left out. */
static int await(struct ping *p, enum packet_type a, enum packet_type b, int timeout_ms,
		 struct packet *out)
{
	for (;;) {
		const int err = mqtt_receive(&p->client, timeout_ms, out, &p->why);
		if (err)
			return err;
		if (out->type == PACKET_DISCONNECT) {
			buf_printf(&p->why, "the gateway ended the connection: %s",
				   reason_text(out->disconnect.reason));
			return ERR_EOF;
		}
		if (out->type == a || out->type == b)
			return 0;
	}
}

static int refused(struct ping *p, enum reason reason)
{
	if (reason != REASON_CLIENT_IDENTIFIER_NOT_VALID)
		print_error("the gateway refused the connection: %s", reason_text(reason));
	else
		print_error("the gateway refused the connection: %s\n"
			    "The client identifier was %s; where client-id = device, write "
			    "--client-id %s while the device itself is away.",
			    reason_text(reason), p->client_id, p->device);
	return EXIT_REFUSED;
}

static int connect_mqtt(struct ping *p)
{
	struct packet packet = {
		.type = PACKET_CONNECT,
		.props = props_none,
		.connect = {.version = MQTT_5,
			    .clean_start = true,
			    .keep_alive = 60,
			    .client_id = str_of(p->client_id)},
	};
	int err = mqtt_send(&p->client, &packet, &p->why);
	if (!err)
		err = await(p, PACKET_CONNACK, PACKET_CONNACK, TIMEOUT_MS, &packet);
	if (err == ERR_TIMEOUT)
		return complain(p, "the gateway does not answer CONNECT");
	if (err)
		return complain_why(p);
	return packet.connack.reason == REASON_SUCCESS ? EXIT_OK
						       : refused(p, packet.connack.reason);
}

static int missing_rule(const struct ping *p, const char *action)
{
	print_error("no rule lets %s %s %s%s. This one would:\n"
		    "  gatehouse acl allow device:%s %s '%s'\n"
		    "This one allows all that ping needs:\n"
		    "  gatehouse acl allow device:%s all '%s'",
		    p->device, action, strcmp(action, "receive") == 0 ? "messages of " : "to ",
		    p->topic, p->device, action, p->topic, p->device, p->topic);
	return EXIT_REFUSED;
}

static int subscribe(struct ping *p)
{
	const struct packet_subscription own = {.filter = str_of(p->topic)};
	struct packet packet = {.type = PACKET_SUBSCRIBE,
				.props = props_none,
				.subscribe = {SUBSCRIBE_ID, &own, 1}};
	int err = mqtt_send(&p->client, &packet, &p->why);
	if (!err)
		err = await(p, PACKET_SUBACK, PACKET_SUBACK, TIMEOUT_MS, &packet);
	if (err == ERR_TIMEOUT)
		return complain(p, "the gateway does not answer SUBSCRIBE");
	if (err)
		return complain_why(p);
	const unsigned char code =
		packet.suback.codes.n ? (unsigned char)packet.suback.codes.p[0] : 0x80;
	if (code == REASON_NOT_AUTHORIZED)
		return missing_rule(p, "subscribe");
	if (code >= 0x80) {
		print_error("the gateway refused to subscribe to %s: %s", p->topic,
			    reason_text((enum reason)code));
		return EXIT_REFUSED;
	}
	return EXIT_OK;
}

/* ---- round trips ------------------------------------------------------------------------------
 */

static bool is_ours(const struct packet *packet, uint64_t number)
{
	return packet->type == PACKET_PUBLISH &&
	       str_eq(packet->publish.payload, str_make(&number, sizeof(number)));
}

static int publish_refused(const struct ping *p, enum reason reason)
{
	if (reason == REASON_NOT_AUTHORIZED)
		return missing_rule(p, "publish");
	print_error("the gateway refused a message to %s: %s", p->topic, reason_text(reason));
	return EXIT_REFUSED;
}

/* From sending until the message came back. */
static int round_trip(struct ping *p, uint64_t number)
{
	bool acknowledged = false, returned = false;
	struct packet packet = {
		.type = PACKET_PUBLISH,
		.props = props_none,
		.publish = {.topic = str_of(p->topic),
			    .payload = str_make(&number, sizeof(number)),
			    .packet_id = PUBLISH_ID,
			    .qos = 1},
	};
	const uint64_t begun = clock_mono_ns();
	int err = mqtt_send(&p->client, &packet, &p->why);
	while (!err && !(acknowledged && returned)) {
		err = await(p, PACKET_PUBACK, PACKET_PUBLISH, RETURN_MS, &packet);
		if (err)
			break;
		if (packet.type == PACKET_PUBACK && reason_is_error(packet.ack.reason))
			return publish_refused(p, packet.ack.reason);
		if (packet.type == PACKET_PUBACK)
			acknowledged = true;
		if (is_ours(&packet, number) && !returned) {
			p->took_ns[number] = clock_mono_ns() - begun;
			returned = true;
		}
	}
	if (err == ERR_TIMEOUT && acknowledged)
		return missing_rule(p, "receive");
	if (err == ERR_TIMEOUT)
		return complain(p, "the gateway does not acknowledge a message");
	return err ? complain_why(p) : EXIT_OK;
}

static int compare(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void print_result(struct ping *p)
{
	AUTO_BUF tls = {0};
	uint64_t sum = 0;
	tls_client_describe(p->client.tls, &tls);
	qsort(p->took_ns, p->count, sizeof(*p->took_ns), compare);
	for (uint64_t i = 0; i < p->count; i++)
		sum += p->took_ns[i];
	const double min = (double)p->took_ns[0] / 1e6;
	const double mean = (double)sum / (double)p->count / 1e6;
	const uint64_t rank = (p->count * 99 + 99) / 100; /* the nearest one, counted from 1 */
	const double p99 = (double)p->took_ns[rank - 1] / 1e6;
	const double max = (double)p->took_ns[p->count - 1] / 1e6;
	if (p->in->json) {
		json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:f, s:f, s:f}", "device",
				      p->device, "host", p->host, "port", p->port, "tls",
				      buf_cstr(&tls), "count", (json_int_t)p->count, "min_ms", min,
				      "mean_ms", mean, "p99_ms", p99, "max_ms", max);
		print_json_line(j);
		json_decref(j);
		return;
	}
	printf("%s to %s port %s, %s, topic %s\n", p->device, p->host, p->port, buf_cstr(&tls),
	       p->topic);
	printf("%llu round trips: min %.3f ms, mean %.3f ms, p99 %.3f ms, max %.3f ms\n",
	       (unsigned long long)p->count, min, mean, p99, max);
}

static int run(struct ping *p)
{
	int status = read_options(p);
	if (!status)
		status = connect_tls(p);
	if (!status)
		status = connect_mqtt(p);
	if (!status)
		status = subscribe(p);
	if (status)
		return status;
	p->took_ns = mem_array(uint64_t, p->count);
	for (uint64_t i = 0; i < p->count && !status; i++)
		status = round_trip(p, i);
	if (!status)
		print_result(p);
	free(p->took_ns);
	return status;
}

int run_ping(struct invocation *in)
{
	struct ping p = {.in = in};
	const int status = run(&p);
	mqtt_client_fini(&p.client);
	buf_fini(&p.why);
	return status;
}
