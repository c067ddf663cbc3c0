/* SPDX-License-Identifier: Apache-2.0
 *
 * Forms of EST on the wire: paths and labels, bodies as clients really send them, credentials,
 * channel bindings, and base64 that each client can read.
 */
#include "certs/csr.h"
#include "daemon/base/base64.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"
#include "daemon/web/est_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int path(const char *text, enum est_op *op, char label[65])
{
	struct str found = {NULL, 0};
	const int err = est_path(str_of(text), op, &found);
	label[0] = '\0';
	if (!err && found.n)
		memcpy(label, found.p, found.n);
	label[err ? 0 : found.n] = '\0';
	return err;
}

static void paths(void **state)
{
	static const struct {
		const char *path;
		enum est_op op;
		const char *label;
	} good[] = {
		{"/.well-known/est/cacerts", EST_CACERTS, ""},
		{"/.well-known/est/csrattrs", EST_CSRATTRS, ""},
		{"/.well-known/est/simpleenroll", EST_SIMPLE, ""},
		{"/.well-known/est/simplereenroll", EST_SIMPLE_AGAIN, ""},
		{"/.well-known/est/serverkeygen", EST_SERVERKEYGEN, ""},
		{"/.well-known/est/fullcmc", EST_FULLCMC, ""},
		{"/.well-known/est/pumps/cacerts", EST_CACERTS, "pumps"},
		{"/.well-known/est/a.B-9_/simpleenroll", EST_SIMPLE, "a.B-9_"},
	};
	static const char label_of_65[] =
		"/.well-known/est/"
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/cacerts";
	static const char *const bad[] = {
		"/.well-known/est",
		"/.well-known/est/",
		"/.well-known/est/x",
		"/.well-known/est/x/y",
		"/.well-known/est/cacerts/",
		"/.well-known/est//cacerts",
		"/.well-known/est/cacerts/simpleenroll", /* RFC 7030, 3.2.2: no such label */
		"/.well-known/est/a/b/simpleenroll",
		"/.well-known/est/a%20b/simpleenroll",
		"/.well-known/est/CACERTS",
		"/.well-known/estcacerts",
		"",
		label_of_65,
	};
	enum est_op op;
	char label[65];
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(path(good[i].path, &op, label), 0);
		assert_int_equal(op, good[i].op);
		assert_string_equal(label, good[i].label);
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(path(bad[i], &op, label), ERR_NOT_FOUND);
}

static void content_types(void **state)
{
	(void)state;
	assert_true(est_is_pkcs10(STR("application/pkcs10")));
	assert_true(est_is_pkcs10(STR("Application/PKCS10 ; charset=x")));
	assert_false(est_is_pkcs10(STR("application/pkcs10x")));
	assert_false(est_is_pkcs10(STR("application/pkcs7-mime")));
	assert_false(est_is_pkcs10(STR("")));
	assert_false(est_is_pkcs10((struct str){NULL, 0}));
}

static const char der[] = "\x30\x82\x01\x02 and so on";
#define DER str_make(der, sizeof(der) - 1)

static void takes(struct str body)
{
	AUTO_BUF out = {0};
	assert_int_equal(csr_der(body, &out), 0);
	assert_true(str_eq(buf_view(&out), DER));
}

static void bodies_in_every_form_that_clients_send(void **state)
{
	AUTO_BUF line = {0};
	AUTO_BUF lf = {0};
	AUTO_BUF crlf = {0};
	AUTO_BUF pem = {0};
	(void)state;
	base64_encode(DER, &line);
	for (size_t i = 0; i < line.n; i++) {
		buf_putc(&lf, line.p[i]);
		buf_putc(&crlf, line.p[i]);
		if (i % 5 == 4) {
			buf_puts(&lf, "\n");
			buf_puts(&crlf, " \t\r\n");
		}
	}
	takes(DER);
	takes(buf_view(&line));
	takes(buf_view(&lf));
	takes(buf_view(&crlf));
	buf_puts(&pem, "-----BEGIN NEW CERTIFICATE REQUEST-----\r\n");
	buf_str(&pem, buf_view(&line));
	buf_puts(&pem, "\r\n-----END NEW CERTIFICATE REQUEST-----\r\n");
	takes(buf_view(&pem));
	while (line.p[line.n - 1] == '=')
		line.n--;
	takes(buf_view(&line));
}

static void bodies_that_are_none(void **state)
{
	static const char *const bad[] = {
		"",
		" \n",
		"MIIB*AAA",
		"MIIB=AAA",
		"AAAA", /* base64, but no SEQUENCE */
		"hello",
		"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
		"-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n",
		"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
	};
	AUTO_BUF out = {0};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(csr_der(str_of(bad[i]), &out), ERR_MALFORMED);
		assert_int_equal(out.n, 0);
	}
	assert_int_equal(csr_der(STR("MI\0B"), &out), ERR_MALFORMED);
}

static int basic(const char *text, char user[300], char secret[2000])
{
	struct str u, s;
	AUTO_SECRET bytes = {0};
	const int err = est_basic(str_of(text), &bytes, &u, &s);
	if (err)
		return err;
	memcpy(user, u.n ? u.p : "", u.n);
	user[u.n] = '\0';
	memcpy(secret, s.n ? s.p : "", s.n);
	secret[s.n] = '\0';
	return 0;
}

static void put_basic(const char *user_and_secret, struct buf *out)
{
	buf_puts(out, "Basic ");
	base64_encode(str_of(user_and_secret), out);
}

static void http_basic(void **state)
{
	char user[300], secret[2000];
	AUTO_BUF text = {0};
	(void)state;
	put_basic("pump-9:a:b ", &text);
	assert_int_equal(basic(buf_cstr(&text), user, secret), 0);
	assert_string_equal(user, "pump-9");
	assert_string_equal(secret, "a:b ");
	assert_int_equal(basic("bAsIc  OmNvZGU=", user, secret), 0);
	assert_string_equal(user, "");
	assert_string_equal(secret, "code");
	assert_int_equal(basic("Basic", user, secret), ERR_MALFORMED);
	assert_int_equal(basic("Basic !!!!", user, secret), ERR_MALFORMED);
	assert_int_equal(basic("Basic bm9jb2xvbg==", user, secret), ERR_MALFORMED);
	assert_int_equal(basic("Bearer OmNvZGU=", user, secret), ERR_NOT_FOUND);
	assert_int_equal(basic("", user, secret), ERR_NOT_FOUND);
}

static void http_basic_has_limits(void **state)
{
	char user[300], secret[2000];
	AUTO_BUF longest = {0};
	AUTO_BUF text = {0};
	(void)state;
	for (size_t i = 0; i < EST_USER_MAX; i++)
		buf_putc(&longest, 'u');
	buf_putc(&longest, ':');
	for (size_t i = 0; i < EST_SECRET_MAX; i++)
		buf_putc(&longest, 's');
	put_basic(buf_cstr(&longest), &text);
	assert_int_equal(basic(buf_cstr(&text), user, secret), 0);
	assert_int_equal(strlen(secret), EST_SECRET_MAX);
	text.n = 0;
	buf_putc(&longest, 's');
	put_basic(buf_cstr(&longest), &text);
	assert_int_equal(basic(buf_cstr(&text), user, secret), ERR_MALFORMED);
}

static void channel_bindings(void **state)
{
	static const char bytes[33] = "0123456789abcdefghijklmnopqrstuv";
	AUTO_BUF unique = {0};
	AUTO_BUF exporter = {0};
	(void)state;
	base64_encode(str_make(bytes, 12), &unique);
	base64_encode(str_make(bytes, 32), &exporter);
	assert_true(est_is_binding(buf_view(&unique)));
	assert_true(est_is_binding(buf_view(&exporter)));
	assert_true(est_binding_is(buf_view(&unique), str_make(bytes, 12)));
	assert_false(est_binding_is(buf_view(&unique), str_make(bytes + 1, 12)));
	assert_false(est_binding_is(buf_view(&unique), str_make(bytes, 32)));
	assert_false(est_binding_is(STR(""), STR("")));
	/* Codes and passwords are none. */
	assert_false(est_is_binding(STR("")));
	assert_false(est_is_binding(STR("0123456789ABCDEFGHJKMNPQRSTVWXYZ")));
	assert_false(est_is_binding(STR("0123-4567-89AB-CDEF")));
	assert_false(est_is_binding(STR("sixteen letters!")));
}

/* libest breaks on long lines, strongSwan on line breaks. */
static void lines_for_those_who_need_them(void **state)
{
	char bytes[100];
	AUTO_BUF one = {0};
	AUTO_BUF many = {0};
	(void)state;
	memset(bytes, 7, sizeof(bytes));
	assert_true(est_wants_lines(STR("Cisco Libest 3.2.0")));
	assert_true(est_wants_lines(STR("libest")));
	assert_false(est_wants_lines(STR("curl/7.88.1")));
	assert_false(est_wants_lines(STR("libes")));
	assert_false(est_wants_lines((struct str){NULL, 0}));
	est_put_base64(str_make(bytes, sizeof(bytes)), false, &one);
	assert_int_equal(one.n, 136);
	assert_null(memchr(one.p, '\n', one.n));
	est_put_base64(str_make(bytes, sizeof(bytes)), true, &many);
	struct str rest = buf_view(&many);
	assert_int_equal(str_split(&rest, '\n').n, 64);
	assert_int_equal(str_split(&rest, '\n').n, 64);
	assert_int_equal(str_split(&rest, '\n').n, 8);
	assert_int_equal(rest.n, 0);
}

static void a_key_and_its_certificate(void **state)
{
	AUTO_BUF out = {0};
	(void)state;
	est_put_key_and_certificate(STR("key"), STR("cert"), false, &out);
	assert_string_equal(buf_cstr(&out),
			    "--gatehouse-est-part\r\n"
			    "Content-Type: application/pkcs8\r\n"
			    "Content-Transfer-Encoding: base64\r\n\r\n"
			    "a2V5\r\n"
			    "--gatehouse-est-part\r\n"
			    "Content-Type: application/pkcs7-mime; smime-type=certs-only\r\n"
			    "Content-Transfer-Encoding: base64\r\n\r\n"
			    "Y2VydA==\r\n"
			    "--gatehouse-est-part--\r\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(content_types),
		cmocka_unit_test(bodies_in_every_form_that_clients_send),
		cmocka_unit_test(bodies_that_are_none),
		cmocka_unit_test(http_basic),
		cmocka_unit_test(http_basic_has_limits),
		cmocka_unit_test(channel_bindings),
		cmocka_unit_test(lines_for_those_who_need_them),
		cmocka_unit_test(a_key_and_its_certificate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
