/* SPDX-License-Identifier: Apache-2.0
 *
 * The forms in which certification requests arrive: see csr_der in csr.h.
 */
#include "certs/csr.h"
#include "certs/der.h"
#include "certs/pem.h"
#include "daemon/base/base64.h"
#include "daemon/base/err.h"

static int from_pem(struct str body, struct buf *der)
{
	struct str label;
	AUTO_BUF found = {0};
	if (pem_next(&body, &label, &found))
		return ERR_MALFORMED;
	if (!str_is(label, "CERTIFICATE REQUEST") && !str_is(label, "NEW CERTIFICATE REQUEST"))
		return ERR_MALFORMED;
	buf_str(der, buf_view(&found));
	return 0;
}

int csr_der(struct str body, struct buf *der)
{
	const size_t before = der->n;
	if (body.n && (unsigned char)body.p[0] == DER_SEQUENCE) {
		buf_str(der, body);
		return 0;
	}
	const int err = str_prefix(str_trim(body), STR("-----BEGIN "))
				? from_pem(body, der)
				: base64_decode(body, BASE64_BLANKS | BASE64_UNPADDED, der);
	if (!err && der->n > before && (unsigned char)der->p[before] == DER_SEQUENCE)
		return 0;
	der->n = before;
	return ERR_MALFORMED;
}
