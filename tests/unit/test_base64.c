/* SPDX-License-Identifier: Apache-2.0
 *
 * Base64 in both alphabets, with and without padding and blanks: daemon/base/base64.h.
 */
#include "daemon/base/base64.h"
#include "daemon/base/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void vectors_of_the_standard(void **state)
{
	static const char *const table[][2] = {
		{"", ""},
		{"f", "Zg=="},
		{"fo", "Zm8="},
		{"foo", "Zm9v"},
		{"foob", "Zm9vYg=="},
		{"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"},
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		AUTO_BUF text = {0};
		AUTO_BUF bytes = {0};
		base64_encode(str_of(table[i][0]), &text);
		assert_true(str_is(buf_view(&text), table[i][1]));
		assert_int_equal(text.n, base64_encoded_size(strlen(table[i][0])));
		assert_int_equal(base64_decode(buf_view(&text), BASE64_STRICT, &bytes), 0);
		assert_true(str_is(buf_view(&bytes), table[i][0]));
	}
}

static void every_byte_there_and_back(void **state)
{
	char all[256];
	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	for (size_t n = 0; n <= sizeof(all); n++) {
		AUTO_BUF text = {0};
		AUTO_BUF url = {0};
		AUTO_BUF bytes = {0};
		const struct str in = str_make(all + sizeof(all) - n, n);
		base64_encode(in, &text);
		base64url_encode(in, &url);
		assert_int_equal(base64_decode(buf_view(&text), BASE64_STRICT, &bytes), 0);
		assert_true(str_eq(buf_view(&bytes), in));
		assert_true(bytes.n <= base64_decoded_max(text.n));
		bytes.n = 0;
		assert_int_equal(
			base64_decode(buf_view(&url), BASE64_URL | BASE64_UNPADDED, &bytes), 0);
		assert_true(str_eq(buf_view(&bytes), in));
	}
}

static void what_each_form_takes(void **state)
{
	enum { NO = 0, S = 1, B = 2, U = 4, ALL = 7 };
	static const struct {
		const char *text;
		unsigned taken; /* by the strict form, with blanks, unpadded */
	} table[] = {
		{"Zg==", ALL}, {"Zg", U},          {"Zm8", U},
		{"+/+/", ALL}, {"Z m\r\n9\tv", B}, {"Zm9v\n", B},
		{" Zg= =", B}, {"Zg==Zg==", NO},   {"Z", NO},
		{"Zg=", NO},   {"Z===", NO},       {"Zm9v=", NO},
		{"Zg===", NO}, {"=", NO},          {"Zh==", NO},
		{"Zm9=", NO},  {"Zh", NO},         {"Zm-v", NO},
		{"Zm_v", NO},  {"Zm9v.", NO},      {"Zm9v\xc3\xa9", NO},
	};
	static const unsigned forms[] = {BASE64_STRICT, BASE64_BLANKS, BASE64_UNPADDED};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		for (size_t f = 0; f < ARRAY_LEN(forms); f++) {
			AUTO_BUF out = {0};
			buf_puts(&out, "before");
			const int err = base64_decode(str_of(table[i].text), forms[f], &out);
			assert_int_equal(err, table[i].taken >> f & 1 ? 0 : ERR_MALFORMED);
			assert_true(err == 0 || str_is(buf_view(&out), "before"));
		}
}

static void the_alphabet_of_addresses(void **state)
{
	AUTO_BUF out = {0};
	(void)state;
	base64url_encode(STR("\xfb\xff\xbf\xfb"), &out);
	assert_true(str_is(buf_view(&out), "-_-_-w"));
	out.n = 0;
	assert_int_equal(base64_decode(STR("-_-_"), BASE64_URL, &out), 0);
	assert_true(str_is(buf_view(&out), "\xfb\xff\xbf"));
	assert_int_equal(base64_decode(STR("+/+/"), BASE64_URL, &out), ERR_MALFORMED);
	assert_int_equal(base64_decode(STR("-_-_"), BASE64_STRICT, &out), ERR_MALFORMED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_of_the_standard),
		cmocka_unit_test(every_byte_there_and_back),
		cmocka_unit_test(what_each_form_takes),
		cmocka_unit_test(the_alphabet_of_addresses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
