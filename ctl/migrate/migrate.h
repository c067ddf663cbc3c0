/* SPDX-License-Identifier: Apache-2.0
 *
 * From another broker's files to a plan: gatehouse.conf, devices, roles, rules, certificates. The
 * readers of the files fill a struct migration and say of every line what becomes of it; nothing is
 * changed before the plan is whole. What has a form in the API is kept as JSON in that form.
 *
 * Files are those of an administrator, yet every reader takes any bytes: each is bounded, and what
 * cannot be understood is an error with file and line. One thread.
 */
#pragma once

#include "daemon/base/str.h"

#include <jansson.h>

enum { MIGRATE_FILE_MAX = 16 * MiB, MIGRATE_INCLUDES_MAX = 8, MIGRATE_WHERE = 600 };

enum verdict {
	TAKEN,
	CHANGED, /* taken, but not the same: the note says how */
	REFUSED, /* the note says why and what to do instead */
};

struct migration {
	json_t *report;    /* list of {verdict, where, what, note} */
	json_t *sections;  /* of mosquitto.conf: list of {title, where, options}, see mosquitto.c */
	json_t *servers;   /* of NGINX's stream: list of directives, see nginx.c */
	json_t *settings;  /* "max-payload" -> text, for [broker] */
	json_t *listeners; /* list of {name, keys: {key -> text}} */
	json_t *devices;   /* name -> arguments of device.add */
	json_t *disabled;  /* names of devices that may not connect */
	json_t *roles;     /* name -> arguments of role.add */
	json_t *rules;     /* list of arguments of acl.add, each with "where" */
	json_t *certificates; /* list of {device, certificate, where} */
	bool by_certificate;  /* a certificate alone opens a device on some listener */
	bool anonymous;       /* some listener takes clients without a name */
	bool has_access;      /* some file said what may be done */
	bool no_files;        /* follow no file that a file names (tests) */
	unsigned errors;
};

void migration_init(struct migration *m);
void migration_fini(struct migration *m);

/* One line of the report. where: "FILE:LINE" or a file. */
void migration_say(struct migration *m, enum verdict verdict, const char *where, const char *what,
		   const char *fmt, ...) PRINTF_LIKE(5, 6);
/* What is no valid input: printed as it is found; the migration will not go on. */
void migration_error(struct migration *m, const char *where, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
const char *verdict_word(enum verdict verdict); /* "taken", "changed", "refused" */
/* "FILE:LINE". */
const char *where_is(char out[MIGRATE_WHERE], const char *file, unsigned line);
/* A path that a file names: from the root, or from that file's directory. The caller frees it. */
char *migration_path(const char *file, const char *path);

/* A device of this name, made when it is new. NULL: the name is none for a device (reported). */
json_t *migration_device(struct migration *m, const char *where, struct str name);
/* A rule, unless it is there. effect "allow" or "deny"; action as in acl.add. False: it is none
 * (reported). */
bool migration_rule(struct migration *m, const char *where, const char *subject, const char *effect,
		    const char *action, const char *filter, int priority);
/* The same for a subscription to exactly this filter, in which no variables stand. */
bool migration_literal(struct migration *m, const char *where, const char *subject,
		       const char *effect, const char *filter, int priority);
/* The topic of another broker's pattern with our variables: %c and %u alone in their level. The
 * caller frees it; NULL: it cannot be said (reported). */
char *migration_pattern(struct migration *m, const char *where, struct str pattern);

/* ---- readers: the label is how messages call the file ---- */

/* mosquitto.conf, and the files that it names. */
void mosquitto_read(struct migration *m, const char *path);
void mosquitto_parse(struct migration *m, const char *label, struct str text, unsigned depth);
/* An NGINX configuration: the servers of its stream block. */
void nginx_read(struct migration *m, const char *path);
void nginx_parse(struct migration *m, const char *label, struct str text);
/* password_file: lines NAME:HASH. */
void passwd_parse(struct migration *m, const char *label, struct str text);
/* acl_file. */
void acl_parse(struct migration *m, const char *label, struct str text);
/* dynamic-security.json. */
void dynsec_parse(struct migration *m, const char *label, struct str text);
/* Certificates of devices in a directory. Sets *legacy when one of them needs lint = legacy. */
void certs_read(struct migration *m, const char *dir, bool *legacy);

/* ---- the plan ---- */

/* An option of a section of mosquitto.conf; NULL when it is not there. *where (may be NULL) is
 * valid as long as the migration. */
const char *option_get(const json_t *section, const char *name, const char **where);
bool option_is(struct migration *m, const json_t *section, const char *name); /* a boolean */
/* password_file, acl_file and allow_anonymous: of the section with per_listener_settings, else of
 * the whole file. */
const json_t *option_scope(const struct migration *m, const json_t *section, const char *name);

/* Listeners out of sections and servers. */
void listeners_plan(struct migration *m);
/* Bounds, for [broker]. */
void settings_plan(struct migration *m);
/* After the certificates were read: how the listeners judge them. */
void listeners_judge(struct migration *m, bool legacy);
/* The text of gatehouse.conf. False: the result is not acceptable (an error was printed). */
bool conf_write(struct migration *m, const char *source, struct buf *out);
