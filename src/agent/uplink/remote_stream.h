/* SPDX-License-Identifier: Apache-2.0 */
/* A stream socket that carries frames (remote_frame.h), for either end of remote.h. */
#ifndef GEMEL_REMOTE_STREAM_H
#define GEMEL_REMOTE_STREAM_H

#include "remote_frame.h"

/* Who takes nothing for so long is given up. */
#define REMOTE_PATIENCE_S 2

/* What either end keeps of the room of the largest frame, a message of up to 256 KiB. */
#define REMOTE_ROOM_KEPT 4096u

struct remote_stream {
    int fd; /* negative: closed */
    struct buf in;
    size_t used; /* of `in`, by the frame that was handed out last */
};

/* Takes over a socket. */
void remote_stream_open(struct remote_stream *stream, int fd);
void remote_stream_close(struct remote_stream *stream);

/* Sends all of it; waits at most REMOTE_PATIENCE_S for the other side. ERR_IO. */
enum err remote_stream_send(struct remote_stream *stream, struct span bytes) MUST_USE;

/* Hands out the next frame, whose fields live until the next call; does not wait. ERR_NOT_FOUND:
 * none now. ERR_IO: the other side is gone. ERR_FORMAT, ERR_MEMORY. */
enum err remote_stream_next(struct remote_stream *stream, struct remote_frame *ret_frame) MUST_USE;

#endif
