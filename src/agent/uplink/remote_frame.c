/* SPDX-License-Identifier: Apache-2.0 */
#include "remote_frame.h"

#define HEAD_SIZE 9u /* length, kind, epoch */

static void add_u32(struct buf *out, uint32_t number)
{
    buf_add(out, (struct span){(const char *)&number, sizeof(number)});
}

static bool take_u32(struct span *bytes, uint32_t *ret_number)
{
    if (bytes->len < sizeof(*ret_number))
        return false;
    memcpy(ret_number, bytes->ptr, sizeof(*ret_number));
    *bytes = span_from(*bytes, sizeof(*ret_number));
    return true;
}

size_t remote_begin(struct buf *out, enum remote_kind kind, uint32_t epoch)
{
    size_t begin = out->len;
    add_u32(out, 0);
    buf_add_byte(out, (char)kind);
    add_u32(out, epoch);
    return begin;
}

void remote_end(struct buf *out, size_t begin)
{
    uint32_t length = (uint32_t)(out->len - begin - sizeof(length));
    if (!out->failed)
        memcpy(out->ptr + begin, &length, sizeof(length));
}

void remote_add_number(struct buf *out, int32_t number)
{
    add_u32(out, (uint32_t)number);
}

void remote_add_text(struct buf *out, struct span text)
{
    add_u32(out, text.ptr == NULL ? REMOTE_NONE : (uint32_t)text.len);
    buf_add(out, text);
}

enum err remote_read(struct span bytes, struct remote_frame *ret_frame, size_t *ret_size)
{
    uint32_t length;
    uint32_t epoch;
    struct span rest = bytes;
    if (!take_u32(&rest, &length))
        return ERR_NOT_FOUND;
    if (length < HEAD_SIZE - sizeof(length) || length > REMOTE_FRAME_MAX)
        return ERR_FORMAT;
    if (rest.len < length)
        return ERR_NOT_FOUND;
    rest = span_first(rest, length);
    unsigned char kind = (unsigned char)rest.ptr[0];
    rest = span_from(rest, 1);
    if (kind >= REMOTE_KIND_COUNT || !take_u32(&rest, &epoch))
        return ERR_FORMAT;
    *ret_frame = (struct remote_frame){(enum remote_kind)kind, epoch, rest};
    *ret_size = length + sizeof(length);
    return ERR_NONE;
}

bool remote_number(struct remote_frame *frame, int32_t *ret_number)
{
    uint32_t number;
    if (!take_u32(&frame->fields, &number))
        return false;
    *ret_number = (int32_t)number;
    return true;
}

bool remote_text(struct remote_frame *frame, struct span *ret_text)
{
    uint32_t length;
    if (!take_u32(&frame->fields, &length))
        return false;
    if (length == REMOTE_NONE) {
        *ret_text = SPAN_NONE;
        return true;
    }
    if (length > frame->fields.len)
        return false;
    *ret_text = length == 0 ? SPAN_LIT("") : span_first(frame->fields, length);
    frame->fields = span_from(frame->fields, length);
    return true;
}
