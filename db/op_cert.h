/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on certificates and authorities, and what the other operations need of them. Main
 * thread of the store.
 *
 * Fields of a certificate:
 *   fingerprint                   bytes, SHA-256 of the DER
 *   serial                        bytes
 *   name                          str, common name; of a server certificate what it serves
 *   device                        str or null: of a server, or of a removed device
 *   profile                       str: device, server
 *   issuer                        str or null, common name of the authority
 *   status                        str: good, expired, revoked, hold, superseded, pending
 *   not_before, not_after         time
 *   issued_at                     time;  issued_by, via (cli, ui, est, rest, mqtt, import, vault):
 * str revoked_at                    time or null;  reason: str or null
 *
 * cert.list     items: list of certificates, unless asked otherwise in the order of issue; next
 * cert.show     a certificate, and pem: str
 * cert.add      device: str; certificate: object (issue.h)
 * cert.import   a certificate
 * cert.revoke   items: list of certificates that were revoked
 * cert.hold     a certificate: revoked until cert.release takes that back
 * cert.release  a certificate
 * Changes also answer broker and sessions_closed (change.h).
 */
#pragma once

#include "db/ops.h"

/* Appends the fields of a certificate. */
void cert_put(struct store *s, int64_t id, struct buf *out);
/* Appends the list "certificates" of a device. */
void cert_put_of_device(struct store *s, int64_t device_id, struct buf *out);
/* Appends the list "server_certificates": those of the gateway that have not ended. */
void cert_put_servers(struct store *s, struct buf *out);
/* Within a change: revokes every certificate of the device that is not revoked yet. How many. */
int64_t cert_revoke_all(struct op_call *c, int64_t device_id, int reason);
