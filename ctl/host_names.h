/* SPDX-License-Identifier: Apache-2.0
 *
 * The names and addresses under which a server's certificate may be reached, and whether a host is
 * among them (RFC 6125, RFC 9525: DNS names and addresses of the subject alternative name; the
 * common name does not count). For people who give --host.
 */
#pragma once

#include "ctl/ctl.h"

/* What a certificate (DER) is for: appends "gw, gw.local, 192.0.2.7" to names; *listed: whether the
 * host is among them. 0, or ERR_MALFORMED when it cannot be read. */
int host_names(struct str der, const char *host, struct buf *names, bool *listed);

/* Warns when devices that reach the gateway as `host` would refuse its certificate. Says nothing
 * when that cannot be told: the listener for devices has a certificate of its own, or the gateway
 * does not answer. */
void host_check(const struct invocation *in, const char *host);
