/* SPDX-License-Identifier: Apache-2.0 */
/* What the command tables say about themselves: help, completion for bash, the manual page. */
#ifndef GEMEL_CLI_HELP_H
#define GEMEL_CLI_HELP_H

#include "command.h"

/* Writes the help of a command or a group; NULL: of all. */
void help_write(const struct command *command, struct buf *out);
void help_write_bash(struct buf *out);
void help_write_manual(struct buf *out);

#endif
