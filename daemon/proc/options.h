/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line of gatehoused, as the parent understands it. See gatehoused(8).
 */
#pragma once

#include "daemon/base/processes.h"

enum { OPTIONS_OVERRIDES_MAX = 256 };

enum options_action {
	ACTION_RUN,
	ACTION_TEST_CONFIG,  /* judge the configuration and the files it names, then exit */
	ACTION_PRINT_CONFIG, /* the effective configuration with the origin of each value */
	ACTION_PROBE,        /* show what a confined process can not do */
	ACTION_DONE,         /* --help, --version: printed already */
};

struct options {
	enum options_action action;
	const char *config_path;
	const char *overrides[OPTIONS_OVERRIDES_MAX];
	size_t n_overrides;
	const char *probe; /* "PROCESS:PROBE" */
};

/* 0, or ERR_INVALID after a message on standard error that names the argument. */
int options_parse(int argc, char **argv, struct options *out);
