/* SPDX-License-Identifier: Apache-2.0
 *
 * CONNECT and CONNACK: see connect.h.
 */
#include "daemon/broker/connect.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/broker/alias.h"
#include "daemon/broker/auth.h"
#include "daemon/broker/bound.h"
#include "daemon/broker/describe.h"
#include "daemon/broker/login.h"
#include "daemon/broker/session.h"
#include "daemon/broker/spool_session.h"
#include "daemon/broker/will.h"
#include "daemon/ipc/rec.h"
#include "daemon/mqtt/decode.h"
#include "daemon/mqtt/topic.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	RENEW_PERCENT = 66,
	CLAIM_TRIES = 8,
	PROBE_IDLE_MAX_S = 32767, /* the kernel's */
	PROBE_INTERVAL_S = 15,
	PROBES = 4,
	ASSIGNED_RANDOM = 10,
	ASSIGNED_TEXT = 3 + 2 * ASSIGNED_RANDOM + 1
};

/* One CONNECT on its way to CONNACK. */
struct connecting {
	struct conn *conn;
	const struct packet *packet;
	const struct packet_connect *k;
	struct str bytes; /* of the packet */
	uint64_t device_id;
	struct str client_id;
	bool assigned;
	bool present;
	bool ended; /* a durable session, by this clean start */
	char random_id[ASSIGNED_TEXT];
	const char *why; /* of a refusal */
};

/* ---- refusal ----------------------------------------------------------------------------------
 */

static void answer_refusal(struct conn *c, enum reason reason, const char *why)
{
	struct packet p = {.type = PACKET_CONNACK, .props = props_none, .connack = {false, reason}};
	packet_explain(&p, why);
	conn_send(c, &p);
	c->worker->stats.connects_refused++;
}

static void refuse(struct connecting *k, enum reason reason)
{
	struct conn *c = k->conn;
	AUTO_BUF detail = {0};
	rec_text(&detail, "reason_code", reason_text(reason));
	describe_way(c, &detail);
	describe_traffic(c, &detail);
	const struct str user = k->k->has_user_name ? k->k->user_name : auth_name(c);
	conn_event_claimed(c, EVENT_LOGIN_REFUSED, k->why, user, k->k->client_id, &detail);
	answer_refusal(c, reason, k->why);
	conn_close(c, REASON_NORMAL_DISCONNECTION, k->why);
}

void connect_refuse_bytes(struct conn *c, const void *p, size_t n, enum reason reason)
{
	const enum event event =
		reason == REASON_PACKET_TOO_LARGE ? EVENT_PACKET_TOO_LARGE : EVENT_PACKET_MALFORMED;
	c->version = (uint8_t)connect_version(p, n);
	c->worker->stats.malformed++;
	if (reason == REASON_PACKET_TOO_LARGE)
		bound_count(c->worker, BOUND_PACKET);
	AUTO_BUF detail = {0};
	rec_text(&detail, "packet", c->version ? "CONNECT" : "not MQTT");
	conn_event(c, event, reason_text(reason), &detail);
	if (c->version)
		answer_refusal(c, reason, NULL);
	conn_close(c, REASON_NORMAL_DISCONNECTION, reason_text(reason));
}

static enum reason because(struct connecting *k, enum reason reason, const char *why)
{
	k->why = why;
	return reason;
}

/* ---- who is it? -------------------------------------------------------------------------------
 */

static enum reason by_certificate(struct connecting *k)
{
	struct conn *c = k->conn;
	if (!c->has_certificate)
		return because(k, REASON_NOT_AUTHORIZED, "no client certificate");
	switch (conn_judge_certificate(c, &k->device_id, &c->certificate_until)) {
	case VERDICT_ALLOW:
		return REASON_SUCCESS;
	case VERDICT_REVOKED:
		return because(k, REASON_NOT_AUTHORIZED, "the certificate is revoked");
	case VERDICT_EXPIRED:
		return because(k, REASON_NOT_AUTHORIZED, "the certificate expired");
	case VERDICT_DISABLED:
		return because(k, REASON_NOT_AUTHORIZED, "the device is disabled");
	case VERDICT_REFUSED:
		return because(k, REASON_NOT_AUTHORIZED, "the listener takes no such certificate");
	default:
		return because(k, REASON_NOT_AUTHORIZED, "the certificate is not registered");
	}
}

/* What the store said of a login. */
static enum reason login_reason(enum login_result result, const char **why)
{
	switch (result) {
	case LOGIN_REFUSED:
		*why = "wrong user name or password";
		return REASON_BAD_USER_NAME_OR_PASSWORD;
	case LOGIN_NOT_ENABLED:
		*why = "the device is disabled";
		return REASON_NOT_AUTHORIZED;
	case LOGIN_OVERLOAD:
		*why = "too many wrong passwords, or logins at the same time; try again later";
		return REASON_SERVER_BUSY;
	default:
		*why = "the registry is away";
		return REASON_SERVER_UNAVAILABLE;
	}
}

void connect_refuse_login(struct conn *c, enum login_result result)
{
	const char *why;
	const enum reason reason = login_reason(result, &why);
	AUTO_BUF detail = {0};
	rec_text(&detail, "reason_code", reason_text(reason));
	rec_text(&detail, "method", "SCRAM-SHA-256");
	describe_way(c, &detail);
	describe_traffic(c, &detail);
	conn_event_claimed(c, EVENT_LOGIN_REFUSED, why, auth_name(c), STR(""), &detail);
	answer_refusal(c, reason, why);
	conn_close(c, REASON_NORMAL_DISCONNECTION, why);
}

void connect_refuse_reason(struct conn *c, enum reason reason)
{
	answer_refusal(c, reason, NULL);
}

static enum reason begin_exchange(struct connecting *k)
{
	const struct str data = k->packet->props.authentication_data;
	if (!auth_begin(k->conn, data, k->bytes))
		return because(k, REASON_NOT_AUTHORIZED,
			       "the authentication data is no message of SCRAM");
	return REASON_SUCCESS;
}

static bool wants_exchange(const struct connecting *k)
{
	return props_has(&k->packet->props, PROPERTY_AUTHENTICATION_METHOD);
}

/* Not asked yet: asks the store, and the connection waits. */
static enum reason by_password(struct connecting *k)
{
	const struct packet_connect *p = k->k;
	if (k->conn->login_result == LOGIN_PROVED)
		return REASON_SUCCESS;
	if (k->conn->login_result != LOGIN_NOT_ASKED)
		return login_reason(k->conn->login_result, &k->why);
	if (wants_exchange(k))
		return begin_exchange(k);
	if (!p->has_user_name || !p->has_password)
		return because(k, REASON_BAD_USER_NAME_OR_PASSWORD, "no user name and password");
	if (p->user_name.n > USER_NAME_MAX || p->password.n > PASSWORD_MAX)
		return because(k, REASON_BAD_USER_NAME_OR_PASSWORD,
			       "user name or password too long");
	k->conn->state = CONN_LOGIN;
	login_start(k->conn, p->user_name, p->password);
	return REASON_SUCCESS;
}

static enum reason identify(struct connecting *k)
{
	struct conn *c = k->conn;
	const enum config_auth auth = c->endpoint->config->auth;
	const bool any = auth == CONFIG_AUTH_ANY;
	const bool certificate = auth == CONFIG_AUTH_CERTIFICATE || auth == CONFIG_AUTH_BOTH ||
				 (any && c->has_certificate);
	const bool password = auth == CONFIG_AUTH_PASSWORD || auth == CONFIG_AUTH_BOTH ||
			      (any && (!c->has_certificate || wants_exchange(k)));
	enum reason r = REASON_SUCCESS;
	k->device_id = 0;
	if (certificate)
		r = by_certificate(k);
	if (r != REASON_SUCCESS || !password)
		return r;
	r = by_password(k);
	if (r != REASON_SUCCESS || c->state == CONN_LOGIN)
		return r;
	if (certificate && c->proved_device != k->device_id)
		return because(k, REASON_NOT_AUTHORIZED,
			       "certificate and password belong to different devices");
	k->device_id = c->proved_device;
	return REASON_SUCCESS;
}

/* ---- may it be here? --------------------------------------------------------------------------
 */

static void assign_client_id(struct connecting *k)
{
	unsigned char bytes[ASSIGNED_RANDOM];
	secret_random(bytes, sizeof(bytes));
	memcpy(k->random_id, "gh-", 3);
	hex_encode(bytes, sizeof(bytes), k->random_id + 3);
	k->client_id = str_of(k->random_id);
	k->assigned = true;
}

static enum reason choose_client_id(struct connecting *k, const struct identity *id)
{
	const bool device = k->conn->endpoint->config->client_id == CONFIG_CLIENT_ID_DEVICE;
	k->client_id = k->k->client_id;
	if (device && id->device_id) {
		if (k->client_id.n && !str_is(k->client_id, id->name))
			return because(k, REASON_CLIENT_IDENTIFIER_NOT_VALID,
				       "the client identifier is not the device's name");
		k->assigned = k->client_id.n == 0;
		k->client_id = str_of(id->name);
	} else if (k->client_id.n == 0) {
		assign_client_id(k);
	}
	if (k->client_id.n > CLIENT_ID_MAX)
		return because(k, REASON_CLIENT_IDENTIFIER_NOT_VALID,
			       "the client identifier is longer than 1024 bytes");
	return REASON_SUCCESS;
}

static bool offers_exchange(const struct connecting *k)
{
	const enum config_auth auth = k->conn->endpoint->config->auth;
	return auth != CONFIG_AUTH_ANONYMOUS && auth != CONFIG_AUTH_CERTIFICATE &&
	       auth_offered(k->packet->props.authentication_method);
}

static enum reason check_offer(struct connecting *k)
{
	const struct packet_connect *p = k->k;
	const struct config_broker *b = &k->conn->settings->config->broker;
	if (wants_exchange(k) && !offers_exchange(k))
		return because(k, REASON_BAD_AUTHENTICATION_METHOD,
			       "this authentication method is not offered here");
	if (!p->has_will)
		return REASON_SUCCESS;
	if (p->will.retain && p->version == MQTT_5 && !b->max_retained_messages)
		return because(k, REASON_RETAIN_NOT_SUPPORTED,
			       "max-retained-messages is 0: a retained will is not supported");
	if (p->will.topic.n > b->max_topic_length ||
	    topic_levels(p->will.topic) > b->max_topic_levels)
		return because(k, REASON_TOPIC_NAME_INVALID, "the topic of the will is too long");
	return REASON_SUCCESS;
}

/* ---- its session ------------------------------------------------------------------------------
 */

static void throw_out(struct conn *old, const struct conn *by)
{
	AUTO_BUF detail = {0};
	char text[ADDR_TEXT];
	rec_text(&detail, "by", addr_format(&by->peer, text));
	conn_event(old, EVENT_CLIENT_TAKEN_OVER, "the same client connected again", &detail);
	conn_close(old, REASON_SESSION_TAKEN_OVER, "taken over"); /* [MQTT-3.1.4-3] */
}

/* The session of this client on this worker, or NULL when there is none any more. The connection
 * that had it is thrown out; a clean start ends it. */
static struct session *take_session(struct connecting *k, const struct owner *owner)
{
	struct worker *w = k->conn->worker;
	struct session *s = session_find(w, owner->session);
	if (s && (s->conn || s->joining)) {
		throw_out(s->conn ? s->conn : s->joining, k->conn);
		s = session_find(w, owner->session);
	}
	if (s && k->k->clean_start) {
		k->ended = s->sid && s->durability == CONFIG_DURABILITY_FULL;
		session_end(s);
		s = NULL;
	}
	return s;
}

/* A durable session is not begun without the store; nor is a relaxed one, when too much waits for
 * it already. */
static bool store_is_needed(const struct connecting *k)
{
	const struct conn *c = k->conn;
	const enum config_durability d = c->endpoint->config->durability;
	const bool lasts = k->k->version == MQTT_5 ? k->packet->props.session_expiry_interval > 0
						   : !k->k->clean_start;
	return lasts && !c->worker->spool.link &&
	       (d == CONFIG_DURABILITY_FULL ||
		(d == CONFIG_DURABILITY_RELAXED && spool_is_full(c->worker->broker)));
}

static enum reason claim(struct connecting *k, struct identity *id, struct session **out)
{
	struct conn *c = k->conn;
	struct worker *w = c->worker;
	struct directory *d = w->broker->directory;
	const size_t max = c->settings->config->broker.max_sessions;
	struct owner owner;
	for (unsigned i = 0; i < CLAIM_TRIES; i++) {
		switch (directory_claim(d, k->client_id, id->device_id, w->index, max, &owner)) {
		case CLAIM_NEW:
			*out = session_new(w, k->client_id, id);
			if (*out)
				return REASON_SUCCESS;
			directory_drop(d, k->client_id);
			return because(k, REASON_QUOTA_EXCEEDED, "too many sessions");
		case CLAIM_HERE:
			*out = take_session(k, &owner);
			k->present = *out != NULL;
			if (*out)
				return REASON_SUCCESS;
			break;
		case CLAIM_THERE:
			c->state = CONN_MOVING;
			c->move_to = (uint8_t)owner.worker;
			return REASON_SUCCESS;
		case CLAIM_FOREIGN:
			return because(k, REASON_CLIENT_IDENTIFIER_NOT_VALID,
				       "the client identifier belongs to another device's session");
		case CLAIM_FULL:
			bound_count(w, BOUND_SESSIONS);
			return because(k, REASON_QUOTA_EXCEEDED, "max-sessions");
		}
	}
	return because(k, REASON_SERVER_BUSY, "the session is fought over");
}

/* ---- CONNACK ----------------------------------------------------------------------------------
 */

/* MQTT 3 cannot tell a client to be heard more often, and it is not to be cut off for its silence:
 * a dead one is found by TCP, which asks after the same time. */
static void probe(const struct conn *c, uint64_t idle_s)
{
	const int fd = stream_fd(c->stream);
	const int on = 1;
	const int idle = (int)MIN(idle_s, (uint64_t)PROBE_IDLE_MAX_S);
	const int interval = PROBE_INTERVAL_S;
	const int count = PROBES;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof(count));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void set_keep_alive(struct connecting *k, struct props *props)
{
	struct conn *c = k->conn;
	const uint64_t max = c->settings->config->broker.max_keep_alive / 1000;
	c->keep_alive = k->k->keep_alive;
	if (k->k->version == MQTT_5 && (c->keep_alive == 0 || c->keep_alive > max)) {
		c->keep_alive = (uint16_t)MIN(max, (uint64_t)UINT16_MAX);
		props->server_keep_alive = c->keep_alive;
		props_mark(props, PROPERTY_SERVER_KEEP_ALIVE);
	}
	c->silence_ms = c->keep_alive * 1500u;
	if (c->keep_alive == 0 || c->keep_alive > max)
		probe(c, max);
}

static void set_expiry(struct connecting *k, struct session *s, struct props *props)
{
	const struct conn *c = k->conn;
	const uint32_t asked = k->packet->props.session_expiry_interval;
	const uint64_t max = c->settings->config->broker.max_session_expiry / 1000;
	if (k->k->version != MQTT_5) {
		s->expiry_s = k->k->clean_start ? 0 : (uint32_t)MIN(max, (uint64_t)UINT32_MAX);
		return;
	}
	s->expiry_s = (uint32_t)MIN(asked, max);
	if (s->expiry_s != asked) {
		props->session_expiry_interval = s->expiry_s;
		props_mark(props, PROPERTY_SESSION_EXPIRY_INTERVAL);
	}
}

/* What this server can do, where it differs from what the standard supposes. */
static void set_capabilities(const struct connecting *k, struct props *props)
{
	const struct conn *c = k->conn;
	props->receive_maximum = (uint16_t)c->settings->config->broker.max_inflight;
	props_mark(props, PROPERTY_RECEIVE_MAXIMUM);
	if (c->settings->config->broker.max_retained_messages == 0) {
		props->retain_available = 0;
		props_mark(props, PROPERTY_RETAIN_AVAILABLE);
	}
	props->maximum_packet_size =
		(uint32_t)MIN(c->endpoint->config->max_packet, (uint64_t)PACKET_SIZE_MAX);
	props_mark(props, PROPERTY_MAXIMUM_PACKET_SIZE);
	props->topic_alias_maximum = CONN_ALIASES;
	props_mark(props, PROPERTY_TOPIC_ALIAS_MAXIMUM);
	if (k->assigned) {
		props->assigned_client_identifier = k->client_id;
		props_mark(props, PROPERTY_ASSIGNED_CLIENT_IDENTIFIER);
	}
}

/* A level of response-information with the value of its variable. False: that cannot be a level. */
static bool response_level(const struct connecting *k, const struct identity *id, struct str *level)
{
	if (str_is(*level, "${device}"))
		*level = str_of(id->name);
	else if (str_is(*level, "${clientid}"))
		*level = k->client_id;
	else
		return true;
	return topic_name_valid(*level) && topic_levels(*level) == 1;
}

/* What the client may use as the beginning of its response topics; text holds it [MQTT-3.1.2-28].
 */
static void set_response_information(const struct connecting *k, const struct identity *id,
				     struct buf *text, struct props *props)
{
	struct str rest = str_of(k->conn->settings->config->broker.response_information);
	if (rest.n == 0 || !k->packet->props.request_response_information)
		return;
	for (struct str level; topic_next(&rest, &level);) {
		if (!response_level(k, id, &level))
			return;
		if (text->n)
			buf_putc(text, '/');
		buf_str(text, level);
	}
	props->response_information = buf_view(text);
	props_mark(props, PROPERTY_RESPONSE_INFORMATION);
}

/* From two thirds of its life on the client is told when its certificate ends: by then it should
 * have renewed. */
struct expiry_notice {
	struct user_property property;
	char text[CLOCK_TEXT];
};

static void set_certificate_expiry(const struct conn *c, struct expiry_notice *notice,
				   struct props *props)
{
	int64_t begin, end;
	if (!c->has_certificate ||
	    !registry_life(c->worker->broker->registry, c->fingerprint, &begin, &end) ||
	    MAX(clock_wall(), build_time()) < begin + (end - begin) * RENEW_PERCENT / 100)
		return;
	notice->property = (struct user_property){STR("cert-expires"),
						  str_of(clock_format(end, notice->text))};
	props->user_properties = (struct user_properties){&notice->property, 1};
	props_mark(props, PROPERTY_USER_PROPERTY);
}

static bool send_connack(struct conn *c, struct packet *p)
{
	if (conn_send(c, p))
		return true;
	/* A client with very little room is not offered what it can do without. */
	props_drop(&p->props, PROPERTY_RESPONSE_INFORMATION);
	if (conn_send(c, p))
		return true;
	props_drop(&p->props, PROPERTY_TOPIC_ALIAS_MAXIMUM);
	return conn_send(c, p);
}

static void tell_connected(struct conn *c, bool clean_start, bool present)
{
	AUTO_BUF detail = {0};
	describe_way(c, &detail);
	rec_int(&detail, "keep_alive", c->keep_alive);
	rec_bool(&detail, "clean_start", clean_start);
	rec_bool(&detail, "session_present", present);
	conn_event(c, EVENT_CLIENT_CONNECTED, "", &detail);
}

/* ---- its session is there ---------------------------------------------------------------------
 */

/* CONNACK is on its way. */
static void open_session(struct conn *c, struct session *s, bool clean_start, bool present)
{
	c->state = CONN_OPEN;
	s->conn = c;
	s->is_new = false;
	tell_connected(c, clean_start, present);
	c->worker->stats.connects++;
	c->worker->stats.clients++;
	conn_wrote(c);
	if (c->has_certificate)
		tls_send_ticket(c->stream, c->certificate_until - MAX(clock_wall(), build_time()));
	conn_watch(c);
	session_attach(s, c);
}

/* A CONNACK that waits until the session is stored. */
struct joining {
	struct spool_wait wait;
	struct worker *worker;
	uint64_t conn;
	bool clean_start;
	bool present;
};

void connect_not_stored(struct conn *c, enum reason reason, const char *why)
{
	struct session *s = c->session;
	AUTO_BUF detail = {0};
	if (!s->sid) {
		/* It is not to be stored; only the end of the one before was to be first. */
		open_session(c, s, true, false);
		conn_resume(c);
		return;
	}
	sendq_clear(&c->out, &c->worker->store);
	c->state = CONN_WAITING;
	rec_text(&detail, "reason_code", reason_text(reason));
	conn_event(c, EVENT_LOGIN_REFUSED, why, &detail);
	will_drop(s);
	if (s->is_new)
		s->expiry_s = 0; /* it ends with its connection */
	answer_refusal(c, reason, why);
	conn_close(c, REASON_NORMAL_DISCONNECTION, why);
}

static void joined(struct spool_wait *wait, enum spool_status status)
{
	struct joining *j = container_of(wait, struct joining, wait);
	struct conn *c = conn_find(j->worker, j->conn);
	if (c && c->state == CONN_STORING) {
		/* One that is stored already comes in when the disk is full, too: it may make room.
		 */
		if (status == SPOOL_STORED || (status == SPOOL_FULL && !c->session->is_new)) {
			open_session(c, c->session, j->clean_start, j->present);
			conn_resume(c);
		} else if (status == SPOOL_FULL) {
			connect_not_stored(c, REASON_QUOTA_EXCEEDED,
					   "no room to store the session");
		} else {
			connect_not_stored(c, REASON_SERVER_UNAVAILABLE,
					   "the session cannot be stored");
		}
	}
	free(j);
}

static void join(struct connecting *k, struct session *s)
{
	struct conn *c = k->conn;
	struct joining *j = mem_new(struct joining);
	j->worker = c->worker;
	j->conn = c->handle;
	j->clean_start = k->k->clean_start;
	j->present = k->present;
	s->joining = c;
	conn_watch(c);
	if (k->ended)
		promise_wait_ended(c->worker, &j->wait, joined);
	else
		spool_wait(&c->worker->spool, &j->wait, joined);
}

/* What CONNACK says of the session holds after an end of ours, too. */
static bool must_wait(const struct connecting *k, const struct session *s)
{
	if (s->sid)
		return spool_must_wait(s);
	return k->ended && k->conn->worker->spool.link;
}

static void begin_session(struct connecting *k, struct session *s, struct identity *id)
{
	struct conn *c = k->conn;
	AUTO_BUF response = {0};
	struct expiry_notice notice;
	struct packet connack = {
		.type = PACKET_CONNACK,
		.props = props_none,
		.connack = {k->present, REASON_SUCCESS},
	};
	c->state = CONN_STORING; /* output gathers */
	c->device_id = id->device_id;
	c->connected_ms = clock_wall_ms();
	c->receive_maximum = k->packet->props.receive_maximum;
	alias_offer(c, k->packet->props.topic_alias_maximum);
	loop_timer_stop(c->worker->loop, &s->expiry);
	s->address = c->peer;
	s->names_known = false;
	c->session = s;
	s->disconnected_ms = 0;
	s->conn = c;
	session_use_identity(s, identity_ref(id));
	s->conn = NULL;
	will_drop(s); /* one that waits for its delay: its client is back [MQTT-3.1.3-9] */
	set_keep_alive(k, &connack.props);
	set_expiry(k, s, &connack.props);
	set_capabilities(k, &connack.props);
	auth_finish(c, &connack.props);
	set_response_information(k, id, &response, &connack.props);
	set_certificate_expiry(c, &notice, &connack.props);
	if (k->k->has_will)
		will_set(s, &k->k->will);
	spool_session_begin(s, c->endpoint->config->durability);
	if (!send_connack(c, &connack))
		conn_close(c, REASON_NORMAL_DISCONNECTION, "CONNACK does not fit the client");
	else if (must_wait(k, s))
		join(k, s);
	else
		open_session(c, s, k->k->clean_start, k->present);
}

/* Counts it for its device; false: that has as many connections as it may. */
static bool count_device(struct connecting *k)
{
	struct limit *l = k->conn->worker->broker->limit;
	if (k->device_id)
		return limit_identify(l, &k->conn->hold, k->device_id) == LIMIT_OK;
	limit_identify_address(l, &k->conn->hold);
	return true;
}

static enum reason admit(struct connecting *k)
{
	struct conn *c = k->conn;
	struct broker *b = c->worker->broker;
	struct session *s = NULL;
	AUTO(identity) id = registry_identity(b->registry, k->device_id);
	if (!id)
		return because(k, REASON_NOT_AUTHORIZED, "the device is disabled or unknown");
	enum reason r = choose_client_id(k, id);
	if (r == REASON_SUCCESS && store_is_needed(k))
		r = because(k, REASON_SERVER_UNAVAILABLE, "the store is away");
	if (r == REASON_SUCCESS)
		r = claim(k, id, &s);
	if (r != REASON_SUCCESS || !s)
		return r; /* without a session: it is on another worker */
	/* Not before the claim: the connection that is thrown out by it counts no more. */
	if (!count_device(k)) {
		if (!k->present)
			session_end(s);
		return because(k, REASON_QUOTA_EXCEEDED, "max-connections-per-device");
	}
	limit_connected(b->limit, &c->hold);
	begin_session(k, s, id);
	return REASON_SUCCESS;
}

void connect_received(struct conn *c, const void *p, size_t n)
{
	struct packet packet;
	const enum reason broken =
		packet_decode(MQTT_UNKNOWN, SENDER_CLIENT, p, n, &c->worker->arena, &packet);
	if (broken != REASON_SUCCESS) {
		connect_refuse_bytes(c, p, n, broken);
		return;
	}
	struct connecting k = {.conn = c,
			       .packet = &packet,
			       .k = &packet.connect,
			       .bytes = str_make(p, n),
			       .why = ""};
	c->version = (uint8_t)packet.connect.version;
	c->packet_max = packet.props.maximum_packet_size;
	c->problem_information = packet.props.request_problem_information;
	enum reason r = check_offer(&k);
	if (r == REASON_SUCCESS)
		r = identify(&k);
	if (r == REASON_SUCCESS && c->state == CONN_WAITING)
		r = admit(&k);
	if (r != REASON_SUCCESS)
		refuse(&k, r);
}

void connect_login_done(struct conn *c, enum login_result result, uint64_t device_id)
{
	if (c->state != CONN_LOGIN)
		return;
	c->login_result = (uint8_t)result;
	c->proved_device = device_id;
	c->state = CONN_WAITING;
	conn_resume(c);
}
