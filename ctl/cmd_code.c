/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse code add: the code, once, and what to do with it: commands that work pasted as they are
 * on a device with curl and openssl. The root certificate is checked by its fingerprint, which
 * travels with the code, so that nothing has to be trusted on first use.
 */
#include "ctl/address.h"
#include "ctl/ctl.h"
#include "ctl/host_names.h"
#include "daemon/base/mem.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

enum { COLONS = 3 * 32 };

/* "AB:CD:..." as openssl prints fingerprints. */
static void with_colons(const char *hex, char out[COLONS])
{
	size_t n = 0;
	for (size_t i = 0; hex[i] && i < 64; i++) {
		if (i && i % 2 == 0)
			out[n++] = ':';
		out[n++] = (char)toupper((unsigned char)hex[i]);
	}
	out[n] = '\0';
}

/* A name that the code allows: the device's, or the pattern with 1 for each star. */
static void example_name(const json_t *code, char out[65])
{
	const char *name = text_of(code, "name");
	snprintf(out, 65, "%s", name[0] ? name : text_of(code, "pattern"));
	for (char *p = out; *p; p++)
		if (*p == '*')
			*p = '1';
}

struct guide {
	const json_t *code;
	struct address broker;
	char url[sizeof("https://") + ADDRESS_HOST + ADDRESS_PORT + 4];
	char name[65];
	char fingerprint[COLONS];
	char *qr; /* for a QR code; behind the #, which no server sees or logs */
};

static void fill(struct guide *g, const json_t *code, const json_t *status, const char *host)
{
	struct address enrol;
	char at[ADDRESS_HOST + ADDRESS_PORT + 4];
	g->code = code;
	address_choose(status, "enrol", NULL, host, "8444", &enrol);
	address_choose(status, NULL, "mqtts", host, "8883", &g->broker);
	address_url(&enrol, at);
	snprintf(g->url, sizeof(g->url), "https://%s", at);
	example_name(code, g->name);
	with_colons(text_of(code, "root_fingerprint"), g->fingerprint);
	g->qr = mem_printf("gatehouse-enrol:%s/#t=%s&fp=sha256:%s", g->url, text_of(code, "code"),
			   text_of(code, "root_fingerprint"));
}

static void print_head(const struct guide *g)
{
	const json_int_t uses = json_integer_value(json_object_get(g->code, "uses"));
	const char *name = text_of(g->code, "name");
	printf("Enrolment code for %s%s, until %s, ", name[0] ? "" : "new devices like ",
	       name[0] ? name : text_of(g->code, "pattern"), text_of(g->code, "expires"));
	if (uses == 1)
		printf("for one use");
	else
		printf("for %lld uses", (long long)uses);
	if (text_of(g->code, "network")[0])
		printf(", from %s", text_of(g->code, "network"));
	printf(". It is shown this once:\n\n    %s\n\n", text_of(g->code, "code"));
	const json_int_t replaced = json_integer_value(json_object_get(g->code, "replaced"));
	if (replaced)
		printf("%lld older code%s for %s %s no longer (--keep would have kept %s).\n\n",
		       (long long)replaced, replaced == 1 ? "" : "s", name,
		       replaced == 1 ? "counts" : "count", replaced == 1 ? "it" : "them");
	printf("Root certificate of the gateway, SHA-256:\n\n    %s\n\n", g->fingerprint);
	printf("Text for a QR code:\n\n    %s\n\n", g->qr);
}

static void print_root(const struct guide *g)
{
	printf("# The root certificate: kept only if it is the one with this fingerprint.\n"
	       "curl -sSk %s/.well-known/est/cacerts | base64 -d | "
	       "openssl pkcs7 -inform DER -print_certs | openssl x509 -out ca.crt\n"
	       "openssl x509 -in ca.crt -noout -fingerprint -sha256 | grep -q '%s' || "
	       "{ rm -f ca.crt; echo 'NOT the root certificate of the gateway' >&2; }\n\n",
	       g->url, g->fingerprint);
}

static void print_enrol(const struct guide *g)
{
	printf("# A key, which stays here (one that is there is kept), and a request for it.\n"
	       "[ -e device.key ] || openssl genpkey -algorithm EC -pkeyopt "
	       "ec_paramgen_curve:P-256 -out device.key\n"
	       "openssl req -new -key device.key -subj '/CN=%s' -outform DER -out device.csr\n\n",
	       g->name);
	printf("# The certificate.\n"
	       "curl -sS --fail-with-body --cacert ca.crt -u '%s:%s' "
	       "-H 'Content-Type: application/pkcs10' --data-binary @device.csr -o device.p7 "
	       "%s/.well-known/est/simpleenroll && base64 -d device.p7 | "
	       "openssl pkcs7 -inform DER -print_certs -out device.crt || "
	       "{ cat device.p7; false; }\n\n",
	       g->name, text_of(g->code, "code"), g->url);
}

static void print_use(const struct guide *g)
{
	printf("# Connected over mutual TLS. \"Not authorized\" here means that no rule allows the "
	       "topic; on the gateway: gatehouse acl allow device:%s publish 'some/topic/#'\n"
	       "mosquitto_pub -h %s -p %s -i '%s' --cafile ca.crt --cert device.crt "
	       "--key device.key -V 5 -q 1 -t some/topic -m hello\n",
	       g->name, g->broker.host, g->broker.port, g->name);
	if (strcmp(text_of(g->code, "profile"), "manual") == 0)
		return;
	printf("\n# Later, before the certificate ends: the roots of then, and a new certificate "
	       "for the "
	       "same key.\n"
	       "curl -sS --fail-with-body --cacert ca.crt -o roots.p7 %s/.well-known/est/cacerts "
	       "&& "
	       "base64 -d roots.p7 | openssl pkcs7 -inform DER -print_certs -out ca.new && "
	       "mv ca.new ca.crt\n"
	       "curl -sS --fail-with-body --cacert ca.crt --cert device.crt --key device.key "
	       "-H 'Content-Type: application/pkcs10' --data-binary @device.csr -o device.p7 "
	       "%s/.well-known/est/simplereenroll && base64 -d device.p7 | "
	       "openssl pkcs7 -inform DER -print_certs -out device.crt || "
	       "{ cat device.p7; false; }\n",
	       g->url, g->url);
}

static void print_guide(const struct guide *g)
{
	print_head(g);
	printf("On the device, in a directory of its own, with curl and openssl%s:\n\n",
	       text_of(g->code, "name")[0]
		       ? ""
		       : "; each device has its own name in place of the one below");
	print_root(g);
	print_enrol(g);
	print_use(g);
}

int code_show(const struct invocation *in, json_t *code)
{
	struct guide g = {0};
	json_t *status = NULL;
	const char *host = invocation_local(in, "host");
	if (request_send(in, "GET", "/api/v1/status", NULL, &status) != 200) {
		/* The code is shown only now: without an address rather than not at all. */
		json_decref(status);
		status = json_object();
	}
	fill(&g, code, status, host);
	if (in->json) {
		json_object_set_new(code, "url", json_string(g.url));
		json_object_set_new(code, "qr", json_string(g.qr));
		print_json_line(code);
	} else {
		print_guide(&g);
	}
	host_check(in, host);
	free(g.qr);
	json_decref(status);
	return EXIT_OK;
}

int run_code_add(struct invocation *in)
{
	json_t *code = NULL;
	const char *host = invocation_local(in, "host");
	if (host && !bundle_is_host(host)) {
		print_error("--host %s: not a host name or an address", host);
		return EXIT_USAGE;
	}
	int status = request_command(in, &code);
	if (status == EXIT_OK)
		status = code_show(in, code);
	json_decref(code);
	return status;
}
