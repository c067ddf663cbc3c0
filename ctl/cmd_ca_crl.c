/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse ca crl: the revocation lists of the gateway's authorities, in PEM, for other programs.
 */
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <stdio.h>

static void print_summary(const json_t *items, const char *path)
{
	size_t i;
	const json_t *list;
	json_array_foreach(items, i, list)
		printf("%s: number %lld, %lld revoked, good until %s\n", text_of(list, "authority"),
		       (long long)json_integer_value(json_object_get(list, "number")),
		       (long long)json_integer_value(json_object_get(list, "entries")),
		       text_of(list, "next_update"));
	printf("written to %s\n", path);
}

/* Whole or not at all: another program may read the file at any time. */
static int write_lists(const json_t *items, const char *path)
{
	AUTO_CHAR next = mem_printf("%s.new", path);
	size_t i;
	const json_t *list;
	FILE *f = fopen(next, "w");
	if (!f) {
		print_error("%s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	json_array_foreach(items, i, list) fputs(text_of(list, "pem"), f);
	const bool failed = ferror(f);
	if (fclose(f) || failed || rename(next, path)) {
		print_error("%s: %s", path, strerror(errno));
		remove(next);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int run_ca_crl(struct invocation *in)
{
	json_t *answer = NULL;
	size_t i;
	const json_t *list;
	const char *out = invocation_local(in, "out");
	int status = request_command(in, &answer);
	const json_t *items = json_object_get(answer, "items");
	if (status == EXIT_OK && out)
		status = write_lists(items, out);
	if (status == EXIT_OK && out && !in->json)
		print_summary(items, out);
	else if (status == EXIT_OK && in->json)
		json_array_foreach(items, i, list) print_json_line(list);
	else if (status == EXIT_OK)
		json_array_foreach(items, i, list) printf("%s", text_of(list, "pem"));
	json_decref(answer);
	return status;
}
