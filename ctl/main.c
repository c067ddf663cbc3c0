/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse: finds the command, reads its arguments, runs it.
 */
#include "config.h"
#include "ctl/complete.h"
#include "ctl/ctl.h"
#include "ctl/help.h"
#include "daemon/base/err.h"

#include <stdio.h>
#include <stdlib.h>

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
		print_error("there is no command \"%s\"; gatehouse --help lists them", noun);
		return EXIT_USAGE;
	}
	if (help && !verb) {
		help_print_commands(stdout, noun);
		return EXIT_OK;
	}
	if (verb)
		print_error("\"%s\" has no \"%s\"; it has:", noun, verb);
	else
		print_error("\"%s\" needs one of:", noun);
	if (!says_json())
		help_print_commands(stderr, noun);
	return EXIT_USAGE;
}

/* What stands before and between the words of the command and is not an argument of it. */
struct globals {
	const char *socket_path;
	bool no_path; /* --socket without one */
	bool json;
	bool quiet;
	bool utc;
	bool help;
	bool version;
};

/* One global option; *i moves behind its value. False when the word is something else. */
static bool take_global(int argc, char **argv, int *i, struct globals *g)
{
	const char *word = argv[*i];
	const struct {
		const char *word;
		bool *flag;
	} flags[] = {
		{"--json", &g->json},       {"--quiet", &g->quiet}, {"-q", &g->quiet},
		{"--utc", &g->utc},         {"--help", &g->help},   {"-h", &g->help},
		{"--version", &g->version},
	};
	for (size_t f = 0; f < ARRAY_LEN(flags); f++)
		if (strcmp(word, flags[f].word) == 0)
			return *flags[f].flag = true;
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
		.utc = g->utc,
		.args = json_object(),
		.local = json_object(),
	};
	const int status = options_take(&in, argc, argv) ? EXIT_USAGE : c->run(&in);
	json_decref(in.args);
	json_decref(in.local);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		print_error("cannot write the output");
		return EXIT_FAILED;
	}
	return status;
}

static int print_version(void)
{
	printf("gatehouse %s\n", PACKAGE_VERSION);
	return EXIT_OK;
}

/* "help", "help all", "help device", "help device add". */
static int run_help(int n, char **words)
{
	if (n == 0) {
		help_print();
		return EXIT_OK;
	}
	if (n == 1 && strcmp(words[0], "all") == 0) {
		help_print_commands(stdout, NULL);
		return EXIT_OK;
	}
	const char *verb = n > 1 ? words[1] : NULL;
	const struct ctl_command *c = find_command(words[0], verb);
	if (!c)
		return unknown_command(words[0], verb, true);
	help_print_command(c);
	return EXIT_OK;
}

/* Words that are no row of the table; false: it is none of them. */
static bool run_word(const struct globals *g, int n, char **words, int *status)
{
	if (n > 0 && strcmp(words[0], "help") == 0)
		*status = run_help(n - 1, words + 1);
	else if (g->version || (n == 1 && !g->help && strcmp(words[0], "version") == 0))
		*status = print_version();
	else
		return false;
	return true;
}

static int run_words(const struct globals *g, int n, char **words)
{
	int status;
	if (run_word(g, n, words, &status))
		return status;
	const char *verb = n > 1 ? words[1] : NULL;
	const struct ctl_command *c = find_command(words[0], verb);
	if (!c)
		return unknown_command(words[0], verb, g->help);
	if (g->help) {
		help_print_command(c);
		return EXIT_OK;
	}
	const int used = c->verb[0] ? 2 : 1;
	return run_command(c, g, n - used, words + used);
}

int main(int argc, char **argv)
{
	struct globals g = {.socket_path = getenv("GATEHOUSE_SOCKET")};
	if (argc > 1 && strcmp(argv[1], "complete") == 0)
		return complete_run(g.socket_path && g.socket_path[0] ? g.socket_path
								      : DEFAULT_SOCKET,
				    argc - 2, argv + 2);
	const int n = take_globals(argc - 1, argv + 1, &g);
	if (!g.socket_path || !g.socket_path[0])
		g.socket_path = DEFAULT_SOCKET;
	say_mode(g.json, g.quiet);
	if (g.no_path) {
		print_error("--socket needs the path of the control socket: "
			    "--socket PATH, such as %s",
			    DEFAULT_SOCKET);
		return EXIT_USAGE;
	}
	if (n > 0 || g.version)
		return run_words(&g, n, argv + 1);
	if (!g.help && argc > 1) {
		print_error("the command is missing; gatehouse --help lists them");
		return EXIT_USAGE;
	}
	help_print();
	return g.help ? EXIT_OK : EXIT_USAGE;
}
