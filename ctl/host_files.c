/* SPDX-License-Identifier: Apache-2.0
 *
 * The gateway's files: see host_files.h.
 */
#include "ctl/host_files.h"
#include "certs/seal.h"
#include "ctl/file.h"
#include "daemon/base/err.h"
#include "daemon/base/fd.h"
#include "daemon/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CREDENTIAL "/etc/credstore.encrypted/gatehouse-seal"

extern char **environ;

char *host_state_dir(struct invocation *in)
{
	json_t *answer = NULL;
	const char *given = invocation_local(in, "state-dir");
	if (given)
		return mem_strdup(given);
	const unsigned status =
		request_send(in, "GET", "/api/v1/config/gateway.state-dir", NULL, &answer);
	const char *value = json_string_value(json_object_get(answer, "value"));
	char *dir = status == 200 && value ? mem_strdup(value) : NULL;
	if (!dir)
		print_error("the gateway does not tell its state directory: give "
			    "--state-dir DIR");
	json_decref(answer);
	return dir;
}

const char *host_state_dir_stopped(const struct invocation *in)
{
	const char *given = invocation_local(in, "state-dir");
	if (given || strcmp(in->socket_path, DEFAULT_SOCKET) == 0)
		return given ? given : STATE_DIR_DEFAULT;
	print_error("%s is the socket of another gateway than the one in %s: "
		    "say where its state is, --state-dir DIR",
		    in->socket_path, STATE_DIR_DEFAULT);
	return NULL;
}

bool host_may_read(const struct invocation *in)
{
	if (geteuid() == 0 || strcmp(in->socket_path, DEFAULT_SOCKET) != 0)
		return true;
	print_error("only root may do this: it reads and writes the gateway's own files, which the "
		    "group gatehouse-admin may not\nsudo gatehouse %s %s ...",
		    in->command->noun, in->command->verb);
	return false;
}

int host_lock_try(const char *state_dir)
{
	AUTO_CHAR path = mem_printf("%s/lock", state_dir);
	AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
		return TAKE_FD(fd);
	return -1;
}

int host_lock(const char *state_dir)
{
	const int fd = host_lock_try(state_dir);
	if (fd < 0 && errno == EWOULDBLOCK)
		print_error("the gateway runs with %s: stop it first (systemctl stop "
			    "gatehouse)",
			    state_dir);
	else if (fd < 0)
		print_error("%s/lock: %s (run this as root)", state_dir, strerror(errno));
	return fd;
}

/* ---- keys of the host ---- */

static void take_key(struct host_keys *keys, struct str bytes)
{
	if (bytes.n == HOST_KEY_BYTES && keys->n < HOST_KEYS)
		memcpy(keys->key[keys->n++], bytes.p, HOST_KEY_BYTES);
}

static bool read_pipe(int fd, struct buf *out)
{
	for (;;) {
		const ssize_t n = read(fd, buf_reserve(out, 4 * KiB), 4 * KiB);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || out->n > 4 * KiB)
			return n == 0;
		out->n += (size_t)n;
	}
}

/* Only systemd can open its credential. */
static void open_credential(struct host_keys *keys)
{
	char *argv[] = {"systemd-creds", "decrypt", "--name=gatehouse-seal", CREDENTIAL, "-", NULL};
	AUTO_SECRET bytes = {0};
	posix_spawn_file_actions_t actions;
	int pipe_fd[2];
	pid_t pid;
	int status = 1;
	if (access(CREDENTIAL, R_OK) || pipe2(pipe_fd, O_CLOEXEC))
		return;
	AUTO_FD end = pipe_fd[0];
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, pipe_fd[1], STDOUT_FILENO);
	const bool ran = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ) == 0;
	posix_spawn_file_actions_destroy(&actions);
	close(pipe_fd[1]);
	const bool whole = ran && read_pipe(end, &bytes);
	if (ran && waitpid(pid, &status, 0) == pid && status == 0 && whole)
		take_key(keys, buf_view(&bytes));
}

void host_keys_read(const char *state_dir, struct host_keys *keys)
{
	AUTO_CHAR path = mem_printf("%s/host.key", state_dir);
	AUTO_SECRET bytes = {0};
	const char *why;
	*keys = (struct host_keys){0};
	open_credential(keys);
	if (file_read(path, HOST_KEY_BYTES, &bytes, &why) == 0)
		take_key(keys, buf_view(&bytes));
}

bool host_read_key(const char *state_dir, const struct host_keys *keys, const char *file,
		   struct buf *pem)
{
	AUTO_CHAR path = mem_printf("%s/vault/%s", state_dir, file);
	AUTO_SECRET bytes = {0};
	const char *why;
	buf_reserve(&bytes, 2 * KEY_FILE_MAX);
	if (file_read(path, KEY_FILE_MAX, &bytes, &why)) {
		print_error("%s: %s (run this as root on the gateway)", path, why);
		return false;
	}
	if (!seal_is(buf_view(&bytes))) {
		buf_reserve(pem, bytes.n);
		buf_str(pem, buf_view(&bytes));
		return true;
	}
	for (size_t i = 0; i < keys->n; i++)
		if (seal_open(str_make(keys->key[i], HOST_KEY_BYTES), file, buf_view(&bytes),
			      pem) == 0)
			return true;
	print_error("%s cannot be opened with %s/host.key, nor with the credential "
		    "gatehouse-seal",
		    path, state_dir);
	return false;
}

/* ---- writing ---- */

uid_t host_owner(const char *state_dir, const char *name)
{
	struct stat st;
	AUTO_CHAR path = mem_printf("%s/%s", state_dir, name);
	AUTO_CHAR user = mem_printf("gatehouse-%s", name);
	if (lstat(path, &st) == 0)
		return st.st_uid;
	const struct passwd *pw = geteuid() == 0 ? getpwnam(user) : NULL;
	return pw ? pw->pw_uid : geteuid();
}

static bool same_bytes(const char *path, struct str bytes)
{
	AUTO_SECRET again = {0};
	const char *why = "it is not what was written";
	buf_reserve(&again, bytes.n + 32 * KiB);
	if (file_read(path, bytes.n, &again, &why) == 0 && str_eq(buf_view(&again), bytes))
		return true;
	print_error("%s was written but reads otherwise: %s", path, why);
	return false;
}

bool host_write_secret(const char *path, struct str bytes)
{
	AUTO_FD fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		print_error("%s: %s; name a new file", path, strerror(errno));
		return false;
	}
	if (fd_write(fd, bytes) || fsync(fd)) {
		print_error("cannot write %s: %s", path, strerror(errno));
		unlink(path);
		return false;
	}
	if (same_bytes(path, bytes))
		return true;
	unlink(path);
	return false;
}
