/* SPDX-License-Identifier: Apache-2.0
 *
 * ca.check: the vault reads its journal again and judges every certificate in it; here each entry
 * is looked up in the registry, and at the end each row of the registry in what the journal said. A
 * part at a time, so nothing waits long: the cursor is the place in the journal. See op_ca.h.
 *
 * One check at a time: what its parts have seen is remembered in the store until the last one.
 */
#include "daemon/base/err.h"
#include "daemon/base/map.h"
#include "daemon/base/mem.h"
#include "db/certificate.h"
#include "db/hash.h"
#include "db/op_ca.h"

#include <stdio.h>

enum { CHECK_MS = 9000, CURSOR_MAX = 128 };

struct cursor {
	uint64_t offset;
	uint64_t sequence;
	unsigned char chain[SHA256_SIZE];
	bool at_start;
};

void op_ca_check_reset(struct store *s)
{
	map_fini(&s->checked);
	s->checked_to = 0;
}

static bool read_cursor(struct op_call *c, struct cursor *out)
{
	struct str text;
	*out = (struct cursor){.at_start = true};
	if (!op_str(c, "after", &text))
		return true;
	const struct str offset = str_split(&text, '.');
	const struct str sequence = str_split(&text, '.');
	out->at_start = false;
	if (str_u64(offset, INT64_MAX, &out->offset) == 0 &&
	    str_u64(sequence, INT64_MAX, &out->sequence) == 0 &&
	    hex_decode(text, out->chain, sizeof(out->chain)) == 0 &&
	    out->sequence == c->s->checked_to)
		return true;
	op_refuse(c, OP_CONFLICT, "after",
		  "another check began meanwhile, or this is no cursor of one: begin again");
	return false;
}

/* ---- findings ---- */

static void find(struct op_call *c, struct str fingerprint, struct str name, const char *problem)
{
	rec_object(&c->result, "");
	rec_bytes(&c->result, "fingerprint", fingerprint);
	rec_str(&c->result, "name", str_is_utf8(name) ? name : STR("?"));
	rec_text(&c->result, "problem", problem);
	rec_end(&c->result);
}

/* Does a row say what its certificate says? */
static const char *judge_row(const struct sql_query *q, struct str fingerprint)
{
	unsigned char fp[SHA256_SIZE];
	struct certificate cert;
	const struct str der = sql_at_str(q, 1);
	hash_sha256(der, fp);
	if (!str_eq(fingerprint, str_make(fp, sizeof(fp))) || certificate_read(der, &cert))
		return "the registry holds another certificate under this fingerprint";
	if (sql_at_int(q, 2) != cert.not_before || sql_at_int(q, 3) != cert.not_after ||
	    !str_eq(sql_at_str(q, 4), cert.serial) || !str_eq(sql_at_str(q, 5), cert.spki))
		return "the registry says something else of it than the certificate does";
	return NULL;
}

static void check_certificate(struct op_call *c, struct str fingerprint)
{
	AUTO_QUERY q = SQL_QUERY(c->s->registry,
				 "SELECT name, der, not_before, not_after, serial, spki FROM cert "
				 "WHERE fp = ?",
				 sql_blob(fingerprint));
	if (!sql_next(&q)) {
		find(c, fingerprint, STR(""),
		     "the vault issued it, the registry does not know it (a registry from an older "
		     "backup, or the disk was full)");
		return;
	}
	const char *problem = judge_row(&q, fingerprint);
	if (problem)
		find(c, fingerprint, sql_at_str(&q, 0), problem);
}

static void check_authority(struct op_call *c, struct str fingerprint)
{
	int64_t unused;
	if (!SQL_GET_INT(c->s->registry, &unused, "SELECT 1 FROM ca WHERE fp = ?",
			 sql_blob(fingerprint)))
		find(c, fingerprint, STR(""), "an authority that the registry does not know");
}

static int take_entries(struct op_call *c, struct str entries, int64_t *n)
{
	struct cur cur = cur_of(entries);
	struct str entry;
	while (entries_next(&cur, &entry)) {
		struct body_journal_entry b;
		if (body_journal_entry_get(entry, &b) || b.fingerprint.n != SHA256_SIZE)
			return ERR_MALFORMED;
		++*n;
		map_set(&c->s->checked, b.fingerprint, c->s);
		if (b.fault.n) {
			AUTO_CHAR fault = str_dup(b.fault);
			find(c, b.fingerprint, STR(""), fault);
		}
		if (b.authority)
			check_authority(c, b.fingerprint);
		else
			check_certificate(c, b.fingerprint);
	}
	return cur_ok(&cur) ? 0 : ERR_MALFORMED;
}

/* The other way round: whatever claims to be ours must be in the journal. */
static void check_rows(struct op_call *c)
{
	AUTO_QUERY cert = SQL_QUERY(c->s->registry,
				    "SELECT cert.fp, cert.name FROM cert WHERE via <> 'import'");
	while (sql_next(&cert))
		if (!map_get(&c->s->checked, sql_at_str(&cert, 0)))
			find(c, sql_at_str(&cert, 0), sql_at_str(&cert, 1),
			     "the registry says that the vault issued it, the journal does not "
			     "know "
			     "it");
	AUTO_QUERY ca =
		SQL_QUERY(c->s->registry, "SELECT fp, subject FROM ca WHERE kind <> 'external'");
	while (sql_next(&ca))
		if (!map_get(&c->s->checked, sql_at_str(&ca, 0)))
			find(c, sql_at_str(&ca, 0), sql_at_str(&ca, 1),
			     "an authority that the journal does not know");
}

/* ---- a part ---- */

static void finish(struct op_call *c, const struct body_ca_check_done *done)
{
	char chain[2 * SHA256_SIZE + 1];
	char next[CURSOR_MAX];
	int64_t n = 0;
	rec_list(&c->result, "items");
	if (done->chain.n != SHA256_SIZE || take_entries(c, done->entries, &n)) {
		op_refuse(c, OP_FAILED, NULL, "the vault answered what cannot be read");
		return;
	}
	if (done->end)
		check_rows(c);
	hex_encode(done->chain.p, SHA256_SIZE, chain);
	snprintf(next, sizeof(next), "%llu.%llu.%s", (unsigned long long)done->offset,
		 (unsigned long long)done->sequence, chain);
	op_put_next(&c->result, done->end ? STR("") : str_of(next));
	rec_int(&c->result, "checked", n);
	c->s->checked_to = done->sequence;
	if (done->end)
		op_ca_check_reset(c->s);
	op_done(c);
}

static void answered(struct link_call *call, int err, struct record *reply)
{
	struct op_call *c = container_of(call, struct op_call, ask);
	struct body_ca_check_done done;
	if (err || body_ca_check_done_get(reply->body, &done))
		op_refuse(c, OP_UNAVAILABLE, NULL, "the vault does not answer: try again");
	else if (done.status != OP_OK)
		op_refuse(c, done.status == OP_REFUSED ? OP_REFUSED : OP_FAILED, NULL, "%.*s",
			  STR_ARG(done.why));
	else
		finish(c, &done);
}

void op_ca_check(struct op_call *c)
{
	struct cursor cursor;
	struct link *vault = c->s->peer[PROCESS_VAULT].link;
	if (!read_cursor(c, &cursor))
		return;
	if (!vault) {
		op_refuse(c, OP_UNAVAILABLE, NULL, "the vault is away: try again");
		return;
	}
	struct body_ca_check body = {.offset = cursor.offset, .sequence = cursor.sequence};
	if (cursor.at_start)
		op_ca_check_reset(c->s);
	else
		body.chain = str_make(cursor.chain, sizeof(cursor.chain));
	LINK_ASK(vault, &c->ask, CA_CHECK, ca_check, -1, &body, CHECK_MS, answered);
}
