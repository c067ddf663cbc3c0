/* SPDX-License-Identifier: Apache-2.0
 *
 * state.show: the document of the registry as it is, see state.h. Rules stand in the order of their
 * subjects: for everyone, of roles, of groups, of devices.
 */
#include "daemon/base/mem.h"
#include "db/op_acl.h"
#include "db/op_device.h"
#include "db/op_state.h"
#include "db/state.h"

#include <stdlib.h>

static void put_named(struct buf *out, struct str name, struct str value)
{
	AUTO_CHAR key = str_dup(name);
	rec_str(out, key, value);
}

static void put_settings(struct str items, struct buf *out)
{
	struct cur cur = cur_of(items);
	struct state_setting s;
	rec_object(out, "settings");
	while (state_next_setting(&cur, &s))
		if (!state_is_of_listener(s.key) && !s.file_only && !str_is(s.source, "default"))
			put_named(out, s.key, s.value);
	rec_end(out);
}

static void put_listeners(struct str items, struct buf *out)
{
	struct cur cur = cur_of(items);
	struct str open = {NULL, 0};
	struct state_setting s;
	rec_object(out, "listeners");
	while (state_next_setting(&cur, &s)) {
		struct str name, word;
		if (!state_is_of_listener(s.key))
			continue;
		state_split_listener(s.key, &name, &word);
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

static void put_role(struct buf *out, const struct sql_query *q)
{
	rec_object(out, "");
	rec_str(out, "name", sql_at_str(q, 1));
	rec_str(out, "note", sql_at_str(q, 2));
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

/* One rule here may be several there: of one action, or of all. */
static void put_saved_rule(struct store *s, int64_t id, struct buf *out)
{
	AUTO_BUF rule = {0};
	struct rec_value actions, action;
	size_t n = 0;
	rule_put(s, id, &rule);
	if (!rec_find(buf_view(&rule), "actions", &actions))
		return;
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

static void put_rules(struct store *s, struct sql_query *q, struct buf *out)
{
	while (sql_next(q))
		put_saved_rule(s, sql_at_int(q, 0), out);
}

#define RULES_ORDER                                                                              \
	"AND learn_until IS NULL ORDER BY priority DESC, allow, filter, actions, literal, qos, " \
	"retain, networks"

static void put_device(struct store *s, int64_t id, struct str name, struct buf *out)
{
	static const char *const fields[] = {"kind", "enabled", "note", "groups", "roles"};
	AUTO_BUF device = {0};
	struct rec_value v;
	device_put(s, id, false, &device);
	rec_object(out, "");
	rec_str(out, "name", name);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (rec_find(buf_view(&device), fields[i], &v))
			rec_copy(out, fields[i], &v);
	rec_end(out);
}

/* ---- in portions ---- */

enum phase {
	ROLES,
	RULES_OF_ANY,
	RULES_OF_ROLES,
	RULES_OF_GROUPS,
	RULES_OF_DEVICES,
	DEVICES,
	DONE
};

/* The list that is read: one query, of which each portion takes a row. */
struct showing {
	enum phase phase;
	bool open;
	struct sql_query rows;
};

static void showing_free(void *state)
{
	struct showing *show = state;
	if (show->open)
		sql_query_end(&show->rows);
	free(show);
}

static struct sql_query query(struct sql *db, enum phase phase)
{
	switch (phase) {
	case ROLES:
		return SQL_QUERY(db, "SELECT id, name, note FROM role ORDER BY name");
	case RULES_OF_ROLES:
		return SQL_QUERY(db, "SELECT id FROM role ORDER BY name");
	case RULES_OF_GROUPS:
		return SQL_QUERY(db, "SELECT id FROM grp ORDER BY name");
	case RULES_OF_DEVICES:
		return SQL_QUERY(db, "SELECT id FROM device WHERE EXISTS(SELECT 1 FROM rule WHERE "
				     "device_id = device.id) ORDER BY name");
	case DEVICES:
		return SQL_QUERY(db, "SELECT id, name FROM device ORDER BY name");
	default: /* one row, for the rules that have no subject */
		return SQL_QUERY(db, "SELECT 0");
	}
}

static struct sql_query rules_of(struct sql *db, enum phase phase, int64_t id)
{
	switch (phase) {
	case RULES_OF_ROLES:
		return SQL_QUERY(db, "SELECT id FROM rule WHERE role_id = ? " RULES_ORDER,
				 sql_int(id));
	case RULES_OF_GROUPS:
		return SQL_QUERY(db, "SELECT id FROM rule WHERE grp_id = ? " RULES_ORDER,
				 sql_int(id));
	case RULES_OF_DEVICES:
		return SQL_QUERY(db, "SELECT id FROM rule WHERE device_id = ? " RULES_ORDER,
				 sql_int(id));
	default:
		return SQL_QUERY(db, "SELECT id FROM rule WHERE device_id IS NULL AND grp_id IS "
				     "NULL AND role_id IS NULL " RULES_ORDER);
	}
}

static void put_row(struct op_call *c, const struct showing *show)
{
	struct buf *out = &c->result;
	const struct sql_query *q = &show->rows;
	const int64_t id = sql_at_int(q, 0);
	if (show->phase == ROLES) {
		put_role(out, q);
	} else if (show->phase == DEVICES) {
		put_device(c->s, id, sql_at_str(q, 1), out);
	} else {
		AUTO_QUERY rules = rules_of(c->s->registry, show->phase, id);
		put_rules(c->s, &rules, out);
	}
}

static void begin_list(struct op_call *c, struct showing *show)
{
	show->rows = query(c->s->registry, show->phase);
	show->open = true;
	if (show->phase == ROLES)
		rec_list(&c->result, "roles");
	else if (show->phase == RULES_OF_ANY)
		rec_list(&c->result, "rules");
	else if (show->phase == DEVICES)
		rec_list(&c->result, "devices");
}

static void end_list(struct op_call *c, struct showing *show)
{
	c->job.error = show->rows.error;
	show->open = false;
	if (show->phase == ROLES || show->phase == RULES_OF_DEVICES || show->phase == DEVICES)
		rec_end(&c->result);
	show->phase++;
}

static bool show_portion(struct job *j)
{
	struct op_call *c = container_of(j, struct op_call, job);
	struct showing *show = c->state;
	if (!show->open)
		begin_list(c, show);
	if (sql_next(&show->rows))
		put_row(c, show);
	else
		end_list(c, show);
	return show->phase != DONE && !j->error;
}

static void shown(struct job *j)
{
	struct op_call *c = container_of(j, struct op_call, job);
	if (j->error)
		op_refuse_sql(c, j->error);
	else
		op_done(c);
}

void state_show(struct op_call *c, struct str settings)
{
	rec_int(&c->result, "version", STATE_VERSION);
	put_settings(settings, &c->result);
	put_listeners(settings, &c->result);
	c->state = mem_new(struct showing);
	c->state_free = showing_free;
	c->job.portion = show_portion;
	c->job.over = shown;
	job_start(c->s, &c->job);
}
