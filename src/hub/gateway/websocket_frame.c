/* SPDX-License-Identifier: Apache-2.0 */
#include "websocket_frame.h"

enum opcode {
    OP_CONTINUATION = 0x0,
    OP_TEXT = 0x1,
    OP_BINARY = 0x2,
    OP_CLOSE = 0x8,
    OP_PING = 0x9,
    OP_PONG = 0xA,
};

#define FIN 0x80u
#define RESERVED 0x70u
#define OPCODE 0x0Fu
#define CONTROL 0x08u
#define MASKED 0x80u
#define LENGTH 0x7Fu

void websocket_frames_init(struct websocket_frames *frames, uint64_t limit_bytes)
{
    *frames = (struct websocket_frames){.limit_bytes = limit_bytes};
}

static unsigned opcode_of(const struct websocket_frames *frames)
{
    return frames->head[0] & OPCODE;
}

static bool is_final(const struct websocket_frames *frames)
{
    return (frames->head[0] & FIN) != 0;
}

static bool is_control(const struct websocket_frames *frames)
{
    return (frames->head[0] & CONTROL) != 0;
}

static enum err refuse(
    struct websocket_event *event, struct why *why, unsigned code, const char *sentence)
{
    event->code = code;
    return fail(ERR_PROTOCOL, why, "%s", sentence);
}

/* ---- the head -------------------------------------------------------------------------------- */

static enum err check_opcode(
    const struct websocket_frames *frames, struct websocket_event *event, struct why *why)
{
    unsigned opcode = opcode_of(frames);
    switch (opcode) {
    case OP_TEXT:
        return refuse(event, why, WEBSOCKET_UNSUPPORTED,
            "it sent a WebSocket text frame, MQTT goes in binary ones");
    case OP_BINARY:
        if (frames->in_message)
            return refuse(
                event, why, WEBSOCKET_PROTOCOL, "it began a WebSocket message within another");
        return ERR_NONE;
    case OP_CONTINUATION:
        if (!frames->in_message)
            return refuse(event, why, WEBSOCKET_PROTOCOL,
                "it went on with a WebSocket message that it had not begun");
        return ERR_NONE;
    case OP_CLOSE:
    case OP_PING:
    case OP_PONG:
        return ERR_NONE;
    default:
        event->code = WEBSOCKET_PROTOCOL;
        return fail(ERR_PROTOCOL, why, "it sent a WebSocket frame of the reserved kind %u", opcode);
    }
}

/* What the first two bytes say, of which the size of the head follows. */
static enum err read_kind(
    struct websocket_frames *frames, struct websocket_event *event, struct why *why)
{
    unsigned length = frames->head[1] & LENGTH;
    if ((frames->head[0] & RESERVED) != 0)
        return refuse(event, why, WEBSOCKET_PROTOCOL,
            "it set a reserved bit of a WebSocket frame, no extension was agreed on");
    enum err err = check_opcode(frames, event, why);
    if (err != ERR_NONE)
        return err;
    if ((frames->head[1] & MASKED) == 0)
        return refuse(event, why, WEBSOCKET_PROTOCOL, "it sent a WebSocket frame without a mask");
    if (is_control(frames) && (!is_final(frames) || length > WEBSOCKET_CONTROL_BYTES))
        return refuse(event, why, WEBSOCKET_PROTOCOL,
            "it sent a WebSocket control frame in fragments or of more than 125 bytes");
    frames->head_size = length == 127 ? 14 : length == 126 ? 8 : 6;
    return ERR_NONE;
}

static uint64_t read_length(const struct websocket_frames *frames)
{
    size_t width = frames->head_size - 6;
    uint64_t length = 0;
    if (width == 0)
        return frames->head[1] & LENGTH;
    for (size_t i = 0; i < width; i++)
        length = length << 8 | frames->head[2 + i];
    return length;
}

static enum err read_size(
    struct websocket_frames *frames, struct websocket_event *event, struct why *why)
{
    uint64_t length = read_length(frames);
    size_t width = frames->head_size - 6;
    if ((width == 2 && length < 126) || (width == 8 && (length <= UINT16_MAX || length >> 63 != 0)))
        return refuse(event, why, WEBSOCKET_PROTOCOL,
            "it wrote the length of a WebSocket frame in a form that is not the shortest");
    if (!is_control(frames)) {
        if (length > frames->limit_bytes || frames->message_bytes > frames->limit_bytes - length) {
            event->code = WEBSOCKET_TOO_BIG;
            return fail(ERR_PROTOCOL, why,
                "it sent a WebSocket message of more than %llu bytes (gateway.websocket_bytes)",
                (unsigned long long)frames->limit_bytes);
        }
        frames->message_bytes += length;
    }
    frames->left = length;
    frames->mask_at = 0;
    frames->control_len = 0;
    frames->in_payload = true;
    return ERR_NONE;
}

/* ERR_AGAIN until the head is complete. */
static enum err read_head(struct websocket_frames *frames, struct websocket_input *input,
    struct websocket_event *event, struct why *why)
{
    while (input->len > 0) {
        frames->head[frames->head_got++] = (unsigned char)*input->ptr++;
        input->len--;
        enum err err = frames->head_got == 2 ? read_kind(frames, event, why) : ERR_NONE;
        if (err != ERR_NONE)
            return err;
        if (frames->head_got > 2 && frames->head_got == frames->head_size)
            return read_size(frames, event, why);
    }
    return ERR_AGAIN;
}

/* ---- the payload ----------------------------------------------------------------------------- */

static struct span unmask(struct websocket_frames *frames, struct websocket_input *input)
{
    const unsigned char *mask = frames->head + frames->head_size - 4;
    size_t size = frames->left < input->len ? (size_t)frames->left : input->len;
    char *at = input->ptr;
    for (size_t i = 0; i < size; i++)
        at[i] = (char)((unsigned char)at[i] ^ mask[(frames->mask_at + i) & 3]);
    frames->mask_at = (frames->mask_at + (unsigned)(size & 3)) & 3;
    frames->left -= size;
    input->ptr += size;
    input->len -= size;
    return (struct span){at, size};
}

static bool is_code_of_a_peer(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static enum err read_close(
    const struct websocket_frames *frames, struct websocket_event *event, struct why *why)
{
    struct span payload = {frames->control, frames->control_len};
    event->kind = WEBSOCKET_CLOSE;
    event->code = WEBSOCKET_NORMAL;
    if (payload.len == 0)
        return ERR_NONE;
    unsigned code = payload.len == 1 ? 0
                                     : (unsigned)(unsigned char)payload.ptr[0] << 8 |
                                           (unsigned char)payload.ptr[1];
    if (!is_code_of_a_peer(code))
        return refuse(
            event, why, WEBSOCKET_PROTOCOL, "it sent a WebSocket Close with a code that is none");
    if (!span_is_utf8(span_from(payload, 2)))
        return refuse(event, why, WEBSOCKET_BAD_TEXT,
            "it sent a WebSocket Close with a reason that is no UTF-8");
    event->code = code;
    return ERR_NONE;
}

static enum err end_control(
    struct websocket_frames *frames, struct websocket_event *event, struct why *why)
{
    *event = (struct websocket_event){
        .kind = opcode_of(frames) == OP_PING ? WEBSOCKET_PING : WEBSOCKET_PONG,
        .bytes = {frames->control, frames->control_len},
    };
    if (opcode_of(frames) != OP_CLOSE)
        return ERR_NONE;
    frames->over = true;
    return read_close(frames, event, why);
}

static void end_frame(struct websocket_frames *frames)
{
    frames->in_payload = false;
    frames->head_got = 0;
    frames->head_size = 0;
    if (is_control(frames))
        return;
    frames->in_message = !is_final(frames);
    if (!frames->in_message)
        frames->message_bytes = 0;
}

/* ERR_AGAIN: no event of it. */
static enum err read_payload(struct websocket_frames *frames, struct websocket_input *input,
    struct websocket_event *event, struct why *why)
{
    struct span piece = unmask(frames, input);
    bool control = is_control(frames);
    bool ends = frames->left == 0;
    if (control && piece.len > 0) {
        memcpy(frames->control + frames->control_len, piece.ptr, piece.len);
        frames->control_len += piece.len;
    }
    if (ends)
        end_frame(frames);
    if (control)
        return ends ? end_control(frames, event, why) : ERR_AGAIN;
    *event = (struct websocket_event){.kind = WEBSOCKET_DATA, .bytes = piece};
    return piece.len > 0 ? ERR_NONE : ERR_AGAIN;
}

static enum err read_next(struct websocket_frames *frames, struct websocket_input *input,
    struct websocket_event *event, struct why *why)
{
    for (;;) {
        enum err err = frames->in_payload ? ERR_NONE : read_head(frames, input, event, why);
        if (err != ERR_NONE)
            return err;
        if (input->len == 0 && frames->left > 0)
            return ERR_AGAIN;
        err = read_payload(frames, input, event, why);
        if (err != ERR_AGAIN)
            return err;
    }
}

enum err websocket_read(struct websocket_frames *frames, struct websocket_input *input,
    struct websocket_event *ret_event, struct why *why)
{
    enum err err = frames->over ? ERR_AGAIN : read_next(frames, input, ret_event, why);
    if (err == ERR_PROTOCOL)
        frames->over = true;
    if (err == ERR_AGAIN)
        input->len = 0;
    return err;
}

/* ---- writing --------------------------------------------------------------------------------- */

size_t websocket_write_head(uint64_t size, char ret_head[WEBSOCKET_HEAD_BYTES])
{
    size_t width = size < 126 ? 0 : size <= UINT16_MAX ? 2 : 8;
    ret_head[0] = (char)(FIN | OP_BINARY);
    ret_head[1] = (char)(width == 0 ? size : width == 2 ? 126 : 127);
    for (size_t i = 0; i < width; i++)
        ret_head[2 + i] = (char)(size >> (8 * (width - 1 - i)));
    return 2 + width;
}

static void write_control(struct buf *out, enum opcode opcode, struct span payload)
{
    must(payload.len <= WEBSOCKET_CONTROL_BYTES);
    buf_add_byte(out, (char)(FIN | (unsigned)opcode));
    buf_add_byte(out, (char)payload.len);
    buf_add(out, payload);
}

void websocket_write_pong(struct buf *out, struct span payload)
{
    write_control(out, OP_PONG, payload);
}

void websocket_write_close(struct buf *out, unsigned code)
{
    const char bytes[2] = {(char)(code >> 8), (char)code};
    write_control(out, OP_CLOSE, (struct span){bytes, sizeof bytes});
}
