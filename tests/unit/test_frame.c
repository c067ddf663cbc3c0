/* SPDX-License-Identifier: Apache-2.0
 *
 * Records between processes: every message of the table goes there and back, nothing else is taken
 * in; one record in and out of a socket, with and without a descriptor; sealed memfds.
 */
#include "daemon/base/err.h"
#include "daemon/ipc/frame.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned char bytes[4 * FRAME_MAX]; /* three long strings in one record */
static unsigned char again[4 * FRAME_MAX];
static char text[70000];

/* What the tests need of each message, as functions of one shape. */
struct kind {
	const char *name;
	size_t fields;
	size_t (*fill)(struct out *o, uint64_t seed,
		       size_t over); /* over: field that is too long */
	int (*copy)(struct str in, struct out *o);
};

#define FILL_INT(f, mask)                                                   \
	b.f = (__typeof__(b.f))((seed + n) * 0x9e3779b97f4a7c15u & (mask)); \
	n++;

#define MSG(NAME, name, from, to, when, kind, fd) RECORD(name)
#define RECORD(name)                                                         \
	static size_t fill_##name(struct out *o, uint64_t seed, size_t over) \
	{                                                                    \
		struct body_##name b;                                        \
		size_t n = 0;                                                \
		memset(&b, 0, sizeof(b));                                    \
		(void)seed;                                                  \
		(void)over;
#define END(name)                 \
	body_##name##_put(o, &b); \
	return n;                 \
	}
#define F_U8(f)  FILL_INT(f, 0xff)
#define F_U16(f) FILL_INT(f, 0xffff)
#define F_U32(f) FILL_INT(f, 0xffffffff)
#define F_U64(f) FILL_INT(f, UINT64_MAX)
#define F_STR(f, max)                                                        \
	b.f = str_make(text, over == n ? (size_t)(max) + 1                   \
			     : seed    ? (size_t)((seed + n) % ((max) + 1u)) \
				       : 0);                                    \
	n++;
#include "daemon/ipc/messages.def"

#define MSG(NAME, name, from, to, when, kind, fd) RECORD(name)
#define RECORD(name)                                         \
	static int copy_##name(struct str in, struct out *o) \
	{                                                    \
		struct body_##name b;                        \
		if (body_##name##_get(in, &b))               \
			return -1;                           \
		body_##name##_put(o, &b);                    \
		return 0;                                    \
	}
#define END(name)
#define F_U8(f)
#define F_U16(f)
#define F_U32(f)
#define F_U64(f)
#define F_STR(f, max)
#include "daemon/ipc/messages.def"

#define MSG(NAME, name, from, to, when, kind, fd) RECORD(name)
#define RECORD(name) \
	{            \
#name, 0
#define END(name)                  \
	, fill_##name, copy_##name \
	}                          \
	,
#define F_U8(f)       +1
#define F_U16(f)      +1
#define F_U32(f)      +1
#define F_U64(f)      +1
#define F_STR(f, max) +1
static const struct kind kinds[] = {
#include "daemon/ipc/messages.def"
};

enum { NO_FIELD = 1000 };

static void goes_there_and_back(const struct kind *k, uint64_t seed)
{
	struct out o = out_make(bytes, sizeof(bytes));
	struct out o2 = out_make(again, sizeof(again));
	assert_int_equal(k->fill(&o, seed, NO_FIELD), k->fields);
	assert_true(out_ok(&o));
	assert_int_equal(k->copy(str_make(bytes, o.need), &o2), 0);
	assert_int_equal(o2.need, o.need);
	assert_memory_equal(bytes, again, o.need);
}

static void every_message_goes_there_and_back(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		for (uint64_t seed = 0; seed < 50; seed++)
			goes_there_and_back(&kinds[i], seed * 977);
}

static void a_body_that_is_cut_or_too_long_is_malformed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct out o = out_make(bytes, sizeof(bytes));
		kinds[i].fill(&o, 3, NO_FIELD);
		for (size_t n = 0; n < o.need; n++) {
			struct out o2 = out_make(again, sizeof(again));
			assert_int_equal(kinds[i].copy(str_make(bytes, n), &o2), -1);
		}
		struct out o2 = out_make(again, sizeof(again));
		assert_int_equal(kinds[i].copy(str_make(bytes, o.need + 1), &o2), -1);
	}
}

/* Neither written nor read: a string one byte over its limit. */
static void a_string_over_its_limit_is_refused(void **state)
{
	size_t tried = 0;
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		for (size_t f = 0; f < kinds[i].fields; f++) {
			struct out o = out_make(bytes, sizeof(bytes));
			struct out o2 = out_make(again, sizeof(again));
			kinds[i].fill(&o, 0, f);
			if (out_ok(&o))
				continue; /* a number */
			tried++;
			assert_int_equal(kinds[i].copy(str_make(bytes, o.need), &o2), -1);
		}
	}
	assert_true(tried > 40);
}

static void the_table_names_who_may_send_what(void **state)
{
	(void)state;
	assert_true(frame_permitted(MSG_ISSUE_DEVICE, PROCESS_STORE, PROCESS_VAULT));
	assert_false(frame_permitted(MSG_ISSUE_DEVICE, PROCESS_BROKER, PROCESS_VAULT));
	assert_false(frame_permitted(MSG_ISSUE_DEVICE, PROCESS_CTL, PROCESS_VAULT));
	assert_false(frame_permitted(MSG_ISSUE_DEVICE, PROCESS_STORE, PROCESS_BROKER));
	assert_true(frame_permitted(MSG_TLS_SIGN, PROCESS_ENROL, PROCESS_VAULT));
	assert_false(frame_permitted(MSG_TLS_SIGN, PROCESS_CTL, PROCESS_VAULT));
	assert_false(frame_permitted(MSG_TLS_SIGN, PROCESS_STORE, PROCESS_VAULT));
	assert_false(frame_permitted(MSG_OP, PROCESS_BROKER, PROCESS_STORE));
	assert_false(frame_permitted(MSG_LISTENER_KEY, PROCESS_PARENT, PROCESS_BROKER));
	assert_false(frame_permitted(MSG_COUNT, PROCESS_PARENT, PROCESS_STORE));
	assert_false(frame_permitted(0xffff, PROCESS_PARENT, PROCESS_STORE));
}

/* Which REPLY belongs to which ASK follows from the order of the table: no ASK is without one. */
static void every_question_has_one_answer(void **state)
{
	(void)state;
	for (unsigned ask = 0; ask < MSG_COUNT; ask++) {
		unsigned answers = 0;
		if (frame_rule(ask)->kind != ASK)
			continue;
		for (unsigned reply = 0; reply < MSG_COUNT; reply++) {
			if (!frame_answers(reply, ask))
				continue;
			answers++;
			assert_int_equal(frame_rule(reply)->kind, REPLY);
			assert_int_equal(frame_rule(reply)->from, frame_rule(ask)->to);
			assert_int_equal(frame_rule(reply)->to, frame_rule(ask)->from);
		}
		assert_int_equal(answers, 1);
	}
	assert_true(frame_answers(MSG_SETTING_DONE, MSG_SETTING_GET));
	assert_true(frame_answers(MSG_LOGIN_DONE, MSG_LOGIN));
	assert_false(frame_answers(MSG_KICK_DONE, MSG_LOGIN));
}

/* ---- sockets ----------------------------------------------------------------------------------
 */

struct pair {
	int a, b;
};

static int open_pair(void **state)
{
	int fds[2];
	struct pair *p = malloc(sizeof(*p));
	if (!p || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds))
		return -1;
	*p = (struct pair){fds[0], fds[1]};
	*state = p;
	return 0;
}

static int close_pair(void **state)
{
	struct pair *p = *state;
	close(p->a);
	close(p->b);
	free(p);
	return 0;
}

static size_t open_descriptors(void)
{
	size_t n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void a_record_arrives_as_it_was_sent(void **state)
{
	const struct pair *p = *state;
	const struct record sent = {MSG_LOGIN, 0x123456789abcdef0u, 2000, STR("body"), -1};
	struct record got;
	assert_int_equal(frame_send(p->a, &sent), 0);
	assert_int_equal(frame_receive(p->b, bytes, &got), 0);
	assert_int_equal(got.type, MSG_LOGIN);
	assert_true(got.id == sent.id);
	assert_int_equal(got.deadline_ms, 2000);
	assert_true(str_is(got.body, "body"));
	assert_int_equal(got.fd, -1);
	assert_int_equal(frame_receive(p->b, bytes, &got), ERR_AGAIN);
}

static void the_largest_record_fits(void **state)
{
	const struct pair *p = *state;
	const struct record sent = {MSG_OP, 1, 0, {text, FRAME_BODY_MAX}, -1};
	struct record got;
	assert_int_equal(frame_send(p->a, &sent), 0);
	assert_int_equal(frame_receive(p->b, bytes, &got), 0);
	assert_int_equal(got.body.n, FRAME_BODY_MAX);
}

static void a_descriptor_travels(void **state)
{
	const struct pair *p = *state;
	int pipes[2];
	struct record got;
	char c = 0;
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	const size_t before = open_descriptors();
	const struct record sent = {MSG_LISTENER, 0, 0, STR(""), pipes[0]};
	assert_int_equal(frame_send(p->a, &sent), 0);
	assert_int_equal(frame_receive(p->b, bytes, &got), 0);
	assert_true(got.fd >= 0 && got.fd != pipes[0]);
	assert_true(fcntl(got.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(read(got.fd, &c, 1), 1);
	assert_int_equal(c, 'x');
	frame_done(&got);
	assert_int_equal(got.fd, -1);
	assert_int_equal(open_descriptors(), before);
	close(pipes[0]);
	close(pipes[1]);
}

/* Sends these bytes with so many descriptors, past frame_send. */
static void send_raw(int sock, const void *p, size_t n, size_t fds)
{
	struct iovec iov = {(void *)(uintptr_t)p, n};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	if (fds) {
		m.msg_control = &control;
		m.msg_controllen = CMSG_SPACE(fds * sizeof(int));
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(fds * sizeof(int));
		for (size_t i = 0; i < fds; i++) {
			const int fd = STDIN_FILENO;
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(fd));
		}
	}
	assert_true(sendmsg(sock, &m, MSG_NOSIGNAL) == (ssize_t)n);
}

static size_t head(unsigned char *to, uint16_t type, uint16_t flags, uint32_t length)
{
	struct out o = out_make(to, FRAME_HEADER);
	out_u16le(&o, type);
	out_u16le(&o, flags);
	out_u32le(&o, length);
	out_u64le(&o, 1);
	out_u32le(&o, 0);
	return o.need;
}

static void a_wrong_header_is_malformed(void **state)
{
	const struct pair *p = *state;
	const struct {
		uint16_t type, flags;
		uint32_t length;
		size_t size;
	} wrong[] = {
		{MSG_COUNT, 0, 0, 20},          {0xffff, 0, 0, 20},
		{MSG_READY, 1, 0, 20},          {MSG_READY, 0, 1, 20},
		{MSG_READY, 0, UINT32_MAX, 20}, {MSG_READY, 0, 0, 21},
		{MSG_READY, 0, 0, 19},          {MSG_READY, 0, 0, 1},
	};
	unsigned char raw[64] = {0};
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		struct record got;
		head(raw, wrong[i].type, wrong[i].flags, wrong[i].length);
		send_raw(p->a, raw, wrong[i].size, 0);
		assert_int_equal(frame_receive(p->b, bytes, &got), ERR_MALFORMED);
	}
}

static void a_record_over_the_limit_is_malformed(void **state)
{
	const struct pair *p = *state;
	struct record got;
	memset(again, 0, sizeof(again));
	head(again, MSG_OP, 0, FRAME_BODY_MAX + 1);
	send_raw(p->a, again, FRAME_MAX + 1, 0);
	assert_int_equal(frame_receive(p->b, bytes, &got), ERR_MALFORMED);
}

/* Whoever sends descriptors that the table does not allow does not fill our table of them. */
static void descriptors_too_many_are_closed(void **state)
{
	const struct pair *p = *state;
	unsigned char raw[FRAME_HEADER];
	struct record got;
	const size_t before = open_descriptors();
	for (size_t n = 1; n <= 8; n++) {
		head(raw, MSG_READY, 0, 0);
		send_raw(p->a, raw, sizeof(raw), n);
		assert_int_equal(frame_receive(p->b, bytes, &got), ERR_MALFORMED);
	}
	for (size_t n = 2; n <= 8; n++) {
		head(raw, MSG_LISTENER, 0, 0);
		send_raw(p->a, raw, sizeof(raw), n);
		assert_int_equal(frame_receive(p->b, bytes, &got), ERR_MALFORMED);
	}
	assert_int_equal(open_descriptors(), before);
}

/* Our lack of descriptors is no fault of the peer. */
static void no_descriptor_left_is_our_trouble(void **state)
{
	const struct pair *p = *state;
	unsigned char raw[FRAME_HEADER];
	struct rlimit before, none;
	struct record got;
	head(raw, MSG_LISTENER, 0, 0);
	send_raw(p->a, raw, sizeof(raw), 1);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	const int err = frame_receive(p->b, bytes, &got);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(err, ERR_LIMIT);
}

static void sending_never_blocks(void **state)
{
	const struct pair *p = *state;
	const struct record r = {MSG_OP, 1, 0, {text, 30000}, -1};
	int err = 0;
	for (int i = 0; i < 100000 && err == 0; i++)
		err = frame_send(p->a, &r);
	assert_int_equal(err, ERR_AGAIN);
}

/* What a process said before it ended is not lost, even when it left something of ours unread. */
static void last_words_are_heard(void **state)
{
	struct pair *p = *state;
	const struct record r = {MSG_READY, 0, 0, STR(""), -1};
	struct record got;
	assert_int_equal(frame_send(p->b, &r), 0); /* stays unread */
	for (int i = 0; i < 3; i++)
		assert_int_equal(frame_send(p->a, &r), 0);
	close(p->a);
	p->a = -1;
	for (int i = 0; i < 3; i++)
		assert_int_equal(frame_receive(p->b, bytes, &got), 0);
	assert_int_equal(frame_receive(p->b, bytes, &got), ERR_EOF);
	assert_int_equal(frame_send(p->b, &r), ERR_EOF);
}

/* ---- lists and memfds -------------------------------------------------------------------------
 */

static void lists_of_strings(void **state)
{
	AUTO_BUF list = {0};
	struct str item;
	(void)state;
	strs_put(&list, STR("one"));
	strs_put(&list, STR(""));
	strs_put(&list, STR("three"));
	struct str rest = buf_view(&list);
	assert_true(strs_valid(rest));
	assert_int_equal(strs_count(rest), 3);
	assert_true(strs_next(&rest, &item) && str_is(item, "one"));
	assert_true(strs_next(&rest, &item) && item.n == 0);
	assert_true(strs_next(&rest, &item) && str_is(item, "three"));
	assert_false(strs_next(&rest, &item));
	for (size_t n = 1; n < list.n; n++)
		assert_int_equal(strs_valid((struct str){list.p, n}), n == 5 || n == 7);
}

static void lists_of_records(void **state)
{
	AUTO_BUF list = {0};
	struct str record;
	struct body_hello hello;
	(void)state;
	for (uint8_t i = 0; i < 3; i++)
		ENTRIES_PUT(&list, hello, (&(struct body_hello){7, i}));
	struct cur c = cur_of(buf_view(&list));
	for (uint8_t i = 0; i < 3; i++) {
		assert_true(entries_next(&c, &record));
		assert_int_equal(body_hello_get(record, &hello), 0);
		assert_int_equal(hello.process, i);
	}
	assert_false(entries_next(&c, &record));
	assert_true(cur_ok(&c));
	c = cur_make(list.p, list.n - 1);
	while (entries_next(&c, &record))
		;
	assert_false(cur_ok(&c));
}

static void a_memfd_gives_back_what_was_put(void **state)
{
	AUTO_BUF out = {0};
	(void)state;
	AUTO_FD fd = memfd_make("test", (struct str){text, sizeof(text)});
	assert_true(fd >= 0);
	buf_puts(&out, "before");
	assert_int_equal(memfd_read(fd, sizeof(text), &out), 0);
	assert_int_equal(out.n, 6 + sizeof(text));
	assert_memory_equal(out.p + 6, text, sizeof(text));
	assert_int_equal(memfd_read(fd, sizeof(text) - 1, &out), ERR_LIMIT);
	assert_int_equal(out.n, 6 + sizeof(text));
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 0), -1);
	AUTO_FD empty = memfd_make("test", STR(""));
	assert_int_equal(memfd_read(empty, 0, &out), 0);
}

/* A file that its sender could still change or cut under the reader's hands is not read. */
static void what_is_not_sealed_is_not_read(void **state)
{
	AUTO_BUF out = {0};
	(void)state;
	AUTO_FD open_fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(write(open_fd, "x", 1), 1);
	assert_int_equal(memfd_read(open_fd, 100, &out), ERR_DENIED);
	assert_int_equal(fcntl(open_fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW), 0);
	assert_int_equal(memfd_read(open_fd, 100, &out), ERR_DENIED);
	AUTO_FD null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(memfd_read(null, 100, &out), ERR_DENIED);
	assert_int_equal(out.n, 0);
}

int main(void)
{
	memset(text, 'a', sizeof(text));
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_goes_there_and_back),
		cmocka_unit_test(a_body_that_is_cut_or_too_long_is_malformed),
		cmocka_unit_test(a_string_over_its_limit_is_refused),
		cmocka_unit_test(the_table_names_who_may_send_what),
		cmocka_unit_test(every_question_has_one_answer),
		cmocka_unit_test_setup_teardown(a_record_arrives_as_it_was_sent, open_pair,
						close_pair),
		cmocka_unit_test_setup_teardown(the_largest_record_fits, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_descriptor_travels, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_wrong_header_is_malformed, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(a_record_over_the_limit_is_malformed, open_pair,
						close_pair),
		cmocka_unit_test_setup_teardown(descriptors_too_many_are_closed, open_pair,
						close_pair),
		cmocka_unit_test_setup_teardown(no_descriptor_left_is_our_trouble, open_pair,
						close_pair),
		cmocka_unit_test_setup_teardown(sending_never_blocks, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(last_words_are_heard, open_pair, close_pair),
		cmocka_unit_test(lists_of_strings),
		cmocka_unit_test(lists_of_records),
		cmocka_unit_test(a_memfd_gives_back_what_was_put),
		cmocka_unit_test(what_is_not_sealed_is_not_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
