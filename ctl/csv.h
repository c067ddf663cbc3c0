/* SPDX-License-Identifier: Apache-2.0
 *
 * Comma-separated values (RFC 4180), as spreadsheets write them: quotes around a field, CR LF or
 * LF, also a byte order mark and semicolons as German ones do. Pure.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/base/why.h"

#include <jansson.h>

struct csv {
	struct str rest;
	size_t line; /* of the row read last, from 1 */
	size_t next; /* the line behind it */
	char sep;
};

void csv_begin(struct csv *c, struct str text);
/* The fields of the next row that is not empty, a list of strings without blanks around them. NULL
 * at the end (*err 0), or with ERR_MALFORMED and why. The caller owns the reference. */
json_t *csv_row(struct csv *c, int *err, struct why *why);
/* Appends a field, quoted where it must be. */
void csv_put(struct buf *out, const char *field);
