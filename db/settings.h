/* SPDX-License-Identifier: Apache-2.0
 *
 * Settings for the operations that change more than one, or more than settings: what op_config.c
 * gives them. The parent owns them, judges and keeps them (ipc/messages.def, SETTING_SET); what it
 * has changed becomes revisions of the kind "setting" here. Main thread of the store.
 */
#pragma once

#include "db/ops.h"

enum { SETTINGS_MAX = 1 * MiB, SETTINGS_CHANGES = 60000 };

/* False: the parent is away, the call was refused. */
bool settings_have_parent(struct op_call *c);
/* Asks for changes (SETTING_SET) over c->ask; hold_s 0: they stay. lazy: what has the value already
 * is no change, wherever it was set. */
void settings_ask(struct op_call *c, struct str changes, bool dry, bool lazy, uint32_t hold_s,
		  void (*done)(struct link_call *, int, struct record *));
/* Ends a hold (SETTING_KEEP) over c->ask. */
void settings_keep(struct op_call *c, struct str token, bool keep,
		   void (*done)(struct link_call *, int, struct record *));
/* Refuses the call for what the parent says. */
void settings_refuse(struct op_call *c, const struct body_setting_done *done);
/* Revisions of what the parent's answer says it changed; in an open change. */
void settings_put_revisions(struct op_call *c, struct str rec);
/* Events of the same, raised after the commit. */
void settings_put_events(struct op_call *c, struct str rec);
/* SETTING_UNDONE. Returns like a link_handler. */
int settings_undone(struct store *s, enum process peer, struct record *r);
