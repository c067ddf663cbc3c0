/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration: every type, the exact words of every error, precedence and origins, slices,
 * changes from the interface, what needs a restart, and the files that are shipped.
 */
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/conf/load.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LISTENER "[listener a]\nbind = 127.0.0.1:1\n"

static struct conf_text text_of(const char *label, const char *text)
{
	return (struct conf_text){text ? label : NULL, str_of(text)};
}

static int load(const char *file, const char *settings, const char *override, struct config **out,
		struct config_errors *errors)
{
	return conf_load_texts(text_of("F", file), text_of("S", settings), &override,
			       override ? 1 : 0, out, errors);
}

/* The configuration of texts that must be right. */
static struct config *good(const char *file, const char *settings, const char *override)
{
	struct config *c = NULL;
	struct config_errors errors = {0};
	const int err = load(file, settings, override, &c, &errors);
	if (err) {
		AUTO_BUF all = {0};
		config_errors_print(&errors, &all);
		fail_msg("refused: %s", buf_cstr(&all));
	}
	assert_int_equal(errors.n, 0);
	return c;
}

/* All errors of texts that must be wrong, a line each. */
static void assert_errors(const char *file, const char *settings, const char *override,
			  const char *expected)
{
	struct config *c = NULL;
	struct config_errors errors = {0};
	AUTO_BUF all = {0};
	const int err = load(file, settings, override, &c, &errors);
	config_errors_print(&errors, &all);
	config_errors_fini(&errors);
	assert_string_equal(buf_cstr(&all), expected);
	assert_int_equal(err, ERR_INVALID);
	assert_null(c);
}

static void assert_value(const struct config *c, const char *key, const char *value,
			 const char *origin)
{
	AUTO_BUF v = {0};
	AUTO_BUF o = {0};
	assert_int_equal(config_get(c, str_of(key), &v, &o), 0);
	assert_string_equal(buf_cstr(&v), value);
	assert_string_equal(buf_cstr(&o), origin);
}

static void an_empty_file_gives_the_defaults(void **state)
{
	(void)state;
	AUTO(config) c = good("", NULL, NULL);
	char host[256] = "";
	gethostname(host, sizeof(host) - 1);
	assert_true(strcmp(c->gateway.name, host) == 0 ||
		    strcmp(c->gateway.name, "gatehouse") == 0);
	assert_string_equal(c->gateway.state_dir, "/var/lib/gatehouse");
	assert_int_equal(c->gateway.names.n, 0);
	assert_true(c->gateway.sandbox);
	assert_int_equal(c->gateway.seccomp_default, CONFIG_SECCOMP_ERRNO);
	assert_int_equal(c->log.level, CONFIG_LEVEL_NOTICE);
	assert_int_equal(c->broker.workers, 0);
	assert_int_equal(c->broker.max_packet, 1024 * 1024);
	assert_int_equal(c->broker.connect_timeout, 5000);
	assert_int_equal(c->events.keep, 90ull * 24 * 3600 * 1000);
	assert_int_equal(c->events.max_size, 1024ull * 1024 * 1024);
}

static void without_a_listener_there_is_one_for_tls(void **state)
{
	(void)state;
	AUTO(config) c = good(NULL, NULL, NULL);
	assert_int_equal(c->listeners, 1);
	assert_string_equal(c->listener[0].name, "mqtts");
	assert_int_equal(c->listener[0].bind.n, 1);
	assert_true(c->listener[0].bind.p[0].dual_stack);
	assert_int_equal(addr_port(&c->listener[0].bind.p[0]), 8883);
	assert_true(c->listener[0].tls);
	assert_int_equal(c->listener[0].protocol, CONFIG_PROTOCOL_AUTO);
	assert_int_equal(c->listener[0].auth, CONFIG_AUTH_ANY);
	assert_value(c, "listener.mqtts.bind", "*:8883", "default");
}

static void a_listener_replaces_the_default_one(void **state)
{
	(void)state;
	AUTO(config) c = good(LISTENER, NULL, NULL);
	assert_int_equal(c->listeners, 1);
	assert_string_equal(c->listener[0].name, "a");
}

static void the_default_listener_can_be_changed_and_stays_beside_settings(void **state)
{
	(void)state;
	AUTO(config)
	c = good("", "[listener b]\nbind = 127.0.0.1:2\n", "listener.mqtts.auth=password");
	assert_int_equal(c->listeners, 2);
	assert_value(c, "listener.mqtts.bind", "*:8883", "default");
	assert_value(c, "listener.mqtts.auth", "password", "command line");
	assert_value(c, "listener.b.bind", "127.0.0.1:2", "S:2");
}

static void every_type_is_read(void **state)
{
	(void)state;
	AUTO(config)
	c = good("[gateway]\n"
		 "name = gw.example.org\n"
		 "names = a.example.org ,10.0.0.1,fd00::1\n"
		 "state-dir = /srv/a b # c\n"
		 "group = mqtt admins\n"
		 "sandbox = off\n"
		 "[log]\n"
		 "level = debug\n"
		 "[broker]\n"
		 "workers = 64\n"
		 "max-packet = 256K\n"
		 "max-queued-bytes = 3 M\n"
		 "max-output-bytes = 1G\n"
		 "connect-timeout = 1500ms\n"
		 "max-keep-alive = 2min\n"
		 "max-session-expiry = 0s\n"
		 "[listener x.Y_z-9]\n"
		 "bind = 127.0.0.1:1883, [::1]:1884\n"
		 "allow-from = 10.0.0.0/8,fd00::/8 , 192.168.1.7\n"
		 "tls-versions = 1.3\n"
		 "[events]\n"
		 "keep = 36h\n",
		 NULL, NULL);
	assert_string_equal(c->gateway.name, "gw.example.org");
	assert_int_equal(c->gateway.names.n, 3);
	assert_string_equal(c->gateway.names.p[0], "a.example.org");
	assert_string_equal(c->gateway.names.p[2], "fd00::1");
	assert_string_equal(c->gateway.state_dir, "/srv/a b # c");
	assert_string_equal(c->gateway.group, "mqtt admins");
	assert_false(c->gateway.sandbox);
	assert_int_equal(c->log.level, CONFIG_LEVEL_DEBUG);
	assert_int_equal(c->broker.workers, 64);
	assert_int_equal(c->broker.max_packet, 256 * 1024);
	assert_int_equal(c->broker.max_queued_bytes, 3 * 1024 * 1024);
	assert_int_equal(c->broker.max_output_bytes, 1024ull * 1024 * 1024);
	assert_int_equal(c->broker.connect_timeout, 1500);
	assert_int_equal(c->broker.max_keep_alive, 120000);
	assert_int_equal(c->broker.max_session_expiry, 0);
	assert_int_equal(c->events.keep, 36ull * 3600 * 1000);
	const struct config_listener *l = &c->listener[0];
	assert_string_equal(l->name, "x.Y_z-9");
	assert_int_equal(l->bind.n, 2);
	assert_int_equal(addr_port(&l->bind.p[1]), 1884);
	assert_int_equal(l->allow_from.n, 3);
	assert_int_equal(l->allow_from.p[1].bits, 8);
	assert_int_equal(l->allow_from.p[2].bits, 32);
	assert_int_equal(l->tls_versions, CONFIG_TLS_VERSIONS_1_3);
}

static void values_are_printed_in_one_form(void **state)
{
	(void)state;
	AUTO(config)
	c = good("[broker]\n"
		 "max-packet = 262144\n"
		 "max-output-bytes = 100001\n"
		 "connect-timeout = 2000ms\n"
		 "max-session-expiry = 48h\n"
		 "[listener x.y]\n"
		 "bind = [0:0::1]:5,*:6\n"
		 "auth = certificate+password\n"
		 "allow-from = 10.0.0.0/8,::/0\n",
		 NULL, "broker.max-packet=  65536 ");
	assert_value(c, "broker.max-packet", "64K", "command line");
	assert_value(c, "broker.max-output-bytes", "100001", "F:3");
	assert_value(c, "broker.connect-timeout", "2s", "F:4");
	assert_value(c, "broker.max-session-expiry", "2d", "F:5");
	assert_value(c, "listener.x.y.bind", "[::1]:5, *:6", "F:7");
	assert_value(c, "listener.x.y.auth", "certificate+password", "F:8");
	assert_value(c, "listener.x.y.allow-from", "10.0.0.0/8, ::/0", "F:9");
	assert_value(c, "listener.x.y.certificate", "", "default");
}

static void the_grammar_is_lines(void **state)
{
	(void)state;
	AUTO(config)
	c = good("\r\n"
		 "  # a comment\r\n"
		 "\t; another = one\n"
		 " [ log ] \n"
		 "\t level\t=\tinfo\t\r\n"
		 "[listener \t a ]\n"
		 "   bind = 127.0.0.1:1\n"
		 "[gateway]\n"
		 "state-dir = /a=b;c\n"
		 "[store]\n"
		 "password-threads = 16",
		 NULL, NULL);
	assert_value(c, "log.level", "info", "F:5");
	assert_value(c, "listener.a.bind", "127.0.0.1:1", "F:7");
	assert_value(c, "gateway.state-dir", "/a=b;c", "F:9");
	assert_value(c, "store.password-threads", "16", "F:11");
}

struct wrong {
	const char *text;
	const char *error;
};

/* One error each; the text is gatehouse.conf. */
static const struct wrong wrong_lines[] = {
	{"[broker]\nworkers\n",
	 "F:2: workers: this is neither [section] nor key = value nor a comment after # or ;\n"},
	{"[broker]\n= 3\n",
	 "F:2: = 3: this is neither [section] nor key = value nor a comment after # or ;\n"},
	{"[broker] # here\n",
	 "F:1: [broker] # here: a section must end with ] and have the line for itself\n"},
	{"[ ]\n", "F:1: [ ]: a section needs a name, such as [broker]\n"},
	{"[gateway]\ngroup = a\x01z\n",
	 "F:2: syntax: the line holds a control character or is not UTF-8\n"},
	{"[gateway]\ngroup = \xc3(\n",
	 "F:2: syntax: the line holds a control character or is not UTF-8\n"},
	{"\nworkers = 3\n",
	 "F:2: workers: stands before any section; a line such as [broker] must come first\n"},
	{"[brokers]\nworkers = 3\nwrokers = 1\n",
	 "F:1: [brokers]: unknown section; did you mean [broker]?\n"},
	{"[mqtt]\n", "F:1: [mqtt]: unknown section; there are [gateway], [log], [broker], "
		     "[listener NAME], [admin], [enrol], [events], [audit], [store]\n"},
	{"[broker main]\n", "F:1: [broker main]: this section has no name; write [broker]\n"},
	{"[listener]\n",
	 "F:1: [listener]: needs a name of 1 to 32 letters, digits, dots, dashes or "
	 "underscores: [listener NAME]\n"},
	{"[listener a b]\n", "F:1: [listener a b]: needs a name of 1 to 32 letters, digits, dots, "
			     "dashes or underscores: [listener NAME]\n"},
	{"[broker]\n[log]\n[broker]\n",
	 "F:3: [broker]: has begun already at F:1; put its keys there\n"},
	{LISTENER "[listener a]\n",
	 "F:3: [listener a]: has begun already at F:1; put its keys there\n"},
	{"[broker]\nmax-paket = 3\n",
	 "F:2: [broker] max-paket = 3: unknown key; did you mean max-packet?\n"},
	{"[gateway]\nhandshake-rate = 3\n",
	 "F:2: [gateway] handshake-rate = 3: unknown key; it belongs to [broker]\n"},
	{"[gateway]\nclient-ca = /x\n",
	 "F:2: [gateway] client-ca = /x: unknown key; it belongs to [listener NAME]\n"},
	{"[log]\npersistence = on\n", "F:2: [log] persistence = on: unknown key; gatehouse.conf(5) "
				      "lists those of [log]\n"},
	{"[broker]\nworkers = 3\nworkers = 3\n",
	 "F:3: [broker] workers = 3: is set already at F:2\n"},
	{"[listener a]\ntls = on\n", "F:1: [listener a]: bind is missing; it must be ADDRESS:PORT, "
				     "[IPv6]:PORT or *:PORT with a port from 1 to 65535, several "
				     "separated by commas\n"},
};

static const struct wrong wrong_values[] = {
	{"[gateway]\nsandbox = yes\n", "F:2: [gateway] sandbox = yes: must be on or off\n"},
	{"[gateway]\nsandbox =\n", "F:2: [gateway] sandbox = : must be on or off\n"},
	{"[broker]\nworkers = 65\n",
	 "F:2: [broker] workers = 65: must be 0 to 64, a whole number\n"},
	{"[broker]\nhandshake-threads = 0\n",
	 "F:2: [broker] handshake-threads = 0: must be 1 to 16, a whole number\n"},
	{"[broker]\nworkers = 0x1\n",
	 "F:2: [broker] workers = 0x1: must be 0 to 64, a whole number\n"},
	{"[broker]\nworkers = 2 # or more\n",
	 "F:2: [broker] workers = 2 # or more: must be 0 to 64, a whole number; a comment needs a "
	 "line of its own\n"},
	{"[broker]\nmax-packet = 127\n",
	 "F:2: [broker] max-packet = 127: must be 128 to 256M, in bytes or with K, M or G\n"},
	{"[broker]\nmax-packet = 1T\n",
	 "F:2: [broker] max-packet = 1T: must be 128 to 256M, in bytes or with K, M or G\n"},
	{"[broker]\nmax-packet = 17179869185G\n",
	 "F:2: [broker] max-packet = 17179869185G: must be 128 to 256M, in bytes or with K, M or "
	 "G\n"},
	{"[broker]\nmax-packet = K\n",
	 "F:2: [broker] max-packet = K: must be 128 to 256M, in bytes or with K, M or G\n"},
	{"[broker]\nconnect-timeout = 5\n",
	 "F:2: [broker] connect-timeout = 5: must be 500ms to 1min, with a unit: ms, s, min, h or "
	 "d\n"},
	{"[broker]\nconnect-timeout = 61s\n",
	 "F:2: [broker] connect-timeout = 61s: must be 500ms to 1min, with a unit: ms, s, min, h "
	 "or d\n"},
	{"[broker]\nconnect-timeout = 499ms\n",
	 "F:2: [broker] connect-timeout = 499ms: must be 500ms to 1min, with a unit: ms, s, min, h "
	 "or d\n"},
	{"[log]\nlevel = notcie\n",
	 "F:2: [log] level = notcie: must be error, warning, notice, info or debug; did you mean "
	 "notice?\n"},
	{"[log]\nlevel = 3\n",
	 "F:2: [log] level = 3: must be error, warning, notice, info or debug\n"},
	{"[gateway]\ngroup = 123456789012345678901234567890123\n",
	 "F:2: [gateway] group = 123456789012345678901234567890123: must be 1 to 32 bytes long\n"},
	{"[gateway]\ngroup =\n", "F:2: [gateway] group = : must be 1 to 32 bytes long\n"},
	{"[gateway]\nname = gw_1\n",
	 "F:2: [gateway] name = gw_1: must be a DNS name or an IP address\n"},
	{"[gateway]\nname = 10.0.0.256\n",
	 "F:2: [gateway] name = 10.0.0.256: must be a DNS name or an IP address\n"},
	{"[gateway]\nnames = a.org, -b.org\n",
	 "F:2: [gateway] names = a.org, -b.org: must be DNS names or IP addresses, separated by "
	 "commas; \"-b.org\" is neither\n"},
	{"[gateway]\nnames = a.org,\n",
	 "F:2: [gateway] names = a.org,: must be DNS names or IP addresses, separated by commas; "
	 "\"\" is neither\n"},
	{"[gateway]\nstate-dir = var/lib\n",
	 "F:2: [gateway] state-dir = var/lib: must be an absolute path, beginning with /\n"},
	{"[admin]\nbind = 8443\n",
	 "F:2: [admin] bind = 8443: must be ADDRESS:PORT, [IPv6]:PORT or *:PORT with a port from 1 "
	 "to 65535, several separated by commas; \"8443\" is not one\n"},
	{"[admin]\nbind = *:1, localhost:2\n",
	 "F:2: [admin] bind = *:1, localhost:2: must be ADDRESS:PORT, [IPv6]:PORT or *:PORT with a "
	 "port from 1 to 65535, several separated by commas; \"localhost:2\" is not one\n"},
	{"[admin]\nbind = *:65536\n",
	 "F:2: [admin] bind = *:65536: must be ADDRESS:PORT, [IPv6]:PORT or *:PORT with a port "
	 "from "
	 "1 to 65535, several separated by commas; \"*:65536\" has no such port\n"},
	{"[admin]\nbind = *:0\n",
	 "F:2: [admin] bind = *:0: must be ADDRESS:PORT, [IPv6]:PORT or *:PORT with a port from 1 "
	 "to 65535, several separated by commas; \"*:0\" has no such port\n"},
	{"[admin]\nbind = unix:/x\n",
	 "F:2: [admin] bind = unix:/x: must be ADDRESS:PORT, [IPv6]:PORT or *:PORT with a port "
	 "from "
	 "1 to 65535, several separated by commas; \"unix:/x\" is not one\n"},
	{LISTENER "allow-from = 10.0.0.0/33\n",
	 "F:3: [listener a] allow-from = 10.0.0.0/33: must be networks such as 192.168.1.0/24 or "
	 "fd00::/8, separated by commas; \"10.0.0.0/33\" has a prefix length over 32 (IPv4) or 128 "
	 "(IPv6)\n"},
	{LISTENER "allow-from = ::/0, 10.0.0.1/8\n",
	 "F:3: [listener a] allow-from = ::/0, 10.0.0.1/8: must be networks such as 192.168.1.0/24 "
	 "or fd00::/8, separated by commas; \"10.0.0.1/8\" has bits set behind its prefix "
	 "length\n"},
	{LISTENER "proxy-protocol = v2\n",
	 "F:3: [listener a] proxy-protocol = v2: needs to know whose word counts; add proxy-from = "
	 "the networks of your proxies\n"},
	{LISTENER "proxy-from = 10.0.0.1\n",
	 "F:3: [listener a] proxy-from = 10.0.0.1: means nothing with proxy-protocol = off; remove "
	 "it or write proxy-protocol = v1, v2 or any\n"},
	{LISTENER "allow-from = home\n", "F:3: [listener a] allow-from = home: must be networks "
					 "such as 192.168.1.0/24 or fd00::/8, "
					 "separated by commas; \"home\" is not one\n"},
};

#define PLAIN LISTENER "tls = off\nauth = password\n"

/* Values that are good by themselves. */
static const struct wrong wrong_together[] = {
	{LISTENER "tls = off\nauth = certificate\n",
	 "F:3: [listener a] tls = off: without TLS no device can show a certificate, as auth = "
	 "certificate wants; write tls = on, or auth = password or anonymous\n"},
	{LISTENER "tls = off\n",
	 "F:3: [listener a] tls = off: without TLS no device can show a certificate, as auth = any "
	 "wants; write tls = on, or auth = password or anonymous\n"},
	{PLAIN "tickets = on\n", "F:5: [listener a] tickets = on: means nothing with tls = off; "
				 "remove it or write tls = on\n"},
	{PLAIN "record-max = 1K\n", "F:5: [listener a] record-max = 1K: means nothing with tls = "
				    "off; remove it or write tls = on\n"},
	{PLAIN "tls-versions = 1.2\n", "F:5: [listener a] tls-versions = 1.2: means nothing with "
				       "tls = off; remove it or write tls = on\n"},
	{PLAIN "client-ca = /c\n",
	 "F:5: [listener a] client-ca = /c: means nothing with tls = off; "
	 "remove it or write tls = on\n"},
	{PLAIN "certificate = /c\nkey = /k\n",
	 "F:5: [listener a] certificate = /c: means nothing with tls = off; remove it or write tls "
	 "= on\n"
	 "F:6: [listener a] key = /k: means nothing with tls = off; remove it or write tls = on\n"},
	{LISTENER "certificate = /c\n", "F:3: [listener a] certificate = /c: needs the private key "
					"that belongs to it; add key = PATH\n"},
	{LISTENER "key = /k\n", "F:3: [listener a] key = /k: needs the certificate that it belongs "
				"to; add certificate = PATH\n"},
	{LISTENER "auth = password\nclient-ca = /c\n",
	 "F:4: [listener a] client-ca = /c: means nothing with auth = password, which asks for no "
	 "certificate; remove it or write auth = certificate, certificate+password or any\n"},
	{"[listener a]\nbind = 127.0.0.1:1, 10.0.0.1:1\nauth = anonymous\n",
	 "F:3: [listener a] auth = anonymous: lets everyone in who can reach the machine; bind to "
	 "127.0.0.1 or [::1], or name the networks with allow-from\n"},
	{LISTENER "[listener b]\nbind = 127.0.0.1:1\n",
	 "F:4: [listener b] bind = 127.0.0.1:1: clashes with 127.0.0.1:1 of [listener a] (F:2); "
	 "choose another port or address\n"},
	{LISTENER "[listener b]\nbind = 10.0.0.1:2, *:1\n",
	 "F:4: [listener b] bind = 10.0.0.1:2, *:1: clashes with 127.0.0.1:1 of [listener a] "
	 "(F:2); "
	 "choose another port or address\n"},
	{"[admin]\ncertificate = /x/crt\n",
	 "F:2: [admin] certificate = /x/crt: needs the private key that belongs to it; add key = "
	 "PATH\n"},
	{"[admin]\nkey = /x/key\n",
	 "F:2: [admin] key = /x/key: needs the certificate that it belongs to; add certificate = "
	 "PATH\n"},
	{"[listener a]\nbind = 0.0.0.0:8443\n",
	 "F:2: [listener a] bind = 0.0.0.0:8443: clashes with *:8443 of [admin] (default); choose "
	 "another port or address\n"},
	{"[admin]\nbind = [::]:5\n[enrol]\nbind = [::1]:5\n",
	 "F:4: [enrol] bind = [::1]:5: clashes with [::]:5 of [admin] (F:2); choose another port "
	 "or "
	 "address\n"},
	{"[admin]\nbind = 127.0.0.1:5, 127.0.0.1:6, 127.0.0.1:5\n",
	 "F:2: [admin] bind = 127.0.0.1:5, 127.0.0.1:6, 127.0.0.1:5: clashes with 127.0.0.1:5 of "
	 "[admin] (F:2); choose another port or address\n"},
	{"[broker]\nmax-payload = 2M\n",
	 "F:2: [broker] max-payload = 2M: is more than max-packet = 1M of [broker], but a packet "
	 "holds its payload; change one of them\n"},
	{"[broker]\nmax-queued-bytes = 512K\n",
	 "F:2: [broker] max-queued-bytes = 512K: is less than max-packet = 1M of [broker], but a "
	 "message of that size could never wait for its receiver; change one of them\n"},
	{"[broker]\nmax-output-bytes = 64K\n",
	 "F:2: [broker] max-output-bytes = 64K: is less than max-packet = 1M of [broker], but a "
	 "packet of that size could never be sent; change one of them\n"},
	{"[broker]\nmax-sessions = 1000\n",
	 "F:2: [broker] max-sessions = 1000: is less than max-connections = 16384 of [broker], but "
	 "every connection has a session; change one of them\n"},
	{"[broker]\nmax-connections = 5\nmax-connections-per-address = 6\n",
	 "F:3: [broker] max-connections-per-address = 6: is more than max-connections = 5 of "
	 "[broker], but that bounds all addresses together; change one of them\n"},
	{"[broker]\nmax-connections = 5\nmax-half-open = 6\n",
	 "F:3: [broker] max-half-open = 6: is more than max-connections = 5 of [broker], but that "
	 "bounds all connections together; change one of them\n"},
	{"[broker]\nhandshake-rate = 5\nhandshake-rate-per-address = 6\n",
	 "F:3: [broker] handshake-rate-per-address = 6: is more than handshake-rate = 5 of "
	 "[broker], but that bounds all addresses together; change one of them\n"},
	{LISTENER "max-connections = 16385\n",
	 "F:3: [listener a] max-connections = 16385: is more than max-connections = 16384 of "
	 "[broker], but that bounds all listeners together; change one of them\n"},
	{LISTENER "max-connections-per-address = 257\n",
	 "F:3: [listener a] max-connections-per-address = 257: is more than "
	 "max-connections-per-address = 256 of [broker], but that bounds all listeners together; "
	 "change one of them\n"},
	{LISTENER "max-packet = 2M\n",
	 "F:3: [listener a] max-packet = 2M: is more than max-packet = 1M of [broker], but that "
	 "bounds all listeners; change one of them\n"},
};

static void assert_all_wrong(const struct wrong *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_errors(w[i].text, NULL, NULL, w[i].error);
}

static void wrong_lines_are_named(void **state)
{
	(void)state;
	assert_all_wrong(wrong_lines, ARRAY_LEN(wrong_lines));
}

static void wrong_values_are_told_what_is_allowed(void **state)
{
	(void)state;
	assert_all_wrong(wrong_values, ARRAY_LEN(wrong_values));
}

static void contradictions_are_found(void **state)
{
	(void)state;
	assert_all_wrong(wrong_together, ARRAY_LEN(wrong_together));
}

/* What looks like the contradictions above and is none. */
static void what_fits_together_is_accepted(void **state)
{
	(void)state;
	static const char *const fits[] = {
		PLAIN,
		"[listener a]\nbind = 127.0.0.1:1, [::1]:1\nauth = anonymous\n",
		"[listener a]\nbind = *:1\nauth = anonymous\nallow-from = 10.0.0.0/8\n",
		LISTENER "tls = off\nauth = anonymous\n",
		LISTENER "certificate = /c\nkey = /k\n",
		LISTENER "client-ca = /c\nauth = certificate+password\n",
		LISTENER "[listener b]\nbind = 127.0.0.2:1\n",
		LISTENER "[listener b]\nbind = [::1]:1\n",
		"[admin]\nbind =\n[listener a]\nbind = *:8443\n",
		"[broker]\nmax-connections = 5\nhandshake-rate = 5\n",
		"[broker]\nmax-packet = 2M\n" LISTENER "max-packet = 2M\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(fits); i++) {
		AUTO(config) c = good(fits[i], NULL, NULL);
		assert_non_null(c);
	}
}

static void all_errors_are_told_at_once(void **state)
{
	(void)state;
	assert_errors(
		"[log]\nlevel = x\nlevel = y\n[brokr]\n[broker]\nworkers = 99\n",
		"[gateway]\nstate-dir = /x\n", "store.password-threads=0",
		"command line: [store] password-threads = 0: must be 1 to 16, a whole number\n"
		"F:2: [log] level = x: must be error, warning, notice, info or debug\n"
		"F:3: [log] level = y: is set already at F:2\n"
		"F:4: [brokr]: unknown section; did you mean [broker]?\n"
		"F:6: [broker] workers = 99: must be 0 to 64, a whole number\n"
		"S:2: [gateway] state-dir = /x: can be set in gatehouse.conf only\n");
}

static void errors_are_counted_beyond_twenty(void **state)
{
	(void)state;
	AUTO_BUF text = {0};
	for (int i = 0; i < 22; i++)
		buf_puts(&text, "x\n");
	struct config *c = NULL;
	struct config_errors errors = {0};
	assert_int_equal(load(buf_cstr(&text), NULL, NULL, &c, &errors), ERR_INVALID);
	assert_int_equal(errors.n, 20);
	assert_int_equal(errors.dropped, 2);
	AUTO_BUF all = {0};
	config_errors_print(&errors, &all);
	assert_non_null(strstr(buf_cstr(&all), "F:20: x: this is neither"));
	assert_non_null(strstr(buf_cstr(&all), "\n2 more errors\n"));
	config_errors_fini(&errors);
}

static void long_lines_and_long_lists_are_refused(void **state)
{
	(void)state;
	AUTO_BUF text = {0};
	buf_puts(&text, "[gateway]\nstate-dir = /");
	for (int i = 0; i < CONFIG_LINE_MAX; i++)
		buf_putc(&text, 'x');
	struct config *c = NULL;
	struct config_errors errors = {0};
	assert_int_equal(load(buf_cstr(&text), NULL, NULL, &c, &errors), ERR_INVALID);
	assert_non_null(strstr(errors.text[0], ": the line is longer than 4096 bytes"));
	assert_true(strlen(errors.text[0]) < 200);
	config_errors_fini(&errors);
	text.n = 0;
	buf_puts(&text, "[gateway]\nnames = a");
	for (int i = 0; i < CONFIG_LIST_MAX; i++)
		buf_puts(&text, ",a");
	assert_int_equal(load(buf_cstr(&text), NULL, NULL, &c, &errors), ERR_INVALID);
	assert_non_null(strstr(errors.text[0], ": must have at most 64 entries"));
	config_errors_fini(&errors);
}

static void listeners_are_bounded(void **state)
{
	(void)state;
	AUTO_BUF text = {0};
	for (int i = 0; i <= CONFIG_LISTENERS_MAX; i++)
		buf_printf(&text, "[listener l%d]\nbind = 127.0.0.1:%d\n", i, i + 1);
	assert_errors(buf_cstr(&text), NULL, NULL,
		      "F:129: [listener l64]: there may be 64 of these sections\n");
}

static void a_long_text_is_cut_between_characters(void **state)
{
	(void)state;
	AUTO_BUF text = {0};
	AUTO_BUF expected = {0};
	buf_puts(&text, "[log]\nlevel = a");
	buf_puts(&expected, "F:2: [log] level = a");
	for (int i = 0; i < 60; i++) {
		buf_puts(&text, "\xc3\xa9");
		if (i < 39)
			buf_puts(&expected, "\xc3\xa9");
	}
	buf_puts(&expected, ": must be error, warning, notice, info or debug\n");
	assert_errors(buf_cstr(&text), NULL, NULL, buf_cstr(&expected));
}

static void the_stronger_source_wins(void **state)
{
	(void)state;
	AUTO(config)
	c = good("[broker]\nworkers = 2\nhandshake-threads = 3\n",
		 "[broker]\nworkers = 4\nhandshake-threads = 5\nmax-inflight = 6\n",
		 "broker.workers=1");
	assert_int_equal(c->broker.workers, 1);
	assert_value(c, "broker.workers", "1", "command line");
	assert_value(c, "broker.handshake-threads", "3", "F:3");
	assert_value(c, "broker.max-inflight", "6", "S:4");
	assert_value(c, "broker.max-packet", "1M", "default");
}

static void a_weaker_source_is_judged_too(void **state)
{
	(void)state;
	assert_errors("[broker]\nworkers = 2\n", "[broker]\nworkers = many\nworkers = 3\n", NULL,
		      "S:2: [broker] workers = many: must be 0 to 64, a whole number\n"
		      "S:3: [broker] workers = 3: is set already at S:2\n");
}

/* A listener that no single key could begin, and one that goes with all of its keys. */
static void several_changes_are_judged_as_a_whole(void **state)
{
	(void)state;
	AUTO(config) c = good(LISTENER, NULL, NULL);
	AUTO(config) with = NULL;
	AUTO(config) without = NULL;
	AUTO(config) bad = NULL;
	struct config_errors errors = {0};
	size_t wrong = 99;
	struct config_change list[] = {
		{STR("listener.b.auth"), STR("certificate")},
		{STR("broker.max-inflight"), STR("9")},
		{STR("listener.b.bind"), STR("127.0.0.1:2")},
	};
	assert_int_equal(config_set_all(c, list, 1, &bad, &wrong, &errors), ERR_INVALID);
	assert_int_equal(wrong, 1); /* it does not fit together: there is no bind */
	config_errors_fini(&errors);
	assert_int_equal(config_set_all(c, list, 3, &with, &wrong, &errors), 0);
	assert_int_equal(with->listeners, 2);
	assert_int_equal(with->broker.max_inflight, 9);
	assert_int_equal(c->listeners, 1);
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		list[i].value = (struct str){NULL, 0};
	assert_int_equal(config_set_all(with, list, 3, &without, &wrong, &errors), 0);
	assert_int_equal(without->listeners, 1);
	assert_int_equal(without->broker.max_inflight, 256);
	list[1].value = STR("many");
	assert_int_equal(config_set_all(c, list + 1, 1, &bad, &wrong, &errors), ERR_INVALID);
	assert_int_equal(wrong, 0);
	config_errors_fini(&errors);
	assert_int_equal(config_set_all(c, list, 1, &bad, &wrong, &errors), ERR_NOT_FOUND);
	config_errors_fini(&errors);
}

static void settings_may_add_to_a_listener_and_make_one(void **state)
{
	(void)state;
	AUTO(config)
	c = good(LISTENER,
		 "[listener a]\nbind = *:9\nclient-id = device\n"
		 "[listener b]\nbind = 127.0.0.1:2\n",
		 NULL);
	assert_int_equal(c->listeners, 2);
	assert_value(c, "listener.a.bind", "127.0.0.1:1", "F:2");
	assert_value(c, "listener.a.client-id", "device", "S:3");
	assert_value(c, "listener.b.bind", "127.0.0.1:2", "S:5");
}

static void privileges_and_paths_are_for_the_file_alone(void **state)
{
	(void)state;
	assert_errors(LISTENER,
		      "[gateway]\ngroup = x\nsandbox = off\nseccomp-default = errno\nrun-dir = /x\n"
		      "[listener a]\nkey = /x\ncertificate = /x\nclient-ca = /x\n",
		      NULL,
		      "S:2: [gateway] group = x: can be set in gatehouse.conf only\n"
		      "S:3: [gateway] sandbox = off: can be set in gatehouse.conf only\n"
		      "S:4: [gateway] seccomp-default = errno: can be set in gatehouse.conf only\n"
		      "S:5: [gateway] run-dir = /x: can be set in gatehouse.conf only\n"
		      "S:7: [listener a] key = /x: can be set in gatehouse.conf only\n"
		      "S:8: [listener a] certificate = /x: can be set in gatehouse.conf only\n"
		      "S:9: [listener a] client-ca = /x: can be set in gatehouse.conf only\n");
}

static void overrides_have_their_own_errors(void **state)
{
	(void)state;
	static const struct wrong w[] = {
		{"broker", "command line: broker: must be SECTION.KEY=VALUE or "
			   "listener.NAME.KEY=VALUE with a section of gatehouse.conf(5)\n"},
		{"workers=3", "command line: workers=3: must be SECTION.KEY=VALUE or "
			      "listener.NAME.KEY=VALUE with a section of gatehouse.conf(5)\n"},
		{"listener.bind=*:1",
		 "command line: listener.bind=*:1: must be SECTION.KEY=VALUE or "
		 "listener.NAME.KEY=VALUE with a section of "
		 "gatehouse.conf(5)\n"},
		{"broker.wrokers=1",
		 "command line: [broker] wrokers = 1: unknown key; did you mean "
		 "workers?\n"},
		{"listener..bind=*:1", "command line: [listener]: needs a name of 1 to 32 letters, "
				       "digits, dots, dashes or underscores: [listener NAME]\n"},
		{"broker.workers=99",
		 "command line: [broker] workers = 99: must be 0 to 64, a whole number\n"},
	};
	for (size_t i = 0; i < ARRAY_LEN(w); i++)
		assert_errors("", NULL, w[i].text, w[i].error);
}

static void the_last_of_two_overrides_counts(void **state)
{
	(void)state;
	const char *const set[] = {"broker.workers=1", "listener.x.bind=127.0.0.1:7",
				   "broker.workers=2", "listener.x.auth=password"};
	struct config *c = NULL;
	struct config_errors errors = {0};
	assert_int_equal(config_load(NULL, NULL, set, ARRAY_LEN(set), &c, &errors), 0);
	assert_value(c, "broker.workers", "2", "command line");
	assert_value(c, "listener.x.auth", "password", "command line");
	assert_int_equal(c->listeners, 1);
	config_free(c);
}

static void listeners_follow_the_brokers_limits(void **state)
{
	(void)state;
	AUTO(config)
	c = good("[broker]\nmax-packet = 4K\nmax-connections = 100\n" LISTENER
		 "max-connections-per-address = 7\n",
		 NULL, NULL);
	assert_int_equal(c->listener[0].max_packet, 4096);
	assert_int_equal(c->listener[0].max_connections, 100);
	assert_int_equal(c->listener[0].max_connections_per_address, 7);
	assert_value(c, "listener.a.max-packet", "4K", "default");
}

static void a_slice_holds_what_the_process_receives(void **state)
{
	(void)state;
	AUTO(config)
	c = good("[gateway]\nname = gw\n[listener a]\nbind = *:1\ncertificate = /c\n"
		 "key = /k\n",
		 NULL, NULL);
	AUTO_BUF vault = {0};
	config_slice(c, PROCESS_VAULT, &vault);
	assert_string_equal(buf_cstr(&vault), "[gateway]\n"
					      "name = gw\n"
					      "names =\n"
					      "state-dir = /var/lib/gatehouse\n"
					      "sandbox = on\n"
					      "seccomp-default = errno\n"
					      "\n[log]\n"
					      "level = notice\n"
					      "\n[listener a]\n"
					      "tls = on\n"
					      "certificate = /c\n"
					      "key = /k\n"
					      "\n[admin]\n"
					      "key =\n");
	AUTO_BUF ctl = {0};
	config_slice(c, PROCESS_CTL, &ctl);
	assert_string_equal(buf_cstr(&ctl), "[gateway]\n"
					    "name = gw\n"
					    "sandbox = on\n"
					    "seccomp-default = errno\n"
					    "\n[log]\n"
					    "level = notice\n");
	AUTO_BUF broker = {0};
	config_slice(c, PROCESS_BROKER, &broker);
	assert_null(strstr(buf_cstr(&broker), "key ="));
	assert_null(strstr(buf_cstr(&broker), "state-dir"));
	assert_non_null(strstr(buf_cstr(&broker), "max-packet = 1M\n"));
}

static void slices_round_trip(void **state)
{
	(void)state;
	AUTO(config)
	c = good("[gateway]\nname = gw\nnames = a, b\n[broker]\nmax-packet = 4097\n"
		 "[listener a]\nbind = *:1, [::1]:2\nallow-from = fd00::/8\n"
		 "max-packet = 300\n[listener b.c]\nbind = 127.0.0.1:3\ntls = off\n"
		 "auth = anonymous\n[admin]\nbind =\n",
		 NULL, NULL);
	for (size_t p = 0; p < PROCESS_COUNT; p++) {
		AUTO_BUF first = {0};
		AUTO_BUF second = {0};
		AUTO(config) child = NULL;
		struct config_errors errors = {0};
		config_slice(c, (enum process)p, &first);
		assert_int_equal(
			config_parse_slice(buf_view(&first), (enum process)p, &child, &errors), 0);
		config_slice(child, (enum process)p, &second);
		assert_string_equal(buf_cstr(&first), buf_cstr(&second));
	}
}

static void a_foreign_key_in_a_slice_is_refused(void **state)
{
	(void)state;
	AUTO(config) c = NULL;
	struct config_errors errors = {0};
	assert_int_equal(
		config_parse_slice(STR("[listener a]\nkey = /k\n"), PROCESS_BROKER, &c, &errors),
		ERR_INVALID);
	assert_string_equal(errors.text[0],
			    "slice:2: [listener a] key = /k: is not for this process");
	config_errors_fini(&errors);
}

static void what_is_printed_can_be_read_again(void **state)
{
	(void)state;
	AUTO(config) c = good("[broker]\nworkers = 3\n" LISTENER, NULL, "log.level=debug");
	AUTO_BUF text = {0};
	config_print(c, &text);
	assert_non_null(strstr(buf_cstr(&text), "[log]\n# command line\nlevel = debug\n"));
	assert_non_null(strstr(buf_cstr(&text), "[broker]\n# F:2\nworkers = 3\nhandshake-threads"));
	AUTO(config) again = good(buf_cstr(&text), NULL, NULL);
	for (size_t p = 0; p < PROCESS_COUNT; p++) {
		AUTO_BUF first = {0};
		AUTO_BUF second = {0};
		config_slice(c, (enum process)p, &first);
		config_slice(again, (enum process)p, &second);
		assert_string_equal(buf_cstr(&first), buf_cstr(&second));
	}
}

static void unknown_settings_are_not_found(void **state)
{
	(void)state;
	AUTO(config) c = good(LISTENER, NULL, NULL);
	static const char *const none[] = {
		"",           "broker",          "broker.",          "broker.wrokers",
		"listener.a", "listener.b.bind", "listener.a.bind.", "listener.a.x.bind"};
	for (size_t i = 0; i < ARRAY_LEN(none); i++)
		assert_int_equal(config_get(c, str_of(none[i]), NULL, NULL), ERR_NOT_FOUND);
}

struct counted {
	size_t n;
	size_t restart;
	size_t file_only;
	bool found;
};

static void count_item(void *arg, const struct config_item *item)
{
	struct counted *seen = arg;
	seen->n++;
	seen->restart += item->restart;
	seen->file_only += item->file_only;
	if (strcmp(item->key, "listener.a.bind") == 0) {
		seen->found = true;
		assert_string_equal(item->section, "listener a");
		assert_string_equal(item->value, "127.0.0.1:1");
		assert_string_equal(item->origin, "F:2");
		assert_int_equal(item->source, CONFIG_SOURCE_FILE);
	}
}

static void every_setting_is_listed_once(void **state)
{
	(void)state;
	AUTO(config) c = good(LISTENER, NULL, NULL);
	struct counted seen = {0};
	config_each(c, count_item, &seen);
	assert_int_equal(seen.n, CONF_KEYS);
	assert_true(seen.found);
	assert_true(seen.restart > 0 && seen.restart < seen.n);
	assert_int_equal(seen.file_only, 12);
}

static void assert_edit(const struct config *c, const char *key, const char *value, int err,
			const char *error)
{
	struct config_errors errors = {0};
	assert_int_equal(config_check_set(c, str_of(key), str_of(value), &errors), err);
	assert_int_equal(errors.n, err ? 1 : 0);
	if (err)
		assert_string_equal(errors.text[0], error);
	config_errors_fini(&errors);
}

static void a_change_is_judged_like_a_file(void **state)
{
	(void)state;
	AUTO(config) c = good("[broker]\nworkers = 3\n" LISTENER, NULL, "log.level=debug");
	assert_edit(c, "broker.max-packet", "2M", 0, NULL);
	assert_edit(c, "broker.workers", "4", ERR_DENIED,
		    "broker.workers: is set at F:2; change it there");
	assert_edit(c, "log.level", "info", ERR_DENIED,
		    "log.level: is set at command line; change it there");
	assert_edit(c, "gateway.sandbox", "off", ERR_DENIED,
		    "gateway.sandbox: can be set in gatehouse.conf only");
	assert_edit(c, "broker.wrokers", "4", ERR_NOT_FOUND,
		    "broker.wrokers: there is no such setting; did you mean broker.workers?");
	assert_edit(c, "max-paket", "4", ERR_NOT_FOUND,
		    "max-paket: there is no such setting; did you mean broker.max-packet?");
	assert_edit(c, "max-packet", "4", ERR_NOT_FOUND,
		    "max-packet: there is no such setting; did you mean broker.max-packet?");
	assert_edit(c, "listener.b.max-connection", "4", ERR_NOT_FOUND,
		    "listener.b.max-connection: there is no such setting; did you mean "
		    "listener.b.max-connections?");
	assert_edit(c, "soup.of.the.day", "4", ERR_NOT_FOUND,
		    "soup.of.the.day: there is no such setting; gatehouse.conf(5) lists them");
	assert_edit(c, "listener.b!.bind", "*:1", ERR_NOT_FOUND,
		    "listener.b!.bind: there is no such setting; gatehouse.conf(5) lists them");
	assert_edit(c, "broker.handshake-threads", "0", ERR_INVALID,
		    "broker.handshake-threads = 0: must be 1 to 16, a whole number");
	assert_edit(c, "gateway.name", "a\n[listener evil]", ERR_INVALID,
		    "gateway.name = a\n[listener evil]: must be UTF-8 text without control "
		    "characters");
	assert_edit(
		c, "broker.max-payload", "2M", ERR_INVALID,
		"settings: [broker] max-payload = 2M: is more than max-packet = 1M of [broker], "
		"but a packet holds its payload; change one of them");
	assert_edit(c, "listener.b.auth", "password", ERR_INVALID,
		    "settings: [listener b]: bind is missing; it must be ADDRESS:PORT, [IPv6]:PORT "
		    "or *:PORT with a port from 1 to 65535, several separated by commas");
}

/* c with one change, and c freed. */
static struct config *changed(struct config *c, const char *key, const char *value)
{
	struct config *next = NULL;
	struct config_errors errors = {0};
	assert_int_equal(config_set(c, str_of(key), str_of(value), &next, &errors), 0);
	config_free(c);
	return next;
}

static void changes_become_settings(void **state)
{
	(void)state;
	struct config *c = good(LISTENER, "[broker]\nmax-inflight = 5\n", NULL);
	c = changed(c, "broker.max-packet", " 2048K ");
	c = changed(c, "listener.b.bind", "127.0.0.1:2");
	c = changed(c, "listener.b.client-id", "device");
	assert_int_equal(c->broker.max_packet, 2 * 1024 * 1024);
	assert_int_equal(c->listener[0].max_packet, 2 * 1024 * 1024);
	assert_value(c, "broker.max-packet", "2M", "S");
	AUTO_BUF text = {0};
	config_print_settings(c, &text);
	const char *body = strstr(buf_cstr(&text), "\n\n") + 2;
	assert_string_equal(body, "[broker]\n"
				  "max-packet = 2M\n"
				  "max-inflight = 5\n"
				  "\n[listener b]\n"
				  "bind = 127.0.0.1:2\n"
				  "client-id = device\n");
	AUTO(config) again = good(LISTENER, buf_cstr(&text), NULL);
	AUTO_BUF second = {0};
	config_print_settings(again, &second);
	assert_string_equal(buf_cstr(&text), buf_cstr(&second));
	config_free(c);
}

static void a_change_can_be_taken_back(void **state)
{
	(void)state;
	struct config *c = good(LISTENER, "[broker]\nmax-inflight = 5\nmax-packet = 2M\n", NULL);
	c = changed(c, "listener.b.bind", "127.0.0.1:2");
	c = changed(c, "broker.max-inflight", NULL);
	c = changed(c, "broker.max-packet", NULL);
	assert_int_equal(c->listeners, 2);
	c = changed(c, "listener.b.bind", NULL);
	assert_int_equal(c->listeners, 1);
	assert_value(c, "broker.max-inflight", "256", "default");
	assert_int_equal(c->listener[0].max_packet, 1024 * 1024);
	AUTO_BUF text = {0};
	config_print_settings(c, &text);
	assert_null(strchr(buf_cstr(&text), '['));
	config_free(c);
}

static void what_needs_a_restart_is_named(void **state)
{
	(void)state;
	AUTO(config)
	before = good("[broker]\nworkers = 3\nmax-packet = 2M\n" LISTENER
		      "[listener b]\nbind = 127.0.0.1:2\n",
		      NULL, NULL);
	AUTO(config)
	after = good("[broker]\nworkers = 4\n[listener a]\nbind = 127.0.0.1:3\n"
		     "client-id = device\n[listener c]\nbind = 127.0.0.1:2\n"
		     "[gateway]\nrun-dir = /x\n[admin]\nbind =\n",
		     NULL, NULL);
	AUTO_BUF names = {0};
	assert_int_equal(config_diff_needs_restart(before, after, &names), 2);
	assert_string_equal(buf_cstr(&names), "gateway.run-dir, broker.workers");
	names.n = 0;
	assert_int_equal(config_diff_needs_restart(before, before, &names), 0);
	assert_int_equal(names.n, 0);
}

static void a_running_gateway_takes_what_it_can(void **state)
{
	(void)state;
	AUTO(config)
	running = good("[broker]\nworkers = 3\nmax-packet = 2M\n" LISTENER
		       "[listener b]\nbind = 127.0.0.1:2\n",
		       NULL, NULL);
	AUTO(config)
	wanted = good("[broker]\nworkers = 4\nmax-packet = 3M\n"
		      "[listener a]\nbind = 127.0.0.1:3\nmax-connections = 7\n"
		      "[listener c]\nbind = 127.0.0.1:2\n[log]\nlevel = debug\n",
		      NULL, NULL);
	AUTO(config) now = config_take_over(running, wanted);
	AUTO_BUF names = {0};
	assert_int_equal(config_diff_needs_restart(running, now, &names), 0);
	assert_int_equal(now->broker.workers, 3);
	assert_int_equal(now->broker.max_packet, 3 * 1024 * 1024);
	assert_int_equal(now->log.level, wanted->log.level);
	assert_int_equal(now->listeners, 2);
	assert_string_equal(now->listener[0].name, "a");
	assert_int_equal(addr_port(&now->listener[0].bind.p[0]), 3);
	assert_int_equal(now->listener[0].max_connections, 7);
	/* What follows another key still does. */
	assert_int_equal(now->listener[0].max_packet, 3 * 1024 * 1024);
	assert_string_equal(now->listener[1].name, "c");
}

/* All addresses are taken at once, so that two may change places. */
static void an_address_changes_hands(void **state)
{
	(void)state;
	AUTO(config) running = good("[admin]\nbind = 127.0.0.1:9\n" LISTENER, NULL, NULL);
	AUTO(config)
	wanted = good("[broker]\nmax-inflight = 5\n[admin]\nbind = 127.0.0.1:10\n"
		      "[listener a]\nbind = 127.0.0.1:9\n",
		      NULL, NULL);
	AUTO(config) now = config_take_over(running, wanted);
	assert_int_equal(addr_port(&now->listener[0].bind.p[0]), 9);
	assert_int_equal(addr_port(&now->admin.bind.p[0]), 10);
	assert_int_equal(now->broker.max_inflight, 5);
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void files_are_read(void **state)
{
	(void)state;
	char dir[] = "conf.XXXXXX";
	assert_non_null(mkdtemp(dir));
	AUTO_CHAR file = mem_printf("%s/gatehouse.conf", dir);
	AUTO_CHAR settings = mem_printf("%s/settings.conf", dir);
	AUTO_CHAR origin = mem_printf("%s:2", file);
	struct config *c = NULL;
	struct config_errors errors = {0};

	assert_int_equal(config_load(file, settings, NULL, 0, &c, &errors), ERR_IO);
	AUTO_CHAR missing = mem_printf("%s: cannot be read: No such file or directory", file);
	assert_string_equal(errors.text[0], missing);
	config_errors_fini(&errors);
	assert_null(config_state_dir(file, NULL, 0));

	write_file(file, "[gateway]\nstate-dir = /srv/x\n");
	assert_int_equal(config_load(file, settings, NULL, 0, &c, &errors), 0);
	assert_value(c, "gateway.state-dir", "/srv/x", origin);
	config_free(c);
	AUTO_CHAR state_dir = config_state_dir(file, NULL, 0);
	assert_string_equal(state_dir, "/srv/x");

	write_file(settings, "[log]\nlevel = debug\n");
	assert_int_equal(config_load(file, settings, NULL, 0, &c, &errors), 0);
	assert_int_equal(c->log.level, CONFIG_LEVEL_DEBUG);
	config_free(c);

	assert_int_equal(config_load(dir, settings, NULL, 0, &c, &errors), ERR_IO);
	AUTO_CHAR is_dir = mem_printf("%s: cannot be read: Is a directory", dir);
	assert_string_equal(errors.text[0], is_dir);
	config_errors_fini(&errors);

	assert_int_equal(truncate(file, CONFIG_FILE_MAX + 1), 0);
	assert_int_equal(config_load(file, NULL, NULL, 0, &c, &errors), ERR_IO);
	AUTO_CHAR large = mem_printf("%s: is larger than 1 MiB, which no configuration is", file);
	assert_string_equal(errors.text[0], large);
	config_errors_fini(&errors);
	unlink(file);
	unlink(settings);
	rmdir(dir);
}

/* The file that the package installs says what the defaults are. */
static void the_shipped_file_is_good(void **state)
{
	(void)state;
	AUTO(config) c = NULL;
	AUTO(config) bare = good("[gateway]\nname = gw\n", NULL, NULL);
	struct config_errors errors = {0};
	const char *const set[] = {"gateway.name=gw"};
	const int err = config_load(getenv("GATEHOUSE_CONF"), NULL, set, 1, &c, &errors);
	if (err)
		fail_msg("%s", errors.text[0]);
	for (size_t p = 0; p < PROCESS_COUNT; p++) {
		AUTO_BUF shipped = {0};
		AUTO_BUF defaults = {0};
		config_slice(c, (enum process)p, &shipped);
		config_slice(bare, (enum process)p, &defaults);
		assert_string_equal(buf_cstr(&shipped), buf_cstr(&defaults));
	}
}

/* What the commented lines of the shipped file propose works as well. */
static void the_shipped_files_proposals_are_good(void **state)
{
	(void)state;
	FILE *f = fopen(getenv("GATEHOUSE_CONF"), "r");
	assert_non_null(f);
	AUTO_BUF text = {0};
	char line[CONFIG_LINE_MAX];
	while (fgets(line, sizeof(line), f)) {
		const bool proposal = line[0] == '#' && line[1] != ' ' && line[1] != '\n';
		buf_puts(&text, proposal ? line + 1 : line);
	}
	fclose(f);
	AUTO(config) c = good(buf_cstr(&text), NULL, NULL);
	assert_int_equal(c->listeners, 4);
}

/* The schema's own rules: a row that breaks one would fail only when it is used. */
static void the_schema_is_sound(void **state)
{
	(void)state;
	for (size_t s = 0; s < CONF_SECTIONS; s++) {
		for (size_t k = conf_section[s].first; k < conf_section[s].last; k++) {
			const struct conf_key *key = &conf_key[k];
			assert_int_equal(conf_find_key(s, str_of(key->word)), k);
			assert_true(key->processes & 1u << PROCESS_PARENT);
			assert_true(key->min <= key->max);
			assert_int_equal(key->text[strlen(key->text) - 1], '.');
			assert_int_equal(key->why[strlen(key->why) - 1], '.');
			assert_true(key->type != CONF_INT || key->max <= UINT32_MAX);
			assert_int_equal(key->type == CONF_ENUM, key->choices != NULL);
		}
	}
	assert_int_equal(conf_section[CONF_SECTIONS - 1].last, CONF_KEYS);
}

static bool bounds_something(const struct conf_key *key)
{
	return strncmp(key->word, "max-", 4) == 0 || strstr(key->word, "-per-") ||
	       strstr(key->word, "-rate");
}

/* Whoever adds a bound says in the manual's table why, and what others had. */
static void every_limit_is_in_the_table(void **state)
{
	const struct conf_section *broker = &conf_section[CONF_SECTION_broker];
	(void)state;
	for (size_t k = broker->first; k < broker->last; k++) {
		size_t found = 0;
		for (size_t i = 0; i < conf_limits; i++)
			found += conf_limit[i].key == k;
		if (found != (bounds_something(&conf_key[k]) ? 1 : found > 0))
			fail_msg("%s is in limits.def %zu times", conf_key[k].word, found);
	}
	for (size_t i = 0; i < conf_limits; i++) {
		const struct conf_section *s = &conf_section[conf_limit[i].section];
		assert_true(conf_limit[i].key >= s->first && conf_limit[i].key < s->last);
		assert_true(strlen(conf_limit[i].before) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_file_gives_the_defaults),
		cmocka_unit_test(every_limit_is_in_the_table),
		cmocka_unit_test(without_a_listener_there_is_one_for_tls),
		cmocka_unit_test(a_listener_replaces_the_default_one),
		cmocka_unit_test(the_default_listener_can_be_changed_and_stays_beside_settings),
		cmocka_unit_test(every_type_is_read),
		cmocka_unit_test(values_are_printed_in_one_form),
		cmocka_unit_test(the_grammar_is_lines),
		cmocka_unit_test(wrong_lines_are_named),
		cmocka_unit_test(wrong_values_are_told_what_is_allowed),
		cmocka_unit_test(contradictions_are_found),
		cmocka_unit_test(what_fits_together_is_accepted),
		cmocka_unit_test(all_errors_are_told_at_once),
		cmocka_unit_test(errors_are_counted_beyond_twenty),
		cmocka_unit_test(long_lines_and_long_lists_are_refused),
		cmocka_unit_test(listeners_are_bounded),
		cmocka_unit_test(a_long_text_is_cut_between_characters),
		cmocka_unit_test(the_stronger_source_wins),
		cmocka_unit_test(a_weaker_source_is_judged_too),
		cmocka_unit_test(several_changes_are_judged_as_a_whole),
		cmocka_unit_test(settings_may_add_to_a_listener_and_make_one),
		cmocka_unit_test(privileges_and_paths_are_for_the_file_alone),
		cmocka_unit_test(overrides_have_their_own_errors),
		cmocka_unit_test(the_last_of_two_overrides_counts),
		cmocka_unit_test(listeners_follow_the_brokers_limits),
		cmocka_unit_test(a_slice_holds_what_the_process_receives),
		cmocka_unit_test(slices_round_trip),
		cmocka_unit_test(a_foreign_key_in_a_slice_is_refused),
		cmocka_unit_test(what_is_printed_can_be_read_again),
		cmocka_unit_test(unknown_settings_are_not_found),
		cmocka_unit_test(every_setting_is_listed_once),
		cmocka_unit_test(a_change_is_judged_like_a_file),
		cmocka_unit_test(changes_become_settings),
		cmocka_unit_test(a_change_can_be_taken_back),
		cmocka_unit_test(what_needs_a_restart_is_named),
		cmocka_unit_test(a_running_gateway_takes_what_it_can),
		cmocka_unit_test(an_address_changes_hands),
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(the_shipped_file_is_good),
		cmocka_unit_test(the_shipped_files_proposals_are_good),
		cmocka_unit_test(the_schema_is_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
