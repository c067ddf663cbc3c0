/* SPDX-License-Identifier: Apache-2.0
 *
 * Inside of streams: the vtable, the common head, the working memory. Only for the stream_*.c and
 * tls_*.c of this folder; everyone else uses stream.h.
 */
#pragma once

#include "daemon/base/list.h"
#include "daemon/net/stream.h"

enum {
	SCRATCH_WIRE = 64 * KiB,   /* one recv */
	SCRATCH_RECORD = 16 * KiB, /* plain text of one record */
	/* STREAM_WRITE_MAX in records of TLS_RECORD_MIN bytes, each with 29 bytes around it */
	SCRATCH_BATCH = 80 * KiB,
};

struct stream_scratch {
	struct list lingering;
	size_t lingering_n;
	size_t batch_n;
	unsigned char wire[SCRATCH_WIRE];
	unsigned char plain[STREAM_READ_MAX];
	unsigned char record[SCRATCH_RECORD];
	unsigned char batch[SCRATCH_BATCH];
	unsigned char frames[STREAM_WRITE_MAX];
};

struct stream_ops {
	int (*read)(struct stream *s, struct stream_scratch *scratch, struct str *out);
	int (*write)(struct stream *s, struct stream_scratch *scratch, const struct iovec *iov,
		     size_t n, size_t *taken);
	int (*flush)(struct stream *s, struct stream_scratch *scratch);
	size_t (*pending)(const struct stream *s);
	/* These four may be NULL. finish queues what ends the stream in order (close frame,
	 * close_notify); it is called once, when nothing is pending. */
	void (*finish)(struct stream *s, struct stream_scratch *scratch, unsigned code);
	void (*info)(const struct stream *s, struct stream_info *out);
	size_t (*chain)(const struct stream *s, struct str *chain, size_t max);
	void (*ticket)(struct stream *s, int64_t valid_s);
	void (*free)(struct stream *s); /* everything but the socket, and the struct itself */
};

struct stream {
	const struct stream_ops *ops;
	const char *error;
	int fd;
	struct addr peer;
	struct buf unsent; /* freed when it runs empty */
};

/* One recv: 0 with *n > 0, ERR_AGAIN, ERR_EOF, ERR_IO. Sets s->error. */
int stream_recv(struct stream *s, void *p, size_t size, size_t *n);
/* Sends p[0..n) unless something is pending, and keeps the rest. 0 or ERR_IO. */
int stream_send_or_keep(struct stream *s, const void *p, size_t n);
/* Sends from s->unsent: 0 when empty, ERR_AGAIN, ERR_IO. */
int stream_flush_unsent(struct stream *s, struct stream_scratch *scratch);
size_t stream_unsent(const struct stream *s);
/* The end came behind data that is handed out first: makes the socket readable for good, so that
 * the loop calls stream_read once more and it can report the end. */
void stream_wake_reader(struct stream *s);
int stream_io_error(struct stream *s, int error_number); /* always ERR_IO */
