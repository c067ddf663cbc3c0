/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on the certificate authority: what it is, its lock, its succession, its audit. The
 * vault does it (certs/succession.h), the tables follow. What changes the authority is done on the
 * gateway itself: asked through another way than the control socket it is refused. Main thread of
 * the store.
 *
 * ca.show       authorities: list of {name, generation, kind (root, issuing, cross, external),
 *               subject, state (next, active, retiring, retired, compromised), key (here, away,
 *               locked), fingerprint, not_before, not_after, certificates (good ones that it issued
 *               for devices), pem}; locked: bool; lists_until, staples_until (time or
 *               null: until when revocation lists, and the OCSP responses that listeners staple,
 *               are good); rollover (none, next, retiring);
 *               devices_left (int: devices whose good certificates are all of an authority that
 *               retires); server_certificates: list of certificates
 * ca.csr        csr: str (PEM)
 * ca.check      checked: int (entries of the journal in this part); items: list of {fingerprint,
 *               name, problem}; next: str or null
 * Changes answer as ca.show, and broker and sessions_closed (change.h).
 */
#pragma once

#include "db/ops.h"

/* Forgets a check that was not read to its end. */
void op_ca_check_reset(struct store *s);
