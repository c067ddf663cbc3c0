/* SPDX-License-Identifier: Apache-2.0
 *
 * Error codes of functions that can fail: 0 or one of these, always negative.
 * Outputs are last parameters and are written only on success.
 */
#pragma once

enum err {
	ERR_NOMEM = -1,     /* a size that a peer chose could not be allocated */
	ERR_AGAIN = -2,     /* nothing to do now; try again when the descriptor is ready */
	ERR_EOF = -3,       /* the peer closed */
	ERR_IO = -4,        /* a system call failed; errno tells why */
	ERR_MALFORMED = -5, /* bytes that do not follow the grammar */
	ERR_LIMIT = -6,     /* a named limit would be exceeded */
	ERR_NOT_FOUND = -7,
	ERR_EXISTS = -8,
	ERR_DENIED = -9,   /* not permitted to this caller */
	ERR_INVALID = -10, /* well-formed but not acceptable here */
	ERR_TIMEOUT = -11,
	ERR_UNAVAILABLE = -12, /* the process that could answer is away */
	ERR_CONFLICT = -13,    /* changed by someone else in between */
	ERR_CRYPTO = -14,      /* a signature, a key or a certificate is wrong */
};

/* A short English phrase for ERR_*; "unknown error" for anything else. Never NULL. */
const char *err_text(int err);
