/* SPDX-License-Identifier: Apache-2.0
 *
 * The learn mode as workers see it: what a device whose rules hold one of the learn mode publishes
 * and subscribes to is noted, each topic once with a count, and goes to the store once a second.
 * Whether it may is the rules' business, as ever: a rule of the learn mode allows what no other
 * rule denies, and nothing that begins with "$". For all others a message costs one branch. Worker
 * threads, but for learn_send.
 */
#pragma once

#include "daemon/acl/acl.h"
#include "daemon/broker/session.h"

enum { LEARN_TOPICS = 1024 }; /* of one worker between two times; more are only counted */

void learn_note(struct session *s, enum acl_action action, struct str topic);
/* The session was allowed to do this. */
static inline void learn_seen(struct session *s, enum acl_action action, struct str topic)
{
	if (__builtin_expect(s->identity->learns, 0))
		learn_note(s, action, topic);
}
/* Appends what was noted, as records of struct body_learned_topic, and forgets it. */
void learn_collect(struct worker *w, struct buf *topics);

struct link;
/* Control thread. What does not get through is lost: it is learnt again. */
void learn_send(struct link *store, struct str topics);
