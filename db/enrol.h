/* SPDX-License-Identifier: Apache-2.0
 *
 * Enrolment: a key with its authority comes from a web process or the broker (ENROL), and a
 * certificate goes back. The whole way is one op_call without a person: its authority is judged
 * (enrol_code.c, enrol_renew.c, enrol_claim.c, enrol_request.c), the vault issues (issue.h), and
 * one transaction takes the authority's use, adds the device where it is a new one, and records the
 * certificate (change.h). The answer goes out when the broker knows the certificate, so that the
 * device can connect at once.
 *
 * What the device asked for is only its key, and its name where the authority leaves that open.
 * Everything else comes from the authority and the profile. Main thread of the store.
 */
#pragma once

#include "daemon/ipc/frame.h"
#include "db/op_device.h"
#include "db/ops.h"
#include "db/registry.h"

enum { ENROL_KIND = 33 };

enum grant_by { BY_NONE, BY_CODE, BY_PASSWORD, BY_CERTIFICATE, BY_REQUEST, BY_CLAIM };

/* What an authority allows. */
struct grant {
	enum grant_by by;
	int64_t id; /* of the code, the certificate that is renewed, the request, the claim */
	int64_t device_id; /* 0: a new device */
	char name[NAME_SIZE];
	char profile[NAME_SIZE]; /* "": that of the label, or device */
	char kind[ENROL_KIND];   /* of a new device, like the next one */
	struct buf members;      /* a rec with the lists groups and roles */
};

struct enrolment {
	struct buf bytes; /* ask points into it */
	struct body_enrol ask;
	struct grant grant;
	char verifier[VERIFIER_MAX]; /* that a password is checked against */
	char uuid[UUID_SIZE];
	enum enrol_status refused; /* ENROL_OK: what the status of the operation says */
	uint32_t retry_after_s;
	bool silent;    /* a refusal is no event: nobody said that it may ask */
	struct buf der; /* the certificate and its issuer */
	struct buf issuer;
};

/* ENROL. Returns like a link_handler. */
int enrol_handle(struct store *s, enum process peer, struct record *r);
/* The answer and the event of a refusal, for op_done and op_refuse. */
void enrol_answer(struct op_call *c, const struct body_op_done *done);
const char *enrol_via(const struct op_call *c);

/* ---- between the files of enrolment ---- */

/* The authority was judged and c->enrolment->grant filled: goes on to the vault. */
void enrol_granted(struct op_call *c);
/* Ends the call. retry_after_s matters to PENDING, BUSY and LOCKED. */
void enrol_refuse(struct op_call *c, enum enrol_status status, uint32_t retry_after_s,
		  const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Answers a certificate that was issued before: the same request came again. False: it is not good
 * any more. */
bool enrol_repeat(struct op_call *c, int64_t cert_id);
/* Is the CSR's name, if it has one, that of the grant? False: refused with this status. */
bool enrol_name_fits(struct op_call *c, enum enrol_status otherwise);

/* Within the change: registers the certificate that was shown (ENROL_JOIN); its row. */
int64_t enrol_join(struct op_call *c);

/* Judge an authority: each ends the call, or calls enrol_granted, at once or later. */
void enrol_by_secret(struct op_call *c);
void enrol_by_certificate(struct op_call *c);
void enrol_by_claim(struct op_call *c);
/* A key without an authority, or with a claim (its name) that needs approval: waits for a person.
 */
void enrol_to_queue(struct op_call *c, struct str claim);
/* Was this request in the queue before? True: it was answered or granted. */
bool enrol_queued(struct op_call *c);

/* Within the change: the authority is used up. False: it is gone meanwhile, the call was refused.
 */
bool enrol_use_code(struct op_call *c);
void enrol_use_certificate(struct op_call *c, int64_t cert_id);
void enrol_use_request(struct op_call *c, int64_t cert_id);
void enrol_use_claim(struct op_call *c);
