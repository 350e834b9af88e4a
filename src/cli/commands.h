/* SPDX-License-Identifier: Apache-2.0 */
/* The functions behind the commands; each reads cli->arguments and returns the exit status. */
#ifndef GEMEL_CLI_COMMANDS_H
#define GEMEL_CLI_COMMANDS_H

#include "command.h"

command_function identity_create;
command_function identity_show;
command_function identity_list;
command_function identity_update;
command_function identity_delete;
command_function connection_string_show;
command_function twin_show;
command_function twin_update;
command_function twin_replace;
command_function twin_list;
command_function events_monitor;
command_function hub_create;
command_function hub_list;
command_function hub_show;
command_function hub_delete;
command_function completion_bash;
command_function manual;

#endif
