/* SPDX-License-Identifier: Apache-2.0
 *
 * EST against a store that this test plays: what is asked of it, and which status, fields and body
 * each of its verdicts becomes; what is refused without it. Over HTTP on a local socket; what TLS
 * adds is tested on a whole gateway (tests/pki).
 */
#include "certs/csr.h"
#include "certs/request.h"
#include "daemon/base/base64.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/web/est.h"
#include "daemon/web/est_reply.h"
#include "daemon/web/est_wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

/* No certificate, but the chain of trust leaves out what it cannot read. */
#define ROOT "\x30\x03\x02\x01\x07"

struct rig {
	struct loop *loop;
	struct scratch dir;
	struct sockaddr_un address;
	struct http_server *server;
	struct report report;
	struct est est;
	struct link *ours;
	struct link *stores; /* the store's end */
	/* What the store answers; silent: nothing. */
	struct body_enrol_done verdict;
	bool silent;
	/* What it was asked last. */
	unsigned asked;
	struct body_enrol ask;
	struct buf ask_bytes;
	unsigned events;
	char reason[257];
};

static struct rig *rig;
static uint32_t rig_request_ms; /* of the next one */

static int on_get(struct link *l, struct record *r)
{
	AUTO_BUF list = {0};
	AUTO_BUF labels = {0};
	const struct body_authority root = {CA_ROOT, CA_ACTIVE, STR(ROOT)};
	ENTRIES_PUT(&list, authority, &root);
	strs_put(&labels, STR("pumps"));
	const struct body_authorities b = {buf_view(&list), buf_view(&labels)};
	return LINK_SEND(l, AUTHORITIES, authorities, r->id, -1, &b);
}

static int on_enrol(struct link *l, struct record *r)
{
	rig->asked++;
	rig->ask_bytes.n = 0;
	buf_str(&rig->ask_bytes, r->body);
	assert_int_equal(body_enrol_get(buf_view(&rig->ask_bytes), &rig->ask), 0);
	return rig->silent ? 0 : LINK_SEND(l, ENROL_DONE, enrol_done, r->id, -1, &rig->verdict);
}

static int on_events(struct link *l, struct record *r)
{
	struct body_events b;
	struct body_event e;
	struct str one;
	(void)l;
	assert_int_equal(body_events_get(r->body, &b), 0);
	struct cur c = cur_of(b.events);
	while (entries_next(&c, &one)) {
		assert_int_equal(body_event_get(one, &e), 0);
		assert_int_equal(e.event, EVENT_ENROL_REFUSED);
		snprintf(rig->reason, sizeof(rig->reason), "%.*s", STR_ARG(e.reason));
		rig->events++;
	}
	return 0;
}

static const link_handler store_handlers[MSG_COUNT] = {
	[MSG_AUTHORITIES_GET] = on_get,
	[MSG_ENROL] = on_enrol,
	[MSG_EVENTS] = on_events,
};
static const link_handler no_handlers[MSG_COUNT];

static void broken(struct link *l, const char *why, bool misbehaved)
{
	(void)l;
	(void)misbehaved;
	fail_msg("the link broke: %s", why);
}

static struct link *end_of(enum process self, enum process peer, int fd)
{
	const struct link_config config = {
		.self = self,
		.peer = peer,
		.handler = self == PROCESS_STORE ? store_handlers : no_handlers,
		.broken = broken,
	};
	return link_new(rig->loop, fd, &config);
}

static void changed(struct anchors *a)
{
	(void)a;
}

static void handle(void *owner, struct http_request *r)
{
	(void)owner;
	if (!est_handle(&rig->est, r))
		http_reply(r, 418, NULL, STR(""), NULL);
}

static void too_large(void *owner, const char *source)
{
	(void)owner;
	est_too_large(&rig->est, source);
}

static int listen_at(void)
{
	rig->address.sun_family = AF_UNIX;
	strcpy(rig->address.sun_path, scratch_file(&rig->dir, "s"));
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&rig->address, sizeof(rig->address)), 0);
	assert_int_equal(listen(fd, 16), 0);
	return fd;
}

static int set_up(void **state)
{
	int fds[2];
	(void)state;
	rig = mem_new(struct rig);
	rig->loop = loop_new();
	scratch_make(&rig->dir);
	const struct http_config config = {
		.loop = rig->loop,
		.client_certificates = true,
		.body_max = CSR_MAX,
		.plain_text = true,
		.request_ms = rig_request_ms,
		.handle = handle,
		.too_large = too_large,
	};
	rig->server = http_start(&config, listen_at());
	assert_non_null(rig->server);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
	rig->ours = end_of(PROCESS_ENROL, PROCESS_STORE, fds[0]);
	rig->stores = end_of(PROCESS_STORE, PROCESS_ENROL, fds[1]);
	report_init(&rig->report, rig->loop);
	report_set_link(&rig->report, rig->ours);
	est_init(&rig->est, rig->loop, &rig->report, changed);
	rig->verdict.why = STR("because");
	rig->verdict.der = STR("\x30\x03\x02\x01\x05");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	http_refuse(rig->server);
	loop_turn(rig->loop, 0);
	est_stop(&rig->est);
	http_stop(rig->server);
	est_fini(&rig->est);
	report_fini(&rig->report);
	link_free(rig->ours);
	link_free(rig->stores);
	loop_free(rig->loop);
	scratch_remove(&rig->dir);
	buf_fini(&rig->ask_bytes);
	free(rig);
	return 0;
}

static void start(void)
{
	est_set_link(&rig->est, rig->ours);
	while (!rig->est.anchors.known)
		loop_turn(rig->loop, 1000);
}

/* One request, which asks to close; the whole answer. */
static void send_text(struct str text, struct buf *answer)
{
	char part[4096];
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&rig->address, sizeof(rig->address)), 0);
	assert_int_equal(send(fd, text.p, text.n, MSG_NOSIGNAL), text.n);
	answer->n = 0;
	for (;;) {
		const ssize_t n = recv(fd, part, sizeof(part), 0);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			break;
		if (n > 0)
			buf_put(answer, part, (size_t)n);
		else
			loop_turn(rig->loop, 10);
	}
	close(fd);
	/* Events go at the end of a turn. */
	loop_turn(rig->loop, 0);
	loop_turn(rig->loop, 0);
}

struct ask {
	const char *method, *path;
	const char *type;  /* NULL: application/pkcs10 */
	const char *basic; /* name:secret */
	const char *agent;
	struct str body;
};

static unsigned answer_of(const struct ask *a, struct buf *answer)
{
	AUTO_BUF text = {0};
	buf_printf(&text, "%s /.well-known/est/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n",
		   a->method, a->path);
	if (a->basic) {
		buf_puts(&text, "Authorization: Basic ");
		base64_encode(str_of(a->basic), &text);
		buf_puts(&text, "\r\n");
	}
	if (a->agent)
		buf_printf(&text, "User-Agent: %s\r\n", a->agent);
	if (a->body.p)
		buf_printf(&text, "Content-Type: %s\r\nContent-Length: %zu\r\n",
			   a->type ? a->type : "application/pkcs10", a->body.n);
	buf_puts(&text, "\r\n");
	buf_str(&text, a->body);
	send_text(buf_view(&text), answer);
	unsigned status = 0;
	sscanf(buf_cstr(answer), "HTTP/1.1 %u", &status);
	return status;
}

static unsigned get(const char *path, struct buf *answer)
{
	const struct ask a = {.method = "GET", .path = path};
	return answer_of(&a, answer);
}

static bool has(struct buf *answer, const char *text)
{
	return strstr(buf_cstr(answer), text) != NULL;
}

static struct str content(struct buf *answer)
{
	const char *end = strstr(buf_cstr(answer), "\r\n\r\n");
	assert_non_null(end);
	return str_make(end + 4, answer->n - (size_t)(end + 4 - answer->p));
}

/* A request as PEM, as a browser or a person would send it. */
static struct str csr_pem(struct buf *pem)
{
	AUTO_BUF key = {0};
	pem->n = 0;
	assert_int_equal(request_make("pump-9", &key, pem), 0);
	return buf_view(pem);
}

static void what_is_told(void **state)
{
	AUTO_BUF answer = {0};
	(void)state;
	assert_int_equal(get("cacerts", &answer), 503);
	assert_true(has(&answer, "Retry-After: "));
	start();
	assert_int_equal(get("cacerts", &answer), 200);
	assert_true(has(&answer, "Content-Type: application/pkcs7-mime\r\n"));
	assert_true(has(&answer, "Content-Length: "));
	assert_null(memchr(content(&answer).p, '\n', content(&answer).n));
	assert_int_equal(get("pumps/csrattrs", &answer), 200);
	assert_true(has(&answer, "Content-Type: application/csrattrs\r\n"));
	/* strongSwan reads a head of at most 1024 bytes. */
	assert_true(answer.n - content(&answer).n < 1024);
	assert_int_equal(answer_of(&(struct ask){"GET", "cacerts", .agent = "libest 3.2"}, &answer),
			 200);
	assert_true(content(&answer).p[content(&answer).n - 1] == '\n');
	assert_int_equal(rig->events, 0);
}

static void what_is_not_there(void **state)
{
	static const struct {
		const char *method, *path;
		unsigned status;
		const char *allow;
	} cases[] = {
		{"GET", "", 404, NULL},
		{"GET", "cacert", 404, NULL},
		{"GET", "valves/cacerts", 404, NULL},
		{"POST", "valves/simpleenroll", 404, NULL},
		{"POST", "cacerts", 405, "Allow: GET, HEAD\r\n"},
		{"GET", "simpleenroll", 405, "Allow: POST\r\n"},
		{"PUT", "simplereenroll", 405, "Allow: POST\r\n"},
		{"GET", "fullcmc", 405, "Allow: POST\r\n"},
		{"POST", "fullcmc", 501, NULL},
		{"POST", "pumps/serverkeygen", 501, NULL},
	};
	AUTO_BUF answer = {0};
	(void)state;
	start();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct ask a = {cases[i].method, cases[i].path, .body = STR("")};
		assert_int_equal(answer_of(&a, &answer), cases[i].status);
		assert_true(has(&answer, "Content-Type: text/plain; charset=utf-8\r\n"));
		if (cases[i].allow)
			assert_true(has(&answer, cases[i].allow));
	}
	assert_int_equal(rig->asked, 0);
	/* The first one is told, the others of this address with the next one in ten minutes. */
	assert_int_equal(rig->events, 1);
	assert_non_null(strstr(rig->reason, "no such operation"));
}

static void who_shows_nothing_again_and_again(void **state)
{
	AUTO_BUF pem = {0};
	AUTO_BUF answer = {0};
	const struct ask a = {"POST", "simpleenroll", .body = csr_pem(&pem)};
	(void)state;
	start();
	for (unsigned i = 0; i < EST_EMPTY_MANY - 1; i++)
		assert_int_equal(answer_of(&a, &answer), 401);
	assert_int_equal(rig->events, 0);
	for (unsigned i = 0; i < EST_EMPTY_MANY; i++)
		assert_int_equal(answer_of(&a, &answer), 401);
	assert_int_equal(rig->events, 1);
	assert_non_null(strstr(rig->reason, "showed nothing"));
}

static void what_the_store_is_asked(void **state)
{
	AUTO_BUF pem = {0};
	AUTO_BUF answer = {0};
	struct ask a = {"POST", "pumps/simpleenroll", .basic = "who:a:b", .body = csr_pem(&pem)};
	(void)state;
	start();
	assert_int_equal(answer_of(&a, &answer), 200);
	assert_int_equal(rig->asked, 1);
	assert_int_equal(rig->ask.what, ENROL_FIRST);
	assert_true(str_is(rig->ask.user, "who") && str_is(rig->ask.secret, "a:b"));
	assert_true(str_is(rig->ask.name, "pump-9") && str_is(rig->ask.label, "pumps"));
	assert_true(str_is(rig->ask.via, "est"));
	assert_int_equal(rig->ask.csr_hash.n, 32);
	struct csr csr;
	assert_int_equal(csr_parse(a.body, &csr, NULL), 0);
	assert_true(str_eq(rig->ask.spki, csr_spki(&csr)));
	assert_true(
		has(&answer, "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n"));
}

static void every_verdict_has_its_status(void **state)
{
	static const struct {
		uint8_t status;
		unsigned http;
		const char *field;
	} cases[] = {
		{ENROL_PENDING, 202, "Retry-After: 7\r\n"},
		{ENROL_BAD, 400, "text/plain"},
		{ENROL_UNAUTHENTICATED, 401, "WWW-Authenticate: Basic realm=\"est\""},
		{ENROL_FORBIDDEN, 403, "text/plain"},
		{ENROL_UNKNOWN_LABEL, 404, "text/plain"},
		{ENROL_CONFLICT, 409, "text/plain"},
		{ENROL_BUSY, 429, "Retry-After: 7\r\n"},
		{ENROL_LOCKED, 503, "Retry-After: 7\r\n"},
		{200, 500, "text/plain"},
	};
	AUTO_BUF pem = {0};
	AUTO_BUF answer = {0};
	const struct ask a = {"POST", "simpleenroll", .basic = ":code", .body = csr_pem(&pem)};
	(void)state;
	start();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		rig->verdict.status = cases[i].status;
		rig->verdict.retry_after_s = cases[i].http == 202 || cases[i].http >= 429 ? 7 : 0;
		assert_int_equal(answer_of(&a, &answer), cases[i].http);
		assert_true(has(&answer, cases[i].field));
		if (cases[i].http == 202)
			assert_int_equal(content(&answer).n, 0);
		else
			assert_true(str_is(content(&answer), "because\n"));
	}
	/* What the store refuses it records itself. */
	assert_int_equal(rig->events, 0);
}

/* Each with its status, and an event unless nothing was shown at all. */
static void what_is_refused_without_the_store(void **state)
{
	AUTO_BUF pem = {0};
	AUTO_BUF large = {0};
	AUTO_BUF answer = {0};
	const struct str good = csr_pem(&pem);
	while (large.n <= CSR_MAX)
		buf_putc(&large, 'A');
	const struct {
		struct ask ask;
		unsigned status;
		const char *reason; /* NULL: no event */
	} cases[] = {
		{{"POST", "simpleenroll", .body = good}, 401, NULL},
		{{"POST", "simpleenroll", .body = STR("")}, 401, NULL},
		{{"POST", "simpleenroll", "text/plain", ":c", .body = good}, 415, "Content-Type"},
		{{"POST", "simpleenroll", .basic = ":c", .body = STR("")}, 400, "PKCS#10"},
		{{"POST", "simpleenroll", .basic = ":c", .body = STR("hello")}, 400, "PKCS#10"},
		{{"POST", "simpleenroll", .basic = ":c", .body = STR("MAA=")}, 400, "PKCS#10"},
		{{"POST", "simpleenroll", .basic = ":c", .body = buf_view(&large)}, 413, "large"},
		{{"POST", "simpleenroll", .basic = ":", .body = good}, 401, "enrolment code"},
		{{"POST", "simplereenroll", .basic = ":c", .body = good}, 403, "certificate"},
	};
	(void)state;
	start();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		rig->events = 0;
		rig->reason[0] = '\0';
		assert_int_equal(answer_of(&cases[i].ask, &answer), cases[i].status);
		assert_true(has(&answer, "Content-Type: text/plain; charset=utf-8\r\n"));
		assert_int_equal(rig->events, cases[i].reason ? 1 : 0);
		if (cases[i].reason && !strstr(rig->reason, cases[i].reason))
			fail_msg("%zu: %s", i, rig->reason);
		if (cases[i].status == 401)
			assert_true(has(&answer, "WWW-Authenticate: Basic"));
	}
	assert_int_equal(rig->asked, 0);
}

static void damaged_credentials(void **state)
{
	AUTO_BUF answer = {0};
	(void)state;
	start();
	send_text(STR("POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\nConnection: "
		      "close\r\n"
		      "Authorization: Basic !!!\r\nContent-Type: application/pkcs10\r\n"
		      "Content-Length: 0\r\n\r\n"),
		  &answer);
	assert_true(has(&answer, "HTTP/1.1 401 "));
	assert_true(has(&answer, "WWW-Authenticate: Basic"));
	assert_int_equal(rig->events, 1);
}

static void keys_made_here(void **state)
{
	AUTO_BUF pem = {0};
	AUTO_BUF answer = {0};
	struct csr csr;
	struct ask a = {"POST", "serverkeygen", .basic = ":c", .body = csr_pem(&pem)};
	(void)state;
	start();
	rig->est.settings.server_keygen = true;
	assert_int_equal(csr_parse(a.body, &csr, NULL), 0);
	assert_int_equal(answer_of(&a, &answer), 200);
	assert_true(str_is(rig->ask.via, "keygen"));
	assert_false(str_eq(rig->ask.spki, csr_spki(&csr)));
	assert_true(has(&answer, "Content-Type: multipart/mixed; boundary=" EST_BOUNDARY "\r\n"));
	assert_true(has(&answer, "Content-Type: application/pkcs8\r\n"
				 "Content-Transfer-Encoding: base64\r\n"));
	assert_true(has(&answer, "\r\n--" EST_BOUNDARY "--\r\n"));
}

static void a_binding_where_it_is_demanded(void **state)
{
	AUTO_BUF pem = {0};
	AUTO_BUF answer = {0};
	(void)state;
	start();
	rig->est.settings.require_binding = true;
	const struct ask a = {"POST", "simpleenroll", .basic = ":c", .body = csr_pem(&pem)};
	assert_int_equal(answer_of(&a, &answer), 400);
	assert_non_null(strstr(rig->reason, "channel binding"));
	assert_int_equal(rig->asked, 0);
}

static void while_the_store_is_away(void **state)
{
	AUTO_BUF pem = {0};
	AUTO_BUF answer = {0};
	const struct ask a = {"POST", "simpleenroll", .basic = ":c", .body = csr_pem(&pem)};
	(void)state;
	start();
	est_set_link(&rig->est, NULL);
	assert_int_equal(answer_of(&a, &answer), 503);
	assert_true(has(&answer, "Retry-After: "));
	/* What it told before is still told. */
	assert_int_equal(get("cacerts", &answer), 200);
}

static void a_stop_answers_who_waits(void **state)
{
	AUTO_BUF pem = {0};
	AUTO_BUF text = {0};
	char part[1024] = {0};
	const struct str body = csr_pem(&pem);
	(void)state;
	start();
	rig->silent = true;
	buf_printf(&text,
		   "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n"
		   "Authorization: Basic OmM=\r\nContent-Type: application/pkcs10\r\n"
		   "Content-Length: %zu\r\n\r\n",
		   body.n);
	buf_str(&text, body);
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&rig->address, sizeof(rig->address)), 0);
	assert_int_equal(send(fd, text.p, text.n, MSG_NOSIGNAL), text.n);
	while (!rig->asked)
		loop_turn(rig->loop, 1000);
	est_stop(&rig->est);
	assert_true(recv(fd, part, sizeof(part) - 1, 0) > 0);
	assert_non_null(strstr(part, "HTTP/1.1 503 "));
	close(fd);
}

static int connect_to(void)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&rig->address, sizeof(rig->address)), 0);
	return fd;
}

static bool ended(int fd)
{
	char byte;
	const ssize_t n = recv(fd, &byte, 1, 0);
	return n == 0 || (n < 0 && errno != EAGAIN);
}

static int set_up_quick(void **state)
{
	rig_request_ms = 400;
	const int err = set_up(state);
	rig_request_ms = 0;
	return err;
}

/* A byte now and then keeps nobody's place; but who waits for the store is not to blame. */
static void slow_senders_are_ended(void **state)
{
	AUTO_BUF pem = {0};
	AUTO_BUF text = {0};
	const struct str body = csr_pem(&pem);
	(void)state;
	start();
	rig->silent = true;
	const int waits = connect_to();
	buf_printf(&text,
		   "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: x\r\n"
		   "Authorization: Basic OmM=\r\nContent-Type: application/pkcs10\r\n"
		   "Content-Length: %zu\r\n\r\n%.*s",
		   body.n, STR_ARG(body));
	assert_int_equal(send(waits, text.p, text.n, MSG_NOSIGNAL), text.n);
	while (!rig->asked)
		loop_turn(rig->loop, 1000);
	const int head = connect_to();
	const int content = connect_to();
	assert_true(send(content, text.p, text.n - 300, MSG_NOSIGNAL) > 0);
	for (unsigned turns = 0; !ended(head) || !ended(content); turns++) {
		assert_true(turns < 2000);
		(void)!send(head, "x", 1, MSG_NOSIGNAL);
		(void)!send(content, "x", 1, MSG_NOSIGNAL);
		loop_turn(rig->loop, 20);
	}
	assert_false(ended(waits));
	est_stop(&rig->est);
	close(waits);
	close(head);
	close(content);
}

#define EST_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EST_TEST(what_is_told),
		EST_TEST(what_is_not_there),
		EST_TEST(who_shows_nothing_again_and_again),
		EST_TEST(what_the_store_is_asked),
		EST_TEST(every_verdict_has_its_status),
		EST_TEST(what_is_refused_without_the_store),
		EST_TEST(damaged_credentials),
		EST_TEST(keys_made_here),
		EST_TEST(a_binding_where_it_is_demanded),
		EST_TEST(while_the_store_is_away),
		EST_TEST(a_stop_answers_who_waits),
		cmocka_unit_test_setup_teardown(slow_senders_are_ended, set_up_quick, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
