/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic aliases towards a client: see alias.h.
 */
#include "daemon/broker/alias.h"
#include "daemon/base/map.h"

#include <stdlib.h>

enum {
	ALIASES_MAX = 32,
	ALIAS_TOPIC_MIN = 4, /* an alias costs 3 bytes */
	ALIAS_TOPIC_MAX = 256,
};

struct alias_topic {
	char *p;
	size_t n;
};

void alias_offer(struct conn *c, uint16_t maximum)
{
	c->aliases_out = (uint16_t)MIN(maximum, (uint16_t)ALIASES_MAX);
}

void alias_free(struct conn *c)
{
	for (size_t i = 0; c->alias_out && i < c->aliases_out; i++)
		free(c->alias_out[i].p);
	free(TAKE(c->alias_out));
}

void alias_choose(const struct conn *c, struct str topic, struct publish_receiver *r)
{
	if (topic.n < ALIAS_TOPIC_MIN || topic.n > ALIAS_TOPIC_MAX)
		return;
	const size_t at = hash_str(topic) % c->aliases_out;
	r->topic_alias = (uint16_t)(at + 1);
	r->topic_omitted = c->alias_out && c->alias_out[at].p &&
			   str_eq(str_make(c->alias_out[at].p, c->alias_out[at].n), topic);
}

void alias_sent(struct conn *c, struct str topic, const struct publish_receiver *r)
{
	if (!r->topic_alias || r->topic_omitted)
		return;
	if (!c->alias_out)
		c->alias_out = mem_array(struct alias_topic, c->aliases_out);
	struct alias_topic *t = &c->alias_out[r->topic_alias - 1];
	free(t->p);
	t->p = mem_copy(topic.p, topic.n);
	t->n = topic.n;
}
