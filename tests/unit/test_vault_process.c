/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault as a process, driven over its links as parent, broker, admin and store would: who gets
 * what, who gets nothing, what a liar brings on itself, and what is on disk after kill -9.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/issue.h"
#include "certs/process.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/conf/config.h"
#include "daemon/ipc/rpc.h"
#include "tests/unit/scratch.h"

#include <gnutls/crypto.h>
#include <gnutls/x509.h>

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { WAIT_MS = 20000 };

static const struct str uuid = STR("8c5f3b1e-5d0a-4c3e-9b57-0a1b2c3d4e5f");

static struct scratch dir;
static pid_t pid;
static int parent_end;
static struct rpc broker;
static struct rpc admin;
static int store_end;
static unsigned char buf[FRAME_MAX];
static struct key *device_key;
static struct key *brought; /* key of a listener with files of its own */

/* ---- playing the other processes --------------------------------------------------------------
 */

static int no_sandbox(struct child *p)
{
	(void)p;
	return 0;
}

static void spawn(void)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(pair[0]);
		log_init("vault", LOG_LEVEL_ERROR);
		_exit(child_run(&vault_hooks, pair[1], no_sandbox));
	}
	close(pair[1]);
	parent_end = pair[0];
}

static void say(int sock, enum message type, uint64_t id, struct str body, int fd)
{
	const struct record r = {type, id, 0, body, fd};
	assert_int_equal(frame_send(sock, &r), 0);
}

#define SAY(sock, TYPE, name, id, fd, ...)                                \
	do {                                                              \
		unsigned char bytes_[4096];                               \
		struct out o_ = out_make(bytes_, sizeof(bytes_));         \
		body_##name##_put(&o_, &(struct body_##name)__VA_ARGS__); \
		assert_true(out_ok(&o_));                                 \
		say(sock, MSG_##TYPE, id, str_make(bytes_, o_.need), fd); \
	} while (0)

static void hello(int sock, enum process self)
{
	SAY(sock, HELLO, hello, 0, -1, {frame_table_hash(), (uint8_t)self});
}

/* The next record of a type, others are skipped; false when the vault closed the link. */
static bool hear(int sock, enum message type, struct record *r)
{
	for (;;) {
		struct pollfd p = {sock, POLLIN, 0};
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		const int err = frame_receive(sock, buf, r);
		if (err == ERR_EOF || err == ERR_IO)
			return false;
		assert_int_equal(err, 0);
		frame_done(r);
		if (r->type == type)
			return true;
	}
}

static void give_config(const char *names)
{
	char state[512];
	char more[512];
	snprintf(state, sizeof(state), "gateway.state-dir=%s", dir.path);
	snprintf(more, sizeof(more), "gateway.names=%s", names);
	const char *const overrides[] = {state, more, "gateway.name=gw", "log.level=error"};
	struct config *c;
	struct config_errors errors = {0};
	assert_int_equal(config_load(NULL, NULL, overrides, ARRAY_LEN(overrides), &c, &errors), 0);
	struct buf text = {0};
	config_slice(c, PROCESS_VAULT, &text);
	config_free(c);
	const int fd = memfd_make("config", buf_view(&text));
	assert_true(fd >= 0);
	SAY(parent_end, CONFIG, config, 7, fd, {});
	close(fd);
	buf_fini(&text);
}

static void give_machine(const char *address)
{
	AUTO_BUF names = {0};
	strs_put(&names, STR("host"));
	strs_put(&names, str_of(address));
	SAY(parent_end, MACHINE, machine, 0, -1, {buf_view(&names)});
}

static int give_link_of(enum process peer, uint16_t index)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	SAY(parent_end, LINK, link, 0, pair[1], {(uint8_t)peer, index});
	close(pair[1]);
	return pair[0];
}

/* Not the first one, on which the vault also tells something: a blocking asker is told nothing. */
static int give_link(enum process peer)
{
	return give_link_of(peer, 1);
}

static void give_key(struct str pem)
{
	const int fd = memfd_make("key", pem);
	SAY(parent_end, LISTENER_KEY, listener_key, 0, fd,
	    {STR("mine"), STR("/etc/mine.key"), PROCESS_BROKER});
	close(fd);
}

static void start(void)
{
	AUTO_BUF pem = {0};
	struct record r;
	spawn();
	hello(parent_end, PROCESS_PARENT);
	give_config("");
	give_machine("192.0.2.1");
	key_write(brought, &pem);
	give_key(buf_view(&pem));
	rpc_init(&broker, give_link(PROCESS_BROKER), PROCESS_BROKER, PROCESS_VAULT);
	rpc_init(&admin, give_link(PROCESS_ADMIN), PROCESS_ADMIN, PROCESS_VAULT);
	store_end = give_link(PROCESS_STORE);
	hello(store_end, PROCESS_STORE);
	SAY(parent_end, START, start, 0, -1, {});
	assert_true(hear(parent_end, MSG_READY, &r));
}

static void close_links(void)
{
	rpc_fini(&broker);
	rpc_fini(&admin);
	close(store_end);
	close(parent_end);
}

static int ended(void)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close_links();
	return status;
}

static int setup(void **state)
{
	(void)state;
	scratch_make(&dir);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	scratch_remove(&dir);
	return 0;
}

static void stop(void)
{
	SAY(parent_end, STOP, stop, 0, -1, {});
	const int status = ended();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- asking -----------------------------------------------------------------------------------
 */

struct chains {
	size_t n;
	uint32_t key[8];
	char spki[8][1100];
	size_t spki_len[8];
	char leaf[8][4096];
	size_t leaf_len[8];
	unsigned certificates;
};

static void keep(char *to, size_t room, struct str s)
{
	assert_true(s.n > 0 && s.n <= room);
	if (s.p)
		memcpy(to, s.p, s.n);
}

static void take_chain(struct str record, struct chains *out)
{
	struct body_chain b;
	assert_int_equal(body_chain_get(record, &b), 0);
	const size_t i = out->n++;
	out->key[i] = b.key;
	out->spki_len[i] = b.spki.n;
	keep(out->spki[i], sizeof(out->spki[i]), b.spki);
	struct cur c = cur_of(b.certificates);
	out->certificates = 0;
	out->leaf_len[i] = 0;
	while (cur_left(&c)) {
		const struct str der = cur_str32le(&c);
		assert_true(cur_ok(&c));
		if (out->certificates++ == 0) {
			out->leaf_len[i] = der.n;
			keep(out->leaf[i], sizeof(out->leaf[i]), der);
		}
	}
}

static bool ask_chains(struct rpc *rpc, struct str listener, struct chains *out)
{
	unsigned char bytes[128];
	struct out o = out_make(bytes, sizeof(bytes));
	struct record r;
	struct body_tls_chain_done done;
	body_tls_chain_put(&o, &(struct body_tls_chain){listener});
	assert_int_equal(rpc_ask(rpc, MSG_TLS_CHAIN, str_make(bytes, o.need), WAIT_MS, &r), 0);
	assert_int_equal(body_tls_chain_done_get(r.body, &done), 0);
	*out = (struct chains){0};
	struct cur c = cur_of(done.chains);
	struct str record;
	while (entries_next(&c, &record))
		take_chain(record, out);
	return done.ok;
}

static bool ask_sign(struct rpc *rpc, uint32_t key, uint16_t scheme, struct str data,
		     struct buf *signature)
{
	unsigned char bytes[2048];
	struct out o = out_make(bytes, sizeof(bytes));
	struct record r;
	struct body_tls_sign_done done;
	body_tls_sign_put(&o, &(struct body_tls_sign){key, scheme, data});
	assert_int_equal(rpc_ask(rpc, MSG_TLS_SIGN, str_make(bytes, o.need), WAIT_MS, &r), 0);
	assert_int_equal(body_tls_sign_done_get(r.body, &done), 0);
	buf_str(signature, done.signature);
	return done.ok;
}

static void ask_device(uint64_t id, struct str name, struct str spki)
{
	SAY(store_end, ISSUE_DEVICE, issue_device, id, -1, {name, uuid, spki, 0});
}

static struct body_issue_done hear_issued(uint64_t *id)
{
	struct record r;
	struct body_issue_done done;
	assert_true(hear(store_end, MSG_ISSUE_DONE, &r));
	assert_int_equal(body_issue_done_get(r.body, &done), 0);
	*id = r.id;
	return done;
}

static int verify(const char *spki, size_t n, gnutls_sign_algorithm_t algorithm, struct str hash,
		  struct str signature)
{
	gnutls_pubkey_t key;
	const gnutls_datum_t in = {(unsigned char *)(uintptr_t)spki, (unsigned)n};
	const gnutls_datum_t h = {(unsigned char *)(uintptr_t)hash.p, (unsigned)hash.n};
	const gnutls_datum_t s = {(unsigned char *)(uintptr_t)signature.p, (unsigned)signature.n};
	assert_int_equal(gnutls_pubkey_init(&key), 0);
	assert_int_equal(gnutls_pubkey_import(key, &in, GNUTLS_X509_FMT_DER), 0);
	const int r = gnutls_pubkey_verify_hash2(key, algorithm, 0, &h, &s);
	gnutls_pubkey_deinit(key);
	return r;
}

/* ---- tests ------------------------------------------------------------------------------------
 */

static void each_process_gets_its_own_chains(void **state)
{
	(void)state;
	static struct chains of_broker;
	static struct chains of_admin;
	start();
	assert_true(ask_chains(&broker, STR(""), &of_broker));
	assert_true(ask_chains(&admin, STR(""), &of_admin));
	assert_int_equal(of_broker.n, 2);
	assert_int_equal(of_admin.n, 2);
	assert_int_equal(of_broker.certificates, 2);
	for (size_t i = 0; i < 2; i++)
		for (size_t k = 0; k < 2; k++) {
			assert_int_not_equal(of_broker.key[i], of_admin.key[k]);
			assert_false(str_eq(str_make(of_broker.spki[i], of_broker.spki_len[i]),
					    str_make(of_admin.spki[k], of_admin.spki_len[k])));
		}
	stop();
}

static void a_process_signs_with_its_own_keys_only(void **state)
{
	(void)state;
	static struct chains mine;
	static struct chains theirs;
	char hash[32] = {1};
	AUTO_BUF signature = {0};
	start();
	assert_true(ask_chains(&broker, STR(""), &mine));
	assert_true(ask_chains(&admin, STR(""), &theirs));
	assert_true(ask_sign(&broker, mine.key[0], 0x0403, str_make(hash, 32), &signature));
	assert_true(verify(mine.spki[0], mine.spki_len[0], GNUTLS_SIGN_ECDSA_SHA256,
			   str_make(hash, 32), buf_view(&signature)) >= 0);
	signature.n = 0;
	assert_true(ask_sign(&broker, mine.key[1], 0x0804, str_make(hash, 32), &signature));
	assert_true(verify(mine.spki[1], mine.spki_len[1], GNUTLS_SIGN_RSA_PSS_RSAE_SHA256,
			   str_make(hash, 32), buf_view(&signature)) >= 0);
	signature.n = 0;
	assert_false(ask_sign(&broker, theirs.key[0], 0x0403, str_make(hash, 32), &signature));
	assert_false(ask_sign(&broker, mine.key[0], 0x0403, str_make(hash, 31), &signature));
	assert_int_equal(signature.n, 0);
	stop();
}

static void a_listener_with_files_of_its_own_has_its_key(void **state)
{
	(void)state;
	static struct chains chains;
	AUTO_BUF signature = {0};
	char hash[32] = {1};
	start();
	assert_false(ask_chains(&broker, STR("other"), &chains));
	assert_false(ask_chains(&admin, STR("mine"), &chains));
	assert_true(ask_chains(&broker, STR("mine"), &chains));
	assert_int_equal(chains.n, 1);
	assert_int_equal(chains.certificates, 0);
	assert_true(str_eq(key_spki(brought), str_make(chains.spki[0], chains.spki_len[0])));
	assert_true(ask_sign(&broker, chains.key[0], 0x0403, str_make(hash, 32), &signature));
	/* A damaged file at a reload changes nothing. */
	give_key(STR("damaged"));
	give_machine("192.0.2.2");
	static struct chains after;
	assert_true(ask_chains(&broker, STR("mine"), &after));
	assert_int_equal(after.key[0], chains.key[0]);
	stop();
}

static void a_damaged_listener_key_stops_the_start(void **state)
{
	(void)state;
	struct record r;
	spawn();
	hello(parent_end, PROCESS_PARENT);
	give_config("");
	give_machine("192.0.2.1");
	give_key(STR("damaged"));
	SAY(parent_end, START, start, 0, -1, {});
	assert_false(hear(parent_end, MSG_READY, &r));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	close(parent_end);
}

static void a_reload_with_new_names_gives_new_certificates(void **state)
{
	(void)state;
	static struct chains before;
	static struct chains after;
	struct record r;
	struct body_config_done done;
	start();
	const int told = give_link_of(PROCESS_BROKER, 0);
	assert_true(ask_chains(&broker, STR(""), &before));
	give_config("gw.example, 198.51.100.7");
	assert_true(hear(told, MSG_TLS_RENEWED, &r));
	close(told);
	assert_true(hear(parent_end, MSG_CONFIG_DONE, &r));
	assert_int_equal(body_config_done_get(r.body, &done), 0);
	assert_true(done.ok);
	assert_true(ask_chains(&broker, STR(""), &after));
	assert_int_equal(after.key[0], before.key[0]);
	assert_true(str_eq(str_make(after.spki[0], after.spki_len[0]),
			   str_make(before.spki[0], before.spki_len[0])));
	assert_false(str_eq(str_make(after.leaf[0], after.leaf_len[0]),
			    str_make(before.leaf[0], before.leaf_len[0])));
	assert_non_null(memmem(after.leaf[0], after.leaf_len[0], "gw.example", 10));
	assert_non_null(memmem(after.leaf[0], after.leaf_len[0], "\xc6\x33\x64\x07", 4));
	stop();
}

static void the_store_gets_certificates(void **state)
{
	(void)state;
	uint64_t id;
	struct certificate c;
	struct why why;
	uint8_t fingerprint[FINGERPRINT_LEN];
	start();
	ask_device(5, STR("pump-1"), key_spki(device_key));
	const struct body_issue_done done = hear_issued(&id);
	assert_int_equal(id, 5);
	assert_int_equal(done.status, OP_OK);
	assert_int_equal(profile_read(done.der, "x", &c, &why), 0);
	assert_true(str_eq(done.serial, str_make(c.serial, c.serial_len)));
	assert_true(str_eq(done.fingerprint, str_make(c.fingerprint, FINGERPRINT_LEN)));
	assert_int_equal(done.not_before_at, c.not_before);
	assert_int_equal(done.not_after_at, c.not_after);
	gnutls_hash_fast(GNUTLS_DIG_SHA256, done.der.p, done.der.n, fingerprint);
	assert_memory_equal(fingerprint, c.fingerprint, FINGERPRINT_LEN);
	certificate_fini(&c);
	ask_device(6, STR("pump 1"), key_spki(device_key));
	const struct body_issue_done bad = hear_issued(&id);
	assert_int_equal(bad.status, OP_INVALID);
	assert_non_null(memmem(bad.why.p, bad.why.n, "0x20", 4));
	assert_int_equal(bad.der.n, 0);
	stop();
}

static void the_store_sees_every_certificate_of_the_gateway(void **state)
{
	(void)state;
	struct record r;
	struct body_ca_get_done done;
	start();
	SAY(store_end, CA_GET, ca_get, 9, -1, {});
	assert_true(hear(store_end, MSG_CA_GET_DONE, &r));
	assert_int_equal(body_ca_get_done_get(r.body, &done), 0);
	struct cur c = cur_of(done.certificates);
	struct str record;
	size_t n = 0;
	while (entries_next(&c, &record)) {
		struct body_ca_cert b;
		assert_int_equal(body_ca_cert_get(record, &b), 0);
		const enum ca_kind kind = n == 0 ? CA_ROOT : n == 1 ? CA_ISSUING : CA_SERVER;
		assert_int_equal(b.kind, kind);
		assert_true(str_is(b.name, key_slot_info((enum key_slot)n)->name));
		n++;
	}
	assert_int_equal(n, SLOT_COUNT);
	stop();
}

static void the_first_start_is_an_event(void **state)
{
	(void)state;
	struct record r;
	struct body_events events;
	struct body_event event;
	struct str record;
	start();
	assert_true(hear(store_end, MSG_EVENTS, &r));
	assert_int_equal(body_events_get(r.body, &events), 0);
	struct cur c = cur_of(events.events);
	assert_true(entries_next(&c, &record));
	assert_int_equal(body_event_get(record, &event), 0);
	assert_int_equal(event.event, EVENT_CA_CREATED);
	stop();
}

static unsigned devices_in_journal(void);

/* Many at once: each is answered, and each that was answered is in the journal after kill -9. */
static void what_was_answered_survives_kill(void **state)
{
	(void)state;
	enum { MANY = 40 };
	unsigned answered = 0;
	start();
	for (uint64_t id = 1; id <= MANY; id++)
		ask_device(id, STR("pump-1"), key_spki(device_key));
	for (; answered < MANY / 2; answered++) {
		uint64_t id;
		assert_int_equal(hear_issued(&id).status, OP_OK);
		assert_int_equal(id, answered + 1);
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	ended();
	assert_true(devices_in_journal() >= answered);
	start();
	stop();
}

static void count_device(void *arg, const struct journal_entry *entry)
{
	*(unsigned *)arg += entry->kind == JOURNAL_DEVICE;
}

static unsigned devices_in_journal(void)
{
	unsigned n = 0;
	struct keystore *ks;
	struct journal *j;
	struct journal_report report;
	struct why why;
	assert_int_equal(keystore_open(scratch_file(&dir, "vault"), &ks, &why), 0);
	assert_int_equal(journal_open(ks, false, count_device, &n, &j, &report, &why), 0);
	assert_false(report.broken);
	journal_free(j);
	keystore_free(ks);
	return n;
}

/* ---- those who ask for what is not theirs -----------------------------------------------------
 */

static void assert_reported(enum process peer)
{
	struct record r;
	struct body_misbehaved b;
	assert_true(hear(parent_end, MSG_MISBEHAVED, &r));
	assert_int_equal(body_misbehaved_get(r.body, &b), 0);
	assert_int_equal(b.peer, peer);
}

static void only_the_store_has_certificates_issued(void **state)
{
	(void)state;
	struct record r;
	start();
	SAY(broker.sock, ISSUE_DEVICE, issue_device, 1, -1,
	    {STR("pump-1"), uuid, key_spki(device_key), 0});
	assert_reported(PROCESS_BROKER);
	while (frame_receive(broker.sock, buf, &r) == 0)
		assert_int_equal(r.type, MSG_HELLO);
	stop();
	assert_int_equal(devices_in_journal(), 0);
}

static void the_store_has_no_handshakes(void **state)
{
	(void)state;
	start();
	SAY(store_end, TLS_SIGN, tls_sign, 1, -1,
	    {1, 0x0403, STR("12345678901234567890123456789012")});
	assert_reported(PROCESS_STORE);
	stop();
}

/* Takes events until one has that name; fails when the vault closes the link. */
static void hear_event(enum event wanted)
{
	struct record r;
	for (;;) {
		assert_true(hear(store_end, MSG_EVENTS, &r));
		struct body_events events;
		struct body_event e;
		struct str entry;
		assert_int_equal(body_events_get(r.body, &events), 0);
		struct cur c = cur_of(events.events);
		while (entries_next(&c, &entry)) {
			assert_int_equal(body_event_get(entry, &e), 0);
			if (e.event == wanted)
				return;
		}
	}
}

/* A life beyond the authority's is cut to its end, and the operator is told. */
static void a_life_beyond_the_authority_is_told(void **state)
{
	(void)state;
	start();
	SAY(store_end, ISSUE_DEVICE, issue_device, 1, -1,
	    {STR("pump-1"), uuid, key_spki(device_key), 4102444800u /* 2100 */});
	hear_event(EVENT_CA_ENDING);
	stop();
}

static void malformed_requests_are_reported(void **state)
{
	(void)state;
	start();
	say(broker.sock, MSG_TLS_SIGN, 1, STR("short"), -1);
	assert_reported(PROCESS_BROKER);
	say(admin.sock, MSG_TLS_CHAIN, 1, STR(""), -1);
	assert_reported(PROCESS_ADMIN);
	say(store_end, MSG_ISSUE_DEVICE, 1, STR("short"), -1);
	assert_reported(PROCESS_STORE);
	/* A new link after the peer was started again. */
	static struct chains chains;
	rpc_fini(&broker);
	rpc_init(&broker, give_link(PROCESS_BROKER), PROCESS_BROKER, PROCESS_VAULT);
	assert_true(ask_chains(&broker, STR(""), &chains));
	close(store_end);
	store_end = give_link(PROCESS_STORE);
	hello(store_end, PROCESS_STORE);
	uint64_t id;
	ask_device(3, STR("pump-1"), key_spki(device_key));
	assert_int_equal(hear_issued(&id).status, OP_OK);
	stop();
}

static void an_open_directory_stops_the_start(void **state)
{
	(void)state;
	struct record r;
	assert_int_equal(mkdir(scratch_file(&dir, "vault"), 0755), 0);
	assert_int_equal(chmod(scratch_file(&dir, "vault"), 0755), 0);
	spawn();
	hello(parent_end, PROCESS_PARENT);
	give_config("");
	give_machine("192.0.2.1");
	SAY(parent_end, START, start, 0, -1, {});
	assert_false(hear(parent_end, MSG_READY, &r));
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 1);
	close(parent_end);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_process_gets_its_own_chains),
		TEST(a_process_signs_with_its_own_keys_only),
		TEST(a_listener_with_files_of_its_own_has_its_key),
		TEST(a_damaged_listener_key_stops_the_start),
		TEST(a_reload_with_new_names_gives_new_certificates),
		TEST(the_store_gets_certificates),
		TEST(the_store_sees_every_certificate_of_the_gateway),
		TEST(the_first_start_is_an_event),
		TEST(what_was_answered_survives_kill),
		TEST(only_the_store_has_certificates_issued),
		TEST(the_store_has_no_handshakes),
		TEST(a_life_beyond_the_authority_is_told),
		TEST(malformed_requests_are_reported),
		TEST(an_open_directory_stops_the_start),
	};
	signal(SIGPIPE, SIG_IGN);
	device_key = key_generate(KEY_P256);
	brought = key_generate(KEY_P256);
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	key_unref(device_key);
	key_unref(brought);
	return failed;
}
