/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local datagram socket through which applications submit events of their own: one JSON object
 * a datagram. Who sent it is the kernel's word, not the sender's. Used at both ends: the agent
 * listens, `gemel-agent event` sends.
 */
#ifndef GEMEL_EVENT_SOCKET_H
#define GEMEL_EVENT_SOCKET_H

#include "json.h"

#include <sys/types.h>

#define EVENT_BODY_MAX 16384u
#define EVENT_DEPTH_MAX 16u
#define EVENT_SOCKET_NAME "events.sock"

/*
 * Makes the socket, in place of one that an ended agent left; another file is not replaced. Mode
 * 0600, with a `group` (not -1) 0660, with `everybody` 0666. ERR_REFUSED.
 */
enum err event_socket_listen(
    const char *path, bool everybody, gid_t group, int *ret_fd, struct why *why) MUST_USE;
/* From now on the kernel refuses what is sent; what it took before can still be read. */
void event_socket_refuse(int fd);
/* Ends it, and removes the file if it is still this socket's. */
void event_socket_close(int fd, const char *path);
/* Whether the file is still there, and a socket that somebody reads. */
bool event_socket_stands(int fd, const char *path);

struct event_source {
    pid_t process_id;
    uid_t user_id;
};

enum event_datagram { EVENT_NONE, EVENT_TAKEN, EVENT_TOO_LARGE };

/* Reads the next datagram; `ret_body` stands in `bytes`. */
enum event_datagram event_socket_next(int fd, char bytes[EVENT_BODY_MAX + 1],
    struct event_source *ret_source, struct span *ret_body) MUST_USE;

/* Reads a datagram's JSON. ERR_FORMAT, ERR_TOO_LARGE, ERR_MEMORY. */
enum err event_body_parse(
    struct arena *arena, struct span body, struct json **ret_object, struct why *why) MUST_USE;

/* Sends one. ERR_NOT_FOUND: nobody listens there; ERR_IO. */
enum err event_socket_send(const char *path, struct span body, struct why *why) MUST_USE;

#endif
