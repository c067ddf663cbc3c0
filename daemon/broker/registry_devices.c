/* SPDX-License-Identifier: Apache-2.0
 *
 * Devices of the registry view: see registry_devices.h.
 */
#include "daemon/broker/registry_devices.h"
#include "daemon/base/err.h"
#include "daemon/base/mem.h"
#include "daemon/ipc/frame.h"

#include <stdlib.h>

static void device_free(struct device *d)
{
	if (d->identity)
		identity_unref(d->identity);
	free(d->name);
	free((char *)d->groups.p);
	free((char *)d->roles.p);
	free(d);
}

void devices_fini(struct devices *s)
{
	size_t at = 0;
	struct str key;
	for (void *value; map_next(&s->by_id, &at, &key, &value);)
		device_free(value);
	map_fini(&s->by_name);
	map_fini(&s->by_id);
}

static struct str list_copy(struct str list)
{
	return str_make(mem_copy(list.p, list.n), list.n);
}

static void compare(const struct device *old, const struct body_reg_device *b, bool gone,
		    bool *rights_lost, bool *access)
{
	if (old->enabled && (gone || !b->enabled))
		*rights_lost = true;
	if (gone || !str_is(b->name, old->name) || !str_eq(old->groups, b->groups) ||
	    !str_eq(old->roles, b->roles))
		*access = true;
}

int devices_take(struct devices *s, bool gone, struct str body, bool *rights_lost, bool *access)
{
	struct body_reg_device b;
	if (body_reg_device_get(body, &b) || b.id == 0 ||
	    (!gone && (!strs_valid(b.groups) || !strs_valid(b.roles))))
		return ERR_MALFORMED;
	struct device *old = map_remove(&s->by_id, MAP_KEY(b.id));
	if (old) {
		compare(old, &b, gone, rights_lost, access);
		if (map_get(&s->by_name, str_of(old->name)) == old)
			map_remove(&s->by_name, str_of(old->name));
		device_free(old);
	}
	if (gone)
		return 0;
	struct device *d = mem_new(struct device);
	d->id = b.id;
	d->name = str_dup(b.name);
	d->enabled = b.enabled;
	d->groups = list_copy(b.groups);
	d->roles = list_copy(b.roles);
	map_set(&s->by_id, MAP_KEY(d->id), d);
	map_set(&s->by_name, b.name, d);
	return 0;
}

struct device *devices_find(const struct devices *s, uint64_t id)
{
	return map_get(&s->by_id, MAP_KEY(id));
}

const struct device *devices_named(const struct devices *s, struct str name)
{
	return map_get(&s->by_name, name);
}
