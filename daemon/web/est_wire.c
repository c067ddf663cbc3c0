/* SPDX-License-Identifier: Apache-2.0
 *
 * Forms of EST on the wire: see est_wire.h.
 */
#include "daemon/web/est_wire.h"
#include "daemon/base/base64.h"
#include "daemon/base/err.h"
#include "daemon/base/secret.h"

#include <strings.h>

static const char *const op_names[] = {
	[EST_CACERTS] = "cacerts",           [EST_CSRATTRS] = "csrattrs",
	[EST_SIMPLE] = "simpleenroll",       [EST_SIMPLE_AGAIN] = "simplereenroll",
	[EST_SERVERKEYGEN] = "serverkeygen", [EST_FULLCMC] = "fullcmc",
};

static int find_op(struct str name, enum est_op *op)
{
	for (size_t i = 0; i < ARRAY_LEN(op_names); i++) {
		if (!str_is(name, op_names[i]))
			continue;
		*op = (enum est_op)i;
		return 0;
	}
	return ERR_NOT_FOUND;
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

static bool is_label(struct str s)
{
	enum est_op op;
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]))
			return false;
	return s.n > 0 && s.n <= EST_LABEL_MAX && find_op(s, &op) != 0;
}

int est_path(struct str path, enum est_op *op, struct str *label)
{
	const struct str prefix = STR(EST_PATH "/");
	if (!str_prefix(path, prefix))
		return ERR_NOT_FOUND;
	struct str rest = str_make(path.p + prefix.n, path.n - prefix.n);
	struct str name = str_split(&rest, '/');
	struct str before = {NULL, 0};
	if (rest.p) {
		before = name;
		name = rest;
		if (!is_label(before))
			return ERR_NOT_FOUND;
	}
	enum est_op found;
	if (find_op(name, &found))
		return ERR_NOT_FOUND;
	*op = found;
	*label = before;
	return 0;
}

static bool equal_caseless(struct str a, struct str b)
{
	return a.n == b.n && (a.n == 0 || strncasecmp(a.p, b.p, a.n) == 0);
}

bool est_is_pkcs10(struct str content_type)
{
	const struct str type = str_split(&content_type, ';');
	return equal_caseless(str_trim(type), STR("application/pkcs10"));
}

int est_basic(struct str authorization, struct buf *bytes, struct str *user, struct str *secret)
{
	struct str rest = str_trim(authorization);
	const struct str scheme = str_split(&rest, ' ');
	if (!equal_caseless(scheme, STR("Basic")))
		return ERR_NOT_FOUND;
	bytes->n = 0;
	if (rest.n > 2 * (EST_USER_MAX + EST_SECRET_MAX) ||
	    base64_decode(str_trim(rest), BASE64_UNPADDED, bytes))
		return ERR_MALFORMED;
	struct str second = buf_view(bytes);
	const struct str first = str_split(&second, ':');
	if (!second.p || first.n > EST_USER_MAX || second.n > EST_SECRET_MAX)
		return ERR_MALFORMED;
	*user = first;
	*secret = second;
	return 0;
}

bool est_is_binding(struct str challenge)
{
	AUTO_SECRET bytes = {0};
	return (challenge.n == base64_encoded_size(12) || challenge.n == base64_encoded_size(32)) &&
	       base64_decode(challenge, BASE64_STRICT, &bytes) == 0 &&
	       (bytes.n == 12 || bytes.n == 32);
}

bool est_binding_is(struct str challenge, struct str binding)
{
	AUTO_BUF text = {0};
	base64_encode(binding, &text);
	return binding.n && str_eq(challenge, buf_view(&text));
}

bool est_wants_lines(struct str user_agent)
{
	const struct str name = STR("libest");
	for (size_t i = 0; i + name.n <= user_agent.n; i++)
		if (strncasecmp(user_agent.p + i, name.p, name.n) == 0)
			return true;
	return false;
}

void est_put_base64(struct str bytes, bool lines, struct buf *out)
{
	enum { LINE_BYTES = 48 };
	if (!lines) {
		base64_encode(bytes, out);
		return;
	}
	for (size_t i = 0; i < bytes.n; i += LINE_BYTES) {
		base64_encode(str_make(bytes.p + i, MIN(bytes.n - i, (size_t)LINE_BYTES)), out);
		buf_putc(out, '\n');
	}
}

static void put_part(const char *type, struct str bytes, bool lines, struct buf *out)
{
	buf_printf(out,
		   "--" EST_BOUNDARY "\r\nContent-Type: %s\r\n"
		   "Content-Transfer-Encoding: base64\r\n\r\n",
		   type);
	est_put_base64(bytes, lines, out);
	buf_puts(out, "\r\n");
}

void est_put_key_and_certificate(struct str key, struct str certificate, bool lines,
				 struct buf *out)
{
	/* Grown once, so that no copy of the key is left behind. */
	buf_reserve(out, 2 * (key.n + certificate.n) + 1024);
	put_part("application/pkcs8", key, lines, out);
	put_part("application/pkcs7-mime; smime-type=certs-only", certificate, lines, out);
	buf_puts(out, "--" EST_BOUNDARY "--\r\n");
}
