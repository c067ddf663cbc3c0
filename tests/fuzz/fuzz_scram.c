/* SPDX-License-Identifier: Apache-2.0
 *
 * Both messages of a SCRAM client, split at the first line feed. What is taken has a name and a
 * nonce, and the text that both sides sign holds all that the client sent but the proof.
 */
#include "daemon/base/check.h"
#include "daemon/broker/scram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const unsigned char random_bytes[SCRAM_NONCE] = "abcdefghijklmnopqr";
	struct str rest = str_make(data, size);
	const struct str first = str_split(&rest, '\n');
	struct scram s = {0};
	unsigned char proof[SCRAM_PROOF];
	AUTO_BUF answer = {0};
	if (size && scram_client_first(&s, first)) {
		CHECK(s.name.n > 0 && s.nonce.n > 0 && s.header.n + s.message.n == first.n);
		scram_server_first(&s, random_bytes, STR("salt"), 4096, &answer);
		CHECK(s.header.n + s.message.n == first.n + 1 + answer.n);
		if (scram_client_final(&s, rest, proof))
			CHECK(s.header.n + s.message.n < first.n + 2 + answer.n + rest.n);
	}
	scram_fini(&s);
	return 0;
}
