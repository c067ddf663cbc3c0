/* SPDX-License-Identifier: Apache-2.0
 *
 * schema.def and choices.def expanded into constant tables: see schema.h.
 */
#include "daemon/conf/schema.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

/* clang-format off */
#define CHOICES(id) static const struct conf_choice choices_##id[] = {
#define CHOICE(ID, name, number, word, text) {word, number, text},
#define CHOICES_END(id) {NULL, 0, NULL}};
#include "daemon/conf/choices.def"

const struct conf_section conf_section[CONF_SECTIONS] = {
#define SECTION(id, word, text) \
	{word, text, false, offsetof(struct config, id), 0, sizeof(struct config_##id), \
	 CONF_FIRST_##id, CONF_LAST_##id},
#define NAMED_SECTION(id, word, text) \
	{word, text, true, offsetof(struct config, id), offsetof(struct config, id##s), \
	 sizeof(struct config_##id), CONF_FIRST_##id, CONF_LAST_##id},
#define KEY(...)
#define SECTION_END(id)
#include "daemon/conf/schema.def"
};
/* clang-format on */

/* The type column gives the type and, for ENUM(id), the words. */
#define TYPE_BOOL     CONF_BOOL, NULL
#define TYPE_INT      CONF_INT, NULL
#define TYPE_SIZE     CONF_SIZE, NULL
#define TYPE_DURATION CONF_DURATION, NULL
#define TYPE_ENUM(id) CONF_ENUM, choices_##id
#define TYPE_STRING   CONF_STRING, NULL
#define TYPE_NAME     CONF_NAME, NULL
#define TYPE_NAMES    CONF_NAMES, NULL
#define TYPE_PATH     CONF_PATH, NULL
#define TYPE_ADDRS    CONF_ADDRS, NULL
#define TYPE_CIDRS    CONF_CIDRS, NULL

#define TO(process)   (1u << PROCESS_##process)
#define NONE          0
#define ALL           ((1u << PROCESS_COUNT) - 1)
#define RESTART       CONF_RESTART
#define FILE_ONLY     CONF_FILE_ONLY
#define REQUIRED      CONF_REQUIRED
#define OPTIONAL      CONF_OPTIONAL

const struct conf_key conf_key[CONF_KEYS] = {
#define SECTION(...)
#define NAMED_SECTION(...)
#define KEY(section, field, word, type, min, max, def, processes, flags, text, why) \
	{word,  TYPE_##type,                                                        \
	 min,   max,                                                                \
	 def,   (processes) | TO(PARENT),                                           \
	 flags, text,                                                               \
	 why,   offsetof(struct config_##section, field)},
#define SECTION_END(id)
#include "daemon/conf/schema.def"
};

const struct conf_limit conf_limit[] = {
#define LIMIT(section, field, before) \
	{CONF_SECTION_##section, CONF_KEY_##section##_##field, before},
#include "daemon/conf/limits.def"
};
const size_t conf_limits = ARRAY_LEN(conf_limit);
