/* SPDX-License-Identifier: Apache-2.0 */
/* Building, finding, changing, comparing and writing trees; json_test.c holds the parser's tests.
 */
#include "in_arena.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static void assert_written(const struct json *value, const char *expected)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    json_write(value, &out);
    assert_string_equal(out.ptr, expected);
}

static void a_set_member_keeps_its_place_and_a_new_one_comes_last(void **state UNUSED)
{
    struct json *object = json_of("{\"a\":1,\"b\":2,\"c\":3}");
    assert_true(json_set(&arena, object, S("b"), json_new_bool(&arena, true)));
    assert_true(json_set(&arena, object, S("c"), json_new_int(&arena, 9)));
    assert_true(json_set(&arena, object, S("d"), json_new(&arena, JSON_NULL)));
    assert_true(json_set(&arena, object, S("a"), json_new_string(&arena, S("x"))));
    assert_true(json_set(&arena, object, S("e"), json_new(&arena, JSON_OBJECT)));
    assert_int_equal(object->count, 5);
    assert_written(object, "{\"a\":\"x\",\"b\":true,\"c\":9,\"d\":null,\"e\":{}}");
}

static void a_builder_that_failed_is_not_set(void **state UNUSED)
{
    struct json *object = json_of("{}");
    struct json *array = json_of("[]");
    assert_false(json_set(&arena, object, S("a"), NULL));
    assert_false(json_append(array, NULL));
    assert_written(object, "{}");
    assert_written(array, "[]");
}

static void members_can_be_taken_from_every_place(void **state UNUSED)
{
    static const struct {
        const char *name;
        const char *left;
    } rows[] = {
        {"a", "{\"b\":2,\"c\":3,\"z\":0}"},
        {"b", "{\"a\":1,\"c\":3,\"z\":0}"},
        {"c", "{\"a\":1,\"b\":2,\"z\":0}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json *object = json_of("{\"a\":1,\"b\":2,\"c\":3}");
        struct json *taken = json_take(object, span_of(rows[i].name));
        assert_true(span_is(taken->key, rows[i].name));
        assert_null(json_take(object, span_of(rows[i].name)));
        assert_true(json_set(&arena, object, S("z"), json_new_int(&arena, 0)));
        assert_written(object, rows[i].left);
    }
    struct json *only = json_of("{\"a\":1}");
    assert_non_null(json_take(only, S("a")));
    assert_written(only, "{}");
    assert_true(json_set(&arena, only, S("b"), json_new_int(&arena, 1)));
    assert_written(only, "{\"b\":1}");
}

static void finding_in_what_is_no_object_finds_nothing(void **state UNUSED)
{
    assert_null(json_find(NULL, S("a")));
    assert_null(json_find_text(json_of("[1]"), "a"));
    assert_null(json_find_text(json_of("{\"a\":1}"), "A"));
    assert_int_equal(json_string_of(json_of("{\"a\":1}"), "a").len, 0);
    assert_true(span_is(json_string_of(json_of("{\"a\":\"x\"}"), "a"), "x"));
}

static void integers_are_read_when_they_are_written_as_such_and_fit(void **state UNUSED)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } rows[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"1.0", false, 0},
        {"1e3", false, 0},
        {"\"1\"", false, 0},
        {"true", false, 0},
        {"99999999999999999999999999", false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int64_t value = 4711;
        assert_int_equal(json_int64(json_of(rows[i].text), &value), rows[i].ok);
        assert_true(value == (rows[i].ok ? rows[i].value : 4711));
    }
}

static void doubles_are_read_when_they_are_finite(void **state UNUSED)
{
    double value = 0;
    assert_true(json_double(json_of("-1.5e2"), &value));
    assert_true(value > -150.01 && value < -149.99);
    assert_true(json_double(json_of("1e-999"), &value));
    assert_false(json_double(json_of("1e999"), &value));
    assert_false(json_double(json_of("-1e999"), &value));
    assert_false(json_double(json_of("\"1\""), &value));
}

static void built_integers_are_written_exactly(void **state UNUSED)
{
    assert_written(json_new_int(&arena, INT64_MIN), "-9223372036854775808");
    assert_written(json_new_int(&arena, INT64_MAX), "9223372036854775807");
    assert_written(json_new_int(&arena, 0), "0");
}

static void kinds_have_names_for_sentences(void **state UNUSED)
{
    assert_string_equal(json_kind_name(json_of("1")), "an integer");
    assert_string_equal(json_kind_name(json_of("1.5")), "a number");
    assert_string_equal(json_kind_name(json_of("1e5")), "a number");
    assert_string_equal(json_kind_name(json_of("{}")), "an object");
    assert_string_equal(json_kind_name(json_of("null")), "null");
    assert_string_equal(json_kind_name(NULL), "nothing");
}

static void equal_is_what_means_the_same(void **state UNUSED)
{
    static const struct {
        const char *a;
        const char *b;
        bool equal;
    } rows[] = {
        {"1", "1.0", true},
        {"1e2", "100", true},
        {"0.1", "0.10", true},
        {"9007199254740992", "9007199254740993", false},
        {"-0", "0", false},
        {"1", "\"1\"", false},
        {"true", "false", false},
        {"null", "null", true},
        {"{\"a\":1,\"b\":[1,2]}", "{\"b\":[1,2],\"a\":1}", true},
        {"{\"a\":1}", "{\"a\":1,\"b\":1}", false},
        {"{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false},
        {"[1,2]", "[2,1]", false},
        {"[]", "{}", false},
        {"[]", "[null]", false},
        {"\"a\"", "\"\\u0061\"", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json *a = json_of(rows[i].a);
        struct json *b = json_of(rows[i].b);
        if (json_equal(a, b) != rows[i].equal || json_equal(b, a) != rows[i].equal)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

static void a_copy_shares_nothing_with_its_source(void **state UNUSED)
{
    struct arena other;
    arena_init(&other, 0);
    struct json *source = json_of("{\"a\":[1,{\"b\":\"x\"}],\"c\":1.50}");
    struct json *copy = json_copy(&other, source);
    json_take(source, S("a"));
    arena_done(&arena);
    assert_written(copy, "{\"a\":[1,{\"b\":\"x\"}],\"c\":1.50}");
    arena_done(&other);
}

static void a_copy_without_memory_gives_nothing(void **state UNUSED)
{
    struct json *source = json_of("{\"a\":[1,{\"b\":\"x\"}]}");
    struct json *copy = NULL;
    for (size_t limit = 1; copy == NULL; limit += 16) {
        struct arena small;
        arena_init(&small, limit);
        copy = json_copy(&small, source);
        assert_true(copy == NULL || json_equal(copy, source));
        arena_done(&small);
        assert_true(limit < 10000);
    }
}

static void pretty_text_is_indented_and_empty_containers_stay_closed(void **state UNUSED)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    json_write_pretty(json_of("{\"a\":[1,{\"b\":null}],\"c\":{},\"d\":[]}"), 2, &out);
    assert_string_equal(out.ptr, "{\n  \"a\": [\n    1,\n    {\n      \"b\": null\n    }\n  ],\n"
                                 "  \"c\": {},\n  \"d\": []\n}");
}

static void any_bytes_are_written_as_a_readable_string(void **state UNUSED)
{
    const struct {
        struct span bytes;
        const char *text;
    } rows[] = {
        {S(""), "\"\""},
        {SPAN_NONE, "\"\""},
        {S("a\"b\\c/"), "\"a\\\"b\\\\c/\""},
        {S("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
        {S("\0\x01\x1F\x7F"), "\"\\u0000\\u0001\\u001f\\u007f\""},
        {S("\xC3\xA4"), "\"\xC3\xA4\""},
        {S("a\xFF\"\n"), "\"a\xEF\xBF\xBD\\\"\\n\""},
        {S("\xC3\xA4\xFF\xE2\x82\xAC"), "\"\xC3\xA4\xEF\xBF\xBD\xE2\x82\xAC\""},
        /* A character that breaks off is one mark, as decoders have it. */
        {S("\xC3\xA4\xF0\x9F\x98"), "\"\xC3\xA4\xEF\xBF\xBD\""},
        {S("\xE2\x82 \xE2\xC3\xA4"), "\"\xEF\xBF\xBD \xEF\xBF\xBD\xC3\xA4\""},
        {S("\xED\xA0\x80\xC0\xAF"),
            "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        AUTO(buf_done) struct buf out = BUF_EMPTY;
        struct json *value;
        json_write_string(rows[i].bytes, &out);
        assert_string_equal(out.ptr, rows[i].text);
        assert_int_equal(json_parse(&arena, buf_span(&out), 0, &value, NULL), ERR_NONE);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)
    const struct CMUnitTest tests[] = {
        TEST(a_set_member_keeps_its_place_and_a_new_one_comes_last),
        TEST(a_builder_that_failed_is_not_set),
        TEST(members_can_be_taken_from_every_place),
        TEST(finding_in_what_is_no_object_finds_nothing),
        TEST(integers_are_read_when_they_are_written_as_such_and_fit),
        TEST(doubles_are_read_when_they_are_finite),
        TEST(built_integers_are_written_exactly),
        TEST(kinds_have_names_for_sentences),
        TEST(equal_is_what_means_the_same),
        TEST(a_copy_shares_nothing_with_its_source),
        TEST(a_copy_without_memory_gives_nothing),
        TEST(pretty_text_is_indented_and_empty_containers_stay_closed),
        TEST(any_bytes_are_written_as_a_readable_string),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
