/* SPDX-License-Identifier: Apache-2.0
 *
 * The API: a request becomes an operation with checked arguments, goes to the store with the
 * caller's credentials, and the result becomes JSON. CSRs are parsed here, in the process that
 * strangers' bytes reach anyhow; the store and the vault see only the public key. Main thread.
 */
#include "certs/csr.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
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

static const char *title_of(unsigned status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 412:
		return "Precondition Failed";
	case 415:
		return "Unsupported Media Type";
	case 422:
		return "Refused by Policy";
	case 429:
		return "Too Many Requests";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

static void send_json(struct http_request *r, unsigned status, const char *type, json_t *j,
		      const char *allow)
{
	char *text = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	CHECK(text != NULL);
	http_reply(r, status, type, str_of(text), allow);
	secret_wipe(text, strlen(text)); /* a setup code may be in it */
	free(text);
}

void api_reply(struct http_request *r, unsigned status, struct str rec)
{
	send_json(r, status, "application/json", json_from_rec(rec), NULL);
}

void api_problem(struct http_request *r, unsigned status, const char *field, const char *detail,
		 const char *allow)
{
	json_t *j = json_pack("{s:s, s:s, s:i}", "type", "about:blank", "title", title_of(status),
			      "status", (int)status);
	json_t *text = json_string(detail);
	json_object_set_new(j, "detail", text ? text : json_string("(not UTF-8)"));
	if (field && field[0])
		json_object_set_new(j, "field", json_string(field));
	if (status == 401)
		http_add_header(r, "WWW-Authenticate", "Bearer");
	send_json(r, status, "application/problem+json", j, allow);
}

unsigned api_status(uint8_t op_status)
{
	switch ((enum op_status)op_status) {
	case OP_OK:
		return 200;
	case OP_INVALID:
		return 400;
	case OP_NOT_FOUND:
		return 404;
	case OP_CONFLICT:
		return 409;
	case OP_DENIED:
		return 403;
	case OP_UNAUTHENTICATED:
		return 401;
	case OP_REFUSED:
		return 422;
	case OP_UNAVAILABLE:
	case OP_LOCKED:
		return 503;
	case OP_TOO_MANY:
		return 429;
	default:
		return 500;
	}
}

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
static void keep_secret(struct http_request *r, enum op op, struct str result, json_t *j)
{
	struct str secret;
	if (op == OP_SESSION_ADD || op == OP_SETUP_ADD) {
		if (rec_get_str(result, "secret", &secret))
			caller_begin(r, secret);
		json_object_del(j, "secret");
	} else if (op == OP_SESSION_REMOVE && json_is_true(json_object_get(j, "current"))) {
		caller_end(r);
	}
}

/* What has a version can be changed on the condition that it still is of it (RFC 9110, section 13):
 * ETag and If-Match are that number in quotes. */
static void add_etag(struct http_request *r, const json_t *result)
{
	const json_t *version = json_object_get(result, "version");
	char etag[32];
	if (!json_is_integer(version))
		return;
	snprintf(etag, sizeof(etag), "\"%lld\"", (long long)json_integer_value(version));
	http_add_header(r, "ETag", etag);
}

static int take_condition(const struct http_request *r, const struct op_spec *spec,
			  struct buf *args, struct json_problem *problem)
{
	struct str tag = str_trim(http_header(r, "If-Match"));
	if (tag.n == 0 || str_is(tag, "*"))
		return 0;
	if (tag.n > 2 && tag.p[0] == '"' && tag.p[tag.n - 1] == '"')
		tag = str_make(tag.p + 1, tag.n - 2);
	return json_arg_text(spec, STR("version"), tag, args, problem);
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
	const char *level = json_string_value(json_object_get(who, "level"));
	struct http_request *r = finish(a);
	if (!level || strcmp(level, op_level_name(NOBODY)) == 0) {
		api_problem(r, 401, NULL, "log in first", NULL);
	} else if (!e) {
		api_problem(r, 409, "Idempotency-Key", "what was answered has just been forgotten",
			    NULL);
	} else {
		http_add_header(r, "Idempotency-Replayed", "true");
		http_reply(r, e->status, "application/json", buf_view(&e->answer), NULL);
	}
}

static bool has_level(const char *word, enum op_level level)
{
	for (; level <= ADMIN; level++)
		if (strcmp(word, op_level_name(level)) == 0)
			return true;
	return false;
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
	const char *level = json_string_value(json_object_get(who, "level"));
	struct http_request *r = finish(a);
	struct router_match m;
	char allow[64];
	if (router_find(http_method(r), http_path(r), &m, allow, sizeof(allow)))
		api_problem(r, 404, NULL, "there is no such resource", NULL);
	else if (!level || !has_level(level, VIEWER))
		api_problem(r, 401, NULL, "log in first", NULL);
	else if (!has_level(level, op_spec(m.op)->level))
		api_problem(r, 403, NULL, "this needs a higher level; ask an administrator", NULL);
	else if (!http_go_on(r))
		refuse_place(r);
}

static void send_result(struct api_call *a, struct str result)
{
	const enum op op = a->op;
	const unsigned status = a->status;
	void (*const render)(struct http_request *, json_t *) = a->render;
	if (!rec_valid(result)) {
		api_problem(finish(a), 500, NULL, "the store's answer cannot be read", NULL);
		return;
	}
	json_t *j = json_from_rec(result);
	if (a->replay || a->lets) {
		(a->replay ? send_again : let_come)(a, j);
		json_decref(j);
		return;
	}
	keep_answer(a, j);
	struct http_request *r = finish(a);
	keep_secret(r, op, result, j);
	add_etag(r, j);
	if (render)
		render(r, j);
	else
		send_json(r, status, "application/json", j, NULL);
}

static void add_retry(struct http_request *r, const struct body_op_done *done)
{
	char seconds[8];
	if (done->status != OP_TOO_MANY)
		return;
	snprintf(seconds, sizeof(seconds), "%u", MAX(done->retry_s, 1u));
	http_add_header(r, "Retry-After", seconds);
}

void api_refuse(struct http_request *r, const struct body_op_done *done)
{
	AUTO_CHAR field = str_dup(done->field);
	AUTO_CHAR why = str_dup(done->why);
	const bool changed = done->status == OP_CONFLICT && str_is(done->field, "version");
	add_retry(r, done);
	api_problem(r, changed ? 412 : api_status(done->status), field, why, NULL);
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
	AUTO_SECRET large = {0};
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
	if (body_op_done_get(reply->body, &done) || (done.file && reply->fd < 0) ||
	    (!done.file && reply->fd >= 0 && memfd_read(reply->fd, RESULT_MAX, &large))) {
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
		send_result(a, large.n ? buf_view(&large) : done.result);
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

struct query {
	const struct op_spec *spec;
	struct buf *args;
	struct json_problem *problem;
	int err;
};

static bool take_query(void *arg, struct str name, struct str value)
{
	struct query *q = arg;
	q->err = json_arg_text(q->spec, name, value, q->args, q->problem);
	return q->err == 0;
}

static int take_path(const struct router_match *m, const struct op_spec *spec, struct buf *args,
		     struct json_problem *problem)
{
	for (size_t i = 0; i < m->params; i++) {
		AUTO_BUF value = {0};
		int err = http_decode(m->value[i], false, &value);
		if (!err)
			err = json_arg_text(spec, m->name[i], buf_view(&value), args, problem);
		if (err)
			return err;
	}
	return 0;
}

static int take_body(const struct http_request *r, const struct op_spec *spec, struct buf *args,
		     struct json_problem *problem)
{
	json_error_t error;
	const struct str body = http_body(r);
	if (str_trim(body).n == 0)
		return 0;
	json_t *j = json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &error);
	if (!json_is_object(j)) {
		snprintf(problem->why, sizeof(problem->why),
			 j ? "the body must be a JSON object" : "the body is not JSON: line %d: %s",
			 error.line, error.text);
		json_decref(j);
		return ERR_INVALID;
	}
	const int err = json_args(spec, j, args, problem);
	json_decref(j);
	return err;
}

/* Cuts a text argument out: false when there is none. The text stays valid in *text. */
static bool cut_text(struct buf *args, const char *name, struct buf *text)
{
	struct cur c = cur_of(buf_view(args));
	struct rec_value v;
	struct str found;
	if (!rec_get_str(buf_view(args), name, &found))
		return false;
	buf_str(text, found);
	while (rec_next(&c, &v) && !str_is(v.name, name))
		;
	/* A text value is the last thing that rec_next read: cut it out, with its head. */
	const size_t end = (size_t)((const char *)c.p - args->p);
	const size_t begin = end - (2 + v.name.n + 4 + v.text.n);
	memmove(args->p + begin, args->p + end, args->n - end);
	args->n -= end - begin;
	return true;
}

static int refuse_field(struct json_problem *problem, const char *field, const struct why *why)
{
	snprintf(problem->field, sizeof(problem->field), "%s", field);
	snprintf(problem->why, sizeof(problem->why), "%s", why->text);
	return ERR_INVALID;
}

/* Replaces the argument csr by what the store and the vault may see of it: the public key and the
 * name. */
static int replace_csr(struct buf *args, struct json_problem *problem)
{
	AUTO_BUF text = {0};
	struct csr csr;
	struct why why = {0};
	if (!cut_text(args, "csr", &text))
		return 0;
	if (csr_parse(buf_view(&text), &csr, &why))
		return refuse_field(problem, "csr", &why);
	rec_bytes(args, "spki", csr_spki(&csr));
	rec_text(args, "csr-name", csr.name);
	return 0;
}

/* Replaces the argument certificate by the DER of the one certificate in it. */
static int replace_certificate(struct buf *args, struct json_problem *problem)
{
	AUTO_BUF text = {0};
	AUTO_BUF der = {0};
	struct leaf leaf;
	struct why why = {0};
	if (!cut_text(args, "certificate", &text))
		return 0;
	if (leaf_parse(buf_view(&text), &der, &leaf, &why))
		return refuse_field(problem, "certificate", &why);
	rec_bytes(args, "certificate", buf_view(&der));
	return 0;
}

/* Replaces the argument authority by its DER: one certificate that may sign others. */
static int replace_authority(struct buf *args, struct json_problem *problem)
{
	AUTO_BUF text = {0};
	AUTO_BUF der = {0};
	struct leaf leaf;
	struct str label;
	struct why why = {0};
	if (!cut_text(args, "authority", &text))
		return 0;
	struct str rest = buf_view(&text);
	if (pem_next(&rest, &label, &der) || leaf_read(buf_view(&der), &leaf) || !leaf.ca) {
		why_text(&why, "what was given is no certificate of an authority (CA:TRUE) in PEM");
		return refuse_field(problem, "authority", &why);
	}
	rec_bytes(args, "authority", buf_view(&der));
	return 0;
}

static int collect(struct http_request *r, const struct router_match *m, struct buf *args,
		   struct json_problem *problem)
{
	const struct op_spec *spec = op_spec(m->op);
	struct query q = {spec, args, problem, 0};
	int err = take_path(m, spec, args, problem);
	if (!err && (m->op == OP_SESSION_ADD || m->op == OP_SETUP_ADD))
		rec_str(args, "agent", caller_agent(r));
	if (!err)
		http_each_query(r, take_query, &q);
	if (!err)
		err = q.err;
	if (!err)
		err = take_condition(r, spec, args, problem);
	if (!err)
		err = take_body(r, spec, args, problem);
	if (!err)
		err = json_args_complete(spec, buf_view(args), problem);
	if (!err)
		err = replace_csr(args, problem);
	if (!err)
		err = replace_certificate(args, problem);
	if (!err)
		err = replace_authority(args, problem);
	return err;
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
	if (collect(r, m, &args, &problem) || too_large(m->op, &args, &problem))
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
