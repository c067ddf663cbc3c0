/* SPDX-License-Identifier: Apache-2.0
 *
 * Patterns for names: see pattern.h.
 */
#include "db/pattern.h"
#include "certs/csr.h"

bool pattern_check(struct str pattern)
{
	char name[DEVICE_NAME_MAX];
	size_t stars = 0;
	if (pattern.n == 0 || pattern.n > sizeof(name))
		return false;
	for (size_t i = 0; i < pattern.n; i++) {
		const bool star = pattern.p[i] == '*';
		stars += star;
		name[i] = star ? 'a' : pattern.p[i];
	}
	return stars >= 1 && stars <= PATTERN_STARS &&
	       device_name_check(str_make(name, pattern.n), NULL) == 0;
}

/* Where something does not fit the last star takes one letter more; an earlier one could gain
 * nothing by it. */
bool pattern_match(struct str pattern, struct str name)
{
	size_t at = 0;
	size_t star = SIZE_MAX; /* the last one, and where the name was then */
	size_t mark = 0;
	for (size_t i = 0; i < name.n;) {
		if (at < pattern.n && pattern.p[at] == '*') {
			star = at++;
			mark = i;
		} else if (at < pattern.n && pattern.p[at] == name.p[i]) {
			at++;
			i++;
		} else if (star != SIZE_MAX) {
			at = star + 1;
			i = ++mark;
		} else {
			return false;
		}
	}
	while (at < pattern.n && pattern.p[at] == '*')
		at++;
	return at == pattern.n;
}
