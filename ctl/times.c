/* SPDX-License-Identifier: Apache-2.0
 *
 * Times for people: the API says them in UTC; whoever looks at a screen means the clock of that
 * place. They keep their form (RFC 3339) with the offset of the zone, so that nobody takes one for
 * the other.
 */
#include "ctl/ctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SECONDS_END = 19 /* of 2026-11-26T12:00:01 */, TEXT_MAX = 40 };

/* What people and devices write may look like a time, and is shown as they wrote it. */
static bool is_free_text(const char *field)
{
	static const char *const names[] = {"client_id", "device", "filter", "group",  "groups",
					    "kind",      "name",   "note",   "object", "payload",
					    "reason",    "text",   "topic",  "value"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], field) == 0)
			return true;
	return false;
}

/* The text in the zone of this machine; false: it is no time, or the zone is UTC. */
static bool localise(const char *text, char out[TEXT_MAX])
{
	struct tm utc = {0};
	struct tm local;
	char digits[TEXT_MAX];
	const size_t n = strlen(text);
	const char *end = n > SECONDS_END && n < 30 && text[n - 1] == 'Z'
				  ? strptime(text, "%Y-%m-%dT%H:%M:%S", &utc)
				  : NULL;
	if (!end || end != text + SECONDS_END)
		return false;
	const time_t t = timegm(&utc);
	if (!localtime_r(&t, &local) || local.tm_gmtoff == 0)
		return false;
	const long offset = labs(local.tm_gmtoff) / 60;
	strftime(digits, sizeof(digits), "%Y-%m-%dT%H:%M:%S", &local);
	snprintf(out, TEXT_MAX, "%.19s%.*s%c%02u:%02u", digits, (int)(n - SECONDS_END - 1), end,
		 local.tm_gmtoff < 0 ? '-' : '+', (unsigned)(offset / 60) % 100,
		 (unsigned)(offset % 60));
	return true;
}

void times_localise(json_t *answer)
{
	const char *key;
	json_t *value;
	size_t i;
	char text[TEXT_MAX];
	if (json_is_array(answer)) {
		json_array_foreach(answer, i, value) times_localise(value);
		return;
	}
	json_object_foreach(answer, key, value)
	{
		if (!json_is_string(value))
			times_localise(value);
		else if (!is_free_text(key) && localise(json_string_value(value), text))
			json_string_set(value, text);
	}
}
