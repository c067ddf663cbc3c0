/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic aliases towards a client: topics that it got lately and will be told by number, as many as
 * it allows and we keep. A small table without order: a topic has one place, and whoever comes to
 * it takes it. Belongs to the connection; its worker. Section 3.3.2.3.4.
 */
#pragma once

#include "daemon/broker/conn.h"

/* The client takes this many; 0: none. */
void alias_offer(struct conn *c, uint16_t maximum);
void alias_free(struct conn *c);
/* Sets the alias of a PUBLISH, and whether it goes without its topic. */
void alias_choose(const struct conn *c, struct str topic, struct publish_receiver *r);
/* It is on its way: the client knows the alias from now on. */
void alias_sent(struct conn *c, struct str topic, const struct publish_receiver *r);
