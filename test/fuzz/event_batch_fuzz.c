/* SPDX-License-Identifier: Apache-2.0 */
/* The bags of a batch that was read must be readable, and without memory nothing may be returned.
 */
#include "event_batch.h"

#define LITTLE_BYTES 2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum err read_within(struct span text, size_t limit)
{
    struct event_message *messages = NULL;
    struct bag_item item;
    struct arena arena;
    struct why why = {""};
    size_t count = 0;
    arena_init(&arena, limit);
    enum err err = event_batch_read(&arena, text, &messages, &count, &why);
    must(err == ERR_NONE ? count > 0 && count <= EVENT_BATCH_MAX : count == 0 && messages == NULL);
    must(err == ERR_NONE || err == ERR_MEMORY || why.text[0] != '\0');
    for (size_t i = 0; i < count; i++) {
        struct span rest = messages[i].properties;
        struct arena pieces;
        enum err next;
        arena_init(&pieces, 0);
        while ((next = bag_next(&pieces, &rest, &item, &why)) == ERR_NONE) {
        }
        must(next == ERR_NOT_FOUND || next == ERR_FORMAT);
        arena_done(&pieces);
    }
    arena_done(&arena);
    return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct span text = {(const char *)data, size};
    enum err err = read_within(text, 0);
    enum err little = read_within(text, LITTLE_BYTES);
    must(little == err || little == ERR_MEMORY);
    return 0;
}
