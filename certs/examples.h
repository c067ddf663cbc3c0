/* SPDX-License-Identifier: Apache-2.0
 *
 * Examples for a bundle: how common programs and boards connect with it. The texts are the files of
 * certs/examples/, built in; @NAME@ in them is replaced. One thread.
 */
#pragma once

#include "daemon/base/str.h"

#include <sys/types.h>

struct example {
	const char *name; /* of the file */
	const char *text;
};
extern const struct example examples[]; /* ends with a NULL name */

struct example_values {
	const char *device;
	const char *host;
	const char *port;
	const char *est; /* "https://host:8444" */
	const char *dir; /* where the bundle is, from the root */
};
/* Appends the text with the values. */
void example_put(const struct example *e, const struct example_values *v, struct buf *out);
mode_t example_mode(const struct example *e); /* scripts may be run */
