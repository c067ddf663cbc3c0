/* SPDX-License-Identifier: Apache-2.0
 *
 * Identities: see registry_identity.h.
 */
#include "daemon/broker/registry_identity.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/frame.h"

#include <stdlib.h>
#include <string.h>

struct identity *identity_ref(struct identity *id)
{
	ref_get(&id->ref);
	return id;
}

void identity_unref(struct identity *id)
{
	if (!ref_put(&id->ref))
		return;
	acl_set_unref(id->acl);
	free(id->group);
	free(id->name);
	free(id);
}

/* Group names live in the same block as the array. */
static void copy_groups(struct identity *id, struct str list)
{
	id->group_n = strs_count(list);
	id->group = mem_alloc(id->group_n * sizeof(struct str) + list.n);
	char *text = (char *)(id->group + id->group_n);
	struct str name;
	for (size_t i = 0; i < id->group_n && strs_next(&list, &name); i++) {
		if (name.n)
			memcpy(text, name.p, name.n);
		id->group[i] = str_make(text, name.n);
		text += name.n;
	}
}

struct identity *identity_new(uint64_t device_id, const char *name, struct str groups,
			      struct acl_set *acl)
{
	struct identity *id = mem_new(struct identity);
	ref_init(&id->ref);
	id->device_id = device_id;
	id->name = mem_strdup(name);
	copy_groups(id, groups);
	id->acl = acl_set_ref(acl);
	return id;
}
