/* SPDX-License-Identifier: Apache-2.0
 *
 * The grammar of configuration files, line by line:
 *
 *	[section]          [section NAME]
 *	key = value
 *	# a comment        ; a comment        (first character of the line, blanks apart)
 *
 * A line ends at its newline: nothing is joined, quoted or escaped, and # and ; inside a value
 * belong to the value. Blanks around words, keys and values do not count. Knows no names. Any
 *thread.
 */
#pragma once

#include "daemon/base/str.h"

enum conf_token {
	CONF_TOKEN_SECTION,
	CONF_TOKEN_KEY,
	CONF_TOKEN_BAD, /* the text says why; the next call goes on with the next line */
	CONF_TOKEN_END
};

struct conf_lex {
	struct str rest;
	unsigned line; /* number of the line last read, from 1 */
};

struct conf_line {
	struct str word;  /* section or key; BAD: the line as written */
	struct str value; /* value, or the section's NAME ("" without) */
	const char *bad;  /* BAD: what is wrong, a clause that follows the line */
};

static inline struct conf_lex conf_lex_make(struct str text)
{
	return (struct conf_lex){text, 0};
}

/* Can stand in a file: UTF-8 without control characters, tabs apart. */
bool conf_is_clean(struct str text);
/* The next line that is neither blank nor a comment; the strings point into the text. */
enum conf_token conf_lex_next(struct conf_lex *lex, struct conf_line *out);
