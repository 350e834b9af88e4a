/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells systemd how we are, if it wants to know: one datagram to the socket that NOTIFY_SOCKET
 * names (sd_notify(3)). Without systemd nothing happens.
 */
#ifndef GEMEL_AGENT_NOTIFY_H
#define GEMEL_AGENT_NOTIFY_H

#include "base.h"

/* Sends "READY=1", "WATCHDOG=1", "STOPPING=1". */
void notify_send(const char *state);

/* Lets the log's entries bear their priority where systemd's journal takes them. */
void notify_log(void);

/* How often systemd wants to hear "WATCHDOG=1", in microseconds: half of its patience; 0: never. */
int64_t notify_watchdog_us(void);

#endif
