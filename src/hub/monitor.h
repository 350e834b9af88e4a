/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listener of its own for programs that watch the server, on loopback as a rule and without TLS:
 * GET /healthz, /readyz and /metrics, nothing else. It has one thread, which serves a few
 * connections at a time and cuts those that are slow, so that it answers also while all gateway
 * threads are busy and until the very end of a drain.
 */
#ifndef GEMEL_HUB_MONITOR_H
#define GEMEL_HUB_MONITOR_H

#include "service.h"

struct monitor;

/* Binds and starts. Port 0 is refused by the caller's check: then there is no monitor. */
enum err monitor_start(const char *address, unsigned port, struct service *service,
    struct monitor **ret_monitor, struct why *why) MUST_USE;

/* Ends the thread; before the service closes. NULL is fine. */
void monitor_stop(struct monitor *monitor);

#endif
