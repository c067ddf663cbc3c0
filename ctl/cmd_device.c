/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse device add and set, cert add: keys made here, bundles.
 */
#include "certs/key.h"
#include "certs/pem.h"
#include "certs/request.h"
#include "ctl/address.h"
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "ctl/host_names.h"
#include "ctl/passphrase.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum { PASSWORD_MIN = 8, CSR_FILE_MAX = 16 * KiB };

/* PEM as it is; DER becomes PEM, which JSON can carry. The gateway judges what is inside. */
static int read_csr(struct invocation *in, const char *path)
{
	AUTO_BUF bytes = {0};
	AUTO_BUF text = {0};
	const char *why;
	if (file_read(path, CSR_FILE_MAX, &bytes, &why)) {
		print_error("--csr %s: %s", path, why);
		return EXIT_USAGE;
	}
	if (str_find(buf_view(&bytes), "-----BEGIN"))
		buf_str(&text, buf_view(&bytes));
	else
		pem_put("CERTIFICATE REQUEST", buf_view(&bytes), &text);
	json_t *csr = json_stringn(text.p, text.n);
	if (!csr) {
		print_error("--csr %s: neither PEM nor DER", path);
		return EXIT_USAGE;
	}
	json_object_set_new(in->args, "csr", csr);
	return EXIT_OK;
}

static int make_request(struct invocation *in, const char *name, struct buf *key)
{
	AUTO_BUF csr = {0};
	if (request_make(name, key, &csr)) {
		print_error("cannot make a key and a signing request for \"%s\"", name);
		return EXIT_FAILED;
	}
	json_object_set_new(in->args, "csr", json_stringn(csr.p, csr.n));
	return EXIT_OK;
}

static int write_bundle(struct invocation *in, const char *name, const json_t *answer,
			struct str passphrase)
{
	json_t *status = NULL;
	if (request_send(in, "GET", "/api/v1/status", NULL, &status) != 200) {
		json_decref(status);
		return EXIT_UNREACHABLE;
	}
	const struct bundle b = {
		.dir = invocation_local(in, "bundle"),
		.device = name,
		.host = invocation_local(in, "host"),
		.certificate = json_object_get(answer, "certificate"),
		.status = status,
		.p12 = invocation_switch(in, "p12"),
		.legacy = invocation_switch(in, "legacy"),
		.passphrase = passphrase,
		.zip = invocation_local(in, "zip"),
	};
	const int result = bundle_write(&b);
	if (result == EXIT_OK)
		host_check(in, b.host);
	json_decref(status);
	return result;
}

static int write_chain(const char *path, const char *chain)
{
	FILE *f = path ? fopen(path, "w") : stdout;
	if (!f || fputs(chain, f) < 0 || (path && fclose(f))) {
		print_error("cannot write %s: %s", path ? path : "the certificate",
			    strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

static int add_code(const struct invocation *in, const char *name)
{
	json_t *answer = NULL;
	json_t *body = json_pack("{s:s}", "name", name);
	const unsigned http = request_send(in, "POST", "/api/v1/codes", body, &answer);
	json_decref(body);
	const int status = http == 0    ? EXIT_UNREACHABLE
			   : http < 300 ? code_show(in, answer)
					: print_problem(http, answer);
	json_decref(answer);
	return status;
}

/* The file with the roots, if this machine is the gateway's. */
static char *roots_file(const struct invocation *in)
{
	json_t *answer = NULL;
	char *path = NULL;
	if (request_send(in, "GET", "/api/v1/config/gateway.state-dir", NULL, &answer) == 200)
		path = mem_printf("%s/pub/roots.pem", text_of(answer, "value"));
	json_decref(answer);
	return path;
}

/* How a device with a password connects. */
static void show_login(const struct invocation *in, const char *name)
{
	json_t *status = NULL;
	struct address at;
	AUTO_CHAR roots = roots_file(in);
	request_send(in, "GET", "/api/v1/status", NULL, &status);
	const bool tls =
		address_choose(status, NULL, "mqtts", invocation_local(in, "host"), "8883", &at);
	json_decref(status);
	print_done("%s: added\n", name);
	if (!tls)
		return;
	print_done("It connects to %s, port %s, over TLS, with its name as user name and its "
		   "password; the\nroot certificate that it must trust is in %s. For example:\n"
		   "  mosquitto_pub -h %s -p %s --cafile %s -i %s \\\n"
		   "      -u %s -P 'its password' -V 5 -q 1 -t some/topic -m hello\n"
		   "\"Not authorized\" then means that no rule allows the topic:\n"
		   "  gatehouse acl allow device:%s publish 'some/topic/#'\n",
		   at.host, at.port, roots ? roots : "a bundle of another device", at.host, at.port,
		   roots ? roots : "roots.pem", name, name, name);
	host_check(in, invocation_local(in, "host"));
}

static int finish_add(struct invocation *in, const char *name, const json_t *answer,
		      struct str passphrase)
{
	const char *bundle = invocation_local(in, "bundle");
	const json_t *certificate = json_object_get(answer, "certificate");
	const char *chain = text_of(certificate, "pem");
	int status = EXIT_OK;
	if (bundle)
		status = write_bundle(in, name, answer, passphrase);
	else if (chain[0] && invocation_local(in, "out"))
		status = write_chain(invocation_local(in, "out"), chain);
	if (status != EXIT_OK)
		return status;
	if (invocation_switch(in, "code"))
		return add_code(in, name);
	if (in->json)
		print_json_line(answer);
	else if (bundle)
		print_done("%s: device, key and certificate (until %s) are in %s\n", name,
			   text_of(certificate, "not_after"), bundle);
	else if (chain[0] && !invocation_local(in, "out"))
		return write_chain(NULL, chain);
	else if (chain[0])
		print_done("%s: added\n", name);
	else if (json_object_get(in->args, "password") && says_done())
		show_login(in, name);
	else if (!json_object_get(in->args, "password"))
		print_done("%s: added; it cannot connect before it has a certificate (cert add %s "
			   "--bundle "
			   "DIR) or a password (device set %s --password)\n",
			   name, name, name);
	return EXIT_OK;
}

static bool given(const struct invocation *in, const char *name)
{
	return name && (invocation_local(in, name) || invocation_switch(in, name));
}

/* Options that mean nothing without another one: none is ignored. */
static bool check_company(const struct invocation *in)
{
	static const struct {
		const char *option;
		const char *needs[3]; /* one of these */
		const char *why;
	} rules[] = {
		{"p12", {"bundle"}, "--p12 goes with --bundle, which has the key"},
		{"zip", {"bundle"}, "--zip goes with --bundle, which has the key"},
		{"legacy", {"p12"}, "--legacy is a form of device.p12: it goes with --p12"},
		{"out", {"csr"}, "--out is for the certificate that --csr asks for"},
		{"host",
		 {"bundle", "code", "password"},
		 "--host goes with --bundle, or with --code or --password of device add"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		bool fits = !given(in, rules[i].option);
		for (size_t k = 0; k < ARRAY_LEN(rules[i].needs); k++)
			fits |= given(in, rules[i].needs[k]);
		if (fits)
			continue;
		print_error("%s", rules[i].why);
		return false;
	}
	return true;
}

static int check_options(const struct invocation *in)
{
	const char *host = invocation_local(in, "host");
	if (given(in, "bundle") && given(in, "csr")) {
		print_error("give either --bundle or --csr");
		return EXIT_USAGE;
	}
	if (given(in, "code") && (given(in, "bundle") || given(in, "csr"))) {
		print_error("give either --code, or --bundle or --csr");
		return EXIT_USAGE;
	}
	if (!check_company(in))
		return EXIT_USAGE;
	if (host && !bundle_is_host(host)) {
		print_error("--host %s: not a host name or an address", host);
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

/* A passphrase for device.p12 first: nothing is issued for a bundle that cannot be whole. */
static int begin_bundle(struct invocation *in, const char *name, const char *dir, bool *made,
			struct buf *passphrase)
{
	AUTO_SECRET key = {0};
	if (invocation_switch(in, "p12") &&
	    !passphrase_ask("Passphrase for device.p12", true, PASSPHRASE_MIN, PASSPHRASE_MAX,
			    passphrase))
		return EXIT_USAGE;
	const int status = make_request(in, name, &key);
	return status == EXIT_OK ? bundle_begin(dir, buf_view(&key), made) : status;
}

/* Asks for a device or a certificate; whose key is made here when a bundle is wanted. */
static int add(struct invocation *in, const char *name)
{
	const char *bundle = invocation_local(in, "bundle");
	const char *csr = invocation_local(in, "csr");
	AUTO_CHAR own_name = mem_strdup(name);
	AUTO_SECRET passphrase = {0};
	json_t *answer = NULL;
	bool made = false;
	int status = check_options(in);
	if (status == EXIT_OK && csr)
		status = read_csr(in, csr);
	if (status == EXIT_OK && invocation_switch(in, "password"))
		status = password_take(in, NULL, PASSWORD_MIN);
	if (status == EXIT_OK && bundle)
		status = begin_bundle(in, own_name, bundle, &made, &passphrase);
	if (status != EXIT_OK)
		return status;
	status = request_command(in, &answer);
	if (status == EXIT_OK)
		status = finish_add(in, own_name, answer, buf_view(&passphrase));
	else if (bundle &&
		 status != EXIT_UNREACHABLE) /* an answer that was lost may have been yes */
		bundle_abandon(bundle, made);
	json_decref(answer);
	return status;
}

int run_device_add(struct invocation *in)
{
	return add(in, text_of(in->args, "name"));
}

int run_cert_add(struct invocation *in)
{
	if (!invocation_local(in, "bundle") && !invocation_local(in, "csr")) {
		print_error("give --bundle DIR or --csr FILE");
		return EXIT_USAGE;
	}
	return add(in, text_of(in->args, "device"));
}

int run_device_set(struct invocation *in)
{
	int status = EXIT_OK;
	if (invocation_switch(in, "no-password"))
		json_object_set_new(in->args, "password", json_string(""));
	else if (invocation_switch(in, "password"))
		status = password_take(in, NULL, PASSWORD_MIN);
	if (status == EXIT_OK && json_object_size(in->args) < 2) {
		print_error("nothing to change; see gatehouse device set --help");
		return EXIT_USAGE;
	}
	return status == EXIT_OK ? run_plain(in) : status;
}
