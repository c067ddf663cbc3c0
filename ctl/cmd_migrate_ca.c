/* SPDX-License-Identifier: Apache-2.0
 *
 * The old stack's authority vouches for the gateway: see cmd_migrate_ca.h.
 */
#include "ctl/cmd_migrate_ca.h"
#include "certs/pem.h"
#include "ctl/cmd_ca.h"
#include "ctl/file.h"
#include "ctl/passphrase.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static const char what[] = "--ca-key";

static bool read_key(struct migration *m, const char *path, struct key **out)
{
	AUTO_SECRET bytes = {0};
	AUTO_SECRET passphrase = {0};
	const char *cause;
	struct why why;
	int err;
	if (file_read(path, KEY_FILE_MAX, &bytes, &cause)) {
		migration_error(m, path, "%s: %s", what, cause);
		return false;
	}
	if (!key_is_encrypted(buf_view(&bytes)))
		err = key_parse(buf_view(&bytes), path, out, &why);
	else if (passphrase_ask("Passphrase of the old authority's key", false, 1, PASSPHRASE_MAX,
				&passphrase))
		err = key_parse_encrypted(buf_view(&bytes), path, buf_view(&passphrase), out, &why);
	else
		err = why_set(&why, ERR_DENIED, "no passphrase");
	if (err)
		migration_error(m, path, "%s: %s", what, why.text);
	return err == 0;
}

static bool find_in(struct str text, const struct key *key, struct certificate *out)
{
	struct str label;
	struct why why;
	AUTO_BUF der = {0};
	while (pem_next(&text, &label, &der) == 0) {
		struct certificate c;
		if (!str_is(label, "CERTIFICATE") ||
		    profile_read(buf_view(&der), "client-ca", &c, &why))
			continue;
		if (str_eq(certificate_spki(&c), key_spki(key))) {
			*out = c;
			return true;
		}
		certificate_fini(&c);
	}
	return false;
}

static bool find_certificate(const struct migration *m, const struct key *key,
			     struct certificate *out)
{
	size_t i;
	const json_t *listener;
	json_array_foreach(m->listeners, i, listener)
	{
		AUTO_BUF text = {0};
		const char *cause;
		const char *path = text_of(json_object_get(listener, "keys"), "client-ca");
		if (path[0] && file_read(path, MIGRATE_FILE_MAX, &text, &cause) == 0 &&
		    find_in(buf_view(&text), key, out))
			return true;
	}
	return false;
}

void old_authority_read(struct migration *m, const char *path, struct old_authority *out)
{
	struct key *key = NULL;
	if (!read_key(m, path, &key))
		return;
	if (find_certificate(m, key, &out->certificate)) {
		out->key = key;
		return;
	}
	migration_error(
		m, path,
		"%s: no certificate in cafile or ssl_client_certificate belongs to this key "
		"(and names it by a subject key identifier)",
		what);
	key_unref(key);
}

void old_authority_fini(struct old_authority *a)
{
	if (a->key)
		key_unref(a->key);
	certificate_fini(&a->certificate);
}

static bool read_root(const json_t *show, struct certificate *out)
{
	struct str text = str_of(text_of(ca_find(show, "root", "state", "active"), "pem"));
	struct str label;
	struct why why;
	AUTO_BUF der = {0};
	return pem_next(&text, &label, &der) == 0 &&
	       profile_read(buf_view(&der), "root", out, &why) == 0;
}

static int certify(const json_t *show, const struct old_authority *a, struct buf *pem,
		   struct why *why)
{
	struct certificate root, cross;
	if (!read_root(show, &root))
		return why_set(why, ERR_MALFORMED, "the gateway's root cannot be read");
	const int err =
		certificate_cross(&root, &a->certificate, a->key, clock_wall(), &cross, why);
	certificate_fini(&root);
	if (err)
		return err;
	pem_put("CERTIFICATE", buf_view(&cross.der), pem);
	pem_put("CERTIFICATE", buf_view(&a->certificate.der), pem);
	certificate_fini(&cross);
	return 0;
}

bool old_authority_vouch(struct invocation *in, struct migration *m, const struct old_authority *a)
{
	json_t *show = NULL;
	json_t *answer = NULL;
	AUTO_BUF pem = {0};
	struct why why;
	if (ca_get(in, &show) != EXIT_OK) {
		json_decref(show);
		return false;
	}
	const int err = certify(show, a, &pem, &why);
	json_decref(show);
	if (err) {
		migration_say(m, REFUSED, what, "authority", "%s", why.text);
		return true;
	}
	json_t *body = json_pack("{s:s}", "certificates", buf_cstr(&pem));
	const unsigned code = request_send(in, "POST", "/api/v1/ca/cross", body, &answer);
	json_decref(body);
	if (code == 200)
		migration_say(
			m, TAKEN, what, "authority",
			"it has certified the gateway's root: devices that know it accept the "
			"gateway's own certificates, so the lines certificate and key of the "
			"listeners may go. Keep its key locked away: the gateway has no need "
			"of it");
	else if (code)
		migration_say(m, REFUSED, what, "authority", "%s", text_of(answer, "detail"));
	json_decref(answer);
	return code != 0;
}
