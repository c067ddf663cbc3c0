/* SPDX-License-Identifier: Apache-2.0
 *
 * Codes that people carry: random letters and digits of Crockford's base 32, in which I L O U do
 * not occur and a misread 0 or 1 is put right. Only their hashes are kept. Pure but for the random
 * bytes.
 */
#pragma once

#include "db/hash.h"

enum {
	CODE_GROUP = 8, /* letters between two hyphens */
	CODE_GROUPS = 4,
	CODE_LETTERS = CODE_GROUP * CODE_GROUPS, /* of an enrolment code: 160 bits */
	CODE_SIZE = CODE_LETTERS + CODE_GROUPS,  /* with hyphens and the terminator */
};

/* A text of groups x letters with hyphens between the groups; out has room for groups * (letters +
 * 1) bytes. The caller wipes it. */
void code_make(unsigned groups, unsigned letters, char *out);
/* The hash of an enrolment code as someone typed it: hyphens and blanks anywhere, either case.
 * False: it does not have the form of one. */
bool code_hash(struct str typed, unsigned char out[SHA256_SIZE]);
