/* SPDX-License-Identifier: Apache-2.0
 *
 * Just-in-time registration: a certificate of an authority outside that a listener trusts
 * (client-ca) came, and no device has it. The store is told; where an administrator trusts that
 * authority to enrol (gatehouse claim), it adds the device, or lets it wait for approval, and the
 * next connection is let in. This one is refused in any case.
 *
 * Whether the client holds the key is not known yet when a handshake is refused. So all that a
 * copied certificate can do is to bring the registration of its owner forward.
 */
#pragma once

#include "daemon/broker/conn.h"

/* der: the certificate, verified up to an authority of the listener. Worker thread. */
void join_tell(struct conn *c, struct str der);
