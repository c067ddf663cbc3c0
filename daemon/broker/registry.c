/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry view: see registry.h.
 *
 * Takes in what the store sends, and answers by joining its parts: devices (registry_devices.h),
 * certificates (registry_certs.h), rules (registry_rules.h). The locks of all of them are here:
 * writers hold the lock alone; readers share it, and take the cache mutex to make an identity that
 * is not there.
 */
#include "daemon/broker/registry.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/broker/registry_certs.h"
#include "daemon/broker/registry_devices.h"
#include "daemon/broker/registry_rules.h"
#include "daemon/ipc/frame.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { LEARN_LOOK_S = 60 };

/* One snapshot and the changes since. */
struct state {
	struct devices devices;
	struct certs certs;
	struct rules rules;
};

struct registry {
	pthread_rwlock_t lock;
	pthread_mutex_t cache;
	_Atomic uint64_t generation;
	_Atomic int64_t grace;
	uint64_t seq;
	struct state state;
	struct device anonymous;
	/* The control thread's. */
	int64_t learn_look; /* when ended rules of the learn mode are looked for next */
	struct buf status;  /* for registry_take_status */
	bool status_whole;
};

static void state_fini(struct state *s)
{
	devices_fini(&s->devices);
	certs_fini(&s->certs);
	rules_fini(&s->rules);
}

/* ---- records of the store ---------------------------------------------------------------------
 */

static int take_certificate(struct registry *r, struct state *s, bool gone, struct str body,
			    struct registry_change *change)
{
	struct certs_news news;
	if (certs_take(&s->certs, gone, body, &news))
		return ERR_MALFORMED;
	change->rights_lost |= news.lost;
	if (news.moved) {
		struct registry_status e = {.status = news.status,
					    .reason = news.reason,
					    .revoked_at = news.revoked_at};
		memcpy(e.fingerprint, news.fingerprint, STREAM_FINGERPRINT);
		buf_put(&r->status, &e, sizeof(e));
	}
	return 0;
}

static int take_entry(struct registry *r, struct state *s, const struct body_entry *e,
		      struct registry_change *change)
{
	int err = ERR_MALFORMED;
	switch (e->kind) {
	case ENTRY_DEVICE:
		return devices_take(&s->devices, e->gone, e->body, &change->rights_lost,
				    &change->access);
	case ENTRY_CERT:
		return take_certificate(r, s, e->gone, e->body, change);
	case ENTRY_RULE:
		err = rules_take(&s->rules, e->gone, e->body);
		change->access |= !err;
		return err;
	case ENTRY_CA:
		err = certs_take_authority(&s->certs, e->gone, e->body);
		change->authorities |= !err;
		return err;
	}
	return err;
}

static int take_entries(struct registry *r, struct state *s, struct str entries,
			struct registry_change *change)
{
	struct cur c = cur_of(entries);
	struct str record;
	while (entries_next(&c, &record)) {
		struct body_entry e;
		if (body_entry_get(record, &e) || take_entry(r, s, &e, change))
			return ERR_MALFORMED;
	}
	return cur_ok(&c) ? 0 : ERR_MALFORMED;
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
		rules_purge(&r->state.rules);
	if (c.access || c.rights_lost)
		moved(r);
	pthread_rwlock_unlock(&r->lock);
	*change = c;
	return err;
}

bool registry_end_learning(struct registry *r, int64_t now)
{
	if (now < r->learn_look)
		return false;
	r->learn_look = now + LEARN_LOOK_S;
	if (!rules_learning_over(&r->state.rules, now))
		return false;
	pthread_rwlock_wrlock(&r->lock);
	rules_end_learning(&r->state.rules, now);
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

static void refresh(struct registry *r, struct device *d)
{
	const uint64_t generation = registry_generation(r);
	if (d->identity && d->checked == generation)
		return;
	const struct rules_holder holder = {.device = d->id ? str_of(d->name) : (struct str){0},
					    .groups = d->groups,
					    .roles = d->roles};
	const struct rules_set *set = rules_of_holder(&r->state.rules, &holder);
	if (d->identity && d->identity->acl != set->acl) {
		identity_unref(d->identity);
		d->identity = NULL;
	}
	if (!d->identity) {
		d->identity = identity_new(d->id, d->name, d->groups, set->acl);
		d->identity->uses_certificate = set->uses_certificate;
		d->identity->learns = set->learns;
	}
	d->checked = generation;
}

struct identity *registry_identity(struct registry *r, uint64_t device_id)
{
	struct identity *id = NULL;
	pthread_rwlock_rdlock(&r->lock);
	struct device *d = device_id ? devices_find(&r->state.devices, device_id) : &r->anonymous;
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
	const struct device *d = devices_find(&r->state.devices, device_id);
	snprintf(out, REGISTRY_NAME, "%s", d ? d->name : "");
	pthread_rwlock_unlock(&r->lock);
}

void registry_set_grace(struct registry *r, int64_t seconds)
{
	atomic_store_explicit(&r->grace, seconds, memory_order_relaxed);
}

static enum handshake_verdict judge(const struct state *s, const struct known_certificate *c,
				    int64_t end, int64_t now)
{
	if (c->status != CERT_GOOD)
		return VERDICT_REVOKED;
	if (end <= now)
		return VERDICT_EXPIRED;
	/* A certificate that we know and whose device is gone is no forgery. */
	const struct device *d = devices_find(&s->devices, c->device_id);
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
	const struct known_certificate *c = certs_find(&r->state.certs, fingerprint);
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
	const struct known_certificate *c = certs_find(&r->state.certs, fingerprint);
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
	pthread_rwlock_rdlock(&r->lock);
	const char *why = certs_lost(certs_find(&r->state.certs, fingerprint), compromised);
	pthread_rwlock_unlock(&r->lock);
	return why;
}

enum handshake_verdict registry_named(struct registry *r, struct str name, uint64_t *device_id)
{
	enum handshake_verdict verdict = VERDICT_UNKNOWN_DEVICE;
	pthread_rwlock_rdlock(&r->lock);
	const struct device *d = devices_named(&r->state.devices, name);
	if (d) {
		verdict = d->enabled ? VERDICT_ALLOW : VERDICT_DISABLED;
		*device_id = d->id;
	}
	pthread_rwlock_unlock(&r->lock);
	return verdict;
}

void registry_authorities(struct registry *r, struct buf *der)
{
	pthread_rwlock_rdlock(&r->lock);
	certs_issuers(&r->state.certs, der);
	pthread_rwlock_unlock(&r->lock);
}

void registry_size(struct registry *r, struct registry_size *out)
{
	pthread_rwlock_rdlock(&r->lock);
	*out = (struct registry_size){r->state.devices.by_id.n, r->state.certs.certificates.n,
				      r->state.rules.by_id.n};
	pthread_rwlock_unlock(&r->lock);
}
