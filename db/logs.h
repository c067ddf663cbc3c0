/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest log lines of every process, for the interface and `gatehouse log list`: read from the
 * sockets of daemon/ipc/logline.h, kept in memory until the store ends. The journal is the archive.
 *
 * Each process has a ring of its own, of LOGS_LINES lines and LOGS_BYTES: one that says too much
 * drives out nothing but its own. From one that sends more than LOGS_RATE a second no more is read
 * in that second; what its socket does not hold it leaves out. Texts are not trusted: control
 * characters and what is not UTF-8 become '?'. Main thread of the store.
 */
#pragma once

#include "daemon/base/log.h"
#include "daemon/base/processes.h"
#include "daemon/net/loop.h"

enum { LOGS_LINES = 512, LOGS_BYTES = 128 * KiB, LOGS_RATE = 200 };

struct logs;

struct logs_line {
	uint64_t seq; /* grows over all processes, and from one start of the store to the next */
	uint64_t time_ms;
	enum process process;
	enum log_level level;
	uint32_t left_out; /* lines of the process between the one before and this */
	struct str text;
};

/* misbehaved: the process sent what is no log line; nothing of it is read any more. */
struct logs *logs_new(struct loop *loop, void (*misbehaved)(void *arg, enum process process),
		      void *arg);
void logs_free(struct logs *l);
/* What is to be read from this process from now on; takes fd. What the one before holds still
 * counts. */
void logs_source(struct logs *l, enum process process, int fd);

/* Which lines: at least so severe (a lower level is more severe), of one process or of any
 * (PROCESS_COUNT), with this text in them, whatever the case ("": any). */
struct logs_filter {
	uint64_t since; /* only greater numbers */
	enum log_level level;
	enum process process;
	struct str match;
};
/* The lines that pass, oldest first: at most max, the oldest of them (from since on) or the newest.
 * They live until the loop's next turn. How many. */
size_t logs_find(const struct logs *l, const struct logs_filter *f, bool newest, size_t max,
		 const struct logs_line **out);
uint64_t logs_last(const struct logs *l); /* the greatest number so far */

/* Someone who waits for the next line. woken() is called once, out of the waiting list. */
struct logs_waiter {
	struct list node;
	void (*woken)(struct logs_waiter *w);
};
void logs_wait(struct logs *l, struct logs_waiter *w);
void logs_unwait(struct logs_waiter *w); /* nothing when not waiting */
