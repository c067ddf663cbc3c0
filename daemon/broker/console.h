/* SPDX-License-Identifier: Apache-2.0
 *
 * What an administrator does with messages, for the test client: publishes one (PUBLISH), looks at
 * the retained ones (RETAINED_GET). Publishing is the first worker's, so that it goes the way of
 * all messages; it waits for no receiver and for no disk. Topics that are the gateway's own can not
 * be published to. The store has authorised whoever asks.
 *
 * Fields of a message (console_put_message), which a watch (trace.h) tells as well:
 *   topic   str, cut after CONSOLE_TOPIC bytes
 *   qos     int;  retain bool;  size int, bytes of the payload
 *   text    str, the beginning of a payload that is text (CONSOLE_PAYLOAD bytes of it), else null
 *   hex     bytes, the same of any other, else null
 *   cut     bool: the payload is longer than what is shown
 *   hidden  bool: whoever asks may not see what messages say: text and hex are null, cut is false
 */
#pragma once

#include "daemon/acl/acl.h"
#include "daemon/ipc/link.h"

enum { CONSOLE_PAYLOAD = 4096, CONSOLE_TOPIC = 4096 };

struct msg;
struct identity;

void console_put_message(struct buf *rec, const struct msg *m, bool retain, bool payload);
/* Do the rules let a device subscribe to this topic and receive this message? As far as that can be
 * said without a connection: its client identifier is taken to be its name. */
bool console_may_get(const struct identity *id, struct str topic, struct acl_how how);

/* PUBLISH and RETAINED_GET of the store. 0 or ERR_MALFORMED. */
int console_publish_asked(struct link *l, struct record *r);
int console_retained_asked(struct link *l, struct record *r);
