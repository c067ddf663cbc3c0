/* SPDX-License-Identifier: Apache-2.0
 *
 * OCSP stapling: see tls_staple.h.
 */
#include "daemon/net/tls_staple.h"
#include "daemon/base/mem.h"
#include "daemon/net/tls_digest.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct tls_staple table[TLS_STAPLES_MAX];
static size_t table_n;

static void clear(void)
{
	for (size_t i = 0; i < table_n; i++)
		free((void *)(uintptr_t)table[i].response.p);
	table_n = 0;
}

void tls_staples_set(const struct tls_staple *staple, size_t n)
{
	pthread_mutex_lock(&lock);
	clear();
	for (; table_n < n && table_n < TLS_STAPLES_MAX; table_n++) {
		table[table_n] = staple[table_n];
		table[table_n].response =
			str_make(mem_copy(staple[table_n].response.p, staple[table_n].response.n),
				 staple[table_n].response.n);
	}
	pthread_mutex_unlock(&lock);
}

/* GnuTLS frees what it is given. */
static int give(struct str response, gnutls_datum_t *out)
{
	out->data = gnutls_malloc(response.n);
	if (!out->data)
		return GNUTLS_E_MEMORY_ERROR;
	memcpy(out->data, response.p, response.n);
	out->size = (unsigned)response.n;
	return 0;
}

static int staple(gnutls_session_t session, void *arg, gnutls_datum_t *out)
{
	unsigned char fingerprint[SHA256_SIZE];
	const gnutls_datum_t *leaf = gnutls_certificate_get_ours(session);
	int result = GNUTLS_E_NO_CERTIFICATE_STATUS;
	(void)arg;
	if (!leaf)
		return result;
	tls_sha256(str_make(leaf->data, leaf->size), fingerprint);
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < table_n; i++)
		if (memcmp(table[i].fingerprint, fingerprint, SHA256_SIZE) == 0)
			result = give(table[i].response, out);
	pthread_mutex_unlock(&lock);
	return result;
}

void tls_staples_use(gnutls_certificate_credentials_t credentials)
{
	gnutls_certificate_set_ocsp_status_request_function(credentials, staple, NULL);
}
