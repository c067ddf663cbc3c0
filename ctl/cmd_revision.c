/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse revision show and revert, config confirm and reload: changes as a person reads them.
 */
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void print_side(char sign, const char *field, const json_t *value)
{
	AUTO_BUF line = {0};
	if (json_is_null(value))
		return;
	char *json = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	buf_printf(&line, "  %c %s: %s", sign, field, json ? json : "");
	free(json);
	str_mask_controls(line.p, line.n);
	printf("%s\n", buf_cstr(&line));
}

void show_differences(const json_t *answer)
{
	size_t i, k;
	const json_t *item;
	const json_t *field;
	json_array_foreach(json_object_get(answer, "items"), i, item)
	{
		printf("%s %s %s\n", text_of(item, "kind"), text_of(item, "object"),
		       text_of(item, "change"));
		json_array_foreach(json_object_get(item, "fields"), k, field)
		{
			print_side('-', text_of(field, "field"), json_object_get(field, "before"));
			print_side('+', text_of(field, "field"), json_object_get(field, "after"));
		}
	}
	const json_int_t left = json_integer_value(json_object_get(answer, "left_out"));
	if (left)
		printf("... and %lld more\n", (long long)left);
}

void show_held(const json_t *answer)
{
	const char *token = text_of(answer, "token");
	if (token[0])
		printf("undone in %lld seconds, and by a restart, unless you keep it: gatehouse "
		       "config "
		       "confirm %s\n",
		       (long long)json_integer_value(json_object_get(answer, "confirm_within")),
		       token);
}

int run_revision_show(struct invocation *in)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json) {
		print_json_line(answer);
	} else if (status == EXIT_OK) {
		/* Who came over the control socket is named with it already. */
		const bool local = strcmp(text_of(answer, "source"), "control socket") == 0;
		printf("revision %lld, %s: %s%s%s by %s%s%s%s\n",
		       (long long)json_integer_value(json_object_get(answer, "id")),
		       text_of(answer, "time"), text_of(answer, "operation"),
		       text_of(answer, "target")[0] ? " " : "", text_of(answer, "target"),
		       text_of(answer, "actor"), local ? "" : " (",
		       local ? "" : text_of(answer, "source"), local ? "" : ")");
		show_differences(answer);
	}
	json_decref(answer);
	return status;
}

int run_revision_revert(struct invocation *in)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json) {
		print_json_line(answer);
	} else if (status == EXIT_OK && says_done()) {
		show_differences(answer);
		if (json_is_integer(json_object_get(answer, "id")))
			printf("reverted by revision %lld\n",
			       (long long)json_integer_value(json_object_get(answer, "id")));
		if (text_of(answer, "hint")[0])
			printf("note: %s\n", text_of(answer, "hint"));
		show_held(answer);
	}
	json_decref(answer);
	return status;
}

int run_config_confirm(struct invocation *in)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		print_done("%s\n",
			   json_is_true(json_object_get(answer, "kept")) ? "kept" : "undone");
	json_decref(answer);
	return status;
}

static void print_keys(const char *before, const json_t *keys)
{
	size_t i;
	const json_t *key;
	if (!json_array_size(keys))
		return;
	printf("%s", before);
	json_array_foreach(keys, i, key) printf("%s%s", i ? ", " : " ", json_string_value(key));
	printf("\n");
}

int run_config_reload(struct invocation *in)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json) {
		print_json_line(answer);
	} else if (status == EXIT_OK && says_done()) {
		const json_t *changed = json_object_get(answer, "changed");
		printf("configuration read again%s\n",
		       json_array_size(changed) ? "" : ": nothing changed");
		print_keys("changed:", changed);
		print_keys("take effect after a restart:",
			   json_object_get(answer, "needs_restart"));
	}
	json_decref(answer);
	return status;
}
