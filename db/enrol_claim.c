/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates of authorities that may enrol: those that a factory put into its devices, or an
 * older PKI. See enrol.h.
 */
#include "db/enrol.h"

void enrol_by_claim(struct op_call *c)
{
	enrol_refuse(c, ENROL_FORBIDDEN, 0,
		     "no authority that may enrol here issued this certificate");
}

void enrol_use_claim(struct op_call *c)
{
	(void)c;
}
