/* SPDX-License-Identifier: Apache-2.0
 *
 * The authorities as a web process knows them: what EST answers with (RFC 7030, 4.1), and whose
 * certificates a client may show. Asked of the store when the link to it is there and whenever they
 * change; while the store is away those of before stay. Main thread.
 */
#pragma once

#include "certs/chain.h"
#include "daemon/ipc/link.h"
#include "daemon/web/http.h"

struct anchors {
	struct loop *loop;
	struct link *store; /* NULL while it is away */
	struct link_call call;
	struct loop_timer again;
	void (*changed)(struct anchors *a); /* they are there, or there anew */
	bool known;
	struct buf certs_only; /* PKCS#7 of roots, cross certificates and issuers, DER */
	struct buf labels;     /* list of names (strs_next) */
	struct chain_trust *trust;
};

void anchors_init(struct anchors *a, struct loop *loop, void (*changed)(struct anchors *));
void anchors_fini(struct anchors *a);
/* NULL: the store is away. A link is asked at once. */
void anchors_set_link(struct anchors *a, struct link *store);
/* The store says that they are others by now. */
void anchors_ask(struct anchors *a);
bool anchors_have_label(const struct anchors *a, struct str label);
/* The certificate that a client showed, as DER, when its chain leads to one of them; empty when it
 * showed none. ended_too: also one that has ended. 0, or 403 with why. The bytes are the request's.
 */
unsigned anchors_client(const struct anchors *a, const struct http_request *r, bool ended_too,
			struct str *der, struct why *why);
