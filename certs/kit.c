/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a bundle: see kit.h.
 */
#include "certs/kit.h"
#include "certs/examples.h"
#include "daemon/base/mem.h"

enum { HOST_MAX = 255 };

bool kit_is_host(struct str host)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789.:_%-";
	for (size_t i = 0; i < host.n; i++)
		if (!host.p[i] || !strchr(allowed, host.p[i]))
			return false;
	return host.n > 0 && host.n <= HOST_MAX && host.p[0] != '-';
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

static void put_readme(struct buf *out, const struct kit *k)
{
	buf_printf(
		out,
		"Device %s of the gateway %s, port %s (MQTT 3.1.1 or 5.0 over TLS).\n\n"
		"device.key   private key: %s;\n"
		"             keep it secret, copy it to the device\n"
		"device.crt   certificate with its issuer, valid until %s\n"
		"ca.crt       the root certificate by which the device knows the gateway\n"
		"client.env   host, port and client identifier as shell variables\n"
		"%s"
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
		k->device, k->host, k->port,
		k->maker == KIT_MADE_HERE ? "it exists only here"
					  : "the gateway made it and did not keep it",
		k->not_after,
		/* The command line may add one; the bundle of the gateway is one or the other. */
		k->maker == KIT_MADE_HERE
			? "device.p12   (with --p12) the same under a passphrase, as PKCS#12\n"
			: "",
		k->device);
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

static int put_examples(const struct kit *k,
			int (*put)(void *arg, const char *name, mode_t mode, struct str bytes),
			void *arg)
{
	const struct example_values values = {k->device, k->host, k->port, k->est, k->dir};
	for (const struct example *e = examples; e->name; e++) {
		AUTO_CHAR name = mem_printf("examples/%s", e->name);
		AUTO_BUF text = {0};
		example_put(e, &values, &text);
		const int err = put(arg, name, example_mode(e), buf_view(&text));
		if (err)
			return err;
	}
	return 0;
}

int kit_each(const struct kit *k,
	     int (*put)(void *arg, const char *name, mode_t mode, struct str bytes), void *arg)
{
	AUTO_BUF env = {0};
	AUTO_BUF readme = {0};
	put_variable(&env, "MQTT_HOST", k->host);
	put_variable(&env, "MQTT_PORT", k->port);
	put_variable(&env, "MQTT_CLIENT_ID", k->device);
	put_variable(&env, "EST_URL", k->est);
	put_readme(&readme, k);
	const struct {
		const char *name;
		mode_t mode;
		struct str bytes;
	} files[] = {
		{"device.key", 0600, k->key},         {"device.crt", 0644, k->chain},
		{"ca.crt", 0644, k->roots},           {"connect.sh", 0755, str_of(connect_script)},
		{"client.env", 0644, buf_view(&env)}, {"README", 0644, buf_view(&readme)},
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		const bool elsewhere = i == 0 && k->key.n == 0;
		const int err =
			elsewhere ? 0 : put(arg, files[i].name, files[i].mode, files[i].bytes);
		if (err)
			return err;
	}
	return put_examples(k, put, arg);
}
