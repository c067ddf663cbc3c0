/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates out of files: see tls_pem.h.
 */
#include "daemon/net/tls_pem.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"

#include <gnutls/x509.h>

static void append(struct buf *list, const gnutls_datum_t *der)
{
	const size_t n = 4 + (size_t)der->size;
	struct out o = out_make(buf_reserve(list, n), n);
	out_str32le(&o, str_make(der->data, der->size));
	list->n += n;
}

static int append_crt(gnutls_x509_crt_t crt, struct buf *list)
{
	gnutls_datum_t der;
	if (gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der))
		return ERR_MALFORMED;
	append(list, &der);
	gnutls_free(der.data);
	return 0;
}

int tls_certificates_read(struct str file, size_t max, struct buf *list)
{
	const gnutls_datum_t data = {(unsigned char *)(uintptr_t)file.p, (unsigned)file.n};
	gnutls_x509_crt_t *crt = NULL;
	unsigned n = 0;
	int err = 0;
	if (gnutls_x509_crt_list_import2(&crt, &n, &data, GNUTLS_X509_FMT_PEM, 0) &&
	    gnutls_x509_crt_list_import2(&crt, &n, &data, GNUTLS_X509_FMT_DER, 0))
		return ERR_MALFORMED;
	if (n > max)
		err = ERR_LIMIT;
	for (unsigned i = 0; i < n; i++) {
		if (err == 0)
			err = append_crt(crt[i], list);
		gnutls_x509_crt_deinit(crt[i]);
	}
	gnutls_free(crt);
	return err;
}
