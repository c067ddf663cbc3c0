/* SPDX-License-Identifier: Apache-2.0
 *
 * Topics of devices in learn mode: see learn.h.
 */
#include "daemon/broker/learn.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/link.h"

#include <stdlib.h>

enum { HEAD = sizeof(uint64_t) + 1, TOPIC_MAX = 1024, KEY_MAX = HEAD + TOPIC_MAX };
enum { TOPICS_BYTES = 60000 }; /* of one message */

struct noted {
	uint32_t times;
};

static struct str key_of(uint64_t device_id, uint8_t action, struct str topic, char key[KEY_MAX])
{
	memcpy(key, &device_id, sizeof(device_id));
	key[HEAD - 1] = (char)action;
	if (topic.n)
		memcpy(key + HEAD, topic.p, topic.n);
	return str_make(key, HEAD + topic.n);
}

/* What has no place is counted under its device. */
void learn_note(struct session *s, enum acl_action action, struct str topic)
{
	struct map *m = &s->worker->learned;
	char key[KEY_MAX];
	const uint64_t device_id = s->identity->device_id;
	const bool fits = topic.n <= TOPIC_MAX;
	struct str k = key_of(device_id, fits ? (uint8_t)action : 0, fits ? topic : STR(""), key);
	struct noted *noted = map_get(m, k);
	if (!noted && m->n >= LEARN_TOPICS) {
		k = key_of(device_id, 0, STR(""), key);
		noted = map_get(m, k);
	}
	if (!noted && m->n < 2 * LEARN_TOPICS) {
		noted = mem_new(struct noted);
		map_set(m, k, noted);
	}
	if (noted && noted->times < UINT32_MAX)
		noted->times++;
}

void learn_collect(struct worker *w, struct buf *topics)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&w->learned, &at, &key, &value);) {
		struct noted *noted = value;
		struct body_learned_topic b = {.action = (uint8_t)key.p[HEAD - 1],
					       .topic = str_make(key.p + HEAD, key.n - HEAD),
					       .times = noted->times};
		memcpy(&b.device_id, key.p, sizeof(b.device_id));
		ENTRIES_PUT(topics, learned_topic, &b);
		free(noted);
	}
	map_fini(&w->learned);
}

void learn_send(struct link *store, struct str topics)
{
	while (topics.n) {
		const struct body_learned b = {entries_head(topics, TOPICS_BYTES)};
		const size_t n = b.topics.n;
		CHECK(n > 0);
		LINK_SEND(store, LEARNED, learned, 0, -1, &b);
		topics = str_make(topics.p + n, topics.n - n);
	}
}
