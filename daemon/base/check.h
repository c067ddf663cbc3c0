/* SPDX-License-Identifier: Apache-2.0
 *
 * CHECK(condition): an assertion that stays in release builds. It states what the program itself
 * guarantees and must never be reachable by what a peer sends.
 */
#pragma once

#include "daemon/base/defs.h"

void check_failed(const char *file, int line, const char *what) NORETURN;

#define CHECK(condition)                                              \
	do {                                                          \
		if (__builtin_expect(!(condition), 0))                \
			check_failed(__FILE__, __LINE__, #condition); \
	} while (0)
