/* SPDX-License-Identifier: Apache-2.0
 *
 * Catalogue of events: see events.h. Constant data, any thread.
 */
#include "daemon/base/events.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"

static const struct {
	const char *name;
	enum severity severity;
	const char *text;
} events[EVENT_COUNT] = {
#define EVENT(NAME, name, severity, text) {name, SEVERITY_##severity, text},
#include "daemon/base/events.def"
};

static const char *const severities[SEVERITY_COUNT] = {"debug",   "info",  "notice",
						       "warning", "error", "critical"};

const char *event_name(enum event event)
{
	CHECK(event < EVENT_COUNT);
	return events[event].name;
}

enum severity event_severity(enum event event)
{
	CHECK(event < EVENT_COUNT);
	return events[event].severity;
}

const char *event_text(enum event event)
{
	CHECK(event < EVENT_COUNT);
	return events[event].text;
}

const char *severity_name(enum severity severity)
{
	CHECK(severity < SEVERITY_COUNT);
	return severities[severity];
}

int severity_by_name(struct str name, enum severity *out)
{
	for (unsigned i = 0; i < SEVERITY_COUNT; i++) {
		if (str_is(name, severities[i])) {
			*out = i;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}
