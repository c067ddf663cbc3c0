/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse enrol csv, enrol devices and device import: many devices, from a table, and codes for
 * them or for those that are there. The whole file is read and checked before
 * anything is asked for; then every line is one request that works or changes nothing, and a line
 * that was refused does not stop the next ones.
 */
#include "certs/request.h"
#include "ctl/csv.h"
#include "ctl/ctl.h"
#include "ctl/file.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 64 * MiB, LINES_MAX = 1000000, BUSY = 429, BUSY_TRIES = 600, BUSY_US = 500000 };

/* What is made of a line. */
enum wanted { CODES = 1, BUNDLES = 2, DEVICES = 4 };

/* Columns by their titles; a list is written with blanks between its items. */
static const struct column {
	const char *title;
	const char *field; /* NULL: left out, as it cannot be set */
	bool list;
	unsigned of; /* bits of enum wanted */
} columns[] = {
	{"name", "name", false, CODES | BUNDLES | DEVICES},
	{"kind", "kind", false, CODES | BUNDLES | DEVICES},
	{"groups", "groups", true, CODES | BUNDLES | DEVICES},
	{"group", "groups", true, CODES | BUNDLES | DEVICES},
	{"roles", "roles", true, CODES | BUNDLES | DEVICES},
	{"role", "roles", true, CODES | BUNDLES | DEVICES},
	{"note", "note", false, CODES | BUNDLES | DEVICES},
	{"profile", "profile", false, CODES},
	{"network", "network", false, CODES},
	{"password", "password", false, DEVICES},
	{"code", "code", false, DEVICES},
	{"certificate", "code", false, DEVICES}, /* its title in the browser's tables */
	/* What the browser's list of devices shows, too. */
	{"enabled", NULL, false, DEVICES},
	{"connected", NULL, false, DEVICES},
	{"last_seen", NULL, false, DEVICES},
	{"has_password", NULL, false, DEVICES},
	{"certificates", NULL, false, DEVICES},
	{"certificate_end", NULL, false, DEVICES},
	{"added", NULL, false, DEVICES},
};

struct job {
	struct invocation *in;
	enum wanted wanted;
	const char *bundles; /* directory for them */
	json_t *lines;       /* list of {line, body} */
	json_t *status;
	FILE *out;
	bool titled; /* the titles of the codes are out */
	size_t done;
	size_t failed;
	json_int_t replaced; /* older codes */
	int worst;           /* EXIT_* of a line that failed */
};

static int complain(size_t line, const char *what)
{
	print_error("line %zu: %s", line, what);
	return EXIT_USAGE;
}

static const struct column *find_column(const char *title)
{
	for (size_t i = 0; i < ARRAY_LEN(columns); i++)
		if (strcmp(title, columns[i].title) == 0)
			return &columns[i];
	return NULL;
}

/* ---- reading ---- */

static json_t *split_list(const char *text)
{
	json_t *list = json_array();
	struct str rest = str_of(text);
	while (rest.p) {
		const struct str item = str_trim(str_split(&rest, ' '));
		if (item.n)
			json_array_append_new(list, json_stringn(item.p, item.n));
	}
	return list;
}

static void put_field(json_t *body, const struct column *column, json_t *value)
{
	if (json_string_length(value) == 0 || !column->field)
		return;
	if (column->list)
		json_object_set_new(body, column->field, split_list(json_string_value(value)));
	else
		json_object_set(body, column->field, value);
}

/* "name, kind, groups, roles, note, password, code": one way to write each. */
static void put_known(enum wanted wanted, struct buf *out)
{
	const char *field = "";
	for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
		if (!(columns[i].of & wanted) || !columns[i].field ||
		    strcmp(field, columns[i].field) == 0)
			continue;
		buf_printf(out, "%s%s", field[0] ? ", " : "", columns[i].title);
		field = columns[i].field;
	}
}

static int check_titles(const struct job *j, const json_t *titles, size_t line)
{
	static const char *const words[] = {[CODES] = "codes (enrol csv)",
					    [BUNDLES] = "enrol csv --bundles",
					    [DEVICES] = "device import"};
	size_t i;
	const json_t *title;
	bool name = false;
	AUTO_BUF known = {0};
	AUTO_BUF left_out = {0};
	put_known(j->wanted, &known);
	json_array_foreach(titles, i, title)
	{
		const struct column *c = find_column(json_string_value(title));
		AUTO_CHAR what = NULL;
		if (!c)
			what = mem_printf("there is no column \"%s\"; known are %s",
					  json_string_value(title), buf_cstr(&known));
		else if (!(c->of & j->wanted))
			what = mem_printf("the column \"%s\" is for %s, not for %s; known are %s",
					  c->title, words[c->of], words[j->wanted],
					  buf_cstr(&known));
		if (what)
			return complain(line, what);
		name |= c && strcmp(c->title, "name") == 0;
		if (c && !c->field)
			buf_printf(&left_out, "%s%s", left_out.n ? ", " : "", c->title);
	}
	if (left_out.n)
		print_note("these columns cannot be set and are left out: %s", buf_cstr(&left_out));
	if (name)
		return EXIT_OK;
	AUTO_CHAR what =
		mem_printf("the first line must have the titles of the columns, name among "
			   "them; known are %s",
			   buf_cstr(&known));
	return complain(line, what);
}

/* yes, no or nothing in the column "code"; the tables of the browser say code for yes. */
static bool take_wish(json_t *body)
{
	const char *word = json_string_value(json_object_get(body, "code"));
	const bool yes = word && (strcmp(word, "yes") == 0 || strcmp(word, "code") == 0);
	if (word && !yes && strcmp(word, "no") != 0)
		return false;
	if (word)
		json_object_set_new(body, "code", json_boolean(yes));
	return true;
}

static int take_row(struct job *j, const json_t *titles, const json_t *row, json_t *seen,
		    size_t line)
{
	size_t i;
	json_t *value;
	json_t *body = json_object();
	json_t *entry = json_pack("{s:I, s:o}", "line", (json_int_t)line, "body", body);
	json_array_append_new(j->lines, entry);
	if (json_array_size(row) > json_array_size(titles))
		return complain(line, "it has more fields than the first line has titles");
	json_array_foreach(row, i, value)
		put_field(body, find_column(json_string_value(json_array_get(titles, i))), value);
	const char *name = json_string_value(json_object_get(body, "name"));
	if (!name)
		return complain(line, "the name is missing");
	if (!take_wish(body))
		return complain(line, "the column \"code\" says whether a code is made: yes or no");
	const json_t *before = json_object_get(seen, name);
	if (before) {
		print_error("line %zu: \"%s\" is in line %lld already", line, name,
			    (long long)json_integer_value(before));
		return EXIT_USAGE;
	}
	json_object_set_new(seen, name, json_integer((json_int_t)line));
	return EXIT_OK;
}

static int read_rows(struct job *j, struct csv *csv, json_t *titles, json_t *seen)
{
	struct why why;
	int status = EXIT_OK;
	int err;
	json_t *row;
	while ((row = csv_row(csv, &err, &why))) {
		const int bad =
			json_array_size(j->lines) < LINES_MAX
				? take_row(j, titles, row, seen, csv->line)
				: complain(csv->line, "more than 1000000 lines: split the file");
		json_decref(row);
		status = bad ? bad : status;
		if (json_array_size(j->lines) >= LINES_MAX)
			break;
	}
	return err ? complain(csv->line, why.text) : status;
}

static int read_table(struct job *j, const char *path)
{
	struct csv csv;
	struct why why;
	int err = 0;
	const char *problem = "";
	AUTO_SECRET text = {0}; /* perhaps with passwords */
	if (file_read(strcmp(path, "-") == 0 ? "/dev/stdin" : path, FILE_MAX, &text, &problem)) {
		print_error("%s: %s", path, problem);
		return EXIT_USAGE;
	}
	csv_begin(&csv, buf_view(&text));
	json_t *titles = csv_row(&csv, &err, &why);
	json_t *seen = json_object();
	int status = err      ? complain(csv.line, why.text)
		     : titles ? check_titles(j, titles, csv.line)
			      : complain(1, "the file is empty");
	if (status == EXIT_OK)
		status = read_rows(j, &csv, titles, seen);
	if (status == EXIT_OK && json_array_size(j->lines) == 0)
		status = complain(csv.line, "there is no device behind the titles");
	json_decref(seen);
	json_decref(titles);
	return status;
}

/* ---- doing ---- */

/* More than the gateway issues at once is a matter of patience. */
static unsigned send_patiently(struct job *j, const char *path, json_t *body, json_t **answer)
{
	unsigned http = BUSY;
	for (int i = 0; i < BUSY_TRIES && http == BUSY; i++) {
		if (i)
			usleep(BUSY_US);
		json_decref(*answer);
		*answer = NULL;
		http = request_send(j->in, "POST", path, body, answer);
	}
	return http;
}

/* Of a table its line is told, of the registry the device. */
static int judge(unsigned http, size_t line, const json_t *body, const json_t *answer)
{
	if (http == 0)
		return EXIT_UNREACHABLE;
	if (http < 300)
		return EXIT_OK;
	AUTO_CHAR about = line ? mem_printf("line %zu", line)
			       : mem_strdup(json_string_value(json_object_get(body, "name")));
	return print_problem_about(about, http, answer);
}

static void print_titles(struct job *j)
{
	if (!j->titled)
		fprintf(j->out, "name,code,expires,profile\n");
	j->titled = true;
}

static int make_code(struct job *j, json_t *body, size_t line)
{
	static const char *const titles[] = {"name", "code", "expires", "profile"};
	json_t *answer = NULL;
	const unsigned http = send_patiently(j, "/api/v1/codes", body, &answer);
	const int status = judge(http, line, body, answer);
	if (status == EXIT_OK)
		j->replaced += json_integer_value(json_object_get(answer, "replaced"));
	if (status == EXIT_OK && j->in->json)
		print_json_line(answer);
	if (status == EXIT_OK && !j->in->json) {
		print_titles(j);
		AUTO_SECRET text = {0};
		for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
			const char *value = json_string_value(json_object_get(answer, titles[i]));
			buf_puts(&text, i ? "," : "");
			csv_put(&text, value ? value : "");
		}
		fprintf(j->out, "%.*s\n", STR_ARG(buf_view(&text)));
		fflush(j->out);
	}
	json_decref(answer);
	return status;
}

static int write_bundle(struct job *j, const char *dir, const char *name, const json_t *answer)
{
	const struct bundle b = {
		.dir = dir,
		.device = name,
		.host = invocation_local(j->in, "host"),
		.certificate = json_object_get(answer, "certificate"),
		.status = j->status,
	};
	const int status = bundle_write(&b);
	if (status == EXIT_OK && j->in->json)
		print_json_line(answer);
	return status;
}

static int make_bundle(struct job *j, json_t *body, size_t line)
{
	const char *name = json_string_value(json_object_get(body, "name"));
	json_t *answer = NULL;
	AUTO_SECRET key = {0};
	AUTO_BUF csr = {0};
	bool made = false;
	if (name[0] == '.' || strchr(name, '/') || request_make(name, &key, &csr))
		return complain(line, "no key can be made for this name");
	AUTO_CHAR dir = mem_printf("%s/%s", j->bundles, name);
	int status = bundle_begin(dir, buf_view(&key), &made);
	if (status != EXIT_OK)
		return status;
	json_object_set_new(body, "csr", json_stringn(csr.p, csr.n));
	const unsigned http = send_patiently(j, "/api/v1/devices", body, &answer);
	status = judge(http, line, body, answer);
	if (status == EXIT_OK)
		status = write_bundle(j, dir, name, answer);
	else if (status != EXIT_UNREACHABLE) /* an answer that was lost may have been yes */
		bundle_abandon(dir, made);
	json_decref(answer);
	return status;
}

static int make_device(struct job *j, json_t *body, size_t line)
{
	json_t *answer = NULL;
	const bool code = json_is_true(json_object_get(body, "code"));
	json_object_del(body, "code");
	const unsigned http = send_patiently(j, "/api/v1/devices", body, &answer);
	int status = judge(http, line, body, answer);
	if (status == EXIT_OK && j->in->json)
		print_json_line(answer);
	json_decref(answer);
	if (status != EXIT_OK || !code)
		return status;
	json_t *wish = json_pack("{s:O}", "name", json_object_get(body, "name"));
	json_t *ttl = json_object_get(j->in->args, "ttl");
	if (ttl)
		json_object_set(wish, "ttl", ttl);
	status = make_code(j, wish, line);
	json_decref(wish);
	return status;
}

static int make(struct job *j, json_t *body, size_t line)
{
	switch (j->wanted) {
	case BUNDLES:
		return make_bundle(j, body, line);
	case DEVICES:
		return make_device(j, body, line);
	default:
		return make_code(j, body, line);
	}
}

/* Where codes scroll by at the same terminal, they are the progress. */
static bool shows_progress(const struct job *j)
{
	return isatty(STDERR_FILENO) && (j->bundles || !isatty(STDOUT_FILENO));
}

static void show_progress(const struct job *j)
{
	if (shows_progress(j))
		fprintf(stderr, "\r%zu of %zu", j->done + j->failed, json_array_size(j->lines));
}

static int work(struct job *j)
{
	size_t i;
	json_t *entry;
	json_array_foreach(j->lines, i, entry)
	{
		json_t *body = json_object_get(entry, "body");
		const size_t line = (size_t)json_integer_value(json_object_get(entry, "line"));
		const int status = make(j, body, line);
		j->done += status == EXIT_OK;
		j->failed += status != EXIT_OK;
		j->worst = status != EXIT_OK ? status : j->worst;
		show_progress(j);
		if (status == EXIT_UNREACHABLE)
			break;
	}
	if (shows_progress(j))
		fprintf(stderr, "\r");
	print_note("%zu of %zu lines done%s", j->done, json_array_size(j->lines),
		   j->failed ? "; the others changed nothing" : "");
	if (j->replaced)
		print_note("%lld older code%s for these names no longer count%s",
			   (long long)j->replaced, j->replaced == 1 ? "" : "s",
			   j->replaced == 1 ? "s" : "");
	return j->worst;
}

static int open_output(struct job *j)
{
	const char *path = invocation_local(j->in, "out");
	j->out = stdout;
	if (j->bundles && mkdir(j->bundles, 0700) && errno != EEXIST) {
		print_error("cannot make %s: %s", j->bundles, strerror(errno));
		return EXIT_FAILED;
	}
	if (j->bundles || !path)
		return EXIT_OK;
	/* It holds secrets, and must not take the place of others. */
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		print_error("cannot make %s: %s", path, strerror(errno));
		return errno == EEXIST ? EXIT_CONFLICT : EXIT_FAILED;
	}
	j->out = fdopen(fd, "w");
	CHECK(j->out);
	return EXIT_OK;
}

static int run(struct job *j)
{
	int status = open_output(j);
	if (status != EXIT_OK)
		return status;
	const unsigned http =
		j->bundles ? request_send(j->in, "GET", "/api/v1/status", NULL, &j->status) : 200;
	if (http != 200)
		return http ? print_problem(http, j->status) : EXIT_UNREACHABLE;
	if (j->wanted == CODES && !j->in->json)
		print_titles(j);
	status = work(j);
	if (j->out != stdout && fclose(j->out)) {
		print_error("cannot write %s: %s", invocation_local(j->in, "out"), strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}

/* Options that hold for every line. */
static void put_options(struct job *j)
{
	static const char *const common[] = {"ttl", "network", "profile", "keep"};
	size_t i;
	json_t *entry;
	json_array_foreach(j->lines, i, entry)
	{
		json_t *body = json_object_get(entry, "body");
		for (size_t k = 0; k < ARRAY_LEN(common); k++) {
			json_t *value = json_object_get(j->in->args, common[k]);
			if (value && !json_object_get(body, common[k]))
				json_object_set(body, common[k], value);
		}
	}
}

/* Every device of the registry that the filters let through, by pages. */
static int read_devices(struct job *j)
{
	size_t i;
	const json_t *device;
	const char *next = NULL;
	json_t *answer = NULL;
	do {
		if (next)
			json_object_set_new(j->in->args, "after", json_string(next));
		json_decref(answer);
		answer = NULL;
		const int status = request_command(j->in, &answer);
		if (status != EXIT_OK) {
			json_decref(answer);
			return status;
		}
		json_array_foreach(json_object_get(answer, "items"), i, device)
		{
			json_t *body = json_pack("{s:O}", "name", json_object_get(device, "name"));
			json_t *entry = json_pack("{s:i, s:o}", "line", 0, "body", body);
			json_array_append_new(j->lines, entry);
		}
		next = json_string_value(json_object_get(answer, "next"));
	} while (next);
	json_decref(answer);
	if (json_array_size(j->lines))
		return EXIT_OK;
	print_empty();
	return EXIT_NOT_FOUND;
}

int run_enrol_devices(struct invocation *in)
{
	static const char *const of_codes[] = {"ttl", "network", "profile", "keep"};
	struct job j = {.in = in, .wanted = CODES, .lines = json_array()};
	json_t *codes = json_object();
	/* The list of devices does not know these. */
	for (size_t i = 0; i < ARRAY_LEN(of_codes); i++) {
		json_t *value = json_object_get(in->args, of_codes[i]);
		if (value)
			json_object_set(codes, of_codes[i], value);
		json_object_del(in->args, of_codes[i]);
	}
	int status = read_devices(&j);
	json_decref(in->args);
	in->args = codes;
	if (status == EXIT_OK) {
		put_options(&j);
		status = run(&j);
	}
	json_decref(j.lines);
	return status;
}

int run_enrol_csv(struct invocation *in)
{
	struct job j = {.in = in,
			.wanted = CODES,
			.bundles = invocation_local(in, "bundles"),
			.lines = json_array()};
	const char *host = invocation_local(in, "host");
	int status = EXIT_OK;
	if (j.bundles)
		j.wanted = BUNDLES;
	if (host && !bundle_is_host(host)) {
		print_error("--host %s: not a host name or an address", host);
		status = EXIT_USAGE;
	} else if (j.bundles &&
		   (invocation_local(in, "out") || json_object_get(in->args, "ttl") ||
		    json_object_get(in->args, "network") || json_object_get(in->args, "keep"))) {
		print_error("--ttl, --network, --keep and --out are for codes, not "
			    "for --bundles");
		status = EXIT_USAGE;
	}
	if (status == EXIT_OK)
		status = read_table(&j, json_string_value(json_object_get(in->args, "file")));
	if (status == EXIT_OK) {
		put_options(&j);
		status = run(&j);
	}
	json_decref(j.status);
	json_decref(j.lines);
	return status;
}

int run_device_import(struct invocation *in)
{
	struct job j = {.in = in, .wanted = DEVICES, .lines = json_array()};
	int status = read_table(&j, json_string_value(json_object_get(in->args, "file")));
	if (status == EXIT_OK)
		status = run(&j);
	json_decref(j.lines);
	return status;
}
