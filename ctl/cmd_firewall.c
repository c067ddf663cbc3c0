/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse firewall print, apply and remove: the gateway's own table of nftables, made of what
 * listens now. It is put in place by nft(8), which gets exactly the text that print shows.
 */
#include "ctl/ctl.h"
#include "ctl/firewall.h"
#include "ctl/program.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"
#include "daemon/net/addr.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static const char *const network_fields[] = {"from", "admin-from"};

/* Refuses what is no network before anything is asked or changed. */
static bool check_networks(const struct invocation *in)
{
	for (size_t i = 0; i < ARRAY_LEN(network_fields); i++) {
		size_t k;
		const json_t *network;
		json_array_foreach(json_object_get(in->args, network_fields[i]), k, network)
		{
			struct cidr c;
			const char *text = json_string_value(network);
			if (cidr_parse(str_of(text), &c) == 0)
				continue;
			print_error("--%s %s: give a network such as 192.168.7.0/24, with "
				    "no bits set behind its prefix, or an address",
				    network_fields[i], text);
			return false;
		}
	}
	return true;
}

/* Exit status after a message. The caller gives the reference back. */
static int get(const struct invocation *in, const char *path, json_t **answer)
{
	const unsigned code = request_send(in, "GET", path, NULL, answer);
	if (code == 200)
		return EXIT_OK;
	return code ? print_problem(code, *answer) : EXIT_UNREACHABLE;
}

static int get_doors(const struct invocation *in, json_t **doors)
{
	json_t *status = NULL;
	json_t *settings = NULL;
	if (!check_networks(in))
		return EXIT_USAGE;
	int code = get(in, "/api/v1/status", &status);
	if (code == EXIT_OK)
		code = get(in, "/api/v1/config", &settings);
	if (code == EXIT_OK)
		*doors = firewall_doors(&(struct firewall){
			.status = status,
			.settings = json_object_get(settings, "items"),
			.from = json_object_get(in->args, "from"),
			.admin_from = json_object_get(in->args, "admin-from"),
		});
	json_decref(status);
	json_decref(settings);
	return code;
}

/* Runs nft with the script as its input; what it has to say it says itself. */
static int run_nft(struct str script)
{
	char *argv[] = {"nft", "-f", "-", NULL};
	AUTO_FD fd = memfd_create("script", MFD_CLOEXEC);
	if (fd < 0 || fd_write(fd, script) || lseek(fd, 0, SEEK_SET) != 0) {
		print_error("cannot hand the script over: %s", strerror(errno));
		return EXIT_FAILED;
	}
	const int status = program_run(argv, fd);
	if (status < 0) {
		print_error("nft cannot be run: %s; install the package nftables", strerror(errno));
		return EXIT_FAILED;
	}
	if (status == 0)
		return EXIT_OK;
	print_error("nft refused it and nothing was changed%s",
		    geteuid() ? "; run this as root" : "");
	return geteuid() ? EXIT_REFUSED : EXIT_FAILED;
}

static void show_door(const json_t *door)
{
	size_t i;
	const json_t *network;
	const json_t *from = json_object_get(door, "from");
	const char *name = json_string_value(json_object_get(door, "name"));
	printf("%-12s %-22s from ", name, json_string_value(json_object_get(door, "address")));
	json_array_foreach(from, i, network)
		printf("%s%s", i ? ", " : "", json_string_value(network));
	if (json_array_size(from) == 0)
		printf("everywhere; %s or --from CIDR narrows it",
		       strcmp(name, "admin") == 0   ? "admin.allow-from, --admin-from CIDR"
		       : strcmp(name, "enrol") == 0 ? "enrol.allow-from"
						    : "allow-from of the listener");
	printf("\n");
}

static void show_doors(const struct invocation *in, const json_t *doors)
{
	size_t i;
	const json_t *door;
	if (in->json) {
		json_array_foreach(doors, i, door) print_json_line(door);
		return;
	}
	printf("The table " FIREWALL_TABLE " is in place; no other was touched.\n");
	if (json_array_size(doors) == 0)
		printf("Nothing of the gateway's listens beyond this machine.\n");
	json_array_foreach(doors, i, door) show_door(door);
}

int run_firewall_print(struct invocation *in)
{
	AUTO_BUF script = {0};
	json_t *doors = NULL;
	const int code = get_doors(in, &doors);
	if (code != EXIT_OK)
		return code;
	firewall_script(doors, &script);
	json_decref(doors);
	if (in->json) {
		json_t *line = json_pack("{s:s}", "script", buf_cstr(&script));
		print_json_line(line);
		json_decref(line);
	} else {
		fputs(buf_cstr(&script), stdout);
	}
	return EXIT_OK;
}

int run_firewall_apply(struct invocation *in)
{
	AUTO_BUF script = {0};
	json_t *doors = NULL;
	int code = get_doors(in, &doors);
	if (code == EXIT_OK) {
		firewall_script(doors, &script);
		code = run_nft(buf_view(&script));
	}
	if (code == EXIT_OK)
		show_doors(in, doors);
	json_decref(doors);
	return code;
}

int run_firewall_remove(struct invocation *in)
{
	const int code = run_nft(str_of(firewall_removal()));
	if (code == EXIT_OK && !in->json)
		print_done("The table " FIREWALL_TABLE " is gone; no other was touched.\n");
	return code;
}
