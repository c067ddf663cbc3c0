/* SPDX-License-Identifier: Apache-2.0
 *
 * Examples for a bundle: see examples.h. No value can end a quotation in any of the texts: names of
 * devices and hosts are of few characters, and the directory is judged by whoever gives it.
 */
#include "certs/examples.h"

#include <string.h>

const struct example examples[] = {
#define EXAMPLE(name, text) {name, text},
#include "certs/examples.inc"
	{NULL, NULL},
};

static const char *value_of(const struct example_values *v, struct str name)
{
	const struct {
		const char *name;
		const char *value;
	} values[] = {{"DEVICE", v->device},
		      {"HOST", v->host},
		      {"PORT", v->port},
		      {"EST", v->est},
		      {"DIR", v->dir}};
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		if (str_is(name, values[i].name))
			return values[i].value;
	return NULL;
}

void example_put(const struct example *e, const struct example_values *v, struct buf *out)
{
	const char *at = e->text;
	for (const char *mark; (mark = strchr(at, '@'));) {
		const char *end = strchr(mark + 1, '@');
		const char *value =
			end ? value_of(v, str_make(mark + 1, (size_t)(end - mark - 1))) : NULL;
		buf_put(out, at, (size_t)(mark - at));
		buf_puts(out, value ? value : "@");
		at = value ? end + 1 : mark + 1;
	}
	buf_puts(out, at);
}

mode_t example_mode(const struct example *e)
{
	return strncmp(e->text, "#!", 2) == 0 ? 0755 : 0644;
}
