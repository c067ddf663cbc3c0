/* SPDX-License-Identifier: Apache-2.0
 *
 * The broker process: TLS sessions, MQTT connections, sessions and the routing of messages.
 *
 * Its main thread is the control thread: the links to parent, store and vault, the registry view,
 * the events and the figures for the store. The data path lives in the workers (worker.h) and in
 * the pool of handshake threads. It opens no file, knows no password and holds no private key.
 */
#pragma once

#include "daemon/ipc/child.h"

extern const struct child_hooks broker_hooks;
