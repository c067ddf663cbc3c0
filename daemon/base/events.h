/* SPDX-License-Identifier: Apache-2.0
 *
 * The catalogue of events.def as C types.
 */
#pragma once

#include "daemon/base/str.h"

enum severity {
	SEVERITY_DEBUG,
	SEVERITY_INFO,
	SEVERITY_NOTICE,
	SEVERITY_WARNING,
	SEVERITY_ERROR,
	SEVERITY_CRITICAL,
	SEVERITY_COUNT
};

enum event {
#define EVENT(NAME, name, severity, text) EVENT_##NAME,
#include "daemon/base/events.def"
	EVENT_COUNT
};

/* The argument must be below EVENT_COUNT (SEVERITY_COUNT). */
const char *event_name(enum event event); /* "client.connected" */
enum severity event_severity(enum event event);
const char *event_text(enum event event);
const char *severity_name(enum severity severity); /* "info" */
/* 0 or ERR_NOT_FOUND. */
int severity_by_name(struct str name, enum severity *out);
