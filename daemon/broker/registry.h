/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker's view of the registry: devices, certificates by fingerprint, access rules,
 * authorities, as the store sent them in one snapshot and the changes since.
 *
 * The control thread writes; handshake threads and workers read, under one lock, when someone
 * connects or when the generation has moved: never for a message. A publish only loads the
 * generation. What is handed out (registry_identity.h, its acl_set) is immutable and counted.
 */
#pragma once

#include "daemon/broker/registry_identity.h"
#include "daemon/net/tls_handshake.h"

struct registry;

/* What a snapshot or a change may have taken away or altered. */
struct registry_change {
	bool rights_lost; /* a device or a certificate lost its right to be connected */
	bool access;      /* rules, groups or roles: the generation has moved */
	bool authorities;
};

struct registry *registry_new(void);
void registry_free(struct registry *r);
DEFINE_AUTO(registry, registry_free)

/* Control thread. Replaces everything by the records of a snapshot taken after change seq. 0 or
 * ERR_MALFORMED (nothing was changed). */
int registry_load(struct registry *r, uint64_t seq, struct str entries,
		  struct registry_change *change);
/* Control thread. The changes of one delta. 0; ERR_CONFLICT: seq is not the next one, ask for a
 * snapshot; ERR_MALFORMED. */
int registry_apply(struct registry *r, uint64_t seq, struct str entries,
		   struct registry_change *change);

/* Control thread. Takes rules of the learn mode away whose time (seconds since 1970) is over: the
 * store does, too, but it may be away. True: some were, and the generation has moved. */
bool registry_end_learning(struct registry *r, int64_t now);

/* What became of a certificate. */
struct registry_status {
	unsigned char fingerprint[STREAM_FINGERPRINT];
	uint8_t status; /* enum cert_status */
	uint8_t reason;
	int64_t revoked_at; /* seconds since 1970 */
};
/* Control thread. Appends, as an array of struct registry_status, what has changed since the last
 * call: certificates that became revoked (or on hold, or superseded) and that became good again.
 * True: a snapshot came; these are all that are not good. */
bool registry_take_status(struct registry *r, struct buf *out);

/* Any thread from here on. */

/* Moves whenever an identity may have to be asked for anew. One atomic load. */
uint64_t registry_generation(const struct registry *r);
/* The device as of now; NULL when there is none of that number or it is disabled. The same pointer
 * as long as nothing of it has changed. device_id 0: the anonymous identity, never NULL. The caller
 * owns a reference. */
struct identity *registry_identity(struct registry *r, uint64_t device_id);
/* How long certificates count beyond their end, in seconds; 0 at first. Any thread. */
enum { REGISTRY_FOR_EVER = 0x7fffffff };
void registry_set_grace(struct registry *r, int64_t seconds);
/* Whether a certificate opens a device now (seconds since 1970), and which. Outputs are written
 * when it is known; *until: when it no longer does, in seconds. graced: its end and the grace. */
enum handshake_verdict registry_certificate(struct registry *r,
					    const unsigned char fingerprint[STREAM_FINGERPRINT],
					    int64_t now, bool graced, uint64_t *device_id,
					    int64_t *until);
/* The life of a certificate that is known, in seconds since 1970; else false. */
bool registry_life(struct registry *r, const unsigned char fingerprint[STREAM_FINGERPRINT],
		   int64_t *not_before, int64_t *not_after);
/* Of a certificate that was judged REVOKED: what happened to it, in words. *compromised: others may
 * have its key. */
const char *registry_lost(struct registry *r, const unsigned char fingerprint[STREAM_FINGERPRINT],
			  bool *compromised);
/* Whether a device of this name may connect, and which it is: ALLOW, DISABLED or UNKNOWN_DEVICE.
 * *device_id is written when there is one. */
enum handshake_verdict registry_named(struct registry *r, struct str name, uint64_t *device_id);
/* The name of a device, enabled or not; "" when there is none of that number. */
enum { REGISTRY_NAME = 65 };
void registry_name_of(struct registry *r, uint64_t device_id, char out[REGISTRY_NAME]);
/* The certificates (DER) that may issue clients; copied into *der, each behind a 32-bit length. */
void registry_authorities(struct registry *r, struct buf *der);
struct registry_size {
	size_t devices;
	size_t certificates;
	size_t rules;
};
void registry_size(struct registry *r, struct registry_size *out);
