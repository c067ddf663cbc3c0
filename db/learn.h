/* SPDX-License-Identifier: Apache-2.0
 *
 * The learn mode: a rule with an end that allows everything at the lowest priority, so that it
 * overrules no other rule, and a table of what the devices under it published and subscribed to.
 * A device has at most LEARN_ROWS topics; when there are more, similar ones become one with a "+"
 * (learn_pattern.h), and what has no room even so is only counted. Rules whose time is over are
 * taken away once a minute and at the start; the broker would do it, too. Main thread of the store.
 */
#pragma once

#include "db/learn_pattern.h"
#include "db/store.h"

enum { LEARN_ROWS = 200, LEARN_LOOK_MS = 60 * 1000 };

/* LEARNED of the broker. 0 or ERR_MALFORMED. */
int learn_take(struct store *s, struct str topics);
/* Ends what is over, now and once a minute. */
void learn_start(struct store *s);
void learn_stop(struct store *s);
void learn_look(struct store *s);
