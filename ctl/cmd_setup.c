/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse setup-code and setup: the first administrator, with the address of the interface and
 * the fingerprint by which a browser's warning is judged.
 */
#include "ctl/address.h"
#include "ctl/ctl.h"

#include <ctype.h>
#include <stdio.h>

enum { PASSWORD_MIN = 10 };

/* "ab12" as browsers show it: "AB:12". */
static void print_fingerprint(const char *hex)
{
	for (size_t i = 0; hex[i]; i++)
		printf("%s%c", i && i % 2 == 0 ? ":" : "", toupper((unsigned char)hex[i]));
}

/* The interface's own certificate, in the answer of ca.show: what a browser is shown, which prefers
 * the small key. Empty when it is not the gateway's. */
static const char *fingerprint_of(const json_t *ca)
{
	size_t i;
	const json_t *cert;
	json_array_foreach(json_object_get(ca, "server_certificates"), i,
			   cert) if (strcmp(text_of(cert, "name"), "admin-p256") ==
				     0) return text_of(cert, "fingerprint");
	return "";
}

/* Where the interface is, as "url"; without it when nothing listens for it. */
static void put_url(const struct invocation *in, json_t *answer)
{
	json_t *status = NULL;
	struct address at;
	char url[ADDRESS_HOST + ADDRESS_PORT + 4];
	if (request_send(in, "GET", "/api/v1/status", NULL, &status) == 200 &&
	    address_choose(status, "admin", NULL, NULL, "8443", &at)) {
		address_url(&at, url);
		json_object_set_new(answer, "url", json_sprintf("https://%s/", url));
	}
	json_decref(status);
}

static void show_where(const json_t *answer, const char *fingerprint)
{
	if (text_of(answer, "url")[0])
		printf("Interface: %s\n", text_of(answer, "url"));
	else
		printf("The interface listens nowhere: see the section [admin] of "
		       "gatehouse.conf(5).\n");
	if (!fingerprint[0])
		return;
	if (json_is_true(json_object_get(answer, "public")))
		printf("The browser knows its certificate, by the name in it. Its SHA-256 "
		       "fingerprint:\n");
	else
		printf("The browser warns of its certificate. Go on if it has this SHA-256 "
		       "fingerprint:\n");
	print_fingerprint(fingerprint);
	printf("\n");
}

int run_setup_code(struct invocation *in)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK)
		put_url(in, answer);
	if (status == EXIT_OK && in->json) {
		print_json_line(answer);
	} else if (status == EXIT_OK) {
		printf("Setup code: %s\nValid until %s, for one use. It is shown only now.\n",
		       text_of(answer, "code"), text_of(answer, "expires"));
		show_where(answer, text_of(answer, "fingerprint"));
	}
	json_decref(answer);
	return status;
}

static void show_setup(const struct invocation *in, json_t *answer)
{
	json_t *ca = NULL;
	request_send(in, "GET", "/api/v1/ca", NULL, &ca);
	printf("%s: can log in to the interface now\n", text_of(answer, "name"));
	show_where(answer, fingerprint_of(ca));
	json_decref(ca);
}

int run_setup(struct invocation *in)
{
	json_t *answer = NULL;
	if (!json_object_get(in->args, "name")) {
		print_error("give the name of the administrator: --admin NAME");
		return EXIT_USAGE;
	}
	int status = password_take(in, invocation_local(in, "password-file"), PASSWORD_MIN);
	if (status != EXIT_OK)
		return status;
	json_object_set_new(in->args, "level", json_string("admin"));
	status = request_command(in, &answer);
	if (status == EXIT_OK)
		put_url(in, answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK && says_done())
		show_setup(in, answer);
	json_decref(answer);
	return status;
}
