/* SPDX-License-Identifier: Apache-2.0
 *
 * A link: one end of a SEQPACKET pair to another process, driven by a loop. It checks every record
 * against the table of messages, dispatches it to the handler of its type, and finds the asker of a
 * reply. Sending never blocks: records queue up to a bound. One thread: that of the loop.
 *
 * A peer that sends what the table forbids is compromised: the link calls `broken` with the reason
 * and closes; the owner reports MISBEHAVED to the parent (process.h does that for the links of a
 * process).
 *
 * LINK_SEND(link, TYPE, type, id, fd, &body) encodes and sends; see the macros at the end.
 */
#pragma once

#include "daemon/ipc/frame.h"
#include "daemon/net/loop.h"

struct link;

/* Handles one record; runs in the loop's thread. The body and its strings live until it returns. To
 * keep the descriptor take it: TAKE_FD(r->fd). ERR_MALFORMED says that the body broke its own
 * grammar (treated like a forbidden record); every other trouble is the handler's own affair:
 * return 0. */
typedef int (*link_handler)(struct link *l, struct record *r);

struct link_config {
	enum process self;
	enum process peer;
	const link_handler
		*handler; /* MSG_COUNT entries; NULL = not accepted here. REPLYs need none */
	void *owner;      /* link_owner() */
	/* The link is gone: why is "closed by the peer", "sent LOGIN, which it may not" ...;
	 * misbehaved says that the peer broke the rules. The owner calls link_free (here or later).
	 * Pending calls were ended with ERR_UNAVAILABLE. */
	void (*broken)(struct link *l, const char *why, bool misbehaved);
};

/* Takes the socket over (made non-blocking) and says HELLO. Never NULL. */
struct link *link_new(struct loop *loop, int sock, const struct link_config *config);
void link_free(struct link *l); /* closes; ends pending calls with ERR_UNAVAILABLE */
DEFINE_AUTO(link, link_free)
void *link_owner(const struct link *l);
enum process link_peer(const struct link *l);
size_t link_queued(const struct link *l); /* bytes waiting to be sent */
/* Serving state of a parent link: AT_START rows are refused afterwards, AT_SERVING rows before.
 * Links start serving unless link_set_serving(l, false) is called at once. */
void link_set_serving(struct link *l, bool serving);

enum { LINK_QUEUE_MAX = 8 * MiB };

/* Queues one record; the bytes are copied, fd is duplicated when it must wait. 0, ERR_LIMIT when
 * LINK_QUEUE_MAX would be passed, ERR_UNAVAILABLE when the link is broken. Not permitted by the
 * table: CHECK fails. */
int link_send(struct link *l, enum message type, uint64_t id, struct str body, int fd);

/* A request that waits for its reply. The caller owns it; it must live until done() ran or
 * link_call_cancel. */
struct link_call {
	struct list node;
	struct loop_timer timer;
	struct loop *loop;
	enum message type;
	uint64_t id;
	/* err 0: reply is valid while done runs; ERR_TIMEOUT or ERR_UNAVAILABLE: reply is NULL. The
	 * call may be reused, and done may free the link. */
	void (*done)(struct link_call *call, int err, struct record *reply);
};
/* Sends an ASK and waits; the call must not be waiting already. Whatever goes wrong, done() is
 * called exactly once, but never before this returns. What cannot be sent ends with
 * ERR_UNAVAILABLE. */
void link_ask(struct link *l, struct link_call *call, enum message type, struct str body, int fd,
	      uint32_t timeout_ms, void (*done)(struct link_call *, int, struct record *));
void link_call_cancel(
	struct link_call *call); /* done() will not be called; nothing when not waiting */
static inline bool link_call_waiting(const struct link_call *call)
{
	return list_linked(&call->node);
}

/* Encoded bodies: LINK_SEND(l, READY, ready, 0, -1, &(struct body_ready){}) gives what link_send
 * gives. A body that is longer than the table allows is the caller's mistake: CHECK fails, so limit
 * strings from outside before. */
#define LINK_SEND(l, TYPE, name, id, fd, body)                                       \
	__extension__({                                                              \
		unsigned char bytes_[FRAME_BODY_MAX];                                \
		struct out out_ = out_make(bytes_, sizeof(bytes_));                  \
		body_##name##_put(&out_, (body));                                    \
		CHECK(out_ok(&out_));                                                \
		link_send((l), MSG_##TYPE, (id), str_make(bytes_, out_.need), (fd)); \
	})
#define LINK_ASK(l, call, TYPE, name, fd, body, timeout_ms, done)                                  \
	do {                                                                                       \
		unsigned char bytes_[FRAME_BODY_MAX];                                              \
		struct out out_ = out_make(bytes_, sizeof(bytes_));                                \
		body_##name##_put(&out_, (body));                                                  \
		CHECK(out_ok(&out_));                                                              \
		link_ask((l), (call), MSG_##TYPE, str_make(bytes_, out_.need), (fd), (timeout_ms), \
			 (done));                                                                  \
	} while (0)
