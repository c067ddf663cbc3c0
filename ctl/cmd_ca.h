/* SPDX-License-Identifier: Apache-2.0
 *
 * What the commands about the certificate authority share: reading ca.show. One thread.
 */
#pragma once

#include "ctl/ctl.h"

/* "" when it is absent or no text. */
const char *ca_text(const json_t *object, const char *name);
/* The first authority of a kind whose field has that value, or NULL. */
const json_t *ca_find(const json_t *show, const char *kind, const char *field, const char *value);
/* ca.show. Exit status after a message. The caller gives the reference back. */
int ca_get(struct invocation *in, json_t **show);
void ca_print_fingerprint(const char *label, const json_t *authority);
