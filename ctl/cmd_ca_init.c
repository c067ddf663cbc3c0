/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse ca init: another authority in place of the one that the gateway made at its first
 * start, before a device has a certificate of it. With a root of the gateway's own (P-256 or
 * P-384), or with one of the operator's: its key is read here, certifies the issuing key that stays
 * in the gateway, and is forgotten; or it is elsewhere and gets a signing request
 * (--external-root), whose answer --signed takes. Made of the steps of a rollover, without devices
 * to wait for: ca rollover finishes or aborts what was cut short. One thread.
 */
#include "certs/key.h"
#include "certs/pem.h"
#include "certs/profile.h"
#include "ctl/cmd_ca.h"
#include "ctl/file.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"

#include <stdio.h>

enum { CERTIFICATE_FILE_MAX = 16 * KiB };

static json_int_t count_certificates(const json_t *show)
{
	json_int_t n = 0;
	size_t i;
	const json_t *a;
	json_array_foreach(json_object_get(show, "authorities"), i, a) n +=
		json_integer_value(json_object_get(a, "certificates"));
	return n;
}

static bool is_new(const json_t *show)
{
	const json_int_t issued = count_certificates(show);
	const json_int_t unknown = json_integer_value(json_object_get(show, "devices_unknown"));
	if (issued)
		print_error("%lld %s of this authority: gatehouse ca rollover changes it "
			    "while devices stay connected",
			    (long long)issued,
			    issued == 1 ? "certificate of a device is"
					: "certificates of devices are");
	else if (unknown)
		print_error("%lld %s with a password and may trust the root in use: "
			    "gatehouse ca rollover changes it while devices stay connected",
			    (long long)unknown, unknown == 1 ? "device logs in" : "devices log in");
	return !issued && !unknown;
}

/* The next authority comes into use, the one before is over. */
static int take_over(struct invocation *in, json_t **answer)
{
	json_t *done = NULL;
	const struct ca_step use = {.word = "switch", .force = true};
	const struct ca_step end = {.word = "finish"};
	int status = ca_step(in, &use, &done);
	json_decref(done);
	return status == EXIT_OK ? ca_step(in, &end, answer) : status;
}

static int make_own(struct invocation *in, const char *root, json_t **answer)
{
	json_t *started = NULL;
	const struct ca_step start = {.word = "start", .root = root};
	const int status = ca_step(in, &start, &started);
	json_decref(started);
	return status == EXIT_OK ? take_over(in, answer) : status;
}

/* ---- a root of the operator's ---- */

static int import(struct invocation *in, const char *certificates, json_t **answer)
{
	json_t *done = NULL;
	const int status = ca_post(in, "/api/v1/ca/import",
				   json_pack("{s:s}", "certificates", certificates), &done);
	json_decref(done);
	return status == EXIT_OK ? take_over(in, answer) : status;
}

static int read_root(const char *path, const struct key *key, struct certificate *out)
{
	AUTO_BUF bytes = {0};
	AUTO_BUF der = {0};
	struct str label;
	struct why why;
	const char *cause = "no certificate in PEM";
	if (file_read(path, CERTIFICATE_FILE_MAX, &bytes, &cause) == 0) {
		struct str rest = buf_view(&bytes);
		if (pem_next(&rest, &label, &der) || profile_read(buf_view(&der), path, out, &why))
			cause = "no certificate in PEM, or one without subject key identifier";
		else if (str_eq(certificate_spki(out), key_spki(key)))
			return EXIT_OK;
		else
			cause = "does not belong to the key of --root-key";
		certificate_fini(out);
	}
	print_error("--root-cert %s: %s", path, cause);
	return EXIT_USAGE;
}

/* The request that nobody can answer goes, so that the same command can be tried again. */
static int give_up(struct invocation *in, int status)
{
	json_t *answer = NULL;
	const struct ca_step abort = {.word = "abort"};
	ca_step(in, &abort, &answer);
	json_decref(answer);
	return status;
}

/* Issuing certificate and root, as PEM. */
static int certify(const char *request, const struct certificate *root, struct key *key,
		   struct buf *pem)
{
	struct certificate issuing;
	struct why why;
	if (certificate_answer(str_of(request), root, key, clock_wall(), &issuing, &why)) {
		print_error("%s", why.text);
		return EXIT_REFUSED;
	}
	pem_put("CERTIFICATE", buf_view(&issuing.der), pem);
	pem_put("CERTIFICATE", buf_view(&root->der), pem);
	certificate_fini(&issuing);
	return EXIT_OK;
}

static int with_root_key(struct invocation *in, const char *path, json_t **answer)
{
	struct key *loaded = NULL;
	struct certificate root = {0};
	json_t *request = NULL;
	AUTO_BUF pem = {0};
	const char *file = invocation_local(in, "root-cert");
	if (!file) {
		print_error("--root-key needs the certificate of that root: "
			    "--root-cert FILE");
		return EXIT_USAGE;
	}
	int status = ca_read_root_key(path, &loaded);
	if (status != EXIT_OK)
		return status;
	AUTO(key) key = loaded;
	status = read_root(file, key, &root);
	if (status == EXIT_OK)
		status = ca_post(in, "/api/v1/ca/request", NULL, &request);
	if (status == EXIT_OK) {
		status = certify(text_of(request, "csr"), &root, key, &pem);
		status = status == EXIT_OK ? import(in, buf_cstr(&pem), answer)
					   : give_up(in, status);
	}
	certificate_fini(&root);
	json_decref(request);
	return status;
}

static int take_signed(struct invocation *in, const char *path, json_t **answer)
{
	AUTO_BUF pem = {0};
	const int status = ca_read_certificates(path, &pem);
	return status == EXIT_OK ? import(in, buf_cstr(&pem), answer) : status;
}

static int request_only(struct invocation *in)
{
	json_t *answer = NULL;
	int status = ca_post(in, "/api/v1/ca/request", NULL, &answer);
	if (status == EXIT_OK)
		status = ca_give_request(in, answer, "gatehouse ca init --signed");
	json_decref(answer);
	return status;
}

/* ---- ---- */

static int begin(struct invocation *in, json_t **answer)
{
	const char *key = invocation_local(in, "root-key");
	const char *answered = invocation_local(in, "signed");
	const char *root = invocation_local(in, "root");
	const bool external = invocation_switch(in, "external-root");
	if ((key != NULL) + (answered != NULL) + (root != NULL) + external > 1) {
		print_error("give one of --root, --root-key, --external-root, "
			    "--signed");
		return EXIT_USAGE;
	}
	if (key)
		return with_root_key(in, key, answer);
	if (answered)
		return take_signed(in, answered, answer);
	return external ? request_only(in) : make_own(in, root, answer);
}

int run_ca_init(struct invocation *in)
{
	json_t *show = NULL;
	json_t *answer = NULL;
	int status = ca_get(in, &show);
	if (status == EXIT_OK && !is_new(show))
		status = EXIT_CONFLICT;
	if (status == EXIT_OK)
		status = begin(in, &answer);
	if (status == EXIT_OK && answer && in->json) {
		print_json_line(answer);
	} else if (status == EXIT_OK && answer) {
		const json_t *root = ca_find(answer, "root", "state", "active");
		printf("\"%s\" is the root from now on; the one before is over\n",
		       text_of(root, "subject"));
		ca_print_fingerprint("root SHA-256 ", root);
		if (strcmp(text_of(root, "key"), "here") == 0)
			puts("The root key is on this machine: gatehouse ca export-root FILE "
			     "takes it away.");
	}
	json_decref(show);
	json_decref(answer);
	return status;
}
