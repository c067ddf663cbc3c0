/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse ca export-root, and ca rollover, whose first step may need the root's key: it is read
 * from its file here, certifies the next root here, and is forgotten. It never goes back to the
 * gateway's processes.
 */
#include "certs/key.h"
#include "certs/pem.h"
#include "certs/profile.h"
#include "ctl/cmd_ca.h"
#include "ctl/file.h"
#include "ctl/host_files.h"
#include "ctl/passphrase.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool read_certificate(const json_t *authority, struct certificate *out)
{
	struct str text = str_of(text_of(authority, "pem"));
	struct str label;
	struct why why;
	AUTO_BUF der = {0};
	return pem_next(&text, &label, &der) == 0 &&
	       profile_read(buf_view(&der), text_of(authority, "name"), out, &why) == 0;
}

static bool belongs(const struct key *key, const json_t *authority)
{
	struct certificate c;
	if (!read_certificate(authority, &c))
		return false;
	const bool same = str_eq(key_spki(key), certificate_spki(&c));
	certificate_fini(&c);
	return same;
}

/* ---- export ---- */

/* The root whose key is here; the one in use first. */
static const json_t *root_here(const json_t *show)
{
	const json_t *active = ca_find(show, "root", "state", "active");
	if (strcmp(text_of(active, "key"), "here") == 0)
		return active;
	return ca_find(show, "root", "key", "here");
}

static bool load_root(const char *state_dir, const json_t *root, struct key **out)
{
	struct host_keys keys;
	struct why why;
	AUTO_SECRET pem = {0};
	AUTO_CHAR file = mem_printf("%s.key", text_of(root, "name"));
	host_keys_read(state_dir, &keys);
	const bool read = host_read_key(state_dir, &keys, file, &pem);
	secret_wipe(&keys, sizeof(keys));
	if (!read)
		return false;
	if (key_parse(buf_view(&pem), file, out, &why)) {
		print_error("%s", why.text);
		return false;
	}
	if (belongs(*out, root))
		return true;
	print_error("%s/vault/%s does not belong to the root certificate", state_dir, file);
	key_unref(*out);
	return false;
}

/* What was written opens with the passphrase and is the key. */
static bool opens(const char *path, struct str passphrase, const struct key *key)
{
	AUTO_SECRET bytes = {0};
	const char *cause;
	struct why why;
	struct key *found = NULL;
	if (file_read(path, KEY_FILE_MAX, &bytes, &cause) ||
	    key_parse_encrypted(buf_view(&bytes), path, passphrase, &found, &why))
		return false;
	AUTO(key) again = found;
	return str_eq(key_spki(again), key_spki(key));
}

static int write_root(const char *path, const struct key *key)
{
	AUTO_SECRET passphrase = {0};
	AUTO_SECRET pem = {0};
	if (!passphrase_ask("Passphrase for the file", true, PASSPHRASE_MIN, PASSPHRASE_MAX,
			    &passphrase))
		return EXIT_USAGE;
	if (key_write_encrypted(key, buf_view(&passphrase), &pem)) {
		print_error("the passphrase has characters that cannot be used: no "
			    "controls, please");
		return EXIT_USAGE;
	}
	if (!host_write_secret(path, buf_view(&pem)))
		return EXIT_FAILED;
	if (opens(path, buf_view(&passphrase), key))
		return EXIT_OK;
	print_error("%s was written but does not open; the key stays where it is", path);
	return EXIT_FAILED;
}

static int forget_root(struct invocation *in, const json_t *root)
{
	json_t *answer = NULL;
	json_t *body = json_pack("{s:O}", "fingerprint", json_object_get(root, "fingerprint"));
	const unsigned code = request_send(in, "POST", "/api/v1/ca/forget-root", body, &answer);
	const int status = code == 200 ? EXIT_OK
			   : code      ? print_problem(code, answer)
				       : EXIT_UNREACHABLE;
	json_decref(body);
	json_decref(answer);
	return status;
}

static void say_exported(const struct invocation *in, const char *path, const json_t *root,
			 bool keep)
{
	if (in->json) {
		json_t *line = json_pack("{s:s, s:O, s:b}", "file", path, "fingerprint",
					 json_object_get(root, "fingerprint"), "removed", !keep);
		print_json_line(line);
		json_decref(line);
		return;
	}
	printf("%s: the key of \"%s\", encrypted (PKCS#8)\n", path, text_of(root, "subject"));
	ca_print_fingerprint("root SHA-256 ", root);
	puts(keep ? "The key is still on this machine as well."
		  : "The key is no longer on this machine. Keep the file and its passphrase in two "
		    "safe places: a rollover needs both.");
}

static int export_root(struct invocation *in, const char *path, const json_t *show)
{
	const json_t *root = root_here(show);
	struct key *loaded = NULL;
	const bool keep = invocation_switch(in, "keep");
	if (!root) {
		print_error("no root key is on this machine");
		return EXIT_NOT_FOUND;
	}
	AUTO_CHAR state_dir = host_state_dir(in);
	if (!state_dir || !load_root(state_dir, root, &loaded))
		return EXIT_FAILED;
	AUTO(key) key = loaded;
	int status = write_root(path, key);
	if (status == EXIT_OK && !keep)
		status = forget_root(in, root);
	if (status == EXIT_OK)
		say_exported(in, path, root, keep);
	return status;
}

int run_ca_export_root(struct invocation *in)
{
	json_t *show = NULL;
	AUTO_CHAR path = mem_strdup(text_of(in->args, "file"));
	if (!host_may_read(in))
		return EXIT_REFUSED;
	int status = ca_get(in, &show);
	if (status == EXIT_OK)
		status = export_root(in, path, show);
	json_decref(show);
	return status;
}

/* ---- rollover ---- */

int ca_post(struct invocation *in, const char *path, json_t *body, json_t **answer)
{
	const unsigned code = request_send(in, "POST", path, body, answer);
	json_decref(body);
	return code == 200 ? EXIT_OK : code ? print_problem(code, *answer) : EXIT_UNREACHABLE;
}

int ca_step(struct invocation *in, const struct ca_step *step, json_t **answer)
{
	json_t *body = json_pack("{s:s, s:b}", "step", step->word, "force", step->force);
	if (step->root)
		json_object_set_new(body, "root", json_string(step->root));
	return ca_post(in, "/api/v1/ca/rollover", body, answer);
}

static int step(struct invocation *in, const char *word, json_t **answer)
{
	const struct ca_step wanted = {
		.word = word,
		.root = invocation_local(in, "root"),
		.force = invocation_switch(in, "force"),
	};
	return ca_step(in, &wanted, answer);
}

static bool ask_pin(const char *token, struct buf *pin)
{
	AUTO_CHAR prompt = mem_printf("PIN of the token %s", token);
	return passphrase_ask(prompt, false, 1, PASSPHRASE_MAX, pin);
}

static int open_token(const char *url, struct key **out)
{
	struct why why;
	const int err = key_open_token(url, ask_pin, out, &why);
	if (err)
		print_error("--root-key: %s", why.text);
	return err == 0 ? EXIT_OK : err == ERR_DENIED ? EXIT_REFUSED : EXIT_USAGE;
}

int ca_read_root_key(const char *path, struct key **out)
{
	AUTO_SECRET bytes = {0};
	AUTO_SECRET passphrase = {0};
	const char *cause;
	struct why why;
	struct key *found = NULL;
	if (key_is_url(path))
		return open_token(path, out);
	if (file_read(path, KEY_FILE_MAX, &bytes, &cause)) {
		print_error("--root-key %s: %s", path, cause);
		return EXIT_USAGE;
	}
	int err;
	if (!key_is_encrypted(buf_view(&bytes)))
		err = key_parse(buf_view(&bytes), path, &found, &why);
	else if (passphrase_ask("Passphrase of the root key", false, 1, PASSPHRASE_MAX,
				&passphrase))
		err = key_parse_encrypted(buf_view(&bytes), path, buf_view(&passphrase), &found,
					  &why);
	else
		return EXIT_USAGE;
	if (err) {
		print_error("%s", why.text);
		return err == ERR_DENIED ? EXIT_REFUSED : EXIT_USAGE;
	}
	*out = found;
	return EXIT_OK;
}

static int read_root_key(const char *path, const json_t *root, struct key **out)
{
	struct key *found = NULL;
	const int status = ca_read_root_key(path, &found);
	if (status != EXIT_OK)
		return status;
	AUTO(key) key = found;
	if (!belongs(key, root)) {
		print_error("--root-key %s: not the key of the root in use, \"%s\"", path,
			    text_of(root, "subject"));
		return EXIT_REFUSED;
	}
	*out = TAKE(key);
	return EXIT_OK;
}

static int cross_sign(struct invocation *in, const json_t *show, struct key *key, json_t **answer)
{
	struct certificate old, next, cross;
	struct why why = {"the certificates of the authority cannot be read"};
	AUTO_BUF pem = {0};
	int err = ERR_MALFORMED;
	if (!read_certificate(ca_find(show, "root", "state", "active"), &old))
		return EXIT_FAILED;
	if (read_certificate(ca_find(show, "root", "state", "next"), &next)) {
		err = certificate_cross(&next, &old, key, clock_wall(), &cross, &why);
		certificate_fini(&next);
	}
	certificate_fini(&old);
	if (err) {
		print_error("%s", why.text);
		return EXIT_FAILED;
	}
	pem_put("CERTIFICATE", buf_view(&cross.der), &pem);
	certificate_fini(&cross);
	return ca_post(in, "/api/v1/ca/cross", json_pack("{s:s}", "certificates", buf_cstr(&pem)),
		       answer);
}

static bool has_cross(const json_t *show)
{
	return ca_find(show, "cross", "state", "next") != NULL;
}

static int start(struct invocation *in, const json_t *show, json_t **answer)
{
	const char *path = invocation_local(in, "root-key");
	const json_t *root = ca_find(show, "root", "state", "active");
	struct key *loaded = NULL;
	const bool resumed = path && ca_find(show, "root", "state", "next");
	int status = path ? read_root_key(path, root, &loaded) : EXIT_OK;
	if (status == EXIT_OK && !resumed)
		status = step(in, "start", answer);
	if (loaded && status == EXIT_OK) {
		const json_t *now = resumed ? show : *answer;
		json_t *after = NULL;
		status = has_cross(now) ? EXIT_OK : cross_sign(in, now, loaded, &after);
		if (after) {
			json_decref(*answer);
			*answer = after;
		}
	}
	if (loaded)
		key_unref(loaded);
	return status;
}

static void print_state(const json_t *show)
{
	const char *state = text_of(show, "rollover");
	const json_int_t left = json_integer_value(json_object_get(show, "devices_left"));
	const json_t *active = ca_find(show, "root", "state", "active");
	const json_t *next = ca_find(show, "root", "state", "next");
	printf("in use      %s\n", text_of(active, "subject"));
	if (next) {
		printf("next        %s%s\n", text_of(next, "subject"),
		       has_cross(show) ? ", certified by the one in use"
				       : ", NOT certified by the one in use");
		puts(has_cross(show)
			     ? "Give devices the new root if you can (it is in pub/roots.pem, "
			       "bundles and EST cacerts), then: gatehouse ca rollover switch"
			     : "Devices that know only the older root would leave at the switch: "
			       "gatehouse ca rollover start --root-key FILE certifies it");
	} else if (strcmp(state, "retiring") == 0) {
		const json_t *old = ca_find(show, "root", "state", "retiring");
		printf("retiring    %s\n", text_of(old, "subject"));
		printf("%lld %s of it alone%s\n", (long long)left,
		       left == 1 ? "device has certificates" : "devices have certificates",
		       left ? ": they renew in time, or enrol again"
			    : ": gatehouse ca rollover finish ends it");
		puts("Before that every device must trust the new root: renewals over EST fetch it "
		     "when "
		     "they are told to (see code add); devices with a password, and files copied "
		     "by "
		     "hand, need it from you.");
	} else {
		puts("No rollover is under way: gatehouse ca rollover start begins one.");
	}
}

static bool is_step(const char *word)
{
	static const char *const steps[] = {"start", "status", "switch", "finish", "abort"};
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		if (strcmp(word, steps[i]) == 0)
			return true;
	print_error("\"%s\" is no step of a rollover; they are start, status, switch, "
		    "finish "
		    "and abort",
		    word);
	return false;
}

/* What the step was the end of; before it. */
static void print_over(const json_t *before, const char *word)
{
	const bool given_up = strcmp(word, "abort") == 0;
	const json_t *old = ca_find(before, "root", "state", given_up ? "next" : "retiring");
	if (old && given_up)
		printf("given up    %s: it never issued, its keys are gone\n",
		       text_of(old, "subject"));
	else if (old && strcmp(word, "finish") == 0)
		printf("over        %s: its certificates are refused, its keys are gone\n",
		       text_of(old, "subject"));
}

int run_ca_rollover(struct invocation *in)
{
	json_t *show = NULL;
	json_t *answer = NULL;
	AUTO_CHAR word = mem_strdup(text_of(in->args, "step"));
	if (!is_step(word))
		return EXIT_USAGE;
	int status = ca_get(in, &show);
	if (status == EXIT_OK && strcmp(word, "start") == 0)
		status = start(in, show, &answer);
	else if (status == EXIT_OK && strcmp(word, "status") != 0)
		status = step(in, word, &answer);
	const json_t *now = answer ? answer : show;
	if (status == EXIT_OK && in->json) {
		print_json_line(now);
	} else if (status == EXIT_OK) {
		print_over(show, word);
		print_state(now);
	}
	json_decref(show);
	json_decref(answer);
	return status;
}
