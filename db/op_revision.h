/* SPDX-License-Identifier: Apache-2.0
 *
 * Revisions: every change that somebody made, with what each object was before and after, and the
 * way back. A revision is a row of the audit log with the rows of table revision that hang on it
 * (change.h). Main thread of the store.
 *
 * revision.list    items: {id, time, actor, source, operation, target, objects (int), changes: the
 *                  first 20 as {kind, object, change}}; next
 * revision.show    the same, and items: {kind, object, change: added, changed or removed, fields:
 *                  {field, before, after}}; left_out (int) beyond REVISION_ITEMS_MAX
 * revision.revert  id of the revision that this is itself, items, hint
 *
 * A change is undone field by field: what others changed since stays, and where they changed the
 * same field nothing is done. Passwords, certificates and keys cannot go back.
 */
#pragma once

#include "db/ops.h"

enum { REVISION_ITEMS_MAX = 1000 };

/* Has the change of this audit row any revision? */
bool revision_any(struct store *s, int64_t audit_id);
/* Appends items and left_out. */
void revision_put_changes(struct store *s, int64_t audit_id, struct buf *out);
