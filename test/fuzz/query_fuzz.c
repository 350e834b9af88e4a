/* SPDX-License-Identifier: Apache-2.0 */
/* A query, a line end, and the document that it judges: which need be no JSON. */
#include "query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text_document {
    struct query_source source;
    struct span json;
};

static bool field_of(const struct query_source *self, enum query_field field, struct arena *arena,
    struct query_value *ret_value)
{
    const struct text_document *document = (const struct text_document *)self;
    must(field < QUERY_FIELD_COUNT);
    return query_value_of_json(arena, document->json, ret_value);
}

static void judge(
    const struct query *query, const struct text_document *document, struct arena *arena)
{
    struct buf out = BUF_EMPTY;
    bool matches;
    enum err err = query_matches(query, &document->source, arena, &matches);
    must(err == ERR_NONE || err == ERR_MEMORY);
    if (query_is_grouped(query)) {
        struct query_groups *groups = query_groups_new(query, arena, 2);
        struct query_place place = {0};
        uint64_t written;
        bool more = false;
        if (groups != NULL &&
            query_groups_add(groups, &document->source, arena, NULL) == ERR_NONE &&
            query_groups_write(groups, &place, 5, 1000, &out, &written, &place, &more) == ERR_NONE)
            must(written == 1 && !more);
    } else if (!query_is_whole(query)) {
        err = query_write_row(query, &document->source, arena, &out);
        must(err == ERR_NONE || err == ERR_MEMORY);
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size};
    struct span text = SPAN_NONE;
    struct arena arena;
    struct query *query;
    struct why why = {""};
    (void)span_cut(&rest, '\n', &text);
    struct text_document document = {.source = {.field = field_of}, .json = rest};
    arena_init(&arena, 1 << 22);
    enum err err = query_parse(&arena, text, &query_limits_default, &query, &why);
    if (err == ERR_NONE)
        judge(query, &document, &arena);
    else
        must((err == ERR_ARGUMENT && why.text[0] != '\0') || err == ERR_MEMORY);
    arena_done(&arena);
    return 0;
}
