/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of people who bring certificates: of listeners and of the interface. They are judged
 * before anything is done with them, copied to those who serve with them (the key to the vault and
 * to nobody else), and looked at every few seconds: a certificate that was renewed is used without
 * a word from anybody. Nothing of a key is kept. Parent.
 */
#pragma once

#include "daemon/base/str.h"
#include "daemon/conf/config.h"
#include "daemon/net/loop.h"

struct parent;
struct unit;
struct file_identity;

struct files {
	struct file_identity *identity; /* certificates with their keys that are in use */
	size_t n;
	struct loop_timer timer;
};

/* Are they there, readable, keys private; do certificate and key belong together, is the chain in
 * order, and has the certificate not ended? At the start an ended one is used, with a warning:
 * better than no gateway. So is one that is in use already. One log line and one line in why for
 * each error; the first one. */
int files_check(const struct parent *p, const struct config *c, bool starting, struct buf *why);
/* What this process needs of them. What cannot be used now is logged and not given: the process
 * goes on with what it has. */
void files_give(struct unit *u);
/* Looks for changes from now on. */
void files_watch(struct parent *p);
/* List of strings, five for each certificate in use: "listener NAME" or "admin", path, SHA-256 in
 * hexadecimal, its end in seconds since 1970, "public" or "". */
void files_describe(const struct parent *p, struct buf *list);
void files_fini(struct files *f);
