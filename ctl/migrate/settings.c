/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds of mosquitto.conf as settings of [broker], and the text of gatehouse.conf, which is read
 * back by the gateway's own parser before anyone gets it.
 */
#include "ctl/migrate/migrate.h"
#include "daemon/base/mem.h"
#include "daemon/conf/load.h"

#include <stdio.h>
#include <stdlib.h>

static const struct bound {
	const char *option;
	const char *key;
	const char *unit; /* appended to the number */
	uint64_t min;
	uint64_t max;
	uint64_t unlimited; /* what 0 becomes; 0: the setting is left out, unless min is 0, too */
} bounds[] = {
	{"message_size_limit", "max-payload", "", 1, 256 * MiB, 0},
	{"max_packet_size", "max-packet", "", 128, 256 * MiB, 0},
	{"max_inflight_messages", "max-inflight", "", 1, 65535, 65535},
	{"max_queued_messages", "max-queued-messages", "", 1, 1000000, 1000000},
	{"max_queued_bytes", "max-queued-bytes", "", 1024, 1024 * MiB, 0},
	{"max_keepalive", "max-keep-alive", "s", 5, 65535, 65535},
	{"sys_interval", "sys-interval", "s", 0, 3600, 0},
};

static void take_bound(struct migration *m, const json_t *section, const struct bound *b)
{
	const char *where;
	const char *text = option_get(section, b->option, &where);
	uint64_t n;
	if (!text)
		return;
	if (str_u64(str_of(text), UINT32_MAX, &n)) {
		migration_error(m, where, "%s is \"%s\"; a whole number is expected", b->option,
				text);
		return;
	}
	if (n == 0 && !b->unlimited && b->min) {
		migration_say(m, CHANGED, where, b->option,
			      "there is always a bound: the default of %s", b->key);
		return;
	}
	const uint64_t fits = n ? MIN(MAX(n, b->min), b->max) : b->unlimited;
	AUTO_CHAR value = mem_printf("%llu%s", (unsigned long long)fits, b->unit);
	json_object_set_new(m->settings, b->key, json_string(value));
	migration_say(m, fits == n ? TAKEN : CHANGED, where, b->option, "%s = %s", b->key, value);
}

/* "14d", "2m": hours, days, weeks, months, years. */
static void take_expiry(struct migration *m, const json_t *section)
{
	static const struct {
		char unit;
		unsigned hours;
	} units[] = {{'h', 1}, {'d', 24}, {'w', 168}, {'m', 730}, {'y', 8760}};
	const char *where;
	const char *text = option_get(section, "persistent_client_expiration", &where);
	const size_t n = text ? strlen(text) : 0;
	uint64_t number = 0;
	unsigned hours = 0;
	if (!text)
		return;
	for (size_t i = 0; i < ARRAY_LEN(units); i++)
		if (text[n - 1] == units[i].unit)
			hours = units[i].hours;
	if (!hours || str_u64((struct str){text, n - 1}, 87600, &number) || number == 0) {
		migration_error(m, where,
				"persistent_client_expiration is \"%s\"; a number and h, d, w, m "
				"or y are expected",
				text);
		return;
	}
	AUTO_CHAR value = mem_printf("%lluh", (unsigned long long)MIN(number * hours, 87600ull));
	json_object_set_new(m->settings, "max-session-expiry", json_string(value));
	migration_say(m, TAKEN, where, "persistent_client_expiration", "max-session-expiry = %s",
		      value);
}

void settings_plan(struct migration *m)
{
	size_t i;
	const json_t *section;
	json_array_foreach(m->sections, i, section)
	{
		for (size_t k = 0; k < ARRAY_LEN(bounds); k++)
			take_bound(m, section, &bounds[k]);
		take_expiry(m, section);
	}
}

/* Two listeners at the port of the interface or of enrolment: those move. */
static void move_own_ports(struct migration *m, struct buf *out)
{
	static const char *const own[][3] = {{"admin", ":8443", "*:9443"},
					     {"enrol", ":8444", "*:9444"}};
	for (size_t k = 0; k < ARRAY_LEN(own); k++) {
		size_t i;
		const json_t *l;
		json_array_foreach(m->listeners, i, l)
		{
			const char *bind = json_string_value(
				json_object_get(json_object_get(l, "keys"), "bind"));
			if (!bind || strlen(bind) < 5 ||
			    strcmp(bind + strlen(bind) - 5, own[k][1]) != 0)
				continue;
			buf_printf(out, "[%s]\nbind = %s\n\n", own[k][0], own[k][2]);
			migration_say(m, CHANGED, bind, own[k][0],
				      "its usual port is a listener's: it is at %s", own[k][2]);
			break;
		}
	}
}

static void put_keys(const json_t *keys, struct buf *out)
{
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)(uintptr_t)keys, key, value)
		buf_printf(out, "%s = %s\n", key, json_string_value(value));
	buf_putc(out, '\n');
}

static bool check(struct migration *m, struct buf *text)
{
	struct config_errors errors = {0};
	struct config *c = NULL;
	const int err = conf_load_texts((struct conf_text){"gatehouse.conf", buf_view(text)},
					(struct conf_text){0}, NULL, 0, &c, &errors);
	for (size_t i = 0; i < errors.n; i++)
		migration_error(m, "the result is not acceptable", "%s", errors.text[i]);
	config_errors_fini(&errors);
	if (err)
		return false;
	config_free(c);
	return true;
}

bool conf_write(struct migration *m, const char *source, struct buf *out)
{
	size_t i;
	const json_t *l;
	buf_printf(out,
		   "# Made by gatehouse migrate from %s.\n"
		   "# gatehouse.conf(5) explains every setting and its default.\n\n",
		   source);
	if (json_object_size(m->settings)) {
		buf_puts(out, "[broker]\n");
		put_keys(m->settings, out);
	}
	json_array_foreach(m->listeners, i, l)
	{
		buf_printf(out, "[listener %s]\n", json_string_value(json_object_get(l, "name")));
		put_keys(json_object_get(l, "keys"), out);
	}
	move_own_ports(m, out);
	return m->errors == 0 && check(m, out);
}
