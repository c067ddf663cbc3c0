/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse admin add, set and reset, token add: administrators and API tokens.
 */
#include "ctl/ctl.h"

#include <stdio.h>

enum { PASSWORD_MIN = 10 };

int run_admin_password(struct invocation *in)
{
	const int status = password_take(in, invocation_local(in, "password-file"), PASSWORD_MIN);
	if (status != EXIT_OK)
		return status;
	if (strcmp(in->command->verb, "reset") == 0)
		json_object_set_new(in->args, "totp", json_false());
	return run_plain(in);
}

int run_admin_set(struct invocation *in)
{
	if (json_object_size(in->args) < 2) {
		print_error("nothing to change: give --level, --enabled or --disabled");
		return EXIT_USAGE;
	}
	return run_plain(in);
}

int run_token_add(struct invocation *in)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		printf("%s\nIt ends at %s and is shown only now. A program sends it as "
		       "\"Authorization: Bearer ...\".\n",
		       json_string_value(json_object_get(answer, "token")),
		       json_string_value(json_object_get(answer, "expires")));
	json_decref(answer);
	return status;
}
