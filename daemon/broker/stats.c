/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters: see stats.h.
 */
#include "daemon/broker/stats.h"
#include "daemon/ipc/rec.h"

void stats_add(struct stats *sum, const struct stats *part)
{
#define STAT(field, name) sum->field += part->field;
#include "daemon/broker/stats.def"
}

void stats_put(const struct stats *s, struct buf *rec)
{
#define STAT(field, name) rec_int(rec, name, (int64_t)s->field);
#include "daemon/broker/stats.def"
}
