/* SPDX-License-Identifier: Apache-2.0
 *
 * Why something was refused: see why.h. Any thread.
 */
#include "daemon/base/why.h"

#include <stdarg.h>
#include <stdio.h>

void why_text(struct why *why, const char *fmt, ...)
{
	if (!why)
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	for (char *p = why->text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
}
