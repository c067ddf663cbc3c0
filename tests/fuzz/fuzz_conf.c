/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration files: whatever the bytes, an error or a configuration that prints and reads back
 * to the same. The part behind the first NUL is settings.conf.
 */
#include "daemon/base/check.h"
#include "daemon/conf/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void assert_round_trip(const struct config *c)
{
	AUTO_BUF text = {0};
	AUTO_BUF again = {0};
	AUTO(config) copy = NULL;
	struct config_errors errors = {0};
	config_print(c, &text);
	CHECK(conf_load_texts((struct conf_text){"printed", buf_view(&text)}, (struct conf_text){0},
			      NULL, 0, &copy, &errors) == 0);
	for (size_t p = 0; p < PROCESS_COUNT; p++) {
		text.n = again.n = 0;
		config_slice(c, (enum process)p, &text);
		config_slice(copy, (enum process)p, &again);
		CHECK(str_eq(buf_view(&text), buf_view(&again)));
	}
	CHECK(config_diff_needs_restart(c, copy, &text) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str settings = str_make(data, size);
	const struct str file = str_split(&settings, '\0');
	AUTO(config) c = NULL;
	struct config_errors errors = {0};
	const int err = conf_load_texts(
		(struct conf_text){"file", file},
		(struct conf_text){settings.p ? "settings" : NULL, settings}, NULL, 0, &c, &errors);
	CHECK(!err == !errors.n);
	if (!err)
		assert_round_trip(c);
	config_errors_fini(&errors);
	return 0;
}
