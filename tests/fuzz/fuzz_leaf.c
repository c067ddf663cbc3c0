/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates, PEM and revocation lists of other authorities on anything: the readers stay inside
 * the input, and what they give out lies in it.
 */
#include "certs/crl.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "daemon/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool inside(struct str s, struct str whole)
{
	return s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

static void judge(struct str der)
{
	struct leaf leaf;
	struct str name;
	struct why why;
	if (leaf_read(der, &leaf))
		return;
	CHECK(inside(leaf.serial, der) && inside(leaf.issuer, der) && inside(leaf.cn, der));
	CHECK(leaf_serial(&leaf).n >= 1);
	struct cur c = cur_of(leaf.names);
	while (leaf_next_name(&c, &name))
		CHECK(inside(name, der));
	/* What is strict is legacy, too. */
	if (leaf_lint(&leaf, LEAF_STRICT, &why) == 0)
		CHECK(leaf_lint(&leaf, LEAF_LEGACY, &why) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct str input = str_make(data, n);
	struct str rest = input;
	struct str label;
	AUTO_BUF der = {0};
	AUTO_BUF trust = {0};
	judge(input);
	while (pem_next(&rest, &label, &der) == 0) {
		CHECK(inside(label, input));
		judge(buf_view(&der));
	}
	const uint32_t length = (uint32_t)n;
	struct crl_set *set;
	buf_put(&trust, &length, sizeof(length));
	buf_put(&trust, data, n);
	if (crl_set_read(input, buf_view(&trust), &set, NULL) == 0)
		crl_set_unref(set);
	return 0;
}
