/* SPDX-License-Identifier: Apache-2.0
 *
 * Password logins of devices: LOGIN from the broker to LOGIN_DONE. Looks the device up, lets
 * logins.h judge, and looks again afterwards: the device may have changed while a thread was
 * hashing. Main thread of the store. The broker reports refusals as events.
 */
#pragma once

#include "db/store.h"

/* Handles LOGIN. Returns like a link_handler. */
int device_login(struct store *s, struct record *r);
void device_login_cancel_all(struct store *s);
/* At the start: the guard knows again from where devices have connected lately, by the events. */
void device_login_recall(struct store *s);
