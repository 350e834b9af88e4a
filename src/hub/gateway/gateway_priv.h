/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the gateway share. */
#ifndef GEMEL_GATEWAY_PRIV_H
#define GEMEL_GATEWAY_PRIV_H

#include "gateway.h"
#include "listener.h"
#include "thread.h"

struct gateway {
    struct gateway_options options;
    struct listen_address address;
    unsigned ports[LISTEN_COUNT];
    struct static_files *files;
    struct gateway_thread *threads;
    size_t thread_count; /* those that thread_init() was called for */
    atomic_uint connections;
};

#endif
