/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one connection still has to send: bytes that were accepted but did not fit into the socket
 * yet. Bounded, because a client that does not read must not make the hub grow: who gets ERR_FULL
 * closes the connection. An empty queue holds no memory, so that an idle connection costs nothing
 * here. Pure; one thread.
 */
#ifndef GEMEL_GATEWAY_OUTQ_H
#define GEMEL_GATEWAY_OUTQ_H

#include "err.h"
#include "span.h"

struct outq {
    char *ptr;
    size_t head; /* where the first byte that is not sent stands */
    size_t len;  /* bytes not sent */
    size_t cap;
    size_t limit_bytes;
};

void outq_init(struct outq *queue, size_t limit_bytes);
void outq_done(struct outq *queue);

/* Appends all bytes or none. ERR_FULL past the limit, ERR_MEMORY. */
enum err outq_add(struct outq *queue, struct span bytes) MUST_USE;

/* Borrows the first bytes, at most `max`; they stay until outq_drop(). */
struct span outq_first(const struct outq *queue, size_t max);

/* Forgets the first `size` bytes; gives the memory back once nothing is left. */
void outq_drop(struct outq *queue, size_t size);

static inline size_t outq_size(const struct outq *queue)
{
    return queue->len;
}

#endif
