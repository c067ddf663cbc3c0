/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of SCRAM: see scram.h.
 */
#include "daemon/broker/scram.h"
#include "daemon/base/base64.h"
#include "daemon/base/secret.h"

void scram_fini(struct scram *s)
{
	buf_fini(&s->name);
	buf_fini(&s->nonce);
	buf_fini(&s->header);
	buf_fini(&s->message);
}

/* Takes the attribute "c=value" from the front, up to a comma. */
static bool attribute(struct str *rest, char c, struct str *value)
{
	const struct str part = str_split(rest, ',');
	if (part.n < 2 || part.p[0] != c || part.p[1] != '=')
		return false;
	*value = str_make(part.p + 2, part.n - 2);
	return true;
}

/* saslname: "=2C" stands for a comma, "=3D" for an equals sign. */
static bool get_name(struct str text, struct buf *out)
{
	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] != '=') {
			buf_putc(out, text.p[i]);
			continue;
		}
		const struct str code = str_make(text.p + i, MIN(text.n - i, (size_t)3));
		if (!str_is(code, "=2C") && !str_is(code, "=3D"))
			return false;
		buf_putc(out, code.p[1] == '2' ? ',' : '=');
		i += 2;
	}
	return text.n > 0 && str_is_utf8(text);
}

/* Printable ASCII without comma. */
static bool is_nonce(struct str text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x21 || text.p[i] > 0x7e)
			return false;
	return text.n > 0;
}

bool scram_client_first(struct scram *s, struct str text)
{
	struct str rest = text, name, nonce;
	scram_fini(s);
	if (text.n == 0 || text.n > SCRAM_TEXT_MAX)
		return false;
	const struct str flag = str_split(&rest, ',');
	const struct str authzid = str_split(&rest, ',');
	if ((!str_is(flag, "n") && !str_is(flag, "y")) || authzid.n || !rest.p)
		return false;
	buf_put(&s->header, text.p, (size_t)(rest.p - text.p));
	buf_str(&s->message, rest);
	/* A mandatory extension ("m=") would stand where the name is expected. */
	if (!attribute(&rest, 'n', &name) || !attribute(&rest, 'r', &nonce) || !is_nonce(nonce))
		return false;
	buf_str(&s->nonce, nonce);
	return get_name(name, &s->name);
}

void scram_server_first(struct scram *s, const unsigned char *random, struct str salt,
			uint32_t iterations, struct buf *out)
{
	const size_t begin = out->n;
	base64_encode(str_make(random, SCRAM_NONCE), &s->nonce);
	buf_puts(out, "r=");
	buf_str(out, buf_view(&s->nonce));
	buf_puts(out, ",s=");
	base64_encode(salt, out);
	buf_printf(out, ",i=%u", iterations);
	buf_putc(&s->message, ',');
	buf_put(&s->message, out->p + begin, out->n - begin);
}

bool scram_client_final(struct scram *s, struct str text, unsigned char proof[SCRAM_PROOF])
{
	struct str rest = text, binding, nonce, last = {NULL, 0}, value;
	AUTO_BUF header = {0};
	AUTO_SECRET bytes = {0};
	if (text.n == 0 || text.n > SCRAM_TEXT_MAX || !attribute(&rest, 'c', &binding) ||
	    !attribute(&rest, 'r', &nonce))
		return false;
	if (base64_decode(binding, BASE64_STRICT, &header) ||
	    !str_eq(buf_view(&header), buf_view(&s->header)) || !str_eq(nonce, buf_view(&s->nonce)))
		return false;
	/* Extensions may stand between the nonce and the proof, which is the last. */
	while (rest.p) {
		last = rest;
		str_split(&rest, ',');
	}
	struct str at = last;
	if (!at.p || !attribute(&at, 'p', &value) || base64_decode(value, BASE64_STRICT, &bytes) ||
	    bytes.n != SCRAM_PROOF)
		return false;
	buf_putc(&s->message, ',');
	buf_put(&s->message, text.p, (size_t)(last.p - 1 - text.p));
	memcpy(proof, bytes.p, SCRAM_PROOF);
	return true;
}

void scram_server_final(struct str signature, struct buf *out)
{
	buf_puts(out, "v=");
	base64_encode(signature, out);
}
