/* SPDX-License-Identifier: Apache-2.0
 *
 * Sealed key files: see seal.h. Inside the block: version (1 byte), nonce, ciphertext with its tag.
 */
#include "certs/seal.h"
#include "certs/pem.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"

#include <gnutls/crypto.h>

enum { VERSION = 1, NONCE = 12, TAG = 16, HEAD = 1 + NONCE };

static const char label[] = "GATEHOUSE SEALED KEY";

static gnutls_aead_cipher_hd_t cipher(struct str key)
{
	gnutls_aead_cipher_hd_t handle;
	const gnutls_datum_t k = {(unsigned char *)(uintptr_t)key.p, (unsigned)key.n};
	CHECK(key.n == SEAL_KEY_SIZE);
	CHECK(gnutls_aead_cipher_init(&handle, GNUTLS_CIPHER_AES_256_GCM, &k) == 0);
	return handle;
}

void seal_put(struct str key, const char *name, struct str bytes, struct buf *out)
{
	AUTO_BUF block = {0};
	size_t n = bytes.n + TAG;
	unsigned char *p = (unsigned char *)buf_reserve(&block, HEAD + n);
	p[0] = VERSION;
	secret_random(p + 1, NONCE);
	gnutls_aead_cipher_hd_t handle = cipher(key);
	CHECK(gnutls_aead_cipher_encrypt(handle, p + 1, NONCE, name, strlen(name), TAG, bytes.p,
					 bytes.n, p + HEAD, &n) == 0);
	gnutls_aead_cipher_deinit(handle);
	block.n = HEAD + n;
	pem_put(label, buf_view(&block), out);
}

bool seal_is(struct str file)
{
	return str_find(file, label) != NULL;
}

int seal_open(struct str key, const char *name, struct str file, struct buf *out)
{
	AUTO_BUF block = {0};
	struct str found;
	if (pem_next(&file, &found, &block) || !str_is(found, label) || block.n < HEAD + TAG ||
	    block.p[0] != VERSION)
		return ERR_MALFORMED;
	const unsigned char *p = (const unsigned char *)block.p;
	size_t n = block.n - HEAD;
	char *to = buf_reserve(out, n);
	gnutls_aead_cipher_hd_t handle = cipher(key);
	const int r = gnutls_aead_cipher_decrypt(handle, p + 1, NONCE, name, strlen(name), TAG,
						 p + HEAD, n, to, &n);
	gnutls_aead_cipher_deinit(handle);
	if (r < 0)
		return ERR_CRYPTO;
	out->n += n;
	return 0;
}
