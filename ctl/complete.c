/* SPDX-License-Identifier: Apache-2.0
 *
 * Completion: see complete.h. The placeholder of an argument says what it names; where the same
 * placeholder means something else for one noun, that row stands first.
 */
#include "ctl/complete.h"
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <unistd.h>

enum { FILES = 1 /* exit status */, LONGEST_SECONDS = 1 };

static const struct source {
	const char *noun; /* of the command; NULL: any */
	const char *what; /* placeholder */
	const char *path; /* a list of the API */
	const char *field;
} sources[] = {
	{"device", "NAME", "/api/v1/devices?limit=1000", "name"},
	{"role", "NAME", "/api/v1/roles", "name"},
	{"claim", "NAME", "/api/v1/claims", "name"},
	{"profile", "NAME", "/api/v1/profiles", "name"},
	{"admin", "NAME", "/api/v1/administrators", "name"},
	{"token", "NAME", "/api/v1/tokens", "name"},
	{"code", "NAME", "/api/v1/devices?limit=1000", "name"},
	{"cert", "NAME", "/api/v1/devices?limit=1000", "name"},
	{"client", "NAME", "/api/v1/devices?limit=1000", "name"},
	{"event", "NAME", "/api/v1/devices?limit=1000", "name"},
	{"acl", "NAME", "/api/v1/devices?limit=1000", "name"},
	{"trace", "NAME", "/api/v1/devices?limit=1000", "name"},
	{NULL, "DEVICE", "/api/v1/devices?limit=1000", "name"},
	{NULL, "GROUP", "/api/v1/devices?limit=1000", "groups"},
	{NULL, "ROLE", "/api/v1/roles", "name"},
	{NULL, "PROFILE", "/api/v1/profiles", "name"},
	{NULL, "CLIENT-ID", "/api/v1/clients?limit=1000", "client_id"},
	{NULL, "KEY", "/api/v1/config", "key"},
	{NULL, "FINDING", "/api/v1/security", "id"},
	{"cert", "ID", "/api/v1/certificates?limit=1000", "fingerprint"},
	{"code", "ID", "/api/v1/codes", "id"},
	{"request", "ID", "/api/v1/requests?state=pending", "id"},
	{"acl", "ID", "/api/v1/acl", "id"},
	{"session", "ID", "/api/v1/sessions", "id"},
	{"revision", "ID", "/api/v1/revisions?limit=100", "id"},
	{"retained", "TOPIC", "/api/v1/retained?limit=100", "topic"},
};

static const struct choice {
	const char *noun;
	const char *verb; /* NULL: any */
	const char *what;
	const char *words;
} choices[] = {
	{"acl", "check", "ACTION", "publish subscribe receive"},
	{"acl", NULL, "ACTION", "publish subscribe receive all"},
	{"acl", NULL, "yes|no", "yes no"},
	{"admin", NULL, "LEVEL", "viewer operator admin"},
	{"token", NULL, "LEVEL", "viewer operator admin"},
	{"event", NULL, "LEVEL", "debug info notice warning error critical"},
	{"log", NULL, "LEVEL", "debug info notice warning error"},
	{"log", NULL, "NAME", "parent broker admin enrol ctl store vault"},
	{"event", NULL, "STATE", "open acknowledged"},
	{"request", NULL, "STATE", "pending approved denied issued"},
	{"security", NULL, "SEVERITY", "low medium high critical"},
	{"ca", "rollover", "STEP", "start status switch finish abort"},
	{"ca", NULL, "CURVE", "P-256 P-384"},
	{"cert", "revoke", "REASON",
	 "unspecified key-compromise superseded cessation affiliation-changed "
	 "privilege-withdrawn"},
	{"device", "list", "WHAT", "name kind created certificate seen state"},
	{"device", "list", "STATE", "connected away never barred disabled"},
	{"device", "list", "ORDER", "asc desc"},
	{"claim", "add", "SOURCE", "csr cn serial"},
	{"revision", "list", "KIND", "device role rule setting administrator profile cert"},
	{"audit", "list", "WORD", "ok denied invalid"},
};

static void offer(const char *word, const char *typed)
{
	/* What holds a blank or a control would be several words, or none, to the shell. */
	for (const char *c = word; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return;
	if (strncmp(word, typed, strlen(typed)) == 0)
		puts(word);
}

static void offer_words(const char *words, const char *typed)
{
	struct str rest = str_of(words);
	while (rest.p) {
		AUTO_CHAR word = str_dup(str_split(&rest, ' '));
		offer(word, typed);
	}
}

/* Devices choose some of them, and bash puts them into the line as they are: nothing there may be
 * more to a shell, a terminal or us than a word. */
static bool is_plain(const char *word)
{
	AUTO_CHAR shown = mem_strdup(word);
	str_mask_controls(shown, strlen(shown));
	return word[0] != '-' && word[0] != '~' && !strpbrk(word, "$`\\\"'|&;<>(){}[]*?!#^") &&
	       strcmp(shown, word) == 0;
}

static void offer_value(const json_t *value, const char *before, const char *typed)
{
	AUTO_BUF text = {0};
	buf_puts(&text, before);
	if (json_is_string(value))
		buf_puts(&text, json_string_value(value));
	else if (json_is_integer(value))
		buf_printf(&text, "%lld", (long long)json_integer_value(value));
	else
		return;
	if (is_plain(buf_cstr(&text)))
		offer(buf_cstr(&text), typed);
}

static void out_of_time(int number)
{
	(void)number;
	_exit(0);
}

/* The values of a field in a list of the gateway, each behind `before`. */
static void ask(const struct invocation *in, const char *path, const char *field,
		const char *before, const char *typed)
{
	const struct itimerval once = {.it_value.tv_sec = LONGEST_SECONDS};
	json_t *answer = NULL;
	size_t i, k;
	const json_t *item;
	const json_t *one;
	signal(SIGALRM, out_of_time);
	setitimer(ITIMER_REAL, &once, NULL);
	request_send(in, "GET", path, NULL, &answer);
	const json_t *items = json_object_get(answer, "items");
	if (!items)
		items = json_object_get(answer, "findings");
	json_array_foreach(items, i, item)
	{
		const json_t *value = json_object_get(item, field);
		if (!json_is_array(value))
			offer_value(value, before, typed);
		json_array_foreach(value, k, one) offer_value(one, before, typed);
	}
	json_decref(answer);
}

/* device:NAME and the like: the names when it is said of what. */
static void offer_subjects(const struct invocation *in, const char *noun, const char *typed)
{
	const struct {
		const char *before;
		const char *path;
		const char *field;
		bool learns;
	} kinds[] = {
		{"device:", "/api/v1/devices?limit=1000", "name", true},
		{"role:", "/api/v1/roles", "name", true},
		{"group:", "/api/v1/devices?limit=1000", "groups", false},
	};
	const bool learn = strcmp(noun, "learn") == 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (learn && !kinds[i].learns)
			continue;
		if (strncmp(typed, kinds[i].before, strlen(kinds[i].before)) == 0)
			ask(in, kinds[i].path, kinds[i].field, kinds[i].before, typed);
		else
			offer(kinds[i].before, typed);
	}
	if (!learn)
		offer("any", typed);
}

static bool is_file(const char *what)
{
	return strcmp(what, "FILE") == 0 || strcmp(what, "DIR") == 0;
}

static int offer_argument(const struct invocation *in, const struct ctl_command *c,
			  const char *what, const char *typed)
{
	if (is_file(what))
		return FILES;
	if (strcmp(what, "SUBJECT") == 0)
		offer_subjects(in, c->noun, typed);
	for (size_t i = 0; i < ARRAY_LEN(choices); i++) {
		const struct choice *it = &choices[i];
		if (strcmp(it->noun, c->noun) != 0 || strcmp(it->what, what) != 0 ||
		    (it->verb && strcmp(it->verb, c->verb) != 0))
			continue;
		offer_words(it->words, typed);
		return 0;
	}
	/* What is added has no name yet; a code may be for a device that is there. */
	const bool is_new = strcmp(what, "NAME") == 0 && strcmp(c->verb, "add") == 0 &&
			    strcmp(c->noun, "code") != 0;
	for (size_t i = 0; i < ARRAY_LEN(sources) && !is_new; i++) {
		const struct source *it = &sources[i];
		if ((it->noun && strcmp(it->noun, c->noun) != 0) || strcmp(it->what, what) != 0)
			continue;
		ask(in, it->path, it->field, "", typed);
		return 0;
	}
	return 0;
}

static const struct ctl_param *option_of(const struct ctl_command *c, const char *word)
{
	for (const struct ctl_param *p = c->param; p->name; p++)
		if (!p->positional && word[0] == '-' &&
		    strcmp(word + strlen(option_dashes(p)), p->name) == 0)
			return p;
	return NULL;
}

static bool takes_value(const struct ctl_param *p)
{
	return p && p->arg && p->arg[0];
}

static void offer_options(const struct ctl_command *c, const char *typed)
{
	for (const struct ctl_param *p = c->param; p->name; p++) {
		char option[48];
		snprintf(option, sizeof(option), "%s%s", option_dashes(p), p->name);
		if (!p->positional)
			offer(option, typed);
	}
	offer_words("--json --quiet --utc --help", typed);
}

/* Behind the words of the command; the last is the one to be completed. */
static int complete_arguments(const struct invocation *in, const struct ctl_command *c, int n,
			      char **words)
{
	int positionals = 0;
	const char *typed = words[n - 1];
	for (int i = 0; i + 1 < n; i++) {
		const bool value = takes_value(option_of(c, words[i]));
		if (value && i + 2 == n)
			return offer_argument(in, c, option_of(c, words[i])->arg, typed);
		i += value;
		positionals += !value && words[i][0] != '-';
	}
	if (typed[0] == '-') {
		offer_options(c, typed);
		return 0;
	}
	for (const struct ctl_param *p = c->param; p->name; p++)
		if (p->positional && positionals-- == 0)
			return offer_argument(in, c, p->name, typed);
	offer_options(c, typed);
	return 0;
}

static void offer_nouns(const char *typed)
{
	for (size_t i = 0; i < ctl_nouns_n; i++)
		offer(ctl_nouns[i].noun, typed);
	offer_words("help version --socket --json --quiet --utc --help --version", typed);
}

static void offer_verbs(const char *noun, const char *typed)
{
	for (size_t i = 0; i < ctl_commands_n; i++)
		if (strcmp(ctl_commands[i].noun, noun) == 0 && ctl_commands[i].verb[0])
			offer(ctl_commands[i].verb, typed);
}

static const struct ctl_command *find(const char *noun, const char *verb)
{
	for (size_t i = 0; i < ctl_commands_n; i++) {
		const struct ctl_command *c = &ctl_commands[i];
		if (strcmp(c->noun, noun) == 0 && (!c->verb[0] || strcmp(c->verb, verb) == 0))
			return c;
	}
	return NULL;
}

/* Takes the options away that may stand anywhere; the last word stays whatever it is. Returns how
 * many words are left. */
static int without_globals(int n, char **words, const char **socket_path)
{
	static const char *const flags[] = {"--json", "--quiet", "-q", "--utc", "--help", "-h"};
	int left = 0;
	for (int i = 0; i < n; i++) {
		bool flag = false;
		const bool last = i + 1 == n;
		for (size_t f = 0; f < ARRAY_LEN(flags) && !last; f++)
			flag |= strcmp(words[i], flags[f]) == 0;
		if (flag)
			continue;
		if (!last && strcmp(words[i], "--socket") == 0 && i + 2 < n)
			*socket_path = words[++i];
		else if (!last && strncmp(words[i], "--socket=", 9) == 0)
			*socket_path = words[i] + 9;
		else
			words[left++] = words[i];
	}
	return left;
}

int complete_run(const char *socket_path, int n, char **words)
{
	n = without_globals(n, words, &socket_path);
	if (n > 1 && strcmp(words[0], "help") == 0) {
		words++;
		n--;
	}
	/* Nobody asked for an error in the middle of a word. */
	if (n == 0 || !freopen("/dev/null", "w", stderr))
		return 0;
	if (n == 1) {
		offer_nouns(words[0]);
		return 0;
	}
	if (n == 2 && strcmp(words[0], "--socket") == 0)
		return FILES;
	const struct invocation in = {.socket_path = socket_path, .json = true};
	const struct ctl_command *c = find(words[0], words[1]);
	const int used = c && c->verb[0] ? 2 : 1;
	if (c && n > used)
		return complete_arguments(&in, c, n - used, words + used);
	if (n == 2)
		offer_verbs(words[0], words[1]);
	return 0;
}
