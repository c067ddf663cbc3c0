/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings as the store asks for them on behalf of administrators: shown, changed several at once,
 * and changes that are undone unless somebody keeps them, so that nobody locks himself out. A held
 * change works but is not in settings.conf; one at a time can be held. Parent.
 */
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/ipc/rec.h"
#include "daemon/proc/lockout.h"
#include "daemon/proc/parent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TOKEN_BYTES = 16, CHANGES_MAX = 2048 };
#define TOO_MANY "at most 2048 settings can be changed at once"

/* ---- answers ---- */

static void answer(struct link *store, uint64_t id, const struct body_setting_done *done,
		   const struct buf *rec)
{
	struct body_setting_done b = *done;
	b.why.n = MIN(b.why.n, (size_t)2048);
	b.key.n = MIN(b.key.n, (size_t)128);
	AUTO_FD fd = rec ? memfd_make("settings", buf_view(rec)) : -1;
	LINK_SEND(store, SETTING_DONE, setting_done, id, fd, &b);
}

static int refuse(struct link *store, uint64_t id, enum op_status status, struct str key,
		  struct str why)
{
	answer(store, id,
	       &(struct body_setting_done){.status = (uint8_t)status, .key = key, .why = why},
	       NULL);
	return 0;
}

static enum op_status status_of(int err)
{
	switch (err) {
	case 0:
		return OP_OK;
	case ERR_NOT_FOUND:
		return OP_NOT_FOUND;
	case ERR_DENIED:
		return OP_REFUSED;
	case ERR_IO:
		return OP_FAILED;
	default:
		return OP_INVALID;
	}
}

/* ---- what there is ---- */

static void put_item(void *arg, const struct config_item *item)
{
	static const char *const source[] = {"default", "settings", "file", "command-line"};
	struct buf *b = arg;
	rec_object(b, "");
	rec_text(b, "key", item->key);
	rec_text(b, "section", item->section);
	rec_text(b, "value", item->value);
	rec_text(b, "origin", item->origin);
	rec_text(b, "source", source[item->source]);
	rec_bool(b, "file_only", item->file_only);
	rec_bool(b, "restart", item->restart);
	rec_text(b, "text", item->text);
	rec_end(b);
}

struct find {
	struct str key;
	struct buf *out;
	bool found;
};

static void put_if(void *arg, const struct config_item *item)
{
	struct find *f = arg;
	if (!str_is(f->key, item->key))
		return;
	f->found = true;
	put_item(f->out, item);
}

static void put_hold(const struct parent *p, struct buf *out)
{
	const uint64_t now = clock_mono_ms();
	struct str undo = buf_view(&p->hold.undo);
	struct str key, value;
	if (!p->hold.token[0]) {
		rec_null(out, "held");
		return;
	}
	rec_object(out, "held");
	rec_text(out, "token", p->hold.token);
	rec_int(out, "seconds",
		p->hold.ends_ms > now ? (int64_t)((p->hold.ends_ms - now + 999) / 1000) : 0);
	rec_list(out, "keys");
	while (strs_next(&undo, &key) && strs_next(&undo, &value))
		rec_str(out, "", key);
	rec_end(out);
	rec_end(out);
}

int setting_get(struct link *store, struct record *r)
{
	const struct unit *u = link_owner(store);
	struct body_setting_get b;
	AUTO_BUF rec = {0};
	if (body_setting_get_get(r->body, &b))
		return ERR_MALFORMED;
	struct find find = {b.key, &rec, false};
	rec_list(&rec, "items");
	config_each(u->parent->config, b.key.n ? put_if : put_item,
		    b.key.n ? (void *)&find : (void *)&rec);
	rec_end(&rec);
	put_hold(u->parent, &rec);
	if (b.key.n && !find.found) {
		AUTO_BUF why = {0};
		config_unknown(b.key, &why);
		return refuse(store, r->id, OP_NOT_FOUND, b.key, buf_view(&why));
	}
	answer(store, r->id, &(struct body_setting_done){.status = OP_OK}, &rec);
	return 0;
}

/* ---- changes ---- */

/* A value and whether settings.conf is where it comes from. */
struct value {
	struct str key;
	struct buf text;
	bool set;
	bool restart;
	bool found;
};

static void take_value(void *arg, const struct config_item *item)
{
	struct value *v = arg;
	if (!str_is(v->key, item->key))
		return;
	v->found = true;
	v->restart = item->restart;
	v->set = item->source == CONFIG_SOURCE_SETTINGS;
	v->text.n = 0;
	buf_puts(&v->text, item->value);
}

static void value_of(const struct config *c, struct str key, struct value *out)
{
	*out = (struct value){.key = key};
	config_each(c, take_value, out);
}

static void put_value(struct buf *out, const char *name, const struct value *v)
{
	rec_object(out, name);
	rec_str(out, "value", buf_view(&v->text));
	rec_bool(out, "set", v->set);
	rec_end(out);
}

/* What differs in these keys: into rec, and into undo as changes that lead back. */
static size_t compare(const struct config *before, const struct config *after,
		      const struct config_change *list, size_t n, struct buf *rec,
		      struct setting_hold *hold)
{
	size_t found = 0;
	rec_list(rec, "items");
	for (size_t i = 0; i < n; i++) {
		struct value a, b;
		value_of(before, list[i].key, &a);
		value_of(after, list[i].key, &b);
		if (!str_eq(buf_view(&a.text), buf_view(&b.text)) || a.set != b.set) {
			found++;
			rec_object(rec, "");
			rec_str(rec, "key", list[i].key);
			rec_bool(rec, "restart", a.restart || b.restart);
			put_value(rec, "before", &a);
			put_value(rec, "after", &b);
			rec_end(rec);
			strs_put(&hold->undo, list[i].key);
			strs_put(&hold->undo, a.set ? buf_view(&a.text) : STR(""));
		}
		buf_fini(&a.text);
		buf_fini(&b.text);
	}
	rec_end(rec);
	return found;
}

/* The changes of a list of strings; at most CHANGES_MAX. */
static int parse_changes(struct str list, struct config_change *out, size_t *n)
{
	for (*n = 0; list.n; (*n)++) {
		struct config_change *change = &out[*n];
		if (*n == CHANGES_MAX)
			return ERR_LIMIT;
		if (!strs_next(&list, &change->key) || !strs_next(&list, &change->value))
			return ERR_MALFORMED;
		if (change->value.n == 0)
			change->value.p = NULL;
	}
	return 0;
}

void setting_drop_hold(struct parent *p)
{
	struct setting_hold *h = &p->hold;
	loop_timer_stop(p->loop, &h->timer);
	h->token[0] = 0;
	buf_fini(&h->undo);
}

/* c without what is held: what settings.conf is to say. The caller frees it. NULL: the rest does
 * not fit together without it. */
static struct config *without_hold(const struct parent *p, const struct config *c)
{
	struct config_errors errors = {0};
	struct config *out = NULL;
	size_t n, wrong;
	AUTO_CHAR room = mem_alloc(CHANGES_MAX * sizeof(struct config_change));
	struct config_change *list = (void *)room;
	CHECK(parse_changes(buf_view(&p->hold.undo), list, &n) == 0);
	config_set_all(c, list, n, &out, &wrong, &errors);
	config_errors_fini(&errors);
	return out;
}

static bool is_held(const struct parent *p, struct str key)
{
	struct str undo = buf_view(&p->hold.undo);
	struct str held, value;
	while (strs_next(&undo, &held) && strs_next(&undo, &value))
		if (str_eq(held, key))
			return true;
	return false;
}

static void begin_hold(struct parent *p, struct setting_hold *from, uint32_t ms);

struct request {
	struct config_change *list;
	size_t n;
	bool dry;
	bool lazy;
	uint32_t hold_ms;
	struct str source;
	bool confirms;
};

/* What cannot be while another change is held. */
static int check_hold(const struct parent *p, const struct request *q, struct buf *why)
{
	const char *const waits =
		"a change of settings waits to be confirmed: confirm it (gatehouse "
		"config confirm), or wait until it is undone";
	if (!p->hold.token[0] || q->dry)
		return 0;
	for (size_t i = 0; i < q->n; i++)
		if (q->hold_ms || is_held(p, q->list[i].key)) {
			buf_puts(why, waits);
			return ERR_CONFLICT;
		}
	return 0;
}

/* Carries a judged configuration out. */
static int use(struct parent *p, struct config **c, const struct request *q, struct buf *why)
{
	AUTO(config) rest = p->hold.token[0] && !q->dry ? without_hold(p, *c) : NULL;
	if (p->hold.token[0] && !q->dry && !rest) {
		buf_puts(why, "this only fits together with the change that waits to be confirmed");
		return ERR_CONFLICT;
	}
	const int err = reload_use(p, *c, q->hold_ms ? NULL : rest ? rest : *c, q->dry, why);
	if (!err && !q->dry)
		*c = NULL; /* it is in use */
	return err;
}

/* The key that is to blame, for *wrong. */
static size_t find_key(const struct request *q, const char *prefix)
{
	size_t i = 0;
	while (i < q->n && !str_prefix(q->list[i].key, str_of(prefix)))
		i++;
	return i;
}

/* Nobody cuts himself off without having said that he will confirm from elsewhere. Of one who has,
 * why is a warning. */
static int check_lockout(const struct parent *p, const struct config *c, const struct request *q,
			 size_t *wrong, struct buf *why)
{
	if (!lockout_threatens(p->config, c, q->source, why) || q->confirms || q->dry)
		return 0;
	*wrong = find_key(q, "admin.");
	buf_puts(why, ": set it so that it is undone unless you confirm it (confirm-within = 1 to "
		      "3600 seconds), and confirm it from where the interface is reached then");
	return ERR_INVALID;
}

static int set(struct parent *p, const struct request *q, struct buf *rec, size_t *wrong,
	       struct buf *why)
{
	struct config_errors errors = {0};
	struct setting_hold hold = {0};
	AUTO(config) c = NULL;
	*wrong = q->n;
	int err = check_hold(p, q, why);
	if (!err)
		err = config_set_all(p->config, q->list, q->n, &c, wrong, &errors);
	config_errors_print(&errors, why);
	config_errors_fini(&errors);
	if (err)
		return err;
	const size_t changes = compare(p->config, c, q->list, q->n, rec, &hold);
	err = check_lockout(p, c, q, wrong, why);
	if (!err && (changes || q->dry))
		err = use(p, &c, q, why);
	if (!err && changes && q->hold_ms && !q->dry)
		begin_hold(p, &hold, q->hold_ms);
	buf_fini(&hold.undo);
	return err;
}

static void drop_same(const struct config *c, struct request *q)
{
	size_t n = 0;
	for (size_t i = 0; i < q->n; i++) {
		struct value now;
		value_of(c, q->list[i].key, &now);
		if (!q->list[i].value.p || !now.found ||
		    !str_eq(buf_view(&now.text), str_trim(q->list[i].value)))
			q->list[n++] = q->list[i];
		buf_fini(&now.text);
	}
	q->n = n;
}

int setting_set(struct link *store, struct record *r)
{
	const struct unit *u = link_owner(store);
	struct parent *p = u->parent;
	struct body_setting_set b;
	AUTO_BUF rec = {0};
	AUTO_BUF why = {0};
	size_t wrong;
	if (body_setting_set_get(r->body, &b))
		return ERR_MALFORMED;
	AUTO_CHAR room = mem_alloc(CHANGES_MAX * sizeof(struct config_change));
	struct request q = {(void *)room, 0,        b.dry != 0,     b.lazy != 0,
			    b.hold_ms,    b.source, b.confirms != 0};
	const int parsed = parse_changes(b.changes, q.list, &q.n);
	if (parsed == ERR_LIMIT)
		return refuse(store, r->id, OP_INVALID, STR(""), STR(TOO_MANY));
	if (parsed)
		return ERR_MALFORMED;
	if (q.lazy)
		drop_same(p->config, &q);
	const bool held_before = p->hold.token[0];
	const int err = set(p, &q, &rec, &wrong, &why);
	if (err == ERR_CONFLICT)
		return refuse(store, r->id, OP_CONFLICT, STR(""), buf_view(&why));
	if (err)
		return refuse(store, r->id, status_of(err),
			      wrong < q.n ? q.list[wrong].key : STR(""), str_trim(buf_view(&why)));
	const bool holds = !held_before && p->hold.token[0];
	answer(store, r->id,
	       &(struct body_setting_done){.status = OP_OK,
					   .why = buf_view(&why),
					   .token = holds ? str_of(p->hold.token) : STR("")},
	       &rec);
	return 0;
}

/* ---- held changes ---- */

static void tell_undone(struct parent *p, const struct buf *rec)
{
	struct link *store = p->unit[PROCESS_STORE].link;
	AUTO_FD fd = memfd_make("undone", buf_view(rec));
	if (store)
		LINK_SEND(store, SETTING_UNDONE, setting_undone, 0, fd,
			  &(const struct body_setting_undone){});
	report_event(&p->report, EVENT_CONFIG_UNDONE,
		     &(struct body_event){.actor = STR("parent"),
					  .reason = STR("nobody confirmed the change in time")});
}

/* Nobody else can have changed these keys meanwhile, unless gatehouse.conf says them by now. */
static int undo(struct parent *p, struct buf *rec, struct buf *why)
{
	AUTO_CHAR room = mem_alloc(CHANGES_MAX * sizeof(struct config_change));
	struct request q = {.list = (void *)room};
	AUTO_BUF undo = {0};
	size_t wrong;
	buf_str(&undo, buf_view(&p->hold.undo));
	CHECK(parse_changes(buf_view(&undo), q.list, &q.n) == 0);
	setting_drop_hold(p);
	return set(p, &q, rec, &wrong, why);
}

static void hold_ended(struct loop_timer *t)
{
	struct parent *p = container_of(t, struct parent, hold.timer);
	AUTO_BUF rec = {0};
	AUTO_BUF why = {0};
	log_warning("a change of settings was not confirmed in time: it is undone");
	if (undo(p, &rec, &why))
		log_error("the change could not be undone: %s", buf_cstr(&why));
	else
		tell_undone(p, &rec);
}

static void begin_hold(struct parent *p, struct setting_hold *from, uint32_t ms)
{
	struct setting_hold *h = &p->hold;
	unsigned char random[TOKEN_BYTES];
	secret_random(random, sizeof(random));
	hex_encode(random, sizeof(random), h->token);
	h->undo = from->undo;
	from->undo = (struct buf){0};
	h->ends_ms = clock_mono_ms() + ms;
	loop_timer_start(p->loop, &h->timer, "settings", ms, hold_ended);
}

static int keep(struct parent *p, struct buf *why)
{
	AUTO_BUF text = {0};
	config_print_settings(p->config, &text);
	if (dirs_write(p->settings_path, buf_view(&text), 0600)) {
		buf_printf(why, "cannot write %s: %s", p->settings_path, strerror(errno));
		log_error("%s", buf_cstr(why));
		return ERR_IO;
	}
	setting_drop_hold(p);
	return 0;
}

int setting_keep(struct link *store, struct record *r)
{
	const struct unit *u = link_owner(store);
	struct parent *p = u->parent;
	struct body_setting_keep b;
	AUTO_BUF rec = {0};
	AUTO_BUF why = {0};
	if (body_setting_keep_get(r->body, &b))
		return ERR_MALFORMED;
	if (!p->hold.token[0] && !b.token.n)
		return refuse(
			store, r->id, OP_NOT_FOUND, STR(""),
			STR("nothing waits to be confirmed: only a change that was made to be "
			    "undone after a time does, until it is confirmed or that time is "
			    "over"));
	if (!p->hold.token[0] || (b.token.n && !str_is(b.token, p->hold.token)))
		return refuse(store, r->id, OP_NOT_FOUND, STR("token"),
			      STR("no change with this token waits to be confirmed: it was "
				  "confirmed, or undone because its time was over"));
	const int err = b.keep ? keep(p, &why) : undo(p, &rec, &why);
	if (err)
		return refuse(store, r->id, status_of(err), STR(""), buf_view(&why));
	answer(store, r->id, &(struct body_setting_done){.status = OP_OK}, &rec);
	return 0;
}

/* ---- the files again ---- */

int setting_file(struct link *store, struct record *r)
{
	const struct unit *u = link_owner(store);
	struct parent *p = u->parent;
	struct body_setting_file b;
	AUTO_BUF text = {0};
	if (body_setting_file_get(r->body, &b))
		return ERR_MALFORMED;
	struct config *rest = p->hold.token[0] ? without_hold(p, p->config) : NULL;
	config_print_settings(rest ? rest : p->config, &text);
	if (rest)
		config_free(rest);
	answer(store, r->id, &(struct body_setting_done){.status = OP_OK}, &text);
	return 0;
}

int setting_reload(struct link *store, struct record *r)
{
	const struct unit *u = link_owner(store);
	AUTO_BUF rec = {0};
	AUTO_BUF why = {0};
	const int err = reload_asked(u->parent, &rec, &why);
	if (err)
		return refuse(store, r->id, OP_INVALID, STR(""), str_trim(buf_view(&why)));
	answer(store, r->id, &(struct body_setting_done){.status = OP_OK}, &rec);
	return 0;
}
