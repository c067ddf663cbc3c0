/* SPDX-License-Identifier: Apache-2.0
 *
 * The registry as the broker sees it: see registry.h.
 */
#include "db/registry.h"
#include "daemon/base/err.h"

#include <stdio.h>

static int find(struct sql *db, const char *text, struct str name, int64_t *id)
{
	const struct sql_value value = sql_str(name.p ? name : STR(""));
	return sql_get_int(db, id, text, &value, 1) ? 0 : ERR_NOT_FOUND;
}

int registry_device(struct sql *db, struct str name, int64_t *id)
{
	return find(db, "SELECT id FROM device WHERE name = ?", name, id);
}

int registry_role(struct sql *db, struct str name, int64_t *id)
{
	return find(db, "SELECT id FROM role WHERE name = ?", name, id);
}

int registry_group(struct sql *db, struct str name, int64_t *id)
{
	return find(db, "SELECT id FROM grp WHERE name = ?", name, id);
}

bool registry_device_name(struct sql *db, int64_t id, char out[NAME_SIZE])
{
	AUTO_QUERY q = SQL_QUERY(db, "SELECT name FROM device WHERE id = ?", sql_int(id));
	const bool found = sql_next(&q);
	const struct str name = found ? sql_at_str(&q, 0) : STR("");
	snprintf(out, NAME_SIZE, "%.*s", STR_ARG(name));
	return found;
}

/* ---- entries ---- */

#define PUT_ENTRY(entries, kind_, gone_, name, b_)                                \
	do {                                                                      \
		unsigned char bytes_[33 * 1024];                                  \
		struct out inner_ = out_make(bytes_, sizeof(bytes_));             \
		body_##name##_put(&inner_, (b_));                                 \
		CHECK(out_ok(&inner_));                                           \
		const struct body_entry entry_ = {(kind_), (gone_),               \
						  str_make(bytes_, inner_.need)}; \
		ENTRIES_PUT((entries), entry, &entry_);                           \
	} while (0)

static void list_names(struct sql_query *q, struct buf *out)
{
	while (sql_next(q))
		strs_put(out, sql_at_str(q, 0));
}

static void put_device_row(struct sql *db, const struct sql_query *row, struct buf *entries)
{
	AUTO_BUF groups = {0};
	AUTO_BUF roles = {0};
	const int64_t id = sql_at_int(row, 0);
	AUTO_QUERY g = SQL_QUERY(db,
				 "SELECT name FROM device_grp JOIN grp ON grp.id = grp_id "
				 "WHERE device_id = ? ORDER BY name",
				 sql_int(id));
	list_names(&g, &groups);
	AUTO_QUERY r = SQL_QUERY(db,
				 "SELECT name FROM device_role JOIN role ON role.id = role_id "
				 "WHERE device_id = ? ORDER BY name",
				 sql_int(id));
	list_names(&r, &roles);
	const struct body_reg_device body = {
		.id = (uint64_t)id,
		.name = sql_at_str(row, 1),
		.uuid = sql_at_str(row, 2),
		.enabled = (uint8_t)sql_at_int(row, 3),
		.groups = buf_view(&groups),
		.roles = buf_view(&roles),
	};
	PUT_ENTRY(entries, ENTRY_DEVICE, 0, reg_device, &body);
}

void registry_put_device(struct sql *db, int64_t id, struct buf *entries)
{
	AUTO_QUERY q = SQL_QUERY(db, "SELECT id, name, uuid, enabled FROM device WHERE id = ?",
				 sql_int(id));
	if (sql_next(&q))
		put_device_row(db, &q, entries);
}

#define CERT_COLUMNS "SELECT fp, device_id, status, not_after, not_before, reason, revoked_at "

static void put_cert_row(const struct sql_query *row, struct buf *entries)
{
	const struct body_reg_cert body = {
		.fingerprint = sql_at_str(row, 0),
		.device_id = (uint64_t)sql_at_int(row, 1),
		.status = (uint8_t)sql_at_int(row, 2),
		.not_after_at = (uint64_t)sql_at_int(row, 3),
		.not_before_at = (uint64_t)sql_at_int(row, 4),
		.reason = (uint8_t)sql_at_int(row, 5),
		.revoked_at = (uint64_t)sql_at_int(row, 6),
	};
	PUT_ENTRY(entries, ENTRY_CERT, 0, reg_cert, &body);
}

void registry_put_cert(struct sql *db, int64_t id, struct buf *entries)
{
	AUTO_QUERY q = SQL_QUERY(db, CERT_COLUMNS "FROM cert WHERE id = ?", sql_int(id));
	if (sql_next(&q))
		put_cert_row(&q, entries);
}

#define RULE_COLUMNS                                                                         \
	"SELECT rule.id, rule.device_id, rule.grp_id, rule.role_id, "                        \
	"coalesce(device.name, grp.name, role.name, ''), allow, actions, priority, filter, " \
	"literal, qos, retain, networks, learn_until "                                       \
	"FROM rule LEFT JOIN device ON device.id = rule.device_id "                          \
	"LEFT JOIN grp ON grp.id = rule.grp_id LEFT JOIN role ON role.id = rule.role_id "

static enum subject_kind subject_of(const struct sql_query *row)
{
	if (!sql_at_null(row, 1))
		return SUBJECT_DEVICE;
	if (!sql_at_null(row, 2))
		return SUBJECT_GROUP;
	return sql_at_null(row, 3) ? SUBJECT_ANY : SUBJECT_ROLE;
}

static void put_rule_row(const struct sql_query *row, struct buf *entries)
{
	const struct body_reg_rule body = {
		.id = (uint64_t)sql_at_int(row, 0),
		.subject_kind = (uint8_t)subject_of(row),
		.subject = sql_at_str(row, 4),
		.allow = (uint8_t)sql_at_int(row, 5),
		.actions = (uint8_t)sql_at_int(row, 6),
		.priority = 0x80000000u + (uint32_t)sql_at_int(row, 7),
		.filter = sql_at_str(row, 8),
		.literal = (uint8_t)sql_at_int(row, 9),
		.qos = (uint8_t)sql_at_int(row, 10),
		.retain = (uint8_t)sql_at_int(row, 11),
		.networks = sql_at_str(row, 12),
		.learn_until_at = (uint64_t)sql_at_int(row, 13),
	};
	PUT_ENTRY(entries, ENTRY_RULE, 0, reg_rule, &body);
}

void registry_put_rule(struct sql *db, int64_t id, struct buf *entries)
{
	AUTO_QUERY q = SQL_QUERY(db, RULE_COLUMNS "WHERE rule.id = ?", sql_int(id));
	if (sql_next(&q))
		put_rule_row(&q, entries);
}

static enum ca_kind ca_kind_of(struct str kind)
{
	if (str_is(kind, "root"))
		return CA_ROOT;
	if (str_is(kind, "issuing"))
		return CA_ISSUING;
	return str_is(kind, "cross") ? CA_CROSS : CA_EXTERNAL;
}

static void put_ca_row(const struct sql_query *row, struct buf *entries)
{
	const bool usable =
		str_is(sql_at_str(row, 3), "active") || str_is(sql_at_str(row, 3), "retiring");
	const struct body_reg_ca body = {
		.id = (uint64_t)sql_at_int(row, 0),
		.kind = (uint8_t)ca_kind_of(sql_at_str(row, 1)),
		.der = sql_at_str(row, 2),
	};
	PUT_ENTRY(entries, ENTRY_CA, !usable, reg_ca, &body);
}

void registry_put_ca(struct sql *db, int64_t id, struct buf *entries)
{
	AUTO_QUERY q =
		SQL_QUERY(db, "SELECT id, kind, der, state FROM ca WHERE id = ?", sql_int(id));
	if (sql_next(&q))
		put_ca_row(&q, entries);
}

void registry_put_device_gone(int64_t id, struct buf *entries)
{
	const struct body_reg_device body = {.id = (uint64_t)id};
	PUT_ENTRY(entries, ENTRY_DEVICE, 1, reg_device, &body);
}

void registry_put_rule_gone(int64_t id, struct buf *entries)
{
	const struct body_reg_rule body = {.id = (uint64_t)id};
	PUT_ENTRY(entries, ENTRY_RULE, 1, reg_rule, &body);
}

/* ---- snapshot ---- */

static struct sql_query walk_query(struct sql *db, enum registry_part part, int64_t ended_after)
{
	switch (part) {
	case REGISTRY_AUTHORITIES:
		return SQL_QUERY(db, "SELECT id, kind, der, state FROM ca "
				     "WHERE state IN ('active', 'retiring')");
	case REGISTRY_DEVICES:
		return SQL_QUERY(db, "SELECT id, name, uuid, enabled FROM device");
	case REGISTRY_RULES:
		return SQL_QUERY(db, RULE_COLUMNS);
	default:
		return SQL_QUERY(db,
				 CERT_COLUMNS "FROM cert "
					      "WHERE profile = 'device' AND not_after > ?",
				 sql_int(ended_after));
	}
}

static void walk_put(struct sql *db, const struct registry_walk *w, struct buf *entries)
{
	if (w->part == REGISTRY_AUTHORITIES)
		put_ca_row(&w->rows, entries);
	else if (w->part == REGISTRY_DEVICES)
		put_device_row(db, &w->rows, entries);
	else if (w->part == REGISTRY_RULES)
		put_rule_row(&w->rows, entries);
	else
		put_cert_row(&w->rows, entries);
}

bool registry_walk(struct sql *db, struct registry_walk *w, int64_t ended_after,
		   struct buf *entries)
{
	if (!w->open)
		w->rows = walk_query(db, w->part, ended_after);
	w->open = sql_next(&w->rows);
	if (w->open)
		walk_put(db, w, entries);
	else if (!w->rows.error)
		w->part++;
	return !w->rows.error && w->part != REGISTRY_PARTS;
}

void registry_walk_end(struct registry_walk *w)
{
	if (w->open)
		sql_query_end(&w->rows);
	*w = (struct registry_walk){0};
}
