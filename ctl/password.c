/* SPDX-License-Identifier: Apache-2.0
 *
 * A password for a request: typed twice without echo on a terminal, else a line of standard input
 * or of a file; never an argument of the command line, which everybody on the machine can read.
 */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/passphrase.h"
#include "daemon/base/secret.h"

#include <stdio.h>

enum { PASSWORD_MAX = 511, FILE_MAX = 4 * KiB };

/* The first line of a file. */
static int from_file(const char *path, struct buf *line)
{
	AUTO_SECRET bytes = {0};
	const char *why;
	if (file_read(path, FILE_MAX, &bytes, &why)) {
		print_error("--password-file %s: %s", path, why);
		return EXIT_USAGE;
	}
	struct str rest = buf_view(&bytes);
	buf_str(line, str_trim(str_split(&rest, '\n')));
	return EXIT_OK;
}

static int judge(struct str password, size_t min)
{
	if (password.n >= min && password.n <= PASSWORD_MAX)
		return EXIT_OK;
	if (password.n > PASSWORD_MAX)
		print_error("the password has more than %d bytes; %zu to %d are allowed",
			    PASSWORD_MAX, min, PASSWORD_MAX);
	else
		print_error("the password has %zu bytes; %zu to %d are allowed", password.n, min,
			    PASSWORD_MAX);
	return EXIT_USAGE;
}

int password_take(struct invocation *in, const char *file, size_t min)
{
	AUTO_SECRET first = {0};
	if (!file && !passphrase_ask("Password", true, min, PASSWORD_MAX, &first))
		return EXIT_USAGE;
	int status = file ? from_file(file, &first) : EXIT_OK;
	if (status == EXIT_OK)
		status = judge(buf_view(&first), min);
	if (status != EXIT_OK)
		return status;
	json_t *text = json_stringn(first.p, first.n);
	if (!text) {
		print_error("the password must be UTF-8 text");
		return EXIT_USAGE;
	}
	json_object_set_new(in->args, "password", text);
	return EXIT_OK;
}
