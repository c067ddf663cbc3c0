/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificates of the registry view: those of devices, by fingerprint, with their life and what
 * became of them; and those of the authorities that may issue such. Whether the device behind a
 * certificate may connect is registry_devices.h.
 *
 * A part of registry.h, which locks: one writer alone, or readers together.
 */
#pragma once

#include "daemon/base/map.h"
#include "daemon/base/str.h"
#include "daemon/net/tls_handshake.h"

struct known_certificate {
	uint64_t device_id;
	int64_t not_before; /* seconds since 1970 */
	int64_t not_after;
	uint8_t status; /* enum cert_status */
	uint8_t reason; /* enum revocation_reason */
};

/* All zero: none. */
struct certs {
	struct map certificates; /* fingerprint -> struct known_certificate, owned */
	struct map authorities;  /* number -> struct authority, owned */
};

/* What one record has said of a certificate. */
struct certs_news {
	unsigned char fingerprint[STREAM_FINGERPRINT];
	bool lost;  /* it was good, and opens less now: another status, device or an earlier end */
	bool moved; /* it is not good, or was not before */
	uint8_t status;
	uint8_t reason;
	int64_t revoked_at; /* seconds since 1970 */
};

void certs_fini(struct certs *s);
/* Take in one reg_cert, one reg_ca record (daemon/ipc/messages.def). gone: it is removed. 0 or
 * ERR_MALFORMED (nothing changed). */
int certs_take(struct certs *s, bool gone, struct str body, struct certs_news *news);
int certs_take_authority(struct certs *s, bool gone, struct str body);
/* NULL when it is not known. Valid until the next certs_take. */
const struct known_certificate *certs_find(const struct certs *s,
					   const unsigned char fingerprint[STREAM_FINGERPRINT]);
/* What happened to a certificate that is no longer good, in words; NULL (not known) is fine.
 * *compromised: others may have its key. */
const char *certs_lost(const struct known_certificate *c, bool *compromised);
/* Appends the DER of all authorities that issue clients, each behind a 32-bit length. */
void certs_issuers(const struct certs *s, struct buf *der);
