/* SPDX-License-Identifier: Apache-2.0
 *
 * What is in the spool, as records for a broker that starts: see spool_tables.h. Written in pieces,
 * so that a large spool is not in memory as well. Thread of the spool.
 */
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "db/spool_tables.h"

#include <unistd.h>

/* The limits are those of messages.def. */
enum { PIECE = 1 * MiB, TEXT = 65535, MORE = 4096, LARGE = 268435455 };

struct writer {
	struct spool_tables *t;
	int fd;
	struct buf piece;
	int err; /* the first one counts */
};

static void flush(struct writer *w)
{
	/* Damage that SQLite does not see must not look to the broker as if we were taken over. */
	if (!w->err && !spool_valid(buf_view(&w->piece)))
		w->err = ERR_MALFORMED;
	if (!w->err && fd_write(w->fd, buf_view(&w->piece)))
		w->err = ERR_IO;
	w->piece.n = 0;
}

/* Takes the next row; in between what was written leaves. */
static bool row(struct writer *w, struct sql_query *q)
{
	if (w->piece.n >= PIECE)
		flush(w);
	if (!w->err && sql_next(q))
		return true;
	if (!w->err)
		w->err = q->error;
	return false;
}

static uint64_t number(const struct sql_query *q, int column)
{
	return (uint64_t)sql_at_int(q, column);
}

static struct str bytes(struct writer *w, const struct sql_query *q, int column, size_t max)
{
	const struct str s = sql_at_str(q, column);
	if (s.n > max)
		w->err = ERR_MALFORMED;
	return s.p && s.n <= max ? s : STR("");
}

static void write_subs(struct writer *w, uint64_t sid)
{
	AUTO_QUERY q = SQL_QUERY(w->t->db,
				 "SELECT options, identifier, filter FROM subscription "
				 "WHERE sid = ?",
				 sql_int((int64_t)sid));
	while (row(w, &q)) {
		const struct body_spool_sub b = {
			.sid = sid,
			.options = (uint8_t)number(&q, 0),
			.identifier = (uint32_t)number(&q, 1),
			.filter = bytes(w, &q, 2, TEXT),
		};
		SPOOL_PUT(&w->piece, SUB, sub, &b);
	}
}

static void write_received(struct writer *w, uint64_t sid)
{
	AUTO_QUERY q = SQL_QUERY(w->t->db, "SELECT packet_id, workers FROM received WHERE sid = ?",
				 sql_int((int64_t)sid));
	while (row(w, &q)) {
		const struct body_spool_received b = {sid, (uint16_t)number(&q, 0), number(&q, 1)};
		SPOOL_PUT(&w->piece, RECEIVED, received, &b);
	}
}

static void write_sessions(struct writer *w)
{
	AUTO_QUERY q = SQL_QUERY(w->t->db, "SELECT sid, device_id, expiry, disconnected_ms, "
					   "will_due_ms, client_id, will, more FROM session");
	while (row(w, &q)) {
		const struct body_spool_session b = {
			.sid = number(&q, 0),
			.device_id = number(&q, 1),
			.expiry = (uint32_t)number(&q, 2),
			.disconnected_ms = number(&q, 3),
			.will_due_ms = number(&q, 4),
			.client_id = bytes(w, &q, 5, TEXT),
			.will = bytes(w, &q, 6, LARGE),
			.more = bytes(w, &q, 7, MORE),
		};
		SPOOL_PUT(&w->piece, SESSION, session, &b);
		write_subs(w, b.sid);
		write_received(w, b.sid);
	}
}

static void write_messages(struct writer *w)
{
	AUTO_QUERY q = SQL_QUERY(w->t->db, "SELECT mid, qos, retain, expires_ms, origin, topic, "
					   "properties, payload FROM message ORDER BY mid");
	while (row(w, &q)) {
		const struct body_spool_message b = {
			.mid = number(&q, 0),
			.qos = (uint8_t)number(&q, 1),
			.retain = (uint8_t)number(&q, 2),
			.expires_ms = number(&q, 3),
			.origin = number(&q, 4),
			.topic = bytes(w, &q, 5, TEXT),
			.properties = bytes(w, &q, 6, LARGE),
			.payload = bytes(w, &q, 7, LARGE),
		};
		SPOOL_PUT(&w->piece, MESSAGE, message, &b);
	}
}

static void write_queues(struct writer *w)
{
	AUTO_QUERY q =
		SQL_QUERY(w->t->db, "SELECT sid, place, mid, queued_ms, qos, retain, share, ids, "
				    "packet_id, state FROM queue ORDER BY sid, place");
	while (row(w, &q)) {
		const struct body_spool_queue b = {
			.sid = number(&q, 0),
			.place = number(&q, 1),
			.mid = number(&q, 2),
			.queued_ms = number(&q, 3),
			.qos = (uint8_t)number(&q, 4),
			.retain = (uint8_t)number(&q, 5),
			.share = bytes(w, &q, 6, TEXT),
			.ids = bytes(w, &q, 7, TEXT),
		};
		SPOOL_PUT(&w->piece, QUEUE, queue, &b);
		if (sql_at_null(&q, 8))
			continue;
		const struct body_spool_sent sent = {b.sid, b.place, (uint16_t)number(&q, 8),
						     (uint8_t)number(&q, 9)};
		SPOOL_PUT(&w->piece, SENT, sent, &sent);
	}
}

static void write_retained(struct writer *w)
{
	AUTO_QUERY q = SQL_QUERY(w->t->db, "SELECT mid, version, topic FROM retain "
					   "WHERE mid IS NOT NULL");
	while (row(w, &q)) {
		const struct body_spool_retain b = {number(&q, 0), number(&q, 1),
						    bytes(w, &q, 2, TEXT)};
		SPOOL_PUT(&w->piece, RETAIN, retain, &b);
	}
}

int spool_tables_state(struct spool_tables *t, int *fd)
{
	AUTO_FD memory = memfd_begin("spool");
	if (memory < 0)
		return ERR_IO;
	struct writer w = {.t = t, .fd = memory};
	write_sessions(&w);
	write_messages(&w);
	write_queues(&w);
	write_retained(&w);
	flush(&w);
	buf_fini(&w.piece);
	if (!w.err && memfd_seal(memory))
		w.err = ERR_IO;
	if (!w.err)
		*fd = TAKE_FD(memory);
	return w.err;
}
