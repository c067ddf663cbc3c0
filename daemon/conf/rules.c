/* SPDX-License-Identifier: Apache-2.0
 *
 * How the values fit together: each contradiction is one error at the line that can be changed.
 * Looks at values alone, not at files or interfaces.
 */
#include "daemon/conf/load.h"

static const struct conf_place broker_place = {CONF_SECTION_broker, 0};

static bool is_set(const struct config *c, struct conf_place place, size_t key)
{
	return conf_tree_origin(c, place, key)->source != CONFIG_SOURCE_DEFAULT;
}

/* SMALL must not be more than LARGE. Where the default of SMALL is more than a LARGE that someone
 * chose, this is no contradiction if the smaller one simply wins (lax). */
struct order {
	size_t small;
	size_t large;
	bool lax;
	const char *because;
};

static const struct order broker_orders[] = {
	{CONF_KEY_broker_max_payload, CONF_KEY_broker_max_packet, false,
	 "a packet holds its payload"},
	{CONF_KEY_broker_max_packet, CONF_KEY_broker_max_queued_bytes, false,
	 "a message of that size could never wait for its receiver"},
	{CONF_KEY_broker_max_packet, CONF_KEY_broker_max_output_bytes, false,
	 "a packet of that size could never be sent"},
	{CONF_KEY_broker_max_connections, CONF_KEY_broker_max_sessions, false,
	 "every connection has a session"},
	{CONF_KEY_broker_max_connections_per_address, CONF_KEY_broker_max_connections, true,
	 "that bounds all addresses together"},
	{CONF_KEY_broker_max_half_open, CONF_KEY_broker_max_connections, true,
	 "that bounds all connections together"},
	{CONF_KEY_broker_max_connections_per_device, CONF_KEY_broker_max_connections, true,
	 "that bounds all devices together"},
	{CONF_KEY_broker_max_half_open_per_address, CONF_KEY_broker_max_half_open, true,
	 "that bounds all addresses together"},
	{CONF_KEY_broker_handshake_rate_per_address, CONF_KEY_broker_handshake_rate, true,
	 "that bounds all addresses together"},
};

static const struct order listener_orders[] = {
	{CONF_KEY_listener_max_connections, CONF_KEY_broker_max_connections, false,
	 "that bounds all listeners together"},
	{CONF_KEY_listener_max_connections_per_address, CONF_KEY_broker_max_connections_per_address,
	 false, "that bounds all listeners together"},
	{CONF_KEY_listener_max_packet, CONF_KEY_broker_max_packet, false,
	 "that bounds all listeners"},
};

static uint64_t number(const struct config *c, struct conf_place place, size_t key)
{
	const void *field = conf_tree_field_of(c, place, key);
	return conf_key[key].type == CONF_INT ? *(const uint32_t *)field : *(const uint64_t *)field;
}

static void check_order(const struct config *c, struct conf_place place, const struct order *o,
			struct config_errors *errors)
{
	if (number(c, place, o->small) <= number(c, broker_place, o->large))
		return;
	const bool blame_small = is_set(c, place, o->small);
	if (!blame_small && o->lax)
		return;
	const struct conf_place other_place = blame_small ? broker_place : place;
	const size_t other = blame_small ? o->large : o->small;
	AUTO_BUF value = {0};
	conf_value_print(&conf_key[other], conf_tree_field_of(c, other_place, other), &value);
	conf_error_at(
		errors, c, blame_small ? place : broker_place, blame_small ? o->small : o->large,
		"is %s than %s = %s of [broker], but %s; change one of them",
		blame_small ? "more" : "less", conf_key[other].word, buf_cstr(&value), o->because);
}

static bool is_loopback_only(const struct config_addrs *bind)
{
	for (size_t i = 0; i < bind->n; i++)
		if (!addr_is_loopback(&bind->p[i]))
			return false;
	return true;
}

static bool uses_certificates(enum config_auth auth)
{
	return auth == CONFIG_AUTH_CERTIFICATE || auth == CONFIG_AUTH_BOTH ||
	       auth == CONFIG_AUTH_ANY;
}

static const char *auth_word(const struct config_listener *l)
{
	for (const struct conf_choice *w = conf_key[CONF_KEY_listener_auth].choices; w->word; w++)
		if (w->number == (unsigned)l->auth)
			return w->word;
	return "";
}

static const size_t tls_keys[] = {
	CONF_KEY_listener_certificate,  CONF_KEY_listener_key,         CONF_KEY_listener_client_ca,
	CONF_KEY_listener_tls_versions, CONF_KEY_listener_tickets,     CONF_KEY_listener_record_max,
	CONF_KEY_listener_lint,         CONF_KEY_listener_device_from, CONF_KEY_listener_crl,
};

bool conf_means_nothing(const struct config *c, struct conf_place place, size_t key)
{
	if (place.section != CONF_SECTION_listener || c->listener[place.i].tls)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(tls_keys); i++)
		if (tls_keys[i] == key)
			return true;
	return false;
}

static void check_plain(const struct config *c, struct conf_place place,
			const struct config_listener *l, struct config_errors *errors)
{
	if (l->tls)
		return;
	if (uses_certificates(l->auth))
		conf_error_at(errors, c, place, CONF_KEY_listener_tls,
			      "without TLS no device can show a certificate, as auth = %s wants; "
			      "write tls = on, or auth = password or anonymous",
			      auth_word(l));
	for (size_t i = 0; i < ARRAY_LEN(tls_keys); i++)
		if (is_set(c, place, tls_keys[i]))
			conf_error_at(errors, c, place, tls_keys[i],
				      "means nothing with tls = off; remove it or write tls = on");
}

static void check_certificates(const struct config *c, struct conf_place place,
			       const struct config_listener *l, struct config_errors *errors)
{
	if (l->certificate[0] && !l->key[0])
		conf_error_at(errors, c, place, CONF_KEY_listener_certificate,
			      "needs the private key that belongs to it; add key = PATH");
	if (l->key[0] && !l->certificate[0])
		conf_error_at(errors, c, place, CONF_KEY_listener_key,
			      "needs the certificate that it belongs to; add certificate = PATH");
	if (l->client_ca[0] && l->tls && !uses_certificates(l->auth))
		conf_error_at(errors, c, place, CONF_KEY_listener_client_ca,
			      "means nothing with auth = %s, which asks for no certificate; remove "
			      "it or write auth = certificate, certificate+password or any",
			      auth_word(l));
}

/* What is said about certificates of other authorities. */
static void check_client_ca(const struct config *c, struct conf_place place,
			    const struct config_listener *l, struct config_errors *errors)
{
	/* Defaults may be written out. */
	const struct {
		bool said;
		size_t key;
	} about[] = {
		{l->lint != CONFIG_LINT_STRICT, CONF_KEY_listener_lint},
		{l->device_from != CONFIG_DEVICE_FROM_FINGERPRINT, CONF_KEY_listener_device_from},
		{l->crl[0], CONF_KEY_listener_crl},
	};
	for (size_t i = 0; l->tls && !l->client_ca[0] && i < ARRAY_LEN(about); i++)
		if (about[i].said)
			conf_error_at(errors, c, place, about[i].key,
				      "is about the certificates of another authority; add "
				      "client-ca = PATH or remove it");
	if (l->client_ca[0] && l->lint == CONFIG_LINT_LEGACY &&
	    l->device_from != CONFIG_DEVICE_FROM_FINGERPRINT)
		conf_error_at(
			errors, c, place, CONF_KEY_listener_device_from,
			"trusts names of certificates that lint = legacy hardly judges; write "
			"lint = strict, or device-from = fingerprint and register them");
}

static void check_proxy(const struct config *c, struct conf_place place,
			const struct config_listener *l, struct config_errors *errors)
{
	const bool on = l->proxy_protocol != CONFIG_PROXY_OFF;
	if (on && !l->proxy_from.n)
		conf_error_at(errors, c, place, CONF_KEY_listener_proxy_protocol,
			      "needs to know whose word counts; add proxy-from = the networks of "
			      "your proxies");
	if (!on && l->proxy_from.n)
		conf_error_at(errors, c, place, CONF_KEY_listener_proxy_from,
			      "means nothing with proxy-protocol = off; remove it or write "
			      "proxy-protocol = v1, v2 or any");
}

static void check_listener(const struct config *c, size_t i, struct config_errors *errors)
{
	const struct config_listener *l = &c->listener[i];
	const struct conf_place place = {CONF_SECTION_listener, i};
	check_plain(c, place, l, errors);
	check_certificates(c, place, l, errors);
	check_client_ca(c, place, l, errors);
	check_proxy(c, place, l, errors);
	if (l->auth == CONFIG_AUTH_ANONYMOUS && !is_loopback_only(&l->bind) && !l->allow_from.n)
		conf_error_at(errors, c, place, CONF_KEY_listener_auth,
			      "lets everyone in who can reach the machine; bind to 127.0.0.1 or "
			      "[::1], or name the networks with allow-from");
	for (size_t k = 0; k < ARRAY_LEN(listener_orders); k++)
		check_order(c, place, &listener_orders[k], errors);
}

static void check_admin(const struct config *c, struct config_errors *errors)
{
	const struct conf_place place = {CONF_SECTION_admin, 0};
	if (c->admin.certificate[0] && !c->admin.key[0])
		conf_error_at(errors, c, place, CONF_KEY_admin_certificate,
			      "needs the private key that belongs to it; add key = PATH");
	if (c->admin.key[0] && !c->admin.certificate[0])
		conf_error_at(errors, c, place, CONF_KEY_admin_key,
			      "needs the certificate that it belongs to; add certificate = PATH");
}

static bool is_wildcard(const struct addr *a)
{
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == htonl(INADDR_ANY);
	return IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

/* Would one socket take connections that are meant for the other? */
static bool overlap(const struct addr *a, const struct addr *b)
{
	if (addr_port(a) != addr_port(b))
		return false;
	if (a->any.sa_family != b->any.sa_family)
		return a->dual_stack || b->dual_stack;
	return is_wildcard(a) || is_wildcard(b) || addr_equal(a, b);
}

struct bound {
	struct conf_place place;
	size_t key;
	const struct config_addrs *addrs;
};

/* The n-th thing that listens: listeners, then admin and enrol. */
static bool bound_at(const struct config *c, size_t n, struct bound *out)
{
	if (n < c->listeners)
		*out = (struct bound){
			{CONF_SECTION_listener, n}, CONF_KEY_listener_bind, &c->listener[n].bind};
	else if (n == c->listeners)
		*out = (struct bound){{CONF_SECTION_admin, 0}, CONF_KEY_admin_bind, &c->admin.bind};
	else if (n == c->listeners + 1)
		*out = (struct bound){{CONF_SECTION_enrol, 0}, CONF_KEY_enrol_bind, &c->enrol.bind};
	else
		return false;
	return true;
}

static void report_taken(const struct config *c, const struct bound *a, const struct bound *b,
			 const struct addr *of_a, const struct addr *of_b,
			 struct config_errors *errors)
{
	const bool blame_b = is_set(c, b->place, b->key);
	const struct bound *blamed = blame_b ? b : a;
	const struct bound *other = blame_b ? a : b;
	char text[ADDR_TEXT];
	AUTO_BUF section = {0};
	AUTO_BUF where = {0};
	conf_tree_print_section(c, other->place, " ", &section);
	conf_tree_print_origin(c, *conf_tree_origin(c, other->place, other->key), &where);
	conf_error_at(errors, c, blamed->place, blamed->key,
		      "clashes with %s of [%s] (%s); choose another port or address",
		      addr_format(blame_b ? of_a : of_b, text), buf_cstr(&section),
		      buf_cstr(&where));
}

/* Compares b's addresses with those of a, or, when they are the same place, with its own before. */
static void check_pair(const struct config *c, const struct bound *a, const struct bound *b,
		       bool same, struct config_errors *errors)
{
	for (size_t j = 0; j < b->addrs->n; j++) {
		const size_t n = same ? j : a->addrs->n;
		for (size_t i = 0; i < n; i++) {
			if (overlap(&a->addrs->p[i], &b->addrs->p[j])) {
				report_taken(c, a, b, &a->addrs->p[i], &b->addrs->p[j], errors);
				return;
			}
		}
	}
}

static void check_addresses(const struct config *c, struct config_errors *errors)
{
	struct bound a;
	struct bound b;
	for (size_t j = 0; bound_at(c, j, &b); j++)
		for (size_t i = 0; i <= j && bound_at(c, i, &a); i++)
			check_pair(c, &a, &b, i == j, errors);
}

void conf_rules(const struct config *c, struct config_errors *errors)
{
	for (size_t i = 0; i < ARRAY_LEN(broker_orders); i++)
		check_order(c, broker_place, &broker_orders[i], errors);
	for (size_t i = 0; i < c->listeners; i++)
		check_listener(c, i, errors);
	check_admin(c, errors);
	check_addresses(c, errors);
}
