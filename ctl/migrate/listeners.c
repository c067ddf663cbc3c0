/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners of the gateway out of those of mosquitto.conf and the servers of NGINX before them. A
 * server that passes to a listener becomes one listener with the TLS side of the one and the logins
 * of the other; the listener behind it stays, for this machine alone.
 */
#include "ctl/file.h"
#include "ctl/migrate/migrate.h"
#include "daemon/base/mem.h"
#include "daemon/net/addr.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PORT_DEFAULT = 1883, PORT_MAX = 65535 };

/* One listener while it is made. */
struct making {
	struct migration *m;
	const char *where;
	json_t *keys;
	bool tls;
	bool certificate; /* clients must show one that was verified */
	bool names;       /* and its subject is their name */
};

static void set(struct making *l, const char *key, const char *value)
{
	json_object_set_new(l->keys, key, json_string(value));
}

static const char *get(const struct making *l, const char *key)
{
	return json_string_value(json_object_get(l->keys, key));
}

/* ---- files that a listener names ---- */

static void set_file(struct making *l, const char *key, const char *named_in, const char *path)
{
	struct stat st;
	char *dot = NULL;
	AUTO_CHAR file = mem_strdup(named_in);
	if ((dot = strrchr(file, ':')))
		*dot = 0; /* without the line */
	AUTO_CHAR full = migration_path(file, path);
	if (!l->m->no_files && stat(full, &st) < 0)
		migration_error(l->m, named_in, "%s cannot be read", full);
	else if (!l->m->no_files && strcmp(key, "key") == 0 && st.st_mode & 077)
		migration_say(l->m, CHANGED, named_in, full,
			      "others may read this private key: chmod 0600 before the gateway "
			      "starts");
	set(l, key, full);
}

/* ---- mosquitto.conf ---- */

static void bind_to(struct making *l, const char *host, uint64_t port)
{
	struct addr a;
	if (!host || !host[0]) {
		AUTO_CHAR text = mem_printf("*:%u", (unsigned)port);
		set(l, "bind", text);
		return;
	}
	if (strcmp(host, "localhost") == 0)
		host = "127.0.0.1";
	if (addr_parse_ip(str_of(host), &a)) {
		migration_error(l->m, l->where,
				"\"%s\" is no IPv4 or IPv6 address: write the address there", host);
		return;
	}
	AUTO_CHAR text = strchr(host, ':') ? mem_printf("[%s]:%u", host, (unsigned)port)
					   : mem_printf("%s:%u", host, (unsigned)port);
	set(l, "bind", text);
}

static bool is_local(const char *bind)
{
	return bind && (strncmp(bind, "127.", 4) == 0 || strncmp(bind, "[::1]", 5) == 0);
}

/* "PORT [ADDRESS]"; the first section has port and bind_address. */
static uint64_t port_of(const json_t *section, struct str *host)
{
	const char *title = json_string_value(json_object_get(section, "title"));
	uint64_t port = 0;
	struct str rest = str_of(title);
	*host = STR("");
	if (title[0]) {
		const struct str number = str_split(&rest, ' ');
		*host = str_trim(rest.p ? rest : STR(""));
		return str_u64(number, PORT_MAX, &port) ? 0 : port;
	}
	const char *text = option_get(section, "port", NULL);
	const char *address = option_get(section, "bind_address", NULL);
	*host = str_of(address ? address : "");
	if (!text)
		return PORT_DEFAULT;
	return str_u64(str_of(text), PORT_MAX, &port) ? 0 : port;
}

static void take_tls(struct making *l, const json_t *section)
{
	static const char *const files[][2] = {
		{"certfile", "certificate"}, {"keyfile", "key"}, {"cafile", "client-ca"}};
	const char *where;
	const bool verify = option_is(l->m, section, "require_certificate");
	l->tls = option_get(section, "certfile", NULL) != NULL;
	if (!l->tls)
		return;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const char *path = option_get(section, files[i][0], &where);
		if (!path || (i == 2 && !verify))
			continue;
		set_file(l, files[i][1], where, path);
		migration_say(l->m, TAKEN, where, files[i][0], "%s", files[i][1]);
	}
	const char *crl = option_get(section, "crlfile", &where);
	if (crl && verify) {
		set_file(l, "crl", where, crl);
		migration_say(l->m, TAKEN, where, "crlfile", "crl");
	}
	const char *version = option_get(section, "tls_version", &where);
	if (version && strcmp(version, "tlsv1.3") == 0)
		set(l, "tls-versions", "1.3");
	else if (version && strcmp(version, "tlsv1.2") != 0)
		migration_say(l->m, CHANGED, where, "tls_version",
			      "TLS before version 1.2 is not offered");
	l->certificate = verify && get(l, "client-ca");
	l->names = option_is(l->m, section, "use_identity_as_username") ||
		   option_is(l->m, section, "use_subject_as_username");
}

static bool has_passwords(struct migration *m, const json_t *section)
{
	const json_t *scope = option_scope(m, section, "password_file");
	if (option_get(scope, "password_file", NULL))
		return true;
	scope = option_scope(m, section, "plugin_opt_config_file");
	return option_get(scope, "plugin_opt_config_file", NULL) != NULL;
}

/* Without any listener line Mosquitto listens on this machine alone and knows nobody. */
static bool may_be_anonymous(struct migration *m, const json_t *section)
{
	const json_t *scope = option_scope(m, section, "allow_anonymous");
	if (option_get(scope, "allow_anonymous", NULL))
		return option_is(m, scope, "allow_anonymous");
	return json_array_size(m->sections) == 1 && !option_get(section, "port", NULL) &&
	       !has_passwords(m, section);
}

static void be_anonymous(struct making *l)
{
	set(l, "auth", "anonymous");
	l->m->anonymous = true;
	if (is_local(get(l, "bind")) || get(l, "allow-from")) {
		migration_say(l->m, TAKEN, l->where, "allow_anonymous", "auth = anonymous");
		return;
	}
	set(l, "allow-from", "127.0.0.0/8, ::1/128");
	migration_say(l->m, CHANGED, l->where, "allow_anonymous",
		      "only this machine may connect without a login; name the networks that "
		      "really may in allow-from");
}

static void by_password(struct making *l, bool anonymous, bool passwords)
{
	set(l, "auth", l->certificate ? "certificate+password" : "password");
	if (l->certificate)
		migration_say(l->m, CHANGED, l->where, "login",
			      "certificate and password must belong to the same device");
	else if (anonymous)
		migration_say(l->m, CHANGED, l->where, "allow_anonymous",
			      "every client needs its user name and password");
	else
		migration_say(l->m, TAKEN, l->where, "login",
			      passwords ? "user name and password"
					: "user name and password; there are none as yet");
}

/* How clients prove who they are. */
static void take_login(struct making *l, const json_t *section)
{
	const bool passwords = has_passwords(l->m, section);
	const bool anonymous = may_be_anonymous(l->m, section);
	if (l->certificate && (l->names || !passwords)) {
		set(l, "auth", "certificate");
		l->m->by_certificate = true;
		migration_say(
			l->m, TAKEN, l->where, "login",
			"the client's certificate: its device is the one it is registered for");
	} else if (!l->certificate && !passwords && anonymous) {
		be_anonymous(l);
	} else {
		by_password(l, anonymous, passwords);
	}
	if (option_is(l->m, option_scope(l->m, section, "use_username_as_clientid"),
		      "use_username_as_clientid"))
		set(l, "client-id", "device");
}

static void take_number(struct making *l, const json_t *section, const char *option,
			const char *key)
{
	const char *where;
	const char *text = option_get(section, option, &where);
	uint64_t n;
	if (!text || strcmp(text, "-1") == 0)
		return;
	if (str_u64(str_of(text), 1000000, &n) || n == 0) {
		migration_error(l->m, where, "%s is \"%s\"; it must be -1 or 1 to 1000000", option,
				text);
		return;
	}
	set(l, key, text);
	migration_say(l->m, TAKEN, where, option, "%s = %s", key, text);
}

static void append_listener(struct making *l, const char *kind)
{
	const char *bind = get(l, "bind");
	const char *port = bind ? strrchr(bind, ':') : NULL;
	size_t i;
	const json_t *other;
	AUTO_CHAR name = mem_printf("%s-%s", kind, port ? port + 1 : "0");
	json_array_foreach(l->m->listeners, i, other)
	{
		if (strcmp(json_string_value(json_object_get(other, "name")), name) == 0) {
			AUTO_CHAR longer = mem_printf("%s-%zu", name, i + 2);
			free(name);
			name = TAKE(longer);
		}
	}
	migration_say(l->m, TAKEN, l->where, "listener", "[listener %s] bind = %s", name,
		      bind ? bind : "?");
	json_array_append_new(l->m->listeners,
			      json_pack("{s:s, s:O}", "name", name, "keys", l->keys));
}

static const char *kind_of(const struct making *l)
{
	if (get(l, "protocol"))
		return l->tls ? "wss" : "ws";
	return l->tls ? "mqtts" : "mqtt";
}

static void convert_section(struct migration *m, const json_t *section, bool behind)
{
	struct making l = {.m = m, .keys = json_object()};
	struct str host;
	const uint64_t port = port_of(section, &host);
	const char *protocol = option_get(section, "protocol", NULL);
	l.where = json_string_value(json_object_get(section, "where"));
	AUTO_CHAR address = str_dup(host);
	if (port == 0) {
		migration_error(m, l.where,
				"a port from 1 to 65535 is expected (UNIX sockets are not served)");
	} else {
		bind_to(&l, address, port);
		if (behind && !is_local(get(&l, "bind"))) {
			bind_to(&l, "127.0.0.1", port);
			migration_say(
				m, CHANGED, l.where, "listener",
				"NGINX was the way in; directly only this machine reaches it");
		}
		if (protocol && strcmp(protocol, "websockets") == 0)
			set(&l, "protocol", "websocket");
		take_tls(&l, section);
		if (!l.tls)
			set(&l, "tls", "off");
		take_login(&l, section);
		take_number(&l, section, "max_connections", "max-connections");
		append_listener(&l, kind_of(&l));
	}
	json_decref(l.keys);
}

/* ---- NGINX ---- */

static const json_t *directive(const json_t *block, const char *name)
{
	size_t i;
	const json_t *d;
	json_array_foreach(block, i, d)
	{
		if (strcmp(json_string_value(json_object_get(d, "name")), name) == 0)
			return d;
	}
	return NULL;
}

/* In the server, else around it. */
static const json_t *server_directive(const json_t *server, const char *name)
{
	const json_t *d = directive(json_object_get(server, "block"), name);
	return d ? d : directive(json_object_get(server, "around"), name);
}

static const char *arg(const json_t *d, size_t n)
{
	const char *s = json_string_value(json_array_get(json_object_get(d, "args"), n));
	return s ? s : "";
}

static const char *where_of(const json_t *d)
{
	return json_string_value(json_object_get(d, "where"));
}

static bool has_arg(const json_t *d, const char *word)
{
	size_t i;
	const json_t *a;
	json_array_foreach(json_object_get(d, "args"), i, a)
	{
		if (strcmp(json_string_value(a), word) == 0)
			return true;
	}
	return false;
}

/* A load balancer in front that states the client's address: only from the networks that
 * set_real_ip_from names. */
static void take_proxy(struct making *l, const json_t *server, const json_t *listen)
{
	AUTO_BUF list = {0};
	size_t i;
	const json_t *d;
	if (!has_arg(listen, "proxy_protocol"))
		return;
	json_array_foreach(json_object_get(server, "block"), i, d)
	{
		if (strcmp(json_string_value(json_object_get(d, "name")), "set_real_ip_from") == 0)
			buf_printf(&list, "%s%s", list.n ? ", " : "", arg(d, 0));
	}
	if (!list.n) {
		migration_say(l->m, REFUSED, where_of(listen), "proxy_protocol",
			      "no set_real_ip_from says whom to believe: name the networks of the "
			      "load balancer in proxy-from");
		return;
	}
	set(l, "proxy-protocol", "any");
	set(l, "proxy-from", buf_cstr(&list));
	migration_say(l->m, TAKEN, where_of(listen), "proxy_protocol", "proxy-from = %s",
		      buf_cstr(&list));
}

/* "443", "*:443", "127.0.0.1:443", "[::]:443". */
static void take_listen(struct making *l, const json_t *d)
{
	const char *text = arg(d, 0);
	const char *colon = strrchr(text, ':');
	uint64_t port;
	AUTO_CHAR host = colon ? mem_printf("%.*s", (int)(colon - text), text) : mem_strdup("");
	const size_t n = strlen(host);
	if (n > 1 && host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = 0;
	}
	if (str_u64(str_of(colon ? colon + 1 : text), PORT_MAX, &port) || port == 0)
		migration_error(l->m, where_of(d), "listen %s: a port from 1 to 65535 is expected",
				text);
	else if (strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0)
		bind_to(l, "", port);
	else
		bind_to(l, host, port);
	l->tls = has_arg(d, "ssl");
}

static void take_server_file(struct making *l, const json_t *server, const char *name,
			     const char *key)
{
	const json_t *d = server_directive(server, name);
	if (!d)
		return;
	set_file(l, key, where_of(d), arg(d, 0));
	migration_say(l->m, TAKEN, where_of(d), name, "%s = %s", key, get(l, key));
}

static void take_verify(struct making *l, const json_t *server)
{
	const json_t *d = server_directive(server, "ssl_verify_client");
	const char *word = d ? arg(d, 0) : "off";
	if (strcmp(word, "off") == 0)
		return;
	take_server_file(l, server, "ssl_client_certificate", "client-ca");
	take_server_file(l, server, "ssl_crl", "crl");
	l->certificate = get(l, "client-ca") != NULL;
	if (!l->certificate)
		migration_error(l->m, where_of(d),
				"ssl_verify_client without ssl_client_certificate");
	else if (strcmp(word, "on") == 0)
		migration_say(l->m, TAKEN, where_of(d), "ssl_verify_client",
			      "clients must show a certificate");
	else
		migration_say(l->m, CHANGED, where_of(d), "ssl_verify_client",
			      "%s let clients in without one; now they must show a certificate",
			      word);
}

static void take_limit(struct making *l, const json_t *server)
{
	const json_t *d = server_directive(server, "limit_conn");
	const json_t *around = json_object_get(server, "around");
	size_t i;
	const json_t *zone;
	const char *by = "";
	if (!d)
		return;
	json_array_foreach(around, i, zone)
	{
		AUTO_CHAR name = mem_printf("zone=%s", arg(d, 0));
		if (strcmp(json_string_value(json_object_get(zone, "name")), "limit_conn_zone") ==
			    0 &&
		    strncmp(arg(zone, 1), name, strlen(name)) == 0)
			by = arg(zone, 0);
	}
	const bool per_address =
		strcmp(by, "$binary_remote_addr") == 0 || strcmp(by, "$remote_addr") == 0;
	set(l, per_address ? "max-connections-per-address" : "max-connections", arg(d, 1));
	migration_say(l->m, per_address || by[0] ? TAKEN : CHANGED, where_of(d), "limit_conn",
		      "%s = %s%s", per_address ? "max-connections-per-address" : "max-connections",
		      arg(d, 1), per_address ? " (IPv6: per /64)" : "");
}

/* The allow and deny lines of a block. */
struct networks {
	struct buf allowed;
	const json_t *last; /* NULL: there is none */
	bool plain;         /* networks that are allowed, and perhaps "deny all" behind them */
	bool closed;        /* by "deny all" */
};

static void read_networks(const json_t *block, struct networks *n)
{
	size_t i;
	const json_t *d;
	n->plain = true;
	json_array_foreach(block, i, d)
	{
		const char *name = json_string_value(json_object_get(d, "name"));
		const bool deny = strcmp(name, "deny") == 0;
		const bool all = strcmp(arg(d, 0), "all") == 0;
		if (!deny && strcmp(name, "allow") != 0)
			continue;
		if (n->closed || deny != all)
			n->plain = false;
		n->last = d;
		n->closed = deny && all;
		if (!deny && !all)
			buf_printf(&n->allowed, "%s%s", n->allowed.n ? ", " : "", arg(d, 0));
	}
}

/* Allowed networks, then "deny all": the list. Anything else is for the firewall. */
static void take_networks(struct making *l, const json_t *server)
{
	struct networks n = {0};
	read_networks(json_object_get(server, "block"), &n);
	if (!n.last)
		read_networks(json_object_get(server, "around"), &n);
	if (n.last && n.plain && n.closed && n.allowed.n) {
		set(l, "allow-from", buf_cstr(&n.allowed));
		migration_say(l->m, TAKEN, where_of(n.last), "allow", "allow-from = %s",
			      buf_cstr(&n.allowed));
	} else if (n.last) {
		migration_say(l->m, REFUSED, where_of(n.last), "allow, deny",
			      "only a list of allowed networks before \"deny all\" can be taken: "
			      "write allow-from, or keep others out with nftables");
	}
	buf_fini(&n.allowed);
}

static void take_protocols(struct making *l, const json_t *server)
{
	const json_t *d = server_directive(server, "ssl_protocols");
	if (!d)
		return;
	const bool v2 = has_arg(d, "TLSv1.2");
	const bool v3 = has_arg(d, "TLSv1.3");
	if (v2 != v3)
		set(l, "tls-versions", v2 ? "1.2" : "1.3");
	if (has_arg(d, "TLSv1") || has_arg(d, "TLSv1.1"))
		migration_say(l->m, CHANGED, where_of(d), "ssl_protocols",
			      "TLS before version 1.2 is not offered");
	else
		migration_say(l->m, TAKEN, where_of(d), "ssl_protocols", "tls-versions");
}

/* The port that a server passes to, by way of an upstream block or not. 0: it cannot be told. */
static uint64_t backend_port(const json_t *server)
{
	const char *to = arg(server_directive(server, "proxy_pass"), 0);
	const json_t *around = json_object_get(server, "around");
	size_t i;
	const json_t *d;
	uint64_t port = 0;
	json_array_foreach(around, i, d)
	{
		if (strcmp(json_string_value(json_object_get(d, "name")), "upstream") == 0 &&
		    strcmp(arg(d, 0), to) == 0)
			to = arg(directive(json_object_get(d, "block"), "server"), 0);
	}
	const char *colon = strrchr(to, ':');
	return colon && str_u64(str_of(colon + 1), PORT_MAX, &port) == 0 ? port : 0;
}

static const json_t *section_of_port(const struct migration *m, uint64_t port)
{
	size_t i;
	const json_t *s;
	struct str host;
	json_array_foreach(m->sections, i, s)
	{
		const bool listens =
			i > 0 || json_array_size(m->sections) == 1 || option_get(s, "port", NULL);
		if (port && listens && port_of(s, &host) == port)
			return s;
	}
	return NULL;
}

/* Every further directive of a server, so that no line goes without a word. */
static void tell_rest(struct migration *m, const json_t *server)
{
	static const char *const told[] = {"listen",
					   "proxy_pass",
					   "ssl_certificate",
					   "ssl_certificate_key",
					   "ssl_verify_client",
					   "ssl_client_certificate",
					   "ssl_crl",
					   "limit_conn",
					   "allow",
					   "deny",
					   "ssl_protocols",
					   "set_real_ip_from"};
	static const char *const never[] = {"ssl_preread", "proxy_bind", "proxy_ssl", "return",
					    "js_access"};
	size_t i;
	const json_t *d;
	json_array_foreach(json_object_get(server, "block"), i, d)
	{
		const char *name = json_string_value(json_object_get(d, "name"));
		bool done = false;
		bool refuse = false;
		for (size_t k = 0; k < ARRAY_LEN(told); k++)
			done = done || strcmp(name, told[k]) == 0;
		for (size_t k = 0; k < ARRAY_LEN(never); k++)
			refuse = refuse || strcmp(name, never[k]) == 0;
		if (done)
			continue;
		migration_say(m, refuse ? REFUSED : CHANGED, where_of(d), name,
			      refuse ? "this cannot be taken over"
				     : "the gateway has its own way: times, ciphers and logs are "
				       "explained in gatehouse.conf(5)");
	}
}

static const json_t *convert_server(struct migration *m, const json_t *server)
{
	struct making l = {.m = m, .keys = json_object()};
	const json_t *section = section_of_port(m, backend_port(server));
	const json_t *pass = server_directive(server, "proxy_pass");
	const json_t *listen = directive(json_object_get(server, "block"), "listen");
	l.where = where_of(server);
	if (!section) {
		migration_say(m, REFUSED, where_of(pass), "proxy_pass",
			      "%s is no listener of mosquitto.conf: this server is left out",
			      arg(pass, 0));
		json_decref(l.keys);
		return NULL;
	}
	take_listen(&l, listen);
	take_proxy(&l, server, listen);
	const char *protocol = option_get(section, "protocol", NULL);
	if (protocol && strcmp(protocol, "websockets") == 0)
		set(&l, "protocol", "websocket");
	if (l.tls) {
		take_server_file(&l, server, "ssl_certificate", "certificate");
		take_server_file(&l, server, "ssl_certificate_key", "key");
		take_verify(&l, server);
		take_protocols(&l, server);
	} else {
		set(&l, "tls", "off");
	}
	take_limit(&l, server);
	take_networks(&l, server);
	migration_say(m, TAKEN, where_of(pass), "proxy_pass",
		      "the gateway does both; nothing is passed on");
	take_login(&l, section);
	append_listener(&l, kind_of(&l));
	tell_rest(m, server);
	json_decref(l.keys);
	return section;
}

/* ---- all of it ---- */

static bool said(const struct migration *m, const json_t *where)
{
	size_t i;
	const json_t *line;
	json_array_foreach(m->report, i, line)
	{
		if (json_equal(json_object_get(line, "where"), where))
			return true;
	}
	return false;
}

/* Options that only shaped something else have a line as well. */
static void tell_options(struct migration *m)
{
	size_t i;
	const json_t *section;
	json_array_foreach(m->sections, i, section)
	{
		const char *name;
		json_t *option;
		json_object_foreach(json_object_get(section, "options"), name,
				    option) if (!said(m, json_object_get(option, "where")))
			migration_say(m, TAKEN, where_of(option), name,
				      "part of how clients log in on its listener");
	}
}

void listeners_plan(struct migration *m)
{
	size_t i;
	const json_t *item;
	json_t *behind = json_array();
	json_array_foreach(m->servers, i, item)
	{
		const json_t *section = convert_server(m, item);
		if (section)
			json_array_append_new(behind,
					      json_incref(json_object_get(section, "where")));
	}
	json_array_foreach(m->sections, i, item)
	{
		size_t k;
		const json_t *where;
		bool passed = false;
		if (i == 0 && json_array_size(m->sections) > 1 && !option_get(item, "port", NULL))
			continue;
		json_array_foreach(behind, k, where) passed =
			passed || json_equal(where, json_object_get(item, "where"));
		convert_section(m, item, passed);
	}
	json_decref(behind);
}

void listeners_judge(struct migration *m, bool legacy)
{
	size_t i;
	const json_t *l;
	tell_options(m);
	const bool registered = json_array_size(m->certificates) > 0;
	json_array_foreach(m->listeners, i, l)
	{
		json_t *keys = json_object_get(l, "keys");
		const char *name = json_string_value(json_object_get(l, "name"));
		if (!json_object_get(keys, "client-ca"))
			continue;
		if (registered && legacy) {
			json_object_set_new(keys, "lint", json_string("legacy"));
			migration_say(m, CHANGED, name, "lint = legacy",
				      "some certificates are of an old form; only those that are "
				      "registered are accepted");
		} else if (!registered) {
			json_object_set_new(keys, "device-from", json_string("cn"));
			migration_say(
				m, CHANGED, name, "device-from = cn",
				"no certificate was registered: the common name is the device, "
				"and certificates must be of today's form (lint = strict); give "
				"--certs DIR to register those that are not");
		} else {
			migration_say(
				m, CHANGED, name, "certificates",
				"only registered ones are accepted; gatehouse cert import adds "
				"one, device-from = cn takes all of the authority");
		}
	}
}
