/* SPDX-License-Identifier: Apache-2.0
 *
 * Revisions: see op_revision.h.
 */
#include "db/op_revision.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "db/plan.h"

#include <stdio.h>
#include <stdlib.h>

enum { OBJECTS_MAX = 10000, CHANGES_SHOWN = 20, PRIORITY_BIAS = 1000 };

/* ---- what differs ---- */

/* What nobody sets, or what other fields say as well; of a setting, whether settings.conf has it.
 */
static bool is_told(struct str field)
{
	static const char *const silent[] = {
		"created",      "created_by",        "changed", "version",
		"device_count", "rule_count",        "uuid",    "conditions",
		"id",           "certificate_count", "set"};
	for (size_t i = 0; i < ARRAY_LEN(silent); i++)
		if (str_is(field, silent[i]))
			return false;
	return true;
}

static bool is_empty(const struct rec_value *v)
{
	return v->kind == REC_NULL || (v->kind >= REC_STR && v->text.n == 0 && v->kind != REC_TIME);
}

static bool is_same(const struct rec_value *a, const struct rec_value *b)
{
	return a->kind == b->kind && a->number == b->number && str_eq(a->text, b->text);
}

/* The value of a field, or null. */
static struct rec_value field_of(struct str rec, struct str name)
{
	struct cur cur = cur_of(rec);
	struct rec_value v;
	while (rec_next(&cur, &v))
		if (str_eq(v.name, name))
			return v;
	return (struct rec_value){.kind = REC_NULL, .text = STR("")};
}

static void put_field(struct buf *out, struct str name, const struct rec_value *before,
		      const struct rec_value *after)
{
	rec_object(out, "");
	rec_str(out, "field", name);
	rec_copy(out, "before", before);
	rec_copy(out, "after", after);
	rec_end(out);
}

static void put_fields(struct str before, struct str after, struct buf *out)
{
	struct cur cur = cur_of(after);
	struct rec_value v;
	rec_list(out, "fields");
	while (rec_next(&cur, &v)) {
		const struct rec_value was = field_of(before, v.name);
		if (is_told(v.name) && !is_same(&was, &v) && (before.n || !is_empty(&v)))
			put_field(out, v.name, &was, &v);
	}
	cur = cur_of(before);
	while (rec_next(&cur, &v)) {
		const struct rec_value is = field_of(after, v.name);
		if (is_told(v.name) && is.kind == REC_NULL && !is_empty(&v))
			put_field(out, v.name, &v, &is);
	}
	rec_end(out);
}

static void put_what(const struct sql_query *q, struct buf *out)
{
	rec_str(out, "kind", sql_at_str(q, 0));
	rec_str(out, "object", sql_at_str(q, 1));
	rec_text(out, "change",
		 sql_at_null(q, 2)   ? "added"
		 : sql_at_null(q, 3) ? "removed"
				     : "changed");
}

static struct str blob(const struct sql_query *q, int column)
{
	return sql_at_null(q, column) ? STR("") : sql_at_str(q, column);
}

bool revision_any(struct store *s, int64_t audit_id)
{
	int64_t found;
	return SQL_GET_INT(s->registry, &found, "SELECT 1 FROM revision WHERE audit_id = ? LIMIT 1",
			   sql_int(audit_id));
}

void revision_put_changes(struct store *s, int64_t audit_id, struct buf *out)
{
	int64_t n = 0;
	SQL_GET_INT(s->registry, &n, "SELECT count(*) FROM revision WHERE audit_id = ?",
		    sql_int(audit_id));
	AUTO_QUERY q =
		SQL_QUERY(s->registry,
			  "SELECT kind, object, before, after FROM revision WHERE audit_id = "
			  "? ORDER BY id LIMIT ?",
			  sql_int(audit_id), sql_int(REVISION_ITEMS_MAX));
	rec_list(out, "items");
	while (sql_next(&q)) {
		rec_object(out, "");
		put_what(&q, out);
		put_fields(blob(&q, 2), blob(&q, 3), out);
		rec_end(out);
	}
	rec_end(out);
	rec_int(out, "left_out", MAX(n - REVISION_ITEMS_MAX, 0));
}

/* ---- list and show ---- */

static void put_objects(struct store *s, int64_t audit_id, struct buf *out)
{
	int64_t n = 0;
	SQL_GET_INT(s->registry, &n, "SELECT count(*) FROM revision WHERE audit_id = ?",
		    sql_int(audit_id));
	rec_int(out, "objects", n);
	AUTO_QUERY q =
		SQL_QUERY(s->registry,
			  "SELECT kind, object, before, after FROM revision WHERE audit_id = "
			  "? ORDER BY id LIMIT ?",
			  sql_int(audit_id), sql_int(CHANGES_SHOWN));
	rec_list(out, "changes");
	while (sql_next(&q)) {
		rec_object(out, "");
		put_what(&q, out);
		rec_end(out);
	}
	rec_end(out);
}

static void put_row(struct op_call *c, const struct sql_query *q)
{
	struct buf *out = &c->result;
	rec_int(out, "id", sql_at_int(q, 0));
	op_put_time(out, "time", sql_at_int(q, 1));
	rec_str(out, "actor", sql_at_str(q, 2));
	rec_str(out, "source", sql_at_str(q, 3));
	rec_str(out, "operation", sql_at_str(q, 4));
	rec_str(out, "target", sql_at_str(q, 5));
	put_objects(c->s, sql_at_int(q, 0), out);
}

static struct sql_value given(const struct op_call *c, const char *arg)
{
	struct str s;
	return op_str(c, arg, &s) && s.n ? sql_str(s) : sql_null();
}

void op_revision_list(struct op_call *c)
{
	int64_t limit;
	uint64_t before;
	if (!op_limit(c, &limit) || !op_number_cursor(c, &before))
		return;
	AUTO_QUERY q = SQL_QUERY(
		c->s->registry,
		"SELECT id, at, actor, source, operation, target FROM audit WHERE (?1 = 0 OR id < "
		"?1) AND (?4 IS NULL OR actor = ?4) AND EXISTS(SELECT 1 FROM revision WHERE "
		"audit_id = audit.id AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR object = "
		"?3)) ORDER BY id DESC LIMIT ?5",
		sql_int((int64_t)before), given(c, "kind"), given(c, "object"), given(c, "actor"),
		sql_int(limit + 1));
	op_answer_page(c, &q, limit, put_row);
}

static bool find(struct op_call *c, int64_t *id)
{
	op_int(c, "id", id);
	if (revision_any(c->s, *id))
		return true;
	op_refuse(c, OP_NOT_FOUND, "id",
		  "there is no revision %lld; it may be older than audit.keep says",
		  (long long)*id);
	return false;
}

void op_revision_show(struct op_call *c)
{
	int64_t id;
	if (!find(c, &id))
		return;
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT id, at, actor, source, operation, target FROM audit WHERE "
				 "id = ?",
				 sql_int(id));
	if (sql_next(&q))
		put_row(c, &q);
	revision_put_changes(c->s, id, &c->result);
	op_done(c);
}

/* ---- revert ---- */

/* One object of the revision that is undone. */
struct object {
	int64_t row;
	char kind[24];
	char name[OP_TARGET];
	struct buf before;
	struct buf after;
};

static void object_fini(struct object *o)
{
	buf_fini(&o->before);
	buf_fini(&o->after);
}
#define AUTO_OBJECT __attribute__((cleanup(object_fini))) struct object

/* The object before this row, the last one first. */
static bool load(struct op_call *c, int64_t below, struct object *o)
{
	int64_t id = 0;
	op_int(c, "id", &id);
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT kind, object, before, after, id FROM revision WHERE "
				 "audit_id = ? AND id < ? ORDER BY id DESC LIMIT 1",
				 sql_int(id), sql_int(below));
	if (!sql_next(&q))
		return false;
	o->row = sql_at_int(&q, 4);
	snprintf(o->kind, sizeof(o->kind), "%.*s", STR_ARG(sql_at_str(&q, 0)));
	snprintf(o->name, sizeof(o->name), "%.*s", STR_ARG(sql_at_str(&q, 1)));
	buf_str(&o->before, blob(&q, 2));
	buf_str(&o->after, blob(&q, 3));
	return true;
}

static bool is_setting(const struct object *o)
{
	return strcmp(o->kind, "setting") == 0;
}

/* Operations by which objects of a kind are made, changed and removed. */
static const struct kind {
	const char *name;
	enum op add; /* OP_COUNT: what is gone does not come back */
	enum op set;
	enum op remove;
	const char *fields[6]; /* of set, beside the name */
} kinds[] = {
	{"device",
	 OP_DEVICE_ADD,
	 OP_DEVICE_SET,
	 OP_DEVICE_REMOVE,
	 {"kind", "enabled", "note", "groups", "roles"}},
	{"role", OP_ROLE_ADD, OP_ROLE_SET, OP_ROLE_REMOVE, {"note"}},
	{"rule", OP_ACL_ADD, OP_COUNT, OP_ACL_REMOVE, {NULL}},
	{"profile",
	 OP_PROFILE_SET,
	 OP_PROFILE_SET,
	 OP_PROFILE_REMOVE,
	 {"lifetime", "grace", "overlap", "note"}},
	{"administrator",
	 OP_COUNT,
	 OP_ADMINISTRATOR_SET,
	 OP_ADMINISTRATOR_REMOVE,
	 {"level", "enabled"}},
};

static const struct kind *kind_of(const struct object *o)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		if (strcmp(kinds[i].name, o->kind) == 0)
			return &kinds[i];
	return NULL;
}

static bool is_field(const struct kind *k, struct str name)
{
	for (size_t i = 0; i < ARRAY_LEN(k->fields) && k->fields[i]; i++)
		if (str_is(name, k->fields[i]))
			return true;
	return false;
}

/* What became of the object after this revision: false when nothing did. */
struct later {
	int64_t audit_id;
	struct buf now; /* empty: it is gone */
};

static bool find_later(struct op_call *c, const struct object *o, struct later *out)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT audit_id, after FROM revision WHERE kind = ? AND object = "
				 "? AND id > ? AND audit_id <> ? ORDER BY id DESC LIMIT 1",
				 sql_text(o->kind), sql_text(o->name), sql_int(o->row),
				 sql_int(c->change.audit_id));
	if (!sql_next(&q))
		return false;
	out->audit_id = sql_at_int(&q, 0);
	buf_str(&out->now, blob(&q, 1));
	return true;
}

/* Does the object still have what this revision gave it? False: refused. */
static bool is_untouched(struct op_call *c, const struct object *o)
{
	struct later later = {0};
	char field[64] = "";
	bool good = true;
	if (!find_later(c, o, &later))
		return true;
	struct cur cur = cur_of(buf_view(&o->after));
	struct rec_value v;
	good = (o->after.n > 0) == (later.now.n > 0);
	while (good && rec_next(&cur, &v)) {
		const struct rec_value was = field_of(buf_view(&o->before), v.name);
		const struct rec_value is = field_of(buf_view(&later.now), v.name);
		if (!is_told(v.name) || is_same(&was, &v) || is_same(&is, &v))
			continue;
		snprintf(field, sizeof(field), "%.*s of ", STR_ARG(v.name));
		good = false;
	}
	if (!good)
		op_refuse(c, OP_CONFLICT, "id",
			  "%s%s \"%s\" was %s since, by revision %lld: revert that one first, or "
			  "change it by hand",
			  field, o->kind, o->name, later.now.n ? "changed" : "removed",
			  (long long)later.audit_id);
	buf_fini(&later.now);
	return good;
}

static void copy_field(struct buf *args, struct str rec, const char *name)
{
	struct rec_value v;
	if (rec_find(rec, name, &v) && v.kind != REC_NULL)
		rec_copy(args, name, &v);
}

static void step(struct op_call *c, enum op op, const struct buf *args)
{
	if (!c->batch->failed)
		batch_step(c, op, args, "");
}

static void add_rule(struct op_call *c, struct str rule)
{
	static const char *const same[] = {"effect", "subject", "filter",  "literal",
					   "qos",    "retain",  "networks"};
	struct rec_value actions, action;
	int64_t priority = 0;
	size_t n = 0;
	if (!rec_find(rule, "actions", &actions))
		return;
	if (rec_find(rule, "learn_until", &action)) {
		op_refuse(c, OP_REFUSED, "id",
			  "a rule of learn mode does not come back: start it again");
		return;
	}
	rec_get_int(rule, "priority", &priority);
	struct cur cur = cur_of(actions.text);
	while (rec_next(&cur, &action))
		n++;
	cur = cur_of(actions.text);
	while (rec_next(&cur, &action)) {
		AUTO_BUF args = {0};
		for (size_t i = 0; i < ARRAY_LEN(same); i++)
			copy_field(&args, rule, same[i]);
		rec_int(&args, "priority", PRIORITY_BIAS + priority);
		rec_str(&args, "action", n == 3 ? STR("all") : action.text);
		step(c, OP_ACL_ADD, &args);
		if (n == 3)
			break;
	}
}

static void add_again(struct op_call *c, const struct kind *k, const struct object *o)
{
	static const char *const taken[] = {"name",  "kind",     "note",  "groups",
					    "roles", "lifetime", "grace", "overlap"};
	const struct str was = buf_view(&o->before);
	AUTO_BUF args = {0};
	AUTO_BUF off = {0};
	bool enabled = true;
	if (k->add == OP_COUNT) {
		op_refuse(c, OP_REFUSED, "id",
			  "%s \"%s\" cannot come back: the password is gone; add it again", o->kind,
			  o->name);
		return;
	}
	if (k->add == OP_ACL_ADD) {
		add_rule(c, was);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		copy_field(&args, was, taken[i]);
	step(c, k->add, &args);
	if (k->add != OP_DEVICE_ADD || !rec_get_bool(was, "enabled", &enabled) || enabled)
		return;
	rec_text(&off, "name", o->name);
	rec_bool(&off, "enabled", false);
	step(c, OP_DEVICE_SET, &off);
}

static void take_away(struct op_call *c, const struct kind *k, const struct object *o)
{
	AUTO_BUF args = {0};
	uint64_t number = 0;
	if (k->remove == OP_ACL_REMOVE) {
		str_u64(str_of(o->name), INT64_MAX, &number);
		rec_int(&args, "id", (int64_t)number);
	} else {
		rec_text(&args, "name", o->name);
	}
	step(c, k->remove, &args);
}

/* A renamed role has two rows, of the old name and of the new one. */
static bool renames(const struct object *o, struct str *old)
{
	struct str now;
	return strcmp(o->kind, "role") == 0 && rec_get_str(buf_view(&o->before), "name", old) &&
	       rec_get_str(buf_view(&o->after), "name", &now) && !str_eq(*old, now);
}

static void change_back(struct op_call *c, const struct kind *k, const struct object *o)
{
	struct cur cur = cur_of(buf_view(&o->before));
	struct rec_value v;
	struct str old;
	AUTO_BUF args = {0};
	size_t n = 0;
	const bool renamed = renames(o, &old);
	if (renamed && str_is(old, o->name))
		return;
	rec_text(&args, "name", o->name);
	while (rec_next(&cur, &v)) {
		const struct rec_value is = field_of(buf_view(&o->after), v.name);
		if (!is_field(k, v.name) || is_same(&is, &v))
			continue;
		char name[64];
		snprintf(name, sizeof(name), "%.*s", STR_ARG(v.name));
		rec_copy(&args, name, &v);
		n++;
	}
	if (renamed)
		rec_str(&args, "new-name", old);
	if (n || renamed)
		step(c, k->set, &args);
}

static void undo(struct op_call *c, const struct object *o)
{
	const struct kind *k = kind_of(o);
	if (!k || !is_untouched(c, o))
		return;
	if (!o->after.n)
		add_again(c, k, o);
	else if (!o->before.n)
		take_away(c, k, o);
	else
		change_back(c, k, o);
}

/* One object, the last one first. */
static bool revert_step(struct op_call *c)
{
	int64_t *below = c->plan->work;
	AUTO_OBJECT o = {0};
	if (load(c, *below, &o)) {
		*below = o.row;
		if (is_setting(&o))
			is_untouched(c, &o);
		else
			undo(c, &o);
		return !c->batch->failed;
	}
	if (!revision_any(c->s, c->change.audit_id))
		op_refuse(c, OP_REFUSED, "id",
			  "nothing of this can be undone: passwords, certificates and keys do not "
			  "come back");
	return false;
}

static void put_reverted(struct op_call *c)
{
	int64_t id = 0;
	int64_t lost = 0;
	op_int(c, "id", &id);
	rec_int(&c->result, "reverted", id);
	SQL_GET_INT(c->s->registry, &lost,
		    "SELECT count(*) FROM revision WHERE audit_id = ? AND (kind = 'cert' OR (kind "
		    "= 'device' AND after IS NULL))",
		    sql_int(id));
	if (lost)
		rec_text(&c->result, "hint",
			 "certificates stay as they are, and a device that comes back has neither "
			 "password nor certificate: give it new ones");
}

/* Settings of the revision as changes that lead back. */
static void collect_settings(struct op_call *c, struct buf *changes)
{
	int64_t below = INT64_MAX;
	for (;;) {
		AUTO_OBJECT o = {0};
		struct str value;
		bool set = false;
		if (!load(c, below, &o))
			break;
		below = o.row;
		if (!is_setting(&o) || !rec_get_str(buf_view(&o.before), "value", &value))
			continue;
		rec_get_bool(buf_view(&o.before), "set", &set);
		strs_put(changes, str_of(o.name));
		strs_put(changes, set ? value : STR(""));
	}
}

void op_revision_revert(struct op_call *c)
{
	int64_t id;
	int64_t seconds = 0;
	int64_t n = 0;
	if (!find(c, &id))
		return;
	SQL_GET_INT(c->s->registry, &n, "SELECT count(*) FROM revision WHERE audit_id = ?",
		    sql_int(id));
	if (n > OBJECTS_MAX) {
		op_refuse(c, OP_REFUSED, "id", "the revision has %lld objects; allowed are %d",
			  (long long)n, OBJECTS_MAX);
		return;
	}
	op_int(c, "confirm-within", &seconds);
	struct plan *plan = mem_new(struct plan);
	plan->confirm_s = (uint32_t)seconds;
	plan->steps = revert_step;
	plan->work = mem_copy(&(int64_t){INT64_MAX}, sizeof(int64_t));
	plan->work_free = free;
	plan->put = put_reverted;
	collect_settings(c, &plan->changes);
	plan_run(c, plan);
}
