/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and authorities of the registry view: see registry_certs.h.
 */
#include "daemon/broker/registry_certs.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/frame.h"

#include <stdlib.h>

struct authority {
	uint8_t kind;
	size_t n;
	char der[];
};

static void values_fini(struct map *m)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(m, &at, &key, &value);)
		free(value);
	map_fini(m);
}

void certs_fini(struct certs *s)
{
	values_fini(&s->certificates);
	values_fini(&s->authorities);
}

/* Good ones matter only when they were not before. */
static struct certs_news compare(const struct known_certificate *old, const struct body_reg_cert *b,
				 bool gone)
{
	struct certs_news news = {.status = gone ? CERT_GOOD : b->status,
				  .reason = b->reason,
				  .revoked_at = (int64_t)b->revoked_at};
	const bool was_good = old && old->status == CERT_GOOD;
	memcpy(news.fingerprint, b->fingerprint.p, STREAM_FINGERPRINT);
	news.moved = news.status != CERT_GOOD || (old && !was_good);
	news.lost = was_good && (gone || b->status != CERT_GOOD || b->device_id != old->device_id ||
				 (int64_t)b->not_after_at < old->not_after);
	return news;
}

int certs_take(struct certs *s, bool gone, struct str body, struct certs_news *news)
{
	struct body_reg_cert b;
	if (body_reg_cert_get(body, &b) || b.fingerprint.n != STREAM_FINGERPRINT)
		return ERR_MALFORMED;
	struct known_certificate *old = map_get(&s->certificates, b.fingerprint);
	*news = compare(old, &b, gone);
	if (gone) {
		free(map_remove(&s->certificates, b.fingerprint));
		return 0;
	}
	struct known_certificate *c = old ? old : mem_new(struct known_certificate);
	c->device_id = b.device_id;
	c->status = b.status;
	c->reason = b.reason;
	c->not_before = (int64_t)MIN(b.not_before_at, (uint64_t)INT64_MAX);
	c->not_after = (int64_t)MIN(b.not_after_at, (uint64_t)INT64_MAX);
	if (!old)
		map_set(&s->certificates, b.fingerprint, c);
	return 0;
}

int certs_take_authority(struct certs *s, bool gone, struct str body)
{
	struct body_reg_ca b;
	if (body_reg_ca_get(body, &b))
		return ERR_MALFORMED;
	free(map_remove(&s->authorities, MAP_KEY(b.id)));
	if (gone)
		return 0;
	struct authority *a = mem_alloc(sizeof(*a) + b.der.n);
	a->kind = b.kind;
	a->n = b.der.n;
	if (b.der.n)
		memcpy(a->der, b.der.p, b.der.n);
	map_set(&s->authorities, MAP_KEY(b.id), a);
	return 0;
}

const struct known_certificate *certs_find(const struct certs *s,
					   const unsigned char fingerprint[STREAM_FINGERPRINT])
{
	return map_get(&s->certificates, str_make(fingerprint, STREAM_FINGERPRINT));
}

const char *certs_lost(const struct known_certificate *c, bool *compromised)
{
	*compromised = c && c->status == CERT_REVOKED && c->reason == REASON_KEY_COMPROMISE;
	if (c && c->status == CERT_HOLD)
		return "the certificate is on hold";
	if (c && c->status == CERT_SUPERSEDED)
		return "the certificate was replaced by a newer one";
	return "the certificate was revoked";
}

void certs_issuers(const struct certs *s, struct buf *der)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&s->authorities, &at, &key, &value);) {
		const struct authority *a = value;
		if (a->kind == CA_SERVER)
			continue;
		unsigned char *p = (unsigned char *)buf_reserve(der, 4 + a->n);
		struct out o = out_make(p, 4 + a->n);
		out_str32le(&o, str_make(a->der, a->n));
		der->n += 4 + a->n;
	}
}
