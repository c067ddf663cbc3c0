/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that are one request and its answer, shown by kind; and those that only shape a field
 * before it.
 */
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

static void show_list(const struct invocation *in, const json_t *items)
{
	size_t i;
	const json_t *item;
	if (!in->json) {
		print_list(in->command, items);
		return;
	}
	json_array_foreach(items, i, item) print_json_line(item);
}

enum { PAGE_MAX = 1000 }; /* rows; of what has pages */

/* --limit N; 0: all. False after a message. */
static bool take_limit(const struct invocation *in, uint64_t *limit)
{
	const char *text = invocation_local(in, "limit");
	*limit = 0;
	if (!text || (str_u64(str_of(text), UINT32_MAX, limit) == 0 && *limit > 0))
		return true;
	print_error("--limit %s: must be a whole number from 1 to %u", text, UINT32_MAX);
	return false;
}

/* One page at the end of items; *next is where the next one begins, or NULL. The caller frees it.
 */
static int take_page(struct invocation *in, json_t *items, char **next)
{
	json_t *answer = NULL;
	/* request_command takes path arguments out; lists have none. */
	const int status = request_command(in, &answer);
	const char *cursor = json_string_value(json_object_get(answer, "next"));
	if (status == EXIT_OK)
		json_array_extend(items, json_object_get(answer, "items"));
	*next = status == EXIT_OK && cursor ? mem_strdup(cursor) : NULL;
	json_decref(answer);
	return status;
}

/* All pages of a list, or as many as hold what is wanted. */
static int run_list(struct invocation *in)
{
	json_t *items = json_array();
	uint64_t limit;
	int status = take_limit(in, &limit) ? EXIT_OK : EXIT_USAGE;
	bool more = status == EXIT_OK;
	while (more) {
		AUTO_CHAR next = NULL;
		status = take_page(in, items, &next);
		more = next && (!limit || json_array_size(items) <= limit);
		if (next) {
			json_object_set_new(in->args, "after", json_string(next));
			json_object_set_new(in->args, "limit", json_integer(PAGE_MAX));
		}
	}
	const size_t n = json_array_size(items);
	if (status == EXIT_OK && limit && n > limit) {
		while (json_array_size(items) > limit)
			json_array_remove(items, json_array_size(items) - 1);
		show_list(in, items);
		print_note("there are more than these %zu", (size_t)limit);
	} else if (status == EXIT_OK) {
		show_list(in, items);
	}
	json_decref(items);
	return status;
}

static void show_revoked(const json_t *items)
{
	size_t i;
	const json_t *cert;
	json_array_foreach(items, i, cert)
		printf("revoked %.16s of %s\n", text_of(cert, "fingerprint"),
		       json_is_string(json_object_get(cert, "device")) ? text_of(cert, "device")
								       : text_of(cert, "name"));
}

static void show_rule(const struct ctl_command *c, const json_t *rule)
{
	size_t i;
	const json_t *action;
	printf("rule %lld %s: %s %s", (long long)json_integer_value(json_object_get(rule, "id")),
	       strcmp(c->verb, "remove") == 0 ? "removed" : "added", text_of(rule, "effect"),
	       text_of(rule, "subject"));
	json_array_foreach(json_object_get(rule, "actions"), i, action)
		printf("%s%s", i ? "," : " ", json_string_value(action));
	printf(" %s%s%s\n", text_of(rule, "filter"), text_of(rule, "conditions")[0] ? " " : "",
	       text_of(rule, "conditions"));
	if (json_object_get(rule, "hint"))
		printf("note: %s\n", text_of(rule, "hint"));
}

static void show_ban(const json_t *answer)
{
	if (text_of(answer, "until")[0])
		printf("%s: banned until %s\n", text_of(answer, "network"),
		       text_of(answer, "until"));
	else
		printf("%s: may come again\n", text_of(answer, "network"));
}

bool show_enrolment(const struct ctl_command *c, const json_t *answer)
{
	const long long id = (long long)json_integer_value(json_object_get(answer, "id"));
	const char *name = text_of(answer, "name");
	if (strcmp(c->noun, "code") == 0)
		printf("code %lld: removed\n", id);
	else if (strcmp(c->noun, "claim") == 0)
		printf("%s: %s\n", name, strcmp(c->verb, "add") == 0 ? "added" : "removed");
	else if (strcmp(c->noun, "request") != 0)
		return false;
	else if (strcmp(c->verb, "approve") == 0)
		printf("request %lld: %s gets its certificate when it asks again, until %s\n", id,
		       name, text_of(answer, "expires"));
	else
		printf("request %lld of %s: denied\n", id, name);
	return true;
}

static void show_certificate(const struct ctl_command *c, const json_t *answer)
{
	printf("%s: %.16s %s\n", text_of(answer, "device"), text_of(answer, "fingerprint"),
	       strcmp(c->verb, "hold") == 0      ? "is on hold"
	       : strcmp(c->verb, "release") == 0 ? "is good again"
						 : "registered");
}

/* A change: what was done, and what followed for live sessions. */
static void show_change(const struct ctl_command *c, const json_t *answer)
{
	const json_int_t closed = json_integer_value(json_object_get(answer, "sessions_closed"));
	if (json_object_get(answer, "items"))
		show_revoked(json_object_get(answer, "items"));
	else if (json_object_get(answer, "effect"))
		show_rule(c, answer);
	else if (json_object_get(answer, "network"))
		show_ban(answer);
	else if (json_object_get(answer, "receivers"))
		printf("%s: the retained message is removed\n", text_of(answer, "topic"));
	else if (json_object_get(answer, "client_id"))
		printf("%s: closed\n", text_of(answer, "client_id"));
	else if (json_object_get(answer, "fingerprint"))
		show_certificate(c, answer);
	else if (json_object_get(answer, "key"))
		printf("%s = %s\n", text_of(answer, "key"), text_of(answer, "value"));
	else
		printf("%s: %s\n", text_of(answer, "name"),
		       strcmp(c->verb, "remove") == 0 ? "removed"
		       : strcmp(c->verb, "add") == 0  ? "added"
						      : "changed");
	if (closed)
		printf("%lld session%s closed\n", (long long)closed, closed == 1 ? "" : "s");
	if (strcmp(text_of(answer, "broker"), "away") == 0)
		printf("the broker does not answer now; it learns of this when it does\n");
	if (json_is_true(json_object_get(answer, "restart")))
		printf("takes effect at the next start of the gateway\n");
	show_held(answer);
}

static void show_message(const struct ctl_command *c, const json_t *answer)
{
	if (!show_enrolment(c, answer))
		show_change(c, answer);
}

int run_plain(struct invocation *in)
{
	json_t *answer = NULL;
	if (in->command->show == LIST)
		return run_list(in);
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK && in->command->show == MESSAGE && says_done())
		show_message(in->command, answer);
	else if (status == EXIT_OK && in->command->show != MESSAGE)
		print_object(answer);
	json_decref(answer);
	return status;
}

int run_cert_revoke(struct invocation *in)
{
	const bool id = json_object_get(in->args, "id"),
		   device = json_object_get(in->args, "device");
	if (id == device) {
		print_error("give either a fingerprint or serial number, or "
			    "--device NAME");
		return EXIT_USAGE;
	}
	return run_plain(in);
}

/* --retain yes|no as the field "retain". */
static bool take_retain(struct invocation *in)
{
	const char *word = invocation_local(in, "retain");
	if (word && strcmp(word, "yes") != 0 && strcmp(word, "no") != 0) {
		print_error("--retain %s: allowed are yes and no", word);
		return false;
	}
	if (word)
		json_object_set_new(in->args, "retain", json_boolean(word[0] == 'y'));
	return true;
}

int run_acl(struct invocation *in)
{
	const char *priority = invocation_local(in, "priority");
	json_object_set_new(in->args, "effect", json_string(in->command->verb));
	if (!take_retain(in))
		return EXIT_USAGE;
	if (priority) {
		char *end;
		const long n = strtol(priority, &end, 10);
		if (*end || end == priority || n < -1000 || n > 1000) {
			print_error("--priority %s: a whole number between -1000 and 1000",
				    priority);
			return EXIT_USAGE;
		}
		json_object_set_new(in->args, "priority", json_integer(1000 + n));
	}
	return run_plain(in);
}
