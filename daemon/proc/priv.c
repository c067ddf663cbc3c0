/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and privileges: see priv.h.
 */
#include "daemon/proc/priv.h"
#include "daemon/base/err.h"
#include "daemon/base/log.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

int priv_lookup(const char *prefix, struct priv_user user[PROCESS_COUNT])
{
	const bool separate = geteuid() == 0 && prefix[0];
	for (enum process i = 0; i < PROCESS_COUNT; i++)
		user[i] = (struct priv_user){geteuid(), getegid()};
	if (geteuid() == 0 && !separate)
		log_warning("gateway.user-prefix is empty: every process runs as root");
	for (enum process i = PROCESS_PARENT + 1; separate && i < PROCESS_COUNT; i++) {
		char name[64];
		snprintf(name, sizeof(name), "%s%s", prefix, process_name(i));
		const struct passwd *pw = getpwnam(name);
		if (!pw) {
			log_error("there is no user %s for the process %s: create it (the package "
				  "does), "
				  "or set gateway.user-prefix",
				  name, process_name(i));
			return ERR_NOT_FOUND;
		}
		user[i] = (struct priv_user){pw->pw_uid, pw->pw_gid};
	}
	return 0;
}

gid_t priv_group(const char *name)
{
	const struct group *gr = geteuid() == 0 ? getgrnam(name) : NULL;
	if (geteuid() == 0 && !gr)
		log_warning("there is no group %s (gateway.group): only root may use the control "
			    "socket",
			    name);
	return gr ? gr->gr_gid : getegid();
}

void priv_reduce_parent(void)
{
	if (geteuid() != 0)
		return;
	/* A service manager that has cut the bounding set has taken the right to cut it as well. */
	const bool bounding = capng_get_caps_process() == 0 &&
			      capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP);
	capng_clear(CAPNG_SELECT_BOTH);
	capng_updatev(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED | CAPNG_BOUNDING_SET, CAP_SETUID,
		      CAP_SETGID, CAP_KILL, CAP_CHOWN, CAP_NET_BIND_SERVICE, -1);
	if (capng_apply(bounding ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS))
		log_warning("cannot reduce the capabilities of the parent process");
}

void priv_hide_memory(void)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		log_warning("core dumps of this process stay possible: %s", strerror(errno));
}

int priv_drop_to(const struct priv_user *user)
{
	/* From here on no program that is run gives anything back: for root neither. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	if (geteuid() != 0)
		return 0;
	if (setgroups(0, NULL) || setresgid(user->gid, user->gid, user->gid) ||
	    setresuid(user->uid, user->uid, user->uid))
		return -1;
	/* A user other than root loses its capabilities with the switch; root has to drop them. */
	capng_clear(CAPNG_SELECT_BOTH);
	return capng_apply(CAPNG_SELECT_CAPS) ? -1 : 0;
}
