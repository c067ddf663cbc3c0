/* SPDX-License-Identifier: Apache-2.0
 *
 * This program as one of the processes: finds its hooks, runs them behind the sandbox.
 */
#include "certs/process.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/broker/process.h"
#include "daemon/conf/config.h"
#include "daemon/ipc/child.h"
#include "daemon/ipc/logline.h"
#include "daemon/proc/parent.h"
#include "daemon/proc/sandbox.h"
#include "daemon/web/process.h"
#include "db/process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
	const struct child_hooks *hooks;
	const char *dir;
} children[PROCESS_COUNT] = {
#define CHILD(NAME, name, stage, dir) [PROCESS_##NAME] = {&name##_hooks, dir},
#define PAIR(A, B, count)
#include "daemon/proc/processes.def"
};

static int confine(struct child *child)
{
	struct config_errors errors = {0};
	AUTO(config) c = NULL;
	const enum process self = child_self(child);
	if (config_parse_slice(child_config(child), self, &c, &errors)) {
		AUTO_BUF text = {0};
		config_errors_print(&errors, &text);
		log_error("the configuration slice cannot be read: %s", buf_cstr(&text));
		return ERR_INVALID;
	}
	log_set_level((enum log_level)c->log.level);
	if (!c->gateway.sandbox || !sandbox_available())
		return 0;
	AUTO_CHAR dir = NULL;
	if (children[self].dir[0])
		dir = mem_printf("%s/%s", c->gateway.state_dir, children[self].dir);
	return sandbox_apply(self, dir, c->gateway.seccomp_default == CONFIG_SECCOMP_KILL);
}

int child_main(const char *name, int fd)
{
	enum process self;
	if (process_by_name(str_of(name), &self) || !children[self].hooks) {
		fprintf(stderr, "gatehoused: there is no process %s\n", name);
		return 2;
	}
	log_init(process_name(self), LOG_LEVEL_NOTICE);
	log_set_journal(fcntl(JOURNAL_FD, F_GETFD) < 0 ? -1 : JOURNAL_FD);
	if (fcntl(LOG_FD, F_GETFD) >= 0)
		logline_begin(LOG_FD);
	if (sandbox_available()) /* LeakSanitizer looks into its own memory as others would */
		priv_hide_memory();
	const int status = child_run(children[self].hooks, fd, confine);
	/* Threads may be inside a library now: no exit handlers, but where a sanitizer needs them.
	 */
	if (sandbox_available())
		_exit(status);
	return status;
}
