/* SPDX-License-Identifier: Apache-2.0
 *
 * Life and links of the store: see store.h.
 */
#include "db/store.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rec.h"
#include "db/authorities.h"
#include "db/device_login.h"
#include "db/device_scram.h"
#include "db/enrol.h"
#include "db/learn.h"
#include "db/migrate.h"
#include "db/op_ca.h"
#include "db/ops.h"
#include "db/registry.h"
#include "db/renewal.h"
#include "db/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CLOCK_CHECK_MS = 60 * 1000, EARLY_MAX = 1 * MiB };

static struct store *of(struct link *l)
{
	return link_owner(l);
}

/* ---- handlers ---- */

static int on_op(struct link *l, struct record *r)
{
	return ops_handle(of(l), link_peer(l), r);
}

static int on_enrol(struct link *l, struct record *r)
{
	return enrol_handle(of(l), link_peer(l), r);
}

static int on_authorities_get(struct link *l, struct record *r)
{
	return authorities_answer(of(l), l, r);
}

static int on_login(struct link *l, struct record *r)
{
	return device_login(of(l), r);
}

static int on_scram_first(struct link *l, struct record *r)
{
	return device_scram_first(of(l), r);
}

static int on_scram_final(struct link *l, struct record *r)
{
	return device_scram_final(of(l), r);
}

static int take_events(struct store *s, struct str events)
{
	struct cur c = cur_of(events);
	struct str entry;
	if (!s->events) {
		if (s->early.n + events.n <= EARLY_MAX)
			buf_str(&s->early, events);
		return 0;
	}
	while (entries_next(&c, &entry)) {
		struct body_event e;
		char device[NAME_SIZE] = "";
		if (body_event_get(entry, &e) || e.event >= EVENT_COUNT || !rec_valid(e.detail))
			return ERR_MALFORMED;
		if (e.device_id)
			registry_device_name(s->registry, (int64_t)e.device_id, device);
		events_add(s->events, &e, str_of(device));
	}
	return cur_ok(&c) ? 0 : ERR_MALFORMED;
}

static int on_events(struct link *l, struct record *r)
{
	struct body_events b;
	return body_events_get(r->body, &b) ? ERR_MALFORMED : take_events(of(l), b.events);
}

static int on_presence(struct link *l, struct record *r)
{
	struct body_presence b;
	return body_presence_get(r->body, &b) ? ERR_MALFORMED : presence_take(&of(l)->presence, &b);
}

static void on_appeared(struct presence *p, const struct body_client *client)
{
	struct store *s = container_of(p, struct store, presence);
	if (client->fingerprint.n)
		renewal_seen(s, client->fingerprint);
	seen_came(s, client);
}

static void on_went(struct presence *p, uint64_t device_id)
{
	seen_went(container_of(p, struct store, presence), device_id);
}

static int on_counters(struct link *l, struct record *r)
{
	struct body_counters b;
	return body_counters_get(r->body, &b) ? ERR_MALFORMED
					      : presence_take_counters(&of(l)->presence, &b);
}

static int take_learned(struct store *s, enum process peer, struct record *r)
{
	struct body_learned b;
	bool crowded;
	if (job_keep_back(s, peer, r, take_learned, &crowded))
		return 0;
	return body_learned_get(r->body, &b) ? ERR_MALFORMED : learn_take(s, b.topics);
}

static int on_learned(struct link *l, struct record *r)
{
	return take_learned(of(l), link_peer(l), r);
}

/* A server certificate was made anew. */
static int on_renewed(struct link *l, struct record *r)
{
	struct body_tls_renewed b;
	if (body_tls_renewed_get(r->body, &b))
		return ERR_MALFORMED;
	authorities_ask(of(l));
	return 0;
}

static int on_trace_lines(struct link *l, struct record *r)
{
	struct body_trace_lines b;
	return body_trace_lines_get(r->body, &b) ? ERR_MALFORMED
						 : traces_take(&of(l)->traces, b.lines);
}

static const link_handler handlers[MSG_COUNT] = {
	[MSG_TLS_RENEWED] = on_renewed,
	[MSG_OCSP] = ocsp_asked,
	[MSG_CRL_GET] = lists_get,
	[MSG_OP] = on_op,
	[MSG_ENROL] = on_enrol,
	[MSG_AUTHORITIES_GET] = on_authorities_get,
	[MSG_LOGIN] = on_login,
	[MSG_SCRAM_FIRST] = on_scram_first,
	[MSG_SCRAM_FINAL] = on_scram_final,
	[MSG_EVENTS] = on_events,
	[MSG_SNAPSHOT_GET] = snapshot_get,
	[MSG_PRESENCE] = on_presence,
	[MSG_COUNTERS] = on_counters,
	[MSG_LEARNED] = on_learned,
	[MSG_TRACE_LINES] = on_trace_lines,
};

/* ---- what the parent tells ---- */

static int on_process_state(struct store *s, struct record *r)
{
	struct body_process_state b;
	if (body_process_state_get(r->body, &b) || b.process >= PROCESS_COUNT)
		return ERR_MALFORMED;
	struct process_info *p = &s->process[b.process];
	*p = (struct process_info){true, b.state, b.pid, b.restarts, b.since_ms, ""};
	snprintf(p->last_exit, sizeof(p->last_exit), "%.*s", STR_ARG(b.last_exit));
	return 0;
}

bool gateway_certificate_next(struct str *list, struct gateway_certificate *out)
{
	struct str ends, word;
	uint64_t seconds;
	if (!strs_next(list, &out->name) || !strs_next(list, &out->path) ||
	    !strs_next(list, &out->fingerprint) || !strs_next(list, &ends) ||
	    !strs_next(list, &word) || str_u64(ends, INT64_MAX / 1000, &seconds))
		return false;
	out->ends = (int64_t)seconds;
	out->is_public = word.n != 0;
	return true;
}

static int on_gateway(struct store *s, struct record *r)
{
	struct body_gateway b;
	struct gateway_info *g = &s->gateway;
	if (body_gateway_get(r->body, &b) || !strs_valid(b.addresses) ||
	    !strs_valid(b.certificates))
		return ERR_MALFORMED;
	snprintf(g->version, sizeof(g->version), "%.*s", STR_ARG(b.version));
	snprintf(g->name, sizeof(g->name), "%.*s", STR_ARG(b.name));
	snprintf(g->config_path, sizeof(g->config_path), "%.*s", STR_ARG(b.config_path));
	g->addresses.n = 0;
	buf_str(&g->addresses, b.addresses);
	g->started_ms = b.started_ms;
	g->certificates.n = 0;
	buf_str(&g->certificates, b.certificates);
	return 0;
}

static void log_misbehaved(void *arg, enum process process)
{
	const struct store *s = arg;
	if (s->child && process != PROCESS_PARENT)
		child_misbehaved(s->child, process, "sent what is no log line");
}

static int on_log_source(struct store *s, struct record *r)
{
	struct body_log_source b;
	if (body_log_source_get(r->body, &b) || b.process >= PROCESS_COUNT || r->fd < 0)
		return ERR_MALFORMED;
	if (s->logs) {
		logs_source(s->logs, (enum process)b.process, TAKE_FD(r->fd));
		return 0;
	}
	if (s->early_log[b.process])
		close(s->early_log[b.process] - 1);
	s->early_log[b.process] = TAKE_FD(r->fd) + 1;
	return 0;
}

static void begin_logs(struct store *s)
{
	s->logs = logs_new(s->loop, log_misbehaved, s);
	for (enum process p = 0; p < PROCESS_COUNT; p++)
		if (s->early_log[p])
			logs_source(s->logs, p, s->early_log[p] - 1);
}

int store_parent_message(struct store *s, struct record *r)
{
	struct body_events events;
	switch (r->type) {
	case MSG_PROCESS_STATE:
		return on_process_state(s, r);
	case MSG_LOG_SOURCE:
		return on_log_source(s, r);
	case MSG_GATEWAY:
		return on_gateway(s, r);
	case MSG_SETTING_UNDONE:
		return settings_undone(s, PROCESS_PARENT, r);
	case MSG_EVENTS:
		if (body_events_get(r->body, &events))
			return ERR_MALFORMED;
		return take_events(s, events.events);
	default:
		return ERR_DENIED;
	}
}

/* ---- links ---- */

static void drop_link(struct store *s, enum process peer)
{
	struct peer *p = &s->peer[peer];
	if (peer == PROCESS_BROKER) {
		s->broker_synced = false;
		deltas_drop(s);
		snapshot_stop(s);
		presence_reset(&s->presence);
		traces_use_broker(&s->traces, NULL);
	}
	p->generation++;
	p->link = NULL;
}

static void link_broken(struct link *l, const char *why, bool misbehaved)
{
	struct store *s = of(l);
	if (s->peer[link_peer(l)].link == l)
		drop_link(s, link_peer(l));
	if (s->child)
		child_link_broken(s->child, l, why, misbehaved);
	else
		link_free(l);
}

void store_set_link(struct store *s, enum process peer, int fd)
{
	struct link *old = s->peer[peer].link;
	if (old) {
		drop_link(s, peer);
		link_free(old);
	}
	const struct link_config config = {
		.self = PROCESS_STORE,
		.peer = peer,
		.handler = handlers,
		.owner = s,
		.broken = link_broken,
	};
	s->peer[peer].link = link_new(s->loop, fd, &config);
	if (peer == PROCESS_VAULT)
		authorities_ask(s);
	else if (peer != PROCESS_CTL)
		staples_tell(s, peer);
	if (peer != PROCESS_CTL && peer != PROCESS_VAULT)
		bans_tell(s, peer);
	if (peer == PROCESS_BROKER)
		traces_use_broker(&s->traces, s->peer[peer].link);
}

void store_set_spool_link(struct store *s, unsigned worker, int fd)
{
	spool_set_link(s->spool, worker, fd);
}

static void spool_event(void *arg, enum event event, const char *reason, struct str detail)
{
	const struct store *s = arg;
	events_raise(s->events, event, reason, detail);
}

static void spool_broken(void *arg, const char *why, bool misbehaved)
{
	const struct store *s = arg;
	/* That the broker is away is told by its other link. */
	if (misbehaved && s->child)
		child_misbehaved(s->child, PROCESS_BROKER, why);
}

static int open_spool(struct store *s, uint64_t max_size)
{
	const struct spool_hooks hooks = {
		.loop = s->loop,
		.arg = s,
		.event = spool_event,
		.broken = spool_broken,
	};
	return spool_open(&hooks, s->dir, max_size, &s->spool);
}

/* ---- trouble ---- */

void store_registry_failed(struct store *s, int err)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "file", sql_path(s->registry));
	if (err == ERR_LIMIT && !s->disk_full) {
		s->disk_full = true;
		log_error("%s: no space left on the disk: changes are refused until there is",
			  sql_path(s->registry));
		events_raise(s->events, EVENT_DISK_FULL, "registry.db could not be written",
			     buf_view(&detail));
	} else if (err == ERR_MALFORMED) {
		log_error("%s is damaged: %s: starting again, which sets it aside",
			  sql_path(s->registry), sql_why(s->registry));
		s->on_failed(s);
	} else if (err == ERR_IO) {
		log_error("%s: %s", sql_path(s->registry), sql_why(s->registry));
	}
}

void store_registry_worked(struct store *s)
{
	if (s->disk_full)
		log_notice("%s: there is space again", sql_path(s->registry));
	s->disk_full = false;
}

static void check_clock(struct loop_timer *t)
{
	struct store *s = container_of(t, struct store, clock_timer);
	const bool ok = timefloor_ok(&s->floor);
	events_set_purge(s->events, ok);
	if (!ok && !s->clock_told) {
		char now[CLOCK_TEXT];
		char floor[CLOCK_TEXT];
		clock_format(clock_wall(), now);
		clock_format(timefloor_get(&s->floor), floor);
		log_error("the clock shows %s, but it is later than %s: set the clock; until then "
			  "no certificate is issued and nothing expires",
			  now, floor);
		events_raise(s->events, EVENT_CLOCK_WRONG, "the clock is behind", STR(""));
	}
	if (ok && s->clock_told)
		log_notice("the clock is right again");
	s->clock_told = !ok;
	loop_timer_start(s->loop, &s->clock_timer, "clock check", CLOCK_CHECK_MS, check_clock);
}

/* ---- life ---- */

/* The parent made the directory for this process alone. */
static int check_dir(struct store *s)
{
	struct stat st;
	if (strcmp(s->dir, MIGRATE_MEMORY) == 0)
		return 0;
	s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->dir_fd < 0 || fstat(s->dir_fd, &st)) {
		log_error("%s cannot be used: %s", s->dir, strerror(errno));
		return ERR_IO;
	}
	if (st.st_uid != geteuid() || (st.st_mode & 0077)) {
		log_error("%s has owner %u and mode %04o: it must belong to user %u alone; "
			  "chown %u and chmod 0700",
			  s->dir, st.st_uid, st.st_mode & 07777, geteuid(), geteuid());
		return ERR_DENIED;
	}
	return 0;
}

static int open_registry(struct store *s, char **set_aside)
{
	struct opened opened;
	struct why why;
	const int err = migrate_open(DATABASE_REGISTRY, s->dir, &opened, &why);
	if (err) {
		log_error("%s", why.text);
		return err;
	}
	s->registry = opened.db;
	*set_aside = opened.set_aside;
	SQL_GET_INT(s->registry, &s->seq, "SELECT value FROM meta WHERE name = 'registry-seq'");
	return 0;
}

static void tell_set_aside(struct store *s, const char *name)
{
	AUTO_BUF detail = {0};
	rec_text(&detail, "file", name);
	log_error("registry.db was damaged: it was set aside as %s and a new, empty one started; "
		  "restore a backup or add the devices again",
		  name);
	events_raise(s->events, EVENT_DATABASE_SET_ASIDE, "registry.db was damaged",
		     buf_view(&detail));
}

void store_use_settings(struct store *s, const struct store_settings *settings)
{
	s->bounds = (struct store_bounds){
		settings->password_rate ? settings->password_rate : LOGINS_RATE,
		settings->password_tries ? settings->password_tries : GUARD_TRIES,
		settings->events.rate_per_source,
	};
	logins_set_rate(s->logins, s->bounds.password_rate);
	expiry_set(s, settings->expiry_grace);
	guard_set_tries(s->guard, s->bounds.password_tries);
	if (s->events)
		events_set(s->events, &settings->events);
	if (s->registry)
		audit_set(s, &settings->audit);
}

int store_open(struct store *s, struct loop *loop, const char *dir,
	       const struct store_settings *settings)
{
	s->loop = loop;
	s->dir = mem_strdup(dir);
	s->dir_fd = -1;
	list_init(&s->calls);
	jobs_init(&s->jobs);
	deltas_init(&s->deltas);
	list_init(&s->login_asks);
	traces_init(&s->traces, loop);
	begin_logs(s);
	s->guard = guard_new();
	ocsp_init(s);
	s->logins = logins_new(loop, settings->password_threads, settings->scram_iterations);
	store_use_settings(s, settings);
	AUTO_CHAR set_aside = NULL;
	int err = check_dir(s);
	if (!err)
		err = open_registry(s, &set_aside);
	if (!err)
		err = events_open(loop, s->dir, &settings->events, &s->events);
	if (!err)
		err = open_spool(s, settings->spool_max_size);
	if (err)
		return err;
	device_login_recall(s);
	timefloor_init(&s->floor, loop, s->registry);
	if (set_aside)
		tell_set_aside(s, set_aside);
	if (take_events(s, buf_view(&s->early)))
		log_warning("events from before the start were malformed: dropped");
	buf_fini(&s->early);
	check_clock(&s->clock_timer);
	s->approval = settings->approval;
	seen_start(s);
	s->presence.appeared = on_appeared;
	s->presence.went = on_went;
	renewal_start(s);
	audit_set(s, &settings->audit);
	learn_start(s);
	return 0;
}

void store_close(struct store *s)
{
	ops_cancel_all(s);
	snapshot_stop(s);
	jobs_fini(s);
	op_ca_check_reset(s);
	lists_stop(s);
	expiry_stop(s);
	ocsp_stop(s);
	traces_fini(&s->traces);
	logs_free(s->logs);
	for (enum process p = 0; p < PROCESS_COUNT; p++) {
		struct link *l = s->peer[p].link;
		drop_link(s, p);
		if (l)
			link_free(l);
	}
	deltas_fini(s);
	bans_stop(s);
	device_login_cancel_all(s);
	logins_free(s->logins);
	guard_free(s->guard);
	backoff_fini(&s->backoff);
	presence_reset(&s->presence);
	if (s->spool)
		spool_close(s->spool);
	if (s->events) {
		loop_timer_stop(s->loop, &s->clock_timer);
		renewal_stop(s);
		audit_stop(s);
		learn_stop(s);
		seen_stop(s);
		timefloor_fini(&s->floor);
		events_close(s->events);
	}
	if (s->registry)
		sql_close(s->registry);
	buf_fini(&s->gateway.addresses);
	buf_fini(&s->gateway.certificates);
	buf_fini(&s->early);
	for (size_t i = 0; i < ARRAY_LEN(s->security); i++)
		buf_fini(&s->security[i].result);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	free(s->dir);
}
