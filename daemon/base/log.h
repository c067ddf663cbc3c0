/* SPDX-License-Identifier: Apache-2.0
 *
 * The operator's log: one line per fact on standard error, which is the journal under systemd.
 * Lines start with "<N>" (the syslog priority) when the journal reads them, else with the time.
 * With a socket to the journal they go there instead, with fields (systemd's native journal
 * protocol): PRIORITY, GATEHOUSE_PROCESS, and those of an event. Control characters in arguments
 * are escaped: a peer cannot forge lines. Never log a secret.
 */
#pragma once

#include "daemon/base/str.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

const char *log_level_name(enum log_level level); /* "error", "warning" ... */
/* Call once at the start of a process; name must outlive it ("broker"). */
void log_init(const char *name, enum log_level level);
void log_set_level(enum log_level level); /* any thread, at any time */
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

struct log_field {
	const char *name; /* "GATEHOUSE_REASON": A-Z and _ */
	struct str value; /* "": left out */
};

/* The same; in the journal the fields stand beside the line. One without room is left out. */
void log_write_fields(enum log_level level, const struct log_field *field, size_t n,
		      const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Also gets every line that is written: its text without process and time, control characters
 * escaped. Called in the thread that logs, and it must not log. NULL: nobody, as at the start. */
void log_set_tap(void (*tap)(enum log_level level, struct str text));
/* A connected datagram socket of the journal, which must stay open; -1: none, as at the start. */
void log_set_journal(int fd);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                           \
	do {                                                     \
		if (log_enabled(LOG_LEVEL_DEBUG))                \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)
