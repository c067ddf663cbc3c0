/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints the description of the API as the gateway serves it (openapi.h), without one that runs:
 * the types of the interface are made of it (make api-types). Not installed.
 */
#include "daemon/web/openapi.h"

#include <stdio.h>

int main(void)
{
	AUTO_BUF text = {0};
	openapi_print(&text);
	fwrite(text.p, 1, text.n, stdout);
	return fflush(stdout) ? 1 : 0;
}
