/* SPDX-License-Identifier: Apache-2.0
 *
 * Batches of the spool: the records spool_* of messages.def in a row, as they travel in SPOOL and
 * SPOOL_STATE. Each is a 32-bit length, a kind byte and the encoded record; the length counts the
 * kind byte. Any thread.
 */
#pragma once

#include "daemon/ipc/frame.h"

/* Kind, and the record that it stands for. */
#define SPOOL_KINDS(X)                  \
	X(SESSION, session)             \
	X(SESSION_GONE, session_gone)   \
	X(SUB, sub)                     \
	X(SUB_GONE, sub_gone)           \
	X(MESSAGE, message)             \
	X(QUEUE, queue)                 \
	X(SENT, sent)                   \
	X(QUEUE_GONE, queue_gone)       \
	X(RECEIVED, received)           \
	X(RECEIVED_GONE, received_gone) \
	X(RETAIN, retain)               \
	X(RETAIN_GONE, retain_gone)

enum spool_kind {
#define SPOOL_KIND(NAME, name) SPOOL_KIND_##NAME,
	SPOOL_KINDS(SPOOL_KIND)
#undef SPOOL_KIND
		SPOOL_KIND_COUNT
};

enum {
	SPOOL_INLINE_MAX = 60000,        /* bytes of a batch inside SPOOL; larger ones in a memfd */
	SPOOL_BATCH_MAX = 1024 * MiB,    /* bytes of a batch */
	SPOOL_UNANSWERED_MAX = 64 * MiB, /* bytes of batches that the broker holds without answer */
};

struct spool_record {
	enum spool_kind kind;
	union {
#define SPOOL_MEMBER(NAME, name) struct body_spool_##name name;
		SPOOL_KINDS(SPOOL_MEMBER)
#undef SPOOL_MEMBER
	};
};

/* Appends a record: SPOOL_PUT(&batch, QUEUE_GONE, queue_gone, &body). Strings must be within their
 * limits in messages.def: CHECK fails otherwise. */
#define SPOOL_PUT(buf, NAME, name, body)                                             \
	do {                                                                         \
		struct out size_ = out_make(NULL, 0);                                \
		body_spool_##name##_put(&size_, (body));                             \
		struct out out_ = spool_open_((buf), SPOOL_KIND_##NAME, size_.need); \
		body_spool_##name##_put(&out_, (body));                              \
		CHECK(out_ok(&out_));                                                \
	} while (0)
struct out spool_open_(struct buf *batch, enum spool_kind kind, size_t n);

/* Takes the next record off a batch; its strings point into it. False at the end; c->failed when
 * malformed: cut short, an unknown kind, a number 0 or above INT64_MAX where one is named by it. */
bool spool_next(struct cur *c, struct spool_record *record);
/* Every record is whole. */
bool spool_valid(struct str batch);
