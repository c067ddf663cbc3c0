/* SPDX-License-Identifier: Apache-2.0
 *
 * Retained messages: see retain.h.
 *
 * A node is a level of topics; its children are in a hash map, whose order depends on their labels
 * alone. That is what lets a walk go on behind a topic that may be gone by now.
 */
#include "daemon/broker/retain.h"
#include "daemon/base/err.h"
#include "daemon/base/hamt.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/mqtt/topic.h"

#include <pthread.h>
#include <stdlib.h>

enum { STEP_NODES = 1024 /* looked at with the lock held */ };

struct node {
	struct hamt children;
	struct msg *msg;  /* NULL: only the way to longer topics */
	uint64_t version; /* of the message */
	bool stored;      /* in the spool, too */
	uint16_t label_n;
	char label[];
};

struct retain {
	pthread_mutex_t lock;
	struct node *root; /* has no label and no message */
	atomic_size_t messages;
	atomic_size_t bytes;
	atomic_size_t mortal; /* messages that can expire */
	uint64_t version;     /* of the last change */
	struct buf expired;   /* stored ones, see retain_take_expired */
};

static struct str node_key(const void *value)
{
	const struct node *n = value;
	return str_make(n->label, n->label_n);
}

/* The tree is never shared: no node is in two maps. */
static void node_retain(void *value)
{
	(void)value;
}

static void node_free(void *value);

static const struct hamt_ops child_ops = {node_key, node_retain, node_free, NULL};

static void node_free(void *value)
{
	struct node *n = value;
	hamt_free(&n->children, &child_ops);
	if (n->msg)
		msg_unref(n->msg);
	free(n);
}

static struct node *node_new(struct str label)
{
	struct node *n = mem_alloc(sizeof(*n) + label.n);
	n->label_n = (uint16_t)label.n;
	if (label.n)
		memcpy(n->label, label.p, label.n);
	return n;
}

static struct node *child_of(const struct node *n, struct str label)
{
	return hamt_get(n->children, &child_ops, label,
			hamt_hashes(n->children) ? hash_str(label) : 0);
}

static bool is_bare(const struct node *n)
{
	return !n->msg && !n->children.root;
}

struct retain *retain_new(void)
{
	struct retain *r = mem_new(struct retain);
	CHECK(pthread_mutex_init(&r->lock, NULL) == 0);
	r->root = node_new(STR(""));
	return r;
}

void retain_free(struct retain *r)
{
	node_free(r->root);
	pthread_mutex_destroy(&r->lock);
	buf_fini(&r->expired);
	free(r);
}

/* The gateway's own say nothing of how many there are, and take nobody's room. */
static void count(struct retain *r, const struct msg *m, size_t sign)
{
	r->messages += m->own ? 0 : sign;
	r->bytes += m->own ? 0 : sign * msg_size(m);
	r->mortal += m->expires_ms ? sign : 0;
}

struct retain_size retain_size(const struct retain *r)
{
	return (struct retain_size){r->messages, r->bytes};
}

/* ---- changes ----------------------------------------------------------------------------------
 */

static struct node *find(const struct retain *r, struct str topic)
{
	struct node *n = r->root;
	for (struct str level; n && topic_next(&topic, &level);)
		n = child_of(n, level);
	return n;
}

struct change {
	struct str rest;
	struct str level;
	struct msg *msg; /* NULL: remove */
	uint64_t version;
	bool stored;
};

static void fill(struct node *n, const struct change *c)
{
	n->msg = c->msg;
	n->version = c->version;
	n->stored = c->stored;
}

static void *change_child(void *ctx, void *old)
{
	struct change *c = ctx;
	struct node *n = old ? old : node_new(c->level);
	if (topic_next(&c->rest, &c->level))
		hamt_edit(&n->children, &child_ops, c->level, hash_str(c->level), change_child, c);
	else
		fill(n, c);
	if (!is_bare(n))
		return n;
	node_free(n);
	return NULL;
}

/* Puts c->msg where the topic is, NULL for nothing; what was there is the caller's. */
static void put(struct retain *r, struct str topic, struct change *c)
{
	c->rest = topic;
	topic_next(&c->rest, &c->level);
	hamt_edit(&r->root->children, &child_ops, c->level, hash_str(c->level), change_child, c);
}

static bool fits(const struct retain *r, const struct msg *m, const struct msg *old,
		 const struct retain_limits *limits)
{
	const bool counted = old && !old->own;
	const size_t bytes = r->bytes - (counted ? msg_size(old) : 0) + msg_size(m);
	return m->own || (r->messages + !counted <= limits->messages && bytes <= limits->bytes);
}

static int replace(struct retain *r, struct str topic, struct change *c,
		   const struct retain_limits *limits, struct retain_change *done, struct msg **old)
{
	struct node *n = find(r, topic);
	*old = n ? n->msg : NULL;
	*done = (struct retain_change){.was_stored = *old && n->stored, .is_kept = c->msg};
	if (c->msg && !fits(r, c->msg, *old, limits)) {
		*old = NULL;
		return ERR_LIMIT;
	}
	if (!c->msg && !*old)
		return 0;
	done->version = c->version = ++r->version;
	if (*old)
		count(r, *old, (size_t)-1);
	if (c->msg)
		count(r, msg_ref(c->msg), 1);
	if (n && c->msg)
		fill(n, c);
	else
		put(r, topic, c);
	return 0;
}

int retain_set(struct retain *r, struct msg *m, const struct retain_limits *limits, bool stored,
	       struct retain_change *done)
{
	struct msg *old;
	struct change c = {.msg = m->shared.payload.n ? m : NULL, .stored = stored};
	pthread_mutex_lock(&r->lock);
	const int err = replace(r, m->shared.topic, &c, limits, done, &old);
	pthread_mutex_unlock(&r->lock);
	if (old)
		msg_unref(old);
	return err;
}

void retain_drop(struct retain *r, struct str topic, struct retain_change *done)
{
	struct msg *old;
	struct change none = {0};
	pthread_mutex_lock(&r->lock);
	CHECK(replace(r, topic, &none, NULL, done, &old) == 0);
	pthread_mutex_unlock(&r->lock);
	if (old)
		msg_unref(old);
}

void retain_forget(struct retain *r, struct str topic, uint64_t version)
{
	struct msg *old = NULL;
	struct change none = {0};
	struct retain_change done;
	pthread_mutex_lock(&r->lock);
	const struct node *n = find(r, topic);
	if (n && n->msg && n->version == version)
		CHECK(replace(r, topic, &none, NULL, &done, &old) == 0);
	pthread_mutex_unlock(&r->lock);
	if (old)
		msg_unref(old);
}

void retain_number_from(struct retain *r, uint64_t version)
{
	pthread_mutex_lock(&r->lock);
	r->version = MAX(r->version, version);
	pthread_mutex_unlock(&r->lock);
}

void retain_restore(struct retain *r, struct msg *m, uint64_t version)
{
	struct change c = {.msg = m, .version = version, .stored = true};
	pthread_mutex_lock(&r->lock);
	const struct node *n = find(r, m->shared.topic);
	if (!n || !n->msg) {
		count(r, msg_ref(m), 1);
		put(r, m->shared.topic, &c);
	}
	pthread_mutex_unlock(&r->lock);
}

struct buf retain_take_expired(struct retain *r)
{
	pthread_mutex_lock(&r->lock);
	const struct buf expired = r->expired;
	r->expired = (struct buf){0};
	pthread_mutex_unlock(&r->lock);
	return expired;
}

/* ---- walks ------------------------------------------------------------------------------------
 */

/* One step of a walk. Where it stops, path is the node that is to be visited next. */
struct walk {
	struct retain *retain;
	struct buf *path;
	unsigned depth;
	uint64_t now_ms;
	struct retain_room room;
	struct msg **out; /* NULL: none are taken */
	size_t n;
	size_t bytes;
	unsigned nodes;
	bool dollar; /* wildcards reach "$" topics */
};

/* The way to the node to go on with, below some node that lies on it: visited already are that node
 * and all children before the first level. {NULL, 0}: nothing of the node was visited. */
static const struct str fresh = {NULL, 0};

static void note_expired(struct retain *r, const struct node *n)
{
	const size_t size = 8 + 4 + n->msg->shared.topic.n;
	if (!n->stored)
		return;
	struct out o = out_make(buf_reserve(&r->expired, size), size);
	out_u64le(&o, ++r->version);
	out_str32le(&o, n->msg->shared.topic);
	r->expired.n += size;
}

/* False: there is no room for it, nothing was taken. */
static bool take(struct walk *w, struct node *n)
{
	struct msg *m = n->msg;
	if (m && msg_expired(m, w->now_ms)) {
		note_expired(w->retain, n);
		count(w->retain, m, (size_t)-1);
		msg_unref(TAKE(n->msg));
		return true;
	}
	if (!m || !w->out)
		return true;
	if (w->n == w->room.messages || (w->n && w->bytes + msg_size(m) > w->room.bytes))
		return false;
	w->out[w->n++] = msg_ref(m);
	w->bytes += msg_size(m);
	return true;
}

static bool visit(struct walk *w, struct node *n, struct str rest, struct str way);

/* Visits a child and takes it out when nothing is left of it. False: stop. */
static bool visit_child(struct walk *w, struct node *n, struct node *child, struct str rest,
			struct str way)
{
	const size_t length = w->path->n;
	if (w->depth++)
		buf_putc(w->path, '/');
	buf_str(w->path, node_key(child));
	if (!visit(w, child, rest, way))
		return false;
	w->path->n = length;
	w->depth--;
	if (is_bare(child))
		hamt_remove(&n->children, &child_ops, node_key(child));
	return true;
}

static bool visit_children(struct walk *w, struct node *n, struct str rest, struct str way)
{
	const bool skip = w->depth == 0 && !w->dollar; /* [MQTT-4.7.2-1] */
	uint64_t at, *after = NULL;
	struct str level;
	struct node *child;
	if (topic_next(&way, &level)) {
		at = hash_str(level);
		after = &at;
		child = child_of(n, level);
		if (child && !visit_child(w, n, child, rest, way))
			return false;
	}
	while ((child = hamt_next(n->children, &child_ops, after)) != NULL) {
		at = hash_str(node_key(child));
		after = &at;
		if (skip && str_prefix(node_key(child), STR("$")))
			continue;
		if (!visit_child(w, n, child, rest, fresh))
			return false;
	}
	return true;
}

/* The node and what the rest of the filter matches below it, from the way on. */
static bool visit(struct walk *w, struct node *n, struct str rest, struct str way)
{
	struct str level, on;
	const bool all = rest.p && str_is(rest, "#");
	const bool here = all || !rest.p;
	if (!way.p && (w->nodes++ == STEP_NODES || (here && !take(w, n))))
		return false;
	if (all)
		return visit_children(w, n, rest, way);
	if (!topic_next(&rest, &level))
		return true;
	if (str_is(level, "+"))
		return visit_children(w, n, rest, way);
	struct node *child = child_of(n, level);
	topic_next(&way, &on);
	return !child || visit_child(w, n, child, rest, way);
}

/* The path goes on from where the cursor is, and is left where the next step begins. */
static void step(struct walk *w, struct str filter, struct retain_cursor *c)
{
	struct buf path = {0};
	const struct str way = !c->begun ? fresh : c->path.p ? buf_view(&c->path) : STR("");
	w->path = &path;
	pthread_mutex_lock(&w->retain->lock);
	c->over = visit(w, w->retain->root, filter, way);
	pthread_mutex_unlock(&w->retain->lock);
	w->path = NULL;
	buf_fini(&c->path);
	c->path = path;
	c->begun = true;
}

size_t retain_next(struct retain *r, struct str filter, struct retain_cursor *c, uint64_t now_ms,
		   struct retain_room room, struct msg **out)
{
	struct walk w = {.retain = r, .now_ms = now_ms, .room = room, .out = out};
	step(&w, filter, c);
	return w.n;
}

void retain_sweep(struct retain *r, struct retain_cursor *c, uint64_t now_ms)
{
	struct walk w = {.retain = r, .now_ms = now_ms, .dollar = true};
	if (r->mortal == 0)
		return;
	step(&w, STR("#"), c);
	if (c->over)
		retain_cursor_fini(c);
}

void retain_cursor_fini(struct retain_cursor *c)
{
	buf_fini(&c->path);
	*c = (struct retain_cursor){0};
}

/* ---- all of them ------------------------------------------------------------------------------
 */

struct each {
	void (*fn)(void *ctx, struct msg *m, uint64_t version);
	void *ctx;
};

static void each_node(void *ctx, void *value)
{
	const struct each *e = ctx;
	const struct node *n = value;
	if (n->msg && n->stored)
		e->fn(e->ctx, n->msg, n->version);
	hamt_each(n->children, each_node, ctx);
}

void retain_each_stored(struct retain *r, void (*fn)(void *ctx, struct msg *m, uint64_t version),
			void *ctx)
{
	struct each e = {fn, ctx};
	pthread_mutex_lock(&r->lock);
	each_node(&e, r->root);
	pthread_mutex_unlock(&r->lock);
}

/* ---- for tests --------------------------------------------------------------------------------
 */

static void add_memory(void *ctx, void *value)
{
	size_t *sum = ctx;
	const struct node *n = value;
	*sum += sizeof(*n) + n->label_n + hamt_bytes(n->children);
	*sum += n->msg ? msg_size(n->msg) : 0;
	hamt_each(n->children, add_memory, sum);
}

size_t retain_memory(struct retain *r)
{
	size_t sum = sizeof(*r);
	pthread_mutex_lock(&r->lock);
	add_memory(&sum, r->root);
	pthread_mutex_unlock(&r->lock);
	return sum;
}
