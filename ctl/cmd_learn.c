/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse learn ...: what devices did in learn mode and the rules for
 * it; and acl preview and acl apply, to which those rules go as a file.
 */
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* Sends the command; true: the answer is for `*answer` to be shown to a person. */
static bool asked(struct invocation *in, json_t **answer, int *status)
{
	*answer = NULL;
	*status = request_command(in, answer);
	if (*status == EXIT_OK && in->json)
		print_json_line(*answer);
	return *status == EXIT_OK && !in->json;
}

/* "device:pump-1" as the field of its kind, and as words: "device pump-1". False after a message.
 */
static bool subject_of(const struct invocation *in, char out[128])
{
	struct str name = str_of(text_of(in->args, "subject"));
	const struct str kind = str_split(&name, ':');
	if (!name.n || (!str_is(kind, "device") && !str_is(kind, "role"))) {
		print_error("who learns, \"%s\": write device:NAME or role:NAME",
			    text_of(in->args, "subject"));
		return false;
	}
	snprintf(out, 128, "%.*s %.*s", STR_ARG(kind), STR_ARG(name));
	AUTO_CHAR field = str_dup(kind);
	json_object_set_new(in->args, field, json_stringn(name.p, name.n));
	json_object_del(in->args, "subject");
	return true;
}

static void print_foot(const json_t *answer)
{
	if (number_of(answer, "left_out"))
		printf("# %lld further uses had no room, or no rule can say them\n",
		       number_of(answer, "left_out"));
	if (text_of(answer, "until")[0])
		printf("# it learns until %s\n", text_of(answer, "until"));
}

int run_learn_start(struct invocation *in)
{
	json_t *answer;
	char who[128];
	int status;
	if (!subject_of(in, who))
		return EXIT_USAGE;
	if (asked(in, &answer, &status)) {
		print_done(
			"%s learns until %s: it may do what no rule denies, and nothing below $\n",
			text_of(answer, "subject"), text_of(answer, "until"));
		print_done("when it has done what it does: gatehouse learn propose %s\n",
			   text_of(answer, "subject"));
	}
	json_decref(answer);
	return status;
}

int run_learn_stop(struct invocation *in)
{
	json_t *answer;
	char who[128];
	int status;
	if (!subject_of(in, who))
		return EXIT_USAGE;
	if (asked(in, &answer, &status))
		print_done("%s: %s%s\n", text_of(answer, "subject"),
			   json_is_true(json_object_get(answer, "ended")) ? "learns no more"
									  : "was not in learn mode",
			   number_of(answer, "forgotten") ? ", what was learnt is forgotten" : "");
	json_decref(answer);
	return status;
}

static void print_topics(const json_t *answer, const char *who)
{
	size_t i;
	const json_t *item;
	json_array_foreach(json_object_get(answer, "items"), i, item)
		printf("%s  %-9s  %8lld times, last %s  %s\n", text_of(item, "device"),
		       text_of(item, "action"), number_of(item, "times"), text_of(item, "last"),
		       text_of(item, "topic"));
	if (i == 0)
		printf("nothing was learnt of %s\n", who);
	print_foot(answer);
}

static int show(struct invocation *in, void (*print)(const json_t *answer, const char *who))
{
	json_t *answer;
	char who[128];
	int status;
	if (!subject_of(in, who))
		return EXIT_USAGE;
	if (asked(in, &answer, &status))
		print(answer, who);
	json_decref(answer);
	return status;
}

int run_learn_show(struct invocation *in)
{
	return show(in, print_topics);
}

/* Lines that acl apply and acl check --with read. */
static void print_proposal(const json_t *answer, const char *who)
{
	size_t i;
	const json_t *item;
	const long long allowed = number_of(answer, "allowed");
	printf("# %s: %lld topic%s allowed already\n", who, allowed,
	       allowed == 1 ? " is" : "s are");
	json_array_foreach(json_object_get(answer, "items"), i, item) printf(
		"# %lld time%s, last %s%s\n%s\n", number_of(item, "times"),
		plural(number_of(item, "times")), text_of(item, "last"),
		json_is_true(json_object_get(item, "broad")) ? ": BROAD, it begins with a wildcard"
							     : "",
		text_of(item, "line"));
	print_foot(answer);
}

int run_learn_propose(struct invocation *in)
{
	return show(in, print_proposal);
}

/* ---- to save ---- */

static void print_applied(const json_t *answer)
{
	size_t i;
	const json_t *rule;
	json_array_foreach(json_object_get(answer, "added"), i, rule)
	{
		size_t k;
		const json_t *action;
		printf("rule %lld added: %s %s", number_of(rule, "id"), text_of(rule, "effect"),
		       text_of(rule, "subject"));
		json_array_foreach(json_object_get(rule, "actions"), k, action)
			printf("%s%s", k ? "," : " ", json_string_value(action));
		printf(" %s\n", text_of(rule, "filter"));
	}
	printf("%zu rule%s added, %lld removed\n", i, plural((long long)i),
	       number_of(answer, "removed"));
}

static int send(const struct invocation *in, const char *method, const char *path, json_t *body,
		json_t **answer)
{
	const unsigned http = request_send(in, method, path, body, answer);
	if (http == 0)
		return EXIT_UNREACHABLE;
	return http == 200 ? EXIT_OK : print_problem(http, *answer);
}

static int apply(const struct invocation *in, json_t *lines)
{
	json_t *answer = NULL;
	json_t *body = json_pack("{s:O}", "with", lines);
	const int status = send(in, "POST", "/api/v1/acl/apply", body, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK && says_done())
		print_applied(answer);
	json_decref(body);
	json_decref(answer);
	return status;
}

static int stop(const struct invocation *in, bool device, const char *name)
{
	json_t *args = json_pack("{s:s}", "name", name);
	json_t *answer = NULL;
	AUTO_CHAR path = request_path(
		device ? "/api/v1/learn?device={name}" : "/api/v1/learn?role={name}", args);
	const int status = send(in, "DELETE", path, NULL, &answer);
	json_decref(args);
	json_decref(answer);
	return status;
}

static int apply_proposal(const struct invocation *in, const json_t *proposal, const char *who)
{
	size_t i;
	const json_t *item;
	int status = EXIT_OK;
	json_t *lines = json_array();
	json_array_foreach(json_object_get(proposal, "items"), i, item)
		json_array_append(lines, json_object_get(item, "line"));
	if (i)
		status = apply(in, lines);
	else if (!in->json)
		print_done("nothing to add for %s\n", who);
	json_decref(lines);
	return status;
}

int run_learn_apply(struct invocation *in)
{
	json_t *answer = NULL;
	char who[128];
	if (!subject_of(in, who))
		return EXIT_USAGE;
	const bool device = text_of(in->args, "device")[0] != 0;
	AUTO_CHAR name = strdup(text_of(in->args, device ? "device" : "role"));
	int status = request_command(in, &answer);
	if (status == EXIT_OK)
		status = apply_proposal(in, answer, who);
	if (status == EXIT_OK)
		status = stop(in, device, name);
	json_decref(answer);
	return status;
}

int run_acl_apply(struct invocation *in)
{
	if (!draft_take(in))
		return EXIT_USAGE;
	return apply(in, json_object_get(in->args, "with"));
}

static void print_flips(const json_t *answer)
{
	size_t i;
	const json_t *item;
	json_array_foreach(json_object_get(answer, "items"), i, item)
		printf("%s %s %s: %s, would be %s (%lld time%s, last %s)\n",
		       text_of(item, "device"), text_of(item, "action"), text_of(item, "topic"),
		       text_of(item, "before"), text_of(item, "after"), number_of(item, "times"),
		       plural(number_of(item, "times")), text_of(item, "last"));
	printf("%lld judged, %zu would change\n", number_of(answer, "checked"), i);
	if (number_of(answer, "left_out"))
		printf("%lld more were not judged or not shown; --device NAME asks about one\n",
		       number_of(answer, "left_out"));
}

int run_acl_preview(struct invocation *in)
{
	json_t *answer;
	int status;
	if (!draft_take(in))
		return EXIT_USAGE;
	if (asked(in, &answer, &status))
		print_flips(answer);
	json_decref(answer);
	return status;
}
