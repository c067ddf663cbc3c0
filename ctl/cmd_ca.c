/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse ca: show, lock, unlock, csr, import, compromise, check. What needs the root's key is in
 * cmd_ca_root.c, the backup in cmd_ca_backup.c.
 */
#include "ctl/cmd_ca.h"
#include "certs/key.h"
#include "ctl/file.h"
#include "ctl/passphrase.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CERTIFICATES_FILE_MAX = 32 * KiB };

const json_t *ca_find(const json_t *show, const char *kind, const char *field, const char *value)
{
	size_t i;
	const json_t *a;
	json_array_foreach(json_object_get(show, "authorities"), i, a)
	{
		if (strcmp(text_of(a, "kind"), kind) == 0 && strcmp(text_of(a, field), value) == 0)
			return a;
	}
	return NULL;
}

int ca_get(struct invocation *in, json_t **show)
{
	const unsigned status = request_send(in, "GET", "/api/v1/ca", NULL, show);
	if (status == 200)
		return EXIT_OK;
	return status ? print_problem(status, *show) : EXIT_UNREACHABLE;
}

/* As openssl x509 -fingerprint -sha256 writes it: people compare the two. */
void ca_print_fingerprint(const char *label, const json_t *authority)
{
	const char *hex = text_of(authority, "fingerprint");
	printf("%s", label);
	for (size_t i = 0; hex[i]; i++) {
		const char c = hex[i];
		printf("%s%c", i && i % 2 == 0 ? ":" : "",
		       c >= 'a' && c <= 'f' ? c - 'a' + 'A' : c);
	}
	printf("\n");
}

/* What goes on without the key, and until when. */
static void print_lock(const json_t *show)
{
	const char *staples = text_of(show, "staples_until");
	puts("Nothing is issued until gatehouse ca unlock. Devices connect as before, and what is "
	     "revoked is refused at once.");
	printf("Other brokers and proxies: the revocation lists are good until %s; what is revoked "
	       "from now on reaches them after ca unlock. OCSP answers \"try later\".\n",
	       text_of(show, "lists_until"));
	if (staples[0])
		printf("Listeners staple OCSP responses until %s, or until the gateway restarts.\n",
		       staples);
}

static void print_show(const json_t *show)
{
	const json_t *active = ca_find(show, "root", "state", "active");
	const json_t *next = ca_find(show, "root", "state", "next");
	print_object(show);
	printf("\n");
	ca_print_fingerprint("root SHA-256 ", active);
	if (next)
		ca_print_fingerprint("next SHA-256 ", next);
	if (strcmp(text_of(active, "key"), "here") == 0)
		printf("The root key is on this machine: gatehouse ca export-root FILE takes it "
		       "away.\n");
	if (json_is_true(json_object_get(show, "locked")))
		print_lock(show);
}

int run_ca_show(struct invocation *in)
{
	json_t *show = NULL;
	const int status = ca_get(in, &show);
	if (status == EXIT_OK && in->json)
		print_json_line(show);
	else if (status == EXIT_OK)
		print_show(show);
	json_decref(show);
	return status;
}

/* ---- lock ---- */

static int with_passphrase(struct invocation *in, const char *prompt, bool twice,
			   void (*say)(const json_t *answer))
{
	AUTO_SECRET passphrase = {0};
	json_t *answer = NULL;
	if (!passphrase_ask(prompt, twice, twice ? PASSPHRASE_MIN : 1, PASSPHRASE_MAX, &passphrase))
		return EXIT_USAGE;
	json_object_set_new(in->args, "passphrase", json_stringn(passphrase.p, passphrase.n));
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		say(answer);
	json_decref(answer);
	return status;
}

static void say_locked(const json_t *answer)
{
	puts("locked");
	print_lock(answer);
}

static void say_unlocked(const json_t *answer)
{
	(void)answer;
	puts("unlocked");
}

int run_ca_lock(struct invocation *in)
{
	return with_passphrase(in, "Passphrase for the issuing key", true, say_locked);
}

int run_ca_unlock(struct invocation *in)
{
	return with_passphrase(in, "Passphrase of the issuing key", false, say_unlocked);
}

/* ---- someone else's root ---- */

static int write_text(const char *path, const char *text)
{
	AUTO_FD fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)
			  : dup(STDOUT_FILENO);
	if (fd >= 0 && fd_write(fd, str_of(text)) == 0)
		return EXIT_OK;
	print_error("cannot write %s: %s", path ? path : "the request", strerror(errno));
	return EXIT_FAILED;
}

int ca_give_request(struct invocation *in, const json_t *answer, const char *then)
{
	const char *path = invocation_local(in, "out");
	if (in->json) {
		print_json_line(answer);
		return EXIT_OK;
	}
	const int status = write_text(path, text_of(answer, "csr"));
	if (status == EXIT_OK && path)
		printf("%s: let the authority sign it as an authority below its root (CA:TRUE, "
		       "pathlen:0, keyCertSign, cRLSign, digitalSignature), then: %s FILE, with "
		       "both certificates in FILE\n",
		       path, then);
	return status;
}

int run_ca_csr(struct invocation *in)
{
	json_t *answer = NULL;
	int status = request_command(in, &answer);
	if (status == EXIT_OK)
		status = ca_give_request(in, answer, "gatehouse ca import");
	json_decref(answer);
	return status;
}

int ca_read_certificates(const char *path, struct buf *out)
{
	const char *why = "no certificates in PEM";
	if (file_read(path, CERTIFICATES_FILE_MAX, out, &why) == 0 && str_is_utf8(buf_view(out)) &&
	    str_find(buf_view(out), "-----BEGIN CERTIFICATE-----"))
		return EXIT_OK;
	print_error("%s: %s", path, why);
	return EXIT_USAGE;
}

int run_ca_import(struct invocation *in)
{
	AUTO_BUF bytes = {0};
	json_t *answer = NULL;
	AUTO_CHAR path = mem_strdup(text_of(in->args, "certificates"));
	int status = ca_read_certificates(path, &bytes);
	if (status != EXIT_OK)
		return status;
	json_object_set_new(in->args, "certificates", json_stringn(bytes.p, bytes.n));
	status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		printf("%s: imported as the next authority; gatehouse ca rollover switch lets it "
		       "issue\n",
		       path);
	json_decref(answer);
	return status;
}

/* ---- compromise ---- */

static const json_t *chosen_root(const struct invocation *in, const json_t *show)
{
	size_t i;
	const json_t *a;
	const json_t *found = NULL;
	const char *wanted = text_of(in->args, "fingerprint");
	json_array_foreach(json_object_get(show, "authorities"), i, a)
	{
		const char *fp = text_of(a, "fingerprint");
		if (strcmp(text_of(a, "kind"), "root") != 0 || strlen(wanted) < 8 ||
		    strncasecmp(fp, wanted, strlen(wanted)) != 0)
			continue;
		if (found)
			return NULL;
		found = a;
	}
	return found;
}

/* A code for every device that has lost its certificate, one line of CSV each. */
static int write_codes(struct invocation *in, const char *path, const json_t *devices)
{
	size_t i;
	const json_t *device;
	int status = EXIT_OK;
	FILE *f = fopen(path, "wx");
	if (!f) {
		print_error("%s: %s; name a new file", path, strerror(errno));
		return EXIT_USAGE;
	}
	fchmod(fileno(f), 0600);
	fprintf(f, "device,code,expires\n");
	json_array_foreach(devices, i, device)
	{
		json_t *answer = NULL;
		json_t *body = json_pack("{s:O}", "name", device);
		const unsigned code = request_send(in, "POST", "/api/v1/codes", body, &answer);
		if (code / 100 == 2)
			fprintf(f, "%s,%s,%s\n", json_string_value(device), text_of(answer, "code"),
				text_of(answer, "expires"));
		else
			status = code ? print_problem(code, answer) : EXIT_UNREACHABLE;
		json_decref(body);
		json_decref(answer);
		if (status != EXIT_OK)
			break;
	}
	if (fflush(f) || fsync(fileno(f)) || fclose(f)) {
		print_error("cannot write %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}

/* Names of the devices with a good certificate of that authority, before it is refused. */
static int list_devices(struct invocation *in, const char *issuer, json_t *devices)
{
	AUTO_CHAR after = NULL;
	json_t *seen = json_object();
	int status = EXIT_OK;
	for (bool more = true; more && status == EXIT_OK;) {
		json_t *page = NULL;
		size_t i;
		const json_t *cert;
		AUTO_CHAR path = mem_printf("/api/v1/certificates?limit=1000%s%s",
					    after ? "&after=" : "", after ? after : "");
		const unsigned code = request_send(in, "GET", path, NULL, &page);
		if (code != 200)
			status = code ? print_problem(code, page) : EXIT_UNREACHABLE;
		json_array_foreach(json_object_get(page, "items"), i, cert)
		{
			const char *device = text_of(cert, "device");
			if (!device[0] || strcmp(text_of(cert, "status"), "good") != 0 ||
			    strcmp(text_of(cert, "issuer"), issuer) != 0 ||
			    json_object_get(seen, device))
				continue;
			json_object_set_new(seen, device, json_true());
			json_array_append_new(devices, json_string(device));
		}
		const char *next = json_string_value(json_object_get(page, "next"));
		more = next != NULL;
		free(after);
		after = next ? mem_strdup(next) : NULL;
		json_decref(page);
	}
	json_decref(seen);
	return status;
}

/* The subject of the issuing authority below a root. */
static const char *issuing_of(const json_t *show, const json_t *root)
{
	size_t i;
	const json_t *a;
	json_array_foreach(json_object_get(show, "authorities"), i, a)
	{
		if (strcmp(text_of(a, "kind"), "issuing") == 0 &&
		    json_equal(json_object_get(a, "generation"),
			       json_object_get(root, "generation")))
			return text_of(a, "subject");
	}
	return "";
}

static int compromise(struct invocation *in, const json_t *show, const json_t *root)
{
	const char *codes = invocation_local(in, "codes");
	json_t *answer = NULL;
	json_t *devices = json_array();
	json_object_set(in->args, "fingerprint", json_object_get(root, "fingerprint"));
	int status = codes ? list_devices(in, issuing_of(show, root), devices) : EXIT_OK;
	if (status == EXIT_OK)
		status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		printf("%s: nothing of it is accepted any more; %lld sessions closed\n",
		       text_of(root, "subject"),
		       (long long)json_integer_value(json_object_get(answer, "sessions_closed")));
	if (status == EXIT_OK && codes)
		status = write_codes(in, codes, devices);
	if (status == EXIT_OK && codes && !in->json)
		printf("%s: enrolment codes for %zu devices; the new root is in "
		       "<state-dir>/pub/roots.pem\n",
		       codes, json_array_size(devices));
	json_decref(devices);
	json_decref(answer);
	return status;
}

int run_ca_compromise(struct invocation *in)
{
	json_t *show = NULL;
	int status = ca_get(in, &show);
	const json_t *root = status == EXIT_OK ? chosen_root(in, show) : NULL;
	if (status == EXIT_OK && !root) {
		print_error("%s: no root, or more than one, has a fingerprint that begins "
			    "so; "
			    "give 8 digits or more, as ca show says them",
			    text_of(in->args, "fingerprint"));
		status = EXIT_NOT_FOUND;
	} else if (status == EXIT_OK) {
		status = compromise(in, show, root);
	}
	json_decref(show);
	return status;
}

/* ---- check ---- */

static void print_findings(const struct invocation *in, const json_t *items)
{
	size_t i;
	const json_t *item;
	json_array_foreach(items, i, item)
	{
		if (in->json)
			print_json_line(item);
		else
			printf("%.16s %s: %s\n", text_of(item, "fingerprint"),
			       text_of(item, "name"), text_of(item, "problem"));
	}
}

int run_ca_check(struct invocation *in)
{
	json_int_t checked = 0;
	size_t found = 0;
	int status = EXIT_OK;
	for (bool more = true; more && status == EXIT_OK;) {
		json_t *part = NULL;
		status = request_command(in, &part);
		if (status == EXIT_OK) {
			const json_t *items = json_object_get(part, "items");
			print_findings(in, items);
			found += json_array_size(items);
			checked += json_integer_value(json_object_get(part, "checked"));
		}
		json_t *next = json_object_get(part, "next");
		more = json_is_string(next);
		if (more)
			json_object_set(in->args, "after", next);
		json_decref(part);
	}
	if (status != EXIT_OK)
		return status;
	if (in->json)
		printf("{\"checked\":%lld,\"problems\":%zu}\n", (long long)checked, found);
	else
		printf("%lld certificates, their journal and their rows in the registry: %zu "
		       "problem%s\n",
		       (long long)checked, found, found == 1 ? "" : "s");
	return found ? EXIT_REFUSED : EXIT_OK;
}
