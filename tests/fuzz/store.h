/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in memory for fuzz targets: messages of one process, one after the other, and what it
 * answers to them. A target says what it sends and what an answer must be.
 */
#pragma once

#include "db/store.h"

struct store_fuzz {
	enum process peer;
	unsigned messages_max;         /* at most 63 */
	int approval;                  /* CONFIG_APPROVAL_* */
	void (*fill)(struct store *s); /* once it is open; NULL: it stays empty */
	/* One message of the input; false at its end. */
	bool (*send_next)(struct store *s, struct cur *c, uint64_t id);
	/* A record that the store sent. True: it is an answer, of which each id has one at most. */
	bool (*check)(const struct record *r);
};

/* The far end of the link, while send_next runs. */
extern int store_fuzz_far;
void store_fuzz_run(const struct store_fuzz *f, const uint8_t *data, size_t n);
