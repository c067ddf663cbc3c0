/* SPDX-License-Identifier: Apache-2.0
 *
 * Handling of secrets: wiped after use, compared in constant time, never logged.
 */
#pragma once

#include "daemon/base/str.h"

void secret_wipe(void *p, size_t n);           /* cannot be optimised away */
bool secret_equal(struct str a, struct str b); /* time depends on the lengths only */
void secret_random(void *p, size_t n);         /* from the kernel; aborts when it fails */
void secret_buf_fini(struct buf *b);           /* wipes, then frees */
#define AUTO_SECRET __attribute__((cleanup(secret_buf_fini))) struct buf
