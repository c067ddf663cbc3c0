/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps that make the registry like a document: see state.h. Roles first, then devices, which
 * have them, then rules, which are for both; what is pruned goes the other way round.
 */
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "db/batch.h"
#include "db/op_device.h"
#include "db/registry.h"
#include "db/state.h"

#include <stdio.h>
#include <stdlib.h>

enum phase { ROLES, DEVICES, RULES, PRUNE_RULES, PRUNE_DEVICES, PRUNE_ROLES, DONE };

struct state_work {
	struct state_document document;
	enum phase phase;
	bool begun; /* the list of this phase */
	struct cur cur;
	size_t n;             /* items of it that were taken */
	char name[NAME_SIZE]; /* of the last object that was looked at to be pruned */
	int64_t rule;         /* the same */
	int64_t last;         /* the rule with the highest number before the first step */
	struct map roles;     /* names in the document */
	struct map devices;   /* the same */
	struct map kept;      /* numbers of rules that it names */
	struct buf added;     /* names of devices, at most STATE_NAMES */
	size_t added_n;       /* all of them */
};

struct state_work *state_work_new(struct op_call *c)
{
	struct state_work *w = mem_new(struct state_work);
	if (state_take(c, &w->document))
		return w;
	free(w);
	return NULL;
}

const struct state_document *state_document_of(const struct state_work *w)
{
	return &w->document;
}

void state_work_free(void *work)
{
	struct state_work *w = work;
	map_fini(&w->roles);
	map_fini(&w->devices);
	map_fini(&w->kept);
	buf_fini(&w->added);
	free(w);
}

/* ---- roles and devices ---- */

/* Sets of names are the same in any order. */
static bool same_names(struct str a, struct str b)
{
	struct map names = {0};
	struct rec_value v;
	size_t n = 0;
	bool same = true;
	struct cur cur = cur_of(a);
	while (rec_next(&cur, &v))
		map_set(&names, v.text, &names);
	cur = cur_of(b);
	while (same && rec_next(&cur, &v)) {
		same = map_get(&names, v.text) != NULL;
		n++;
	}
	same = same && n == names.n;
	map_fini(&names);
	return same;
}

static bool same_value(struct str now, const struct rec_value *wanted)
{
	AUTO_CHAR name = str_dup(wanted->name);
	struct rec_value is;
	if (!rec_find(now, name, &is))
		return false;
	if (is.kind == REC_LIST && wanted->kind == REC_LIST)
		return same_names(is.text, wanted->text);
	return is.kind == wanted->kind && is.number == wanted->number &&
	       str_eq(is.text, wanted->text);
}

/* The fields of wanted that differ from now, behind the name. How many. */
static size_t differences(struct str now, struct str wanted, struct buf *args)
{
	struct cur cur = cur_of(wanted);
	struct rec_value v;
	size_t n = 0;
	while (rec_next(&cur, &v)) {
		AUTO_CHAR name = str_dup(v.name);
		const bool is_name = str_is(v.name, "name");
		if (v.kind == REC_NULL || (!is_name && same_value(now, &v)))
			continue;
		rec_copy(args, name, &v);
		n += !is_name;
	}
	return n;
}

/* The name of an object, which no other of the list has. False: refused. */
static bool take_name(struct op_call *c, const char *at, struct str item, struct map *names,
		      struct str *name)
{
	char place[STATE_PLACE + 8];
	snprintf(place, sizeof(place), "%s.name", at);
	if (!rec_get_str(item, "name", name) || name->n == 0) {
		state_refuse(c, place, "is missing");
		return false;
	}
	if (map_set(names, *name, names)) {
		state_refuse(c, place, "\"%.*s\" stands twice in this list", STR_ARG(*name));
		return false;
	}
	return true;
}

static bool apply_role(struct op_call *c, const char *at, struct str item, struct str name)
{
	AUTO_BUF now = {0};
	AUTO_BUF args = {0};
	int64_t id;
	if (registry_role(c->s->registry, name, &id)) {
		differences(STR(""), item, &args);
		return batch_step(c, OP_ROLE_ADD, &args, at);
	}
	AUTO_QUERY q = SQL_QUERY(c->s->registry, "SELECT note FROM role WHERE id = ?", sql_int(id));
	if (sql_next(&q))
		rec_str(&now, "note", sql_at_str(&q, 0));
	sql_query_end(&q);
	return !differences(buf_view(&now), item, &args) || batch_step(c, OP_ROLE_SET, &args, at);
}

/* device.add takes all but "enabled". */
static bool add_device(struct op_call *c, const char *at, struct str item, struct str name,
		       struct state_work *w)
{
	struct cur cur = cur_of(item);
	struct rec_value v;
	AUTO_BUF args = {0};
	AUTO_BUF more = {0};
	bool off = false;
	rec_str(&more, "name", name);
	while (rec_next(&cur, &v)) {
		AUTO_CHAR field = str_dup(v.name);
		if (v.kind == REC_NULL)
			continue;
		const bool enabled = str_is(v.name, "enabled");
		off |= enabled && (v.kind != REC_BOOL || !v.number);
		rec_copy(enabled ? &more : &args, field, &v);
	}
	if (w->added_n++ < STATE_NAMES)
		strs_put(&w->added, name);
	return batch_step(c, OP_DEVICE_ADD, &args, at) &&
	       (!off || batch_step(c, OP_DEVICE_SET, &more, at));
}

static bool apply_device(struct op_call *c, const char *at, struct str item, struct str name,
			 struct state_work *w)
{
	AUTO_BUF now = {0};
	AUTO_BUF args = {0};
	int64_t id;
	if (registry_device(c->s->registry, name, &id))
		return add_device(c, at, item, name, w);
	device_put(c->s, id, false, &now);
	return !differences(buf_view(&now), item, &args) || batch_step(c, OP_DEVICE_SET, &args, at);
}

/* ---- rules ---- */

static bool rule_args(struct op_call *c, const char *at, struct str item, struct buf *args)
{
	struct cur cur = cur_of(item);
	struct rec_value v;
	char place[STATE_PLACE + 12];
	while (rec_next(&cur, &v)) {
		AUTO_CHAR field = str_dup(v.name);
		if (v.kind == REC_NULL)
			continue;
		if (!str_is(v.name, "priority")) {
			rec_copy(args, field, &v);
			continue;
		}
		if (v.kind != REC_INT || v.number < -STATE_PRIORITY_BIAS ||
		    v.number > STATE_PRIORITY_BIAS) {
			snprintf(place, sizeof(place), "%s.priority", at);
			state_refuse(c, place, "must be a whole number between -%d and %d",
				     STATE_PRIORITY_BIAS, STATE_PRIORITY_BIAS);
			return false;
		}
		rec_int(args, "priority", v.number + STATE_PRIORITY_BIAS);
	}
	return true;
}

/* A rule that is there is no reason to stop. */
static bool apply_rule(struct op_call *c, const char *at, struct str item, struct state_work *w)
{
	AUTO_BUF args = {0};
	if (!rule_args(c, at, item, &args))
		return false;
	const bool added = batch_step(c, OP_ACL_ADD, &args, at);
	const int64_t same = c->batch->same;
	if (!same)
		return added;
	c->batch->failed = false;
	map_set(&w->kept, MAP_KEY(same), w);
	return true;
}

/* ---- what is not in the document ---- */

/* The next rule up to the last that was there: false when there is none. */
static bool prune_rule(struct op_call *c, struct state_work *w)
{
	AUTO_BUF args = {0};
	if (!SQL_GET_INT(c->s->registry, &w->rule,
			 "SELECT id FROM rule WHERE id > ? AND id <= ? AND learn_until IS NULL "
			 "ORDER BY id LIMIT 1",
			 sql_int(w->rule), sql_int(w->last)))
		return false;
	if (map_get(&w->kept, MAP_KEY(w->rule)))
		return true;
	rec_int(&args, "id", w->rule);
	return batch_step(c, OP_ACL_REMOVE, &args, "rules");
}

/* The next name of a table behind this one: false at the end. */
static bool next_name(struct op_call *c, bool device, char name[NAME_SIZE])
{
	struct sql *db = c->s->registry;
	AUTO_QUERY q = device ? SQL_QUERY(db,
					  "SELECT name FROM device WHERE name > ? ORDER BY name "
					  "LIMIT 1",
					  sql_text(name))
			      : SQL_QUERY(db,
					  "SELECT name FROM role WHERE name > ? ORDER BY name "
					  "LIMIT 1",
					  sql_text(name));
	if (!sql_next(&q))
		return false;
	snprintf(name, NAME_SIZE, "%.*s", STR_ARG(sql_at_str(&q, 0)));
	return true;
}

static bool prune_named(struct op_call *c, struct state_work *w, bool device)
{
	AUTO_BUF args = {0};
	if (!next_name(c, device, w->name))
		return false;
	if (map_get(device ? &w->devices : &w->roles, str_of(w->name)))
		return true;
	rec_text(&args, "name", w->name);
	return batch_step(c, device ? OP_DEVICE_REMOVE : OP_ROLE_REMOVE, &args,
			  device ? "devices" : "roles");
}

/* ---- one after the other ---- */

static const enum state_part part_of[] = {
	[ROLES] = STATE_ROLES,       [DEVICES] = STATE_DEVICES,       [RULES] = STATE_RULES,
	[PRUNE_RULES] = STATE_RULES, [PRUNE_DEVICES] = STATE_DEVICES, [PRUNE_ROLES] = STATE_ROLES,
};

/* The next object of the list in the document: false at its end, or when it was refused. */
static bool apply_item(struct op_call *c, struct state_work *w)
{
	struct rec_value item;
	struct str name;
	char at[STATE_PLACE];
	if (!rec_next(&w->cur, &item))
		return false;
	snprintf(at, sizeof(at), "%s[%zu]", state_part_name(part_of[w->phase]), w->n++);
	if (w->phase == RULES)
		return apply_rule(c, at, item.text, w);
	if (!take_name(c, at, item.text, w->phase == ROLES ? &w->roles : &w->devices, &name))
		return false;
	return w->phase == ROLES ? apply_role(c, at, item.text, name)
				 : apply_device(c, at, item.text, name, w);
}

static bool prune_item(struct op_call *c, struct state_work *w)
{
	return w->phase == PRUNE_RULES ? prune_rule(c, w)
				       : prune_named(c, w, w->phase == PRUNE_DEVICES);
}

/* False: the document has no such part, or nothing is pruned. */
static bool begin_phase(struct op_call *c, struct state_work *w)
{
	const struct state_document *d = &w->document;
	w->begun = true;
	w->n = 0;
	w->name[0] = 0;
	if (w->phase == ROLES)
		SQL_GET_INT(c->s->registry, &w->last, "SELECT coalesce(max(id), 0) FROM rule");
	w->cur = cur_of(d->part[part_of[w->phase]].text);
	return state_has(d, part_of[w->phase]) && (w->phase < PRUNE_RULES || d->prune);
}

bool state_step(struct op_call *c, struct state_work *w)
{
	if (w->begun || begin_phase(c, w))
		if (w->phase < PRUNE_RULES ? apply_item(c, w) : prune_item(c, w))
			return true;
	w->phase++;
	w->begun = false;
	return w->phase != DONE && !c->batch->failed;
}

void state_put_new(struct op_call *c, const struct state_work *w)
{
	struct str rest = buf_view(&w->added);
	struct str name;
	rec_list(&c->result, "without_credentials");
	while (strs_next(&rest, &name))
		rec_str(&c->result, "", name);
	rec_end(&c->result);
	rec_int(&c->result, "without_credentials_count", (int64_t)w->added_n);
	if (w->added_n)
		rec_text(
			&c->result, "hint",
			"a state holds no secrets: devices that are new here have neither password "
			"nor certificate and cannot connect; give each a password (gatehouse "
			"device set NAME --password), a certificate (cert add) or an enrolment "
			"code (code add)");
}
