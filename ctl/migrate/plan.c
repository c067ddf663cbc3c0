/* SPDX-License-Identifier: Apache-2.0
 *
 * The plan and its report: see migrate.h.
 */
#include "certs/csr.h"
#include "ctl/migrate/migrate.h"
#include "daemon/acl/acl.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { TEXT_MAX = 1024 };

void migration_init(struct migration *m)
{
	*m = (struct migration){
		.report = json_array(),
		.sections = json_array(),
		.servers = json_array(),
		.settings = json_object(),
		.listeners = json_array(),
		.devices = json_object(),
		.disabled = json_array(),
		.roles = json_object(),
		.rules = json_array(),
		.certificates = json_array(),
	};
}

void migration_fini(struct migration *m)
{
	json_t *all[] = {m->report,  m->sections, m->servers, m->settings, m->listeners,
			 m->devices, m->disabled, m->roles,   m->rules,    m->certificates};
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		json_decref(all[i]);
}

const char *verdict_word(enum verdict verdict)
{
	static const char *const word[] = {"taken", "changed", "refused"};
	return word[verdict];
}

/* Text out of files may be anything. */
static json_t *text_json(const char *text)
{
	json_t *j = json_string(text);
	return j ? j : json_string("(not UTF-8)");
}

void migration_say(struct migration *m, enum verdict verdict, const char *where, const char *what,
		   const char *fmt, ...)
{
	char note[TEXT_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(note, sizeof(note), fmt, ap);
	va_end(ap);
	json_t *line = json_object();
	json_object_set_new(line, "verdict", json_string(verdict_word(verdict)));
	json_object_set_new(line, "where", text_json(where));
	json_object_set_new(line, "what", text_json(what));
	json_object_set_new(line, "note", text_json(note));
	json_array_append_new(m->report, line);
}

void migration_error(struct migration *m, const char *where, const char *fmt, ...)
{
	va_list ap;
	m->errors++;
	if (m->no_files)
		return;
	fprintf(stderr, "gatehouse: %s: ", where);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
}

const char *where_is(char out[MIGRATE_WHERE], const char *file, unsigned line)
{
	snprintf(out, MIGRATE_WHERE, "%.*s:%u", MIGRATE_WHERE - 16, file, line);
	return out;
}

char *migration_path(const char *file, const char *path)
{
	const char *slash = strrchr(file, '/');
	AUTO_CHAR relative = path[0] == '/' || !slash
				     ? mem_strdup(path)
				     : mem_printf("%.*s/%s", (int)(slash - file), file, path);
	char *full = realpath(relative, NULL);
	return full ? full : mem_strdup(relative);
}

json_t *migration_device(struct migration *m, const char *where, struct str name)
{
	struct why why;
	if (device_name_check(name, &why)) {
		AUTO_CHAR what = mem_printf("user %.*s", (int)MIN(name.n, (size_t)80), name.p);
		migration_say(m, REFUSED, where, what,
			      "this cannot be a device's name: %s; rename the user first",
			      why.text);
		return NULL;
	}
	AUTO_CHAR key = str_dup(name);
	json_t *device = json_object_get(m->devices, key);
	if (device)
		return device;
	device = json_object();
	json_object_set_new(device, "name", json_string(key));
	json_object_set_new(m->devices, key, device);
	return device;
}

static bool rule_ok(struct migration *m, const char *where, const char *filter, bool literal)
{
	struct why why;
	const struct acl_rule rule = {.id = 1,
				      .effect = ACL_ALLOW,
				      .actions = literal ? ACL_SUBSCRIBE : ACL_PUBLISH,
				      .match = literal ? ACL_LITERAL : ACL_PATTERN,
				      .filter = str_of(filter),
				      .subject = ACL_SUBJECT_ANY};
	if (!str_is_utf8(str_of(filter)))
		migration_say(m, REFUSED, where, "topic", "it is not UTF-8 text");
	else if (acl_rule_check(&rule, &why))
		migration_say(m, REFUSED, where, filter, "%s", why.text);
	else
		return true;
	return false;
}

static json_t *rule_new(const char *subject, const char *effect, const char *action,
			const char *filter, int priority)
{
	json_t *rule = json_object();
	json_object_set_new(rule, "subject", json_string(subject));
	json_object_set_new(rule, "effect", json_string(effect));
	json_object_set_new(rule, "action", json_string(action));
	json_object_set_new(rule, "filter", json_string(filter));
	json_object_set_new(rule, "priority", json_integer(1000 + priority));
	return rule;
}

/* Takes the rule, unless there is one like it. */
static void add_rule(struct migration *m, json_t *rule)
{
	size_t i;
	const json_t *old;
	json_array_foreach(m->rules, i, old)
	{
		if (json_equal(old, rule)) {
			json_decref(rule);
			return;
		}
	}
	json_array_append_new(m->rules, rule);
}

bool migration_rule(struct migration *m, const char *where, const char *subject, const char *effect,
		    const char *action, const char *filter, int priority)
{
	if (!rule_ok(m, where, filter, false))
		return false;
	add_rule(m, rule_new(subject, effect, action, filter, priority));
	return true;
}

bool migration_literal(struct migration *m, const char *where, const char *subject,
		       const char *effect, const char *filter, int priority)
{
	if (!rule_ok(m, where, filter, true))
		return false;
	json_t *rule = rule_new(subject, effect, "subscribe", filter, priority);
	json_object_set_new(rule, "literal", json_true());
	add_rule(m, rule);
	return true;
}

char *migration_pattern(struct migration *m, const char *where, struct str pattern)
{
	AUTO_BUF out = {0};
	struct str rest = pattern;
	while (rest.p) {
		const struct str level = str_split(&rest, '/');
		buf_puts(&out, out.n ? "/" : "");
		if (str_is(level, "%u"))
			buf_puts(&out, "${device}");
		else if (str_is(level, "%c"))
			buf_puts(&out, "${clientid}");
		else
			buf_str(&out, level);
		if (!str_is(level, "%u") && !str_is(level, "%c") &&
		    (str_find(level, "%u") || str_find(level, "%c"))) {
			AUTO_CHAR what = str_dup(pattern);
			migration_say(m, REFUSED, where, what,
				      "a variable fills its level of the topic alone; give these "
				      "devices a rule each");
			return NULL;
		}
		if (!level.n && !rest.p && !out.n)
			break;
	}
	return mem_strdup(buf_cstr(&out));
}
