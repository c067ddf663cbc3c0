/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehoused: argv decides whether this is the parent or one process on descriptor 3. Nothing else.
 */
int main(void)
{
	return 0;
}
