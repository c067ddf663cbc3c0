/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and addresses of server certificates: see san.h. Pure; any thread.
 */
#include "certs/san.h"
#include "daemon/base/err.h"

#include <arpa/inet.h>

enum { LABEL_MAX = 63, ADDRESS_TEXT_MAX = 64 };

static int compare(const struct san *a, const struct san *b)
{
	if (a->kind != b->kind)
		return a->kind - b->kind;
	return str_cmp(str_make(a->value, a->n), str_make(b->value, b->n));
}

static int insert(struct san_set *set, const struct san *entry)
{
	size_t at = 0;
	while (at < set->n && compare(&set->entry[at], entry) < 0)
		at++;
	if (at < set->n && compare(&set->entry[at], entry) == 0)
		return 0;
	if (set->n == SAN_MAX || set->bytes + entry->n > SAN_BYTES_MAX)
		return ERR_LIMIT;
	memmove(&set->entry[at + 1], &set->entry[at], (set->n - at) * sizeof(set->entry[0]));
	set->entry[at] = *entry;
	set->n++;
	set->bytes += entry->n;
	return 0;
}

static bool is_label(struct str label)
{
	if (label.n == 0 || label.n > LABEL_MAX || label.p[0] == '-' || label.p[label.n - 1] == '-')
		return false;
	for (size_t i = 0; i < label.n; i++) {
		const char c = label.p[i];
		/* The underscore is no host name, but some networks have it. */
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return false;
	}
	return true;
}

static bool is_dns_name(struct str name)
{
	if (name.n == 0 || name.n > SAN_NAME_MAX)
		return false;
	if (str_prefix(name, STR("*."))) {
		name.p += 2;
		name.n -= 2;
	}
	struct str rest = name;
	while (rest.p)
		if (!is_label(str_split(&rest, '.')))
			return false;
	return true;
}

static int add_dns(struct san_set *set, struct str text)
{
	struct san entry = {.kind = SAN_DNS};
	if (text.n && text.p[text.n - 1] == '.')
		text.n--;
	if (text.n > SAN_NAME_MAX)
		return ERR_INVALID;
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		entry.value[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	entry.n = (uint8_t)text.n;
	return is_dns_name(str_make(entry.value, entry.n)) ? insert(set, &entry) : ERR_INVALID;
}

static bool parse_address(struct str text, struct san *entry)
{
	char copy[ADDRESS_TEXT_MAX];
	if (text.n >= 2 && text.p[0] == '[' && text.p[text.n - 1] == ']')
		text = str_make(text.p + 1, text.n - 2);
	const char *zone = text.n ? memchr(text.p, '%', text.n) : NULL;
	if (zone)
		text.n = (size_t)(zone - text.p);
	if (text.n == 0 || text.n >= sizeof(copy))
		return false;
	memcpy(copy, text.p, text.n);
	copy[text.n] = '\0';
	entry->kind = SAN_ADDRESS;
	entry->n = sizeof(struct in_addr);
	if (inet_pton(AF_INET, copy, entry->value) == 1)
		return true;
	entry->n = sizeof(struct in6_addr);
	return inet_pton(AF_INET6, copy, entry->value) == 1;
}

int san_add(struct san_set *set, struct str text)
{
	struct san entry = {0};
	return parse_address(text, &entry) ? insert(set, &entry) : add_dns(set, text);
}

int san_add_raw(struct san_set *set, enum san_kind kind, struct str value)
{
	if (kind == SAN_DNS)
		return add_dns(set, value);
	if (value.n != sizeof(struct in_addr) && value.n != sizeof(struct in6_addr))
		return ERR_INVALID;
	struct san entry = {.kind = SAN_ADDRESS, .n = (uint8_t)value.n};
	memcpy(entry.value, value.p, value.n);
	return insert(set, &entry);
}

bool san_equal(const struct san_set *a, const struct san_set *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (compare(&a->entry[i], &b->entry[i]))
			return false;
	return true;
}
