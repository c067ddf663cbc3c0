/* SPDX-License-Identifier: Apache-2.0
 *
 * What strangers write into the head of a request, as far as our own readers read it: the target
 * and its route, percent-encoding, fields that may come once, cookie and token, and the addresses
 * that a proxy states. The input is lines: the method, the target, then fields.
 */
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/web/caller.h"
#include "daemon/web/forwarded.h"
#include "daemon/web/http_head.h"
#include "daemon/web/router.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool inside(struct str s, struct str whole)
{
	return s.n == 0 || (s.p >= whole.p && s.p + s.n <= whole.p + whole.n);
}

static void read_target(const char *method, struct str target)
{
	struct router_match m;
	char allow[64];
	const struct str path = http_head_path(target);
	CHECK(path.n > 0 && !memchr(path.p, '?', path.n));
	CHECK(inside(path, target) || str_is(path, "/"));
	const int err = router_find(method, path, &m, allow, sizeof(allow));
	CHECK(strlen(allow) < sizeof(allow));
	CHECK(err == 0 || err == ERR_NOT_FOUND || (err == ERR_DENIED && allow[0]));
	for (size_t i = 0; !err && i < m.params; i++)
		CHECK(m.value[i].n > 0 && inside(m.value[i], path) &&
		      !memchr(m.value[i].p, '/', m.value[i].n));
}

/* What is decoded is no longer than before; written as all escapes it is the same again. */
static void decode(struct str text)
{
	AUTO_BUF once = {0};
	AUTO_BUF escaped = {0};
	AUTO_BUF again = {0};
	if (http_decode(text, text.n % 2, &once))
		return;
	CHECK(once.n <= text.n);
	for (size_t i = 0; i < once.n; i++)
		buf_printf(&escaped, "%%%02x", (unsigned char)once.p[i]);
	CHECK(http_decode(buf_view(&escaped), true, &again) == 0);
	CHECK(str_eq(buf_view(&again), buf_view(&once)));
}

static void read_field(struct http_head *head, struct str line)
{
	static const unsigned char ten[16] = {10};
	struct cidr proxy = {.bits = 8, .family = AF_INET};
	struct addr from;
	struct str value = line;
	AUTO_CHAR name = str_dup(str_split(&value, ':'));
	value = value.p ? str_trim(value) : STR("");
	memcpy(proxy.ip, ten, sizeof(ten));
	http_head_take(head, name, value);
	CHECK(inside(caller_session(value), value) && inside(caller_token(value), value));
	if (forwarded_for(value, &proxy, 1, &from))
		CHECK(from.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct http_head head = {0};
	char why[96] = "";
	struct str input = str_make(data, n);
	AUTO_CHAR method = str_dup(str_split(&input, '\n'));
	const struct str target = input.p ? str_split(&input, '\n') : STR("");
	read_target(method, target);
	decode(target);
	while (input.p)
		read_field(&head, str_split(&input, '\n'));
	const unsigned status = http_head_judge(&head, "HTTP/1.1", why);
	CHECK(status == 0 || ((status == 400 || status == 501) && why[0] != '\0'));
	return 0;
}
