/* SPDX-License-Identifier: Apache-2.0
 *
 * Handshakes of other processes: see tls_service.h. A thread ends with its link; what it has to
 * tell the main thread goes there as a note.
 */
#include "certs/tls_service.h"
#include "daemon/base/check.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/rpc.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { STACK = 256 * KiB };

struct link_thread {
	struct list node; /* this and the next three: the main thread's */
	struct loop_note note;
	pthread_t thread;
	bool joined;
	struct tls_service *service;
	enum process peer;
	unsigned index; /* of the link */
	struct rpc rpc;
	bool warned;      /* one line for a link: who asks for what it may not could fill the log */
	const char *what; /* the peer did wrong; NULL = nothing */
};

int tls_service_init(struct tls_service *s, struct why *why)
{
	int err = 0;
	list_init(&s->threads);
	for (enum key_slot slot = SLOT_SERVER; slot < SLOT_COUNT && err == 0; slot++)
		err = signer_add(s->signer, key_slot_info(slot)->process, STR(""),
				 servers_key(s->servers, slot), &s->id[slot], why);
	return err;
}

static void join(struct link_thread *t)
{
	if (!t->joined)
		pthread_join(t->thread, NULL);
	t->joined = true;
}

/* The main thread again. */
static void ended(struct loop_note *note)
{
	struct link_thread *t = container_of(note, struct link_thread, note);
	join(t);
	if (t->what)
		t->service->misbehaved(t->service, t->peer, t->what);
	list_remove(&t->node);
	rpc_fini(&t->rpc);
	free(t);
}

static int sign(struct link_thread *t, const struct record *ask)
{
	struct body_tls_sign b;
	if (body_tls_sign_get(ask->body, &b))
		return ERR_MALFORMED;
	struct why why;
	AUTO_BUF signature = {0};
	const int err = signer_tls_sign(t->service->signer, t->peer, b.key, b.algorithm, b.data,
					&signature, &why);
	if (err && !t->warned)
		log_warning("no signature for %s: %s", process_name(t->peer), why.text);
	t->warned |= err != 0;
	const struct body_tls_sign_done done = {err == 0, buf_view(&signature)};
	unsigned char bytes[SIGN_MAX + 16];
	struct out o = out_make(bytes, sizeof(bytes));
	body_tls_sign_done_put(&o, &done);
	CHECK(out_ok(&o));
	return rpc_reply(&t->rpc, MSG_TLS_SIGN_DONE, ask->id, str_make(bytes, o.need));
}

static void put_own_chain(struct tls_service *s, enum key_slot slot, struct buf *chains)
{
	AUTO_BUF certificates = {0};
	if (servers_chain(s->servers, slot, &certificates))
		return;
	const struct body_chain chain = {
		.key = s->id[slot],
		.spki = key_spki(servers_key(s->servers, slot)),
		.certificates = buf_view(&certificates),
	};
	ENTRIES_PUT(chains, chain, &chain);
}

static int put_listener_chain(struct link_thread *t, struct str listener, struct buf *chains,
			      struct why *why)
{
	uint32_t id;
	struct key *found = NULL;
	if (signer_listener_key(t->service->signer, t->peer, listener, &id, &found))
		return why_set(why, ERR_NOT_FOUND, "listener %.*s has no key of its own",
			       STR_ARG(listener));
	AUTO(key) key = found;
	const struct body_chain chain = {.key = id, .spki = key_spki(key)};
	ENTRIES_PUT(chains, chain, &chain);
	return 0;
}

static int chain(struct link_thread *t, const struct record *ask)
{
	struct body_tls_chain b;
	if (body_tls_chain_get(ask->body, &b))
		return ERR_MALFORMED;
	int err = 0;
	struct why why = {""};
	AUTO_BUF chains = {0};
	if (b.listener.n)
		err = put_listener_chain(t, b.listener, &chains, &why);
	for (enum key_slot slot = SLOT_SERVER; b.listener.n == 0 && slot < SLOT_COUNT; slot++)
		if (key_slot_info(slot)->process == t->peer)
			put_own_chain(t->service, slot, &chains);
	const struct body_tls_chain_done done = {err == 0, str_of(why.text), buf_view(&chains)};
	struct out size = out_make(NULL, 0);
	body_tls_chain_done_put(&size, &done);
	AUTO_BUF bytes = {0};
	struct out o = out_make(buf_reserve(&bytes, size.need), size.need);
	body_tls_chain_done_put(&o, &done);
	CHECK(out_ok(&o));
	return rpc_reply(&t->rpc, MSG_TLS_CHAIN_DONE, ask->id, str_make(bytes.p, o.need));
}

static int answer(struct link_thread *t, const struct record *ask)
{
	switch (ask->type) {
	case MSG_TLS_SIGN:
		return sign(t, ask);
	case MSG_TLS_CHAIN:
		return chain(t, ask);
	default:
		return ERR_DENIED;
	}
}

static void *serve(void *arg)
{
	struct link_thread *t = arg;
	struct record ask;
	int err = 0;
	while (err == 0) {
		err = rpc_next(&t->rpc, &ask);
		if (err == 0)
			err = answer(t, &ask);
	}
	if (err == ERR_DENIED)
		t->what = "sent a record that it may not send";
	if (err == ERR_MALFORMED)
		t->what = "sent a malformed record";
	loop_post(t->service->loop, &t->note, ended);
	return NULL;
}

void tls_service_link(struct tls_service *s, enum process peer, unsigned index, int fd)
{
	struct link_thread *t = mem_new(struct link_thread);
	t->service = s;
	t->peer = peer;
	t->index = index;
	rpc_init(&t->rpc, fd, PROCESS_VAULT, peer);
	list_append(&s->threads, &t->node);
	pthread_attr_t attr;
	CHECK(pthread_attr_init(&attr) == 0);
	CHECK(pthread_attr_setstacksize(&attr, STACK) == 0);
	CHECK(pthread_create(&t->thread, &attr, serve, t) == 0);
	pthread_attr_destroy(&attr);
}

/* Who does not hear it now asks again by itself within the hour. */
void tls_service_renewed(struct tls_service *s)
{
	list_each (it, &s->threads) {
		const struct link_thread *t = list_entry(it, struct link_thread, node);
		if (t->index == 0)
			(void)rpc_tell(&t->rpc, MSG_TLS_RENEWED, (struct str){NULL, 0});
	}
}

void tls_service_stop(struct tls_service *s)
{
	list_each (it, &s->threads)
		shutdown(list_entry(it, struct link_thread, node)->rpc.sock, SHUT_RDWR);
	list_each (it, &s->threads)
		join(list_entry(it, struct link_thread, node));
}
