/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets that a person types: see passphrase.h.
 */
#include "ctl/passphrase.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <termios.h>
#include <unistd.h>

static bool read_line(size_t max, struct buf *line)
{
	char c;
	ssize_t n;
	buf_reserve(line, max + 1); /* growing would leave copies behind */
	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n')
		if (line->n <= max) /* one more than allowed tells enough */
			buf_putc(line, c);
	return n >= 0;
}

static bool type(const char *prompt, size_t max, struct buf *line)
{
	struct termios before, silent;
	if (tcgetattr(STDIN_FILENO, &before))
		return read_line(max, line);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
	fprintf(stderr, "%s: ", prompt);
	const bool ok = read_line(max, line);
	fputs("\n", stderr);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	return ok;
}

static bool repeated(struct str first, size_t max)
{
	AUTO_SECRET second = {0};
	if (!type("The same again", max, &second))
		return false;
	if (str_eq(first, buf_view(&second)))
		return true;
	print_error("the two are not the same; nothing was changed");
	return false;
}

bool passphrase_ask(const char *prompt, bool twice, size_t min, size_t max, struct buf *out)
{
	if (!type(prompt, max, out)) {
		print_error("%s: it cannot be read", prompt);
		return false;
	}
	if (out->n < min || out->n > max) {
		print_error("%s: %s%zu bytes; %zu to %zu are allowed", prompt,
			    out->n > max ? "more than " : "", MIN(out->n, max), min, max);
		return false;
	}
	if (!str_is_utf8(buf_view(out))) {
		print_error("%s: it must be UTF-8 text", prompt);
		return false;
	}
	return !twice || !isatty(STDIN_FILENO) || repeated(buf_view(out), max);
}
