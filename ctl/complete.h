/* SPDX-License-Identifier: Apache-2.0
 *
 * gatehouse complete WORD...: what may stand in the place of the last word, one a line, for the
 * shells' completion (packaging/completion). Names are asked of the gateway, within a second and
 * without a word when it does not answer. One thread.
 */
#pragma once

/* Exit status: 0, or 1 when the names of files belong there. */
int complete_run(const char *socket_path, int n, char **words);
