/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets that a person types: without echo on a terminal, else a line of standard input each.
 */
#pragma once

#include "daemon/base/secret.h"

/* What is being asked for, its bounds in bytes. twice: on a terminal the same is asked again. False
 * after a message: nothing was typed, too short, too long, not the same, not UTF-8. */
bool passphrase_ask(const char *prompt, bool twice, size_t min, size_t max,
		    struct buf *out) MUST_CHECK;
