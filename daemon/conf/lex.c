/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of a configuration file: see lex.h.
 */
#include "daemon/conf/lex.h"
#include "daemon/conf/config.h"

bool conf_is_clean(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (((unsigned char)text.p[i] < ' ' && text.p[i] != '\t') || text.p[i] == 0x7f)
			return false;
	return str_is_utf8(text);
}

static enum conf_token bad(struct conf_line *out, struct str line, const char *why)
{
	*out = (struct conf_line){line, STR(""), why};
	return CONF_TOKEN_BAD;
}

static enum conf_token lex_section(struct str line, struct conf_line *out)
{
	if (line.p[line.n - 1] != ']')
		return bad(out, line, "a section must end with ] and have the line for itself");
	struct str name = str_trim(str_make(line.p + 1, line.n - 2));
	size_t n = 0;
	while (n < name.n && name.p[n] != ' ' && name.p[n] != '\t')
		n++;
	if (n == 0)
		return bad(out, line, "a section needs a name, such as [broker]");
	out->word = str_make(name.p, n);
	out->value = str_trim(str_make(name.p + n, name.n - n));
	return CONF_TOKEN_SECTION;
}

static enum conf_token lex_line(struct str line, struct conf_line *out)
{
	if (line.n > CONFIG_LINE_MAX)
		return bad(out, line, "the line is longer than 4096 bytes");
	if (!conf_is_clean(line))
		return bad(out, line, "the line holds a control character or is not UTF-8");
	if (line.p[0] == '[')
		return lex_section(line, out);
	struct str value = line;
	const struct str key = str_trim(str_split(&value, '='));
	if (!value.p || key.n == 0)
		return bad(out, line,
			   "this is neither [section] nor key = value nor a comment after # or ;");
	out->word = key;
	out->value = str_trim(value);
	return CONF_TOKEN_KEY;
}

enum conf_token conf_lex_next(struct conf_lex *lex, struct conf_line *out)
{
	while (lex->rest.p) {
		const struct str line = str_trim(str_split(&lex->rest, '\n'));
		lex->line++;
		if (line.n && line.p[0] != '#' && line.p[0] != ';')
			return lex_line(line, out);
	}
	return CONF_TOKEN_END;
}
