/* SPDX-License-Identifier: Apache-2.0
 *
 * What --help and gatehouse help print: from the table of commands, as wide as the terminal and no
 * wider than is well read. One thread.
 */
#pragma once

#include "ctl/ctl.h"

#include <stdio.h>

/* The whole: nouns by groups, options, exit status. */
void help_print(void);
/* One line or more per command: of this noun, or of all for NULL. */
void help_print_commands(FILE *f, const char *noun);
void help_print_command(const struct ctl_command *c);
/* "Usage: gatehouse device add NAME [OPTION]..." and a line end. */
void help_print_usage(FILE *f, const struct ctl_command *c);
