/* SPDX-License-Identifier: Apache-2.0
 *
 * The state of a gateway as one document without secrets: what it takes to make another box like
 * this one. Main thread of the store.
 *
 *   version   1
 *   settings  {key: value}: what is not the default and not for gatehouse.conf alone
 *   listeners {name: {key: value}}: the same of each listener, and always bind
 *   roles     [{name, note}]
 *   rules     [{effect, subject, action, filter, priority, literal, qos, retain, networks}]
 *   devices   [{name, kind, enabled, note, groups, roles}]
 *
 * Rules of learn mode are not part of it: they end by themselves. Groups are where devices and
 * rules name them. A part that a document does not have is left alone, and so is a field that an
 * object of it does not have. Applying adds what is not here and changes what differs; with prune,
 * what is here and not in a part of the document goes. A setting that is null goes back to its
 * default, and a listener whose bind does is no more.
 *
 * state.show   the document, in an order that depends on nothing but what it says
 * state.diff   what state.apply would do: as it answers, with id null
 * state.apply  id of the revision (null: nothing was to do), items, left_out (op_revision.h);
 *              without_credentials: names of devices that are added, at most STATE_NAMES,
 *              without_credentials_count: int, all of them, hint: what to do about it, if any;
 *              token and confirm_within of settings that wait to be confirmed (plan.h)
 * What is wrong in the document is named by its place: "devices[3].groups".
 */
#pragma once

#include "db/ops.h"

enum { STATE_VERSION = 1 };
