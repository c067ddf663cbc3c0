/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of other authorities: what leaf_lint takes and refuses, one property changed at a
 * time; PEM; names. The certificates are written here, byte for byte, with a key made at
 * run time; nobody signed them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "certs/csr.h"
#include "certs/der.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "certs/request.h"
#include "daemon/base/err.h"

#include <stdlib.h>

enum { VERSION_1 = -1 };

/* What a certificate is like. {0}: as a device's should be. */
struct made {
	int version; /* VERSION_1: the field is absent, and so are the extensions */
	const char *serial;
	size_t serial_n;
	bool ca;
	bool key_cert_sign;
	bool no_purpose;
	bool server_only; /* extended key usage: serverAuth alone */
	bool any_purpose;
	const char *cn[3];
	const char *dns;
	const char *uri;
};

static struct buf key_of_all;

static struct str spki(void)
{
	if (!key_of_all.n) {
		AUTO_BUF key = {0};
		AUTO_BUF pem = {0};
		struct csr csr;
		assert_int_equal(request_make("x", &key, &pem), 0);
		assert_int_equal(csr_parse(buf_view(&pem), &csr, NULL), 0);
		buf_str(&key_of_all, csr_spki(&csr));
	}
	return buf_view(&key_of_all);
}

static void put_name(struct buf *b, const char *const cn[3])
{
	const size_t name = der_begin(b, DER_SEQUENCE);
	for (int i = 0; i < 3 && cn[i]; i++) {
		const size_t set = der_begin(b, DER_SET);
		const size_t pair = der_begin(b, DER_SEQUENCE);
		der_put_oid(b, "2.5.4.3");
		der_put(b, DER_UTF8_STRING, str_of(cn[i]));
		der_end(b, pair);
		der_end(b, set);
	}
	der_end(b, name);
}

static size_t begin_extension(struct buf *b, const char *oid, size_t *value)
{
	const size_t e = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, oid);
	*value = der_begin(b, DER_OCTET_STRING);
	return e;
}

static void end_extension(struct buf *b, size_t e, size_t value)
{
	der_end(b, value);
	der_end(b, e);
}

static void put_purposes(struct buf *b, const struct made *m)
{
	size_t value;
	const size_t e = begin_extension(b, "2.5.29.37", &value);
	const size_t list = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, m->any_purpose ? "2.5.29.37.0" : "1.3.6.1.5.5.7.3.1");
	if (!m->server_only && !m->any_purpose)
		der_put_oid(b, "1.3.6.1.5.5.7.3.2");
	der_end(b, list);
	end_extension(b, e, value);
}

static void put_names(struct buf *b, const struct made *m)
{
	size_t value;
	const size_t e = begin_extension(b, "2.5.29.17", &value);
	const size_t list = der_begin(b, DER_SEQUENCE);
	der_put(b, 0x87, STR("\x7f\0\0\1")); /* an address: no name */
	if (m->dns)
		der_put(b, 0x82, str_of(m->dns));
	if (m->uri)
		der_put(b, 0x86, str_of(m->uri));
	der_end(b, list);
	end_extension(b, e, value);
}

static void put_extensions(struct buf *b, const struct made *m)
{
	size_t value;
	const size_t outer = der_begin(b, DER_CONTEXT_OPEN | 3);
	const size_t list = der_begin(b, DER_SEQUENCE);
	size_t e = begin_extension(b, "2.5.29.19", &value);
	const size_t basic = der_begin(b, DER_SEQUENCE);
	if (m->ca)
		der_put_bool(b, true);
	der_end(b, basic);
	end_extension(b, e, value);
	e = begin_extension(b, "2.5.29.15", &value);
	der_put(b, DER_BIT_STRING, m->key_cert_sign ? STR("\x02\x84") : STR("\x07\x80"));
	end_extension(b, e, value);
	if (!m->no_purpose)
		put_purposes(b, m);
	if (m->dns || m->uri)
		put_names(b, m);
	der_end(b, list);
	der_end(b, outer);
}

static void put_algorithm(struct buf *b)
{
	const size_t mark = der_begin(b, DER_SEQUENCE);
	der_put_oid(b, "1.2.840.10045.4.3.2");
	der_end(b, mark);
}

static void make(const struct made *m, struct buf *b)
{
	static const char *const issuer[3] = {"Works CA"};
	static const char *const device[3] = {"pump-1"};
	const size_t outer = der_begin(b, DER_SEQUENCE);
	const size_t tbs = der_begin(b, DER_SEQUENCE);
	if (m->version != VERSION_1) {
		const size_t version = der_begin(b, DER_CONTEXT_OPEN);
		der_put_number(b, 2);
		der_end(b, version);
	}
	der_put(b, DER_INTEGER, m->serial ? str_make(m->serial, m->serial_n) : STR("\x12\x34"));
	put_algorithm(b);
	put_name(b, issuer);
	const size_t validity = der_begin(b, DER_SEQUENCE);
	der_put_time(b, 1700000000);
	der_put_time(b, 4000000000);
	der_end(b, validity);
	put_name(b, m->cn[0] ? m->cn : device);
	buf_str(b, spki());
	if (m->version != VERSION_1)
		put_extensions(b, m);
	der_end(b, tbs);
	put_algorithm(b);
	der_put_bits(b, STR("signature"));
	der_end(b, outer);
}

static void what_is_in_it(void **state)
{
	(void)state;
	AUTO_BUF der = {0};
	struct leaf leaf;
	make(&(struct made){.dns = "pump-1.plant.example", .uri = "urn:dev:1"}, &der);
	assert_int_equal(leaf_read(buf_view(&der), &leaf), 0);
	assert_int_equal(leaf.version, 3);
	assert_true(str_is(leaf.cn, "pump-1"));
	assert_int_equal(leaf.cn_n, 1);
	assert_int_equal(leaf.not_before, 1700000000);
	assert_int_equal(leaf.not_after, 4000000000);
	assert_true(leaf.has_purpose && leaf.client_auth && !leaf.ca && !leaf.key_cert_sign);
	assert_true(str_eq(leaf.spki, spki()));
	struct cur c = cur_of(leaf.names);
	struct str name;
	assert_true(leaf_next_name(&c, &name) && str_is(name, "pump-1.plant.example"));
	assert_true(leaf_next_name(&c, &name) && str_is(name, "urn:dev:1"));
	assert_false(leaf_next_name(&c, &name));
	assert_true(cur_ok(&c));
}

static void lint_table(void **state)
{
	static const struct {
		struct made made;
		const char *strict; /* part of the sentence; NULL: taken */
		const char *legacy;
	} table[] = {
		{{0}, NULL, NULL},
		{{.no_purpose = true}, "no extended key usage", NULL},
		{{.version = VERSION_1}, "X.509 version 1", NULL},
		{{.server_only = true}, "does not name clientAuth", "does not name clientAuth"},
		{{.any_purpose = true}, "does not name clientAuth", "does not name clientAuth"},
		{{.ca = true}, "CA:TRUE", "CA:TRUE"},
		{{.key_cert_sign = true}, "keyCertSign", "keyCertSign"},
		{{.serial = "\0", .serial_n = 1}, "serial number", NULL},
		{{.serial = "\x80", .serial_n = 1}, "serial number", NULL},
		{{.serial = "\0\x80", .serial_n = 2}, NULL, NULL},
		{{.serial = "12345678901234567890", .serial_n = 20}, NULL, NULL},
		{{.serial = "123456789012345678901", .serial_n = 21}, "serial number", NULL},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		AUTO_BUF der = {0};
		struct leaf leaf;
		struct why why = {""};
		make(&table[i].made, &der);
		assert_int_equal(leaf_read(buf_view(&der), &leaf), 0);
		for (int legacy = 0; legacy < 2; legacy++) {
			const char *text = legacy ? table[i].legacy : table[i].strict;
			const int err = leaf_lint(&leaf, legacy ? LEAF_LEGACY : LEAF_STRICT, &why);
			assert_int_equal(err, text ? ERR_INVALID : 0);
			if (text)
				assert_non_null(strstr(why.text, text));
		}
	}
}

static void common_names_are_counted(void **state)
{
	(void)state;
	AUTO_BUF der = {0};
	struct leaf leaf;
	make(&(struct made){.cn = {"a", "b"}}, &der);
	assert_int_equal(leaf_read(buf_view(&der), &leaf), 0);
	assert_int_equal(leaf.cn_n, 2);
	assert_true(str_is(leaf.cn, "a"));
}

/* Every shorter one, and one byte too many, is damaged; nothing is read behind its end. */
static void damaged(void **state)
{
	(void)state;
	AUTO_BUF der = {0};
	struct leaf leaf;
	make(&(struct made){.dns = "x"}, &der);
	for (size_t n = 0; n < der.n; n++) {
		char *copy = str_dup((struct str){der.p, n});
		assert_int_equal(leaf_read(str_make(copy, n), &leaf), ERR_MALFORMED);
		free(copy);
	}
	buf_putc(&der, 0);
	assert_int_equal(leaf_read(buf_view(&der), &leaf), ERR_MALFORMED);
}

static void put_pem(struct buf *out, const char *label, const char *base64)
{
	buf_printf(out, "-----BEGIN %s-----\n%s\n-----END %s-----\n", label, base64, label);
}

static void parse_refuses(void **state)
{
	(void)state;
	AUTO_BUF der = {0};
	AUTO_BUF large = {0};
	AUTO_BUF pem = {0};
	struct leaf leaf;
	struct why why;
	assert_int_equal(leaf_parse(STR("hello"), &der, &leaf, &why), ERR_MALFORMED);
	put_pem(&pem, "PRIVATE KEY", "AAAA");
	assert_int_equal(leaf_parse(buf_view(&pem), &der, &leaf, &why), ERR_MALFORMED);
	assert_non_null(strstr(why.text, "PRIVATE KEY"));
	for (int i = 0; i <= LEAF_MAX; i++)
		buf_putc(&large, 'x');
	assert_int_equal(leaf_parse(buf_view(&large), &der, &leaf, &why), ERR_LIMIT);
	AUTO_BUF ca = {0};
	make(&(struct made){.ca = true}, &ca);
	assert_int_equal(leaf_parse(buf_view(&ca), &der, &leaf, &why), ERR_INVALID);
	AUTO_BUF fine = {0};
	make(&(struct made){.version = VERSION_1}, &fine);
	assert_int_equal(leaf_parse(buf_view(&fine), &der, &leaf, &why), 0);
	assert_true(str_eq(buf_view(&der), buf_view(&fine)));
}

static void pem_blocks(void **state)
{
	(void)state;
	AUTO_BUF text = {0};
	AUTO_BUF der = {0};
	struct str label;
	buf_puts(&text, "subject=x\n");
	put_pem(&text, "X509 CRL", "Zm9v");
	buf_puts(&text, "more\n");
	put_pem(&text, "CERTIFICATE", "YmFy");
	struct str rest = buf_view(&text);
	assert_int_equal(pem_next(&rest, &label, &der), 0);
	assert_true(str_is(label, "X509 CRL") && str_is(buf_view(&der), "foo"));
	assert_int_equal(pem_next(&rest, &label, &der), 0);
	assert_true(str_is(label, "CERTIFICATE") && str_is(buf_view(&der), "bar"));
	assert_int_equal(pem_next(&rest, &label, &der), ERR_NOT_FOUND);
	rest = STR("-----BEGIN A-----\nZm9v\n-----END B-----\n");
	assert_int_equal(pem_next(&rest, &label, &der), ERR_MALFORMED);
	rest = STR("-----BEGIN A-----\nZm9v\n");
	assert_int_equal(pem_next(&rest, &label, &der), ERR_MALFORMED);
	rest = STR("-----BEGIN A");
	assert_int_equal(pem_next(&rest, &label, &der), ERR_MALFORMED);
}

static int forget(void **state)
{
	(void)state;
	buf_fini(&key_of_all);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_it),
		cmocka_unit_test(lint_table),
		cmocka_unit_test(common_names_are_counted),
		cmocka_unit_test(damaged),
		cmocka_unit_test(parse_refuses),
		cmocka_unit_test(pem_blocks),
	};
	return cmocka_run_group_tests(tests, NULL, forget);
}
