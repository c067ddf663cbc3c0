/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes gatehouse.conf(5) to standard output from schema.def, so that the manual cannot differ
 * from the program. The argument is the version. Runs once in the build, on the building machine;
 * not installed. man(7) macros, and tbl(1) for the table of limits.
 */
#include "daemon/conf/value.h"

#include <stdio.h>

static const char head[] =
	".SH NAME\n"
	"gatehouse.conf \\- configuration of the MQTT gateway gatehoused\n"
	".SH SYNOPSIS\n"
	".I /etc/gatehouse/gatehouse.conf\n"
	".SH DESCRIPTION\n"
	"Every setting has a default that suits one gateway on a local network; an empty file, or "
	"one\n"
	"with a single listener, is a good configuration. A change takes effect with\n"
	".BR \"systemctl reload gatehouse\" ,\n"
	"or with a restart where the setting says so.\n"
	".B gatehoused \\-\\-test\\-config\n"
	"judges a file without touching the running gateway, and\n"
	".B gatehouse config list\n"
	"prints what is in force and where each value comes from.\n"
	".PP\n"
	"The file consists of sections and of settings within them:\n"
	".PP\n"
	".RS 4\n"
	".EX\n"
	"# a comment has a line of its own\n"
	"[broker]\n"
	"max\\-packet = 256K\n"
	"\n"
	"[listener mqtts]\n"
	"bind = *:8883\n"
	"auth = certificate\n"
	"\n"
	"[listener workshop]\n"
	"bind = 192.168.7.1:1883\n"
	"tls = off\n"
	"auth = password\n"
	"allow\\-from = 192.168.7.0/24\n"
	".EE\n"
	".RE\n"
	".PP\n"
	"A line whose first character is # or ; is a comment; further on in a line both are part "
	"of the\n"
	"value. Nothing is quoted and no line continues on the next. A section, except\n"
	".BR listener ,\n"
	"and a setting within it may stand in a file only once. What is not listed here is an "
	"error, never\n"
	"ignored.\n"
	".PP\n"
	"A setting is looked for on the command line\n"
	".RB ( \"gatehoused \\-o\" \" \\fISECTION.KEY=VALUE\\fR, for a listener \"\n"
	".BR \\-o \" \\fIlistener.NAME.KEY=VALUE\\fR),\"\n"
	"then in this file, then in\n"
	".I settings.conf\n"
	"in the state directory, where the gateway keeps what is set in the interface or with\n"
	".BR \"gatehouse config set\" .\n"
	"So what stands in this file cannot be changed from the interface, which shows it with the "
	"line\n"
	"where it is set.\n"
	".SH VALUES\n"
	".TP\n"
	".B on or off\n"
	"One of the two words.\n"
	".TP\n"
	".B number\n"
	"Decimal digits.\n"
	".TP\n"
	".B size\n"
	"A number of bytes, or one followed by K (1024 bytes), M (1024 K) or G (1024 M).\n"
	".TP\n"
	".B time\n"
	"A number followed by its unit: ms, s, min, h or d.\n"
	".TP\n"
	".B word\n"
	"One of the words that are listed.\n"
	".TP\n"
	".BR name \", \" \"list of names\"\n"
	"A DNS name or an IP address. The entries of every list are separated by commas; there are "
	"at\n"
	"most 64.\n"
	".TP\n"
	".B path\n"
	"An absolute path.\n"
	".TP\n"
	".B list of addresses\n"
	"ADDRESS:PORT for IPv4, [ADDRESS]:PORT for IPv6, *:PORT for all addresses of both kinds.\n"
	".TP\n"
	".B list of networks\n"
	"Networks as ADDRESS/LENGTH, such as 192.168.7.0/24 or fd00::/8, or single addresses.\n";

static const char foot[] =
	".SH CERTIFICATES OF OTHERS\n"
	"With a certificate that browsers know, such as one of Let\\(aqs Encrypt, nobody has to "
	"compare a\n"
	"fingerprint before the first login:\n"
	".PP\n"
	".RS 4\n"
	".EX\n"
	"[admin]\n"
	"certificate = /etc/letsencrypt/live/gate.example.org/fullchain.pem\n"
	"key = /etc/letsencrypt/live/gate.example.org/privkey.pem\n"
	".EE\n"
	".RE\n"
	".PP\n"
	"The file of the certificate has that of the server first, then that of each issuer. A "
	"renewal is\n"
	"used within half a minute, and no connection ends. To have it used at once, and to hear "
	"from\n"
	".BR certbot (1)\n"
	"when it cannot be, let it run\n"
	".PP\n"
	".RS 4\n"
	".EX\n"
	"#!/bin/sh\n"
	"exec gatehouse config reload\n"
	".EE\n"
	".RE\n"
	".PP\n"
	"as\n"
	".I /etc/letsencrypt/renewal\\-hooks/deploy/gatehouse\n"
	"(mode 0755). A pair that does not belong together, a chain out of order, a certificate "
	"that has\n"
	"ended or a key that others may read is refused, and the old one stays;\n"
	".B gatehouse status\n"
	"shows when the one in use ends, and\n"
	".B gatehouse security check\n"
	"warns 10 days before. All this holds for\n"
	".BR certificate \" and \" key\n"
	"of a listener as well; but devices then need the root that this certificate leads to, in "
	"place of\n"
	"the gateway\\(aqs. Where AppArmor confines the gateway, files elsewhere than below\n"
	".IR /etc/gatehouse , \" /etc/ssl \" and \" /etc/letsencrypt\"\n"
	"must be allowed in\n"
	".IR /etc/apparmor.d/local/gatehoused .\n"
	".SH FILES\n"
	".TP\n"
	".I /etc/gatehouse/gatehouse.conf\n"
	"This file, written by the administrator and by nobody else.\n"
	".TP\n"
	".I /var/lib/gatehouse/settings.conf\n"
	"The same grammar, written by the gateway. It holds none of the settings that are marked\n"
	"\\(lqonly in gatehouse.conf\\(rq.\n"
	".SH SEE ALSO\n"
	".BR gatehouse (1),\n"
	".BR gatehoused (8)\n";

/* Text for troff: backslashes and dashes as they are, no line that looks like a request. */
static void put(const char *text)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", stdout);
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

static void put_line(const char *text)
{
	put(text);
	putchar('\n');
}

static void put_default(const struct conf_key *key)
{
	const char *dot = strchr(key->def, '.');
	fputs(".br\nDefault: ", stdout);
	if (key->flags & CONF_REQUIRED) {
		fputs("none, it must be set.", stdout);
	} else if (key->def[0] == '\0') {
		fputs("empty.", stdout);
	} else if (strcmp(key->def, "@host") == 0) {
		fputs("the name of the machine.", stdout);
	} else if (key->def[0] == '@' && dot) {
		fputs("\\fB", stdout);
		put(dot + 1);
		printf("\\fR of [%.*s].", (int)(dot - key->def - 1), key->def + 1);
	} else {
		fputs("\\fB", stdout);
		put(key->def);
		fputs("\\fR.", stdout);
	}
}

static void put_allowed(const struct conf_key *key)
{
	AUTO_BUF text = {0};
	if (key->type != CONF_INT && key->type != CONF_SIZE && key->type != CONF_DURATION)
		return;
	conf_value_print_range(key, &text);
	fputs(" Allowed: ", stdout);
	put(buf_cstr(&text));
	putchar('.');
}

static void put_choices(const struct conf_key *key)
{
	if (!key->choices)
		return;
	puts(".RS");
	for (const struct conf_choice *c = key->choices; c->word; c++) {
		fputs(".IP \\fB", stdout);
		put(c->word);
		puts("\\fR 14");
		put_line(c->text);
	}
	puts(".RE");
}

static void put_key(const struct conf_key *key)
{
	fputs(".TP\n\\fB", stdout);
	put(key->word);
	printf("\\fR = \\fI%s\\fR\n", conf_type_name(key->type));
	put_line(key->text);
	put_line(key->why);
	put_default(key);
	put_allowed(key);
	if (key->flags & CONF_RESTART)
		fputs(" A change needs a restart.", stdout);
	if (key->flags & CONF_FILE_ONLY)
		fputs(" Only in gatehouse.conf.", stdout);
	putchar('\n');
	put_choices(key);
}

/* A row, and below it the reason across all columns. */
static void put_limit(const struct conf_limit *l)
{
	const struct conf_key *key = &conf_key[l->key];
	puts(".T&\nlB l lx.");
	put(key->word);
	putchar('\t');
	put(strcmp(key->def, "0") == 0 ? "0 (none)" : key->def);
	putchar('\t');
	put(l->before);
	puts("\n.T&\nl s sx.\nT{");
	put_line(key->why);
	puts("T}");
}

static void put_limits(void)
{
	puts(".SH LIMITS");
	put_line(
		"What strangers and devices may cost, with the reason for each bound. All are "
		"settings "
		"of [broker], but for the last three, of [store] and [events]. What reaches one is "
		"counted (gatehouse status, /metrics) and told in an event that names the setting "
		"and "
		"its value. The third column is what a stack of NGINX and Mosquitto had in its "
		"place, "
		"as gatehouse migrate finds it or by their defaults.");
	puts(".PP\n.nh\n.TS\nlB lB lBx.");
	puts("Setting\tDefault\tBefore");
	for (size_t i = 0; i < conf_limits; i++)
		put_limit(&conf_limit[i]);
	puts(".TE\n.hy");
}

int main(int argc, char **argv)
{
	puts("'\\\" t");
	puts(".\\\" Generated from daemon/conf/schema.def");
	printf(".TH GATEHOUSE.CONF 5 \"\" \"Gatehouse %s\" \"Gatehouse\"\n",
	       argc > 1 ? argv[1] : "");
	fputs(head, stdout);
	for (size_t s = 0; s < CONF_SECTIONS; s++) {
		printf(".SH [%s%s]\n", conf_section[s].word, conf_section[s].named ? " NAME" : "");
		put_line(conf_section[s].text);
		for (size_t k = conf_section[s].first; k < conf_section[s].last; k++)
			put_key(&conf_key[k]);
	}
	put_limits();
	fputs(foot, stdout);
	return ferror(stdout) || fflush(stdout);
}
