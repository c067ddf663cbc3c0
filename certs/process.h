/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault process: the only one that holds private keys, of the certificate authority and of the
 * listeners. It has no network and opens files below <state>/vault alone.
 *
 * Main thread, on a loop: the parent's link and the store's requests to issue (issue_service.h).
 * One thread per link of broker, admin and enrol signs their handshakes (tls_service.h).
 */
#pragma once

#include "daemon/ipc/child.h"

extern const struct child_hooks vault_hooks;
