/* SPDX-License-Identifier: Apache-2.0
 *
 * WebSocket upgrade: see ws_upgrade.h.
 */
#include "daemon/net/ws_upgrade.h"
#include "daemon/base/base64.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/net/tls_digest.h"

#include <strings.h>

enum { KEY_TEXT = 24 /* base64 of 16 bytes */ };

struct request {
	struct str method;
	struct str target;
	struct str version;
	struct str key;
	struct str ws_version;
	const char *protocol; /* the chosen one */
	struct str host;
	struct str origin;
	unsigned hosts;
	unsigned origins;
	unsigned keys;
	unsigned versions;
	bool upgrade;
	bool connection_upgrade;
	bool body;
};

struct refusal {
	int err;
	const char *status; /* status line and further header lines */
	const char *why;
};

static const struct refusal bad_request = {
	ERR_MALFORMED, "400 Bad Request\r\n",
	"not an HTTP/1.1 request (this port speaks MQTT over WebSocket)"};
static const struct refusal too_large = {ERR_LIMIT, "431 Request Header Fields Too Large\r\n",
					 "the request head is longer than 8 KiB or 64 fields"};

static bool is_token_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_token_char(s.p[i]))
			return false;
	return s.n > 0;
}

static bool is_word(struct str s, const char *word)
{
	return s.n == strlen(word) && strncasecmp(s.p, word, s.n) == 0;
}

/* Visible ASCII, blanks, tabs and bytes above 0x7f (RFC 9110 section 5.5). */
static bool is_field_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && s.p[i] != '\t') || s.p[i] == 0x7f)
			return false;
	return true;
}

/* Whether a comma-separated list holds the word, in any case. */
static bool list_has(struct str list, const char *word)
{
	while (list.p)
		if (is_word(str_trim(str_split(&list, ',')), word))
			return true;
	return false;
}

/* The first of the client's subprotocols that we speak; names are case-sensitive. */
static const char *choose_protocol(struct str list)
{
	while (list.p) {
		const struct str name = str_trim(str_split(&list, ','));
		if (str_is(name, "mqtt"))
			return "mqtt";
		if (str_is(name, "mqttv3.1"))
			return "mqttv3.1";
	}
	return NULL;
}

static void take_field(struct request *r, struct str name, struct str value)
{
	if (is_word(name, "host")) {
		r->host = value;
		r->hosts++;
	} else if (is_word(name, "origin")) {
		r->origin = value;
		r->origins++;
	} else if (is_word(name, "upgrade")) {
		r->upgrade |= list_has(value, "websocket");
	} else if (is_word(name, "connection")) {
		r->connection_upgrade |= list_has(value, "upgrade");
	} else if (is_word(name, "sec-websocket-key")) {
		r->key = value;
		r->keys++;
	} else if (is_word(name, "sec-websocket-version")) {
		r->ws_version = value;
		r->versions++;
	} else if (is_word(name, "sec-websocket-protocol")) {
		if (!r->protocol)
			r->protocol = choose_protocol(value);
	} else if (is_word(name, "content-length")) {
		r->body |= !str_is(value, "0");
	} else if (is_word(name, "transfer-encoding")) {
		r->body = true;
	}
}

/* The next line without its CRLF; p == NULL when there is none. */
static struct str next_line(struct str *rest)
{
	const char *end = rest->n ? memmem(rest->p, rest->n, "\r\n", 2) : NULL;
	if (!end)
		return (struct str){NULL, 0};
	const struct str line = str_make(rest->p, (size_t)(end - rest->p));
	*rest = str_make(end + 2, rest->n - line.n - 2);
	return line;
}

static bool parse_request_line(struct request *r, struct str line)
{
	r->method = str_split(&line, ' ');
	r->target = str_split(&line, ' ');
	r->version = line;
	return is_token(r->method) && r->target.n && is_field_value(r->target) &&
	       str_prefix(r->version, STR("HTTP/"));
}

/* NULL, or why the head cannot be read. */
static const struct refusal *parse_head(struct str head, struct request *r)
{
	if (!parse_request_line(r, next_line(&head)))
		return &bad_request;
	for (size_t count = 0;; count++) {
		struct str line = next_line(&head);
		if (line.n == 0)
			return NULL;
		if (count >= WS_HEADERS_MAX)
			return &too_large;
		const struct str name = str_split(&line, ':');
		if (!line.p || !is_token(name) || !is_field_value(line))
			return &bad_request;
		take_field(r, name, str_trim(line));
	}
}

static bool is_key(struct str key)
{
	for (size_t i = 0; i < key.n && i < KEY_TEXT - 2; i++)
		if (!is_token_char(key.p[i]) && key.p[i] != '/')
			return false;
	return key.n == KEY_TEXT && key.p[KEY_TEXT - 2] == '=' && key.p[KEY_TEXT - 1] == '=';
}

static bool path_is(struct str target, const char *path)
{
	return !path || str_is(str_split(&target, '?'), path);
}

/* Whether the page that opens this came from here: "https://HOST" (RFC 6454 section 6.2, RFC 6455
 * section 10.2). Browsers send it, everything else need not. */
static bool is_from_here(const struct request *r)
{
	const char *end = r->origin.n ? memmem(r->origin.p, r->origin.n, "://", 3) : NULL;
	if (r->origins == 0)
		return true;
	if (r->origins > 1 || !end)
		return false;
	const size_t at = (size_t)(end - r->origin.p) + 3;
	return r->origin.n - at == r->host.n &&
	       strncasecmp(r->origin.p + at, r->host.p, r->host.n) == 0;
}

#define REFUSE_UNLESS(condition, error, line, text)                                \
	do {                                                                       \
		static const struct refusal refusal_ = {error, line "\r\n", text}; \
		if (!(condition))                                                  \
			return &refusal_;                                          \
	} while (0)

/* RFC 6455 section 4.2.1 */
static const struct refusal *judge(const struct request *r, const char *path, bool from_here)
{
	REFUSE_UNLESS(str_is(r->version, "HTTP/1.1"), ERR_INVALID, "505 HTTP Version Not Supported",
		      "the request is not HTTP/1.1");
	REFUSE_UNLESS(str_is(r->method, "GET"), ERR_INVALID, "405 Method Not Allowed\r\nAllow: GET",
		      "a WebSocket is opened with the method GET");
	REFUSE_UNLESS(path_is(r->target, path), ERR_INVALID, "404 Not Found",
		      "nothing is served at this path; MQTT over WebSocket usually is at /mqtt");
	REFUSE_UNLESS(r->upgrade, ERR_INVALID,
		      "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
		      "the request has no \"Upgrade: websocket\"; this port speaks MQTT over "
		      "WebSocket only");
	REFUSE_UNLESS(r->versions == 1 && str_is(r->ws_version, "13"), ERR_INVALID,
		      "426 Upgrade Required\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13",
		      "Sec-WebSocket-Version must be 13");
	REFUSE_UNLESS(r->connection_upgrade, ERR_INVALID, "400 Bad Request",
		      "the request has no \"Connection: Upgrade\"");
	REFUSE_UNLESS(r->hosts == 1, ERR_INVALID, "400 Bad Request",
		      "the request needs exactly one Host");
	REFUSE_UNLESS(!from_here || is_from_here(r), ERR_DENIED, "403 Forbidden",
		      "a page from elsewhere may not use the browser's client certificate");
	REFUSE_UNLESS(!r->body, ERR_INVALID, "400 Bad Request", "the request must have no body");
	REFUSE_UNLESS(r->keys == 1 && is_key(r->key), ERR_INVALID, "400 Bad Request",
		      "Sec-WebSocket-Key must be the base64 of 16 bytes");
	REFUSE_UNLESS(r->protocol, ERR_INVALID, "400 Bad Request",
		      "Sec-WebSocket-Protocol must offer mqtt (or mqttv3.1)");
	return NULL;
}

static void put_accept(struct buf *answer, const struct request *r)
{
	/* The fixed name of RFC 6455 section 1.3. */
	static const char magic[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char text[KEY_TEXT + sizeof(magic)];
	unsigned char digest[SHA1_SIZE];
	CHECK(r->key.n == KEY_TEXT);
	memcpy(text, r->key.p, KEY_TEXT);
	memcpy(text + KEY_TEXT, magic, sizeof(magic));
	tls_sha1(str_make(text, sizeof(text) - 1), digest);
	buf_puts(answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			 "Connection: Upgrade\r\nSec-WebSocket-Accept: ");
	base64_encode(str_make(digest, sizeof(digest)), answer);
	buf_printf(answer, "\r\nSec-WebSocket-Protocol: %s\r\n\r\n", r->protocol);
}

static int refuse(const struct refusal *refusal, struct buf *answer, const char **why)
{
	buf_printf(answer,
		   "HTTP/1.1 %sContent-Type: text/plain; charset=utf-8\r\n"
		   "Content-Length: %zu\r\nConnection: close\r\n\r\n%s\n",
		   refusal->status, strlen(refusal->why) + 1, refusal->why);
	*why = refusal->why;
	return refusal->err;
}

int ws_upgrade(struct str bytes, const char *path, bool from_here, struct buf *answer, size_t *used,
	       const char **why)
{
	struct request r = {.protocol = NULL};
	const size_t seen = MIN(bytes.n, (size_t)WS_HEAD_MAX);
	const char *end = seen ? memmem(bytes.p, seen, "\r\n\r\n", 4) : NULL;
	/* An MQTT packet or a TLS record is told at once, not after the time-out. */
	if (bytes.n && !is_token_char(bytes.p[0]))
		return refuse(&bad_request, answer, why);
	if (!end)
		return bytes.n >= WS_HEAD_MAX ? refuse(&too_large, answer, why) : ERR_AGAIN;
	const size_t head_n = (size_t)(end - bytes.p) + 4;
	const struct refusal *refusal = parse_head(str_make(bytes.p, head_n), &r);
	if (!refusal)
		refusal = judge(&r, path, from_here);
	if (refusal)
		return refuse(refusal, answer, why);
	put_accept(answer, &r);
	*used = head_n;
	return 0;
}
