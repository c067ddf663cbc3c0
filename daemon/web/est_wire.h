/* SPDX-License-Identifier: Apache-2.0
 *
 * The forms of EST on the wire (RFC 7030, RFC 8951): paths, bodies, credentials, and the base64
 * that different clients can read. What clients get wrong, and this takes: base64 in lines of any
 * length or none, without padding, PEM, DER as it is, a Content-Transfer-Encoding that says
 * otherwise. Pure, no I/O; any thread.
 */
#pragma once

#include "daemon/base/str.h"

enum est_op {
	EST_CACERTS,
	EST_CSRATTRS,
	EST_SIMPLE,
	EST_SIMPLE_AGAIN,
	EST_SERVERKEYGEN,
	EST_FULLCMC,
};

enum {
	EST_LABEL_MAX = 64,
	EST_USER_MAX = 256,
	EST_SECRET_MAX = 1024,
};

#define EST_PATH     "/.well-known/est"
#define EST_BOUNDARY "gatehouse-est-part"

/* /.well-known/est/OPERATION or /.well-known/est/LABEL/OPERATION (RFC 7030, 3.2.2). A label is 1 to
 * 64 of A-Z a-z 0-9 . _ - and not the name of an operation. 0 or ERR_NOT_FOUND; *label points into
 * the path and is empty when there is none. */
int est_path(struct str path, enum est_op *op, struct str *label);

/* Whether a Content-Type is application/pkcs10, with any parameters. */
bool est_is_pkcs10(struct str content_type);
/* Name and secret of an Authorization field (RFC 7617); they point into *bytes, whose content is
 * replaced: wipe it. 0; ERR_NOT_FOUND: of another scheme, or empty; ERR_MALFORMED: damaged, without
 * a colon, or longer than the limits above. */
int est_basic(struct str authorization, struct buf *bytes, struct str *user, struct str *secret);

/* Whether a challengePassword has the form of a channel binding: base64 of 12 bytes (tls-unique) or
 * of 32 (tls-exporter). Anything else may be a secret in plain text. */
bool est_is_binding(struct str challenge);
/* Whether it is this binding. */
bool est_binding_is(struct str challenge, struct str binding);

/* Whether base64 for this client is broken into lines: libest cannot read long lines, strongSwan
 * (which names itself by nothing) cannot read line breaks. */
bool est_wants_lines(struct str user_agent);
/* Appends bytes as base64: in one line without an end, or in lines of 64. */
void est_put_base64(struct str bytes, bool lines, struct buf *out);
/* Appends the body of a serverkeygen answer (RFC 7030, 4.4.2): a private key in PKCS#8 and its
 * certificate, both DER, in parts parted by EST_BOUNDARY. */
void est_put_key_and_certificate(struct str key, struct str certificate, bool lines,
				 struct buf *out);
