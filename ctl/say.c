/* SPDX-License-Identifier: Apache-2.0
 *
 * What a command says beside the answer that was asked for: errors, notes, what was done. --json
 * makes objects of the first two, --quiet leaves the last two out.
 */
#include "ctl/ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool as_json;
static bool quiet;

void say_mode(bool json, bool be_quiet)
{
	as_json = json;
	quiet = be_quiet;
}

void say_object(const json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);
	fprintf(stderr, "%s\n", text ? text : "{}");
	free(text);
}

bool says_done(void)
{
	return !quiet;
}

bool says_json(void)
{
	return as_json;
}

__attribute__((format(printf, 2, 0))) static void put(const char *field, const char *format,
						      va_list args)
{
	char *text = NULL;
	if (vasprintf(&text, format, args) < 0)
		return;
	if (!as_json) {
		fprintf(stderr, "gatehouse: %s\n", text);
		free(text);
		return;
	}
	json_t *value = json_string(text);
	free(text);
	json_t *object = json_object();
	/* A file's name need not be text. */
	json_object_set_new(object, field, value ? value : json_string("not UTF-8 text"));
	say_object(object);
	json_decref(object);
}

void print_error(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	put("detail", format, args);
	va_end(args);
}

void print_note(const char *format, ...)
{
	va_list args;
	if (quiet)
		return;
	va_start(args, format);
	put("note", format, args);
	va_end(args);
}

void print_empty(void)
{
	if (!quiet && !as_json)
		fputs("none\n", stderr);
}

void print_done(const char *format, ...)
{
	va_list args;
	if (quiet)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}
