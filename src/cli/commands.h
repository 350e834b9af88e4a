/* SPDX-License-Identifier: Apache-2.0 */
/* The functions behind the commands, as commands.def names them; each reads cli->arguments and
 * returns the exit status. */
#ifndef GEMEL_CLI_COMMANDS_H
#define GEMEL_CLI_COMMANDS_H

#include "command.h"

#define GROUP(path, help)
#define COMMAND(path, run, login, columns, needs, takes, help, example) command_function run;
#include "commands.def"
#undef GROUP
#undef COMMAND

#endif
