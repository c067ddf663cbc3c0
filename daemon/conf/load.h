/* SPDX-License-Identifier: Apache-2.0
 *
 * From texts to a struct config: the middle part of config_load, without files. For the files of
 * this folder, the unit tests and the fuzz target.
 */
#pragma once

#include "daemon/conf/tree.h"

struct conf_text {
	const char *label; /* how messages call it; NULL: there is none */
	struct str text;
};

/* As config_load. Returns 0 or ERR_INVALID. */
int conf_load_texts(struct conf_text file, struct conf_text settings, const char *const *overrides,
		    size_t n_overrides, struct config **out, struct config_errors *errors);

/* Gives keys without a value of their own the one that their default refers to, then judges the
 * whole. Adds to *errors. For a tree that was just built or changed. */
void conf_complete(struct config *c, struct config_errors *errors);

/* How the values fit together, one error for each contradiction (rules.c). */
void conf_rules(const struct config *c, struct config_errors *errors);
/* Is the key one that other values of its section make void, and may it therefore not be set? */
bool conf_means_nothing(const struct config *c, struct conf_place place, size_t key);

/* Does a key of one section have another value in a than in b? */
bool conf_differs(const struct config *a, struct conf_place in_a, const struct config *b,
		  struct conf_place in_b, size_t key);

/* "broker.workers" or "listener.mqtts.bind" into its parts; name is "" for the former. 0, or
 * ERR_NOT_FOUND: no such section, or not of that form. Name and word may be no good ones. */
int conf_split_key(struct str path, size_t *section, struct str *name, struct str *word);
/* Place in conf_key of the section's key of that name, or CONF_KEYS. */
size_t conf_find_key(size_t section, struct str word);
bool conf_is_listener_name(struct str name); /* 1..32 of [A-Za-z0-9._-] */
