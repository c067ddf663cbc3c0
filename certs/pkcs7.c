/* SPDX-License-Identifier: Apache-2.0
 *
 * PKCS#7 certs-only: see pkcs7.h.
 */
#include "certs/pkcs7.h"
#include "certs/der.h"

#define OID_DATA        "1.2.840.113549.1.7.1"
#define OID_SIGNED_DATA "1.2.840.113549.1.7.2"

void pkcs7_certs_only(const struct str *certificates, size_t n, struct buf *out)
{
	const size_t info = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, OID_SIGNED_DATA);
	const size_t content = der_begin(out, DER_CONTEXT_OPEN | 0);
	const size_t signed_data = der_begin(out, DER_SEQUENCE);
	der_put_number(out, 1);
	der_put(out, DER_SET, STR("")); /* digest algorithms */
	const size_t encapsulated = der_begin(out, DER_SEQUENCE);
	der_put_oid(out, OID_DATA);
	der_end(out, encapsulated);
	const size_t set = der_begin(out, DER_CONTEXT_OPEN | 0);
	for (size_t i = 0; i < n; i++)
		buf_str(out, certificates[i]);
	der_end(out, set);
	der_put(out, DER_SET, STR("")); /* signers */
	der_end(out, signed_data);
	der_end(out, content);
	der_end(out, info);
}
