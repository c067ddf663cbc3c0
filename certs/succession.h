/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of the authority itself: a lock on issuing, the root leaves the machine, one generation
 * follows another.
 *
 *   next       is told to devices, issues nothing yet
 *   active     issues; exactly one
 *   retiring   its certificates are accepted, it issues no more
 *   retired, compromised   nothing of it is accepted; its keys are gone
 *
 * Every change is complete and durable when the function returns 0, or nothing changed. Used by the
 * issuer thread. Who may ask is the store's affair.
 */
#pragma once

#include "certs/issue.h"
#include "daemon/ipc/frame.h"

/* Everything of a generation that has certificates: root, issuing, cross, in the order of numbers.
 */
struct authority {
	enum ca_kind kind;
	enum ca_state state;
	unsigned generation;
	enum ca_key key;
	char name[32]; /* of its file: "root-2" */
	struct str der;
};
void succession_each(const struct issuer *i, void (*each)(void *arg, const struct authority *a),
		     void *arg);

/* Puts a passphrase (8 to 511 bytes) on the issuing keys; nothing is issued until it comes again.
 * ERR_EXISTS: locked already; ERR_INVALID: its length; ERR_IO. */
int succession_lock(struct issuer *i, struct str passphrase, struct why *why);
/* ERR_EXISTS: not locked; ERR_DENIED: another passphrase; ERR_IO. */
int succession_unlock(struct issuer *i, struct str passphrase, struct why *why);
/* Removes a root's key from this machine. fingerprint: of the root's certificate. ERR_NOT_FOUND: no
 * such root, or its key is not here; ERR_IO. */
int succession_forget_root(struct issuer *i, struct str fingerprint, struct why *why);

/* Makes the next generation, its root with such a key, certified by the root in use when its key is
 * here. ERR_EXISTS: there is one; ERR_CONFLICT: an older one still retires; ERR_LIMIT:
 * GENERATIONS_MAX; as issuer_device.
 */
int succession_start(struct issuer *i, enum key_algorithm root, struct issue_time now,
		     struct why *why);
/* A signing request for the issuing key of the next generation, whose root is someone else's. The
 * same one again until a certificate for it was imported. As succession_start. */
int succession_request(struct issuer *i, struct buf *csr_pem, struct why *why);
/* Takes the certificate for that request and its root: DER, each behind a 32-bit length, in any
 * order; a cross certificate of that root by the one in use may be among them. ERR_NOT_FOUND: no
 * request is out; ERR_INVALID: what does not fit. */
int succession_import(struct issuer *i, struct str certificates, struct issue_time now,
		      struct why *why);
/* Takes the cross certificate that the owner of the older root made for the next one. Or two
 * certificates: a cross certificate for the root in use by another authority, and that authority's:
 * devices that know only it accept the gateway from then on. It gets no right here. ERR_NOT_FOUND;
 * ERR_CONFLICT: an older root of ours vouches for it now; ERR_INVALID: they do not fit. */
int succession_cross(struct issuer *i, struct str certificates, struct issue_time now,
		     struct why *why);
/* next becomes active, active becomes retiring. ERR_NOT_FOUND: none is next; ERR_CONFLICT: without
 * a cross certificate and without force. */
int succession_switch(struct issuer *i, bool force, struct why *why);
/* retiring becomes retired. ERR_NOT_FOUND: none retires. */
int succession_finish(struct issuer *i, struct why *why);
/* next is given up before it came into use. ERR_NOT_FOUND: none is next. */
int succession_abort(struct issuer *i, struct why *why);
/* Nothing of that generation is accepted any more; when it is the one in use, another one takes its
 * place at once. fingerprint: of its root. ERR_NOT_FOUND; as succession_start. */
int succession_compromise(struct issuer *i, struct str fingerprint, struct issue_time now,
			  struct why *why);
