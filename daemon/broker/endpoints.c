/* SPDX-License-Identifier: Apache-2.0
 *
 * Listeners made ready: see endpoints.h.
 */
#include "daemon/broker/endpoints.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/net/tls_pem.h"

#include <stdlib.h>

enum { CHAIN_TIMEOUT_MS = 5000, FILE_MAX = 1 * MiB };

/* ---- chains -----------------------------------------------------------------------------------
 */

static const char *chain_name(const struct config_listener *l)
{
	return l->certificate[0] ? l->name : "";
}

static void ask_chain(struct control *k, const char *name);

static void chain_arrived(struct link_call *call, int err, struct record *reply)
{
	struct chain_ask *a = container_of(call, struct chain_ask, call);
	struct body_tls_chain_done done;
	a->asked = false;
	if (a->again && !err)
		ask_chain(a->control, a->name);
	if (err) {
		control_retry(a->control); /* the vault is away or slow */
		return;
	}
	a->failed = reply->type != MSG_TLS_CHAIN_DONE ||
		    body_tls_chain_done_get(reply->body, &done) || !done.ok;
	if (a->failed) {
		const struct str why =
			reply->type == MSG_TLS_CHAIN_DONE ? done.why : STR("strange answer");
		log_error("no server certificate for %s%s: %.*s",
			  a->name[0] ? "listener " : "the gateway's own name", a->name,
			  STR_ARG(why));
	} else {
		if (str_eq(buf_view(&a->chains), done.chains)) {
			if (a->unfit)
				control_retry(a->control);
			return;
		}
		a->unfit = false;
		a->chains.n = 0;
		buf_str(&a->chains, done.chains);
	}
	control_progress(a->control);
}

static struct chain_ask *chain_of(struct control *k, const char *name)
{
	struct chain_ask *a = map_get(&k->chains, str_of(name));
	if (a)
		return a;
	a = mem_new(struct chain_ask);
	a->control = k;
	a->name = mem_strdup(name);
	map_set(&k->chains, str_of(name), a);
	return a;
}

static void ask_chain(struct control *k, const char *name)
{
	struct chain_ask *a = chain_of(k, name);
	a->again = a->asked;
	if (a->asked || !k->vault)
		return;
	a->asked = true;
	const struct body_tls_chain b = {str_of(name)};
	LINK_ASK(k->vault, &a->call, TLS_CHAIN, tls_chain, -1, &b, CHAIN_TIMEOUT_MS, chain_arrived);
}

void endpoints_ask(struct control *k)
{
	const struct config *c = k->settings->config;
	for (size_t i = 0; i < c->listeners; i++)
		if (c->listener[i].tls)
			ask_chain(k, chain_name(&c->listener[i]));
}

bool endpoints_known(const struct control *k)
{
	const struct config *c = k->settings->config;
	for (size_t i = 0; i < c->listeners; i++) {
		if (!c->listener[i].tls)
			continue;
		const struct chain_ask *a =
			map_get(&k->chains, str_of(chain_name(&c->listener[i])));
		if (!a || (a->chains.n == 0 && !a->failed))
			return false;
	}
	return true;
}

/* ---- files ------------------------------------------------------------------------------------
 */

static struct listener_files *files_of(struct control *k, struct str name)
{
	struct listener_files *f = map_get(&k->files, name);
	if (f)
		return f;
	f = mem_new(struct listener_files);
	f->name = str_dup(name);
	map_set(&k->files, name, f);
	return f;
}

static void take_crl_file(struct listener_files *f, struct str path, struct buf *text)
{
	buf_fini(&f->crl_file);
	f->crl_file = *text;
	*text = (struct buf){0};
	free(f->crl_path);
	f->crl_path = str_dup(path);
}

/* Of a file that came since the last time. A file with an error is reported once and changes
 * nothing; without an older one the listener cannot be. */
static int parse_crl(struct listener_files *f, char **error)
{
	struct why why;
	struct crl_set *crl;
	if (!f->crl_file.n)
		return f->crl ? 0 : ERR_NOT_FOUND;
	const int err = crl_set_read(buf_view(&f->crl_file), buf_view(&f->client_ca), &crl, &why);
	buf_fini(&f->crl_file);
	if (err) {
		*error = mem_printf("listener %s: crl = %s: %s", f->name, f->crl_path, why.text);
		return err;
	}
	if (f->crl)
		crl_set_unref(f->crl);
	f->crl = crl;
	log_notice("listener %s: %zu certificates on the revocation lists of %s", f->name,
		   crl_set_entries(crl), f->crl_path);
	if (crl_set_next_update(crl) <= MAX(clock_wall(), build_time()))
		log_warning("listener %s: a revocation list in %s is older than its authority "
			    "promised a new one: it is used, but get the new one",
			    f->name, f->crl_path);
	return 0;
}

static int use_policy(struct endpoint *e, struct listener_files *f, char **error)
{
	const bool wants_crl = e->config->client_ca[0] && e->config->crl[0];
	if (wants_crl) {
		const int err = f ? parse_crl(f, error) : ERR_NOT_FOUND;
		if (err && !*error)
			*error = mem_printf("listener %s: crl = %s is not there", e->config->name,
					    e->config->crl);
		if (err)
			return err;
	}
	e->policy = client_policy_new(e->config, wants_crl ? f->crl : NULL);
	return 0;
}

int endpoints_files(struct control *k, struct record *r)
{
	struct body_listener_files b;
	AUTO_BUF text = {0};
	if (r->fd < 0 || body_listener_files_get(r->body, &b) || b.kind > LISTENER_CRL ||
	    memfd_read(r->fd, b.kind == LISTENER_CRL ? CRL_FILE_MAX : FILE_MAX, &text))
		return ERR_MALFORMED;
	struct listener_files *f = files_of(k, b.listener);
	if (b.kind == LISTENER_CRL) {
		take_crl_file(f, b.path, &text);
		return 0;
	}
	struct buf *list = b.kind == LISTENER_CERTIFICATE ? &f->certificate : &f->client_ca;
	list->n = 0;
	if (tls_certificates_read(buf_view(&text), TLS_TRUST_MAX, list))
		log_error(
			"listener %.*s: %.*s holds no certificates in PEM or DER, or more than %d",
			STR_ARG(b.listener), STR_ARG(b.path), TLS_TRUST_MAX);
	return 0;
}

/* ---- credentials ------------------------------------------------------------------------------
 */

/* Strings of one call, kept until the credentials have copied them. */
struct lists {
	struct str identity[TLS_IDENTITIES_MAX][TLS_CHAIN_MAX];
	struct str trust[TLS_TRUST_MAX];
};

static size_t split_list(struct str list, struct str *out, size_t max)
{
	struct cur c = cur_of(list);
	size_t n = 0;
	while (n < max && cur_left(&c)) {
		out[n] = cur_str32le(&c);
		if (!cur_ok(&c))
			break;
		n++;
	}
	return n;
}

/* False: the key of the vault is not that of the certificate in the listener's files. */
static bool add_identities(const struct chain_ask *a, const struct listener_files *files,
			   struct lists *lists, struct tls_settings *set)
{
	struct cur c = cur_of(buf_view(&a->chains));
	struct str record;
	while (set->identity_n < TLS_IDENTITIES_MAX && entries_next(&c, &record)) {
		struct body_chain b;
		if (body_chain_get(record, &b))
			continue;
		const struct str der =
			b.certificates.n || !files ? b.certificates : buf_view(&files->certificate);
		struct str *chain = lists->identity[set->identity_n];
		const size_t n = split_list(der, chain, TLS_CHAIN_MAX);
		if (n && !b.certificates.n && !tls_key_fits(chain[0], b.spki))
			return false;
		set->identity[set->identity_n++] = (struct tls_identity){chain, n, b.key};
	}
	return true;
}

static enum tls_client_certificate client_certificate(enum config_auth auth)
{
	switch (auth) {
	case CONFIG_AUTH_CERTIFICATE:
	case CONFIG_AUTH_BOTH:
		return TLS_CLIENT_REQUIRE;
	case CONFIG_AUTH_ANY:
		return TLS_CLIENT_REQUEST;
	default:
		return TLS_CLIENT_NONE;
	}
}

static void use_config(const struct control *k, const struct config_listener *l,
		       struct tls_settings *set)
{
	set->name = l->name;
	set->sign = vaultlink_sign;
	set->client_certificate = client_certificate(l->auth);
	set->no_tls12 = l->tls_versions == CONFIG_TLS_VERSIONS_1_3;
	set->no_tls13 = l->tls_versions == CONFIG_TLS_VERSIONS_1_2;
	set->record_max = (uint32_t)l->record_max;
	set->alpn_http = l->protocol != CONFIG_PROTOCOL_MQTT;
	if (l->tickets && k->has_ticket_master) {
		set->ticket_life = TLS_TICKET_LIFE_MAX;
		set->ticket_master = str_make(k->ticket_master, sizeof(k->ticket_master));
	}
}

static void unref_policy(void *policy)
{
	client_policy_unref(policy);
}

/* grace: of settings_grace. */
static int build_credentials(struct control *k, struct endpoint *e, int64_t grace, char **error)
{
	const struct config_listener *l = e->config;
	const struct chain_ask *a = map_get(&k->chains, str_of(chain_name(l)));
	struct listener_files *files = map_get(&k->files, str_of(l->name));
	if (!a || a->chains.n == 0)
		return 0; /* a new listener: refused until the vault has answered */
	const int bad = use_policy(e, files, error);
	if (bad)
		return bad;
	AUTO_BUF authorities = {0};
	struct tls_settings set = {.attached = e->policy, .attached_unref = unref_policy};
	struct lists *lists = mem_new(struct lists);
	use_config(k, l, &set);
	if (!add_identities(a, files, lists, &set)) {
		*error = mem_printf("listener \"%s\": its certificate and its key do not belong "
				    "together; give the certificate of this key, first in its file",
				    l->name);
		free(lists);
		return ERR_CONFLICT;
	}
	if (!l->client_ca[0])
		set.grace = grace;
	if (!l->client_ca[0])
		registry_authorities(k->broker.registry, &authorities);
	else if (files)
		buf_str(&authorities, buf_view(&files->client_ca));
	if (set.client_certificate != TLS_CLIENT_NONE) {
		set.trust = lists->trust;
		set.trust_n = split_list(buf_view(&authorities), lists->trust, TLS_TRUST_MAX);
	}
	const int err = tls_credentials_new(&set, error, &e->credentials);
	if (err == 0)
		client_policy_ref(e->policy);
	free(lists);
	return err;
}

/* A listener has bounds of its own only where they are narrower than those of all. */
static struct limit *own_limit(struct control *k, const struct config_listener *l)
{
	const struct config_broker *b = &k->settings->config->broker;
	struct limit *limit = map_get(&k->limits, str_of(l->name));
	if (!limit && l->max_connections >= b->max_connections &&
	    l->max_connections_per_address >= b->max_connections_per_address)
		return NULL;
	const struct limit_settings set = {
		.connections = l->max_connections,
		.connections_per_address = l->max_connections_per_address,
	};
	if (limit) {
		limit_configure(limit, &set);
	} else {
		limit = limit_new(&set);
		map_set(&k->limits, str_of(l->name), limit);
	}
	return limit;
}

/* A listener that serves already goes on with the certificate that it has: after a reload the
 * broker may have read the new certificate before the vault has read the new key. */
static bool keep_credentials(struct control *k, struct endpoint *e, const char *error)
{
	const struct endpoint *old = settings_endpoint(k->settings, str_of(e->config->name));
	struct chain_ask *a = map_get(&k->chains, str_of(chain_name(e->config)));
	if (!old || !old->credentials)
		return false;
	if (!a->unfit)
		log_warning("%s; until then the old ones are used", error);
	a->unfit = k->unfit = true;
	e->credentials = tls_credentials_ref(old->credentials);
	control_retry(k);
	return true;
}

static int build_endpoint(struct control *k, struct endpoint *e, int64_t grace, struct buf *why)
{
	AUTO_CHAR error = NULL;
	if (!e->config->tls || e->credentials)
		return 0;
	const int err = build_credentials(k, e, grace, &error);
	if (err == 0 || (err == ERR_CONFLICT && keep_credentials(k, e, error)))
		return 0;
	log_error("%s", error);
	if (why)
		buf_puts(why, error);
	return ERR_INVALID;
}

int endpoints_build(struct control *k, struct settings *s, struct buf *why)
{
	k->unfit = false;
	for (size_t i = 0; i < s->endpoints; i++) {
		struct endpoint *e = &s->endpoint[i];
		if (build_endpoint(k, e, settings_grace(s), why))
			return ERR_INVALID;
		e->limit = own_limit(k, e->config);
	}
	return 0;
}
