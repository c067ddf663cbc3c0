/* SPDX-License-Identifier: Apache-2.0
 *
 * Retained messages for new subscriptions: brought to the client piece by piece, as fast as it
 * reads and acknowledges, so that neither its queue overflows nor other clients wait. A
 * subscription whose replay is under way gets new messages as well; a retained message that is
 * replaced meanwhile comes in its newest form. Runs in the session's worker. Sections 3.3.1.3
 * and 3.8.4.
 */
#pragma once

#include "daemon/broker/session.h"

/* From the beginning, also when one of this subscription is under way. */
void replay_start(struct session *s, struct subscription *sub);
void replay_cancel(struct session *s, const struct subscription *sub); /* nothing when none */
void replay_cancel_all(struct session *s);
/* One piece, when the session has one to get and there is room; the rest by itself, or when room
 * has come (session_pump). */
void replay_run(struct session *s);

/* Keeps a message with the retain flag as the bounds of the settings allow; false: they do not, and
 * the message is not kept. */
bool replay_keep(struct worker *w, struct msg *m, enum config_durability durability);
/* The one before it does not stay in its place. */
void replay_forget(struct worker *w, struct msg *m);
