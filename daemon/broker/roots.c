/* SPDX-License-Identifier: Apache-2.0
 *
 * The root certificates as a retained message: see roots.h.
 */
#include "daemon/broker/roots.h"
#include "certs/pem.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/broker/control.h"
#include "daemon/broker/sheet.h"

enum { ASK_TIMEOUT_MS = 10000 };

static int put_roots(struct str certificates, struct buf *pem)
{
	struct cur c = cur_of(certificates);
	struct str record;
	while (entries_next(&c, &record)) {
		struct body_authority a;
		if (body_authority_get(record, &a))
			return ERR_MALFORMED;
		if (a.kind == CA_ROOT)
			pem_put("CERTIFICATE", a.der, pem);
	}
	return cur_ok(&c) ? 0 : ERR_MALFORMED;
}

static void publish(struct control *k, struct buf *pem)
{
	if (str_eq(buf_view(pem), buf_view(&k->roots)))
		return;
	struct sheet *s = sheet_new(k->broker.worker[0]);
	buf_puts(&s->text, "$gw/pki/roots");
	buf_putc(&s->text, 0);
	buf_str(&s->text, buf_view(pem));
	buf_putc(&s->text, 0);
	sheet_post(s);
	k->roots.n = 0;
	buf_str(&k->roots, buf_view(pem));
}

static void told(struct link_call *call, int err, struct record *reply)
{
	struct control *k = container_of(call, struct control, roots_call);
	struct body_authorities b;
	AUTO_BUF pem = {0};
	if (!err)
		err = body_authorities_get(reply->body, &b) ? ERR_MALFORMED
							    : put_roots(b.certificates, &pem);
	if (err)
		log_warning("the authorities are not known: %s; $gw/pki/roots stays as it is",
			    err_text(err));
	else
		publish(k, &pem);
}

void roots_ask(struct control *k)
{
	const struct body_authorities_get body = {};
	link_call_cancel(&k->roots_call); /* the answer on its way may be the old one */
	if (k->store)
		LINK_ASK(k->store, &k->roots_call, AUTHORITIES_GET, authorities_get, -1, &body,
			 ASK_TIMEOUT_MS, told);
}

int roots_changed(struct link *l, struct record *r)
{
	struct body_authorities_changed b;
	if (body_authorities_changed_get(r->body, &b))
		return ERR_MALFORMED;
	roots_ask(link_owner(l));
	return 0;
}
