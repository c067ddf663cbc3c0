/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures for monitoring: the answer of the operation status as Prometheus text (exposition format
 * 0.0.4), by the table daemon/base/metrics.def. Pure; any thread.
 */
#pragma once

#include "daemon/base/str.h"

#include <jansson.h>

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/* Appends every metric for which status has a figure. */
void metrics_print(const json_t *status, struct buf *out);
