/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists and OCSP responses for the store: see statement_service.h.
 */
#include "certs/statement_service.h"
#include "certs/statement.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/ipc/op.h"

#include <unistd.h>

enum { ENTRIES_MAX = 128 * MiB, LIST_MAX = 128 * MiB };

/* 0, or what goes to the store as the status. */
static enum op_status status_of(int err)
{
	switch (err) {
	case 0:
		return OP_OK;
	case ERR_NOT_FOUND:
		return OP_NOT_FOUND;
	case ERR_AGAIN:
		return OP_UNAVAILABLE;
	case ERR_DENIED:
		return OP_REFUSED;
	default:
		return OP_FAILED;
	}
}

static int64_t until(int64_t now, uint32_t valid_s)
{
	return now + MIN((int64_t)valid_s, (int64_t)STATEMENT_LIFE);
}

static int make_list(struct issuer *i, const struct body_sign_crl *b, int fd, struct statement *s,
		     struct buf *list, struct why *why)
{
	AUTO_BUF entries = {0};
	int err = issuer_status_key(i, b->authority, s->this_update, &s->authority, &s->key, why);
	if (!err && memfd_read(fd, ENTRIES_MAX, &entries))
		err = why_set(why, ERR_IO, "the entries of the list cannot be read");
	return err ? err : statement_list(s, b->number, buf_view(&entries), list, why);
}

int statement_service_list(struct issuer *i, struct link *l, struct record *r)
{
	struct body_sign_crl b;
	AUTO_BUF list = {0};
	struct why why = {""};
	if (body_sign_crl_get(r->body, &b) || r->fd < 0)
		return ERR_MALFORMED;
	const int64_t now = clock_wall();
	struct statement s = {.this_update = now, .next_update = until(now, b.valid_s)};
	int err = make_list(i, &b, r->fd, &s, &list, &why);
	AUTO_FD fd = err ? -1 : memfd_make("list", buf_view(&list));
	if (!err && fd < 0)
		err = why_set(&why, ERR_IO, "no memory for the list");
	const struct body_sign_crl_done done = {
		.status = (uint8_t)status_of(err),
		.why = str_of(why.text),
		.this_update_at = (uint64_t)s.this_update,
		.next_update_at = (uint64_t)s.next_update,
	};
	LINK_SEND(l, SIGN_CRL_DONE, sign_crl_done, r->id, fd, &done);
	return 0;
}

int statement_service_ocsp(struct issuer *i, struct link *l, struct record *r)
{
	struct body_sign_ocsp b;
	AUTO_BUF der = {0};
	struct why why = {""};
	if (body_sign_ocsp_get(r->body, &b))
		return ERR_MALFORMED;
	const int64_t now = clock_wall();
	struct statement s = {.this_update = now, .next_update = until(now, b.valid_s)};
	int err = issuer_status_key(i, b.authority, now, &s.authority, &s.key, &why);
	if (!err)
		err = statement_ocsp(&s, b.answers, b.nonce, &der, &why);
	const struct body_sign_ocsp_done done = {
		.status = (uint8_t)status_of(err),
		.why = str_of(why.text),
		.der = err ? STR("") : buf_view(&der),
	};
	LINK_SEND(l, SIGN_OCSP_DONE, sign_ocsp_done, r->id, -1, &done);
	return 0;
}
