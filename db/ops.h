/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations: what a person or a program asks of the store through a web process, from the arrival
 * of the OP message to its answer. ops.c checks arguments and level and writes the audit log; one
 * handler per operation does the work, in op_*.c by noun. A handler may answer at once or later; it
 * answers exactly once, by op_done, op_refuse or change_commit (change.h).
 *
 * Main thread of the store. Field names of results are part of the API: op_*.h documents them.
 */
#pragma once

#include "daemon/ipc/op.h"
#include "daemon/ipc/rec.h"
#include "db/change.h"
#include "db/store.h"

enum { OP_ACTOR = 96, OP_TARGET = 129, OP_VAULT_MS = 5000, OP_PARENT_MS = 5000 };

struct op_call {
	struct list node; /* in store->calls */
	struct store *s;
	enum process peer; /* who asked, over which of its links */
	unsigned generation;
	uint64_t id;
	enum op op;                  /* OP_COUNT with an enrolment */
	struct enrolment *enrolment; /* a device's ENROL (enrol.h); NULL: a person's operation */
	const char *name;            /* for the audit log: "device.add" */
	bool denied;                 /* the caller has no level at all */
	bool page_missing;           /* a session without the proof that a page of ours asks */
	char *scope;                 /* of a token: the operations that it is for; NULL: all */
	bool passive;                /* it does not count as a sign of life of its session */
	bool crowded;                /* too many changes wait for a job that writes */
	uint16_t retry_s;            /* with OP_TOO_MANY: when to try again */
	int64_t administrator;       /* of a session, else 0 */
	int64_t session;
	char secret[65]; /* of the session; wiped at the end */
	enum op_level level;
	char actor[OP_ACTOR]; /* "uid 0 (control socket)" */
	char source[65];
	char target[OP_TARGET]; /* of the audit row: the object's name */
	struct buf args;        /* a valid rec; wiped at the end, it may hold a password */
	struct buf result;      /* a rec, filled by the handler */
	int file;               /* a memfd that is the answer in its place; 0: none */
	struct change change;
	struct batch *batch; /* several operations as one change (batch.h); NULL: just this one */
	struct plan *plan;   /* the same with settings */
	void (*then)(struct op_call *c); /* after a commit, in place of the answer */
	struct link_call ask;            /* to the vault, the broker or the parent */
	int64_t not_after; /* wish for the certificate, seconds since 1970; 0: its issuer's */
	void (*issued)(struct op_call *c, const struct body_issue_done *done); /* issue.c */
	struct events_waiter waiter;
	struct trace_waiter trace;
	struct logs_waiter log_waiter;
	struct bans_waiter bans_waiter;
	struct loop_timer timer;
	struct job job; /* what takes long (job.h) */
	void *state;    /* of a handler that waits */
	void (*state_free)(void *state);
};

/* OP from a web process. Returns like a link_handler. */
int ops_handle(struct store *s, enum process peer, struct record *r);
/* A call that no person made: answered by enrol_answer, refusals are not audited. Its enrolment is
 * its state. */
struct op_call *ops_enrolment(struct store *s, enum process peer, uint64_t id, struct str source,
			      struct enrolment *e, void (*state_free)(void *state));
/* Too many calls are in progress. */
bool ops_full(const struct store *s);
/* Ends all calls without an answer (the process ends). */
void ops_cancel_all(struct store *s);

/* Ends the call with OP_OK and c->result. */
void op_done(struct op_call *c);
/* Ends the call: field is the argument that is wrong or NULL. An open transaction is rolled back, a
 * refused change is audited. */
void op_refuse(struct op_call *c, enum op_status status, const char *field, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* For errors of sql.h outside a change: OP_FAILED with its sentence. */
void op_refuse_sql(struct op_call *c, int err);
/* OP_TOO_MANY for so many seconds. */
void op_refuse_for(struct op_call *c, unsigned seconds, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Arguments; false when absent. They are of the kind and size of operations.def. */
bool op_str(const struct op_call *c, const char *name, struct str *out);
bool op_int(const struct op_call *c, const char *name, int64_t *out);
bool op_bool(const struct op_call *c, const char *name, bool *out);
/* The text of an argument; `absent`, a literal, when it was not given. Never a null pointer. */
struct str op_text(const struct op_call *c, const char *name, const char *absent);
/* A list of strings: iterate with rec_next over a cursor on *out. */
bool op_strs(const struct op_call *c, const char *name, struct str *out);
/* The argument "limit", 100 when absent. False when it was 0: the call was refused. */
bool op_limit(struct op_call *c, int64_t *out);
/* The argument "after" of lists whose cursor is a number, 0 when absent. False: refused. */
bool op_number_cursor(struct op_call *c, uint64_t *out);

/* Finds the device of an argument: false when there is none, the call was refused (NOT_FOUND). */
bool op_find_device(struct op_call *c, const char *arg, struct str name, int64_t *id);
/* Is this a name for a device, group or role? False: the call was refused (INVALID). */
bool op_check_name(struct op_call *c, const char *arg, const char *what, struct str name);
/* Is this a topic filter, and not of a shared subscription? False: the call was refused (INVALID).
 */
bool op_check_filter(struct op_call *c, const char *arg, struct str filter);

/* "YYYY-..." fields: seconds since 1970 as REC_TIME; 0 gives null. */
void op_put_time(struct buf *out, const char *name, int64_t seconds);
/* A text; null when it is empty. */
void op_put_str(struct buf *out, const char *name, struct str s);
/* Closes the list "items" and appends "next": a cursor or null. */
void op_put_next(struct buf *out, struct str next);

/* The same, then ends the call, or refuses it when the query failed. */
void op_end_items(struct op_call *c, struct sql_query *q, struct str next);

/* Appends the fields of the query's row to c->result. */
typedef void op_row(struct op_call *c, const struct sql_query *q);
/* Ends the call with an object per row in "items" and no cursor, or refuses when the query failed.
 */
void op_answer_all(struct op_call *c, struct sql_query *q, op_row *put);
/* The same for one page: the query asks for one row more than limit, and its first column is the
 * number that the cursor is. */
void op_answer_page(struct op_call *c, struct sql_query *q, int64_t limit, op_row *put);

typedef void op_handler(struct op_call *c);
op_handler *ops_handler(enum op op); /* never NULL */
op_handler op_status_, op_device_list, op_device_show, op_device_add, op_device_set,
	op_device_remove, op_cert_list, op_cert_show, op_cert_add, op_cert_import, op_cert_revoke,
	op_cert_hold, op_cert_release, op_ca_show, op_ca_crl, op_role_list, op_role_show,
	op_role_add, op_role_set, op_role_remove, op_acl_list, op_acl_add, op_acl_remove,
	op_acl_check, op_acl_preview, op_acl_apply, op_learn_list, op_learn_start, op_learn_stop,
	op_learn_show, op_learn_propose, op_event_acknowledge, op_client_list, op_client_show,
	op_client_remove, op_event_list, op_config_list, op_config_show, op_config_set,
	op_config_reload, op_setup_code_add, op_trace_start, op_trace_show, op_trace_stop;
/* The security check. */
op_handler op_security_check, op_security_mute, op_security_unmute;
op_handler op_log_list, op_ban_list, op_ban_add, op_ban_remove, op_limit_list;
/* The test client. */
op_handler op_watch_start, op_message_publish, op_retained_list, op_retained_remove;
/* People and programs. */
op_handler op_setup_show, op_setup_add, op_session_add, op_session_show, op_session_list,
	op_session_remove, op_administrator_list, op_administrator_add, op_administrator_set,
	op_administrator_remove, op_password_set, op_totp_add, op_totp_set, op_totp_remove,
	op_token_list, op_token_add, op_token_remove, op_audit_list;
op_handler op_config_confirm, op_revision_list, op_revision_show, op_revision_revert, op_state_show,
	op_state_diff, op_state_apply;
/* Enrolment. */
op_handler op_code_add, op_code_list, op_code_remove, op_request_list, op_request_show,
	op_request_approve, op_request_deny, op_claim_add, op_claim_list, op_claim_allow,
	op_claim_remove, op_profile_list, op_profile_set, op_profile_remove;
/* The authority. */
op_handler op_ca_lock, op_ca_unlock, op_ca_forget_root, op_ca_rollover, op_ca_csr, op_ca_import,
	op_ca_cross, op_ca_compromise, op_ca_check, op_ca_copy, op_backup_show, op_backup_add;
