/* SPDX-License-Identifier: Apache-2.0
 *
 * The operator's log: see log.h. Any thread; one write per line, so lines of several processes on
 * the same descriptor do not mix.
 */
#include "daemon/base/log.h"
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/str.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *process_name = "gatehouse";
static atomic_int max_level = LOG_LEVEL_INFO;
static bool for_journal;

void log_init(const char *name, enum log_level level)
{
	process_name = name;
	for_journal = getenv("JOURNAL_STREAM") != NULL;
	log_set_level(level);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR:
		return "error";
	case LOG_LEVEL_WARNING:
		return "warning";
	case LOG_LEVEL_NOTICE:
		return "notice";
	case LOG_LEVEL_INFO:
		return "info";
	default:
		return "debug";
	}
}

void log_write(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	char when[CLOCK_TEXT];
	if (!log_enabled(level))
		return;
	int head = for_journal ? snprintf(line, sizeof(line), "<%d>%s: ", (int)level, process_name)
			       : snprintf(line, sizeof(line),
					  "%s %-7s %s: ", clock_format_ms(clock_wall_ms(), when),
					  level_name(level), process_name);
	va_list ap;
	va_start(ap, fmt);
	int body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
	va_end(ap);
	if (body < 0)
		return;
	size_t n = MIN((size_t)(head + body), sizeof(line) - 2);
	str_mask_controls(line + head, n - (size_t)head);
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return; /* nobody reads the log: nothing to be done about it here */
}

void check_failed(const char *file, int line, const char *what)
{
	log_error("internal error: %s:%d: %s", file, line, what);
	abort();
}
