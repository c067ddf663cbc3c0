/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages under way to a client: see inflight.h.
 *
 * Identifiers are given out in sequence, so identifier modulo size finds a free slot at once unless
 * a client leaves a very old one unanswered: then that one is stepped over.
 */
#include "daemon/broker/inflight.h"
#include "daemon/broker/spool_session.h"

#include <stdlib.h>

enum { SLOTS_FIRST = 8, SLOTS_MAX = 65536 };

void inflight_init(struct inflight *f)
{
	*f = (struct inflight){0};
	list_init(&f->waiting);
	list_init(&f->under_way);
}

static struct delivery *first(struct list *head)
{
	return list_empty(head) ? NULL : list_entry(head->next, struct delivery, node);
}

static void delivery_free(struct inflight *f, struct delivery *d)
{
	if (d->row && f->gone)
		f->gone(f, d);
	list_remove(&d->node);
	msg_unref(d->msg);
	free(d);
}

void inflight_fini(struct inflight *f)
{
	struct delivery *d;
	while ((d = first(&f->waiting)) || (d = first(&f->under_way)))
		delivery_free(f, d);
	free(f->slot);
	inflight_init(f);
}

struct delivery *inflight_push(struct inflight *f, struct msg *m, uint8_t qos, bool retain,
			       struct subscription_ids ids, bool with_row)
{
	const size_t n = sizeof(struct delivery) + ids.n * sizeof(ids.p[0]);
	const size_t row_at =
		(n + _Alignof(struct spool_row) - 1) & ~(_Alignof(struct spool_row) - 1);
	struct delivery *d = mem_grow(NULL, with_row ? row_at + sizeof(struct spool_row) : n);
	*d = (struct delivery){
		.msg = msg_ref(m), .qos = qos, .retain = retain, .ids_n = (uint32_t)ids.n};
	if (with_row) {
		d->row = (struct spool_row *)((unsigned char *)d + row_at);
		*d->row = (struct spool_row){0};
	}
	if (ids.n)
		memcpy(d->ids, ids.p, ids.n * sizeof(ids.p[0]));
	list_append(&f->waiting, &d->node);
	f->waiting_n++;
	f->waiting_bytes += msg_size(m);
	return d;
}

static void leave_waiting(struct inflight *f, struct delivery *d)
{
	list_remove(&d->node);
	f->waiting_n--;
	f->waiting_bytes -= msg_size(d->msg);
}

static struct delivery **slot_of(const struct inflight *f, uint16_t id)
{
	return &f->slot[id & (f->size - 1)];
}

/* Two identifiers that differ modulo size also differ modulo twice the size. */
static void grow(struct inflight *f)
{
	const uint32_t old_size = f->size;
	struct delivery **old = f->slot;
	f->size = old_size ? old_size * 2 : SLOTS_FIRST;
	f->slot = mem_array(struct delivery *, f->size);
	for (uint32_t i = 0; i < old_size; i++)
		if (old[i])
			*slot_of(f, old[i]->packet_id) = old[i];
	free(old);
}

static void make_room(struct inflight *f)
{
	if (f->taken * 2 >= f->size && f->size < SLOTS_MAX)
		grow(f);
}

static void take_slot(struct inflight *f, struct delivery *d, uint16_t packet_id)
{
	d->packet_id = packet_id;
	*slot_of(f, packet_id) = d;
	f->taken++;
}

static bool give_id(struct inflight *f, struct delivery *d)
{
	if (f->taken >= UINT16_MAX)
		return false;
	make_room(f);
	do
		f->last_id++;
	while (f->last_id == 0 || *slot_of(f, f->last_id));
	take_slot(f, d, f->last_id);
	return true;
}

bool inflight_resume(struct inflight *f, struct delivery *d, uint16_t packet_id)
{
	if (packet_id == 0)
		return false;
	make_room(f);
	/* Those of an earlier life need not lie in sequence. */
	while (*slot_of(f, packet_id)) {
		if ((*slot_of(f, packet_id))->packet_id == packet_id)
			return false;
		grow(f);
	}
	take_slot(f, d, packet_id);
	f->last_id = packet_id;
	d->dup = true;
	return true;
}

/* Drops from the front what has expired; what was sent once is kept to its end. */
static void drop_expired(struct inflight *f, uint64_t now_ms, uint64_t *expired)
{
	struct delivery *d;
	while ((d = first(&f->waiting)) && !d->packet_id && msg_expired(d->msg, now_ms)) {
		leave_waiting(f, d);
		delivery_free(f, d);
		++*expired;
	}
}

struct delivery *inflight_next(struct inflight *f, uint32_t receive_maximum, uint64_t now_ms,
			       uint64_t *expired)
{
	if (f->under_way_n >= receive_maximum)
		return NULL;
	drop_expired(f, now_ms, expired);
	struct delivery *d = first(&f->waiting);
	if (!d || (!d->packet_id && !give_id(f, d)))
		return NULL;
	leave_waiting(f, d);
	list_append(&f->under_way, &d->node);
	f->under_way_n++;
	d->state = d->received ? DELIVERY_RELEASED : DELIVERY_SENT;
	return d;
}

struct delivery *inflight_find(const struct inflight *f, uint16_t packet_id)
{
	if (f->size == 0)
		return NULL;
	struct delivery *d = *slot_of(f, packet_id);
	return d && d->packet_id == packet_id && d->state != DELIVERY_WAITING ? d : NULL;
}

void inflight_done(struct inflight *f, struct delivery *d)
{
	*slot_of(f, d->packet_id) = NULL;
	f->taken--;
	f->under_way_n--;
	delivery_free(f, d);
}

struct delivery *inflight_oldest(const struct inflight *f)
{
	list_each (it, &f->waiting) {
		struct delivery *d = list_entry(it, struct delivery, node);
		if (!d->packet_id)
			return d;
	}
	return NULL;
}

void inflight_drop(struct inflight *f, struct delivery *d)
{
	if (d->state != DELIVERY_WAITING) {
		inflight_done(f, d);
		return;
	}
	if (d->packet_id) {
		*slot_of(f, d->packet_id) = NULL;
		f->taken--;
	}
	leave_waiting(f, d);
	delivery_free(f, d);
}

void inflight_restart(struct inflight *f)
{
	while (!list_empty(&f->under_way)) {
		struct delivery *d = list_entry(f->under_way.prev, struct delivery, node);
		list_remove(&d->node);
		list_prepend(&f->waiting, &d->node);
		d->dup |= d->state != DELIVERY_HELD;
		d->state = DELIVERY_WAITING;
		f->waiting_n++;
		f->waiting_bytes += msg_size(d->msg);
	}
	f->under_way_n = 0;
}

size_t inflight_filter(struct inflight *f, bool (*keep)(void *arg, const struct delivery *d),
		       void *arg)
{
	size_t dropped = 0;
	list_each_safe (it, &f->waiting) {
		struct delivery *d = list_entry(it, struct delivery, node);
		if (d->packet_id || keep(arg, d))
			continue;
		leave_waiting(f, d);
		delivery_free(f, d);
		dropped++;
	}
	return dropped;
}
