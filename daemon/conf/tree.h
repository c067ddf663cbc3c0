/* SPDX-License-Identifier: Apache-2.0
 *
 * A struct config under construction: its sections, the origin of each value, and errors that name
 * both. For the files of this folder; once config_load has returned it, nothing changes it any
 * more.
 *
 * A place is one section: the only [broker], or the i-th [listener]. One thread.
 */
#pragma once

#include "daemon/conf/value.h"

struct conf_origin {
	enum config_source source;
	unsigned line; /* 0 where there are no lines */
};

struct conf_place {
	size_t section; /* CONF_SECTION_* */
	size_t i;       /* 0, or which of the named ones */
};

struct config_meta {
	char *file[CONFIG_SOURCE_COMMAND_LINE + 1]; /* how each source is called in messages */
	struct conf_origins {
		struct conf_origin made; /* the section's first line */
		struct conf_origin *key; /* its keys, from conf_section.first on */
	} * origins[CONF_SECTIONS];
};

struct config *conf_tree_new(void); /* defaults; "@" defaults empty or 0; no named sections */
size_t conf_tree_count(const struct config *c, size_t section);
/* Appends a named section with the defaults. */
struct conf_place conf_tree_add(struct config *c, size_t section, struct str name,
				struct conf_origin origin);
void conf_tree_remove(struct config *c, struct conf_place place); /* a named one */
/* 0 or ERR_NOT_FOUND. */
int conf_tree_find(const struct config *c, size_t section, struct str name, struct conf_place *out);
const char *conf_tree_name(const struct config *c, struct conf_place place); /* NULL: not named */
void *conf_tree_field(struct config *c, struct conf_place place, size_t key);
const void *conf_tree_field_of(const struct config *c, struct conf_place place, size_t key);
struct conf_origin *conf_tree_origin(const struct config *c, struct conf_place place, size_t key);
/* 0 or ERR_INVALID with the reason, as conf_value_parse. */
int conf_tree_set(struct config *c, struct conf_place place, size_t key, struct str text,
		  struct conf_origin origin, struct buf *why);

/* Back to the default; an "@" default is empty until conf_complete. */
void conf_tree_reset(struct config *c, struct conf_place place, size_t key);

void conf_tree_print_origin(const struct config *c, struct conf_origin origin, struct buf *out);
void conf_tree_print_section(const struct config *c, struct conf_place place, const char *separator,
			     struct buf *out); /* "listener mqtts" with " " between */

/* Every place, in the order of the schema. Start with {0}, i at -1: see CONF_EACH_PLACE. */
bool conf_tree_next(const struct config *c, struct conf_place *place);
#define CONF_EACH_PLACE(c, place) \
	for (struct conf_place place = {0, SIZE_MAX}; conf_tree_next(c, &(place));)

static inline size_t conf_error_count(const struct config_errors *e)
{
	return e->n + e->dropped;
}
void conf_error(struct config_errors *e, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* "FILE:12: [broker] workers = 99: " and the text. */
void conf_error_at(struct config_errors *e, const struct config *c, struct conf_place place,
		   size_t key, const char *fmt, ...) PRINTF_LIKE(5, 6);
