/* SPDX-License-Identifier: Apache-2.0
 *
 * What the store knows of the gateway and of callers: levels and the audit log, status, clients,
 * settings, setup codes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "db/hash.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>

static int set_up(void **state)
{
	*state = rig_new();
	return 0;
}

static int tear_down(void **state)
{
	rig_free(*state);
	return 0;
}

static struct buf one(const char *name, const char *value)
{
	struct buf args = {0};
	rec_text(&args, name, value);
	return args;
}

/* ---- levels and audit ---- */

static void every_change_is_audited(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	struct buf a = one("name", "pump-1");
	rig_refused(r, OP_DEVICE_ADD, &a, OP_CONFLICT, "name", "pump-1");
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit WHERE actor = 'uid 0 (control "
				    "socket)' AND operation = 'device.add' AND target = 'pump-1' "
				    "AND outcome = 'ok'"),
			 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit WHERE outcome = 'conflict' AND "
				    "why LIKE 'there is a device%'"),
			 1);
	rig_op0(r, OP_DEVICE_LIST);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit"), 2);
}

static void other_users_are_named(void **state)
{
	struct rig *r = *state;
	struct buf a = one("name", "pump-1");
	const struct rig_answer *answer =
		rig_op_as(r, PROCESS_CTL, CREDENTIAL_PEER, str_make("\xe8\x03\0\0\xe8\x03\0\0", 8),
			  OP_DEVICE_ADD, &a);
	assert_int_equal(answer->status, OP_OK);
	assert_true(str_is(rig_str(answer, "created_by"), "uid 1000 (control socket)"));
}

static void nobody_may_do_nothing(void **state)
{
	struct rig *r = *state;
	static const enum credential_kind kinds[] = {CREDENTIAL_NONE, CREDENTIAL_SESSION,
						     CREDENTIAL_TOKEN};
	rig_link(r, PROCESS_ADMIN);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct buf a = one("name", "pump-1");
		const struct rig_answer *answer =
			rig_op_as(r, PROCESS_ADMIN, kinds[i], STR("any secret"), OP_DEVICE_ADD, &a);
		assert_int_equal(answer->status, OP_UNAUTHENTICATED);
		assert_string_equal(answer->why,
				    "device.add needs the level operator; log in first");
		a = (struct buf){0};
		answer = rig_op_as(r, PROCESS_ADMIN, kinds[i], STR("x"), OP_STATUS, &a);
		assert_int_equal(answer->status, OP_UNAUTHENTICATED);
	}
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit WHERE outcome = 'unauthenticated'"),
			 3);
	struct buf a = one("name", "operation.refused");
	assert_int_equal(rig_count(rig_ok(r, OP_EVENT_LIST, &a), "items"), 6);
}

static void strangers_cannot_fill_the_audit_log(void **state)
{
	struct rig *r = *state;
	rig_link(r, PROCESS_ADMIN);
	for (int i = 0; i < 200; i++) {
		struct buf a = one("name", "pump-1");
		rig_op_as(r, PROCESS_ADMIN, CREDENTIAL_NONE, STR(""), OP_DEVICE_ADD, &a);
	}
	assert_true(rig_sql(r, "SELECT count(*) FROM audit") < 100);
}

static void ignore(struct link_call *call, int err, struct record *reply)
{
	(void)call;
	(void)err;
	(void)reply;
}

/* Only the control socket can know who its peer is: a credential like that from elsewhere is a lie.
 */
static void a_forged_peer_breaks_the_link(void **state)
{
	struct rig *r = *state;
	struct link_call call = {0};
	rig_link(r, PROCESS_ADMIN);
	const struct body_op body = {
		.op = OP_STATUS,
		.credential_kind = CREDENTIAL_PEER,
		.credential = str_make("\0\0\0\0\0\0\0\0", 8),
	};
	LINK_ASK(r->end[PROCESS_ADMIN], &call, OP, op, -1, &body, 1000, ignore);
	rig_turns(r, 5);
	assert_null(r->store.peer[PROCESS_ADMIN].link);
}

/* ---- status ---- */

static void tell_process(struct rig *r, enum process process, enum process_state state)
{
	const struct body_process_state body = {(uint8_t)process, 42, (uint8_t)state,
						1700000000000,    1,  STR("killed by signal 9")};
	unsigned char bytes[512];
	struct out o = out_make(bytes, sizeof(bytes));
	body_process_state_put(&o, &body);
	struct record record = {
		.type = MSG_PROCESS_STATE, .body = str_make(bytes, o.need), .fd = -1};
	assert_int_equal(store_parent_message(&r->store, &record), 0);
}

static void tell_gateway(struct rig *r)
{
	AUTO_BUF addresses = {0};
	unsigned char bytes[1024];
	struct out o = out_make(bytes, sizeof(bytes));
	AUTO_BUF certificates = {0};
	static const char *const file[] = {"admin", "/etc/x.pem", "00ff", "1700000000", "public"};
	strs_put(&addresses, STR("mqtts 127.0.0.1:8883 mqtt"));
	for (size_t i = 0; i < ARRAY_LEN(file); i++)
		strs_put(&certificates, str_of(file[i]));
	const struct body_gateway body = {
		STR("gate"),          STR("1.2.3"),           STR("/etc/x.conf"),
		buf_view(&addresses), clock_wall_ms() - 5000, buf_view(&certificates)};
	body_gateway_put(&o, &body);
	struct record record = {.type = MSG_GATEWAY, .body = str_make(bytes, o.need), .fd = -1};
	assert_int_equal(store_parent_message(&r->store, &record), 0);
}

static void status(void **state)
{
	struct rig *r = *state;
	tell_process(r, PROCESS_BROKER, PROCESS_SERVING);
	tell_gateway(r);
	rig_add_with_key(r, "pump-1", "key one");
	const struct rig_answer *a = rig_op0(r, OP_STATUS);
	assert_int_equal(a->status, OP_OK);
	assert_true(str_is(rig_str(a, "name"), "gate"));
	assert_true(str_is(rig_str(a, "name"), "gate"));
	assert_true(str_is(rig_str(a, "version"), "1.2.3"));
	assert_true(rig_int(a, "uptime") >= 5);
	const struct str process = rig_item(a, "processes", 0);
	assert_true(str_is(rig_field(process, "name"), "broker"));
	assert_true(str_is(rig_field(process, "state"), "serving"));
	assert_true(str_is(rig_field(process, "last_exit"), "killed by signal 9"));
	const struct str file = rig_item(a, "server_files", 0);
	assert_true(str_is(rig_field(file, "name"), "admin"));
	assert_true(str_is(rig_field(file, "fingerprint"), "00ff"));
	const struct str listener = rig_item(a, "listeners", 0);
	assert_true(str_is(rig_field(listener, "address"), "127.0.0.1:8883"));
	assert_true(str_is(rig_field(listener, "protocol"), "mqtt"));
	int64_t n;
	assert_true(rec_get_int(rig_str(a, "devices"), "total", &n) && n == 1);
	assert_true(rec_get_int(rig_str(a, "certificates"), "good", &n) && n == 1);
	assert_true(rec_get_int(rig_str(a, "disk"), "total", &n) && n > 0);
	bool ok;
	const struct str spool = rig_str(a, "spool");
	assert_true(rec_get_bool(spool, "ok", &ok) && ok);
	assert_true(rec_get_int(rig_field(spool, "kept"), "sessions", &n) && n == 0);
	assert_true(rec_get_int(rig_field(spool, "bytes"), "max", &n) && n == 64 * MiB);
	assert_true(rec_get_int(rig_field(spool, "bytes"), "used", &n) && n > 0);
}

/* ---- clients ---- */

static void tell_client(struct rig *r, uint64_t handle, uint64_t device, const char *client_id,
			bool gone, bool reset)
{
	AUTO_BUF list = {0};
	const struct body_client client = {
		.handle = handle,
		.gone = gone,
		.device_id = device,
		.client_id = str_of(client_id),
		.address = STR("10.0.0.1"),
		.listener = STR("mqtts"),
		.protocol = STR("MQTT 5.0"),
		.messages_in = 7,
	};
	ENTRIES_PUT(&list, client, &client);
	const struct body_presence body = {reset, buf_view(&list)};
	LINK_SEND(r->end[PROCESS_BROKER], PRESENCE, presence, 0, -1, &body);
	rig_turns(r, 3);
}

static void clients_are_listed(void **state)
{
	struct rig *r = *state;
	rig_add_device(r, "pump-1");
	for (uint64_t i = 1; i <= 3; i++) {
		char id[8];
		snprintf(id, sizeof(id), "c%d", (int)i);
		tell_client(r, i, i == 2, id, false, i == 1);
	}
	const struct rig_answer *a = rig_op0(r, OP_CLIENT_LIST);
	assert_int_equal(rig_count(a, "items"), 3);
	assert_true(str_is(rig_field(rig_item(a, "items", 1), "device"), "pump-1"));
	a = rig_op1(r, OP_CLIENT_LIST, "device", "pump-1");
	assert_int_equal(rig_count(a, "items"), 1);
	struct buf args = {0};
	rec_int(&args, "limit", 2);
	a = rig_ok(r, OP_CLIENT_LIST, &args);
	AUTO_CHAR next = str_dup(rig_str(a, "next"));
	a = rig_op1(r, OP_CLIENT_LIST, "after", next);
	assert_true(str_is(rig_field(rig_item(a, "items", 0), "client_id"), "c3"));
	r->has_session = true;
	a = rig_op1(r, OP_CLIENT_SHOW, "client-id", "c2");
	assert_int_equal(rig_int(a, "messages_in"), 7);
	assert_int_equal(rig_int(a, "in_flight"), 5);
	a = rig_op1(r, OP_CLIENT_SHOW, "client-id", "away");
	assert_true(str_is(rig_str(a, "client_id"), "away"));
	assert_int_equal(rig_int(a, "in_flight"), 5);
	r->has_session = false;
	a = rig_op1(r, OP_DEVICE_SHOW, "name", "pump-1");
	assert_int_equal(rig_int(a, "connection_count"), 1);
	tell_client(r, 2, 1, "c2", true, false);
	assert_int_equal(rig_count(rig_op0(r, OP_CLIENT_LIST), "items"), 2);
	args = one("client-id", "c2");
	rig_refused(r, OP_CLIENT_SHOW, &args, OP_NOT_FOUND, "client-id", "no client \"c2\"");
}

static void a_new_broker_has_no_clients(void **state)
{
	struct rig *r = *state;
	tell_client(r, 1, 0, "c1", false, false);
	rig_unlink(r, PROCESS_BROKER);
	assert_int_equal(rig_count(rig_op0(r, OP_CLIENT_LIST), "items"), 0);
}

static void kick(void **state)
{
	struct rig *r = *state;
	struct buf a = one("client-id", "c1");
	rig_refused(r, OP_CLIENT_REMOVE, &a, OP_NOT_FOUND, "client-id", "no client \"c1\"");
	r->closes = 1;
	a = one("client-id", "c1");
	assert_int_equal(rig_int(rig_ok(r, OP_CLIENT_REMOVE, &a), "sessions_closed"), 1);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit WHERE operation = 'client.remove' "
				    "AND target = 'c1'"),
			 2);
	rig_unlink(r, PROCESS_BROKER);
	a = one("client-id", "c1");
	rig_refused(r, OP_CLIENT_REMOVE, &a, OP_UNAVAILABLE, "", "the broker is away");
}

/* ---- settings, setup code ---- */

static void settings(void **state)
{
	struct rig *r = *state;
	assert_int_equal(rig_count(rig_op0(r, OP_CONFIG_LIST), "items"), 1);
	const struct rig_answer *a = rig_op1(r, OP_CONFIG_SHOW, "key", "log.level");
	assert_true(str_is(rig_str(a, "value"), "info"));
	struct buf args = one("key", "log.colour");
	rig_refused(r, OP_CONFIG_SHOW, &args, OP_NOT_FOUND, "key", "there is no such setting");
	args = one("key", "log.level");
	rec_text(&args, "value", "info");
	assert_true(str_is(rig_str(rig_ok(r, OP_CONFIG_SET, &args), "key"), "log.level"));
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit WHERE operation = 'config.set' "
				    "AND target = 'log.level' AND why = 'set to \"info\"'"),
			 1);
	args = one("key", "log.level");
	rec_text(&args, "value", "loud");
	rig_refused(r, OP_CONFIG_SET, &args, OP_INVALID, "value", "\"loud\" is no level");
}

/* ---- how long the audit log is kept ---- */

/* n rows of this age, each with a revision. */
static void write_audit(struct rig *r, int n, int64_t age_s)
{
	struct sql *db = r->store.registry;
	for (int i = 0; i < n; i++) {
		SQL_RUN(db,
			"INSERT INTO audit(at, actor, source, operation, target, outcome) "
			"VALUES(?, 'x', 'y', 'device.set', 'd', 'ok')",
			sql_int(timefloor_now(&r->store.floor) - age_s));
		SQL_RUN(db, "INSERT INTO revision(audit_id, kind, object) VALUES(?, 'device', 'd')",
			sql_int(sql_last_id(db)));
	}
}

static void purge_all(struct rig *r, int64_t keep_s, int64_t max_rows)
{
	r->store.audit.settings = (struct audit_settings){keep_s, max_rows};
	while (audit_purge(&r->store))
		;
}

static void old_rows_of_the_audit_log_go(void **state)
{
	struct rig *r = *state;
	write_audit(r, 1200, 11 * 86400);
	write_audit(r, 3, 9 * 86400);
	purge_all(r, 0, 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit"), 1203);
	purge_all(r, 10 * 86400, 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit"), 3);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM revision"), 3);
	assert_int_equal(rig_sql(r, "SELECT max(id) FROM audit"), 1203);
}

static void the_audit_log_has_a_bound_in_rows(void **state)
{
	struct rig *r = *state;
	write_audit(r, 1203, 0);
	purge_all(r, 86400, 1203);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit"), 1203);
	purge_all(r, 86400, 100);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM audit"), 100);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM revision"), 100);
	assert_int_equal(rig_sql(r, "SELECT min(id) FROM audit"), 1104);
}

static void setup_code(void **state)
{
	struct rig *r = *state;
	char hex[65];
	unsigned char hash[SHA256_SIZE];
	const struct rig_answer *a = rig_op0(r, OP_SETUP_CODE);
	const struct str code = rig_str(a, "code");
	assert_int_equal(code.n, 23);
	hash_sha256(code, hash);
	hex_encode(hash, sizeof(hash), hex);
	AUTO_QUERY q = SQL_QUERY(r->store.registry,
				 "SELECT count(*) FROM setup_code WHERE lower(hex(hash)) = ?",
				 sql_text(hex));
	assert_true(sql_next(&q));
	assert_int_equal(sql_at_int(&q, 0), 1);
	sql_query_end(&q);
	assert_true(rig_int(a, "expires") > (int64_t)clock_wall_ms());
	rig_op0(r, OP_SETUP_CODE);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM setup_code"), 1);
}

/* The second one is refused while the first one waits for the vault, which answers both. */
static void the_authority_is_locked_once(void **state)
{
	struct rig *r = *state;
	struct rig_sent first;
	struct buf a = one("passphrase", "a long passphrase");
	rig_send(r, OP_CA_LOCK, &a, &first);
	for (int i = 0; !r->changing && i < 500; i++)
		loop_turn(r->loop, 20);
	assert_true(r->changing != 0);
	a = one("passphrase", "another passphrase");
	rig_refused(r, OP_CA_LOCK, &a, OP_CONFLICT, "", "is being locked already");
	rig_change_authority(r, OP_REFUSED);
	rig_until(r, &first.answered);
	assert_int_equal(first.status, OP_REFUSED);
	a = one("passphrase", "a long passphrase"); /* and then again */
	rig_send(r, OP_CA_LOCK, &a, &first);
	for (int i = 0; !r->changing && i < 500; i++)
		loop_turn(r->loop, 20);
	rig_change_authority(r, OP_REFUSED);
	rig_until(r, &first.answered);
}

/* {items: [{key, before: {value}, after: {value}}]} with so many keys and such long values. */
static void put_undone(struct buf *rec, int n, const char *value)
{
	char key[32];
	rec_list(rec, "items");
	for (int i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "listener.x%d.bind", i);
		rec_object(rec, "");
		rec_text(rec, "key", key);
		rec_object(rec, "before");
		rec_text(rec, "value", value);
		rec_end(rec);
		rec_object(rec, "after");
		rec_text(rec, "value", "");
		rec_end(rec);
		rec_end(rec);
	}
	rec_end(rec);
}

static void a_long_setting_comes_back(void **state)
{
	struct rig *r = *state;
	AUTO_BUF before = {0};
	static char value[5001];
	memset(value, 'x', sizeof(value) - 1);
	rec_text(&before, "value", value);
	rec_bool(&before, "set", true);
	struct sql *db = r->store.registry;
	SQL_RUN(db, "INSERT INTO audit(at, actor, source, operation, target, outcome) "
		    "VALUES(1, 'test', '', 'config.set', '', 'ok')");
	const int64_t id = sql_last_id(db);
	SQL_RUN(db,
		"INSERT INTO revision(audit_id, kind, object, before, after) VALUES(?, 'setting', "
		"'log.level', ?, ?)",
		sql_int(id), sql_blob(buf_view(&before)), sql_blob(buf_view(&before)));
	struct buf a = {0};
	rec_int(&a, "id", id);
	rig_ok(r, OP_REVISION_REVERT, &a);
	const struct rig_answer *events = rig_op1(r, OP_EVENT_LIST, "name", "config.changed");
	struct str detail;
	struct rec_value v;
	assert_true(rec_find(rig_item(events, "items", 0), "detail", &v));
	assert_true(rec_get_str(v.text, "value", &detail));
	assert_int_equal(detail.n, 1024 + 3); /* cut, but not in the revision */
	assert_int_equal(rig_sql(r, "SELECT length(after) > 5000 FROM revision ORDER BY id DESC"),
			 1);
}

static void much_that_is_undone_leaves_a_revision(void **state)
{
	struct rig *r = *state;
	AUTO_BUF rec = {0};
	static char value[1001];
	memset(value, 'x', sizeof(value) - 1);
	put_undone(&rec, 100, value);
	assert_true(rec.n > 65536);
	AUTO_FD fd = memfd_make("undone", buf_view(&rec));
	struct record undone = {.type = MSG_SETTING_UNDONE, .fd = fd};
	assert_int_equal(store_parent_message(&r->store, &undone), 0);
	assert_int_equal(rig_sql(r, "SELECT count(*) FROM revision JOIN audit ON audit.id = "
				    "audit_id WHERE operation = 'config.undo'"),
			 100);
}

/* Its figures come a second after it did: until then nothing is said to have no bound. */
static void limits_are_not_known_before_the_broker_tells(void **state)
{
	const struct rig_answer *list = rig_op0(*state, OP_LIMIT_LIST);
	struct rec_value v;
	assert_true(rec_find(rig_item(list, "items", 0), "name", &v));
	assert_true(str_is(v.text, "max-connections"));
	assert_false(rec_find(rig_item(list, "items", 0), "value", &v) && v.kind != REC_NULL);
	const struct str own = rig_item(list, "items", rig_count(list, "items") - 3);
	assert_true(rec_find(own, "name", &v) && str_is(v.text, "store.password-tries"));
	assert_true(rec_find(own, "value", &v) && v.kind == REC_INT && v.number > 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(every_change_is_audited),
		TEST(other_users_are_named),
		TEST(nobody_may_do_nothing),
		TEST(strangers_cannot_fill_the_audit_log),
		TEST(a_forged_peer_breaks_the_link),
		TEST(status),
		TEST(clients_are_listed),
		TEST(a_new_broker_has_no_clients),
		TEST(kick),
		TEST(settings),
		TEST(limits_are_not_known_before_the_broker_tells),
		TEST(old_rows_of_the_audit_log_go),
		TEST(the_audit_log_has_a_bound_in_rows),
		TEST(setup_code),
		TEST(the_authority_is_locked_once),
		TEST(a_long_setting_comes_back),
		TEST(much_that_is_undone_leaves_a_revision),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
