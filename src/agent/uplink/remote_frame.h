/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent and the process that holds its connection say to each other: frames on a stream
 * socket of this machine, in its byte order.
 *
 *   | length 4 | kind 1 | epoch 4 | fields … |       length: of what follows itself
 *
 * A field is a number of 4 bytes, or a text: its length in 4 bytes and its bytes (REMOTE_NONE for a
 * text that is not there). The epoch counts connections: what belongs to an earlier one is dropped.
 * Nothing here does I/O.
 */
#ifndef GEMEL_REMOTE_FRAME_H
#define GEMEL_REMOTE_FRAME_H

#include "link.h"

/* A message of the hub with its topic is the largest; more is no frame of ours. */
#define REMOTE_FRAME_MAX (2u << 20)
#define REMOTE_NONE UINT32_MAX
#define REMOTE_FILTERS_MAX 8u

enum remote_kind {
    REMOTE_CONNECT, /* the texts of a link_target in its order, of a file its content; keep_alive_s
                     */
    REMOTE_SUBSCRIBE, /* count, that many texts */
    REMOTE_PUBLISH,   /* token, qos, topic, body */
    REMOTE_CLOSE,
    REMOTE_ABORT,
    REMOTE_EVENT, /* kind, code, token, text, topic, body */
    REMOTE_KIND_COUNT
};

struct remote_frame {
    enum remote_kind kind;
    uint32_t epoch;
    struct span fields; /* not read yet */
};

/* Begins a frame at the end of the buffer, and ends it: in between, its fields are added. */
size_t remote_begin(struct buf *out, enum remote_kind kind, uint32_t epoch);
void remote_end(struct buf *out, size_t begin);
void remote_add_number(struct buf *out, int32_t number);
void remote_add_text(struct buf *out, struct span text); /* SPAN_NONE's pointer: not there */

/*
 * Reads the first whole frame of `bytes`; its size goes to `*ret_size`. ERR_NOT_FOUND: there is no
 * whole one yet. ERR_FORMAT: it is none; the stream cannot be read on.
 */
enum err remote_read(struct span bytes, struct remote_frame *ret_frame, size_t *ret_size) MUST_USE;

/* Take the next field; false: there is none of that form. */
bool remote_number(struct remote_frame *frame, int32_t *ret_number) MUST_USE;
bool remote_text(struct remote_frame *frame, struct span *ret_text) MUST_USE;

#endif
