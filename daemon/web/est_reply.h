/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of EST, each with the status that RFC 7030 (and RFC 9110) gives it and one sentence as
 * text. Main thread.
 */
#pragma once

#include "daemon/base/why.h"
#include "daemon/web/est.h"

/* Of a known format, base64 in the form that this client can read. */
void est_reply_base64(struct http_request *r, const char *content_type, struct str der);
/* One sentence. retry_after_s 0: no Retry-After; allow: methods, for 405. A 401 asks for HTTP
 * Basic.
 */
void est_reply_text(struct http_request *r, unsigned status, const char *sentence,
		    unsigned retry_after_s, const char *allow);
/* 202 (RFC 7030, 4.2.3): try again later. */
void est_reply_pending(struct http_request *r, unsigned retry_after_s);

/* The same for what there is not (404, 405, 501): enrol.refused is recorded for the first one of an
 * address within FOLD_MS, with how many there were before. */
void est_reply_lost(struct est *est, struct http_request *r, unsigned status, const char *sentence,
		    const char *allow);
/* 401 to who showed nothing at all, as many clients begin: that is told when an address did so
 * EST_EMPTY_MANY times within FOLD_MS, and once. */
enum { EST_EMPTY_MANY = 20 };
void est_reply_empty(struct est *est, struct http_request *r, const char *sentence);

/* Answers with the sentence of why and records enrol.refused. actor: who it claims to be. */
void est_refuse(struct est *est, struct http_request *r, unsigned status, struct str actor,
		const struct why *why);
