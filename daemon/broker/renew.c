/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates over MQTT: see renew.h.
 */
#include "daemon/broker/renew.h"
#include "certs/csr.h"
#include "certs/csr_attributes.h"
#include "certs/pem.h"
#include "daemon/acl/acl.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "daemon/broker/control.h"
#include "daemon/broker/session.h"
#include "daemon/net/tls_digest.h"

#include <stdio.h>
#include <stdlib.h>

#define TOPIC_REQUEST "$gw/pki/csr"
#define TOPIC_ANSWER  "$gw/pki/cert"

enum {
	CERTIFICATE_MAX = 8192,
	SECRET_MAX = 1024,
	ASK_TIMEOUT_MS = 15000,
	AGAIN_MS = 1000, /* a signature check each time */
	STATUS_OK = 200,
};

struct renewal {
	struct loop_note note;
	struct link_call call;
	struct worker *worker;
	uint64_t conn;
	struct buf topic; /* of the answer */
	struct buf correlation;
	struct buf certificate; /* of the connection; empty: none */
	struct buf secret;      /* in its place */
	struct csr csr;
	unsigned char csr_hash[SHA256_SIZE];
	char source[ADDR_TEXT];
	/* The answer. */
	unsigned status;
	uint32_t retry_after_s;
	struct buf text; /* PEM, or a sentence */
};

bool renew_topic(struct str topic)
{
	return str_is(topic, TOPIC_REQUEST);
}

static struct renewal *renewal_new(struct conn *c, const struct packet *p)
{
	struct renewal *r = mem_new(struct renewal);
	const struct str topic = p->props.response_topic;
	r->worker = c->worker;
	r->conn = c->handle;
	buf_str(&r->topic, topic.n ? topic : STR(TOPIC_ANSWER));
	buf_str(&r->correlation, p->props.correlation_data);
	addr_format_ip(&c->peer, r->source);
	return r;
}

static void renewal_free(struct renewal *r)
{
	buf_fini(&r->topic);
	buf_fini(&r->correlation);
	buf_fini(&r->certificate);
	secret_buf_fini(&r->secret);
	buf_fini(&r->text);
	free(r);
}

/* ---- the answer: the worker again ----------------------------------------------------------- */

struct answer_props {
	struct props props;
	struct user_property user[2];
	char status[16];
	char retry_after[16];
};

static void fill_props(const struct renewal *r, struct answer_props *a)
{
	a->props = props_none;
	a->props.payload_format_indicator = 1;
	props_mark(&a->props, PROPERTY_PAYLOAD_FORMAT_INDICATOR);
	a->props.content_type =
		r->status == STATUS_OK ? STR("application/x-pem-file") : STR("text/plain");
	props_mark(&a->props, PROPERTY_CONTENT_TYPE);
	if (r->correlation.n) {
		a->props.correlation_data = buf_view(&r->correlation);
		props_mark(&a->props, PROPERTY_CORRELATION_DATA);
	}
	snprintf(a->status, sizeof(a->status), "%u", r->status);
	snprintf(a->retry_after, sizeof(a->retry_after), "%u", r->retry_after_s);
	a->user[0] = (struct user_property){STR("status"), str_of(a->status)};
	a->user[1] = (struct user_property){STR("retry-after"), str_of(a->retry_after)};
	a->props.user_properties = (struct user_properties){a->user, r->retry_after_s ? 2 : 1};
}

static void send_answer(struct session *s, const struct renewal *r)
{
	AUTO_BUF payload = {0};
	struct answer_props a;
	fill_props(r, &a);
	if (r->status != STATUS_OK)
		buf_printf(&payload, "%u ", r->status);
	buf_str(&payload, buf_view(&r->text));
	const struct msg_parts parts = {
		.topic = buf_view(&r->topic),
		.payload = buf_view(&payload),
		.props = &a.props,
		.now_ms = loop_now_ms(s->worker->loop),
	};
	AUTO(msg) m = msg_new(&parts);
	/* Memory of a message that it knew may be that of another now. */
	s->worker->encoded.msg = NULL;
	if (m)
		session_deliver(s, m, 0, false, (struct subscription_ids){NULL, 0});
}

static void answered(struct loop_note *note)
{
	struct renewal *r = container_of(note, struct renewal, note);
	const struct conn *c = conn_find(r->worker, r->conn);
	if (c && c->session)
		send_answer(c->session, r);
	renewal_free(r);
}

/* ---- the question: the control thread ------------------------------------------------------- */

static void go_back(struct renewal *r, unsigned status, uint32_t retry_after_s, struct str text)
{
	r->status = status;
	r->retry_after_s = retry_after_s;
	buf_str(&r->text, text);
	loop_post(r->worker->loop, &r->note, answered);
}

static unsigned status_of(uint8_t status)
{
	static const unsigned statuses[] = {
		[ENROL_PENDING] = 202,   [ENROL_BAD] = 400,           [ENROL_UNAUTHENTICATED] = 401,
		[ENROL_FORBIDDEN] = 403, [ENROL_UNKNOWN_LABEL] = 404, [ENROL_CONFLICT] = 409,
		[ENROL_BUSY] = 429,      [ENROL_LOCKED] = 503,
	};
	return status < ARRAY_LEN(statuses) && statuses[status] ? statuses[status] : 500;
}

static void judged(struct link_call *call, int err, struct record *reply)
{
	struct renewal *r = container_of(call, struct renewal, call);
	struct body_enrol_done done;
	AUTO_BUF pem = {0};
	if (err || reply->type != MSG_ENROL_DONE || body_enrol_done_get(reply->body, &done)) {
		go_back(r, 503, 1, STR("nothing can be issued now; try again"));
	} else if (done.status != ENROL_OK) {
		go_back(r, status_of(done.status), done.retry_after_s, done.why);
	} else {
		pem_put("CERTIFICATE", done.der, &pem);
		if (done.issuer.n)
			pem_put("CERTIFICATE", done.issuer, &pem);
		go_back(r, STATUS_OK, 0, buf_view(&pem));
	}
}

static void ask_store(struct loop_note *note)
{
	struct renewal *r = container_of(note, struct renewal, note);
	struct link *store = r->worker->broker->control->store;
	const struct body_enrol ask = {
		.what = r->certificate.n ? ENROL_RENEW : ENROL_FIRST,
		.user = r->secret.n ? str_of(r->csr.name) : STR(""),
		.secret = buf_view(&r->secret),
		.certificate = buf_view(&r->certificate),
		.source = {r->source, strnlen(r->source, 64)},
		.name = str_of(r->csr.name),
		.spki = csr_spki(&r->csr),
		.csr_hash = str_make(r->csr_hash, sizeof(r->csr_hash)),
		.via = STR("mqtt"),
	};
	if (store)
		LINK_ASK(store, &r->call, ENROL, enrol, -1, &ask, ASK_TIMEOUT_MS, judged);
	else
		judged(&r->call, ERR_UNAVAILABLE, NULL);
}

/* ---- the request: the worker ---------------------------------------------------------------- */

static int read_form(struct str payload, struct buf *der, struct csr_attributes *attributes,
		     struct why *why)
{
	if (payload.n > CSR_MAX || csr_der(payload, der))
		return why_set(why, ERR_MALFORMED,
			       "the payload is no certificate request (PKCS#10) of at most 16 KiB");
	return csr_attributes_read(buf_view(der), attributes, why);
}

/* ERR_DENIED: there is none. */
static int read_authority(struct renewal *r, const struct conn *c,
			  const struct csr_attributes *attributes, struct why *why)
{
	struct str leaf;
	struct stream_info info;
	stream_info(c->stream, &info);
	if (c->has_certificate && stream_peer_chain(c->stream, &leaf, 1) == 1) {
		if (leaf.n > CERTIFICATE_MAX)
			return why_set(why, ERR_LIMIT, "the certificate is larger than 8192 bytes");
		buf_str(&r->certificate, leaf);
		return csr_renews(attributes, leaf, why);
	}
	if (!info.version || !attributes->challenge.n || attributes->challenge.n > SECRET_MAX)
		return why_set(why, ERR_DENIED,
			       "a certificate needs TLS, and the one that is renewed or a code in "
			       "the challengePassword");
	buf_str(&r->secret, attributes->challenge);
	return 0;
}

static int read_request(struct renewal *r, const struct conn *c, struct str payload,
			struct why *why)
{
	AUTO_SECRET der = {0}; /* a code may be in it */
	struct csr_attributes attributes;
	int err = read_form(payload, &der, &attributes, why);
	if (!err)
		err = read_authority(r, c, &attributes, why);
	if (!err)
		err = csr_parse(buf_view(&der), &r->csr, why);
	if (err)
		return err;
	tls_sha256(buf_view(&der), r->csr_hash);
	if (!str_eq(str_of(r->csr.name), session_who(c->session).device))
		return why_set(why, ERR_INVALID,
			       "the common name of the request is not that of this device");
	return 0;
}

static bool denied(const struct conn *c, struct str topic, const struct packet *p)
{
	const struct acl_who who = session_who(c->session);
	const struct acl_how how = {p->publish.qos, p->publish.retain};
	struct acl_verdict verdict;
	return !acl_check(c->session->identity->acl, &who, ACL_PUBLISH, topic, how, &verdict) &&
	       verdict.rule != 0;
}

enum reason renew_received(struct conn *c, const struct packet *p, const char **why)
{
	static const char none[] = "a certificate needs TLS and an authority";
	const uint64_t now = loop_now_ms(c->worker->loop);
	struct why text = {0};
	*why = "denied by a rule";
	if (denied(c, STR(TOPIC_REQUEST), p)) {
		conn_event(c, EVENT_ENROL_REFUSED, *why, NULL);
		return REASON_NOT_AUTHORIZED;
	}
	*why = "one request a second";
	if (c->renewal_ms && now < c->renewal_ms + AGAIN_MS)
		return REASON_QUOTA_EXCEEDED;
	c->renewal_ms = now;
	*why = NULL;
	struct renewal *r = renewal_new(c, p);
	const int err = read_request(r, c, p->publish.payload, &text);
	if (err)
		conn_event(c, EVENT_ENROL_REFUSED, text.text, NULL);
	if (err == ERR_DENIED) {
		renewal_free(r);
		*why = none;
		return REASON_NOT_AUTHORIZED;
	}
	if (err)
		go_back(r, 400, 0, str_of(text.text));
	else
		loop_post(c->worker->broker->loop, &r->note, ask_store);
	return REASON_SUCCESS;
}
