/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse trace: every packet of a client, a device or a topic while it comes and goes, until its
 * time is over or Ctrl-C; gatehouse watch: messages that are published. What nobody reads any more
 * the gateway ends by itself.
 */
#include "ctl/ctl.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

enum { WAIT_MS = 500 /* also how long Ctrl-C may take */ };

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	interrupted = number;
}

/* What came while this side looks on. */
struct trace {
	const char *resource;
	const char *unit; /* of what it shows */
	void (*print)(const json_t *line);
	json_int_t id;
	json_int_t most; /* 0: no bound */
	json_int_t seq;
	json_int_t lines;
	json_int_t dropped;
	const char *ended; /* in the last answer */
};

static void show(const struct invocation *in, struct trace *t, const json_t *answer)
{
	size_t i;
	const json_t *line;
	json_array_foreach(json_object_get(answer, "items"), i, line)
	{
		if (t->most && t->lines == t->most)
			break;
		t->seq = json_integer_value(json_object_get(line, "seq"));
		t->lines++;
		if (in->json)
			print_json_line(line);
		else
			t->print(line);
	}
	fflush(stdout);
	const json_int_t dropped = json_integer_value(json_object_get(answer, "dropped"));
	if (dropped > t->dropped)
		print_note("%lld %s were left out: more came than can be shown",
			   (long long)(dropped - t->dropped), t->unit);
	t->dropped = dropped;
	t->ended = json_string_value(json_object_get(answer, "ended"));
}

static int read_on(const struct invocation *in, struct trace *t)
{
	char path[160];
	json_t *answer = NULL;
	snprintf(path, sizeof(path), "/api/v1/%s/%lld?after=%lld&wait=%d", t->resource,
		 (long long)t->id, (long long)t->seq, WAIT_MS);
	const unsigned status = request_send(in, "GET", path, NULL, &answer);
	int code = EXIT_OK;
	if (status == 0)
		code = EXIT_UNREACHABLE;
	else if (status >= 300)
		code = print_problem(status, answer);
	else
		show(in, t, answer);
	if (t->ended)
		print_note("%s; %lld %s", t->ended, (long long)t->lines, t->unit);
	json_decref(answer);
	return code;
}

static void stop(const struct invocation *in, const struct trace *t)
{
	char path[64];
	json_t *answer = NULL;
	snprintf(path, sizeof(path), "/api/v1/%s/%lld", t->resource, (long long)t->id);
	request_send(in, "DELETE", path, NULL, &answer);
	json_decref(answer);
	print_note("stopped; %lld %s", (long long)t->lines, t->unit);
}

static int look_on(struct invocation *in, struct trace *t, const char *doing)
{
	const struct sigaction once = {.sa_handler = interrupt, .sa_flags = SA_RESETHAND};
	json_t *answer = NULL;
	int status = request_command(in, &answer);
	t->id = json_integer_value(json_object_get(answer, "id"));
	json_decref(answer);
	if (status != EXIT_OK)
		return status;
	sigaction(SIGINT, &once, NULL);
	sigaction(SIGTERM, &once, NULL);
	print_note("%s; Ctrl-C ends it", doing);
	bool enough = false;
	do {
		status = read_on(in, t);
		enough = t->most && t->lines == t->most;
	} while (status == EXIT_OK && !t->ended && !interrupted && !enough);
	if ((interrupted || enough) && !t->ended)
		stop(in, t);
	return status;
}

static const char *const targets[] = {"client-id", "device", "topic"};

int run_trace(struct invocation *in)
{
	struct trace t = {.resource = "traces", .unit = "lines", .print = print_trace};
	int named = 0;
	for (size_t i = 0; i < ARRAY_LEN(targets); i++)
		named += json_object_get(in->args, targets[i]) != NULL;
	if (named != 1) {
		print_error("say what is to be traced, by one of CLIENT-ID, --device NAME and "
			    "--topic FILTER");
		return EXIT_USAGE;
	}
	return look_on(in, &t, "tracing");
}

int run_watch(struct invocation *in)
{
	struct trace t = {.resource = "watches", .unit = "messages", .print = print_message};
	const char *most = invocation_local(in, "n");
	if (most) {
		char *end;
		t.most = strtol(most, &end, 10);
		if (*end || end == most || t.most < 1) {
			print_error("-n %s: a whole number of messages, 1 or more", most);
			return EXIT_USAGE;
		}
	}
	return look_on(in, &t, "watching");
}
