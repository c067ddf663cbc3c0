/* SPDX-License-Identifier: Apache-2.0
 *
 * Bundles made by the gateway: see bundle.h. A request goes through steps: who asks (a stranger
 * costs no key), where the listeners are, the key, the certificate, the file.
 */
#include "daemon/web/bundle.h"
#include "certs/key.h"
#include "certs/kit.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/share.h"
#include "daemon/web/bundle_make.h"
#include "daemon/web/caller.h"
#include "daemon/web/json.h"
#include "daemon/web/web.h"

#include <stdio.h>
#include <stdlib.h>

enum { RESULT_MAX = 1 * MiB, NUMBER_MAX = 8, BUNDLES_MAX = ASIDE_MAX };

static const struct op_arg own_args[] = {
	{"form", ARG_STR, OPTIONAL, 16,
	 "zip: the files of a bundle (the default); p12: PKCS#12 with AES-256; p12-legacy: PKCS#12 "
	 "in "
	 "the old form (3DES, SHA-1) that old Windows, Android and Java need"},
	{"passphrase", ARG_STR, OPTIONAL, PASSPHRASE_MAX,
	 "of the PKCS#12 file, 8 to 511 bytes; a ZIP file has none"},
	{"key", ARG_STR, OPTIONAL, 8, "P-256 (the default), or RSA: 2048 bits, for old devices"},
	{"host", ARG_STR, OPTIONAL, 255,
	 "the name or address by which the device reaches the gateway (as this request did)"},
	{0},
};
static const struct op_spec own = {"bundle", OPERATOR, CHANGES, own_args};

const struct op_spec *bundle_own_spec(void)
{
	return &own;
}

struct bundle_call {
	struct list node;
	struct link_call call;
	struct aside_job job;
	struct web *web;
	struct http_request *request;
	struct caller caller;
	enum op op;
	uint64_t repeat; /* repeat.h; 0: none */
	bool asking;     /* the store */
	bool sent;       /* the operation, so perhaps it was done */
	enum bundle_form form;
	struct buf args; /* of the operation; a password may be in it */
	struct buf own;  /* of own_args */
	char *device;
	char *host;
	char mqtts[NUMBER_MAX];
	char enrol[NUMBER_MAX];
	struct bundle_key key;
	json_t *certificate;
	struct buf file;
	int err; /* of what was done aside */
	struct why why;
};

/* ---- the end ---- */

static void bundle_free(struct bundle_call *b)
{
	list_remove(&b->node);
	caller_fini(&b->caller);
	secret_buf_fini(&b->args);
	secret_buf_fini(&b->own);
	secret_buf_fini(&b->key.pem);
	secret_buf_fini(&b->file);
	json_decref(b->certificate);
	free(b->device);
	free(b->host);
	free(b);
}

/* The request, which is still to be answered. */
static struct http_request *finish(struct bundle_call *b)
{
	struct http_request *r = b->request;
	if (b->repeat && b->sent)
		repeat_doubt(&b->web->repeats, b->repeat);
	else if (b->repeat)
		repeat_forget(&b->web->repeats, b->repeat);
	bundle_free(b);
	return r;
}

static void give_file(struct bundle_call *b)
{
	struct http_request *r = b->request;
	AUTO_BUF name = {0};
	bundle_file_name(b->device, b->form, &name);
	http_add_file_name(r, buf_cstr(&name));
	if (b->repeat)
		repeat_once(&b->web->repeats, b->repeat);
	http_reply(r, 201, bundle_type(b->form), buf_view(&b->file), NULL);
	bundle_free(b);
}

/* ---- the steps, from the last to the first ---- */

static void made_file(struct aside_job *j)
{
	struct bundle_call *b = container_of(j, struct bundle_call, job);
	if (!b->err) {
		give_file(b);
		return;
	}
	AUTO_CHAR detail = mem_printf("a certificate was issued, and its file cannot be made: %s; "
				      "revoke the certificate",
				      b->why.text);
	api_problem(finish(b), 500, NULL, detail, NULL);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static struct str own_text(const struct bundle_call *b, const char *name)
{
	struct str s = STR("");
	rec_get_str(buf_view(&b->own), name, &s);
	return s;
}

static void make_file(struct aside_job *j)
{
	struct bundle_call *b = container_of(j, struct bundle_call, job);
	const struct bundle_parts parts = {
		.device = b->device,
		.host = b->host,
		.mqtts = b->mqtts,
		.enrol = b->enrol,
		.not_after = text_of(b->certificate, "not_after"),
		.chain = str_of(text_of(b->certificate, "pem")),
		.roots = str_of(text_of(b->certificate, "roots_pem")),
		.key = buf_view(&b->key.pem),
		.passphrase = own_text(b, "passphrase"),
	};
	b->err = bundle_make(&parts, b->form, &b->file, &b->why);
}

/* There is room: no more than BUNDLES_MAX are begun. */
static void give_job(struct bundle_call *b, void (*work)(struct aside_job *),
		     void (*done)(struct aside_job *))
{
	b->job.work = work;
	b->job.done = done;
	CHECK(aside_give(&b->web->aside, &b->job));
}

/* The answer of the store. NULL: the request has been answered. The caller owns the reference. */
static json_t *take_answer(struct bundle_call *b, int err, struct record *reply)
{
	struct body_op_done done;
	json_t *result;
	b->asking = false;
	if (err) {
		api_problem(finish(b), 503, NULL,
			    err == ERR_TIMEOUT ? "the store did not answer in time"
					       : "the store is away; try again in a moment",
			    NULL);
		return NULL;
	}
	if (api_take(reply, RESULT_MAX, &done, &result)) {
		api_problem(finish(b), 500, NULL, "the store's answer cannot be read", NULL);
		return NULL;
	}
	if (done.status != OP_OK) {
		b->sent = false;
		api_refuse(finish(b), &done);
		return NULL;
	}
	return result;
}

static void issued(struct link_call *call, int err, struct record *reply)
{
	struct bundle_call *b = container_of(call, struct bundle_call, call);
	json_t *answer = take_answer(b, err, reply);
	if (!answer)
		return;
	b->certificate = json_incref(json_object_get(answer, "certificate"));
	json_decref(answer);
	if (b->certificate)
		give_job(b, make_file, made_file);
	else
		api_problem(finish(b), 500, NULL, "the store's answer has no certificate", NULL);
}

static void ask(struct bundle_call *b, enum op op, struct str args,
		void (*done)(struct link_call *, int, struct record *))
{
	b->asking = !b->web->stopping && api_ask(b->web, b->request, op, args, &b->call, done);
	b->sent = b->asking && op == b->op;
	if (!b->asking)
		api_problem(finish(b), 503, NULL, "the store is away; try again in a moment", NULL);
}

/* Only the public half goes on. */
static void made_key(struct aside_job *j)
{
	struct bundle_call *b = container_of(j, struct bundle_call, job);
	if (b->err) {
		api_problem(finish(b), 500, NULL, "the key cannot be made", NULL);
		return;
	}
	rec_bytes(&b->args, "spki", str_make(b->key.spki, b->key.spki_n));
	rec_text(&b->args, "csr-name", b->device);
	ask(b, b->op, buf_view(&b->args), issued);
}

static void make_key(struct aside_job *j)
{
	struct bundle_call *b = container_of(j, struct bundle_call, job);
	b->err = bundle_make_key(&b->key);
}

static void take_port(const json_t *listener, char port[NUMBER_MAX])
{
	const char *colon = strrchr(text_of(listener, "address"), ':');
	if (colon)
		snprintf(port, NUMBER_MAX, "%s", colon + 1);
}

/* Where a token may not ask for the status, the ports are those of an installation. */
static void take_place(struct bundle_call *b, const json_t *status)
{
	size_t i;
	const json_t *l;
	bool found = false;
	snprintf(b->mqtts, sizeof(b->mqtts), "8883");
	snprintf(b->enrol, sizeof(b->enrol), "8444");
	if (!b->host)
		b->host = mem_strdup(status ? text_of(status, "name") : "localhost");
	json_array_foreach(json_object_get(status, "listeners"), i, l)
	{
		if (strcmp(text_of(l, "name"), "enrol") == 0)
			take_port(l, b->enrol);
		if (!found && strncmp(text_of(l, "protocol"), "mqtts", 5) == 0) {
			take_port(l, b->mqtts);
			found = true;
		}
	}
}

static void told_place(struct link_call *call, int err, struct record *reply)
{
	struct bundle_call *b = container_of(call, struct bundle_call, call);
	struct body_op_done done;
	json_t *status = NULL;
	b->asking = false;
	if (!err)
		api_take(reply, RESULT_MAX, &done, &status);
	take_place(b, status);
	json_decref(status);
	give_job(b, make_key, made_key);
}

/* Whose level is too low is asked for at once: the store refuses it, and writes it down. */
static void told_who(struct link_call *call, int err, struct record *reply)
{
	struct bundle_call *b = container_of(call, struct bundle_call, call);
	json_t *who = take_answer(b, err, reply);
	if (!who)
		return;
	const bool may = api_has_level(who, OPERATOR);
	json_decref(who);
	if (may)
		ask(b, OP_STATUS, STR(""), told_place);
	else
		ask(b, b->op, buf_view(&b->args), issued);
}

/* ---- the request ---- */

static int refuse(struct json_problem *problem, const char *field, const char *why)
{
	snprintf(problem->field, sizeof(problem->field), "%s", field);
	snprintf(problem->why, sizeof(problem->why), "%s", why);
	return ERR_INVALID;
}

static int judge_form(struct bundle_call *b, struct json_problem *problem)
{
	static const char *const forms[] = {"zip", "p12", "p12-legacy"};
	const struct str form = own_text(b, "form");
	const struct str passphrase = own_text(b, "passphrase");
	size_t i = 0;
	while (form.n && i < ARRAY_LEN(forms) && !str_is(form, forms[i]))
		i++;
	if (i == ARRAY_LEN(forms))
		return refuse(problem, "form", "form must be zip, p12 or p12-legacy");
	b->form = (enum bundle_form)i;
	if (b->form == BUNDLE_ZIP)
		return passphrase.n ? refuse(problem, "passphrase",
					     "passphrase is for p12: a ZIP file has none")
				    : 0;
	if (passphrase.n < PASSPHRASE_MIN || str_has_control(passphrase)) {
		char why[100];
		snprintf(why, sizeof(why),
			 "passphrase must be %d to %d bytes without control characters",
			 PASSPHRASE_MIN, PASSPHRASE_MAX);
		return refuse(problem, "passphrase", why);
	}
	return 0;
}

static int judge_key(struct bundle_call *b, struct json_problem *problem)
{
	const struct str key = own_text(b, "key");
	b->key.kind = str_is(key, "RSA") ? "RSA" : "P-256";
	if (key.n && !str_is(key, b->key.kind))
		return refuse(problem, "key", "key must be P-256 or RSA");
	return 0;
}

/* As the browser reached it, unless it was told. */
static int judge_host(struct bundle_call *b, struct json_problem *problem)
{
	struct str host = own_text(b, "host");
	if (host.n && !kit_is_host(host))
		return refuse(problem, "host", "host must be a host name or an address");
	const struct str reached = http_header(b->request, "Host");
	if (!host.n && reached.n && child_self(b->web->child) == PROCESS_ADMIN) {
		host = reached;
		const size_t n = host.n && host.p[0] == '[' ? 0 : host.n;
		struct str rest = n ? host : str_make(host.p + 1, host.n ? host.n - 1 : 0);
		host = str_split(&rest, n ? ':' : ']');
	}
	if (kit_is_host(host))
		b->host = str_dup(host);
	return 0;
}

static int judge_device(struct bundle_call *b, struct json_problem *problem)
{
	const char *arg = b->op == OP_DEVICE_ADD ? "name" : "device";
	struct str name;
	struct why why = {0};
	if (!rec_get_str(buf_view(&b->args), arg, &name))
		return refuse(problem, arg, "name is missing");
	if (device_name_check(name, &why))
		return refuse(problem, arg, why.text);
	b->device = str_dup(name);
	return 0;
}

/* What is of own_args goes into b->own, the rest are arguments of the operation. */
static int take_arguments(struct bundle_call *b, json_t *body, struct json_problem *problem)
{
	json_t *mine = json_object();
	for (const struct op_arg *a = own_args; a->name; a++) {
		json_t *value = json_object_get(body, a->name);
		if (value)
			json_object_set(mine, a->name, value);
		json_object_del(body, a->name);
	}
	int err = json_args(&own, mine, &b->own, problem);
	json_decref(mine);
	if (!err && json_object_get(body, "csr"))
		err = refuse(problem, "csr",
			     "csr is not for a bundle, whose key the gateway makes: use "
			     "POST /api/v1/devices");
	if (!err)
		err = json_args(op_spec(b->op), body, &b->args, problem);
	return err;
}

static int take_body(struct bundle_call *b, struct json_problem *problem)
{
	json_error_t error;
	const struct str body = http_body(b->request);
	const bool empty = str_trim(body).n == 0;
	json_t *j =
		empty ? json_object() : json_loadb(body.p, body.n, JSON_REJECT_DUPLICATES, &error);
	int err = json_is_object(j) ? take_arguments(b, j, problem)
				    : refuse(problem, "", "the body must be a JSON object");
	json_decref(j);
	err = err ? err : judge_device(b, problem);
	err = err ? err : judge_form(b, problem);
	err = err ? err : judge_key(b, problem);
	return err ? err : judge_host(b, problem);
}

/* The passphrase is no part of what a repeated request is known by: nothing of it is kept. */
static bool begin(struct bundle_call *b)
{
	AUTO_SECRET what = {0};
	const struct str own_parts[] = {own_text(b, "form"), own_text(b, "key"),
					own_text(b, "host")};
	buf_puts(&what, "bundle");
	for (size_t i = 0; i < ARRAY_LEN(own_parts); i++)
		buf_printf(&what, " %.*s", STR_ARG(own_parts[i]));
	buf_putc(&what, '\n');
	buf_str(&what, buf_view(&b->args));
	return api_begin(b->web, b->request, b->op, buf_view(&what), &b->repeat);
}

static void start(struct web *w, struct http_request *r, const struct caller *caller, enum op op,
		  struct str device)
{
	struct json_problem problem = {0};
	AUTO_BUF name = {0};
	struct bundle_call *b = mem_new(struct bundle_call);
	b->web = w;
	b->request = r;
	b->caller = *caller;
	b->op = op;
	list_append(&w->bundles, &b->node);
	int err = 0;
	if (op == OP_CERT_ADD) {
		err = http_decode(device, false, &name);
		err = err ? refuse(&problem, "device", "the path is not percent-encoded UTF-8")
			  : json_arg_text(op_spec(op), STR("device"), buf_view(&name), &b->args,
					  &problem);
	}
	if (err || take_body(b, &problem))
		api_problem(finish(b), 400, problem.field, problem.why, NULL);
	else if (!begin(b))
		bundle_free(b);
	else
		ask(b, OP_SESSION_SHOW, STR(""), told_who);
}

/* The device of ".../devices/{device}/bundle"; false: another path. */
static bool take_path(struct str path, struct str *device)
{
	const struct str before = STR("/api/v1/devices/");
	const struct str after = STR("/bundle");
	if (!str_prefix(path, before) || path.n <= before.n + after.n)
		return false;
	*device = str_make(path.p + before.n, path.n - before.n - after.n);
	return str_eq(str_make(device->p + device->n, after.n), after) &&
	       !memchr(device->p, '/', device->n);
}

/* Nobody takes the last place from others. */
static bool has_room(const struct web *w, const struct caller *c)
{
	size_t mine = 0, all = 0;
	list_each (it, &w->bundles) {
		mine += caller_same(&list_entry(it, struct bundle_call, node)->caller, c);
		all++;
	}
	return share_has_room(mine, all, BUNDLES_MAX);
}

static void ask_for_patience(struct http_request *r)
{
	http_add_header(r, "Retry-After", "1");
	api_problem(r, 429, NULL, "too many bundles are being made: try again in a moment", NULL);
}

static void begin_as(struct web *w, struct http_request *r, enum op op, struct str device)
{
	struct caller caller = {0};
	caller_take(r, child_self(w->child) == PROCESS_CTL, &caller);
	if (has_room(w, &caller)) {
		start(w, r, &caller, op, device);
	} else {
		caller_fini(&caller);
		ask_for_patience(r);
	}
}

bool bundle_handle(struct web *w, struct http_request *r)
{
	struct str device = STR("");
	const bool adds = str_is(http_path(r), BUNDLES_PATH);
	if (!adds && !take_path(http_path(r), &device))
		return false;
	if (strcmp(http_method(r), "POST") != 0)
		api_problem(r, 405, NULL, "this resource does not know this method", "POST");
	else if (caller_is_foreign(r))
		api_problem(r, 403, NULL, "a page of another origin may not ask for this", NULL);
	else if (api_takes_type(r))
		begin_as(w, r, adds ? OP_DEVICE_ADD : OP_CERT_ADD, device);
	return true;
}

void bundle_stop(struct web *w)
{
	aside_stop(&w->aside);
	list_each_safe (it, &w->bundles) {
		struct bundle_call *b = list_entry(it, struct bundle_call, node);
		if (!b->asking)
			continue;
		link_call_cancel(&b->call);
		api_problem(finish(b), 503, NULL, "the gateway stops", NULL);
	}
}
