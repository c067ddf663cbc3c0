/* SPDX-License-Identifier: Apache-2.0
 *
 * Command line of gatehoused: see options.h.
 */
#include "daemon/proc/options.h"
#include "config.h"
#include "daemon/base/err.h"

#include <getopt.h>
#include <stdio.h>

static void print_help(void)
{
	printf("Usage: gatehoused [--config FILE] [-o SECTION.KEY=VALUE]...\n"
	       "\n"
	       "Runs the gateway in the foreground until SIGTERM or SIGINT; SIGHUP reads the\n"
	       "configuration again.\n"
	       "\n"
	       "  -c, --config FILE            configuration (%s/gatehouse/gatehouse.conf)\n"
	       "  -o, --set SECTION.KEY=VALUE  overrides a setting; may be repeated\n"
	       "  -t, --test-config            checks the configuration and exits\n"
	       "  -p, --print-config           prints the effective configuration and exits\n"
	       "      --probe PROCESS:PROBE    tries in the sandbox of that process what it may "
	       "not\n"
	       "                               do and says what happened; \"list\" names the "
	       "probes\n"
	       "  -h, --help                   this text\n"
	       "  -V, --version                version\n"
	       "\n"
	       "Exit status: 0 stopped in order, 1 could not run, 2 wrong usage or configuration.\n"
	       "The command line of the running gateway is gatehouse(1).\n",
	       SYSCONFDIR);
}

static int usage(const char *why, const char *what)
{
	fprintf(stderr, "gatehoused: %s%s; see gatehoused --help\n", why, what);
	return ERR_INVALID;
}

static int take_option(int option, struct options *out)
{
	switch (option) {
	case 'c':
		out->config_path = optarg;
		return 0;
	case 'o':
		if (out->n_overrides == OPTIONS_OVERRIDES_MAX)
			return usage("too many settings on the command line: ", optarg);
		out->overrides[out->n_overrides++] = optarg;
		return 0;
	case 't':
		out->action = ACTION_TEST_CONFIG;
		return 0;
	case 'p':
		out->action = ACTION_PRINT_CONFIG;
		return 0;
	case 'P':
		out->action = ACTION_PROBE;
		out->probe = optarg;
		return 0;
	case 'h':
		out->action = ACTION_DONE;
		print_help();
		return 0;
	case 'V':
		out->action = ACTION_DONE;
		printf("gatehoused %s\n", PACKAGE_VERSION);
		return 0;
	default:
		return usage("wrong option", "");
	}
}

int options_parse(int argc, char **argv, struct options *out)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'}, {"set", required_argument, NULL, 'o'},
		{"test-config", no_argument, NULL, 't'},  {"print-config", no_argument, NULL, 'p'},
		{"probe", required_argument, NULL, 'P'},  {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},      {NULL, 0, NULL, 0},
	};
	*out = (struct options){.config_path = SYSCONFDIR "/gatehouse/gatehouse.conf"};
	int option;
	while ((option = getopt_long(argc, argv, "c:o:tphV", longs, NULL)) != -1) {
		const int err = take_option(option, out);
		if (err || out->action == ACTION_DONE)
			return err;
	}
	if (optind < argc)
		return usage("unexpected argument: ", argv[optind]);
	return 0;
}
