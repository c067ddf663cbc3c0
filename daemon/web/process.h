/* SPDX-License-Identifier: Apache-2.0
 *
 * The three web processes: one code, three sets of permissions. `admin` serves the interface over
 * HTTPS, `enrol` what devices enrol with, `ctl` the same API as admin on the control socket, where
 * the kernel says who asks. They hold nothing: every operation goes to the store with the caller's
 * credentials. Main thread: loop with the links; libmicrohttpd has a thread per listening socket
 * (http.h).
 */
#pragma once

#include "daemon/ipc/child.h"

extern const struct child_hooks admin_hooks;
extern const struct child_hooks enrol_hooks;
extern const struct child_hooks ctl_hooks;
