/* SPDX-License-Identifier: Apache-2.0
 *
 * Rights that end: see revoke.h.
 */
#include "daemon/broker/revoke.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/broker/login.h"
#include "daemon/broker/session.h"
#include "daemon/broker/will.h"
#include "daemon/net/ban.h"

/* A will is published, for the rules of before allowed it; not one that perhaps a thief of the key
 * left. */
static const char *revoked(struct conn *c)
{
	bool compromised;
	const char *why = registry_lost(c->worker->broker->registry, c->fingerprint, &compromised);
	if (compromised && c->session)
		will_drop(c->session);
	return why;
}

static const char *lacks_login(const struct conn *c, enum config_auth auth)
{
	const bool both = auth == CONFIG_AUTH_BOTH;
	const bool password = c->login_result == LOGIN_PROVED;
	if ((auth == CONFIG_AUTH_CERTIFICATE || both) && !c->has_certificate)
		return "the listener asks for a certificate now";
	if ((auth == CONFIG_AUTH_PASSWORD || both) && !password)
		return "the listener asks for a password now";
	if (auth == CONFIG_AUTH_ANY && !password && !c->has_certificate)
		return "the listener asks for a login now";
	return NULL;
}

/* What its listener asks for by now and it has not shown; NULL when it could come again. One whose
 * listener is gone stays: a port was closed, and no right was taken away. */
static const char *lacks(const struct conn *c)
{
	const struct config_listener *was = c->endpoint->config;
	const struct endpoint *e = settings_endpoint(c->worker->settings, str_of(was->name));
	if (!e || e->config == was)
		return NULL;
	if (e->config->tls && !was->tls)
		return "the listener takes only TLS now";
	if (c->state != CONN_OPEN)
		return e->config->auth != was->auth ? "the listener was changed" : NULL;
	return lacks_login(c, e->config->auth);
}

/* Why this connection may not stay; NULL when it may. */
static const char *lost(struct conn *c)
{
	struct registry *r = c->worker->broker->registry;
	uint64_t device_id = 0;
	int64_t not_after = 0;
	const char *missing = lacks(c);
	if (missing)
		return missing;
	if (c->has_certificate) {
		switch (conn_judge_certificate(c, &device_id, &not_after)) {
		case VERDICT_ALLOW:
			if (c->session && c->device_id && c->device_id != device_id)
				return "the certificate belongs to another device now";
			c->certificate_until = c->certificate_until ? not_after : 0;
			break;
		case VERDICT_REVOKED:
			return revoked(c);
		case VERDICT_DISABLED:
			return "the device was disabled";
		case VERDICT_EXPIRED:
			return "the certificate expired";
		case VERDICT_REFUSED:
			return "the listener takes no such certificate any more";
		default:
			return "the certificate or its device was removed";
		}
	}
	if (!c->session || c->device_id == 0)
		return NULL;
	AUTO(identity) id = registry_identity(r, c->device_id);
	return id ? NULL : "the device was disabled or removed";
}

static void cut(struct conn *c, enum reason reason, const char *why)
{
	if (c->state == CONN_OPEN)
		conn_event(c, EVENT_CLIENT_KICKED, why, NULL);
	conn_close(c, reason, why);
}

unsigned revoke_connections(struct worker *w)
{
	unsigned closed = 0;
	uint32_t at = 0;
	for (struct conn *c; (c = slab_next(&w->conns, &at));) {
		/* A handshake is judged when it is done. */
		const char *why = c->state == CONN_HANDSHAKE ? lacks(c) : lost(c);
		if (!why)
			continue;
		closed += c->state == CONN_OPEN;
		cut(c, REASON_ADMINISTRATIVE_ACTION, why);
	}
	return closed;
}

void revoke_rejudge(struct worker *w)
{
	uint32_t at = 0;
	for (struct session *s; (s = slab_next(&w->sessions, &at));) {
		struct identity *now =
			registry_identity(w->broker->registry, s->identity->device_id);
		if (now)
			session_use_identity(s, now);
		else if (!s->conn && !s->joining) /* else: changed since the other walk, which will
						     come again */
			session_end(s);
	}
}

unsigned revoke_kick(struct worker *w, struct str client_id, uint64_t device_id, enum reason reason)
{
	unsigned closed = 0;
	uint32_t at = 0;
	for (struct conn *c; (c = slab_next(&w->conns, &at));) {
		if (c->state != CONN_OPEN)
			continue;
		const bool hit = client_id.n ? str_eq(session_client_id(c->session), client_id)
					     : c->device_id == device_id;
		if (!hit)
			continue;
		closed++;
		cut(c, reason, "closed by an administrator");
	}
	return closed;
}

unsigned revoke_banned(struct worker *w)
{
	unsigned closed = 0;
	uint32_t at = 0;
	for (struct conn *c; (c = slab_next(&w->conns, &at));) {
		const bool is_proxy =
			!c->proxy && c->endpoint->config->proxy_protocol != CONFIG_PROXY_OFF;
		if (is_proxy || !bans_hold(&c->peer))
			continue;
		closed++;
		cut(c, REASON_ADMINISTRATIVE_ACTION, "the address is banned");
	}
	return closed;
}

void revoke_all(struct worker *w)
{
	uint32_t at = 0;
	for (struct conn *c; (c = slab_next(&w->conns, &at));)
		conn_close(c, REASON_SERVER_SHUTTING_DOWN, "the gateway stops");
}
