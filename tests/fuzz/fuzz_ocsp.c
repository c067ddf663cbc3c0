/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSP requests of strangers: whatever the bytes, the reader stays inside them, and what it accepts
 * keeps the promises of its header.
 */
#include "certs/ocsp.h"
#include "daemon/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool inside(struct str s, struct str whole)
{
	return s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

static void judge(const struct ocsp_question *q, struct str input)
{
	const size_t hash = q->sha1 ? 20 : 32;
	CHECK(inside(q->name_hash, input) && inside(q->key_hash, input));
	CHECK(inside(q->serial, input) && q->serial.n <= OCSP_SERIAL_MAX);
	CHECK(q->name_hash.n == q->key_hash.n);
	CHECK(q->name_hash.n == 0 || q->name_hash.n == hash);
	CHECK(q->name_hash.n == 0 || q->serial.n > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct str input = str_make(data, n);
	struct ocsp_request r;
	bool named = false;
	if (ocsp_request_read(input, &r))
		return 0;
	CHECK(r.n >= 1 && r.n <= OCSP_QUESTIONS_MAX);
	CHECK(inside(r.nonce, input) && r.nonce.n <= OCSP_NONCE_VALUE_MAX);
	for (size_t i = 0; i < r.n; i++) {
		judge(&r.question[i], input);
		named |= r.question[i].name_hash.n != 0;
	}
	CHECK(named);
	return 0;
}
