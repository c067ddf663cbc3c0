/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and addresses of this machine for its server certificates: the host name, HOST.local,
 * localhost, and every address of its interfaces but link-local ones. Those of the configuration
 * the vault knows itself. Parent only.
 */
#pragma once

#include "daemon/base/str.h"

/* Appends a list of strings (strs_put), each once. */
void machine_names(struct buf *list);
