/* SPDX-License-Identifier: Apache-2.0
 *
 * From topics that were seen to topic filters that cover them and little else: the device's own
 * name becomes ${device}, a level where several numbers were seen among otherwise equal topics
 * becomes
 * "+", and so does one, not the first, where LEARN_FAN_OUT different words were. Pure; any thread.
 */
#pragma once

#include "daemon/acl/acl.h"

enum { LEARN_FAN_OUT = 8 };

/* A topic or filter, and how it was used. */
struct learn_topic {
	char *topic;      /* owned */
	unsigned actions; /* set of enum acl_action */
	int64_t times;
	int64_t first; /* seconds since 1970 */
	int64_t last;
};

struct learn_topics {
	struct learn_topic *p;
	size_t n;
};
void learn_topics_fini(struct learn_topics *t);
#define AUTO_LEARN_TOPICS __attribute__((cleanup(learn_topics_fini))) struct learn_topics

/* Appends one; levels that are the device's name (empty: none) become ${device}. */
void learn_topics_add(struct learn_topics *t, struct str topic, struct str device,
		      const struct learn_topic *use);
/* Makes few of many, sorted by topic. Those with the same text are one, with all of their actions
 * if `join`, else one per action. */
void learn_topics_generalise(struct learn_topics *t, bool join);
