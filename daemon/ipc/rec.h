/* SPDX-License-Identifier: Apache-2.0
 *
 * rec: a self-describing record of named values, the arguments and results of operations and the
 * details of events. The store writes and reads it without knowing JSON; the web processes turn it
 * into JSON and back. A rec is the inside of one object.
 *
 * Wire form, per value: kind (1 byte), name (8-bit length, bytes; empty inside a list), value:
 * REC_INT 8 bytes little-endian; REC_BOOL 1; REC_STR and REC_BYTES behind a 32-bit length; REC_NULL
 * nothing; REC_LIST and REC_OBJECT open a level that REC_END closes. At most REC_DEPTH levels.
 */
#pragma once

#include "daemon/base/cursor.h"

enum rec_kind {
	REC_NULL,
	REC_BOOL,
	REC_INT,
	REC_STR,
	REC_BYTES,
	REC_TIME,
	REC_LIST,
	REC_OBJECT,
	REC_END
};
enum { REC_DEPTH = 8 };

/* Writing: appends to a buf. Names are at most 255 bytes; inside a list give "". */
void rec_null(struct buf *b, const char *name);
void rec_bool(struct buf *b, const char *name, bool v);
void rec_int(struct buf *b, const char *name, int64_t v);
void rec_str(struct buf *b, const char *name, struct str v);   /* UTF-8 text */
void rec_bytes(struct buf *b, const char *name, struct str v); /* shown in hexadecimal */
void rec_time(struct buf *b, const char *name, int64_t ms); /* since 1970 UTC; shown as RFC 3339 */
void rec_list(struct buf *b, const char *name);
void rec_object(struct buf *b, const char *name);
void rec_end(struct buf *b); /* closes the list or object */
struct rec_value;
void rec_copy(struct buf *b, const char *name, const struct rec_value *v); /* any value, again */
static inline void rec_text(struct buf *b, const char *name, const char *v)
{
	rec_str(b, name, str_of(v));
}

/* Reading, value by value in order. */
struct rec_value {
	enum rec_kind kind;
	struct str name;
	int64_t number;  /* REC_BOOL, REC_INT, REC_TIME */
	struct str text; /* REC_STR, REC_BYTES; REC_LIST, REC_OBJECT: the inside, without its
			    REC_END */
};
/* Takes the next value at this level: false at the end; c->failed when malformed. */
bool rec_next(struct cur *c, struct rec_value *v);
/* True when every level is whole and none is deeper than REC_DEPTH. Call once on input from a peer.
 */
bool rec_valid(struct str rec);

/* Reading by name at the top level of a valid rec: false when absent, null or of another kind. */
bool rec_find(struct str rec, const char *name, struct rec_value *v);
bool rec_get_str(struct str rec, const char *name, struct str *out); /* REC_STR or REC_BYTES */
bool rec_get_int(struct str rec, const char *name, int64_t *out);    /* REC_INT or REC_TIME */
bool rec_get_bool(struct str rec, const char *name, bool *out);
