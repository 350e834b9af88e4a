/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read and written must read back equal, and write the same text again. */
static void must_round_trip(const struct json *value)
{
    struct buf first = BUF_EMPTY;
    struct buf second = BUF_EMPTY;
    struct arena arena;
    struct json *again;
    arena_init(&arena, 0);
    json_write(value, &first);
    must(!first.failed);
    must(json_parse(&arena, buf_span(&first), 0, &again, NULL) == ERR_NONE);
    must(json_equal(value, again));
    json_write_pretty(again, 2, &second);
    must(json_parse(&arena, buf_span(&second), 0, &again, NULL) == ERR_NONE);
    buf_clear(&second);
    json_write(again, &second);
    must(span_eq(buf_span(&first), buf_span(&second)));
    arena_done(&arena);
    buf_done(&first);
    buf_done(&second);
}

/* What the places in the source hold reads as the name and the value themselves. */
static void must_be_found(struct span text, const struct json *container)
{
    json_each (child, container) {
        struct arena arena;
        struct json *again;
        arena_init(&arena, 0);
        must(json_parse(&arena, json_source(text, child), 0, &again, NULL) == ERR_NONE);
        must(json_equal(child, again));
        if (container->kind == JSON_OBJECT) {
            must(json_parse(&arena, json_name_source(text, child), 0, &again, NULL) == ERR_NONE);
            must(span_eq(again->text, child->key));
        }
        arena_done(&arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct arena arena;
    struct json *value;
    struct why why = {""};
    arena_init(&arena, 1 << 20);
    enum err err = json_parse(&arena, text, 0, &value, &why);
    if (err == ERR_NONE) {
        int64_t integer;
        double number;
        (void)json_int64(value, &integer);
        (void)json_double(value, &number);
        must_round_trip(value);
        must_be_found(text, value);
    } else {
        must(err == ERR_FORMAT || err == ERR_MEMORY);
        must(why.text[0] != '\0');
    }
    arena_done(&arena);
    return 0;
}
