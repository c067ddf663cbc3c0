/* SPDX-License-Identifier: Apache-2.0
 *
 * The notification socket of systemd: see sd.h.
 */
#include "daemon/proc/sd.h"
#include "daemon/base/check.h"
#include "daemon/base/mem.h"
#include "daemon/base/str.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST_FD = 3, PASSED_MAX = 4096, JOURNAL_FD_MIN = 10 };

static struct {
	char name[192];
	int fd;
} passed[PASSED_MAX];
static size_t n_passed;
static bool collected;

static void send_datagram(const char *text, int fd)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(to.sun_path))
		return;
	memcpy(to.sun_path, path, strlen(path));
	const socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
	if (path[0] == '@')
		to.sun_path[0] = '\0';
	AUTO_FD sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {0};
	struct msghdr m = {.msg_name = &to, .msg_namelen = len, .msg_iov = &iov, .msg_iovlen = 1};
	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sock >= 0 && sendmsg(sock, &m, MSG_NOSIGNAL) < 0)
		return; /* a service manager that is gone needs no news */
}

void sd_notify_state(const char *fmt, ...)
{
	char text[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	send_datagram(text, -1);
}

void sd_store_fd(const char *name, int fd)
{
	char text[160];
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
	send_datagram(text, fd);
}

void sd_remove_fd(const char *name)
{
	sd_notify_state("FDSTOREREMOVE=1\nFDNAME=%s", name);
}

static void collect(void)
{
	uint64_t pid, n;
	const char *names = getenv("LISTEN_FDNAMES");
	collected = true;
	if (str_u64(str_of(getenv("LISTEN_PID")), INT32_MAX, &pid) || pid != (uint64_t)getpid() ||
	    str_u64(str_of(getenv("LISTEN_FDS")), PASSED_MAX, &n))
		return;
	struct str rest = str_of(names);
	for (size_t i = 0; i < n; i++) {
		const struct str name = str_split(&rest, ':');
		const int fd = FIRST_FD + (int)i;
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		snprintf(passed[n_passed].name, sizeof(passed[0].name), "%.*s", STR_ARG(name));
		passed[n_passed++].fd = fd;
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}

int sd_take_fd(const char *name)
{
	if (!collected)
		collect();
	for (size_t i = 0; i < n_passed; i++)
		if (passed[i].fd >= 0 && strcmp(passed[i].name, name) == 0)
			return TAKE_FD(passed[i].fd);
	return -1;
}

void sd_close_rest(void)
{
	if (!collected)
		collect();
	for (size_t i = 0; i < n_passed; i++) {
		if (passed[i].fd < 0)
			continue;
		sd_remove_fd(passed[i].name);
		close(TAKE_FD(passed[i].fd));
	}
}

int sd_journal(void)
{
	const struct sockaddr_un to = {AF_UNIX, "/run/systemd/journal/socket"};
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	if (!stream || fstat(STDERR_FILENO, &st) || !S_ISSOCK(st.st_mode))
		return -1;
	AUTO_CHAR ours = mem_printf("%llu:%llu", (unsigned long long)st.st_dev,
				    (unsigned long long)st.st_ino);
	AUTO_FD fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (strcmp(stream, ours) != 0 || fd < 0 ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
		return -1;
	return fcntl(fd, F_DUPFD_CLOEXEC, JOURNAL_FD_MIN);
}

uint64_t sd_watchdog_ms(void)
{
	uint64_t us;
	if (str_u64(str_of(getenv("WATCHDOG_USEC")), UINT64_MAX, &us))
		return 0;
	return us / 2000;
}
