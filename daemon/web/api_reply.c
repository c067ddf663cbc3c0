/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers of the API: see api_reply.h.
 */
#include "daemon/web/api_reply.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/web/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *title_of(unsigned status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 412:
		return "Precondition Failed";
	case 415:
		return "Unsupported Media Type";
	case 422:
		return "Refused by Policy";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

static void send_typed(struct http_request *r, unsigned status, const char *type, json_t *j,
		       const char *allow)
{
	char *text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	CHECK(text != NULL);
	http_reply(r, status, type, str_of(text), allow);
	secret_wipe(text, strlen(text)); /* a setup code may be in it */
	free(text);
}

void api_send(struct http_request *r, unsigned status, json_t *j)
{
	send_typed(r, status, "application/json", j, NULL);
}

void api_reply(struct http_request *r, unsigned status, struct str rec)
{
	api_send(r, status, json_from_rec(rec));
}

void api_problem(struct http_request *r, unsigned status, const char *field, const char *detail,
		 const char *allow)
{
	json_t *j = json_pack("{s:s, s:s, s:i}", "type", "about:blank", "title", title_of(status),
			      "status", (int)status);
	json_t *text = json_string(detail);
	json_object_set_new(j, "detail", text ? text : json_string("(not UTF-8)"));
	if (field && field[0])
		json_object_set_new(j, "field", json_string(field));
	if (status == 401)
		http_add_header(r, "WWW-Authenticate", "Bearer");
	send_typed(r, status, "application/problem+json", j, allow);
}

unsigned api_status(uint8_t op_status)
{
	switch ((enum op_status)op_status) {
	case OP_OK:
		return 200;
	case OP_INVALID:
		return 400;
	case OP_NOT_FOUND:
		return 404;
	case OP_CONFLICT:
		return 409;
	case OP_DENIED:
		return 403;
	case OP_UNAUTHENTICATED:
		return 401;
	case OP_REFUSED:
		return 422;
	case OP_UNAVAILABLE:
	case OP_LOCKED:
		return 503;
	case OP_TOO_MANY:
		return 429;
	default:
		return 500;
	}
}

void api_etag(struct http_request *r, const json_t *result)
{
	const json_t *version = json_object_get(result, "version");
	char etag[32];
	if (!json_is_integer(version))
		return;
	snprintf(etag, sizeof(etag), "\"%lld\"", (long long)json_integer_value(version));
	http_add_header(r, "ETag", etag);
}

static void add_retry(struct http_request *r, const struct body_op_done *done)
{
	char seconds[8];
	if (done->status != OP_TOO_MANY)
		return;
	snprintf(seconds, sizeof(seconds), "%u", MAX(done->retry_s, 1u));
	http_add_header(r, "Retry-After", seconds);
}

void api_refuse(struct http_request *r, const struct body_op_done *done)
{
	AUTO_CHAR field = str_dup(done->field);
	AUTO_CHAR why = str_dup(done->why);
	const bool changed = done->status == OP_CONFLICT && str_is(done->field, "version");
	add_retry(r, done);
	api_problem(r, changed ? 412 : api_status(done->status), field, why, NULL);
}

int api_take(const struct record *reply, size_t max, struct body_op_done *done, json_t **result)
{
	AUTO_SECRET large = {0};
	*result = NULL;
	if (body_op_done_get(reply->body, done) || (done->file && reply->fd < 0))
		return ERR_MALFORMED;
	if (done->status != OP_OK || done->file)
		return 0;
	if (reply->fd >= 0 && memfd_read(reply->fd, max, &large))
		return ERR_MALFORMED;
	const struct str rec = large.n ? buf_view(&large) : done->result;
	if (!rec_valid(rec))
		return ERR_MALFORMED;
	*result = json_from_rec(rec);
	return 0;
}

bool api_has_level(const json_t *who, enum op_level level)
{
	const char *word = json_string_value(json_object_get(who, "level"));
	for (; word && level <= ADMIN; level++)
		if (strcmp(word, op_level_name(level)) == 0)
			return true;
	return false;
}
