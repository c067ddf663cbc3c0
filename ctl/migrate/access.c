/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may log in and what they may do, in Mosquitto's files: password_file, acl_file,
 * dynamic-security.json. A user becomes a device of that name.
 *
 * Mosquitto's acl_file knows reading (receiving) and writing; it does not judge subscriptions. Here
 * a subscription needs a rule that covers it, so each right to read becomes one to subscribe and
 * one to receive.
 */
#include "certs/csr.h"
#include "ctl/migrate/migrate.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { RIGHT_READ = 1, RIGHT_WRITE = 2, RIGHT_DENY = 4, PRIORITY_MAX = 1000 };

/* ---- password_file ---- */

static void take_user(struct migration *m, const char *where, struct str line)
{
	struct str hash = line;
	const struct str name = str_split(&hash, ':');
	if (!hash.p || !str_is_utf8(line)) {
		migration_error(m, where, "a line NAME:HASH is expected");
		return;
	}
	AUTO_CHAR what = mem_printf("user %.*s", (int)MIN(name.n, (size_t)80), name.p);
	if (!str_prefix(hash, STR("$6$")) && !str_prefix(hash, STR("$7$"))) {
		migration_say(m, REFUSED, where, what,
			      "its password is not hashed as $6$ or $7$: run mosquitto_passwd -U "
			      "on the file first, or set a new one with gatehouse device set");
		return;
	}
	json_t *device = migration_device(m, where, name);
	if (!device)
		return;
	AUTO_CHAR text = str_dup(hash);
	if (json_object_get(device, "password-hash")) {
		migration_say(m, REFUSED, where, what, "it has a password already");
		return;
	}
	json_object_set_new(device, "password-hash", json_string(text));
	migration_say(m, TAKEN, where, what, "device; its hash is replaced at the first login");
}

void passwd_parse(struct migration *m, const char *label, struct str text)
{
	char where[MIGRATE_WHERE];
	unsigned number = 0;
	while (text.p) {
		const struct str line = str_trim(str_split(&text, '\n'));
		where_is(where, label, ++number);
		if (line.n && line.p[0] != '#')
			take_user(m, where, line);
	}
}

/* ---- acl_file ---- */

static void add_rights(struct migration *m, const char *where, const char *subject, unsigned rights,
		       const char *filter)
{
	bool ok = true;
	if (rights & RIGHT_DENY) {
		ok = migration_rule(m, where, subject, "deny", "publish", filter, 0) &&
		     migration_rule(m, where, subject, "deny", "receive", filter, 0);
	} else {
		if (rights & RIGHT_WRITE)
			ok = migration_rule(m, where, subject, "allow", "publish", filter, 0);
		if (ok && rights & RIGHT_READ)
			ok = migration_rule(m, where, subject, "allow", "subscribe", filter, 0) &&
			     migration_rule(m, where, subject, "allow", "receive", filter, 0);
	}
	if (!ok)
		return;
	AUTO_CHAR what = mem_printf("%s %s", subject, filter);
	if (rights & RIGHT_READ)
		migration_say(m, CHANGED, where, what,
			      "subscriptions are judged, too: a wider one than this is refused");
	else
		migration_say(m, TAKEN, where, what, "%s",
			      rights & RIGHT_DENY ? "deny" : "publish");
}

/* "[read|write|readwrite|deny] TOPIC": a topic may hold blanks. */
static unsigned take_rights(struct str *rest)
{
	static const struct {
		const char *word;
		unsigned rights;
	} words[] = {{"read", RIGHT_READ},
		     {"write", RIGHT_WRITE},
		     {"readwrite", RIGHT_READ | RIGHT_WRITE},
		     {"deny", RIGHT_DENY}};
	struct str after = *rest;
	const struct str first = str_split(&after, ' ');
	for (size_t i = 0; after.p && i < ARRAY_LEN(words); i++) {
		if (!str_is(first, words[i].word))
			continue;
		*rest = str_trim(after);
		return words[i].rights;
	}
	return RIGHT_READ | RIGHT_WRITE;
}

struct acl_reader {
	struct migration *m;
	char where[MIGRATE_WHERE];
	char *subject; /* "device:NAME"; NULL: before any user line */
	bool refused;  /* the user of these lines cannot be taken */
};

/* "CN=pump-1,O=works" of use_subject_as_username is the device pump-1. */
static struct str name_of(struct str user)
{
	struct str rest = user;
	while (rest.p) {
		const struct str part = str_trim(str_split(&rest, ','));
		if (str_prefix(part, STR("CN=")))
			return (struct str){part.p + 3, part.n - 3};
	}
	return user;
}

static void take_acl_user(struct acl_reader *r, struct str user)
{
	const struct str name = name_of(user);
	AUTO_CHAR key = str_dup(name);
	AUTO_CHAR what = mem_printf("user %s", key);
	free(r->subject);
	r->subject = NULL;
	r->refused = true;
	if (!str_is_utf8(user)) {
		migration_error(r->m, r->where, "the user's name is not UTF-8 text");
		return;
	}
	if (!json_object_get(r->m->devices, key) && !r->m->by_certificate) {
		migration_say(r->m, REFUSED, r->where, what,
			      "no file gives it a password: its rules are left out");
		return;
	}
	if (!migration_device(r->m, r->where, name))
		return;
	r->refused = false;
	r->subject = mem_printf("device:%s", key);
	migration_say(r->m, TAKEN, r->where, what, "rules of device %s", key);
}

static void take_acl_topic(struct acl_reader *r, struct str rest)
{
	const unsigned rights = take_rights(&rest);
	AUTO_CHAR filter = str_dup(rest);
	if (r->refused) {
		migration_say(r->m, REFUSED, r->where, filter, "its user is not taken over");
	} else if (r->subject) {
		add_rights(r->m, r->where, r->subject, rights, filter);
	} else if (r->m->anonymous) {
		add_rights(r->m, r->where, "any", rights, filter);
		migration_say(r->m, CHANGED, r->where, filter,
			      "for clients without a name it was; now for devices as well");
	} else {
		migration_say(r->m, REFUSED, r->where, filter,
			      "it is for clients without a name, and no listener takes such");
	}
}

static void take_acl_line(struct acl_reader *r, struct str line)
{
	struct str rest = line;
	const struct str word = str_split(&rest, ' ');
	rest = str_trim(rest.p ? rest : STR(""));
	if (rest.n == 0 || !str_is_utf8(line)) {
		migration_error(
			r->m, r->where,
			"user NAME, topic [RIGHT] TOPIC or pattern [RIGHT] TOPIC is expected");
	} else if (str_is(word, "user")) {
		take_acl_user(r, rest);
	} else if (str_is(word, "topic")) {
		take_acl_topic(r, rest);
	} else if (str_is(word, "pattern")) {
		const unsigned rights = take_rights(&rest);
		AUTO_CHAR filter = migration_pattern(r->m, r->where, rest);
		if (filter)
			add_rights(r->m, r->where, "any", rights, filter);
	} else {
		migration_error(r->m, r->where, "\"%.*s\" is not user, topic or pattern",
				(int)MIN(word.n, (size_t)40), word.p);
	}
}

void acl_parse(struct migration *m, const char *label, struct str text)
{
	struct acl_reader r = {.m = m};
	unsigned number = 0;
	m->has_access = true;
	while (text.p) {
		const struct str line = str_trim(str_split(&text, '\n'));
		where_is(r.where, label, ++number);
		if (line.n && line.p[0] != '#')
			take_acl_line(&r, line);
	}
	free(r.subject);
}

/* ---- dynamic-security.json ---- */

static const char *text_of(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static void add_name(json_t *device, const char *field, const char *name)
{
	json_t *list = json_object_get(device, field);
	size_t i;
	const json_t *old;
	if (!list) {
		list = json_array();
		json_object_set_new(device, field, list);
	}
	json_array_foreach(list, i, old)
	{
		if (strcmp(json_string_value(old), name) == 0)
			return;
	}
	json_array_append_new(list, json_string(name));
}

static void take_roles(struct migration *m, json_t *device, const json_t *list)
{
	size_t i;
	const json_t *role;
	json_array_foreach(list, i, role)
	{
		const char *name = text_of(role, "rolename");
		if (json_object_get(m->roles, name))
			add_name(device, "roles", name);
	}
}

/* What acltype means here; NULL: nothing. */
static const char *action_of(const char *type)
{
	static const char *const words[][2] = {{"publishClientSend", "publish"},
					       {"publishClientReceive", "receive"},
					       {"subscribeLiteral", "subscribe"},
					       {"subscribePattern", "subscribe"}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (strcmp(type, words[i][0]) == 0)
			return words[i][1];
	return NULL;
}

static void take_dynsec_rule(struct migration *m, const char *where, const char *role,
			     const json_t *acl)
{
	const char *action = action_of(text_of(acl, "acltype"));
	const char *topic = text_of(acl, "topic");
	const json_int_t priority = json_integer_value(json_object_get(acl, "priority"));
	const bool allow = json_is_true(json_object_get(acl, "allow"));
	AUTO_CHAR subject = mem_printf("role:%s", role);
	AUTO_CHAR what = mem_printf("%s %s %s", subject, text_of(acl, "acltype"), topic);
	if (!action) {
		migration_say(m, TAKEN, where, what, "unsubscribing is always allowed");
		return;
	}
	if (strncmp(topic, "$CONTROL", 8) == 0) {
		migration_say(m, REFUSED, where, what,
			      "the gateway is not managed over MQTT: use the gatehouse command");
		return;
	}
	const bool literal = strcmp(text_of(acl, "acltype"), "subscribeLiteral") == 0;
	AUTO_CHAR filter = literal ? mem_strdup(topic) : migration_pattern(m, where, str_of(topic));
	if (!filter)
		return;
	const json_int_t bounded =
		MAX(MIN(priority, (json_int_t)PRIORITY_MAX), (json_int_t)-PRIORITY_MAX);
	const char *effect = allow ? "allow" : "deny";
	if (literal ? migration_literal(m, where, subject, effect, filter, (int)bounded)
		    : migration_rule(m, where, subject, effect, action, filter, (int)bounded))
		migration_say(m, TAKEN, where, what, "%s %s", allow ? "allow" : "deny", action);
}

static void take_dynsec_roles(struct migration *m, const char *label, const json_t *list)
{
	size_t i;
	const json_t *role;
	json_array_foreach(list, i, role)
	{
		const char *name = text_of(role, "rolename");
		AUTO_CHAR where = mem_printf("%s: role %s", label, name);
		size_t k;
		const json_t *acl;
		if (device_name_check(str_of(name), NULL)) {
			migration_say(m, REFUSED, where, "role",
				      "its name is none for a role: rename it first");
			continue;
		}
		json_object_set_new(m->roles, name, json_pack("{s:s}", "name", name));
		json_array_foreach(json_object_get(role, "acls"), k, acl)
			take_dynsec_rule(m, where, name, acl);
	}
}

static void take_dynsec_client(struct migration *m, const char *label, const json_t *client)
{
	const char *name = text_of(client, "username");
	const json_int_t iterations = json_integer_value(json_object_get(client, "iterations"));
	AUTO_CHAR where = mem_printf("%s: client %s", label, name);
	json_t *device = migration_device(m, where, str_of(name));
	size_t i;
	const json_t *group;
	if (!device)
		return;
	if (text_of(client, "password")[0]) {
		AUTO_CHAR hash = mem_printf("$7$%lld$%s$%s", (long long)iterations,
					    text_of(client, "salt"), text_of(client, "password"));
		json_object_set_new(device, "password-hash", json_string(hash));
	}
	take_roles(m, device, json_object_get(client, "roles"));
	json_array_foreach(json_object_get(client, "groups"), i,
			   group) if (text_of(group, "groupname")[0])
		add_name(device, "groups", text_of(group, "groupname"));
	if (json_is_true(json_object_get(client, "disabled")))
		json_array_append_new(m->disabled, json_string(name));
	if (text_of(client, "clientid")[0])
		migration_say(m, CHANGED, where, "clientid",
			      "any identifier is accepted; client-id = device demands the name");
	migration_say(m, TAKEN, where, "client", "device %s", name);
}

static void take_dynsec_group(struct migration *m, const char *label, const json_t *group)
{
	const char *name = text_of(group, "groupname");
	AUTO_CHAR where = mem_printf("%s: group %s", label, name);
	size_t i;
	const json_t *client;
	json_array_foreach(json_object_get(group, "clients"), i, client)
	{
		json_t *device = json_object_get(m->devices, text_of(client, "username"));
		if (!device)
			continue;
		add_name(device, "groups", name);
		take_roles(m, device, json_object_get(group, "roles"));
	}
	migration_say(m, CHANGED, where, "group",
		      "its members have its roles themselves; new members do not get them");
}

static void take_defaults(struct migration *m, const char *label, const json_t *defaults)
{
	static const char *const actions[][2] = {{"publishClientSend", "publish"},
						 {"publishClientReceive", "receive"},
						 {"subscribe", "subscribe"}};
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (!json_is_true(json_object_get(defaults, actions[i][0])))
			continue;
		migration_rule(m, label, "any", "allow", actions[i][1], "#", -PRIORITY_MAX);
		migration_say(m, TAKEN, label, actions[i][0],
			      "allowed to all unless a rule denies it");
	}
}

void dynsec_parse(struct migration *m, const char *label, struct str text)
{
	json_error_t error;
	char where[MIGRATE_WHERE];
	size_t i;
	const json_t *item;
	json_t *root = json_loadb(text.p ? text.p : "", text.n, 0, &error);
	if (!json_is_object(root)) {
		migration_error(m, where_is(where, label, (unsigned)MAX(error.line, 0)),
				"no dynamic-security configuration: %s", error.text);
		json_decref(root);
		return;
	}
	m->has_access = true;
	take_dynsec_roles(m, label, json_object_get(root, "roles"));
	json_array_foreach(json_object_get(root, "clients"), i, item)
		take_dynsec_client(m, label, item);
	json_array_foreach(json_object_get(root, "groups"), i, item)
		take_dynsec_group(m, label, item);
	take_defaults(m, label, json_object_get(root, "defaultACLAccess"));
	json_decref(root);
}
