/* SPDX-License-Identifier: Apache-2.0
 *
 * Reclamation by epochs: what waits for whom, the bound, and readers in threads that must never see
 * freed memory (the sanitizers watch).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/base/epoch.h"
#include "daemon/base/mem.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

static unsigned freed;

static void count_free(void *what)
{
	(void)what;
	freed++;
}

static void test_waits(void **state)
{
	(void)state;
	struct epoch e;
	struct epoch_reader a, b;
	freed = 0;
	epoch_init(&e);
	epoch_retire(&e, count_free, NULL);
	assert_int_equal(freed, 1); /* nobody reads */
	epoch_reader_add(&e, &a);
	epoch_reader_add(&e, &b);
	epoch_enter(&a);
	assert_true(epoch_inside(&a));
	epoch_retire(&e, count_free, NULL);
	assert_int_equal(freed, 1); /* a may hold it */
	epoch_enter(&b);
	assert_int_equal(epoch_collect(&e), 1);
	epoch_leave(&a);
	assert_int_equal(epoch_collect(&e), 0); /* b came later */
	assert_int_equal(freed, 2);
	epoch_retire(&e, count_free, NULL);
	epoch_enter(&a);
	epoch_retire(&e, count_free, NULL);
	epoch_leave(&b);
	assert_int_equal(epoch_collect(&e), 1); /* a holds only the second */
	epoch_leave(&a);
	assert_int_equal(freed, 3);
	epoch_reader_remove(&a);
	epoch_reader_remove(&b);
	epoch_fini(&e); /* frees the rest */
	assert_int_equal(freed, 4);
}

static void test_many(void **state)
{
	(void)state;
	enum { N = 1000 };
	struct epoch e;
	struct epoch_reader r;
	freed = 0;
	epoch_init(&e);
	epoch_reader_add(&e, &r);
	epoch_enter(&r);
	for (unsigned i = 0; i < N; i++)
		epoch_retire(&e, count_free, NULL);
	assert_int_equal(freed, 0);
	epoch_leave(&r);
	assert_int_equal(epoch_collect(&e), 0);
	assert_int_equal(freed, N);
	epoch_reader_remove(&r);
	epoch_fini(&e);
}

static atomic_uint started;
static atomic_bool inside;

/* Holds everything until the writer is at the bound, and a little longer. */
static void *slow_reader(void *arg)
{
	struct epoch_reader r;
	epoch_reader_add(arg, &r);
	epoch_enter(&r);
	atomic_store(&inside, true);
	while (atomic_load(&started) < EPOCH_PENDING_MAX)
		sched_yield();
	nanosleep(&(struct timespec){0, 20000000}, NULL);
	epoch_leave(&r);
	epoch_reader_remove(&r);
	return NULL;
}

static void test_bound(void **state)
{
	(void)state;
	struct epoch e;
	pthread_t reader;
	epoch_init(&e);
	assert_int_equal(pthread_create(&reader, NULL, slow_reader, &e), 0);
	while (!atomic_load(&inside))
		sched_yield();
	for (unsigned i = 0; i < EPOCH_PENDING_MAX + 100; i++) {
		atomic_store(&started, i + 1);
		epoch_retire(&e, count_free, NULL);
		assert_true(epoch_collect(&e) < EPOCH_PENDING_MAX);
	}
	pthread_join(reader, NULL);
	epoch_fini(&e);
}

struct shared {
	struct epoch epoch;
	_Atomic(unsigned *) number;
	atomic_bool stop;
	atomic_uint live;
};

static struct shared shared;

static void number_free(void *what)
{
	*(unsigned *)what = 0xdead;
	free(what);
	atomic_fetch_sub(&shared.live, 1);
}

static void *reader_main(void *arg)
{
	uintptr_t wrong = 0;
	struct epoch_reader r;
	(void)arg;
	epoch_reader_add(&shared.epoch, &r);
	while (!atomic_load(&shared.stop)) {
		epoch_enter(&r);
		const unsigned *p = atomic_load(&shared.number);
		for (unsigned i = 0; i < 10; i++)
			wrong += *p != 42;
		epoch_leave(&r);
	}
	epoch_reader_remove(&r);
	return (void *)wrong;
}

static unsigned *number_new(void)
{
	unsigned *p = mem_new(unsigned);
	*p = 42;
	atomic_fetch_add(&shared.live, 1);
	return p;
}

static void test_threads(void **state)
{
	(void)state;
	pthread_t reader[3];
	epoch_init(&shared.epoch);
	atomic_store(&shared.number, number_new());
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, reader_main, NULL), 0);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned *old = atomic_exchange(&shared.number, number_new());
		epoch_retire(&shared.epoch, number_free, old);
		/* One more may wait than the bound, and one is published. */
		assert_true(atomic_load(&shared.live) <= EPOCH_PENDING_MAX + 2);
	}
	atomic_store(&shared.stop, true);
	for (unsigned i = 0; i < 3; i++) {
		void *wrong = NULL;
		pthread_join(reader[i], &wrong);
		assert_null(wrong);
	}
	epoch_retire(&shared.epoch, number_free, atomic_load(&shared.number));
	epoch_fini(&shared.epoch);
	assert_int_equal(atomic_load(&shared.live), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests_name("epoch", tests, NULL, NULL);
}
