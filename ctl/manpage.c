/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes what is made from the table of commands at build time: `manpage man VERSION`
 * gatehouse(1). The event reference comes from events.def. Not
 * installed.
 */
#include "ctl/ctl.h"
#include "daemon/base/events.h"

#include <ctype.h>
#include <stdio.h>

/* The commands' functions are not linked here; the table only needs their names. */
int run_plain(struct invocation *in)
{
	(void)in;
	return 0;
}
#define NOT_LINKED(name)                \
	int name(struct invocation *in) \
	{                               \
		return run_plain(in);   \
	}
NOT_LINKED(run_status)
NOT_LINKED(run_state_export)
NOT_LINKED(run_state_apply)
NOT_LINKED(run_revision_show)
NOT_LINKED(run_revision_revert)
NOT_LINKED(run_config_confirm)
NOT_LINKED(run_config_reload)
NOT_LINKED(run_device_add)
NOT_LINKED(run_device_import)
NOT_LINKED(run_device_set)
NOT_LINKED(run_cert_add)
NOT_LINKED(run_claim_add)
NOT_LINKED(run_claim_allow)
NOT_LINKED(run_enrol_csv)
NOT_LINKED(run_enrol_devices)
NOT_LINKED(run_request_decide)
NOT_LINKED(run_code_add)
NOT_LINKED(run_cert_import)
NOT_LINKED(run_cert_revoke)
NOT_LINKED(run_ca_show)
NOT_LINKED(run_ca_export_root)
NOT_LINKED(run_ca_lock)
NOT_LINKED(run_ca_unlock)
NOT_LINKED(run_ca_rollover)
NOT_LINKED(run_ca_init)
NOT_LINKED(run_ca_csr)
NOT_LINKED(run_ca_import)
NOT_LINKED(run_ca_compromise)
NOT_LINKED(run_ca_check)
NOT_LINKED(run_ca_backup)
NOT_LINKED(run_backup_set)
NOT_LINKED(run_backup_add)
NOT_LINKED(run_backup_remove)
NOT_LINKED(run_ca_restore)
NOT_LINKED(run_ca_crl)
NOT_LINKED(run_acl)
NOT_LINKED(run_acl_check)
NOT_LINKED(run_acl_preview)
NOT_LINKED(run_acl_apply)
NOT_LINKED(run_learn_start)
NOT_LINKED(run_learn_stop)
NOT_LINKED(run_learn_show)
NOT_LINKED(run_learn_propose)
NOT_LINKED(run_learn_apply)
NOT_LINKED(run_event_list)
NOT_LINKED(run_log)
NOT_LINKED(run_factory_reset)
NOT_LINKED(run_event_acknowledge)
NOT_LINKED(run_firewall_print)
NOT_LINKED(run_firewall_apply)
NOT_LINKED(run_firewall_remove)
NOT_LINKED(run_migrate)
NOT_LINKED(run_ping)
NOT_LINKED(run_publish)
NOT_LINKED(run_trace)
NOT_LINKED(run_watch)
NOT_LINKED(run_security_check)
NOT_LINKED(run_security_mute)
NOT_LINKED(run_setup_code)
NOT_LINKED(run_setup)
NOT_LINKED(run_admin_password)
NOT_LINKED(run_admin_set)
NOT_LINKED(run_token_add)

/* Text for roff: no escapes, no requests by accident. */
static void put(const char *s)
{
	for (; *s; s++) {
		if (*s == '\\')
			fputs("\\e", stdout);
		else if (*s == '-')
			fputs("\\-", stdout);
		else if (*s == '\'')
			fputs("\\(aq", stdout);
		else
			putchar(*s);
	}
}

static void put_command(const struct ctl_command *c)
{
	printf(".SS ");
	put("gatehouse ");
	put(c->noun);
	printf("%s", c->verb[0] ? " " : "");
	put(c->verb);
	for (const struct ctl_param *p = c->param; p->name; p++)
		if (p->positional)
			printf(p->need == REQUIRED ? " %s" : " [%s]", p->name);
	printf("\n");
	putchar(toupper((unsigned char)c->summary[0]));
	put(c->summary + 1);
	printf(".\n");
	for (const struct ctl_param *p = c->param; p->name; p++) {
		printf(".TP\n");
		if (!p->positional) {
			printf("\\fB");
			put(option_dashes(p));
			put(p->name);
			printf("\\fR \\fI%s\\fR\n", p->arg);
		} else {
			printf("\\fI%s\\fR\n", p->name);
		}
		put(p->text);
		printf("\n");
	}
	printf(".PP\nExample:\n.PP\n.RS 4\n.nf\n");
	put(c->example);
	printf("\n.fi\n.RE\n");
}

/* In the order of the help, a section for each group. */
static void put_commands(void)
{
	const char *group = "";
	for (size_t n = 0; n < ctl_nouns_n; n++) {
		if (strcmp(group, ctl_nouns[n].group) != 0) {
			group = ctl_nouns[n].group;
			printf(".SH \"COMMANDS: ");
			for (const char *c = group; *c; c++)
				putchar(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
			printf("\"\n");
		}
		for (size_t i = 0; i < ctl_commands_n; i++)
			if (strcmp(ctl_commands[i].noun, ctl_nouns[n].noun) == 0)
				put_command(&ctl_commands[i]);
	}
}

static void put_events(void)
{
	printf(".SH EVENTS\nThe names and severities of the events:\n");
	for (enum event e = 0; e < EVENT_COUNT; e++) {
		printf(".TP\n\\fB");
		put(event_name(e));
		printf("\\fR (%s)\n", severity_name(event_severity(e)));
		put(event_text(e));
		printf("\n");
	}
}

static void put_metrics(void)
{
	static const struct {
		const char *name;
		const char *label;
		const char *text;
	} metrics[] = {
#define METRIC(type, name, label, figure, text) {name, label, text},
#include "daemon/base/metrics.def"
	};
	printf(".SH METRICS\nFor Prometheus and others that read its format, GET /metrics on the "
	       "control socket:\n.PP\n.nf\n"
	       "curl \\-\\-unix\\-socket /run/gatehouse/control.sock "
	       "http://localhost/metrics\n.fi\n"
	       ".PP\nThe caller needs the level for \\fBgatehouse status\\fR. The figures of the "
	       "broker are at most a second old, and begin anew when it is started again.\n");
	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		printf(".TP\n\\fB");
		put(metrics[i].name);
		printf("\\fR");
		if (metrics[i].label[0])
			printf(" {%s}", metrics[i].label);
		printf("\n");
		put(metrics[i].text);
		printf("\n");
	}
}

static void put_firewall(void)
{
	printf(".SH FIREWALL\n"
	       "\\fBgatehouse firewall apply\\fR makes the table \\fBinet gatehouse\\fR of "
	       "nftables "
	       "from what listens at that moment. Its chain sees packets to the gateway\\(aqs own "
	       "addresses and ports only: it drops those from other networks than the given ones "
	       "and "
	       "from the sources in its sets \\fBban4\\fR and \\fBban6\\fR (of IPv6 the first "
	       "address of a /64). Everything else passes on to the tables of others, which it "
	       "never "
	       "touches; the machine itself reaches its gateway always. The sets stay when the "
	       "table "
	       "is applied again:\n.PP\n.nf\n"
	       "nft add element inet gatehouse ban4 \\(aq{ 192.0.2.7 timeout 1h }\\(aq\n.fi\n"
	       ".PP\nThe table is gone after a restart of the machine. The unit "
	       "gatehouse\\-firewall.service applies it again then; its options are the variable "
	       "FIREWALL_OPTIONS:\n.PP\n.nf\n"
	       "systemctl edit gatehouse\\-firewall\n"
	       "    [Service]\n"
	       "    Environment=\"FIREWALL_OPTIONS=\\-\\-from 192.168.7.0/24\"\n"
	       "systemctl enable \\-\\-now gatehouse\\-firewall\n.fi\n"
	       ".PP\nAfter a change of the listeners: \\fBsystemctl reload "
	       "gatehouse\\-firewall\\fR.\n");
}

static void put_backups(void)
{
	printf(".SH BACKUPS\n"
	       "The gateway makes backups under a passphrase that root sets once. It has the key "
	       "that "
	       "this passphrase gives, not the passphrase, and no message to it can change under "
	       "which "
	       "its own keys leave. Then every administrator of level admin can take one, here or "
	       "in "
	       "the browser, and gatehouse\\-backup.timer has one written every night into "
	       "/var/backups/gatehouse, of which the newest 14 stay. As root:\n.PP\n.nf\n"
	       "gatehouse backup set\n"
	       "gatehouse backup add FILE\n"
	       "systemctl enable \\-\\-now gatehouse\\-backup.timer\n.fi\n"
	       ".PP\nKeep the passphrase in another place, and copy the backups away from the "
	       "machine: "
	       "with them \\fBgatehouse ca restore\\fR makes a new machine the same gateway. "
	       "Messages "
	       "that wait for devices and the log of events are not in them. \\fBgatehouse ca "
	       "backup\\fR makes one under a passphrase of its own.\n");
}

static void put_guides(void)
{
	static const struct {
		const char *section;
		const char *text;
		const char *commands;
	} guides[] = {
#define GUIDE(section, text, commands) {section, text, commands},
#include "ctl/guides.def"
	};
	for (size_t i = 0; i < ARRAY_LEN(guides); i++) {
		if (guides[i].section[0])
			printf(".SH %s\n", guides[i].section);
		printf(".PP\n");
		put(guides[i].text);
		printf("\n.PP\n.RS 4\n.nf\n");
		put(guides[i].commands);
		printf(".fi\n.RE\n");
	}
}

static void put_man(const char *version)
{
	printf(".TH GATEHOUSE 1 \"\" \"Gatehouse %s\" \"Gatehouse\"\n"
	       ".SH NAME\ngatehouse \\- manages a running Gatehouse gateway\n"
	       ".SH SYNOPSIS\n.B gatehouse\n[\\fB\\-\\-socket\\fR \\fIPATH\\fR] "
	       "[\\fB\\-\\-json\\fR] "
	       "[\\fB\\-\\-quiet\\fR] [\\fB\\-\\-utc\\fR] \\fICOMMAND\\fR [\\fIARGUMENT\\fR]...\n"
	       ".SH DESCRIPTION\n"
	       "Speaks the gateway's API over its control socket, so it works on the gateway "
	       "itself, for root "
	       "and for members of the group gatehouse\\-admin. Answers are tables for people; "
	       "with "
	       "\\fB\\-\\-json\\fR they are JSON, lists one object a line.\n"
	       ".SH OPTIONS\n"
	       ".TP\n\\fB\\-\\-socket\\fR \\fIPATH\\fR\nThe control socket.\n"
	       ".TP\n\\fB\\-\\-json\\fR\nJSON in place of tables and texts: the answer of the API, "
	       "its "
	       "field names too, on standard output; lists one object a line. Errors are objects "
	       "on "
	       "standard error, with the text as \\fBdetail\\fR; those of the gateway have the "
	       "fields "
	       "of RFC 9457.\n"
	       ".TP\n\\fB\\-\\-quiet\\fR, \\fB\\-q\\fR\nOnly what was asked for, and errors: no "
	       "notes, no "
	       "line that something was done.\n"
	       ".TP\n\\fB\\-\\-utc\\fR\nTimes in UTC. Without it they are in the zone of this "
	       "machine, "
	       "with its offset; in JSON they are always in UTC.\n"
	       ".TP\n\\fB\\-\\-help\\fR, \\fB\\-h\\fR\nHelp, also for one command; \\fBgatehouse "
	       "help\\fR "
	       "\\fICOMMAND\\fR is the same, \\fBgatehouse help all\\fR lists every command.\n"
	       ".TP\n\\fB\\-\\-version\\fR\nThe version.\n",
	       version);
	put_commands();
	put_guides();
	put_backups();
	put_firewall();
	put_events();
	put_metrics();
	printf(".SH EXIT STATUS\n"
	       ".TP\n0\nDone.\n.TP\n1\nThe gateway could not do it.\n"
	       ".TP\n2\nWrong usage, or an argument that is not allowed.\n"
	       ".TP\n3\nRefused by policy, or not allowed to you: your level, or that you may not "
	       "open "
	       "the control socket.\n"
	       ".TP\n4\nThe gateway, or a process of it, does not answer; or the certificate "
	       "authority is locked.\n"
	       ".TP\n5\nNot found.\n.TP\n6\nConflict: it exists already, or is in use.\n"
	       ".SH ENVIRONMENT\n.TP\nGATEHOUSE_SOCKET\nThe control socket, where "
	       "\\fB\\-\\-socket\\fR is not "
	       "given.\n"
	       ".SH FILES\n.TP\n/run/gatehouse/control.sock\nThe control socket.\n"
	       ".SH EXAMPLES\n.nf\n"
	       "gatehouse device add pump\\-1 \\-\\-bundle ./pump\\-1\n"
	       "gatehouse acl allow device:pump\\-1 publish \\(aqplant/${device}/#\\(aq\n"
	       "gatehouse acl check \\-\\-as pump\\-1 publish plant/pump\\-1/state\n"
	       "gatehouse client list \\-\\-json | jq \\-r .client_id\n"
	       "gatehouse cert list \\-\\-expiring 30d\n"
	       "gatehouse cert revoke \\-\\-device pump\\-1\n"
	       "gatehouse config set broker.max\\-connections 5000\n"
	       "gatehouse event list \\-\\-follow \\-\\-severity warning\n.fi\n"
	       ".SH SEE ALSO\n.BR gatehoused (8),\n.BR gatehouse.conf (5)\n");
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "man") == 0)
		put_man(argv[2]);
	else
		return 2;
	return fflush(stdout) != 0;
}
