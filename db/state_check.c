/* SPDX-License-Identifier: Apache-2.0
 *
 * What is wrong in a document, as far as the operations that carry it out do not say: see state.h.
 */
#include "db/batch.h"
#include "db/op_state.h"
#include "db/state.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const part_names[] = {
	[STATE_SETTINGS] = "settings", [STATE_LISTENERS] = "listeners", [STATE_ROLES] = "roles",
	[STATE_RULES] = "rules",       [STATE_DEVICES] = "devices",
};

const char *state_part_name(enum state_part part)
{
	return part_names[part];
}

bool state_has(const struct state_document *d, enum state_part part)
{
	return d->part[part].kind != REC_NULL;
}

void state_refuse(struct op_call *c, const char *at, const char *fmt, ...)
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

/* An object of a list may have these fields and no others. */
static const struct list_part {
	enum state_part part;
	const char *fields[10];
} list_parts[] = {
	{STATE_ROLES, {"name", "note"}},
	{STATE_DEVICES, {"name", "kind", "enabled", "note", "groups", "roles"}},
	{STATE_RULES,
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
	char at[STATE_PLACE];
	snprintf(at, sizeof(at), "%s[%zu]", part_names[p->part], n);
	if (item->kind != REC_OBJECT) {
		state_refuse(c, at, "must be an object");
		return false;
	}
	while (rec_next(&cur, &v)) {
		const struct str name = str_head(v.name, STATE_SHOWN);
		if (knows(p, v.name))
			continue;
		snprintf(at, sizeof(at), "%s[%zu].%.*s", part_names[p->part], n, STR_ARG(name));
		state_refuse(c, at, "there is no such field; a state holds no secrets either");
		return false;
	}
	return true;
}

static bool check_list(struct op_call *c, const struct state_document *d, const struct list_part *p)
{
	const struct rec_value *list = &d->part[p->part];
	struct rec_value item;
	size_t n = 0;
	if (!state_has(d, p->part))
		return true;
	if (list->kind != REC_LIST) {
		state_refuse(c, part_names[p->part], "must be a list");
		return false;
	}
	struct cur cur = cur_of(list->text);
	while (rec_next(&cur, &item))
		if (!check_item(c, p, n++, &item))
			return false;
	return true;
}

static bool check_texts(struct op_call *c, const char *at, const struct rec_value *object)
{
	struct cur cur = cur_of(object->text);
	struct rec_value v;
	char place[STATE_PLACE];
	if (object->kind != REC_OBJECT) {
		state_refuse(c, at, "must be an object");
		return false;
	}
	while (rec_next(&cur, &v)) {
		const struct str name = str_head(v.name, STATE_SHOWN);
		snprintf(place, sizeof(place), "%s.%.*s", at, STR_ARG(name));
		if (v.kind == REC_NULL)
			continue;
		if (v.kind != REC_STR || v.text.n == 0 || v.text.n > 1024) {
			state_refuse(c, place,
				     "must be text of 1 to 1024 bytes, as it would stand in "
				     "gatehouse.conf, or null for the default");
			return false;
		}
	}
	return true;
}

static bool check_settings(struct op_call *c, const struct state_document *d)
{
	const struct rec_value *listeners = &d->part[STATE_LISTENERS];
	struct rec_value v;
	if (state_has(d, STATE_SETTINGS) && !check_texts(c, "settings", &d->part[STATE_SETTINGS]))
		return false;
	if (!state_has(d, STATE_LISTENERS))
		return true;
	if (listeners->kind != REC_OBJECT) {
		state_refuse(c, "listeners", "must be an object");
		return false;
	}
	struct cur cur = cur_of(listeners->text);
	while (rec_next(&cur, &v)) {
		char at[STATE_PLACE];
		const struct str name = str_head(v.name, STATE_SHOWN);
		snprintf(at, sizeof(at), "listeners.%.*s", STR_ARG(name));
		if (!check_texts(c, at, &v))
			return false;
	}
	return true;
}

static bool take_part(struct state_document *d, const struct rec_value *v)
{
	for (size_t i = 0; i < STATE_PARTS; i++) {
		if (!str_is(v->name, part_names[i]))
			continue;
		d->part[i] = *v;
		return true;
	}
	return str_is(v->name, "version");
}

/* One pass: a document may be long. */
static bool take_parts(struct op_call *c, struct state_document *d)
{
	struct rec_value document = {.text = STR("")};
	struct rec_value v;
	struct str unknown = {NULL, 0};
	int64_t version = 0;
	rec_find(buf_view(&c->args), "state", &document);
	struct cur cur = cur_of(document.text);
	while (rec_next(&cur, &v)) {
		if (str_is(v.name, "version") && v.kind == REC_INT)
			version = v.number;
		if (!take_part(d, &v) && !unknown.p)
			unknown = str_head(v.name, 64);
	}
	if (version != STATE_VERSION) {
		state_refuse(c, "version", "must be %d", STATE_VERSION);
		return false;
	}
	if (unknown.p) {
		char at[65];
		snprintf(at, sizeof(at), "%.*s", STR_ARG(unknown));
		state_refuse(c, at,
			     "there is no such part; allowed are version, settings, listeners, "
			     "roles, rules and devices");
	}
	return !unknown.p;
}

bool state_take(struct op_call *c, struct state_document *d)
{
	for (size_t i = 0; i < STATE_PARTS; i++)
		d->part[i] = (struct rec_value){.kind = REC_NULL, .text = STR("")};
	op_bool(c, "prune", &d->prune);
	if (!take_parts(c, d))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(list_parts); i++)
		if (!check_list(c, d, &list_parts[i]))
			return false;
	return check_settings(c, d);
}
