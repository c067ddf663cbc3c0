/* SPDX-License-Identifier: Apache-2.0
 *
 * Journal lines of events: see event_line.h.
 */
#include "db/event_line.h"
#include "daemon/base/clock.h"
#include "daemon/base/events.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rec.h"

#include <stdlib.h>

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= ' ' || s.p[i] == '"' || s.p[i] == '=')
			return false;
	return s.n > 0;
}

static void put_pair(struct buf *out, struct str key, struct str value)
{
	buf_putc(out, ' ');
	buf_str(out, key);
	buf_putc(out, '=');
	if (is_plain(value)) {
		buf_str(out, value);
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, value.p[i]);
	}
	buf_putc(out, '"');
}

static void put_text(struct buf *out, const char *key, struct str value)
{
	if (value.n)
		put_pair(out, str_of(key), value);
}

static void put_value(struct buf *out, const struct rec_value *v)
{
	char time[CLOCK_TEXT];
	AUTO_BUF text = {0};
	switch (v->kind) {
	case REC_STR:
		put_pair(out, v->name, v->text);
		return;
	case REC_BYTES:
		hex_encode(v->text.p, v->text.n, buf_reserve(&text, 2 * v->text.n + 1));
		text.n = 2 * v->text.n;
		break;
	case REC_TIME:
		buf_puts(&text, clock_format_ms((uint64_t)v->number, time));
		break;
	case REC_INT:
	case REC_BOOL:
		buf_printf(&text, "%lld", (long long)v->number);
		break;
	default:
		return;
	}
	put_pair(out, v->name, buf_view(&text));
}

void event_line(struct buf *out, const struct body_event *e, struct str device)
{
	buf_puts(out, event_name(e->event));
	put_text(out, "device", device);
	if (!str_eq(device, e->actor))
		put_text(out, "actor", e->actor);
	put_text(out, "address", e->address);
	put_text(out, "listener", e->listener);
	put_text(out, "reason", e->reason);
	/* A client may choose one so long that the log cuts the line in it. */
	put_text(out, "client-id", e->client_id);
	struct cur c = cur_of(e->detail);
	struct rec_value v;
	while (rec_next(&c, &v))
		put_value(out, &v);
}
