/* SPDX-License-Identifier: Apache-2.0
 *
 * A device's TLS connection: see tls_client.h.
 */
#include "ctl/tls_client.h"
#include "ctl/host_names.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

struct tls_client {
	int fd;
	gnutls_certificate_credentials_t credentials;
	gnutls_session_t session;
	bool established;
};

static int fail(struct buf *why, int err, const char *what, const char *detail)
{
	buf_printf(why, "%s: %s", what, detail);
	return err;
}

static int dial_one(const struct addrinfo *to, int timeout_ms)
{
	const struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
	AUTO_FD fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	const int on = 1;
	/* The limit of sending bounds connecting too. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, to->ai_addr, to->ai_addrlen) < 0)
		return -1;
	return TAKE_FD(fd);
}

static int dial(const struct tls_client_settings *set, struct buf *why, int *out)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *found;
	const int e = getaddrinfo(set->host, set->port, &hints, &found);
	if (e)
		return fail(why, ERR_IO, set->host, gai_strerror(e));
	int fd = -1;
	for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next)
		fd = dial_one(a, set->timeout_ms);
	const int error = errno;
	freeaddrinfo(found);
	if (fd < 0) {
		buf_printf(why, "%s port %s: ", set->host, set->port);
		return fail(why, ERR_IO, "cannot connect",
			    error == EINPROGRESS ? "no answer in time" : strerror(error));
	}
	*out = fd;
	return 0;
}

static gnutls_datum_t datum(struct str s)
{
	return (gnutls_datum_t){(unsigned char *)(uintptr_t)s.p, (unsigned)s.n};
}

static int load(struct tls_client *c, const struct tls_client_settings *set, struct buf *why)
{
	const gnutls_datum_t ca = datum(set->ca);
	const gnutls_datum_t certificate = datum(set->certificate);
	const gnutls_datum_t key = datum(set->key);
	if (gnutls_certificate_allocate_credentials(&c->credentials) < 0)
		return fail(why, ERR_CRYPTO, "TLS", "no memory");
	const int n =
		gnutls_certificate_set_x509_trust_mem(c->credentials, &ca, GNUTLS_X509_FMT_PEM);
	if (n <= 0)
		return fail(why, ERR_CRYPTO, "ca.crt",
			    n ? gnutls_strerror(n) : "no certificate in it");
	const int e = gnutls_certificate_set_x509_key_mem(c->credentials, &certificate, &key,
							  GNUTLS_X509_FMT_PEM);
	if (e < 0)
		return fail(why, ERR_CRYPTO, "device.crt and device.key", gnutls_strerror(e));
	return 0;
}

/* The names under which it would have been accepted. */
static void name_owner(const struct tls_client *c, const char *host, struct buf *why)
{
	unsigned n = 0;
	bool listed;
	AUTO_BUF names = {0};
	const gnutls_datum_t *certificate = gnutls_certificate_get_peers(c->session, &n);
	if (n &&
	    host_names(str_make(certificate->data, certificate->size), host, &names, &listed) == 0)
		buf_printf(why, " \"%s\" is not in it; it is for: %s", host, buf_cstr(&names));
}

/* Why the server's certificate was not accepted, or what else went wrong. */
static int handshake_failed(const struct tls_client *c, int e, const char *host, struct buf *why)
{
	gnutls_datum_t text = {NULL, 0};
	if (e == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return fail(why, ERR_CRYPTO, "the gateway ended the handshake",
			    gnutls_alert_get_name(gnutls_alert_get(c->session)));
	if (e != GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR ||
	    gnutls_certificate_verification_status_print(
		    gnutls_session_get_verify_cert_status(c->session), GNUTLS_CRT_X509, &text, 0))
		return fail(why, ERR_CRYPTO, "TLS handshake", gnutls_strerror(e));
	fail(why, 0, "the gateway's certificate", (const char *)text.data);
	gnutls_free(text.data);
	if (gnutls_session_get_verify_cert_status(c->session) & GNUTLS_CERT_UNEXPECTED_OWNER)
		name_owner(c, host, why);
	return ERR_CRYPTO;
}

static int handshake(struct tls_client *c, const struct tls_client_settings *set, struct buf *why)
{
	static const gnutls_datum_t mqtt = {(unsigned char *)"mqtt", 4};
	unsigned char address[sizeof(struct in6_addr)];
	int e;
	if (gnutls_init(&c->session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL) < 0)
		return fail(why, ERR_CRYPTO, "TLS", "no memory");
	gnutls_set_default_priority(c->session);
	gnutls_credentials_set(c->session, GNUTLS_CRD_CERTIFICATE, c->credentials);
	gnutls_alpn_set_protocols(c->session, &mqtt, 1, 0);
	gnutls_session_set_verify_cert(c->session, set->host, 0);
	const bool is_address = inet_pton(AF_INET, set->host, address) == 1 ||
				inet_pton(AF_INET6, set->host, address) == 1;
	if (!is_address)
		gnutls_server_name_set(c->session, GNUTLS_NAME_DNS, set->host, strlen(set->host));
	gnutls_transport_set_int(c->session, c->fd);
	gnutls_handshake_set_timeout(c->session, (unsigned)set->timeout_ms);
	do
		e = gnutls_handshake(c->session);
	while (e < 0 && !gnutls_error_is_fatal(e));
	if (e < 0)
		return handshake_failed(c, e, set->host, why);
	c->established = true;
	return 0;
}

int tls_client_connect(const struct tls_client_settings *set, struct tls_client **out,
		       struct buf *why)
{
	AUTO(tls_client) c = mem_new(struct tls_client);
	c->fd = -1;
	int err = load(c, set, why);
	if (!err)
		err = dial(set, why, &c->fd);
	if (!err)
		err = handshake(c, set, why);
	if (!err)
		*out = TAKE(c);
	return err;
}

void tls_client_free(struct tls_client *c)
{
	if (c->established)
		gnutls_bye(c->session, GNUTLS_SHUT_WR);
	if (c->session)
		gnutls_deinit(c->session);
	if (c->credentials)
		gnutls_certificate_free_credentials(c->credentials);
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

int tls_client_send(struct tls_client *c, struct str bytes, struct buf *why)
{
	while (bytes.n) {
		const ssize_t n = gnutls_record_send(c->session, bytes.p, bytes.n);
		if (n < 0 && gnutls_error_is_fatal((int)n))
			return fail(why, ERR_IO, "sending", gnutls_strerror((int)n));
		if (n == GNUTLS_E_AGAIN)
			return fail(why, ERR_IO, "sending", "the gateway does not read");
		if (n > 0) {
			bytes.p += n;
			bytes.n -= (size_t)n;
		}
	}
	return 0;
}

static int receive_failed(const struct tls_client *c, int e, struct buf *why)
{
	if (e == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return fail(why, ERR_IO, "the gateway ended the connection",
			    gnutls_alert_get_name(gnutls_alert_get(c->session)));
	if (e == 0 || e == GNUTLS_E_PREMATURE_TERMINATION)
		return fail(why, ERR_EOF, "the gateway ended the connection", "no reason given");
	return fail(why, ERR_IO, "receiving", gnutls_strerror(e));
}

int tls_client_receive(struct tls_client *c, void *p, size_t size, int timeout_ms, size_t *n,
		       struct buf *why)
{
	for (;;) {
		struct pollfd ready = {c->fd, POLLIN, 0};
		if (gnutls_record_check_pending(c->session) == 0 &&
		    poll(&ready, 1, timeout_ms) == 0)
			return ERR_TIMEOUT;
		const ssize_t got = gnutls_record_recv(c->session, p, size);
		if (got > 0) {
			*n = (size_t)got;
			return 0;
		}
		/* Also a session ticket, which is no data. */
		if (got == 0 || gnutls_error_is_fatal((int)got))
			return receive_failed(c, (int)got, why);
	}
}

void tls_client_describe(const struct tls_client *c, struct buf *out)
{
	buf_printf(out, "%s %s", gnutls_protocol_get_name(gnutls_protocol_get_version(c->session)),
		   gnutls_cipher_get_name(gnutls_cipher_get(c->session)));
}
