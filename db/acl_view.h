/* SPDX-License-Identifier: Apache-2.0
 *
 * A device as the evaluator of access rules sees it: the values of the variables and the rules of
 * its subjects, taken from the registry; or as they would be with changes that nobody has saved (a
 * draft). Questions are answered by daemon/acl, so that they are those of the data path.
 *
 * What depends on a connection is taken from where it would come from: the client identifier is the
 * device's name, the names of the certificate are those of its newest good one, the address is that
 * of the connection with this client identifier, if there is one. Main thread of the store.
 */
#pragma once

#include "daemon/acl/acl.h"
#include "db/ops.h"

/* Changes of the rules and of one device's roles and groups. Strings point into the arguments of
 * the call that it was read from. */
struct acl_draft {
	struct acl_rule *rule; /* numbered from ACL_DRAFT + the line */
	struct cidr **room;    /* for the networks of each */
	size_t n;
	int64_t *removed; /* numbers of rules that would be gone */
	size_t removed_n;
	bool removed_all; /* every saved rule would be gone */
	bool has_roles;   /* instead of those of the device: */
	struct str roles; /* a list of strings */
	bool has_groups;
	struct str groups;
};
/* Reads the arguments with, roles and groups. A line of "with" is a rule (acl_rule_read), "remove
 * NUMBER" or "remove all"; empty ones and those that begin with # are skipped. False: the call was
 * refused, and says in which line. */
bool acl_draft_take(struct op_call *c, struct acl_draft *out);
bool acl_draft_empty(const struct acl_draft *d);
void acl_draft_fini(struct acl_draft *d);
#define AUTO_ACL_DRAFT __attribute__((cleanup(acl_draft_fini))) struct acl_draft

struct acl_view {
	struct acl_who who;
	struct acl_rule *rule;
	size_t n;
	/* What the above points into. */
	struct buf names; /* groups and the names of the certificate, one behind the other */
	struct buf text;  /* filters and names of subjects */
	struct str *group;
	struct str *san;
	struct addr address;
	struct cidr **room;
};
/* Fills a zeroed view. device and clientid are borrowed. address NULL: that of the connection.
 * draft NULL: as it is. */
void acl_view_take(struct store *s, int64_t device_id, struct str device, struct str clientid,
		   const struct addr *address, const struct acl_draft *draft, struct acl_view *v);
void acl_view_fini(struct acl_view *v);
#define AUTO_ACL_VIEW __attribute__((cleanup(acl_view_fini))) struct acl_view
