/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: gatehouse.conf, settings.conf and the command line as one typed structure.
 *
 * The parent loads it, hands each process its slice (config_slice, config_parse_slice) and answers
 * `gatehouse config show|set`. A struct config is immutable once made: a reload makes a new one.
 * The fields are those of schema.def, `config->broker.max_packet`: BOOL is bool, INT uint32_t, SIZE
 * bytes and DURATION milliseconds as uint64_t, ENUM(id) enum config_id (choices.def), STRING, NAME
 * and PATH a terminated string that is never NULL ("" when empty).
 *
 * Precedence, key by key: command line, gatehouse.conf, settings.conf, default. Every error names
 * file, line, section, key and value and says what is allowed; all errors are collected.
 * It opens no file but the two, resolves no name, and does not look whether the paths it is given
 * exist: who uses them does. Any thread.
 */
#pragma once

#include "daemon/base/log.h"
#include "daemon/base/processes.h"
#include "daemon/base/str.h"
#include "daemon/net/addr.h"

struct config_names { /* DNS names and IP addresses */
	char **p;
	size_t n;
};

struct config_addrs {
	struct addr *p;
	size_t n;
};

struct config_cidrs { /* n = 0: every address is allowed */
	struct cidr *p;
	size_t n;
};

/* The blocks that the tables expand to are not C by themselves. */
/* clang-format off */
#define CHOICES(id) enum config_##id {
#define CHOICE(ID, name, number, word, text) CONFIG_##ID##_##name = (number),
#define CHOICES_END(id) };
#include "daemon/conf/choices.def"

#define CONFIG_TYPE_BOOL bool
#define CONFIG_TYPE_INT uint32_t
#define CONFIG_TYPE_SIZE uint64_t
#define CONFIG_TYPE_DURATION uint64_t
#define CONFIG_TYPE_ENUM(id) enum config_##id
#define CONFIG_TYPE_STRING char *
#define CONFIG_TYPE_NAME char *
#define CONFIG_TYPE_NAMES struct config_names
#define CONFIG_TYPE_PATH char *
#define CONFIG_TYPE_ADDRS struct config_addrs
#define CONFIG_TYPE_CIDRS struct config_cidrs

/* struct config_broker { uint32_t workers; ... }; and so on, one per section. */
#define SECTION(id, word, text) struct config_##id {
#define NAMED_SECTION(id, word, text) struct config_##id { char *name;
#define KEY(section, field, key, type, ...) CONFIG_TYPE_##type field;
#define SECTION_END(id) };
#include "daemon/conf/schema.def"

/* struct config_broker broker; ... and struct config_listener *listener; size_t listeners. */
struct config {
#define SECTION(id, word, text) struct config_##id id;
#define NAMED_SECTION(id, word, text) struct config_##id *id; size_t id##s;
#define KEY(section, field, key, type, ...)
#define SECTION_END(id)
#include "daemon/conf/schema.def"
	struct config_meta *meta; /* where each value came from */
};
/* clang-format on */

enum {
	CONFIG_ERRORS_MAX = 20,        /* errors kept of one load */
	CONFIG_FILE_MAX = 1024 * 1024, /* bytes of a file */
	CONFIG_LINE_MAX = 4096,        /* bytes of a line */
	CONFIG_LISTENERS_MAX = 64,     /* listeners in all */
	CONFIG_LISTENER_NAME_MAX = 32, /* bytes of a listener's name */
	CONFIG_LIST_MAX = 64,          /* entries of a list */
	CONFIG_PATH_LENGTH_MAX = 4095  /* bytes of a path */
};

struct config_errors {
	char *text[CONFIG_ERRORS_MAX]; /* one line each, without "\n" */
	size_t n;
	size_t dropped; /* further errors that were not kept */
};

void config_errors_fini(struct config_errors *e); /* empty and usable again */
/* All of them, a line each, and "N more errors" when some were not kept. */
void config_errors_print(const struct config_errors *e, struct buf *out);

/* Reads gatehouse.conf at path and settings.conf at settings_path, lays the overrides
 * ("section.key=value", "listener.NAME.key=value"; the last one of a key counts) over them, checks
 * every value and how they fit together. path NULL: no file; settings_path NULL, or no such file:
 * no settings. 0, or ERR_IO (a file could not be read) or ERR_INVALID with at least one error in
 * *errors. */
int config_load(const char *path, const char *settings_path, const char *const *overrides,
		size_t n_overrides, struct config **out, struct config_errors *errors);
void config_free(struct config *c);
DEFINE_AUTO(config, config_free)

/* The state directory that a load with these arguments would use, for finding settings.conf in it:
 * command line, gatehouse.conf, default; never settings.conf. The caller frees the result. NULL
 * when there are errors, which config_load then reports. */
char *config_state_dir(const char *path, const char *const *overrides, size_t n_overrides);

/* What the process receives, as canonical text; nothing else leaves the parent. */
void config_slice(const struct config *c, enum process process, struct buf *out);
/* Reads it in the child. Keys that the process does not receive are errors and hold their default.
 * 0 or ERR_INVALID. */
int config_parse_slice(struct str text, enum process process, struct config **out,
		       struct config_errors *errors);

enum config_source {
	CONFIG_SOURCE_DEFAULT,
	CONFIG_SOURCE_SETTINGS,
	CONFIG_SOURCE_FILE,
	CONFIG_SOURCE_COMMAND_LINE
};

/* One setting as a person sees it; the strings live as long as the call that gives it. */
struct config_item {
	const char *key;     /* "broker.max-packet", "listener.mqtts.bind" */
	const char *section; /* "broker", "listener mqtts" */
	const char *value;
	const char *origin; /* "/etc/gatehouse/gatehouse.conf:12", "command line", "default" */
	enum config_source source;
	bool file_only; /* the interface may not set it */
	bool restart;   /* a running gateway cannot take a new value */
	const char *text;
};

/* Calls fn for every setting in the order of schema.def. */
void config_each(const struct config *c, void (*fn)(void *arg, const struct config_item *item),
		 void *arg);
/* The effective configuration as a file that config_load reads; a comment above each value that is
 * not the default says where it was set, and keys that others make void are left out. */
void config_print(const struct config *c, struct buf *out);
/* One value and its origin, appended to the buffers; either may be NULL. 0 or ERR_NOT_FOUND. */
int config_get(const struct config *c, struct str key, struct buf *value, struct buf *origin);
/* Why there is no setting of that name, to follow "KEY: ": with the one that is nearly named so, or
 * where they are listed. */
void config_unknown(struct str key, struct buf *why);

/* The configuration as it would be with key = value in settings.conf, or without the key there when
 * value.p is NULL. 0, ERR_DENIED (set in gatehouse.conf or on the command line, or only settable
 * there), ERR_NOT_FOUND (no such key) or ERR_INVALID, each with its error. */
int config_set(const struct config *c, struct str key, struct str value, struct config **out,
	       struct config_errors *errors);
struct config_change {
	struct str key;
	struct str value; /* p NULL: back to the default */
};
/* Several at once, judged as a whole: a listener may need more than one key to make sense. *wrong
 * is the place in the list of the change that was refused, n when they do not fit together. */
int config_set_all(const struct config *c, const struct config_change *list, size_t n,
		   struct config **out, size_t *wrong, struct config_errors *errors);
/* The same without a result: would it be accepted? */
int config_check_set(const struct config *c, struct str key, struct str value,
		     struct config_errors *errors);
/* The text of settings.conf that leads to c: the values whose source is SETTINGS. One that a
 * stronger source hides is left out, so it does not come back when that source drops the key. */
void config_print_settings(const struct config *c, struct buf *out);

/* What a gateway that runs with `running` is to work with when `wanted` comes: wanted, but with the
 * running values of the keys that need a restart. Never NULL: a mixture that contradicts itself is
 * not taken, then everything stays. */
struct config *config_take_over(const struct config *running, const struct config *wanted);

/* Appends the keys that differ and that a running gateway cannot take over, separated by ", ".
 * Returns how many. */
size_t config_diff_needs_restart(const struct config *before, const struct config *after,
				 struct buf *out);
