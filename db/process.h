/* SPDX-License-Identifier: Apache-2.0
 *
 * The store process: the registry (devices, certificates, access rules, people), passwords, events,
 * and every decision about who may change them. It holds registry.db and events.db below its state
 * directory and has no network. Its inside begins at store.h.
 */
#pragma once

#include "daemon/ipc/child.h"

extern const struct child_hooks store_hooks;
