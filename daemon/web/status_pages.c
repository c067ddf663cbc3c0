/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists and OCSP for everyone: see status_pages.h.
 */
#include "daemon/web/status_pages.h"
#include "certs/ocsp.h"
#include "daemon/base/base64.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/web/web.h"

#include <stdlib.h>

enum { ASK_MS = 10000, LIST_MAX = 128 * MiB, NAME_MAX_CRL = 64 };

#define TYPE_LIST "application/pkix-crl"
#define TYPE_PEM  "application/x-pem-file"
#define TYPE_OCSP "application/ocsp-response"
#define ALL_LISTS "all.pem"

struct status_ask {
	struct list node;
	struct link_call call;
	struct web *web;
	struct http_request *request;
	bool all; /* the lists, in PEM */
};

void status_pages_init(struct status_pages *s)
{
	list_init(&s->asks);
}

static struct http_request *finish(struct status_ask *a)
{
	struct http_request *r = a->request;
	list_remove(&a->node);
	a->web->status.n--;
	free(a);
	return r;
}

/* NULL: answered that it is too much, or that the store is away. */
static struct status_ask *begin(struct web *w, struct http_request *r)
{
	if (!w->store || w->status.n == STATUS_ASKS_MAX) {
		api_problem(r, 503, NULL, "this cannot be answered now; try again in a moment",
			    NULL);
		return NULL;
	}
	struct status_ask *a = mem_new(struct status_ask);
	a->web = w;
	a->request = r;
	list_append(&w->status.asks, &a->node);
	w->status.n++;
	return a;
}

/* ---- lists ---- */

static void got_list(struct link_call *call, int err, struct record *reply)
{
	struct status_ask *a = container_of(call, struct status_ask, call);
	struct body_crl_get_done done;
	AUTO_BUF list = {0};
	const char *type = a->all ? TYPE_PEM : TYPE_LIST;
	struct http_request *r = finish(a);
	if (err || body_crl_get_done_get(reply->body, &done))
		api_problem(r, 503, NULL, "the store is away; try again in a moment", NULL);
	else if (!done.found)
		api_problem(r, 404, NULL, "there is no such list: gatehouse ca crl names them",
			    NULL);
	else if (memfd_read(reply->fd, LIST_MAX, &list))
		api_problem(r, 500, NULL, "the list cannot be read", NULL);
	else
		http_reply(r, 200, type, buf_view(&list), NULL);
}

static void serve_list(struct web *w, struct http_request *r, struct str name)
{
	if (strcmp(http_method(r), "GET") != 0) {
		api_problem(r, 405, NULL, "this resource is only read", "GET");
		return;
	}
	if (name.n == 0 || name.n > NAME_MAX_CRL) {
		api_problem(r, 404, NULL, "there is no such list: gatehouse ca crl names them",
			    NULL);
		return;
	}
	struct status_ask *a = begin(w, r);
	if (!a)
		return;
	a->all = str_is(name, ALL_LISTS);
	const struct body_crl_get body = {a->all ? STR("") : name};
	LINK_ASK(w->store, &a->call, CRL_GET, crl_get, -1, &body, ASK_MS, got_list);
}

/* ---- OCSP ---- */

static void refuse_ocsp(struct http_request *r, enum ocsp_response status)
{
	AUTO_BUF der = {0};
	ocsp_error(status, &der);
	http_reply(r, 200, TYPE_OCSP, buf_view(&der), NULL);
}

static void got_answer(struct link_call *call, int err, struct record *reply)
{
	struct status_ask *a = container_of(call, struct status_ask, call);
	struct body_ocsp_done done;
	struct http_request *r = finish(a);
	if (err || body_ocsp_done_get(reply->body, &done))
		refuse_ocsp(r, OCSP_TRY_LATER);
	else if (done.status != OCSP_SUCCESSFUL)
		refuse_ocsp(r, (enum ocsp_response)done.status);
	else
		http_reply(r, 200, TYPE_OCSP, done.der, NULL);
}

static enum ocsp_response refusal(int err)
{
	switch (err) {
	case ERR_INVALID:
		return OCSP_NOT_OURS;
	default:
		return OCSP_MALFORMED;
	}
}

static void ask_ocsp(struct web *w, struct http_request *r, struct str der)
{
	struct ocsp_request request;
	AUTO_BUF questions = {0};
	const int err = ocsp_request_read(der, &request);
	if (err) {
		refuse_ocsp(r, refusal(err));
		return;
	}
	for (size_t i = 0; i < request.n; i++) {
		const struct ocsp_question *q = &request.question[i];
		const struct body_ocsp_question one = {q->sha1, q->name_hash, q->key_hash,
						       q->serial};
		ENTRIES_PUT(&questions, ocsp_question, &one);
	}
	struct status_ask *a = begin(w, r);
	if (!a)
		return;
	const struct body_ocsp body = {request.nonce, buf_view(&questions)};
	LINK_ASK(w->store, &a->call, OCSP, ocsp, -1, &body, ASK_MS, got_answer);
}

/* The path behind /ocsp/: base64, whose "/" and "+" some clients escape and others do not. */
static void ask_by_path(struct web *w, struct http_request *r, struct str path)
{
	AUTO_BUF text = {0};
	AUTO_BUF der = {0};
	if (http_decode(path, false, &text) ||
	    base64_decode(buf_view(&text), BASE64_UNPADDED, &der))
		refuse_ocsp(r, OCSP_MALFORMED);
	else
		ask_ocsp(w, r, buf_view(&der));
}

static void serve_ocsp(struct web *w, struct http_request *r, struct str rest)
{
	const bool post = strcmp(http_method(r), "POST") == 0;
	if (post && rest.n == 0)
		ask_ocsp(w, r, http_body(r));
	else if (strcmp(http_method(r), "GET") == 0 && rest.n)
		ask_by_path(w, r, rest);
	else
		api_problem(r, 405, NULL,
			    "an OCSP request comes by POST, or by GET with the request in the path",
			    "GET, POST");
}

static bool below(struct str path, struct str prefix, struct str *rest)
{
	if (!str_prefix(path, prefix))
		return false;
	*rest = str_make(path.p + prefix.n, path.n - prefix.n);
	return true;
}

bool status_page(struct web *w, struct http_request *r)
{
	struct str rest = STR("");
	const struct str path = http_path(r);
	if (below(path, STR("/crl/"), &rest))
		serve_list(w, r, rest);
	else if (str_is(path, "/ocsp") || below(path, STR("/ocsp/"), &rest))
		serve_ocsp(w, r, rest);
	else
		return false;
	return true;
}

void status_pages_stop(struct web *w)
{
	while (!list_empty(&w->status.asks)) {
		struct status_ask *a = list_entry(w->status.asks.next, struct status_ask, node);
		link_call_cancel(&a->call);
		api_problem(finish(a), 503, NULL, "the gateway stops", NULL);
	}
}
