/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets. Each thread has one of its own for each port (SO_REUSEPORT): the kernel deals
 * out connections, and no accept lock is needed. SO_REUSEPORT would also let a second hub of the
 * same user share the port without a word, so the port is first claimed without it.
 */
#ifndef GEMEL_GATEWAY_LISTENER_H
#define GEMEL_GATEWAY_LISTENER_H

#include "err.h"

#include <sys/socket.h>

struct listen_address {
    struct sockaddr_storage storage;
    socklen_t size;
    char text[64]; /* "127.0.0.1", "[::]" */
};

/* Reads an address or a name; NULL, empty or "::": every address, IPv6 (where the machine has it)
 * and IPv4. ERR_ARGUMENT. */
enum err listen_address_parse(
    const char *text, struct listen_address *ret_address, struct why *why) MUST_USE;

/*
 * Opens `count` sockets that share the port, `*port` 0 picks a free one and is set. ERR_REFUSED
 * with a sentence that says what to do about a port in use or a missing privilege; ERR_IO.
 */
enum err listener_open(const struct listen_address *address, unsigned *port, unsigned backlog,
    const char *option, size_t count, int *ret_sockets, struct why *why) MUST_USE;

#endif
