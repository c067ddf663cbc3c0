/* SPDX-License-Identifier: Apache-2.0
 *
 * csrcheck FILE: the product's verdict on a certification request, for tests/pki/test_csr.py.
 * Prints "ok NAME KIND BITS" and leaves the public key in FILE.spki, or prints "refused REASON".
 */
#include "certs/csr.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	static char input[2 * CSR_MAX];
	FILE *f = argc == 2 ? fopen(argv[1], "rb") : NULL;
	if (!f) {
		fprintf(stderr, "usage: csrcheck FILE\n");
		return 2;
	}
	const size_t n = fread(input, 1, sizeof(input), f);
	fclose(f);
	struct csr csr;
	struct why why;
	if (csr_parse(str_make(input, n), &csr, &why)) {
		printf("refused %s\n", why.text);
		return 1;
	}
	char path[4096];
	snprintf(path, sizeof(path), "%s.spki", argv[1]);
	f = fopen(path, "wb");
	if (!f || fwrite(csr.spki, 1, csr.spki_len, f) != csr.spki_len || fclose(f)) {
		perror(path);
		return 2;
	}
	printf("ok %s %s %u\n", csr.name, csr.key.kind, csr.key.bits);
	return 0;
}
