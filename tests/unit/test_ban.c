/* SPDX-License-Identifier: Apache-2.0
 *
 * Banned networks (daemon/net/ban.h), and whose patience with wrong passwords can be looked at and
 * ended (db/backoff.h, db/guard.h).
 */
#include "daemon/base/clock.h"
#include "daemon/net/ban.h"
#include "db/backoff.h"
#include "db/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct addr address(const char *text)
{
	struct addr a;
	assert_int_equal(addr_parse_ip(str_of(text), &a), 0);
	return a;
}

static struct ban ban(const char *network, int64_t until)
{
	struct ban b = {.until = until};
	assert_int_equal(cidr_parse(str_of(network), &b.network), 0);
	return b;
}

static bool refuses(const char *text)
{
	const struct addr a = address(text);
	return bans_refuse(&a);
}

static void networks_are_refused_and_counted(void **state)
{
	(void)state;
	static struct ban out[BANS_MAX];
	const int64_t later = clock_wall() + 1000;
	struct ban list[] = {ban("203.0.113.0/24", later), ban("2001:db8:0:1::/64", later),
			     ban("198.51.100.0/24", clock_wall() - 1), ban("127.0.0.0/8", later)};
	assert_false(refuses("203.0.113.9"));
	bans_set(list, 4);
	assert_true(refuses("203.0.113.9") && refuses("203.0.113.10"));
	assert_true(refuses("2001:db8:0:1::7") && !refuses("2001:db8:0:2::7"));
	assert_false(refuses("203.0.114.9"));
	assert_false(refuses("198.51.100.1")); /* it has ended */
	assert_false(refuses("127.0.0.1"));    /* never */
	const struct addr a = address("203.0.113.9");
	assert_true(bans_hold(&a)); /* not counted */
	assert_int_equal(bans_copy(out), 4);
	assert_int_equal(out[0].refused, 2);
	assert_true(out[0].last_ms > 0);
	/* What stays keeps its figures. */
	bans_set(list, 1);
	assert_int_equal(bans_copy(out), 1);
	assert_int_equal(out[0].refused, 2);
	bans_set(NULL, 0);
	assert_false(refuses("203.0.113.9"));
}

struct seen {
	size_t n;
	char source[64];
	char account[64];
};

static void see_login(void *arg, const struct backoff_entry *e)
{
	struct seen *s = arg;
	s->n++;
	if (!e->account.n)
		return;
	memcpy(s->source, e->source.p, e->source.n);
	memcpy(s->account, e->account.p, e->account.n);
}

static void people_who_wait_are_let_in(void **state)
{
	(void)state;
	struct backoff b = {0};
	struct seen s = {0};
	const struct str source = STR("192.0.2.1");
	for (int i = 0; i < BACKOFF_FREE; i++)
		backoff_failed(&b, STR("ann"), source, 1000);
	backoff_failed(&b, STR("bob"), STR("192.0.2.2"), 1000);
	backoff_each(&b, 1000, see_login, &s);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.source, "192.0.2.1");
	assert_string_equal(s.account, "ann");
	assert_int_equal(backoff_lift(&b, STR("192.0.2.2"), 1000), 0);
	assert_int_equal(backoff_lift(&b, STR("not an address"), 1000), 0);
	assert_int_equal(backoff_lift(&b, source, 1000), 1);
	assert_int_equal(backoff_wait(&b, STR("ann"), source, 1000), 0);
	s.n = 0;
	backoff_each(&b, 1000, see_login, &s);
	assert_int_equal(s.n, 0);
	backoff_fini(&b);
}

static void see_password(void *arg, const struct guard_entry *e)
{
	struct seen *s = arg;
	s->n++;
	assert_true(e->wait_us > 0 && e->wait_us <= GUARD_EVERY_S * UINT64_C(1000000));
	assert_int_equal(e->refused, 2);
	memcpy(s->source, e->source.p, e->source.n);
	memcpy(s->account, e->account.p, e->account.n);
}

static void devices_that_wait_are_let_in(void **state)
{
	(void)state;
	struct guard *g = guard_new();
	struct seen s = {0};
	const struct str who = STR("meter");
	const struct str source = STR("192.0.2.1");
	for (int i = 0; i < GUARD_TRIES; i++)
		assert_int_equal(guard_try(g, who, source, 1000), GUARD_STRANGER);
	guard_each(g, 1000, see_password, &s);
	assert_int_equal(s.n, 0); /* nothing was refused so far */
	for (int i = 0; i < 2; i++)
		assert_int_equal(guard_try(g, who, source, 1000), GUARD_SOURCE);
	guard_each(g, 1000, see_password, &s);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.source, "192.0.2.1");
	assert_string_equal(s.account, "meter");
	s.n = 0;
	guard_each(g, 1000 + GUARD_EVERY_S * UINT64_C(1000000), see_password, &s);
	assert_int_equal(s.n, 0); /* the next one is judged by now */
	assert_int_equal(guard_lift(g, STR("192.0.2.2"), 1000), 0);
	assert_int_equal(guard_lift(g, source, 1000), 1);
	assert_int_equal(guard_try(g, who, source, 1000), GUARD_STRANGER);
	guard_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks_are_refused_and_counted),
		cmocka_unit_test(people_who_wait_are_let_in),
		cmocka_unit_test(devices_that_wait_are_let_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
