/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolment with JSON: see enrol_rest.h. The request is judged here, the authority by the store.
 * RFC 9457 for refusals.
 */
#include "daemon/web/enrol_rest.h"
#include "certs/csr.h"
#include "certs/csr_attributes.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/net/tls_digest.h"
#include "daemon/web/est_enrol.h"
#include "daemon/web/json.h"
#include "daemon/web/web.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define REST_PATH "/api/v1/enrol"

enum { ASK_TIMEOUT_MS = 15000, AWAY_RETRY_S = 5, SECRET_MAX = 1024, LABEL_MAX = 64 };

/* A request that waits for the store: for its verdict, then for the roots. */
struct rest_call {
	struct list node;
	struct link_call call;
	struct web *web;
	struct http_request *request;
	struct buf answer; /* a rec, and the chain so far */
	struct buf chain;
	unsigned char key[SHA256_SIZE]; /* SHA-256 of the public key */
};

/* What the body says; the texts live as long as the JSON. */
struct rest_body {
	struct str csr;
	struct str code;
	struct str password;
	struct str profile;
	struct str certificate; /* by TLS */
};

static void add_retry_after(struct http_request *r, uint32_t seconds)
{
	char text[16];
	snprintf(text, sizeof(text), "%u", seconds);
	if (seconds)
		http_add_header(r, "Retry-After", text);
}

static struct http_request *finish(struct rest_call *c)
{
	struct http_request *r = c->request;
	list_remove(&c->node);
	buf_fini(&c->answer);
	buf_fini(&c->chain);
	free(c);
	return r;
}

static void away(struct http_request *r)
{
	add_retry_after(r, AWAY_RETRY_S);
	api_problem(r, 503, NULL, "nothing can be issued now; try again", NULL);
}

/* Refused before the store was asked. */
static void refuse(struct web *w, struct http_request *r, unsigned status, const char *field,
		   const char *why)
{
	const struct body_event event = {
		.address = str_of(http_source(r)),
		.listener = STR("enrol"),
		.reason = str_of(why),
	};
	report_event(&w->report, EVENT_ENROL_REFUSED, &event);
	api_problem(r, status, field, why, status == 405 ? "POST" : NULL);
}

/* ---- the way back ---- */

static void put_certificate(struct rest_call *c, const struct body_enrol_done *done)
{
	unsigned char fp[SHA256_SIZE];
	struct leaf leaf;
	rec_str(&c->answer, "device", done->device);
	rec_object(&c->answer, "certificate");
	tls_sha256(done->der, fp);
	rec_bytes(&c->answer, "fingerprint", str_make(fp, sizeof(fp)));
	if (leaf_read(done->der, &leaf) == 0) {
		rec_bytes(&c->answer, "serial", leaf_serial(&leaf));
		rec_time(&c->answer, "not_before", leaf.not_before * 1000);
		rec_time(&c->answer, "not_after", leaf.not_after * 1000);
	}
	pem_put("CERTIFICATE", done->der, &c->chain);
	if (done->issuer.n)
		pem_put("CERTIFICATE", done->issuer, &c->chain);
	rec_str(&c->answer, "pem", buf_view(&c->chain));
}

static void put_roots(struct str list, struct buf *out)
{
	struct cur cur = cur_of(list);
	struct str entry;
	while (entries_next(&cur, &entry)) {
		struct body_authority a;
		if (body_authority_get(entry, &a) == 0 && a.kind == CA_ROOT)
			pem_put("CERTIFICATE", a.der, out);
	}
}

static void got_roots(struct link_call *call, int err, struct record *reply)
{
	struct rest_call *c = container_of(call, struct rest_call, call);
	struct body_authorities b;
	AUTO_BUF roots = {0};
	/* Without them the certificate is still worth having. */
	if (!err && body_authorities_get(reply->body, &b) == 0)
		put_roots(b.certificates, &roots);
	rec_str(&c->answer, "roots_pem", buf_view(&roots));
	rec_end(&c->answer);
	AUTO_BUF answer = c->answer;
	c->answer = (struct buf){0};
	api_reply(finish(c), 201, buf_view(&answer));
}

static void pending(struct rest_call *c, uint32_t retry_after_s)
{
	AUTO_BUF answer = {0};
	rec_text(&answer, "state", "pending");
	rec_bytes(&answer, "key", str_make(c->key, sizeof(c->key)));
	rec_int(&answer, "retry_after", retry_after_s);
	struct http_request *r = finish(c);
	add_retry_after(r, retry_after_s);
	api_reply(r, 202, buf_view(&answer));
}

static unsigned http_status(uint8_t status)
{
	switch (status) {
	case ENROL_BAD:
		return 400;
	case ENROL_UNAUTHENTICATED:
		return 401;
	case ENROL_FORBIDDEN:
		return 403;
	case ENROL_UNKNOWN_LABEL:
		return 404;
	case ENROL_CONFLICT:
		return 409;
	case ENROL_BUSY:
		return 429;
	default:
		return 503;
	}
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct rest_call *c = container_of(call, struct rest_call, call);
	struct link *store = c->web->store;
	struct body_enrol_done done;
	if (err || !store || body_enrol_done_get(reply->body, &done)) {
		away(finish(c));
	} else if (done.status == ENROL_PENDING) {
		pending(c, done.retry_after_s);
	} else if (done.status != ENROL_OK) {
		AUTO_CHAR why = str_dup(done.why);
		struct http_request *r = finish(c);
		add_retry_after(r, done.retry_after_s);
		api_problem(r, http_status(done.status), NULL, why, NULL);
	} else {
		put_certificate(c, &done);
		const struct body_authorities_get ask = {};
		LINK_ASK(store, &c->call, AUTHORITIES_GET, authorities_get, -1, &ask,
			 ASK_TIMEOUT_MS, got_roots);
	}
}

/* ---- the way there ---- */

static void ask_store(struct web *w, struct http_request *r, const struct rest_body *body,
		      struct str der, const struct csr *csr)
{
	unsigned char hash[SHA256_SIZE];
	if (!w->store) {
		away(r);
		return;
	}
	tls_sha256(der, hash);
	struct rest_call *c = mem_new(struct rest_call);
	c->web = w;
	c->request = r;
	tls_sha256(csr_spki(csr), c->key);
	list_append(&w->enrolling, &c->node);
	const struct body_enrol ask = {
		.what = ENROL_FIRST,
		.user = body->password.n ? str_of(csr->name) : STR(""),
		.secret = body->password.n ? body->password : body->code,
		.certificate = body->certificate,
		.source = str_of(http_source(r)),
		.name = str_of(csr->name),
		.spki = csr_spki(csr),
		.csr_hash = str_make(hash, sizeof(hash)),
		.label = body->profile,
		.via = STR("rest"),
	};
	LINK_ASK(w->store, &c->call, ENROL, enrol, -1, &ask, ASK_TIMEOUT_MS, answered);
}

static bool take_field(struct rest_body *out, const char *key, const json_t *value,
		       const char **why)
{
	const struct {
		const char *name;
		struct str *to;
		size_t max;
	} fields[] = {
		{"csr", &out->csr, 2 * CSR_MAX},
		{"code", &out->code, SECRET_MAX},
		{"password", &out->password, SECRET_MAX},
		{"profile", &out->profile, LABEL_MAX},
	};
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (strcmp(key, fields[i].name) != 0)
			continue;
		*fields[i].to = str_make(json_string_value(value), json_string_length(value));
		*why = !json_is_string(value)            ? "it must be a string"
		       : fields[i].to->n > fields[i].max ? "it is too long"
							 : NULL;
		return *why == NULL;
	}
	*why = "there is no such field: csr, and code or password, and profile are known";
	return false;
}

/* False: *field and *why say what is wrong. */
static bool take_fields(json_t *json, struct rest_body *out, const char **field, const char **why)
{
	const char *key;
	json_t *value;
	json_object_foreach(json, key, value)
	{
		*field = key;
		if (!take_field(out, key, value, why))
			return false;
	}
	*field = "csr";
	*why = "it is missing: a certificate signing request, PEM or base64";
	if (!out->csr.n)
		return false;
	*field = "password";
	*why = "give a code or the password of the device, not both";
	return !(out->code.n && out->password.n);
}

/* As EST asks it: or what enrol.require-binding demands there would be had here without. */
static unsigned check_binding(struct web *w, struct http_request *r, struct str der,
			      struct why *why)
{
	struct csr_attributes attributes;
	if (csr_attributes_read(der, &attributes, why))
		return 400;
	return est_check_binding(&w->est, r, attributes.challenge, why);
}

static void take_json(struct web *w, struct http_request *r, json_t *json)
{
	struct rest_body body = {.csr = {NULL, 0}};
	struct csr csr;
	struct why text = {0};
	const char *field = NULL;
	const char *why = "the body must be a JSON object with csr and code";
	AUTO_BUF der = {0};
	if (anchors_client(&w->est.anchors, r, false, &body.certificate, &text))
		refuse(w, r, 403, NULL, text.text);
	else if (!json_is_object(json) || !take_fields(json, &body, &field, &why))
		refuse(w, r, 400, field, why);
	else if (csr_der(body.csr, &der))
		refuse(w, r, 400, "csr", "it is no certificate signing request in PEM or base64");
	else if (check_binding(w, r, buf_view(&der), &text) ||
		 csr_parse(buf_view(&der), &csr, &text))
		refuse(w, r, 400, "csr", text.text);
	else
		ask_store(w, r, &body, buf_view(&der), &csr);
}

static bool is_json(struct str type)
{
	static const char json[] = "application/json";
	const struct str word = str_trim(str_split(&type, ';'));
	return word.n == sizeof(json) - 1 && strncasecmp(word.p, json, word.n) == 0;
}

/* The texts of the JSON are secrets: its memory is wiped as far as it is ours. */
static void drop(json_t *json)
{
	static const char *const secrets[] = {"code", "password"};
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		const json_t *text = json_object_get(json, secrets[i]);
		if (json_is_string(text))
			secret_wipe((void *)(uintptr_t)json_string_value(text),
				    json_string_length(text));
	}
	json_decref(json);
}

bool enrol_rest_page(struct web *w, struct http_request *r)
{
	json_error_t error;
	const struct str body = http_body(r);
	if (!str_is(http_path(r), REST_PATH))
		return false;
	if (strcmp(http_method(r), "POST") != 0) {
		refuse(w, r, 405, NULL, "send the certificate request with POST");
	} else if (!is_json(http_header(r, "Content-Type"))) {
		refuse(w, r, 415, NULL, "the Content-Type must be application/json");
	} else {
		json_t *json =
			json_loadb(body.p ? body.p : "", body.n, JSON_REJECT_DUPLICATES, &error);
		take_json(w, r, json);
		drop(json);
	}
	return true;
}

void enrol_rest_stop(struct web *w)
{
	while (!list_empty(&w->enrolling)) {
		struct rest_call *c = list_entry(w->enrolling.next, struct rest_call, node);
		link_call_cancel(&c->call);
		away(finish(c));
	}
}
