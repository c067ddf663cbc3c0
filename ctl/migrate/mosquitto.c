/* SPDX-License-Identifier: Apache-2.0
 *
 * mosquitto.conf as sections: the first one holds what stands before any listener, each other one a
 * listener. A section is {title, where, options}; an option {value, where}, by its name. Options
 * that have no place here are reported at once, by the table below; the rest is for listeners.c.
 */
#include "ctl/file.h"
#include "ctl/migrate/migrate.h"
#include "daemon/base/mem.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { SECTIONS_MAX = 64, LINE_MAX_BYTES = 4096 };

enum kind {
	USED,     /* listeners.c looks at it */
	NEEDLESS, /* nothing has to be said here for the same to happen */
	OTHER,    /* taken in another way: the text says how */
	NEVER,    /* not taken over: the text says what to do */
};

static const struct {
	const char *name;
	enum kind kind;
	const char *text;
} known[] = {
	{"acl_file", USED, NULL},
	{"allow_anonymous", USED, NULL},
	{"allow_duplicate_messages", NEEDLESS, "overlapping subscriptions follow the standard"},
	{"allow_zero_length_clientid", OTHER,
	 "clients without an identifier are given one, as the standard says"},
	{"auth_plugin", NEVER, "plug-ins of Mosquitto cannot run here"},
	{"auth_opt_", NEVER, "belongs to a plug-in of Mosquitto"},
	{"auto_id_prefix", OTHER, "identifiers that are given out begin with gh-"},
	{"autosave_interval", NEEDLESS, "nothing is saved at intervals"},
	{"autosave_on_changes", NEEDLESS, "nothing is saved at intervals"},
	{"bind_address", USED, NULL},
	{"bind_interface", NEVER, "bind the listener to the addresses of that interface"},
	{"cafile", USED, NULL},
	{"capath", NEVER, "put the certificates of the directory into one file: client-ca = FILE"},
	{"certfile", USED, NULL},
	{"check_retain_source", NEEDLESS, "rights are checked at each delivery"},
	{"ciphers", NEEDLESS, "only ciphers with forward secrecy are offered"},
	{"ciphers_tls1.3", NEEDLESS, "only ciphers with forward secrecy are offered"},
	{"clientid_prefixes", NEVER, "write client-id = device into the listener instead"},
	{"connection_messages", NEEDLESS, "connects and disconnects are events"},
	{"crlfile", USED, NULL},
	{"dhparamfile", NEEDLESS, "elliptic curves are used"},
	{"global_plugin", USED, NULL},
	{"http_dir", NEVER, "no files are served; use a web server"},
	{"keyfile", USED, NULL},
	{"log_dest", OTHER, "logs go to the journal, and what clients do is kept as events"},
	{"log_facility", NEEDLESS, "logs go to the journal"},
	{"log_timestamp", NEEDLESS, "every line has its time"},
	{"log_timestamp_format", NEEDLESS, "every line has its time, RFC 3339"},
	{"log_type", OTHER, "log.level says how much is logged; events are kept in any case"},
	{"max_connections", USED, NULL},
	{"max_inflight_bytes", NEVER, "max-inflight bounds their number"},
	{"max_inflight_messages", USED, NULL},
	{"max_keepalive", USED, NULL},
	{"max_packet_size", USED, NULL},
	{"max_qos", NEVER, "write rules for the topics instead"},
	{"max_queued_bytes", USED, NULL},
	{"max_queued_messages", USED, NULL},
	{"max_topic_alias", NEEDLESS, "each client is offered 16"},
	{"max_topic_alias_broker", NEEDLESS, "clients say how many they take"},
	{"memory_limit", NEVER, "every kind of memory has a bound of its own: gatehouse.conf(5)"},
	{"message_size_limit", USED, NULL},
	{"mount_point", NEVER, "topics are not renamed; give rules per device"},
	{"password_file", USED, NULL},
	{"per_listener_settings", USED, NULL},
	{"persistence", OTHER, "the messages and sessions in Mosquitto's database stay behind"},
	{"persistence_file", NEEDLESS, "state is below gateway.state-dir"},
	{"persistence_location", NEEDLESS, "state is below gateway.state-dir"},
	{"persistent_client_expiration", USED, NULL},
	{"pid_file", NEEDLESS, "systemd knows the process"},
	{"plugin", USED, NULL},
	{"plugin_opt_config_file", USED, NULL},
	{"plugin_opt_", NEVER, "belongs to a plug-in of Mosquitto"},
	{"port", USED, NULL},
	{"protocol", USED, NULL},
	{"psk_file", NEVER, "pre-shared keys are not taken; give the devices certificates"},
	{"psk_hint", NEVER, "pre-shared keys are not taken; give the devices certificates"},
	{"queue_qos0_messages", NEEDLESS,
	 "messages of QoS 0 are not kept for clients that are away"},
	{"require_certificate", USED, NULL},
	{"retain_available", NEEDLESS, "clients are told"},
	{"retain_expiry_interval", NEVER, "publish with a message expiry interval"},
	{"set_tcp_nodelay", NEEDLESS, "it is always set"},
	{"socket_domain", NEVER, "bind to an IPv4 or IPv6 address instead"},
	{"store_clean_interval", NEEDLESS, "an option of long ago"},
	{"sys_interval", USED, NULL},
	{"tls_engine", NEVER, "keys are files, kept by a process of their own"},
	{"tls_engine_kpass_sha1", NEVER, "keys are files, kept by a process of their own"},
	{"tls_keyform", NEVER, "keys are files, kept by a process of their own"},
	{"tls_version", USED, NULL},
	{"upgrade_outgoing_qos", NEVER, "a message never gains QoS [MQTT-3.8.4-8]"},
	{"use_identity_as_username", USED, NULL},
	{"use_psk", NEVER, "pre-shared keys are not taken; give the devices certificates"},
	{"use_subject_as_username", USED, NULL},
	{"use_username_as_clientid", USED, NULL},
	{"user", OTHER, "each process has a user of its own"},
	{"websockets_headers_size", NEEDLESS, "bounded at 8 KiB"},
	{"websockets_log_level", NEEDLESS, "log.level says how much is logged"},
	{"websockets_origin", NEVER, "origins are not judged; a token or certificate is"},
};

struct reader {
	struct migration *m;
	const char *label;
	char where[MIGRATE_WHERE];
	json_t *section; /* NULL: inside a bridge */
};

static json_t *new_section(struct migration *m, const char *title, const char *where)
{
	json_t *s = json_object();
	json_object_set_new(s, "title", json_string(title));
	json_object_set_new(s, "where", json_string(where));
	json_object_set_new(s, "options", json_object());
	json_array_append_new(m->sections, s);
	return s;
}

static size_t find_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(known); i++) {
		const size_t n = strlen(known[i].name);
		const bool family = known[i].name[n - 1] == '_';
		if (family ? strncmp(name, known[i].name, n) == 0
			   : strcmp(name, known[i].name) == 0)
			return i;
	}
	return ARRAY_LEN(known);
}

static void take_known(struct reader *r, size_t i, const char *name, const char *value)
{
	if (known[i].kind != USED) {
		migration_say(r->m,
			      known[i].kind == NEVER   ? REFUSED
			      : known[i].kind == OTHER ? CHANGED
						       : TAKEN,
			      r->where, name, "%s", known[i].text);
		return;
	}
	json_t *text = json_string(value);
	if (!text) {
		migration_error(r->m, r->where, "%s is not UTF-8 text", name);
		return;
	}
	json_object_set_new(json_object_get(r->section, "options"), name,
			    json_pack("{s:o, s:s}", "value", text, "where", r->where));
}

static void begin_listener(struct reader *r, const char *value)
{
	if (json_array_size(r->m->sections) >= SECTIONS_MAX) {
		migration_error(r->m, r->where, "more than %d listeners", SECTIONS_MAX - 1);
		return;
	}
	if (!str_is_utf8(str_of(value)) || !value[0]) {
		migration_error(r->m, r->where, "listener needs a port");
		return;
	}
	r->section = new_section(r->m, value, r->where);
}

static int is_conf(const struct dirent *e)
{
	const size_t n = strlen(e->d_name);
	return n > 5 && strcmp(e->d_name + n - 5, ".conf") == 0;
}

static void read_into(struct migration *m, const char *path, unsigned depth)
{
	AUTO_BUF text = {0};
	const char *why;
	if (file_read(path, MIGRATE_FILE_MAX, &text, &why))
		migration_error(m, path, "%s", why);
	else
		mosquitto_parse(m, path, buf_view(&text), depth);
}

static void include_dir(struct reader *r, const char *value, unsigned depth)
{
	struct dirent **names = NULL;
	if (r->m->no_files)
		return;
	AUTO_CHAR dir = migration_path(r->label, value);
	const int n = scandir(dir, &names, is_conf, alphasort);
	if (n < 0 || depth >= MIGRATE_INCLUDES_MAX)
		migration_error(r->m, r->where, "include_dir %s cannot be read", dir);
	for (int i = 0; i < n; i++) {
		AUTO_CHAR path = mem_printf("%s/%s", dir, names[i]->d_name);
		if (depth < MIGRATE_INCLUDES_MAX)
			read_into(r->m, path, depth + 1);
		free(names[i]);
	}
	free(names);
	migration_say(r->m, TAKEN, r->where, "include_dir", "%d files", n < 0 ? 0 : n);
	/* A listener that an included file began goes on behind it. */
	const size_t last = json_array_size(r->m->sections);
	r->section = json_array_get(r->m->sections, last - 1);
}

static void take_line(struct reader *r, struct str line, unsigned depth)
{
	struct str rest = line;
	const struct str word = str_split(&rest, ' ');
	AUTO_CHAR name = str_dup(str_trim(word));
	AUTO_CHAR value = str_dup(str_trim(rest.p ? rest : STR("")));
	const size_t i = find_known(name);
	if (strcmp(name, "listener") == 0) {
		begin_listener(r, value);
	} else if (strcmp(name, "include_dir") == 0) {
		include_dir(r, value, depth);
	} else if (strcmp(name, "connection") == 0) {
		migration_say(r->m, REFUSED, r->where, line.n < 80 ? name : "connection",
			      "bridges to other brokers are not taken over");
		r->section = NULL;
	} else if (!r->section) {
		migration_say(r->m, REFUSED, r->where, "option of a bridge",
			      "bridges to other brokers are not taken over");
	} else if (i == ARRAY_LEN(known)) {
		migration_error(r->m, r->where, "\"%s\" is no option of Mosquitto that is known",
				str_is_utf8(word) ? name : "?");
	} else if (!value[0]) {
		migration_error(r->m, r->where, "%s needs a value", name);
	} else {
		take_known(r, i, name, value);
	}
}

void mosquitto_parse(struct migration *m, const char *label, struct str text, unsigned depth)
{
	struct reader r = {.m = m, .label = label};
	unsigned number = 0;
	if (json_array_size(m->sections) == 0)
		new_section(m, "", label);
	r.section = json_array_get(m->sections, json_array_size(m->sections) - 1);
	while (text.p) {
		const struct str line = str_trim(str_split(&text, '\n'));
		where_is(r.where, label, ++number);
		if (line.n == 0 || line.p[0] == '#')
			continue;
		if (line.n > LINE_MAX_BYTES || memchr(line.p, 0, line.n))
			migration_error(m, r.where, "a line that is too long or holds a zero byte");
		else
			take_line(&r, line, depth);
	}
}

void mosquitto_read(struct migration *m, const char *path)
{
	read_into(m, path, 0);
}

/* ---- options ---- */

const char *option_get(const json_t *section, const char *name, const char **where)
{
	const json_t *o = json_object_get(json_object_get(section, "options"), name);
	if (where)
		*where = json_string_value(json_object_get(o, "where"));
	return json_string_value(json_object_get(o, "value"));
}

bool option_is(struct migration *m, const json_t *section, const char *name)
{
	const char *where;
	const char *value = option_get(section, name, &where);
	if (!value || strcmp(value, "false") == 0 || strcmp(value, "0") == 0)
		return false;
	if (strcmp(value, "true") == 0 || strcmp(value, "1") == 0)
		return true;
	migration_error(m, where, "%s is \"%s\"; it must be true or false", name, value);
	return false;
}

const json_t *option_scope(const struct migration *m, const json_t *section, const char *name)
{
	size_t i;
	const json_t *s;
	const json_t *found = section;
	const char *per = option_get(json_array_get(m->sections, 0), "per_listener_settings", NULL);
	if (per && strcmp(per, "true") == 0)
		return section;
	json_array_foreach(m->sections, i, s)
	{
		if (option_get(s, name, NULL))
			found = s;
	}
	return found;
}
