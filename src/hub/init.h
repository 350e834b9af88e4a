/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `gemel-hub init`: makes a data directory with everything that a server needs to start.
 *
 *   D/hub.db                the store: the first hub, its policies, the administrator
 *   D/ca.pem, D/ca.key      the private certificate authority
 *   D/server.pem, .key      the server's certificate chain and key
 *
 * It is built beside its place and renamed into it, so that a crash leaves either nothing or all
 * of it. A directory that exists must be empty.
 */
#ifndef GEMEL_HUB_INIT_H
#define GEMEL_HUB_INIT_H

#include "err.h"

#define HUB_NAME_DEFAULT "gemel"
#define HUB_HOST_NAME_DEFAULT "localhost"

struct hub_init_options {
    const char *data_dir;
    const char *hub;               /* NULL: HUB_NAME_DEFAULT */
    const char *const *host_names; /* names or addresses; none: HUB_HOST_NAME_DEFAULT */
    size_t host_name_count;
    bool json; /* output for programs */
};

/*
 * Makes the directory and prints what a person (or a program) needs to go on: connection string,
 * CA file, the administrator's one-time password. Returns the exit status: 0 done, 1 refused (one
 * sentence on standard error), 2 an argument is wrong.
 */
int hub_init(const struct hub_init_options *options);

#endif
