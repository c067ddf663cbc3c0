/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse status: how the gateway does at one glance, what needs a look first. The security check
 * and the log of events are asked as well; without their answers it tells the rest.
 */
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { RATE_SECONDS = 2 }; /* the figures of the broker are up to a second old */

static const double GIB = 1024.0 * 1024 * 1024;
static const double MIB = 1024.0 * 1024;

static void label(const char *text)
{
	printf("%-13s ", text);
}

/* "all serve", or those that do not. */
static void print_processes(const json_t *status)
{
	size_t i;
	const json_t *p;
	long long restarts = 0;
	const char *before = "";
	label("Processes");
	json_array_foreach(json_object_get(status, "processes"), i, p)
	{
		restarts += number_of(p, "restarts");
		if (strcmp(text_of(p, "state"), "serving") == 0)
			continue;
		printf("%s%s is %s", before, text_of(p, "name"), text_of(p, "state"));
		before = ", ";
	}
	printf("%s", before[0] ? "" : "all serve");
	if (restarts)
		printf("; %lld restart%s", restarts, plural(restarts));
	printf("\n");
}

static void print_devices(const json_t *status)
{
	const json_t *devices = json_object_get(status, "devices");
	const json_t *certificates = json_object_get(status, "certificates");
	const long long connections = number_of(status, "connections");
	const long long total = number_of(devices, "total");
	const long long off = total - number_of(devices, "enabled");
	label("Devices");
	printf("%lld of %lld connected; %lld connection%s", number_of(devices, "connected"), total,
	       connections, plural(connections));
	if (off)
		printf("; %lld disabled", off);
	printf("\n");
	label("Certificates");
	printf("%lld good", number_of(certificates, "good"));
	if (number_of(certificates, "expiring"))
		printf(", %lld of them end%s within 30 days", number_of(certificates, "expiring"),
		       number_of(certificates, "expiring") == 1 ? "s" : "");
	if (number_of(certificates, "expired"))
		printf(", %lld ended", number_of(certificates, "expired"));
	if (number_of(certificates, "revoked"))
		printf(", %lld revoked", number_of(certificates, "revoked"));
	printf("\n");
	label("Rules");
	printf("%lld; %lld role%s\n", number_of(status, "rules"), number_of(status, "roles"),
	       plural(number_of(status, "roles")));
}

/* What it counted since the broker started; what was dropped or refused only when there is some. */
static void print_messages(const json_t *status)
{
	const json_t *counters = json_object_get(status, "counters");
	const char *key;
	json_t *value;
	long long dropped = 0;
	json_object_foreach((json_t *)(uintptr_t)counters, key, value) dropped +=
		strncmp(key, "messages.dropped.", 17) == 0 ? json_integer_value(value) : 0;
	label("Messages");
	printf("%lld in, %lld out", number_of(counters, "messages.received"),
	       number_of(counters, "messages.sent"));
	if (number_of(counters, "messages.queued"))
		printf(", %lld waiting", number_of(counters, "messages.queued"));
	if (number_of(counters, "messages.denied"))
		printf(", %lld denied", number_of(counters, "messages.denied"));
	if (dropped)
		printf(", %lld dropped", dropped);
	printf("\n");
}

static double per_second(const json_t *before, const json_t *after, const char *name)
{
	const long long n = number_of(json_object_get(after, "counters"), name) -
			    number_of(json_object_get(before, "counters"), name);
	return (double)(n > 0 ? n : 0) / RATE_SECONDS;
}

static void print_rate(const json_t *before, const json_t *after)
{
	label("Each second");
	printf("%.1f messages in, %.1f out; %.0f bytes in, %.0f out\n",
	       per_second(before, after, "messages.received"),
	       per_second(before, after, "messages.sent"),
	       per_second(before, after, "bytes.received"),
	       per_second(before, after, "bytes.sent"));
}

static void print_storage(const json_t *status)
{
	const json_t *spool = json_object_get(status, "spool");
	const json_t *kept = json_object_get(spool, "kept");
	const json_t *bytes = json_object_get(spool, "bytes");
	const json_t *disk = json_object_get(status, "disk");
	label("Kept");
	printf("%lld session%s, %lld message%s queued, %lld retained; %.1f of %.0f MiB",
	       number_of(kept, "sessions"), plural(number_of(kept, "sessions")),
	       number_of(kept, "queued"), plural(number_of(kept, "queued")),
	       number_of(kept, "retained"), (double)number_of(bytes, "used") / MIB,
	       (double)number_of(bytes, "max") / MIB);
	if (!json_is_true(json_object_get(spool, "ok")))
		printf("; the spool is %s", text_of(spool, "state"));
	printf("\n");
	label("Disk");
	printf("%.1f GiB free of %.1f GiB\n", (double)number_of(disk, "free") / GIB,
	       (double)number_of(disk, "total") / GIB);
	if (!json_is_true(json_object_get(json_object_get(status, "clock"), "ok"))) {
		label("Clock");
		printf("wrong, it is behind a time that has been: set it (timedatectl)\n");
	}
}

static void print_security(const struct invocation *in)
{
	static const char *const severities[] = {"critical", "high", "medium", "low"};
	json_t *answer = NULL;
	const char *before = ": ";
	if (request_send(in, "GET", "/api/v1/security", NULL, &answer) == 200) {
		const json_t *open = json_object_get(answer, "open");
		label("Security");
		printf("%lld of 100", number_of(answer, "score"));
		for (size_t i = 0; i < ARRAY_LEN(severities); i++) {
			if (!number_of(open, severities[i]))
				continue;
			printf("%s%lld %s", before, number_of(open, severities[i]), severities[i]);
			before = ", ";
		}
		printf("%s\n", before[0] == ',' ? " (gatehouse security check)" : "");
	}
	json_decref(answer);
}

/* What nobody has looked at yet. */
static void print_open_events(const struct invocation *in)
{
	json_t *answer = NULL;
	size_t i;
	json_t *event;
	if (request_send(in, "GET", "/api/v1/events?last=5&severity=warning&state=open", NULL,
			 &answer) == 200) {
		if (!in->utc)
			times_localise(answer);
		json_array_foreach(json_object_get(answer, "items"), i, event)
		{
			printf("%s",
			       i ? "" : "\nTo be looked at (gatehouse event acknowledge SEQ):\n");
			print_event(event);
		}
	}
	json_decref(answer);
}

static void print_counters(const json_t *counters)
{
	const char *key;
	json_t *value;
	printf("\nCounted since the broker started:\n");
	json_object_foreach((json_t *)(uintptr_t)counters, key, value)
	{
		/* The bounds as configured are for dashboards: config list shows them. */
		if (json_integer_value(value) != 0 && strncmp(key, "limit.", 6) != 0)
			printf("  %-38s %lld\n", key, (long long)json_integer_value(value));
	}
}

static void show(const struct invocation *in, const json_t *before, const json_t *status)
{
	AUTO_BUF uptime = {0};
	print_duration(&uptime, json_integer_value(json_object_get(status, "uptime")));
	label("Gateway");
	printf("%s, Gatehouse %s\n", text_of(status, "name"), text_of(status, "version"));
	label("Up");
	printf("%s, since %s\n", buf_cstr(&uptime), text_of(status, "started"));
	print_processes(status);
	print_devices(status);
	print_messages(status);
	if (before)
		print_rate(before, status);
	print_storage(status);
	print_security(in);
	label("Settings");
	printf("%s\n\n", text_of(status, "config_path"));
	print_rows("processes", json_object_get(status, "processes"));
	printf("\n");
	print_rows("listeners", json_object_get(status, "listeners"));
	if (json_array_size(json_object_get(status, "server_files"))) {
		printf("\n");
		print_rows("server_files", json_object_get(status, "server_files"));
	}
	print_open_events(in);
	if (invocation_switch(in, "counters"))
		print_counters(json_object_get(status, "counters"));
}

int run_status(struct invocation *in)
{
	json_t *before = NULL;
	json_t *status = NULL;
	int result = EXIT_OK;
	if (invocation_switch(in, "rate")) {
		result = request_command(in, &before);
		if (result == EXIT_OK)
			sleep(RATE_SECONDS);
	}
	if (result == EXIT_OK)
		result = request_command(in, &status);
	if (result == EXIT_OK && in->json)
		print_json_line(status);
	else if (result == EXIT_OK)
		show(in, before, status);
	json_decref(before);
	json_decref(status);
	return result;
}
