/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static const struct column columns[] = {
    {"Id", "id", 4}, {"Version", "properties.desired.$version", 7}, {"Rest", "rest", 4}, {0}};

static void writes(const char *writer, const char *text, bool record, const char *want)
{
    struct arena arena;
    struct json *value = NULL;
    struct buf out = BUF_EMPTY;
    arena_init(&arena, 0);
    assert_int_equal(json_parse(&arena, span_of(text), 0, &value, NULL), ERR_NONE);
    const struct writer *row = writer_find(span_of(writer));
    if (record)
        row->record(value, columns, true, &out);
    else
        row->document(value, columns, &out);
    assert_string_equal(out.ptr, want);
    buf_done(&out);
    arena_done(&arena);
}

static void json_is_the_document_itself(void **state UNUSED)
{
    writes("json", "{\"b\":1.0,\"a\":[]}", false, "{\n  \"b\": 1.0,\n  \"a\": []\n}\n");
    writes("json", "{\"b\":1.0,\n\"a\":[1, 2]}", true, "{\"b\":1.0,\"a\":[1,2]}\n");
}

static void a_table_has_one_line_a_document(void **state UNUSED)
{
    writes("table",
        "[{\"id\":\"a\",\"properties\":{\"desired\":{\"$version\":12}},\"rest\":\"x\"},"
        "{\"id\":\"longer\"}]",
        false,
        "Id      Version  Rest\n"
        "------  -------  ----\n"
        "a       12       x\n"
        "longer           \n");
    writes("table", "[]", false, "Id  Version  Rest\n--  -------  ----\n");
}

static void cells_show_every_kind_of_value_on_one_line(void **state UNUSED)
{
    writes("table", "{\"id\":\"a\\nb\\u001b[31m\",\"rest\":[\"x\",\"y\"]}", false,
        "Id        Version  Rest\n"
        "--------  -------  ----\n"
        "a b [31m           x, y\n");
    writes("table", "{\"id\":null,\"rest\":{\"a\":[1,true]}}", false,
        "Id  Version  Rest\n"
        "--  -------  --------------\n"
        "             {\"a\":[1,true]}\n");
    writes("table", "{\"id\":\"\xC3\xBC\xC3\xBC\xC3\xBC\",\"rest\":1}", false,
        "Id   Version  Rest\n"
        "---  -------  ----\n"
        "\xC3\xBC\xC3\xBC\xC3\xBC           1\n");
}

static void records_keep_their_columns_where_they_fit(void **state UNUSED)
{
    writes("table", "{\"id\":\"abcdefg\",\"rest\":2}", true,
        "Id    Version  Rest\n"
        "----  -------  ----\n"
        "abcdefg         2\n");
}

static void no_other_writer_is_known(void **state UNUSED)
{
    assert_null(writer_find(S("yaml")));
    assert_null(writer_find(S("")));
    assert_null(writer_find(S("JSON")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_the_document_itself),
        cmocka_unit_test(a_table_has_one_line_a_document),
        cmocka_unit_test(cells_show_every_kind_of_value_on_one_line),
        cmocka_unit_test(records_keep_their_columns_where_they_fit),
        cmocka_unit_test(no_other_writer_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
