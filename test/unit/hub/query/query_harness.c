/* SPDX-License-Identifier: Apache-2.0 */
#include "query_harness.h"

struct arena test_arena;

int arena_open(void **state UNUSED)
{
    arena_init(&test_arena, 0);
    return 0;
}

int arena_close(void **state UNUSED)
{
    arena_done(&test_arena);
    return 0;
}

static const char *const paths[QUERY_FIELD_COUNT] = {
#define FIELD(id, path, uses) [QUERY_##id] = (path),
#define ALIAS(id, path, uses)
#include "fields.def"
#undef FIELD
#undef ALIAS
    [QUERY_DESIRED_WHOLE] = "properties.desired",
    [QUERY_REPORTED_WHOLE] = "properties.reported",
};

static bool field_of(const struct query_source *self, enum query_field field, struct arena *arena,
    struct query_value *ret_value)
{
    const struct text_document *document = (const struct text_document *)self;
    struct span names[4];
    size_t count = 0;
    struct span rest = span_of(paths[field]);
    while (field != QUERY_JOB && span_cut(&rest, '.', &names[count]))
        count++;
    return query_value_at(arena, document->json, names, count, ret_value);
}

struct text_document document_of(const char *json)
{
    return (struct text_document){.source = {.field = field_of}, .json = span_of(json)};
}

struct query *parse(const char *text)
{
    struct query *query = NULL;
    struct why why = {""};
    if (query_parse(&test_arena, span_of(text), &query_limits_default, &query, &why) != ERR_NONE)
        fail_msg("%s: %s", text, why.text);
    return query;
}

const char *refusal(const char *text)
{
    struct query *query = NULL;
    struct why why = {""};
    if (query_parse(&test_arena, span_of(text), &query_limits_default, &query, &why) !=
        ERR_ARGUMENT)
        fail_msg("%s: it is taken", text);
    return arena_text(&test_arena, span_of(why.text));
}

bool matches(const struct query *query, const char *json)
{
    bool result = false;
    struct text_document document = document_of(json);
    assert_int_equal(query_matches(query, &document.source, &test_arena, &result), ERR_NONE);
    return result;
}

const char *row_of(const struct query *query, const char *json)
{
    struct buf out = BUF_EMPTY;
    struct text_document document = document_of(json);
    assert_int_equal(query_write_row(query, &document.source, &test_arena, &out), ERR_NONE);
    const char *text = arena_text(&test_arena, buf_span(&out));
    buf_done(&out);
    return text;
}
