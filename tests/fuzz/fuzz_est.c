/* SPDX-License-Identifier: Apache-2.0
 *
 * What strangers send to EST: path, content type, credentials, body, and the attributes of the
 * request in it. What is given out lies in the input or in what was decoded from it; a body that is
 * taken is what it is when it is written as base64 and read again.
 */
#include "certs/csr.h"
#include "certs/csr_attributes.h"
#include "daemon/base/check.h"
#include "daemon/base/secret.h"
#include "daemon/web/est_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool inside(struct str s, struct str whole)
{
	return s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

static void read_head(struct str input)
{
	struct str user, secret, label;
	enum est_op op;
	AUTO_SECRET bytes = {0};
	if (est_path(input, &op, &label) == 0)
		CHECK(inside(label, input) && label.n <= EST_LABEL_MAX && op <= EST_FULLCMC);
	(void)est_is_pkcs10(input);
	(void)est_wants_lines(input);
	if (est_basic(input, &bytes, &user, &secret) == 0)
		CHECK(inside(user, buf_view(&bytes)) && inside(secret, buf_view(&bytes)) &&
		      user.n <= EST_USER_MAX && secret.n <= EST_SECRET_MAX);
}

static void read_attributes(struct str der)
{
	struct csr_attributes a;
	struct why why = {""};
	if (csr_attributes_read(der, &a, &why)) {
		CHECK(why.text[0] != '\0');
		return;
	}
	CHECK(inside(a.subject, der) && inside(a.challenge, der) && inside(a.names, der));
	(void)csr_same_subject(a.subject, der);
	(void)est_is_binding(a.challenge);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct str input = str_make(data, n);
	AUTO_BUF der = {0};
	AUTO_BUF text = {0};
	AUTO_BUF again = {0};
	read_head(input);
	read_attributes(input);
	if (csr_der(input, &der) || der.n == 0)
		return 0;
	read_attributes(buf_view(&der));
	est_put_base64(buf_view(&der), n % 2, &text);
	CHECK(csr_der(buf_view(&text), &again) == 0);
	CHECK(str_eq(buf_view(&again), buf_view(&der)));
	return 0;
}
