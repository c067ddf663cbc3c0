/* SPDX-License-Identifier: Apache-2.0
 *
 * Building a struct config: see tree.h.
 */
#include "daemon/conf/tree.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdlib.h>

static size_t key_count(size_t section)
{
	return conf_section[section].last - conf_section[section].first;
}

size_t conf_tree_count(const struct config *c, size_t section)
{
	const struct conf_section *s = &conf_section[section];
	return s->named ? *(const size_t *)(const void *)((const char *)c + s->count) : 1;
}

static size_t *count_of(struct config *c, size_t section)
{
	return (size_t *)(void *)((char *)c + conf_section[section].count);
}

static char **array_of(struct config *c, size_t section)
{
	return (char **)(void *)((char *)c + conf_section[section].offset);
}

static char *base_of(struct config *c, struct conf_place place)
{
	const struct conf_section *s = &conf_section[place.section];
	return s->named ? *array_of(c, place.section) + place.i * s->size : (char *)c + s->offset;
}

void *conf_tree_field(struct config *c, struct conf_place place, size_t key)
{
	return base_of(c, place) + conf_key[key].offset;
}

const void *conf_tree_field_of(const struct config *c, struct conf_place place, size_t key)
{
	const struct conf_section *s = &conf_section[place.section];
	const char *base = (const char *)c + s->offset;
	if (s->named)
		base = *(char *const *)(const void *)base + place.i * s->size;
	return base + conf_key[key].offset;
}

struct conf_origin *conf_tree_origin(const struct config *c, struct conf_place place, size_t key)
{
	return &c->meta->origins[place.section][place.i]
			.key[key - conf_section[place.section].first];
}

const char *conf_tree_name(const struct config *c, struct conf_place place)
{
	const struct conf_section *s = &conf_section[place.section];
	if (!s->named)
		return NULL;
	const char *array = *(char *const *)(const void *)((const char *)c + s->offset);
	return *(char *const *)(const void *)(array + place.i * s->size); /* its first member */
}

void conf_tree_reset(struct config *c, struct conf_place place, size_t key)
{
	AUTO_BUF why = {0};
	const char *def = conf_key[key].def;
	void *field = conf_tree_field(c, place, key);
	*conf_tree_origin(c, place, key) = (struct conf_origin){0};
	if (def[0] && def[0] != '@')
		CHECK(conf_value_parse(&conf_key[key], str_of(def), field, &why) == 0);
	else
		conf_value_clear(&conf_key[key], field);
}

static void set_defaults(struct config *c, struct conf_place place)
{
	const struct conf_section *s = &conf_section[place.section];
	for (size_t k = s->first; k < s->last; k++)
		conf_tree_reset(c, place, k);
}

static void append_origins(struct config *c, size_t section, size_t n, struct conf_origin made)
{
	struct conf_origins *o = mem_grow(c->meta->origins[section], (n + 1) * sizeof(*o));
	o[n] = (struct conf_origins){made, mem_array(struct conf_origin, key_count(section))};
	c->meta->origins[section] = o;
}

struct config *conf_tree_new(void)
{
	struct config *c = mem_new(struct config);
	c->meta = mem_new(struct config_meta);
	c->meta->file[CONFIG_SOURCE_DEFAULT] = mem_strdup("default");
	c->meta->file[CONFIG_SOURCE_COMMAND_LINE] = mem_strdup("command line");
	for (size_t s = 0; s < CONF_SECTIONS; s++) {
		if (conf_section[s].named)
			continue;
		append_origins(c, s, 0, (struct conf_origin){0});
		set_defaults(c, (struct conf_place){s, 0});
	}
	return c;
}

struct conf_place conf_tree_add(struct config *c, size_t section, struct str name,
				struct conf_origin origin)
{
	const struct conf_section *s = &conf_section[section];
	const struct conf_place place = {section, conf_tree_count(c, section)};
	char *array = mem_grow(*array_of(c, section), (place.i + 1) * s->size);
	memset(array + place.i * s->size, 0, s->size);
	*array_of(c, section) = array;
	*count_of(c, section) = place.i + 1;
	*(char **)(void *)base_of(c, place) = str_dup(name); /* the first member is the name */
	append_origins(c, section, place.i, origin);
	set_defaults(c, place);
	return place;
}

static void place_fini(struct config *c, struct conf_place place)
{
	for (size_t k = conf_section[place.section].first; k < conf_section[place.section].last;
	     k++)
		conf_value_fini(&conf_key[k], conf_tree_field(c, place, k));
	free(c->meta->origins[place.section][place.i].key);
	if (conf_section[place.section].named)
		free(*(char **)(void *)base_of(c, place));
}

void conf_tree_remove(struct config *c, struct conf_place place)
{
	const size_t size = conf_section[place.section].size;
	const size_t behind = conf_tree_count(c, place.section) - place.i - 1;
	struct conf_origins *o = &c->meta->origins[place.section][place.i];
	char *base = base_of(c, place);
	place_fini(c, place);
	memmove(base, base + size, behind * size);
	memmove(o, o + 1, behind * sizeof(*o));
	*count_of(c, place.section) -= 1;
}

int conf_tree_find(const struct config *c, size_t section, struct str name, struct conf_place *out)
{
	for (struct conf_place p = {section, 0}; p.i < conf_tree_count(c, section); p.i++) {
		if (!conf_section[section].named || str_is(name, conf_tree_name(c, p))) {
			*out = p;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

int conf_tree_set(struct config *c, struct conf_place place, size_t key, struct str text,
		  struct conf_origin origin, struct buf *why)
{
	const int err = conf_value_parse(&conf_key[key], text, conf_tree_field(c, place, key), why);
	if (!err)
		*conf_tree_origin(c, place, key) = origin;
	return err;
}

bool conf_tree_next(const struct config *c, struct conf_place *place)
{
	place->i++;
	while (place->section < CONF_SECTIONS && place->i >= conf_tree_count(c, place->section))
		*place = (struct conf_place){place->section + 1, 0};
	return place->section < CONF_SECTIONS;
}

void config_free(struct config *c)
{
	if (!c)
		return;
	CONF_EACH_PLACE (c, place)
		place_fini(c, place);
	for (size_t s = 0; s < CONF_SECTIONS; s++) {
		free(c->meta->origins[s]);
		if (conf_section[s].named)
			free(*array_of(c, s));
	}
	for (size_t i = 0; i < ARRAY_LEN(c->meta->file); i++)
		free(c->meta->file[i]);
	free(c->meta);
	free(c);
}

void conf_tree_print_origin(const struct config *c, struct conf_origin origin, struct buf *out)
{
	const char *file = c->meta->file[origin.source];
	buf_puts(out, file ? file : "settings");
	if (origin.line)
		buf_printf(out, ":%u", origin.line);
}

void conf_tree_print_section(const struct config *c, struct conf_place place, const char *separator,
			     struct buf *out)
{
	const char *name = conf_tree_name(c, place);
	buf_puts(out, conf_section[place.section].word);
	if (name)
		buf_printf(out, "%s%s", separator, name);
}

static void keep(struct config_errors *e, struct buf *text)
{
	if (e->n == CONFIG_ERRORS_MAX)
		e->dropped++;
	else
		e->text[e->n++] = mem_strdup(buf_cstr(text));
}

void conf_error(struct config_errors *e, const char *fmt, ...)
{
	AUTO_BUF text = {0};
	va_list args;
	va_start(args, fmt);
	buf_vprintf(&text, fmt, args);
	va_end(args);
	keep(e, &text);
}

void conf_error_at(struct config_errors *e, const struct config *c, struct conf_place place,
		   size_t key, const char *fmt, ...)
{
	AUTO_BUF text = {0};
	va_list args;
	conf_tree_print_origin(c, *conf_tree_origin(c, place, key), &text);
	buf_puts(&text, ": [");
	conf_tree_print_section(c, place, " ", &text);
	buf_printf(&text, "] %s = ", conf_key[key].word);
	conf_value_print(&conf_key[key], conf_tree_field_of(c, place, key), &text);
	buf_puts(&text, ": ");
	va_start(args, fmt);
	buf_vprintf(&text, fmt, args);
	va_end(args);
	keep(e, &text);
}

void config_errors_fini(struct config_errors *e)
{
	for (size_t i = 0; i < e->n; i++)
		free(e->text[i]);
	*e = (struct config_errors){0};
}

void config_errors_print(const struct config_errors *e, struct buf *out)
{
	for (size_t i = 0; i < e->n; i++)
		buf_printf(out, "%s\n", e->text[i]);
	if (e->dropped)
		buf_printf(out, "%zu more %s\n", e->dropped, e->dropped == 1 ? "error" : "errors");
}
