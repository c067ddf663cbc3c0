/* SPDX-License-Identifier: Apache-2.0
 *
 * File access by Landlock: see landlock.h. Debian 12's kernel knows the rights of version 2 of the
 * interface; newer ones add rights that are taken away too where they exist.
 */
#include "daemon/proc/landlock.h"
#include "daemon/base/defs.h"
#include "daemon/base/err.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	RIGHTS_V1 = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
	RIGHT_REFER = LANDLOCK_ACCESS_FS_MAKE_SYM << 1, /* version 2 */
	RIGHT_TRUNCATE = RIGHT_REFER << 1, /* version 3; Debian 12's headers lack the name */
	RIGHTS_GIVEN = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
		       LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		       LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		       LANDLOCK_ACCESS_FS_REMOVE_DIR | RIGHT_TRUNCATE,
};

int landlock_confine(const char *dir)
{
	const long version =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (version < 1)
		return ERR_UNAVAILABLE;
	uint64_t handled = RIGHTS_V1;
	if (version >= 2)
		handled |= RIGHT_REFER;
	if (version >= 3)
		handled |= RIGHT_TRUNCATE;
	const struct landlock_ruleset_attr attr = {.handled_access_fs = handled};
	AUTO_FD ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (ruleset < 0)
		return ERR_IO;
	if (dir) {
		AUTO_FD at = open(dir, O_PATH | O_CLOEXEC);
		const struct landlock_path_beneath_attr rule = {
			.allowed_access = RIGHTS_GIVEN & handled,
			.parent_fd = at,
		};
		if (at < 0 ||
		    syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0))
			return ERR_IO;
	}
	return syscall(SYS_landlock_restrict_self, ruleset, 0) ? ERR_IO : 0;
}
