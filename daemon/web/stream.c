/* SPDX-License-Identifier: Apache-2.0
 *
 * Server-Sent Events: see stream.h.
 */
#include "daemon/web/stream.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/web/caller.h"
#include "daemon/web/json.h"
#include "daemon/web/web.h"

#include <stdio.h>
#include <stdlib.h>

enum { EVENTS_WAIT_MS = 25000, ANSWER_MS = 10000, RESULT_MAX = 64 * MiB };

struct stream {
	struct list node; /* in opening or streams */
	struct feed *feed;
	struct link_call call;        /* the first question */
	struct http_request *request; /* while it opens */
	struct http_stream *http;
	struct caller caller;
	int64_t seq;     /* of the last event that it was told */
	bool may_status; /* its own credentials have shown it */
	bool no_status;  /* they are a token's that is for events alone */
};

static void ask_events(struct feed *f);

void feed_init(struct feed *f, struct web *web)
{
	f->web = web;
	list_init(&f->opening);
	list_init(&f->streams);
}

static void free_stream(struct stream *s)
{
	list_remove(&s->node);
	s->feed->n--;
	link_call_cancel(&s->call);
	caller_fini(&s->caller);
	free(s);
}

static void write_text(struct stream *s, const char *text)
{
	http_stream_write(s->http, str_of(text));
}

/* last: what the client is told, or NULL. */
static void end_stream(struct stream *s, const char *last)
{
	struct feed *f = s->feed;
	if (last)
		write_text(s, last);
	http_stream_end(s->http);
	if (f->events_by == s)
		f->events_by = NULL;
	if (f->status_by == s)
		f->status_by = NULL;
	free_stream(s);
}

static void client_left(void *arg)
{
	end_stream(arg, NULL);
}

static void ask(struct feed *f, const struct stream *s, struct link_call *call, enum op op,
		const struct buf *args, uint32_t wait_ms,
		void (*done)(struct link_call *, int, struct record *))
{
	const struct body_op b = {
		.op = (uint16_t)op,
		.credential_kind = s->caller.kind,
		.credential = buf_view(&s->caller.credential),
		.source = str_of(s->caller.source),
		.passive = 1,
		.args = buf_view(args),
	};
	LINK_ASK(f->web->store, call, OP, op, -1, &b, ANSWER_MS + wait_ms, done);
}

unsigned stream_answer(int err, struct record *reply, size_t max, json_t **result, struct buf *why)
{
	struct body_op_done done;
	AUTO_BUF unused = {0};
	struct buf *to = why ? why : &unused;
	if (err) {
		buf_puts(to, "the store is away; try again in a moment");
		return 503;
	}
	if (api_take(reply, max, &done, result)) {
		buf_puts(to, "the store's answer cannot be read");
		return 500;
	}
	if (done.status != OP_OK)
		buf_str(to, done.why);
	return api_status(done.status);
}

/* ---- events ---- */

static void put_event(struct buf *out, const json_t *event)
{
	char *text = json_dumps(event, JSON_COMPACT);
	buf_printf(out, "id: %lld\nevent: event\ndata: %s\n\n",
		   (long long)json_integer_value(json_object_get(event, "seq")), text);
	free(text);
}

static void tell(struct stream *s, const json_t *event)
{
	AUTO_BUF out = {0};
	const int64_t seq = json_integer_value(json_object_get(event, "seq"));
	if (seq <= s->seq)
		return;
	put_event(&out, event);
	s->seq = seq;
	if (!http_stream_write(s->http, buf_view(&out)))
		end_stream(s, NULL);
}

static void tell_all(struct feed *f, const json_t *items)
{
	size_t i;
	const json_t *event;
	json_array_foreach(items, i, event)
	{
		list_each_safe (it, &f->streams)
			tell(list_entry(it, struct stream, node), event);
	}
}

/* The next one in turn, whose credentials ask. NULL: there is nobody. */
static struct stream *next_asker(struct feed *f, bool for_status)
{
	if (!f->web->store)
		return NULL;
	list_each (it, &f->streams) {
		struct stream *s = list_entry(it, struct stream, node);
		if (for_status && s->no_status)
			continue;
		list_remove(&s->node);
		list_append(&f->streams, &s->node);
		return s;
	}
	return NULL;
}

static bool is_refusal(unsigned status)
{
	return status == 401 || status == 403;
}

static void refuse(struct stream *s)
{
	if (s)
		end_stream(s, "event: ended\ndata:\n\n");
}

static void take_events(struct feed *f, const json_t *result)
{
	if (json_is_true(json_object_get(result, "reset"))) {
		list_each (it, &f->streams) {
			struct stream *s = list_entry(it, struct stream, node);
			s->seq = 0;
			write_text(s, "event: reset\ndata:\n\n");
		}
	}
	tell_all(f, json_object_get(result, "items"));
	f->cursor = json_integer_value(json_object_get(result, "next"));
}

static void got_events(struct link_call *call, int err, struct record *reply)
{
	struct feed *f = container_of(call, struct feed, events);
	json_t *result = NULL;
	f->events_asked = false;
	const unsigned status = stream_answer(err, reply, RESULT_MAX, &result, NULL);
	if (status == 200)
		take_events(f, result);
	else if (is_refusal(status))
		refuse(f->events_by);
	json_decref(result);
	if (status == 200 || is_refusal(status))
		ask_events(f); /* after any other trouble the timer does */
}

static void ask_events(struct feed *f)
{
	AUTO_BUF args = {0};
	struct stream *s = f->events_asked ? NULL : next_asker(f, false);
	if (!s)
		return;
	f->events_by = s;
	f->events_asked = true;
	rec_int(&args, "since", f->cursor);
	rec_int(&args, "wait", EVENTS_WAIT_MS);
	ask(f, s, &f->events, OP_EVENT_LIST, &args, EVENTS_WAIT_MS, got_events);
}

/* ---- status ---- */

static void tell_status(struct feed *f, const json_t *result)
{
	AUTO_BUF out = {0};
	char *text = json_dumps(result, JSON_COMPACT);
	buf_printf(&out, "event: status\ndata: %s\n\n", text);
	free(text);
	list_each_safe (it, &f->streams) {
		struct stream *s = list_entry(it, struct stream, node);
		if (s->may_status && !http_stream_write(s->http, buf_view(&out)))
			end_stream(s, NULL);
	}
}

static void got_status(struct link_call *call, int err, struct record *reply)
{
	struct feed *f = container_of(call, struct feed, status);
	json_t *result = NULL;
	f->status_asked = false;
	const unsigned status = stream_answer(err, reply, RESULT_MAX, &result, NULL);
	if (status == 200 && f->status_by)
		f->status_by->may_status = true;
	if (status == 200)
		tell_status(f, result);
	else if (status == 403 && f->status_by)
		f->status_by->no_status = true;
	else if (status == 401)
		refuse(f->status_by);
	json_decref(result);
}

static void ask_status_by(struct feed *f, struct stream *s)
{
	const struct buf none = {0};
	if (!s || f->status_asked)
		return;
	f->status_by = s;
	f->status_asked = true;
	ask(f, s, &f->status, OP_STATUS, &none, 0, got_status);
}

/* Where nothing is ever written nobody would notice that the client has gone. */
static void keep_alive(struct feed *f)
{
	list_each_safe (it, &f->streams) {
		struct stream *s = list_entry(it, struct stream, node);
		if (s->no_status && !http_stream_write(s->http, STR(":\n\n")))
			end_stream(s, NULL);
	}
}

static void tick(struct loop_timer *t)
{
	struct feed *f = container_of(t, struct feed, timer);
	if (list_empty(&f->streams))
		return;
	loop_timer_start(f->web->loop, t, "status for streams", STREAM_STATUS_MS, tick);
	keep_alive(f);
	ask_status_by(f, next_asker(f, true));
	ask_events(f);
}

/* ---- who may no longer ---- */

static void rechecked(struct link_call *call, int err, struct record *reply)
{
	struct stream *s = container_of(call, struct stream, call);
	json_t *result = NULL;
	if (is_refusal(stream_answer(err, reply, RESULT_MAX, &result, NULL)))
		refuse(s);
	json_decref(result);
}

void feed_recheck(struct feed *f)
{
	AUTO_BUF args = {0};
	rec_int(&args, "last", 0);
	list_each (it, &f->streams) {
		struct stream *s = list_entry(it, struct stream, node);
		link_call_cancel(&s->call);
		if (f->web->store)
			ask(f, s, &s->call, OP_EVENT_LIST, &args, 0, rechecked);
	}
}

/* ---- opening ---- */

/* What happened since the client was here last. When that is more than one answer or the stream
 * holds, or the numbers began anew, there is a gap, and the client is told to load its lists. */
static void tell_missed(struct stream *s, const json_t *result)
{
	size_t i;
	const json_t *event;
	AUTO_BUF out = {0};
	const bool whole =
		s->seq >= s->feed->cursor && !json_is_true(json_object_get(result, "reset"));
	json_array_foreach(json_object_get(result, "items"), i, event) put_event(&out, event);
	if (!whole || !http_stream_write(s->http, buf_view(&out)))
		write_text(s, "event: reset\ndata:\n\n");
}

static void open_stream(struct stream *s, const json_t *result)
{
	struct feed *f = s->feed;
	s->seq = json_integer_value(json_object_get(result, "next"));
	s->http = http_stream_begin(s->request, "text/event-stream", client_left, s);
	s->request = NULL;
	list_remove(&s->node);
	if (list_empty(&f->streams)) {
		f->cursor = s->seq;
		loop_timer_start(f->web->loop, &f->timer, "status for streams", STREAM_STATUS_MS,
				 tick);
	}
	list_append(&f->streams, &s->node);
	write_text(s, "retry: 3000\n\n");
	tell_missed(s, result);
	ask_status_by(f, s);
	ask_events(f);
}

static void opened(struct link_call *call, int err, struct record *reply)
{
	struct stream *s = container_of(call, struct stream, call);
	json_t *result = NULL;
	AUTO_BUF why = {0};
	const unsigned status = stream_answer(err, reply, RESULT_MAX, &result, &why);
	if (status == 200) {
		open_stream(s, result);
	} else {
		api_problem(s->request, status, NULL, buf_cstr(&why), NULL);
		free_stream(s);
	}
	json_decref(result);
}

enum { SINCE_TEXT = 24 };

/* The value lives no longer than this call. */
static bool take_since(void *arg, struct str name, struct str value)
{
	if (!str_is(name, "since"))
		return true;
	snprintf(arg, SINCE_TEXT, "%.*s", STR_ARG(value));
	return false;
}

static void put_start(struct http_request *r, struct buf *args)
{
	struct str text = http_header(r, "Last-Event-ID");
	char since[SINCE_TEXT] = "";
	uint64_t seq;
	if (text.n == 0) {
		http_each_query(r, take_since, since);
		text = str_of(since);
	}
	if (text.n && str_u64(text, INT64_MAX, &seq) == 0)
		rec_int(args, "since", (int64_t)seq);
	else
		rec_int(args, "last", 0);
}

static void count(const struct list *list, const struct caller *c, size_t *mine, size_t *near)
{
	list_each (it, list) {
		const struct stream *s = list_entry(it, struct stream, node);
		*mine += caller_same(&s->caller, c);
		*near += caller_same_address(&s->caller, c);
	}
}

/* Why there is no place for him, or NULL. */
static const char *refused(const struct feed *f, const struct caller *c)
{
	size_t mine = 0, near = 0;
	count(&f->opening, c, &mine, &near);
	count(&f->streams, c, &mine, &near);
	return caller_refused(mine, near, f->n, STREAMS_MAX);
}

static void open_request(struct feed *f, struct http_request *r)
{
	AUTO_BUF args = {0};
	struct caller caller = {0};
	caller_take(r, child_self(f->web->child) == PROCESS_CTL, &caller);
	const char *why = refused(f, &caller);
	if (why) {
		caller_fini(&caller);
		http_add_header(r, "Retry-After", "10");
		api_problem(r, 429, NULL, why, NULL);
		return;
	}
	struct stream *s = mem_new(struct stream);
	s->feed = f;
	s->request = r;
	s->caller = caller;
	list_append(&f->opening, &s->node);
	f->n++;
	put_start(r, &args);
	ask(f, s, &s->call, OP_EVENT_LIST, &args, 0, opened);
}

bool feed_handle(struct feed *f, struct http_request *r)
{
	if (!str_is(http_path(r), "/api/v1/stream"))
		return false;
	if (strcmp(http_method(r), "GET") != 0)
		api_problem(r, 405, NULL, "this resource is only read", "GET");
	else if (!f->web->store)
		api_problem(r, 503, NULL, "the store is away; try again in a moment", NULL);
	else
		open_request(f, r);
	return true;
}

void feed_stop(struct feed *f)
{
	link_call_cancel(&f->events);
	link_call_cancel(&f->status);
	f->events_asked = false;
	f->status_asked = false;
	while (!list_empty(&f->opening)) {
		struct stream *s = list_entry(f->opening.next, struct stream, node);
		link_call_cancel(&s->call);
		api_problem(s->request, 503, NULL, "the gateway stops", NULL);
		free_stream(s);
	}
	while (!list_empty(&f->streams))
		end_stream(list_entry(f->streams.next, struct stream, node), NULL);
	loop_timer_stop(f->web->loop, &f->timer);
}
