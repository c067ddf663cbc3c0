/* SPDX-License-Identifier: Apache-2.0
 *
 * A changed configuration: read again at SIGHUP, or changed by an administrator through the store.
 * A configuration with an error changes nothing. Parent.
 */
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rec.h"
#include "daemon/proc/parent.h"
#include "daemon/proc/sd.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static void log_errors(const struct config_errors *errors)
{
	for (size_t i = 0; i < errors->n; i++)
		log_error("%s", errors->text[i]);
	if (errors->dropped)
		log_error("%zu more errors", errors->dropped);
}

static uint32_t choose_workers(uint32_t configured)
{
	const long cores = sysconf(_SC_NPROCESSORS_ONLN);
	if (configured)
		return configured;
	if (cores <= 1)
		return 1;
	return (uint32_t)MIN(cores <= 4 ? cores - 1 : cores, 64L);
}

/* Each error is logged, and a line in why. */
static struct config *read_files(const struct parent *p, struct buf *why)
{
	struct config_errors errors = {0};
	struct config *c = NULL;
	const int err = config_load(p->options.config_path, p->settings_path, p->options.overrides,
				    p->options.n_overrides, &c, &errors);
	log_errors(&errors);
	config_errors_print(&errors, why);
	config_errors_fini(&errors);
	if (err)
		return NULL;
	/* The sandboxed broker cannot count processors. */
	c->broker.workers = choose_workers(c->broker.workers);
	return c;
}

struct config *reload_read(const struct parent *p)
{
	AUTO_BUF why = {0};
	return read_files(p, &why);
}

static void child_took(struct link_call *call, int err, struct record *reply)
{
	struct unit *u = container_of(call, struct unit, config_call);
	struct body_config_done done;
	if (err) {
		log_warning("%s did not answer the reload: %s", process_name(u->self),
			    err_text(err));
	} else if (body_config_done_get(reply->body, &done) == 0 && !done.ok) {
		log_error("%s refused the new configuration: %.*s", process_name(u->self),
			  STR_ARG(done.why));
		report_event(&u->parent->report, EVENT_CONFIG_REFUSED,
			     &(struct body_event){.actor = str_of(process_name(u->self)),
						  .reason = done.why});
	} else {
		/* The broker not before it knows the listeners that they belong to. */
		give_new_sockets(u);
	}
}

void reload_give(struct unit *u)
{
	files_give(u);
	give_config(u, child_took);
	if (u->self == PROCESS_VAULT)
		give_machine(u);
}

/* What a changed configuration leads to. */
struct change {
	struct config *wanted;
	struct config *running; /* as far as it can be without a restart */
	struct sockets sockets;
};

/* Everything that can fail. 0, or an error with a line for each in why; then c is still the
 * caller's and nothing has changed. */
static int plan(struct parent *p, struct config *c, struct change *change, struct buf *why)
{
	struct config *running = config_take_over(p->running, c);
	const int err = sockets_plan(&p->sockets, running, &change->sockets, why);
	if (err) {
		config_free(running);
		return err;
	}
	change->wanted = c;
	change->running = running;
	return 0;
}

static void carry_out(struct parent *p, struct change *change)
{
	AUTO_BUF needs = {0};
	const size_t n = config_diff_needs_restart(p->running, change->wanted, &needs);
	if (n)
		log_warning("these settings take effect after a restart: %s", buf_cstr(&needs));
	config_free(p->config);
	config_free(p->running);
	p->config = change->wanted;
	p->running = change->running;
	p->config_number++;
	sockets_switch(&p->sockets, &change->sockets);
	log_set_level((enum log_level)p->running->log.level);
	/* One that is just starting gets it when it is ready. */
	for (enum process i = PROCESS_PARENT + 1; i < PROCESS_COUNT; i++)
		if (p->unit[i].state == PROCESS_SERVING)
			reload_give(&p->unit[i]);
	if (p->unit[PROCESS_STORE].state == PROCESS_SERVING)
		give_gateway(&p->unit[PROCESS_STORE]);
	report_event(&p->report, EVENT_CONFIG_RELOADED,
		     &(struct body_event){.actor = STR("parent"), .reason = buf_view(&needs)});
}

static void log_lines(struct str text)
{
	while (text.n) {
		const struct str line = str_split(&text, '\n');
		log_error("%.*s", STR_ARG(line));
	}
}

/* Looks for each setting of one configuration in another one. */
struct compare {
	const struct config *other;
	bool gone; /* only those that are not there */
	struct buf *rec;
};

/* Of a section that is new, or gone, what somebody has set. */
static void put_changed(void *arg, const struct config_item *item)
{
	const struct compare *c = arg;
	AUTO_BUF value = {0};
	const bool found = config_get(c->other, str_of(item->key), &value, NULL) == 0;
	const bool changed = found ? !c->gone && !str_is(buf_view(&value), item->value)
				   : item->source != CONFIG_SOURCE_DEFAULT;
	if (changed)
		rec_text(c->rec, "", item->key);
}

static void put_changes(const struct parent *p, const struct config *wanted, struct buf *rec)
{
	struct compare is_new = {p->config, false, rec}, was = {wanted, true, rec};
	AUTO_BUF needs = {0};
	rec_list(rec, "changed");
	config_each(wanted, put_changed, &is_new);
	config_each(p->config, put_changed, &was);
	rec_end(rec);
	config_diff_needs_restart(p->running, wanted, &needs);
	struct str rest = buf_view(&needs);
	rec_list(rec, "needs_restart");
	while (rest.n)
		rec_str(rec, "", str_trim(str_split(&rest, ',')));
	rec_end(rec);
}

int reload_asked(struct parent *p, struct buf *rec, struct buf *why)
{
	struct change change;
	AUTO_BUF said = {0};
	AUTO(config) c = read_files(p, why);
	if (!c || files_check(p, c, false, why) || plan(p, c, &change, &said)) {
		log_lines(buf_view(&said));
		buf_str(why, buf_view(&said));
		log_error("the changed configuration has errors: the gateway goes on with the old "
			  "one");
		report_event(&p->report, EVENT_CONFIG_REFUSED,
			     &(struct body_event){
				     .actor = STR("parent"),
				     .reason = STR("errors in the configuration, see the log")});
		return ERR_INVALID;
	}
	put_changes(p, c, rec);
	TAKE(c);
	if (p->hold.token[0])
		log_warning("the change of settings that waited to be confirmed is undone");
	setting_drop_hold(p);
	carry_out(p, &change);
	log_notice("configuration read again");
	return 0;
}

void reload(struct parent *p)
{
	AUTO_BUF rec = {0};
	AUTO_BUF why = {0};
	reload_asked(p, &rec, &why);
}

int reload_use(struct parent *p, struct config *c, const struct config *save, bool dry,
	       struct buf *why)
{
	struct change change;
	AUTO_BUF text = {0};
	int err = plan(p, c, &change, why);
	if (err)
		return err;
	if (save && !dry) {
		config_print_settings(save, &text);
		err = dirs_write(p->settings_path, buf_view(&text), 0600);
	}
	if (err) {
		buf_printf(why, "cannot write %s: %s", p->settings_path, strerror(errno));
		log_error("%s", buf_cstr(why));
	}
	if (err || dry) {
		sockets_plan_drop(&change.sockets);
		config_free(change.running);
		return err ? ERR_IO : 0;
	}
	carry_out(p, &change);
	return 0;
}
