/* SPDX-License-Identifier: Apache-2.0 */
/* What is read must be the same however the input is cut, and keep within the limit. */
#include "websocket_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT 300

struct result {
    struct buf stream;
    struct buf controls;
    enum err err;
    unsigned code;
};

static void take(struct result *result, const struct websocket_event *event)
{
    if (event->kind == WEBSOCKET_DATA) {
        must(event->bytes.len > 0);
        buf_add(&result->stream, event->bytes);
        return;
    }
    must(event->bytes.len <= WEBSOCKET_CONTROL_BYTES);
    buf_add_byte(&result->controls, (char)event->kind);
    buf_add(&result->controls, event->bytes);
}

static struct result read_all(const uint8_t *data, size_t size, size_t step)
{
    struct result result = {.err = ERR_AGAIN};
    struct websocket_frames frames;
    websocket_frames_init(&frames, LIMIT);
    char piece[64];
    for (size_t at = 0; at < size && result.err == ERR_AGAIN; at += step) {
        struct websocket_input input = {piece, size - at < step ? size - at : step};
        memcpy(piece, data + at, input.len);
        struct websocket_event event = {.code = 0};
        while ((result.err = websocket_read(&frames, &input, &event, NULL)) == ERR_NONE)
            take(&result, &event);
        must(result.err == ERR_PROTOCOL || (result.err == ERR_AGAIN && input.len == 0));
        must(result.err != ERR_PROTOCOL || (event.code >= 1002 && event.code <= 1009));
        must(frames.message_bytes <= LIMIT);
        result.code = result.err == ERR_PROTOCOL ? event.code : 0;
    }
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct result whole = read_all(data, size, 64), cut = read_all(data, size, 1);
    must(whole.err == cut.err && whole.code == cut.code);
    must(span_eq(buf_span(&whole.stream), buf_span(&cut.stream)));
    must(span_eq(buf_span(&whole.controls), buf_span(&cut.controls)));
    buf_done(&whole.stream);
    buf_done(&whole.controls);
    buf_done(&cut.stream);
    buf_done(&cut.controls);
    return 0;
}
