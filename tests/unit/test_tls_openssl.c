/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS against OpenSSL's s_client, which judges by itself: certificates, records that must not
 * exceed a negotiated max_fragment_length (RFC 6066 section 4; GnuTLS's client cannot ask for it
 * alone), RSA only, resumption.
 */
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/net/listener.h"
#include "daemon/net/tls_handshake.h"
#include "tests/unit/tls_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { BIG = 12000, KEY_EC = 0, KEY_RSA = 1 };

static struct cert root, issuing, server_ec, server_rsa, device;
static struct loop *loop;
static struct stream_scratch *scratch;
static struct handshake_pool *pool;
static struct tls_credentials *credentials;
static struct listener listener;
static struct addr where;
static struct handshake_result *result;
static char folder[] = "/tmp/gatehouse-test-XXXXXX";

static void on_done(struct handshake_result *r)
{
	assert_null(result);
	result = r;
}

static void on_accepted(struct listener *l, int fd, const struct addr *peer)
{
	(void)l;
	handshake_submit(pool, &(struct handshake_request){.fd = fd,
							   .address = *peer,
							   .credentials = credentials,
							   .timeout_ms = 20000,
							   .reply_to = loop,
							   .done = on_done});
}

/* Starts s_client; its standard input and output are the returned descriptor. */
static int spawn_client(const char *arguments, pid_t *pid)
{
	int fd[2];
	char to[ADDR_TEXT];
	AUTO_CHAR command = mem_printf(
		"exec openssl s_client -connect %s -quiet "
		"-verify_return_error -CAfile %s/root.pem -cert %s/device.pem "
		"-key %s/device.pem -cert_chain %s/issuing.pem "
		"-alpn mqtt %s 2>%s/errors",
		addr_format(&where, to), folder, folder, folder, folder, arguments, folder);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	*pid = fork();
	assert_true(*pid >= 0);
	if (*pid == 0) {
		dup2(fd[1], STDIN_FILENO);
		dup2(fd[1], STDOUT_FILENO);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(fd[1]);
	return fd[0];
}

/* One connection with a greeting from the server, much data, and an orderly end. */
static void converse(const char *arguments, const char *version, bool resumed)
{
	static char much[BIG], back[BIG];
	pid_t pid;
	const int fd = spawn_client(arguments, &pid);
	struct stream_info info;
	size_t sent = 0, got = 0;
	for (int i = 0; i < 1000 && !result; i++)
		loop_turn(loop, 100);
	assert_non_null(result);
	if (result->outcome != HANDSHAKE_DONE)
		fail_msg("%s: %s (%s)", arguments, handshake_outcome_name(result->outcome),
			 result->detail);
	assert_true(result->has_certificate);
	struct stream *s = TAKE(result->stream);
	stream_info(s, &info);
	assert_string_equal(info.version, version);
	assert_int_equal(info.resumed, resumed);
	tls_send_ticket(s, 1000);
	for (size_t i = 0; i < BIG; i++)
		much[i] = (char)('a' + i % 26);
	while (sent < BIG) {
		const struct iovec iov = {much + sent, BIG - sent};
		size_t taken = 0;
		assert_int_equal(stream_write(s, scratch, &iov, 1, &taken), 0);
		sent += taken;
	}
	while (got < BIG) {
		const ssize_t n = recv(fd, back + got, BIG - got, 0);
		if (n <= 0)
			fail_msg("%s: the client ended after %zu bytes", arguments, got);
		got += (size_t)n;
	}
	assert_memory_equal(back, much, BIG);
	stream_close(s, loop, scratch, 0);
	int status = -1;
	while (waitpid(pid, &status, WNOHANG) == 0)
		loop_turn(loop, 10);
	close(fd);
	handshake_result_free(TAKE(result));
}

static void keeps_to_max_fragment_length(void **state)
{
	(void)state;
	converse("-tls1_2 -maxfraglen 512", "TLS1.2", false);
	converse("-tls1_2 -maxfraglen 1024", "TLS1.2", false);
	converse("-tls1_3 -maxfraglen 512", "TLS1.3", false);
	converse("-tls1_3 -maxfraglen 1024", "TLS1.3", false);
}

static void rsa_only(void **state)
{
	(void)state;
	converse("-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256 -sigalgs RSA+SHA256:ECDSA+SHA256",
		 "TLS1.2", false);
}

static void resumes(void **state)
{
	(void)state;
	static const char *const version[][2] = {{"-tls1_2", "TLS1.2"}, {"-tls1_3", "TLS1.3"}};
	for (size_t i = 0; i < ARRAY_LEN(version); i++) {
		AUTO_CHAR out = mem_printf("%s -sess_out %s/session", version[i][0], folder);
		AUTO_CHAR in = mem_printf("%s -sess_in %s/session", version[i][0], folder);
		converse(out, version[i][1], false);
		converse(in, version[i][1], true);
	}
}

static void save(const char *name, const struct cert *c, bool with_key)
{
	AUTO_CHAR path = mem_printf("%s/%s", folder, name);
	gnutls_datum_t pem = {NULL, 0};
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(gnutls_x509_crt_export2(c->crt, GNUTLS_X509_FMT_PEM, &pem), 0);
	assert_int_equal(fwrite(pem.data, 1, pem.size, f), pem.size);
	gnutls_free(pem.data);
	if (with_key) {
		assert_int_equal(gnutls_x509_privkey_export2(c->key, GNUTLS_X509_FMT_PEM, &pem), 0);
		assert_int_equal(fwrite(pem.data, 1, pem.size, f), pem.size);
		gnutls_free(pem.data);
	}
	assert_int_equal(fclose(f), 0);
}

static void make_certificates(void)
{
	root = cert_make(&(struct cert_plan){.cn = "root", .ca = true});
	issuing = cert_make(&(struct cert_plan){.cn = "issuing", .issuer = &root, .ca = true});
	server_ec = cert_make(&(struct cert_plan){
		.cn = "gateway", .issuer = &issuing, .purpose = GNUTLS_KP_TLS_WWW_SERVER});
	server_rsa = cert_make(&(struct cert_plan){.cn = "gateway",
						   .issuer = &issuing,
						   .purpose = GNUTLS_KP_TLS_WWW_SERVER,
						   .rsa = true});
	device = cert_make(&(struct cert_plan){
		.cn = "pump-1", .issuer = &issuing, .purpose = GNUTLS_KP_TLS_WWW_CLIENT});
	signer_set(KEY_EC, &server_ec);
	signer_set(KEY_RSA, &server_rsa);
	save("root.pem", &root, false);
	save("issuing.pem", &issuing, false);
	save("device.pem", &device, true);
}

static void make_credentials(void)
{
	static unsigned char master[TLS_TICKET_MASTER] = "a key for tickets of this test..";
	const struct str ec[] = {cert_der(&server_ec), cert_der(&issuing)};
	const struct str rsa[] = {cert_der(&server_rsa), cert_der(&issuing)};
	const struct str trust = cert_der(&root);
	char *error = NULL;
	const struct tls_settings set = {
		.name = "mqtts",
		.identity = {{ec, 2, KEY_EC}, {rsa, 2, KEY_RSA}},
		.identity_n = 2,
		.sign = signer_tls_sign,
		.trust = &trust,
		.trust_n = 1,
		.client_certificate = TLS_CLIENT_REQUIRE,
		.ticket_life = 3600,
		.ticket_master = str_make(master, sizeof(master)),
	};
	if (tls_credentials_new(&set, &error, &credentials) < 0)
		fail_msg("%s", error);
}

static void listen_somewhere(void)
{
	struct listener_bind b = {.name = "mqtts"};
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	char *error = NULL;
	int fd = -1;
	assert_int_equal(addr_parse(STR("127.0.0.1:0"), &b.address), 0);
	if (listener_bind(&b, &error, &fd) < 0)
		fail_msg("%s", error);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, n, &where), 0);
	listener = (struct listener){.name = "mqtts", .accepted = on_accepted};
	assert_int_equal(listener_start(&listener, loop, fd), 0);
}

static int setup(void **state)
{
	(void)state;
	tls_global_init(0);
	assert_non_null(mkdtemp(folder));
	make_certificates();
	make_credentials();
	loop = loop_new();
	scratch = stream_scratch_new();
	listen_somewhere();
	const struct handshake_pool_settings set = {.threads = 1};
	return handshake_pool_new(&set, &pool);
}

static int teardown(void **state)
{
	(void)state;
	static const char *const files[] = {"root.pem", "issuing.pem", "device.pem", "session",
					    "errors"};
	struct cert *all[] = {&root, &issuing, &server_ec, &server_rsa, &device};
	handshake_pool_free(pool);
	listener_stop(&listener);
	stream_scratch_free(scratch);
	loop_free(loop);
	tls_credentials_unref(credentials);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		cert_free(all[i]);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		AUTO_CHAR path = mem_printf("%s/%s", folder, files[i]);
		unlink(path);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_to_max_fragment_length),
		cmocka_unit_test(rsa_only),
		cmocka_unit_test(resumes),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
