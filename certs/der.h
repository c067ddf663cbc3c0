/* SPDX-License-Identifier: Apache-2.0
 *
 * DER (ITU-T X.690) written and read in one pass.
 *
 * The writer appends to a struct buf: an open element is closed by inserting its length, so the
 * caller writes in reading order. The reader walks a struct cur with its sticky error: read all
 * elements, judge once with cur_done. It accepts one-byte tags and definite, minimal lengths only
 * and never allocates; its time is linear in the bytes. Pure: no clock, no I/O, any thread.
 */
#pragma once

#include "daemon/base/cursor.h"

enum der_tag {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_NULL = 0x05,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0a,
	DER_UTF8_STRING = 0x0c,
	DER_PRINTABLE_STRING = 0x13,
	DER_TELETEX_STRING = 0x14,
	DER_IA5_STRING = 0x16,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_SET = 0x31,
	DER_CONTEXT = 0x80,      /* | number: implicit, primitive */
	DER_CONTEXT_OPEN = 0xa0, /* | number: explicit or constructed */
};

/* Opens an element; returns the mark that der_end wants. */
size_t der_begin(struct buf *b, uint8_t tag);
void der_end(struct buf *b, size_t mark);
void der_put(struct buf *b, uint8_t tag, struct str body);
/* INTEGER from an unsigned big-endian magnitude of any length (empty = 0). */
void der_put_uint(struct buf *b, struct str magnitude);
void der_put_number(struct buf *b, uint64_t n);
void der_put_bool(struct buf *b, bool value);
void der_put_bits(struct buf *b, struct str bytes); /* BIT STRING without unused bits */
/* OBJECT IDENTIFIER from dotted decimal ("1.2.840.10045.2.1"), a literal of ours. */
void der_put_oid(struct buf *b, const char *dotted);
/* UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5). 1970..9999. */
void der_put_time(struct buf *b, int64_t seconds);
void der_put_generalized_time(struct buf *b, int64_t seconds);

struct der {
	uint8_t tag;      /* 0 after an error */
	struct str body;  /* the value */
	struct str whole; /* with tag and length */
};

/* The next element, whatever it is. */
struct der der_read(struct cur *c);
/* The tag of the next element; 0 at the end or after an error. */
uint8_t der_peek(const struct cur *c);
/* The value of the next element, which must have this tag. */
struct str der_get(struct cur *c, uint8_t tag);
/* A cursor over the elements inside the next element, which must have this tag. */
struct cur der_open(struct cur *c, uint8_t tag);
/* The next element as seconds since 1970: UTCTime or GeneralizedTime, to the second and in UTC
 * (RFC 5280, 4.1.2.5). */
int64_t der_get_time(struct cur *c);
/* True when the value of an OBJECT IDENTIFIER is this one (a literal of ours). */
bool der_oid_is(struct str body, const char *dotted);
/* The subjectPublicKey of a SubjectPublicKeyInfo without the count of unused bits, which is what
 * identifiers of keys hash (RFC 6960, 4.1.1); empty when there is none. */
struct str der_key_bits(struct str spki);
