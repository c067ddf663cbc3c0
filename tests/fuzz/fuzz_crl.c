/* SPDX-License-Identifier: Apache-2.0
 *
 * Revocation lists of other authorities with a trust of any certificates: what is taken has as many
 * entries as it says, and looking up anything stays inside.
 *
 * Input: the length of the trusted certificate (16 bits, little-endian), the certificate, the file
 * with lists.
 */
#include "certs/crl.h"
#include "certs/leaf.h"
#include "daemon/base/check.h"
#include "daemon/base/cursor.h"
#include "daemon/base/err.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void look_up(const struct crl_set *set, struct str ca, struct str file)
{
	struct leaf leaf;
	if (leaf_read(ca, &leaf) == 0)
		crl_set_has(set, leaf.issuer, leaf_serial(&leaf));
	crl_set_has(set, STR(""), STR(""));
	CHECK(!crl_set_has(set, file, STR("")));
	CHECK(crl_set_entries(set) <= file.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct cur c = cur_make(data, n);
	struct crl_set *set;
	struct why why = {""};
	AUTO_BUF trust = {0};
	const struct str ca = cur_bytes(&c, cur_u16le(&c));
	if (!cur_ok(&c))
		return 0;
	const struct str file = cur_bytes(&c, cur_left(&c));
	const uint32_t length = (uint32_t)ca.n;
	buf_put(&trust, &length, sizeof(length));
	buf_str(&trust, ca);
	const int err = crl_set_read(file, buf_view(&trust), &set, &why);
	CHECK(err == 0 || why.text[0]);
	if (err)
		return 0;
	look_up(set, ca, file);
	crl_set_unref(set);
	return 0;
}
