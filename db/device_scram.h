/* SPDX-License-Identifier: Apache-2.0
 *
 * SCRAM-SHA-256 logins of devices: SCRAM_FIRST and SCRAM_FINAL from the broker. Both are answered
 * at once and nothing is kept between them. A name that is not there, and one without keys, is
 * answered like any other and fails at the end. Main thread of the store.
 */
#pragma once

#include "db/store.h"

/* Each handles its message. Returns like a link_handler. */
int device_scram_first(struct store *s, struct record *r);
int device_scram_final(struct store *s, struct record *r);
