/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A buffer of bytes that grows. The first append that finds no memory, or would pass the limit,
 * marks it failed; later appends then do nothing, so that a writer checks once, at its end.
 */
#ifndef GEMEL_BUF_H
#define GEMEL_BUF_H

#include "err.h"
#include "span.h"

struct buf {
    char *ptr; /* owned; a NUL stands behind the bytes whenever len > 0 */
    size_t len;
    size_t cap;
    size_t limit_bytes; /* 0: none */
    bool failed;
};

#define BUF_EMPTY ((struct buf){0})

void buf_done(struct buf *buf);

/* The same for what held a secret: its bytes are overwritten first. */
void buf_wipe(struct buf *buf);
void buf_clear(struct buf *buf); /* keeps the memory */

void buf_add(struct buf *buf, struct span bytes);
void buf_add_text(struct buf *buf, const char *text);
void buf_add_byte(struct buf *buf, char byte);
void buf_add_format(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);

/* Makes room for `size` more bytes and returns where they go, or NULL; then add to `len`. */
char *buf_reserve(struct buf *buf, size_t size);

/* Drops the first `size` bytes. */
void buf_drop(struct buf *buf, size_t size);

/* Moves the bytes out (NUL-terminated, the caller frees them); the buffer is empty afterwards. */
char *buf_take(struct buf *buf, size_t *ret_len);

static inline struct span buf_span(const struct buf *buf)
{
    return (struct span){buf->ptr, buf->len};
}

#endif
