/* SPDX-License-Identifier: Apache-2.0
 *
 * Unknown certificates on their way to the store: see join.h. The worker reads, the control thread
 * asks; nobody waits for the answer.
 */
#include "daemon/broker/join.h"
#include "certs/csr.h"
#include "certs/leaf.h"
#include "daemon/broker/control.h"
#include "daemon/net/tls_digest.h"

#include <stdlib.h>

enum { CERTIFICATE_MAX = 8192, SOURCE_MAX = 64, ASK_TIMEOUT_MS = 15000 };

struct join {
	struct loop_note note;
	struct link_call call;
	struct broker *broker;
	struct buf der;
	char source[ADDR_TEXT];
};

static void join_free(struct join *j)
{
	buf_fini(&j->der);
	free(j);
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	(void)err;
	(void)reply;
	join_free(container_of(call, struct join, call));
}

static void ask_store(struct loop_note *note)
{
	struct join *j = container_of(note, struct join, note);
	struct link *store = j->broker->control->store;
	unsigned char hash[SHA256_SIZE];
	struct leaf leaf;
	if (!store || leaf_read(buf_view(&j->der), &leaf) || leaf.spki.n > SPKI_MAX) {
		join_free(j);
		return;
	}
	tls_sha256(buf_view(&j->der), hash);
	const struct body_enrol ask = {
		.what = ENROL_JOIN,
		.certificate = buf_view(&j->der),
		.source = {j->source, strnlen(j->source, SOURCE_MAX)},
		.spki = leaf.spki,
		.csr_hash = str_make(hash, sizeof(hash)),
		.via = STR("mqtt"),
	};
	LINK_ASK(store, &j->call, ENROL, enrol, -1, &ask, ASK_TIMEOUT_MS, answered);
}

void join_tell(struct conn *c, struct str der)
{
	if (der.n == 0 || der.n > CERTIFICATE_MAX)
		return;
	struct join *j = mem_new(struct join);
	j->broker = c->worker->broker;
	buf_str(&j->der, der);
	addr_format_ip(&c->peer, j->source);
	loop_post(j->broker->loop, &j->note, ask_store);
}
