/* SPDX-License-Identifier: Apache-2.0
 *
 * Records between processes: the table of messages.def as C types with their encoders and decoders,
 * and one record in or out of a SEQPACKET descriptor. frame_send and frame_receive block or not as
 * the descriptor does; link.h builds an event-driven link on them, rpc.h a blocking request.
 * Any thread; a descriptor belongs to one thread at a time.
 *
 * For each MSG and each RECORD there are a struct body_NAME and
 *   void body_NAME_put(struct out *o, const struct body_NAME *b)   writes all fields
 *   int  body_NAME_get(struct str bytes, struct body_NAME *b)      0 or ERR_MALFORMED; the strings
 *                                                                  point into bytes
 */
#pragma once

#include "daemon/base/check.h"
#include "daemon/base/cursor.h"
#include "daemon/base/processes.h"

enum { FRAME_HEADER = 20, FRAME_MAX = 65536, FRAME_BODY_MAX = FRAME_MAX - FRAME_HEADER };

enum message {
#define MSG(NAME, name, from, to, when, kind, fd) MSG_##NAME,
#define RECORD(name)
#define END(name)
#define F_U8(f)
#define F_U16(f)
#define F_U32(f)
#define F_U64(f)
#define F_STR(f, max)
#include "daemon/ipc/messages.def"
	MSG_COUNT
};

#define MSG(NAME, name, from, to, when, kind, fd) struct body_##name {
#define RECORD(name)                              struct body_##name {
#define END(name) \
	}         \
	;
#define F_U8(f)       uint8_t f;
#define F_U16(f)      uint16_t f;
#define F_U32(f)      uint32_t f;
#define F_U64(f)      uint64_t f;
#define F_STR(f, max) struct str f;
#include "daemon/ipc/messages.def"

#define MSG(NAME, name, from, to, when, kind, fd)                           \
	void body_##name##_put(struct out *o, const struct body_##name *b); \
	int body_##name##_get(struct str bytes, struct body_##name *b) MUST_CHECK;
#define RECORD(name)                                                        \
	void body_##name##_put(struct out *o, const struct body_##name *b); \
	int body_##name##_get(struct str bytes, struct body_##name *b) MUST_CHECK;
#define END(name)
#define F_U8(f)
#define F_U16(f)
#define F_U32(f)
#define F_U64(f)
#define F_STR(f, max)
#include "daemon/ipc/messages.def"

enum frame_when { AT_START = 1, AT_SERVING = 2, AT_ANY = 3 };
enum frame_kind { TELL, ASK, REPLY };

struct frame_rule {
	const char *name;
	unsigned from; /* set of 1 << enum process */
	unsigned to;
	enum frame_when when;
	enum frame_kind kind;
	bool with_fd;
};

/* The row of a message; type must be below MSG_COUNT. */
const struct frame_rule *frame_rule(enum message type);
/* May FROM send TYPE to TO? */
bool frame_permitted(unsigned type, enum process from, enum process to);
/* Is REPLY the message that answers ASK? It is the first REPLY row behind it in the table. */
bool frame_answers(enum message reply, enum message ask);
/* Both ends compare it in HELLO: they were built from one table. */
uint64_t frame_table_hash(void);

/* A received record. The body points into the buffer it was received into; the descriptor (or -1)
 * belongs to whoever takes it (TAKE_FD) and is otherwise closed by frame_done. */
struct record {
	enum message type;
	uint64_t id;          /* of an ASK and its REPLY, chosen by the asker; 0 for TELL */
	uint32_t deadline_ms; /* how long the asker waits from now; 0: no limit said */
	struct str body;
	int fd;
};

/* Sends one record with an encoded body of at most FRAME_BODY_MAX bytes and a copy of fd (-1:
 * none). 0, ERR_AGAIN (non-blocking descriptor, socket full), ERR_EOF or ERR_IO. After ERR_EOF
 * there may still be records to receive. */
int frame_send(int sock, const struct record *r);
/* Receives one record into buf of FRAME_MAX bytes. 0, ERR_AGAIN, ERR_EOF, ERR_IO, ERR_LIMIT when
 * this process has no descriptor left for the one in the record, or ERR_MALFORMED for a record
 * whose header is wrong or that carries a descriptor too many (the type is below MSG_COUNT and the
 * length agrees otherwise). */
int frame_receive(int sock, void *buf, struct record *r);
void frame_done(struct record *r);

/* Lists of strings inside one F_STR: each behind a 16-bit little-endian length. */
void strs_put(struct buf *list, struct str item);
bool strs_next(struct str *list, struct str *item); /* false at the end or when malformed */
bool strs_valid(struct str list);                   /* every item is whole */
size_t strs_count(struct str list);

/* Appends a record behind its 32-bit length: ENTRIES_PUT(buf, event, &body). */
#define ENTRIES_PUT(buf, name, body)                                \
	do {                                                        \
		struct out size_ = out_make(NULL, 0);               \
		body_##name##_put(&size_, (body));                  \
		struct out out_ = entries_open_((buf), size_.need); \
		body_##name##_put(&out_, (body));                   \
		CHECK(out_ok(&out_));                               \
	} while (0)
struct out entries_open_(struct buf *b, size_t n);
/* Takes the next record off a list of them: false at the end; c->failed when cut short. */
bool entries_next(struct cur *c, struct str *record);
/* As many whole ones at the start as have at most max bytes; empty when the first has more. */
struct str entries_head(struct str entries, size_t max);

/* A sealed memfd with these bytes, and its way back (at most max bytes; not-sealed ones are
 * refused). memfd_make: descriptor or ERR_IO. memfd_read: 0, ERR_IO, ERR_LIMIT, ERR_DENIED. */
int memfd_make(const char *name, struct str bytes);
/* The same in pieces: one to write to (a descriptor or ERR_IO), then the seals (0 or ERR_IO). */
int memfd_begin(const char *name);
int memfd_seal(int fd);
int memfd_read(int fd, size_t max, struct buf *out);

/* Values that travel in fields above. */
enum listener_file { LISTENER_CERTIFICATE, LISTENER_CLIENT_CA, LISTENER_CRL };
enum process_state { PROCESS_DOWN, PROCESS_STARTING, PROCESS_SERVING, PROCESS_STOPPING };
enum entry_kind { ENTRY_DEVICE, ENTRY_CERT, ENTRY_RULE, ENTRY_CA };
enum cert_status { CERT_GOOD, CERT_REVOKED, CERT_HOLD, CERT_SUPERSEDED, CERT_PENDING };
/* CRLReason of RFC 5280, 5.3.1. */
enum revocation_reason {
	REASON_UNSPECIFIED = 0,
	REASON_KEY_COMPROMISE = 1,
	REASON_CA_COMPROMISE = 2,
	REASON_AFFILIATION = 3,
	REASON_SUPERSEDED = 4,
	REASON_CESSATION = 5,
	REASON_HOLD = 6,
	REASON_PRIVILEGE = 9,
};
enum ocsp_status { OCSP_GOOD, OCSP_REVOKED, OCSP_UNKNOWN }; /* the tags of CertStatus */
enum ocsp_response {
	OCSP_SUCCESSFUL = 0,
	OCSP_MALFORMED = 1,
	OCSP_INTERNAL_ERROR = 2,
	OCSP_TRY_LATER = 3,
	OCSP_NOT_OURS = 6, /* about no authority of this gateway */
};
enum ca_kind { CA_ROOT, CA_ISSUING, CA_CROSS, CA_EXTERNAL, CA_SERVER };
enum ca_key { CA_KEY_AWAY, CA_KEY_HERE, CA_KEY_LOCKED }; /* where a private key is */
enum ca_change {
	CA_LOCK,
	CA_UNLOCK,
	CA_FORGET_ROOT,
	CA_START,
	CA_REQUEST,
	CA_IMPORT,
	CA_TAKE_CROSS,
	CA_SWITCH,
	CA_FINISH,
	CA_ABORT,
	CA_COMPROMISE,
};
enum ca_state { CA_NEXT, CA_ACTIVE, CA_RETIRING, CA_RETIRED, CA_COMPROMISED };
enum enrol_what {
	ENROL_FIRST,
	ENROL_RENEW,
	ENROL_JOIN, /* the certificate itself, of an authority outside, is to be registered */
};
enum enrol_status {                /* and the status of HTTP that it is (RFC 7030, 4.2.3) */
		    ENROL_OK,      /* 200 */
		    ENROL_PENDING, /* 202: a person decides; the same request again asks how it went
				    */
		    ENROL_BAD,     /* 400: the request */
		    ENROL_UNAUTHENTICATED, /* 401: no authority, or a wrong, used or expired one */
		    ENROL_FORBIDDEN, /* 403: the authority does not allow it, or it was denied */
		    ENROL_UNKNOWN_LABEL, /* 404 */
		    ENROL_CONFLICT,      /* 409: the key is another device's */
		    ENROL_BUSY,          /* 429 */
		    ENROL_LOCKED,        /* 503: nothing can be issued now */
};
enum subject_kind { SUBJECT_ANY, SUBJECT_DEVICE, SUBJECT_GROUP, SUBJECT_ROLE };
enum login_verdict { LOGIN_OK, LOGIN_WRONG, LOGIN_DISABLED, LOGIN_BUSY };
enum credential_kind { CREDENTIAL_NONE, CREDENTIAL_PEER, CREDENTIAL_SESSION, CREDENTIAL_TOKEN };
/* What became of a message of PUBLISH. */
enum publish_status {
	PUBLISH_SENT,
	PUBLISH_DENIED,   /* by the rules of the device */
	PUBLISH_RESERVED, /* only the gateway publishes there */
	PUBLISH_TOPIC,    /* no topic name, or beyond the bounds of the settings */
	PUBLISH_LARGE,    /* max-payload */
	PUBLISH_FULL,     /* no room for retained messages */
	PUBLISH_NOBODY,   /* there is no such device, or it is disabled */
	PUBLISH_NOTHING,  /* must_retain: the topic has none */
};
enum spool_status {
	SPOOL_STORED,
	SPOOL_FULL,   /* the disk, or [store] spool-max-size */
	SPOOL_FAILED, /* input or output error */
};
enum op_status {
	OP_OK,
	OP_INVALID, /* an argument is wrong: field and why say which and how */
	OP_NOT_FOUND,
	OP_CONFLICT,        /* exists already, or in use */
	OP_DENIED,          /* the caller's level does not allow it */
	OP_REFUSED,         /* policy: the key, the name, the clock */
	OP_UNAVAILABLE,     /* a process that is needed is away; try again */
	OP_TOO_MANY,        /* rate limit */
	OP_FAILED,          /* disk full, corrupt ...: why says */
	OP_UNAUTHENTICATED, /* the credentials are missing, wrong or have ended */
	OP_LOCKED,          /* the certificate authority waits for its passphrase */
};
