/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks the kernel about sockets of this network namespace by netlink (sock_diag): whose is the one
 * of a flow, and which ones wait for others. Nothing here blocks: the kernel answers within the
 * call. Where sock_diag is refused, what listens is read from /proc/net.
 */
#ifndef GEMEL_SOCKET_DIAG_H
#define GEMEL_SOCKET_DIAG_H

#include "network_flows.h"

struct socket_diag {
    int fd; /* -1: not open */
    uint32_t sequence;
};

/* One socket. */
struct socket_facts {
    bool ipv6;
    enum packet_protocol protocol;
    struct packet_address local;
    uint16_t local_port;
    uint32_t user_id;
    uint64_t inode; /* 0: it belongs to no process any more */
};

/* Opens it; ERR_REFUSED: the kernel has no sock_diag for us. */
enum err socket_diag_open(struct socket_diag *ret_diag, struct why *why) MUST_USE;
void socket_diag_close(struct socket_diag *diag); /* an open one, or one with fd -1 */

/* Looks for the socket of a flow of TCP or UDP; false: there is none, or nobody's. */
bool socket_diag_find(
    struct socket_diag *diag, const struct flow_key *key, struct socket_facts *ret_facts) MUST_USE;

typedef void socket_found(void *self, const struct socket_facts *facts);

/* Tells of every TCP socket that listens and every UDP socket that is bound and not connected. */
enum err socket_diag_listening(struct socket_diag *diag, socket_found *found, void *self) MUST_USE;

/* The same, from the files in `net_dir` ("/proc/self/net"). ERR_IO: none can be read. */
enum err socket_files_listening(const char *net_dir, socket_found *found, void *self) MUST_USE;

/* One line of such a file; false: no socket, or none that waits. */
bool socket_file_parse(struct span line, bool ipv6, enum packet_protocol protocol,
    struct socket_facts *ret_facts) MUST_USE;

#endif
