/* SPDX-License-Identifier: Apache-2.0 */
/* What an editor asks about the settings: the schema, and a verdict with places. */
#include "service_harness.h"

#include <stdlib.h>

#define CHECK "/gemel/v1/settings/check"

/* Judges a text that stands at ["properties","desired"], or is the section itself. */
static struct answer check(const char *text, bool whole)
{
    struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"text\":");
    json_write_string(span_of(text), &body);
    buf_add_text(&body, whole ? ",\"path\":[\"properties\",\"desired\"]}" : "}");
    char *copy = arena_text(&world.arena, buf_span(&body));
    buf_done(&body);
    struct answer answer = ask("POST", CHECK, copy, NULL);
    assert_int_equal(answer.status, 200);
    return answer;
}

static void the_schema_is_that_of_the_reference(void **state UNUSED)
{
    struct answer answer = ask("GET", "/gemel/v1/settings/schema", NULL, NULL);
    assert_int_equal(answer.status, 200);
    assert_string_equal(member(&answer, "$schema"), "https://json-schema.org/draft/2020-12/schema");
    assert_non_null(member(&answer, "properties.Process_Mode.x-group"));
}

static void a_good_document_has_effective_values_and_defaults(void **state UNUSED)
{
    struct answer answer = check("{\"Process_CacheSize\": 300}", false);
    assert_string_equal(member(&answer, "json.ok"), "true");
    assert_string_equal(member(&answer, "latest_state"), "success");
    assert_string_equal(member(&answer, "errors"), "[]");
    assert_string_equal(member(&answer, "effective.Process_CacheSize"), "300");
    assert_string_equal(member(&answer, "defaults.Process_CacheSize"), "256");
}

static void each_problem_has_its_place(void **state UNUSED)
{
    static const struct {
        const char *text;
        const char *field;
        const char *marked;
    } rows[] = {
        {"{\"Process_Mode\": \"Sometimes\"}", "Process_Mode", "\"Sometimes\""},
        {"{\n  \"Process_CacheSize\" : -5\n}", "Process_CacheSize", "-5"},
        {"{\"Process_Mod\": 1}", "Process_Mod", "\"Process_Mod\""},
        {"{\"Process_Mode\": {\"a\": [1, \"}\"]}}", "Process_Mode", "{\"a\": [1, \"}\"]}"},
        {"{\"a\\\"b\": 1}", "a\"b", "\"a\\\"b\""},
        {"{\"Log\\u0067er_x\" : 1}", "Logger_x", "\"Log\\u0067er_x\""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (int whole = 0; whole < 2; whole++) {
            const char *text =
                whole ? arena_format(&world.arena, "{\"tags\":{},\"properties\":{\"desired\":%s}}",
                            rows[i].text)
                      : rows[i].text;
            struct answer answer = check(text, whole);
            assert_string_equal(member(&answer, "json.ok"), "true");
            assert_string_equal(member(&answer, "latest_state"), "failed");
            assert_null(member(&answer, "effective"));
            assert_non_null(member(&answer, "defaults.Process_CacheSize"));
            assert_string_equal(member(&answer, "errors.0.field"), rows[i].field);
            long offset = strtol(member(&answer, "errors.0.offset"), NULL, 10);
            long length = strtol(member(&answer, "errors.0.length"), NULL, 10);
            assert_int_equal(offset, strstr(text, rows[i].marked) - text);
            assert_int_equal(length, strlen(rows[i].marked));
            assert_null(member(&answer, "errors.1"));
        }
    }
}

/* "ä" is one unit of UTF-16, "😀" is two. */
static void places_are_counted_in_utf_16(void **state UNUSED)
{
    struct answer answer = check(
        "{\"\xc3\xa4\xf0\x9f\x98\x80\": 1, \"Process_CacheSize\": \"\xf0\x9f\x98\x80\"}", false);
    assert_string_equal(member(&answer, "errors.0.offset"), "1");
    assert_string_equal(member(&answer, "errors.0.length"), "5");
    assert_string_equal(member(&answer, "errors.1.offset"), "32");
    assert_string_equal(member(&answer, "errors.1.length"), "4");
    answer = check("{\"\xf0\x9f\x98\x80\": x}", false);
    assert_string_equal(member(&answer, "json.ok"), "false");
    assert_string_equal(member(&answer, "json.offset"), "7");
    assert_string_equal(member(&answer, "json.sentence"), "a value is expected");
    assert_null(member(&answer, "latest_state"));
}

static void both_names_of_a_setting_are_marked(void **state UNUSED)
{
    struct answer answer = check(
        "{\"StatisticEvents_Process_Aggregated\":1,\"Process_Mode\":\"Auto\",\"x\":1,\"x,\":2}",
        false);
    assert_string_equal(member(&answer, "latest_state"), "failed");
    assert_non_null(member(&answer, "errors.1"));
}

static void a_section_that_is_absent_is_empty_and_another_kind_is_refused(void **state UNUSED)
{
    static const struct {
        const char *text;
        const char *state;
        const char *offset;
    } rows[] = {
        {"{}", "success", NULL},
        {"{\"properties\":{}}", "success", NULL},
        {"{\"properties\":{\"desired\":null}}", "success", NULL},
        {"{\"properties\":{\"desired\":[1]}}", "failed", "25"},
        {"{\"properties\":7}", "failed", "14"},
        {" 7", "failed", "1"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = check(rows[i].text, true);
        assert_string_equal(member(&answer, "latest_state"), rows[i].state);
        if (rows[i].offset == NULL)
            assert_string_equal(member(&answer, "errors"), "[]");
        else
            assert_string_equal(member(&answer, "errors.0.offset"), rows[i].offset);
    }
}

static void what_is_no_question_is_refused(void **state UNUSED)
{
    static const char *const bodies[] = {"{}", "[]", "{\"text\":1}",
        "{\"text\":\"{}\",\"path\":{}}", "{\"text\":\"{}\",\"path\":[1]}",
        "{\"text\":\"{}\",\"path\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}"};
    for (size_t i = 0; i < COUNT_OF(bodies); i++)
        assert_int_equal(ask("POST", CHECK, bodies[i], NULL).status, 400);
    struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"text\":\"");
    for (size_t i = 0; i <= 256 * 1024; i++)
        buf_add_byte(&body, ' ');
    buf_add_text(&body, "\"}");
    assert_int_equal(ask("POST", CHECK, body.ptr, NULL).status, 413);
    buf_done(&body);
}

static void a_hostile_text_of_many_bad_fields_is_judged_and_cut(void **state UNUSED)
{
    struct buf text = BUF_EMPTY;
    for (int i = 0; i < 5000; i++)
        buf_add_format(&text, "%s\"f%d\":1", i == 0 ? "{" : ",", i);
    buf_add_text(&text, "}");
    struct answer answer = check(text.ptr, false);
    assert_string_equal(member(&answer, "leftOut"), "4000");
    assert_non_null(member(&answer, "errors.999"));
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        TEST(the_schema_is_that_of_the_reference),
        TEST(a_good_document_has_effective_values_and_defaults),
        TEST(each_problem_has_its_place),
        TEST(places_are_counted_in_utf_16),
        TEST(both_names_of_a_setting_are_marked),
        TEST(a_section_that_is_absent_is_empty_and_another_kind_is_refused),
        TEST(what_is_no_question_is_refused),
        TEST(a_hostile_text_of_many_bad_fields_is_judged_and_cut),
    };
    return cmocka_run_group_tests_name("service settings", tests, NULL, NULL);
}
