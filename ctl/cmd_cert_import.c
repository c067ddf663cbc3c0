/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse cert import: a file becomes the argument of the request, DER as PEM.
 */
#include "certs/der.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "daemon/base/err.h"

#include <stdio.h>

int run_with_certificate(struct invocation *in, const char *arg)
{
	const char *path = json_string_value(json_object_get(in->args, arg));
	const char *why = "";
	AUTO_BUF bytes = {0};
	AUTO_BUF pem = {0};
	if (file_read(path, LEAF_MAX, &bytes, &why)) {
		print_error("%s: %s", path, why);
		return EXIT_USAGE;
	}
	if (bytes.n && (uint8_t)bytes.p[0] == DER_SEQUENCE)
		pem_put("CERTIFICATE", buf_view(&bytes), &pem);
	else
		buf_str(&pem, buf_view(&bytes));
	json_t *text = json_stringn(pem.p, pem.n);
	if (!text) {
		print_error("%s: no certificate in PEM or DER", path);
		return EXIT_USAGE;
	}
	json_object_set_new(in->args, arg, text);
	return run_plain(in);
}

int run_cert_import(struct invocation *in)
{
	return run_with_certificate(in, "certificate");
}
