/* SPDX-License-Identifier: Apache-2.0
 *
 * Topic names and topic filters (section 4.7) and the form of shared subscriptions (4.8.2): what is
 * valid, what matches, level by level. Bytes are compared as they are, nothing is normalised
 * [MQTT-4.7.3-4]. Which filter covers which other filter is a question of the access rules and is
 * answered there. Pure, any thread.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/mqtt/reason.h"

/* REASON_SUCCESS for a topic name that may be published to. REASON_MALFORMED_PACKET: no UTF-8, or
 * U+0000 [MQTT-1.5.4-1, 1.5.4-2, 4.7.3-2]. REASON_TOPIC_NAME_INVALID: empty, longer than 65535
 * bytes, or with a wildcard [MQTT-3.3.2-2, 4.7.0-1, 4.7.3-1, 4.7.3-3]. */
enum reason topic_name_check(struct str name) MUST_CHECK;

/* The same for a topic filter, shared or not. REASON_TOPIC_FILTER_INVALID: empty, too long, a
 * wildcard that does not fill its level, # not last, or "$share/" without a group and a filter
 * behind it [MQTT-4.7.1-1, 4.7.1-2, 4.7.3-1, 4.8.2-1, 4.8.2-2]. Shared subscriptions are offered to
 * clients of all versions, so the rule for "$share/" holds for all. */
enum reason topic_filter_check(struct str filter) MUST_CHECK;

static inline bool topic_name_valid(struct str name)
{
	return topic_name_check(name) == REASON_SUCCESS;
}

static inline bool topic_filter_valid(struct str filter)
{
	return topic_filter_check(filter) == REASON_SUCCESS;
}

/* Whether a valid filter has a wildcard level. */
bool topic_has_wildcard(struct str filter);

struct topic_share {
	struct str group;  /* the share name; {NULL, 0} for a filter that is not shared */
	struct str filter; /* the filter that topics are matched with */
};

/* Splits "$share/group/filter" (section 4.8.2); any other filter comes back whole with no group.
 * Takes a valid filter; the parts point into it. */
struct topic_share topic_share_split(struct str filter);

static inline bool topic_is_shared(struct str filter)
{
	return str_prefix(filter, STR("$share/"));
}

/* Whether a valid topic name matches a valid filter without share prefix. A filter that begins with
 * a wildcard does not match names that begin with $ [MQTT-4.7.2-1]; "a/#" matches "a". */
bool topic_matches(struct str filter, struct str name);

/* Iteration over levels: for (struct str rest = name, level; topic_next(&rest, &level);). "/" has
 * two empty levels. After the last level rest is {NULL, 0}. */
static inline bool topic_next(struct str *rest, struct str *level)
{
	if (!rest->p)
		return false;
	*level = str_split(rest, '/');
	return true;
}

/* Number of levels of a name or filter: one more than it has separators. */
size_t topic_levels(struct str topic);
