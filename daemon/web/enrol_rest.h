/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /api/v1/enrol on the enrolment port: for devices and scripts that speak JSON and not EST.
 *
 * {"csr": PEM or base64, "code": "..."}, or with "password" of the device that the request names in
 * place of the code, and a "profile" where the authority leaves it open. In place of both the
 * client may show a certificate by TLS: one of an authority that a claim trusts, or its own, which
 * that renews. Answers 201 {device,
 * certificate: {fingerprint, serial, not_before, not_after, pem, roots_pem}}; 202 {state, key,
 * retry_after} while a person must approve it: the same request again asks how it went; else a
 * problem document. Main thread.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/web/http.h"

struct web;

/* Answers a request for its path; false when it is another one. */
bool enrol_rest_page(struct web *w, struct http_request *r);
/* Answers every request that waits with 503. */
void enrol_rest_stop(struct web *w);
