/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers of the PROXY protocol: the first byte chooses the versions, the rest is what a peer sent.
 * A header is complete at exactly one length, never larger than the bound, and every beginning of
 * it asks for more.
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/net/proxyproto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In memory of exactly that size, so that a sanitizer sees a byte too many. */
static int parse(const uint8_t *data, size_t n, unsigned versions, struct proxy_header *h)
{
	const char *why = NULL;
	char *exact = mem_copy(data, n);
	const int err = proxy_parse(str_make(exact, n), versions, h, &why);
	free(exact);
	CHECK(err == 0 || err == ERR_AGAIN || why);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const unsigned versions = data[0] & (PROXY_V1 | PROXY_V2);
	struct proxy_header h, same;
	char text[ADDR_TEXT];
	data++;
	size--;
	const int err = parse(data, size, versions, &h);
	CHECK(err != ERR_AGAIN || size < PROXY_MAX);
	if (err)
		return 0;
	CHECK(h.size <= MIN(size, (size_t)PROXY_MAX));
	CHECK(h.version & versions);
	if (h.has_source)
		addr_format(&h.source, text);
	CHECK(parse(data, h.size, versions, &same) == 0 && same.size == h.size);
	const size_t step = h.size / 64 + 1;
	for (size_t n = 1; n < h.size; n += step)
		CHECK(parse(data, n, versions, &same) == ERR_AGAIN);
	return 0;
}
