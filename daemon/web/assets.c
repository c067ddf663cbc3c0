/* SPDX-License-Identifier: Apache-2.0
 *
 * The interface's files: see assets.h.
 */
#include "daemon/web/assets.h"
#include "daemon/web/web.h"

#include <stdio.h>

static const char policy[] =
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
	"connect-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'none'; "
	"base-uri 'none'; frame-ancestors 'none'";

#define ASSET(n, path, type, etag, encoding) \
	extern const char asset_##n##_begin[], asset_##n##_end[];
#include "webui/assets.inc"
#include "webui/manual.inc"
#undef ASSET

static const struct asset {
	const char *path;
	const char *type;
	const char *etag;
	const char *encoding; /* "" = as it is */
	const char *begin;
	const char *end;
} assets[] = {
#define ASSET(n, path, type, etag, encoding) \
	{path, type, etag, encoding, asset_##n##_begin, asset_##n##_end},
#include "webui/assets.inc"
#include "webui/manual.inc"
#undef ASSET
};

/* Is the word in a list like "gzip, br;q=0.9"? One that is refused by q=0 counts as absent. */
static bool accepts(struct str list, const char *word)
{
	while (list.p) {
		struct str item = str_split(&list, ',');
		const struct str name = str_trim(str_split(&item, ';'));
		if (str_is(name, word))
			return !str_is(str_trim(item), "q=0");
	}
	return false;
}

/* The smallest form that the browser takes. */
static const struct asset *find(struct str path, struct str encodings)
{
	const struct asset *best = NULL;
	for (size_t i = 0; i < ARRAY_LEN(assets); i++) {
		const struct asset *a = &assets[i];
		if (!str_is(path, a->path) || (a->encoding[0] && !accepts(encodings, a->encoding)))
			continue;
		if (!best || a->end - a->begin < best->end - best->begin)
			best = a;
	}
	return best;
}

static bool is_page(struct str path)
{
	return path.n == 0 || !memchr(path.p, '.', path.n);
}

static void answer(struct http_request *r, const struct asset *a)
{
	char etag[64];
	const bool named_by_content = strncmp(a->path, "/assets/", 8) == 0;
	snprintf(etag, sizeof(etag), "\"%s%s\"", a->etag, a->encoding);
	http_add_header(r, "ETag", etag);
	http_add_header(r, "Vary", "Accept-Encoding");
	http_add_header(r, "Content-Security-Policy", policy);
	http_add_header(r, "Referrer-Policy", "no-referrer");
	http_add_header(r, "Cross-Origin-Opener-Policy", "same-origin");
	if (a->encoding[0])
		http_add_header(r, "Content-Encoding", a->encoding);
	const bool known = str_is(http_header(r, "If-None-Match"), etag);
	http_reply_static(r, known ? 304 : 200, a->type,
			  known ? STR("") : str_make(a->begin, (size_t)(a->end - a->begin)),
			  named_by_content ? "public, max-age=31536000, immutable" : "no-cache");
}

static void serve(struct http_request *r, struct str path)
{
	const struct str encodings = http_header(r, "Accept-Encoding");
	const struct asset *a = find(path, encodings);
	if (!a && is_page(path))
		a = find(STR("/index.html"), encodings);
	if (a)
		answer(r, a);
	else
		api_problem(r, 404, NULL, "there is no such file", NULL);
}

bool assets_handle(struct http_request *r)
{
	const struct str path = http_path(r);
	if (str_prefix(path, STR("/api/")))
		return false;
	if (strcmp(http_method(r), "GET") != 0 && strcmp(http_method(r), "HEAD") != 0)
		api_problem(r, 405, NULL, "this resource is only read", "GET, HEAD");
	else
		serve(r, path);
	return true;
}
