/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker's view of the registry: who may do what after which change, and which identities stay
 * the same objects.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/err.h"
#include "daemon/broker/registry.h"
#include "daemon/ipc/frame.h"

struct fixture {
	struct registry *r;
	uint64_t seq;
};

#define ENTRY(buf, KIND, is_gone, name, what)                                                \
	do {                                                                                 \
		unsigned char inner_[4096];                                                  \
		struct out o_ = out_make(inner_, sizeof(inner_));                            \
		body_##name##_put(&o_, (what));                                              \
		const struct body_entry e_ = {(KIND), (is_gone), {(char *)inner_, o_.need}}; \
		ENTRIES_PUT((buf), entry, &e_);                                              \
	} while (0)

static void device(struct buf *b, uint64_t id, const char *name, bool enabled, const char *role)
{
	AUTO_BUF roles = {0};
	if (role)
		strs_put(&roles, str_of(role));
	const struct body_reg_device d = {
		.id = id, .name = str_of(name), .enabled = enabled, .roles = buf_view(&roles)};
	ENTRY(b, ENTRY_DEVICE, 0, reg_device, &d);
}

static void rule(struct buf *b, uint64_t id, enum subject_kind kind, const char *subject,
		 const char *filter, bool gone)
{
	const struct body_reg_rule r = {
		.id = id,
		.subject_kind = (uint8_t)kind,
		.subject = str_of(subject),
		.allow = 1,
		.actions = ACL_ALL_ACTIONS,
		.priority = 0x80000000,
		.filter = str_of(filter),
	};
	ENTRY(b, ENTRY_RULE, gone, reg_rule, &r);
}

static void certificate(struct buf *b, unsigned char first, uint64_t id, enum cert_status status,
			uint64_t not_after)
{
	char fp[32] = {(char)first};
	const struct body_reg_cert c = {.fingerprint = {fp, 32},
					.device_id = id,
					.status = (uint8_t)status,
					.not_after_at = not_after};
	ENTRY(b, ENTRY_CERT, 0, reg_cert, &c);
}

static enum handshake_verdict verdict(struct registry *r, unsigned char first, int64_t now)
{
	const unsigned char fp[32] = {first};
	uint64_t id;
	int64_t not_after;
	return registry_certificate(r, fp, now, true, &id, &not_after);
}

static bool may(struct registry *r, uint64_t id, const char *topic)
{
	AUTO(identity) who = registry_identity(r, id);
	if (!who)
		return false;
	const struct acl_who w = {.device = str_of(who->name)};
	return acl_check(who->acl, &w, ACL_PUBLISH, str_of(topic), (struct acl_how){0, false},
			 NULL);
}

static struct registry_change apply(struct fixture *f, struct buf *entries)
{
	struct registry_change change = {0};
	assert_int_equal(registry_apply(f->r, ++f->seq, buf_view(entries), &change), 0);
	entries->n = 0;
	return change;
}

static int setup(void **state)
{
	static struct fixture f;
	AUTO_BUF b = {0};
	struct registry_change change;
	device(&b, 1, "one", true, "reader");
	device(&b, 2, "two", true, "reader");
	device(&b, 3, "three", true, "writer");
	rule(&b, 1, SUBJECT_ROLE, "reader", "r/#", false);
	rule(&b, 2, SUBJECT_DEVICE, "three", "own/${device}", false);
	certificate(&b, 'a', 1, CERT_GOOD, 1000);
	certificate(&b, 'b', 9, CERT_GOOD, 1000);
	f.r = registry_new();
	f.seq = 41;
	assert_int_equal(registry_load(f.r, f.seq, buf_view(&b), &change), 0);
	assert_true(change.access);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	const struct fixture *f = *state;
	registry_free(f->r);
	return 0;
}

static void test_rules(void **state)
{
	struct fixture *f = *state;
	assert_true(may(f->r, 1, "r/x"));
	assert_true(may(f->r, 2, "r/x"));
	assert_false(may(f->r, 3, "r/x"));
	assert_true(may(f->r, 3, "own/three"));
	assert_false(may(f->r, 3, "own/one"));
	assert_false(may(f->r, 4, "r/x"));
	assert_false(may(f->r, 0, "r/x"));
}

/* Devices with the same subjects share one compiled set; a change reaches those it concerns. */
static void test_sharing(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	AUTO(identity) one = registry_identity(f->r, 1);
	AUTO(identity) two = registry_identity(f->r, 2);
	AUTO(identity) three = registry_identity(f->r, 3);
	assert_ptr_equal(one->acl, two->acl);
	rule(&b, 3, SUBJECT_ROLE, "writer", "w/#", false);
	assert_true(apply(f, &b).access);
	AUTO(identity) one_now = registry_identity(f->r, 1);
	AUTO(identity) three_now = registry_identity(f->r, 3);
	assert_ptr_equal(one_now, one);
	assert_ptr_not_equal(three_now, three);
	assert_true(may(f->r, 3, "w/x"));
	rule(&b, 3, SUBJECT_ROLE, "writer", "", true);
	apply(f, &b);
	assert_false(may(f->r, 3, "w/x"));
	rule(&b, 4, SUBJECT_ANY, "", "all", false);
	apply(f, &b);
	assert_true(may(f->r, 1, "all"));
	assert_true(may(f->r, 0, "all"));
}

static void test_roles_move(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	device(&b, 1, "one", true, "writer");
	const struct registry_change change = apply(f, &b);
	assert_true(change.access);
	assert_false(change.rights_lost);
	assert_false(may(f->r, 1, "r/x"));
	assert_true(may(f->r, 2, "r/x"));
}

static void test_certificates(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	assert_int_equal(verdict(f->r, 'a', 999), VERDICT_ALLOW);
	assert_int_equal(verdict(f->r, 'a', 1000), VERDICT_EXPIRED);
	/* Known, but its device is gone: not a forgery. */
	assert_int_equal(verdict(f->r, 'b', 999), VERDICT_DISABLED);
	assert_int_equal(verdict(f->r, 'c', 999), VERDICT_UNKNOWN_DEVICE);
	certificate(&b, 'a', 1, CERT_REVOKED, 1000);
	assert_true(apply(f, &b).rights_lost);
	assert_int_equal(verdict(f->r, 'a', 999), VERDICT_REVOKED);
	certificate(&b, 'a', 1, CERT_GOOD, 1000);
	assert_false(apply(f, &b).rights_lost);
	device(&b, 1, "one", false, "reader");
	assert_true(apply(f, &b).rights_lost);
	assert_int_equal(verdict(f->r, 'a', 999), VERDICT_DISABLED);
	assert_null(registry_identity(f->r, 1));
}

static void test_gaps_and_garbage(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	struct registry_change change;
	device(&b, 5, "five", true, NULL);
	assert_int_equal(registry_apply(f->r, f->seq + 2, buf_view(&b), &change), ERR_CONFLICT);
	assert_null(registry_identity(f->r, 5));
	b.n--;
	assert_int_equal(registry_load(f->r, 1, buf_view(&b), &change), ERR_MALFORMED);
	assert_true(may(f->r, 1, "r/x"));
	assert_int_equal(registry_apply(f->r, f->seq + 1, STR("\xff\xff\xff\xff"), &change),
			 ERR_MALFORMED);
}

static bool may_how(struct registry *r, const char *topic, struct acl_how how, const char *from)
{
	AUTO(identity) who = registry_identity(r, 1);
	struct addr address;
	assert_int_equal(addr_parse_ip(str_of(from), &address), 0);
	const struct acl_who w = {.device = str_of(who->name), .address = &address};
	return acl_check(who->acl, &w, ACL_PUBLISH, str_of(topic), how, NULL);
}

static void test_conditions(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	struct body_reg_rule rule = {
		.id = 7,
		.subject_kind = SUBJECT_ANY,
		.allow = 1,
		.actions = ACL_ALL_ACTIONS,
		.priority = 0x80000000,
		.filter = STR("when"),
		.qos = 1 << 1,
		.retain = ACL_RETAIN_NO,
		.networks = STR("10.0.0.0/8 192.0.2.1"),
	};
	ENTRY(&b, ENTRY_RULE, 0, reg_rule, &rule);
	apply(f, &b);
	assert_true(may_how(f->r, "when", (struct acl_how){1, false}, "10.1.1.1"));
	assert_true(may_how(f->r, "when", (struct acl_how){1, false}, "192.0.2.1"));
	assert_false(may_how(f->r, "when", (struct acl_how){1, false}, "192.0.2.2"));
	assert_false(may_how(f->r, "when", (struct acl_how){0, false}, "10.1.1.1"));
	assert_false(may_how(f->r, "when", (struct acl_how){1, true}, "10.1.1.1"));
	rule.filter = STR("${device}");
	rule.literal = 1;
	ENTRY(&b, ENTRY_RULE, 0, reg_rule, &rule);
	apply(f, &b);
	assert_false(may_how(f->r, "one", (struct acl_how){1, false}, "10.1.1.1"));
	assert_true(may_how(f->r, "${device}", (struct acl_how){1, false}, "10.1.1.1"));
	rule.networks = STR("10.0.0.0/8 nowhere");
	ENTRY(&b, ENTRY_RULE, 0, reg_rule, &rule);
	struct registry_change change;
	assert_int_equal(registry_apply(f->r, f->seq + 1, buf_view(&b), &change), ERR_MALFORMED);
}

static size_t statuses(struct fixture *f, struct registry_status *first, bool whole)
{
	AUTO_BUF b = {0};
	assert_int_equal(registry_take_status(f->r, &b), whole);
	if (b.n)
		memcpy(first, b.p, sizeof(*first));
	return b.n / sizeof(*first);
}

static void test_status_changes(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	struct registry_status e;
	struct registry_change change;
	assert_int_equal(statuses(f, &e, true), 0); /* all of the snapshot are good */
	certificate(&b, 'a', 1, CERT_GOOD, 2000);
	certificate(&b, 'z', 1, CERT_GOOD, 2000);
	apply(f, &b);
	assert_int_equal(statuses(f, &e, false), 0);
	certificate(&b, 'a', 1, CERT_HOLD, 2000);
	apply(f, &b);
	assert_int_equal(statuses(f, &e, false), 1);
	assert_int_equal(e.status, CERT_HOLD);
	assert_int_equal(e.fingerprint[0], 'a');
	certificate(&b, 'a', 1, CERT_GOOD, 2000);
	apply(f, &b);
	assert_int_equal(statuses(f, &e, false), 1);
	assert_int_equal(e.status, CERT_GOOD);
	certificate(&b, 'a', 1, CERT_GOOD, 2000);
	certificate(&b, 'b', 1, CERT_REVOKED, 2000);
	assert_int_equal(registry_load(f->r, 7, buf_view(&b), &change), 0);
	assert_int_equal(statuses(f, &e, true), 1);
	assert_int_equal(e.fingerprint[0], 'b');
}

static void test_grace(void **state)
{
	struct fixture *f = *state;
	int64_t begin, end;
	const unsigned char fp[32] = {'a'};
	assert_int_equal(verdict(f->r, 'a', 1000), VERDICT_EXPIRED);
	registry_set_grace(f->r, 50);
	assert_int_equal(verdict(f->r, 'a', 1049), VERDICT_ALLOW);
	assert_int_equal(verdict(f->r, 'a', 1050), VERDICT_EXPIRED);
	registry_set_grace(f->r, REGISTRY_FOR_EVER);
	assert_int_equal(verdict(f->r, 'a', 1900000000), VERDICT_ALLOW);
	uint64_t id;
	int64_t until;
	assert_int_equal(registry_certificate(f->r, fp, 1000, false, &id, &until), VERDICT_EXPIRED);
	assert_true(registry_life(f->r, fp, &begin, &end));
	assert_int_equal(end, 1000);
}

static void test_certificate_names(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	AUTO(identity) plain = registry_identity(f->r, 1);
	assert_false(plain->uses_certificate);
	rule(&b, 8, SUBJECT_ROLE, "reader", "r/${san}", false);
	apply(f, &b);
	AUTO(identity) named = registry_identity(f->r, 1);
	assert_true(named->uses_certificate);
}

static void test_generation(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	const uint64_t before = registry_generation(f->r);
	certificate(&b, 'z', 1, CERT_GOOD, 1000);
	apply(f, &b);
	assert_int_equal(registry_generation(f->r), before);
	rule(&b, 9, SUBJECT_ANY, "", "x", false);
	apply(f, &b);
	assert_int_not_equal(registry_generation(f->r), before);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

/* The store may be away when its time is over. */
static void test_learning_ends(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF b = {0};
	const struct body_reg_rule r = {.id = 7,
					.subject_kind = SUBJECT_DEVICE,
					.subject = STR("one"),
					.allow = 1,
					.actions = ACL_ALL_ACTIONS,
					.priority = 0x80000000u,
					.filter = STR("#"),
					.learn_until_at = 500};
	ENTRY(&b, ENTRY_RULE, 0, reg_rule, &r);
	assert_true(apply(f, &b).access);
	assert_true(may(f->r, 1, "x"));
	AUTO(identity) who = registry_identity(f->r, 1);
	assert_true(who->learns);
	const uint64_t generation = registry_generation(f->r);
	assert_false(registry_end_learning(f->r, 499));
	assert_true(may(f->r, 1, "x"));
	assert_true(registry_end_learning(f->r, 560));
	assert_false(may(f->r, 1, "x"));
	assert_true(may(f->r, 1, "r/x"));
	assert_true(registry_generation(f->r) > generation);
	AUTO(identity) then = registry_identity(f->r, 1);
	assert_false(then->learns);
	/* The store takes it away, too. */
	ENTRY(&b, ENTRY_RULE, 1, reg_rule, &r);
	apply(f, &b);
	assert_true(may(f->r, 1, "r/x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_rules),
		TEST(test_sharing),
		TEST(test_roles_move),
		TEST(test_certificates),
		TEST(test_gaps_and_garbage),
		TEST(test_generation),
		TEST(test_conditions),
		TEST(test_grace),
		TEST(test_status_changes),
		TEST(test_certificate_names),
		TEST(test_learning_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
