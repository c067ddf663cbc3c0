/* SPDX-License-Identifier: Apache-2.0
 *
 * Operations on access rules and roles, and what the other operations need of them. Main thread of
 * the store. The meaning of rules is daemon/acl.
 *
 * Fields of a rule:
 *   id                   int
 *   effect               str: allow, deny
 *   subject              str: device:NAME, group:NAME, role:NAME, any
 *   actions              list of str: publish, subscribe, receive
 *   filter               str
 *   priority             int, -1000 to 1000 (the argument of acl.add is 1000 more)
 *   literal              bool: the filter is compared byte for byte
 *   qos                  str or null: "0,1", the QoS for which it holds
 *   retain               bool or null: only retained messages, or only others
 *   networks             list of str: the networks from which it holds; empty: any
 *   conditions           str: the four of them as text, "" for a rule without
 *   created              time;  created_by: str
 *   learn_until          time or null: a rule of the learn mode (learn.h), and when it ends
 * Fields of a role:
 *   name, note           str
 *   device_count, rule_count      int
 *   version                       int, another one after every change of name or note (change.h)
 *   created              time;  created_by: str
 *
 * acl.list      items: list of rules in the order of evaluation
 * acl.add       a rule; hint: str, when it is for a group that no device is in
 * acl.remove    the rule that was removed
 * acl.apply     added: list of rules, without those that were there already; removed: int
 * acl.preview   see op_acl_draft.c
 * acl.check     device, action, topic: str; verdict: str (allowed, denied, allowed in part);
 *               rule: int or null, that decided; variables: {clientid, device, cn or null, san,
 *               group: list of str, address: str or null}; reasons: list of {rule: int, part: str
 * (decides, matches, meets, condition, differs), reached: bool, level: int or null, text, because:
 * str}, every rule about the action in the order of evaluation; level is where a filter differs; a
 *               rule of the argument "with" has the number of its line below 0; barred as of a
 *               device (op_device.h): its rules are one thing, that it may connect another
 * role.list     items: list of roles by name
 * role.show     a role, and rules: list of rules; devices: list of str (the first 1000)
 * role.add, role.set   a role
 * role.remove   name; rules_removed: int
 * Changes also answer broker and sessions_closed (change.h).
 */
#pragma once

#include "daemon/acl/acl.h"
#include "db/ops.h"

/* Fills match, qos, retain and networks of a rule (room has ACL_NETWORKS_MAX places) from the
 * columns literal, qos, retain, networks that begin there; column 0 is its number. */
void rule_conditions_at(const struct sql_query *q, int column, struct cidr *room,
			struct acl_rule *rule);
/* Appends the fields of a rule. */
void rule_put(struct store *s, int64_t id, struct buf *out);
/* Appends the list "rules": those for a device, its groups, its roles and everyone. */
void rule_put_of_device(struct store *s, int64_t device_id, struct buf *out);
/* Appends the list "rules" of a role. */
void rule_put_of_role(struct store *s, int64_t role_id, struct buf *out);
/* Within a change: removes the rules of a "device" or "role". How many. */
int64_t rule_remove_of(struct op_call *c, const char *kind, int64_t id);
