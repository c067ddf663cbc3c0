/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolments with any fields, one after the other, on a store in memory that has a device with a
 * password, a code and a queue for everyone: each is answered at most once, and only an honest
 * vault could make it a yes; there is none here.
 *
 * Input: per message its length (16 bits, little-endian) and the body of an ENROL.
 */
#include "daemon/base/check.h"
#include "daemon/conf/config.h"
#include "db/code.h"
#include "db/enrol.h"
#include "tests/fuzz/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fill(struct store *s)
{
	unsigned char hash[SHA256_SIZE];
	CHECK(code_hash(STR("00000000-00000000-00000000-00000000"), hash));
	CHECK(sql_script(s->registry,
			 "INSERT INTO device(name, uuid, created, created_by, changed) "
			 "VALUES('pump-1', '0', 1, 'fuzz', 1)") == 0);
	CHECK(SQL_RUN(s->registry,
		      "INSERT INTO code(hash, device_id, uses, uses_left, expires, created_by) "
		      "VALUES(?, 1, 9, 9, 9999999999, 'fuzz')",
		      sql_blob(str_make(hash, sizeof(hash)))) == 0);
}

static bool check(const struct record *r)
{
	struct body_enrol_done done;
	if (r->type != MSG_ENROL_DONE)
		return false;
	CHECK(body_enrol_done_get(r->body, &done) == 0);
	CHECK(done.status != ENROL_OK && done.status <= ENROL_LOCKED && done.why.n > 0);
	return true;
}

/* False at the end of the input. */
static bool send_next(struct store *s, struct cur *c, uint64_t id)
{
	struct record r = {.type = MSG_ENROL, .id = id, .fd = -1};
	if (!cur_left(c))
		return false;
	r.body = cur_bytes(c, cur_u16le(c));
	if (cur_ok(c))
		enrol_handle(s, PROCESS_ENROL, &r);
	return cur_ok(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct store_fuzz fuzz = {
		.peer = PROCESS_ENROL,
		.messages_max = 32,
		.approval = CONFIG_APPROVAL_ANYONE,
		.fill = fill,
		.send_next = send_next,
		.check = check,
	};
	store_fuzz_run(&fuzz, data, n);
	return 0;
}
