/* SPDX-License-Identifier: Apache-2.0
 *
 * Names in server certificates: see host_names.h.
 */
#include "ctl/host_names.h"
#include "certs/der.h"
#include "certs/leaf.h"
#include "certs/pem.h"
#include "certs/san.h"
#include "daemon/base/err.h"

#include <arpa/inet.h>
#include <stdio.h>

enum { NAME_DNS = DER_CONTEXT | 2, NAME_ADDRESS = DER_CONTEXT | 7 }; /* GeneralName, RFC 5280 */

static void put_name(const struct san *name, struct buf *names)
{
	char text[INET6_ADDRSTRLEN];
	if (names->n)
		buf_puts(names, ", ");
	if (name->kind == SAN_DNS)
		buf_puts(names, name->value);
	else if (inet_ntop(name->n == 4 ? AF_INET : AF_INET6, name->value, text, sizeof(text)))
		buf_puts(names, text);
}

/* "*.plant.example" stands for one more label. */
static bool same(const struct san *name, const struct san *host)
{
	if (name->kind != host->kind)
		return false;
	if (name->kind == SAN_DNS && name->value[0] == '*') {
		const char *rest = strchr(host->value, '.');
		return rest && strcmp(rest, name->value + 1) == 0;
	}
	return name->n == host->n && memcmp(name->value, host->value, name->n) == 0;
}

int host_names(struct str der, const char *host, struct buf *names, bool *listed)
{
	struct leaf leaf;
	struct san_set wanted = {0};
	struct san_set all = {0};
	if (leaf_read(der, &leaf))
		return ERR_MALFORMED;
	struct cur c = cur_of(leaf.names);
	while (cur_left(&c) && cur_ok(&c)) {
		const struct der d = der_read(&c);
		if (d.tag == NAME_DNS || d.tag == NAME_ADDRESS)
			(void)!san_add_raw(&all, d.tag == NAME_DNS ? SAN_DNS : SAN_ADDRESS, d.body);
	}
	*listed = false;
	const bool valid = san_add(&wanted, str_of(host)) == 0;
	for (size_t i = 0; i < all.n; i++) {
		put_name(&all.entry[i], names);
		*listed |= valid && same(&all.entry[i], &wanted.entry[0]);
	}
	return 0;
}

static json_t *get(const struct invocation *in, const char *path)
{
	json_t *answer = NULL;
	if (request_send(in, "GET", path, NULL, &answer) == 200)
		return answer;
	json_decref(answer);
	return NULL;
}

/* The gateway's own certificate for devices, as DER. False: there is none to be had. */
static bool own_certificate(const struct invocation *in, struct buf *der)
{
	char path[192];
	size_t i;
	const json_t *item;
	bool found = false;
	json_t *ca = get(in, "/api/v1/ca");
	json_array_foreach(json_object_get(ca, "server_certificates"), i, item)
	{
		if (found || strncmp(text_of(item, "name"), "broker-", 7) != 0)
			continue;
		snprintf(path, sizeof(path), "/api/v1/certificates/%s",
			 text_of(item, "fingerprint"));
		json_t *certificate = get(in, path);
		struct str pem = str_of(text_of(certificate, "pem"));
		struct str label;
		found = pem_next(&pem, &label, der) == 0;
		json_decref(certificate);
	}
	json_decref(ca);
	return found;
}

static bool brings_its_own(const struct invocation *in)
{
	json_t *setting = get(in, "/api/v1/config/listener.mqtts.certificate");
	const bool own = text_of(setting, "value")[0];
	json_decref(setting);
	return own;
}

void host_check(const struct invocation *in, const char *host)
{
	AUTO_BUF der = {0};
	AUTO_BUF names = {0};
	bool listed;
	if (!host || brings_its_own(in) || !own_certificate(in, &der) ||
	    host_names(buf_view(&der), host, &names, &listed) || listed)
		return;
	print_note("warning: \"%s\" is not in the gateway's certificate: devices that "
		   "connect to it will refuse the gateway\nThe certificate is for: %s; give one of "
		   "these with --host, or add "
		   "\"%s\" to the setting gateway.names",
		   host, buf_cstr(&names), host);
}
