/* SPDX-License-Identifier: Apache-2.0
 *
 * What the two files that know libmicrohttpd share: http.c and http_stream.c. For nobody else. Main
 * loop.
 */
#pragma once

#include "daemon/web/http.h"

struct MHD_Connection;
struct MHD_Response;

struct loop *http_own_loop(const struct http_request *r);
struct MHD_Connection *http_own_connection(const struct http_request *r);
/* Answers with 200 and gives the request back. It stays our turn: what the client does not read has
 * a bound of its own (HTTP_STREAM_WAITING_MAX). Takes the response. */
void http_own_endless(struct http_request *r, struct MHD_Response *response,
		      const char *content_type);
