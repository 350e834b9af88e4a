/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory. Everything the project allocates goes through mem_alloc(), so that a test can let the
 * Nth allocation fail. An arena hands out pieces of few large blocks and frees them together: the
 * natural home of one parsed document or one request. Its limit bounds what a stranger can make us
 * allocate. Not for use from two threads at once; different arenas are independent.
 */
#ifndef GEMEL_MEM_H
#define GEMEL_MEM_H

#include "err.h"
#include "span.h"

/* Return NULL when there is no memory. Zeroed. mem_free(NULL) is fine. */
void *mem_alloc(size_t size) MUST_USE;
void *mem_resize(void *ptr, size_t size) MUST_USE; /* new bytes are not zeroed */
void mem_free(void *ptr);

/* Gives freed memory back to the kernel, when it is worth the walk through the heap: a program that
 * was busy for a moment is not to stay as large. */
void mem_give_back(void);
char *mem_text(struct span text) MUST_USE; /* a NUL-terminated copy */

/* Overwrites memory that held a secret; not optimised away. */
void mem_wipe(void *ptr, size_t size);

/* For tests: the allocation after `successes` more fails, once; negative: none fails. */
void mem_fail_after(long successes);

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used_bytes;
    size_t limit_bytes; /* 0: none */
};

/* Starts an arena; nothing is allocated before the first piece. */
void arena_init(struct arena *arena, size_t limit_bytes);
void arena_done(struct arena *arena);

/* Returns zeroed memory aligned for any type, or NULL at the limit or without memory. */
void *arena_alloc(struct arena *arena, size_t size) MUST_USE;

/* Copies a span into the arena, with a NUL behind it. False: no memory. */
bool arena_span(struct arena *arena, struct span source, struct span *ret_copy) MUST_USE;

/* Returns a NUL-terminated copy, or NULL without memory. */
char *arena_text(struct arena *arena, struct span source) MUST_USE;

/* Returns formatted text, or NULL without memory. */
char *arena_format(struct arena *arena, const char *format, ...) PRINTF_LIKE(2, 3) MUST_USE;

#endif
