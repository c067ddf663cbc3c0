/* SPDX-License-Identifier: Apache-2.0
 *
 * Certification requests from strangers: whatever arrives, the verdict comes with words, and what
 * is accepted holds what was promised: a name under the rule and a key in its usual form.
 */
#include "certs/csr.h"
#include "daemon/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct why why = {""};
	struct csr csr;
	struct spki_facts facts;
	const int err = csr_parse(str_make(data, n), &csr, &why);
	if (err) {
		CHECK(why.text[0] != '\0');
	} else {
		CHECK(device_name_check(str_of(csr.name), &why) == 0);
		CHECK(spki_check(csr_spki(&csr), &facts, &why) == 0);
		CHECK(facts.kind == csr.key.kind && facts.bits == csr.key.bits);
	}
	(void)spki_check(str_make(data, n), &facts, &why);
	return 0;
}
