/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gemel-hub serve`: the server, from its data directory to a clean end.
 *
 *   certificates -> ports -> store -> bus -> service -> gateway: "ready …"
 *   SIGHUP: certificate and key are read anew
 *   SIGTERM or SIGINT: the same backwards; what is in flight is answered first, for which devices
 *   that were asked something keep their connections
 *   a second signal, or the end of gateway.drain_seconds: connections are cut
 */
#ifndef GEMEL_HUB_SERVE_H
#define GEMEL_HUB_SERVE_H

#include "hub_config.h"

struct serve_options {
    const char *data_dir;
    const struct hub_config *config;
};

/* Runs until it is told to end. Returns the exit status: 0 ended as told, 1 could not start or had
 * to cut calls off (one sentence on standard error). */
int hub_serve(const struct serve_options *options);

#endif
