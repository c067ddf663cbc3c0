/* SPDX-License-Identifier: Apache-2.0
 *
 * The operator's log: daemon/base/log.h. Standard error is a pipe that the test reads, so a line is
 * judged as it leaves the process.
 */
#include "daemon/base/check.h"
#include "daemon/base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int saved = -1;
static int from = -1;

static void catch_begin(void)
{
	int p[2];
	assert_int_equal(pipe2(p, O_CLOEXEC | O_NONBLOCK), 0);
	saved = dup(STDERR_FILENO);
	dup2(p[1], STDERR_FILENO);
	close(p[1]);
	from = p[0];
}

static size_t catch_end(char *out, size_t n)
{
	dup2(saved, STDERR_FILENO);
	close(saved);
	const ssize_t got = read(from, out, n - 1);
	close(from);
	out[got > 0 ? got : 0] = '\0';
	return strlen(out);
}

static void plain_lines(void **state)
{
	(void)state;
	char line[2048];
	unsetenv("JOURNAL_STREAM");
	log_init("broker", LOG_LEVEL_INFO);
	catch_begin();
	log_warning("listener '%s': port %d is in use", "mqtt", 8883);
	catch_end(line, sizeof(line));
	/* "2026-11-25T17:50:34.123Z warning broker: …" */
	assert_int_equal(line[10], 'T');
	assert_int_equal(line[23], 'Z');
	assert_string_equal(line + 24, " warning broker: listener 'mqtt': port 8883 is in use\n");
}

static void lines_for_the_journal(void **state)
{
	(void)state;
	static const struct {
		enum log_level level;
		const char *line;
	} row[] = {
		{LOG_LEVEL_ERROR, "<3>vault: x\n"},  {LOG_LEVEL_WARNING, "<4>vault: x\n"},
		{LOG_LEVEL_NOTICE, "<5>vault: x\n"}, {LOG_LEVEL_INFO, "<6>vault: x\n"},
		{LOG_LEVEL_DEBUG, "<7>vault: x\n"},
	};
	char line[2048];
	setenv("JOURNAL_STREAM", "8:1", 1);
	log_init("vault", LOG_LEVEL_DEBUG);
	for (size_t i = 0; i < ARRAY_LEN(row); i++) {
		catch_begin();
		log_write(row[i].level, "x");
		catch_end(line, sizeof(line));
		assert_string_equal(line, row[i].line);
	}
	unsetenv("JOURNAL_STREAM");
}

static void levels(void **state)
{
	(void)state;
	char text[2048];
	log_init("store", LOG_LEVEL_WARNING);
	assert_true(log_enabled(LOG_LEVEL_ERROR));
	assert_true(log_enabled(LOG_LEVEL_WARNING));
	assert_false(log_enabled(LOG_LEVEL_NOTICE));
	catch_begin();
	log_notice("not this");
	log_debug("nor this");
	log_set_level(LOG_LEVEL_DEBUG);
	log_debug("but this");
	assert_true(catch_end(text, sizeof(text)) > 0);
	assert_null(strstr(text, "not this"));
	assert_null(strstr(text, "nor this"));
	assert_non_null(strstr(text, "but this"));
}

/* A peer chooses client identifiers and topics: they must not make lines of their own. */
static void a_peer_cannot_forge_lines(void **state)
{
	(void)state;
	char text[2048];
	log_init("broker", LOG_LEVEL_INFO);
	catch_begin();
	log_info("client '%s'", "a\n2026-01-01T00:00:00.000Z error parent: b\r\x1b[31m\t\x7f\x01");
	const size_t n = catch_end(text, sizeof(text));
	assert_ptr_equal(strchr(text, '\n'), text + n - 1);
	for (size_t i = 0; i + 1 < n; i++)
		assert_true((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
	assert_non_null(strstr(text, "client 'a?2026"));
	catch_begin();
	log_info("%s", "gr\xc3\xbc\xc3\x9f"); /* other languages stay readable */
	catch_end(text, sizeof(text));
	assert_non_null(strstr(text, "gr\xc3\xbc\xc3\x9f\n"));
}

static void a_long_line_is_cut(void **state)
{
	(void)state;
	static char text[8192], longer[4000];
	memset(longer, 'x', sizeof(longer) - 1);
	log_init("broker", LOG_LEVEL_INFO);
	catch_begin();
	log_info("%s", longer);
	log_info("next");
	const size_t n = catch_end(text, sizeof(text));
	char *const end = strchr(text, '\n');
	assert_in_range(end - text, 900, 1023);
	assert_string_equal(text + n - 13, "broker: next\n");
	for (const char *p = strstr(text, "broker: ") + 8; p < end; p++)
		assert_int_equal(*p, 'x');
}

/* The fields in the order of the record, without the newline at its end. */
static void take(int fd, char text[10000])
{
	const ssize_t n = recv(fd, text, 9999, MSG_DONTWAIT);
	assert_true(n > 0 && text[n - 1] == '\n');
	text[n - 1] = '\0';
}

static void a_line_has_its_fields(void **state)
{
	char text[10000];
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	log_init("store", LOG_LEVEL_NOTICE);
	log_set_journal(pair[0]);
	log_warning("nobody %s", "knows");
	take(pair[1], text);
	assert_string_equal(text, "MESSAGE=store: nobody knows\nPRIORITY=4\n"
				  "SYSLOG_IDENTIFIER=gatehoused\nGATEHOUSE_PROCESS=store");
	log_info("not at this level");
	const struct log_field field[] = {{"GATEHOUSE_REASON", STR("a\nPRIORITY=0")},
					  {"GATEHOUSE_DEVICE", STR("")},
					  {"GATEHOUSE_ADDRESS", STR("192.0.2.1:5")}};
	log_write_fields(LOG_LEVEL_ERROR, field, ARRAY_LEN(field), "refused");
	take(pair[1], text);
	assert_non_null(
		strstr(text, "\nGATEHOUSE_REASON=a?PRIORITY=0\nGATEHOUSE_ADDRESS=192.0.2.1:5"));
	assert_null(strstr(text, "GATEHOUSE_DEVICE"));
	log_set_journal(-1);
	close(pair[0]);
	close(pair[1]);
}

static void a_field_without_room_is_left_out(void **state)
{
	static char much[9000];
	char text[10000];
	int pair[2];
	(void)state;
	memset(much, 'x', sizeof(much));
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	log_set_journal(pair[0]);
	const struct log_field field[] = {{"GATEHOUSE_REASON", {much, sizeof(much)}},
					  {"GATEHOUSE_DEVICE", STR("pump")}};
	log_write_fields(LOG_LEVEL_ERROR, field, ARRAY_LEN(field), "refused");
	take(pair[1], text);
	assert_null(strstr(text, "xxx"));
	assert_non_null(strstr(text, "\nGATEHOUSE_DEVICE=pump"));
	log_set_journal(-1);
	close(pair[0]);
	close(pair[1]);
}

static void what_the_journal_does_not_take_goes_to_standard_error(void **state)
{
	char text[2048];
	int pair[2];
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair), 0);
	close(pair[1]);
	log_init("store", LOG_LEVEL_INFO);
	log_set_journal(pair[0]);
	catch_begin();
	log_error("still %s", "said");
	catch_end(text, sizeof(text));
	assert_non_null(strstr(text, " error   store: still said\n"));
	log_set_journal(-1);
	close(pair[0]);
}

static void a_failed_check_says_where_and_ends(void **state)
{
	(void)state;
	char text[2048];
	log_init("broker", LOG_LEVEL_INFO);
	catch_begin();
	const pid_t child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		CHECK(1 + 1 == 3);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(child, &status, 0), child);
	catch_end(text, sizeof(text));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	assert_non_null(strstr(text, "internal error: "));
	assert_non_null(strstr(text, "tests/unit/test_log.c:"));
	assert_non_null(strstr(text, "1 + 1 == 3"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_lines),
		cmocka_unit_test(lines_for_the_journal),
		cmocka_unit_test(levels),
		cmocka_unit_test(a_peer_cannot_forge_lines),
		cmocka_unit_test(a_long_line_is_cut),
		cmocka_unit_test(a_line_has_its_fields),
		cmocka_unit_test(a_field_without_room_is_left_out),
		cmocka_unit_test(what_the_journal_does_not_take_goes_to_standard_error),
		cmocka_unit_test(a_failed_check_says_where_and_ends),
	};
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
