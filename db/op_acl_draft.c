/* SPDX-License-Identifier: Apache-2.0
 *
 * acl.preview: what would be decided otherwise if a draft (acl_view.h) were saved, of what devices
 * did in learn mode and of what they were refused in the last days. Main thread of the store, in
 * the portions of a job (job.h).
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
	EVENTS_AT_ONCE = 500,
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

static void add_learned(const struct sql_query *q, struct deeds *d)
{
	add(d, sql_at_str(q, 0), (enum acl_action)sql_at_int(q, 1), sql_at_str(q, 2),
	    sql_at_int(q, 3), sql_at_int(q, 4) * 1000);
}

static void add_refused(const struct sql_query *q, struct deeds *d)
{
	struct str action;
	struct str topic;
	const struct str detail = sql_at_str(q, 1);
	if (!rec_get_str(detail, "action", &action) || !rec_get_str(detail, "topic", &topic))
		return;
	if (str_is(action, "publish"))
		add(d, sql_at_str(q, 0), ACL_PUBLISH, topic, 1, sql_at_int(q, 2));
	else if (str_is(action, "subscribe"))
		add(d, sql_at_str(q, 0), ACL_SUBSCRIBE, topic, 1, sql_at_int(q, 2));
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

/* ---- in portions ---- */

enum phase { LEARNED, REFUSED, JUDGED };

struct preview {
	enum phase phase;
	struct acl_draft draft;
	struct deeds deeds;
	struct tally tally;
	struct str device; /* {NULL}: all */
	int64_t since;
	bool open; /* the query below */
	struct sql_query rows;
	int64_t seq; /* the oldest event that was looked at */
	int events;
	size_t at; /* deeds before this one are judged */
};

static void preview_free(void *state)
{
	struct preview *p = state;
	if (p->open)
		sql_query_end(&p->rows);
	acl_draft_fini(&p->draft);
	deeds_fini(&p->deeds);
	free(p);
}

/* False: that was the last. */
static bool next_learned(struct op_call *c, struct preview *p)
{
	if (!p->open)
		p->rows = SQL_QUERY(c->s->registry,
				    "SELECT name, action, topic, times, last FROM learned JOIN "
				    "device ON device.id = device_id WHERE action > 0 AND last >= "
				    "?1 AND (?2 IS NULL OR name = ?2)",
				    sql_int(p->since), sql_str(p->device));
	p->open = sql_next(&p->rows);
	if (p->open)
		add_learned(&p->rows, &p->deeds);
	return p->open;
}

/* Some at a time: the events have one connection, on which no query stays open. */
static bool next_refused(struct op_call *c, struct preview *p)
{
	int n = 0;
	if (!events_db(c->s->events))
		return false;
	AUTO_QUERY q = SQL_QUERY(events_db(c->s->events),
				 "SELECT device, detail, time_ms, seq FROM event WHERE name = "
				 "'acl.denied' AND device IS NOT NULL AND time_ms >= ?1 AND "
				 "(?2 IS NULL OR device = ?2) AND seq < ?3 ORDER BY seq DESC "
				 "LIMIT ?4",
				 sql_int(p->since * 1000), sql_str(p->device), sql_int(p->seq),
				 sql_int(EVENTS_AT_ONCE));
	for (; sql_next(&q); n++) {
		add_refused(&q, &p->deeds);
		p->seq = sql_at_int(&q, 3);
	}
	p->events += n;
	return n == EVENTS_AT_ONCE && p->events < EVENTS_MAX;
}

static bool next_judged(struct op_call *c, struct preview *p)
{
	const struct deeds *d = &p->deeds;
	size_t end = p->at;
	while (end < d->n && strcmp(d->p[p->at].device, d->p[end].device) == 0)
		end++;
	if (end > p->at)
		compare_device(c, &p->draft, d->p + p->at, end - p->at, &p->tally);
	p->at = end;
	return end < d->n;
}

static bool preview_portion(struct job *j)
{
	struct op_call *c = container_of(j, struct op_call, job);
	struct preview *p = c->state;
	switch (p->phase) {
	case LEARNED:
		if (!next_learned(c, p)) {
			p->phase = REFUSED;
			events_flush(c->s->events);
		}
		return true;
	case REFUSED:
		if (!next_refused(c, p)) {
			p->phase = JUDGED;
			unite(&p->deeds);
			rec_list(&c->result, "items");
		}
		return true;
	case JUDGED:
		break;
	}
	return next_judged(c, p);
}

static void previewed(struct job *j)
{
	struct op_call *c = container_of(j, struct op_call, job);
	const struct preview *p = c->state;
	rec_end(&c->result);
	rec_int(&c->result, "checked", p->tally.checked);
	rec_int(&c->result, "left_out", p->tally.left_out + p->deeds.left_out);
	op_done(c);
}

void op_acl_preview(struct op_call *c)
{
	AUTO_ACL_DRAFT draft = {0};
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
	struct preview *p = mem_new(struct preview);
	p->draft = draft;
	draft = (struct acl_draft){0};
	p->device = device;
	p->since = MAX(clock_wall() - days * DAY_S, (int64_t)0);
	p->seq = INT64_MAX;
	c->state = p;
	c->state_free = preview_free;
	c->job.portion = preview_portion;
	c->job.over = previewed;
	job_start(c->s, &c->job);
}
