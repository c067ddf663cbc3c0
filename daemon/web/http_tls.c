/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS of the web processes: see http_tls.h. Replaced sets are never freed, since a handshake may
 * still use them; they are replaced once or twice a year.
 */
#include "daemon/web/http_tls.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/sign.h"
#include "daemon/net/tls_staple.h"

#include <pthread.h>
#include <stdatomic.h>

enum { CHAIN_LENGTH_MAX = 8, CHAIN_BYTES_MAX = 64 * KiB };

struct identities {
	struct identities *before; /* a handshake may still use it */
	struct buf chains;         /* what it was made of */
	gnutls_certificate_credentials_t credentials;
};

static _Atomic(struct identities *) current;
static pthread_mutex_t vault_lock = PTHREAD_MUTEX_INITIALIZER;
static struct rpc vault = {.sock = -1};
static bool vault_lost; /* this link; told once */
static void (*on_lost)(void *arg);
static void *on_lost_arg;

void http_tls_on_lost(void (*lost)(void *arg), void *arg)
{
	on_lost = lost;
	on_lost_arg = arg;
}

void http_tls_set_vault(int fd, unsigned self)
{
	pthread_mutex_lock(&vault_lock);
	if (vault.buf)
		rpc_fini(&vault);
	rpc_init(&vault, fd, (enum process)self, PROCESS_VAULT);
	vault_lost = false;
	pthread_mutex_unlock(&vault_lock);
}

static int sign(void *context, uint32_t key_id, int scheme, const void *data, size_t n,
		struct buf *signature)
{
	(void)context;
	pthread_mutex_lock(&vault_lock);
	const int err = vault.buf ? sign_ask(&vault, key_id, scheme, str_make(data, n), signature)
				  : ERR_UNAVAILABLE;
	if ((err == ERR_EOF || err == ERR_IO) && !vault_lost && on_lost) {
		vault_lost = true;
		on_lost(on_lost_arg);
	}
	pthread_mutex_unlock(&vault_lock);
	return err;
}

/* One chain with its key, taken into the credentials. */
static int take_chain(const struct body_chain *chain, gnutls_certificate_credentials_t out)
{
	gnutls_pcert_st certificate[CHAIN_LENGTH_MAX];
	gnutls_privkey_t key;
	int n = 0;
	struct cur c = cur_of(chain->certificates);
	struct str der, leaf = {NULL, 0};
	while (n < CHAIN_LENGTH_MAX && entries_next(&c, &der)) {
		const gnutls_datum_t datum = {(unsigned char *)(uintptr_t)der.p, (unsigned)der.n};
		if (gnutls_pcert_import_x509_raw(&certificate[n], &datum, GNUTLS_X509_FMT_DER, 0))
			return ERR_CRYPTO;
		if (n++ == 0)
			leaf = der;
	}
	if (n == 0 || tls_key_new(leaf, chain->key, sign, &vault, &key))
		return ERR_CRYPTO;
	return gnutls_certificate_set_key(out, NULL, 0, certificate, n, key) ? ERR_CRYPTO : 0;
}

static int take_chains(struct str chains, gnutls_certificate_credentials_t out)
{
	struct cur c = cur_of(chains);
	struct str record;
	struct body_chain chain;
	int err = ERR_NOT_FOUND;
	while (entries_next(&c, &record)) {
		err = body_chain_get(record, &chain) ? ERR_MALFORMED : take_chain(&chain, out);
		if (err)
			return err;
	}
	return err;
}

int http_tls_set_chains(struct str chains)
{
	gnutls_certificate_credentials_t made;
	struct identities *now = atomic_load(&current);
	if (now && str_eq(chains, buf_view(&now->chains)))
		return 0;
	if (gnutls_certificate_allocate_credentials(&made))
		return ERR_NOMEM;
	/* GnuTLS would test the match with a signature; the vault has checked its own keys. */
	gnutls_certificate_set_flags(made, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	tls_staples_use(made);
	const int err = take_chains(chains, made);
	if (err) {
		log_error("the certificates from the vault cannot be used: %s", err_text(err));
		gnutls_certificate_free_credentials(made);
		return err;
	}
	struct identities *set = mem_new(struct identities);
	set->before = now;
	set->credentials = made;
	buf_str(&set->chains, chains);
	atomic_store(&current, set);
	return 0;
}

const char *http_tls_priority(void)
{
	return "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA:-CIPHER-ALL:+AES-128-GCM:"
	       "+AES-256-GCM:+CHACHA20-POLY1305:-GROUP-ALL:+GROUP-X25519:+GROUP-SECP256R1:"
	       "+GROUP-SECP384R1:%SERVER_PRECEDENCE";
}

/* No authorities are named: a client would leave out a certificate of any other, and a person
 * would not be told why. */
/* The client's Finished is the last message of a handshake that it may fail. The pointer for a
 * session cache, which there is none of, leads to the progress. */
static int watch(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
		 const gnutls_datum_t *message)
{
	struct http_tls_progress *p = gnutls_db_get_ptr(session);
	(void)message;
	if (incoming && type == GNUTLS_HANDSHAKE_CLIENT_HELLO)
		p->hello = true;
	if (incoming && type == GNUTLS_HANDSHAKE_FINISHED && when == GNUTLS_HOOK_POST)
		p->established = true;
	return 0;
}

void http_tls_use(gnutls_session_t session, bool ask, struct http_tls_progress *progress)
{
	const struct identities *set = atomic_load(&current);
	gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, set->credentials);
	gnutls_db_set_ptr(session, progress);
	gnutls_handshake_set_hook_function(session, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_BOTH, watch);
	if (ask)
		gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
}

static void read_chain(gnutls_session_t session, struct http_tls_peer *out)
{
	unsigned n = 0;
	size_t bytes = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
	for (unsigned i = 0; chain && i < n; i++)
		bytes += chain[i].size;
	out->chain_too_long = n > HTTP_TLS_CHAIN_MAX || bytes > CHAIN_BYTES_MAX;
	if (!chain || out->chain_too_long)
		return;
	buf_reserve(&out->bytes, bytes); /* once, so that the views below stay */
	for (; out->chain_n < n; out->chain_n++) {
		const gnutls_datum_t *der = &chain[out->chain_n];
		out->chain[out->chain_n] = str_make(out->bytes.p + out->bytes.n, der->size);
		buf_put(&out->bytes, der->data, der->size);
	}
}

void http_tls_peer_read(gnutls_session_t session, struct http_tls_peer *out)
{
	const bool tls13 = gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3;
	gnutls_datum_t binding = {NULL, 0};
	read_chain(session, out);
	if (gnutls_session_channel_binding(session,
					   tls13 ? GNUTLS_CB_TLS_EXPORTER : GNUTLS_CB_TLS_UNIQUE,
					   &binding) == 0 &&
	    binding.size <= sizeof(out->binding)) {
		memcpy(out->binding, binding.data, binding.size);
		out->binding_n = binding.size;
	}
	gnutls_free(binding.data);
}

void http_tls_peer_fini(struct http_tls_peer *peer)
{
	buf_fini(&peer->bytes);
}

int http_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *ca, int ca_n,
		      const gnutls_pk_algorithm_t *algorithms, int algorithms_n,
		      gnutls_pcert_st **chain, unsigned *chain_n, gnutls_privkey_t *key)
{
	(void)session;
	(void)ca;
	(void)ca_n;
	(void)algorithms;
	(void)algorithms_n;
	(void)chain;
	(void)chain_n;
	(void)key;
	return -1;
}
