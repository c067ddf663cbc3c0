/* SPDX-License-Identifier: Apache-2.0
 *
 * Publishers beyond their rate: see throttle.h.
 */
#include "daemon/broker/throttle.h"
#include "daemon/broker/bound.h"

enum { LOOK_AGAIN_MS = 1000 /* its rate may have been raised, which ends a long pause */ };

static void over(struct loop_timer *t)
{
	struct conn *c = container_of(t, struct conn, throttle);
	c->heard_ms = loop_now_ms(c->worker->loop);
	conn_resume(c);
}

bool throttle_publish(struct conn *c, size_t n)
{
	struct worker *w = c->worker;
	struct limit *l = w->broker->limit;
	struct limit_pause pause;
	const enum limit_refusal r = limit_publish(l, &c->hold, n, loop_now_ms(w->loop), &pause);
	if (r == LIMIT_OK)
		return false;
	if (pause.tell)
		bound_limited(c, l, r);
	loop_timer_start(w->loop, &c->throttle, "throttle", MIN(pause.ms, (uint32_t)LOOK_AGAIN_MS),
			 over);
	return true;
}
