/* SPDX-License-Identifier: Apache-2.0
 *
 * Figures as Prometheus text: which row takes what, labels, escapes, rows without figures.
 */
#include "daemon/web/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void print(const char *text, struct buf *out)
{
	json_error_t error;
	json_t *status = json_loads(text, 0, &error);
	assert_non_null(status);
	metrics_print(status, out);
	json_decref(status);
}

static void prints_figures_with_help_and_type(void **state)
{
	(void)state;
	AUTO_BUF out = {0};
	print("{\"uptime\": 17, \"counters\": {\"connects\": 3}}", &out);
	assert_string_equal(buf_cstr(&out),
			    "# HELP gatehouse_uptime_seconds Since the gateway was started.\n"
			    "# TYPE gatehouse_uptime_seconds gauge\n"
			    "gatehouse_uptime_seconds 17\n"
			    "# HELP gatehouse_connects_total CONNECT packets that were accepted.\n"
			    "# TYPE gatehouse_connects_total counter\n"
			    "gatehouse_connects_total 3\n");
}

static void labels_what_stands_for_the_asterisk(void **state)
{
	(void)state;
	AUTO_BUF out = {0};
	print("{\"processes\": [{\"name\": \"broker\", \"state\": \"serving\", \"restarts\": 2},"
	      "{\"name\": \"vault\", \"state\": \"down\", \"restarts\": 0}],"
	      "\"listeners\": [{\"name\": \"a\\\\b\\\"c\\nd\", \"connections\": 4}],"
	      "\"clock\": {\"ok\": true}, \"version\": \"1.2.3\"}",
	      &out);
	const char *text = buf_cstr(&out);
	assert_non_null(strstr(text, "\ngatehouse_process_up{process=\"broker\"} 1\n"
				     "gatehouse_process_up{process=\"vault\"} 0\n"));
	assert_non_null(strstr(text, "\ngatehouse_process_restarts_total{process=\"broker\"} 2\n"));
	assert_non_null(
		strstr(text, "\ngatehouse_listener_connections{listener=\"a\\\\b\\\"c\\nd\"} 4\n"));
	assert_non_null(strstr(text, "\ngatehouse_clock_ok 1\n"));
	assert_non_null(strstr(text, "\ngatehouse_info{version=\"1.2.3\"} 1\n"));
}

static void keeps_figures_without_a_row_of_their_own(void **state)
{
	(void)state;
	AUTO_BUF out = {0};
	print("{\"counters\": {\"messages.dropped.storm\": 5, \"new.thing\": 6}, \"other\": 7}",
	      &out);
	const char *text = buf_cstr(&out);
	assert_non_null(strstr(text, "gatehouse_messages_dropped_total{reason=\"storm\"} 5\n"));
	assert_non_null(strstr(text, "gatehouse_other{figure=\"new.thing\"} 6\n"));
	assert_null(strstr(text, " 7\n"));
}

static void prints_nothing_for_nothing(void **state)
{
	(void)state;
	AUTO_BUF out = {0};
	print("{\"devices\": {}, \"name\": \"gw\", \"started\": null, \"deep\": [[1]]}", &out);
	assert_int_equal(out.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_figures_with_help_and_type),
		cmocka_unit_test(labels_what_stands_for_the_asterisk),
		cmocka_unit_test(keeps_figures_without_a_row_of_their_own),
		cmocka_unit_test(prints_nothing_for_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
