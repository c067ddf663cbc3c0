/* SPDX-License-Identifier: Apache-2.0
 *
 * Revoked certificates as retained messages: see revoked.h.
 */
#include "daemon/broker/revoked.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/broker/control.h"
#include "daemon/broker/sheet.h"

enum { HEX_SIZE = 2 * STREAM_FINGERPRINT + 1 };

static const char *status_word(uint8_t status)
{
	switch (status) {
	case CERT_HOLD:
		return "hold";
	case CERT_SUPERSEDED:
		return "superseded";
	default:
		return "revoked";
	}
}

static const char *reason_word(uint8_t reason)
{
	static const char *const word[] = {
		[REASON_KEY_COMPROMISE] = "key-compromise",
		[REASON_AFFILIATION] = "affiliation-changed",
		[REASON_SUPERSEDED] = "superseded",
		[REASON_CESSATION] = "cessation",
		[REASON_HOLD] = "hold",
		[REASON_PRIVILEGE] = "privilege-withdrawn",
	};
	return reason < ARRAY_LEN(word) && word[reason] ? word[reason] : "unspecified";
}

/* status NULL: it is good. */
static void say(struct sheet *s, const unsigned char *fingerprint,
		const struct registry_status *status)
{
	char hex[HEX_SIZE];
	char at[CLOCK_TEXT];
	hex_encode(fingerprint, STREAM_FINGERPRINT, hex);
	buf_printf(&s->text, "$gw/pki/revoked/%s%c", hex, 0);
	if (status)
		buf_printf(&s->text, "{\"status\":\"%s\",\"reason\":\"%s\",\"at\":\"%s\"}",
			   status_word(status->status), reason_word(status->reason),
			   clock_format(status->revoked_at, at));
	buf_putc(&s->text, 0);
}

static struct str key_of(const struct registry_status *e)
{
	return str_make(e->fingerprint, STREAM_FINGERPRINT);
}

static void take(struct control *k, struct sheet *s, const struct registry_status *e)
{
	if (e->status == CERT_GOOD || e->status == CERT_PENDING) {
		if (map_remove(&k->revoked, key_of(e)))
			say(s, e->fingerprint, NULL);
		return;
	}
	if (!map_get(&k->revoked, key_of(e)) && k->revoked.n >= REVOKED_MAX) {
		if (!k->revoked_full)
			log_warning("more than %d revoked certificates: those beyond are not on "
				    "$gw/pki/revoked, only on the revocation list",
				    REVOKED_MAX);
		k->revoked_full = true;
		return;
	}
	map_set(&k->revoked, key_of(e), k);
	say(s, e->fingerprint, e);
}

/* After a snapshot: what it does not hold is revoked no more. */
static void forget_others(struct control *k, struct sheet *s, const struct registry_status *e,
			  size_t n)
{
	struct map all = {0};
	size_t at = 0;
	struct str key;
	for (size_t i = 0; i < n; i++)
		map_set(&all, key_of(&e[i]), k);
	for (void *value; map_next(&k->revoked, &at, &key, &value);) {
		if (map_get(&all, key))
			continue;
		say(s, (const unsigned char *)key.p, NULL);
		map_remove(&k->revoked, key);
	}
	map_fini(&all);
}

void revoked_update(struct control *k)
{
	AUTO_BUF changes = {0};
	const bool all = registry_take_status(k->broker.registry, &changes);
	const size_t n = changes.n / sizeof(struct registry_status);
	if (n == 0 && !all)
		return;
	const struct registry_status *e = (const struct registry_status *)(void *)changes.p;
	struct sheet *s = sheet_new(k->broker.worker[0]);
	if (all)
		forget_others(k, s, e, n);
	for (size_t i = 0; i < n; i++)
		take(k, s, &e[i]);
	sheet_post(s);
}
