/* SPDX-License-Identifier: Apache-2.0
 *
 * One child process as the parent sees it: spawned, linked to its peers, watched, started again
 * with back-off when it ends. Parent, its only thread.
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/proc/logpipe.h"
#include "daemon/proc/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	CHILD_UMASK = 077,
	START_LIMIT_MS = 120000, /* the broker reads a large spool first */
	STOP_LIMIT_MS = 10000,
	MEND_MS = 500, /* longer than it takes to hear of the end of a process */
	BACKOFF_FIRST_MS = 100,
	BACKOFF_MAX_MS = 10000,
	BACKOFF_RESET_MS = 60000,
};

static void kill_hung(struct loop_timer *t)
{
	struct unit *u = container_of(t, struct unit, timer);
	log_error("%s did not %s in time: killed", process_name(u->self),
		  u->state == PROCESS_STOPPING   ? "stop"
		  : u->state == PROCESS_STARTING ? "start"
						 : "end after it had closed its link");
	kill(u->pid, SIGKILL);
}

static void set_state(struct unit *u, enum process_state state)
{
	u->state = state;
	u->since_ms = clock_wall_ms();
	unit_tell_state(u);
}

void unit_tell_state(struct unit *u)
{
	const struct unit *store = &u->parent->unit[PROCESS_STORE];
	if (!store->link || store->state != PROCESS_SERVING)
		return;
	const struct body_process_state b = {
		.process = (uint8_t)u->self,
		.pid = (uint32_t)u->pid,
		.state = (uint8_t)u->state,
		.since_ms = u->since_ms,
		.restarts = u->restarts,
		.last_exit = str_of(u->last_exit),
	};
	LINK_SEND(store->link, PROCESS_STATE, process_state, 0, -1, &b);
}

static int on_ready(struct link *l, struct record *r)
{
	struct unit *u = link_owner(l);
	(void)r;
	link_set_serving(l, true);
	loop_timer_stop(u->parent->loop, &u->timer);
	u->ready_mono_ms = clock_mono_ms();
	set_state(u, PROCESS_SERVING);
	parent_unit_ready(u);
	u->was_ready = true;
	return 0;
}

static void treat_as_taken_over(struct unit *u, struct str why)
{
	log_error("%s %.*s: treated as taken over, killed", process_name(u->self), STR_ARG(why));
	report_event(&u->parent->report, EVENT_PROCESS_MISBEHAVED,
		     &(struct body_event){.actor = str_of(process_name(u->self)), .reason = why});
	if (u->pid > 0)
		kill(u->pid, SIGKILL);
}

static int on_misbehaved(struct link *l, struct record *r)
{
	struct unit *u = link_owner(l);
	struct body_misbehaved b;
	if (body_misbehaved_get(r->body, &b) || b.peer >= PROCESS_COUNT)
		return ERR_MALFORMED;
	log_error("%s says that %s %.*s", process_name(u->self), process_name(b.peer),
		  STR_ARG(b.what));
	switch (accuse_judge(&u->accusations, u->self, b.peer, clock_mono_ms())) {
	case ACCUSE_BELIEVED:
		treat_as_taken_over(&u->parent->unit[b.peer], b.what);
		break;
	case ACCUSE_NO_LINK:
		treat_as_taken_over(u, STR("accused a process that it has no link to"));
		break;
	case ACCUSE_TOO_MANY:
		treat_as_taken_over(u, STR("accused others too often"));
	}
	return 0;
}

static int on_roots(struct link *l, struct record *r)
{
	struct unit *u = link_owner(l);
	struct body_roots b;
	if (body_roots_get(r->body, &b))
		return ERR_MALFORMED;
	AUTO_CHAR path = mem_printf("%s/pub/roots.pem", u->parent->running->gateway.state_dir);
	if (dirs_write(path, b.pem, 0644))
		log_error("cannot write %s: %s", path, strerror(errno));
	return 0;
}

static int on_link_lost(struct link *l, struct record *r);

/* What a child may say to its parent; the table of messages has judged the sender. */
static const link_handler handlers[MSG_COUNT] = {
	[MSG_READY] = on_ready,
	[MSG_MISBEHAVED] = on_misbehaved,
	[MSG_LINK_LOST] = on_link_lost,
	[MSG_ROOTS] = on_roots,
	[MSG_SETTING_GET] = setting_get,
	[MSG_SETTING_SET] = setting_set,
	[MSG_SETTING_KEEP] = setting_keep,
	[MSG_SETTING_RELOAD] = setting_reload,
	[MSG_SETTING_FILE] = setting_file,
};

static void link_broken(struct link *l, const char *why, bool misbehaved)
{
	struct unit *u = link_owner(l);
	if (misbehaved)
		treat_as_taken_over(u, str_of(why));
	if (u->self == PROCESS_STORE)
		report_set_link(&u->parent->report, NULL);
	u->link = NULL;
	link_free(l);
	/* It is about to end. If not, nobody could tell it to. */
	if (!loop_timer_running(&u->timer))
		loop_timer_start(u->parent->loop, &u->timer, "end", STOP_LIMIT_MS, kill_hung);
}

/* In the forked child: nothing but system calls until exec. */
static void become_child(const struct unit *u, int link_fd, int log_fd)
{
	sigset_t none;
	char *argv[] = {(char *)(uintptr_t) "gatehoused", (char *)(uintptr_t) "--process",
			(char *)(uintptr_t)process_name(u->self), NULL};
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* The terminal's and the service manager's signals are the parent's affair. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (dup2(link_fd, LINK_FD) < 0)
		_exit(1);
	/* dup2 onto itself keeps the flag that closes it at exec. */
	fcntl(LINK_FD, F_SETFD, 0);
	/* Whatever else was open here, passed by a service manager perhaps, is not for a child. */
	if (dup2(u->parent->journal, JOURNAL_FD) < 0)
		close_range(JOURNAL_FD, JOURNAL_FD, CLOSE_RANGE_CLOEXEC);
	if (dup2(log_fd, LOG_FD) < 0)
		close_range(LOG_FD, LOG_FD, CLOSE_RANGE_CLOEXEC);
	close_range(LOG_FD + 1, UINT_MAX, CLOSE_RANGE_CLOEXEC);
	umask(CHILD_UMASK);
	if (priv_drop_to(&u->parent->user[u->self]))
		_exit(1);
	syscall(SYS_execveat, u->parent->exe, "", argv, environ, AT_EMPTY_PATH);
	_exit(1);
}

static int spawn(struct unit *u)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return ERR_IO;
	AUTO_FD ours = pair[0];
	AUTO_FD theirs = pair[1];
	AUTO_FD log = logpipe_make(u->parent, u->self);
	const pid_t pid = fork();
	if (pid < 0)
		return ERR_IO;
	if (pid == 0)
		become_child(u, theirs, log);
	const struct link_config config = {
		.self = PROCESS_PARENT,
		.peer = u->self,
		.handler = handlers,
		.owner = u,
		.broken = link_broken,
	};
	u->pid = pid;
	u->link = link_new(u->parent->loop, TAKE_FD(ours), &config);
	link_set_serving(u->link, false);
	return 0;
}

static void give_link(struct unit *u, enum process peer, unsigned index, int fd)
{
	const struct body_link b = {(uint8_t)peer, (uint16_t)index};
	LINK_SEND(u->link, LINK, link, 0, fd, &b);
}

static void make_pair(struct unit *a, struct unit *b, unsigned index)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		log_error("cannot link %s and %s: %s", process_name(a->self), process_name(b->self),
			  strerror(errno));
		return;
	}
	give_link(a, b->self, index, pair[0]);
	give_link(b, a->self, index, pair[1]);
	close(pair[0]);
	close(pair[1]);
}

/* How many links there are between two processes. */
static unsigned links_between(const struct parent *p, enum process a, enum process b)
{
	const struct config *c = p->running;
	const struct {
		enum process a, b;
		unsigned count;
	} pairs[] = {
#define CHILD(NAME, name, stage, dir)
#define PAIR(A, B, count) {PROCESS_##A, PROCESS_##B, count},
#include "daemon/proc/processes.def"
	};
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if ((pairs[i].a == a && pairs[i].b == b) || (pairs[i].a == b && pairs[i].b == a))
			return pairs[i].count;
	return 0;
}

/* Links between this process, just spawned, and those that run. */
static void make_pairs(struct unit *u)
{
	struct parent *p = u->parent;
	for (enum process i = PROCESS_PARENT + 1; i < PROCESS_COUNT; i++) {
		const unsigned n = links_between(p, u->self, i);
		for (unsigned k = 0; k < n && u->link && p->unit[i].link; k++)
			make_pair(u, &p->unit[i], k);
	}
}

/* ---- links that broke -------------------------------------------------------------------------
 */

/* Both ends tell, and so does the end that lives on when the other process ended: so nothing is
 * done before it is clear which of the two it was. */
struct mend {
	struct list node;
	struct loop_timer timer;
	struct unit *a;
	struct unit *b;
	pid_t a_pid;
	pid_t b_pid;
	unsigned index;
};

static void mend(struct loop_timer *t)
{
	struct mend *m = container_of(t, struct mend, timer);
	const bool same = m->a->pid == m->a_pid && m->b->pid == m->b_pid;
	if (same && m->a->state == PROCESS_SERVING && m->b->state == PROCESS_SERVING) {
		log_warning("a link between %s and %s broke while both live: it is made anew",
			    process_name(m->a->self), process_name(m->b->self));
		make_pair(m->a, m->b, m->index);
	}
	list_remove(&m->node);
	free(m);
}

static bool is_due(const struct parent *p, const struct unit *u, const struct unit *peer,
		   unsigned index)
{
	list_each (it, &p->mends) {
		const struct mend *m = list_entry(it, struct mend, node);
		if (m->index == index &&
		    ((m->a == u && m->b == peer) || (m->a == peer && m->b == u)))
			return true;
	}
	return false;
}

static int on_link_lost(struct link *l, struct record *r)
{
	struct unit *u = link_owner(l);
	struct parent *p = u->parent;
	struct body_link_lost b;
	if (body_link_lost_get(r->body, &b) || b.peer <= PROCESS_PARENT ||
	    b.peer >= PROCESS_COUNT || b.index >= links_between(p, u->self, b.peer))
		return ERR_MALFORMED;
	struct unit *peer = &p->unit[b.peer];
	if (p->stopping || is_due(p, u, peer, b.index))
		return 0;
	struct mend *m = mem_new(struct mend);
	m->a = u;
	m->b = peer;
	m->a_pid = u->pid;
	m->b_pid = peer->pid;
	m->index = b.index;
	list_append(&p->mends, &m->node);
	loop_timer_start(p->loop, &m->timer, "mend", MEND_MS, mend);
	return 0;
}

static void try_again(struct loop_timer *t)
{
	unit_start(container_of(t, struct unit, timer));
}

static void schedule_restart(struct unit *u)
{
	if (u->ready_mono_ms && clock_mono_ms() - u->ready_mono_ms > BACKOFF_RESET_MS)
		u->backoff_ms = 0;
	u->backoff_ms =
		u->backoff_ms ? MIN(2 * u->backoff_ms, (uint32_t)BACKOFF_MAX_MS) : BACKOFF_FIRST_MS;
	u->ready_mono_ms = 0;
	loop_timer_start(u->parent->loop, &u->timer, "restart", u->backoff_ms, try_again);
}

void unit_start(struct unit *u)
{
	if (spawn(u)) {
		log_error("cannot start %s: %s", process_name(u->self), strerror(errno));
		snprintf(u->last_exit, sizeof(u->last_exit), "could not start: %s",
			 strerror(errno));
		parent_unit_down(u, !u->was_ready);
		if (u->was_ready && !u->parent->stopping)
			schedule_restart(u);
		return;
	}
	set_state(u, PROCESS_STARTING);
	loop_timer_start(u->parent->loop, &u->timer, "start", START_LIMIT_MS, kill_hung);
	make_pairs(u);
	logpipe_give(u);
	give_start(u);
}

void unit_stop(struct unit *u)
{
	loop_timer_stop(u->parent->loop, &u->timer);
	if (u->pid == 0)
		return;
	set_state(u, PROCESS_STOPPING);
	if (u->link)
		LINK_SEND(u->link, STOP, stop, 0, -1, &(struct body_stop){});
	loop_timer_start(u->parent->loop, &u->timer, "stop", STOP_LIMIT_MS, kill_hung);
}

static void describe_exit(struct unit *u, int status)
{
	if (WIFSIGNALED(status))
		snprintf(u->last_exit, sizeof(u->last_exit), "killed by signal %d (%s)",
			 WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		snprintf(u->last_exit, sizeof(u->last_exit), "exit status %d", WEXITSTATUS(status));
}

void unit_exited(struct unit *u, int wait_status)
{
	struct parent *p = u->parent;
	const bool expected = p->stopping;
	loop_timer_stop(p->loop, &u->timer);
	describe_exit(u, wait_status);
	u->pid = 0;
	if (u->self == PROCESS_STORE)
		report_set_link(&p->report, NULL);
	if (u->link)
		link_free(TAKE(u->link));
	set_state(u, PROCESS_DOWN);
	if (!expected && u->was_ready) {
		u->restarts++;
		log_error("%s ended (%s): it is started again", process_name(u->self),
			  u->last_exit);
		report_event(&p->report, EVENT_PROCESS_EXITED,
			     &(struct body_event){.actor = str_of(process_name(u->self)),
						  .reason = str_of(u->last_exit)});
		schedule_restart(u);
	}
	parent_unit_down(u, !expected && !u->was_ready);
}

void unit_init(struct parent *p)
{
	list_init(&p->mends);
	static const struct {
		enum process self;
		int stage;
		const char *dir;
	} children[] = {
#define CHILD(NAME, name, stage, dir) {PROCESS_##NAME, stage, dir},
#define PAIR(A, B, count)
#include "daemon/proc/processes.def"
	};
	for (size_t i = 0; i < ARRAY_LEN(children); i++) {
		struct unit *u = &p->unit[children[i].self];
		u->parent = p;
		u->self = children[i].self;
		u->stage = children[i].stage;
		u->dir = children[i].dir;
	}
}
