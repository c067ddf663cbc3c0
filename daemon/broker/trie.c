/* SPDX-License-Identifier: Apache-2.0
 *
 * The subscription index: see trie.h for who may call what.
 *
 * A node stands for one level of filters. Its literal children are in a persistent map keyed by
 * their label, "+" has a pointer of its own, and "#" needs no node: its subscribers are kept at the
 * level before it (open), since it matches that level too. Below the last level that tells a filter
 * from all others there are no nodes: the node keeps the rest of the levels as text, its tail,
 * until a filter comes that needs them apart. Nodes are reference-counted and shared between
 * versions; an edit changes those in place that only it holds and copies the others. Old versions
 * are dropped through the epoch, and take with them what nothing else holds.
 */
#include "daemon/broker/trie.h"
#include "daemon/base/err.h"
#include "daemon/base/hamt.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/base/ref.h"
#include "daemon/mqtt/topic.h"

#include <stdlib.h>

struct trie_node {
	struct hamt children;
	struct trie_node *plus;
	struct subs *here;  /* filters that end here */
	struct subs *open;  /* filters that end in "#" behind this level */
	struct hamt groups; /* shared subscriptions of both kinds */
	struct ref ref;
	uint16_t label_n;
	uint16_t tail_n; /* a node with a tail has no children */
	bool has_tail;   /* a tail may be empty: one empty level */
	char text[];     /* label, then tail */
};

/* The members of "$share/NAME/filter". Its key in the node is a mark, then the name. */
struct group {
	struct ref ref;
	uint32_t id_n;
	struct subs *members;
	uint64_t key;     /* as in struct trie_group */
	atomic_uint turn; /* the same; goes on in the next version */
	char id[];
};

enum { MARK_HERE = '=', MARK_OPEN = '#' };

struct trie_version {
	struct trie_node *root; /* NULL when there is no subscription */
	struct trie_stats stats;
};

struct trie {
	_Atomic(struct trie_version *) version;
	struct epoch *epoch;
	pthread_mutex_t writer;
};

static struct str node_key(const void *value)
{
	const struct trie_node *node = value;
	return str_make(node->text, node->label_n);
}

/* The levels behind the node's own, without "/#"; p = NULL when there are none. */
static struct str node_tail(const struct trie_node *node)
{
	return node->has_tail ? str_make(node->text + node->label_n, node->tail_n)
			      : (struct str){NULL, 0};
}

static void node_retain(void *value)
{
	struct trie_node *node = value;
	ref_get(&node->ref);
}

static void node_release(void *value);

static const struct hamt_ops child_ops = {node_key, node_retain, node_release, NULL};

static struct str group_key(const void *value)
{
	const struct group *g = value;
	return str_make(g->id, g->id_n);
}

static void group_retain(void *value)
{
	struct group *g = value;
	ref_get(&g->ref);
}

static void group_release(void *value)
{
	struct group *g = value;
	if (!ref_put(&g->ref))
		return;
	subs_unref(g->members);
	free(g);
}

static const struct hamt_ops group_ops = {group_key, group_retain, group_release, NULL};

static size_t node_size(size_t text_n)
{
	return MAX(sizeof(struct trie_node), offsetof(struct trie_node, text) + text_n);
}

static struct trie_node *node_new(struct str label, struct str tail)
{
	struct trie_node *node = mem_alloc(node_size(label.n + tail.n));
	ref_init(&node->ref);
	node->label_n = (uint16_t)label.n;
	node->tail_n = (uint16_t)tail.n;
	node->has_tail = tail.p != NULL;
	if (label.n)
		memcpy(node->text, label.p, label.n);
	if (tail.n)
		memcpy(node->text + label.n, tail.p, tail.n);
	return node;
}

static void node_release(void *value)
{
	struct trie_node *node = value;
	if (!node || !ref_put(&node->ref))
		return;
	hamt_free(&node->children, &child_ops);
	hamt_free(&node->groups, &group_ops);
	subs_unref(node->here);
	subs_unref(node->open);
	node_release(node->plus);
	free(node);
}

/* Turns the caller's reference into a node that nobody else holds. */
static struct trie_node *node_own(struct trie_node *node)
{
	if (ref_alone(&node->ref))
		return node;
	/* Field by field: others may be giving back their references to the node meanwhile. */
	struct trie_node *copy = node_new(node_key(node), node_tail(node));
	copy->children = hamt_copy(node->children, &child_ops);
	copy->groups = hamt_copy(node->groups, &group_ops);
	copy->here = subs_ref(node->here);
	copy->open = subs_ref(node->open);
	copy->plus = node->plus;
	if (copy->plus)
		node_retain(copy->plus);
	node_release(node);
	return copy;
}

static bool node_is_empty(const struct trie_node *node)
{
	return !node->children.root && !node->groups.root && !node->plus && !node->here &&
	       !node->open;
}

static struct group *group_own(struct group *g)
{
	if (ref_alone(&g->ref))
		return g;
	struct group *copy = mem_alloc(sizeof(*g) + g->id_n);
	ref_init(&copy->ref);
	copy->id_n = g->id_n;
	copy->members = subs_ref(g->members);
	copy->key = g->key;
	atomic_init(&copy->turn, atomic_load_explicit(&g->turn, memory_order_relaxed));
	memcpy(copy->id, g->id, g->id_n);
	group_release(g);
	return copy;
}

/* A filter taken apart. */
struct parts {
	struct str levels; /* without $share/NAME/ and "/#"; p = NULL when nothing is left */
	bool open;         /* it ended in "#" */
	struct str name;   /* of the group, p = NULL when not shared */
	uint64_t group;    /* hash of name and filter */
};

static int parts_of(struct str filter, struct parts *out)
{
	if (!topic_filter_valid(filter))
		return ERR_INVALID;
	const struct topic_share share = topic_share_split(filter);
	if (topic_levels(share.filter) > TRIE_LEVELS_MAX)
		return ERR_LIMIT;
	out->levels = share.filter;
	out->open = share.filter.p[share.filter.n - 1] == '#';
	if (out->open && share.filter.n > 1)
		out->levels.n -= 2;
	else if (out->open)
		out->levels = (struct str){NULL, 0};
	out->name = share.group;
	out->group = share.group.p ? hash_str(filter) : 0;
	return 0;
}

/* One change on its way down. */
struct change {
	struct parts parts;
	struct str rest;            /* levels not walked yet */
	const struct trie_sub *sub; /* NULL: remove */
	uint64_t handle;
	bool was_there;
	struct trie_stats *stats;
	struct str label; /* of the child to make */
	struct str id;    /* of the group */
};

static struct subs *change_set(struct subs *set, struct change *c)
{
	const bool had = set != NULL;
	set = c->sub ? subs_put(set, c->sub, &c->was_there)
		     : subs_remove(set, c->handle, &c->was_there);
	c->stats->filters += (size_t)(set != NULL) - (size_t)had;
	return set;
}

static void *change_group(void *ctx, void *old)
{
	struct change *c = ctx;
	struct group *g = old;
	if (g) {
		g = group_own(g);
	} else {
		g = mem_alloc(sizeof(*g) + c->id.n);
		ref_init(&g->ref);
		g->key = c->parts.group;
		g->id_n = (uint32_t)c->id.n;
		memcpy(g->id, c->id.p, c->id.n);
	}
	g->members = change_set(g->members, c);
	if (g->members)
		return g;
	group_release(g);
	return NULL;
}

/* The key of a group in its node; the caller frees. */
static struct str group_id(const struct parts *parts)
{
	char *id = mem_alloc(parts->name.n + 1);
	id[0] = parts->open ? MARK_OPEN : MARK_HERE;
	memcpy(id + 1, parts->name.p, parts->name.n);
	return (struct str){id, parts->name.n + 1};
}

/* The end of the filter is reached in an owned node. */
static void change_end(struct trie_node *node, struct change *c)
{
	if (c->parts.name.p) {
		c->id = group_id(&c->parts);
		hamt_edit(&node->groups, &group_ops, c->id, hash_str(c->id), change_group, c);
		free((char *)(uintptr_t)c->id.p);
	} else {
		struct subs **set = c->parts.open ? &node->open : &node->here;
		*set = change_set(*set, c);
	}
}

static struct trie_node *change_node(struct trie_node *node, struct change *c);

static void *change_child(void *ctx, void *old)
{
	return change_node(old, ctx);
}

/* The first level of the tail becomes a node of its own, which gets all that was here. Owned node;
 * the result replaces it. */
static struct trie_node *node_expand(struct trie_node *node)
{
	struct str rest = node_tail(node), level;
	topic_next(&rest, &level);
	const bool plus = str_is(level, "+");
	struct trie_node *child = node_new(plus ? (struct str){NULL, 0} : level, rest);
	child->here = TAKE(node->here);
	child->open = TAKE(node->open);
	child->groups = node->groups;
	node->groups = (struct hamt){0};
	if (plus)
		node->plus = child;
	else
		hamt_put(&node->children, &child_ops, child);
	node->tail_n = 0;
	node->has_tail = false;
	return mem_grow(node, node_size(node->label_n));
}

static bool same_levels(struct str a, struct str b)
{
	return (a.p == NULL) == (b.p == NULL) && str_eq(a, b);
}

/* Applies the change at or below the node (NULL: a new one with c->label). Takes over the reference
 * and returns the node to put there, NULL when nothing is left of it. */
static struct trie_node *change_node(struct trie_node *node, struct change *c)
{
	struct str level;
	c->stats->nodes += !node;
	node = node ? node_own(node) : node_new(c->label, c->rest);
	if (node->has_tail && !same_levels(node_tail(node), c->rest)) {
		node = node_expand(node);
		c->stats->nodes++;
	}
	if (node->has_tail || !topic_next(&c->rest, &level)) {
		change_end(node, c);
	} else if (str_is(level, "+")) {
		c->label = (struct str){NULL, 0};
		node->plus = change_node(node->plus, c);
	} else {
		c->label = level;
		hamt_edit(&node->children, &child_ops, level, hash_str(level), change_child, c);
	}
	if (!node_is_empty(node))
		return node;
	node_release(node);
	c->stats->nodes--;
	return NULL;
}

/* Takes over the reference to root. */
static void change_tree(struct trie_edit *edit, struct change *c)
{
	c->rest = c->parts.levels;
	c->stats = &edit->stats;
	/* The root has no tail: it has no level of its own that could tell filters apart. */
	if (!edit->root) {
		edit->root = node_new((struct str){NULL, 0}, (struct str){NULL, 0});
		c->stats->nodes++;
	}
	edit->root = change_node(edit->root, c);
	edit->changed = true;
}

static const struct trie_node *child_get(const struct trie_node *node, struct str level)
{
	if (str_is(level, "+"))
		return node->plus;
	return hamt_get(node->children, &child_ops, level,
			hamt_hashes(node->children) ? hash_str(level) : 0);
}

static const struct subs *group_members(const struct trie_node *node, const struct parts *parts)
{
	const struct str id = group_id(parts);
	const struct group *g = hamt_get(node->groups, &group_ops, id, hash_str(id));
	free((char *)(uintptr_t)id.p);
	return g ? g->members : NULL;
}

static const struct trie_sub *find(const struct trie_node *node, const struct parts *parts,
				   uint64_t handle)
{
	struct str rest = parts->levels, level = {NULL, 0};
	while (node && !node->has_tail && topic_next(&rest, &level))
		node = child_get(node, level);
	if (!node || !same_levels(node_tail(node), rest))
		return NULL;
	if (parts->name.p)
		return subs_get(group_members(node, parts), handle);
	return subs_get(parts->open ? node->open : node->here, handle);
}

int trie_subscribe(struct trie_edit *edit, struct str filter, const struct trie_sub *sub,
		   bool *replaced)
{
	struct change c = {.sub = sub, .handle = sub->handle};
	const int err = parts_of(filter, &c.parts);
	if (err)
		return err;
	change_tree(edit, &c);
	edit->stats.subscriptions += !c.was_there;
	edit->stats.shared += !c.was_there && c.parts.name.p;
	*replaced = c.was_there;
	return 0;
}

int trie_unsubscribe(struct trie_edit *edit, struct str filter, uint64_t handle)
{
	struct change c = {.handle = handle};
	/* Looking first spares the copy of a path that would not change. */
	if (parts_of(filter, &c.parts) || !find(edit->root, &c.parts, handle))
		return ERR_NOT_FOUND;
	change_tree(edit, &c);
	edit->stats.subscriptions--;
	edit->stats.shared -= c.parts.name.p != NULL;
	return 0;
}

size_t trie_unsubscribe_all(struct trie_edit *edit, uint64_t handle, const struct str *filters,
			    size_t n)
{
	size_t done = 0;
	for (size_t i = 0; i < n; i++)
		done += trie_unsubscribe(edit, filters[i], handle) == 0;
	return done;
}

static void version_free(void *what)
{
	struct trie_version *v = what;
	node_release(v->root);
	free(v);
}

struct trie *trie_new(struct epoch *epoch)
{
	struct trie *t = mem_new(struct trie);
	t->epoch = epoch;
	atomic_init(&t->version, mem_new(struct trie_version));
	CHECK(pthread_mutex_init(&t->writer, NULL) == 0);
	return t;
}

void trie_free(struct trie *t)
{
	version_free(atomic_load(&t->version));
	pthread_mutex_destroy(&t->writer);
	free(t);
}

void trie_edit_begin(struct trie *t, const struct epoch_reader *self, struct trie_edit *edit)
{
	/* A writer may have to wait for all readers: it must not be one of them. */
	CHECK(!self || !epoch_inside(self));
	pthread_mutex_lock(&t->writer);
	const struct trie_version *v = atomic_load(&t->version);
	*edit = (struct trie_edit){.trie = t, .root = v->root, .stats = v->stats};
	if (edit->root)
		node_retain(edit->root);
}

void trie_edit_commit(struct trie_edit *edit)
{
	struct trie *t = edit->trie;
	struct trie_version *old = NULL;
	if (edit->changed) {
		struct trie_version *v = mem_new(struct trie_version);
		v->root = edit->root;
		v->stats = edit->stats;
		v->stats.seq++;
		old = atomic_exchange(&t->version, v);
	} else {
		node_release(edit->root);
	}
	pthread_mutex_unlock(&t->writer);
	edit->trie = NULL;
	if (old)
		epoch_retire(t->epoch, version_free, old);
}

const struct trie_version *trie_load(const struct trie *t)
{
	return atomic_load(&t->version);
}

struct trie_stats trie_version_stats(const struct trie_version *v)
{
	return v->stats;
}

/* A topic on its way through the tree. Levels are split off and hashed when they are first needed
 * and once, however many branches ask for them. */
struct walk {
	const struct trie_visitor *visitor;
	struct str rest;
	bool dollar;
	unsigned n; /* levels split off so far */
	struct str level[TRIE_LEVELS_MAX + 1];
	uint64_t hash[TRIE_LEVELS_MAX + 1]; /* 0 = not yet */
};

/* Is there a level with this number? */
static bool walk_level(struct walk *w, unsigned at)
{
	if (at < w->n)
		return true;
	w->hash[at] = 0;
	if (!topic_next(&w->rest, &w->level[at]))
		return false;
	w->n++;
	return true;
}

static const struct trie_node *walk_child(struct walk *w, const struct trie_node *node, unsigned at)
{
	if (hamt_hashes(node->children) && !w->hash[at])
		w->hash[at] = hash_str(w->level[at]);
	return hamt_get(node->children, &child_ops, w->level[at], w->hash[at]);
}

struct groups {
	const struct trie_visitor *visitor;
	char mark;
};

static void visit_group(void *ctx, void *value)
{
	const struct groups *gs = ctx;
	struct group *g = value;
	if (g->id[0] != gs->mark)
		return;
	const struct trie_group out = {str_make(g->id + 1, g->id_n - 1), g->key, g->members,
				       &g->turn};
	gs->visitor->group(gs->visitor->ctx, &out);
}

static void visit(const struct walk *w, const struct trie_node *node, bool open)
{
	const struct trie_visitor *v = w->visitor;
	subs_each(open ? node->open : node->here, v->subs, v->ctx);
	if (!node->groups.root || !v->group)
		return;
	struct groups gs = {v, open ? MARK_OPEN : MARK_HERE};
	hamt_each(node->groups, visit_group, &gs);
}

/* Does the topic go on as the tail says? Moves *at behind it. */
static bool walk_tail(struct walk *w, const struct trie_node *node, unsigned *at)
{
	struct str rest = node_tail(node), level;
	for (; topic_next(&rest, &level); ++*at)
		if (!walk_level(w, *at) || !(str_is(level, "+") || str_eq(level, w->level[*at])))
			return false;
	return true;
}

static void match(struct walk *w, const struct trie_node *node, unsigned at)
{
	while (node && walk_tail(w, node, &at)) {
		const bool wildcards = at > 0 || !w->dollar;
		if (wildcards)
			visit(w, node, true);
		if (!walk_level(w, at)) {
			visit(w, node, false);
			return;
		}
		if (wildcards && node->plus)
			match(w, node->plus, at + 1);
		node = node->children.root ? walk_child(w, node, at) : NULL;
		at++;
	}
}

void trie_match(const struct trie_version *v, struct str topic, const struct trie_visitor *visitor)
{
	struct walk w;
	w.visitor = visitor;
	w.rest = topic;
	w.dollar = str_prefix(topic, STR("$"));
	w.n = 0;
	match(&w, v->root, 0);
}

const struct trie_sub *trie_find(const struct trie_version *v, struct str filter, uint64_t handle)
{
	struct parts parts;
	return parts_of(filter, &parts) ? NULL : find(v->root, &parts, handle);
}

bool trie_begins_with(const struct trie_version *v, struct str level)
{
	return v->root && child_get(v->root, level);
}

static void group_size(void *ctx, void *value)
{
	const struct group *g = value;
	size_t *bytes = ctx;
	*bytes += sizeof(*g) + g->id_n + subs_bytes(g->members);
}

static void node_bytes(void *ctx, void *value)
{
	const struct trie_node *node = value;
	size_t *bytes = ctx;
	if (!node)
		return;
	*bytes += node_size(node->label_n + node->tail_n) + hamt_bytes(node->children) +
		  hamt_bytes(node->groups) + subs_bytes(node->here) + subs_bytes(node->open);
	hamt_each(node->groups, group_size, bytes);
	hamt_each(node->children, node_bytes, bytes);
	node_bytes(bytes, node->plus);
}

size_t trie_version_bytes(const struct trie_version *v)
{
	size_t bytes = sizeof(*v);
	node_bytes(&bytes, v->root);
	return bytes;
}
