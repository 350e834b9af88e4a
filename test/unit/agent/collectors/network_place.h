/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two network namespaces of the test's own, joined by a cable: "here", in which the test and the
 * collector are, has a0 (10.9.0.1, fd09::1), and "there" has b0 (10.9.0.2, fd09::2). They are gone
 * with the test.
 */
#ifndef GEMEL_NETWORK_PLACE_H
#define GEMEL_NETWORK_PLACE_H

#include "base.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* False: this machine does not let us. */
bool place_make(void) MUST_USE;

/* Runs "ip" with arguments, a blank between them; returns whether it succeeded. */
bool place_ip(const char *arguments);

/* Makes the cable again, from the beginning. */
void place_cable(void);

/* Waits until datagrams arrive there, from port 4098 of an address here at 4099 of one there. */
void place_await_road(const char *here, const char *there);

union place_address {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
};
socklen_t place_size(const union place_address *address);
union place_address place_at(const char *text, uint16_t port);

/* Opens a socket here or there, bound to an address; 0 at the end of the text: any port. */
int place_socket(bool there, int type, const char *text, uint16_t port);
uint16_t place_port(int fd);

/* Sends `count` datagrams of `size` bytes; returns how many were. */
unsigned place_send(int fd, const char *text, uint16_t port, unsigned count, size_t size);

#endif
