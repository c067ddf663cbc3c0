/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that are one request and its answer, shown by kind; and those that only shape a field
 * before it.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>

static void show_list(const struct invocation *in, const json_t *items)
{
	size_t i;
	const json_t *item;
	if (!in->json) {
		print_list(in->command, items);
		return;
	}
	json_array_foreach(items, i, item) print_json_line(item);
}

/* All pages of a list. */
static int run_list(struct invocation *in)
{
	json_t *items = json_array();
	const char *next;
	int status;
	do {
		json_t *answer = NULL;
		/* request_command takes path arguments out; lists have none. */
		status = request_command(in, &answer);
		next = json_string_value(json_object_get(answer, "next"));
		if (status == EXIT_OK)
			json_array_extend(items, json_object_get(answer, "items"));
		if (status == EXIT_OK && next)
			json_object_set_new(in->args, "after", json_string(next));
		const bool more = next != NULL;
		json_decref(answer);
		if (!more)
			break;
	} while (status == EXIT_OK);
	if (status == EXIT_OK)
		show_list(in, items);
	json_decref(items);
	return status;
}

/* A change: one line that says what happened, from the answer's `message`, else "done". */
static void show_message(const json_t *answer)
{
	const char *message = json_string_value(json_object_get(answer, "message"));
	printf("%s\n", message ? message : "done");
}

int run_plain(struct invocation *in)
{
	json_t *answer = NULL;
	if (in->command->show == LIST)
		return run_list(in);
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK && in->command->show == STATUS)
		print_status(answer);
	else if (status == EXIT_OK && in->command->show == MESSAGE)
		show_message(answer);
	else if (status == EXIT_OK)
		print_object(answer);
	json_decref(answer);
	return status;
}

int run_cert_revoke(struct invocation *in)
{
	const bool id = json_object_get(in->args, "id"),
		   device = json_object_get(in->args, "device");
	if (id == device) {
		fprintf(stderr, "gatehouse: give either a fingerprint or serial number, or "
				"--device NAME\n");
		return EXIT_USAGE;
	}
	return run_plain(in);
}

int run_acl(struct invocation *in)
{
	const char *priority = invocation_local(in, "priority");
	json_object_set_new(in->args, "effect", json_string(in->command->verb));
	if (priority) {
		char *end;
		const long n = strtol(priority, &end, 10);
		if (*end || end == priority || n < -1000 || n > 1000) {
			fprintf(stderr,
				"gatehouse: --priority %s: a whole number between -1000 and 1000\n",
				priority);
			return EXIT_USAGE;
		}
		json_object_set_new(in->args, "priority", json_integer(1000 + n));
	}
	return run_plain(in);
}

int run_setup_code(struct invocation *in)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		printf("Setup code: %s\nValid until %s, for one use. It is shown only now.\n",
		       json_string_value(json_object_get(answer, "code")),
		       json_string_value(json_object_get(answer, "expires_at")));
	json_decref(answer);
	return status;
}
