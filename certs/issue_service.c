/* SPDX-License-Identifier: Apache-2.0
 *
 * The store's requests: see issue_service.h.
 */
#include "certs/issue_service.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdlib.h>

/* An answer that waits for the commit. */
struct answer {
	struct list node;
	struct link *link;
	uint64_t id;
	struct certificate certificate;
};

void issue_service_init(struct issue_service *s)
{
	list_init(&s->waiting);
}

enum op_status issue_service_status(int err)
{
	switch (err) {
	case 0:
		return OP_OK;
	case ERR_INVALID:
	case ERR_MALFORMED:
		return OP_INVALID;
	case ERR_NOT_FOUND:
		return OP_NOT_FOUND;
	case ERR_EXISTS:
	case ERR_CONFLICT:
		return OP_CONFLICT;
	case ERR_AGAIN:
		return OP_LOCKED;
	case ERR_LIMIT:
		return OP_TOO_MANY;
	case ERR_DENIED:
	case ERR_CRYPTO:
		return OP_REFUSED;
	default:
		return OP_FAILED;
	}
}

static void refuse(struct issue_service *s, struct link *l, uint64_t id, int err,
		   const struct why *why)
{
	const struct body_issue_done done = {.status = (uint8_t)issue_service_status(err),
					     .why = str_of(why->text)};
	if (err == ERR_DENIED || err == ERR_IO || err == ERR_LIMIT || err == ERR_UNAVAILABLE)
		s->trouble(s, err, why->text);
	LINK_SEND(l, ISSUE_DONE, issue_done, id, -1, &done);
}

static void send_issued(const struct answer *a)
{
	const struct certificate *c = &a->certificate;
	const struct body_issue_done done = {
		.status = OP_OK,
		.der = buf_view(&c->der),
		.fingerprint = str_make(c->fingerprint, sizeof(c->fingerprint)),
		.serial = str_make(c->serial, c->serial_len),
		.not_before_at = (uint64_t)c->not_before,
		.not_after_at = (uint64_t)c->not_after,
	};
	LINK_SEND(a->link, ISSUE_DONE, issue_done, a->id, -1, &done);
}

static void answer_free(struct answer *a)
{
	list_remove(&a->node);
	certificate_fini(&a->certificate);
	free(a);
}

/* End of the turn: one sync for all that were issued in it. */
static void commit(struct loop_task *task)
{
	struct issue_service *s = container_of(task, struct issue_service, commit);
	struct why why = {""};
	const int err = issuer_commit(s->issuer, &why);
	while (!list_empty(&s->waiting)) {
		struct answer *a = list_entry(s->waiting.next, struct answer, node);
		if (err)
			refuse(s, a->link, a->id, err, &why);
		else
			send_issued(a);
		answer_free(a);
	}
}

void issue_service_forget(struct issue_service *s, const struct link *l)
{
	list_each_safe (it, &s->waiting) {
		struct answer *a = list_entry(it, struct answer, node);
		if (a->link == l)
			answer_free(a);
	}
}

static void tell_ending(struct issue_service *s, const struct certificate *c)
{
	char end[CLOCK_TEXT];
	struct why why;
	why_text(&why,
		 "certificates end with their authority at %s, before their time: start a rollover "
		 "(gatehouse ca rollover start)",
		 clock_format(c->not_after, end));
	s->ending(s, why.text);
}

int issue_service_device(struct issue_service *s, struct link *l, struct record *r)
{
	struct body_issue_device b;
	if (body_issue_device_get(r->body, &b))
		return ERR_MALFORMED;
	struct why why = {""};
	struct certificate made;
	const struct issue_time now = {clock_wall(), clock_mono_ms()};
	const struct device_order order = {b.name, b.uuid, b.spki, (int64_t)b.not_after_at};
	const int err = issuer_device(s->issuer, &order, now, &made, &why);
	if (err) {
		refuse(s, l, r->id, err, &why);
		return 0;
	}
	if (order.not_after > made.not_after)
		tell_ending(s, &made);
	struct answer *a = mem_new(struct answer);
	a->link = l;
	a->id = r->id;
	a->certificate = made;
	list_append(&s->waiting, &a->node);
	loop_defer(s->loop, &s->commit, commit);
	return 0;
}
