/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests that may be sent again: see repeat.h.
 */
#include "daemon/web/repeat.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <stdlib.h>

void repeats_init(struct repeats *r)
{
	*r = (struct repeats){0};
	list_init(&r->list);
	list_init(&r->callers);
}

/* Who has them: what is kept for one and what it takes. */
struct repeat_caller {
	struct list node;
	struct buf credential; /* a secret */
	size_t n;
	size_t bytes;
};

static struct repeat_caller *find_caller(const struct repeats *r, struct str credential)
{
	list_each (it, &r->callers) {
		struct repeat_caller *c = list_entry(it, struct repeat_caller, node);
		if (secret_equal(buf_view(&c->credential), credential))
			return c;
	}
	return NULL;
}

static struct repeat_caller *caller_of(struct repeats *r, struct str credential)
{
	struct repeat_caller *c = find_caller(r, credential);
	if (c)
		return c;
	c = mem_new(struct repeat_caller);
	buf_str(&c->credential, credential);
	list_append(&r->callers, &c->node);
	return c;
}

static void leave_caller(struct repeat_caller *c)
{
	if (--c->n)
		return;
	list_remove(&c->node);
	secret_buf_fini(&c->credential);
	free(c);
}

static void drop(struct repeats *r, struct repeat *e)
{
	list_remove(&e->node);
	r->n--;
	r->bytes -= e->answer.n;
	e->caller->bytes -= e->answer.n;
	leave_caller(e->caller);
	secret_buf_fini(&e->answer);
	buf_fini(&e->key);
	free(e);
}

void repeats_fini(struct repeats *r)
{
	while (!list_empty(&r->list))
		drop(r, list_entry(r->list.next, struct repeat, node));
}

bool repeat_key_valid(struct str key)
{
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] < ' ' || key.p[i] > '~')
			return false;
	return key.n >= 1 && key.n <= REPEAT_KEY_MAX;
}

/* The oldest that is answered, of one caller or of all (NULL). One that runs stays. */
static struct repeat *oldest(const struct repeats *r, const struct repeat_caller *of)
{
	list_each (it, &r->list) {
		struct repeat *e = list_entry(it, struct repeat, node);
		if (!e->running && (!of || e->caller == of))
			return e;
	}
	return NULL;
}

/* Who has most: answers, or bytes of them. */
static struct repeat_caller *greatest(const struct repeats *r, bool bytes)
{
	struct repeat_caller *most = NULL;
	list_each (it, &r->callers) {
		struct repeat_caller *c = list_entry(it, struct repeat_caller, node);
		if (!most || (bytes ? c->bytes > most->bytes : c->n > most->n))
			most = c;
	}
	return most;
}

static void make_room(struct repeats *r, uint64_t now_ms)
{
	struct repeat *e;
	while ((e = oldest(r, NULL)) && now_ms >= e->until_ms)
		drop(r, e);
	while (r->n >= REPEAT_MAX || r->bytes > REPEAT_ANSWERS_MAX) {
		e = oldest(r, greatest(r, r->bytes > REPEAT_ANSWERS_MAX));
		if (!e)
			return; /* all of them run; there are no more than connections */
		drop(r, e);
	}
}

static struct repeat *lookup(const struct repeats *r, struct str caller, struct str key)
{
	const struct repeat_caller *who = find_caller(r, caller);
	list_each (it, &r->list) {
		struct repeat *e = list_entry(it, struct repeat, node);
		if (who && e->caller == who && str_eq(buf_view(&e->key), key))
			return e;
	}
	return NULL;
}

static enum repeat_state state_of(const struct repeat *e, const unsigned char request[SHA256_SIZE])
{
	if (memcmp(e->request, request, SHA256_SIZE) != 0)
		return REPEAT_OTHER;
	if (e->running)
		return REPEAT_RUNNING;
	if (e->unknown)
		return REPEAT_UNKNOWN;
	if (e->once)
		return REPEAT_ONCE;
	return e->too_large ? REPEAT_TOO_LARGE : REPEAT_DONE;
}

enum repeat_state repeat_begin(struct repeats *r, struct str caller, struct str key,
			       struct str request, uint64_t now_ms, uint64_t *id)
{
	unsigned char digest[SHA256_SIZE];
	tls_sha256(request, digest);
	make_room(r, now_ms);
	struct repeat *e = lookup(r, caller, key);
	if (e) {
		*id = e->id;
		return state_of(e, digest);
	}
	e = mem_new(struct repeat);
	e->id = *id = ++r->last_id;
	e->until_ms = now_ms + (uint64_t)REPEAT_HOURS * 3600 * 1000;
	e->running = true;
	e->caller = caller_of(r, caller);
	e->caller->n++;
	buf_str(&e->key, key);
	memcpy(e->request, digest, sizeof(digest));
	list_append(&r->list, &e->node);
	r->n++;
	return REPEAT_NEW;
}

static struct repeat *by_id(const struct repeats *r, uint64_t id)
{
	list_each (it, &r->list) {
		struct repeat *e = list_entry(it, struct repeat, node);
		if (e->id == id)
			return e;
	}
	return NULL;
}

void repeat_keep(struct repeats *r, uint64_t id, unsigned status, struct str answer)
{
	struct repeat *e = by_id(r, id);
	if (!e)
		return;
	e->running = false;
	e->status = status;
	e->too_large = answer.n > REPEAT_ANSWER_MAX;
	if (!e->too_large)
		buf_str(&e->answer, answer);
	r->bytes += e->answer.n;
	e->caller->bytes += e->answer.n;
}

void repeat_once(struct repeats *r, uint64_t id)
{
	struct repeat *e = by_id(r, id);
	if (!e)
		return;
	e->running = false;
	e->once = true;
}

void repeat_doubt(struct repeats *r, uint64_t id)
{
	struct repeat *e = by_id(r, id);
	if (!e)
		return;
	e->running = false;
	e->unknown = true;
}

void repeat_forget(struct repeats *r, uint64_t id)
{
	struct repeat *e = by_id(r, id);
	if (e)
		drop(r, e);
}

const struct repeat *repeat_find(const struct repeats *r, uint64_t id)
{
	return by_id(r, id);
}
