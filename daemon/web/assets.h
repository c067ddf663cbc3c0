/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of the interface and the manual pages, which the build embedded (webui/): served
 * compressed as the browser likes, with an ETag and a Content-Security-Policy that allows nothing
 * but the gateway itself. A path without a dot that is no file is a page: index.html, which knows
 * what to show. Main thread of admin. RFC 9110.
 */
#pragma once

#include "daemon/web/http.h"

/* Answers any path outside the API; false: it is below /api/. */
bool assets_handle(struct http_request *r);
