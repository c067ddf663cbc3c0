/* SPDX-License-Identifier: Apache-2.0
 *
 * Live traces and watches: trace.start, trace.show, trace.stop, and the same of watch. Main thread
 * of the store.
 *
 * trace.start   id int
 * trace.show    items: list of lines, oldest first; dropped: int, lines that were left out so far;
 *               ended: null, or why it ended: then it goes on no more, and after the last of its
 *               lines it is forgotten
 * trace.stop    id int
 *
 * A watch tells messages: each that is published to matching topics, once. Fields of its lines: seq
 * int, time, device and client_id of the publisher (str or null), and those of broker/console.h.
 * What they say is for the level operator (authorise_payload).
 *
 * Fields of a line: seq int, time, direction ("in", "out", "end" of the connection), address,
 * client_id, device, size int, and those of broker/trace_text.h.
 *
 * Whoever reads says with `after` what it has; with `wait` the call is held until there is more.
 */
#include "daemon/base/clock.h"
#include "db/authorise.h"
#include "db/ops.h"

enum {
	FOR_DEFAULT_S = 600,
	WATCH_S = 24 * 3600,
	PAGE = 500,
	WAIT_MAX = 30000,
	WATCH_EVERY_S = 5, /* each is in the audit log, and every level may begin them */
	WATCH_BURST = 100,
};

static bool take_subject(struct op_call *c, struct trace_wish *wish)
{
	struct str device;
	int64_t id = 0;
	const bool client = op_str(c, "client-id", &wish->client_id);
	const bool topic = op_str(c, "topic", &wish->filter);
	const bool of_device = op_str(c, "device", &device);
	if (client + topic + of_device != 1 || (client && wish->client_id.n == 0)) {
		op_refuse(c, OP_INVALID, "client-id",
			  "give one of client-id, device and topic: what is to be traced");
		return false;
	}
	if (topic && !op_check_filter(c, "topic", wish->filter))
		return false;
	if (of_device && !op_find_device(c, "device", device, &id))
		return false;
	wish->device_id = (uint64_t)id;
	return true;
}

static void begun(struct trace_waiter *w)
{
	op_done(container_of(w, struct op_call, trace));
}

static void refuse_full(struct op_call *c, bool messages)
{
	const char *what = messages ? "watches" : "traces";
	const size_t mine = traces_of(&c->s->traces, c->actor, messages);
	if (mine)
		op_refuse(c, OP_TOO_MANY, NULL,
			  "%zu of the %zu %s that are on are yours, and %zu of %d places are left "
			  "for others: end one of yours",
			  mine, c->s->traces.n[messages], what, TRACES - c->s->traces.n[messages],
			  TRACES);
	else
		op_refuse(c, OP_TOO_MANY, NULL, "%d %s are on already: wait until one ends", TRACES,
			  what);
}

/* The answer says that nothing is missed from now on. */
static void begin(struct op_call *c, const struct trace_wish *wish, const char *note)
{
	struct trace *x = trace_start(&c->s->traces, wish);
	if (!x) {
		refuse_full(c, wish->messages);
		return;
	}
	authorise_audit(c, "ok", note);
	rec_int(&c->result, "id", (int64_t)trace_id(x));
	c->trace.woken = begun;
	if (c->s->traces.broker)
		trace_wait(x, &c->trace);
	else
		op_done(c);
}

void op_trace_start(struct op_call *c)
{
	struct trace_wish wish = {.actor = c->actor};
	int64_t for_s = FOR_DEFAULT_S;
	int64_t count = 0;
	if (!take_subject(c, &wish))
		return;
	op_int(c, "for", &for_s);
	op_int(c, "count", &count);
	op_bool(c, "payload", &wish.payload);
	if (for_s == 0) {
		op_refuse(c, OP_INVALID, "for", "for must be at least one second");
		return;
	}
	wish.for_ms = (uint64_t)for_s * 1000;
	wish.count = (uint64_t)count;
	begin(c, &wish, wish.payload ? "with payloads" : "");
}

void op_watch_start(struct op_call *c)
{
	struct trace_wish wish = {.actor = c->actor,
				  .messages = true,
				  .payload = authorise_payload(c),
				  .for_ms = WATCH_S * UINT64_C(1000)};
	struct str as;
	int64_t id = 0;
	op_str(c, "filter", &wish.filter);
	op_str(c, "device", &wish.publisher);
	if (!op_check_filter(c, "filter", wish.filter) ||
	    (op_str(c, "as", &as) && !op_find_device(c, "as", as, &id)))
		return;
	if (traces_have_room(&c->s->traces, c->actor, true) &&
	    !rate_take_every(rates_of(&c->s->watches, c->actor), WATCH_EVERY_S * UINT64_C(1000000),
			     WATCH_BURST, clock_mono_ms() * 1000)) {
		op_refuse_for(c, WATCH_EVERY_S,
			      "you begin watches too often: one every %d seconds is allowed",
			      WATCH_EVERY_S);
		return;
	}
	wish.as_device_id = (uint64_t)id;
	begin(c, &wish, "");
}

static bool is_watch(const struct op_call *c)
{
	return c->op == OP_WATCH_SHOW || c->op == OP_WATCH_STOP;
}

static struct trace *find(struct op_call *c)
{
	int64_t id = 0;
	op_int(c, "id", &id);
	struct trace *x = trace_find(&c->s->traces, (uint64_t)id, c->actor, is_watch(c));
	if (!x) {
		op_refuse(c, OP_NOT_FOUND, "id", "there is no %s %lld of yours: it has ended",
			  is_watch(c) ? "watch" : "trace", (long long)id);
		return NULL;
	}
	/* Who had another level when it began. */
	if (trace_has_payload(x) && !authorise_payload(c)) {
		op_refuse(c, OP_DENIED, "id",
			  "it shows what messages say, which needs the level operator: begin "
			  "another one");
		return NULL;
	}
	return x;
}

static void answer(struct op_call *c, struct trace *x)
{
	rec_list(&c->result, "items");
	const size_t n = trace_put(x, PAGE, &c->result);
	rec_end(&c->result);
	rec_int(&c->result, "dropped", (int64_t)trace_dropped(x));
	if (trace_ended(x) && n < PAGE) {
		rec_text(&c->result, "ended", trace_ended(x));
		trace_told(x);
	} else {
		rec_null(&c->result, "ended");
	}
	op_done(c);
}

static void look(struct op_call *c)
{
	struct trace *x = find(c);
	if (x)
		answer(c, x);
}

static void woken(struct trace_waiter *w)
{
	look(container_of(w, struct op_call, trace));
}

static void late(struct loop_timer *t)
{
	struct op_call *c = container_of(t, struct op_call, timer);
	trace_unwait(&c->trace);
	look(c);
}

void op_trace_show(struct op_call *c)
{
	int64_t after = 0;
	int64_t wait = 0;
	AUTO_BUF unused = {0};
	struct trace *x = find(c);
	if (!x)
		return;
	op_int(c, "after", &after);
	op_int(c, "wait", &wait);
	trace_read_up_to(x, (uint64_t)after);
	if (trace_ended(x) || wait == 0 || trace_put(x, 1, &unused)) {
		answer(c, x);
		return;
	}
	c->trace.woken = woken;
	trace_wait(x, &c->trace);
	loop_timer_start(c->s->loop, &c->timer, "trace wait",
			 (uint64_t)MIN(wait, (int64_t)WAIT_MAX), late);
}

void op_trace_stop(struct op_call *c)
{
	struct trace *x = find(c);
	if (!x)
		return;
	const uint64_t id = trace_id(x);
	trace_stop(x);
	authorise_audit(c, "ok", "");
	rec_int(&c->result, "id", (int64_t)id);
	op_done(c);
}
