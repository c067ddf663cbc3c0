/* SPDX-License-Identifier: Apache-2.0
 *
 * TLS: handshakes of the pool with a GnuTLS client over a socket pair, certificates made on the
 * spot, keys behind a callback. Both protocol versions wherever they differ.
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/net/tls_handshake.h"
#include "tests/unit/tls_peer.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TLS12      "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define TLS13      "NORMAL:-VERS-ALL:+VERS-TLS1.3"
#define CLIENT_EKU GNUTLS_KP_TLS_WWW_CLIENT
#define SERVER_EKU GNUTLS_KP_TLS_WWW_SERVER

static const char *const versions[] = {TLS12, TLS13};

enum { KEY_EC, KEY_RSA };

static struct cert root, issuing, stranger_root, server_ec, server_rsa, device, stranger;
static unsigned char master[TLS_TICKET_MASTER] = "a key for tickets of this test..";

static struct loop *loop;
static struct stream_scratch *scratch;
static struct handshake_pool *pool;
static enum handshake_verdict verdict;
static unsigned asked;
static bool asked_resumed;

static enum handshake_verdict authorise(void *thread_context, const struct handshake_peer *peer,
					uint64_t *id)
{
	assert_ptr_equal(thread_context, &asked);
	asked++;
	asked_resumed = peer->resumed;
	*id = 77;
	return verdict;
}

/* Credentials: what a test wants to differ. */
struct server_plan {
	const char *name;
	enum tls_client_certificate client;
	uint32_t record_max;
	uint32_t ticket_life;
	const struct cert *trust;
	bool no_tls12;
	bool no_tls13;
	int64_t grace;
};

static struct tls_credentials *credentials(const struct server_plan *plan)
{
	const struct str chain_ec[] = {cert_der(&server_ec), cert_der(&issuing)};
	const struct str chain_rsa[] = {cert_der(&server_rsa), cert_der(&issuing)};
	const struct str trust = cert_der(plan->trust ? plan->trust : &root);
	struct tls_credentials *c = NULL;
	char *error = NULL;
	const struct tls_settings set = {
		.name = plan->name ? plan->name : "mqtts",
		.identity = {{chain_ec, 2, KEY_EC}, {chain_rsa, 2, KEY_RSA}},
		.identity_n = 2,
		.sign = signer_tls_sign,
		.grace = plan->grace,
		.trust = &trust,
		.trust_n = 1,
		.client_certificate = plan->client,
		.no_tls12 = plan->no_tls12,
		.no_tls13 = plan->no_tls13,
		.record_max = plan->record_max,
		.ticket_life = plan->ticket_life,
		.ticket_master = str_make(master, sizeof(master)),
	};
	if (tls_credentials_new(&set, &error, &c) < 0)
		fail_msg("%s", error);
	return c;
}

/* One connection. */
struct run {
	struct handshake_result *result;
	struct client client;
	int client_code;
};

static void on_done(struct handshake_result *r)
{
	struct run *run = r->context;
	run->result = r;
}

static void submit(struct run *run, struct tls_credentials *c, int fd, uint32_t timeout_ms)
{
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	handshake_submit(pool, &(struct handshake_request){.fd = fd,
							   .credentials = c,
							   .timeout_ms = timeout_ms,
							   .reply_to = loop,
							   .done = on_done,
							   .context = run});
}

static void await_result(struct run *run)
{
	for (int i = 0; i < 1000 && !run->result; i++)
		loop_turn(loop, 100);
	assert_non_null(run->result);
}

static void make_pair(int fd[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
}

static void connect_to(struct run *run, struct tls_credentials *c, const struct client_plan *plan)
{
	int fd[2];
	*run = (struct run){.result = NULL};
	make_pair(fd);
	submit(run, c, fd[0], 20000);
	client_init(&run->client, fd[1], plan);
	run->client_code = client_handshake(&run->client);
	await_result(run);
}

static void run_end(struct run *run)
{
	handshake_result_free(run->result);
	client_end(&run->client);
}

static void must_be(const struct run *run, enum handshake_outcome want)
{
	if (run->result->outcome != want)
		fail_msg("want %s, got %s (%s), client: %s", handshake_outcome_name(want),
			 handshake_outcome_name(run->result->outcome), run->result->detail,
			 gnutls_strerror(run->client_code));
}

/* The alert that the client got, in the handshake or (TLS 1.3) right behind it. */
static int client_alert(struct run *run)
{
	char c;
	int e = run->client_code;
	if (e == 0)
		e = (int)client_recv(&run->client, &c, 1);
	return e == GNUTLS_E_FATAL_ALERT_RECEIVED ? (int)gnutls_alert_get(run->client.session) : -1;
}

static void say(struct run *run, const char *text)
{
	const struct iovec iov = {(void *)text, strlen(text)};
	size_t taken = 0;
	assert_int_equal(stream_write(run->result->stream, scratch, &iov, 1, &taken), 0);
	assert_int_equal(taken, iov.iov_len);
}

static void client_hears(struct run *run, const char *text)
{
	char got[64] = "";
	assert_int_equal(client_recv(&run->client, got, sizeof(got) - 1), (ssize_t)strlen(text));
	assert_string_equal(got, text);
}

static void server_hears(struct run *run, const char *text)
{
	struct str got;
	assert_int_equal(stream_read(run->result->stream, scratch, &got), 0);
	assert_true(str_is(got, text));
}

static const struct client_plan with_certificate = {
	.leaf = &device, .issuing = &issuing, .alpn = "mqtt"};

static struct client_plan as(const char *priority)
{
	struct client_plan plan = with_certificate;
	plan.priority = priority;
	return plan;
}

static void check_info(const struct run *run, bool v13)
{
	struct stream_info info;
	struct str chain[4];
	unsigned char fingerprint[32];
	size_t n = sizeof(fingerprint);
	stream_info(run->result->stream, &info);
	assert_string_equal(info.transport, "tls");
	assert_string_equal(info.version, v13 ? "TLS1.3" : "TLS1.2");
	assert_string_equal(info.cipher, "AES-128-GCM");
	assert_true(str_is(info.alpn, "mqtt"));
	assert_true(info.has_certificate);
	assert_false(info.resumed);
	gnutls_fingerprint(GNUTLS_DIG_SHA256, &device.der, fingerprint, &n);
	assert_memory_equal(info.fingerprint, fingerprint, 32);
	assert_int_equal(stream_peer_chain(run->result->stream, chain, 4), 2);
	assert_true(str_eq(chain[0], cert_der(&device)));
	assert_true(str_eq(chain[1], cert_der(&issuing)));
}

static void full_handshake_and_data(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE});
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		const struct client_plan plan = as(versions[i]);
		asked = 0;
		struct run run;
		connect_to(&run, c, &plan);
		must_be(&run, HANDSHAKE_DONE);
		assert_int_equal(asked, 1);
		assert_false(asked_resumed);
		assert_int_equal(run.result->device, 77);
		check_info(&run, i == 1);
		say(&run, "CONNACK");
		client_hears(&run, "CONNACK");
		assert_int_equal(gnutls_record_send(run.client.session, "one", 3), 3);
		assert_int_equal(gnutls_record_send(run.client.session, "two", 3), 3);
		server_hears(&run, "onetwo"); /* all records of one wake-up together */
		stream_close(TAKE(run.result->stream), loop, scratch, 0);
		char byte;
		assert_int_equal(client_recv(&run.client, &byte, 1), 0); /* close_notify */
		run_end(&run);
	}
}

static void data_then_close_notify(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE});
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		const struct client_plan plan = as(versions[i]);
		struct run run;
		connect_to(&run, c, &plan);
		struct str got;
		char byte;
		must_be(&run, HANDSHAKE_DONE);
		assert_int_equal(gnutls_record_send(run.client.session, "bye", 3), 3);
		assert_int_equal(gnutls_bye(run.client.session, GNUTLS_SHUT_WR), 0);
		server_hears(&run, "bye");
		/* No FIN came, and yet the loop is told to come back. */
		assert_int_equal(recv(stream_fd(run.result->stream), &byte, 1, MSG_DONTWAIT), 0);
		assert_int_equal(stream_read(run.result->stream, scratch, &got), ERR_EOF);
		run_end(&run);
	}
}

static void half_a_record_waits(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	struct run run;
	connect_to(&run, c, &(struct client_plan){.priority = TLS13});
	struct str got;
	int tap[2];
	unsigned char record[64];
	must_be(&run, HANDSHAKE_DONE);
	/* Catch a record and send it in two parts. */
	make_pair(tap);
	const int wire = run.client.fd;
	run.client.fd = tap[0];
	assert_int_equal(gnutls_record_send(run.client.session, "whole", 5), 5);
	const ssize_t n = recv(tap[1], record, sizeof(record), 0);
	assert_true(n > 10);
	assert_int_equal(send(wire, record, 7, 0), 7);
	assert_int_equal(stream_read(run.result->stream, scratch, &got), ERR_AGAIN);
	assert_int_equal(send(wire, record + 7, (size_t)n - 7, 0), n - 7);
	server_hears(&run, "whole");
	/* A byte that was changed on the way ends the stream. */
	record[n - 1] ^= 1;
	assert_int_equal(send(wire, record, (size_t)n, 0), n);
	assert_int_equal(stream_read(run.result->stream, scratch, &got), ERR_MALFORMED);
	assert_string_equal(stream_error(run.result->stream),
			    "a TLS record could not be decrypted");
	run.client.fd = wire;
	close(tap[0]);
	close(tap[1]);
	run_end(&run);
}

/* RFC 8446 section 4.6.3: the peer changes its key and asks for ours, in the middle of its data. */
static void data_around_a_key_update(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	struct run run;
	connect_to(&run, c, &(struct client_plan){.priority = TLS13});
	must_be(&run, HANDSHAKE_DONE);
	assert_int_equal(gnutls_record_send(run.client.session, "one", 3), 3);
	assert_int_equal(gnutls_session_key_update(run.client.session, GNUTLS_KU_PEER), 0);
	assert_int_equal(gnutls_record_send(run.client.session, "two", 3), 3);
	server_hears(&run, "onetwo");
	say(&run, "three");
	ssize_t n;
	char got[8] = "";
	do
		n = client_recv(&run.client, got, sizeof(got) - 1);
	while (n == GNUTLS_E_AGAIN);
	assert_string_equal(got, "three");
	run_end(&run);
}

static void large_data_against_a_full_socket(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	struct run run;
	connect_to(&run, c, &(struct client_plan){.priority = TLS13});
	enum { TOTAL = 1000000 };
	char *out = malloc(TOTAL), *in = malloc(TOTAL);
	size_t sent = 0, got = 0;
	bool refused = false;
	must_be(&run, HANDSHAKE_DONE);
	for (size_t i = 0; i < TOTAL; i++)
		out[i] = (char)(i * 31 + (i >> 8));
	while (got < TOTAL) {
		const struct iovec iov[2] = {
			{out + sent, MIN(TOTAL - sent, (size_t)33)},
			{out + MIN(sent + 33, (size_t)TOTAL),
			 TOTAL - MIN(sent + 33, (size_t)TOTAL)},
		};
		size_t taken = 0;
		const int e = stream_write(run.result->stream, scratch, iov, 2, &taken);
		sent += taken;
		refused |= e == ERR_AGAIN;
		assert_true(e == 0 || e == ERR_AGAIN);
		stream_flush(run.result->stream, scratch);
		const ssize_t n = client_recv(&run.client, in + got, TOTAL - got);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_true(refused);
	assert_memory_equal(in, out, TOTAL);
	assert_int_equal(stream_pending(run.result->stream), 0);
	free(in);
	free(out);
	run_end(&run);
}

/* Refusals. */

static void check_refusal(const struct cert *leaf, const struct cert *chain, const char *version,
			  enum handshake_outcome want, int alert)
{
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE});
	const struct client_plan plan = {.priority = version, .leaf = leaf, .issuing = chain};
	struct run run;
	connect_to(&run, c, &plan);
	must_be(&run, want);
	assert_null(run.result->stream);
	assert_int_equal(client_alert(&run), alert);
	assert_int_equal(run.result->has_certificate, leaf != NULL);
	if (leaf) {
		char fingerprint[65];
		unsigned char digest[32];
		size_t n = sizeof(digest);
		gnutls_fingerprint(GNUTLS_DIG_SHA256, &leaf->der, digest, &n);
		hex_encode(digest, sizeof(digest), fingerprint);
		assert_string_equal(run.result->certificate.fingerprint, fingerprint);
		assert_int_equal(strncmp(run.result->certificate.subject, "CN=", 3), 0);
		assert_int_equal(strncmp(run.result->certificate.issuer, "CN=", 3), 0);
		assert_int_equal(strncmp(run.result->certificate.serial, "2a", 2), 0);
		assert_true(run.result->certificate.not_after > run.result->certificate.not_before);
	}
	run_end(&run);
}

static void with_grace(const struct cert *leaf, const struct cert *chain, int64_t grace,
		       enum handshake_outcome want)
{
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		AUTO(tls_credentials)
		c = credentials(
			&(struct server_plan){.client = TLS_CLIENT_REQUIRE, .grace = grace});
		const struct client_plan plan = {
			.priority = versions[i], .leaf = leaf, .issuing = chain};
		struct run run;
		connect_to(&run, c, &plan);
		must_be(&run, want);
		run_end(&run);
	}
}

/* An ended leaf counts so long, if nothing else is wrong with it; the registry has the last word.
 */
static void ended_certificates_with_grace(void **state)
{
	(void)state;
	struct cert ended = cert_make(&(struct cert_plan){.cn = "old",
							  .issuer = &issuing,
							  .purpose = CLIENT_EKU,
							  .from_s = -9999,
							  .for_s = 5000});
	struct cert server = cert_make(&(struct cert_plan){.cn = "server",
							   .issuer = &issuing,
							   .purpose = SERVER_EKU,
							   .from_s = -9999,
							   .for_s = 5000});
	struct cert fake_issuing = cert_make(
		&(struct cert_plan){.cn = "issuing", .issuer = &stranger_root, .ca = true});
	struct cert fake = cert_make(&(struct cert_plan){.cn = "fake",
							 .issuer = &fake_issuing,
							 .purpose = CLIENT_EKU,
							 .from_s = -9999,
							 .for_s = 5000});
	struct cert ended_issuing = cert_make(&(struct cert_plan){
		.cn = "issuing", .issuer = &root, .ca = true, .from_s = -9999, .for_s = 5000});
	struct cert below = cert_make(&(struct cert_plan){.cn = "below",
							  .issuer = &ended_issuing,
							  .purpose = CLIENT_EKU,
							  .from_s = -9999,
							  .for_s = 5000});
	with_grace(&ended, &issuing, 6000, HANDSHAKE_DONE);
	with_grace(&server, &issuing, 6000, HANDSHAKE_BAD_PURPOSE);
	with_grace(&fake, &fake_issuing, 6000, HANDSHAKE_UNKNOWN_CA);
	with_grace(&below, &ended_issuing, 6000, HANDSHAKE_EXPIRED);
	struct cert late = cert_make(&(struct cert_plan){.cn = "late",
							 .issuer = &issuing,
							 .purpose = CLIENT_EKU,
							 .from_s = -9999,
							 .for_s = 999});
	with_grace(&late, &issuing, 6000, HANDSHAKE_EXPIRED);
	with_grace(&late, &issuing, 0, HANDSHAKE_EXPIRED);
	cert_free(&ended);
	cert_free(&server);
	cert_free(&fake);
	cert_free(&fake_issuing);
	cert_free(&ended_issuing);
	cert_free(&below);
	cert_free(&late);
}

static void refuses_certificates(void **state)
{
	(void)state;
	struct cert expired = cert_make(&(struct cert_plan){.cn = "old",
							    .issuer = &issuing,
							    .purpose = CLIENT_EKU,
							    .from_s = -9999,
							    .for_s = 99});
	struct cert early = cert_make(&(struct cert_plan){
		.cn = "early", .issuer = &issuing, .purpose = CLIENT_EKU, .from_s = 9999});
	struct cert server = cert_make(
		&(struct cert_plan){.cn = "server", .issuer = &issuing, .purpose = SERVER_EKU});
	struct cert fake_issuing = cert_make(
		&(struct cert_plan){.cn = "issuing", .issuer = &stranger_root, .ca = true});
	struct cert fake = cert_make(
		&(struct cert_plan){.cn = "fake", .issuer = &fake_issuing, .purpose = CLIENT_EKU});
	struct cert lone = cert_make(
		&(struct cert_plan){.cn = "lone", .issuer = &issuing, .purpose = CLIENT_EKU});
	struct cert by_leaf = cert_make(
		&(struct cert_plan){.cn = "by leaf", .issuer = &device, .purpose = CLIENT_EKU});
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		const char *v = versions[i];
		check_refusal(NULL, NULL, v, HANDSHAKE_NO_CERTIFICATE,
			      i ? GNUTLS_A_CERTIFICATE_REQUIRED : GNUTLS_A_HANDSHAKE_FAILURE);
		check_refusal(&stranger, NULL, v, HANDSHAKE_UNKNOWN_CA, GNUTLS_A_UNKNOWN_CA);
		check_refusal(&stranger, &stranger_root, v, HANDSHAKE_UNKNOWN_CA,
			      GNUTLS_A_UNKNOWN_CA);
		check_refusal(&fake, &fake_issuing, v, HANDSHAKE_UNKNOWN_CA, GNUTLS_A_UNKNOWN_CA);
		check_refusal(&lone, NULL, v, HANDSHAKE_UNKNOWN_CA, GNUTLS_A_UNKNOWN_CA);
		check_refusal(&expired, &issuing, v, HANDSHAKE_EXPIRED,
			      GNUTLS_A_CERTIFICATE_EXPIRED);
		check_refusal(&early, &issuing, v, HANDSHAKE_NOT_YET_VALID,
			      GNUTLS_A_BAD_CERTIFICATE);
		check_refusal(&server, &issuing, v, HANDSHAKE_BAD_PURPOSE,
			      GNUTLS_A_UNSUPPORTED_CERTIFICATE);
		check_refusal(&by_leaf, &device, v, HANDSHAKE_UNKNOWN_CA, GNUTLS_A_UNKNOWN_CA);
		/* A good one once more: no refusal was kept for the leaf. */
		AUTO(tls_credentials)
		c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE});
		const struct client_plan plan = as(v);
		struct run run;
		connect_to(&run, c, &plan);
		must_be(&run, HANDSHAKE_DONE);
		run_end(&run);
	}
	cert_free(&expired);
	cert_free(&early);
	cert_free(&server);
	cert_free(&fake);
	cert_free(&fake_issuing);
	cert_free(&by_leaf);
	cert_free(&lone);
}

static void refuses_by_verdict(void **state)
{
	(void)state;
	static const struct {
		enum handshake_verdict verdict;
		enum handshake_outcome want;
		int alert;
	} row[] = {
		{VERDICT_REVOKED, HANDSHAKE_REVOKED, GNUTLS_A_CERTIFICATE_REVOKED},
		{VERDICT_DISABLED, HANDSHAKE_DISABLED, GNUTLS_A_ACCESS_DENIED},
		{VERDICT_UNKNOWN_DEVICE, HANDSHAKE_UNKNOWN_DEVICE, GNUTLS_A_CERTIFICATE_UNKNOWN},
		{VERDICT_EXPIRED, HANDSHAKE_EXPIRED, GNUTLS_A_CERTIFICATE_EXPIRED},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		verdict = row[i].verdict;
		for (size_t v = 0; v < ARRAY_LEN(versions); v++)
			check_refusal(&device, &issuing, versions[v], row[i].want, row[i].alert);
	}
	verdict = VERDICT_ALLOW;
}

static void certificate_may_be_optional(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUEST});
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		const struct client_plan with = as(versions[i]);
		const struct client_plan bad = {.priority = versions[i], .leaf = &stranger};
		asked = 0;
		struct run run;
		connect_to(&run, c, &(struct client_plan){.priority = versions[i]});
		must_be(&run, HANDSHAKE_DONE);
		assert_int_equal(asked, 0);
		assert_false(run.result->has_certificate);
		assert_int_equal(run.result->device, 0);
		run_end(&run);
		connect_to(&run, c, &with);
		must_be(&run, HANDSHAKE_DONE);
		assert_int_equal(asked, 1);
		assert_true(run.result->has_certificate);
		run_end(&run);
		connect_to(&run, c, &bad);
		must_be(&run, HANDSHAKE_UNKNOWN_CA);
		run_end(&run);
	}
}

static void the_cache_spares_verifying(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE});
	AUTO(tls_credentials)
	other = credentials(
		&(struct server_plan){.client = TLS_CLIENT_REQUIRE, .trust = &stranger_root});
	const struct client_plan plan = as(TLS13);
	struct handshake_stats before, after;
	struct run run;
	connect_to(&run, c, &plan);
	must_be(&run, HANDSHAKE_DONE);
	run_end(&run);
	handshake_pool_stats(pool, &before);
	connect_to(&run, c, &plan);
	must_be(&run, HANDSHAKE_DONE);
	run_end(&run);
	handshake_pool_stats(pool, &after);
	assert_int_equal(after.cache_hits - before.cache_hits, 1);
	assert_int_equal(after.cache_misses - before.cache_misses, 0);
	/* What was verified under one trust says nothing under another. */
	connect_to(&run, other, &plan);
	must_be(&run, HANDSHAKE_UNKNOWN_CA);
	run_end(&run);
	assert_int_equal(after.outcome[HANDSHAKE_DONE] - before.outcome[HANDSHAKE_DONE], 1);
	assert_int_equal(after.running, 0);
}

/* Resumption. */

static gnutls_datum_t ticket_from(struct tls_credentials *c, const char *version)
{
	const struct client_plan plan = as(version);
	struct run run;
	connect_to(&run, c, &plan);
	must_be(&run, HANDSHAKE_DONE);
	assert_false(run.result->resumed);
	tls_send_ticket(run.result->stream, 1000);
	say(&run, "CONNACK");
	client_hears(&run, "CONNACK");
	const gnutls_datum_t data = client_session(&run.client);
	run_end(&run);
	return data;
}

static void resume(struct run *run, struct tls_credentials *c, const char *version,
		   const gnutls_datum_t *data)
{
	struct client_plan plan = as(version);
	plan.resume = data;
	asked = 0;
	connect_to(run, c, &plan);
}

static void resumes_and_asks_again(void **state)
{
	(void)state;
	AUTO(tls_credentials)
	a = credentials(&(struct server_plan){
		.name = "a", .client = TLS_CLIENT_REQUIRE, .ticket_life = 3600});
	AUTO(tls_credentials)
	a_again = credentials(&(struct server_plan){
		.name = "a", .client = TLS_CLIENT_REQUIRE, .ticket_life = 3600});
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		gnutls_datum_t data = ticket_from(a, versions[i]);
		/* Another snapshot of the same listener: a reload loses no ticket. */
		struct run run;
		resume(&run, a_again, versions[i], &data);
		must_be(&run, HANDSHAKE_DONE);
		assert_true(run.result->resumed);
		assert_true(gnutls_session_is_resumed(run.client.session));
		assert_int_equal(asked, 1);
		assert_true(asked_resumed);
		assert_true(run.result->has_certificate);
		/* All of it: it can be verified anew when the cache has forgotten the leaf. */
		struct str chain[4];
		assert_int_equal(stream_peer_chain(run.result->stream, chain, 4), 2);
		assert_true(str_eq(chain[0], cert_der(&device)));
		say(&run, "CONNACK");
		client_hears(&run, "CONNACK");
		run_end(&run);
		verdict = VERDICT_REVOKED;
		resume(&run, a, versions[i], &data);
		must_be(&run, HANDSHAKE_REVOKED);
		assert_true(asked_resumed);
		assert_int_equal(client_alert(&run), GNUTLS_A_CERTIFICATE_REVOKED);
		assert_true(run.result->has_certificate);
		run_end(&run);
		verdict = VERDICT_ALLOW;
		gnutls_free(data.data);
	}
}

static void tickets_stay_with_their_listener(void **state)
{
	(void)state;
	AUTO(tls_credentials)
	a = credentials(&(struct server_plan){
		.name = "a", .client = TLS_CLIENT_REQUIRE, .ticket_life = 3600});
	struct server_plan plans[] = {
		{.name = "b", .client = TLS_CLIENT_REQUIRE, .ticket_life = 3600},
		{.name = "a", .client = TLS_CLIENT_REQUEST, .ticket_life = 3600},
		{.name = "a", .client = TLS_CLIENT_REQUIRE},
	};
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		gnutls_datum_t data = ticket_from(a, versions[i]);
		for (size_t p = 0; p < ARRAY_LEN(plans); p++) {
			AUTO(tls_credentials) b = credentials(&plans[p]);
			struct run run;
			resume(&run, b, versions[i], &data);
			must_be(&run, HANDSHAKE_DONE);
			assert_false(run.result->resumed);
			run_end(&run);
		}
		/* Other anchors: the certificate of the ticket's session counts for nothing. */
		AUTO(tls_credentials)
		b = credentials(&(struct server_plan){.name = "a",
						      .client = TLS_CLIENT_REQUIRE,
						      .ticket_life = 3600,
						      .trust = &stranger_root});
		struct run run;
		resume(&run, b, versions[i], &data);
		must_be(&run, HANDSHAKE_UNKNOWN_CA);
		run_end(&run);
		gnutls_free(data.data);
	}
}

static void no_ticket_without_time_left(void **state)
{
	(void)state;
	AUTO(tls_credentials)
	c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE, .ticket_life = 3600});
	static const int64_t left[] = {TICKET_MIN_S - 1, TICKET_MIN_S};
	for (size_t i = 0; i < ARRAY_LEN(left); i++) {
		const struct client_plan plan = as(TLS13);
		struct run run;
		connect_to(&run, c, &plan);
		must_be(&run, HANDSHAKE_DONE);
		tls_send_ticket(run.result->stream, left[i]);
		say(&run, "CONNACK");
		client_hears(&run, "CONNACK");
		const unsigned flags = gnutls_session_get_flags(run.client.session);
		assert_int_equal((flags & GNUTLS_SFLAGS_SESSION_TICKET) != 0, i == 1);
		run_end(&run);
	}
}

/* Records and keys. */

static void send_much(struct run *run)
{
	static char much[12000];
	size_t got = 0, at = 0, taken;
	while (at < sizeof(much)) {
		const struct iovec iov = {much + at, sizeof(much) - at};
		assert_int_equal(stream_write(run->result->stream, scratch, &iov, 1, &taken), 0);
		at += taken;
	}
	run->client.largest_record = 0;
	while (got < sizeof(much)) {
		static char in[sizeof(much)];
		const ssize_t n = client_recv(&run->client, in, sizeof(in));
		assert_true(n > 0);
		got += (size_t)n;
	}
}

/* A client that knows no such limit may send larger ones. */
static void client_sends_large_records(struct run *run)
{
	static char big[10000];
	struct str got;
	size_t n = 0;
	while (n < sizeof(big)) {
		const ssize_t sent =
			gnutls_record_send(run->client.session, big + n, sizeof(big) - n);
		assert_true(sent > 0);
		n += (size_t)sent;
	}
	assert_int_equal(stream_read(run->result->stream, scratch, &got), 0);
	assert_int_equal(got.n, sizeof(big));
}

static void records_are_no_larger_than_allowed(void **state)
{
	(void)state;
	enum { AROUND = 24 /* nonce or content type, and tag */ };
	static const struct {
		uint32_t listener;
		size_t client;
		size_t most;
	} row[] = {{512, 0, 512}, {1024, 0, 1024}, {0, 512, 512}, {0, 1024, 1024}, {0, 0, 12000}};
	for (size_t i = 0; i < ARRAY_LEN(row) * ARRAY_LEN(versions); i++) {
		const size_t r = i / ARRAY_LEN(versions);
		/* With tickets: on TLS 1.2 they are the largest message of the handshake. */
		AUTO(tls_credentials)
		c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE,
						      .ticket_life = 60,
						      .record_max = row[r].listener});
		struct client_plan plan = as(versions[i % ARRAY_LEN(versions)]);
		plan.record_max = row[r].client;
		struct run run;
		connect_to(&run, c, &plan);
		must_be(&run, HANDSHAKE_DONE);
		assert_true(run.client.largest_record <= row[r].most + AROUND);
		send_much(&run);
		assert_true(run.client.largest_record <= row[r].most + AROUND);
		assert_true(run.client.largest_record >= row[r].most);
		client_sends_large_records(&run);
		run_end(&run);
	}
}

static void rsa_only_clients(void **state)
{
	(void)state;
	static const char *const rsa[] = {
		TLS12 ":-KX-ALL:+ECDHE-RSA:-SIGN-ALL:+SIGN-RSA-SHA256",
		TLS12 ":-KX-ALL:+ECDHE-RSA:-SIGN-ALL:+SIGN-RSA-SHA512",
		TLS12 ":-KX-ALL:+ECDHE-RSA:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256",
		TLS13 ":-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256",
		TLS13 ":-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA384:+SIGN-RSA-SHA256",
	};
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	for (size_t i = 0; i < ARRAY_LEN(rsa); i++) {
		struct run run;
		connect_to(&run, c, &(struct client_plan){.priority = rsa[i]});
		must_be(&run, HANDSHAKE_DONE);
		unsigned n;
		const gnutls_datum_t *got = gnutls_certificate_get_peers(run.client.session, &n);
		assert_true(str_eq(str_make(got->data, got->size), cert_der(&server_rsa)));
		run_end(&run);
	}
	struct run run;
	connect_to(&run, c, &(struct client_plan){.priority = TLS13});
	unsigned n;
	const gnutls_datum_t *got = gnutls_certificate_get_peers(run.client.session, &n);
	assert_true(str_eq(str_make(got->data, got->size), cert_der(&server_ec)));
	run_end(&run);
}

static void our_signature_fails(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
		signer_away = true;
		struct run run;
		connect_to(&run, c, &(struct client_plan){.priority = versions[i]});
		signer_away = false;
		must_be(&run, HANDSHAKE_SIGNATURE_FAILED);
		assert_true(run.client_code < 0);
		run_end(&run);
		connect_to(&run, c, &(struct client_plan){.priority = versions[i]});
		must_be(&run, HANDSHAKE_DONE);
		run_end(&run);
	}
}

/* What is no handshake of ours. */

static struct run raw(struct tls_credentials *c, const char *bytes, size_t n, bool close_after,
		      uint32_t timeout_ms)
{
	struct run run = {.result = NULL}; /* known to the pool only until the result is here */
	int fd[2];
	make_pair(fd);
	/* Before the clock of the handshake starts: a busy machine must not decide. */
	if (n)
		assert_int_equal(send(fd[1], bytes, n, MSG_NOSIGNAL), (ssize_t)n);
	submit(&run, c, fd[0], timeout_ms);
	if (close_after)
		close(fd[1]);
	await_result(&run);
	if (!close_after)
		close(fd[1]);
	return run;
}

static void strangers(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	static const struct {
		struct str bytes;
		bool close_after;
		uint32_t timeout_ms;
		enum handshake_outcome want;
		const char *word;
	} row[] = {
		{STR("\x10\x0c\0\4MQTT"), false, 20000, HANDSHAKE_NOT_TLS, "MQTT without TLS"},
		{STR("GET / HTTP/1.1\r\n"), false, 20000, HANDSHAKE_NOT_TLS, "HTTP"},
		{STR("\x80\x2e\1\0\2"), false, 20000, HANDSHAKE_NOT_TLS, "0x80"},
		{STR(""), true, 20000, HANDSHAKE_ABORTED, "before it sent anything"},
		{STR("\x16\3\1"), true, 20000, HANDSHAKE_ABORTED, "closed"},
		{STR(""), false, 20, HANDSHAKE_TIMEOUT, "sent nothing"},
		{STR("\x16\3\1\0\xff\1"), false, 20, HANDSHAKE_TIMEOUT, "did not finish"},
		{STR("\x16\3\1\0\4\1\0\0\0"), false, 20000, HANDSHAKE_PROTOCOL_ERROR, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		struct run run = raw(c, row[i].bytes.p, row[i].bytes.n, row[i].close_after,
				     row[i].timeout_ms);
		must_be(&run, row[i].want);
		assert_non_null(strstr(run.result->detail, row[i].word));
		handshake_result_free(run.result);
	}
}

/* GnuTLS alone would collect the 16 MiB that this message claims to have. */
static void endless_client_hello(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	AUTO_BUF flood = {0};
	for (size_t i = 0; i < 5; i++) {
		buf_put(&flood, "\x16\3\1\x40\0", 5);
		char *body = buf_reserve(&flood, 16 * KiB);
		memset(body, 1, 16 * KiB);
		if (i == 0)
			memcpy(body, "\1\xff\xff\xff", 4);
		flood.n += 16 * KiB;
	}
	struct run run = raw(c, flood.p, flood.n, false, 20000);
	must_be(&run, HANDSHAKE_PROTOCOL_ERROR);
	assert_non_null(strstr(run.result->detail, "longer than 64 KiB"));
	handshake_result_free(run.result);
}

static void versions_and_ciphers(void **state)
{
	(void)state;
	static const struct {
		struct server_plan server;
		const char *client;
		enum handshake_outcome want;
	} row[] = {
		{{.no_tls13 = true}, TLS13, HANDSHAKE_NO_COMMON_CIPHER},
		{{.no_tls12 = true}, TLS12, HANDSHAKE_NO_COMMON_CIPHER},
		{{.no_tls12 = true}, TLS13, HANDSHAKE_DONE},
		{{.no_tls13 = true}, TLS12, HANDSHAKE_DONE},
		{{.name = "x"}, "NORMAL:-VERS-ALL:+VERS-TLS1.1", HANDSHAKE_UNSUPPORTED_VERSION},
		{{.name = "x"}, TLS12 ":-CIPHER-ALL:+AES-128-CBC", HANDSHAKE_NO_COMMON_CIPHER},
		{{.name = "x"}, TLS12 ":-KX-ALL:+RSA", HANDSHAKE_NO_COMMON_CIPHER},
		{{.name = "x"}, TLS13 ":-CIPHER-ALL:+AES-128-CCM", HANDSHAKE_NO_COMMON_CIPHER},
		{{.name = "x"}, TLS13 ":-GROUP-ALL:+GROUP-SECP521R1", HANDSHAKE_NO_COMMON_CIPHER},
	};
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		AUTO(tls_credentials) c = credentials(&row[i].server);
		struct run run;
		connect_to(&run, c, &(struct client_plan){.priority = row[i].client});
		if (run.result->outcome != row[i].want)
			fail_msg("row %zu: %s (%s)", i, handshake_outcome_name(run.result->outcome),
				 run.result->detail);
		run_end(&run);
	}
}

static void a_peer_that_does_not_trust_us(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	struct run run = {.result = NULL};
	int fd[2];
	make_pair(fd);
	submit(&run, c, fd[0], 20000);
	client_init(&run.client, fd[1], &(struct client_plan){.priority = TLS13});
	gnutls_session_set_verify_cert(run.client.session, "gateway.test", 0);
	assert_int_equal(client_handshake(&run.client), GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR);
	gnutls_alert_send(run.client.session, GNUTLS_AL_FATAL, GNUTLS_A_UNKNOWN_CA);
	await_result(&run);
	must_be(&run, HANDSHAKE_ABORTED);
	assert_non_null(strstr(run.result->detail, "alert"));
	run_end(&run);
}

static void stopping_answers_everyone(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	struct handshake_pool *shared = pool;
	const struct handshake_pool_settings set = {.threads = 2};
	struct run run[5] = {{.result = NULL}};
	int peer[ARRAY_LEN(run)];
	assert_int_equal(handshake_pool_new(&set, &pool), 0);
	for (size_t i = 0; i < ARRAY_LEN(run); i++) {
		int fd[2];
		make_pair(fd);
		peer[i] = fd[1];
		submit(&run[i], c, fd[0], 20000);
		assert_int_equal(send(fd[1], "\x16\3\1\0\xff", 5, MSG_NOSIGNAL), 5);
	}
	handshake_pool_free(pool);
	pool = shared;
	for (size_t i = 0; i < ARRAY_LEN(run); i++) {
		await_result(&run[i]);
		must_be(&run[i], HANDSHAKE_STOPPED);
		handshake_result_free(run[i].result);
		close(peer[i]);
	}
}

/* A clock that stands before the floor must not make an expired certificate good again. */
static void below_the_time_floor(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE});
	struct handshake_pool *shared = pool;
	const struct handshake_pool_settings set = {.threads = 1};
	const struct client_plan plan = as(TLS13);
	struct run run;
	tls_global_init(clock_wall() + 2 * 86400);
	assert_int_equal(handshake_pool_new(&set, &pool), 0);
	connect_to(&run, c, &plan);
	handshake_pool_free(pool);
	pool = shared;
	tls_global_init(0);
	must_be(&run, HANDSHAKE_EXPIRED);
	run_end(&run);
}

/* A device whose certificate begins after what a dead battery says is let in; a forged one is not.
 */
static void a_clock_that_is_too_low(void **state)
{
	(void)state;
	struct cert early = cert_make(&(struct cert_plan){
		.cn = "early", .issuer = &issuing, .purpose = CLIENT_EKU, .from_s = 9999});
	struct cert fake_issuing = cert_make(&(struct cert_plan){
		.cn = "issuing", .issuer = &stranger_root, .ca = true, .from_s = 9999});
	struct cert fake = cert_make(
		&(struct cert_plan){.cn = "fake", .issuer = &fake_issuing, .purpose = CLIENT_EKU});
	const struct client_plan good = {.priority = TLS13, .leaf = &early, .issuing = &issuing};
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_REQUIRE});
	struct run run;
	check_refusal(&early, &issuing, TLS13, HANDSHAKE_NOT_YET_VALID, GNUTLS_A_BAD_CERTIFICATE);
	tls_global_init(clock_wall() + 60);
	connect_to(&run, c, &good);
	must_be(&run, HANDSHAKE_DONE);
	run_end(&run);
	check_refusal(&fake, &fake_issuing, TLS13, HANDSHAKE_UNKNOWN_CA, GNUTLS_A_UNKNOWN_CA);
	tls_global_init(0);
	cert_free(&early);
	cert_free(&fake);
	cert_free(&fake_issuing);
}

static void websocket_over_tls(void **state)
{
	(void)state;
	AUTO(tls_credentials) c = credentials(&(struct server_plan){.client = TLS_CLIENT_NONE});
	struct run run;
	connect_to(&run, c, &(struct client_plan){.priority = TLS13});
	static const char head[] =
		"GET /mqtt HTTP/1.1\r\nHost: gw\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
		"Sec-WebSocket-Protocol: mqtt\r\n\r\n\x82\x82\0\0\0\0hi";
	char answer[512] = "";
	struct str got;
	struct stream_info info;
	must_be(&run, HANDSHAKE_DONE);
	run.result->stream = stream_ws_new(run.result->stream, NULL);
	assert_int_equal(gnutls_record_send(run.client.session, head, sizeof(head) - 1),
			 (ssize_t)sizeof(head) - 1);
	assert_int_equal(stream_read(run.result->stream, scratch, &got), 0);
	assert_true(str_is(got, "hi"));
	assert_true(client_recv(&run.client, answer, sizeof(answer) - 1) > 0);
	assert_int_equal(strncmp(answer, "HTTP/1.1 101 ", 13), 0);
	say(&run, "0\1k"); /* one whole packet of MQTT: one frame */
	client_hears(&run, "\x82\x03"
			   "0\1k");
	stream_info(run.result->stream, &info);
	assert_string_equal(info.transport, "wss");
	stream_close(TAKE(run.result->stream), loop, scratch, 1001);
	client_hears(&run, "\x88\x02\x03\xe9");
	assert_int_equal(client_recv(&run.client, answer, 1), 0);
	run_end(&run);
}

/* Settings. */

/* Only a name of its own makes a device "admin" for rules with ${cn}. */
static void common_names(void **state)
{
	(void)state;
	const struct {
		struct cert_plan plan;
		const char *want;
	} cases[] = {
		{{.cn = "pump-7"}, "pump-7"},
		{{.cn = "pump-7", .organization = "x,CN=admin"}, "pump-7"},
		{{.cn = "pump-7", .second_cn = "admin"}, ""},
		{{.organization = "CN=admin"}, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct cert c = cert_make(&cases[i].plan);
		struct tls_description d;
		assert_int_equal(tls_describe(cert_der(&c), &d), 0);
		assert_string_equal(d.common_name, cases[i].want);
		cert_free(&c);
	}
}

static void wrong_settings(void **state)
{
	(void)state;
	const struct str chain[] = {cert_der(&server_ec)};
	const struct str junk[] = {STR("junk")};
	const struct str leaf[] = {cert_der(&device)};
	const struct tls_settings good = {.name = "mqtts",
					  .identity = {{chain, 1, KEY_EC}},
					  .identity_n = 1,
					  .sign = signer_tls_sign};
	struct tls_settings set[10];
	static const char *const word[10] = {"TLS 1.2 and TLS 1.3",
					     "certificates; allowed",
					     "client CA is given",
					     "512 to 16384",
					     "21600",
					     "master key",
					     "is unreadable",
					     "is not one of a CA",
					     "unreadable",
					     "chain of 0"};
	for (size_t i = 0; i < ARRAY_LEN(set); i++)
		set[i] = good;
	set[0].no_tls12 = set[0].no_tls13 = true;
	set[1].identity_n = 0;
	set[2].client_certificate = TLS_CLIENT_REQUEST;
	set[3].record_max = 511;
	set[4].ticket_life = TLS_TICKET_LIFE_MAX + 1;
	set[5].ticket_life = 60;
	set[6].identity[0].chain = junk;
	set[7].trust = leaf;
	set[7].trust_n = 1;
	set[8].trust = junk;
	set[8].trust_n = 1;
	set[9].identity[0].chain_n = 0;
	for (size_t i = 0; i < ARRAY_LEN(set); i++) {
		struct tls_credentials *c = NULL;
		char *error = NULL;
		assert_true(tls_credentials_new(&set[i], &error, &c) < 0);
		assert_non_null(strstr(error, "listener \"mqtts\""));
		if (!strstr(error, word[i]))
			fail_msg("row %zu: %s", i, error);
		free(error);
	}
}

static int setup(void **state)
{
	(void)state;
	tls_global_init(0);
	root = cert_make(&(struct cert_plan){.cn = "root", .ca = true});
	issuing = cert_make(&(struct cert_plan){.cn = "issuing", .issuer = &root, .ca = true});
	stranger_root = cert_make(&(struct cert_plan){.cn = "stranger root", .ca = true});
	server_ec = cert_make(
		&(struct cert_plan){.cn = "gateway", .issuer = &issuing, .purpose = SERVER_EKU});
	server_rsa = cert_make(&(struct cert_plan){
		.cn = "gateway", .issuer = &issuing, .purpose = SERVER_EKU, .rsa = true});
	device = cert_make(
		&(struct cert_plan){.cn = "pump-1", .issuer = &issuing, .purpose = CLIENT_EKU});
	stranger = cert_make(&(struct cert_plan){
		.cn = "stranger", .issuer = &stranger_root, .purpose = CLIENT_EKU});
	signer_set(KEY_EC, &server_ec);
	signer_set(KEY_RSA, &server_rsa);
	loop = loop_new();
	scratch = stream_scratch_new();
	const struct handshake_pool_settings set = {
		.threads = 1, .arg = &asked, .authorise = authorise};
	return handshake_pool_new(&set, &pool);
}

static int teardown(void **state)
{
	(void)state;
	struct cert *all[] = {&root,       &issuing, &stranger_root, &server_ec,
			      &server_rsa, &device,  &stranger};
	handshake_pool_free(pool);
	stream_scratch_free(scratch);
	loop_free(loop);
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		cert_free(all[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_handshake_and_data),
		cmocka_unit_test(data_then_close_notify),
		cmocka_unit_test(half_a_record_waits),
		cmocka_unit_test(data_around_a_key_update),
		cmocka_unit_test(large_data_against_a_full_socket),
		cmocka_unit_test(ended_certificates_with_grace),
		cmocka_unit_test(refuses_certificates),
		cmocka_unit_test(refuses_by_verdict),
		cmocka_unit_test(certificate_may_be_optional),
		cmocka_unit_test(the_cache_spares_verifying),
		cmocka_unit_test(resumes_and_asks_again),
		cmocka_unit_test(tickets_stay_with_their_listener),
		cmocka_unit_test(no_ticket_without_time_left),
		cmocka_unit_test(records_are_no_larger_than_allowed),
		cmocka_unit_test(rsa_only_clients),
		cmocka_unit_test(our_signature_fails),
		cmocka_unit_test(strangers),
		cmocka_unit_test(endless_client_hello),
		cmocka_unit_test(versions_and_ciphers),
		cmocka_unit_test(a_peer_that_does_not_trust_us),
		cmocka_unit_test(stopping_answers_everyone),
		cmocka_unit_test(below_the_time_floor),
		cmocka_unit_test(a_clock_that_is_too_low),
		cmocka_unit_test(websocket_over_tls),
		cmocka_unit_test(common_names),
		cmocka_unit_test(wrong_settings),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
