/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse trace: every packet of a client, a device or a topic while it comes and goes, until its
 * time is over or Ctrl-C. What nobody reads any more the gateway ends by itself.
 */
#include "ctl/ctl.h"

#include <signal.h>
#include <stdio.h>

enum { WAIT_MS = 500 /* also how long Ctrl-C may take */ };

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	interrupted = number;
}

/* What came while this side looks on. */
struct trace {
	json_int_t id;
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
		t->seq = json_integer_value(json_object_get(line, "seq"));
		t->lines++;
		if (in->json)
			print_json_line(line);
		else
			print_trace(line);
	}
	fflush(stdout);
	const json_int_t dropped = json_integer_value(json_object_get(answer, "dropped"));
	if (dropped > t->dropped)
		fprintf(stderr,
			"gatehouse: %lld lines were left out: more came than can be shown\n",
			(long long)(dropped - t->dropped));
	t->dropped = dropped;
	t->ended = json_string_value(json_object_get(answer, "ended"));
}

static int read_on(const struct invocation *in, struct trace *t)
{
	char path[160];
	json_t *answer = NULL;
	snprintf(path, sizeof(path), "/api/v1/traces/%lld?after=%lld&wait=%d", (long long)t->id,
		 (long long)t->seq, WAIT_MS);
	const unsigned status = request_send(in, "GET", path, NULL, &answer);
	int code = EXIT_OK;
	if (status == 0)
		code = EXIT_UNREACHABLE;
	else if (status >= 300)
		code = print_problem(status, answer);
	else
		show(in, t, answer);
	if (t->ended)
		fprintf(stderr, "gatehouse: %s; %lld lines\n", t->ended, (long long)t->lines);
	json_decref(answer);
	return code;
}

static void stop(const struct invocation *in, const struct trace *t)
{
	char path[64];
	json_t *answer = NULL;
	snprintf(path, sizeof(path), "/api/v1/traces/%lld", (long long)t->id);
	request_send(in, "DELETE", path, NULL, &answer);
	json_decref(answer);
	fprintf(stderr, "gatehouse: stopped; %lld lines\n", (long long)t->lines);
}

int run_trace(struct invocation *in)
{
	struct trace t = {0};
	const struct sigaction once = {.sa_handler = interrupt, .sa_flags = SA_RESETHAND};
	json_t *answer = NULL;
	int status = request_command(in, &answer);
	t.id = json_integer_value(json_object_get(answer, "id"));
	json_decref(answer);
	if (status != EXIT_OK)
		return status;
	sigaction(SIGINT, &once, NULL);
	sigaction(SIGTERM, &once, NULL);
	fprintf(stderr, "gatehouse: tracing; Ctrl-C ends it\n");
	do
		status = read_on(in, &t);
	while (status == EXIT_OK && !t.ended && !interrupted);
	if (interrupted && !t.ended)
		stop(in, &t);
	return status;
}
