/* SPDX-License-Identifier: Apache-2.0
 *
 * Parsing and printing of values: see value.h. A type is a row in the table at the end.
 */
#include "daemon/conf/value.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/conf/lex.h"

#include <inttypes.h>
#include <stdlib.h>

struct unit {
	const char *word;
	uint64_t factor;
};

/* Largest first: printing takes the first that divides. */
static const struct unit size_units[] = {
	{"G", 1ull << 30}, {"M", 1ull << 20}, {"K", 1ull << 10}, {"", 1}};
static const struct unit time_units[] = {
	{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}};

static int parse_bool(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)key;
	(void)why;
	if (!str_is(text, "on") && !str_is(text, "off"))
		return ERR_INVALID;
	*(bool *)field = str_is(text, "on");
	return 0;
}

static void print_bool(const struct conf_key *key, const void *field, struct buf *out)
{
	(void)key;
	buf_puts(out, *(const bool *)field ? "on" : "off");
}

static int parse_int(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	uint64_t v = 0;
	(void)why;
	if (str_u64(text, key->max, &v) < 0 || v < key->min)
		return ERR_INVALID;
	*(uint32_t *)field = (uint32_t)v;
	return 0;
}

static void print_int(const struct conf_key *key, const void *field, struct buf *out)
{
	(void)key;
	buf_printf(out, "%" PRIu32, *(const uint32_t *)field);
}

/* A whole number, then one of the units. */
static int parse_amount(const struct conf_key *key, struct str text, const struct unit *unit,
			size_t n, uint64_t *out)
{
	size_t digits = 0;
	while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
		digits++;
	const struct str word = str_trim(str_make(text.p + digits, text.n - digits));
	size_t i = 0;
	while (i < n && !str_is(word, unit[i].word))
		i++;
	uint64_t v = 0;
	if (i == n || str_u64(str_make(text.p, digits), UINT64_MAX, &v) < 0)
		return ERR_INVALID;
	if (v > key->max / unit[i].factor || v * unit[i].factor < key->min)
		return ERR_INVALID;
	*out = v * unit[i].factor;
	return 0;
}

static void print_amount(uint64_t v, const struct unit *unit, struct buf *out)
{
	while (v % unit->factor)
		unit++;
	buf_printf(out, "%" PRIu64 "%s", v / unit->factor, unit->word);
}

static void print_size_of(uint64_t v, struct buf *out)
{
	if (v == 0)
		buf_putc(out, '0');
	else
		print_amount(v, size_units, out);
}

static void print_time_of(uint64_t v, struct buf *out)
{
	if (v == 0)
		buf_puts(out, "0s");
	else
		print_amount(v, time_units, out);
}

static int parse_size(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)why;
	return parse_amount(key, text, size_units, ARRAY_LEN(size_units), field);
}

static void print_size(const struct conf_key *key, const void *field, struct buf *out)
{
	(void)key;
	print_size_of(*(const uint64_t *)field, out);
}

static int parse_duration(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)why;
	return parse_amount(key, text, time_units, ARRAY_LEN(time_units), field);
}

static void print_duration(const struct conf_key *key, const void *field, struct buf *out)
{
	(void)key;
	print_time_of(*(const uint64_t *)field, out);
}

static int parse_enum(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	struct conf_guess guess = {.typed = text};
	for (const struct conf_choice *c = key->choices; c->word; c++) {
		if (str_is(text, c->word)) {
			*(unsigned *)field = c->number;
			return 0;
		}
		conf_guess_offer(&guess, c->word);
	}
	if (guess.best)
		buf_printf(why, "did you mean %s?", guess.best);
	return ERR_INVALID;
}

static void print_enum(const struct conf_key *key, const void *field, struct buf *out)
{
	for (const struct conf_choice *c = key->choices; c->word; c++)
		if (c->number == *(const unsigned *)field)
			buf_puts(out, c->word);
}

static void set_string(struct str text, void *field)
{
	free(*(char **)field);
	*(char **)field = str_dup(text);
}

static int parse_string(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)why;
	if (text.n < key->min || text.n > key->max)
		return ERR_INVALID;
	set_string(text, field);
	return 0;
}

static void print_string(const struct conf_key *key, const void *field, struct buf *out)
{
	(void)key;
	buf_puts(out, *(char *const *)field);
}

static void fini_string(void *field)
{
	free(*(char **)field);
	*(char **)field = NULL;
}

static int parse_path(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)key;
	(void)why;
	if (text.p[0] != '/' || text.n > CONFIG_PATH_LENGTH_MAX)
		return ERR_INVALID;
	set_string(text, field);
	return 0;
}

/* RFC 1123 section 2.1: labels of 1 to 63 letters, digits and inner dashes. */
static bool is_label(struct str s)
{
	if (s.n == 0 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    c != '-')
			return false;
	}
	return true;
}

/* A last label of digits alone would be read as an IPv4 address by resolvers. */
static bool is_dns_name(struct str s)
{
	struct str last = STR("");
	if (s.n == 0 || s.n > 253)
		return false;
	while (s.p) {
		last = str_split(&s, '.');
		if (!is_label(last))
			return false;
	}
	uint64_t number = 0;
	return str_u64(last, UINT64_MAX, &number) == ERR_MALFORMED;
}

static bool is_name(struct str s)
{
	struct addr ip;
	return is_dns_name(s) || addr_parse_ip(s, &ip) == 0;
}

static int parse_name(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)key;
	(void)why;
	if (!is_name(text))
		return ERR_INVALID;
	set_string(text, field);
	return 0;
}

/* Takes the next entry of a comma-separated list. False at its end. */
static bool next_entry(struct str *rest, struct str *entry)
{
	if (!rest->p)
		return false;
	*entry = str_trim(str_split(rest, ','));
	return true;
}

static size_t count_entries(struct str text)
{
	size_t n = 0;
	for (struct str entry; next_entry(&text, &entry);)
		n++;
	return n;
}

static int bad_entry(struct str entry, const char *what, struct buf *why)
{
	const struct str shown = {entry.p, MIN(entry.n, 64)};
	buf_printf(why, "\"%.*s\" %s", STR_ARG(shown), what);
	return ERR_INVALID;
}

static void fini_names(void *field)
{
	struct config_names *list = field;
	for (size_t i = 0; i < list->n; i++)
		free(list->p[i]);
	free(list->p);
	*list = (struct config_names){NULL, 0};
}

static int parse_names(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)key;
	struct config_names list = {mem_array(char *, count_entries(text)), 0};
	for (struct str entry; next_entry(&text, &entry);) {
		if (!is_name(entry)) {
			fini_names(&list);
			return bad_entry(entry, "is neither", why);
		}
		list.p[list.n++] = str_dup(entry);
	}
	fini_names(field);
	*(struct config_names *)field = list;
	return 0;
}

static void print_names(const struct conf_key *key, const void *field, struct buf *out)
{
	(void)key;
	const struct config_names *list = field;
	for (size_t i = 0; i < list->n; i++)
		buf_printf(out, "%s%s", i ? ", " : "", list->p[i]);
}

static int parse_addr(struct str entry, struct addr *out, struct buf *why)
{
	struct addr a;
	const int err = addr_parse(entry, &a);
	if (err == ERR_LIMIT || (!err && a.any.sa_family != AF_UNIX && addr_port(&a) == 0))
		return bad_entry(entry, "has no such port", why);
	if (err || a.any.sa_family == AF_UNIX)
		return bad_entry(entry, "is not one", why);
	*out = a;
	return 0;
}

static void fini_addrs(void *field)
{
	struct config_addrs *list = field;
	free(list->p);
	*list = (struct config_addrs){NULL, 0};
}

static int parse_addrs(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)key;
	struct config_addrs list = {mem_array(struct addr, count_entries(text)), 0};
	for (struct str entry; next_entry(&text, &entry); list.n++) {
		if (parse_addr(entry, &list.p[list.n], why) < 0) {
			fini_addrs(&list);
			return ERR_INVALID;
		}
	}
	fini_addrs(field);
	*(struct config_addrs *)field = list;
	return 0;
}

static void print_addrs(const struct conf_key *key, const void *field, struct buf *out)
{
	(void)key;
	const struct config_addrs *list = field;
	char text[ADDR_TEXT];
	for (size_t i = 0; i < list->n; i++)
		buf_printf(out, "%s%s", i ? ", " : "", addr_format(&list->p[i], text));
}

static int parse_cidr(struct str entry, struct cidr *out, struct buf *why)
{
	switch (cidr_parse(entry, out)) {
	case 0:
		return 0;
	case ERR_LIMIT:
		return bad_entry(entry, "has a prefix length over 32 (IPv4) or 128 (IPv6)", why);
	case ERR_INVALID:
		return bad_entry(entry, "has bits set behind its prefix length", why);
	default:
		return bad_entry(entry, "is not one", why);
	}
}

static void fini_cidrs(void *field)
{
	struct config_cidrs *list = field;
	free(list->p);
	*list = (struct config_cidrs){NULL, 0};
}

static int parse_cidrs(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	(void)key;
	struct config_cidrs list = {mem_array(struct cidr, count_entries(text)), 0};
	for (struct str entry; next_entry(&text, &entry); list.n++) {
		if (parse_cidr(entry, &list.p[list.n], why) < 0) {
			fini_cidrs(&list);
			return ERR_INVALID;
		}
	}
	fini_cidrs(field);
	*(struct config_cidrs *)field = list;
	return 0;
}

static void print_cidrs(const struct conf_key *key, const void *field, struct buf *out)
{
	(void)key;
	const struct config_cidrs *list = field;
	char text[ADDR_TEXT];
	for (size_t i = 0; i < list->n; i++)
		buf_printf(out, "%s%s", i ? ", " : "", cidr_format(&list->p[i], text));
}

/* allowed NULL: said by conf_value_allowed from the key's range or words. */
static const struct type {
	const char *name;
	const char *allowed;
	bool list;
	int (*parse)(const struct conf_key *key, struct str text, void *field, struct buf *why);
	void (*print)(const struct conf_key *key, const void *field, struct buf *out);
	void (*fini)(void *field);
} types[] = {
	[CONF_BOOL] = {"on or off", "on or off", false, parse_bool, print_bool, NULL},
	[CONF_INT] = {"number", NULL, false, parse_int, print_int, NULL},
	[CONF_SIZE] = {"size", NULL, false, parse_size, print_size, NULL},
	[CONF_DURATION] = {"time", NULL, false, parse_duration, print_duration, NULL},
	[CONF_ENUM] = {"word", NULL, false, parse_enum, print_enum, NULL},
	[CONF_STRING] = {"text", NULL, false, parse_string, print_string, fini_string},
	[CONF_NAME] = {"name", "a DNS name or an IP address", false, parse_name, print_string,
		       fini_string},
	[CONF_NAMES] = {"list of names", "DNS names or IP addresses, separated by commas", true,
			parse_names, print_names, fini_names},
	[CONF_PATH] = {"path", "an absolute path, beginning with /", false, parse_path,
		       print_string, fini_string},
	[CONF_ADDRS] = {"list of addresses",
			"ADDRESS:PORT, [IPv6]:PORT or *:PORT with a port from 1 to 65535, several "
			"separated by commas",
			true, parse_addrs, print_addrs, fini_addrs},
	[CONF_CIDRS] = {"list of networks",
			"networks such as 192.168.1.0/24 or fd00::/8, separated by commas", true,
			parse_cidrs, print_cidrs, fini_cidrs},
};

static void allowed_words(const struct conf_choice *c, struct buf *out)
{
	for (const struct conf_choice *at = c; at->word; at++)
		buf_printf(out, "%s%s", at == c ? "" : at[1].word ? ", " : " or ", at->word);
}

void conf_value_print_range(const struct conf_key *key, struct buf *out)
{
	if (key->type == CONF_INT) {
		buf_printf(out, "%" PRIu64 " to %" PRIu64, key->min, key->max);
	} else if (key->type == CONF_SIZE) {
		print_size_of(key->min, out);
		buf_puts(out, " to ");
		print_size_of(key->max, out);
	} else if (key->type == CONF_DURATION) {
		print_time_of(key->min, out);
		buf_puts(out, " to ");
		print_time_of(key->max, out);
	}
}

void conf_value_allowed(const struct conf_key *key, struct buf *out)
{
	conf_value_print_range(key, out);
	switch (key->type) {
	case CONF_INT:
		buf_puts(out, ", a whole number");
		break;
	case CONF_SIZE:
		buf_puts(out, ", in bytes or with K, M or G");
		break;
	case CONF_DURATION:
		buf_puts(out, ", with a unit: ms, s, min, h or d");
		break;
	case CONF_ENUM:
		allowed_words(key->choices, out);
		break;
	case CONF_STRING:
		buf_printf(out, "%" PRIu64 " to %" PRIu64 " bytes long", key->min, key->max);
		break;
	default:
		buf_puts(out, types[key->type].allowed);
	}
}

static bool may_be_empty(const struct conf_key *key)
{
	return (key->flags & CONF_OPTIONAL) || (!(key->flags & CONF_REQUIRED) && !key->def[0]);
}

static bool looks_commented(struct str text)
{
	for (size_t i = 1; i < text.n; i++)
		if ((text.p[i] == '#' || text.p[i] == ';') &&
		    (text.p[i - 1] == ' ' || text.p[i - 1] == '\t'))
			return true;
	return false;
}

int conf_value_parse(const struct conf_key *key, struct str text, void *field, struct buf *why)
{
	const struct type *type = &types[key->type];
	AUTO_BUF hint = {0};
	if (text.n == 0 && may_be_empty(key)) {
		conf_value_clear(key, field);
		return 0;
	}
	if (!conf_is_clean(text)) {
		buf_puts(why, "must be UTF-8 text without control characters");
		return ERR_INVALID;
	}
	if (text.n && type->list && count_entries(text) > CONFIG_LIST_MAX) {
		buf_printf(why, "must have at most %d entries", CONFIG_LIST_MAX);
		return ERR_INVALID;
	}
	if (text.n && type->parse(key, text, field, &hint) == 0)
		return 0;
	buf_puts(why, "must be ");
	conf_value_allowed(key, why);
	if (looks_commented(text))
		buf_puts(why, "; a comment needs a line of its own");
	else if (hint.n)
		buf_printf(why, "; %s", buf_cstr(&hint));
	return ERR_INVALID;
}

void conf_value_print(const struct conf_key *key, const void *field, struct buf *out)
{
	types[key->type].print(key, field, out);
}

void conf_value_fini(const struct conf_key *key, void *field)
{
	if (types[key->type].fini)
		types[key->type].fini(field);
}

void conf_value_clear(const struct conf_key *key, void *field)
{
	conf_value_fini(key, field);
	if (types[key->type].fini == fini_string)
		set_string(STR(""), field);
}

const char *conf_type_name(enum conf_type type)
{
	return types[type].name;
}

void conf_guess_offer(struct conf_guess *g, const char *candidate)
{
	enum { LONGEST = 64 }; /* nothing that long is a slip of the finger */
	if (g->typed.n > LONGEST)
		return;
	const size_t d = str_distance(g->typed, str_of(candidate));
	if (d <= 1 + g->typed.n / 4 && d < g->typed.n && (!g->best || d < g->distance)) {
		g->best = candidate;
		g->distance = d;
	}
}
