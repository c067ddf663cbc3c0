/* SPDX-License-Identifier: Apache-2.0
 *
 * $SYS topics: see sys.h.
 */
#include "daemon/broker/sys.h"
#include "daemon/base/clock.h"
#include "daemon/broker/control.h"
#include "daemon/broker/sheet.h"

#include "config.h"

#include <stdio.h>

/* What the topics are made of. */
struct figures {
	struct stats stats;
	uint64_t dropped;
	uint64_t stored;
	uint64_t stored_bytes;
	uint64_t disconnected;
	uint64_t maximum;
};

/* Topics that are one number; several have two names, as with Mosquitto. */
static const struct {
	const char *topic;
	size_t at;
} number[] = {
	{"bytes/received", offsetof(struct figures, stats.bytes_in)},
	{"bytes/sent", offsetof(struct figures, stats.bytes_out)},
	{"clients/active", offsetof(struct figures, stats.clients)},
	{"clients/connected", offsetof(struct figures, stats.clients)},
	{"clients/disconnected", offsetof(struct figures, disconnected)},
	{"clients/expired", offsetof(struct figures, stats.expired)},
	{"clients/inactive", offsetof(struct figures, disconnected)},
	{"clients/maximum", offsetof(struct figures, maximum)},
	{"clients/total", offsetof(struct figures, stats.sessions)},
	{"messages/received", offsetof(struct figures, stats.packets_in)},
	{"messages/sent", offsetof(struct figures, stats.packets_out)},
	{"messages/stored", offsetof(struct figures, stored)},
	{"publish/bytes/received", offsetof(struct figures, stats.payload_in)},
	{"publish/bytes/sent", offsetof(struct figures, stats.payload_out)},
	{"publish/messages/dropped", offsetof(struct figures, dropped)},
	{"publish/messages/received", offsetof(struct figures, stats.messages_in)},
	{"publish/messages/sent", offsetof(struct figures, stats.messages_out)},
	{"retained messages/count", offsetof(struct figures, stats.retained)},
	{"shared_subscriptions/count", offsetof(struct figures, stats.shared)},
	{"store/messages/bytes", offsetof(struct figures, stored_bytes)},
	{"store/messages/count", offsetof(struct figures, stored)},
	{"subscriptions/count", offsetof(struct figures, stats.subscriptions)},
};

/* What is counted per minute and averaged. */
static const struct {
	const char *topic;
	size_t at;
} load[SYS_LOADS] = {
	{"bytes/received", offsetof(struct figures, stats.bytes_in)},
	{"bytes/sent", offsetof(struct figures, stats.bytes_out)},
	{"connections", offsetof(struct figures, stats.connects)},
	{"messages/received", offsetof(struct figures, stats.packets_in)},
	{"messages/sent", offsetof(struct figures, stats.packets_out)},
	{"publish/dropped", offsetof(struct figures, dropped)},
	{"publish/received", offsetof(struct figures, stats.messages_in)},
	{"publish/sent", offsetof(struct figures, stats.messages_out)},
	{"sockets", offsetof(struct figures, stats.accepted)},
	{"publish/bytes/received", offsetof(struct figures, stats.payload_in)},
	{"publish/bytes/sent", offsetof(struct figures, stats.payload_out)},
};

/* Weights of what was before, after one second: exp(-1/60), exp(-1/300), exp(-1/900). */
static const struct {
	const char *name;
	double keep;
} span[SYS_SPANS] = {
	{"1min", 0.983471453821617},
	{"5min", 0.996672216054849},
	{"15min", 0.998889505825424},
};

static struct figures figures_of(const struct stats *s, const struct sys *sys)
{
	return (struct figures){
		.stats = *s,
		.dropped = s->dropped_slow + s->dropped_full + s->dropped_expired +
			   s->dropped_large + s->dropped_memory + s->dropped_aged +
			   s->dropped_store,
		.stored = s->queued + s->retained,
		.stored_bytes = s->queued_bytes + s->retained_bytes,
		.disconnected = s->sessions - MIN(s->sessions, s->clients),
		.maximum = sys->maximum,
	};
}

static uint64_t figure(const struct figures *f, size_t at)
{
	uint64_t value;
	memcpy(&value, (const char *)f + at, sizeof(value));
	return value;
}

/* ---- computing --------------------------------------------------------------------------------
 */

static void average(struct sys *sys, const struct figures *now, const struct figures *before,
		    uint64_t seconds)
{
	for (size_t i = 0; i < SYS_LOADS; i++) {
		const uint64_t delta = figure(now, load[i].at) - figure(before, load[i].at);
		const double per_minute = 60.0 * (double)delta / (double)seconds;
		for (size_t k = 0; k < SYS_SPANS; k++)
			for (uint64_t n = 0; n < MIN(seconds, UINT64_C(3600)); n++)
				sys->load[i][k] = per_minute * (1 - span[k].keep) +
						  sys->load[i][k] * span[k].keep;
	}
}

/* ---- publishing -------------------------------------------------------------------------------
 */

static void say(struct sheet *s, const char *topic, const char *payload)
{
	buf_printf(&s->text, "$SYS/broker/%s%c%s%c", topic, 0, payload, 0);
}

/* value: NULL takes the topics away. */
static void say_numbers(struct sheet *s, const struct figures *value)
{
	char text[32] = "";
	for (size_t i = 0; i < sizeof(number) / sizeof(number[0]); i++) {
		if (value)
			snprintf(text, sizeof(text), "%llu",
				 (unsigned long long)figure(value, number[i].at));
		say(s, number[i].topic, text);
	}
}

static void say_loads(struct sheet *s, const struct sys *sys)
{
	char topic[64], text[32] = "";
	for (size_t i = 0; i < SYS_LOADS; i++) {
		for (size_t k = 0; k < SYS_SPANS; k++) {
			snprintf(topic, sizeof(topic), "load/%s/%s", load[i].topic, span[k].name);
			if (sys)
				snprintf(text, sizeof(text), "%.2f", sys->load[i][k]);
			say(s, topic, text);
		}
	}
}

static void send_sheet(struct control *k, const struct figures *value)
{
	struct sheet *s = sheet_new(k->broker.worker[0]);
	char uptime[32] = "";
	s->quiet = true;
	if (value)
		snprintf(uptime, sizeof(uptime), "%llu seconds",
			 (unsigned long long)(k->sys.computed_s - k->sys.started_s));
	say(s, "version", value ? "gatehouse " PACKAGE_VERSION : "");
	say(s, "uptime", uptime);
	say_numbers(s, value);
	say_loads(s, value ? &k->sys : NULL);
	sheet_post(s);
}

void sys_second(struct control *k, const struct stats *stats, bool wanted)
{
	struct sys *sys = &k->sys;
	const uint64_t now_s = clock_mono_ms() / 1000;
	const uint64_t interval_s = k->settings->config->broker.sys_interval / 1000;
	if (!sys->computed_s)
		sys->started_s = now_s;
	sys->maximum = MAX(sys->maximum, stats->clients);
	const struct figures now = figures_of(stats, sys), before = figures_of(&sys->before, sys);
	if (sys->computed_s && now_s > sys->computed_s)
		average(sys, &now, &before, now_s - sys->computed_s);
	sys->before = *stats;
	sys->computed_s = now_s;
	if (!wanted || interval_s == 0) {
		if (sys->present)
			send_sheet(k, NULL);
		sys->present = false;
	} else if (!sys->present || now_s - sys->published_s >= interval_s) {
		send_sheet(k, &now);
		sys->published_s = now_s;
		sys->present = true;
	}
}
