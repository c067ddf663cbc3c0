/* SPDX-License-Identifier: Apache-2.0
 *
 * The store process: the registry (devices, certificates, access rules, people), passwords, events,
 * and every decision about who may change them; and what must outlive the broker. It holds
 * registry.db, events.db and spool.db below its state directory and has no network. Its inside
 * begins at store.h.
 */
#pragma once

#include "daemon/ipc/child.h"

extern const struct child_hooks store_hooks;
