/* SPDX-License-Identifier: Apache-2.0
 *
 * What anyone may ask about the gateway's certificates, on the enrolment port: revocation lists
 * under /crl/NAME.crl (DER, RFC 5280) and /crl/all.pem, OCSP under /ocsp (RFC 6960, appendix A:
 * POST, or GET with the request in the path). The store knows and the vault signs; here requests
 * are read. Main thread of the enrol process.
 */
#pragma once

#include "daemon/base/list.h"

struct web;
struct http_request;

enum { STATUS_ASKS_MAX = 128 }; /* at a time */

struct status_pages {
	struct list asks; /* struct status_ask */
	unsigned n;
};

void status_pages_init(struct status_pages *s);
/* True when the path was one of these; it is answered, now or later. */
bool status_page(struct web *w, struct http_request *r);
/* Answers every open request with 503. */
void status_pages_stop(struct web *w);
