/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.def and choices.def as tables that can be walked. For the files of this folder and the
 * manual page's generator; everyone else uses config.h.
 */
#pragma once

#include "daemon/conf/config.h"

enum conf_type {
	CONF_BOOL,
	CONF_INT,
	CONF_SIZE,
	CONF_DURATION,
	CONF_ENUM,
	CONF_STRING,
	CONF_NAME,
	CONF_NAMES,
	CONF_PATH,
	CONF_ADDRS,
	CONF_CIDRS
};

enum conf_flag {
	CONF_RESTART = 1,
	CONF_FILE_ONLY = 2,
	CONF_REQUIRED = 4,
	CONF_OPTIONAL = 8, /* may be empty; so may a key whose default is "" unless REQUIRED */
};

struct conf_choice {
	const char *word; /* NULL ends the list */
	unsigned number;
	const char *text;
};

struct conf_key {
	const char *word;
	enum conf_type type;
	const struct conf_choice *choices; /* of CONF_ENUM, else NULL */
	uint64_t min;
	uint64_t max;
	const char *def;
	unsigned processes; /* bit per enum process; the parent's is always set */
	unsigned flags;     /* enum conf_flag */
	const char *text;
	const char *why;
	size_t offset; /* of the field in the section's struct */
};

struct conf_section {
	const char *word;
	const char *text;
	bool named;    /* repeated, with a name: [listener NAME] */
	size_t offset; /* of the section, or of the pointer to the array, in struct config */
	size_t count;  /* if named: offset of the array's length in struct config */
	size_t size;   /* of one */
	size_t first;  /* its keys are conf_key[first] to conf_key[last - 1] */
	size_t last;
};

/* clang-format off */
/* CONF_SECTION_broker: places in conf_section. */
enum {
#define SECTION(id, ...) CONF_SECTION_##id,
#define NAMED_SECTION(id, ...) CONF_SECTION_##id,
#define KEY(...)
#define SECTION_END(id)
#include "daemon/conf/schema.def"
	CONF_SECTIONS
};

/* CONF_KEY_broker_max_packet: places in conf_key. The keys of a section are those from
 * CONF_FIRST_broker to before CONF_LAST_broker; the other two names only step the count back. */
enum {
#define SECTION(id, ...) CONF_FIRST_##id, CONF_FIRST_BACK_##id = CONF_FIRST_##id - 1,
#define NAMED_SECTION(id, ...) CONF_FIRST_##id, CONF_FIRST_BACK_##id = CONF_FIRST_##id - 1,
#define KEY(section, field, ...) CONF_KEY_##section##_##field,
#define SECTION_END(id) CONF_LAST_##id, CONF_LAST_BACK_##id = CONF_LAST_##id - 1,
#include "daemon/conf/schema.def"
	CONF_KEYS
};
/* clang-format on */

/* A row of limits.def. */
struct conf_limit {
	size_t section;
	size_t key;
	const char *before; /* what others had in its place */
};
extern const struct conf_limit conf_limit[];
extern const size_t conf_limits;

extern const struct conf_section conf_section[CONF_SECTIONS];
extern const struct conf_key conf_key[CONF_KEYS];
