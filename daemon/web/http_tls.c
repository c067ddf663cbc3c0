/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of the web processes: see http_tls.h. Replaced sets are never freed, since a handshake may
 * still use them; they are replaced once or twice a year.
 */
#include "daemon/web/http_tls.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rpc.h"

#include <pthread.h>
#include <stdatomic.h>

enum { SIGN_TIMEOUT_MS = 2000, CHAINS_MAX = 4, CHAIN_LENGTH_MAX = 8 };

struct identity {
	gnutls_pcert_st certificate[CHAIN_LENGTH_MAX];
	unsigned n;
	gnutls_privkey_t key;
	gnutls_pk_algorithm_t algorithm;
};

struct identities {
	struct identities *before; /* a handshake may still use it */
	struct buf chains;         /* what it was made of */
	struct identity identity[CHAINS_MAX];
	size_t n;
};

static _Atomic(struct identities *) current;
static pthread_mutex_t vault_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rpc vault = {.sock = -1};

void http_tls_set_vault(int fd, unsigned self)
{
	pthread_mutex_lock(&vault_lock);
	if (vault.buf)
		rpc_fini(&vault);
	rpc_init(&vault, fd, (enum process)self, PROCESS_VAULT);
	pthread_mutex_unlock(&vault_lock);
}

static int ask_vault(const struct body_tls_sign *ask, struct buf *signature)
{
	unsigned char bytes[2048];
	struct out o = out_make(bytes, sizeof(bytes));
	struct record reply;
	struct body_tls_sign_done done;
	body_tls_sign_put(&o, ask);
	if (!out_ok(&o))
		return ERR_LIMIT;
	if (!vault.buf)
		return ERR_UNAVAILABLE;
	const int err =
		rpc_ask(&vault, MSG_TLS_SIGN, str_make(bytes, o.need), SIGN_TIMEOUT_MS, &reply);
	if (err)
		return err;
	if (reply.type != MSG_TLS_SIGN_DONE || body_tls_sign_done_get(reply.body, &done) ||
	    !done.ok)
		return ERR_CRYPTO;
	buf_str(signature, done.signature);
	return 0;
}

static int sign(void *context, uint32_t key_id, int scheme, const void *data, size_t n,
		struct buf *signature)
{
	const struct body_tls_sign ask = {key_id, (uint16_t)scheme, str_make(data, n)};
	(void)context;
	pthread_mutex_lock(&vault_lock);
	const int err = ask_vault(&ask, signature);
	pthread_mutex_unlock(&vault_lock);
	return err;
}

static int take_chain(const struct body_chain *chain, struct identity *out)
{
	struct cur c = cur_of(chain->certificates);
	struct str der, leaf = {NULL, 0};
	while (out->n < CHAIN_LENGTH_MAX && entries_next(&c, &der)) {
		const gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.p, (unsigned)der.n};
		if (gnutls_pcert_import_x509_raw(&out->certificate[out->n], &datum,
						 GNUTLS_X509_FMT_DER, 0))
			return ERR_CRYPTO;
		if (out->n++ == 0)
			leaf = der;
	}
	if (out->n == 0 || tls_key_new(leaf, chain->key, sign, &vault, &out->key))
		return ERR_CRYPTO;
	out->algorithm = (gnutls_pk_algorithm_t)gnutls_privkey_get_pk_algorithm(out->key, NULL);
	return 0;
}

int http_tls_set_chains(struct str chains)
{
	struct identities *now = atomic_load(&current);
	if (now && str_eq(chains, buf_view(&now->chains)))
		return 0;
	static struct buf known;
	if (str_eq(buf_view(&known), chains))
		return 0;
	struct identities *set = mem_new(struct identities);
	struct cur c = cur_of(chains);
	struct str record;
	struct body_chain chain;
	while (set->n < CHAINS_MAX && entries_next(&c, &record)) {
		if (body_chain_get(record, &chain) || take_chain(&chain, &set->identity[set->n])) {
			log_error("a certificate chain from the vault cannot be used");
			return ERR_CRYPTO;
		}
		set->n++;
	}
	if (set->n == 0) {
		log_error("the vault has no certificate for this process");
		return ERR_NOT_FOUND;
	}
	set->before = now;
	buf_str(&set->chains, chains);
	atomic_store(&current, set);
	known.n = 0;
	buf_str(&known, chains);
	return 0;
}

const char *http_tls_priority(void)
{
	return "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-128-GCM:"
	       "+AES-256-GCM:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"
	       "+GROUP-SECP384R1:%SERVER_PRECEDENCE";
}

static bool client_accepts(const gnutls_pk_algorithm_t *algorithms, int n,
			   gnutls_pk_algorithm_t own)
{
	for (int i = 0; i < n; i++)
		if (algorithms[i] == own)
			return true;
	return n == 0;
}

int http_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_n,
		      const gnutls_pk_algorithm_t *algorithms, int algorithms_n,
		      gnutls_pcert_st **chain, unsigned *chain_n, gnutls_privkey_t *key)
{
	struct identities *set = atomic_load(&current);
	(void)session;
	(void)ca;
	(void)ca_n;
	for (size_t i = 0; set && i < set->n; i++) {
		struct identity *id = &set->identity[i];
		if (!client_accepts(algorithms, algorithms_n, id->algorithm) && i + 1 < set->n)
			continue;
		*chain = id->certificate;
		*chain_n = id->n;
		*key = id->key;
		return 0;
	}
	return -1;
}
