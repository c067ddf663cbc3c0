/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets for log lines: see logpipe.h.
 */
#include "daemon/proc/logpipe.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/proc/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int logpipe_make(struct parent *p, enum process self)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
		log_warning("the log of %s cannot be shown in the interface: %s",
			    process_name(self), strerror(errno));
		return ERR_IO;
	}
	AUTO_FD low = pair[1];
	const int fd = fcntl(low, F_DUPFD_CLOEXEC, CHILD_FD_MIN);
	if (p->log_source[self])
		close(p->log_source[self] - 1);
	p->log_source[self] = pair[0] + 1;
	return fd < 0 ? ERR_IO : fd;
}

static void give(const struct unit *store, enum process self)
{
	const struct body_log_source b = {(uint8_t)self};
	if (store->link && store->parent->log_source[self])
		LINK_SEND(store->link, LOG_SOURCE, log_source, 0,
			  store->parent->log_source[self] - 1, &b);
}

void logpipe_give(struct unit *u)
{
	const struct unit *store = &u->parent->unit[PROCESS_STORE];
	if (u != store) {
		give(store, u->self);
		return;
	}
	for (enum process i = 0; i < PROCESS_COUNT; i++)
		give(store, i);
}
