/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket frames (RFC 6455, 5) as a server reads and writes them, of a peer that sends a stream
 * of bytes in binary messages. Pure, and without a buffer for messages: what arrives of one is
 * handed on at once, so a frame or a message may end wherever it likes.
 *
 *   bytes --> websocket_read() --> DATA, DATA, PING, DATA, CLOSE
 *
 * Strict: what is not masked, reserved bits and codes, lengths longer than they need be, control
 * frames that are large or in fragments are all refused, with the code for the Close frame.
 */
#ifndef GEMEL_GATEWAY_WEBSOCKET_FRAME_H
#define GEMEL_GATEWAY_WEBSOCKET_FRAME_H

#include "buf.h"

/* The codes of a Close frame that we send (RFC 6455, 7.4.1). */
enum websocket_code {
    WEBSOCKET_NORMAL = 1000,
    WEBSOCKET_GOING_AWAY = 1001,
    WEBSOCKET_PROTOCOL = 1002,
    WEBSOCKET_UNSUPPORTED = 1003,
    WEBSOCKET_BAD_TEXT = 1007,
    WEBSOCKET_TOO_BIG = 1009,
};

#define WEBSOCKET_CONTROL_BYTES 125
#define WEBSOCKET_HEAD_BYTES 14

struct websocket_frames {
    uint64_t limit_bytes; /* of a message, all its frames together */
    unsigned char head[WEBSOCKET_HEAD_BYTES];
    size_t head_got;
    size_t head_size;
    bool in_payload;
    uint64_t left; /* of the payload */
    unsigned mask_at;
    bool in_message; /* further fragments are to come */
    uint64_t message_bytes;
    char control[WEBSOCKET_CONTROL_BYTES];
    size_t control_len;
    bool over; /* a Close frame came, or something that was refused: nothing more is read */
};

enum websocket_kind {
    WEBSOCKET_DATA, /* a piece of the stream, never empty */
    WEBSOCKET_PING, /* with what the pong is to hold */
    WEBSOCKET_PONG,
    WEBSOCKET_CLOSE, /* with the code to answer with */
};

struct websocket_event {
    enum websocket_kind kind;
    struct span bytes; /* into the input, or of a control frame: until the next call */
    unsigned code;
};

/* Input, which is unmasked where it lies. */
struct websocket_input {
    char *ptr;
    size_t len;
};

void websocket_frames_init(struct websocket_frames *frames, uint64_t limit_bytes);

/*
 * Takes the next event and moves `input` behind what was used. ERR_AGAIN: all of it is used, and
 * there is none yet. ERR_PROTOCOL: refused, `ret_event->code` says by which code; nothing more is
 * read of the connection.
 */
enum err websocket_read(struct websocket_frames *frames, struct websocket_input *input,
    struct websocket_event *ret_event, struct why *why) MUST_USE;

/* Writes the head of an unfragmented binary frame of `size` bytes; returns its length. */
size_t websocket_write_head(uint64_t size, char ret_head[WEBSOCKET_HEAD_BYTES]);

/* Adds a whole control frame; at most WEBSOCKET_CONTROL_BYTES of payload. */
void websocket_write_pong(struct buf *out, struct span payload);
void websocket_write_close(struct buf *out, unsigned code);

#endif
