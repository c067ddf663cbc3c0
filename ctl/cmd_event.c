/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse event list: the newest events, and with --follow those that come.
 */
#include "ctl/ctl.h"

#include <stdio.h>

enum { LAST_DEFAULT = 50, WAIT_MS = 25000 };

/* Prints what came; returns the sequence number from which to go on. */
static json_int_t show(const struct invocation *in, const json_t *answer, json_int_t since)
{
	size_t i;
	const json_t *event;
	const json_t *next = json_object_get(answer, "next");
	json_array_foreach(json_object_get(answer, "items"), i, event)
	{
		const json_int_t seq = json_integer_value(json_object_get(event, "seq"));
		since = seq > since ? seq : since;
		if (in->json)
			print_json_line(event);
		else
			print_event(event);
	}
	fflush(stdout);
	/* Events that the filter hid count as seen. */
	return json_is_integer(next) ? json_integer_value(next) : since;
}

static int exchange(struct invocation *in, json_int_t *since)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK)
		*since = show(in, answer, *since);
	json_decref(answer);
	return status;
}

int run_event_list(struct invocation *in)
{
	const bool follow = invocation_switch(in, "follow");
	json_int_t since = 0;
	if (!json_object_get(in->args, "last"))
		json_object_set_new(in->args, "last", json_integer(follow ? 0 : LAST_DEFAULT));
	int status = exchange(in, &since);
	json_object_del(in->args, "last");
	while (follow && status == EXIT_OK) {
		json_object_set_new(in->args, "since", json_integer(since));
		json_object_set_new(in->args, "wait", json_integer(WAIT_MS));
		status = exchange(in, &since);
	}
	return status;
}
