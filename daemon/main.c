/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehoused: argv decides whether this is the parent or one process on descriptor 3. Nothing else.
 */
#include "daemon/proc/options.h"
#include "daemon/proc/parent.h"

#include <string.h>

int main(int argc, char **argv)
{
	struct options options;
	if (argc == 3 && strcmp(argv[1], "--process") == 0)
		return child_main(argv[2], 3);
	if (options_parse(argc, argv, &options))
		return 2;
	if (options.action == ACTION_DONE)
		return 0;
	return parent_main(&options);
}
