/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSP requests (RFC 6960, 4.1) of strangers, read by our own linear reader, and the responses that
 * say only that there is none (4.2.1). Who asks is not authenticated: signatures of requests and
 * the requestor's name are skipped. Pure; any thread.
 */
#pragma once

#include "daemon/base/cursor.h"

enum {
	OCSP_REQUEST_MAX = 8 * KiB,
	OCSP_QUESTIONS_MAX = 16,
	OCSP_NONCE_VALUE_MAX = 136, /* bytes: a nonce of 128 (RFC 9654) in its OCTET STRING */
	OCSP_SERIAL_MAX = 20,
};

struct ocsp_question {
	bool sha1; /* how the authority is named; else SHA-256 */
	struct str name_hash;
	struct str key_hash;
	struct str serial; /* magnitude, without leading zeros; points into the request like the
			      others */
};

struct ocsp_request {
	struct ocsp_question question[OCSP_QUESTIONS_MAX];
	size_t n;         /* at least 1 */
	struct str nonce; /* value of the extension, {NULL, 0}: none */
};

/* 0; ERR_MALFORMED; ERR_LIMIT (size, number of questions, nonce); ERR_INVALID: no question names
 * its authority in a way we know (other hashes), or a critical extension is not known. Questions by
 * other hashes beside ones that we know have empty hashes: no authority is meant. */
int ocsp_request_read(struct str der, struct ocsp_request *out);
/* An OCSPResponse without an answer, for a status other than "successful". Appended. */
void ocsp_error(unsigned status, struct buf *out);
