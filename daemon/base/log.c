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
static int journal = -1;
static void (*line_tap)(enum log_level level, struct str text);

void log_init(const char *name, enum log_level level)
{
	process_name = name;
	for_journal = getenv("JOURNAL_STREAM") != NULL;
	log_set_level(level);
}

void log_set_journal(int fd)
{
	journal = fd;
}

void log_set_tap(void (*tap)(enum log_level level, struct str text))
{
	line_tap = tap;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&max_level, (int)level, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&max_level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
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

/* What is said, and how much of it there is. */
struct line {
	char p[1024];
	size_t head; /* before the text */
	size_t n;
};

static PRINTF_LIKE(2, 0) bool format(struct line *l, const char *fmt, va_list ap)
{
	const int body = vsnprintf(l->p + l->head, sizeof(l->p) - l->head - 1, fmt, ap);
	if (body < 0)
		return false;
	l->n = MIN(l->head + (size_t)body, sizeof(l->p) - 2);
	str_mask_controls(l->p + l->head, l->n - l->head);
	return true;
}

static size_t put_field(char *to, size_t room, const struct log_field *f)
{
	const size_t name = strlen(f->name);
	if (f->value.n == 0 || name + f->value.n + 2 > room)
		return 0;
	memcpy(to, f->name, name);
	to[name] = '=';
	memcpy(to + name + 1, f->value.p, f->value.n);
	str_mask_controls(to + name + 1, f->value.n);
	to[name + 1 + f->value.n] = '\n';
	return name + f->value.n + 2;
}

static PRINTF_LIKE(4, 0) bool tell_journal(enum log_level level, const struct log_field *field,
					   size_t n, const char *fmt, va_list ap)
{
	char data[8192], priority[2] = {(char)('0' + level), '\0'};
	struct line l;
	size_t at = 0;
	l.head = (size_t)snprintf(l.p, sizeof(l.p), "%s: ", process_name);
	if (!format(&l, fmt, ap))
		return true;
	const struct log_field common[] = {
		{"MESSAGE", str_make(l.p, l.n)},
		{"PRIORITY", str_of(priority)},
		{"SYSLOG_IDENTIFIER", STR("gatehoused")},
		{"GATEHOUSE_PROCESS", str_of(process_name)},
	};
	for (size_t i = 0; i < ARRAY_LEN(common); i++)
		at += put_field(data + at, sizeof(data) - at, &common[i]);
	for (size_t i = 0; i < n; i++)
		at += put_field(data + at, sizeof(data) - at, &field[i]);
	return write(journal, data, at) == (ssize_t)at;
}

static PRINTF_LIKE(2, 0) void tell_stderr(enum log_level level, const char *fmt, va_list ap)
{
	struct line l;
	char when[CLOCK_TEXT];
	l.head = (size_t)(for_journal
				  ? snprintf(l.p, sizeof(l.p), "<%d>%s: ", (int)level, process_name)
				  : snprintf(l.p, sizeof(l.p),
					     "%s %-7s %s: ", clock_format_ms(clock_wall_ms(), when),
					     log_level_name(level), process_name));
	if (!format(&l, fmt, ap))
		return;
	l.p[l.n++] = '\n';
	if (write(STDERR_FILENO, l.p, l.n) < 0)
		return; /* nobody reads the log: nothing to be done about it here */
}

static PRINTF_LIKE(2, 0) void tell_tap(enum log_level level, const char *fmt, va_list ap)
{
	struct line l;
	l.head = 0;
	if (format(&l, fmt, ap))
		line_tap(level, str_make(l.p, l.n));
}

static PRINTF_LIKE(4, 0) void tell(enum log_level level, const struct log_field *field, size_t n,
				   const char *fmt, va_list ap)
{
	va_list again, tapped;
	va_copy(again, ap);
	va_copy(tapped, ap);
	/* What the journal does not take its other way may still be open. */
	if (journal < 0 || !tell_journal(level, field, n, fmt, ap))
		tell_stderr(level, fmt, again);
	if (line_tap)
		tell_tap(level, fmt, tapped);
	va_end(tapped);
	va_end(again);
}

void log_write(enum log_level level, const char *fmt, ...)
{
	va_list ap;
	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	tell(level, NULL, 0, fmt, ap);
	va_end(ap);
}

void log_write_fields(enum log_level level, const struct log_field *field, size_t n,
		      const char *fmt, ...)
{
	va_list ap;
	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	tell(level, field, n, fmt, ap);
	va_end(ap);
}

void check_failed(const char *file, int line, const char *what)
{
	log_error("internal error: %s:%d: %s", file, line, what);
	abort();
}
