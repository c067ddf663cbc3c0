/* SPDX-License-Identifier: Apache-2.0
 *
 * The parent's life: prepare, start the processes stage by stage, serve, stop in the reverse order.
 * See parent.h.
 */
#include "daemon/proc/parent.h"
#include "config.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/logline.h"
#include "daemon/proc/logpipe.h"
#include "daemon/proc/sandbox.h"
#include "daemon/proc/sd.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_CONFIG = 2, TICKET_CHECK_MS = 10 * 60 * 1000 };

static bool stage_is(const struct parent *p, int stage, enum process_state state)
{
	for (enum process i = PROCESS_PARENT + 1; i < PROCESS_COUNT; i++)
		if (p->unit[i].stage == stage && p->unit[i].state != state)
			return false;
	return true;
}

static void start_stage(struct parent *p)
{
	for (enum process i = PROCESS_PARENT + 1; i < PROCESS_COUNT && !p->stopping; i++)
		if (p->unit[i].stage == p->stage)
			unit_start(&p->unit[i]);
}

static void gateway_serves(struct parent *p)
{
	sd_notify_state("READY=1\nSTATUS=Serving");
	log_notice("gatehouse %s serves", PACKAGE_VERSION);
	report_event(&p->report, EVENT_GATEWAY_STARTED,
		     &(struct body_event){.actor = STR("parent"), .reason = STR(PACKAGE_VERSION)});
}

void parent_unit_ready(struct unit *u)
{
	struct parent *p = u->parent;
	if (u->config_number != p->config_number)
		reload_give(u);
	if (u->self == PROCESS_STORE) {
		report_set_link(&p->report, u->link);
		give_gateway(u);
	}
	if (u->was_ready) {
		log_notice("%s serves again", process_name(u->self));
		report_event(&p->report, EVENT_PROCESS_RECOVERED,
			     &(struct body_event){.actor = str_of(process_name(u->self))});
	}
	while (p->stage <= STAGE_LAST && stage_is(p, p->stage, PROCESS_SERVING)) {
		p->stage++;
		if (p->stage > STAGE_LAST)
			gateway_serves(p);
		else
			start_stage(p);
	}
}

/* Stops the processes of the last stage that still has any; leaves the loop when none is left. */
static void stop_next(struct parent *p)
{
	for (int stage = STAGE_LAST; stage >= 0; stage--) {
		bool any = false;
		for (enum process i = PROCESS_PARENT + 1; i < PROCESS_COUNT; i++) {
			struct unit *u = &p->unit[i];
			if (u->stage != stage || u->pid == 0)
				continue;
			any = true;
			if (u->state != PROCESS_STOPPING)
				unit_stop(u);
		}
		if (any)
			return;
	}
	loop_stop(p->loop);
}

static void begin_stop(struct parent *p, int status)
{
	if (p->stopping)
		return;
	report_event(&p->report, EVENT_GATEWAY_STOPPED,
		     &(struct body_event){.actor = STR("parent")});
	p->stopping = true;
	p->status = status;
	sd_notify_state("STOPPING=1\nSTATUS=Stopping");
	for (enum process i = PROCESS_PARENT + 1; i < PROCESS_COUNT; i++)
		loop_timer_stop(p->loop, &p->unit[i].timer);
	stop_next(p);
}

void parent_unit_down(struct unit *u, bool failed_start)
{
	struct parent *p = u->parent;
	if (failed_start && !p->stopping) {
		log_error("%s could not start (%s): the gateway stops", process_name(u->self),
			  u->last_exit);
		begin_stop(p, EXIT_FAILURE);
	} else if (p->stopping) {
		stop_next(p);
	}
}

static void reap(struct parent *p)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (enum process i = PROCESS_PARENT + 1; i < PROCESS_COUNT; i++)
			if (p->unit[i].pid == pid)
				unit_exited(&p->unit[i], status);
}

static void reload_now(struct parent *p)
{
	const bool serving = p->stage > STAGE_LAST && !p->stopping;
	if (serving)
		sd_notify_state("RELOADING=1\nMONOTONIC_USEC=%llu",
				(unsigned long long)(clock_mono_ns() / 1000));
	reload(p);
	if (serving)
		sd_notify_state("READY=1\nSTATUS=Serving");
}

static void signal_ready(struct loop_io *io, uint32_t events)
{
	struct parent *p = container_of(io, struct parent, signals);
	struct signalfd_siginfo info;
	(void)events;
	while (read(io->fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGCHLD:
			reap(p);
			break;
		case SIGHUP:
			reload_now(p);
			break;
		default:
			if (!p->stopping)
				log_notice("stopping");
			begin_stop(p, EXIT_SUCCESS);
		}
	}
}

static int watch_signals(struct parent *p)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	const int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? ERR_IO
		      : loop_add(p->loop, &p->signals, "signals", fd, EPOLLIN, signal_ready);
}

static void feed_watchdog(struct loop_timer *t)
{
	struct parent *p = container_of(t, struct parent, watchdog);
	sd_notify_state("WATCHDOG=1");
	loop_timer_start(p->loop, t, "watchdog", sd_watchdog_ms(), feed_watchdog);
}

/* The secret behind the session tickets is replaced every 24 h. */
static void renew_tickets(struct loop_timer *t)
{
	struct parent *p = container_of(t, struct parent, tickets);
	if (p->unit[PROCESS_BROKER].state == PROCESS_SERVING)
		give_ticket_secret(&p->unit[PROCESS_BROKER]);
	loop_timer_start(p->loop, t, "tickets", TICKET_CHECK_MS, renew_tickets);
}

static void raise_descriptors(const struct config *c)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r))
		return;
	r.rlim_cur = r.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &r) == 0 &&
	    r.rlim_cur < (rlim_t)c->broker.max_connections + 256)
		log_warning("only %llu descriptors per process: fewer than broker.max-connections "
			    "= %u; "
			    "raise LimitNOFILE= or lower the setting",
			    (unsigned long long)r.rlim_cur, c->broker.max_connections);
}

static void check_clock(void)
{
	char now[CLOCK_TEXT], built[CLOCK_TEXT];
	if (clock_wall() < build_time())
		log_error("the clock says %s, before this program was built (%s): nothing is "
			  "issued and "
			  "nothing expires until it is set",
			  clock_format(clock_wall(), now), clock_format(build_time(), built));
}

static int run(struct parent *p)
{
	logline_begin(logpipe_make(p, PROCESS_PARENT));
	p->loop = loop_new();
	p->started_ms = clock_wall_ms();
	report_init(&p->report, p->loop);
	unit_init(p);
	if (watch_signals(p)) {
		log_error("cannot watch signals: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (sd_watchdog_ms())
		feed_watchdog(&p->watchdog);
	renew_tickets(&p->tickets);
	files_watch(p);
	start_stage(p);
	loop_run(p->loop);
	sockets_close(&p->sockets);
	files_fini(&p->files);
	if (p->status == 0)
		log_notice("stopped");
	return p->status;
}

/* Everything that can fail before the first process starts; one clear line each. */
static int prepare(struct parent *p)
{
	const struct config *c = p->config;
	const bool sandbox = c->gateway.sandbox && sandbox_available();
	check_clock();
	raise_descriptors(c);
	if (!sandbox)
		log_warning("the processes run without their sandbox");
	/* Above the numbers that a child finds its links on. */
	AUTO_FD exe = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	p->exe = fcntl(exe, F_DUPFD_CLOEXEC, CHILD_FD_MIN);
	if (exe < 0 || p->exe < 0) {
		log_error("cannot open this program again: %s", strerror(errno));
		return ERR_IO;
	}
	int err = files_check(p, c, true, NULL);
	if (!err)
		err = priv_lookup(c->gateway.user_prefix, p->user);
	if (!err)
		err = dirs_prepare(c->gateway.state_dir, c->gateway.run_dir, p->user);
	if (!err) {
		err = sockets_bind(c, priv_group(c->gateway.group), &p->sockets);
		if (err)
			sockets_close(&p->sockets);
	}
	return err;
}

static int test_config(const struct parent *p)
{
	if (files_check(p, p->config, true, NULL))
		return EXIT_CONFIG;
	printf("%s: the configuration is good (%zu listener%s)\n", p->options.config_path,
	       p->config->listeners, p->config->listeners == 1 ? "" : "s");
	return EXIT_SUCCESS;
}

static int print_config(const struct parent *p)
{
	AUTO_BUF text = {0};
	config_print(p->config, &text);
	return fwrite(text.p, 1, text.n, stdout) == text.n && fflush(stdout) == 0 ? EXIT_SUCCESS
										  : EXIT_FAILURE;
}

/* What the parent still holds at its end hangs here, for checkers of leaks. */
static struct parent *volatile the_parent;

int parent_main(const struct options *options)
{
	struct parent *p = mem_new(struct parent);
	the_parent = p;
	p->options = *options;
	log_init("parent", LOG_LEVEL_NOTICE);
	p->journal = sd_journal();
	log_set_journal(p->journal);
	/* First of all: what may be read now may be read at a reload as well. */
	if (options->action != ACTION_PROBE)
		priv_reduce_parent();
	umask(022); /* others look into the state directory's pub, whatever the caller's mask */
	AUTO_CHAR state =
		config_state_dir(options->config_path, options->overrides, options->n_overrides);
	p->settings_path = mem_printf("%s/settings.conf", state);
	p->config = reload_read(p);
	if (!p->config)
		return EXIT_CONFIG;
	log_set_level((enum log_level)p->config->log.level);
	switch (options->action) {
	case ACTION_TEST_CONFIG:
		return test_config(p);
	case ACTION_PRINT_CONFIG:
		return print_config(p);
	case ACTION_PROBE:
		return probe_main(p, options->probe);
	default:
		break;
	}
	if (prepare(p))
		return EXIT_FAILURE;
	p->running = config_take_over(p->config, p->config);
	if (sandbox_available())
		priv_hide_memory();
	return run(p);
}
