/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a gateway as one document: see op_state.h.
 */
#include "db/op_state.h"
#include "daemon/base/err.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "db/op_acl.h"
#include "db/op_device.h"
#include "db/plan.h"
#include "db/registry.h"
#include "db/settings.h"

#include <stdio.h>
#include <stdlib.h>

enum { PRIORITY_BIAS = 1000, SHOWN_MAX = 40 /* bytes of a name that is wrong */ };

static const struct str listener_prefix = {"listener.", 9};

/* ---- export ---- */

struct setting {
	struct str key;
	struct str value;
	struct str source;
	bool file_only;
};

static bool next_setting(struct cur *cur, struct setting *out)
{
	struct rec_value item;
	*out = (struct setting){0};
	if (!rec_next(cur, &item))
		return false;
	rec_get_str(item.text, "key", &out->key);
	rec_get_str(item.text, "value", &out->value);
	rec_get_str(item.text, "source", &out->source);
	rec_get_bool(item.text, "file_only", &out->file_only);
	return true;
}

static bool is_of_listener(struct str key)
{
	return str_prefix(key, listener_prefix);
}

/* "listener.NAME.key" into NAME and key. NAME may have dots, a key has none. */
static void split_listener(struct str key, struct str *name, struct str *word)
{
	struct str rest = str_make(key.p + listener_prefix.n, key.n - listener_prefix.n);
	size_t dot = rest.n;
	while (dot > 0 && rest.p[dot - 1] != '.')
		dot--;
	*name = str_make(rest.p, dot ? dot - 1 : 0);
	*word = str_make(rest.p + dot, rest.n - dot);
}

static void put_named(struct buf *out, struct str name, struct str value)
{
	AUTO_CHAR key = str_dup(name);
	rec_str(out, key, value);
}

static void put_settings(struct str items, struct buf *out)
{
	struct cur cur = cur_of(items);
	struct setting s;
	rec_object(out, "settings");
	while (next_setting(&cur, &s))
		if (!is_of_listener(s.key) && !s.file_only && !str_is(s.source, "default"))
			put_named(out, s.key, s.value);
	rec_end(out);
}

static void put_listeners(struct str items, struct buf *out)
{
	struct cur cur = cur_of(items);
	struct str open = {NULL, 0};
	struct setting s;
	rec_object(out, "listeners");
	while (next_setting(&cur, &s)) {
		struct str name, word;
		if (!is_of_listener(s.key))
			continue;
		split_listener(s.key, &name, &word);
		if (!open.p || !str_eq(open, name)) {
			AUTO_CHAR key = str_dup(name);
			if (open.p)
				rec_end(out);
			rec_object(out, key);
			open = name;
		}
		if (!s.file_only && (!str_is(s.source, "default") || str_is(word, "bind")))
			put_named(out, word, s.value);
	}
	if (open.p)
		rec_end(out);
	rec_end(out);
}

static void put_roles(struct sql *db, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(db, "SELECT name, note FROM role ORDER BY name");
	rec_list(out, "roles");
	while (sql_next(&q)) {
		rec_object(out, "");
		rec_str(out, "name", sql_at_str(&q, 0));
		rec_str(out, "note", sql_at_str(&q, 1));
		rec_end(out);
	}
	rec_end(out);
}

/* A rule as acl.add takes it, but for the priority, which is the real one. */
static void put_rule(struct str rule, struct str action, struct buf *out)
{
	static const char *const same[] = {"literal", "qos", "retain", "networks"};
	struct str effect = STR(""), subject = STR(""), filter = STR("");
	struct rec_value v;
	int64_t priority = 0;
	rec_get_str(rule, "effect", &effect);
	rec_get_str(rule, "subject", &subject);
	rec_get_str(rule, "filter", &filter);
	rec_get_int(rule, "priority", &priority);
	rec_object(out, "");
	rec_str(out, "effect", effect);
	rec_str(out, "subject", subject);
	rec_str(out, "action", action);
	rec_str(out, "filter", filter);
	rec_int(out, "priority", priority);
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		if (rec_find(rule, same[i], &v))
			rec_copy(out, same[i], &v);
	rec_end(out);
}

static void put_rules(struct store *s, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(
		s->registry,
		"SELECT rule.id FROM rule LEFT JOIN device ON device.id = device_id LEFT JOIN grp "
		"ON "
		"grp.id = grp_id LEFT JOIN role ON role.id = role_id WHERE learn_until IS NULL "
		"ORDER BY device.name, "
		"grp.name, "
		"role.name, priority DESC, allow, filter, actions, literal, qos, retain, networks");
	rec_list(out, "rules");
	while (sql_next(&q)) {
		AUTO_BUF rule = {0};
		struct rec_value actions, action;
		size_t n = 0;
		rule_put(s, sql_at_int(&q, 0), &rule);
		if (!rec_find(buf_view(&rule), "actions", &actions))
			continue;
		struct cur cur = cur_of(actions.text);
		while (rec_next(&cur, &action))
			n++;
		cur = cur_of(actions.text);
		if (n == 3)
			put_rule(buf_view(&rule), STR("all"), out);
		else
			while (rec_next(&cur, &action))
				put_rule(buf_view(&rule), action.text, out);
	}
	rec_end(out);
}

static const char *const device_fields[] = {"kind", "enabled", "note", "groups", "roles"};

static void put_devices(struct store *s, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(s->registry, "SELECT id, name FROM device ORDER BY name");
	rec_list(out, "devices");
	while (sql_next(&q)) {
		AUTO_BUF device = {0};
		struct rec_value v;
		device_put(s, sql_at_int(&q, 0), false, &device);
		rec_object(out, "");
		rec_str(out, "name", sql_at_str(&q, 1));
		for (size_t i = 0; i < ARRAY_LEN(device_fields); i++)
			if (rec_find(buf_view(&device), device_fields[i], &v))
				rec_copy(out, device_fields[i], &v);
		rec_end(out);
	}
	rec_end(out);
}

/* The settings of the parent's answer; a refusal was told when false. */
static bool take_settings(struct op_call *c, int err, struct record *reply, struct buf *rec,
			  struct str *items)
{
	struct body_setting_done done;
	struct rec_value list;
	if (!err && body_setting_done_get(reply->body, &done) == 0 && done.status == OP_OK &&
	    reply->fd >= 0 && memfd_read(reply->fd, SETTINGS_MAX, rec) == 0 &&
	    rec_valid(buf_view(rec)) && rec_find(buf_view(rec), "items", &list)) {
		*items = list.text;
		return true;
	}
	op_refuse(c, OP_UNAVAILABLE, NULL, "the parent process does not answer: try again");
	return false;
}

static void show(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	AUTO_BUF rec = {0};
	struct str items;
	if (!take_settings(c, err, reply, &rec, &items))
		return;
	rec_int(&c->result, "version", STATE_VERSION);
	put_settings(items, &c->result);
	put_listeners(items, &c->result);
	put_roles(c->s->registry, &c->result);
	put_rules(c->s, &c->result);
	put_devices(c->s, &c->result);
	op_done(c);
}

static void ask_settings(struct op_call *c, void (*done)(struct link_call *, int, struct record *))
{
	const struct body_setting_get all = {.key = STR("")};
	if (settings_have_parent(c))
		LINK_ASK(c->s->parent, &c->ask, SETTING_GET, setting_get, -1, &all, OP_PARENT_MS,
			 done);
}

void op_state_show(struct op_call *c)
{
	ask_settings(c, show);
}

/* ---- the document ---- */

static struct str document(const struct op_call *c)
{
	struct rec_value v = {.text = STR("")};
	rec_find(buf_view(&c->args), "state", &v);
	return v.text;
}

static bool prunes(const struct op_call *c)
{
	bool prune = false;
	op_bool(c, "prune", &prune);
	return prune;
}

static bool part(const struct op_call *c, const char *name, struct str *inside)
{
	struct rec_value v;
	if (!rec_find(document(c), name, &v))
		return false;
	*inside = v.text;
	return true;
}

static void refuse_at(struct op_call *c, const char *at, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void refuse_at(struct op_call *c, const char *at, const char *fmt, ...)
{
	char why[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (c->batch)
		c->batch->at[0] = 0;
	op_refuse(c, OP_INVALID, at, "%s: %s", at, why);
}

/* Parts and their kinds; an object of a list may have these fields and no others. */
static const struct list_part {
	const char *name;
	const char *fields[10];
} list_parts[] = {
	{"roles", {"name", "note"}},
	{"devices", {"name", "kind", "enabled", "note", "groups", "roles"}},
	{"rules",
	 {"effect", "subject", "action", "filter", "priority", "literal", "qos", "retain",
	  "networks"}},
};

static bool knows(const struct list_part *p, struct str field)
{
	for (size_t i = 0; i < ARRAY_LEN(p->fields) && p->fields[i]; i++)
		if (str_is(field, p->fields[i]))
			return true;
	return false;
}

static bool check_item(struct op_call *c, const struct list_part *p, size_t n,
		       const struct rec_value *item)
{
	struct cur cur = cur_of(item->text);
	struct rec_value v;
	char at[BATCH_PATH];
	snprintf(at, sizeof(at), "%s[%zu]", p->name, n);
	if (item->kind != REC_OBJECT) {
		refuse_at(c, at, "must be an object");
		return false;
	}
	while (rec_next(&cur, &v)) {
		const struct str name = str_head(v.name, SHOWN_MAX);
		if (knows(p, v.name))
			continue;
		snprintf(at, sizeof(at), "%s[%zu].%.*s", p->name, n, STR_ARG(name));
		refuse_at(c, at, "there is no such field; a state holds no secrets either");
		return false;
	}
	return true;
}

static bool check_list(struct op_call *c, const struct list_part *p)
{
	struct rec_value list, item;
	size_t n = 0;
	if (!rec_find(document(c), p->name, &list))
		return true;
	if (list.kind != REC_LIST) {
		refuse_at(c, p->name, "must be a list");
		return false;
	}
	struct cur cur = cur_of(list.text);
	while (rec_next(&cur, &item))
		if (!check_item(c, p, n++, &item))
			return false;
	return true;
}

static bool check_texts(struct op_call *c, const char *at, const struct rec_value *object)
{
	struct cur cur = cur_of(object->text);
	struct rec_value v;
	char place[BATCH_PATH];
	if (object->kind != REC_OBJECT) {
		refuse_at(c, at, "must be an object");
		return false;
	}
	while (rec_next(&cur, &v)) {
		const struct str name = str_head(v.name, SHOWN_MAX);
		snprintf(place, sizeof(place), "%s.%.*s", at, STR_ARG(name));
		if (v.kind != REC_STR || v.text.n == 0 || v.text.n > 1024) {
			refuse_at(c, place,
				  "must be text of 1 to 1024 bytes, as it would stand in "
				  "gatehouse.conf");
			return false;
		}
	}
	return true;
}

static bool check_settings(struct op_call *c)
{
	struct rec_value object, v;
	if (rec_find(document(c), "settings", &object) && !check_texts(c, "settings", &object))
		return false;
	if (!rec_find(document(c), "listeners", &object))
		return true;
	if (object.kind != REC_OBJECT) {
		refuse_at(c, "listeners", "must be an object");
		return false;
	}
	struct cur cur = cur_of(object.text);
	while (rec_next(&cur, &v)) {
		char at[BATCH_PATH];
		const struct str name = str_head(v.name, SHOWN_MAX);
		snprintf(at, sizeof(at), "listeners.%.*s", STR_ARG(name));
		if (!check_texts(c, at, &v))
			return false;
	}
	return true;
}

static bool check_parts(struct op_call *c)
{
	static const char *const parts[] = {"version", "settings", "listeners",
					    "roles",   "rules",    "devices"};
	struct cur cur = cur_of(document(c));
	struct rec_value v;
	int64_t version;
	if (!rec_get_int(document(c), "version", &version) || version != STATE_VERSION) {
		refuse_at(c, "version", "must be %d", STATE_VERSION);
		return false;
	}
	while (rec_next(&cur, &v)) {
		bool known = false;
		for (size_t i = 0; i < ARRAY_LEN(parts); i++)
			known |= str_is(v.name, parts[i]);
		if (known)
			continue;
		char at[65];
		const struct str name = str_head(v.name, sizeof(at) - 1);
		snprintf(at, sizeof(at), "%.*s", STR_ARG(name));
		refuse_at(c, at,
			  "there is no such part; allowed are version, settings, listeners, "
			  "roles, rules and devices");
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(list_parts); i++)
		if (!check_list(c, &list_parts[i]))
			return false;
	return check_settings(c);
}

/* ---- steps: roles, devices, rules ---- */

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
	char place[BATCH_PATH + 8];
	snprintf(place, sizeof(place), "%s.name", at);
	if (!rec_get_str(item, "name", name) || name->n == 0) {
		refuse_at(c, place, "is missing");
		return false;
	}
	if (map_set(names, *name, names)) {
		refuse_at(c, place, "\"%.*s\" stands twice in this list", STR_ARG(*name));
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
static bool add_device(struct op_call *c, const char *at, struct str item, struct str name)
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
	return batch_step(c, OP_DEVICE_ADD, &args, at) &&
	       (!off || batch_step(c, OP_DEVICE_SET, &more, at));
}

static bool apply_device(struct op_call *c, const char *at, struct str item, struct str name)
{
	AUTO_BUF now = {0};
	AUTO_BUF args = {0};
	int64_t id;
	if (registry_device(c->s->registry, name, &id))
		return add_device(c, at, item, name);
	device_put(c->s, id, false, &now);
	return !differences(buf_view(&now), item, &args) || batch_step(c, OP_DEVICE_SET, &args, at);
}

static void apply_named(struct op_call *c, const char *list,
			bool (*apply)(struct op_call *, const char *, struct str, struct str),
			struct map *names)
{
	struct str inside;
	struct rec_value item;
	struct str name;
	char at[BATCH_PATH];
	size_t n = 0;
	if (c->batch->failed || !part(c, list, &inside))
		return;
	struct cur cur = cur_of(inside);
	while (rec_next(&cur, &item)) {
		snprintf(at, sizeof(at), "%s[%zu]", list, n++);
		if (!take_name(c, at, item.text, names, &name) || !apply(c, at, item.text, name))
			return;
	}
}

/* ---- rules ---- */

static bool rule_args(struct op_call *c, const char *at, struct str item, struct buf *args)
{
	struct cur cur = cur_of(item);
	struct rec_value v;
	char place[BATCH_PATH + 12];
	while (rec_next(&cur, &v)) {
		AUTO_CHAR field = str_dup(v.name);
		if (v.kind == REC_NULL)
			continue;
		if (!str_is(v.name, "priority")) {
			rec_copy(args, field, &v);
			continue;
		}
		if (v.kind != REC_INT || v.number < -PRIORITY_BIAS || v.number > PRIORITY_BIAS) {
			snprintf(place, sizeof(place), "%s.priority", at);
			refuse_at(c, place, "must be a whole number between -%d and %d",
				  PRIORITY_BIAS, PRIORITY_BIAS);
			return false;
		}
		rec_int(args, "priority", v.number + PRIORITY_BIAS);
	}
	return true;
}

/* A rule that is there is no reason to stop: *same is its number then, else 0. */
static bool apply_rule(struct op_call *c, const char *at, struct str item, int64_t *same)
{
	AUTO_BUF args = {0};
	if (!rule_args(c, at, item, &args))
		return false;
	const bool added = batch_step(c, OP_ACL_ADD, &args, at);
	*same = c->batch->same;
	if (*same)
		c->batch->failed = false;
	return added || *same;
}

static void apply_rules(struct op_call *c, struct map *kept)
{
	struct str inside;
	struct rec_value item;
	char at[BATCH_PATH];
	int64_t same;
	size_t n = 0;
	if (c->batch->failed || !part(c, "rules", &inside))
		return;
	struct cur cur = cur_of(inside);
	while (rec_next(&cur, &item)) {
		snprintf(at, sizeof(at), "rules[%zu]", n++);
		if (!apply_rule(c, at, item.text, &same))
			return;
		if (same)
			map_set(kept, MAP_KEY(same), kept);
	}
}

/* ---- prune ---- */

/* Rules up to this number that the document does not have. */
static void prune_rules(struct op_call *c, int64_t last, const struct map *kept)
{
	int64_t id = 0;
	struct str unused;
	if (!part(c, "rules", &unused))
		return;
	while (!c->batch->failed &&
	       SQL_GET_INT(c->s->registry, &id,
			   "SELECT id FROM rule WHERE id > ? AND id <= ? AND learn_until IS NULL "
			   "ORDER BY id LIMIT 1",
			   sql_int(id), sql_int(last))) {
		AUTO_BUF args = {0};
		if (map_get(kept, MAP_KEY(id)))
			continue;
		rec_int(&args, "id", id);
		batch_step(c, OP_ACL_REMOVE, &args, "rules");
	}
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

static void prune_named(struct op_call *c, const char *list, bool device, const struct map *names)
{
	char name[NAME_SIZE] = "";
	struct str unused;
	if (!part(c, list, &unused))
		return;
	while (!c->batch->failed && next_name(c, device, name)) {
		AUTO_BUF args = {0};
		if (map_get(names, str_of(name)))
			continue;
		rec_text(&args, "name", name);
		batch_step(c, device ? OP_DEVICE_REMOVE : OP_ROLE_REMOVE, &args, list);
	}
}

static void state_steps(struct op_call *c)
{
	struct map roles = {0};
	struct map devices = {0};
	struct map kept = {0};
	int64_t last = 0;
	SQL_GET_INT(c->s->registry, &last, "SELECT coalesce(max(id), 0) FROM rule");
	apply_named(c, "roles", apply_role, &roles);
	apply_named(c, "devices", apply_device, &devices);
	apply_rules(c, &kept);
	if (prunes(c)) {
		prune_rules(c, last, &kept);
		prune_named(c, "devices", true, &devices);
		prune_named(c, "roles", false, &roles);
	}
	map_fini(&roles);
	map_fini(&devices);
	map_fini(&kept);
}

/* ---- settings ---- */

static void put_change(struct buf *changes, struct map *named, struct str key, struct str value)
{
	strs_put(changes, key);
	strs_put(changes, value);
	map_set(named, key, named);
}

static void collect_settings(struct op_call *c, struct buf *changes, struct map *named)
{
	struct str inside;
	struct rec_value v, w;
	if (part(c, "settings", &inside)) {
		struct cur cur = cur_of(inside);
		while (rec_next(&cur, &v))
			put_change(changes, named, v.name, v.text);
	}
	if (!part(c, "listeners", &inside))
		return;
	struct cur cur = cur_of(inside);
	while (rec_next(&cur, &v)) {
		struct cur keys = cur_of(v.text);
		while (rec_next(&keys, &w)) {
			AUTO_CHAR key =
				mem_printf("listener.%.*s.%.*s", STR_ARG(v.name), STR_ARG(w.name));
			put_change(changes, named, str_of(key), w.text);
		}
	}
}

/* What settings.conf has and the document has not goes back to its default. */
static void prune_settings(struct op_call *c, struct str items, struct buf *changes,
			   const struct map *named)
{
	struct cur cur = cur_of(items);
	struct setting s;
	struct str unused;
	while (next_setting(&cur, &s)) {
		const char *list = is_of_listener(s.key) ? "listeners" : "settings";
		if (!str_is(s.source, "settings") || !part(c, list, &unused) ||
		    map_get(named, s.key))
			continue;
		strs_put(changes, s.key);
		strs_put(changes, STR(""));
	}
}

static void path_of(struct str key, char out[BATCH_PATH])
{
	const bool listener = is_of_listener(key);
	const size_t skip = listener ? listener_prefix.n : 0;
	const struct str shown = str_head(str_make(key.p + skip, key.n - skip), 2 * SHOWN_MAX);
	snprintf(out, BATCH_PATH, "%s.%.*s", listener ? "listeners" : "settings", STR_ARG(shown));
}

static void planned(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	AUTO_BUF rec = {0};
	struct str items;
	struct map named = {0};
	int64_t seconds = 0;
	if (!take_settings(c, err, reply, &rec, &items))
		return;
	op_int(c, "confirm-within", &seconds);
	struct plan *plan = mem_new(struct plan);
	plan->dry = c->op == OP_STATE_DIFF;
	plan->confirm_s = (uint32_t)seconds;
	plan->steps = state_steps;
	plan->path = path_of;
	collect_settings(c, &plan->changes, &named);
	if (prunes(c))
		prune_settings(c, items, &plan->changes, &named);
	map_fini(&named);
	plan_run(c, plan);
}

void op_state_diff(struct op_call *c)
{
	if (check_parts(c))
		ask_settings(c, planned);
}

void op_state_apply(struct op_call *c)
{
	op_state_diff(c);
}
