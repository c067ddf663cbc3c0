/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry view: see registry.h.
 *
 * Rules hang under their subject (everyone, a device, a group, a role). An identity's rules are
 * those of its subjects; the compiled set is kept by the subjects and their versions, so a change
 * of one role compiles the sets of its holders anew and leaves all others as they are. Writers hold
 * the lock alone; readers share it, and take the cache mutex to make an identity that is not there.
 */
#include "daemon/broker/registry.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/frame.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { PRIORITY_BIAS = INT32_MIN, LEARN_LOOK_S = 60 };

struct subject {
	enum subject_kind kind;
	char *name;
	uint64_t version;
	struct rule **rule;
	size_t n;
};

struct rule {
	uint64_t id;
	struct subject *subject;
	char *filter;
	bool allow;
	uint8_t actions;
	bool literal;
	uint8_t qos;
	uint8_t retain;
	int32_t priority;
	struct cidr *network;
	size_t network_n;
	int64_t learn_until; /* 0: an ordinary rule */
};

struct device {
	uint64_t id;
	char *name;
	bool enabled;
	char *groups; /* lists as they came */
	size_t groups_n;
	char *roles;
	size_t roles_n;
	struct identity *identity; /* under the cache mutex */
	uint64_t checked;          /* generation in which it was last found right */
};

struct certificate {
	uint64_t device_id;
	int64_t not_before;
	int64_t not_after;
	uint8_t status;
	uint8_t reason;
};

struct authority {
	uint8_t kind;
	size_t n;
	char der[];
};

struct part {
	const struct subject *subject;
	uint64_t version;
};

struct compiled {
	struct acl_set *set;
	bool uses_certificate;
	bool learns;
	size_t n;
	struct part part[];
};

struct state {
	struct map devices;
	struct map names; /* of devices -> struct device */
	struct map certificates;
	struct map rules;
	struct map authorities;
	struct map subjects; /* kind byte and name */
	struct map sets;     /* the parts, byte for byte */
};

struct registry {
	pthread_rwlock_t lock;
	pthread_mutex_t cache;
	_Atomic uint64_t generation;
	_Atomic int64_t grace;
	uint64_t seq;
	uint64_t version; /* last one given to a subject */
	struct state state;
	struct device anonymous;
	int64_t learn_look; /* when the next rules of the learn mode are looked for; its too */
	struct buf status;  /* for registry_take_status; the control thread's */
	bool status_whole;
};

struct identity *identity_ref(struct identity *id)
{
	ref_get(&id->ref);
	return id;
}

void identity_unref(struct identity *id)
{
	if (!ref_put(&id->ref))
		return;
	acl_set_unref(id->acl);
	free(id->group);
	free(id->name);
	free(id);
}

/* ---- the state --------------------------------------------------------------------------------
 */

static void device_free(struct device *d)
{
	if (d->identity)
		identity_unref(d->identity);
	free(d->name);
	free(d->groups);
	free(d->roles);
	free(d);
}

static void subject_free(struct subject *s)
{
	free(s->rule);
	free(s->name);
	free(s);
}

static void compiled_free(struct compiled *c)
{
	acl_set_unref(c->set);
	free(c);
}

static void rule_free(struct rule *r)
{
	free(r->filter);
	free(r->network);
	free(r);
}

#define MAP_FREE(map, free_value)                                  \
	do {                                                       \
		size_t at_ = 0;                                    \
		struct str key_;                                   \
		for (void *v_; map_next((map), &at_, &key_, &v_);) \
			free_value(v_);                            \
		map_fini(map);                                     \
	} while (0)

static void state_fini(struct state *s)
{
	map_fini(&s->names);
	MAP_FREE(&s->devices, device_free);
	MAP_FREE(&s->certificates, free);
	MAP_FREE(&s->rules, rule_free);
	MAP_FREE(&s->authorities, free);
	MAP_FREE(&s->subjects, subject_free);
	MAP_FREE(&s->sets, compiled_free);
}

enum { SUBJECT_KEY_MAX = 1 + 4096 };

static struct str subject_key(enum subject_kind kind, struct str name, char key[SUBJECT_KEY_MAX])
{
	const size_t n = MIN(name.n, (size_t)SUBJECT_KEY_MAX - 1);
	key[0] = (char)kind;
	if (n)
		memcpy(key + 1, name.p, n);
	return str_make(key, n + 1);
}

static struct subject *subject_find(const struct state *s, enum subject_kind kind, struct str name)
{
	char key[SUBJECT_KEY_MAX];
	return map_get(&s->subjects, subject_key(kind, name, key));
}

static struct subject *subject_make(struct state *s, enum subject_kind kind, struct str name)
{
	char key[SUBJECT_KEY_MAX];
	struct subject *subject = subject_find(s, kind, name);
	if (subject)
		return subject;
	subject = mem_new(struct subject);
	subject->kind = kind;
	subject->name = str_dup(name);
	map_set(&s->subjects, subject_key(kind, name, key), subject);
	return subject;
}

static void subject_add(struct registry *r, struct subject *s, struct rule *rule)
{
	s->rule = mem_grow(s->rule, (s->n + 1) * sizeof(*s->rule));
	s->rule[s->n++] = rule;
	s->version = ++r->version;
}

static void subject_drop(struct registry *r, struct subject *s, const struct rule *rule)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->rule[i] != rule)
			continue;
		s->rule[i] = s->rule[--s->n];
		s->version = ++r->version;
		return;
	}
}

/* ---- records of the store ---------------------------------------------------------------------
 */

static bool bytes_differ(const char *p, size_t n, struct str s)
{
	return !str_eq(str_make(p, n), s);
}

static void device_changed(const struct device *old, const struct body_reg_device *b, bool gone,
			   struct registry_change *change)
{
	if (old->enabled && (gone || !b->enabled))
		change->rights_lost = true;
	if (gone || !str_is(b->name, old->name) ||
	    bytes_differ(old->groups, old->groups_n, b->groups) ||
	    bytes_differ(old->roles, old->roles_n, b->roles))
		change->access = true;
}

static int take_device(struct registry *r, struct state *s, bool gone, struct str body,
		       struct registry_change *change)
{
	struct body_reg_device b;
	(void)r;
	if (body_reg_device_get(body, &b) || b.id == 0 ||
	    (!gone && (!strs_valid(b.groups) || !strs_valid(b.roles))))
		return ERR_MALFORMED;
	struct device *old = map_remove(&s->devices, MAP_KEY(b.id));
	if (old) {
		device_changed(old, &b, gone, change);
		if (map_get(&s->names, str_of(old->name)) == old)
			map_remove(&s->names, str_of(old->name));
		device_free(old);
	}
	if (gone)
		return 0;
	struct device *d = mem_new(struct device);
	d->id = b.id;
	d->name = str_dup(b.name);
	d->enabled = b.enabled;
	d->groups = mem_copy(b.groups.p, b.groups.n);
	d->groups_n = b.groups.n;
	d->roles = mem_copy(b.roles.p, b.roles.n);
	d->roles_n = b.roles.n;
	map_set(&s->devices, MAP_KEY(d->id), d);
	map_set(&s->names, b.name, d);
	return 0;
}

/* Good ones matter only when they were not before. */
static void note_status(struct registry *r, const struct body_reg_cert *b, bool gone,
			const struct certificate *old)
{
	struct registry_status e = {.status = gone ? CERT_GOOD : b->status,
				    .reason = b->reason,
				    .revoked_at = (int64_t)b->revoked_at};
	if (e.status == CERT_GOOD && (!old || old->status == CERT_GOOD))
		return;
	memcpy(e.fingerprint, b->fingerprint.p, STREAM_FINGERPRINT);
	buf_put(&r->status, &e, sizeof(e));
}

static int take_certificate(struct registry *r, struct state *s, bool gone, struct str body,
			    struct registry_change *change)
{
	struct body_reg_cert b;
	if (body_reg_cert_get(body, &b) || b.fingerprint.n != STREAM_FINGERPRINT)
		return ERR_MALFORMED;
	struct certificate *old = map_get(&s->certificates, b.fingerprint);
	note_status(r, &b, gone, old);
	if (old && old->status == CERT_GOOD &&
	    (gone || b.status != CERT_GOOD || b.device_id != old->device_id ||
	     (int64_t)b.not_after_at < old->not_after))
		change->rights_lost = true;
	if (gone) {
		free(map_remove(&s->certificates, b.fingerprint));
		return 0;
	}
	struct certificate *c = old ? old : mem_new(struct certificate);
	c->device_id = b.device_id;
	c->status = b.status;
	c->reason = b.reason;
	c->not_before = (int64_t)MIN(b.not_before_at, (uint64_t)INT64_MAX);
	c->not_after = (int64_t)MIN(b.not_after_at, (uint64_t)INT64_MAX);
	if (!old)
		map_set(&s->certificates, b.fingerprint, c);
	return 0;
}

static void drop_rule(struct registry *r, struct state *s, uint64_t id)
{
	struct rule *rule = map_remove(&s->rules, MAP_KEY(id));
	if (!rule)
		return;
	subject_drop(r, rule->subject, rule);
	rule_free(rule);
}

static int take_rule(struct registry *r, struct state *s, bool gone, struct str body,
		     struct registry_change *change)
{
	struct body_reg_rule b;
	struct cidr network[ACL_NETWORKS_MAX];
	size_t network_n;
	if (body_reg_rule_get(body, &b) || b.subject_kind > SUBJECT_ROLE ||
	    acl_networks_parse(b.networks, network, &network_n, NULL))
		return ERR_MALFORMED;
	change->access = true;
	drop_rule(r, s, b.id);
	if (gone)
		return 0;
	struct rule *rule = mem_new(struct rule);
	rule->id = b.id;
	rule->subject = subject_make(s, b.subject_kind, b.subject);
	rule->filter = str_dup(b.filter);
	rule->allow = b.allow;
	rule->actions = b.actions;
	rule->priority = (int32_t)(b.priority ^ (uint32_t)PRIORITY_BIAS);
	rule->literal = b.literal;
	rule->qos = b.qos;
	rule->retain = b.retain;
	rule->network_n = network_n;
	rule->network = network_n ? mem_copy(network, network_n * sizeof(*network)) : NULL;
	rule->learn_until = (int64_t)MIN(b.learn_until_at, (uint64_t)INT64_MAX);
	map_set(&s->rules, MAP_KEY(rule->id), rule);
	subject_add(r, rule->subject, rule);
	return 0;
}

static int take_authority(struct registry *r, struct state *s, bool gone, struct str body,
			  struct registry_change *change)
{
	struct body_reg_ca b;
	(void)r;
	if (body_reg_ca_get(body, &b))
		return ERR_MALFORMED;
	change->authorities = true;
	free(map_remove(&s->authorities, MAP_KEY(b.id)));
	if (gone)
		return 0;
	struct authority *a = mem_alloc(sizeof(*a) + b.der.n);
	a->kind = b.kind;
	a->n = b.der.n;
	if (b.der.n)
		memcpy(a->der, b.der.p, b.der.n);
	map_set(&s->authorities, MAP_KEY(b.id), a);
	return 0;
}

static int take_entries(struct registry *r, struct state *s, struct str entries,
			struct registry_change *change)
{
	static int (*const take[])(struct registry *, struct state *, bool, struct str,
				   struct registry_change *) = {
		[ENTRY_DEVICE] = take_device,
		[ENTRY_CERT] = take_certificate,
		[ENTRY_RULE] = take_rule,
		[ENTRY_CA] = take_authority,
	};
	struct cur c = cur_of(entries);
	struct str record;
	while (entries_next(&c, &record)) {
		struct body_entry e;
		if (body_entry_get(record, &e) || e.kind >= ARRAY_LEN(take) ||
		    take[e.kind](r, s, e.gone, e.body, change))
			return ERR_MALFORMED;
	}
	return cur_ok(&c) ? 0 : ERR_MALFORMED;
}

/* Sets of which a subject has changed are of no more use; so are subjects without rules then. */
static void purge(struct state *s)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&s->sets, &at, &key, &value);) {
		struct compiled *c = value;
		bool stale = false;
		for (size_t i = 0; i < c->n; i++)
			stale |= c->part[i].subject->version != c->part[i].version;
		if (stale) {
			map_remove(&s->sets, key);
			compiled_free(c);
		}
	}
	at = 0;
	for (void *value; map_next(&s->subjects, &at, &key, &value);) {
		struct subject *subject = value;
		if (subject->n == 0) {
			map_remove(&s->subjects, key);
			subject_free(subject);
		}
	}
}

/* ---- writers ----------------------------------------------------------------------------------
 */

struct registry *registry_new(void)
{
	struct registry *r = mem_new(struct registry);
	pthread_rwlockattr_t attr;
	CHECK(pthread_rwlockattr_init(&attr) == 0);
	/* While all sessions are judged anew readers follow each other without a gap: the next
	 * revocation must not wait for the end of that. */
	CHECK(pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP) ==
	      0);
	CHECK(pthread_rwlock_init(&r->lock, &attr) == 0);
	pthread_rwlockattr_destroy(&attr);
	CHECK(pthread_mutex_init(&r->cache, NULL) == 0);
	atomic_init(&r->generation, 1);
	r->anonymous.enabled = true;
	r->anonymous.name = mem_strdup("");
	return r;
}

void registry_free(struct registry *r)
{
	state_fini(&r->state);
	if (r->anonymous.identity)
		identity_unref(r->anonymous.identity);
	free(r->anonymous.name);
	buf_fini(&r->status);
	pthread_mutex_destroy(&r->cache);
	pthread_rwlock_destroy(&r->lock);
	free(r);
}

static void moved(struct registry *r)
{
	atomic_fetch_add_explicit(&r->generation, 1, memory_order_release);
}

int registry_load(struct registry *r, uint64_t seq, struct str entries,
		  struct registry_change *change)
{
	struct state fresh = {0};
	struct registry_change ignored = {0};
	r->status.n = 0;
	r->status_whole = true;
	if (take_entries(r, &fresh, entries, &ignored)) {
		r->status.n = 0;
		r->status_whole = false;
		state_fini(&fresh);
		return ERR_MALFORMED;
	}
	pthread_rwlock_wrlock(&r->lock);
	struct state old = r->state;
	r->state = fresh;
	r->seq = seq;
	moved(r);
	pthread_rwlock_unlock(&r->lock);
	state_fini(&old);
	*change = (struct registry_change){true, true, true};
	return 0;
}

int registry_apply(struct registry *r, uint64_t seq, struct str entries,
		   struct registry_change *change)
{
	struct registry_change c = {0};
	if (seq != r->seq + 1)
		return ERR_CONFLICT;
	pthread_rwlock_wrlock(&r->lock);
	const int err = take_entries(r, &r->state, entries, &c);
	r->seq = seq;
	if (c.access)
		purge(&r->state);
	if (c.access || c.rights_lost)
		moved(r);
	pthread_rwlock_unlock(&r->lock);
	*change = c;
	return err;
}

static uint64_t ended_learning(const struct state *s, int64_t now)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&s->rules, &at, &key, &value);) {
		const struct rule *rule = value;
		if (rule->learn_until && rule->learn_until <= now)
			return rule->id;
	}
	return 0;
}

bool registry_end_learning(struct registry *r, int64_t now)
{
	uint64_t id;
	if (now < r->learn_look)
		return false;
	r->learn_look = now + LEARN_LOOK_S;
	if (!ended_learning(&r->state, now))
		return false;
	pthread_rwlock_wrlock(&r->lock);
	while ((id = ended_learning(&r->state, now)))
		drop_rule(r, &r->state, id);
	purge(&r->state);
	moved(r);
	pthread_rwlock_unlock(&r->lock);
	return true;
}

bool registry_take_status(struct registry *r, struct buf *out)
{
	const bool whole = r->status_whole;
	buf_str(out, buf_view(&r->status));
	buf_fini(&r->status);
	r->status_whole = false;
	return whole;
}

/* ---- readers ----------------------------------------------------------------------------------
 */

uint64_t registry_generation(const struct registry *r)
{
	return atomic_load_explicit(&r->generation, memory_order_acquire);
}

/* The subjects of a device that have rules, in one order for all devices with the same ones. */
struct parts {
	struct part *p;
	size_t n;
};

static void parts_add(struct parts *parts, const struct subject *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < parts->n; i++)
		if (parts->p[i].subject == s)
			return;
	parts->p = mem_grow(parts->p, (parts->n + 1) * sizeof(*parts->p));
	parts->p[parts->n++] = (struct part){s, s->version};
}

static int by_subject(const void *a, const void *b)
{
	const uintptr_t x = (uintptr_t)((const struct part *)a)->subject;
	const uintptr_t y = (uintptr_t)((const struct part *)b)->subject;
	return (x > y) - (x < y);
}

static void collect_parts(const struct state *s, const struct device *d, struct parts *parts)
{
	struct str list = str_make(d->groups, d->groups_n);
	struct str name;
	parts_add(parts, subject_find(s, SUBJECT_ANY, STR("")));
	if (d->id)
		parts_add(parts, subject_find(s, SUBJECT_DEVICE, str_of(d->name)));
	while (strs_next(&list, &name))
		parts_add(parts, subject_find(s, SUBJECT_GROUP, name));
	list = str_make(d->roles, d->roles_n);
	while (strs_next(&list, &name))
		parts_add(parts, subject_find(s, SUBJECT_ROLE, name));
	if (parts->n)
		qsort(parts->p, parts->n, sizeof(*parts->p), by_subject);
}

static enum acl_subject acl_subject_of(enum subject_kind kind)
{
	static const enum acl_subject of[] = {
		[SUBJECT_ANY] = ACL_SUBJECT_ANY,
		[SUBJECT_DEVICE] = ACL_SUBJECT_DEVICE,
		[SUBJECT_GROUP] = ACL_SUBJECT_GROUP,
		[SUBJECT_ROLE] = ACL_SUBJECT_ROLE,
	};
	return of[kind];
}

static bool usable(const struct acl_rule *rule)
{
	struct why why;
	if (acl_rule_check(rule, &why) == 0)
		return true;
	log_error("access rule %llu is not used: %s", (unsigned long long)rule->id, why.text);
	return false;
}

static size_t rules_of(const struct parts *parts, struct acl_rule *out)
{
	size_t n = 0;
	for (size_t i = 0; i < parts->n; i++) {
		const struct subject *s = parts->p[i].subject;
		for (size_t k = 0; k < s->n; k++) {
			const struct rule *rule = s->rule[k];
			out[n] = (struct acl_rule){
				.id = rule->id,
				.effect = rule->allow ? ACL_ALLOW : ACL_DENY,
				.actions = rule->actions,
				.priority = rule->priority,
				.filter = str_of(rule->filter),
				.match = rule->literal ? ACL_LITERAL : ACL_PATTERN,
				.qos = rule->qos,
				.retain = (enum acl_retain)rule->retain,
				.network = rule->network,
				.network_n = rule->network_n,
				.subject = acl_subject_of(s->kind),
				.subject_name = str_of(s->name),
			};
			n += usable(&out[n]);
		}
	}
	return n;
}

static bool any_certificate(const struct acl_rule *rule, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (str_find(rule[i].filter, "${cn}") || str_find(rule[i].filter, "${san}"))
			return true;
	return false;
}

static bool any_learns(const struct parts *parts)
{
	for (size_t i = 0; i < parts->n; i++)
		for (size_t k = 0; k < parts->p[i].subject->n; k++)
			if (parts->p[i].subject->rule[k]->learn_until)
				return true;
	return false;
}

static struct compiled *compile(const struct parts *parts)
{
	size_t max = 0;
	for (size_t i = 0; i < parts->n; i++)
		max += parts->p[i].subject->n;
	struct acl_rule *rule = mem_array(struct acl_rule, max);
	size_t n = rules_of(parts, rule);
	struct why why;
	struct acl_set *set;
	if (acl_set_new(rule, n, &set, &why)) {
		/* Nothing is allowed rather than something that nobody meant. */
		log_error("access rules could not be used, nothing is allowed by them: %s",
			  why.text);
		n = 0;
		CHECK(acl_set_new(NULL, 0, &set, NULL) == 0);
	}
	struct compiled *c = mem_alloc(sizeof(*c) + parts->n * sizeof(c->part[0]));
	c->set = set;
	c->uses_certificate = any_certificate(rule, n);
	c->learns = any_learns(parts);
	c->n = parts->n;
	if (parts->n)
		memcpy(c->part, parts->p, parts->n * sizeof(c->part[0]));
	free(rule);
	return c;
}

static const struct compiled *set_of(struct state *s, const struct device *d)
{
	struct parts parts = {0};
	collect_parts(s, d, &parts);
	const struct str key = str_make(parts.p, parts.n * sizeof(*parts.p));
	struct compiled *c = map_get(&s->sets, key);
	if (!c) {
		c = compile(&parts);
		map_set(&s->sets, key, c);
	}
	free(parts.p);
	return c;
}

/* Group names live in the same block as the array. */
static void copy_groups(struct identity *id, const struct device *d)
{
	struct str list = str_make(d->groups, d->groups_n);
	id->group_n = strs_count(list);
	id->group = mem_alloc(id->group_n * sizeof(struct str) + d->groups_n);
	char *text = (char *)(id->group + id->group_n);
	struct str name;
	for (size_t i = 0; i < id->group_n && strs_next(&list, &name); i++) {
		if (name.n)
			memcpy(text, name.p, name.n);
		id->group[i] = str_make(text, name.n);
		text += name.n;
	}
}

static struct identity *identity_new(const struct device *d, const struct compiled *c)
{
	struct identity *id = mem_new(struct identity);
	ref_init(&id->ref);
	id->device_id = d->id;
	id->name = mem_strdup(d->name);
	copy_groups(id, d);
	id->acl = acl_set_ref(c->set);
	id->uses_certificate = c->uses_certificate;
	id->learns = c->learns;
	return id;
}

static void refresh(struct registry *r, struct device *d)
{
	const uint64_t generation = registry_generation(r);
	if (d->identity && d->checked == generation)
		return;
	const struct compiled *c = set_of(&r->state, d);
	if (d->identity && d->identity->acl != c->set) {
		identity_unref(d->identity);
		d->identity = NULL;
	}
	if (!d->identity)
		d->identity = identity_new(d, c);
	d->checked = generation;
}

struct identity *registry_identity(struct registry *r, uint64_t device_id)
{
	struct identity *id = NULL;
	pthread_rwlock_rdlock(&r->lock);
	struct device *d =
		device_id ? map_get(&r->state.devices, MAP_KEY(device_id)) : &r->anonymous;
	if (d && d->enabled) {
		pthread_mutex_lock(&r->cache);
		refresh(r, d);
		id = identity_ref(d->identity);
		pthread_mutex_unlock(&r->cache);
	}
	pthread_rwlock_unlock(&r->lock);
	return id;
}

void registry_name_of(struct registry *r, uint64_t device_id, char out[REGISTRY_NAME])
{
	pthread_rwlock_rdlock(&r->lock);
	const struct device *d = map_get(&r->state.devices, MAP_KEY(device_id));
	snprintf(out, REGISTRY_NAME, "%s", d ? d->name : "");
	pthread_rwlock_unlock(&r->lock);
}

void registry_set_grace(struct registry *r, int64_t seconds)
{
	atomic_store_explicit(&r->grace, seconds, memory_order_relaxed);
}

static enum handshake_verdict judge(const struct state *s, const struct certificate *c, int64_t end,
				    int64_t now)
{
	if (c->status != CERT_GOOD)
		return VERDICT_REVOKED;
	if (end <= now)
		return VERDICT_EXPIRED;
	/* A certificate that we know and whose device is gone is no forgery. */
	const struct device *d = map_get(&s->devices, MAP_KEY(c->device_id));
	return d && d->enabled ? VERDICT_ALLOW : VERDICT_DISABLED;
}

enum handshake_verdict registry_certificate(struct registry *r,
					    const unsigned char fingerprint[STREAM_FINGERPRINT],
					    int64_t now, bool graced, uint64_t *device_id,
					    int64_t *until)
{
	const int64_t grace = graced ? atomic_load_explicit(&r->grace, memory_order_relaxed) : 0;
	enum handshake_verdict verdict = VERDICT_UNKNOWN_DEVICE;
	pthread_rwlock_rdlock(&r->lock);
	const struct certificate *c =
		map_get(&r->state.certificates, str_make(fingerprint, STREAM_FINGERPRINT));
	if (c) {
		const int64_t end = MIN(c->not_after, INT64_MAX - REGISTRY_FOR_EVER) + grace;
		verdict = judge(&r->state, c, end, now);
		*device_id = c->device_id;
		*until = end;
	}
	pthread_rwlock_unlock(&r->lock);
	return verdict;
}

bool registry_life(struct registry *r, const unsigned char fingerprint[STREAM_FINGERPRINT],
		   int64_t *not_before, int64_t *not_after)
{
	pthread_rwlock_rdlock(&r->lock);
	const struct certificate *c =
		map_get(&r->state.certificates, str_make(fingerprint, STREAM_FINGERPRINT));
	const bool known = c != NULL;
	if (known) {
		*not_before = c->not_before;
		*not_after = c->not_after;
	}
	pthread_rwlock_unlock(&r->lock);
	return known;
}

const char *registry_lost(struct registry *r, const unsigned char fingerprint[STREAM_FINGERPRINT],
			  bool *compromised)
{
	const char *why = "the certificate was revoked";
	pthread_rwlock_rdlock(&r->lock);
	const struct certificate *c =
		map_get(&r->state.certificates, str_make(fingerprint, STREAM_FINGERPRINT));
	if (c && c->status == CERT_HOLD)
		why = "the certificate is on hold";
	else if (c && c->status == CERT_SUPERSEDED)
		why = "the certificate was replaced by a newer one";
	*compromised = c && c->status == CERT_REVOKED && c->reason == REASON_KEY_COMPROMISE;
	pthread_rwlock_unlock(&r->lock);
	return why;
}

enum handshake_verdict registry_named(struct registry *r, struct str name, uint64_t *device_id)
{
	enum handshake_verdict verdict = VERDICT_UNKNOWN_DEVICE;
	pthread_rwlock_rdlock(&r->lock);
	const struct device *d = map_get(&r->state.names, name);
	if (d) {
		verdict = d->enabled ? VERDICT_ALLOW : VERDICT_DISABLED;
		*device_id = d->id;
	}
	pthread_rwlock_unlock(&r->lock);
	return verdict;
}

void registry_authorities(struct registry *r, struct buf *der)
{
	size_t at = 0;
	struct str key;
	pthread_rwlock_rdlock(&r->lock);
	for (void *value; map_next(&r->state.authorities, &at, &key, &value);) {
		const struct authority *a = value;
		if (a->kind == CA_SERVER)
			continue;
		unsigned char *p = (unsigned char *)buf_reserve(der, 4 + a->n);
		struct out o = out_make(p, 4 + a->n);
		out_str32le(&o, str_make(a->der, a->n));
		der->n += 4 + a->n;
	}
	pthread_rwlock_unlock(&r->lock);
}

void registry_size(struct registry *r, struct registry_size *out)
{
	pthread_rwlock_rdlock(&r->lock);
	*out = (struct registry_size){r->state.devices.n, r->state.certificates.n,
				      r->state.rules.n};
	pthread_rwlock_unlock(&r->lock);
}
