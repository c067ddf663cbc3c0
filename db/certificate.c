/* SPDX-License-Identifier: Apache-2.0
 *
 * Facts of certificates: see certificate.h.
 */
#include "db/certificate.h"
#include "certs/der.h"
#include "certs/pem.h"
#include "daemon/base/err.h"

#include <stdio.h>

static void read_name(struct str name, char out[CERTIFICATE_NAME])
{
	struct cur c = cur_of(name);
	out[0] = 0;
	while (cur_left(&c)) {
		struct cur set = der_open(&c, DER_SET);
		struct cur pair = der_open(&set, DER_SEQUENCE);
		const struct str oid = der_get(&pair, DER_OID);
		const struct str value = der_read(&pair).body;
		if (!der_oid_is(oid, "2.5.4.3"))
			continue;
		snprintf(out, CERTIFICATE_NAME, "%.*s",
			 (int)MIN(value.n, (size_t)CERTIFICATE_NAME - 1), value.n ? value.p : "");
		return;
	}
}

int certificate_read(struct str der, struct certificate *out)
{
	struct cur c = cur_of(der);
	struct cur outer = der_open(&c, DER_SEQUENCE);
	struct cur tbs = der_open(&outer, DER_SEQUENCE);
	struct certificate cert = {0};
	if (der_peek(&tbs) == DER_CONTEXT_OPEN)
		der_read(&tbs);
	cert.serial = der_get(&tbs, DER_INTEGER);
	while (cert.serial.n > 1 && cert.serial.p[0] == 0) {
		cert.serial.p++;
		cert.serial.n--;
	}
	der_get(&tbs, DER_SEQUENCE);
	cert.issuer = der_read(&tbs).whole;
	struct cur validity = der_open(&tbs, DER_SEQUENCE);
	cert.not_before = der_get_time(&validity);
	cert.not_after = der_get_time(&validity);
	const struct der subject = der_read(&tbs);
	cert.subject = subject.whole;
	const struct der spki = der_read(&tbs);
	cert.spki = spki.whole;
	if (!cur_done(&c) || !cur_ok(&outer) || !cur_ok(&tbs) || !cur_done(&validity) ||
	    spki.tag != DER_SEQUENCE)
		return ERR_MALFORMED;
	read_name(subject.body, cert.name);
	*out = cert;
	return 0;
}

void certificate_pem(struct str der, struct buf *out)
{
	pem_put("CERTIFICATE", der, out);
}
