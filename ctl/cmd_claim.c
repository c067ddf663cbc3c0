/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse claim add and allow: the certificate of an authority, and lists of names, from files.
 */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "daemon/base/mem.h"

#include <stdio.h>

enum { NAMES_FILE_MAX = 64 * MiB, NAMES_AT_ONCE = 256 };

static int read_file(const char *path, size_t max, struct buf *out)
{
	const char *why = "";
	if (file_read(path, max, out, &why) == 0)
		return EXIT_OK;
	print_error("%s: %s", path, why);
	return EXIT_USAGE;
}

int run_claim_add(struct invocation *in)
{
	return run_with_certificate(in, "authority");
}

/* The next names of the list, one a line; # begins a comment. False: there are no more. */
static bool take_names(struct str *rest, json_t *names)
{
	json_array_clear(names);
	while (rest->p && json_array_size(names) < NAMES_AT_ONCE) {
		struct str line = str_split(rest, '\n');
		line = str_trim(str_split(&line, '#'));
		json_t *name = line.n ? json_stringn(line.p, line.n) : NULL;
		if (name)
			json_array_append_new(names, name);
		else if (line.n)
			json_array_append_new(names,
					      json_string("?")); /* the gateway says why not */
	}
	return json_array_size(names) > 0;
}

int run_claim_allow(struct invocation *in)
{
	AUTO_CHAR path = mem_strdup(json_string_value(json_object_get(in->args, "names")));
	json_t *names = json_array();
	json_t *answer = NULL;
	AUTO_BUF text = {0};
	AUTO_CHAR target = NULL;
	int status = read_file(path, NAMES_FILE_MAX, &text);
	struct str rest = buf_view(&text);
	target = request_path(in->command->path, in->args);
	json_object_set(in->args, "names", names);
	while (status == EXIT_OK && take_names(&rest, names)) {
		json_decref(answer);
		answer = NULL;
		const unsigned http = request_send(in, "POST", target, in->args, &answer);
		status = http == 0    ? EXIT_UNREACHABLE
			 : http < 300 ? EXIT_OK
				      : print_problem(http, answer);
	}
	if (status == EXIT_OK && !answer) {
		print_error("%s: there is no name in it", path);
		status = EXIT_USAGE;
	} else if (status == EXIT_OK && in->json) {
		print_json_line(answer);
	} else if (status == EXIT_OK) {
		print_done("%s: %lld names may enrol\n",
			   json_string_value(json_object_get(answer, "name")),
			   (long long)json_integer_value(json_object_get(answer, "allowed")));
	}
	json_decref(answer);
	json_decref(names);
	return status;
}
