/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and addresses of this machine for its server certificates: configured ones, the host name,
 * HOST.local, localhost, and every address of its interfaces but link-local ones. Parent only.
 */
#pragma once

#include "daemon/conf/config.h"

/* Appends a list of strings (strs_put), each once. */
void machine_names(const struct config *c, struct buf *list);
