/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse migrate: reads the files of another broker, makes the plan, reports it, and unless it
 * is a dry run carries it out: gatehouse.conf into a file, everything else through the API. What is
 * there already is left as it is, so it may be repeated.
 */
#include "ctl/cmd_migrate_ca.h"
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/migrate/migrate.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OUT_DEFAULT "gatehouse.conf"

/* ---- reading ---- */

/* A file that mosquitto.conf names, once. */
static void read_named(struct migration *m, json_t *seen, const char *option, const char *path,
		       const char *where,
		       void (*parse)(struct migration *, const char *, struct str))
{
	AUTO_BUF text = {0};
	AUTO_CHAR file = mem_strdup(where);
	char *colon = strrchr(file, ':');
	const char *why;
	if (colon)
		*colon = 0;
	AUTO_CHAR full = migration_path(file, path);
	if (json_object_get(seen, full))
		return;
	json_object_set_new(seen, full, json_true());
	if (file_read(full, MIGRATE_FILE_MAX, &text, &why)) {
		migration_error(m, where, "%s %s: %s", option, full, why);
		return;
	}
	migration_say(m, TAKEN, where, option, "%s", full);
	parse(m, full, buf_view(&text));
}

static void read_each(struct migration *m, const char *option,
		      void (*parse)(struct migration *, const char *, struct str))
{
	json_t *seen = json_object();
	size_t i;
	const json_t *section;
	json_array_foreach(m->sections, i, section)
	{
		const char *where;
		const char *path = option_get(section, option, &where);
		if (path)
			read_named(m, seen, option, path, where, parse);
	}
	json_decref(seen);
}

/* Without any file about access Mosquitto lets everyone who is in do everything. */
static void allow_all(struct migration *m)
{
	static const char *const filters[] = {"#", "$SYS/#"};
	if (m->has_access)
		return;
	for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
		migration_rule(m, "rules", "any", "allow", "subscribe", filters[i], 0);
		migration_rule(m, "rules", "any", "allow", "receive", filters[i], 0);
	}
	migration_rule(m, "rules", "any", "allow", "publish", "#", 0);
	migration_say(m, CHANGED, "rules", "no acl_file",
		      "rules say now what was so without any: every device may do everything; "
		      "remove them when there are better ones");
}

static bool plan(struct invocation *in, struct migration *m, struct old_authority *old,
		 struct buf *conf)
{
	const char *ca_key = invocation_local(in, "ca-key");
	const char *mosquitto = invocation_local(in, "mosquitto");
	const char *nginx = invocation_local(in, "nginx");
	const char *certs = invocation_local(in, "certs");
	bool legacy = false;
	mosquitto_read(m, mosquitto);
	if (nginx)
		nginx_read(m, nginx);
	listeners_plan(m);
	settings_plan(m);
	read_each(m, "password_file", passwd_parse);
	read_each(m, "plugin_opt_config_file", dynsec_parse);
	read_each(m, "acl_file", acl_parse);
	if (certs)
		certs_read(m, certs, &legacy);
	allow_all(m);
	listeners_judge(m, legacy);
	if (ca_key)
		old_authority_read(m, ca_key, old);
	return conf_write(m, mosquitto, conf) && m->errors == 0;
}

/* ---- carrying it out ---- */

struct applying {
	struct invocation *in;
	struct migration *m;
	unsigned made;
	unsigned there; /* already */
	bool lost;      /* the gateway does not answer any more */
};

static const char *detail_of(const json_t *problem)
{
	const char *s = json_string_value(json_object_get(problem, "detail"));
	return s ? s : "the gateway could not do it";
}

/* One request: what is there already is fine. */
static unsigned ask(struct applying *a, const char *method, const char *path, json_t *body,
		    const char *where, const char *what)
{
	json_t *answer = NULL;
	if (a->lost)
		return 0;
	const unsigned status = request_send(a->in, method, path, body, &answer);
	if (status == 0)
		a->lost = true;
	else if (status == 409)
		a->there++;
	else if (status < 300)
		a->made++;
	else
		migration_say(a->m, REFUSED, where, what, "%s", detail_of(answer));
	json_decref(answer);
	return status;
}

/* A device that is there keeps its password, if it has one. */
static void complete_device(struct applying *a, const char *name, json_t *device)
{
	json_t *now = NULL;
	AUTO_CHAR path = mem_printf("/api/v1/devices/%s", name);
	json_t *hash = json_object_get(device, "password-hash");
	if (!hash || a->lost || request_send(a->in, "GET", path, NULL, &now) != 200) {
		json_decref(now);
		return;
	}
	if (!json_is_true(json_object_get(now, "password"))) {
		json_t *change = json_pack("{s:O}", "password-hash", hash);
		ask(a, "PATCH", path, change, name, "device");
		json_decref(change);
	}
	json_decref(now);
}

static void apply_devices(struct applying *a)
{
	const char *name;
	json_t *item;
	size_t i;
	json_object_foreach(a->m->roles, name, item)
		ask(a, "POST", "/api/v1/roles", item, name, "role");
	json_object_foreach(a->m->devices, name, item) if (ask(a, "POST", "/api/v1/devices", item,
							       name, "device") == 409)
		complete_device(a, name, item);
	json_array_foreach(a->m->disabled, i, item)
	{
		json_t *off = json_pack("{s:b}", "enabled", 0);
		AUTO_CHAR path = mem_printf("/api/v1/devices/%s", json_string_value(item));
		ask(a, "PATCH", path, off, json_string_value(item), "device");
		json_decref(off);
	}
}

static void apply_certificates(struct applying *a)
{
	size_t i;
	json_t *item;
	json_array_foreach(a->m->certificates, i, item)
	{
		AUTO_CHAR path = mem_printf("/api/v1/devices/%s/certificates/import",
					    json_string_value(json_object_get(item, "device")));
		json_t *body =
			json_pack("{s:O}", "certificate", json_object_get(item, "certificate"));
		ask(a, "POST", path, body, json_string_value(json_object_get(item, "where")),
		    "certificate");
		json_decref(body);
	}
}

static bool apply(struct applying *a)
{
	json_t *status = NULL;
	size_t i;
	json_t *item;
	const unsigned there = request_send(a->in, "GET", "/api/v1/status", NULL, &status);
	if (there && there != 200)
		print_problem(there, status);
	json_decref(status);
	if (there != 200)
		return false;
	apply_devices(a);
	json_array_foreach(a->m->rules, i, item)
		ask(a, "POST", "/api/v1/acl", item,
		    json_string_value(json_object_get(item, "subject")), "rule");
	apply_certificates(a);
	return !a->lost;
}

/* ---- the file ---- */

/* The file can be written, and nothing is overwritten by accident. */
static bool check_out(const char *path, bool force)
{
	if (force || access(path, F_OK) != 0)
		return true;
	print_error("%s is there already; --force overwrites it, --out FILE writes "
		    "another",
		    path);
	return false;
}

static bool write_out(const char *path, struct str text)
{
	AUTO_CHAR part = mem_printf("%s.new", path);
	AUTO_FD fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd >= 0 && fd_write(fd, text) == 0 && fsync(fd) == 0 && rename(part, path) == 0)
		return true;
	print_error("cannot write %s: %s", path, strerror(errno));
	return false;
}

/* ---- the report ---- */

static unsigned count(const json_t *report, const char *verdict)
{
	size_t i;
	const json_t *line;
	unsigned n = 0;
	json_array_foreach(report, i, line) n +=
		strcmp(json_string_value(json_object_get(line, "verdict")), verdict) == 0;
	return n;
}

static const char *field(const json_t *line, const char *name)
{
	return json_string_value(json_object_get(line, name));
}

/* Text out of files: controls would move the cursor. */
static void print_line(const json_t *line)
{
	AUTO_BUF text = {0};
	buf_printf(&text, "%-8s %s: %s: %s", field(line, "verdict"), field(line, "where"),
		   field(line, "what"), field(line, "note"));
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f)
			text.p[i] = '?';
	puts(buf_cstr(&text));
}

static void print_report(const struct invocation *in, const struct migration *m)
{
	size_t i;
	const json_t *line;
	json_array_foreach(m->report, i, line)
	{
		if (in->json)
			print_json_line(line);
		else
			print_line(line);
	}
	if (!in->json)
		printf("%u taken, %u changed, %u refused\n", count(m->report, "taken"),
		       count(m->report, "changed"), count(m->report, "refused"));
}

static int carry_out(struct invocation *in, struct migration *m, const struct old_authority *old,
		     const char *out, const struct buf *conf)
{
	struct applying a = {.in = in, .m = m};
	if (!apply(&a) || (old->key && !old_authority_vouch(in, m, old))) {
		print_error("%u changes were made; run it again when the gateway "
			    "answers, what is there is left as it is",
			    a.made);
		return EXIT_UNREACHABLE;
	}
	if (!write_out(out, buf_view(conf)))
		return EXIT_FAILED;
	print_report(in, m);
	if (!in->json)
		printf("%u changes made, %u were there; the listeners are in %s: put it in place "
		       "of gatehouse.conf, stop the old broker, restart the gateway\n",
		       a.made, a.there, out);
	return count(m->report, "refused") ? EXIT_REFUSED : EXIT_OK;
}

int run_migrate(struct invocation *in)
{
	const char *out = invocation_local(in, "out");
	const bool dry = invocation_switch(in, "dry-run");
	struct migration m;
	struct old_authority old = {0};
	AUTO_BUF conf = {0};
	int status = EXIT_USAGE;
	if (!invocation_local(in, "mosquitto")) {
		print_error("give --mosquitto FILE; see gatehouse migrate --help");
		return EXIT_USAGE;
	}
	out = out ? out : OUT_DEFAULT;
	migration_init(&m);
	if (!plan(in, &m, &old, &conf)) {
		print_error("nothing was changed");
	} else if (dry) {
		print_report(in, &m);
		if (!in->json)
			printf("\n%s", buf_cstr(&conf));
		status = count(m.report, "refused") ? EXIT_REFUSED : EXIT_OK;
	} else if (check_out(out, invocation_switch(in, "force"))) {
		status = carry_out(in, &m, &old, out, &conf);
	} else {
		status = EXIT_CONFLICT;
	}
	old_authority_fini(&old);
	migration_fini(&m);
	return status;
}
