/* SPDX-License-Identifier: Apache-2.0
 *
 * The operator's log: one line per fact on standard error, which is the journal under systemd.
 * Lines start with "<N>" (the syslog priority) when the journal reads them, else with the time.
 * Control characters in arguments are escaped: a peer cannot forge lines. Never log a secret.
 */
#pragma once

#include "daemon/base/defs.h"

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
	LOG_LEVEL_DEBUG = 7
};

/* Call once at the start of a process; name must outlive it ("broker"). */
void log_init(const char *name, enum log_level level);
void log_set_level(enum log_level level); /* any thread, at any time */
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...)  log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                           \
	do {                                                     \
		if (log_enabled(LOG_LEVEL_DEBUG))                \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__); \
	} while (0)
