/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages of the gateway to one device: NOTICE of the store goes to those of its sessions that are
 * connected and subscribe to the topic, and to nobody else. The rules of the session are judged as
 * for any delivery. Control thread.
 */
#pragma once

#include "daemon/ipc/link.h"

/* A link_handler. */
int notice_received(struct link *l, struct record *r);
