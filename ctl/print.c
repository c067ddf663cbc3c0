/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers on the terminal: tables whose columns fit their contents, names and values, one line per
 * event.
 */
#include "ctl/ctl.h"
#include "daemon/base/mem.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

enum { COLUMNS_MAX = 9, CELL_MAX = 48 };

/* Columns of a list, by the command's noun and by the names under which it stands in other answers.
 */
struct table {
	const char *noun;
	struct {
		const char *title;
		const char *field;
	} column[COLUMNS_MAX];
	const char *name[2];
};

static const struct table tables[] = {
	{.noun = "device",
	 .column = {{"NAME", "name"},
		    {"STATE", "state"},
		    {"LAST SEEN", "last_seen"},
		    {"ENDS", "certificate_end"},
		    {"KIND", "kind"},
		    {"GROUPS", "groups"},
		    {"ROLES", "roles"}}},
	{.noun = "cert",
	 .column = {{"FINGERPRINT", "fingerprint"},
		    {"DEVICE", "device"},
		    {"NAME", "name"},
		    {"STATUS", "status"},
		    {"ENDS", "not_after"},
		    {"BY WAY OF", "via"}},
	 .name = {"certificates", "server_certificates"}},
	{.noun = "code",
	 .column = {{"ID", "id"},
		    {"NAME", "name"},
		    {"PATTERN", "pattern"},
		    {"STATE", "state"},
		    {"USES LEFT", "uses_left"},
		    {"ENDS", "expires"},
		    {"NETWORK", "network"},
		    {"PROFILE", "profile"},
		    {"NOTE", "note"}}},
	{.noun = "claim",
	 .column = {{"NAME", "name"},
		    {"AUTHORITY", "subject"},
		    {"NAME FROM", "name_from"},
		    {"PATTERN", "pattern"},
		    {"APPROVAL", "approval"},
		    {"QUOTA", "quota"},
		    {"USED", "used"},
		    {"ALLOWED", "allowed"},
		    {"PROFILE", "profile"}}},
	{.noun = "profile",
	 .column = {{"NAME", "name"},
		    {"LIFETIME", "lifetime"},
		    {"GRACE", "grace"},
		    {"OVERLAP", "overlap"},
		    {"NOTE", "note"}}},
	{.noun = "request",
	 .column = {{"ID", "id"},
		    {"NAME", "name"},
		    {"STATE", "state"},
		    {"KEY", "words"},
		    {"FROM", "source"},
		    {"VIA", "via"},
		    {"SINCE", "created"},
		    {"DEVICE EXISTS", "device_exists"}}},
	{.noun = "role",
	 .column = {{"NAME", "name"},
		    {"RULES", "rule_count"},
		    {"DEVICES", "device_count"},
		    {"NOTE", "note"}}},
	{.noun = "acl",
	 .column = {{"ID", "id"},
		    {"PRIORITY", "priority"},
		    {"EFFECT", "effect"},
		    {"SUBJECT", "subject"},
		    {"ACTIONS", "actions"},
		    {"FILTER", "filter"},
		    {"CONDITIONS", "conditions"}},
	 .name = {"rules"}},
	{.noun = "learn",
	 .column = {{"WHO", "subject"},
		    {"UNTIL", "until"},
		    {"DEVICES", "devices"},
		    {"TOPICS", "topics"},
		    {"SINCE", "created"},
		    {"BY", "created_by"}}},
	{.noun = "client",
	 .column = {{"CLIENT ID", "client_id"},
		    {"DEVICE", "device"},
		    {"ADDRESS", "address"},
		    {"LISTENER", "listener"},
		    {"PROTOCOL", "protocol"},
		    {"TLS", "tls"},
		    {"SINCE", "connected"}},
	 .name = {"clients"}},
	{.noun = "ban",
	 .column = {{"FROM", "source"},
		    {"KIND", "kind"},
		    {"ACCOUNT", "account"},
		    {"UNTIL", "until"},
		    {"REFUSED", "count"},
		    {"LAST", "last"},
		    {"BY", "by"},
		    {"REASON", "reason"}}},
	{.noun = "limit",
	 .column = {{"LIMIT", "name"},
		    {"OF EACH", "per"},
		    {"AT MOST", "value"},
		    {"REACHED", "refused"},
		    {"LAST", "last"},
		    {"BY", "who"},
		    {"ADDRESS", "address"}}},
	{.noun = "admin",
	 .column = {{"NAME", "name"},
		    {"LEVEL", "level"},
		    {"ENABLED", "enabled"},
		    {"SECOND FACTOR", "totp"},
		    {"SESSIONS", "sessions"},
		    {"LAST LOGIN", "seen"}}},
	{.noun = "session",
	 .column = {{"ID", "id"},
		    {"NAME", "name"},
		    {"FROM", "source"},
		    {"SINCE", "created"},
		    {"LAST SEEN", "seen"},
		    {"BROWSER", "agent"}}},
	{.noun = "token",
	 .column = {{"NAME", "name"},
		    {"LEVEL", "level"},
		    {"OPERATIONS", "operations"},
		    {"ENDS", "expires"},
		    {"LAST SEEN", "seen"}}},
	{.noun = "audit",
	 .column = {{"TIME", "time"},
		    {"WHO", "actor"},
		    {"FROM", "source"},
		    {"OPERATION", "operation"},
		    {"TARGET", "target"},
		    {"OUTCOME", "outcome"},
		    {"WHY", "why"}}},
	{.noun = "revision",
	 .column = {{"ID", "id"},
		    {"TIME", "time"},
		    {"WHO", "actor"},
		    {"FROM", "source"},
		    {"OPERATION", "operation"},
		    {"TARGET", "target"},
		    {"OBJECTS", "objects"}}},
	{.noun = "retained",
	 .column = {{"TOPIC", "topic"},
		    {"QOS", "qos"},
		    {"SIZE", "size"},
		    {"TEXT", "text"},
		    {"BYTES", "hex"},
		    {"CUT", "cut"}}},
	{.noun = "config", .column = {{"KEY", "key"}, {"VALUE", "value"}, {"SET IN", "origin"}}},
	{.noun = "status",
	 .column = {{"PROCESS", "name"},
		    {"STATE", "state"},
		    {"PID", "pid"},
		    {"SINCE", "since"},
		    {"RESTARTS", "restarts"},
		    {"LAST EXIT", "last_exit"}},
	 .name = {"processes"}},
	{.noun = "",
	 .column = {{"LISTENER", "name"},
		    {"ADDRESS", "address"},
		    {"PROTOCOL", "protocol"},
		    {"CONNECTIONS", "connections"}},
	 .name = {"listeners"}},
	{.noun = "",
	 .column = {{"CERTIFICATE OF", "name"},
		    {"FILE", "path"},
		    {"ENDS", "not_after"},
		    {"PUBLIC", "public"}},
	 .name = {"server_files"}},
	{.noun = "",
	 .column = {{"SUBSCRIPTION", "filter"},
		    {"QOS", "qos"},
		    {"NO LOCAL", "no_local"},
		    {"AS PUBLISHED", "retain_as_published"},
		    {"IDENTIFIER", "identifier"},
		    {"ACTIVE", "active"},
		    {"IN PART", "partial"}},
	 .name = {"subscription_list"}},
	{.noun = "",
	 .column = {{"AUTHORITY", "name"},
		    {"SUBJECT", "subject"},
		    {"STATE", "state"},
		    {"KEY", "key"},
		    {"DEVICES", "certificates"},
		    {"FINGERPRINT", "fingerprint"},
		    {"ENDS", "not_after"}},
	 .name = {"authorities"}},
};

static void cell_text(struct buf *out, const json_t *v)
{
	size_t i;
	const json_t *item;
	if (json_is_string(v))
		buf_puts(out, json_string_value(v));
	else if (json_is_integer(v))
		buf_printf(out, "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		buf_puts(out, json_is_true(v) ? "yes" : "no");
	else if (json_is_array(v))
		json_array_foreach(v, i, item)
		{
			buf_puts(out, i ? "," : "");
			cell_text(out, item);
		}
	else if (json_is_object(v))
		buf_puts(out, "{...}");
	if (out->n == 0)
		buf_puts(out, "-");
}

/* What comes from devices may hold anything: controls would move the cursor. */
static void make_printable(struct buf *b)
{
	str_mask_controls(b->p, b->n);
}

/* Columns on the screen: letters of the Far East take two, marks above others none. */
static size_t width(struct str s)
{
	static locale_t utf8;
	size_t columns = 0;
	mbstate_t state = {0};
	if (!utf8)
		utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	const locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
	while (s.n) {
		wchar_t letter;
		const size_t n = mbrtowc(&letter, s.p, s.n, &state);
		const bool good = n > 0 && n <= s.n;
		const int w = good ? wcwidth(letter) : 1;
		columns += w > 0 ? (size_t)w : 0;
		s.p += good ? n : 1;
		s.n -= good ? n : 1;
	}
	if (utf8)
		uselocale(before);
	return columns;
}

/* "3 d 4 h", "2 h 5 min", "17 s": the two largest units. */
void print_duration(struct buf *out, json_int_t s)
{
	if (s >= 86400)
		buf_printf(out, "%lld d %lld h", (long long)(s / 86400),
			   (long long)(s % 86400 / 3600));
	else if (s >= 3600)
		buf_printf(out, "%lld h %lld min", (long long)(s / 3600),
			   (long long)(s % 3600 / 60));
	else if (s >= 60)
		buf_printf(out, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
	else
		buf_printf(out, "%lld s", (long long)s);
}

/* Seconds of a profile. */
static bool put_span(struct buf *out, const char *field, const json_t *v)
{
	static const char *const spans[] = {"lifetime", "grace", "overlap"};
	for (size_t i = 0; i < ARRAY_LEN(spans); i++) {
		if (strcmp(field, spans[i]) != 0 || !json_is_integer(v))
			continue;
		if (i == 0 && json_integer_value(v) == 0)
			buf_puts(out, "as the authority");
		else
			print_duration(out, json_integer_value(v));
		return true;
	}
	return false;
}

static char *cell(const json_t *row, const char *field)
{
	AUTO_BUF text = {0};
	if (!put_span(&text, field, json_object_get(row, field)))
		cell_text(&text, json_object_get(row, field));
	make_printable(&text);
	if (strcmp(field, "fingerprint") == 0 && text.n > 16)
		text.n = 16; /* enough to name it; --json and show give all of it */
	return mem_strdup(buf_cstr(&text));
}

static void print_cell(const char *text, size_t size, bool last)
{
	const size_t w = width(str_of(text));
	printf("%s%*s", text, last ? 0 : (int)(size > w ? size - w + 2 : 2), "");
}

static void print_table(const struct table *t, const json_t *items, int indent)
{
	size_t n = 0, i;
	const json_t *row;
	size_t size[COLUMNS_MAX] = {0};
	while (n < COLUMNS_MAX && t->column[n].title)
		n++;
	for (size_t c = 0; c < n; c++) {
		size[c] = strlen(t->column[c].title);
		json_array_foreach(items, i, row)
		{
			AUTO_CHAR text = cell(row, t->column[c].field);
			size[c] = MAX(size[c], MIN(width(str_of(text)), (size_t)CELL_MAX));
		}
	}
	printf("%*s", indent, "");
	for (size_t c = 0; c < n; c++)
		print_cell(t->column[c].title, size[c], c + 1 == n);
	printf("\n");
	json_array_foreach(items, i, row)
	{
		printf("%*s", indent, "");
		for (size_t c = 0; c < n; c++) {
			AUTO_CHAR text = cell(row, t->column[c].field);
			print_cell(text, size[c], c + 1 == n);
		}
		printf("\n");
	}
}

static const struct table *find_table(const char *noun, const char *name)
{
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		const struct table *it = &tables[t];
		if (noun && strcmp(it->noun, noun) == 0)
			return it;
		for (size_t k = 0; name && k < ARRAY_LEN(it->name) && it->name[k]; k++)
			if (strcmp(it->name[k], name) == 0)
				return it;
	}
	return NULL;
}

void print_list(const struct ctl_command *command, const json_t *items)
{
	const struct table *t = find_table(command->noun, NULL);
	if (json_array_size(items) == 0)
		print_empty();
	else if (t)
		print_table(t, items, 0);
}

void print_rows(const char *name, const json_t *items)
{
	print_table(find_table(NULL, name), items, 0);
}

static void print_value(const char *key, const json_t *value, int indent, int width);

/* A table or fields of its own, set off by an empty line. */
static bool is_block(const char *key, const json_t *value)
{
	return json_is_object(value) || (json_is_array(value) && find_table(NULL, key));
}

static bool is_empty_block(const char *key, const json_t *value)
{
	return is_block(key, value) && json_object_size(value) + json_array_size(value) == 0;
}

static void print_fields(const json_t *object, int indent)
{
	const char *key;
	json_t *value;
	int width = 22 - indent;
	bool block = false; /* what comes next must not look like its last line */
	json_object_foreach((json_t *)(uintptr_t)object, key, value) width =
		is_block(key, value) ? width : MAX(width, (int)strlen(key));
	json_object_foreach((json_t *)(uintptr_t)object, key, value)
	{
		if (is_empty_block(key, value))
			continue;
		const bool next = is_block(key, value);
		if (block && !next)
			printf("\n");
		block = next;
		print_value(key, value, indent, width);
	}
}

static void print_multiline(const char *text, int indent)
{
	struct str rest = str_trim(str_of(text));
	while (rest.p) {
		AUTO_BUF line = {0};
		buf_str(&line, str_split(&rest, '\n'));
		make_printable(&line);
		printf("%*s%s\n", indent, "", buf_cstr(&line));
	}
}

/* Keys of a client that do not say of themselves which way, or since when. */
static const struct {
	const char *key;
	const char *label;
} labels[] = {
	{"messages_in", "messages from it"},
	{"messages_out", "messages to it"},
	{"messages_in_per_minute", "from it per minute"},
	{"messages_out_per_minute", "to it per minute"},
	{"bytes_in", "bytes from it"},
	{"bytes_out", "bytes to it"},
	{"queued_now", "messages waiting"},
	{"queued_bytes", "bytes waiting"},
	{"in_flight", "sent, not answered"},
	{"unsent_bytes", "bytes not read yet"},
	{"packet_max", "maximum packet size"},
	{"heard", "last heard"},
};

static char *label_of(const char *key)
{
	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
		if (strcmp(labels[i].key, key) == 0)
			return mem_strdup(labels[i].label);
	char *label = mem_strdup(key);
	for (char *p = label; *p; p++)
		if (*p == '_')
			*p = ' ';
	return label;
}

static void print_value(const char *key, const json_t *value, int indent, int width)
{
	const struct table *table = json_is_array(value) ? find_table(NULL, key) : NULL;
	AUTO_CHAR label = label_of(key);
	if (table) {
		printf("\n");
		print_table(table, value, indent);
	} else if (json_is_object(value)) {
		printf("\n%*s%s:\n", indent, "", label);
		print_fields(value, indent + 4);
	} else if (json_is_string(value) && strchr(json_string_value(value), '\n')) {
		printf("%*s%s:\n", indent, "", label);
		print_multiline(json_string_value(value), indent + 4);
	} else {
		AUTO_BUF text = {0};
		cell_text(&text, value);
		make_printable(&text);
		printf("%*s%-*s %s\n", indent, "", MAX(width, 1), label, buf_cstr(&text));
	}
}

void print_object(const json_t *object)
{
	print_fields(object, 0);
}

void print_json_line(const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	puts(text ? text : "null");
	free(text);
}

static const char *field(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static void append_pair(struct buf *line, const char *key, const char *value)
{
	if (value[0])
		buf_printf(line, "  %s=%s", key, value);
}

/* What to name an event by that asks to be looked at; or who has looked at it. */
static void append_acknowledged(struct buf *line, const json_t *event)
{
	const json_t *by = json_object_get(event, "acknowledged");
	const bool asks = strchr("wec", field(event, "severity")[0]) != NULL;
	if (json_is_object(by)) {
		append_pair(line, "acknowledged", field(by, "actor"));
		append_pair(line, "note", field(by, "note"));
	} else if (asks) {
		buf_printf(line, "  seq=%lld",
			   (long long)json_integer_value(json_object_get(event, "seq")));
	}
}

void print_event(const json_t *event)
{
	AUTO_BUF line = {0};
	const char *key;
	json_t *value;
	buf_printf(&line, "%s  %-8s %-22s %s", field(event, "time"), field(event, "severity"),
		   field(event, "event"), field(event, "actor")[0] ? field(event, "actor") : "-");
	if (strcmp(field(event, "device"), field(event, "actor")) != 0)
		append_pair(&line, "device", field(event, "device"));
	append_pair(&line, "address", field(event, "address"));
	append_pair(&line, "client_id", field(event, "client_id"));
	append_pair(&line, "listener", field(event, "listener"));
	append_pair(&line, "reason", field(event, "reason"));
	json_object_foreach(json_object_get(event, "detail"), key, value)
	{
		AUTO_BUF text = {0};
		cell_text(&text, value);
		append_pair(&line, key, buf_cstr(&text));
	}
	append_acknowledged(&line, event);
	make_printable(&line);
	puts(buf_cstr(&line));
}

/* "2026-11-26T12:00:01.123Z  notice   broker  ..." */
void print_log_line(const json_t *line)
{
	AUTO_BUF text = {0};
	const json_int_t left_out = json_integer_value(json_object_get(line, "left_out"));
	if (left_out)
		buf_printf(&text, "(%lld lines of %s were left out: too many at once)\n",
			   (long long)left_out, field(line, "process"));
	const size_t at = text.n;
	buf_printf(&text, "%s  %-8s %-6s  %s", field(line, "time"), field(line, "level"),
		   field(line, "process"), field(line, "text"));
	str_mask_controls(text.p + at, text.n - at);
	puts(buf_cstr(&text));
}

enum { WIDEST_ID = 48 };

/* "12:00:01.123 in   pump-1       PUBLISH     id 7, QoS 1, ..." */
void print_trace(const json_t *line)
{
	static int width = 16; /* of whose packet it is: what is behind it stays in its column */
	AUTO_BUF out = {0};
	const char *who =
		field(line, "client_id")[0] ? field(line, "client_id") : field(line, "address");
	const json_t *id = json_object_get(line, "packet_id");
	const json_t *qos = json_object_get(line, "qos");
	const char *time = field(line, "time");
	const bool end = strcmp(field(line, "direction"), "end") == 0;
	width = MAX(width, (int)MIN(strlen(who), (size_t)WIDEST_ID));
	buf_printf(&out, "%s  %-3s  %-*s  %-11s", strlen(time) > 11 ? time + 11 : time,
		   field(line, "direction"), width, who, end ? "closed" : field(line, "packet"));
	if (id)
		buf_printf(&out, "  id=%lld", (long long)json_integer_value(id));
	if (qos)
		buf_printf(&out, "  qos=%lld", (long long)json_integer_value(qos));
	append_pair(&out, "flags", field(line, "flags"));
	append_pair(&out, "topic", field(line, "topic"));
	append_pair(&out, "reason", field(line, "reason"));
	if (field(line, "about")[0])
		buf_printf(&out, "  %s", field(line, "about"));
	if (field(line, "properties")[0])
		buf_printf(&out, "  [%s]", field(line, "properties"));
	append_pair(&out, "payload", field(line, "payload"));
	if (!end)
		buf_printf(&out, "  %lld bytes",
			   (long long)json_integer_value(json_object_get(line, "size")));
	make_printable(&out);
	puts(buf_cstr(&out));
}

void print_message(const json_t *message)
{
	AUTO_BUF out = {0};
	const char *time = field(message, "time");
	const bool text = json_is_string(json_object_get(message, "text"));
	const char *who = field(message, "device")[0] ? field(message, "device")
						      : field(message, "client_id");
	buf_printf(&out, "%s  %-24s  qos=%lld%s  %lld bytes  from %s  %s%s",
		   strlen(time) > 11 ? time + 11 : time, field(message, "topic"),
		   (long long)json_integer_value(json_object_get(message, "qos")),
		   json_is_true(json_object_get(message, "retain")) ? " retain" : "",
		   (long long)json_integer_value(json_object_get(message, "size")),
		   who[0] ? who : "the gateway", text ? field(message, "text") : "0x",
		   text ? "" : field(message, "hex"));
	if (json_is_true(json_object_get(message, "cut")))
		buf_puts(&out, "...");
	make_printable(&out);
	puts(buf_cstr(&out));
}

int print_problem(unsigned status, const json_t *problem)
{
	return print_problem_about(NULL, status, problem);
}

/* All that the gateway said: a program reads the fields. */
static void say_problem(const char *about, const json_t *problem, const char *detail)
{
	json_t *object =
		json_is_object(problem) ? json_copy((json_t *)(uintptr_t)problem) : json_object();
	if (!field(problem, "detail")[0])
		json_object_set_new(object, "detail", json_string(detail));
	if (about)
		json_object_set_new(object, "about", json_string(about));
	say_object(object);
	json_decref(object);
}

int print_problem_about(const char *about, unsigned status, const json_t *problem)
{
	AUTO_BUF detail = {0};
	if (about)
		buf_printf(&detail, "%s: ", about);
	buf_puts(&detail, field(problem, "detail"));
	make_printable(&detail);
	if (!field(problem, "detail")[0])
		buf_puts(&detail, "the gateway could not do it");
	if (says_json())
		say_problem(about, problem, buf_cstr(&detail));
	else
		print_error("%s", buf_cstr(&detail));
	switch (status) {
	case 400:
		return EXIT_USAGE;
	case 401:
	case 403:
	case 422:
		return EXIT_REFUSED;
	case 404:
		return EXIT_NOT_FOUND;
	case 409:
		return EXIT_CONFLICT;
	case 503:
		return EXIT_UNREACHABLE;
	default:
		return EXIT_FAILED;
	}
}
