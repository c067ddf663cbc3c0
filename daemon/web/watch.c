/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages as they come: see watch.h.
 */
#include "daemon/web/watch.h"
#include "daemon/base/mem.h"
#include "daemon/web/caller.h"
#include "daemon/web/json.h"
#include "daemon/web/stream.h"
#include "daemon/web/web.h"

#include <stdio.h>
#include <stdlib.h>

/* A client that has gone is noticed at the next write, which is not longer away than this. */
enum { WAIT_MS = 5000, ANSWER_MS = 10000, RESULT_MAX = 16 * MiB };

struct watch {
	struct list node;
	struct watches *all;
	struct link_call call;
	struct http_request *request; /* until the first answer */
	struct http_stream *http;
	struct caller caller;
	uint64_t id;
	int64_t after;    /* seq of the last message that was told or left out */
	int64_t left_out; /* here, because the client is slow */
	int64_t dropped;  /* by broker and store */
	int64_t told;     /* of both together */
};

static void ask(struct watch *w, uint32_t wait_ms);

void watches_init(struct watches *all, struct web *web)
{
	all->web = web;
	list_init(&all->streams);
}

static void free_watch(struct watch *w)
{
	link_call_cancel(&w->call);
	list_remove(&w->node);
	w->all->n--;
	caller_fini(&w->caller);
	free(w);
}

static void end(struct watch *w, const char *why)
{
	AUTO_BUF out = {0};
	json_t *reason = json_string(why);
	char *text = json_dumps(reason, JSON_ENCODE_ANY);
	buf_printf(&out, "event: ended\ndata: %s\n\n", text ? text : "\"\"");
	free(text);
	json_decref(reason);
	http_stream_write(w->http, buf_view(&out));
	http_stream_end(w->http);
	free_watch(w);
}

static void client_left(void *arg)
{
	struct watch *w = arg;
	http_stream_end(w->http);
	free_watch(w);
}

/* ---- telling ---- */

static void tell(struct watch *w, const json_t *message)
{
	AUTO_BUF out = {0};
	char *text = json_dumps(message, JSON_COMPACT);
	w->after = json_integer_value(json_object_get(message, "seq"));
	buf_printf(&out, "id: %lld\nevent: message\ndata: %s\n\n", (long long)w->after,
		   text ? text : "{}");
	free(text);
	if (!http_stream_write(w->http, buf_view(&out)))
		w->left_out++;
}

static void tell_dropped(struct watch *w)
{
	char line[64];
	const int64_t sum = w->dropped + w->left_out;
	snprintf(line, sizeof(line), "event: dropped\ndata: %lld\n\n", (long long)sum);
	if (sum != w->told && http_stream_write(w->http, str_of(line)))
		w->told = sum;
}

static void tell_all(struct watch *w, const json_t *result)
{
	size_t i;
	const json_t *message;
	const json_t *items = json_object_get(result, "items");
	json_array_foreach(items, i, message) tell(w, message);
	w->dropped = json_integer_value(json_object_get(result, "dropped"));
	tell_dropped(w);
	if (json_array_size(items) == 0)
		http_stream_write(w->http, STR(":\n\n"));
}

/* ---- asking ---- */

static void open_stream(struct watch *w)
{
	w->http = http_stream_begin(w->request, "text/event-stream", client_left, w);
	w->request = NULL;
	http_stream_write(w->http, STR("retry: 3000\n\n"));
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct watch *w = container_of(call, struct watch, call);
	json_t *result = NULL;
	AUTO_BUF why = {0};
	const unsigned status = stream_answer(err, reply, RESULT_MAX, &result, &why);
	if (status != 200 && w->request) {
		api_problem(w->request, status, NULL, buf_cstr(&why), NULL);
		free_watch(w);
		return;
	}
	if (status != 200) {
		end(w, buf_cstr(&why));
		return;
	}
	if (w->request)
		open_stream(w);
	tell_all(w, result);
	const json_t *ended = json_object_get(result, "ended");
	if (json_is_string(ended))
		end(w, json_string_value(ended));
	else
		ask(w, WAIT_MS);
	json_decref(result);
}

static void ask(struct watch *w, uint32_t wait_ms)
{
	AUTO_BUF args = {0};
	rec_int(&args, "id", (int64_t)w->id);
	rec_int(&args, "after", w->after);
	rec_int(&args, "wait", wait_ms);
	const struct body_op b = {
		.op = OP_WATCH_SHOW,
		.credential_kind = w->caller.kind,
		.credential = buf_view(&w->caller.credential),
		.source = str_of(w->caller.source),
		.passive = 1,
		.args = buf_view(&args),
	};
	LINK_ASK(w->all->web->store, &w->call, OP, op, -1, &b, ANSWER_MS + wait_ms, answered);
}

/* ---- opening ---- */

/* Why there is no place for him, or NULL. */
static const char *refused(const struct watches *all, const struct caller *c)
{
	size_t mine = 0, near = 0;
	list_each (it, &all->streams) {
		const struct watch *w = list_entry(it, struct watch, node);
		mine += caller_same(&w->caller, c);
		near += caller_same_address(&w->caller, c);
	}
	return caller_refused(mine, near, all->n, WATCH_STREAMS_MAX);
}

static void open_request(struct watches *all, struct http_request *r, uint64_t id)
{
	struct caller caller = {0};
	caller_take(r, child_self(all->web->child) == PROCESS_CTL, &caller);
	const char *why = refused(all, &caller);
	if (why) {
		caller_fini(&caller);
		http_add_header(r, "Retry-After", "10");
		api_problem(r, 429, NULL, why, NULL);
		return;
	}
	struct watch *w = mem_new(struct watch);
	w->all = all;
	w->request = r;
	w->id = id;
	w->caller = caller;
	list_append(&all->streams, &w->node);
	all->n++;
	ask(w, 0);
}

/* /api/v1/watches/{id}/stream */
static bool is_ours(struct str path, uint64_t *id)
{
	const struct str head = STR("/api/v1/watches/");
	const struct str tail = STR("/stream");
	if (path.n <= head.n + tail.n || !str_prefix(path, head) ||
	    !str_eq(str_make(path.p + path.n - tail.n, tail.n), tail))
		return false;
	return str_u64(str_make(path.p + head.n, path.n - head.n - tail.n), INT64_MAX, id) == 0;
}

bool watches_handle(struct watches *all, struct http_request *r)
{
	uint64_t id;
	if (!is_ours(http_path(r), &id))
		return false;
	if (strcmp(http_method(r), "GET") != 0)
		api_problem(r, 405, NULL, "this resource is only read", "GET");
	else if (!all->web->store)
		api_problem(r, 503, NULL, "the store is away; try again in a moment", NULL);
	else
		open_request(all, r, id);
	return true;
}

/* What an answer under way would have brought is still there: nothing was read up to it. */
void watches_recheck(struct watches *all)
{
	list_each_safe (it, &all->streams) {
		struct watch *w = list_entry(it, struct watch, node);
		link_call_cancel(&w->call);
		if (all->web->store)
			ask(w, 0);
	}
}

void watches_stop(struct watches *all)
{
	list_each_safe (it, &all->streams) {
		struct watch *w = list_entry(it, struct watch, node);
		if (w->request) {
			api_problem(w->request, 503, NULL, "the gateway stops", NULL);
			free_watch(w);
		} else {
			end(w, "the gateway stops");
		}
	}
}
