/* SPDX-License-Identifier: Apache-2.0
 *
 * One POST of EST: see est_enrol.h. In this order: the form, who asks (nobody, where nobody may:
 * 401 before anything costs a signature check), the channel binding, the request itself, and for a
 * renewal whether it is for the same subject. RFC 7030 3.2.3, 3.5, 4.2, 4.4.
 */
#include "daemon/web/est_enrol.h"
#include "certs/csr.h"
#include "certs/csr_attributes.h"
#include "certs/pkcs7.h"
#include "certs/request.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/net/tls_digest.h"
#include "daemon/web/est_reply.h"
#include "daemon/web/http_tls.h"

#include <stdlib.h>

enum { ASK_TIMEOUT_MS = 15000, AWAY_RETRY_S = 5 };

/* A request while it is judged. */
struct est_post {
	struct est *est;
	struct http_request *request;
	enum est_op op;
	struct str label;
	int body_err;
	struct buf der; /* of the CSR */
	struct csr_attributes attributes;
	struct buf basic; /* behind user and secret */
	struct str user;
	struct str secret;
	struct str certificate; /* that the client showed; its chain is good */
	struct csr csr;
	struct buf key; /* made here, PKCS#8 */
};

/* A request that waits for the store. */
struct est_call {
	struct list node;
	struct link_call call;
	struct http_request *request;
	struct buf key;
};

static void post_fini(struct est_post *p)
{
	buf_fini(&p->der);
	secret_buf_fini(&p->basic);
	secret_buf_fini(&p->key);
}

static void call_free(struct est_call *c)
{
	list_remove(&c->node);
	secret_buf_fini(&c->key);
	free(c);
}

/* Who it claims to be, for events. */
/* What is as long as a code may be one, typed into the wrong field: it must not reach a log. */
static struct str actor_of(const struct est_post *p)
{
	enum { CODE_LETTERS = 32 };
	return p->user.n && p->user.n < CODE_LETTERS ? p->user : str_of(p->csr.name);
}

/* The status with which it is refused, 0 when it passed. */
typedef unsigned step(struct est_post *p, struct why *why);

static unsigned refuse(unsigned status, struct why *why, const char *text)
{
	why_text(why, "%s", text);
	return status;
}

static unsigned check_type(struct est_post *p, struct why *why)
{
	if (est_is_pkcs10(http_header(p->request, "Content-Type")))
		return 0;
	return refuse(415, why, "the Content-Type must be application/pkcs10");
}

/* What is wrong with the body is told to those who have something to show. */
static unsigned read_body(struct est_post *p, struct why *why)
{
	(void)why;
	p->body_err = csr_der(http_body(p->request), &p->der);
	if (!p->body_err)
		p->body_err = csr_attributes_read(buf_view(&p->der), &p->attributes, NULL);
	return 0;
}

/* Code or password: HTTP Basic, else a challengePassword that is no channel binding. */
static unsigned read_secret(struct est_post *p, struct why *why)
{
	const struct str challenge = p->attributes.challenge;
	const int err = est_basic(http_header(p->request, "Authorization"), &p->basic, &p->user,
				  &p->secret);
	if (err == ERR_MALFORMED)
		return refuse(401, why, "the Authorization field is damaged or too long");
	if (err && challenge.n && challenge.n <= EST_SECRET_MAX && !est_is_binding(challenge))
		p->secret = challenge;
	return 0;
}

/* Expired ones may still renew, where the profile says so: the store judges that. */
static unsigned read_certificate(struct est_post *p, struct why *why)
{
	return anchors_client(&p->est->anchors, p->request, p->op == EST_SIMPLE_AGAIN,
			      &p->certificate, why);
}

static unsigned check_authority(struct est_post *p, struct why *why)
{
	if (p->op == EST_SIMPLE_AGAIN && !p->certificate.n)
		return refuse(403, why,
			      "a renewal needs the current certificate as TLS client certificate");
	if (!p->certificate.n && !p->secret.n && !p->est->settings.strangers)
		return refuse(401, why,
			      "give an enrolment code or password by HTTP Basic, or a client "
			      "certificate");
	return 0;
}

static unsigned check_form(struct est_post *p, struct why *why)
{
	return p->body_err
		       ? refuse(400, why, "the body is no certificate request (PKCS#10) in base64")
		       : 0;
}

unsigned est_check_binding(const struct est *est, const struct http_request *r,
			   struct str challenge, struct why *why)
{
	const struct http_tls_peer *peer = http_tls_peer(r);
	bool bound = false;
	if (peer && est_is_binding(challenge)) {
		bound = est_binding_is(challenge, str_make(peer->binding, peer->binding_n));
		if (!bound)
			return refuse(400, why,
				      "the challengePassword binds the request to another TLS "
				      "session than this one");
	}
	if (est->settings.require_binding && !bound)
		return refuse(400, why,
			      "the request must carry the TLS channel binding in its "
			      "challengePassword");
	return 0;
}

static unsigned check_binding(struct est_post *p, struct why *why)
{
	return est_check_binding(p->est, p->request, p->attributes.challenge, why);
}

static unsigned check_request(struct est_post *p, struct why *why)
{
	return csr_parse(buf_view(&p->der), &p->csr, why) ? 400 : 0;
}

static unsigned check_same(struct est_post *p, struct why *why)
{
	if (p->op != EST_SIMPLE_AGAIN)
		return 0;
	return csr_renews(&p->attributes, p->certificate, why) ? 400 : 0;
}

/* The request's own key is proven and then not used. */
static unsigned make_key(struct est_post *p, struct why *why)
{
	if (p->op != EST_SERVERKEYGEN)
		return 0;
	if (p->attributes.wants_encrypted_key)
		return refuse(400, why,
			      "a private key is not encrypted beyond TLS; leave "
			      "DecryptKeyIdentifier out");
	p->csr.spki_len = sizeof(p->csr.spki);
	if (request_key(p->csr.key.kind, &p->key, p->csr.spki, &p->csr.spki_len))
		return refuse(500, why, "the key could not be made");
	return 0;
}

static step *const steps[] = {
	check_type, read_body,     read_secret,   read_certificate, check_authority,
	check_form, check_binding, check_request, check_same,       make_key,
};

static unsigned judge(struct est_post *p, struct why *why)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		const unsigned status = steps[i](p, why);
		if (status)
			return status;
	}
	return 0;
}

static void send_certificate(struct est_call *c, struct str certificate)
{
	AUTO_BUF envelope = {0};
	AUTO_SECRET body = {0};
	pkcs7_certs_only(&certificate, 1, &envelope);
	if (!c->key.n) {
		est_reply_base64(c->request, "application/pkcs7-mime; smime-type=certs-only",
				 buf_view(&envelope));
		return;
	}
	est_put_key_and_certificate(buf_view(&c->key), buf_view(&envelope),
				    est_wants_lines(http_header(c->request, "User-Agent")), &body);
	http_reply(c->request, 200, "multipart/mixed; boundary=" EST_BOUNDARY, buf_view(&body),
		   NULL);
}

static unsigned http_status(uint8_t status)
{
	static const unsigned statuses[] = {
		[ENROL_OK] = 200,        [ENROL_PENDING] = 202,
		[ENROL_BAD] = 400,       [ENROL_UNAUTHENTICATED] = 401,
		[ENROL_FORBIDDEN] = 403, [ENROL_UNKNOWN_LABEL] = 404,
		[ENROL_CONFLICT] = 409,  [ENROL_BUSY] = 429,
		[ENROL_LOCKED] = 503,
	};
	return status < ARRAY_LEN(statuses) ? statuses[status] : 500;
}

static void send_verdict(struct est_call *c, const struct body_enrol_done *done)
{
	AUTO_CHAR why = str_dup(done->why);
	const unsigned status = http_status(done->status);
	if (status == 200)
		send_certificate(c, done->der);
	else if (status == 202)
		est_reply_pending(c->request, done->retry_after_s);
	else
		est_reply_text(c->request, status, why, done->retry_after_s, NULL);
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct est_call *c = container_of(call, struct est_call, call);
	struct body_enrol_done done;
	if (err)
		est_reply_text(c->request, 503, "nothing can be issued now; try again",
			       AWAY_RETRY_S, NULL);
	else if (body_enrol_done_get(reply->body, &done))
		est_reply_text(c->request, 500, "the store's answer cannot be read", 0, NULL);
	else
		send_verdict(c, &done);
	call_free(c);
}

static void ask_store(struct est_post *p)
{
	unsigned char hash[SHA256_SIZE];
	struct est *est = p->est;
	tls_sha256(buf_view(&p->der), hash);
	const struct body_enrol ask = {
		.what = p->op == EST_SIMPLE_AGAIN ? ENROL_RENEW : ENROL_FIRST,
		.user = p->user,
		.secret = p->secret,
		.certificate = p->certificate,
		.source = str_of(http_source(p->request)),
		.name = str_of(p->csr.name),
		.spki = csr_spki(&p->csr),
		.csr_hash = str_make(hash, sizeof(hash)),
		.label = p->label,
		.via = p->op == EST_SERVERKEYGEN ? STR("keygen") : STR("est"),
	};
	if (!est->store) {
		est_reply_text(p->request, 503, "nothing can be issued now; try again",
			       AWAY_RETRY_S, NULL);
		return;
	}
	struct est_call *c = mem_new(struct est_call);
	c->request = p->request;
	c->key = p->key;
	p->key = (struct buf){0};
	list_append(&est->pending, &c->node);
	LINK_ASK(est->store, &c->call, ENROL, enrol, -1, &ask, ASK_TIMEOUT_MS, answered);
}

void est_enrol(struct est *est, struct http_request *r, enum est_op op, struct str label)
{
	struct est_post p = {.est = est, .request = r, .op = op, .label = label};
	struct why why = {0};
	const unsigned status = judge(&p, &why);
	if (status == 401 && !http_header(r, "Authorization").n)
		est_reply_empty(est, r, why.text);
	else if (status)
		est_refuse(est, r, status, actor_of(&p), &why);
	else
		ask_store(&p);
	post_fini(&p);
}

void est_stop(struct est *est)
{
	while (!list_empty(&est->pending)) {
		struct est_call *c = list_entry(est->pending.next, struct est_call, node);
		link_call_cancel(&c->call);
		est_reply_text(c->request, 503, "the gateway stops", AWAY_RETRY_S, NULL);
		call_free(c);
	}
}
