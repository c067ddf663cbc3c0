/* SPDX-License-Identifier: Apache-2.0
 *
 * A certification request taken apart by our own reader (RFC 2986, 4): shared by those who judge
 * its key and its name and by those who read its attributes. Private to certs/csr*.c.
 */
#pragma once

#include "daemon/base/cursor.h"
#include "daemon/base/why.h"

/* All of it points into the DER. */
struct csr_parts {
	struct str subject;    /* Name, DER */
	struct cur names;      /* the RelativeDistinguishedNames inside */
	struct str spki;       /* as the request spells it */
	struct cur attributes; /* inside of [0]; empty when there is none */
};

/* 0, or ERR_MALFORMED with why: not the DER of one request and nothing behind it. */
int csr_take_apart(struct str der, struct csr_parts *out, struct why *why);

/* Whether a DirectoryString (or IA5String) of this type is read as text. */
bool csr_is_text(uint8_t tag);
