/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway makes the bundle: a device's key, its certificate and all that it needs beside them
 * in one file, for devices and people that cannot make a key (POST /api/v1/bundles adds a device,
 * POST /api/v1/devices/{device}/bundle is for one that is there).
 *
 * The key is made here, in memory, and only its public half goes to the store, which judges the
 * caller and has it certified as for any request. The file is given once, to the request that asked
 * for it: no message, no log and no memory of requests (repeat.h) has the key or the passphrase,
 * and all of it is wiped when the answer is handed over. Main thread; the arithmetic in aside.h.
 */
#pragma once

#include "daemon/ipc/op.h"
#include "daemon/web/http.h"

#define BUNDLES_PATH       "/api/v1/bundles"
#define DEVICE_BUNDLE_PATH "/api/v1/devices/{device}/bundle"

struct web;

/* What they take beside the arguments of device.add or cert.add (without csr), for the
 * description. */
const struct op_spec *bundle_own_spec(void);
/* Answers the two paths; false: another one. */
bool bundle_handle(struct web *w, struct http_request *r);
/* Answers what waits for the store with 503; what is still done aside (aside.h) is answered in the
 * next turn of the loop. */
void bundle_stop(struct web *w);
