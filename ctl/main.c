/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse: finds the command, reads its arguments, runs it.
 */
#include "config.h"
#include "ctl/ctl.h"
#include "daemon/base/err.h"

#include <stdio.h>
#include <stdlib.h>

static void print_commands(const char *noun)
{
	for (size_t i = 0; i < ctl_commands_n; i++) {
		const struct ctl_command *c = &ctl_commands[i];
		char name[40];
		if (noun && strcmp(c->noun, noun) != 0)
			continue;
		snprintf(name, sizeof(name), "%s%s%s", c->noun, c->verb[0] ? " " : "", c->verb);
		printf("  %-18s %s\n", name, c->summary);
	}
}

static int print_help(void)
{
	printf("Usage: gatehouse [--socket PATH] [--json] COMMAND [ARGUMENT]...\n\n"
	       "Manages a running Gatehouse gateway.\n\n");
	print_commands(NULL);
	printf("\nOptions, anywhere before --:\n"
	       "  --socket PATH    control socket (GATEHOUSE_SOCKET, %s)\n"
	       "  --json           JSON instead of tables; lists: one object a line\n"
	       "  --help           this text, or that of a command\n"
	       "  --version        version\n\n"
	       "Exit status: 0 done, 1 failed, 2 wrong usage, 3 refused, 4 gateway does not "
	       "answer,\n"
	       "5 not found, 6 conflict. See gatehouse(1).\n",
	       DEFAULT_SOCKET);
	return EXIT_OK;
}

static int print_command_help(const struct ctl_command *c)
{
	printf("Usage: gatehouse %s%s%s", c->noun, c->verb[0] ? " " : "", c->verb);
	for (const struct ctl_param *p = c->param; p->name; p++)
		if (p->positional)
			printf(p->need == REQUIRED ? " %s" : " [%s]", p->name);
	printf("%s\n\n%s\n", c->param[0].name ? " [OPTION]..." : "", c->summary);
	for (const struct ctl_param *p = c->param; p->name; p++) {
		char name[48];
		snprintf(name, sizeof(name), "%s%s%s%s", option_dashes(p), p->name,
			 p->arg && p->arg[0] ? " " : "", p->arg ? p->arg : "");
		printf("%s  %-20s %s\n", p == c->param ? "\n" : "", name, p->text);
	}
	return EXIT_OK;
}

static const struct ctl_command *find_command(const char *noun, const char *verb)
{
	for (size_t i = 0; i < ctl_commands_n; i++) {
		const struct ctl_command *c = &ctl_commands[i];
		if (strcmp(c->noun, noun) == 0 &&
		    (!c->verb[0] || (verb && strcmp(c->verb, verb) == 0)))
			return c;
	}
	return NULL;
}

static bool is_noun(const char *word)
{
	for (size_t i = 0; i < ctl_commands_n; i++)
		if (strcmp(ctl_commands[i].noun, word) == 0)
			return true;
	return false;
}

static int unknown_command(const char *noun, const char *verb, bool help)
{
	if (!is_noun(noun)) {
		fprintf(stderr,
			"gatehouse: there is no command \"%s\"; gatehouse --help lists them\n",
			noun);
		return EXIT_USAGE;
	}
	if (help && !verb) {
		print_commands(noun);
		return EXIT_OK;
	}
	if (verb)
		fprintf(stderr, "gatehouse: \"%s\" has no \"%s\"; it has:\n", noun, verb);
	else
		fprintf(stderr, "gatehouse: \"%s\" needs one of:\n", noun);
	fflush(stderr);
	print_commands(noun);
	return EXIT_USAGE;
}

/* What stands before and between the words of the command and is not an argument of it. */
struct globals {
	const char *socket_path;
	bool no_path; /* --socket without one */
	bool json;
	bool help;
	bool version;
};

/* One global option; *i moves behind its value. False when the word is something else. */
static bool take_global(int argc, char **argv, int *i, struct globals *g)
{
	const char *word = argv[*i];
	if (strcmp(word, "--json") == 0)
		return g->json = true;
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
		return g->help = true;
	if (strcmp(word, "--version") == 0)
		return g->version = true;
	if (strncmp(word, "--socket=", 9) == 0) {
		g->socket_path = word + 9;
		g->no_path = !word[9];
		return true;
	}
	if (strcmp(word, "--socket") != 0)
		return false;
	if (*i + 1 == argc) {
		g->socket_path = NULL;
		g->no_path = true;
		return true;
	}
	g->socket_path = argv[++*i];
	return true;
}

/* Takes the global options out of argv, up to "--". Returns how many arguments are left. */
static int take_globals(int argc, char **argv, struct globals *g)
{
	int left = 0;
	bool done = false;
	for (int i = 0; i < argc; i++) {
		done = done || strcmp(argv[i], "--") == 0;
		if (done || !take_global(argc, argv, &i, g))
			argv[left++] = argv[i];
	}
	return left;
}

static int run_command(const struct ctl_command *c, const struct globals *g, int argc, char **argv)
{
	struct invocation in = {
		.command = c,
		.socket_path = g->socket_path,
		.json = g->json,
		.args = json_object(),
		.local = json_object(),
	};
	const int status = options_take(&in, argc, argv) ? EXIT_USAGE : c->run(&in);
	json_decref(in.args);
	json_decref(in.local);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fprintf(stderr, "gatehouse: cannot write the output\n");
		return EXIT_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	struct globals g = {.socket_path = getenv("GATEHOUSE_SOCKET")};
	const int n = take_globals(argc - 1, argv + 1, &g);
	char **words = argv + 1;
	if (!g.socket_path || !g.socket_path[0])
		g.socket_path = DEFAULT_SOCKET;
	if (g.version) {
		printf("gatehouse %s\n", PACKAGE_VERSION);
		return EXIT_OK;
	}
	if (g.no_path) {
		fprintf(stderr,
			"gatehouse: --socket needs the path of the control socket: "
			"--socket PATH, such as %s\n",
			DEFAULT_SOCKET);
		return EXIT_USAGE;
	}
	if (n == 0) {
		print_help();
		if (!g.help && argc > 1)
			fprintf(stderr, "gatehouse: the command is missing\n");
		return g.help ? EXIT_OK : EXIT_USAGE;
	}
	const char *verb = n > 1 ? words[1] : NULL;
	const struct ctl_command *c = find_command(words[0], verb);
	if (!c)
		return unknown_command(words[0], verb, g.help);
	if (g.help)
		return print_command_help(c);
	const int used = c->verb[0] ? 2 : 1;
	return run_command(c, &g, n - used, words + used);
}
