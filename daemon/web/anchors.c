/* SPDX-License-Identifier: Apache-2.0
 *
 * The authorities as a web process knows them: see anchors.h.
 */
#include "daemon/web/anchors.h"
#include "certs/pkcs7.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/web/http_tls.h"

enum {
	ASK_TIMEOUT_MS = 5000,
	AGAIN_MS = 1000,
	ANCHORS_MAX = 64,
	CERTIFICATE_MAX = 8192,
	REFUSED = 403,
};

void anchors_init(struct anchors *a, struct loop *loop, void (*changed)(struct anchors *))
{
	*a = (struct anchors){.loop = loop, .changed = changed};
}

void anchors_fini(struct anchors *a)
{
	link_call_cancel(&a->call);
	loop_timer_stop(a->loop, &a->again);
	buf_fini(&a->certs_only);
	buf_fini(&a->labels);
	if (a->trust)
		chain_trust_free(a->trust);
	a->trust = NULL;
}

/* Claim authorities are trusted for what they are for, and told to nobody. */
static int take(struct anchors *a, const struct body_authorities *b)
{
	struct str told[ANCHORS_MAX];
	size_t n = 0;
	struct str record;
	struct cur c = cur_of(b->certificates);
	AUTO(chain_trust) trust = chain_trust_new();
	while (entries_next(&c, &record)) {
		struct body_authority one;
		if (body_authority_get(record, &one) || n == ANCHORS_MAX)
			return ERR_MALFORMED;
		if (chain_trust_add(trust, one.der))
			log_warning("an authority from the store cannot be read and is left out");
		else if (one.kind != CA_EXTERNAL)
			told[n++] = one.der;
	}
	if (c.failed)
		return ERR_MALFORMED;
	buf_fini(&a->certs_only);
	pkcs7_certs_only(told, n, &a->certs_only);
	buf_fini(&a->labels);
	buf_str(&a->labels, b->labels);
	if (a->trust)
		chain_trust_free(a->trust);
	a->trust = TAKE(trust);
	a->known = true;
	return 0;
}

static void ask_again(struct loop_timer *t)
{
	anchors_ask(container_of(t, struct anchors, again));
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct anchors *a = container_of(call, struct anchors, call);
	struct body_authorities b;
	if (!err)
		err = body_authorities_get(reply->body, &b);
	if (!err)
		err = take(a, &b);
	if (err) {
		log_warning("the store told no authorities: %s; it is asked again", err_text(err));
		loop_timer_start(a->loop, &a->again, "authorities", AGAIN_MS, ask_again);
		return;
	}
	a->changed(a);
}

void anchors_ask(struct anchors *a)
{
	link_call_cancel(&a->call);
	loop_timer_stop(a->loop, &a->again);
	if (a->store)
		LINK_ASK(a->store, &a->call, AUTHORITIES_GET, authorities_get, -1,
			 &(struct body_authorities_get){}, ASK_TIMEOUT_MS, answered);
}

void anchors_set_link(struct anchors *a, struct link *store)
{
	a->store = store;
	anchors_ask(a);
}

bool anchors_have_label(const struct anchors *a, struct str label)
{
	struct str list = buf_view(&a->labels);
	struct str name;
	while (strs_next(&list, &name))
		if (str_eq(name, label))
			return true;
	return false;
}

unsigned anchors_client(const struct anchors *a, const struct http_request *r, bool ended_too,
			struct str *der, struct why *why)
{
	const struct http_tls_peer *peer = http_tls_peer(r);
	*der = STR("");
	if (!peer || (!peer->chain_n && !peer->chain_too_long))
		return 0;
	if (peer->chain_too_long) {
		why_text(why, "the client certificate's chain is too long");
		return REFUSED;
	}
	const enum chain_verdict verdict =
		chain_verify_client(a->trust, peer->chain, peer->chain_n, why);
	if (verdict == CHAIN_REFUSED || (verdict == CHAIN_EXPIRED && !ended_too))
		return REFUSED;
	if (peer->chain[0].n > CERTIFICATE_MAX) {
		why_text(why, "the client certificate is larger than %d bytes", CERTIFICATE_MAX);
		return REFUSED;
	}
	*der = peer->chain[0];
	return 0;
}
