/* SPDX-License-Identifier: Apache-2.0
 *
 * Generations of the authority: see generation.h.
 */
#include "certs/generation.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"

#include <stdio.h>
#include <stdlib.h>

enum { STATE_FILE_MAX = 4 * KiB };

static const char state_file[] = "authority";

static const char *const state_words[] = {
	[CA_NEXT] = "next",       [CA_ACTIVE] = "active",           [CA_RETIRING] = "retiring",
	[CA_RETIRED] = "retired", [CA_COMPROMISED] = "compromised",
};

const char *generation_state_word(enum ca_state state)
{
	CHECK(state < ARRAY_LEN(state_words));
	return state_words[state];
}

void generation_file(const struct generation *g, const char *what, char out[GENERATION_FILE])
{
	if (g->number == 1)
		snprintf(out, GENERATION_FILE, "%s", what);
	else
		snprintf(out, GENERATION_FILE, "%s-%u", what, g->number);
}

struct generation *generation_new(unsigned number, enum ca_state state)
{
	struct generation *g = mem_new(struct generation);
	g->number = number;
	g->state = state;
	return g;
}

static void drop_key(struct key **key)
{
	if (*key)
		key_unref(*key);
	*key = NULL;
}

void generation_free(struct generation *g)
{
	drop_key(&g->root_key);
	drop_key(&g->issuing_key);
	certificate_fini(&g->root);
	certificate_fini(&g->issuing);
	certificate_fini(&g->cross);
	free(g);
}

/* ---- files ------------------------------------------------------------------------------------
 */

static int load_certificate(struct keystore *ks, const struct generation *g, const char *what,
			    struct certificate *out, struct why *why)
{
	AUTO_BUF der = {0};
	char name[GENERATION_FILE];
	generation_file(g, what, name);
	const int err = keystore_load_certificate_named(ks, name, &der, why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	return profile_read(buf_view(&der), name, out, why);
}

static int load_key(struct keystore *ks, const struct generation *g, const char *what,
		    const struct certificate *c, struct key **out, struct why *why)
{
	char name[GENERATION_FILE];
	generation_file(g, what, name);
	const int err = keystore_load_key_named(ks, name, out, why);
	if (err)
		return err == ERR_NOT_FOUND ? 0 : err;
	if (c->der.n == 0 || str_eq(certificate_spki(c), key_spki(*out)))
		return 0;
	return why_set(why, ERR_CRYPTO,
		       "%s/%s.crt does not belong to %s.key; restore both from one backup",
		       keystore_path(ks), name, name);
}

int generation_load(struct keystore *ks, struct generation *g, struct why *why)
{
	int err = load_certificate(ks, g, "root", &g->root, why);
	if (!err)
		err = load_certificate(ks, g, "issuing", &g->issuing, why);
	if (!err)
		err = load_certificate(ks, g, "cross", &g->cross, why);
	if (!err)
		err = load_key(ks, g, "root", &g->root, &g->root_key, why);
	if (err)
		return err;
	err = load_key(ks, g, "issuing", &g->issuing, &g->issuing_key, why);
	g->locked = err == ERR_UNAVAILABLE;
	return g->locked ? 0 : err;
}

static int save_certificate(struct keystore *ks, const struct generation *g, const char *what,
			    const struct certificate *c, struct why *why)
{
	char name[GENERATION_FILE];
	generation_file(g, what, name);
	return c->der.n ? keystore_save_certificate_named(ks, name, buf_view(&c->der), why) : 0;
}

int generation_save_certificates(struct keystore *ks, const struct generation *g, struct why *why)
{
	int err = save_certificate(ks, g, "root", &g->root, why);
	if (!err)
		err = save_certificate(ks, g, "issuing", &g->issuing, why);
	return err ? err : save_certificate(ks, g, "cross", &g->cross, why);
}

static int remove_one(struct keystore *ks, const struct generation *g, const char *what,
		      const char *suffix, struct why *why)
{
	char name[GENERATION_FILE];
	generation_file(g, what, name);
	AUTO_CHAR file = mem_printf("%s.%s", name, suffix);
	return keystore_remove_file(ks, file, why);
}

static int remove_keys(struct keystore *ks, const struct generation *g, struct why *why)
{
	const int err = remove_one(ks, g, "root", "key", why);
	return err ? err : remove_one(ks, g, "issuing", "key", why);
}

int generation_drop_keys(struct keystore *ks, struct generation *g, struct why *why)
{
	drop_key(&g->root_key);
	drop_key(&g->issuing_key);
	g->locked = false;
	return remove_keys(ks, g, why);
}

int generation_clear(struct keystore *ks, const struct generation *g, struct why *why)
{
	static const char *const what[] = {"root", "issuing", "cross"};
	int err = remove_keys(ks, g, why);
	for (size_t i = 0; i < ARRAY_LEN(what) && err == 0; i++)
		err = remove_one(ks, g, what[i], "crt", why);
	return err;
}

/* ---- the list ---------------------------------------------------------------------------------
 */

static bool parse_line(struct str line, struct generations *all)
{
	uint64_t number;
	const struct str first = str_split(&line, ' ');
	const struct str word = str_split(&line, ' ');
	if (str_u64(first, UINT16_MAX, &number) || all->n == GENERATIONS_MAX ||
	    number <= (all->n ? all->at[all->n - 1]->number : 0))
		return false;
	for (size_t i = 0; i < ARRAY_LEN(state_words); i++) {
		if (!str_is(word, state_words[i]))
			continue;
		struct generation *g = generation_new((unsigned)number, (enum ca_state)i);
		g->external = str_is(line, "external");
		all->at[all->n++] = g;
		return line.n == 0 || g->external;
	}
	return false;
}

static int parse_file(struct keystore *ks, struct str text, struct generations *all,
		      struct why *why)
{
	bool good = true;
	unsigned active = 0;
	while (text.n && good)
		good = parse_line(str_split(&text, '\n'), all);
	for (size_t i = 0; i < all->n; i++)
		active += all->at[i]->state == CA_ACTIVE;
	if (good && active == 1)
		return 0;
	return why_set(why, ERR_MALFORMED,
		       "%s/%s does not say which authority is in use: restore the whole directory "
		       "from a backup",
		       keystore_path(ks), state_file);
}

int generations_load(struct keystore *ks, struct generations *all, struct why *why)
{
	AUTO_BUF text = {0};
	int err = keystore_load_file(ks, state_file, STATE_FILE_MAX, &text, why);
	if (err == ERR_NOT_FOUND) {
		all->at[all->n++] = generation_new(1, CA_ACTIVE);
		err = 0;
	} else if (!err) {
		err = parse_file(ks, buf_view(&text), all, why);
	}
	for (size_t i = 0; i < all->n && err == 0; i++)
		err = generation_load(ks, all->at[i], why);
	return err;
}

int generations_save(struct keystore *ks, const struct generations *all, struct why *why)
{
	AUTO_BUF text = {0};
	for (size_t i = 0; i < all->n; i++)
		buf_printf(&text, "%u %s%s\n", all->at[i]->number,
			   generation_state_word(all->at[i]->state),
			   all->at[i]->external ? " external" : "");
	return keystore_save_file(ks, state_file, buf_view(&text), why);
}

void generations_fini(struct generations *all)
{
	for (size_t i = 0; i < all->n; i++)
		generation_free(all->at[i]);
	all->n = 0;
}

struct generation *generations_in(const struct generations *all, enum ca_state state)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->at[i]->state == state)
			return all->at[i];
	return NULL;
}
