/* SPDX-License-Identifier: Apache-2.0
 *
 * The API: a request becomes an operation with checked arguments (api_args.h), goes to the store
 * with the caller's credentials, once for each Idempotency-Key (repeat.h), and the result becomes
 * JSON (api_reply.h). Main thread.
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/web/api_args.h"
#include "daemon/web/caller.h"
#include "daemon/web/json.h"
#include "daemon/web/metrics.h"
#include "daemon/web/router.h"
#include "daemon/web/web.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { ASK_TIMEOUT_MS = 10000, ASK_DOCUMENT_MS = 120000, RESULT_MAX = 64 * MiB, ARGS_MAX = 60000 };

/* A request that waits for the store. */
struct api_call {
	struct list node;
	struct link_call call;
	struct web *web;
	struct http_request *request;
	enum op op;
	uint64_t repeat; /* to keep the answer for (repeat.h), 0: none */
	uint64_t replay; /* whose answer is given if the caller may still ask, 0: none */
	bool lets;       /* its large body come, if the caller may send one */
	unsigned status; /* when it works */
	void (*render)(struct http_request *r, json_t *result); /* NULL: as JSON */
};

/* The call is over. What was not kept before failed: it may be tried again. */
static struct http_request *finish(struct api_call *a)
{
	struct http_request *r = a->request;
	if (a->repeat)
		repeat_forget(&a->web->repeats, a->repeat);
	list_remove(&a->node);
	free(a);
	return r;
}

/* The secret of a session goes into the cookie, where no script can read it. */
static void keep_secret(struct http_request *r, enum op op, json_t *j)
{
	if (op == OP_SESSION_ADD || op == OP_SETUP_ADD) {
		const char *secret = json_string_value(json_object_get(j, "secret"));
		if (secret)
			caller_begin(r, str_of(secret));
		json_object_del(j, "secret");
	} else if (op == OP_SESSION_REMOVE && json_is_true(json_object_get(j, "current"))) {
		caller_end(r);
	}
}

static void keep_answer(struct api_call *a, const json_t *j)
{
	if (!a->repeat)
		return;
	char *text = json_dumps(j, JSON_COMPACT);
	CHECK(text != NULL);
	repeat_keep(&a->web->repeats, a->repeat, a->status, str_of(text));
	secret_wipe(text, strlen(text));
	free(text);
	a->repeat = 0;
}

/* The answer of the first time, to whom may still ask. */
static void send_again(struct api_call *a, const json_t *who)
{
	const struct repeat *e = repeat_find(&a->web->repeats, a->replay);
	const bool may = api_has_level(who, VIEWER);
	struct http_request *r = finish(a);
	if (!may) {
		api_problem(r, 401, NULL, "log in first", NULL);
	} else if (!e) {
		api_problem(r, 409, "Idempotency-Key", "what was answered has just been forgotten",
			    NULL);
	} else {
		http_add_header(r, "Idempotency-Replayed", "true");
		http_reply(r, e->status, "application/json", buf_view(&e->answer), NULL);
	}
}

static void refuse_place(struct http_request *r)
{
	http_add_header(r, "Retry-After", "5");
	api_problem(r, 503, NULL,
		    "as many large documents come already as there is room for, of you or in all: "
		    "try again",
		    NULL);
}

/* The document may come, from whom may send one. */
static void let_come(struct api_call *a, const json_t *who)
{
	struct http_request *r = finish(a);
	struct router_match m;
	char allow[64];
	if (router_find(http_method(r), http_path(r), &m, allow, sizeof(allow)))
		api_problem(r, 404, NULL, "there is no such resource", NULL);
	else if (!api_has_level(who, VIEWER))
		api_problem(r, 401, NULL, "log in first", NULL);
	else if (!api_has_level(who, op_spec(m.op)->level))
		api_problem(r, 403, NULL, "this needs a higher level; ask an administrator", NULL);
	else if (!http_go_on(r))
		refuse_place(r);
}

/* Takes the reference. */
static void send_result(struct api_call *a, json_t *j)
{
	const enum op op = a->op;
	const unsigned status = a->status;
	void (*const render)(struct http_request *, json_t *) = a->render;
	if (a->replay || a->lets) {
		(a->replay ? send_again : let_come)(a, j);
		json_decref(j);
		return;
	}
	keep_answer(a, j);
	struct http_request *r = finish(a);
	keep_secret(r, op, j);
	api_etag(r, j);
	if (render)
		render(r, j);
	else
		api_send(r, status, j);
}

/* Of a backup, which alone is a file. */
static void send_file(struct http_request *r, int fd)
{
	char time[CLOCK_TEXT];
	char name[64];
	clock_format(clock_wall(), time);
	const int own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (own < 0) {
		api_problem(r, 503, NULL, "out of descriptors: try again", NULL);
		return;
	}
	snprintf(name, sizeof(name), "gatehouse-%.10s.backup", time);
	http_reply_file(r, own, name);
}

static void store_answered(struct link_call *call, int err, struct record *reply)
{
	struct api_call *a = container_of(call, struct api_call, call);
	struct body_op_done done;
	json_t *result;
	if (err) {
		if (a->repeat)
			repeat_doubt(&a->web->repeats, a->repeat);
		a->repeat = 0;
		api_problem(finish(a), 503, NULL,
			    err == ERR_TIMEOUT ? "the store did not answer in time"
					       : "the store is away; try again in a moment",
			    NULL);
		return;
	}
	if (api_take(reply, RESULT_MAX, &done, &result)) {
		api_problem(finish(a), 500, NULL, "the store's answer cannot be read", NULL);
		return;
	}
	if (done.status != OP_OK) {
		api_refuse(finish(a), &done);
		return;
	}
	if (done.file)
		send_file(finish(a), reply->fd);
	else
		send_result(a, result);
}

static bool is_local(const struct web *w)
{
	return child_self(w->child) == PROCESS_CTL;
}

static bool takes_document(enum op op)
{
	for (const struct op_arg *a = op_spec(op)->args; a->name; a++)
		if (a->type == ARG_STATE)
			return true;
	return false;
}

/* Fields of struct api_call. */
struct repeated {
	uint64_t repeat;
	uint64_t replay;
	bool lets;
};

static void ask_store(struct web *w, struct http_request *r, const struct router_match *m,
		      const struct buf *args, void (*render)(struct http_request *, json_t *),
		      struct repeated repeated)
{
	AUTO_SECRET credential = {0};
	struct body_op b = {
		.op = (uint16_t)m->op, .args = buf_view(args), .source = str_of(http_source(r))};
	b.credential_kind = caller_credential(r, is_local(w), &credential);
	b.credential = buf_view(&credential);
	b.passive = op_spec(m->op)->effect == READS && caller_is_passive(r);
	if (!w->store) {
		repeat_forget(&w->repeats, repeated.repeat);
		api_problem(r, 503, NULL, "the store is away; try again in a moment", NULL);
		return;
	}
	AUTO_FD fd = -1;
	if (args->n > ARGS_MAX) {
		fd = memfd_make("arguments", b.args);
		b.args = STR("");
		if (fd < 0) {
			repeat_forget(&w->repeats, repeated.repeat);
			api_problem(r, 503, NULL, "out of descriptors or memory: try again", NULL);
			return;
		}
	}
	int64_t wait_ms = 0; /* how long the caller of event.list is ready to wait for one */
	rec_get_int(buf_view(args), "wait", &wait_ms);
	struct api_call *a = mem_new(struct api_call);
	a->web = w;
	a->request = r;
	a->status = m->status;
	a->op = m->op;
	a->render = render;
	a->repeat = repeated.repeat;
	a->replay = repeated.replay;
	a->lets = repeated.lets;
	list_append(&w->pending, &a->node);
	LINK_ASK(w->store, &a->call, OP, op, fd, &b,
		 (takes_document(m->op) || m->op == OP_BACKUP_ADD ? ASK_DOCUMENT_MS
								  : ASK_TIMEOUT_MS) +
			 (uint32_t)wait_ms,
		 store_answered);
}

bool api_ask(struct web *w, struct http_request *r, enum op op, struct str args,
	     struct link_call *call, void (*done)(struct link_call *, int, struct record *))
{
	AUTO_SECRET credential = {0};
	struct body_op b = {.op = (uint16_t)op, .args = args, .source = str_of(http_source(r))};
	b.credential_kind = caller_credential(r, is_local(w), &credential);
	b.credential = buf_view(&credential);
	if (!w->store || args.n > ARGS_MAX)
		return false;
	LINK_ASK(w->store, call, OP, op, -1, &b, ASK_TIMEOUT_MS, done);
	return true;
}

/* The message to the store has a bound, which no sensible arguments reach. */
static bool too_large(enum op op, const struct buf *args, struct json_problem *problem)
{
	if (args->n <= ARGS_MAX || takes_document(op))
		return false;
	snprintf(problem->why, sizeof(problem->why), "the arguments are larger than %d bytes",
		 ARGS_MAX);
	return true;
}

static void print_metrics(struct http_request *r, json_t *status)
{
	AUTO_BUF text = {0};
	metrics_print(status, &text);
	json_decref(status);
	http_reply(r, 200, METRICS_TYPE, buf_view(&text), NULL);
}

bool api_metrics(struct web *w, struct http_request *r)
{
	const struct router_match m = {.op = OP_STATUS, .status = 200};
	const struct buf none = {0};
	if (!str_is(http_path(r), "/metrics"))
		return false;
	if (strcmp(http_method(r), "GET") != 0 && strcmp(http_method(r), "HEAD") != 0)
		api_problem(r, 405, NULL, "this resource is only read", "GET, HEAD");
	else
		ask_store(w, r, &m, &none, print_metrics, (struct repeated){0});
	return true;
}

static bool takes_key(const struct http_request *r, enum op op)
{
	const struct op_spec *spec = op_spec(op);
	return strcmp(http_method(r), "POST") == 0 && spec->effect == CHANGES &&
	       spec->level > NOBODY;
}

/* A request whose key is known. */
static void answer_known(struct web *w, struct http_request *r, enum repeat_state state,
			 uint64_t id)
{
	const struct router_match who = {.op = OP_SESSION_SHOW, .status = 200};
	const struct buf none = {0};
	if (state == REPEAT_DONE)
		ask_store(w, r, &who, &none, NULL, (struct repeated){.replay = id});
	else if (state == REPEAT_RUNNING)
		api_problem(r, 409, "Idempotency-Key",
			    "the first request with this key is not answered yet: try again", NULL);
	else if (state == REPEAT_OTHER)
		api_problem(r, 422, "Idempotency-Key",
			    "this key was used for another request: a new request needs a new key",
			    NULL);
	else if (state == REPEAT_UNKNOWN)
		api_problem(r, 409, "Idempotency-Key",
			    "the store gave no answer to the first request, so it may have been "
			    "done: look, and ask again with a new key if it was not",
			    NULL);
	else if (state == REPEAT_ONCE)
		api_problem(
			r, 409, "Idempotency-Key",
			"this was done, and its answer, which had a private key, was given once: "
			"if it did not arrive, revoke that certificate and ask with a new key",
			NULL);
	else
		api_problem(r, 409, "Idempotency-Key",
			    "this was done; the answer was too large to be kept", NULL);
}

bool api_begin(struct web *w, struct http_request *r, enum op op, struct str args, uint64_t *repeat)
{
	const struct str key = str_trim(http_header(r, "Idempotency-Key"));
	AUTO_SECRET caller = {0};
	AUTO_SECRET request = {0};
	*repeat = 0;
	if (key.n == 0 || !takes_key(r, op))
		return true;
	if (!repeat_key_valid(key)) {
		api_problem(r, 400, "Idempotency-Key",
			    "Idempotency-Key must be 1 to 128 printable ASCII characters", NULL);
		return false;
	}
	buf_putc(&caller, (char)('0' + caller_credential(r, is_local(w), &caller)));
	buf_printf(&request, "%u ", (unsigned)op);
	buf_str(&request, args);
	const enum repeat_state state = repeat_begin(&w->repeats, buf_view(&caller), key,
						     buf_view(&request), clock_mono_ms(), repeat);
	if (state != REPEAT_NEW)
		answer_known(w, r, state, *repeat);
	return state == REPEAT_NEW;
}

/* Asks the store, unless the same request was answered before. */
static void begin(struct web *w, struct http_request *r, const struct router_match *m,
		  const struct buf *args)
{
	struct repeated new = {0};
	if (api_begin(w, r, m->op, buf_view(args), &new.repeat))
		ask_store(w, r, m, args, NULL, new);
}

static void handle(struct web *w, struct http_request *r, const struct router_match *m)
{
	struct json_problem problem = {0};
	AUTO_SECRET args = {0}; /* a password may be in it */
	if (api_args(r, m, &args, &problem) || too_large(m->op, &args, &problem))
		api_problem(r, 400, problem.field, problem.why, NULL);
	else
		begin(w, r, m, &args);
}

/* A page of another origin may send other types without being asked whether it may. */
static bool is_json(const struct http_request *r)
{
	static const char json[] = "application/json";
	struct str type = http_header(r, "Content-Type");
	const struct str word = str_trim(str_split(&type, ';'));
	return http_header(r, "Content-Encoding").n == 0 &&
	       (word.n == 0 ||
		(word.n == sizeof(json) - 1 && strncasecmp(word.p, json, word.n) == 0));
}

bool api_takes_type(struct http_request *r)
{
	if (is_json(r))
		return true;
	api_problem(r, 415, NULL,
		    "the body must be JSON as it is: Content-Type application/json, no "
		    "Content-Encoding",
		    NULL);
	return false;
}

/* False: there is none, or not for this; that was answered. */
static bool find_route(struct http_request *r, struct router_match *m)
{
	char allow[64];
	const int err = router_find(http_method(r), http_path(r), m, allow, sizeof(allow));
	if (err == ERR_NOT_FOUND)
		api_problem(r, 404, NULL, "there is no such resource", NULL);
	else if (err)
		api_problem(r, 405, NULL, "this resource does not know this method", allow);
	else if (strcmp(http_method(r), "GET") != 0 && caller_is_foreign(r))
		api_problem(r, 403, NULL, "a page of another origin may not ask for this", NULL);
	else
		return api_takes_type(r);
	return false;
}

void api_handle(struct web *w, struct http_request *r)
{
	struct router_match m;
	if (find_route(r, &m))
		handle(w, r, &m);
}

/* What a large body becomes takes many times its size: that is not for strangers. */
void api_large(struct web *w, struct http_request *r)
{
	const struct router_match who = {.op = OP_SESSION_SHOW, .status = 200};
	const struct buf none = {0};
	struct router_match m;
	if (find_route(r, &m))
		ask_store(w, r, &who, &none, NULL, (struct repeated){.lets = true});
}

void api_stop(struct web *w)
{
	while (!list_empty(&w->pending)) {
		struct api_call *a = list_entry(w->pending.next, struct api_call, node);
		link_call_cancel(&a->call);
		api_problem(finish(a), 503, NULL, "the gateway stops", NULL);
	}
	repeats_fini(&w->repeats);
}
