/* SPDX-License-Identifier: Apache-2.0
 *
 * Metrics: see metrics.h. The answer is flattened to names and numbers; then each row of the table
 * takes those that its pattern fits and no row before it took.
 */
#include "daemon/web/metrics.h"

#include <stdio.h>

enum { FIGURE_MAX = 256, DEPTH_MAX = 6 };

enum type { GAUGE, COUNTER };

static const struct metric {
	enum type type;
	const char *name;
	const char *label; /* "" = none */
	const char *figure;
	const char *text;
} metrics[] = {
#define METRIC(type, name, label, figure, text) {type, name, label, figure, text},
#include "daemon/base/metrics.def"
};

/* ---- the answer as names and numbers ----------------------------------------------------------
 */

static void flatten(const char *name, const json_t *value, json_t *flat, unsigned depth);

static void flatten_members(const char *prefix, const json_t *object, json_t *flat, unsigned depth)
{
	const char *key;
	json_t *value;
	char name[FIGURE_MAX];
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		const int n =
			snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", key);
		if (n > 0 && (size_t)n < sizeof(name))
			flatten(name, value, flat, depth);
	}
	const char *state = json_string_value(json_object_get(object, "state"));
	if (state && snprintf(name, sizeof(name), "%s.up", prefix) < (int)sizeof(name))
		json_object_set_new(flat, name, json_integer(strcmp(state, "serving") == 0));
}

static void flatten(const char *name, const json_t *value, json_t *flat, unsigned depth)
{
	char longer[FIGURE_MAX];
	size_t i;
	json_t *item;
	if (depth > DEPTH_MAX)
		return;
	if (json_is_integer(value)) {
		json_object_set_new(flat, name, json_integer(json_integer_value(value)));
	} else if (json_is_boolean(value)) {
		json_object_set_new(flat, name, json_integer(json_is_true(value)));
	} else if (json_is_object(value)) {
		flatten_members(name, value, flat, depth + 1);
	} else if (json_is_string(value)) {
		const int n =
			snprintf(longer, sizeof(longer), "%s.%s", name, json_string_value(value));
		if (n > 0 && (size_t)n < sizeof(longer))
			json_object_set_new(flat, longer, json_integer(1));
	}
	json_array_foreach(value, i, item)
	{
		const char *member = json_string_value(json_object_get(item, "name"));
		if (member &&
		    snprintf(longer, sizeof(longer), "%s.%s", name, member) < (int)sizeof(longer))
			flatten_members(longer, item, flat, depth + 1);
	}
}

/* ---- rows -------------------------------------------------------------------------------------
 */

/* Whether a name fits the pattern; *star is then what stands for the asterisk. */
static bool fits(const char *pattern, struct str name, struct str *star)
{
	const char *at = strchr(pattern, '*');
	*star = (struct str){NULL, 0};
	if (!at)
		return str_is(name, pattern);
	const struct str head = str_make(pattern, (size_t)(at - pattern));
	const struct str tail = str_of(at + 1);
	if (name.n <= head.n + tail.n || !str_prefix(name, head) ||
	    !str_eq(str_make(name.p + name.n - tail.n, tail.n), tail))
		return false;
	*star = str_make(name.p + head.n, name.n - head.n - tail.n);
	return true;
}

static void put_label(const char *label, struct str value, struct buf *out)
{
	buf_printf(out, "{%s=\"", label);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '\\' || value.p[i] == '"')
			buf_putc(out, '\\');
		if (value.p[i] == '\n')
			buf_puts(out, "\\n");
		else
			buf_putc(out, value.p[i]);
	}
	buf_puts(out, "\"}");
}

static void put_sample(const struct metric *m, struct str star, const json_t *value, bool first,
		       struct buf *out)
{
	if (first)
		buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", m->name, m->text, m->name,
			   m->type == COUNTER ? "counter" : "gauge");
	buf_puts(out, m->name);
	if (m->label[0])
		put_label(m->label, star, out);
	buf_printf(out, " %lld\n", (long long)json_integer_value(value));
}

void metrics_print(const json_t *status, struct buf *out)
{
	json_t *flat = json_object();
	flatten_members("", status, flat, 0);
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		const char *key;
		json_t *value;
		void *next;
		struct str star;
		bool first = true;
		json_object_foreach_safe(flat, next, key, value)
		{
			if (!fits(metrics[i].figure, str_of(key), &star))
				continue;
			put_sample(&metrics[i], star, value, first, out);
			first = false;
			json_object_del(flat, key);
		}
	}
	json_decref(flat);
}
