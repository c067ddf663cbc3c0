/* SPDX-License-Identifier: Apache-2.0
 *
 * What the commands about the certificate authority share: reading ca.show. One thread.
 */
#pragma once

#include "ctl/ctl.h"

struct key;

/* The first authority of a kind whose field has that value, or NULL. */
const json_t *ca_find(const json_t *show, const char *kind, const char *field, const char *value);
/* ca.show. Exit status after a message. The caller gives the reference back. */
int ca_get(struct invocation *in, json_t **show);
/* One step of a rollover. Exit status after a message; the caller gives the reference back. */
struct ca_step {
	const char *word;
	const char *root; /* of start: the curve; NULL: as the gateway likes */
	bool force;
};
int ca_step(struct invocation *in, const struct ca_step *step, json_t **answer);
/* The same for any resource; takes body. */
int ca_post(struct invocation *in, const char *path, json_t *body, json_t **answer);
/* A root's key from its file with its passphrase, or in a token with its PIN (a PKCS#11 URL); owned
 * by the caller. */
int ca_read_root_key(const char *path, struct key **out);
/* A file with certificates in PEM. */
int ca_read_certificates(const char *path, struct buf *out);
/* Prints the signing request, or writes it to --out and says what is to be done with it: then is
 * the command that takes the answer. */
int ca_give_request(struct invocation *in, const json_t *answer, const char *then);
void ca_print_fingerprint(const char *label, const json_t *authority);
