/* SPDX-License-Identifier: Apache-2.0
 *
 * The description of the API, OpenAPI 3.1: made of operations.def, routes.def and results.def when
 * it is first asked for, and kept. Everyone may read it: it says nothing about this gateway. Main
 * thread of admin and ctl.
 */
#pragma once

#include "daemon/web/http.h"

#define OPENAPI_PATH "/api/v1/openapi.json"

/* Appends the description, JSON. */
void openapi_print(struct buf *out);
/* Answers OPENAPI_PATH; false: another path. */
bool openapi_handle(struct http_request *r);
