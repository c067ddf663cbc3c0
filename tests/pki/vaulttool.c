/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault's authority without its process, for tests/pki/test_chains.py:
 *   vaulttool DIR init NAME...                        authority and server certificates in DIR
 *   vaulttool DIR device NAME SPKI-FILE OUT [SECONDS] a device's certificate, DER, ending SECONDS
 *                                                     from now
 */
#include "certs/csr.h"
#include "certs/server.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static struct issue_time now(void)
{
	return (struct issue_time){clock_wall(), clock_mono_ms()};
}

static int init(struct keystore *ks, struct issuer *issuer, char **names, struct why *why)
{
	struct servers *made = NULL;
	static struct san_set set;
	unsigned count;
	int err = servers_open(ks, &made, why);
	if (err)
		return err;
	AUTO(servers) servers = made;
	for (char **name = names; *name && err == 0; name++)
		err = san_add(&set, str_of(*name));
	return err ? err : servers_renew(servers, issuer, names[0], &set, now(), &count, why);
}

static int device(struct issuer *issuer, char **arg, struct why *why)
{
	uint8_t spki[2 * SPKI_MAX];
	FILE *f = fopen(arg[1], "rb");
	const size_t n = f ? fread(spki, 1, sizeof(spki), f) : 0;
	if (f)
		fclose(f);
	struct certificate c;
	const struct device_order order = {
		.name = str_of(arg[0]),
		.uuid = STR("8c5f3b1e-5d0a-4c3e-9b57-0a1b2c3d4e5f"),
		.spki = str_make(spki, n),
		.not_after = arg[3] ? clock_wall() + atol(arg[3]) : 0,
	};
	int err = issuer_device(issuer, &order, now(), &c, why);
	if (!err)
		err = issuer_commit(issuer, why);
	f = err ? NULL : fopen(arg[2], "wb");
	if (f) {
		fwrite(c.der.p, 1, c.der.n, f);
		fclose(f);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct why why = {"usage: vaulttool DIR init NAME... | DIR device NAME SPKI OUT [SECONDS]"};
	struct keystore *ks = NULL;
	struct issuer *issuer = NULL;
	int err = argc < 4 ? -1 : keystore_open(argv[1], &ks, &why);
	if (!err)
		err = issuer_open(ks, build_time(), now(), &issuer, &why);
	if (!err && strcmp(argv[2], "init") == 0)
		err = init(ks, issuer, argv + 3, &why);
	else if (!err && argc >= 6)
		err = device(issuer, argv + 3, &why);
	if (err)
		fprintf(stderr, "%s\n", why.text);
	if (issuer)
		issuer_free(issuer);
	if (ks)
		keystore_free(ks);
	return err != 0;
}
