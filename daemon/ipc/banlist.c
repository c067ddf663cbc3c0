/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of bans: see banlist.h.
 */
#include "daemon/ipc/banlist.h"
#include "daemon/base/err.h"
#include "daemon/net/ban.h"

int banlist_take(const struct record *r)
{
	static struct ban list[BANS_MAX];
	struct body_bans b;
	struct str entry;
	size_t n = 0;
	if (body_bans_get(r->body, &b))
		return ERR_MALFORMED;
	struct cur c = cur_of(b.list);
	while (entries_next(&c, &entry)) {
		struct body_ban one;
		if (n == BANS_MAX || body_ban_get(entry, &one) ||
		    cidr_parse(one.network, &list[n].network))
			return ERR_MALFORMED;
		list[n++].until = (int64_t)MIN(one.until_at, (uint64_t)INT64_MAX);
	}
	if (!cur_ok(&c))
		return ERR_MALFORMED;
	bans_set(list, n);
	return 0;
}

void banlist_answer(struct link *store, uint64_t id, uint32_t closed)
{
	static struct ban list[BANS_MAX];
	const size_t n = bans_copy(list);
	AUTO_BUF hits = {0};
	for (size_t i = 0; i < n; i++) {
		char text[ADDR_TEXT];
		const struct body_ban_hits one = {str_of(cidr_format(&list[i].network, text)),
						  list[i].refused, list[i].last_ms};
		if (list[i].refused)
			ENTRIES_PUT(&hits, ban_hits, &one);
	}
	const struct body_bans_done b = {closed, buf_view(&hits)};
	LINK_SEND(store, BANS_DONE, bans_done, id, -1, &b);
}
