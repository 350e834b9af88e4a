/* SPDX-License-Identifier: Apache-2.0 */
/* Items that were read must read back the same after they were written. */
#include "bag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size};
    struct arena arena;
    struct bag_item item;
    struct bag_item again;
    struct why why = {""};
    enum err err;
    arena_init(&arena, 0);
    while ((err = bag_next(&arena, &rest, &item, &why)) == ERR_NONE) {
        struct buf out = BUF_EMPTY;
        struct bag_writer writer = {&out, false};
        (void)bag_system_by_key(item.key);
        if (item.has_value)
            bag_add(&writer, item.key, item.value);
        else
            bag_add_null(&writer, item.key);
        struct span written = buf_span(&out);
        must(bag_next(&arena, &written, &again, NULL) == ERR_NONE);
        must(span_eq(again.key, item.key) && span_eq(again.value, item.value));
        must(again.has_value == item.has_value);
        buf_done(&out);
    }
    must(err == ERR_NOT_FOUND || (err == ERR_FORMAT && why.text[0] != '\0'));
    arena_done(&arena);
    return 0;
}
