/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehoused --probe PROCESS:PROBE: becomes that process (user, Landlock, system call filter) and
 * tries what it may not do. For tests of the sandbox and for the security engineer who wants to see
 * it. No gateway needs to run.
 */
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/proc/parent.h"
#include "daemon/proc/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROBE_ALLOWED = 0, PROBE_SETUP = 254 };

/* What a probe needs to know about the gateway. */
struct scene {
	const char *state_dir;
	pid_t parent;
	int socket;         /* made before the sandbox */
	char key_path[512]; /* some file of the vault */
	char own_path[512]; /* a new file in the own directory, "" = it has none */
};

/* Each returns 0 when the deed was done, else errno. */

static int result(long r)
{
	return r < 0 ? errno : PROBE_ALLOWED;
}

static int open_file(const struct scene *s)
{
	(void)s;
	return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int open_key(const struct scene *s)
{
	return result(open(s->key_path, O_RDONLY | O_CLOEXEC));
}

static int write_own(const struct scene *s)
{
	if (!s->own_path[0])
		return ENOENT;
	return result(open(s->own_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static int write_outside(const struct scene *s)
{
	AUTO_CHAR path = mem_printf("%s/probe", s->state_dir);
	return result(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
}

static int run_program(const struct scene *s)
{
	char *argv[] = {(char *)(uintptr_t) "true", NULL};
	(void)s;
	return result(execve("/bin/true", argv, environ));
}

static int fork_process(const struct scene *s)
{
	(void)s;
	const pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	return result(pid);
}

static int inet_socket(const struct scene *s)
{
	(void)s;
	return result(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int unix_socket(const struct scene *s)
{
	(void)s;
	return result(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

static int trace_parent(const struct scene *s)
{
	return result(ptrace(PTRACE_ATTACH, s->parent, NULL, NULL));
}

static int signal_parent(const struct scene *s)
{
	return result(kill(s->parent, 0));
}

static int signal_thread(const struct scene *s)
{
	return result(syscall(SYS_tgkill, s->parent, s->parent, 0));
}

static int connect_out(const struct scene *s)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_port = htons(9),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	const int err = result(connect(s->socket, (const struct sockaddr *)&to, sizeof(to)));
	return err == ECONNREFUSED ? PROBE_ALLOWED : err;
}

static int bind_port(const struct scene *s)
{
	const struct sockaddr_in to = {.sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return result(bind(s->socket, (const struct sockaddr *)&to, sizeof(to)));
}

static int limits(const struct scene *s)
{
	const struct rlimit r = {64, 64};
	(void)s;
	return result(setrlimit(RLIMIT_NOFILE, &r));
}

static int run_memory(const struct scene *s)
{
	(void)s;
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);
	return p == MAP_FAILED ? errno : PROBE_ALLOWED;
}

static int become_root(const struct scene *s)
{
	(void)s;
	return result(setresuid(0, 0, 0));
}

static const struct probe {
	const char *name;
	const char *text;
	int (*run)(const struct scene *);
} probes[] = {
	{"open-file", "read /etc/passwd", open_file},
	{"open-key", "read a key of the vault", open_key},
	{"write-own", "make a file in its own directory (store and vault may)", write_own},
	{"write-outside", "make a file elsewhere in the state directory", write_outside},
	{"exec", "run a program", run_program},
	{"fork", "make a process", fork_process},
	{"inet-socket", "make a network socket", inet_socket},
	{"unix-socket", "make a local socket", unix_socket},
	{"connect", "connect a network socket that is already there", connect_out},
	{"bind", "give such a socket an address", bind_port},
	{"ptrace", "look into another process", trace_parent},
	{"signal", "signal another process", signal_parent},
	{"signal-thread", "signal a thread of another process", signal_thread},
	{"run-memory", "make memory that can be written and run", run_memory},
	{"become-root", "become another user", become_root},
	{"limits", "change its resource limits", limits},
};

static int list_probes(void)
{
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		printf("%-14s %s\n", probes[i].name, probes[i].text);
	return EXIT_SUCCESS;
}

/* A regular file of the vault's directory; "" where there is none. */
static void find_key(struct scene *s)
{
	AUTO_CHAR path = mem_printf("%s/vault", s->state_dir);
	DIR *dir = opendir(path);
	const struct dirent *e;
	while (dir && (e = readdir(dir)))
		if (e->d_type == DT_REG)
			snprintf(s->key_path, sizeof(s->key_path), "%s/vault/%s", s->state_dir,
				 e->d_name);
	if (dir)
		closedir(dir);
}

static int in_sandbox(const struct parent *p, enum process self, const char *dir,
		      const struct probe *probe, const struct scene *s)
{
	const bool kill_default = p->config->gateway.seccomp_default == CONFIG_SECCOMP_KILL;
	if (priv_drop_to(&p->user[self]) || sandbox_apply(self, dir, kill_default))
		return PROBE_SETUP;
	return probe->run(s);
}

static int report_result(const char *process, const struct probe *probe, int status)
{
	if (WIFSIGNALED(status)) {
		printf("%s %s: killed (%s)\n", process, probe->name, strsignal(WTERMSIG(status)));
		return EXIT_SUCCESS;
	}
	if (WEXITSTATUS(status) == PROBE_SETUP) {
		printf("%s %s: not tried, the sandbox could not be set up\n", process, probe->name);
		return 2;
	}
	if (WEXITSTATUS(status) == PROBE_ALLOWED) {
		printf("%s %s: allowed\n", process, probe->name);
		return EXIT_FAILURE;
	}
	printf("%s %s: denied (%s)\n", process, probe->name, strerror(WEXITSTATUS(status)));
	return EXIT_SUCCESS;
}

static int try_probe(const struct parent *p, enum process self, const struct probe *probe)
{
	const struct unit *u = &p->unit[self];
	struct scene s = {
		.state_dir = p->config->gateway.state_dir,
		.parent = getpid(),
		.socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
	};
	AUTO_CHAR dir = u->dir[0] ? mem_printf("%s/%s", s.state_dir, u->dir) : NULL;
	find_key(&s);
	if (probe->run == open_key && !s.key_path[0]) {
		printf("%s %s: not tried, there is no key in %s/vault; start the gateway once, or "
		       "name its directory with -o gateway.state-dir=PATH\n",
		       process_name(self), probe->name, s.state_dir);
		return 2;
	}
	if (dir)
		snprintf(s.own_path, sizeof(s.own_path), "%s/probe", dir);
	fflush(stdout);
	int status = 0;
	const pid_t pid = fork();
	if (pid == 0)
		_exit(in_sandbox(p, self, dir, probe, &s));
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		fprintf(stderr, "gatehoused: cannot try %s: %s\n", probe->name, strerror(errno));
		return 2;
	}
	if (s.own_path[0])
		unlink(s.own_path);
	return report_result(process_name(self), probe, status);
}

int probe_main(struct parent *p, const char *text)
{
	struct str rest = str_of(text);
	const struct str name = str_split(&rest, ':');
	enum process self;
	if (str_is(name, "list"))
		return list_probes();
	if (process_by_name(name, &self) || self == PROCESS_PARENT) {
		fprintf(stderr,
			"gatehoused: --probe %s: there is no process %.*s; they are vault, store, "
			"broker, admin, enrol and ctl\n",
			text, STR_ARG(name));
		return 2;
	}
	if (!sandbox_available() || priv_lookup(p->config->gateway.user_prefix, p->user)) {
		fprintf(stderr, "gatehoused: this build or machine has no sandbox to try\n");
		return 2;
	}
	unit_init(p);
	for (size_t i = 0; i < ARRAY_LEN(probes); i++)
		if (str_is(rest, probes[i].name))
			return try_probe(p, self, &probes[i]);
	fprintf(stderr, "gatehoused: --probe %s: there is no probe %.*s; --probe list names them\n",
		text, STR_ARG(rest));
	return 2;
}
