/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of the spool: see spool.h.
 */
#include "daemon/ipc/spool.h"

struct out spool_open_(struct buf *batch, enum spool_kind kind, size_t n)
{
	struct out o = entries_open_(batch, n + 1);
	out_u8(&o, (uint8_t)kind);
	return o;
}

static bool number(uint64_t v)
{
	return v > 0 && v <= INT64_MAX;
}

/* The numbers that name something in the tables. */
static bool named(const struct spool_record *r)
{
	switch (r->kind) {
	case SPOOL_KIND_MESSAGE:
		return number(r->message.mid);
	case SPOOL_KIND_QUEUE:
		return number(r->queue.sid) && number(r->queue.mid) &&
		       r->queue.place <= INT64_MAX && r->queue.ids.n % sizeof(uint32_t) == 0;
	case SPOOL_KIND_QUEUE_GONE:
		return number(r->queue_gone.sid) && number(r->queue_gone.mid) &&
		       r->queue_gone.place <= INT64_MAX;
	case SPOOL_KIND_SENT:
		return number(r->sent.sid) && r->sent.place <= INT64_MAX;
	case SPOOL_KIND_RETAIN:
		return number(r->retain.mid) && number(r->retain.version);
	case SPOOL_KIND_RETAIN_GONE:
		return number(r->retain_gone.version);
	case SPOOL_KIND_SESSION:
		return number(r->session.sid);
	case SPOOL_KIND_SESSION_GONE:
		return number(r->session_gone.sid);
	case SPOOL_KIND_SUB:
		return number(r->sub.sid);
	case SPOOL_KIND_SUB_GONE:
		return number(r->sub_gone.sid);
	case SPOOL_KIND_RECEIVED:
		return number(r->received.sid);
	case SPOOL_KIND_RECEIVED_GONE:
		return number(r->received_gone.sid);
	default:
		return false;
	}
}

static int decode(struct str bytes, struct spool_record *r)
{
	switch (r->kind) {
#define SPOOL_DECODE(NAME, name) \
	case SPOOL_KIND_##NAME:  \
		return body_spool_##name##_get(bytes, &r->name);
		SPOOL_KINDS(SPOOL_DECODE)
#undef SPOOL_DECODE
	default:
		return -1;
	}
}

bool spool_next(struct cur *c, struct spool_record *record)
{
	struct str entry;
	if (!entries_next(c, &entry))
		return false;
	struct spool_record r;
	struct cur inside = cur_of(entry);
	r.kind = cur_u8(&inside);
	if (!cur_ok(&inside) || r.kind >= SPOOL_KIND_COUNT ||
	    decode(str_make(inside.p, cur_left(&inside)), &r) || !named(&r)) {
		cur_fail(c);
		return false;
	}
	*record = r;
	return true;
}

bool spool_valid(struct str batch)
{
	struct cur c = cur_of(batch);
	struct spool_record r;
	while (spool_next(&c, &r))
		;
	return cur_ok(&c);
}
