/* SPDX-License-Identifier: Apache-2.0
 *
 * Records between processes: see frame.h.
 */
#include "daemon/ipc/frame.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define P(process) (1u << PROCESS_##process)
#define P_CHILD    (P(BROKER) | P(ADMIN) | P(ENROL) | P(CTL) | P(STORE) | P(VAULT))
#define P_ANY      (P(PARENT) | P_CHILD)
#define P_WEB      (P(ADMIN) | P(ENROL) | P(CTL))
#define P_NETWORK  (P_WEB | P(BROKER))
#define NO_FD      false
#define WITH_FD    true

static const struct frame_rule rules[MSG_COUNT] = {
#define MSG(NAME, name, from, to, when, kind, fd) {#NAME, from, to, when, kind, fd},
#define RECORD(name)
#define END(name)
#define F_U8(f)
#define F_U16(f)
#define F_U32(f)
#define F_U64(f)
#define F_STR(f, max)
#include "daemon/ipc/messages.def"
};

static const char table_text[] =
#define MSG(NAME, name, from, to, when, kind, fd) #NAME #from #to #when #kind #fd
#define RECORD(name)                              #name
#define END(name)                                 ";"
#define F_U8(f)                                   "1" #f
#define F_U16(f)                                  "2" #f
#define F_U32(f)                                  "4" #f
#define F_U64(f)                                  "8" #f
#define F_STR(f, max)                             "s" #f #max
#include "daemon/ipc/messages.def"
	;

#define MSG(NAME, name, from, to, when, kind, fd) RECORD(name)
#define RECORD(name)                                                                     \
	void body_##name##_put(struct out *o UNUSED, const struct body_##name *b UNUSED) \
	{
#define END(name)     }
#define F_U8(f)       out_u8(o, b->f);
#define F_U16(f)      out_u16le(o, b->f);
#define F_U32(f)      out_u32le(o, b->f);
#define F_U64(f)      out_u64le(o, b->f);
#define F_STR(f, max) out_limited(o, b->f, max);

static void out_limited(struct out *o, struct str s, size_t max)
{
	if (s.n > max)
		o->failed = true;
	out_str32le(o, s);
}
#include "daemon/ipc/messages.def"

static struct str cur_limited(struct cur *c, size_t max)
{
	const struct str s = cur_str32le(c);
	if (s.n > max)
		cur_fail(c);
	return s;
}

#define MSG(NAME, name, from, to, when, kind, fd) RECORD(name)
#define RECORD(name)                                                   \
	int body_##name##_get(struct str bytes, struct body_##name *b) \
	{                                                              \
		struct cur c = cur_of(bytes);                          \
		struct body_##name got;                                \
		memset(&got, 0, sizeof(got));
#define END(name)                     \
	if (!cur_done(&c))            \
		return ERR_MALFORMED; \
	*b = got;                     \
	return 0;                     \
	}
#define F_U8(f)       got.f = cur_u8(&c);
#define F_U16(f)      got.f = cur_u16le(&c);
#define F_U32(f)      got.f = cur_u32le(&c);
#define F_U64(f)      got.f = cur_u64le(&c);
#define F_STR(f, max) got.f = cur_limited(&c, max);
#include "daemon/ipc/messages.def"

const struct frame_rule *frame_rule(enum message type)
{
	CHECK(type < MSG_COUNT);
	return &rules[type];
}

bool frame_permitted(unsigned type, enum process from, enum process to)
{
	return type < MSG_COUNT && (rules[type].from >> from & 1) && (rules[type].to >> to & 1);
}

bool frame_answers(enum message reply, enum message ask)
{
	unsigned type = ask;
	while (type < MSG_COUNT && rules[type].kind != REPLY)
		type++;
	return type == reply;
}

uint64_t frame_table_hash(void)
{
	uint64_t h = 14695981039346656037u; /* FNV-1a: a fingerprint, not a defence */
	for (size_t i = 0; i < sizeof(table_text) - 1; i++)
		h = (h ^ (unsigned char)table_text[i]) * 1099511628211u;
	return h;
}

/* Room for one descriptor, aligned as the kernel wants it; its padding holds a second one. */
union fd_control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int))];
};

static int send_error(void)
{
	if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
		return ERR_AGAIN;
	return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? ERR_EOF : ERR_IO;
}

int frame_send(int sock, const struct record *r)
{
	unsigned char head[FRAME_HEADER];
	struct out o = out_make(head, sizeof(head));
	CHECK(r->body.n <= FRAME_BODY_MAX);
	out_u16le(&o, (uint16_t)r->type);
	out_u16le(&o, 0);
	out_u32le(&o, (uint32_t)r->body.n);
	out_u64le(&o, r->id);
	out_u32le(&o, r->deadline_ms);
	struct iovec iov[2] = {{head, sizeof(head)}, {(void *)(uintptr_t)r->body.p, r->body.n}};
	union fd_control control = {0};
	struct msghdr m = {.msg_iov = iov, .msg_iovlen = r->body.n ? 2 : 1};
	if (r->fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &r->fd, sizeof(int));
	}
	for (;;) {
		if (sendmsg(sock, &m, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != EINTR)
			return send_error();
	}
}

/* The descriptor that came with a record, or -1; those that are too many are closed. How many came.
 */
static size_t take_descriptor(struct msghdr *m, int *fd)
{
	size_t n = 0;
	*fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= c->cmsg_len; at += sizeof(int)) {
			int got;
			memcpy(&got, CMSG_DATA(c) + at, sizeof(int));
			if (n++ == 0)
				*fd = got;
			else
				close(got);
		}
	}
	return n;
}

/* One record; a peer that ended leaves one error behind, and after it what it had sent. */
static ssize_t receive_message(int sock, struct msghdr *m)
{
	for (bool reset = false;;) {
		const ssize_t n = recvmsg(sock, m, MSG_CMSG_CLOEXEC);
		if (n >= 0 || (errno != EINTR && (errno != ECONNRESET || reset)))
			return n;
		reset = reset || errno == ECONNRESET;
	}
}

int frame_receive(int sock, void *buf, struct record *r)
{
	struct iovec iov = {buf, FRAME_MAX};
	union fd_control control;
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int taken;
	const ssize_t n = receive_message(sock, &m);
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? ERR_AGAIN
		       : errno == ECONNRESET                   ? ERR_EOF
							       : ERR_IO;
	if (n == 0)
		return ERR_EOF;
	const size_t fds = take_descriptor(&m, &taken);
	AUTO_FD fd = taken;
	if (fds == 0 && m.msg_flags & MSG_CTRUNC)
		return ERR_LIMIT;
	struct cur c = cur_make(buf, (size_t)n);
	const uint16_t type = cur_u16le(&c);
	const uint16_t flags = cur_u16le(&c);
	const uint32_t length = cur_u32le(&c);
	const uint64_t id = cur_u64le(&c);
	const uint32_t deadline = cur_u32le(&c);
	if (!cur_ok(&c) || m.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || flags != 0 ||
	    length != cur_left(&c) || type >= MSG_COUNT)
		return ERR_MALFORMED;
	if (fds > rules[type].with_fd)
		return ERR_MALFORMED;
	*r = (struct record){type, id, deadline, cur_bytes(&c, length), TAKE_FD(fd)};
	return 0;
}

void frame_done(struct record *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
}

void strs_put(struct buf *list, struct str item)
{
	CHECK(item.n <= UINT16_MAX);
	const uint16_t n = (uint16_t)item.n;
	buf_put(list, &n, sizeof(n));
	buf_str(list, item);
}

bool strs_next(struct str *list, struct str *item)
{
	struct cur c = cur_of(*list);
	const size_t n = cur_u16le(&c);
	const struct str s = cur_bytes(&c, n);
	if (!cur_ok(&c))
		return false;
	*list = str_make(c.p, cur_left(&c));
	*item = s;
	return true;
}

bool strs_valid(struct str list)
{
	struct str item;
	while (strs_next(&list, &item))
		;
	return list.n == 0;
}

size_t strs_count(struct str list)
{
	struct str item;
	size_t n = 0;
	while (strs_next(&list, &item))
		n++;
	return n;
}

struct out entries_open_(struct buf *b, size_t n)
{
	const uint32_t length = (uint32_t)n;
	CHECK(n <= UINT32_MAX);
	buf_put(b, &length, sizeof(length));
	const struct out o = out_make(buf_reserve(b, n), n);
	b->n += n;
	return o;
}

bool entries_next(struct cur *c, struct str *record)
{
	if (cur_left(c) == 0)
		return false;
	*record = cur_str32le(c);
	return cur_ok(c);
}

struct str entries_head(struct str entries, size_t max)
{
	struct cur c = cur_of(entries);
	struct str record;
	size_t n = 0;
	while (entries_next(&c, &record) && entries.n - cur_left(&c) <= max)
		n = entries.n - cur_left(&c);
	return str_make(entries.p, n);
}

enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL };

int memfd_begin(const char *name)
{
	const int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? ERR_IO : fd;
}

int memfd_seal(int fd)
{
	return fcntl(fd, F_ADD_SEALS, SEALS) < 0 ? ERR_IO : 0;
}

int memfd_make(const char *name, struct str bytes)
{
	AUTO_FD fd = memfd_begin(name);
	if (fd < 0)
		return ERR_IO;
	if (fd_write(fd, bytes) || memfd_seal(fd))
		return ERR_IO;
	return TAKE_FD(fd);
}

int memfd_read(int fd, size_t max, struct buf *out)
{
	struct stat st;
	const int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & (SEALS & ~F_SEAL_SEAL)) != (SEALS & ~F_SEAL_SEAL))
		return ERR_DENIED;
	if (fstat(fd, &st) < 0)
		return ERR_IO;
	if (st.st_size < 0 || (size_t)st.st_size > max)
		return ERR_LIMIT;
	const size_t size = (size_t)st.st_size;
	const size_t before = out->n;
	buf_reserve(out, size);
	while (out->n - before < size) {
		const ssize_t n = pread(fd, out->p + out->n, size - (out->n - before),
					(off_t)(out->n - before));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			out->n = before;
			return ERR_IO;
		}
		out->n += (size_t)n;
	}
	return 0;
}
