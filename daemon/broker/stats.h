/* SPDX-License-Identifier: Apache-2.0
 *
 * What one worker counts. Each counter belongs to its thread; the control thread gets copies once a
 * second and adds them up for the store.
 */
#pragma once

#include "daemon/base/str.h"

struct stats {
#define STAT(field, name) uint64_t field;
#include "daemon/broker/stats.def"
};

void stats_add(struct stats *sum, const struct stats *part);
/* As a rec of name -> number (ipc/rec.h), appended. */
void stats_put(const struct stats *s, struct buf *rec);
