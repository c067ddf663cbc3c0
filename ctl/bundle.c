/* SPDX-License-Identifier: Apache-2.0
 *
 * A bundle: the directory with which a device connects. The key in it was made by this program and
 * is nowhere else.
 */
#include "certs/key.h"
#include "certs/p12.h"
#include "ctl/address.h"
#include "ctl/ctl.h"
#include "ctl/examples.h"
#include "ctl/file.h"
#include "ctl/zip.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_empty(const char *dir)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	if (!d && errno == ENOENT)
		return EXIT_OK;
	if (!d) {
		fprintf(stderr, "gatehouse: --bundle %s: %s\n", dir, strerror(errno));
		return EXIT_USAGE;
	}
	while ((e = readdir(d)) && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0))
		;
	closedir(d);
	if (e) {
		fprintf(stderr,
			"gatehouse: --bundle %s: there are files in it already; name a new "
			"directory\n",
			dir);
		return EXIT_CONFLICT;
	}
	return EXIT_OK;
}

static int write_file(const char *dir, const char *name, mode_t mode, struct str bytes)
{
	AUTO_CHAR path = mem_printf("%s/%s", dir, name);
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	if (fd < 0 || fd_write(fd, bytes) || fsync(fd) < 0) {
		fprintf(stderr, "gatehouse: cannot write %s: %s\n", path, strerror(errno));
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

int bundle_begin(const char *dir, struct str key_pem, bool *made)
{
	*made = false;
	int status = check_empty(dir);
	if (status != EXIT_OK)
		return status;
	*made = mkdir(dir, 0700) == 0;
	if (!*made && errno != EEXIST) {
		fprintf(stderr, "gatehouse: cannot make %s: %s\n", dir, strerror(errno));
		return EXIT_FAILED;
	}
	status = write_file(dir, "device.key", 0600, key_pem);
	if (status != EXIT_OK)
		bundle_abandon(dir, *made);
	return status;
}

void bundle_abandon(const char *dir, bool made)
{
	AUTO_CHAR key = mem_printf("%s/device.key", dir);
	unlink(key);
	if (made)
		rmdir(dir);
}

bool bundle_is_host(const char *host)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789.:_%-";
	const size_t n = strlen(host);
	return n > 0 && n < ADDRESS_HOST && host[0] != '-' && strspn(host, allowed) == n;
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static const char connect_script[] =
	"#!/bin/sh\n"
	"# Connects with the key and the certificate beside this script.\n"
	"#   ./connect.sh pub TOPIC MESSAGE [mosquitto_pub options]\n"
	"#   ./connect.sh sub TOPIC [mosquitto_sub options]\n"
	"# It publishes with MQTT 5.0, which tells a sender that a message was refused.\n"
	"set -eu\n"
	"here=$(CDPATH='' cd -- \"$(dirname -- \"$0\")\" && pwd)\n"
	". \"$here/client.env\"\n"
	"usage() {\n"
	"\techo \"usage: $0 pub TOPIC MESSAGE | sub TOPIC  (needs Debian's package "
	"mosquitto-clients)\" >&2\n"
	"\texit 2\n"
	"}\n"
	"[ $# -ge 1 ] || usage\n"
	"verb=$1\n"
	"shift\n"
	"tls() {\n"
	"\tprogram=$1\n"
	"\tshift\n"
	"\texec \"$program\" -h \"$MQTT_HOST\" -p \"$MQTT_PORT\" -i \"$MQTT_CLIENT_ID\" \\\n"
	"\t\t--cafile \"$here/ca.crt\" --cert \"$here/device.crt\" --key \"$here/device.key\" "
	"\"$@\"\n"
	"}\n"
	"case $verb in\n"
	"pub)\n"
	"\t[ $# -ge 2 ] || usage\n"
	"\ttopic=$1 message=$2\n"
	"\tshift 2\n"
	"\ttls mosquitto_pub -t \"$topic\" -m \"$message\" -q 1 -V 5 \"$@\" ;;\n"
	"sub)\n"
	"\t[ $# -ge 1 ] || usage\n"
	"\ttopic=$1\n"
	"\tshift\n"
	"\ttls mosquitto_sub -t \"$topic\" -v -q 1 \"$@\" ;;\n"
	"*) usage ;;\n"
	"esac\n";

static void put_readme(struct buf *out, const struct bundle *b, const char *host, const char *port)
{
	buf_printf(
		out,
		"Device %s of the gateway %s, port %s (MQTT 3.1.1 or 5.0 over TLS).\n\n"
		"device.key   private key: it exists only here; keep it secret, copy it to the "
		"device\n"
		"device.crt   certificate with its issuer, valid until %s\n"
		"ca.crt       the root certificate by which the device knows the gateway\n"
		"client.env   host, port and client identifier as shell variables\n"
		"device.p12   (with --p12) the same under a passphrase, as PKCS#12\n"
		"examples     for other programs and boards: Paho, MQTT.js, Node-RED, Telegraf, a "
		"Mosquitto\n"
		"             bridge, renewal by EST; ESP-IDF, Arduino, Tasmota, Zigbee2MQTT, Home "
		"Assistant\n"
		"connect.sh   publishes or subscribes with the above:\n\n"
		"    ./connect.sh sub 'some/topic/#'\n"
		"    ./connect.sh pub some/topic hello\n\n"
		"With any other client: give it ca.crt, device.crt and device.key. No user name "
		"and no\n"
		"password is needed. What the device may do is shown by: gatehouse device show "
		"%s\n",
		b->device, host, port, text_of(b->certificate, "not_after"), b->device);
}

/* A line for a shell, whatever the value. */
static void put_variable(struct buf *out, const char *name, const char *value)
{
	buf_printf(out, "%s='", name);
	for (; *value; value++) {
		if (*value == '\'')
			buf_puts(out, "'\\''");
		else
			buf_putc(out, *value);
	}
	buf_puts(out, "'\n");
}

static int write_p12(const struct bundle *b)
{
	AUTO_CHAR path = mem_printf("%s/device.key", b->dir);
	AUTO_SECRET key = {0};
	AUTO_BUF der = {0};
	const char *cause;
	struct why why;
	if (!b->p12)
		return EXIT_OK;
	if (file_read(path, KEY_FILE_MAX, &key, &cause)) {
		fprintf(stderr, "gatehouse: %s: %s\n", path, cause);
		return EXIT_FAILED;
	}
	const struct p12_parts parts = {
		.key = buf_view(&key),
		.chain = str_of(text_of(b->certificate, "pem")),
		.roots = str_of(text_of(b->certificate, "roots_pem")),
		.name = str_of(b->device),
	};
	if (p12_make(&parts, b->passphrase, b->legacy ? P12_LEGACY : P12_MODERN, &der, &why)) {
		fprintf(stderr, "gatehouse: device.p12: %s\n", why.text);
		return EXIT_FAILED;
	}
	return write_file(b->dir, "device.p12", 0600, buf_view(&der));
}

/* The directory from the root, in what may stand between quotes in any of the examples. */
static void put_dir(const char *dir, struct buf *out)
{
	char *full = realpath(dir, NULL);
	const char *shown = full ? full : dir;
	buf_puts(out, strpbrk(shown, "\"'\\\n\t@$`") ? "/path/to/the/bundle" : shown);
	free(full);
}

static int write_examples(const struct bundle *b, const struct address *at, const char *est)
{
	AUTO_CHAR dir = mem_printf("%s/examples", b->dir);
	AUTO_BUF place = {0};
	int status = EXIT_OK;
	put_dir(b->dir, &place);
	const struct example_values values = {b->device, at->host, at->port, est, buf_cstr(&place)};
	if (mkdir(dir, 0755)) {
		fprintf(stderr, "gatehouse: cannot make %s: %s\n", dir, strerror(errno));
		return EXIT_FAILED;
	}
	for (const struct example *e = examples; e->name && status == EXIT_OK; e++) {
		AUTO_BUF text = {0};
		example_put(e, &values, &text);
		status = write_file(dir, e->name, example_mode(e), buf_view(&text));
	}
	return status;
}

static int write_zip(const struct bundle *b)
{
	AUTO_SECRET zip = {0};
	AUTO_FD fd = open(b->zip, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0 && zip_directory(b->dir, b->device, &zip) == 0 &&
	    fd_write(fd, buf_view(&zip)) == 0 && fsync(fd) == 0)
		return EXIT_OK;
	fprintf(stderr, "gatehouse: cannot write %s: %s; the bundle is whole in %s\n", b->zip,
		strerror(errno), b->dir);
	return EXIT_FAILED;
}

int bundle_write(const struct bundle *b)
{
	struct address at;
	struct address enrol;
	char authority[ADDRESS_HOST + ADDRESS_PORT + 4];
	AUTO_BUF env = {0};
	AUTO_BUF readme = {0};
	/* "mqtts", or "mqtts+wss" where both are spoken */
	address_choose(b->status, NULL, "mqtts", b->host, "8883", &at);
	put_variable(&env, "MQTT_HOST", at.host);
	put_variable(&env, "MQTT_PORT", at.port);
	put_variable(&env, "MQTT_CLIENT_ID", b->device);
	address_choose(b->status, "enrol", NULL, b->host, "8444", &enrol);
	address_url(&enrol, authority);
	AUTO_CHAR est = mem_printf("https://%s", authority);
	put_variable(&env, "EST_URL", est);
	put_readme(&readme, b, at.host, at.port);
	const struct {
		const char *name;
		mode_t mode;
		struct str bytes;
	} files[] = {
		{"device.crt", 0644, str_of(text_of(b->certificate, "pem"))},
		{"ca.crt", 0644, str_of(text_of(b->certificate, "roots_pem"))},
		{"connect.sh", 0755, str_of(connect_script)},
		{"client.env", 0644, buf_view(&env)},
		{"README", 0644, buf_view(&readme)},
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const int status = write_file(b->dir, files[i].name, files[i].mode, files[i].bytes);
		if (status != EXIT_OK)
			return status;
	}
	int status = write_p12(b);
	if (status == EXIT_OK)
		status = write_examples(b, &at, est);
	return status == EXIT_OK && b->zip ? write_zip(b) : status;
}
