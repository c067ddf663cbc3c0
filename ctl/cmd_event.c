/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse event list and log: the newest events or log lines, and with --follow those that come;
 * event acknowledge.
 */
#include "ctl/ctl.h"
#include "daemon/base/events.h"

#include <stdio.h>
#include <string.h>

enum { LAST_EVENTS = 50, LAST_LINES = 100, WAIT_MS = 25000 };

typedef void print_fn(const json_t *item);

/* Prints what came; returns the sequence number from which to go on. */
static json_int_t show(const struct invocation *in, const json_t *answer, print_fn *print,
		       json_int_t since, size_t *n)
{
	size_t i;
	const json_t *item;
	const json_t *next = json_object_get(answer, "next");
	json_array_foreach(json_object_get(answer, "items"), i, item)
	{
		const json_int_t seq = json_integer_value(json_object_get(item, "seq"));
		since = seq > since ? seq : since;
		if (in->json)
			print_json_line(item);
		else
			print(item);
	}
	fflush(stdout);
	*n += json_array_size(json_object_get(answer, "items"));
	/* What the filter hid counts as seen. */
	return json_is_integer(next) ? json_integer_value(next) : since;
}

static int exchange(struct invocation *in, print_fn *print, json_int_t *since, size_t *n)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK)
		*since = show(in, answer, print, *since, n);
	json_decref(answer);
	return status;
}

/* With --follow it ends with an error only. */
static int list(struct invocation *in, print_fn *print, json_int_t last)
{
	const bool follow = invocation_switch(in, "follow");
	json_int_t since = 0;
	size_t n = 0;
	if (!json_object_get(in->args, "last"))
		json_object_set_new(in->args, "last", json_integer(follow ? 0 : last));
	int status = exchange(in, print, &since, &n);
	if (status == EXIT_OK && n == 0 && !follow)
		print_empty();
	json_object_del(in->args, "last");
	while (follow && status == EXIT_OK) {
		json_object_set_new(in->args, "since", json_integer(since));
		json_object_set_new(in->args, "wait", json_integer(WAIT_MS));
		status = exchange(in, print, &since, &n);
	}
	return status;
}

/* A mistyped name would show nothing, as if nothing had happened. */
static bool names_events(const char *name)
{
	const size_t n = strlen(name);
	for (unsigned e = 0; e < EVENT_COUNT; e++)
		if (strncmp(event_name((enum event)e), name, n) == 0 &&
		    strchr(".", event_name((enum event)e)[n]))
			return true;
	return false;
}

int run_event_list(struct invocation *in)
{
	const char *name = json_string_value(json_object_get(in->args, "name"));
	if (name && !names_events(name)) {
		print_error("no event is named %s, or %s.something; man gatehouse "
			    "lists them",
			    name, name);
		return EXIT_USAGE;
	}
	return list(in, print_event, LAST_EVENTS);
}

int run_log(struct invocation *in)
{
	return list(in, print_log_line, LAST_LINES);
}

/* The number of an event is an argument without an option, which are texts. */
static bool take_seq(struct invocation *in)
{
	const json_t *given = json_object_get(in->args, "seq");
	uint64_t seq;
	if (!json_is_string(given))
		return true;
	if (str_u64(str_of(json_string_value(given)), INT64_MAX, &seq)) {
		print_error("%s is no number of an event; event list shows it as seq",
			    json_string_value(given));
		return false;
	}
	json_object_set_new(in->args, "seq", json_integer((json_int_t)seq));
	return true;
}

int run_event_acknowledge(struct invocation *in)
{
	json_t *answer = NULL;
	const bool undo = json_is_true(json_object_get(in->args, "undo"));
	if (!take_seq(in))
		return EXIT_USAGE;
	if (!json_object_get(in->args, "seq") == !json_object_get(in->args, "name")) {
		print_error("say which: the NUMBER of one event, as seq in event list, or --name "
			    "NAME for all of a name");
		return EXIT_USAGE;
	}
	const int status = request_command(in, &answer);
	const long long n = (long long)json_integer_value(json_object_get(answer, "events"));
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		print_done("%lld event%s %s\n", n, n == 1 ? " is" : "s are",
			   undo ? "open again" : "acknowledged");
	json_decref(answer);
	return status;
}
