/* SPDX-License-Identifier: Apache-2.0
 *
 * The security check: see security.h.
 */
#include "db/security.h"
#include "daemon/base/clock.h"
#include "daemon/net/addr.h"
#include "db/op_backup.h"
#include "db/ops.h"
#include "db/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

enum grade { LOW, MEDIUM, HIGH, CRITICAL, GRADES };
enum finding {
#define FINDING(ID, id, severity, fix, command, page) FINDING_##ID,
#include "db/findings.def"
	FINDINGS
};

static const struct {
	const char *id;
	enum grade severity;
	const char *fix;
	const char *command;
	const char *page;
} kind[FINDINGS] = {
#define FINDING(ID, id, severity, fix, command, page) {id, severity, fix, command, page},
#include "db/findings.def"
};

static const char *const grade_name[] = {"low", "medium", "high", "critical"};
static const int cost[] = {3, 8, 20, 40};

enum {
	DAY = 24 * 3600,
	SOON = 14 * DAY,        /* certificates of devices, renewed by hand */
	SERVER_SOON = 10 * DAY, /* made anew by itself long before */
	CA_SOON = 180 * DAY,
	KEY_OLD = 2 * 365 * DAY,
	BACKUP_OLD = 30 * DAY,
	TOKEN_LONG = 366 * DAY,
	CODE_LONG = 90 * DAY,
	CODE_USES = 100,
	SETTLED = 7 * DAY, /* what is younger is perhaps still being set up */
	KEEP_DAYS = 30,
	EVENTS_LOOKED_AT = 20000,
	SHARED_LOOKED_AT = 64, /* devices with several connections */
	CONNECTIONS_OF_ONE = 100,
	DISK_PERCENT = 5,
};

struct look {
	struct store *s;
	struct str settings;
	bool names; /* of people and tokens are told */
	int64_t now;
	struct buf part[GRADES];
	struct buf muted;
	int64_t open[GRADES];
};

/* What a finding is about. */
struct objects {
	struct buf list; /* inside of a list of rec.h */
	int64_t n;
};

static void add(struct objects *o, struct str name)
{
	if (o->n++ < FINDING_OBJECTS)
		rec_str(&o->list, "", name);
}

/* ---- telling ---- */

static bool put_muted(struct look *k, const char *id, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(
		k->s->registry, "SELECT reason, by, at FROM muted WHERE finding = ?", sql_text(id));
	if (!sql_next(&q)) {
		rec_null(out, "muted");
		return false;
	}
	rec_object(out, "muted");
	rec_str(out, "reason", sql_at_str(&q, 0));
	rec_str(out, "by", sql_at_str(&q, 1));
	op_put_time(out, "at", sql_at_int(&q, 2));
	rec_end(out);
	return true;
}

static void put_text(struct buf *out, const char *name, const char *text)
{
	if (text[0])
		rec_text(out, name, text);
	else
		rec_null(out, name);
}

/* Takes the objects, which may be NULL. */
static void PRINTF_LIKE(4, 5)
	found(struct look *k, enum finding f, struct objects *o, const char *fmt, ...)
{
	AUTO_BUF what = {0};
	AUTO_BUF one = {0};
	const enum grade severity = kind[f].severity;
	va_list ap;
	va_start(ap, fmt);
	buf_vprintf(&what, fmt, ap);
	va_end(ap);
	rec_object(&one, "");
	rec_text(&one, "id", kind[f].id);
	rec_text(&one, "severity", grade_name[severity]);
	rec_str(&one, "what", buf_view(&what));
	rec_text(&one, "fix", kind[f].fix);
	put_text(&one, "command", kind[f].command);
	put_text(&one, "page", kind[f].page);
	rec_int(&one, "count", o ? o->n : 1);
	rec_list(&one, "objects");
	if (o)
		buf_str(&one, buf_view(&o->list));
	rec_end(&one);
	const bool muted = put_muted(k, kind[f].id, &one);
	rec_end(&one);
	buf_str(muted ? &k->muted : &k->part[severity], buf_view(&one));
	k->open[severity] += !muted;
	if (o)
		buf_fini(&o->list);
}

/* Their lists are for the level admin. */
static bool is_about_people(enum finding f)
{
	return f == FINDING_NO_TOTP || f == FINDING_TOKEN_LONG || f == FINDING_TOKEN_WIDE;
}

/* The first column of every row is an object; found when there are any. */
static void rows(struct look *k, enum finding f, struct sql_query q, const char *one,
		 const char *many)
{
	struct objects o = {0};
	while (sql_next(&q))
		add(&o, sql_at_str(&q, 0));
	sql_query_end(&q);
	if (is_about_people(f) && !k->names)
		buf_fini(&o.list);
	if (o.n == 1)
		found(k, f, &o, "%s", one);
	else if (o.n)
		found(k, f, &o, "%lld %s", (long long)o.n, many);
}

/* ---- settings ---- */

static struct str setting(const struct look *k, const char *key)
{
	struct cur c = cur_of(k->settings);
	struct rec_value item;
	struct str name;
	struct str value = STR("");
	while (rec_next(&c, &item))
		if (rec_get_str(item.text, "key", &name) && str_is(name, key)) {
			rec_get_str(item.text, "value", &value);
			break;
		}
	return value;
}

static struct str listener_setting(const struct look *k, struct str listener, const char *key)
{
	char name[160];
	snprintf(name, sizeof(name), "listener.%.*s.%s", STR_ARG(listener), key);
	return setting(k, name);
}

static bool next_word(struct str *rest, struct str *word)
{
	while (rest->p) {
		*word = str_trim(str_split(rest, ' '));
		while (word->n && word->p[word->n - 1] == ',')
			word->n--;
		if (word->n)
			return true;
	}
	return false;
}

/* Is one of these addresses reachable from other machines? */
static bool is_open(struct str addresses)
{
	struct str word;
	struct addr a;
	while (next_word(&addresses, &word))
		if (addr_parse(word, &a) || !addr_is_loopback(&a))
			return true;
	return false;
}

static bool is_everywhere(struct str addresses)
{
	struct str word;
	while (next_word(&addresses, &word))
		if (str_prefix(word, STR("*:")) || str_prefix(word, STR("0.0.0.0:")) ||
		    str_prefix(word, STR("[::]:")))
			return true;
	return false;
}

/* "listener.NAME.bind" */
static bool listener_of(struct str key, struct str *name)
{
	const struct str head = STR("listener.");
	const struct str tail = STR(".bind");
	if (key.n <= head.n + tail.n || !str_prefix(key, head) ||
	    !str_eq(str_make(key.p + key.n - tail.n, tail.n), tail))
		return false;
	*name = str_make(key.p + head.n, key.n - head.n - tail.n);
	return true;
}

static void check_listeners(struct look *k)
{
	struct cur c = cur_of(k->settings);
	struct rec_value item;
	struct objects plain = {0};
	struct objects anonymous = {0};
	while (rec_next(&c, &item)) {
		struct str key;
		struct str name;
		struct str bind = STR("");
		rec_get_str(item.text, "value", &bind);
		if (!rec_get_str(item.text, "key", &key) || !listener_of(key, &name) ||
		    !is_open(bind))
			continue;
		if (str_is(listener_setting(k, name, "tls"), "off") &&
		    listener_setting(k, name, "allow-from").n == 0)
			add(&plain, name);
		if (str_is(listener_setting(k, name, "auth"), "anonymous"))
			add(&anonymous, name);
	}
	if (plain.n)
		found(k, FINDING_PLAINTEXT, &plain,
		      "Everyone on the way to %lld listener%s without TLS reads passwords and "
		      "messages, and can change them.",
		      (long long)plain.n, plain.n == 1 ? "" : "s");
	if (anonymous.n)
		found(k, FINDING_ANONYMOUS, &anonymous,
		      "Anyone in the networks of allow-from may connect to %lld listener%s, as "
		      "nobody.",
		      (long long)anonymous.n, anonymous.n == 1 ? "" : "s");
}

static bool keeps_too_short(struct str keep)
{
	uint64_t n = 0;
	if (keep.n < 2 || str_u64(str_make(keep.p, keep.n - 1), INT64_MAX, &n))
		return false;
	return (keep.p[keep.n - 1] == 'd' && n < KEEP_DAYS) ||
	       (keep.p[keep.n - 1] == 'h' && n < KEEP_DAYS * 24);
}

static void check_settings(struct look *k)
{
	const struct str admin = setting(k, "admin.bind");
	const struct str keep = setting(k, "events.keep");
	if (str_is(setting(k, "gateway.sandbox"), "off"))
		found(k, FINDING_SANDBOX, NULL, "The processes are not confined.");
	if (is_everywhere(admin) && setting(k, "admin.allow-from").n == 0)
		found(k, FINDING_ADMIN_EXPOSED, NULL,
		      "The interface listens on every address (%.*s).", STR_ARG(admin));
	if (str_is(setting(k, "broker.on-expiry"), "keep"))
		found(k, FINDING_FOR_EVER, NULL, "Certificates count beyond their end, for ever.");
	if (str_is(setting(k, "enrol.approval"), "anyone"))
		found(k, FINDING_APPROVAL, NULL,
		      "Whoever reaches the enrolment port may ask for a certificate; a person "
		      "decides.");
	if (str_is(setting(k, "enrol.server-keygen"), "on"))
		found(k, FINDING_SERVER_KEYGEN, NULL,
		      "The gateway makes private keys, which travel to their devices.");
	if (str_is(setting(k, "log.level"), "error"))
		found(k, FINDING_LOG_OFF, NULL, "The journal has only errors.");
	else if (str_is(setting(k, "log.access"), "off"))
		found(k, FINDING_LOG_OFF, NULL, "Connections leave no line in the journal.");
	if (keeps_too_short(keep))
		found(k, FINDING_EVENTS_SHORT, NULL, "Events are kept for %.*s only.",
		      STR_ARG(keep));
}

/* ---- people and programs ---- */

static void check_people(struct look *k)
{
	int64_t n = 0;
	SQL_GET_INT(k->s->registry, &n, "SELECT count(*) FROM administrator WHERE enabled");
	if (n == 0)
		found(k, FINDING_NO_ADMINISTRATOR, NULL, "There is no administrator yet.");
	rows(k, FINDING_NO_TOTP,
	     SQL_QUERY(k->s->registry, "SELECT name FROM administrator WHERE enabled AND level >= "
				       "1 AND totp IS NULL ORDER BY name"),
	     "Somebody who may change things logs in with a password alone.",
	     "people who may change things log in with a password alone.");
	rows(k, FINDING_TOKEN_LONG,
	     SQL_QUERY(k->s->registry, "SELECT name FROM token WHERE expires > ? ORDER BY name",
		       sql_int(k->now + TOKEN_LONG)),
	     "An API token is valid for more than a year.",
	     "API tokens are valid for more than a year.");
	rows(k, FINDING_TOKEN_WIDE,
	     SQL_QUERY(k->s->registry,
		       "SELECT name FROM token WHERE expires > ? AND level = 2 AND operations = "
		       "'' ORDER BY name",
		       sql_int(k->now)),
	     "An API token may do everything.", "API tokens may do everything.");
}

/* ---- certificates and codes ---- */

/* Of people who bring certificates. */
static void check_files(struct look *k)
{
	struct str list = buf_view(&k->s->gateway.certificates);
	struct gateway_certificate c;
	struct objects ending = {0};
	while (gateway_certificate_next(&list, &c))
		if (c.ends < k->now + SERVER_SOON)
			add(&ending, c.name);
	if (ending.n)
		found(k, FINDING_FILE_ENDS, &ending,
		      "%lld server certificate%s out of a file ended%s within 10 days.",
		      (long long)ending.n, ending.n == 1 ? "" : "s", " or will end");
	buf_fini(&ending.list);
}

static void check_certificates(struct look *k)
{
	struct sql *db = k->s->registry;
	rows(k, FINDING_SERVER_ENDS,
	     SQL_QUERY(db,
		       "SELECT name FROM cert WHERE profile = 'server' AND status = 0 AND "
		       "not_after < ? ORDER BY name",
		       sql_int(k->now + SERVER_SOON)),
	     "A certificate of the gateway itself ends within 10 days.",
	     "certificates of the gateway itself end within 10 days.");
	rows(k, FINDING_CERTIFICATE_ENDED,
	     SQL_QUERY(db,
		       "SELECT DISTINCT d.name FROM cert c JOIN device d ON d.id = c.device_id "
		       "WHERE c.profile = 'device' AND c.status = 0 AND c.not_after <= ?1 AND NOT "
		       "EXISTS(SELECT 1 FROM cert n WHERE n.device_id = c.device_id AND n.status = "
		       "0 AND n.not_after > ?1) LIMIT 1000",
		       sql_int(k->now)),
	     "A device has only a certificate that has ended.",
	     "devices have only certificates that have ended.");
	rows(k, FINDING_CERTIFICATE_ENDS,
	     SQL_QUERY(db,
		       "SELECT DISTINCT d.name FROM cert c JOIN device d ON d.id = c.device_id "
		       "WHERE c.profile = 'device' AND c.status = 0 AND c.not_after > ?1 AND "
		       "c.not_after <= ?2 AND NOT EXISTS(SELECT 1 FROM cert n WHERE n.device_id = "
		       "c.device_id AND n.status = 0 AND n.not_after > ?2) LIMIT 1000",
		       sql_int(k->now), sql_int(k->now + SOON)),
	     "A device has only a certificate that ends within 14 days.",
	     "devices have only certificates that end within 14 days.");
	rows(k, FINDING_HELD,
	     SQL_QUERY(db,
		       "SELECT DISTINCT d.name FROM cert c JOIN device d ON d.id = c.device_id "
		       "WHERE c.profile = 'device' AND c.status = 2 AND c.revoked_at < ? LIMIT "
		       "1000",
		       sql_int(k->now - SETTLED)),
	     "A certificate has been on hold for more than a week.",
	     "devices have certificates that have been on hold for more than a week.");
	rows(k, FINDING_OLD_KEYS,
	     SQL_QUERY(db,
		       "SELECT DISTINCT d.name FROM cert o CROSS JOIN cert c ON c.spki = o.spki "
		       "CROSS JOIN device d ON d.id = c.device_id WHERE o.id < coalesce((SELECT "
		       "id FROM cert WHERE issued_at >= ?2 ORDER BY id LIMIT 1), 1 << 62) AND "
		       "c.status = 0 AND c.not_after > ?1 LIMIT 1000",
		       sql_int(k->now), sql_int(k->now - KEY_OLD)),
	     "A device has had the same key for more than two years.",
	     "devices have had the same key for more than two years.");
	rows(k, FINDING_CODE_WIDE,
	     SQL_QUERY(db,
		       "SELECT coalesce(name, name_pattern, (SELECT name FROM device WHERE id = "
		       "device_id), id) FROM code WHERE uses_left > 0 AND expires > ?1 AND "
		       "replaced IS NULL AND (uses_left > ?2 OR expires > ?3) LIMIT 1000",
		       sql_int(k->now), sql_int(CODE_USES), sql_int(k->now + CODE_LONG)),
	     "An enrolment code opens more than 100 times, or for more than 90 days.",
	     "enrolment codes open more than 100 times, or for more than 90 days.");
}

static void check_authority(struct look *k)
{
	struct sql *db = k->s->registry;
	rows(k, FINDING_ROOT_HERE,
	     SQL_QUERY(db, "SELECT subject FROM ca WHERE kind = 'root' AND key <> 'away' AND "
			   "state IN ('active', 'next', 'retiring')"),
	     "The root's key is on this machine: whoever takes it over can make any certificate.",
	     "root keys are on this machine: whoever takes it over can make any certificate.");
	rows(k, FINDING_CA_ENDS,
	     SQL_QUERY(db,
		       "SELECT subject FROM ca WHERE kind IN ('root', 'issuing') AND state = "
		       "'active' AND not_after < ?",
		       sql_int(k->now + CA_SOON)),
	     "A certificate of the authority ends within half a year.",
	     "certificates of the authority end within half a year.");
	rows(k, FINDING_CRL_OLD,
	     SQL_QUERY(db,
		       "SELECT ca.subject FROM crl JOIN ca ON ca.id = crl.ca_id WHERE "
		       "crl.next_update < ? AND ca.state = 'active'",
		       sql_int(k->now)),
	     "The revocation list has passed its time.",
	     "revocation lists have passed their time.");
}

/* ---- rules ---- */

/* Rules that allow one of these actions on all topics, and ask nothing else. */
static struct sql_query wide_rules(struct look *k, int64_t actions)
{
	return SQL_QUERY(
		k->s->registry,
		"SELECT 'rule ' || rule.id || ': ' || CASE WHEN device_id IS NOT NULL THEN "
		"'device:' || (SELECT name FROM device WHERE id = device_id) WHEN grp_id IS NOT "
		"NULL THEN 'group:' || (SELECT name FROM grp WHERE id = grp_id) WHEN role_id IS "
		"NOT NULL THEN 'role:' || (SELECT name FROM role WHERE id = role_id) ELSE 'any' "
		"END || CASE WHEN learn_until IS NULL THEN '' ELSE ' (learn mode; learn stop ends "
		"it)' END FROM rule WHERE allow = 1 AND literal = 0 AND networks = '' AND actions "
		"& ? "
		"<> 0 AND filter IN ('#', '+/#') ORDER BY rule.id LIMIT 1000",
		sql_int(actions));
}

static void check_rules(struct look *k)
{
	enum { PUBLISH = 1, SUBSCRIBE = 2, RECEIVE = 4 };
	rows(k, FINDING_PUBLISH_ALL, wide_rules(k, PUBLISH),
	     "A rule lets devices publish to all topics: one of them can pretend to be any other.",
	     "rules let devices publish to all topics: one of them can pretend to be any other.");
	rows(k, FINDING_RECEIVE_ALL, wide_rules(k, SUBSCRIBE | RECEIVE),
	     "A rule lets devices read all topics.", "rules let devices read all topics.");
	rows(k, FINDING_PUBLISH_DOLLAR,
	     SQL_QUERY(k->s->registry,
		       "SELECT 'rule ' || id || ': ' || filter FROM rule WHERE allow = 1 AND "
		       "actions & 1 <> 0 AND filter GLOB '$*' AND NOT filter GLOB '${*' AND NOT "
		       "filter GLOB '$gw/*' ORDER BY id LIMIT 1000"),
	     "A rule lets devices publish to topics that begin with $.",
	     "rules let devices publish to topics that begin with $.");
}

/* ---- what is live ---- */

static void address_of(const struct presence_client *c, char out[ADDR_TEXT])
{
	struct addr a;
	if (addr_parse(c->body.address, &a) == 0)
		addr_format_ip(&a, out);
	else
		snprintf(out, ADDR_TEXT, "%.*s", STR_ARG(c->body.address));
}

static bool from_several_addresses(struct look *k, uint64_t device_id)
{
	const struct presence_client *c[CONNECTIONS_OF_ONE];
	const size_t n = presence_page(&k->s->presence, 0, device_id, CONNECTIONS_OF_ONE, c);
	char first[ADDR_TEXT];
	char other[ADDR_TEXT];
	for (size_t i = 0; i < n; i++) {
		address_of(c[i], i ? other : first);
		if (i && strcmp(first, other) != 0)
			return true;
	}
	return false;
}

static void check_shared(struct look *k)
{
	struct objects o = {0};
	size_t at = 0;
	size_t looked_at = 0;
	struct str key;
	void *value;
	while (map_next(&k->s->presence.devices, &at, &key, &value)) {
		uint64_t device_id;
		char name[NAME_SIZE];
		if ((uintptr_t)value < 2 || key.n != sizeof(device_id))
			continue;
		if (looked_at++ == SHARED_LOOKED_AT)
			break; /* each of them looks at all connections */
		memcpy(&device_id, key.p, sizeof(device_id));
		if (from_several_addresses(k, device_id) &&
		    registry_device_name(k->s->registry, (int64_t)device_id, name))
			add(&o, str_of(name));
	}
	if (o.n)
		found(k, FINDING_SHARED, &o,
		      "%lld device%s connected from several addresses at once: the certificate "
		      "or password may have been copied.",
		      (long long)o.n, o.n == 1 ? " is" : "s are");
}

static void check_machine(struct look *k)
{
	struct statvfs disk;
	int64_t devices = 0;
	const int64_t last = backup_last(k->s, NULL);
	int64_t lost = 0;
	struct sql *events = events_db(k->s->events);
	if (!timefloor_ok(&k->s->floor))
		found(k, FINDING_CLOCK, NULL,
		      "The clock is before the build date or jumped back: nothing expires, and "
		      "nothing is issued.");
	if (fstatvfs(k->s->dir_fd, &disk) == 0 && disk.f_blocks &&
	    disk.f_bavail * 100 / disk.f_blocks < DISK_PERCENT)
		found(k, FINDING_DISK, NULL, "Less than 5 percent of the disk are free.");
	SQL_GET_INT(k->s->registry, &devices, "SELECT count(*) FROM device");
	if (devices && last == 0)
		found(k, FINDING_NO_BACKUP, NULL, "There is no backup of keys and registry.");
	else if (devices && last < k->now - BACKUP_OLD)
		found(k, FINDING_NO_BACKUP, NULL, "The last backup is %lld days old.",
		      (long long)((k->now - last) / DAY));
	if (events)
		SQL_GET_INT(events, &lost,
			    "SELECT count(*) FROM event WHERE seq > ? AND time_ms > ? AND reason "
			    "LIKE '% more were not stored'",
			    sql_int(events_last(k->s->events) - EVENTS_LOOKED_AT),
			    sql_int((k->now - DAY) * 1000));
	if (lost)
		found(k, FINDING_EVENTS_LOST, NULL,
		      "Events came faster than they are stored, %lld times since yesterday: some "
		      "are only counted.",
		      (long long)lost);
}

static void check_devices(struct look *k)
{
	rows(k, FINDING_UNUSED,
	     SQL_QUERY(k->s->registry,
		       "SELECT name FROM device WHERE enabled AND verifier IS NULL AND created < "
		       "?1 AND NOT EXISTS(SELECT 1 FROM cert WHERE device_id = device.id AND "
		       "status = 0) AND NOT EXISTS(SELECT 1 FROM code WHERE device_id = device.id "
		       "AND uses_left > 0 AND expires > ?2) LIMIT 1000",
		       sql_int(k->now - SETTLED), sql_int(k->now)),
	     "A device can not connect: it has neither certificate nor password nor code.",
	     "devices can not connect: they have neither certificate nor password nor code.");
}

/* ---- all of it ---- */

static void put_all(struct look *k, struct buf *out)
{
	int64_t score = 100;
	for (size_t i = 0; i < GRADES; i++)
		score -= k->open[i] * cost[i];
	rec_int(out, "score", MAX(score, (int64_t)0));
	rec_int(out, "checks", FINDINGS);
	rec_time(out, "checked", (int64_t)clock_wall_ms());
	rec_object(out, "open");
	for (size_t i = GRADES; i-- > 0;)
		rec_int(out, grade_name[i], k->open[i]);
	rec_end(out);
	rec_list(out, "findings");
	for (size_t i = GRADES; i-- > 0;) {
		buf_str(out, buf_view(&k->part[i]));
		buf_fini(&k->part[i]);
	}
	buf_str(out, buf_view(&k->muted));
	buf_fini(&k->muted);
	rec_end(out);
}

void security_check(struct store *s, struct str settings, bool names, struct buf *out)
{
	struct look k = {
		.s = s, .settings = settings, .names = names, .now = timefloor_now(&s->floor)};
	check_machine(&k);
	check_settings(&k);
	check_listeners(&k);
	check_people(&k);
	check_certificates(&k);
	check_files(&k);
	check_authority(&k);
	check_shared(&k);
	check_rules(&k);
	check_devices(&k);
	put_all(&k, out);
}

bool security_knows(struct str id)
{
	for (size_t i = 0; i < FINDINGS; i++)
		if (str_is(id, kind[i].id))
			return true;
	return false;
}
