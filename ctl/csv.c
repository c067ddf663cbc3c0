/* SPDX-License-Identifier: Apache-2.0
 *
 * Comma-separated values: see csv.h.
 */
#include "ctl/csv.h"
#include "daemon/base/err.h"

enum { FIELD_MAX = 64 * KiB };

void csv_begin(struct csv *c, struct str text)
{
	*c = (struct csv){.rest = text, .next = 1, .sep = ','};
	if (str_prefix(text, STR("\xef\xbb\xbf")))
		c->rest = str_make(text.p + 3, text.n - 3);
	struct str rest = c->rest;
	const struct str first = str_split(&rest, '\n');
	if (first.p && first.n && !memchr(first.p, ',', first.n) && memchr(first.p, ';', first.n))
		c->sep = ';';
}

static char peek(const struct csv *c)
{
	return c->rest.n ? c->rest.p[0] : '\0';
}

static void skip(struct csv *c)
{
	c->next += c->rest.p[0] == '\n';
	c->rest = str_make(c->rest.p + 1, c->rest.n - 1);
}

/* Behind the opening quote, up to and with the closing one. */
static int quoted(struct csv *c, struct buf *field)
{
	while (c->rest.n) {
		const char ch = peek(c);
		skip(c);
		if (ch == '"' && peek(c) != '"')
			return 0;
		if (ch == '"')
			skip(c);
		buf_putc(field, ch);
	}
	return ERR_MALFORMED;
}

static bool at_end_of_field(const struct csv *c)
{
	return !c->rest.n || peek(c) == c->sep || peek(c) == '\n';
}

static int read_field(struct csv *c, struct buf *field)
{
	while (c->rest.n && (peek(c) == ' ' || peek(c) == '\t'))
		skip(c);
	if (peek(c) == '"') {
		skip(c);
		if (quoted(c, field))
			return ERR_MALFORMED;
		while (!at_end_of_field(c) && strchr(" \t\r", peek(c)))
			skip(c);
		return at_end_of_field(c) ? 0 : ERR_MALFORMED;
	}
	for (; !at_end_of_field(c); skip(c))
		buf_putc(field, peek(c));
	return 0;
}

static int append(json_t *row, const struct buf *field)
{
	const struct str text = str_trim(buf_view(field));
	const bool good = field->n <= FIELD_MAX && (!text.n || !memchr(text.p, 0, text.n));
	json_t *s = good ? json_stringn(text.p ? text.p : "", text.n) : NULL;
	return s ? json_array_append_new(row, s) : ERR_MALFORMED;
}

static int read_row(struct csv *c, json_t *row, struct why *why)
{
	for (;;) {
		AUTO_BUF field = {0};
		if (read_field(c, &field))
			return why_set(
				why, ERR_MALFORMED,
				"the quotes around a field are not closed, or text stands behind "
				"them");
		if (append(row, &field))
			return why_set(why, ERR_MALFORMED, "a field is not text in UTF-8");
		const bool more = c->rest.n && peek(c) == c->sep;
		if (c->rest.n)
			skip(c);
		if (!more)
			return 0;
	}
}

static bool is_empty(const json_t *row)
{
	return json_array_size(row) == 1 && json_string_length(json_array_get(row, 0)) == 0;
}

json_t *csv_row(struct csv *c, int *err, struct why *why)
{
	json_t *row = json_array();
	*err = 0;
	while (c->rest.n) {
		c->line = c->next;
		json_array_clear(row);
		*err = read_row(c, row, why);
		if (*err)
			break;
		if (!is_empty(row))
			return row;
	}
	json_decref(row);
	return NULL;
}

void csv_put(struct buf *out, const char *field)
{
	if (!strpbrk(field, ",;\"\r\n")) {
		buf_puts(out, field);
		return;
	}
	buf_putc(out, '"');
	for (; *field; field++) {
		if (*field == '"')
			buf_putc(out, '"');
		buf_putc(out, *field);
	}
	buf_putc(out, '"');
}
