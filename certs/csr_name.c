/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule for names of devices: see csr.h. A file of its own, so that who needs the rule alone
 * does not link GnuTLS. Any thread.
 */
#include "certs/csr.h"
#include "daemon/base/err.h"

#define NAME_RULE \
	"a device name is 1 to 64 of A-Z a-z 0-9 . _ : @ - and starts with a letter or digit"

static bool is_alphanumeric(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_allowed(unsigned char c, size_t at)
{
	return is_alphanumeric(c) || (at > 0 && c && strchr("._:@-", c));
}

int device_name_check(struct str name, struct why *why)
{
	if (name.n == 0)
		return why_set(why, ERR_INVALID, "the device name is empty; " NAME_RULE);
	if (name.n > DEVICE_NAME_MAX)
		return why_set(why, ERR_INVALID, "the device name has %zu bytes; " NAME_RULE,
			       name.n);
	for (size_t i = 0; i < name.n; i++)
		if (!is_allowed((unsigned char)name.p[i], i))
			return why_set(why, ERR_INVALID,
				       "byte %zu of the device name is 0x%02x; " NAME_RULE, i + 1,
				       (unsigned char)name.p[i]);
	return 0;
}
