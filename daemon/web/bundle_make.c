/* SPDX-License-Identifier: Apache-2.0
 *
 * Key and files of a bundle: see bundle_make.h.
 */
#include "daemon/web/bundle_make.h"
#include "certs/kit.h"
#include "certs/p12.h"
#include "certs/pem.h"
#include "certs/request.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/zip.h"

/* A buffer that grows leaves what it had behind: what holds a key has its room before. */
enum { KEY_ROOM = 4 * KiB, FILE_ROOM = 256 * KiB };

int bundle_make_key(struct bundle_key *k)
{
	AUTO_SECRET der = {0};
	buf_reserve(&der, KEY_ROOM);
	buf_reserve(&k->pem, KEY_ROOM);
	k->spki_n = sizeof(k->spki);
	const int err = request_key(k->kind, &der, k->spki, &k->spki_n);
	if (!err)
		pem_put("PRIVATE KEY", buf_view(&der), &k->pem);
	return err;
}

struct packing {
	struct zip zip;
	const char *top;
};

static int pack(void *arg, const char *name, mode_t mode, struct str bytes)
{
	struct packing *p = arg;
	AUTO_CHAR inside = mem_printf("%s/%s", p->top, name);
	return zip_add(&p->zip, inside, mode, bytes);
}

/* A colon is no part of a name on every system. */
static char *safe_name(const char *device)
{
	char *name = mem_strdup(device);
	for (char *c = name; *c; c++)
		if (*c == ':')
			*c = '_';
	return name;
}

static int make_zip(const struct bundle_parts *p, struct buf *out)
{
	const bool brackets = strchr(p->host, ':') != NULL;
	AUTO_CHAR est = mem_printf("https://%s%s%s:%s", brackets ? "[" : "", p->host,
				   brackets ? "]" : "", p->enrol);
	AUTO_CHAR top = safe_name(p->device);
	struct packing packing = {.top = top};
	const struct kit kit = {
		.device = p->device,
		.host = p->host,
		.port = p->mqtts,
		.est = est,
		.dir = "/path/to/the/bundle",
		.not_after = p->not_after,
		.chain = p->chain,
		.roots = p->roots,
		.key = p->key,
		.maker = KIT_MADE_BY_GATEWAY,
	};
	zip_begin(&packing.zip, out, clock_wall_ms() / 1000);
	const int err = kit_each(&kit, pack, &packing);
	if (err)
		zip_fini(&packing.zip);
	else
		zip_end(&packing.zip);
	return err;
}

int bundle_make(const struct bundle_parts *p, enum bundle_form form, struct buf *out,
		struct why *why)
{
	const struct p12_parts parts = {
		.key = p->key,
		.chain = p->chain,
		.roots = p->roots,
		.name = str_of(p->device),
	};
	buf_reserve(out, FILE_ROOM);
	if (form != BUNDLE_ZIP)
		return p12_make(&parts, p->passphrase, form == BUNDLE_P12 ? P12_MODERN : P12_LEGACY,
				out, why);
	const int err = make_zip(p, out);
	return err ? why_set(why, err, "the files are too large for a ZIP file") : 0;
}

void bundle_file_name(const char *device, enum bundle_form form, struct buf *out)
{
	AUTO_CHAR name = safe_name(device);
	buf_printf(out, "%s.%s", name, form == BUNDLE_ZIP ? "zip" : "p12");
}

const char *bundle_type(enum bundle_form form)
{
	return form == BUNDLE_ZIP ? "application/zip" : "application/pkcs12";
}
