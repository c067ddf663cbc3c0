/* SPDX-License-Identifier: Apache-2.0
 *
 * Profiles: see profile.h.
 */
#include "db/profile.h"
#include "daemon/base/err.h"

int profile_find(struct sql *db, struct str name, struct profile_row *out)
{
	AUTO_QUERY q = SQL_QUERY(db, "SELECT lifetime, grace, overlap FROM profile WHERE name = ?",
				 sql_str(name));
	if (!sql_next(&q))
		return ERR_NOT_FOUND;
	*out = (struct profile_row){sql_at_int(&q, 0), sql_at_int(&q, 1), sql_at_int(&q, 2)};
	return 0;
}

void profile_names(struct sql *db, struct buf *out)
{
	AUTO_QUERY q = SQL_QUERY(db, "SELECT name FROM profile ORDER BY name");
	while (sql_next(&q))
		strs_put(out, sql_at_str(&q, 0));
}
