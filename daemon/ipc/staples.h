/* SPDX-License-Identifier: Apache-2.0
 *
 * STAPLES as a process with listeners takes it: the responses go to the table of net/tls_staple.h.
 */
#pragma once

#include "daemon/ipc/link.h"

/* A link_handler. */
int staples_received(struct link *l, struct record *r);
