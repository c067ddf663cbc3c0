/* SPDX-License-Identifier: Apache-2.0
 *
 * The settings of a document: see state.h.
 */
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "db/state.h"

#include <stdio.h>
#include <stdlib.h>

static const struct str listener_prefix = {"listener.", 9};

bool state_next_setting(struct cur *cur, struct state_setting *out)
{
	struct rec_value item;
	*out = (struct state_setting){0};
	if (!rec_next(cur, &item))
		return false;
	rec_get_str(item.text, "key", &out->key);
	rec_get_str(item.text, "value", &out->value);
	rec_get_str(item.text, "source", &out->source);
	rec_get_bool(item.text, "file_only", &out->file_only);
	return true;
}

bool state_is_of_listener(struct str key)
{
	return str_prefix(key, listener_prefix);
}

/* "listener.NAME.key" into NAME and key. NAME may have dots, a key has none. */
void state_split_listener(struct str key, struct str *name, struct str *word)
{
	struct str rest = str_make(key.p + listener_prefix.n, key.n - listener_prefix.n);
	size_t dot = rest.n;
	while (dot > 0 && rest.p[dot - 1] != '.')
		dot--;
	*name = str_make(rest.p, dot ? dot - 1 : 0);
	*word = str_make(rest.p + dot, rest.n - dot);
}

/* null: goes back to its default. */
static void put_change(struct buf *changes, struct map *named, struct str key,
		       const struct rec_value *value)
{
	strs_put(changes, key);
	strs_put(changes, value->kind == REC_NULL ? STR("") : value->text);
	map_set(named, key, named);
}

static void collect(const struct state_document *d, struct buf *changes, struct map *named)
{
	struct rec_value v, w;
	struct cur cur = cur_of(d->part[STATE_SETTINGS].text);
	while (rec_next(&cur, &v))
		put_change(changes, named, v.name, &v);
	cur = cur_of(d->part[STATE_LISTENERS].text);
	while (rec_next(&cur, &v)) {
		struct cur keys = cur_of(v.text);
		while (rec_next(&keys, &w)) {
			AUTO_CHAR key =
				mem_printf("listener.%.*s.%.*s", STR_ARG(v.name), STR_ARG(w.name));
			put_change(changes, named, str_of(key), &w);
		}
	}
}

/* What settings.conf has and the document has not goes back to its default. */
static void prune(const struct state_document *d, struct str items, struct buf *changes,
		  const struct map *named)
{
	struct cur cur = cur_of(items);
	struct state_setting s;
	while (state_next_setting(&cur, &s)) {
		const bool listener = state_is_of_listener(s.key);
		if (!str_is(s.source, "settings") ||
		    !state_has(d, listener ? STATE_LISTENERS : STATE_SETTINGS) ||
		    map_get(named, s.key))
			continue;
		strs_put(changes, s.key);
		strs_put(changes, STR(""));
	}
}

void state_place_of(struct str key, char out[STATE_PLACE])
{
	const bool listener = state_is_of_listener(key);
	const size_t skip = listener ? listener_prefix.n : 0;
	const struct str shown = str_head(str_make(key.p + skip, key.n - skip), 2 * STATE_SHOWN);
	snprintf(out, STATE_PLACE, "%s.%.*s", listener ? "listeners" : "settings", STR_ARG(shown));
}

void state_collect_settings(const struct state_document *d, struct str items, struct buf *changes)
{
	struct map named = {0};
	collect(d, changes, &named);
	if (d->prune)
		prune(d, items, changes, &named);
	map_fini(&named);
}
