/* SPDX-License-Identifier: Apache-2.0
 *
 * Sandbox of a child: see sandbox.h; the lists are in seccomp.def.
 */
#include "daemon/proc/sandbox.h"
#include "config.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/proc/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define ON(process) (1u << PROCESS_##process)
enum {
	ON_NETWORK = ON(BROKER) | ON(ADMIN) | ON(ENROL) | ON(CTL),
	ON_FILES = ON(STORE) | ON(VAULT),
	ON_ALL = ON_NETWORK | ON_FILES,
};

struct call {
	unsigned processes; /* 0: kills everywhere */
	int number;
};

static const struct call calls[] = {
#define ALLOW(processes, call) {processes, SCMP_SYS(call)},
#define KILL(call)             {0, SCMP_SYS(call)},
#include "daemon/proc/seccomp.def"
};

/* The library refuses a rule that says what the default says anyway. */
static int add_rule(scmp_filter_ctx filter, uint32_t action, uint32_t fallback, int call)
{
	return action == fallback ? 0 : seccomp_rule_add(filter, action, call, 0);
}

static int add_calls(scmp_filter_ctx filter, enum process process, uint32_t fallback)
{
	int err = 0;
	for (size_t i = 0; i < ARRAY_LEN(calls) && err == 0; i++) {
		if (calls[i].processes == 0)
			err = add_rule(filter, SCMP_ACT_KILL_PROCESS, fallback, calls[i].number);
		else if (calls[i].processes >> process & 1)
			err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i].number, 0);
	}
	return err;
}

/* Calls that are allowed with some arguments only: mask and value of one argument. */
static const struct {
	int number;
	unsigned arg;
	scmp_datum_t mask;
	scmp_datum_t value;
} partial[] = {
	/* Threads yes, processes no. */
	{SCMP_SYS(clone), 0, CLONE_THREAD, CLONE_THREAD},
	/* Memory that could be run is never made: what a peer sends cannot become code. */
	{SCMP_SYS(mmap), 2, PROT_EXEC, 0},
	{SCMP_SYS(mprotect), 2, PROT_EXEC, 0},
	{SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME},
	{SCMP_SYS(ioctl), 1, UINT32_MAX, FIONBIO},
	/* fstat() of the C library. */
	{SCMP_SYS(newfstatat), 3, AT_EMPTY_PATH, AT_EMPTY_PATH},
	/* Asking what a limit is, never changing it. */
	{SCMP_SYS(prlimit64), 2, UINT64_MAX, 0},
};

static int add_partial(scmp_filter_ctx filter, enum process process, uint32_t fallback)
{
	/* Signals reach the threads of this process (abort), nobody else's. */
	const struct scmp_arg_cmp own = {0, SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)getpid()};
	/* clone3 hides its flags from the filter: the C library then falls back to clone. */
	int err = add_rule(filter, SCMP_ACT_ERRNO(ENOSYS), fallback, SCMP_SYS(clone3));
	/* The C library asks /proc how to give memory of a thread back and can do without an
	 * answer: a file is refused and never a reason to die. */
	if (err == 0 && ON_NETWORK >> process & 1)
		err = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
	if (err == 0)
		err = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, &own);
	for (size_t i = 0; i < ARRAY_LEN(partial) && err == 0; i++) {
		const struct scmp_arg_cmp cmp = {partial[i].arg, SCMP_CMP_MASKED_EQ,
						 partial[i].mask, partial[i].value};
		err = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, partial[i].number, 1, &cmp);
	}
	if (err == 0 && ON_FILES >> process & 1)
		err = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(newfstatat), 0);
	return err;
}

static int apply_seccomp(enum process process, bool kill_default)
{
	const uint32_t fallback = kill_default ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ERRNO(ENOSYS);
	scmp_filter_ctx filter = seccomp_init(fallback);
	if (!filter)
		return -ENOMEM;
	int err = add_calls(filter, process, fallback);
	if (!err)
		err = add_partial(filter, process, fallback);
	if (!err)
		err = seccomp_load(filter);
	seccomp_release(filter);
	return err;
}

bool sandbox_available(void)
{
#ifdef WITH_SANITIZER
	return false;
#else
	return true;
#endif
}

int sandbox_apply(enum process process, const char *dir, bool kill_default)
{
	/* The C library reads the zone file at the first conversion of a time, even for UTC. */
	tzset();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		log_error("cannot give up privileges: %s", strerror(errno));
		return ERR_IO;
	}
	const int files = landlock_confine(dir);
	if (files == ERR_UNAVAILABLE) {
		log_warning("this kernel has no Landlock: only users and system calls confine this "
			    "process");
	} else if (files) {
		log_error("cannot confine file access to %s: %s", dir ? dir : "nothing",
			  strerror(errno));
		return ERR_IO;
	}
	const int err = apply_seccomp(process, kill_default);
	if (err) {
		log_error("cannot filter system calls: %s; gateway.sandbox = off runs without",
			  strerror(-err));
		return ERR_IO;
	}
	return 0;
}
