/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets as text: see trace_text.h.
 */
#include "daemon/broker/trace_text.h"
#include "daemon/base/str.h"
#include "daemon/ipc/rec.h"

#include <stddef.h>

static void put_hex(struct buf *out, struct str s)
{
	for (size_t i = 0; i < MIN(s.n, (size_t)TRACE_STRING / 2); i++)
		buf_printf(out, "%02x", (unsigned char)s.p[i]);
	buf_puts(out, s.n > TRACE_STRING / 2 ? "..." : "");
}

/* Bytes that any peer chose: UTF-8 as it is, in quotation marks; anything else in hexadecimal. */
static void put_string(struct buf *out, struct str s)
{
	size_t n = MIN(s.n, (size_t)TRACE_STRING);
	if (!str_is_utf8(s)) {
		put_hex(out, s);
		return;
	}
	/* Not within a character. */
	while (n && n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	buf_putc(out, '"');
	buf_put(out, s.p, n);
	buf_puts(out, n < s.n ? "\"..." : "\"");
}

/* What a machine wrote is no text, though its bytes may be. */
static void put_payload(struct buf *out, struct str s)
{
	bool text = str_is_utf8(s);
	for (size_t i = 0; i < MIN(s.n, (size_t)TRACE_STRING) && text; i++)
		text = (unsigned char)s.p[i] >= 0x20 || strchr("\t\r\n", s.p[i]);
	if (text)
		put_string(out, s);
	else
		put_hex(out, s);
}

static void put_gap(struct buf *out)
{
	if (out->n)
		buf_puts(out, ", ");
}

static void put_value(struct buf *rec, const char *name, struct buf *text)
{
	if (text->n > TRACE_TEXT) {
		text->n = TRACE_TEXT;
		while (text->n && ((unsigned char)text->p[text->n - 1] & 0x80))
			text->n--;
		buf_puts(text, "...");
	}
	if (text->n)
		rec_str(rec, name, buf_view(text));
}

/* ---- properties -------------------------------------------------------------------------------
 */

enum kind { BYTE, U16, U32, VARINT_LIST, STRING, BINARY, TOPIC, PAIR_LIST };

static const struct {
	unsigned id;
	enum kind kind;
	size_t at; /* in struct props */
} properties[] = {
#define PROPERTY(NAME, id, text, field, type, ...) {id, type, offsetof(struct props, field)},
#include "daemon/mqtt/props.def"
#undef PROPERTY
};

static void put_pairs(struct buf *out, const struct user_properties *pairs)
{
	for (size_t i = 0; i < pairs->n && out->n < TRACE_TEXT; i++) {
		put_gap(out);
		buf_printf(out, "%s ", props_name(PROPERTY_USER_PROPERTY));
		put_string(out, pairs->p[i].name);
		buf_putc(out, '=');
		put_string(out, pairs->p[i].value);
	}
}

static void put_ids(struct buf *out, const struct subscription_ids *ids)
{
	for (size_t i = 0; i < ids->n && out->n < TRACE_TEXT; i++) {
		put_gap(out);
		buf_printf(out, "%s %u", props_name(PROPERTY_SUBSCRIPTION_IDENTIFIER), ids->p[i]);
	}
}

static void put_binary(struct buf *out, unsigned id, struct str s)
{
	if (id == PROPERTY_AUTHENTICATION_DATA)
		buf_printf(out, "(%zu bytes)", s.n);
	else
		put_string(out, s);
}

static void put_property(struct buf *out, const struct props *p, size_t i)
{
	const char *at = (const char *)p + properties[i].at;
	const unsigned id = properties[i].id;
	if (properties[i].kind == PAIR_LIST || properties[i].kind == VARINT_LIST) {
		properties[i].kind == PAIR_LIST
			? put_pairs(out, (const struct user_properties *)(const void *)at)
			: put_ids(out, (const struct subscription_ids *)(const void *)at);
		return;
	}
	if (!(p->present >> id & 1))
		return;
	put_gap(out);
	buf_printf(out, "%s ", props_name(id));
	switch (properties[i].kind) {
	case BYTE:
		buf_printf(out, "%u", *(const uint8_t *)at);
		break;
	case U16:
		buf_printf(out, "%u", *(const uint16_t *)(const void *)at);
		break;
	case U32:
		buf_printf(out, "%u", *(const uint32_t *)(const void *)at);
		break;
	default:
		put_binary(out, id, *(const struct str *)(const void *)at);
	}
}

static void put_properties(struct buf *out, const struct props *p)
{
	for (size_t i = 0; i < ARRAY_LEN(properties) && out->n < TRACE_TEXT; i++)
		put_property(out, p, i);
}

/* ---- packets ----------------------------------------------------------------------------------
 */

/* What is gathered of one packet. */
struct text {
	int packet_id; /* -1: none */
	struct buf flags;
	struct buf reason;
	struct buf about;
	struct buf properties;
};

static void flag(struct text *t, bool set, const char *word)
{
	if (!set)
		return;
	buf_puts(&t->flags, t->flags.n ? " " : "");
	buf_puts(&t->flags, word);
}

static void about_connect(struct text *t, const struct packet_connect *k)
{
	static const char *const version[] = {
		[MQTT_3_1] = "MQTT 3.1", [MQTT_3_1_1] = "MQTT 3.1.1", [MQTT_5] = "MQTT 5.0"};
	flag(t, k->clean_start, k->version == MQTT_5 ? "clean-start" : "clean-session");
	buf_printf(&t->about, "%s, client identifier ", version[k->version]);
	put_string(&t->about, k->client_id);
	buf_printf(&t->about, ", keep alive %u s", k->keep_alive);
	if (k->has_user_name) {
		buf_puts(&t->about, ", user name ");
		put_string(&t->about, k->user_name);
	}
	if (k->has_password)
		buf_printf(&t->about, ", a password of %zu bytes", k->password.n);
	if (!k->has_will)
		return;
	buf_puts(&t->about, ", will to ");
	put_string(&t->about, k->will.topic);
	buf_printf(&t->about, " of QoS %u%s, %zu bytes", k->will.qos,
		   k->will.retain ? ", retain" : "", k->will.payload.n);
	AUTO_BUF more = {0};
	put_properties(&more, &k->will.props);
	if (more.n)
		buf_printf(&t->about, " (%s)", buf_cstr(&more));
}

static void about_subscribe(struct text *t, const struct packet_subscribe *s)
{
	t->packet_id = s->packet_id;
	for (size_t i = 0; i < s->n && t->about.n < TRACE_TEXT; i++) {
		const struct packet_subscription *f = &s->subscriptions[i];
		put_gap(&t->about);
		put_string(&t->about, f->filter);
		buf_printf(&t->about, " QoS %u%s%s", f->qos, f->no_local ? " no-local" : "",
			   f->retain_as_published ? " retain-as-published" : "");
		if (f->retain_handling)
			buf_printf(&t->about, " retain-handling %u", f->retain_handling);
	}
}

static void about_unsubscribe(struct text *t, const struct packet_unsubscribe *u)
{
	t->packet_id = u->packet_id;
	for (size_t i = 0; i < u->n && t->about.n < TRACE_TEXT; i++) {
		put_gap(&t->about);
		put_string(&t->about, u->filters[i]);
	}
}

static void about_codes(struct text *t, const struct packet_suback *s)
{
	t->packet_id = s->packet_id;
	for (size_t i = 0; i < s->codes.n && t->reason.n < TRACE_TEXT; i++) {
		put_gap(&t->reason);
		buf_puts(&t->reason, reason_text((unsigned char)s->codes.p[i]));
	}
}

static void about_publish(struct text *t, const struct packet_publish *p, struct buf *rec,
			  bool payload)
{
	AUTO_BUF topic = {0};
	AUTO_BUF shown = {0};
	if (p->qos)
		t->packet_id = p->packet_id;
	flag(t, p->dup, "dup");
	flag(t, p->retain, "retain");
	rec_int(rec, "qos", p->qos);
	buf_str(&topic, p->topic);
	put_value(rec, "topic", &topic);
	rec_int(rec, "payload_size", (int64_t)p->payload.n);
	if (payload && p->payload.n) {
		put_payload(&shown, p->payload);
		put_value(rec, "payload", &shown);
	}
}

static void about(struct text *t, const struct packet *p, struct buf *rec, bool payload)
{
	switch (p->type) {
	case PACKET_CONNECT:
		about_connect(t, &p->connect);
		break;
	case PACKET_CONNACK:
		flag(t, p->connack.session_present, "session-present");
		buf_puts(&t->reason, reason_text(p->connack.reason));
		break;
	case PACKET_PUBLISH:
		about_publish(t, &p->publish, rec, payload);
		break;
	case PACKET_PUBACK:
	case PACKET_PUBREC:
	case PACKET_PUBREL:
	case PACKET_PUBCOMP:
		t->packet_id = p->ack.packet_id;
		buf_puts(&t->reason, reason_text(p->ack.reason));
		break;
	case PACKET_SUBSCRIBE:
		about_subscribe(t, &p->subscribe);
		break;
	case PACKET_SUBACK:
	case PACKET_UNSUBACK:
		about_codes(t, &p->suback);
		break;
	case PACKET_UNSUBSCRIBE:
		about_unsubscribe(t, &p->unsubscribe);
		break;
	case PACKET_DISCONNECT:
	case PACKET_AUTH:
		buf_puts(&t->reason, reason_text(p->disconnect.reason));
		break;
	default:
		break;
	}
}

void trace_text(struct buf *rec, const struct packet *p, bool payload)
{
	struct text t = {.packet_id = -1};
	rec_text(rec, "packet", packet_name(p->type));
	about(&t, p, rec, payload);
	put_properties(&t.properties, &p->props);
	if (t.packet_id >= 0)
		rec_int(rec, "packet_id", t.packet_id);
	put_value(rec, "flags", &t.flags);
	put_value(rec, "reason", &t.reason);
	put_value(rec, "about", &t.about);
	put_value(rec, "properties", &t.properties);
	buf_fini(&t.flags);
	buf_fini(&t.reason);
	buf_fini(&t.about);
	buf_fini(&t.properties);
}
