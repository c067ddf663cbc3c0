/* SPDX-License-Identifier: Apache-2.0
 *
 * Generations of the certificate authority: a root, the issuing authority below it, and for one
 * that follows another the cross certificate by which those who know only the older root find the
 * newer.
 *
 * The file `authority` in the vault's directory says which there are and in which state, one line
 * each: NUMBER STATE [external]. It is the point of commit of every change of the authority: keys
 * and certificates are written before it. Without it there is one, in use. Files are root.key,
 * root.crt, issuing.key, issuing.crt for the first, root-2.key, cross-2.crt ... for the others.
 * Used by the issuer thread.
 */
#pragma once

#include "certs/keystore.h"
#include "certs/profile.h"
#include "daemon/ipc/frame.h"

enum { GENERATIONS_MAX = 64, GENERATION_FILE = 32 };

struct generation {
	unsigned number; /* from 1 */
	enum ca_state state;
	bool external;           /* its root is someone else's */
	bool locked;             /* the issuing key waits for a passphrase */
	struct key *root_key;    /* NULL: not on this machine */
	struct key *issuing_key; /* NULL: locked, or its work is over */
	struct certificate root; /* der.n = 0: a signing request is out */
	struct certificate issuing;
	struct certificate cross; /* der.n = 0: none */
	bool root_journalled;     /* the journal knows the certificate */
	bool issuing_journalled;
};

struct generations {
	size_t n;
	struct generation *at[GENERATIONS_MAX]; /* in the order of their numbers */
};

/* "root", "issuing-2": the name of a file for the key store. */
void generation_file(const struct generation *g, const char *what, char out[GENERATION_FILE]);
/* A new one, empty; owned by the caller. */
struct generation *generation_new(unsigned number, enum ca_state state);
void generation_free(struct generation *g);
DEFINE_AUTO(generation, generation_free)

/* Reads what there is of keys and certificates. What is missing stays empty. 0, or what the key
 * store says; ERR_CRYPTO: a key and a certificate do not belong together. */
int generation_load(struct keystore *ks, struct generation *g, struct why *why);
/* Writes its certificates, those that there are. 0 or ERR_IO. */
int generation_save_certificates(struct keystore *ks, const struct generation *g, struct why *why);
/* Removes its keys from memory and disk. 0 or ERR_IO. */
int generation_drop_keys(struct keystore *ks, struct generation *g, struct why *why);
/* Removes files that a crash left of one that was never told of. */
int generation_clear(struct keystore *ks, const struct generation *g, struct why *why);

/* Reads the file and each of them. 0, ERR_MALFORMED, or as generation_load. */
int generations_load(struct keystore *ks, struct generations *all, struct why *why);
int generations_save(struct keystore *ks, const struct generations *all, struct why *why);
void generations_fini(struct generations *all);
/* The first in that state, or NULL. */
struct generation *generations_in(const struct generations *all, enum ca_state state);
const char *generation_state_word(enum ca_state state); /* "next", "active" ... */
