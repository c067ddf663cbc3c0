/* SPDX-License-Identifier: Apache-2.0
 *
 * The names in a client's certificate, for the variables ${cn} and ${san} of access rules. A value,
 * read once per connection and kept by the session. Worker threads.
 */
#pragma once

#include "daemon/base/str.h"

struct conn;

/* {0}: a client without a certificate. */
struct certnames {
	char *cn;        /* common name of the subject; NULL: none */
	struct str *san; /* as in struct acl_who; one block with their bytes */
	size_t san_n;
};

/* The names in the certificate of this connection, into a fresh value; none without a certificate
 * or for one that cannot be read. */
void certnames_read(const struct conn *c, struct certnames *out);
/* The same from where they were kept: sans, each behind a 16-bit length. */
void certnames_restore(struct certnames *out, struct str cn, struct str sans);
bool certnames_equal(const struct certnames *a, const struct certnames *b);
void certnames_fini(struct certnames *names);
