/* SPDX-License-Identifier: Apache-2.0
 *
 * A password for a request: typed twice without echo on a terminal, else a line of standard input
 * or of a file; never an argument of the command line, which everybody on the machine can read.
 */
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "daemon/base/secret.h"

#include <fcntl.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

enum { PASSWORD_MAX = 511, FILE_MAX = 4 * KiB };

static bool read_line(struct buf *line)
{
	char c;
	ssize_t n;
	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (line->n <= PASSWORD_MAX) /* one more than allowed tells enough */
			buf_putc(line, c);
	}
	return n >= 0;
}

/* A line typed without echo. */
static bool ask(const char *prompt, struct buf *line)
{
	struct termios before, silent;
	if (tcgetattr(STDIN_FILENO, &before))
		return read_line(line);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	fputs(prompt, stderr);
	const bool ok = read_line(line);
	fputs("\n", stderr);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	return ok;
}

/* The first line of a file. */
static int from_file(const char *path, struct buf *line)
{
	AUTO_SECRET bytes = {0};
	const char *why;
	if (file_read(path, FILE_MAX, &bytes, &why)) {
		fprintf(stderr, "gatehouse: --password-file %s: %s\n", path, why);
		return EXIT_USAGE;
	}
	struct str rest = buf_view(&bytes);
	buf_str(line, str_trim(str_split(&rest, '\n')));
	return EXIT_OK;
}

static int from_terminal(struct buf *first)
{
	AUTO_SECRET second = {0};
	const bool terminal = isatty(STDIN_FILENO);
	if (!ask("Password: ", first) || (terminal && !ask("The same again: ", &second))) {
		fprintf(stderr, "gatehouse: cannot read the password\n");
		return EXIT_USAGE;
	}
	if (terminal && !str_eq(buf_view(first), buf_view(&second))) {
		fprintf(stderr, "gatehouse: the two are not the same; nothing was changed\n");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static int judge(struct str password, size_t min)
{
	if (password.n >= min && password.n <= PASSWORD_MAX)
		return EXIT_OK;
	if (password.n > PASSWORD_MAX)
		fprintf(stderr,
			"gatehouse: the password has more than %d bytes; %zu to %d are allowed\n",
			PASSWORD_MAX, min, PASSWORD_MAX);
	else
		fprintf(stderr, "gatehouse: the password has %zu bytes; %zu to %d are allowed\n",
			password.n, min, PASSWORD_MAX);
	return EXIT_USAGE;
}

int password_take(struct invocation *in, const char *file, size_t min)
{
	AUTO_SECRET first = {0};
	int status = file ? from_file(file, &first) : from_terminal(&first);
	if (status == EXIT_OK)
		status = judge(buf_view(&first), min);
	if (status != EXIT_OK)
		return status;
	json_t *text = json_stringn(first.p, first.n);
	if (!text) {
		fprintf(stderr, "gatehouse: the password must be UTF-8 text\n");
		return EXIT_USAGE;
	}
	json_object_set_new(in->args, "password", text);
	return EXIT_OK;
}
