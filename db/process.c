/* SPDX-License-Identifier: Apache-2.0
 *
 * The store as a child of the parent: see process.h.
 */
#include "db/process.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/conf/config.h"
#include "db/store.h"

#include <stdlib.h>
#include <unistd.h>

enum { SPOOL_LINKS_MAX = 64 };

/* Links come before the start; they are kept until the store is open. */
struct context {
	struct store store;
	bool open;
	int kept[PROCESS_COUNT]; /* descriptor + 1, 0: none */
	int kept_spool[SPOOL_LINKS_MAX];
};

static struct context *context_of(struct child *p)
{
	struct context *x = child_context(p);
	if (!x) {
		x = mem_new(struct context);
		x->store.child = p;
		x->store.parent = child_parent(p);
		child_set_context(p, x);
	}
	return x;
}

static void on_ready(struct store *s)
{
	child_ready(s->child);
}

static void on_failed(struct store *s)
{
	child_fail(s->child);
}

static int64_t expiry_grace(const struct config_broker *b)
{
	switch (b->on_expiry) {
	case CONFIG_ON_EXPIRY_GRACE:
		return (int64_t)(b->expiry_grace / 1000);
	case CONFIG_ON_EXPIRY_KEEP:
		return INT64_MAX;
	default:
		return 0;
	}
}

static void settings_of(const struct config *c, struct store_settings *out)
{
	out->password_threads = c->store.password_threads;
	out->scram_iterations = c->store.scram_iterations;
	out->approval = c->enrol.approval;
	out->expiry_grace = expiry_grace(&c->broker);
	out->spool_max_size = c->store.spool_max_size;
	out->password_rate = c->store.password_rate_per_address;
	out->password_tries = c->store.password_tries;
	out->audit.keep_s = (int64_t)(c->audit.keep / 1000);
	out->audit.max_rows = c->audit.max_rows;
	out->events.keep_ms = c->events.keep;
	out->events.max_size = c->events.max_size;
	out->events.rate_per_source = c->events.rate_per_source;
	out->events.access = c->log.access;
	out->events.commit_interval_ms = c->events.commit_interval;
	log_set_level((enum log_level)c->log.level);
}

static int parse(struct str text, struct config **out, struct buf *why)
{
	struct config_errors errors = {0};
	const int err = config_parse_slice(text, PROCESS_STORE, out, &errors);
	if (err)
		config_errors_print(&errors, why);
	config_errors_fini(&errors);
	return err;
}

static int start(struct child *p)
{
	struct context *x = context_of(p);
	AUTO(config) config = NULL;
	AUTO_BUF why = {0};
	struct store_settings settings;
	int err = parse(child_config(p), &config, &why);
	if (err) {
		log_error("%s", buf_cstr(&why));
		return err;
	}
	settings_of(config, &settings);
	x->store.on_ready = on_ready;
	x->store.on_failed = on_failed;
	AUTO_CHAR dir = mem_printf("%s/store", config->gateway.state_dir);
	err = store_open(&x->store, child_loop(p), dir, &settings);
	if (err)
		return err;
	x->open = true;
	for (enum process peer = 0; peer < PROCESS_COUNT; peer++)
		if (x->kept[peer])
			store_set_link(&x->store, peer, x->kept[peer] - 1);
	for (unsigned i = 0; i < SPOOL_LINKS_MAX; i++)
		if (x->kept_spool[i])
			store_set_spool_link(&x->store, i, x->kept_spool[i] - 1);
	return 0;
}

static void keep(int *place, int fd)
{
	if (*place)
		close(*place - 1);
	*place = fd + 1;
}

/* Of the broker, link 0 is its control thread's, and 1 + N worker N's. */
static void set_link(struct child *p, enum process peer, unsigned index, int fd)
{
	struct context *x = context_of(p);
	if (index == 0 && x->open)
		store_set_link(&x->store, peer, fd);
	else if (index == 0)
		keep(&x->kept[peer], fd);
	else if (peer != PROCESS_BROKER || index > SPOOL_LINKS_MAX)
		close(fd);
	else if (x->open)
		store_set_spool_link(&x->store, index - 1, fd);
	else
		keep(&x->kept_spool[index - 1], fd);
}

static int reload(struct child *p, struct str text, struct buf *why)
{
	struct context *x = context_of(p);
	AUTO(config) config = NULL;
	struct store_settings settings;
	const int err = parse(text, &config, why);
	if (err)
		return err;
	settings_of(config, &settings);
	store_use_settings(&x->store, &settings);
	x->store.approval = settings.approval;
	spool_set_max(x->store.spool, settings.spool_max_size);
	return 0;
}

static int message(struct child *p, struct record *r)
{
	return store_parent_message(&context_of(p)->store, r);
}

static void stop(struct child *p)
{
	struct context *x = context_of(p);
	if (x->open)
		store_close(&x->store);
	x->open = false;
	child_stopped(p);
}

const struct child_hooks store_hooks = {
	.self = PROCESS_STORE,
	.start = start,
	.link = set_link,
	.reload = reload,
	.message = message,
	.stop = stop,
};
