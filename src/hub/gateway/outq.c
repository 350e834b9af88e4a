/* SPDX-License-Identifier: Apache-2.0 */
#include "outq.h"

#include "mem.h"

#define FIRST_CAPACITY 256

void outq_init(struct outq *queue, size_t limit_bytes)
{
    *queue = (struct outq){.limit_bytes = limit_bytes};
}

void outq_done(struct outq *queue)
{
    mem_free(queue->ptr);
    outq_init(queue, queue->limit_bytes);
}

static bool make_room(struct outq *queue, size_t size)
{
    if (queue->cap - queue->head - queue->len >= size)
        return true;
    if (queue->head > 0) {
        memmove(queue->ptr, queue->ptr + queue->head, queue->len);
        queue->head = 0;
        if (queue->cap - queue->len >= size)
            return true;
    }
    size_t cap = queue->cap == 0 ? FIRST_CAPACITY : queue->cap;
    while (cap - queue->len < size)
        cap *= 2;
    char *grown = mem_resize(queue->ptr, cap);
    if (grown == NULL)
        return false;
    queue->ptr = grown;
    queue->cap = cap;
    return true;
}

enum err outq_add(struct outq *queue, struct span bytes)
{
    if (bytes.len == 0)
        return ERR_NONE;
    if (bytes.len > queue->limit_bytes || queue->len > queue->limit_bytes - bytes.len)
        return ERR_FULL;
    if (!make_room(queue, bytes.len))
        return ERR_MEMORY;
    memcpy(queue->ptr + queue->head + queue->len, bytes.ptr, bytes.len);
    queue->len += bytes.len;
    return ERR_NONE;
}

struct span outq_first(const struct outq *queue, size_t max)
{
    if (queue->len == 0)
        return SPAN_NONE;
    return (struct span){queue->ptr + queue->head, queue->len < max ? queue->len : max};
}

void outq_drop(struct outq *queue, size_t size)
{
    must(size <= queue->len);
    queue->head += size;
    queue->len -= size;
    if (queue->len == 0)
        outq_done(queue);
}
