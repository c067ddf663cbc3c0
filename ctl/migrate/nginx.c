/* SPDX-License-Identifier: Apache-2.0
 *
 * NGINX configurations as trees of directives, each {name, args, where, block}; a server of the
 * stream block keeps what the blocks around it say. Of a file without a stream block the servers
 * with a proxy_pass to a port are taken, as in a file that is included into one.
 */
#include "ctl/file.h"
#include "ctl/migrate/migrate.h"
#include "daemon/base/mem.h"

#include <glob.h>
#include <stdlib.h>

enum { DEPTH_MAX = 16, WORD_MAX = 4096, ARGS_MAX = 256 };

struct scanner {
	struct migration *m;
	const char *label;
	struct str rest;
	unsigned line;
	char where[MIGRATE_WHERE];
	unsigned includes;
	bool stop; /* after an error the rest makes no sense */
};

enum token { WORD, OPEN, CLOSE, SEMICOLON, END };

static void fail(struct scanner *s, const char *text)
{
	if (!s->stop)
		migration_error(s->m, where_is(s->where, s->label, s->line), "%s", text);
	s->stop = true;
}

static char next_char(struct scanner *s)
{
	const char c = s->rest.p[0];
	s->rest.p++;
	s->rest.n--;
	s->line += c == '\n';
	return c;
}

static void skip_blanks(struct scanner *s)
{
	bool comment = false;
	while (s->rest.n) {
		const char c = s->rest.p[0];
		if (c == '#')
			comment = true;
		if (c == '\n')
			comment = false;
		if (!comment && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return;
		next_char(s);
	}
}

static bool ends_word(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ';' || c == '{' || c == '}';
}

static void quoted(struct scanner *s, char quote, struct buf *word)
{
	while (s->rest.n && word->n < WORD_MAX) {
		char c = next_char(s);
		if (c == quote)
			return;
		if (c == '\\' && s->rest.n)
			c = next_char(s);
		buf_putc(word, c);
	}
	fail(s, "a quoted word has no end");
}

static void bare(struct scanner *s, struct buf *word)
{
	while (s->rest.n && !ends_word(s->rest.p[0])) {
		/* "${name}" is one word. */
		const bool variable = str_prefix(s->rest, STR("${"));
		buf_putc(word, next_char(s));
		while (variable && s->rest.n && word->p[word->n - 1] != '}')
			buf_putc(word, next_char(s));
		if (word->n >= WORD_MAX) {
			fail(s, "a word is too long");
			return;
		}
	}
}

static enum token next_token(struct scanner *s, struct buf *word)
{
	word->n = 0;
	skip_blanks(s);
	if (s->rest.n == 0 || s->stop)
		return END;
	const char c = s->rest.p[0];
	switch (c) {
	case '{':
	case '}':
	case ';':
		next_char(s);
		return c == '{' ? OPEN : c == '}' ? CLOSE : SEMICOLON;
	case '"':
	case '\'':
		next_char(s);
		quoted(s, c, word);
		return WORD;
	default:
		bare(s, word);
		return s->stop ? END : WORD;
	}
}

static json_t *read_block(struct scanner *s, unsigned depth);

static void include(struct scanner *s, const json_t *directive, json_t *list)
{
	const char *pattern =
		json_string_value(json_array_get(json_object_get(directive, "args"), 0));
	glob_t found = {0};
	if (s->m->no_files || !pattern || s->includes >= MIGRATE_INCLUDES_MAX)
		return;
	AUTO_CHAR path = migration_path(s->label, pattern);
	if (glob(path, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++) {
			AUTO_BUF text = {0};
			const char *why;
			if (file_read(found.gl_pathv[i], MIGRATE_FILE_MAX, &text, &why)) {
				migration_error(s->m, found.gl_pathv[i], "%s", why);
				continue;
			}
			struct scanner inner = {.m = s->m,
						.label = found.gl_pathv[i],
						.rest = buf_view(&text),
						.line = 1,
						.includes = s->includes + 1};
			json_t *more = read_block(&inner, 0);
			json_array_extend(list, more);
			json_decref(more);
		}
	}
	globfree(&found);
}

/* Words up to ";" or a block. NULL: at the end of the block or the text. */
static json_t *read_directive(struct scanner *s, unsigned depth, bool *closed)
{
	AUTO_BUF word = {0};
	enum token t = next_token(s, &word);
	*closed = t == CLOSE;
	if (t != WORD) {
		if (t == OPEN || t == SEMICOLON)
			fail(s, "a directive is expected");
		return NULL;
	}
	json_t *args = json_array();
	json_t *d = json_object();
	json_object_set_new(d, "where", json_string(where_is(s->where, s->label, s->line)));
	json_t *name = json_stringn(word.p, word.n);
	json_object_set_new(d, "name", name ? name : json_string("?"));
	json_object_set_new(d, "args", args);
	while ((t = next_token(s, &word)) == WORD) {
		json_t *arg = json_stringn(word.n ? word.p : "", word.n);
		json_array_append_new(args, arg ? arg : json_string("?"));
		if (json_array_size(args) > ARGS_MAX)
			fail(s, "a directive has too many words");
	}
	if (t == OPEN && depth < DEPTH_MAX)
		json_object_set_new(d, "block", read_block(s, depth + 1));
	else if (t == OPEN)
		fail(s, "blocks are nested too deep");
	else if (t != SEMICOLON)
		fail(s, "a directive ends without \";\"");
	return d;
}

static json_t *read_block(struct scanner *s, unsigned depth)
{
	json_t *list = json_array();
	bool closed = false;
	json_t *d;
	while ((d = read_directive(s, depth, &closed))) {
		if (strcmp(json_string_value(json_object_get(d, "name")), "include") == 0)
			include(s, d, list);
		else
			json_array_append(list, d);
		json_decref(d);
	}
	if (depth == 0 && closed)
		fail(s, "a \"}\" too many");
	else if (depth > 0 && !closed)
		fail(s, "a block has no end");
	return list;
}

static bool named(const json_t *directive, const char *name)
{
	return strcmp(json_string_value(json_object_get(directive, "name")), name) == 0;
}

static const json_t *find(const json_t *block, const char *name)
{
	size_t i;
	const json_t *d;
	json_array_foreach(block, i, d)
	{
		if (named(d, name))
			return d;
	}
	return NULL;
}

/* The servers of a block, each with what stands around it ("around"). */
static void take_servers(struct migration *m, const json_t *block)
{
	size_t i;
	const json_t *d;
	json_array_foreach(block, i, d)
	{
		const json_t *inside = json_object_get(d, "block");
		if (named(d, "log_format") || named(d, "access_log") || named(d, "error_log"))
			migration_say(m, CHANGED, json_string_value(json_object_get(d, "where")),
				      json_string_value(json_object_get(d, "name")),
				      "what clients do is kept as events");
		if (!named(d, "server") || !find(inside, "listen"))
			continue;
		if (!find(inside, "proxy_pass")) {
			migration_say(m, REFUSED, json_string_value(json_object_get(d, "where")),
				      "server", "it passes nothing on (proxy_pass)");
			continue;
		}
		json_t *server = json_object();
		json_object_set_new(server, "where", json_incref(json_object_get(d, "where")));
		json_object_set_new(server, "block", json_deep_copy(inside));
		json_object_set_new(server, "around", json_deep_copy(block));
		json_array_append_new(m->servers, server);
	}
}

static void take_top(struct migration *m, const json_t *top)
{
	size_t i;
	const json_t *d;
	bool stream = false;
	json_array_foreach(top, i, d)
	{
		const char *where = json_string_value(json_object_get(d, "where"));
		if (named(d, "stream")) {
			stream = true;
			take_servers(m, json_object_get(d, "block"));
		} else if (named(d, "http")) {
			migration_say(m, REFUSED, where, "http",
				      "web servers are not taken over; MQTT over WebSocket is a "
				      "listener with protocol = websocket");
		}
	}
	if (!stream)
		take_servers(m, top);
}

void nginx_parse(struct migration *m, const char *label, struct str text)
{
	struct scanner s = {.m = m, .label = label, .rest = text, .line = 1};
	json_t *top = read_block(&s, 0);
	const size_t before = json_array_size(m->servers);
	if (!s.stop)
		take_top(m, top);
	if (!s.stop && json_array_size(m->servers) == before)
		migration_error(m, label, "no server of a stream block is in it");
	json_decref(top);
}

void nginx_read(struct migration *m, const char *path)
{
	AUTO_BUF text = {0};
	const char *why;
	if (file_read(path, MIGRATE_FILE_MAX, &text, &why))
		migration_error(m, path, "%s", why);
	else
		nginx_parse(m, path, buf_view(&text));
}
