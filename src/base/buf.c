/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include "mem.h"

#include <stdio.h>

void buf_done(struct buf *buf)
{
    mem_free(buf->ptr);
    *buf = (struct buf){.limit_bytes = buf->limit_bytes};
}

void buf_wipe(struct buf *buf)
{
    if (buf->ptr != NULL)
        mem_wipe(buf->ptr, buf->cap);
    buf_done(buf);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

char *buf_reserve(struct buf *buf, size_t size)
{
    if (buf->failed)
        return NULL;
    bool over = buf->limit_bytes > 0 && size > buf->limit_bytes - buf->len;
    if (over || size > SIZE_MAX / 4 || buf->len > SIZE_MAX / 4) {
        buf->failed = true;
        return NULL;
    }
    size_t need = buf->len + size + 1;
    if (need > buf->cap) {
        size_t cap = buf->cap == 0 ? 64 : buf->cap;
        while (cap < need)
            cap *= 2;
        char *grown = mem_resize(buf->ptr, cap);
        if (grown == NULL) {
            buf->failed = true;
            return NULL;
        }
        buf->ptr = grown;
        buf->cap = cap;
    }
    return buf->ptr + buf->len;
}

void buf_add(struct buf *buf, struct span bytes)
{
    char *room = buf_reserve(buf, bytes.len);
    if (room == NULL)
        return;
    if (bytes.len > 0)
        memcpy(room, bytes.ptr, bytes.len);
    buf->len += bytes.len;
    buf->ptr[buf->len] = '\0';
}

void buf_add_text(struct buf *buf, const char *text)
{
    buf_add(buf, span_of(text));
}

void buf_add_byte(struct buf *buf, char byte)
{
    buf_add(buf, (struct span){&byte, 1});
}

void buf_add_format(struct buf *buf, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int len = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *room = len < 0 ? NULL : buf_reserve(buf, (size_t)len);
    if (room == NULL)
        return;
    va_start(list, format);
    vsnprintf(room, (size_t)len + 1, format, list);
    va_end(list);
    buf->len += (size_t)len;
}

void buf_drop(struct buf *buf, size_t size)
{
    must(size <= buf->len);
    buf->len -= size;
    if (buf->len > 0)
        memmove(buf->ptr, buf->ptr + size, buf->len);
    if (buf->ptr != NULL)
        buf->ptr[buf->len] = '\0';
}

char *buf_take(struct buf *buf, size_t *ret_len)
{
    char *bytes = buf->ptr;
    if (ret_len != NULL)
        *ret_len = buf->len;
    *buf = (struct buf){.limit_bytes = buf->limit_bytes};
    return bytes;
}
