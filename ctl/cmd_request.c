/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse request approve and deny: one request, or with --all every one that waits now.
 */
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <stdio.h>

static int decide(struct invocation *in, json_int_t id)
{
	json_t *answer = NULL;
	AUTO_CHAR path = mem_printf("/api/v1/requests/%lld/%s", (long long)id, in->command->verb);
	const unsigned http = request_send(in, "POST", path, in->args, &answer);
	int status = EXIT_OK;
	if (http == 0)
		status = EXIT_UNREACHABLE;
	else if (http >= 300)
		status = print_problem(http, answer);
	else if (in->json)
		print_json_line(answer);
	else
		show_enrolment(in->command, answer);
	json_decref(answer);
	return status;
}

/* One that is refused does not stop the others. */
static int decide_all(struct invocation *in, const json_t *items, size_t *n)
{
	size_t i;
	const json_t *item;
	int worst = EXIT_OK;
	json_array_foreach(items, i, item)
	{
		const int status = decide(in, json_integer_value(json_object_get(item, "id")));
		worst = status != EXIT_OK ? status : worst;
		++*n;
	}
	return worst;
}

static int run_all(struct invocation *in)
{
	size_t n = 0;
	int worst = EXIT_OK;
	AUTO_CHAR path = mem_strdup("/api/v1/requests?state=pending&limit=1000");
	while (path) {
		json_t *answer = NULL;
		const unsigned http = request_send(in, "GET", path, NULL, &answer);
		mem_auto(&path);
		path = NULL;
		const char *next = json_string_value(json_object_get(answer, "next"));
		if (http == 200 && next)
			path = mem_printf("/api/v1/requests?state=pending&limit=1000&after=%s",
					  next);
		const int status = http == 200
					   ? decide_all(in, json_object_get(answer, "items"), &n)
				   : http ? print_problem(http, answer)
					  : EXIT_UNREACHABLE;
		worst = status != EXIT_OK ? status : worst;
		json_decref(answer);
	}
	if (n == 0 && worst == EXIT_OK)
		print_empty();
	return worst;
}

int run_request_decide(struct invocation *in)
{
	const bool all = invocation_switch(in, "all");
	if (all == (json_object_get(in->args, "id") != NULL)) {
		print_error("give the number of a request, or --all");
		return EXIT_USAGE;
	}
	return all ? run_all(in) : run_plain(in);
}
