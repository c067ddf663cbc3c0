/* SPDX-License-Identifier: Apache-2.0
 *
 * What a durable message costs the store: processor time of a process with nothing but the spool in
 * it, per message of 100 bytes for one of SESSIONS sessions, by messages per batch. "kept" stays
 * queued, "fetched" is taken away by a later batch, "answered" is taken away in the same batch. One
 * batch is under way at a time, so each is a commit. Not a test: it prints and judges nothing.
 * Build it with "make tests/bench/bench_spool"; the argument is the directory, the disk counts.
 */
#include "daemon/base/check.h"
#include "daemon/base/clock.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/link.h"
#include "daemon/ipc/spool.h"
#include "db/spool.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SESSIONS = 100, PAYLOAD = 100, MESSAGES = 100000, SEND_MS = 20 };
enum way { KEPT, FETCHED, ANSWERED };

struct bench {
	struct loop *loop;
	struct link *link;
	uint64_t seq;
	uint64_t done;
};

static int on_done(struct link *l, struct record *r)
{
	struct bench *b = link_owner(l);
	struct body_spool_done d;
	CHECK(body_spool_done_get(r->body, &d) == 0 && d.status == SPOOL_STORED);
	b->done = d.seq;
	return 0;
}

static void on_broken(struct link *l, const char *why, bool misbehaved)
{
	(void)l;
	(void)misbehaved;
	fprintf(stderr, "the spool ended: %s\n", why);
	exit(1);
}

static void no_event(void *arg, enum event event, const char *reason, struct str detail)
{
	(void)arg;
	(void)event;
	(void)reason;
	(void)detail;
}

static void ended(void *arg, const char *why, bool misbehaved)
{
	(void)why;
	(void)misbehaved;
	loop_stop(arg);
}

static pid_t start_store(const char *dir, int fd, int far_end)
{
	const pid_t pid = fork();
	if (pid)
		return pid;
	close(far_end); /* or it would keep the link open */
	struct spool *spool;
	struct loop *loop = loop_new();
	const struct spool_hooks hooks = {loop, loop, no_event, ended};
	CHECK(spool_open(&hooks, dir, UINT64_C(8) * 1024 * MiB, &spool) == 0);
	spool_set_link(spool, 0, fd);
	loop_run(loop);
	_exit(0); /* the end is not measured */
}

static void store(struct bench *b, struct buf *batch)
{
	struct body_spool body = {.epoch = 1, .seq = ++b->seq};
	int fd = -1;
	if (batch->n > SPOOL_INLINE_MAX)
		fd = memfd_make("batch", buf_view(batch));
	else
		body.records = buf_view(batch);
	LINK_SEND(b->link, SPOOL, spool, 0, fd, &body);
	if (fd >= 0)
		close(fd);
	batch->n = 0;
	while (b->done < b->seq)
		loop_turn(b->loop, SEND_MS);
}

static void put(struct buf *batch, uint64_t mid)
{
	static const char payload[PAYLOAD] = "measured";
	const struct body_spool_message m = {
		.mid = mid,
		.qos = 1,
		.topic = STR("plant/line-4/device-17/measurement"),
		.properties = STR(""),
		.payload = str_make(payload, PAYLOAD),
	};
	const struct body_spool_queue q = {1 + mid % SESSIONS, mid, mid, 0, 1, 0, STR(""), STR("")};
	SPOOL_PUT(batch, MESSAGE, message, &m);
	SPOOL_PUT(batch, QUEUE, queue, &q);
}

static void take(struct buf *batch, uint64_t mid)
{
	const struct body_spool_queue_gone g = {1 + mid % SESSIONS, mid, mid};
	SPOOL_PUT(batch, QUEUE_GONE, queue_gone, &g);
}

static void run(struct bench *b, unsigned messages, unsigned per_batch, enum way way)
{
	AUTO_BUF batch = {0};
	uint64_t mid = 1;
	uint64_t fetched = 1;
	for (uint64_t sid = 1; sid <= SESSIONS; sid++) {
		const struct body_spool_session s = {sid,           1,       3600,   0, 0,
						     STR("client"), STR(""), STR("")};
		SPOOL_PUT(&batch, SESSION, session, &s);
	}
	while (mid <= messages) {
		for (unsigned i = 0; i < per_batch; i++) {
			put(&batch, mid);
			if (way == ANSWERED)
				take(&batch, mid);
			mid++;
		}
		store(b, &batch);
		for (; way == FETCHED && fetched + per_batch < mid; fetched++)
			take(&batch, fetched);
	}
}

static void clear(const char *dir)
{
	DIR *d = opendir(dir);
	CHECK(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		AUTO_CHAR path = mem_printf("%s/%s", dir, e->d_name);
		unlink(path);
	}
	closedir(d);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void measure(const char *dir, unsigned per_batch, enum way way)
{
	static const char *const name[] = {"kept", "fetched", "answered"};
	struct bench b = {.loop = loop_new()};
	static const link_handler handlers[MSG_COUNT] = {[MSG_SPOOL_DONE] = on_done};
	const struct link_config config = {PROCESS_BROKER, PROCESS_STORE, handlers, &b, on_broken};
	const unsigned n = per_batch < 64 ? MESSAGES / 10 : MESSAGES;
	struct rusage usage;
	int pair[2];
	int status;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	const pid_t pid = start_store(dir, pair[0], pair[1]);
	close(pair[0]);
	b.link = link_new(b.loop, pair[1], &config);
	const uint64_t begin = clock_mono_ns();
	run(&b, n, per_batch, way);
	const double wall = (double)(clock_mono_ns() - begin) / 1e3 / n;
	link_free(b.link);
	loop_free(b.loop);
	CHECK(wait4(pid, &status, 0, &usage) == pid && WIFEXITED(status));
	printf("%-9s %5u per batch: %6.2f us processor (%5.2f user), %7.2f us wall per message\n",
	       name[way], per_batch, (seconds(usage.ru_utime) + seconds(usage.ru_stime)) * 1e6 / n,
	       seconds(usage.ru_utime) * 1e6 / n, wall);
	fflush(stdout);
	clear(dir);
}

int main(int argc, char **argv)
{
	static const unsigned per_batch[] = {1, 16, 64, 256, 1024};
	char dir[] = "spool-bench-XXXXXX";
	if (argc > 1 && chdir(argv[1])) {
		perror(argv[1]);
		return 1;
	}
	CHECK(mkdtemp(dir));
	for (enum way way = KEPT; way <= ANSWERED; way++)
		for (size_t i = 0; i < ARRAY_LEN(per_batch); i++)
			measure(dir, per_batch[i], way);
	rmdir(dir);
	return 0;
}
