/* SPDX-License-Identifier: Apache-2.0
 *
 * The vault's directory: private keys and the certificates that belong to them.
 *
 * <state>/vault is the vault's alone: mode 0700, its own user; files 0600. A file or directory that
 * someone else can read, or that someone else owns, is refused with the command that mends it.
 * Every file is written whole under another name, synced and renamed: after a crash there is the
 * old file or the new one. A key is never overwritten. Other files of the directory (the journal)
 * are opened through keystore_dir. Used before the threads start and by the issuer thread.
 *
 * Keys rest as PKCS#8 in PEM, sealed (certs/seal.h) with a key of the host that the parent gives;
 * without one, in tests, they rest plain. A key that was plain or sealed with an older key of the
 * host is sealed anew when it is loaded.
 */
#pragma once

#include "certs/key.h"
#include "daemon/base/processes.h"

/* Every key that the vault makes. A listener key belongs to one process; no two share one. */
enum key_slot {
	SLOT_ROOT,
	SLOT_ISSUING,
	SLOT_SERVER, /* the first server key; all behind it are server keys */
	SLOT_BROKER_P256 = SLOT_SERVER,
	SLOT_BROKER_RSA,
	SLOT_ADMIN_P256,
	SLOT_ADMIN_RSA,
	SLOT_ENROL_P256,
	SLOT_ENROL_RSA,
	SLOT_COUNT
};

struct key_slot_info {
	const char *name; /* of the files: "broker-p256" */
	enum key_algorithm algorithm;
	enum process process; /* which may have it used; PROCESS_VAULT for the authorities */
};
const struct key_slot_info *key_slot_info(enum key_slot slot);

struct keystore;

/* Opens the directory, making it when it is missing, and removes files that a crash left half
 * written. 0, ERR_IO (why names the directory and the cause), or ERR_DENIED (wrong owner or mode).
 */
int keystore_open(const char *path, struct keystore **out, struct why *why);
void keystore_free(struct keystore *ks);
DEFINE_AUTO(keystore, keystore_free)
int keystore_dir(const struct keystore *ks); /* descriptor of the directory, owned by ks */
const char *keystore_path(const struct keystore *ks);

enum { KEYSTORE_SEALS_MAX = 4 };

/* A key of the host, SEAL_KEY_SIZE bytes. The first one seals, all of them open. Before the first
 * key is loaded. */
void keystore_seal_with(struct keystore *ks, struct str key);

/* Files by name, without ".key" or ".crt": those of the slots, and "root-2", "issuing-2" ...
 * Load: 0; ERR_NOT_FOUND; ERR_DENIED (who can read it, who owns it), ERR_IO, ERR_CRYPTO (sealed on
 * another host), ERR_UNAVAILABLE (a passphrase opens it), or what key_parse gives. */
int keystore_load_key_named(struct keystore *ks, const char *name, struct key **out,
			    struct why *why);
/* 0; ERR_EXISTS; ERR_IO (disk full ...): then nothing was changed. */
int keystore_save_key_named(struct keystore *ks, const char *name, const struct key *key,
			    struct why *why);
int keystore_load_certificate_named(struct keystore *ks, const char *name, struct buf *der,
				    struct why *why);
int keystore_save_certificate_named(struct keystore *ks, const char *name, struct str der,
				    struct why *why);
/* Puts a passphrase on a key file in place of what is there, and takes it off again: 0; ERR_DENIED
 * (another passphrase); the others as above. */
int keystore_lock_key(struct keystore *ks, const char *name, const struct key *key,
		      struct str passphrase, struct why *why);
int keystore_unlock_key(struct keystore *ks, const char *name, struct str passphrase,
			struct key **out, struct why *why);
/* A file by its whole name. Remove: 0 also when there is none. */
int keystore_load_file(struct keystore *ks, const char *file, size_t max, struct buf *out,
		       struct why *why);
int keystore_save_file(struct keystore *ks, const char *file, struct str bytes, struct why *why);
int keystore_remove_file(struct keystore *ks, const char *file, struct why *why);

/* Every file of the directory as a copy of it needs it: a key as PEM, not sealed, anything else
 * open at fd with its size. Stops at the first that is not 0, which it returns. */
struct keystore_file {
	const char *name;
	struct str key; /* p NULL: it is at fd */
	int fd;
	uint64_t size;
};
typedef int keystore_visit(void *arg, const struct keystore_file *file, struct why *why);
int keystore_each(struct keystore *ks, keystore_visit *visit, void *arg, struct why *why);

/* A key of another kind than key.h: PEM as above, sealed as those are. */
int keystore_load_pem(struct keystore *ks, const char *file, struct buf *pem, struct why *why);

/* The same for the slots. */
int keystore_load_key(struct keystore *ks, enum key_slot slot, struct key **out, struct why *why);
int keystore_save_key(struct keystore *ks, enum key_slot slot, const struct key *key,
		      struct why *why);
/* Loads the key of a slot, making and saving it when it is missing. */
int keystore_need_key(struct keystore *ks, enum key_slot slot, struct key **out, struct why *why);
/* The certificate of a slot, as DER (in PEM on disk). As above; ERR_MALFORMED. It is replaced when
 * it exists. */
int keystore_load_certificate(struct keystore *ks, enum key_slot slot, struct buf *der,
			      struct why *why);
int keystore_save_certificate(struct keystore *ks, enum key_slot slot, struct str der,
			      struct why *why);

/* Judges an open file of the vault's: regular, of our own user, nothing for group and others.
 * 0 or ERR_DENIED. path is for the message. */
int keystore_judge_file(int fd, const char *path, struct why *why);
