/* SPDX-License-Identifier: Apache-2.0 */
#include "mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

/* The blocks of an arena double up to this size; a larger piece gets a block of its own. */
#define FIRST_BLOCK_BYTES 2048u
#define LAST_BLOCK_BYTES 65536u

/* Free memory that a heap may keep. */
#define SPARE_BYTES ((size_t)128 * 1024)

static long fail_after = -1;

void mem_fail_after(long successes)
{
    fail_after = successes;
}

static bool fails_now(void)
{
    if (__builtin_expect(fail_after < 0, 1))
        return false;
    return fail_after-- == 0;
}

void *mem_alloc(size_t size)
{
    return fails_now() ? NULL : calloc(1, size == 0 ? 1 : size);
}

void *mem_resize(void *ptr, size_t size)
{
    return fails_now() ? NULL : realloc(ptr, size == 0 ? 1 : size);
}

void mem_free(void *ptr)
{
    free(ptr);
}

void mem_give_back(void)
{
    /* What a trim leaves lies in pages that are in use: looking for it again would find nothing. */
    static _Atomic size_t scattered;
    if (mallinfo2().fordblks <= scattered + SPARE_BYTES)
        return;
    malloc_trim(0);
    scattered = mallinfo2().fordblks;
}

char *mem_text(struct span text)
{
    char *copy = mem_alloc(text.len + 1);
    if (copy != NULL && text.len > 0)
        memcpy(copy, text.ptr, text.len);
    return copy;
}

void mem_wipe(void *ptr, size_t size)
{
    if (ptr == NULL)
        return;
    volatile unsigned char *byte = ptr;
    while (size-- > 0)
        *byte++ = 0;
}

struct arena_block {
    struct arena_block *next;
    size_t size;
    size_t used;
    _Alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){.limit_bytes = limit_bytes};
}

void arena_done(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block != NULL) {
        struct arena_block *next = block->next;
        mem_free(block);
        block = next;
    }
    arena->blocks = NULL;
    arena->used_bytes = 0;
}

static struct arena_block *add_block(struct arena *arena, size_t size)
{
    size_t block_size = arena->blocks == NULL ? FIRST_BLOCK_BYTES : arena->blocks->size * 2;
    if (block_size > LAST_BLOCK_BYTES)
        block_size = LAST_BLOCK_BYTES;
    if (block_size < size)
        block_size = size;
    struct arena_block *block = mem_alloc(sizeof(*block) + block_size);
    if (block == NULL)
        return NULL;
    block->size = block_size;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + align - 1) / align * align;
    if (arena->limit_bytes > 0 && size > arena->limit_bytes - arena->used_bytes)
        return NULL;
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < size) {
        block = add_block(arena, size);
        if (block == NULL)
            return NULL;
    }
    void *piece = block->bytes + block->used;
    block->used += size;
    arena->used_bytes += size;
    return piece;
}

bool arena_span(struct arena *arena, struct span source, struct span *ret_copy)
{
    char *copy = arena_text(arena, source);
    if (copy == NULL)
        return false;
    *ret_copy = (struct span){copy, source.len};
    return true;
}

char *arena_text(struct arena *arena, struct span source)
{
    char *copy = arena_alloc(arena, source.len + 1);
    if (copy != NULL && source.len > 0)
        memcpy(copy, source.ptr, source.len);
    return copy;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int len = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = len < 0 ? NULL : arena_alloc(arena, (size_t)len + 1);
    if (text == NULL)
        return NULL;
    va_start(list, format);
    vsnprintf(text, (size_t)len + 1, format, list);
    va_end(list);
    return text;
}
