/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse state export, diff and apply: the document on its way between a file and the gateway.
 * It is written with sorted names and in the gateway's stable order, so that two of them can be
 * compared line by line.
 */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { DOCUMENT_MAX = 16 * MiB };

static int save(const char *path, bool force, const char *text)
{
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (force ? O_TRUNC : O_EXCL), 0644);
	if (fd < 0 || fd_write(fd, str_of(text)) || fsync(fd)) {
		print_error("%s: %s%s", path, strerror(errno),
			    errno == EEXIST ? "; name a new file, or add --force" : "");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

/* The positional argument, which is no field of the request. */
static char *take_file(struct invocation *in)
{
	const char *path = json_string_value(json_object_get(in->args, ""));
	char *copy = path ? mem_strdup(path) : NULL;
	json_object_del(in->args, "");
	return copy;
}

int run_state_export(struct invocation *in)
{
	json_t *answer = NULL;
	AUTO_CHAR path = take_file(in);
	int status = request_command(in, &answer);
	if (status == EXIT_OK) {
		AUTO_CHAR text = json_dumps(answer, JSON_INDENT(2) | JSON_SORT_KEYS);
		AUTO_CHAR lines = mem_printf("%s\n", text);
		if (path)
			status = save(path, invocation_switch(in, "force"), lines);
		else
			fputs(lines, stdout);
	}
	json_decref(answer);
	return status;
}

static int read_document(struct invocation *in, const char *path)
{
	AUTO_BUF text = {0};
	const char *why;
	json_error_t error;
	if (file_read(path, DOCUMENT_MAX, &text, &why)) {
		print_error("%s: %s", path, why);
		return EXIT_USAGE;
	}
	json_t *document = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(document)) {
		print_error("%s:%d: %s", path, error.line,
			    document ? "not a JSON object" : error.text);
		json_decref(document);
		return EXIT_USAGE;
	}
	json_object_set_new(in->args, "state", document);
	return EXIT_OK;
}

/* Devices that are new here, which cannot connect yet. */
static void show_new(const json_t *answer, bool planned)
{
	const json_t *names = json_object_get(answer, "without_credentials");
	const json_int_t all =
		json_integer_value(json_object_get(answer, "without_credentials_count"));
	const char *hint = json_string_value(json_object_get(answer, "hint"));
	const json_t *name;
	size_t i;
	if (all == 0)
		return;
	printf("%lld %s %s neither password nor certificate:", (long long)all,
	       all == 1 ? "device" : "devices",
	       planned    ? "would have"
	       : all == 1 ? "has"
			  : "have");
	json_array_foreach(names, i, name) printf("%s%s", i ? ", " : " ", json_string_value(name));
	if ((size_t)all > json_array_size(names))
		printf(" and %lld more", (long long)all - (long long)json_array_size(names));
	printf("\n%s\n", hint ? hint : "");
}

static void show(const json_t *answer, bool planned, bool dry_run)
{
	const json_t *id = json_object_get(answer, "id");
	show_differences(answer);
	show_new(answer, planned);
	if (json_array_size(json_object_get(answer, "items")) == 0)
		print_done("nothing to change\n");
	else if (dry_run)
		print_done("nothing was changed: this was a dry run\n");
	else if (json_is_integer(id))
		print_done("applied as revision %lld\n", (long long)json_integer_value(id));
	show_held(answer);
}

int run_state_apply(struct invocation *in)
{
	json_t *answer = NULL;
	struct ctl_command diff = *in->command;
	AUTO_CHAR path = take_file(in);
	const bool dry = strcmp(in->command->verb, "diff") == 0 || invocation_switch(in, "dry-run");
	int status = read_document(in, path);
	if (status != EXIT_OK)
		return status;
	if (dry) {
		diff.method = "POST";
		diff.path = "/api/v1/state/diff";
		json_object_del(in->args, "confirm-within");
		in->command = &diff;
	}
	status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		show(answer, dry, invocation_switch(in, "dry-run"));
	json_decref(answer);
	return status;
}
