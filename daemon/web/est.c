/* SPDX-License-Identifier: Apache-2.0
 *
 * EST: the operations by path and method, and those that only tell. See est.h.
 */
#include "daemon/web/est.h"
#include "certs/csr_attributes.h"
#include "daemon/base/err.h"
#include "daemon/web/est_enrol.h"
#include "daemon/web/est_reply.h"

enum { STARTING_RETRY_S = 2 };

void est_init(struct est *est, struct loop *loop, struct report *report,
	      void (*changed)(struct anchors *))
{
	*est = (struct est){.report = report};
	list_init(&est->pending);
	anchors_init(&est->anchors, loop, changed);
}

void est_fini(struct est *est)
{
	est_stop(est);
	anchors_fini(&est->anchors);
}

void est_set_link(struct est *est, struct link *store)
{
	est->store = store;
	anchors_set_link(&est->anchors, store);
}

static void tell_authorities(struct est *est, struct http_request *r)
{
	est_reply_base64(r, "application/pkcs7-mime", buf_view(&est->anchors.certs_only));
}

static void tell_attributes(struct est *est, struct http_request *r)
{
	AUTO_BUF der = {0};
	csr_attributes_wanted(est->settings.require_binding, &der);
	est_reply_base64(r, "application/csrattrs", buf_view(&der));
}

static bool method_is(const struct http_request *r, const char *method)
{
	return strcmp(http_method(r), method) == 0;
}

static void answer_get(struct est *est, struct http_request *r, enum est_op op)
{
	if (!method_is(r, "GET") && !method_is(r, "HEAD"))
		est_reply_lost(est, r, 405, "this resource is only read", "GET, HEAD");
	else if (op == EST_CACERTS)
		tell_authorities(est, r);
	else
		tell_attributes(est, r);
}

static void answer_post(struct est *est, struct http_request *r, enum est_op op, struct str label)
{
	if (!method_is(r, "POST"))
		est_reply_lost(est, r, 405, "send the certificate request with POST", "POST");
	else if (op == EST_FULLCMC)
		est_reply_lost(est, r, 501, "Full CMC is not served; use simpleenroll", NULL);
	else if (op == EST_SERVERKEYGEN && !est->settings.server_keygen)
		est_reply_lost(est, r, 501,
			       "the gateway makes no keys for devices; make the key on the device "
			       "and use simpleenroll, or set enrol.server-keygen = on",
			       NULL);
	else
		est_enrol(est, r, op, label);
}

bool est_handle(struct est *est, struct http_request *r)
{
	enum est_op op;
	struct str label;
	const struct str path = http_path(r);
	if (!str_prefix(path, STR(EST_PATH)))
		return false;
	if (est_path(path, &op, &label))
		est_reply_lost(est, r, 404, "there is no such operation of EST", NULL);
	else if (!est->anchors.known)
		est_reply_text(r, 503, "the gateway is starting; try again in a moment",
			       STARTING_RETRY_S, NULL);
	else if (label.n && !anchors_have_label(&est->anchors, label))
		est_reply_lost(est, r, 404, "there is no profile of that label", NULL);
	else if (op == EST_CACERTS || op == EST_CSRATTRS)
		answer_get(est, r, op);
	else
		answer_post(est, r, op, label);
	return true;
}

void est_too_large(struct est *est, const char *source)
{
	const struct body_event event = {
		.address = str_of(source),
		.listener = STR("enrol"),
		.reason = STR("the body is too large"),
	};
	report_event(est->report, EVENT_ENROL_REFUSED, &event);
}
