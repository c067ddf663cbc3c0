/* SPDX-License-Identifier: Apache-2.0
 *
 * Help of the command line: see help.h.
 */
#include "ctl/help.h"

#include <ctype.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH = 80, NARROWEST = 40, WIDEST = 100, NOUN_AT = 16, COMMAND_AT = 22, OPTION_AT = 24 };

/* Columns of the terminal; what goes elsewhere is as wide as a page. */
static size_t width_of(FILE *f)
{
	struct winsize size;
	uint64_t columns = WIDTH;
	const char *wish = getenv("COLUMNS");
	if (isatty(fileno(f)) && ioctl(fileno(f), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
	else if (wish && str_u64(str_of(wish), UINT16_MAX, &columns))
		columns = WIDTH;
	return columns < NARROWEST ? NARROWEST : columns > WIDEST ? WIDEST : (size_t)columns;
}

static size_t columns_of(struct str word)
{
	size_t n = 0;
	for (size_t i = 0; i < word.n; i++)
		n += ((unsigned char)word.p[i] & 0xc0) != 0x80;
	return n;
}

/* The words of a text from column `at` on, where the line is now, up to the width; further lines
 * begin at the column `indent`. */
static void put_words(FILE *f, const char *text, size_t at, size_t indent)
{
	const size_t width = width_of(f);
	struct str rest = str_of(text);
	bool first = true;
	while (rest.p) {
		const struct str word = str_split(&rest, ' ');
		const size_t n = columns_of(word);
		if (!first && at + 1 + n > width) {
			fprintf(f, "\n%*s", (int)indent, "");
			at = indent;
			first = true;
		}
		at += n + !first;
		fprintf(f, "%s%.*s", first ? "" : " ", STR_ARG(word));
		first = false;
	}
	fputc('\n', f);
}

/* A name, and what it is in a column of its own; below the name when that is too long. */
static void put_entry(FILE *f, const char *name, const char *text, size_t column)
{
	if (strlen(name) + 3 > column)
		fprintf(f, "  %s\n%*s", name, (int)column, "");
	else
		fprintf(f, "  %-*s", (int)column - 2, name);
	put_words(f, text, column, column);
}

static void put_name(char *out, size_t size, const struct ctl_command *c)
{
	snprintf(out, size, "%s%s%s", c->noun, c->verb[0] ? " " : "", c->verb);
}

void help_print_commands(FILE *f, const char *noun)
{
	for (size_t n = 0; n < ctl_nouns_n; n++) {
		if (noun && strcmp(ctl_nouns[n].noun, noun) != 0)
			continue;
		for (size_t i = 0; i < ctl_commands_n; i++) {
			const struct ctl_command *c = &ctl_commands[i];
			char name[40];
			if (strcmp(c->noun, ctl_nouns[n].noun) != 0)
				continue;
			put_name(name, sizeof(name), c);
			put_entry(f, name, c->summary, COMMAND_AT);
		}
	}
}

/* "what it is about: list, show, add" */
static void put_noun(const struct ctl_noun *noun)
{
	AUTO_BUF text = {0};
	const char *before = ": ";
	buf_puts(&text, noun->text);
	for (size_t i = 0; i < ctl_commands_n; i++) {
		if (strcmp(ctl_commands[i].noun, noun->noun) != 0 || !ctl_commands[i].verb[0])
			continue;
		buf_printf(&text, "%s%s", before, ctl_commands[i].verb);
		before = ", ";
	}
	put_entry(stdout, noun->noun, buf_cstr(&text), NOUN_AT);
}

void help_print(void)
{
	static const char *const options[][2] = {
		{"--socket PATH", "the control socket (GATEHOUSE_SOCKET, " DEFAULT_SOCKET ")"},
		{"--json", "JSON in place of tables and texts, errors too; lists: one object a "
			   "line"},
		{"--quiet, -q", "no output but what was asked for, and errors"},
		{"--utc", "times in UTC, not in the zone of this machine"},
		{"--help, -h", "this text, or that of a command"},
		{"--version", "the version"},
	};
	const char *group = "";
	printf("Usage: gatehouse [OPTION]... COMMAND [ARGUMENT]...\n\n"
	       "Manages a running Gatehouse gateway: as root, or as a member of the group\n"
	       "gatehouse-admin.\n");
	for (size_t i = 0; i < ctl_nouns_n; i++) {
		if (strcmp(group, ctl_nouns[i].group) != 0)
			printf("\n%s:\n", ctl_nouns[i].group);
		group = ctl_nouns[i].group;
		put_noun(&ctl_nouns[i]);
	}
	printf("\nHelp:\n");
	put_entry(stdout, "help", "this text; help all: every command in a line", NOUN_AT);
	put_entry(stdout, "help COMMAND", "its options and an example: gatehouse help device add",
		  NOUN_AT);
	put_entry(stdout, "version", "the version of this program", NOUN_AT);
	printf("\nOptions, anywhere before --:\n");
	for (size_t i = 0; i < ARRAY_LEN(options); i++)
		put_entry(stdout, options[i][0], options[i][1], NOUN_AT);
	printf("\n");
	put_words(stdout,
		  "Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 the gateway does not "
		  "answer, 5 not found, 6 conflict. More: man gatehouse",
		  0, 0);
}

void help_print_usage(FILE *f, const struct ctl_command *c)
{
	bool options = false;
	char name[40];
	put_name(name, sizeof(name), c);
	fprintf(f, "Usage: gatehouse %s", name);
	for (const struct ctl_param *p = c->param; p->name; p++) {
		options |= !p->positional;
		if (p->positional)
			fprintf(f, p->need == REQUIRED ? " %s" : " [%s]", p->name);
	}
	fprintf(f, "%s\n", options ? " [OPTION]..." : "");
}

/* Arguments first, then options, each in the order of the table. */
static void put_params(const struct ctl_command *c, bool positional)
{
	bool first = true;
	for (const struct ctl_param *p = c->param; p->name; p++) {
		char name[48];
		if (p->positional != positional)
			continue;
		snprintf(name, sizeof(name), "%s%s%s%s", option_dashes(p), p->name,
			 p->arg && p->arg[0] ? " " : "", p->arg ? p->arg : "");
		printf("%s", first ? "\n" : "");
		put_entry(stdout, name, p->text, OPTION_AT);
		first = false;
	}
}

void help_print_command(const struct ctl_command *c)
{
	help_print_usage(stdout, c);
	printf("\n");
	printf("%c", toupper((unsigned char)c->summary[0]));
	put_words(stdout, c->summary + 1, 1, 0);
	put_params(c, true);
	put_params(c, false);
	printf("\nExample:\n  %s\n", c->example);
}
