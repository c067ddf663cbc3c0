/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of certificates: see certnames.h.
 */
#include "daemon/broker/certnames.h"
#include "certs/leaf.h"
#include "daemon/acl/acl.h"
#include "daemon/base/mem.h"
#include "daemon/broker/conn.h"

#include <stdlib.h>

static size_t find_names(const struct leaf *leaf, struct str name[ACL_SAN_MAX], size_t *bytes)
{
	struct cur c = cur_of(leaf->names);
	size_t n = 0;
	*bytes = 0;
	while (n < ACL_SAN_MAX && leaf_next_name(&c, &name[n]))
		*bytes += name[n++].n;
	return n;
}

static void keep_sans(const struct str *name, size_t n, size_t bytes, struct certnames *out)
{
	if (n == 0)
		return;
	out->san = mem_alloc(n * sizeof(*out->san) + bytes);
	char *text = (char *)(out->san + n);
	for (size_t i = 0; i < n; i++) {
		memcpy(text, name[i].p, name[i].n);
		out->san[i] = str_make(text, name[i].n);
		text += name[i].n;
	}
	out->san_n = n;
}

static void read_sans(struct str der, struct certnames *out)
{
	struct leaf leaf;
	struct str name[ACL_SAN_MAX];
	size_t bytes;
	if (leaf_read(der, &leaf))
		return;
	const size_t n = find_names(&leaf, name, &bytes);
	keep_sans(name, n, bytes, out);
}

void certnames_restore(struct certnames *out, struct str cn, struct str sans)
{
	struct str name[ACL_SAN_MAX];
	struct cur c = cur_of(sans);
	size_t n = 0, bytes = 0;
	*out = (struct certnames){.cn = cn.n ? str_dup(cn) : NULL};
	while (n < ACL_SAN_MAX && cur_left(&c)) {
		name[n] = cur_str16(&c);
		bytes += name[n++].n;
	}
	keep_sans(name, n, bytes, out);
}

void certnames_read(const struct conn *c, struct certnames *out)
{
	struct str leaf;
	struct tls_description d;
	*out = (struct certnames){0};
	if (!c->has_certificate || stream_peer_chain(c->stream, &leaf, 1) == 0)
		return;
	if (tls_describe(leaf, &d) == 0 && d.common_name[0])
		out->cn = mem_strdup(d.common_name);
	read_sans(leaf, out);
}

bool certnames_equal(const struct certnames *a, const struct certnames *b)
{
	if (!str_eq(str_of(a->cn), str_of(b->cn)) || a->san_n != b->san_n)
		return false;
	for (size_t i = 0; i < a->san_n; i++)
		if (!str_eq(a->san[i], b->san[i]))
			return false;
	return true;
}

void certnames_fini(struct certnames *names)
{
	free(names->cn);
	free(names->san);
	*names = (struct certnames){0};
}
