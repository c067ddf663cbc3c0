/* SPDX-License-Identifier: Apache-2.0
 *
 * Tables of devices: any bytes give rows of text or an error with a line; what csv_put writes is
 * read back as it was.
 */
#include "ctl/csv.h"
#include "daemon/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Behind a line of its own, so that a mark at the start stays what it is and the comma separates.
 */
static void write_row(const json_t *row, struct buf *out)
{
	size_t i;
	const json_t *field;
	buf_puts(out, "head,\n");
	json_array_foreach(row, i, field)
	{
		const char *text = json_string_value(field);
		CHECK(text && strlen(text) == json_string_length(field));
		buf_puts(out, i ? "," : "");
		csv_put(out, text);
	}
	buf_puts(out, ",\n");
}

static void check_row(const json_t *row)
{
	struct csv again;
	struct why why;
	int err;
	AUTO_BUF text = {0};
	write_row(row, &text);
	csv_begin(&again, buf_view(&text));
	json_t *head = csv_row(&again, &err, &why);
	CHECK(json_array_size(head) == 2);
	json_decref(head);
	json_t *back = csv_row(&again, &err, &why);
	CHECK(back && json_array_size(back) == json_array_size(row) + 1);
	for (size_t i = 0; i < json_array_size(row); i++)
		CHECK(json_equal(json_array_get(row, i), json_array_get(back, i)));
	json_decref(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct csv csv;
	struct why why;
	int err = 0;
	json_t *row;
	csv_begin(&csv, str_make(data, n));
	while ((row = csv_row(&csv, &err, &why))) {
		CHECK(csv.line >= 1 && csv.line < csv.next + 1);
		check_row(row);
		json_decref(row);
	}
	CHECK(!err || why.text[0]);
	return 0;
}
