/* SPDX-License-Identifier: Apache-2.0
 *
 * Other programs of this machine (nft, systemctl), run to their end. They say themselves what is
 * wrong. One thread.
 */
#pragma once

/* Runs argv[0] of PATH; its standard input is `input`, or ours for -1. Its exit status; 128 and
 * more when a signal ended it; -1 (errno) when it cannot be run. */
int program_run(char *const argv[], int input);
