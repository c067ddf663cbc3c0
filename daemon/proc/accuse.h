/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom to believe when one process says that another broke the rules of their link: the accused is
 * killed and started again. A process that was taken over could use that to have a peer killed
 * again and again; so it may name only peers that it has a link to, and only a few times: for
 * everything beyond that it is itself treated as taken over. The parent's only thread; the clock is
 * passed in.
 */
#pragma once

#include "daemon/base/processes.h"

enum {
	ACCUSE_MAX = 3, /* peers that one process may have killed within ACCUSE_MS */
	ACCUSE_MS = 10 * 60 * 1000,
};

/* Of one accuser, over all its restarts. Zero at first. */
struct accusations {
	uint64_t since_ms;
	unsigned n;
};

enum accuse_verdict {
	ACCUSE_BELIEVED,
	ACCUSE_NO_LINK, /* it has no link to the accused, or accuses itself: a lie */
	ACCUSE_TOO_MANY,
};

/* now_ms is monotonic. */
enum accuse_verdict accuse_judge(struct accusations *a, enum process by, enum process of,
				 uint64_t now_ms);
