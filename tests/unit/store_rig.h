/* SPDX-License-Identifier: Apache-2.0
 *
 * A store with a directory of its own and fake neighbours, for unit tests: every peer is the other
 * end of a socketpair on the same loop. The fake vault issues well-formed certificates (nobody
 * signed them); the fake broker keeps the entries it was sent. One thread.
 */
#pragma once

#include "daemon/ipc/op.h"
#include "daemon/ipc/rec.h"
#include "db/store.h"

struct rig_answer {
	enum op_status status;
	char field[65];
	char why[2049];
	struct buf result; /* a rec */
};

struct rig {
	struct loop *loop;
	char dir[64];
	struct store store;
	struct store_settings settings;
	struct link *end[PROCESS_COUNT]; /* the far ends */
	bool ready;
	bool failed;
	/* fake broker */
	bool broker_silent; /* DELTA is not answered, before rig_answer_delta does */
	uint64_t owed;      /* the last one that was not */
	bool has_session;   /* what the broker says to CLIENT_GET */
	uint32_t closes;    /* sessions that each DELTA and KICK closes */
	uint64_t seq;       /* of the last delta or snapshot */
	struct buf entries; /* of the last snapshot and the deltas since */
	unsigned notices;
	struct buf notice; /* the last NOTICE */
	unsigned deltas;
	bool gap; /* a delta was not the next one */
	/* fake vault */
	bool vault_silent;
	enum op_status vault_status;
	unsigned issued;
	uint64_t not_after_at; /* that the store wished for last */
	bool listed;           /* a revocation list was asked for: set until the test clears it */
	unsigned lists;
	uint64_t list_number;
	struct buf list;       /* entries of the last one */
	struct buf asked_ocsp; /* the last SIGN_OCSP */
	/* what a listener's process hears */
	bool stapled;
	struct buf staples;
	/* fake parent */
	struct buf roots;
	unsigned kept; /* holds of settings that were ended, one way and the other */
	unsigned undone;
	uint64_t changing; /* a CA_CHANGE that waits for rig_change_authority */
	/* the broker's next login */
	bool login_done;
	enum login_verdict verdict;
	uint64_t login_device;
};

/* A started store: vault, ctl and broker linked, the snapshot taken. Fails the test otherwise. */
struct rig *rig_new(void);
/* The same directory again, as after a restart. */
void rig_restart(struct rig *r);
void rig_free(struct rig *r); /* removes the directory */
/* The pieces of rig_new. */
struct rig *rig_dir(void);
void rig_open(struct rig *r);
int rig_try_open(struct rig *r);
void rig_close(struct rig *r);
void rig_link(struct rig *r, enum process peer);
void rig_unlink(struct rig *r, enum process peer);
/* Turns the loop until *flag, at most 10 s. */
void rig_until(struct rig *r, const bool *flag);
void rig_turns(struct rig *r, int n);

/* Asks over the control socket as uid 0. args is freed. The answer is valid until the next one. */
const struct rig_answer *rig_op(struct rig *r, enum op op, struct buf *args);
/* The same from any web process with any credential. */
const struct rig_answer *rig_op_as(struct rig *r, enum process peer, enum credential_kind kind,
				   struct str credential, enum op op, struct buf *args);
/* The same without waiting: sent must live until it is answered. args is freed. */
struct rig_sent {
	struct link_call call;
	bool answered;
	enum op_status status;
};
void rig_send(struct rig *r, enum op op, struct buf *args, struct rig_sent *sent);
/* Without arguments or with one string. */
const struct rig_answer *rig_op0(struct rig *r, enum op op);
const struct rig_answer *rig_op1(struct rig *r, enum op op, const char *name, const char *value);
/* Asks and expects OP_OK. */
const struct rig_answer *rig_ok(struct rig *r, enum op op, struct buf *args);
/* Asks and expects this refusal; text must be part of the sentence. */
void rig_refused(struct rig *r, enum op op, struct buf *args, enum op_status status,
		 const char *field, const char *text);

void rig_add_device(struct rig *r, const char *name);
/* Adds a device with a certificate for a key made of this text. */
void rig_add_with_key(struct rig *r, const char *name, const char *key);
void rig_spki(const char *key, struct buf *out);

/* Fields of the last answer. */
int64_t rig_int(const struct rig_answer *a, const char *name);
struct str rig_str(const struct rig_answer *a, const char *name);
bool rig_bool(const struct rig_answer *a, const char *name);
/* The n-th object of a list, as a rec; fails the test when there is none. */
struct str rig_item(const struct rig_answer *a, const char *list, size_t n);
size_t rig_count(const struct rig_answer *a, const char *list);
struct str rig_field(struct str rec, const char *name);

/* The fake broker answers the last DELTA that it was silent about. */
void rig_answer_delta(struct rig *r);
/* The fake vault answers the CA_CHANGE that waits. */
void rig_change_authority(struct rig *r, enum op_status status);
/* One number from the store's databases. */
int64_t rig_sql(struct rig *r, const char *text);
/* LOGIN from the broker, and its answer. */
enum login_verdict rig_login(struct rig *r, const char *name, const char *password,
			     const char *source);
/* ENROL from the web process, and its answer; linked by itself. The strings live until the next. */
struct rig_enrolled {
	enum enrol_status status;
	uint32_t retry_after_s;
	char why[513];
	char device[65];
	struct buf der;
};
const struct rig_enrolled *rig_enrol(struct rig *r, const struct body_enrol *ask);
/* The same, but this is done to the registry while a thread judges the password. */
const struct rig_enrolled *rig_enrol_meanwhile(struct rig *r, const struct body_enrol *ask,
					       const char *script);
/* An event from the broker. */
void rig_event(struct rig *r, enum event event, const char *actor, const char *address);
/* Entries of this kind that the broker has seen. */
size_t rig_entries(const struct rig *r, enum entry_kind kind, bool gone);
