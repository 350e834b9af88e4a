/* SPDX-License-Identifier: Apache-2.0 */
/* `gemel-agent link`: the connection to the hub in a process of its own (uplink/remote.h). */
#ifndef GEMEL_AGENT_LINK_PROCESS_H
#define GEMEL_AGENT_LINK_PROCESS_H

/* Runs until SIGTERM, SIGINT or SIGHUP; returns the program's exit code. */
int agent_link(const char *socket_path);

#endif
