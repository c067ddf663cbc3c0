/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading the sources, the strongest first: command line, gatehouse.conf, settings.conf. A key that
 * a stronger source has set is still checked in the weaker one, but keeps its value. Every line is
 * read whatever was wrong before it. Used by the parent at its start and at a reload, and by each
 * child once for its slice.
 */
#include "daemon/conf/load.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "daemon/conf/lex.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	SHOWN_MAX = 80,   /* bytes of a file's text that a message repeats */
	READ_SIZE = 65536 /* bytes per read of a file */
};

struct reader {
	struct config *c;
	struct config_errors *errors;
	enum config_source source;
	unsigned line;
	unsigned processes; /* a key that none of these receives is an error */
	struct map seen;    /* "section NAME" and "section NAME key" of this source -> line */
	bool begun;         /* some section has begun */
	bool skip;          /* it is a wrong one: its keys say nothing more */
	struct conf_place place;
};

static struct str shown(struct str s)
{
	return str_head(s, SHOWN_MAX);
}

static struct conf_origin here(const struct reader *r)
{
	return (struct conf_origin){r->source, r->line};
}

/* "FILE:12: " and what follows. */
static void complain(struct reader *r, struct str what, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void complain(struct reader *r, struct str what, const char *fmt, ...)
{
	AUTO_BUF text = {0};
	va_list args;
	conf_tree_print_origin(r->c, here(r), &text);
	buf_printf(&text, ": %.*s: ", STR_ARG(what));
	va_start(args, fmt);
	buf_vprintf(&text, fmt, args);
	va_end(args);
	conf_error(r->errors, "%s", buf_cstr(&text));
}

/* The line where this source said the same before, or 0; remembers this one. The command line may
 * repeat itself: there the last word counts, so that a script's caller can override the script. */
static unsigned seen_before(struct reader *r, struct str what)
{
	if (r->source == CONFIG_SOURCE_COMMAND_LINE)
		return 0;
	void *before = map_get(&r->seen, what);
	if (!before)
		map_set(&r->seen, what, (void *)(uintptr_t)r->line);
	return (unsigned)(uintptr_t)before;
}

static int find_section(struct reader *r, struct str word, struct str what, size_t *out)
{
	struct conf_guess guess = {.typed = word};
	for (size_t s = 0; s < CONF_SECTIONS; s++) {
		if (str_is(word, conf_section[s].word)) {
			*out = s;
			return 0;
		}
		conf_guess_offer(&guess, conf_section[s].word);
	}
	AUTO_BUF all = {0};
	for (size_t s = 0; s < CONF_SECTIONS; s++)
		buf_printf(&all, "%s[%s%s]", s ? ", " : "", conf_section[s].word,
			   conf_section[s].named ? " NAME" : "");
	if (guess.best)
		complain(r, what, "unknown section; did you mean [%s]?", guess.best);
	else
		complain(r, what, "unknown section; there are %s", buf_cstr(&all));
	return ERR_NOT_FOUND;
}

bool conf_is_listener_name(struct str name)
{
	for (size_t i = 0; i < name.n; i++) {
		const char c = name.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    c != '.' && c != '_' && c != '-')
			return false;
	}
	return name.n > 0 && name.n <= CONFIG_LISTENER_NAME_MAX;
}

static bool name_fits(struct reader *r, size_t section, struct str name, struct str what)
{
	const char *word = conf_section[section].word;
	if (!conf_section[section].named && name.n) {
		complain(r, what, "this section has no name; write [%s]", word);
		return false;
	}
	if (conf_section[section].named && !conf_is_listener_name(name)) {
		complain(r, what,
			 "needs a name of 1 to %d letters, digits, dots, dashes or underscores: "
			 "[%s NAME]",
			 CONFIG_LISTENER_NAME_MAX, word);
		return false;
	}
	return true;
}

static bool enter_named(struct reader *r, size_t section, struct str name, struct str what)
{
	if (conf_tree_find(r->c, section, name, &r->place) == 0)
		return true;
	if (conf_tree_count(r->c, section) == CONFIG_LISTENERS_MAX) {
		complain(r, what, "there may be %d of these sections", CONFIG_LISTENERS_MAX);
		return false;
	}
	r->place = conf_tree_add(r->c, section, name, here(r));
	return true;
}

static void enter_section(struct reader *r, struct str word, struct str name)
{
	AUTO_BUF what = {0};
	size_t section = 0;
	buf_printf(&what, "[%.*s%s%.*s]", STR_ARG(shown(word)), name.n ? " " : "",
		   STR_ARG(shown(name)));
	r->begun = r->skip = true;
	if (find_section(r, word, buf_view(&what), &section) < 0)
		return;
	if (!name_fits(r, section, name, buf_view(&what)))
		return;
	const unsigned before = seen_before(r, buf_view(&what));
	if (before) {
		AUTO_BUF where = {0};
		conf_tree_print_origin(r->c, (struct conf_origin){r->source, before}, &where);
		complain(r, buf_view(&what), "has begun already at %s; put its keys there",
			 buf_cstr(&where));
	}
	r->skip = !enter_named(r, section, name, buf_view(&what));
}

size_t conf_find_key(size_t section, struct str word)
{
	for (size_t k = conf_section[section].first; k < conf_section[section].last; k++)
		if (str_is(word, conf_key[k].word))
			return k;
	return CONF_KEYS;
}

static void unknown_key(struct reader *r, struct str word, struct str what)
{
	const struct conf_section *s = &conf_section[r->place.section];
	struct conf_guess guess = {.typed = word};
	for (size_t k = s->first; k < s->last; k++)
		conf_guess_offer(&guess, conf_key[k].word);
	if (guess.best) {
		complain(r, what, "unknown key; did you mean %s?", guess.best);
		return;
	}
	for (size_t other = 0; other < CONF_SECTIONS; other++) {
		if (conf_find_key(other, word) != CONF_KEYS) {
			complain(r, what, "unknown key; it belongs to [%s%s]",
				 conf_section[other].word,
				 conf_section[other].named ? " NAME" : "");
			return;
		}
	}
	complain(r, what, "unknown key; gatehouse.conf(5) lists those of [%s]", s->word);
}

static bool may_set(struct reader *r, size_t key, struct str what)
{
	if (!(conf_key[key].processes & r->processes)) {
		complain(r, what, "is not for this process");
		return false;
	}
	if (r->source == CONFIG_SOURCE_SETTINGS && (conf_key[key].flags & CONF_FILE_ONLY)) {
		complain(r, what, "can be set in gatehouse.conf only");
		return false;
	}
	return true;
}

/* Is there a stronger source's value? Then this one is only looked at. */
static int assign(struct reader *r, size_t key, struct str value, struct buf *why)
{
	if (conf_tree_origin(r->c, r->place, key)->source <= r->source)
		return conf_tree_set(r->c, r->place, key, value, here(r), why);
	union {
		uint64_t number;
		struct config_names list;
	} unused = {0};
	const int err = conf_value_parse(&conf_key[key], value, &unused, why);
	conf_value_fini(&conf_key[key], &unused);
	return err;
}

static void read_key(struct reader *r, struct str word, struct str value)
{
	AUTO_BUF name = {0};
	AUTO_BUF what = {0};
	AUTO_BUF why = {0};
	conf_tree_print_section(r->c, r->place, " ", &name);
	buf_printf(&what, "[%s] %.*s = %.*s", buf_cstr(&name), STR_ARG(shown(word)),
		   STR_ARG(shown(value)));
	const size_t key = conf_find_key(r->place.section, word);
	if (key == CONF_KEYS) {
		unknown_key(r, word, buf_view(&what));
		return;
	}
	buf_printf(&name, " %s", conf_key[key].word);
	const unsigned before = seen_before(r, buf_view(&name));
	if (before) {
		AUTO_BUF where = {0};
		conf_tree_print_origin(r->c, (struct conf_origin){r->source, before}, &where);
		complain(r, buf_view(&what), "is set already at %s", buf_cstr(&where));
	} else if (may_set(r, key, buf_view(&what)) && assign(r, key, value, &why) < 0) {
		complain(r, buf_view(&what), "%s", buf_cstr(&why));
	}
}

static void read_text(struct reader *r, struct str text)
{
	struct conf_lex lex = conf_lex_make(text);
	struct conf_line line;
	for (;;) {
		const enum conf_token token = conf_lex_next(&lex, &line);
		r->line = lex.line;
		if (token == CONF_TOKEN_END)
			break;
		if (token == CONF_TOKEN_SECTION)
			enter_section(r, line.word, line.value);
		else if (token == CONF_TOKEN_BAD)
			complain(r, conf_is_clean(line.word) ? shown(line.word) : STR("syntax"),
				 "%s", line.bad);
		else if (!r->begun)
			complain(r, shown(line.word),
				 "stands before any section; a line such as [broker] must come "
				 "first");
		else if (!r->skip)
			read_key(r, line.word, line.value);
	}
	map_fini(&r->seen);
}

int conf_split_key(struct str path, size_t *section, struct str *name, struct str *word)
{
	const struct str first = str_split(&path, '.');
	size_t s = 0;
	while (s < CONF_SECTIONS && !str_is(first, conf_section[s].word))
		s++;
	if (s == CONF_SECTIONS || !path.p)
		return ERR_NOT_FOUND;
	size_t n = 0; /* of the name and its dot */
	if (conf_section[s].named) {
		const char *dot = memrchr(path.p, '.', path.n);
		if (!dot)
			return ERR_NOT_FOUND;
		n = (size_t)(dot - path.p) + 1;
	}
	*section = s;
	*name = str_make(path.p, n ? n - 1 : 0);
	*word = str_make(path.p + n, path.n - n);
	return 0;
}

static void read_override(struct reader *r, struct str text)
{
	struct str value = text;
	struct str path = str_trim(str_split(&value, '='));
	struct str name;
	struct str word;
	size_t section = 0;
	if (!value.p || !conf_is_clean(text) || conf_split_key(path, &section, &name, &word) < 0) {
		complain(r, shown(text),
			 "must be SECTION.KEY=VALUE or listener.NAME.KEY=VALUE with a section of "
			 "gatehouse.conf(5)");
		return;
	}
	enter_section(r, str_of(conf_section[section].word), name);
	if (!r->skip)
		read_key(r, word, str_trim(value));
}

static void read_source(struct config *c, struct config_errors *errors, enum config_source source,
			struct conf_text text)
{
	struct reader r = {.c = c, .errors = errors, .source = source, .processes = ~0u};
	if (!text.label)
		return;
	c->meta->file[source] = mem_strdup(text.label);
	read_text(&r, text.text);
}

/* Without a listener nothing could connect: the one that every gateway wants. Settings come later
 * and add to it, so that a listener made in the interface does not make this one vanish. */
static void add_default_listener(struct config *c)
{
	const struct str name = STR("mqtts");
	struct conf_place place;
	for (size_t i = 0; i < c->listeners; i++)
		if (c->listener[i].bind.n)
			return;
	if (conf_tree_find(c, CONF_SECTION_listener, name, &place) < 0)
		place = conf_tree_add(c, CONF_SECTION_listener, name, (struct conf_origin){0});
	AUTO_BUF why = {0};
	CHECK(conf_tree_set(c, place, CONF_KEY_listener_bind, STR("*:8883"),
			    (struct conf_origin){0}, &why) == 0);
	CHECK(conf_tree_set(c, place, CONF_KEY_listener_protocol, STR("auto"),
			    (struct conf_origin){0}, &why) == 0);
}

int conf_load_texts(struct conf_text file, struct conf_text settings, const char *const *overrides,
		    size_t n_overrides, struct config **out, struct config_errors *errors)
{
	AUTO(config) c = conf_tree_new();
	struct reader command = {
		.c = c, .errors = errors, .source = CONFIG_SOURCE_COMMAND_LINE, .processes = ~0u};
	const size_t before = conf_error_count(errors);
	for (size_t i = 0; i < n_overrides; i++)
		read_override(&command, str_of(overrides[i]));
	read_source(c, errors, CONFIG_SOURCE_FILE, file);
	if (conf_error_count(errors) == before)
		add_default_listener(c);
	read_source(c, errors, CONFIG_SOURCE_SETTINGS, settings);
	if (conf_error_count(errors) == before)
		conf_complete(c, errors);
	if (conf_error_count(errors) != before)
		return ERR_INVALID;
	*out = TAKE(c);
	return 0;
}

/* The machine's name, if it can stand in a certificate. */
static void resolve_host(struct config *c, struct conf_place place, size_t key)
{
	char host[256] = "";
	AUTO_BUF why = {0};
	void *field = conf_tree_field(c, place, key);
	if (gethostname(host, sizeof(host) - 1) < 0 ||
	    conf_value_parse(&conf_key[key], str_of(host), field, &why) < 0)
		CHECK(conf_value_parse(&conf_key[key], STR("gatehouse"), field, &why) == 0);
}

static void resolve_default(struct config *c, struct conf_place place, size_t key)
{
	struct conf_place from = {0, 0};
	struct str name;
	struct str word;
	AUTO_BUF value = {0};
	AUTO_BUF why = {0};
	const char *def = conf_key[key].def;
	if (strcmp(def, "@host") == 0) {
		resolve_host(c, place, key);
		return;
	}
	CHECK(conf_split_key(str_of(def + 1), &from.section, &name, &word) == 0);
	const size_t source = conf_find_key(from.section, word);
	CHECK(source != CONF_KEYS);
	conf_value_print(&conf_key[source], conf_tree_field_of(c, from, source), &value);
	CHECK(conf_value_parse(&conf_key[key], buf_view(&value), conf_tree_field(c, place, key),
			       &why) == 0);
}

static void require(const struct config *c, struct conf_place place, size_t key,
		    struct config_errors *errors)
{
	AUTO_BUF text = {0};
	conf_value_print(&conf_key[key], conf_tree_field_of(c, place, key), &text);
	if (text.n)
		return;
	conf_tree_print_origin(c, c->meta->origins[place.section][place.i].made, &text);
	buf_puts(&text, ": [");
	conf_tree_print_section(c, place, " ", &text);
	buf_printf(&text, "]: %s is missing; it must be ", conf_key[key].word);
	conf_value_allowed(&conf_key[key], &text);
	conf_error(errors, "%s", buf_cstr(&text));
}

void conf_complete(struct config *c, struct config_errors *errors)
{
	const size_t before = conf_error_count(errors);
	CONF_EACH_PLACE (c, place) {
		const struct conf_section *s = &conf_section[place.section];
		for (size_t k = s->first; k < s->last; k++) {
			const bool set = conf_tree_origin(c, place, k)->source;
			if (!set && conf_key[k].def[0] == '@')
				resolve_default(c, place, k);
			if (conf_key[k].flags & CONF_REQUIRED)
				require(c, place, k, errors);
		}
	}
	if (conf_error_count(errors) == before)
		conf_rules(c, errors);
}

/* 0, ERR_NOT_FOUND, or ERR_IO with an error. */
static int read_file(const char *path, struct buf *out, struct config_errors *errors)
{
	AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : 0;
	while (fd >= 0 && out->n <= CONFIG_FILE_MAX) {
		n = read(fd, buf_reserve(out, READ_SIZE), READ_SIZE);
		if (n <= 0)
			break;
		out->n += (size_t)n;
	}
	if (n < 0 && errno == ENOENT)
		return ERR_NOT_FOUND;
	if (n < 0) {
		conf_error(errors, "%s: cannot be read: %s", path, strerror(errno));
		return ERR_IO;
	}
	if (out->n > CONFIG_FILE_MAX) {
		conf_error(errors, "%s: is larger than 1 MiB, which no configuration is", path);
		return ERR_IO;
	}
	return 0;
}

static int read_files(const char *path, const char *settings_path, struct buf *file,
		      struct buf *settings, struct config_errors *errors)
{
	int err = path ? read_file(path, file, errors) : 0;
	if (err == ERR_NOT_FOUND)
		conf_error(errors, "%s: cannot be read: %s", path, strerror(ENOENT));
	if (err)
		return ERR_IO;
	err = settings_path ? read_file(settings_path, settings, errors) : 0;
	return err == ERR_IO ? err : 0;
}

int config_load(const char *path, const char *settings_path, const char *const *overrides,
		size_t n_overrides, struct config **out, struct config_errors *errors)
{
	AUTO_BUF file = {0};
	AUTO_BUF settings = {0};
	const int err = read_files(path, settings_path, &file, &settings, errors);
	if (err)
		return err;
	return conf_load_texts((struct conf_text){path, buf_view(&file)},
			       (struct conf_text){settings_path, buf_view(&settings)}, overrides,
			       n_overrides, out, errors);
}

char *config_state_dir(const char *path, const char *const *overrides, size_t n_overrides)
{
	AUTO(config) c = NULL;
	struct config_errors errors = {0};
	const int err = config_load(path, NULL, overrides, n_overrides, &c, &errors);
	config_errors_fini(&errors);
	return err ? NULL : mem_strdup(c->gateway.state_dir);
}

int config_parse_slice(struct str text, enum process process, struct config **out,
		       struct config_errors *errors)
{
	AUTO(config) c = conf_tree_new();
	const size_t before = conf_error_count(errors);
	struct reader r = {
		.c = c, .errors = errors, .source = CONFIG_SOURCE_FILE, .processes = 1u << process};
	c->meta->file[CONFIG_SOURCE_FILE] = mem_strdup("slice");
	read_text(&r, text);
	if (conf_error_count(errors) != before)
		return ERR_INVALID;
	*out = TAKE(c);
	return 0;
}
