/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSP responses for our own certificates: see staples.h.
 */
#include "daemon/ipc/staples.h"
#include "daemon/base/err.h"
#include "daemon/net/tls_staple.h"

int staples_received(struct link *l, struct record *r)
{
	struct body_staples b;
	struct tls_staple staple[TLS_STAPLES_MAX];
	struct str record;
	size_t n = 0;
	(void)l;
	if (body_staples_get(r->body, &b))
		return ERR_MALFORMED;
	struct cur c = cur_of(b.staples);
	while (n < TLS_STAPLES_MAX && entries_next(&c, &record)) {
		struct body_staple one;
		if (body_staple_get(record, &one) || one.fingerprint.n != TLS_STAPLE_FINGERPRINT ||
		    one.der.n == 0)
			return ERR_MALFORMED;
		memcpy(staple[n].fingerprint, one.fingerprint.p, TLS_STAPLE_FINGERPRINT);
		staple[n++].response = one.der;
	}
	if (!cur_ok(&c))
		return ERR_MALFORMED;
	tls_staples_set(staple, n);
	return 0;
}
