/* SPDX-License-Identifier: Apache-2.0
 *
 * An event as one structured line for the journal: name, then key=value pairs; values with blanks
 * or quotes are quoted. Control characters are left to the log, which escapes them. Pure.
 */
#pragma once

#include "daemon/ipc/frame.h"

/* "acl.denied device=pump-2 address=10.0.0.7 reason=\"no rule allows it\" topic=plant/x" appended.
 */
void event_line(struct buf *out, const struct body_event *fields, struct str device);
