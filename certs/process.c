/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault process: see process.h. This file is its life: what the parent gave, in which order
 * things open, and when server certificates are looked at again (names changed, configuration
 * changed, every hour).
 */
#include "certs/process.h"
#include "certs/ca_service.h"
#include "certs/issue_service.h"
#include "certs/seal.h"
#include "certs/statement_service.h"
#include "certs/tls_service.h"
#include "certs/vault_backup.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/conf/config.h"
#include "daemon/ipc/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LINKS_MAX = 512,                     /* that may come before START */
	KEYS_MAX = CONFIG_LISTENERS_MAX + 1, /* and the interface */
	RENEW_MS = 60 * 60 * 1000,
	TROUBLE_MS = 60 * 1000, /* the same trouble is an event once in this time */
	ENDING_MS = 24 * 60 * 60 * 1000
};

struct early_link {
	enum process peer;
	unsigned index;
	int fd;
};

struct early_key {
	enum process owner;
	char listener[SIGN_LISTENER_MAX + 1];
	struct key *key;
};

struct vault {
	struct child *child;
	bool started;
	bool bad_key;       /* a listener's key was refused before START */
	struct buf machine; /* names and addresses, as the parent sent them */
	struct keystore *ks;
	struct issuer *issuer;
	struct servers *servers;
	struct signer *signer;
	struct link *store;
	struct report report;
	struct issue_service issue;
	struct ca_service ca;
	size_t seals; /* keys of the host, until the key store is open */
	unsigned char seal[KEYSTORE_SEALS_MAX][SEAL_KEY_SIZE];
	struct tls_service tls;
	struct loop_timer renew;
	int last_trouble;
	uint64_t last_trouble_ms;
	bool told_ending;
	uint64_t told_ending_ms;
	size_t links;
	struct early_link link[LINKS_MAX];
	size_t keys;
	struct early_key key[KEYS_MAX];
};

static struct vault vault;

static struct issue_time now(void)
{
	return (struct issue_time){clock_wall(), clock_mono_ms()};
}

/* ---- events -----------------------------------------------------------------------------------
 */

static void tell(enum event event, const char *reason)
{
	const struct body_event e = {.actor = STR("vault"), .reason = str_of(reason)};
	report_event(&vault.report, event, &e);
}

static void trouble(struct issue_service *s, int err, const char *why)
{
	(void)s;
	const uint64_t ms = clock_mono_ms();
	if (err == vault.last_trouble && ms - vault.last_trouble_ms < TROUBLE_MS)
		return;
	vault.last_trouble = err;
	vault.last_trouble_ms = ms;
	log_error("nothing is issued: %s", why);
	if (err == ERR_DENIED)
		tell(EVENT_CLOCK_WRONG, why);
	else if (err == ERR_IO)
		tell(EVENT_DISK_FULL, why);
	else if (err == ERR_LIMIT)
		tell(EVENT_LIMIT_REACHED, why);
}

static void ending(struct issue_service *s, const char *why)
{
	(void)s;
	const uint64_t ms = clock_mono_ms();
	if (vault.told_ending && ms - vault.told_ending_ms < ENDING_MS)
		return;
	vault.told_ending = true;
	vault.told_ending_ms = ms;
	log_warning("%s", why);
	tell(EVENT_CA_ENDING, why);
}

/* ---- server certificates ----------------------------------------------------------------------
 */

static void add_name(struct san_set *names, struct str name)
{
	const int err = san_add(names, name);
	if (err == ERR_LIMIT)
		log_warning("server certificates: no room for the name %.*s: at most %d names and "
			    "addresses of %d bytes together",
			    STR_ARG(name), SAN_MAX, SAN_BYTES_MAX);
	else if (err)
		log_warning("server certificates: %.*s is neither a DNS name nor an address and is "
			    "left out",
			    STR_ARG(name));
}

/* The configured names come first: they stay when there is no room for all. */
static void collect_names(const struct config *c, struct san_set *names)
{
	struct str list = buf_view(&vault.machine);
	struct str item;
	add_name(names, str_of(c->gateway.name));
	add_name(names, STR("localhost"));
	add_name(names, STR("127.0.0.1"));
	add_name(names, STR("::1"));
	for (size_t i = 0; i < c->gateway.names.n; i++)
		add_name(names, str_of(c->gateway.names.p[i]));
	while (strs_next(&list, &item))
		add_name(names, item);
}

static int renew_for(const struct config *c, struct why *why)
{
	static struct san_set names;
	unsigned made = 0;
	names = (struct san_set){0};
	collect_names(c, &names);
	const int err = servers_renew(vault.servers, vault.issuer, c->gateway.name, &names, now(),
				      &made, why);
	if (made)
		tls_service_renewed(&vault.tls);
	if (made && vault.store)
		LINK_SEND(vault.store, TLS_RENEWED, tls_renewed, 0, -1,
			  &(struct body_tls_renewed){});
	return err;
}

static int parse_config(struct str text, struct config **out, struct buf *why)
{
	struct config_errors errors = {0};
	const int err = config_parse_slice(text, PROCESS_VAULT, out, &errors);
	if (err)
		config_errors_print(&errors, why);
	config_errors_fini(&errors);
	return err;
}

static void renew_again(void)
{
	AUTO_BUF text = {0};
	struct why why;
	struct config *parsed = NULL;
	if (parse_config(child_config(vault.child), &parsed, &text))
		return; /* it was accepted when it came */
	AUTO(config) c = parsed;
	if (renew_for(c, &why))
		log_error("server certificates: %s", why.text);
}

static void authority_changed(struct ca_service *s)
{
	(void)s;
	renew_again();
}

static void hour(struct loop_timer *t)
{
	renew_again();
	loop_timer_start(child_loop(vault.child), t, "renew", RENEW_MS, hour);
}

/* ---- links ------------------------------------------------------------------------------------
 */

static int on_issue_device(struct link *l, struct record *r)
{
	return issue_service_device(&vault.issue, l, r);
}

static int on_ca_get(struct link *l, struct record *r)
{
	return ca_service_get(&vault.ca, l, r);
}

static int on_ca_change(struct link *l, struct record *r)
{
	return ca_service_change(&vault.ca, l, r);
}

static int on_ca_check(struct link *l, struct record *r)
{
	return ca_service_check(&vault.ca, l, r);
}

static int on_sign_crl(struct link *l, struct record *r)
{
	return statement_service_list(vault.issuer, l, r);
}

static int on_sign_ocsp(struct link *l, struct record *r)
{
	return statement_service_ocsp(vault.issuer, l, r);
}

static int on_backup(struct link *l, struct record *r)
{
	return vault_backup_make(vault.ks, l, r);
}

static const link_handler store_handlers[MSG_COUNT] = {
	[MSG_SIGN_CRL] = on_sign_crl,
	[MSG_SIGN_OCSP] = on_sign_ocsp,
	[MSG_ISSUE_DEVICE] = on_issue_device,
	[MSG_CA_GET] = on_ca_get,
	[MSG_CA_CHANGE] = on_ca_change,
	[MSG_CA_CHECK] = on_ca_check,
	[MSG_BACKUP] = on_backup,
};

static void drop_store(struct link *l)
{
	issue_service_forget(&vault.issue, l);
	if (vault.store == l) {
		vault.store = NULL;
		report_set_link(&vault.report, NULL);
	}
}

static void store_broken(struct link *l, const char *why, bool misbehaved)
{
	drop_store(l);
	child_link_broken(vault.child, l, why, misbehaved);
}

static void connect_store(int fd)
{
	const struct link_config config = {
		.self = PROCESS_VAULT,
		.peer = PROCESS_STORE,
		.handler = store_handlers,
		.owner = &vault,
		.broken = store_broken,
	};
	struct link *old = vault.store;
	if (old) {
		drop_store(old);
		link_free(old);
	}
	vault.store = link_new(child_loop(vault.child), fd, &config);
	report_set_link(&vault.report, vault.store);
}

static void connect_peer(enum process peer, unsigned index, int fd)
{
	if (peer == PROCESS_STORE)
		connect_store(fd);
	else
		tls_service_link(&vault.tls, peer, index, fd);
}

static void on_link(struct child *p, enum process peer, unsigned index, int fd)
{
	(void)p;
	if (vault.started)
		connect_peer(peer, index, fd);
	else if (vault.links < LINKS_MAX)
		vault.link[vault.links++] = (struct early_link){peer, index, fd};
	else
		close(fd);
}

static void peer_misbehaved(struct tls_service *s, enum process peer, const char *what)
{
	(void)s;
	const struct body_misbehaved b = {(uint8_t)peer, str_of(what)};
	log_error("%s %s: treated as taken over", process_name(peer), what);
	LINK_SEND(child_parent(vault.child), MISBEHAVED, misbehaved, 0, -1, &b);
}

/* ---- what the parent tells --------------------------------------------------------------------
 */

static int add_key(enum process owner, struct str listener, struct key *key)
{
	uint32_t id;
	struct why why;
	const int err = signer_add(vault.signer, owner, listener, key, &id, &why);
	if (err)
		log_error("%s", why.text);
	return err;
}

static void keep_key(enum process owner, struct str listener, struct key *key)
{
	if (vault.keys == KEYS_MAX) {
		log_error("listener %.*s: more than %d listeners with keys of their own",
			  STR_ARG(listener), KEYS_MAX);
		vault.bad_key = true;
		key_unref(key);
		return;
	}
	struct early_key *k = &vault.key[vault.keys++];
	snprintf(k->listener, sizeof(k->listener), "%.*s", STR_ARG(listener));
	k->owner = owner;
	k->key = key;
}

/* Its owner compares the public key with the certificate, which it alone has. */
static int on_listener_key(struct record *r)
{
	struct body_listener_key b;
	AUTO_SECRET bytes = {0};
	if (body_listener_key_get(r->body, &b) || r->fd < 0 ||
	    (b.process != PROCESS_BROKER && b.process != PROCESS_ADMIN))
		return ERR_MALFORMED;
	struct why why;
	struct key *key = NULL;
	AUTO_CHAR path = str_dup(b.path);
	int err = memfd_read(r->fd, KEY_FILE_MAX, &bytes);
	if (err)
		why_set(&why, err, "the key %s has more than %u bytes", path, KEY_FILE_MAX);
	else
		err = key_parse(buf_view(&bytes), path, &key, &why);
	if (err) {
		log_error("listener %.*s: %s", STR_ARG(b.listener), why.text);
		vault.bad_key |= !vault.started;
		return 0;
	}
	if (!vault.started) {
		keep_key(b.process, b.listener, key);
		return 0;
	}
	if (add_key(b.process, b.listener, key) == 0)
		tls_service_renewed(&vault.tls);
	key_unref(key);
	return 0;
}

static int on_machine(struct record *r)
{
	struct body_machine b;
	if (body_machine_get(r->body, &b) || !strs_valid(b.names))
		return ERR_MALFORMED;
	buf_fini(&vault.machine);
	buf_str(&vault.machine, b.names);
	if (vault.started)
		renew_again();
	return 0;
}

static int on_seal(struct record *r)
{
	struct body_seal b;
	if (body_seal_get(r->body, &b) || b.key.n != SEAL_KEY_SIZE || vault.started)
		return ERR_MALFORMED;
	if (vault.seals < KEYSTORE_SEALS_MAX)
		memcpy(vault.seal[vault.seals++], b.key.p, SEAL_KEY_SIZE);
	return 0;
}

static int on_message(struct child *p, struct record *r)
{
	(void)p;
	if (r->type == MSG_SEAL)
		return on_seal(r);
	if (r->type == MSG_MACHINE)
		return on_machine(r);
	if (r->type == MSG_LISTENER_KEY)
		return on_listener_key(r);
	return ERR_DENIED;
}

static int on_reload(struct child *p, struct str text, struct buf *why)
{
	(void)p;
	struct config *parsed = NULL;
	const int err = parse_config(text, &parsed, why);
	if (err)
		return err;
	AUTO(config) c = parsed;
	struct why cause;
	log_set_level((enum log_level)c->log.level);
	/* A certificate that cannot be made now is no reason to refuse the configuration. */
	if (renew_for(c, &cause))
		log_error("server certificates: %s", cause.text);
	return 0;
}

/* ---- start and stop ---------------------------------------------------------------------------
 */

static int open_all(const struct config *c, struct why *why)
{
	AUTO_CHAR dir = mem_printf("%s/vault", c->gateway.state_dir);
	int err = keystore_open(dir, &vault.ks, why);
	for (size_t i = 0; i < vault.seals && err == 0; i++)
		keystore_seal_with(vault.ks, str_make(vault.seal[i], SEAL_KEY_SIZE));
	secret_wipe(vault.seal, sizeof(vault.seal));
	if (!err)
		err = issuer_open(vault.ks, build_time(), now(), &vault.issuer, why);
	if (!err)
		err = servers_open(vault.ks, &vault.servers, why);
	if (err)
		return err;
	vault.signer = signer_new(vault.issuer);
	vault.tls = (struct tls_service){
		.signer = vault.signer,
		.servers = vault.servers,
		.loop = child_loop(vault.child),
		.misbehaved = peer_misbehaved,
	};
	vault.issue = (struct issue_service){
		.issuer = vault.issuer,
		.loop = child_loop(vault.child),
		.trouble = trouble,
		.ending = ending,
	};
	vault.ca = (struct ca_service){
		.issuer = vault.issuer,
		.servers = vault.servers,
		.changed = authority_changed,
	};
	issue_service_init(&vault.issue);
	err = tls_service_init(&vault.tls, why);
	return err ? err : renew_for(c, why);
}

static int serve_early(void)
{
	int err = vault.bad_key ? ERR_INVALID : 0;
	for (size_t i = 0; i < vault.keys; i++) {
		const struct early_key *k = &vault.key[i];
		const int failed = add_key(k->owner, str_of(k->listener), k->key);
		err = err ? err : failed;
		key_unref(k->key);
	}
	vault.keys = 0;
	for (size_t i = 0; i < vault.links && err == 0; i++)
		connect_peer(vault.link[i].peer, vault.link[i].index, vault.link[i].fd);
	vault.links = 0;
	return err;
}

static void tell_what_was_found(void)
{
	if (issuer_is_new(vault.issuer))
		tell(EVENT_CA_CREATED, "first start");
	if (issuer_journal(vault.issuer)->broken)
		tell(EVENT_JOURNAL_DAMAGED, issuer_journal(vault.issuer)->why.text);
}

static int on_start(struct child *p)
{
	AUTO_BUF text = {0};
	struct why why;
	struct config *parsed = NULL;
	vault.child = p;
	report_init(&vault.report, child_loop(p));
	if (parse_config(child_config(p), &parsed, &text)) {
		log_error("%s", buf_cstr(&text));
		return ERR_INVALID;
	}
	AUTO(config) c = parsed;
	const int err = open_all(c, &why);
	if (err) {
		log_error("%s", why.text);
		return err;
	}
	vault.started = true;
	const int failed = serve_early();
	if (failed)
		return failed;
	tell_what_was_found();
	loop_timer_start(child_loop(p), &vault.renew, "renew", RENEW_MS, hour);
	child_ready(p);
	return 0;
}

/* Everything that was answered is durable: nothing is left to do. */
static void on_stop(struct child *p)
{
	if (vault.started)
		tls_service_stop(&vault.tls);
	report_fini(&vault.report);
	child_stopped(p);
}

const struct child_hooks vault_hooks = {
	.self = PROCESS_VAULT,
	.start = on_start,
	.link = on_link,
	.message = on_message,
	.reload = on_reload,
	.stop = on_stop,
};
