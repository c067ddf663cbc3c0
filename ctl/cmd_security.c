/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse security: findings of the security check, the worst first, each with its cure.
 */
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <string.h>

static const char *const severities[] = {"low", "medium", "high", "critical"};

/* -1: no such word. */
static int rank(const char *word)
{
	for (size_t i = 0; i < ARRAY_LEN(severities); i++)
		if (strcmp(word, severities[i]) == 0)
			return (int)i;
	return -1;
}

static void show_objects(const json_t *finding)
{
	size_t i;
	const json_t *object;
	const json_t *objects = json_object_get(finding, "objects");
	const json_int_t count = json_integer_value(json_object_get(finding, "count"));
	if (json_array_size(objects) == 0)
		return;
	printf("          ");
	json_array_foreach(objects, i, object)
	{
		AUTO_CHAR name = str_dup(str_of(json_string_value(object)));
		str_mask_controls(name, strlen(name));
		printf("%s%s", i ? ", " : "", name);
	}
	if ((size_t)count > json_array_size(objects))
		printf(", and %lld more", (long long)count - (long long)json_array_size(objects));
	printf("\n");
}

static void show_finding(const json_t *finding)
{
	const json_t *muted = json_object_get(finding, "muted");
	printf("%-8s  %s (%s)\n", json_is_object(muted) ? "muted" : text_of(finding, "severity"),
	       text_of(finding, "what"), text_of(finding, "id"));
	show_objects(finding);
	if (json_is_object(muted)) {
		printf("          %s: %s\n", text_of(muted, "by"), text_of(muted, "reason"));
		return;
	}
	printf("          %s\n", text_of(finding, "fix"));
	if (text_of(finding, "command")[0])
		printf("          $ %s\n", text_of(finding, "command"));
}

static void show(const json_t *answer)
{
	size_t i;
	const json_t *finding;
	const json_t *findings = json_object_get(answer, "findings");
	printf("score %lld of 100; looked for %lld things, found %zu\n",
	       (long long)json_integer_value(json_object_get(answer, "score")),
	       (long long)json_integer_value(json_object_get(answer, "checks")),
	       json_array_size(findings));
	json_array_foreach(findings, i, finding)
	{
		printf("\n");
		show_finding(finding);
	}
}

static bool reaches(const json_t *answer, int least)
{
	for (size_t i = (size_t)least; i < ARRAY_LEN(severities); i++)
		if (json_integer_value(
			    json_object_get(json_object_get(answer, "open"), severities[i])) > 0)
			return true;
	return false;
}

int run_security_check(struct invocation *in)
{
	json_t *answer = NULL;
	const char *word = invocation_local(in, "fail-on");
	const int least = word ? rank(word) : 0;
	if (least < 0) {
		print_error("--fail-on %s: allowed are low, medium, high and critical", word);
		return EXIT_USAGE;
	}
	int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		show(answer);
	if (status == EXIT_OK && word && reaches(answer, least))
		status = EXIT_REFUSED;
	json_decref(answer);
	return status;
}

int run_security_mute(struct invocation *in)
{
	json_t *answer = NULL;
	const int status = request_command(in, &answer);
	if (status == EXIT_OK && in->json)
		print_json_line(answer);
	else if (status == EXIT_OK)
		print_done("%s: %s\n", text_of(answer, "id"),
			   strcmp(in->command->verb, "mute") == 0 ? "counts no more"
								  : "counts again");
	json_decref(answer);
	return status;
}
