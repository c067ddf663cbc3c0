/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse publish: a message of whoever is at the command line. What it says comes from the
 * command line, a file or standard input and may be any bytes: what is no text travels as base64.
 */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "daemon/base/base64.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

enum { PAYLOAD_MAX = 24576 };

static int too_large(void)
{
	print_error("the message is longer than %d bytes", PAYLOAD_MAX);
	return EXIT_USAGE;
}

static int read_input(struct buf *out)
{
	while (out->n <= PAYLOAD_MAX) {
		const ssize_t n = read(STDIN_FILENO, buf_reserve(out, 4096), 4096);
		if (n > 0)
			out->n += (size_t)n;
		else if (n == 0)
			return EXIT_OK;
		else if (errno != EINTR)
			break;
	}
	if (out->n > PAYLOAD_MAX)
		return too_large();
	print_error("standard input: %s", strerror(errno));
	return EXIT_FAILED;
}

static int read_file(const char *path, struct buf *out)
{
	const char *why;
	const int err = file_read(path, PAYLOAD_MAX, out, &why);
	if (err)
		print_error("%s: %s", path, why);
	return err ? EXIT_USAGE : EXIT_OK;
}

static void put_payload(struct invocation *in, struct str payload)
{
	AUTO_BUF base64 = {0};
	if (str_is_utf8(payload)) {
		json_object_set_new(in->args, "payload", json_stringn(payload.p, payload.n));
		return;
	}
	base64_encode(payload, &base64);
	json_object_set_new(in->args, "data", json_string(buf_cstr(&base64)));
}

/* From where the message comes; said is on the command line. */
static int take_payload(struct invocation *in, bool said)
{
	AUTO_BUF payload = {0};
	const char *path = invocation_local(in, "file");
	const bool empty = invocation_switch(in, "empty");
	if (said + (path != NULL) + empty > 1) {
		print_error("give one of MESSAGE, --file and --empty");
		return EXIT_USAGE;
	}
	if (said || empty)
		return EXIT_OK;
	const int status = path ? read_file(path, &payload) : read_input(&payload);
	if (status == EXIT_OK)
		put_payload(in, payload.n ? buf_view(&payload) : STR(""));
	return status;
}

int run_publish(struct invocation *in)
{
	json_t *answer = NULL;
	int status = take_payload(in, json_object_get(in->args, "payload") != NULL);
	if (status == EXIT_OK)
		status = request_command(in, &answer);
	const json_int_t receivers = json_integer_value(json_object_get(answer, "receivers"));
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		print_done("published %lld bytes; %lld subscription%s matched\n",
			   (long long)json_integer_value(json_object_get(answer, "size")),
			   (long long)receivers, receivers == 1 ? "" : "s");
	json_decref(answer);
	return status;
}
