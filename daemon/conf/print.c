/* SPDX-License-Identifier: Apache-2.0
 *
 * A struct config as text: for people (effective configuration, one value and its origin), for the
 * processes (slices), for settings.conf; and what differs between two.
 */
#include "daemon/base/err.h"
#include "daemon/conf/load.h"

#include <stdlib.h>

static void print_header(const struct config *c, struct conf_place place, struct buf *out)
{
	buf_puts(out, out->n ? "\n[" : "[");
	conf_tree_print_section(c, place, " ", out);
	buf_puts(out, "]\n");
}

static void print_key(const struct config *c, struct conf_place place, size_t key, struct buf *out)
{
	buf_printf(out, "%s = ", conf_key[key].word);
	conf_value_print(&conf_key[key], conf_tree_field_of(c, place, key), out);
	while (out->p[out->n - 1] == ' ') /* an empty value */
		out->n--;
	buf_putc(out, '\n');
}

void config_slice(const struct config *c, enum process process, struct buf *out)
{
	CONF_EACH_PLACE (c, place) {
		const struct conf_section *s = &conf_section[place.section];
		bool begun = false;
		for (size_t k = s->first; k < s->last; k++) {
			if (!(conf_key[k].processes & 1u << process))
				continue;
			if (!begun)
				print_header(c, place, out);
			begun = true;
			print_key(c, place, k, out);
		}
	}
}

void config_print(const struct config *c, struct buf *out)
{
	CONF_EACH_PLACE (c, place) {
		const struct conf_section *s = &conf_section[place.section];
		print_header(c, place, out);
		for (size_t k = s->first; k < s->last; k++) {
			const struct conf_origin origin = *conf_tree_origin(c, place, k);
			if (conf_means_nothing(c, place, k))
				continue;
			if (origin.source != CONFIG_SOURCE_DEFAULT) {
				buf_puts(out, "# ");
				conf_tree_print_origin(c, origin, out);
				buf_putc(out, '\n');
			}
			print_key(c, place, k, out);
		}
	}
}

static bool in_settings(const struct config *c, struct conf_place place, size_t key)
{
	return conf_tree_origin(c, place, key)->source == CONFIG_SOURCE_SETTINGS;
}

void config_print_settings(const struct config *c, struct buf *out)
{
	buf_puts(out, "# Written by the gateway: what was set in the interface or with the\n"
		      "# gatehouse command. gatehouse.conf, where it sets the same key, wins.\n");
	CONF_EACH_PLACE (c, place) {
		const struct conf_section *s = &conf_section[place.section];
		bool begun = false;
		for (size_t k = s->first; k < s->last; k++) {
			if (!in_settings(c, place, k))
				continue;
			if (!begun)
				print_header(c, place, out);
			begun = true;
			print_key(c, place, k, out);
		}
	}
}

static void describe(const struct config *c, struct conf_place place, size_t k,
		     void (*fn)(void *arg, const struct config_item *item), void *arg)
{
	AUTO_BUF section = {0};
	AUTO_BUF key = {0};
	AUTO_BUF value = {0};
	AUTO_BUF origin = {0};
	const struct conf_origin from = *conf_tree_origin(c, place, k);
	conf_tree_print_section(c, place, " ", &section);
	conf_tree_print_section(c, place, ".", &key);
	buf_printf(&key, ".%s", conf_key[k].word);
	conf_value_print(&conf_key[k], conf_tree_field_of(c, place, k), &value);
	conf_tree_print_origin(c, from, &origin);
	const struct config_item item = {
		.key = buf_cstr(&key),
		.section = buf_cstr(&section),
		.value = buf_cstr(&value),
		.origin = buf_cstr(&origin),
		.source = from.source,
		.file_only = conf_key[k].flags & CONF_FILE_ONLY,
		.restart = conf_key[k].flags & CONF_RESTART,
		.text = conf_key[k].text,
	};
	fn(arg, &item);
}

void config_each(const struct config *c, void (*fn)(void *arg, const struct config_item *item),
		 void *arg)
{
	CONF_EACH_PLACE (c, place) {
		const struct conf_section *s = &conf_section[place.section];
		for (size_t k = s->first; k < s->last; k++)
			describe(c, place, k, fn, arg);
	}
}

int config_get(const struct config *c, struct str key, struct buf *value, struct buf *origin)
{
	struct conf_place place = {0, 0};
	struct str name;
	struct str word;
	if (conf_split_key(key, &place.section, &name, &word) < 0 ||
	    conf_tree_find(c, place.section, name, &place) < 0)
		return ERR_NOT_FOUND;
	const size_t k = conf_find_key(place.section, word);
	if (k == CONF_KEYS)
		return ERR_NOT_FOUND;
	if (value)
		conf_value_print(&conf_key[k], conf_tree_field_of(c, place, k), value);
	if (origin)
		conf_tree_print_origin(c, *conf_tree_origin(c, place, k), origin);
	return 0;
}

static void print_value_of(const struct config *c, struct conf_place place, size_t key,
			   struct buf *out)
{
	conf_value_print(&conf_key[key], conf_tree_field_of(c, place, key), out);
}

bool conf_differs(const struct config *a, struct conf_place in_a, const struct config *b,
		  struct conf_place in_b, size_t key)
{
	AUTO_BUF x = {0};
	AUTO_BUF y = {0};
	print_value_of(a, in_a, key, &x);
	print_value_of(b, in_b, key, &y);
	return !str_eq(buf_view(&x), buf_view(&y));
}

static void name_key(const struct config *c, struct conf_place place, size_t key, struct buf *out)
{
	if (out->n)
		buf_puts(out, ", ");
	conf_tree_print_section(c, place, ".", out);
	buf_printf(out, ".%s", conf_key[key].word);
}

static size_t diff_place(const struct config *a, struct conf_place in_a, const struct config *b,
			 struct conf_place in_b, struct buf *out)
{
	size_t n = 0;
	const struct conf_section *s = &conf_section[in_b.section];
	for (size_t k = s->first; k < s->last; k++) {
		if ((conf_key[k].flags & CONF_RESTART) && conf_differs(a, in_a, b, in_b, k)) {
			name_key(b, in_b, k, out);
			n++;
		}
	}
	return n;
}

size_t config_diff_needs_restart(const struct config *before, const struct config *after,
				 struct buf *out)
{
	size_t n = 0;
	CONF_EACH_PLACE (after, place) {
		struct conf_place old;
		if (conf_tree_find(before, place.section, str_of(conf_tree_name(after, place)),
				   &old) == 0)
			n += diff_place(before, old, after, place, out);
	}
	return n;
}
