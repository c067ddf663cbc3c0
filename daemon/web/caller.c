/* SPDX-License-Identifier: Apache-2.0
 *
 * Who asks: see caller.h.
 */
#include "daemon/web/caller.h"
#include "daemon/base/secret.h"
#include "daemon/base/share.h"

#include <stdio.h>
#include <strings.h>

/* The prefix makes browsers insist on Secure, on this host alone and on the whole path. */
#define COOKIE "__Host-gatehouse"

enum { AGENT_MAX = 200 };

struct str caller_session(struct str cookie)
{
	while (cookie.p) {
		struct str value = str_trim(str_split(&cookie, ';'));
		const struct str name = str_split(&value, '=');
		if (str_is(name, COOKIE) && value.n)
			return value;
	}
	return STR("");
}

struct str caller_token(struct str authorization)
{
	struct str value = authorization;
	const struct str scheme = str_split(&value, ' ');
	return value.p && scheme.n == 6 && strncasecmp(scheme.p, "bearer", 6) == 0 ? str_trim(value)
										   : STR("");
}

static uint8_t peer(const struct http_request *r, struct buf *credential)
{
	unsigned char bytes[8];
	struct out o = out_make(bytes, sizeof(bytes));
	uint32_t uid, gid;
	if (!http_peer(r, &uid, &gid))
		return CREDENTIAL_NONE;
	out_u32le(&o, uid);
	out_u32le(&o, gid);
	buf_put(credential, bytes, sizeof(bytes));
	return CREDENTIAL_PEER;
}

uint8_t caller_credential(const struct http_request *r, bool local, struct buf *credential)
{
	const struct str token = caller_token(http_header(r, "Authorization"));
	const struct str session = caller_session(http_header(r, "Cookie"));
	const struct str page = http_header(r, "X-Gatehouse-Page");
	if (local)
		return peer(r, credential);
	if (token.n && token.n <= CALLER_CREDENTIAL_MAX) {
		buf_str(credential, token);
		return CREDENTIAL_TOKEN;
	}
	if (session.n == 0 || session.n + 1 + page.n > CALLER_CREDENTIAL_MAX)
		return CREDENTIAL_NONE;
	buf_str(credential, session);
	buf_puts(credential, " ");
	buf_str(credential, page);
	return CREDENTIAL_SESSION;
}

bool caller_is_passive(const struct http_request *r)
{
	return str_is(http_header(r, "X-Gatehouse-Passive"), "1");
}

void caller_take(const struct http_request *r, bool local, struct caller *out)
{
	out->kind = caller_credential(r, local, &out->credential);
	snprintf(out->source, sizeof(out->source), "%s", http_source(r));
}

void caller_fini(struct caller *c)
{
	secret_buf_fini(&c->credential);
}

bool caller_same(const struct caller *a, const struct caller *b)
{
	return a->kind == b->kind &&
	       secret_equal(buf_view(&a->credential), buf_view(&b->credential));
}

bool caller_same_address(const struct caller *a, const struct caller *b)
{
	return a->kind != CREDENTIAL_PEER && strcmp(a->source, b->source) == 0;
}

const char *caller_refused(size_t mine, size_t near, size_t taken, size_t all)
{
	if (taken >= all)
		return "too many streams are open: try again later";
	if (!share_has_room(mine, taken, all))
		return "as many streams are open with this login or token as are left for others: "
		       "close one";
	if (near >= CALLER_STREAMS_PER_ADDRESS)
		return "as many streams are open from this address as one may have: close one";
	return NULL;
}

bool caller_is_foreign(const struct http_request *r)
{
	const struct str origin = http_header(r, "Origin");
	const struct str host = http_header(r, "Host");
	const struct str https = STR("https://");
	return origin.n && !(str_prefix(origin, https) &&
			     str_eq(str_make(origin.p + https.n, origin.n - https.n), host));
}

struct str caller_agent(const struct http_request *r)
{
	struct str agent = http_header(r, "User-Agent");
	agent.n = MIN(agent.n, (size_t)AGENT_MAX);
	return str_is_utf8(agent) ? agent : STR("");
}

static void set_cookie(struct http_request *r, struct str secret, const char *life)
{
	AUTO_SECRET text = {0};
	buf_printf(&text, COOKIE "=%.*s; Path=/; Secure; HttpOnly; SameSite=Strict%s",
		   STR_ARG(secret), life);
	http_add_header(r, "Set-Cookie", buf_cstr(&text));
}

void caller_begin(struct http_request *r, struct str secret)
{
	set_cookie(r, secret, "");
}

void caller_end(struct http_request *r)
{
	set_cookie(r, STR(""), "; Max-Age=0");
}
