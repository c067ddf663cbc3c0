/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration as it would be with one setting changed from the interface: a new tree with the
 * old one's values, the change on top, and the same judgement as at a load.
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/conf/load.h"

#include <stdlib.h>

enum { SHOWN_MAX = 80 /* bytes that a message repeats */ };

static const struct conf_origin from_settings = {CONFIG_SOURCE_SETTINGS, 0};

static void copy_key(const struct config *from, struct conf_place place, size_t k,
		     struct config *to, struct conf_place to_place)
{
	const struct conf_origin origin = *conf_tree_origin(from, place, k);
	AUTO_BUF value = {0};
	AUTO_BUF why = {0};
	conf_tree_reset(to, to_place, k);
	if (!origin.source && conf_key[k].def[0] == '@')
		return; /* it follows another key */
	conf_value_print(&conf_key[k], conf_tree_field_of(from, place, k), &value);
	CHECK(conf_tree_set(to, to_place, k, buf_view(&value), origin, &why) == 0);
}

static void copy_place(const struct config *from, struct conf_place place, struct config *to,
		       struct conf_place to_place)
{
	const struct conf_section *s = &conf_section[place.section];
	for (size_t k = s->first; k < s->last; k++)
		copy_key(from, place, k, to, to_place);
}

static struct config *copy(const struct config *from)
{
	struct config *to = conf_tree_new();
	for (size_t i = 0; i < ARRAY_LEN(from->meta->file); i++) {
		free(to->meta->file[i]);
		to->meta->file[i] = from->meta->file[i] ? mem_strdup(from->meta->file[i]) : NULL;
	}
	CONF_EACH_PLACE (from, place) {
		struct conf_place there = place;
		if (conf_section[place.section].named)
			there = conf_tree_add(to, place.section,
					      str_of(conf_tree_name(from, place)),
					      from->meta->origins[place.section][place.i].made);
		copy_place(from, place, to, there);
	}
	return to;
}

static struct config *copy_whole(const struct config *from)
{
	struct config_errors errors = {0};
	struct config *to = copy(from);
	conf_complete(to, &errors);
	CHECK(conf_error_count(&errors) == 0); /* as when it was loaded */
	return to;
}

/* May settings.conf decide about this key? */
static int may_edit(const struct config *c, struct str path, struct conf_place place, size_t key,
		    struct config_errors *errors)
{
	const struct conf_origin origin = *conf_tree_origin(c, place, key);
	if (origin.source > CONFIG_SOURCE_SETTINGS) {
		AUTO_BUF where = {0};
		conf_tree_print_origin(c, origin, &where);
		conf_error(errors, "%.*s: is set at %s; change it there", STR_ARG(path),
			   buf_cstr(&where));
		return ERR_DENIED;
	}
	if (conf_key[key].flags & CONF_FILE_ONLY) {
		conf_error(errors, "%.*s: can be set in gatehouse.conf only", STR_ARG(path));
		return ERR_DENIED;
	}
	return 0;
}

/* How a key of a section is written, with the name that was typed where there was one. */
static void put_candidate(size_t section, size_t key, struct str name, struct buf *out)
{
	const struct conf_section *s = &conf_section[section];
	buf_printf(out, "%s.", s->word);
	if (s->named)
		buf_printf(out, "%.*s.", STR_ARG(name));
	buf_puts(out, conf_key[key].word);
}

/* "a.b.c" without its first and last part; NAME when there is nothing between them. */
static struct str middle_of(struct str key)
{
	str_split(&key, '.');
	size_t last = key.n;
	for (size_t i = 0; i < key.n; i++)
		if (key.p[i] == '.')
			last = i;
	return last < key.n ? (struct str){key.p, last} : STR("NAME");
}

void config_unknown(struct str key, struct buf *why)
{
	const bool bare = !str_find(key, ".");
	const struct str name = bare ? STR("NAME") : middle_of(str_head(key, SHOWN_MAX));
	size_t least = SIZE_MAX;
	AUTO_BUF best = {0};
	for (size_t s = 0; s < CONF_SECTIONS; s++) {
		for (size_t k = conf_section[s].first; k < conf_section[s].last; k++) {
			AUTO_BUF full = {0};
			struct conf_guess guess = {.typed = key};
			put_candidate(s, k, name, &full);
			conf_guess_offer(&guess, bare ? conf_key[k].word : buf_cstr(&full));
			if (!guess.best || guess.distance >= least)
				continue;
			least = guess.distance;
			best.n = 0;
			buf_str(&best, buf_view(&full));
		}
	}
	/* With nothing to change in it the key is right: there is no such listener. */
	if (best.n && (bare || least > 0))
		buf_printf(why, "there is no such setting; did you mean %s?", buf_cstr(&best));
	else
		buf_puts(why, "there is no such setting; gatehouse.conf(5) lists them");
}

static int unknown(struct str path, struct config_errors *errors)
{
	AUTO_BUF why = {0};
	config_unknown(path, &why);
	path = str_head(path, SHOWN_MAX);
	conf_error(errors, "%.*s: %s", STR_ARG(path), buf_cstr(&why));
	return ERR_NOT_FOUND;
}

/* A key's place in the new tree; a named section that is not there yet is begun. */
static int find_or_add(struct config *c, struct str path, bool add, struct conf_place *place,
		       size_t *key, struct config_errors *errors)
{
	struct str name;
	struct str word;
	if (conf_split_key(path, &place->section, &name, &word) < 0)
		return unknown(path, errors);
	*key = conf_find_key(place->section, word);
	if (*key == CONF_KEYS)
		return unknown(path, errors);
	if (conf_tree_find(c, place->section, name, place) == 0)
		return 0;
	if (!add || !conf_is_listener_name(name) ||
	    conf_tree_count(c, place->section) == CONFIG_LISTENERS_MAX)
		return unknown(path, errors);
	*place = conf_tree_add(c, place->section, name, from_settings);
	return 0;
}

/* Back to the default; a section that the interface made ends with its last key. */
static void forget(struct config *c, struct conf_place place, size_t key)
{
	const struct conf_section *s = &conf_section[place.section];
	conf_tree_reset(c, place, key);
	if (!s->named ||
	    c->meta->origins[place.section][place.i].made.source != CONFIG_SOURCE_SETTINGS)
		return;
	for (size_t k = s->first; k < s->last; k++)
		if (conf_tree_origin(c, place, k)->source)
			return;
	conf_tree_remove(c, place);
}

/* One change in a tree that is being made; of is what it was before all of them. */
static int change(struct config *new, const struct config *of, const struct config_change *change,
		  struct config_errors *errors)
{
	struct conf_place place = {0, 0};
	size_t k = CONF_KEYS;
	AUTO_BUF why = {0};
	const struct str value = str_trim(change->value);
	AUTO_BUF there = {0};
	if (!value.p && config_get(new, change->key, &there, NULL) &&
	    config_get(of, change->key, &there, NULL) == 0)
		return 0; /* its section ended with another key of this list */
	int err = find_or_add(new, change->key, value.p, &place, &k, errors);
	if (!err)
		err = may_edit(new, change->key, place, k, errors);
	if (err)
		return err;
	if (!value.p) {
		forget(new, place, k);
	} else if (conf_tree_set(new, place, k, value, from_settings, &why) < 0) {
		const struct str shown = str_head(value, SHOWN_MAX);
		conf_error(errors, "%.*s = %.*s: %s", STR_ARG(change->key), STR_ARG(shown),
			   buf_cstr(&why));
		return ERR_INVALID;
	}
	return 0;
}

int config_set_all(const struct config *c, const struct config_change *list, size_t n,
		   struct config **out, size_t *wrong, struct config_errors *errors)
{
	AUTO(config) new = copy(c);
	const size_t before = conf_error_count(errors);
	for (size_t i = 0; i < n; i++) {
		const int err = change(new, c, &list[i], errors);
		if (err) {
			*wrong = i;
			return err;
		}
	}
	conf_complete(new, errors);
	if (conf_error_count(errors) != before) {
		*wrong = n;
		return ERR_INVALID;
	}
	*out = TAKE(new);
	return 0;
}

int config_set(const struct config *c, struct str key, struct str value, struct config **out,
	       struct config_errors *errors)
{
	const struct config_change one = {key, value};
	size_t unused;
	return config_set_all(c, &one, 1, out, &unused, errors);
}

struct config *config_take_over(const struct config *running, const struct config *wanted)
{
	AUTO(config) new = copy(wanted);
	struct config_errors errors = {0};
	CONF_EACH_PLACE (running, place) {
		const struct conf_section *s = &conf_section[place.section];
		const struct str name = str_of(conf_tree_name(running, place));
		struct conf_place there;
		if (conf_tree_find(new, place.section, name, &there) < 0)
			continue;
		for (size_t k = s->first; k < s->last; k++)
			if ((conf_key[k].flags & CONF_RESTART) &&
			    conf_differs(running, place, new, there, k))
				copy_key(running, place, k, new, there);
	}
	conf_complete(new, &errors);
	const bool good = conf_error_count(&errors) == 0;
	config_errors_fini(&errors);
	return good ? TAKE(new) : copy_whole(running);
}

int config_check_set(const struct config *c, struct str key, struct str value,
		     struct config_errors *errors)
{
	AUTO(config) unused = NULL;
	return config_set(c, key, value, &unused, errors);
}
