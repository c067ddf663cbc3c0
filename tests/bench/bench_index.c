/* SPDX-License-Identifier: Apache-2.0
 *
 * What the subscription index and the access rules cost: nanoseconds per match, change and check,
 * bytes per subscription as the allocator counts them. Not a test: it prints and judges nothing.
 * Build it with "make tests/bench/bench_index".
 */
#include "daemon/acl/acl.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"
#include "daemon/broker/trie.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { N = 100000, NAME = 64, RULES = 1000 };

static struct epoch epoch;
static struct epoch_reader self;
static char (*names)[NAME];

static double now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* others may use the machine meanwhile */
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t heap_bytes(void)
{
	const struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

static void fill(struct trie *t, const char *const *filters, unsigned n, unsigned per_edit)
{
	struct trie_edit edit;
	bool replaced = false;
	for (unsigned i = 0; i < n; i++) {
		const struct trie_sub sub = {(uint64_t)i << 8, 0, 1};
		if (i % per_edit == 0)
			trie_edit_begin(t, &self, &edit);
		CHECK(trie_subscribe(&edit, str_of(filters[i]), &sub, &replaced) == 0);
		if (i % per_edit == per_edit - 1 || i == n - 1)
			trie_edit_commit(&edit);
	}
}

static void empty(struct trie *t, const char *const *filters, unsigned n, unsigned per_edit)
{
	struct trie_edit edit;
	for (unsigned i = 0; i < n; i++) {
		if (i % per_edit == 0)
			trie_edit_begin(t, &self, &edit);
		CHECK(trie_unsubscribe(&edit, str_of(filters[i]), (uint64_t)i << 8) == 0);
		if (i % per_edit == per_edit - 1 || i == n - 1)
			trie_edit_commit(&edit);
	}
}

static void count(void *ctx, const struct trie_sub *run, size_t n)
{
	size_t *sum = ctx;
	for (size_t i = 0; i < n; i++)
		*sum += run[i].options;
}

/* ns per match over the topics, in a scattered order. */
static double match_ns(struct trie *t, const char *const *topics, unsigned n, unsigned rounds,
		       size_t *reached)
{
	const struct trie_visitor visitor = {count, NULL, reached};
	*reached = 0;
	unsigned at = 0;
	const double start = now_ns();
	epoch_enter(&self);
	for (unsigned i = 0; i < rounds; i++) {
		trie_match(trie_load(t), str_of(topics[at]), &visitor);
		at = (at + 7919) % n;
	}
	epoch_leave(&self);
	return (now_ns() - start) / rounds;
}

static void report_match(struct trie *t, const char *what, const char *topic)
{
	size_t reached;
	const double ns = match_ns(t, &topic, 1, 1000000, &reached);
	printf("  match %-42s %8.0f ns, reaches %zu\n", what, ns, reached / 1000000);
}

static void bench_filters(const char *title, const char *before_number, const char *behind)
{
	const char **filters = mem_array(const char *, N);
	for (unsigned i = 0; i < N; i++) {
		snprintf(names[i], NAME, "%s%u%s", before_number, i, behind);
		filters[i] = names[i];
	}
	printf("%s\n", title);
	const size_t before = heap_bytes();
	struct trie *t = trie_new(&epoch);
	double start = now_ns();
	fill(t, filters, N, 1);
	printf("  subscribe, published one by one            %12.0f ns\n", (now_ns() - start) / N);
	const size_t heap = heap_bytes() - before;
	printf("  memory                                     %12.0f bytes a subscription (%.0f "
	       "asked for)\n",
	       (double)heap / N, (double)trie_version_bytes(trie_load(t)) / N);
	size_t reached;
	const double ns = match_ns(t, filters, N, 1000000, &reached);
	printf("  match, each topic in turn                  %12.0f ns, reaches %zu\n", ns,
	       reached / 1000000);
	report_match(t, "one topic again and again", filters[4711]);
	report_match(t, "nothing, first level unknown", "other/x/y");
	report_match(t, "nothing, second level unknown", "plant/x/y");
	start = now_ns();
	empty(t, filters, N, 1);
	printf("  unsubscribe, published one by one          %12.0f ns\n", (now_ns() - start) / N);
	start = now_ns();
	fill(t, filters, N, 100);
	printf("  subscribe, 100 to a publication            %12.0f ns\n", (now_ns() - start) / N);
	trie_free(t);
	free(filters);
}

static void bench_fanout(void)
{
	const char **filters = mem_array(const char *, N);
	for (unsigned i = 0; i < N; i++)
		filters[i] = "plant/all/state";
	printf("one filter with %d subscribers\n", N);
	const size_t before = heap_bytes();
	struct trie *t = trie_new(&epoch);
	double start = now_ns();
	fill(t, filters, N, 1);
	printf("  subscribe, published one by one            %12.0f ns\n", (now_ns() - start) / N);
	printf("  memory                                     %12.1f bytes a subscription\n",
	       (double)(heap_bytes() - before) / N);
	size_t reached;
	const double ns = match_ns(t, filters, N, 200, &reached);
	printf("  match                                      %12.2f ns a subscriber\n", ns / N);
	start = now_ns();
	empty(t, filters, N, 1);
	printf("  unsubscribe, published one by one          %12.0f ns\n", (now_ns() - start) / N);
	trie_free(t);
	free(filters);
}

static void bench_small(void)
{
	static const char *const filters[] = {"plant/+/state", "plant/#", "plant/line-1/state",
					      "+/line-1/+"};
	struct trie *t = trie_new(&epoch);
	printf("four filters that overlap\n");
	report_match(t, "(nothing subscribed)", "plant/line-1/state");
	fill(t, filters, ARRAY_LEN(filters), 1);
	report_match(t, "all four", "plant/line-1/state");
	report_match(t, "none", "other/line-2/state");
	trie_free(t);
}

static void bench_rules(const char *title, const struct acl_rule *rules, size_t n,
			const char *topic, const char *filter)
{
	struct acl_set *set = NULL;
	const struct str groups[] = {STR("north"), STR("pumps")};
	const struct acl_who who = {.clientid = STR("c-1"),
				    .device = STR("pump-1"),
				    .cn = STR("pump-1"),
				    .group = groups,
				    .group_n = 2};
	enum { ROUNDS = 1000000 };
	double start = now_ns();
	CHECK(acl_set_new(rules, n, &set, NULL) == 0);
	const double compile = now_ns() - start;
	size_t allowed = 0;
	start = now_ns();
	for (unsigned i = 0; i < ROUNDS; i++)
		allowed +=
			acl_check(set, &who, ACL_PUBLISH, str_of(topic), (struct acl_how){0}, NULL);
	const double check = (now_ns() - start) / ROUNDS;
	size_t granted = 0;
	start = now_ns();
	for (unsigned i = 0; i < ROUNDS / 100; i++)
		granted += acl_subscribe(set, &who, str_of(filter), 0, NULL);
	const double subscribe = (now_ns() - start) / (ROUNDS / 100);
	printf("%-34s check %5.0f ns (%s), subscribe %7.0f ns (%s), compiled in %.0f us\n", title,
	       check, allowed ? "allowed" : "denied", subscribe, granted ? "granted" : "denied",
	       compile / 1000);
	acl_set_unref(set);
}

static void bench_acl(void)
{
	static const char *const few[] = {"plant/${device}/#", "plant/+/alarm", "g/${group}/cmd",
					  "$SYS/broker/#", "site/north/hall/+"};
	struct acl_rule *rules = mem_array(struct acl_rule, RULES);
	for (unsigned i = 0; i < RULES; i++) {
		const bool own = i < ARRAY_LEN(few);
		snprintf(names[i], NAME, "plant/line-%u/+/state", i);
		rules[i] = (struct acl_rule){.id = i + 1,
					     .effect = ACL_ALLOW,
					     .actions = ACL_ALL_ACTIONS,
					     .filter = str_of(own ? few[i] : names[i])};
	}
	bench_rules("5 rules, own topic", rules, 5, "plant/pump-1/state", "plant/pump-1/#");
	bench_rules("5 rules, another's", rules, 5, "plant/pump-2/state", "plant/pump-2/#");
	bench_rules("1000 rules, own topic", rules, RULES, "plant/pump-1/state", "plant/pump-1/#");
	bench_rules("1000 rules, one of the many", rules, RULES, "plant/line-700/a/state",
		    "plant/line-700/+/state");
	bench_rules("1000 rules, another's", rules, RULES, "plant/pump-2/state", "plant/#");
	free(rules);
}

int main(void)
{
	names = mem_alloc(sizeof(*names) * N);
	epoch_init(&epoch);
	epoch_reader_add(&epoch, &self);
	bench_small();
	bench_filters("100000 filters plant/line-I/state", "plant/line-", "/state");
	bench_filters("100000 filters device/I/#", "device/", "/#");
	bench_filters("100000 filters plant/line-I/pump/+/state", "plant/line-", "/pump/+/state");
	bench_fanout();
	bench_acl();
	epoch_reader_remove(&self);
	epoch_fini(&epoch);
	free(names);
	return 0;
}
