/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of devices in a directory: each is registered for the device that its common name
 * or, where that is none, its file's name says. Keys, requests and the certificates of authorities
 * and servers may lie among them.
 */
#include "certs/csr.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "ctl/file.h"
#include "ctl/migrate/migrate.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { FILES_MAX = 100000 };

static int is_certificate_name(const struct dirent *e)
{
	static const char *const endings[] = {".crt", ".pem", ".cer", ".der", ".cert"};
	const char *dot = strrchr(e->d_name, '.');
	for (size_t i = 0; dot && i < ARRAY_LEN(endings); i++)
		if (strcmp(dot, endings[i]) == 0)
			return 1;
	return 0;
}

static bool is_device(const struct migration *m, struct str name)
{
	AUTO_CHAR key = str_dup(name);
	return json_object_get(m->devices, key) != NULL;
}

/* The device that a certificate opens; {NULL, 0}: none (reported). */
static struct str choose(struct migration *m, const char *path, const struct leaf *leaf,
			 struct str stem)
{
	AUTO_CHAR cn = str_dup(leaf->cn);
	if (leaf->cn_n == 1 && is_device(m, leaf->cn))
		return leaf->cn;
	if (is_device(m, stem)) {
		migration_say(
			m, CHANGED, path, "certificate",
			"its common name \"%s\" is no device: the file's name says whose it is",
			str_is_utf8(leaf->cn) ? cn : "?");
		return stem;
	}
	/* Where certificates alone are the login, they say who there is. */
	if (m->by_certificate && leaf->cn_n == 1 && migration_device(m, path, leaf->cn))
		return leaf->cn;
	migration_say(m, REFUSED, path, "certificate",
		      "neither its common name \"%s\" nor its file's name is a device: rename the "
		      "file to DEVICE.crt, or register it with gatehouse cert import",
		      str_is_utf8(leaf->cn) ? cn : "?");
	return (struct str){NULL, 0};
}

static void take_certificate(struct migration *m, const char *path, struct str name,
			     const struct leaf *leaf, struct str der, bool *legacy)
{
	struct why why;
	AUTO_BUF pem = {0};
	const char *dot = memrchr(name.p, '.', name.n);
	const struct str device = choose(m, path, leaf, str_make(name.p, (size_t)(dot - name.p)));
	if (!device.p)
		return;
	const bool old = leaf_lint(leaf, LEAF_STRICT, &why) != 0;
	*legacy = *legacy || old;
	pem_put("CERTIFICATE", der, &pem);
	json_array_append_new(m->certificates,
			      json_pack("{s:s%, s:s%, s:s}", "device", device.p, device.n,
					"certificate", pem.p, pem.n, "where", path));
	migration_say(m, old ? CHANGED : TAKEN, path, "certificate",
		      old ? "registered for device %.*s under lint = legacy: %s"
			  : "registered for device %.*s%s",
		      STR_ARG(device), old ? why.text : "");
}

static void read_one(struct migration *m, const char *path, const char *name, bool *legacy)
{
	AUTO_BUF bytes = {0};
	AUTO_BUF der = {0};
	struct leaf leaf;
	struct why why;
	const char *reason;
	const int err = file_read(path, LEAF_MAX, &bytes, &reason);
	if (err == ERR_LIMIT) {
		migration_say(m, TAKEN, path, "file", "no single certificate: not looked at");
		return;
	}
	if (err) {
		migration_error(m, path, "%s", reason);
		return;
	}
	const bool good = leaf_parse(buf_view(&bytes), &der, &leaf, &why) == 0;
	if (good)
		take_certificate(m, path, str_of(name), &leaf, buf_view(&der), legacy);
	else if (leaf_read(buf_view(&der), &leaf) == 0 &&
		 (leaf.ca || (leaf.has_purpose && !leaf.client_auth)))
		migration_say(m, TAKEN, path, "certificate",
			      "of an authority or a server, not of a device: not registered");
	else if (str_find(buf_view(&bytes), "PRIVATE KEY-----"))
		migration_say(m, TAKEN, path, "file", "a private key: not looked at");
	else
		migration_say(m, REFUSED, path, "certificate", "not of a device: %s", why.text);
}

void certs_read(struct migration *m, const char *dir, bool *legacy)
{
	struct dirent **names = NULL;
	const int n = scandir(dir, &names, is_certificate_name, alphasort);
	if (n < 0)
		migration_error(m, dir, "%s", strerror(errno));
	for (int i = 0; i < n; i++) {
		AUTO_CHAR path = mem_printf("%s/%s", dir, names[i]->d_name);
		if (i < FILES_MAX)
			read_one(m, path, names[i]->d_name, legacy);
		free(names[i]);
	}
	free(names);
	if (n > FILES_MAX)
		migration_error(m, dir, "more than %d files", FILES_MAX);
}
