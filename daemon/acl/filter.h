/* SPDX-License-Identifier: Apache-2.0
 *
 * Algebra of MQTT topic filters: does one match a topic, cover another, meet another.
 *
 * Filters and topics are strings as in the standard (MQTT 5.0 section 4.7): levels between "/",
 * "+" for one level, "#" at the end for the level before it and everything below. A topic that
 * starts with "$" is matched by no filter that starts with a wildcard [MQTT-4.7.2-1].
 *
 * A *pattern* is the filter of an access rule: it may also hold variables, each alone in its level:
 * ${clientid} ${device} ${cn} ${san} ${group}. They are compared level by level with the values
 * of a struct acl_who and are never pasted into a string. A value matches nothing when it is empty
 * or contains "/", "+", "#" or a control character; at the first level a value that starts with
 * "$" matches nothing either, so a client that calls itself "$SYS" opens no system topic. Where
 * who is NULL, "${...}" is an ordinary level.
 *
 * Pure: no memory is allocated, any thread. Filters, patterns and topics given here must have
 * passed filter_check or an equal check of the codec; otherwise the answer is merely meaningless.
 */
#pragma once

#include "daemon/base/str.h"

struct acl_who;

enum {
	FILTER_LEVELS_MAX = 128, /* levels of a pattern in a rule */
	FILTER_BYTES_MAX = 1024, /* bytes of a pattern in a rule */
	FILTER_DEPTH_ANY = 0x7fffffff
};

/* Why a pattern does not match, and where. */
enum filter_miss_kind {
	FILTER_MISS_NONE,   /* it matches */
	FILTER_MISS_LEVEL,  /* the literal or variable at this level differs */
	FILTER_MISS_VALUE,  /* the variable at this level has no usable value */
	FILTER_MISS_SHORT,  /* the other side ends before this level */
	FILTER_MISS_LONG,   /* the other side goes on at this level */
	FILTER_MISS_DOLLAR, /* wildcards at the first level do not reach "$" topics */
	FILTER_MISS_WIDER,  /* the other side has a wildcard here that the pattern does not cover */
};

struct filter_miss {
	enum filter_miss_kind kind;
	unsigned level;   /* counted from 1 */
	struct str mine;  /* text of that level in the pattern; points into it */
	struct str other; /* and on the other side */
};

/* A well-formed topic filter [MQTT-4.7.1-1..3, 4.7.3-1]: not empty, no U+0000, wildcards alone in
 * their level, "#" only last. NULL, or a text that says what is wrong ("..." static). */
const char *filter_check(struct str filter);
bool filter_is_wild(struct str filter); /* has it a wildcard? */
/* The filter behind "$share/NAME/", or the filter itself. A malformed $share gives {NULL, 0}. */
struct str filter_unshared(struct str filter);

/* Is topic (a name without wildcards) matched? miss may be NULL. */
bool filter_match(struct str pattern, const struct acl_who *who, struct str topic,
		  struct filter_miss *miss);
/* Does the pattern match every topic that filter matches? miss may be NULL. */
bool filter_cover(struct str pattern, const struct acl_who *who, struct str filter,
		  struct filter_miss *miss);
/* Is there a topic that both match? */
bool filter_meet(struct str pattern, const struct acl_who *who, struct str filter);

/* The depths (numbers of levels) at which the pattern matches all topics of that depth which the
 * filter matches: *lo..*hi, *hi = FILTER_DEPTH_ANY when unbounded. False when there is none.
 * Several patterns cover a filter exactly when their ranges leave no depth of it out: "a" and
 * "a/+/#" together cover "a/#". miss may be NULL and is written when the result is false. */
bool filter_depths(struct str pattern, const struct acl_who *who, struct str filter, unsigned *lo,
		   unsigned *hi, struct filter_miss *miss);
/* The depths at which a filter matches anything at all. */
void filter_own_depths(struct str filter, unsigned *lo, unsigned *hi);

/* Variables. */
enum acl_var { ACL_VAR_CLIENTID, ACL_VAR_DEVICE, ACL_VAR_CN, ACL_VAR_SAN, ACL_VAR_GROUP, ACL_VARS };

/* Level is "${name}" of a known variable: its number; a "${" that is something else:
 * ERR_NOT_FOUND; an ordinary level: ERR_INVALID. */
int filter_var(struct str level);
const char *filter_var_name(enum acl_var var); /* "clientid" */
/* May this value ever match a level? See above. first: at the first level. */
bool filter_value_ok(struct str value, bool first);
/* The variable's values: their number, *values points into who or what it names. */
size_t filter_var_values(enum acl_var var, const struct acl_who *who, const struct str **values);
/* Does one of the variable's values match the level (a literal)? */
bool filter_var_match(enum acl_var var, const struct acl_who *who, struct str level, bool first);
