/* SPDX-License-Identifier: Apache-2.0
 *
 * Generalising topics: see learn_pattern.h.
 *
 * Level by level: topics of one action that differ only there are a family. One with several
 * numbers or very many words becomes one topic with a "+" in that place.
 */
#include "db/learn_pattern.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"

#include <stdlib.h>

void learn_topics_fini(struct learn_topics *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->p[i].topic);
	free(t->p);
	*t = (struct learn_topics){0};
}

void learn_topics_add(struct learn_topics *t, struct str topic, struct str device,
		      const struct learn_topic *use)
{
	AUTO_BUF text = {0};
	struct str rest = topic;
	while (rest.p) {
		const struct str level = str_split(&rest, '/');
		buf_str(&text, device.n && str_eq(level, device) ? STR("${device}") : level);
		if (rest.p)
			buf_putc(&text, '/');
	}
	t->p = mem_grow(t->p, (t->n + 1) * sizeof(*t->p));
	t->p[t->n] = *use;
	t->p[t->n++].topic = str_dup(buf_view(&text));
}

/* ---- families ---- */

/* A topic, seen as the one level at which a family may differ and the rest. */
struct member {
	struct learn_topic *topic;
	struct str before;
	struct str level;
	struct str after;
};

static bool take_member(struct learn_topic *t, unsigned at, struct member *out)
{
	struct str rest = str_of(t->topic);
	struct str level = {0};
	for (unsigned i = 0; i <= at; i++) {
		if (!rest.p)
			return false;
		level = str_split(&rest, '/');
	}
	const size_t before = (size_t)(level.p - t->topic);
	*out = (struct member){t, str_make(t->topic, before), level, rest.p ? rest : STR("")};
	return !str_is(level, "#") && !str_prefix(level, STR("$"));
}

static bool is_number(struct str s)
{
	const size_t sign = s.n > 1 && s.p[0] == '-';
	for (size_t i = sign; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static int compare_family(const struct member *a, const struct member *b)
{
	const unsigned x = a->topic->actions;
	const unsigned y = b->topic->actions;
	int c = (x > y) - (x < y);
	c = c ? c : str_cmp(a->before, b->before);
	return c ? c : str_cmp(a->after, b->after);
}

static int by_family(const void *a, const void *b)
{
	const int c = compare_family(a, b);
	return c ? c
		 : str_cmp(((const struct member *)a)->level, ((const struct member *)b)->level);
}

static void put_plus(struct member *m)
{
	AUTO_BUF text = {0};
	buf_str(&text, m->before);
	buf_putc(&text, '+');
	const char *rest = m->level.p + m->level.n; /* "" or what follows, with its slash */
	buf_puts(&text, rest);
	free(m->topic->topic);
	m->topic->topic = str_dup(buf_view(&text));
}

/* The members are sorted by their level. */
static void merge_family(struct member *m, size_t n, bool first_level)
{
	size_t words = 0;
	size_t numbers = 0;
	bool wild = false;
	for (size_t i = 0; i < n; i++) {
		if (i && str_eq(m[i].level, m[i - 1].level))
			continue;
		words++;
		numbers += is_number(m[i].level);
		wild |= str_is(m[i].level, "+");
	}
	/* A "+" covers the rest of the family. */
	if (numbers < 2 && !wild && (first_level || words < LEARN_FAN_OUT))
		return;
	for (size_t i = 0; i < n; i++)
		put_plus(&m[i]);
}

static unsigned levels_max(const struct learn_topics *t)
{
	unsigned max = 1;
	for (size_t i = 0; i < t->n; i++) {
		unsigned n = 1;
		for (const char *p = t->p[i].topic; *p; p++)
			n += *p == '/';
		max = MAX(max, n);
	}
	return MIN(max, (unsigned)FILTER_LEVELS_MAX);
}

static void merge_level(struct learn_topics *t, unsigned at)
{
	struct member *m = mem_array(struct member, t->n + 1);
	size_t n = 0;
	for (size_t i = 0; i < t->n; i++)
		n += take_member(&t->p[i], at, &m[n]);
	if (n)
		qsort(m, n, sizeof(*m), by_family);
	for (size_t i = 0, end; i < n; i = end) {
		for (end = i + 1; end < n && compare_family(&m[i], &m[end]) == 0; end++)
			;
		merge_family(m + i, end - i, at == 0);
	}
	free(m);
}

/* ---- equal ones ---- */

static int by_topic(const void *a, const void *b)
{
	const struct learn_topic *x = a;
	const struct learn_topic *y = b;
	const int c = strcmp(x->topic, y->topic);
	return c ? c : (x->actions > y->actions) - (x->actions < y->actions);
}

static void unite(struct learn_topics *t, bool join)
{
	size_t n = 0;
	if (t->n)
		qsort(t->p, t->n, sizeof(*t->p), by_topic);
	for (size_t i = 0; i < t->n; i++) {
		struct learn_topic *last = n ? &t->p[n - 1] : NULL;
		struct learn_topic *now = &t->p[i];
		if (!last || strcmp(last->topic, now->topic) != 0 ||
		    (!join && last->actions != now->actions)) {
			t->p[n++] = *now;
			continue;
		}
		last->actions |= now->actions;
		last->times += now->times;
		last->first = MIN(last->first, now->first);
		last->last = MAX(last->last, now->last);
		free(now->topic);
	}
	t->n = n;
}

void learn_topics_generalise(struct learn_topics *t, bool join)
{
	unite(t, false);
	const unsigned levels = levels_max(t);
	for (unsigned at = 0; at < levels; at++) {
		merge_level(t, at);
		unite(t, false);
	}
	if (join)
		unite(t, true);
}
