/* SPDX-License-Identifier: Apache-2.0
 *
 * A store with fake neighbours: see store_rig.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/der.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "db/hash.h"
#include "db/registry.h"
#include "tests/unit/store_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATIENCE_MS = 10000, DAY = 86400 };

static struct rig *of(struct link *l)
{
	return link_owner(l);
}

/* ---- certificates nobody signed ---- */

static void put_name(struct buf *b, const char *cn)
{
	const size_t name = der_begin(b, DER_SEQUENCE);
	const size_t set = der_begin(b, DER_SET);
	const size_t pair = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, "2.5.4.3");
	der_put(b, DER_UTF8_STRING, str_of(cn));
	der_end(b, pair);
	der_end(b, set);
	der_end(b, name);
}

static void put_algorithm(struct buf *b)
{
	const size_t algorithm = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, "1.2.840.10045.4.3.2");
	der_end(b, algorithm);
}

static void make_certificate(struct buf *b, const char *issuer, const char *subject,
			     struct str spki, uint64_t serial)
{
	const int64_t now = clock_wall();
	const size_t outer = der_begin(b, DER_SEQUENCE);
	const size_t tbs = der_begin(b, DER_SEQUENCE);
	const size_t version = der_begin(b, DER_CONTEXT_OPEN);
	der_put_number(b, 2);
	der_end(b, version);
	der_put_number(b, serial);
	put_algorithm(b);
	put_name(b, issuer);
	const size_t validity = der_begin(b, DER_SEQUENCE);
	der_put_time(b, now - 300);
	der_put_time(b, now + 365 * DAY);
	der_end(b, validity);
	put_name(b, subject);
	buf_str(b, spki);
	der_end(b, tbs);
	put_algorithm(b);
	der_put_bits(b, STR("unsigned"));
	der_end(b, outer);
}

void rig_spki(const char *key, struct buf *out)
{
	const size_t spki = der_begin(out, DER_SEQUENCE);
	put_algorithm(out);
	der_put_bits(out, str_of(key));
	der_end(out, spki);
}

static void put_ca(struct buf *list, enum ca_kind kind, const char *name, const char *issuer,
		   const char *subject, uint64_t serial)
{
	AUTO_BUF spki = {0};
	AUTO_BUF der = {0};
	rig_spki(name, &spki);
	make_certificate(&der, issuer, subject, buf_view(&spki), serial);
	const struct body_ca_cert ca = {
		.kind = (uint8_t)kind,
		.state = CA_ACTIVE,
		.generation = kind != CA_SERVER,
		.key = CA_KEY_HERE,
		.name = str_of(name),
		.der = buf_view(&der),
	};
	ENTRIES_PUT(list, ca_cert, &ca);
}

/* ---- fake vault ---- */

static int vault_ca_get(struct link *l, struct record *r)
{
	AUTO_BUF list = {0};
	if (of(l)->vault_silent)
		return 0;
	put_ca(&list, CA_ROOT, "root", "Test Root", "Test Root", 1);
	put_ca(&list, CA_ISSUING, "issuing", "Test Root", "Test Issuing", 2);
	put_ca(&list, CA_SERVER, "broker-p256", "Test Issuing", "gateway", 3);
	const struct body_ca_get_done body = {buf_view(&list)};
	LINK_SEND(l, CA_GET_DONE, ca_get_done, r->id, -1, &body);
	return 0;
}

static int vault_issue(struct link *l, struct record *r)
{
	struct rig *rig = of(l);
	struct body_issue_device ask;
	unsigned char fp[SHA256_SIZE];
	char serial[4] = {0x40, 0, 0, 0};
	AUTO_BUF der = {0};
	assert_int_equal(body_issue_device_get(r->body, &ask), 0);
	if (rig->vault_silent)
		return 0;
	AUTO_CHAR name = str_dup(ask.name);
	rig->issued++;
	rig->not_after_at = ask.not_after_at;
	serial[3] = (char)rig->issued;
	make_certificate(&der, "Test Issuing", name, ask.spki, 0x40000000u + rig->issued);
	hash_sha256(buf_view(&der), fp);
	const struct body_issue_done done = {
		.status = (uint8_t)rig->vault_status,
		.why = rig->vault_status ? STR("the vault does not like this key") : STR(""),
		.der = buf_view(&der),
		.fingerprint = str_make(fp, sizeof(fp)),
		.serial = str_make(serial, sizeof(serial)),
		.not_before_at = (uint64_t)clock_wall() - 300,
		.not_after_at = (uint64_t)clock_wall() + 365 * DAY,
	};
	LINK_SEND(l, ISSUE_DONE, issue_done, r->id, -1, &done);
	return 0;
}

/* ---- fake broker ---- */

static int broker_delta(struct link *l, struct record *r)
{
	struct rig *rig = of(l);
	struct body_delta b;
	assert_int_equal(body_delta_get(r->body, &b), 0);
	if (b.seq != rig->seq + 1) {
		rig->gap = true;
		return 0;
	}
	rig->seq = b.seq;
	rig->deltas++;
	buf_str(&rig->entries, b.entries);
	const struct body_delta_done done = {b.seq, rig->closes};
	rig->owed = r->id;
	if (!rig->broker_silent)
		LINK_SEND(l, DELTA_DONE, delta_done, r->id, -1, &done);
	return 0;
}

void rig_answer_delta(struct rig *r)
{
	const struct body_delta_done done = {r->seq, 0};
	LINK_SEND(r->end[PROCESS_BROKER], DELTA_DONE, delta_done, r->owed, -1, &done);
}

static int broker_client_get(struct link *l, struct record *r)
{
	struct rig *rig = link_owner(l);
	AUTO_BUF rec = {0};
	rec_bool(&rec, "is_connected", true);
	rec_int(&rec, "in_flight", 5);
	rec_int(&rec, "messages_in", 7);
	const struct body_client_get_done done = {rig->has_session, buf_view(&rec)};
	LINK_SEND(l, CLIENT_GET_DONE, client_get_done, r->id, -1, &done);
	return 0;
}

static int broker_kick(struct link *l, struct record *r)
{
	const struct body_kick_done done = {of(l)->closes};
	LINK_SEND(l, KICK_DONE, kick_done, r->id, -1, &done);
	return 0;
}

static int listener_bans(struct link *l, struct record *r)
{
	const struct body_bans_done done = {0};
	LINK_SEND(l, BANS_DONE, bans_done, r->id, -1, &done);
	return 0;
}

/* ---- fake parent ---- */

static int parent_roots(struct link *l, struct record *r)
{
	struct body_roots b;
	assert_int_equal(body_roots_get(r->body, &b), 0);
	of(l)->roots.n = 0;
	buf_str(&of(l)->roots, b.pem);
	return 0;
}

static void answer_setting(struct link *l, uint64_t id, const char *key, const char *value)
{
	AUTO_BUF rec = {0};
	rec_list(&rec, "items");
	rec_object(&rec, "");
	rec_text(&rec, "key", key);
	rec_text(&rec, "value", value);
	rec_end(&rec);
	rec_end(&rec);
	AUTO_FD fd = memfd_make("settings", buf_view(&rec));
	const struct body_setting_done done = {.status = OP_OK};
	LINK_SEND(l, SETTING_DONE, setting_done, id, fd, &done);
}

static int parent_setting_get(struct link *l, struct record *r)
{
	struct body_setting_get b;
	assert_int_equal(body_setting_get_get(r->body, &b), 0);
	const struct body_setting_done unknown = {.status = OP_NOT_FOUND,
						  .why = STR("there is no such setting")};
	if (b.key.n == 0 || str_is(b.key, "log.level"))
		answer_setting(l, r->id, "log.level", "info");
	else
		LINK_SEND(l, SETTING_DONE, setting_done, r->id, -1, &unknown);
	return 0;
}

/* A setting that had a value and is held now. */
static void answer_held(struct link *l, uint64_t id, struct str key, struct str value)
{
	AUTO_BUF rec = {0};
	AUTO_CHAR name = str_dup(key);
	rec_list(&rec, "items");
	rec_object(&rec, "");
	rec_text(&rec, "key", name);
	rec_object(&rec, "before");
	rec_text(&rec, "value", "before");
	rec_end(&rec);
	rec_object(&rec, "after");
	rec_str(&rec, "value", value);
	rec_end(&rec);
	rec_end(&rec);
	rec_end(&rec);
	AUTO_FD fd = memfd_make("settings", buf_view(&rec));
	const struct body_setting_done done = {.status = OP_OK, .token = STR("held")};
	LINK_SEND(l, SETTING_DONE, setting_done, id, fd, &done);
}

static int parent_setting_keep(struct link *l, struct record *r)
{
	struct body_setting_keep b;
	const struct body_setting_done done = {.status = OP_OK};
	assert_int_equal(body_setting_keep_get(r->body, &b), 0);
	assert_true(str_is(b.token, "held"));
	if (b.keep)
		of(l)->kept++;
	else
		of(l)->undone++;
	LINK_SEND(l, SETTING_DONE, setting_done, r->id, -1, &done);
	return 0;
}

static int parent_setting_set(struct link *l, struct record *r)
{
	struct body_setting_set b;
	assert_int_equal(body_setting_set_get(r->body, &b), 0);
	struct body_setting_done done = {.status = OP_OK};
	struct str key, value;
	assert_true(strs_next(&b.changes, &key));
	assert_true(strs_next(&b.changes, &value));
	if (b.hold_ms && !b.dry) {
		answer_held(l, r->id, key, value);
		return 0;
	}
	if (str_is(value, "loud"))
		done = (struct body_setting_done){.status = OP_INVALID,
						  .key = key,
						  .why = STR("log.level: \"loud\" is no level")};
	LINK_SEND(l, SETTING_DONE, setting_done, r->id, -1, &done);
	return 0;
}

static int vault_sign_crl(struct link *l, struct record *r)
{
	struct rig *rig = of(l);
	struct body_sign_crl b;
	assert_int_equal(body_sign_crl_get(r->body, &b), 0);
	rig->list.n = 0;
	assert_int_equal(memfd_read(r->fd, 1 * MiB, &rig->list), 0);
	rig->list_number = b.number;
	rig->lists++;
	rig->listed = true;
	AUTO_FD fd = memfd_make("list", STR("a list"));
	const struct body_sign_crl_done done = {
		.status = (uint8_t)rig->vault_status,
		.why = STR("because"),
		.this_update_at = (uint64_t)clock_wall(),
		.next_update_at = (uint64_t)clock_wall() + 7 * DAY,
	};
	LINK_SEND(l, SIGN_CRL_DONE, sign_crl_done, r->id, fd, &done);
	return 0;
}

static int vault_sign_ocsp(struct link *l, struct record *r)
{
	struct rig *rig = of(l);
	struct body_sign_ocsp b;
	assert_int_equal(body_sign_ocsp_get(r->body, &b), 0);
	rig->asked_ocsp.n = 0;
	buf_str(&rig->asked_ocsp, r->body);
	const struct body_sign_ocsp_done done = {
		.status = (uint8_t)rig->vault_status, .why = STR("because"), .der = STR("answer")};
	LINK_SEND(l, SIGN_OCSP_DONE, sign_ocsp_done, r->id, -1, &done);
	return 0;
}

static int listener_staples(struct link *l, struct record *r)
{
	struct body_staples b;
	assert_int_equal(body_staples_get(r->body, &b), 0);
	of(l)->staples.n = 0;
	buf_str(&of(l)->staples, b.staples);
	of(l)->stapled = true;
	return 0;
}

static int broker_notice(struct link *l, struct record *r)
{
	of(l)->notices++;
	of(l)->notice.n = 0;
	buf_str(&of(l)->notice, r->body);
	return 0;
}

static int web_credentials(struct link *l, struct record *r)
{
	struct body_credentials_changed b;
	(void)l;
	assert_int_equal(body_credentials_changed_get(r->body, &b), 0);
	return 0;
}

static int vault_ca_change(struct link *l, struct record *r)
{
	struct body_ca_change b;
	assert_int_equal(body_ca_change_get(r->body, &b), 0);
	assert_int_equal(of(l)->changing, 0);
	of(l)->changing = r->id;
	return 0;
}

void rig_change_authority(struct rig *r, enum op_status status)
{
	const struct body_ca_change_done done = {.status = (uint8_t)status, .why = STR("because")};
	LINK_SEND(r->end[PROCESS_VAULT], CA_CHANGE_DONE, ca_change_done, r->changing, -1, &done);
	r->changing = 0;
}

static const link_handler handlers[MSG_COUNT] = {
	[MSG_CA_CHANGE] = vault_ca_change,
	[MSG_CREDENTIALS_CHANGED] = web_credentials,
	[MSG_NOTICE] = broker_notice,
	[MSG_SIGN_CRL] = vault_sign_crl,
	[MSG_SIGN_OCSP] = vault_sign_ocsp,
	[MSG_STAPLES] = listener_staples,
	[MSG_BANS] = listener_bans,
	[MSG_CA_GET] = vault_ca_get,
	[MSG_ISSUE_DEVICE] = vault_issue,
	[MSG_DELTA] = broker_delta,
	[MSG_KICK] = broker_kick,
	[MSG_CLIENT_GET] = broker_client_get,
	[MSG_ROOTS] = parent_roots,
	[MSG_SETTING_GET] = parent_setting_get,
	[MSG_SETTING_SET] = parent_setting_set,
	[MSG_SETTING_KEEP] = parent_setting_keep,
};

/* ---- links ---- */

static void far_broken(struct link *l, const char *why, bool misbehaved)
{
	struct rig *rig = of(l);
	(void)why;
	(void)misbehaved;
	for (enum process p = 0; p < PROCESS_COUNT; p++)
		if (rig->end[p] == l)
			rig->end[p] = NULL;
	link_free(l);
}

static void parent_broken(struct link *l, const char *why, bool misbehaved)
{
	(void)why;
	(void)misbehaved;
	link_free(l);
}

static struct link *far_end(struct rig *r, enum process self, int fd)
{
	const struct link_config config = {self, PROCESS_STORE, handlers, r, far_broken};
	return link_new(r->loop, fd, &config);
}

void rig_link(struct rig *r, enum process peer)
{
	int pair[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	rig_unlink(r, peer);
	r->end[peer] = far_end(r, peer, pair[0]);
	if (peer != PROCESS_PARENT) {
		store_set_link(&r->store, peer, pair[1]);
		return;
	}
	const struct link_config config = {PROCESS_STORE, PROCESS_PARENT, handlers, r,
					   parent_broken};
	r->store.parent = link_new(r->loop, pair[1], &config);
}

void rig_unlink(struct rig *r, enum process peer)
{
	if (r->end[peer])
		link_free(TAKE(r->end[peer]));
	rig_turns(r, 3);
}

/* A question whose answer changes the rig. */
struct rig_ask {
	struct link_call call;
	struct rig *rig;
};

static void snapshot_taken(struct link_call *call, int err, struct record *reply)
{
	struct rig *r = container_of(call, struct rig_ask, call)->rig;
	struct body_snapshot b;
	assert_int_equal(err, 0);
	assert_int_equal(body_snapshot_get(reply->body, &b), 0);
	r->seq = b.seq;
	r->entries.n = 0;
	assert_int_equal(memfd_read(reply->fd, 64 * MiB, &r->entries), 0);
	r->login_done = true;
}

static void take_snapshot(struct rig *r)
{
	struct rig_ask ask = {.rig = r};
	const struct body_snapshot_get body = {};
	r->login_done = false;
	LINK_ASK(r->end[PROCESS_BROKER], &ask.call, SNAPSHOT_GET, snapshot_get, -1, &body,
		 PATIENCE_MS, snapshot_taken);
	rig_until(r, &r->login_done);
}

static struct rig_enrolled enrolled; /* the last answer to ENROL */

/* ---- life ---- */

static void on_ready(struct store *s)
{
	container_of(s, struct rig, store)->ready = true;
}

static void on_failed(struct store *s)
{
	container_of(s, struct rig, store)->failed = true;
}

struct rig *rig_dir(void)
{
	struct rig *r = mem_new(struct rig);
	log_init("test", LOG_LEVEL_ERROR);
	r->loop = loop_new();
	const char *tmp = getenv("TMPDIR");
	snprintf(r->dir, sizeof(r->dir), "%.40s/storeXXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(r->dir));
	r->settings.password_threads = 2;
	r->settings.scram_iterations = 4096;
	r->settings.spool_max_size = 64 * MiB;
	r->settings.events = (struct events_settings){
		.keep_ms = 90ull * DAY * 1000,
		.max_size = 1024 * MiB,
		.rate_per_source = 10,
		.commit_interval_ms = 20,
	};
	return r;
}

int rig_try_open(struct rig *r)
{
	r->store = (struct store){.on_ready = on_ready, .on_failed = on_failed};
	r->ready = r->failed = false;
	return store_open(&r->store, r->loop, r->dir, &r->settings);
}

void rig_open(struct rig *r)
{
	assert_int_equal(rig_try_open(r), 0);
	rig_link(r, PROCESS_PARENT);
	rig_link(r, PROCESS_VAULT);
	rig_until(r, &r->ready);
	rig_link(r, PROCESS_CTL);
	rig_link(r, PROCESS_BROKER);
	take_snapshot(r);
}

void rig_close(struct rig *r)
{
	store_close(&r->store);
	if (r->store.parent)
		link_free(TAKE(r->store.parent));
	for (enum process p = 0; p < PROCESS_COUNT; p++)
		if (r->end[p])
			link_free(TAKE(r->end[p]));
}

struct rig *rig_new(void)
{
	struct rig *r = rig_dir();
	rig_open(r);
	return r;
}

void rig_restart(struct rig *r)
{
	rig_close(r);
	rig_open(r);
}

static void remove_dir(const char *path)
{
	DIR *d = opendir(path);
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		AUTO_CHAR file = mem_printf("%s/%s", path, e->d_name);
		unlink(file);
	}
	closedir(d);
	rmdir(path);
}

void rig_free(struct rig *r)
{
	rig_close(r);
	loop_free(r->loop);
	remove_dir(r->dir);
	buf_fini(&r->entries);
	buf_fini(&r->roots);
	buf_fini(&r->list);
	buf_fini(&r->asked_ocsp);
	buf_fini(&r->staples);
	buf_fini(&r->notice);
	buf_fini(&enrolled.der);
	free(r);
}

void rig_until(struct rig *r, const bool *flag)
{
	const uint64_t end = clock_mono_ms() + PATIENCE_MS;
	while (!*flag && clock_mono_ms() < end)
		loop_turn(r->loop, 20);
	assert_true(*flag);
}

void rig_turns(struct rig *r, int n)
{
	for (int i = 0; i < n; i++)
		loop_turn(r->loop, 0);
}

/* ---- operations ---- */

static struct rig_answer answer;
static bool answered;

static void op_answered(struct link_call *call, int err, struct record *reply)
{
	struct body_op_done b;
	(void)call;
	assert_int_equal(err, 0);
	assert_int_equal(body_op_done_get(reply->body, &b), 0);
	buf_fini(&answer.result);
	answer.status = b.status;
	snprintf(answer.field, sizeof(answer.field), "%.*s", STR_ARG(b.field));
	snprintf(answer.why, sizeof(answer.why), "%.*s", STR_ARG(b.why));
	if (reply->fd >= 0)
		assert_int_equal(memfd_read(reply->fd, 64 * MiB, &answer.result), 0);
	else
		buf_str(&answer.result, b.result);
	assert_true(rec_valid(buf_view(&answer.result)));
	answered = true;
}

const struct rig_answer *rig_op_as(struct rig *r, enum process peer, enum credential_kind kind,
				   struct str credential, enum op op, struct buf *args)
{
	struct link_call call = {0};
	const struct body_op body = {
		.op = (uint16_t)op,
		.credential_kind = (uint8_t)kind,
		.credential = credential,
		.source = STR("control socket"),
		.args = buf_view(args),
	};
	answered = false;
	LINK_ASK(r->end[peer], &call, OP, op, -1, &body, PATIENCE_MS, op_answered);
	rig_until(r, &answered);
	buf_fini(args);
	return &answer;
}

static void sent_answered(struct link_call *call, int err, struct record *reply)
{
	struct rig_sent *sent = container_of(call, struct rig_sent, call);
	struct body_op_done b;
	assert_int_equal(err, 0);
	assert_int_equal(body_op_done_get(reply->body, &b), 0);
	sent->status = b.status;
	sent->answered = true;
}

void rig_send(struct rig *r, enum op op, struct buf *args, struct rig_sent *sent)
{
	const struct body_op body = {
		.op = (uint16_t)op,
		.credential_kind = CREDENTIAL_PEER,
		.credential = str_make("\0\0\0\0\0\0\0\0", 8),
		.source = STR("control socket"),
		.args = buf_view(args),
	};
	*sent = (struct rig_sent){.answered = false};
	LINK_ASK(r->end[PROCESS_CTL], &sent->call, OP, op, -1, &body, 6 * PATIENCE_MS,
		 sent_answered);
	buf_fini(args);
}

const struct rig_answer *rig_op(struct rig *r, enum op op, struct buf *args)
{
	return rig_op_as(r, PROCESS_CTL, CREDENTIAL_PEER, str_make("\0\0\0\0\0\0\0\0", 8), op,
			 args);
}

const struct rig_answer *rig_op0(struct rig *r, enum op op)
{
	struct buf args = {0};
	return rig_op(r, op, &args);
}

const struct rig_answer *rig_op1(struct rig *r, enum op op, const char *name, const char *value)
{
	struct buf args = {0};
	rec_text(&args, name, value);
	return rig_op(r, op, &args);
}

const struct rig_answer *rig_ok(struct rig *r, enum op op, struct buf *args)
{
	const struct rig_answer *a = rig_op(r, op, args);
	if (a->status != OP_OK)
		print_error("%s: %s\n", op_spec(op)->name, a->why);
	assert_int_equal(a->status, OP_OK);
	return a;
}

void rig_refused(struct rig *r, enum op op, struct buf *args, enum op_status status,
		 const char *field, const char *text)
{
	const struct rig_answer *a = rig_op(r, op, args);
	if (!strstr(a->why, text))
		print_error("expected \"%s\", the answer was \"%s\"\n", text, a->why);
	assert_int_equal(a->status, status);
	assert_string_equal(a->field, field);
	assert_non_null(strstr(a->why, text));
}

void rig_add_device(struct rig *r, const char *name)
{
	struct buf args = {0};
	rec_text(&args, "name", name);
	rig_ok(r, OP_DEVICE_ADD, &args);
}

void rig_add_with_key(struct rig *r, const char *name, const char *key)
{
	struct buf args = {0};
	AUTO_BUF spki = {0};
	rig_spki(key, &spki);
	rec_text(&args, "name", name);
	rec_bytes(&args, "spki", buf_view(&spki));
	rec_text(&args, "csr-name", name);
	rig_ok(r, OP_DEVICE_ADD, &args);
}

int64_t rig_int(const struct rig_answer *a, const char *name)
{
	int64_t v;
	assert_true(rec_get_int(buf_view(&a->result), name, &v));
	return v;
}

struct str rig_field(struct str rec, const char *name)
{
	struct rec_value v;
	if (!rec_find(rec, name, &v))
		print_error("no field %s\n", name);
	assert_true(rec_find(rec, name, &v));
	return v.text;
}

struct str rig_str(const struct rig_answer *a, const char *name)
{
	return rig_field(buf_view(&a->result), name);
}

bool rig_bool(const struct rig_answer *a, const char *name)
{
	bool v;
	assert_true(rec_get_bool(buf_view(&a->result), name, &v));
	return v;
}

struct str rig_item(const struct rig_answer *a, const char *list, size_t n)
{
	struct cur c = cur_of(rig_str(a, list));
	struct rec_value v;
	for (size_t i = 0; i <= n; i++)
		assert_true(rec_next(&c, &v));
	return v.text;
}

size_t rig_count(const struct rig_answer *a, const char *list)
{
	struct cur c = cur_of(rig_str(a, list));
	struct rec_value v;
	size_t n = 0;
	while (rec_next(&c, &v))
		n++;
	return n;
}

int64_t rig_sql(struct rig *r, const char *text)
{
	int64_t v = -1;
	AUTO_QUERY q = sql_query(r->store.registry, text, NULL, 0);
	if (sql_next(&q))
		v = sql_at_int(&q, 0);
	return v;
}

static void login_answered(struct link_call *call, int err, struct record *reply)
{
	struct rig *r = container_of(call, struct rig_ask, call)->rig;
	struct body_login_done b;
	assert_int_equal(err, 0);
	assert_int_equal(body_login_done_get(reply->body, &b), 0);
	r->verdict = b.verdict;
	r->login_device = b.device_id;
	r->login_done = true;
}

enum login_verdict rig_login(struct rig *r, const char *name, const char *password,
			     const char *source)
{
	struct rig_ask ask = {.rig = r};
	const struct body_login body = {str_of(name), str_of(password), str_of(source)};
	r->login_done = false;
	LINK_ASK(r->end[PROCESS_BROKER], &ask.call, LOGIN, login, -1, &body, PATIENCE_MS,
		 login_answered);
	rig_until(r, &r->login_done);
	return r->verdict;
}

static void enrol_answered(struct link_call *call, int err, struct record *reply)
{
	struct body_enrol_done b;
	(void)call;
	assert_int_equal(err, 0);
	assert_int_equal(body_enrol_done_get(reply->body, &b), 0);
	buf_fini(&enrolled.der);
	enrolled.status = b.status;
	enrolled.retry_after_s = b.retry_after_s;
	snprintf(enrolled.why, sizeof(enrolled.why), "%.*s", STR_ARG(b.why));
	snprintf(enrolled.device, sizeof(enrolled.device), "%.*s", STR_ARG(b.device));
	buf_str(&enrolled.der, b.der);
	answered = true;
}

const struct rig_enrolled *rig_enrol(struct rig *r, const struct body_enrol *ask)
{
	return rig_enrol_meanwhile(r, ask, "");
}

const struct rig_enrolled *rig_enrol_meanwhile(struct rig *r, const struct body_enrol *ask,
					       const char *script)
{
	struct link_call call = {0};
	if (!r->end[PROCESS_ENROL])
		rig_link(r, PROCESS_ENROL);
	answered = false;
	LINK_ASK(r->end[PROCESS_ENROL], &call, ENROL, enrol, -1, ask, PATIENCE_MS, enrol_answered);
	while (script[0] && r->store.calls_n == 0)
		loop_turn(r->loop, 0);
	assert_int_equal(sql_script(r->store.registry, script), 0);
	rig_until(r, &answered);
	return &enrolled;
}

void rig_event(struct rig *r, enum event event, const char *actor, const char *address)
{
	AUTO_BUF list = {0};
	const struct body_event e = {
		.event = (uint16_t)event,
		.time_ms = clock_wall_ms(),
		.actor = str_of(actor),
		.address = str_of(address),
		.reason = STR("because"),
	};
	ENTRIES_PUT(&list, event, &e);
	const struct body_events body = {buf_view(&list)};
	LINK_SEND(r->end[PROCESS_BROKER], EVENTS, events, 0, -1, &body);
	rig_turns(r, 3);
}

size_t rig_entries(const struct rig *r, enum entry_kind kind, bool gone)
{
	struct cur c = cur_of(buf_view(&r->entries));
	struct str bytes;
	size_t n = 0;
	while (entries_next(&c, &bytes)) {
		struct body_entry e;
		assert_int_equal(body_entry_get(bytes, &e), 0);
		n += e.kind == kind && e.gone == gone;
	}
	assert_true(cur_ok(&c));
	return n;
}
