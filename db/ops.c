/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations from arrival to answer: see ops.h.
 */
#include "db/ops.h"
#include "certs/csr.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "db/arguments.h"
#include "db/authorise.h"
#include "db/batch.h"
#include "db/enrol.h"
#include "db/plan.h"
#include "db/registry.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	RESULT_MAX = 60000,
	ARGS_MAX = 64 * MiB,
	WHY_TEXT = 512,
	REFUSALS_PER_SECOND = 1, /* of one level, in the audit log */
	REFUSALS_BURST = 100,
	REFUSALS_OF_STRANGERS = 20, /* the burst of those who have no level */
	CALLS_MAX = 1024
};

static op_handler *const handlers[OP_COUNT] = {
	[OP_STATUS] = op_status_,
	[OP_DEVICE_LIST] = op_device_list,
	[OP_DEVICE_SHOW] = op_device_show,
	[OP_DEVICE_ADD] = op_device_add,
	[OP_DEVICE_SET] = op_device_set,
	[OP_DEVICE_REMOVE] = op_device_remove,
	[OP_CERT_LIST] = op_cert_list,
	[OP_CERT_SHOW] = op_cert_show,
	[OP_CERT_ADD] = op_cert_add,
	[OP_CERT_REVOKE] = op_cert_revoke,
	[OP_CERT_HOLD] = op_cert_hold,
	[OP_CERT_RELEASE] = op_cert_release,
	[OP_CERT_IMPORT] = op_cert_import,
	[OP_CA_SHOW] = op_ca_show,
	[OP_CODE_ADD] = op_code_add,
	[OP_CODE_LIST] = op_code_list,
	[OP_CODE_REMOVE] = op_code_remove,
	[OP_CLAIM_ADD] = op_claim_add,
	[OP_CLAIM_LIST] = op_claim_list,
	[OP_CLAIM_ALLOW] = op_claim_allow,
	[OP_CLAIM_REMOVE] = op_claim_remove,
	[OP_PROFILE_LIST] = op_profile_list,
	[OP_PROFILE_SET] = op_profile_set,
	[OP_PROFILE_REMOVE] = op_profile_remove,
	[OP_REQUEST_LIST] = op_request_list,
	[OP_REQUEST_SHOW] = op_request_show,
	[OP_REQUEST_APPROVE] = op_request_approve,
	[OP_REQUEST_DENY] = op_request_deny,
	[OP_CA_LOCK] = op_ca_lock,
	[OP_CA_UNLOCK] = op_ca_unlock,
	[OP_CA_FORGET_ROOT] = op_ca_forget_root,
	[OP_CA_ROLLOVER] = op_ca_rollover,
	[OP_CA_CSR] = op_ca_csr,
	[OP_CA_IMPORT] = op_ca_import,
	[OP_CA_CROSS] = op_ca_cross,
	[OP_CA_COMPROMISE] = op_ca_compromise,
	[OP_CA_CHECK] = op_ca_check,
	[OP_CA_COPY] = op_ca_copy,
	[OP_BACKUP_SHOW] = op_backup_show,
	[OP_BACKUP_ADD] = op_backup_add,
	[OP_CA_CRL] = op_ca_crl,
	[OP_ROLE_LIST] = op_role_list,
	[OP_ROLE_SHOW] = op_role_show,
	[OP_ROLE_ADD] = op_role_add,
	[OP_ROLE_SET] = op_role_set,
	[OP_ROLE_REMOVE] = op_role_remove,
	[OP_ACL_LIST] = op_acl_list,
	[OP_ACL_ADD] = op_acl_add,
	[OP_ACL_REMOVE] = op_acl_remove,
	[OP_ACL_CHECK] = op_acl_check,
	[OP_ACL_PREVIEW] = op_acl_preview,
	[OP_ACL_APPLY] = op_acl_apply,
	[OP_EVENT_ACKNOWLEDGE] = op_event_acknowledge,
	[OP_LEARN_LIST] = op_learn_list,
	[OP_LEARN_START] = op_learn_start,
	[OP_LEARN_STOP] = op_learn_stop,
	[OP_LEARN_SHOW] = op_learn_show,
	[OP_LEARN_PROPOSE] = op_learn_propose,
	[OP_CLIENT_LIST] = op_client_list,
	[OP_CLIENT_SHOW] = op_client_show,
	[OP_CLIENT_REMOVE] = op_client_remove,
	[OP_EVENT_LIST] = op_event_list,
	[OP_LOG_LIST] = op_log_list,
	[OP_BAN_LIST] = op_ban_list,
	[OP_BAN_ADD] = op_ban_add,
	[OP_BAN_REMOVE] = op_ban_remove,
	[OP_LIMIT_LIST] = op_limit_list,
	[OP_TRACE_START] = op_trace_start,
	[OP_TRACE_SHOW] = op_trace_show,
	[OP_TRACE_STOP] = op_trace_stop,
	[OP_WATCH_START] = op_watch_start,
	[OP_WATCH_SHOW] = op_trace_show,
	[OP_WATCH_STOP] = op_trace_stop,
	[OP_MESSAGE_PUBLISH] = op_message_publish,
	[OP_RETAINED_LIST] = op_retained_list,
	[OP_RETAINED_REMOVE] = op_retained_remove,
	[OP_SECURITY_CHECK] = op_security_check,
	[OP_SECURITY_MUTE] = op_security_mute,
	[OP_SECURITY_UNMUTE] = op_security_unmute,
	[OP_CONFIG_LIST] = op_config_list,
	[OP_CONFIG_SHOW] = op_config_show,
	[OP_CONFIG_SET] = op_config_set,
	[OP_CONFIG_RELOAD] = op_config_reload,
	[OP_CONFIG_CONFIRM] = op_config_confirm,
	[OP_STATE_SHOW] = op_state_show,
	[OP_STATE_DIFF] = op_state_diff,
	[OP_STATE_APPLY] = op_state_apply,
	[OP_REVISION_LIST] = op_revision_list,
	[OP_REVISION_SHOW] = op_revision_show,
	[OP_REVISION_REVERT] = op_revision_revert,
	[OP_SETUP_CODE] = op_setup_code_add,
	[OP_SETUP_SHOW] = op_setup_show,
	[OP_SETUP_ADD] = op_setup_add,
	[OP_SESSION_ADD] = op_session_add,
	[OP_SESSION_SHOW] = op_session_show,
	[OP_SESSION_LIST] = op_session_list,
	[OP_SESSION_REMOVE] = op_session_remove,
	[OP_ADMINISTRATOR_LIST] = op_administrator_list,
	[OP_ADMINISTRATOR_ADD] = op_administrator_add,
	[OP_ADMINISTRATOR_SET] = op_administrator_set,
	[OP_ADMINISTRATOR_REMOVE] = op_administrator_remove,
	[OP_PASSWORD_SET] = op_password_set,
	[OP_TOTP_ADD] = op_totp_add,
	[OP_TOTP_SET] = op_totp_set,
	[OP_TOTP_REMOVE] = op_totp_remove,
	[OP_TOKEN_LIST] = op_token_list,
	[OP_TOKEN_ADD] = op_token_add,
	[OP_TOKEN_REMOVE] = op_token_remove,
	[OP_AUDIT_LIST] = op_audit_list,
};

op_handler *ops_handler(enum op op)
{
	return handlers[op];
}

/* ---- life of a call ---- */

static void free_call(struct op_call *c)
{
	if (c->state)
		c->state_free(c->state); /* before the connection of its job goes */
	job_stop(&c->job);
	list_remove(&c->node);
	c->s->calls_n--;
	job_look(c->s);
	link_call_cancel(&c->ask);
	events_unwait(&c->waiter);
	trace_unwait(&c->trace);
	logs_unwait(&c->log_waiter);
	bans_unwait(&c->bans_waiter);
	loop_timer_stop(c->s->loop, &c->timer);
	logins_cancel(c->s->logins, c);
	change_fini(&c->change);
	batch_free(c->batch);
	plan_free(c->plan);
	free(c->scope);
	secret_wipe(c->secret, sizeof(c->secret));
	secret_buf_fini(&c->args);
	secret_buf_fini(&c->result);
	if (c->file)
		close(c->file);
	free(c);
}

/* Text that was cut may end inside a character. */
static struct str whole_text(const char *text)
{
	struct str s = str_of(text);
	for (int i = 0; i < 3 && s.n && !str_is_utf8(s); i++)
		s.n--;
	return s;
}

/* An answer over 60,000 bytes travels in a memfd. */
static void send_answer(struct op_call *c, struct body_op_done *done)
{
	const struct peer *peer = &c->s->peer[c->peer];
	AUTO_FD fd = -1;
	if (!peer->link || peer->generation != c->generation)
		return;
	if (c->enrolment) {
		enrol_answer(c, done);
		return;
	}
	done->result = buf_view(&c->result);
	done->file = c->file && done->status == OP_OK;
	if (done->file) {
		fd = c->file;
		c->file = 0;
	} else if (done->result.n > RESULT_MAX) {
		fd = memfd_make("result", done->result);
		done->result = (struct str){NULL, 0};
		if (fd < 0) {
			done->status = OP_FAILED;
			done->why = STR("out of descriptors or memory: try again");
		}
	}
	if (LINK_SEND(peer->link, OP_DONE, op_done, c->id, fd, done))
		log_warning("%s does not take its answers: one was dropped", process_name(c->peer));
}

void op_done(struct op_call *c)
{
	struct body_op_done done = {.status = OP_OK};
	if (c->batch)
		return; /* of a step */
	send_answer(c, &done);
	free_call(c);
}

/* The log is bounded by rows: whoever may do little must not push out what others did. */
static bool has_row(struct op_call *c)
{
	const enum op_level level = c->denied ? NOBODY : c->level;
	const unsigned burst = level == NOBODY ? REFUSALS_OF_STRANGERS : REFUSALS_BURST;
	return level == ADMIN || rate_take(&c->s->refusals[level], REFUSALS_PER_SECOND, burst,
					   clock_mono_ms() * 1000);
}

static void note_refusal(struct op_call *c, enum op_status status, const char *why)
{
	if (c->enrolment)
		return;
	if (op_spec(c->op)->effect == CHANGES && status != OP_FAILED && has_row(c))
		authorise_audit(c, authorise_outcome(status), why);
	/* A failed login has an event of its own. */
	const bool stranger = status == OP_UNAUTHENTICATED && op_spec(c->op)->level != NOBODY;
	if (status != OP_DENIED && !stranger)
		return;
	AUTO_BUF detail = {0};
	rec_text(&detail, "operation", op_spec(c->op)->name);
	const struct body_event fields = {
		.event = EVENT_OPERATION_REFUSED,
		.time_ms = clock_wall_ms(),
		.actor = str_of(c->actor),
		.reason = stranger ? STR("not logged in") : STR("the level does not allow it"),
		.detail = buf_view(&detail),
	};
	events_add(c->s->events, &fields, STR(""));
}

void op_refuse(struct op_call *c, enum op_status status, const char *field, const char *fmt, ...)
{
	char why[WHY_TEXT];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	if (c->batch) {
		batch_refuse(c->batch, status, field, why);
		return;
	}
	if (c->change.open)
		sql_rollback(c->s->registry);
	c->change.open = false;
	note_refusal(c, status, why);
	c->result.n = 0;
	struct body_op_done done = {
		.status = (uint8_t)status,
		.field = str_of(field),
		.why = whole_text(why),
		.retry_s = status == OP_TOO_MANY ? MAX(c->retry_s, (uint16_t)1) : 0,
	};
	send_answer(c, &done);
	free_call(c);
}

void op_refuse_for(struct op_call *c, unsigned seconds, const char *fmt, ...)
{
	char why[WHY_TEXT];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	c->retry_s = (uint16_t)MIN(seconds, (unsigned)UINT16_MAX);
	op_refuse(c, OP_TOO_MANY, NULL, "%s", why);
}

void op_refuse_sql(struct op_call *c, int err)
{
	store_registry_failed(c->s, err);
	if (err == ERR_LIMIT)
		op_refuse(c, OP_FAILED, NULL,
			  "no space left on the disk of %s: nothing was changed; free some and try "
			  "again",
			  c->s->dir);
	else if (err == ERR_EXISTS)
		op_refuse(c, OP_CONFLICT, NULL, "%s exists already or was changed meanwhile",
			  c->target);
	else
		op_refuse(c, OP_FAILED, NULL, "the registry could not be used: %s",
			  sql_why(c->s->registry));
}

/* ---- arrival ---- */

/* The object that the audit row names, unless the handler says better. */
static void name_target(struct op_call *c)
{
	static const char *const names[] = {"name",    "device", "id",    "key",    "client-id",
					    "subject", "role",   "topic", "filter", "network"};
	struct rec_value v;
	if (c->op == OP_SESSION_ADD)
		return; /* a password may stand in the place of the name */
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		/* What it does not take need not be looked for behind a long document. */
		if (!arguments_known(op_spec(c->op), names[i]) ||
		    !rec_find(buf_view(&c->args), names[i], &v))
			continue;
		if (v.kind == REC_INT)
			snprintf(c->target, sizeof(c->target), "%lld", (long long)v.number);
		else
			snprintf(c->target, sizeof(c->target), "%.*s",
				 (int)MIN(v.text.n, sizeof(c->target) - 1), v.text.p);
		return;
	}
}

static struct op_call *new_call(struct store *s, enum process peer, uint64_t id, struct str source)
{
	struct op_call *c = mem_new(struct op_call);
	c->s = s;
	c->peer = peer;
	c->generation = s->peer[peer].generation;
	c->id = id;
	change_init(&c->change);
	snprintf(c->source, sizeof(c->source), "%.*s", STR_ARG(source));
	list_append(&s->calls, &c->node);
	s->calls_n++;
	return c;
}

struct op_call *ops_enrolment(struct store *s, enum process peer, uint64_t id, struct str source,
			      struct enrolment *e, void (*state_free)(void *state))
{
	struct op_call *c = new_call(s, peer, id, source);
	c->op = OP_COUNT;
	c->name = "enrol";
	c->enrolment = e;
	c->state = e;
	c->state_free = state_free;
	return c;
}

bool ops_full(const struct store *s)
{
	return s->calls_n > CALLS_MAX;
}

static void run(struct op_call *c)
{
	char field[65];
	struct why why;
	if (authorise_refused(c))
		return;
	if (ops_full(c->s) || c->crowded) {
		op_refuse(c, OP_TOO_MANY, NULL, "%d operations are in progress: try again",
			  CALLS_MAX);
		return;
	}
	if (arguments_check(op_spec(c->op), buf_view(&c->args), field, &why)) {
		op_refuse(c, OP_INVALID, field, "%s", why.text);
		return;
	}
	name_target(c);
	handlers[c->op](c);
}

/* Arguments that do not fit the message; only a document is that large. */
static int take_large(struct op_call *c, int fd)
{
	c->args.n = 0;
	for (const struct op_arg *a = op_spec(c->op)->args; a->name; a++)
		if (a->type == ARG_STATE)
			return memfd_read(fd, ARGS_MAX, &c->args) == 0 &&
					       rec_valid(buf_view(&c->args))
				       ? 0
				       : ERR_MALFORMED;
	return ERR_MALFORMED;
}

int ops_handle(struct store *s, enum process peer, struct record *r)
{
	struct body_op b;
	if (body_op_get(r->body, &b) || b.op >= OP_COUNT || !rec_valid(b.args))
		return ERR_MALFORMED;
	bool crowded = false;
	if (op_spec(b.op)->effect == CHANGES && job_keep_back(s, peer, r, ops_handle, &crowded))
		return 0;
	struct op_call *c = new_call(s, peer, r->id, b.source);
	c->op = b.op;
	c->crowded = crowded;
	c->name = op_spec(c->op)->name;
	c->passive = b.passive;
	buf_str(&c->args, b.args);
	int err = r->fd >= 0 ? take_large(c, r->fd) : 0;
	if (!err)
		err = authorise_caller(c, b.credential_kind, b.credential);
	if (err) {
		free_call(c);
		return err;
	}
	run(c);
	return 0;
}

void ops_cancel_all(struct store *s)
{
	while (!list_empty(&s->calls))
		free_call(list_entry(s->calls.next, struct op_call, node));
}

/* ---- for the handlers ---- */

bool op_str(const struct op_call *c, const char *name, struct str *out)
{
	return rec_get_str(buf_view(&c->args), name, out);
}

bool op_int(const struct op_call *c, const char *name, int64_t *out)
{
	return rec_get_int(buf_view(&c->args), name, out);
}

bool op_bool(const struct op_call *c, const char *name, bool *out)
{
	return rec_get_bool(buf_view(&c->args), name, out);
}

struct str op_text(const struct op_call *c, const char *name, const char *absent)
{
	struct str s = str_of(absent);
	op_str(c, name, &s);
	return s.p ? s : STR("");
}

bool op_strs(const struct op_call *c, const char *name, struct str *out)
{
	struct rec_value v;
	if (!rec_find(buf_view(&c->args), name, &v))
		return false;
	*out = v.text;
	return true;
}

bool op_limit(struct op_call *c, int64_t *out)
{
	*out = 100;
	if (op_int(c, "limit", out) && *out == 0) {
		op_refuse(c, OP_INVALID, "limit", "limit is 0; allowed is 1 to 1000");
		return false;
	}
	return true;
}

bool op_number_cursor(struct op_call *c, uint64_t *out)
{
	struct str after;
	*out = 0;
	if (!op_str(c, "after", &after) || str_u64(after, INT64_MAX, out) == 0)
		return true;
	op_refuse(c, OP_INVALID, "after",
		  "after is no cursor of this list: use next of the page before");
	return false;
}

bool op_find_device(struct op_call *c, const char *arg, struct str name, int64_t *id)
{
	if (registry_device(c->s->registry, name, id) == 0)
		return true;
	op_refuse(c, OP_NOT_FOUND, arg, "there is no device \"%.*s\"", STR_ARG(name));
	return false;
}

bool op_check_name(struct op_call *c, const char *arg, const char *what, struct str name)
{
	if (device_name_check(name, NULL) == 0)
		return true;
	op_refuse(c, OP_INVALID, arg,
		  "\"%.*s\" is no name of %s %s: allowed are 1 to 64 of A-Z a-z 0-9 . _ : @ -, the "
		  "first a letter or digit",
		  STR_ARG(name), strchr("aeiou", what[0]) ? "an" : "a", what);
	return false;
}

/* A topic filter, section 4.7: judged by the broker's rules, which the store does not link. */
static bool is_filter(struct str s)
{
	struct str rest = s;
	while (rest.p && s.n) {
		const struct str level = str_split(&rest, '/');
		const bool wild =
			level.n && (memchr(level.p, '#', level.n) || memchr(level.p, '+', level.n));
		if (wild && (level.n != 1 || (level.p[0] == '#' && rest.p)))
			return false;
	}
	return s.n && str_is_utf8(s) && !str_prefix(s, STR("$share/"));
}

bool op_check_filter(struct op_call *c, const char *arg, struct str filter)
{
	if (is_filter(filter))
		return true;
	op_refuse(c, OP_INVALID, arg,
		  "\"%.*s\" is no topic filter: + and # fill a level, and # is the last; "
		  "$share/ is not for it",
		  STR_ARG(filter));
	return false;
}

void op_put_str(struct buf *out, const char *name, struct str s)
{
	if (s.n)
		rec_str(out, name, s);
	else
		rec_null(out, name);
}

void op_put_time(struct buf *out, const char *name, int64_t seconds)
{
	if (seconds)
		rec_time(out, name, seconds * 1000);
	else
		rec_null(out, name);
}

void op_put_next(struct buf *out, struct str next)
{
	rec_end(out);
	op_put_str(out, "next", next);
}

static void put_item(struct op_call *c, const struct sql_query *q, op_row *put)
{
	rec_object(&c->result, "");
	put(c, q);
	rec_end(&c->result);
}

void op_end_items(struct op_call *c, struct sql_query *q, struct str next)
{
	op_put_next(&c->result, next);
	sql_query_end(q);
	if (q->error)
		op_refuse_sql(c, q->error);
	else
		op_done(c);
}

void op_answer_all(struct op_call *c, struct sql_query *q, op_row *put)
{
	rec_list(&c->result, "items");
	while (sql_next(q))
		put_item(c, q, put);
	op_end_items(c, q, STR(""));
}

void op_answer_page(struct op_call *c, struct sql_query *q, int64_t limit, op_row *put)
{
	char cursor[24] = "";
	struct str next = {NULL, 0};
	rec_list(&c->result, "items");
	while (sql_next(q)) {
		if (limit-- == 0) {
			next = str_of(cursor);
			break;
		}
		snprintf(cursor, sizeof(cursor), "%lld", (long long)sql_at_int(q, 0));
		put_item(c, q, put);
	}
	op_end_items(c, q, next);
}
