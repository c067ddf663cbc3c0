/* SPDX-License-Identifier: Apache-2.0
 *
 * acl.preview: what would be decided otherwise if a draft (acl_view.h) were saved, of what devices
 * did in learn mode and of what they were refused in the last days. Main thread of the store.
 *
 * items: list of {device, action, topic: str, times: int, last: time, before, after: str (as the
 * verdict of acl.check), rule_before, rule_after: int or null}; checked: int, how many were judged;
 * left_out: int, how many were too many for that. Asked for QoS 0 without the retain flag.
 */
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "db/acl_view.h"

#include <stdlib.h>

enum {
	DAYS_DEFAULT = 7,
	DAY_S = 86400,
	EVENTS_MAX = 20000,
	DEEDS_MAX = 5000,
	DEVICES_MAX = 500,
	ITEMS_MAX = 1000
};

/* What a device did, or tried. */
struct deed {
	char *device;
	char *topic;
	enum acl_action action;
	int64_t times;
	int64_t last_ms;
};

struct deeds {
	struct deed *p;
	size_t n;
	int64_t left_out;
};

static void deeds_fini(struct deeds *d)
{
	for (size_t i = 0; i < d->n; i++) {
		free(d->p[i].device);
		free(d->p[i].topic);
	}
	free(d->p);
}
#define AUTO_DEEDS __attribute__((cleanup(deeds_fini))) struct deeds

static void add(struct deeds *d, struct str device, enum acl_action action, struct str topic,
		int64_t times, int64_t last_ms)
{
	if (d->n >= DEEDS_MAX) {
		d->left_out++;
		return;
	}
	d->p = mem_grow(d->p, (d->n + 1) * sizeof(*d->p));
	d->p[d->n++] = (struct deed){str_dup(device), str_dup(topic), action, times, last_ms};
}

static void add_learned(struct op_call *c, struct str device, int64_t since, struct deeds *d)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT name, action, topic, times, last FROM learned JOIN device "
				 "ON device.id = device_id WHERE action > 0 AND last >= ?1 AND "
				 "(?2 IS NULL OR name = ?2)",
				 sql_int(since), sql_str(device));
	while (sql_next(&q))
		add(d, sql_at_str(&q, 0), (enum acl_action)sql_at_int(&q, 1), sql_at_str(&q, 2),
		    sql_at_int(&q, 3), sql_at_int(&q, 4) * 1000);
}

static void add_refused(struct op_call *c, struct str device, int64_t since, struct deeds *d)
{
	events_flush(c->s->events);
	if (!events_db(c->s->events))
		return;
	AUTO_QUERY q = SQL_QUERY(events_db(c->s->events),
				 "SELECT device, detail, time_ms FROM event WHERE name = "
				 "'acl.denied' AND device IS NOT NULL AND time_ms >= ?1 AND "
				 "(?2 IS NULL OR device = ?2) ORDER BY seq DESC LIMIT ?3",
				 sql_int(since * 1000), sql_str(device), sql_int(EVENTS_MAX));
	while (sql_next(&q)) {
		struct str action;
		struct str topic;
		const struct str detail = sql_at_str(&q, 1);
		if (!rec_get_str(detail, "action", &action) ||
		    !rec_get_str(detail, "topic", &topic))
			continue;
		if (str_is(action, "publish"))
			add(d, sql_at_str(&q, 0), ACL_PUBLISH, topic, 1, sql_at_int(&q, 2));
		else if (str_is(action, "subscribe"))
			add(d, sql_at_str(&q, 0), ACL_SUBSCRIBE, topic, 1, sql_at_int(&q, 2));
	}
}

static int compare(const struct deed *a, const struct deed *b)
{
	int c = strcmp(a->device, b->device);
	c = c ? c : (int)a->action - (int)b->action;
	return c ? c : strcmp(a->topic, b->topic);
}

static int by_device(const void *a, const void *b)
{
	return compare(a, b);
}

/* The same again and again is one. */
static void unite(struct deeds *d)
{
	size_t n = 0;
	if (d->n)
		qsort(d->p, d->n, sizeof(*d->p), by_device);
	for (size_t i = 0; i < d->n; i++) {
		if (n == 0 || compare(&d->p[n - 1], &d->p[i])) {
			d->p[n++] = d->p[i];
			continue;
		}
		d->p[n - 1].times += d->p[i].times;
		d->p[n - 1].last_ms = MAX(d->p[n - 1].last_ms, d->p[i].last_ms);
		free(d->p[i].device);
		free(d->p[i].topic);
	}
	d->n = n;
}

/* ---- judging ---- */

struct side {
	struct acl_view view;
	struct acl_set *set;
};

static void side_fini(struct side *s)
{
	acl_view_fini(&s->view);
	if (s->set)
		acl_set_unref(s->set);
}
#define AUTO_SIDE __attribute__((cleanup(side_fini))) struct side

static bool take_side(struct op_call *c, int64_t id, struct str device,
		      const struct acl_draft *draft, struct side *s)
{
	acl_view_take(c->s, id, device, device, NULL, draft, &s->view);
	return acl_set_new(s->view.rule, s->view.n, &s->set, NULL) == 0;
}

static enum acl_grant judge(const struct side *s, const struct deed *d, struct acl_verdict *verdict)
{
	const struct str topic = str_of(d->topic);
	if (d->action == ACL_SUBSCRIBE)
		return acl_subscribe(s->set, &s->view.who, topic, 0, verdict);
	return acl_check(s->set, &s->view.who, d->action, topic, (struct acl_how){0}, verdict)
		       ? ACL_GRANTED
		       : ACL_DENIED;
}

static void put_rule(struct buf *out, const char *name, uint64_t id)
{
	if (id)
		rec_int(out, name, id >= ACL_DRAFT ? -(int64_t)(id - ACL_DRAFT) : (int64_t)id);
	else
		rec_null(out, name);
}

static void put_flip(struct buf *out, const struct deed *d, const enum acl_grant grant[2],
		     const struct acl_verdict verdict[2])
{
	static const char *const word[] = {[ACL_DENIED] = "denied",
					   [ACL_GRANTED] = "allowed",
					   [ACL_PARTIAL] = "allowed in part"};
	rec_object(out, "");
	rec_text(out, "device", d->device);
	rec_text(out, "action", acl_action_name(d->action));
	rec_text(out, "topic", d->topic);
	rec_int(out, "times", d->times);
	rec_time(out, "last", d->last_ms);
	rec_text(out, "before", word[grant[0]]);
	rec_text(out, "after", word[grant[1]]);
	put_rule(out, "rule_before", verdict[0].rule);
	put_rule(out, "rule_after", verdict[1].rule);
	rec_end(out);
}

struct tally {
	int64_t checked;
	int64_t left_out;
	int items;
	int devices;
};

/* All deeds of one device. */
static void compare_device(struct op_call *c, const struct acl_draft *draft, const struct deed *d,
			   size_t n, struct tally *tally)
{
	const struct acl_draft none = {0};
	AUTO_SIDE before = {0};
	AUTO_SIDE after = {0};
	int64_t id;
	const struct str device = str_of(d->device);
	if (!SQL_GET_INT(c->s->registry, &id, "SELECT id FROM device WHERE name = ?",
			 sql_str(device)))
		return;
	if (++tally->devices > DEVICES_MAX || !take_side(c, id, device, &none, &before) ||
	    !take_side(c, id, device, draft, &after)) {
		tally->left_out += (int64_t)n;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		struct acl_verdict verdict[2];
		const enum acl_grant grant[2] = {judge(&before, &d[i], &verdict[0]),
						 judge(&after, &d[i], &verdict[1])};
		tally->checked++;
		if (grant[0] == grant[1])
			continue;
		if (tally->items++ < ITEMS_MAX)
			put_flip(&c->result, &d[i], grant, verdict);
		else
			tally->left_out++;
	}
}

void op_acl_preview(struct op_call *c)
{
	AUTO_ACL_DRAFT draft = {0};
	AUTO_DEEDS deeds = {0};
	struct tally tally = {0};
	struct str device = {0};
	int64_t days = DAYS_DEFAULT;
	int64_t id;
	if (op_str(c, "device", &device) && !op_find_device(c, "device", device, &id))
		return;
	if (op_int(c, "days", &days) && days == 0) {
		op_refuse(c, OP_INVALID, "days", "days is 0; allowed is 1 to 31");
		return;
	}
	if (!acl_draft_take(c, &draft))
		return;
	const int64_t since = MAX(clock_wall() - days * DAY_S, (int64_t)0);
	add_learned(c, device, since, &deeds);
	add_refused(c, device, since, &deeds);
	unite(&deeds);
	rec_list(&c->result, "items");
	for (size_t i = 0, end; i < deeds.n; i = end) {
		for (end = i + 1;
		     end < deeds.n && strcmp(deeds.p[i].device, deeds.p[end].device) == 0; end++)
			;
		compare_device(c, &draft, deeds.p + i, end - i, &tally);
	}
	rec_end(&c->result);
	rec_int(&c->result, "checked", tally.checked);
	rec_int(&c->result, "left_out", tally.left_out + deeds.left_out);
	op_done(c);
}
