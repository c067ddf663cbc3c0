/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates, keys and lists in files: see files.h.
 */
#include "daemon/proc/files.h"
#include "certs/identity.h"
#include "certs/key.h"
#include "daemon/base/build.h"
#include "daemon/base/clock.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/base/secret.h"
#include "daemon/proc/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WATCH_MS = 10 * 1000, DESCRIBED_MAX = 30000 };

enum file { FILE_CERTIFICATE, FILE_CLIENT_CA, FILE_CRL, FILE_KEY, FILES };

static const struct {
	const char *key;
	off_t max; /* bytes */
	enum listener_file kind;
} kinds[FILES] = {
	[FILE_CERTIFICATE] = {"certificate", 1 * MiB, LISTENER_CERTIFICATE},
	[FILE_CLIENT_CA] = {"client-ca", 1 * MiB, LISTENER_CLIENT_CA},
	[FILE_CRL] = {"crl", 32 * MiB, LISTENER_CRL},
	[FILE_KEY] = {"key", KEY_FILE_MAX, LISTENER_CERTIFICATE},
};

/* What names files: a listener, or the interface. */
struct holder {
	const char *name; /* to its process, and to the vault */
	enum process process;
	const char *path[FILES]; /* "": none */
};

/* The n-th one; false after the last. */
static bool holder_at(const struct config *c, size_t n, struct holder *out)
{
	if (n < c->listeners) {
		const struct config_listener *l = &c->listener[n];
		*out = (struct holder){
			.name = l->name,
			.process = PROCESS_BROKER,
			.path = {l->certificate, l->client_ca, l->crl, l->key},
		};
	} else if (n == c->listeners) {
		*out = (struct holder){
			.name = "admin",
			.process = PROCESS_ADMIN,
			.path = {c->admin.certificate, "", "", c->admin.key},
		};
	} else {
		return false;
	}
	return true;
}

static const char *label(const struct holder *h, char out[64])
{
	snprintf(out, 64, "%s%s", h->process == PROCESS_BROKER ? "listener " : "", h->name);
	return out;
}

/* ---- the files --------------------------------------------------------------------------------
 */

/* One log line, and one in why where that is not NULL. The value is err. */
static int complain(const struct holder *h, enum file f, int err, struct buf *why, const char *text)
{
	char name[64];
	AUTO_CHAR line =
		mem_printf("%s: %s = %s: %s", label(h, name), kinds[f].key, h->path[f], text);
	log_error("%s", line);
	if (why)
		buf_printf(why, "%s%s", why->n ? "\n" : "", line);
	return err;
}

static int judge_stat(const struct holder *h, enum file f, const struct stat *st, struct buf *why)
{
	struct why text;
	const unsigned mode = (unsigned)st->st_mode & 07777;
	if (!S_ISREG(st->st_mode) || st->st_size > kinds[f].max) {
		why_text(&text, "not a file of at most %lld KiB", (long long)(kinds[f].max / KiB));
		return complain(h, f, ERR_INVALID, why, text.text);
	}
	if (f == FILE_KEY && mode & 077) {
		why_text(&text, "others may read this private key (mode %04o): chmod 0600 %s", mode,
			 h->path[f]);
		return complain(h, f, ERR_DENIED, why, text.text);
	}
	return 0;
}

/* Descriptor, or ERR_* after a complaint. */
static int open_file(const struct holder *h, enum file f, struct buf *why)
{
	struct stat st;
	/* Not blocking: a pipe without a writer would stop the gateway. */
	AUTO_FD fd = open(h->path[f], O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		struct why text;
		const int error = errno;
		why_text(&text, "%s%s", strerror(error),
			 error == EACCES ? " (it must belong to the user who starts the gateway)"
					 : "");
		return complain(h, f, ERR_IO, why, text.text);
	}
	const int err = judge_stat(h, f, &st, why);
	return err ? err : TAKE_FD(fd);
}

static int read_file(const struct holder *h, enum file f, struct buf *out, struct buf *why)
{
	AUTO_FD fd = open_file(h, f, why);
	if (fd < 0)
		return fd;
	if (f == FILE_KEY) /* one block: growing would leave copies of a key behind */
		buf_reserve(out, (size_t)kinds[f].max + 2 * 4096);
	while (out->n <= (size_t)kinds[f].max) {
		char *at = buf_reserve(out, 4096);
		const ssize_t n = read(fd, at, 4096);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return complain(h, f, ERR_IO, why, strerror(errno));
		if (n > 0)
			out->n += (size_t)n;
	}
	return complain(h, f, ERR_LIMIT, why, "it grows while it is read");
}

/* ---- certificates with their keys -------------------------------------------------------------
 */

/* What tells that a file is another one by now. */
struct look {
	struct timespec changed[2];
	ino_t number[2];
	off_t size[2];
};

struct file_identity {
	char label[64];
	char path[256]; /* of the certificate; its beginning */
	struct identity is;
	bool is_public;
	struct look used, seen; /* when it was given out; at the last look */
};

static struct look look_at(const struct holder *h)
{
	struct look l;
	struct stat st[2] = {0};
	memset(&l, 0, sizeof(l)); /* padding as well: it is compared */
	for (int i = 0; i < 2; i++) {
		if (stat(h->path[i ? FILE_KEY : FILE_CERTIFICATE], &st[i]))
			continue;
		l.changed[i] = st[i].st_mtim;
		l.number[i] = st[i].st_ino;
		l.size[i] = st[i].st_size;
	}
	return l;
}

static bool is_same(const struct look *a, const struct look *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static struct file_identity *in_use(const struct parent *p, const struct holder *h)
{
	char name[64];
	label(h, name);
	for (size_t i = 0; i < p->files.n; i++)
		if (strcmp(p->files.identity[i].label, name) == 0)
			return &p->files.identity[i];
	return NULL;
}

/* Both files, judged; certificates gets the bytes of the one. */
static int read_identity(const struct parent *p, const struct holder *h, bool starting,
			 struct buf *certificates, struct buf *key, struct identity *out,
			 struct buf *why)
{
	struct why text;
	bool of_key;
	const struct file_identity *had = in_use(p, h);
	int err = read_file(h, FILE_KEY, key, why);
	if (!err)
		err = read_file(h, FILE_CERTIFICATE, certificates, why);
	if (err)
		return err;
	err = identity_read(buf_view(certificates), buf_view(key), h->path[FILE_KEY], out, &of_key,
			    &text);
	if (err)
		return complain(h, of_key ? FILE_KEY : FILE_CERTIFICATE, err, why, text.text);
	err = identity_time(out, MAX(clock_wall(), build_time()), &text);
	if (!err)
		return 0;
	if (!starting && !(had && memcmp(had->is.fingerprint, out->fingerprint, 32) == 0))
		return complain(h, FILE_CERTIFICATE, err, why, text.text);
	log_warning("%s = %s: %s", kinds[FILE_CERTIFICATE].key, h->path[FILE_CERTIFICATE],
		    text.text);
	return 0;
}

static int check_holder(const struct parent *p, const struct holder *h, bool starting,
			struct buf *why)
{
	AUTO_BUF certificates = {0};
	AUTO_SECRET key = {0};
	struct identity is;
	int first = 0;
	if (h->path[FILE_KEY][0] && h->path[FILE_CERTIFICATE][0])
		first = read_identity(p, h, starting, &certificates, &key, &is, why);
	for (enum file f = FILE_CLIENT_CA; f <= FILE_CRL; f++) {
		if (!h->path[f][0])
			continue;
		AUTO_FD fd = open_file(h, f, why);
		first = first ? first : fd < 0 ? fd : 0;
	}
	return first;
}

int files_check(const struct parent *p, const struct config *c, bool starting, struct buf *why)
{
	struct holder h;
	int first = 0;
	for (size_t i = 0; holder_at(c, i, &h); i++) {
		const int err = check_holder(p, &h, starting, why);
		first = first ? first : err;
	}
	return first;
}

/* ---- to those who serve with them -------------------------------------------------------------
 */

static void give_bytes(struct unit *u, const struct holder *h, enum file f, struct str bytes,
		       bool is_public)
{
	AUTO_FD fd = memfd_make("listener", bytes);
	const struct body_listener_key key = {str_of(h->name), str_of(h->path[f]),
					      (uint8_t)h->process};
	const struct body_listener_files file = {str_of(h->name), (uint8_t)kinds[f].kind,
						 str_of(h->path[f]), is_public};
	if (f == FILE_KEY)
		LINK_SEND(u->link, LISTENER_KEY, listener_key, 0, fd, &key);
	else
		LINK_SEND(u->link, LISTENER_FILES, listener_files, 0, fd, &file);
}

static void note_use(struct parent *p, const struct holder *h, const struct identity *is,
		     bool is_public, const struct look *look)
{
	struct files *f = &p->files;
	struct file_identity *i = in_use(p, h);
	if (!i) {
		f->identity = mem_grow(f->identity, (f->n + 1) * sizeof(*f->identity));
		i = &f->identity[f->n++];
	}
	*i = (struct file_identity){
		.is = *is, .is_public = is_public, .used = *look, .seen = *look};
	label(h, i->label);
	snprintf(i->path, sizeof(i->path), "%s", h->path[FILE_CERTIFICATE]);
}

/* Certificate and key are judged together even though each goes elsewhere: neither gets half a
 * pair. */
static void give_identity(struct unit *u, const struct holder *h)
{
	AUTO_BUF certificates = {0};
	AUTO_SECRET key = {0};
	struct identity is;
	const struct look look = look_at(h);
	if (read_identity(u->parent, h, true, &certificates, &key, &is, NULL))
		return;
	if (u->self == PROCESS_VAULT) {
		give_bytes(u, h, FILE_KEY, buf_view(&key), false);
		return;
	}
	const bool is_public =
		h->process == PROCESS_ADMIN && identity_is_public(buf_view(&certificates));
	give_bytes(u, h, FILE_CERTIFICATE, buf_view(&certificates), is_public);
	note_use(u->parent, h, &is, is_public, &look);
	struct unit *store = &u->parent->unit[PROCESS_STORE];
	if (store->state == PROCESS_SERVING)
		give_gateway(store); /* which tells of them, too */
}

void files_give(struct unit *u)
{
	struct holder h;
	for (size_t i = 0; holder_at(u->parent->running, i, &h); i++) {
		if (h.path[FILE_KEY][0] && (u->self == PROCESS_VAULT || u->self == h.process))
			give_identity(u, &h);
		for (enum file f = FILE_CLIENT_CA; f <= FILE_CRL && u->self == h.process; f++) {
			AUTO_BUF bytes = {0};
			if (h.path[f][0] && read_file(&h, f, &bytes, NULL) == 0)
				give_bytes(u, &h, f, buf_view(&bytes), false);
		}
	}
}

/* ---- changes ----------------------------------------------------------------------------------
 */

static void use_changed(struct parent *p, const struct holder *h)
{
	AUTO_BUF certificates = {0};
	AUTO_SECRET key = {0};
	struct identity is;
	struct unit *vault = &p->unit[PROCESS_VAULT], *owner = &p->unit[h->process];
	if (read_identity(p, h, false, &certificates, &key, &is, NULL)) {
		log_error("%s: the old certificate stays in use", h->name);
		return;
	}
	log_notice("%s = %s has changed: the new certificate is used", kinds[FILE_CERTIFICATE].key,
		   h->path[FILE_CERTIFICATE]);
	if (vault->state == PROCESS_SERVING)
		reload_give(vault);
	if (owner->state == PROCESS_SERVING)
		reload_give(owner);
}

/* Whoever renews writes two files: they have to be the same at two looks. */
static void look_again(struct loop_timer *t)
{
	struct parent *p = container_of(t, struct parent, files.timer);
	struct holder h;
	for (size_t i = 0; !p->stopping && holder_at(p->running, i, &h); i++) {
		struct file_identity *known = in_use(p, &h);
		if (!known || !h.path[FILE_KEY][0])
			continue;
		const struct look now = look_at(&h);
		const bool settled = is_same(&now, &known->seen);
		known->seen = now;
		if (!settled || is_same(&now, &known->used))
			continue;
		known->used = now; /* also if it is bad: told once */
		use_changed(p, &h);
	}
	loop_timer_start(p->loop, t, "files", WATCH_MS, look_again);
}

void files_watch(struct parent *p)
{
	loop_timer_start(p->loop, &p->files.timer, "files", WATCH_MS, look_again);
}

/* ---- what is in use ---------------------------------------------------------------------------
 */

/* Does the configuration still name it? */
static bool is_named(const struct parent *p, const struct file_identity *i)
{
	struct holder h;
	for (size_t n = 0; holder_at(p->running, n, &h); n++)
		if (h.path[FILE_CERTIFICATE][0] && in_use(p, &h) == i)
			return true;
	return false;
}

void files_describe(const struct parent *p, struct buf *list)
{
	for (size_t n = 0; n < p->files.n && list->n < DESCRIBED_MAX - 1024; n++) {
		const struct file_identity *i = &p->files.identity[n];
		char hex[65], ends[24];
		if (!is_named(p, i))
			continue;
		hex_encode(i->is.fingerprint, 32, hex);
		snprintf(ends, sizeof(ends), "%lld", (long long)i->is.not_after);
		strs_put(list, str_of(i->label));
		strs_put(list, str_of(i->path));
		strs_put(list, str_of(hex));
		strs_put(list, str_of(ends));
		strs_put(list, str_of(i->is_public ? "public" : ""));
	}
}

void files_fini(struct files *f)
{
	free(f->identity);
	*f = (struct files){0};
}
