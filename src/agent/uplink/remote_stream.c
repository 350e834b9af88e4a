/* SPDX-License-Identifier: Apache-2.0 */
#include "remote_stream.h"

#include "mem.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#define READ_BYTES 16384u

void remote_stream_open(struct remote_stream *stream, int fd)
{
    const struct timeval patience = {.tv_sec = REMOTE_PATIENCE_S};
    *stream = (struct remote_stream){.fd = fd};
    stream->in.limit_bytes = REMOTE_FRAME_MAX + READ_BYTES + 16;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
}

void remote_stream_close(struct remote_stream *stream)
{
    if (stream->fd >= 0)
        close(stream->fd);
    stream->fd = -1;
    stream->used = 0;
    buf_wipe(&stream->in); /* a CONNECT holds a password */
}

enum err remote_stream_send(struct remote_stream *stream, struct span bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(stream->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return ERR_IO;
        bytes = span_from(bytes, (size_t)sent);
    }
    return ERR_NONE;
}

/* Reads what there is; ERR_NOT_FOUND: nothing. */
static enum err receive(struct remote_stream *stream)
{
    char bytes[READ_BYTES]; /* so that an end that waits holds no room for what may come */
    ssize_t got;
    do
        got = recv(stream->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return ERR_NOT_FOUND;
    if (got <= 0)
        return ERR_IO;
    buf_add(&stream->in, (struct span){bytes, (size_t)got});
    mem_wipe(bytes, (size_t)got);
    return stream->in.failed ? ERR_MEMORY : ERR_NONE;
}

enum err remote_stream_next(struct remote_stream *stream, struct remote_frame *ret_frame)
{
    if (stream->fd < 0)
        return ERR_NOT_FOUND;
    buf_drop(&stream->in, stream->used);
    stream->used = 0;
    if (stream->in.len == 0 && stream->in.cap > REMOTE_ROOM_KEPT)
        buf_wipe(&stream->in);
    for (;;) {
        enum err err = remote_read(buf_span(&stream->in), ret_frame, &stream->used);
        if (err != ERR_NOT_FOUND)
            return err;
        err = receive(stream);
        if (err != ERR_NONE)
            return err;
    }
}
