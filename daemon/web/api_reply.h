/* SPDX-License-Identifier: Apache-2.0
 *
 * How the API answers: results as JSON, refusals as problem documents (RFC 9457). What sends
 * an answer ends the request, as http_reply does. Main thread.
 */
#pragma once

#include "daemon/ipc/frame.h"
#include "daemon/ipc/op.h"
#include "daemon/web/http.h"

#include <jansson.h>

/* j as JSON; takes the reference, and wipes the text that was sent. */
void api_send(struct http_request *r, unsigned status, json_t *j);
/* A valid rec as JSON. */
void api_reply(struct http_request *r, unsigned status, struct str rec);
/* A problem document (RFC 9457): one sentence, and the field it is about or NULL. */
void api_problem(struct http_request *r, unsigned status, const char *field, const char *detail,
		 const char *allow);
/* The status of HTTP for enum op_status. */
unsigned api_status(uint8_t op_status);
/* What the store refused, as a problem document. */
void api_refuse(struct http_request *r, const struct body_op_done *done);
/* The store's answer to an OP: 0, and with OP_OK what it answered, which the caller owns; *result
 * is NULL for a refusal and for a file. ERR_MALFORMED: it cannot be read, or has more than max
 * bytes. */
int api_take(const struct record *reply, size_t max, struct body_op_done *done, json_t **result);
/* Has whom session.show describes this level, or a higher one? */
bool api_has_level(const json_t *who, enum op_level level);
/* What has a version can be changed on the condition that it still is of it (RFC 9110, section 13):
 * ETag and If-Match are that number in quotes. Before the answer; nothing when result has none. */
void api_etag(struct http_request *r, const json_t *result);
