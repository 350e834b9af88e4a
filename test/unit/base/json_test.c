/* SPDX-License-Identifier: Apache-2.0 */
#include "in_arena.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static struct json *parsed(struct span text)
{
    struct json *value = NULL;
    struct why why = {""};
    if (json_parse(&arena, text, 0, &value, &why) != ERR_NONE)
        fail_msg("'%.*s' was refused: %s", SPAN_ARG(text), why.text);
    return value;
}

static void assert_refused(struct span text)
{
    struct json *value = NULL;
    struct why why = {""};
    if (json_parse(&arena, text, 0, &value, &why) != ERR_FORMAT)
        fail_msg("'%.*s' was not refused", SPAN_ARG(text));
    assert_null(value);
    assert_memory_equal(why.text, "line ", 5);
}

static void assert_written(const struct json *value, const char *expected)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    json_write(value, &out);
    assert_false(out.failed);
    assert_string_equal(out.ptr, expected);
}

static void what_is_written_compactly_comes_back_byte_for_byte(void **state UNUSED)
{
    static const char *const texts[] = {"null", "true", "false", "0", "-0", "1.10",
        "0.10000000000000001", "0.1", "1e5", "1E+5", "1e-5", "-12.5e3", "123456789012345678901234",
        "1e999", "\"\"", "\"text\"", "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"", "[]", "{}",
        "[null,true,0,\"x\",[],{}]", "[[[[[[]]]]]]", "{\"z\":1,\"a\":2,\"m\":{\"z\":1.0,\"a\":[]}}",
        "{\"\":0}", "{\"a b\":{\"$version\":4}}", "\"\\\"\\\\\\b\\f\\n\\r\\t\"",
        "\"\\u0000\\u001f\"", "\"/\""};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_written(parsed(span_of(texts[i])), texts[i]);
}

static void blanks_between_tokens_do_not_matter(void **state UNUSED)
{
    struct json *value = parsed(S("\t\r\n { \"a\" :\n[ 1 ,\t2 ] , \"b\" : { } } \n"));
    assert_written(value, "{\"a\":[1,2],\"b\":{}}");
}

static void escapes_become_their_bytes(void **state UNUSED)
{
    const struct {
        struct span text;
        struct span bytes;
    } rows[] = {
        {S("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), S("\"\\/\b\f\n\r\t")},
        {S("\"\\u0041\\u00e4\\u20AC\""), S("A\xC3\xA4\xE2\x82\xAC")},
        {S("\"\\u0000\""), S("\0")},
        {S("\"\\uD83D\\uDE00\""), S("\xF0\x9F\x98\x80")},
        {S("\"\\ud800\\udc00\\udbff\\udfff\""), S("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
        {S("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
            S("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF")},
        {S("\"\x7F\""), S("\x7F")},
        {S("\"\\\\u0041\""), S("\\u0041")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json *value = parsed(rows[i].text);
        assert_int_equal(value->kind, JSON_STRING);
        assert_true(span_eq(value->text, rows[i].bytes));
    }
}

static void texts_that_are_no_json_are_refused(void **state UNUSED)
{
    const struct span texts[] = {/* nothing, words, two values */
        S(""), S(" "), S("nul"), S("nulll"), S("True"), S("NaN"), S("Infinity"), S("undefined"),
        S("1 2"), S("{}{}"), S("[]x"), S("null\0"), S("\xEF\xBB\xBF{}"), S("// x\n1"),
        /* numbers */
        S("-"), S("+1"), S("01"), S("-01"), S("00"), S("1."), S(".5"), S("1.e5"), S("1e"), S("1e+"),
        S("0x10"), S("1_000"), S("--1"), S("1,5"), S("-a"), S("1e5.5"), S("0e"), S("1\xC2\xB2"),
        /* strings */
        S("\""), S("\"abc"), S("\"\\\""), S("'a'"), S("\"\n\""), S("\"\t\""), S("\"\0\""),
        S("\"\\x41\""), S("\"\\u12\""), S("\"\\u12G4\""), S("\"\\u\""), S("\"\\U0041\""),
        S("\"\\ \""), S("\"\\\0\""), S("\"\\"), S("\"\\u00"), S("\"\x1F\""),
        /* surrogates and UTF-8 */
        S("\"\\ud83d\""), S("\"\\ude00\""), S("\"\\ud83d\\ud83d\""), S("\"\\ud83dx\""),
        S("\"\\ud83d\\n\""), S("\"\\ud83d\\u0041\""), S("\"\\ud83d\\u\""), S("\"\xC3\""),
        S("\"\xC0\x80\""), S("\"\xED\xA0\x80\""), S("\"\xF4\x90\x80\x80\""), S("\"\xFF\""),
        /* arrays */
        S("["), S("]"), S("[1"), S("[1,"), S("[1,]"), S("[,1]"), S("[,]"), S("[1 2]"), S("[1,,2]"),
        S("[}"), S("[1:2]"), S("[\"a\": 1]"),
        /* objects */
        S("{"), S("}"), S("{\"a\"}"), S("{\"a\":}"), S("{\"a\":1,}"), S("{,}"), S("{a:1}"),
        S("{'a':1}"), S("{1:1}"), S("{null:1}"), S("{\"a\" 1}"), S("{\"a\":1 \"b\":2}"),
        S("{\"a\":1]"), S("{\"a\":1"), S("{\"a\"::1}"), S("{\"a\",1}"), S("{\"a\":1,,\"b\":2}")};
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_refused(texts[i]);
}

static void a_name_that_stands_twice_is_refused_in_small_and_large_objects(void **state UNUSED)
{
    assert_refused(S("{\"a\":1,\"a\":1}"));
    assert_refused(S("{\"x\":{\"a\":1,\"b\":2,\"a\":3}}"));
    assert_refused(S("{\"a\":1,\"\\u0061\":2}"));
    assert_refused(S("{\"\":1,\"\":2}"));
    parsed(S("{\"a\":{\"a\":{\"a\":1}},\"A\":1}"));
    for (unsigned count = 2; count < 200; count++) {
        AUTO(buf_done) struct buf text = BUF_EMPTY;
        buf_add_text(&text, "{\"first\":0");
        for (unsigned i = 0; i < count; i++)
            buf_add_format(&text, ",\"name%u\":%u", i, i);
        size_t good = text.len;
        buf_add_byte(&text, '}');
        assert_int_equal(parsed(buf_span(&text))->count, count + 1);
        text.len = good;
        buf_add_format(&text, ",\"name%u\":0}", count / 2);
        assert_refused(buf_span(&text));
    }
}

static void a_refusal_says_where_and_what(void **state UNUSED)
{
    const struct {
        struct span text;
        const char *sentence;
    } rows[] = {
        {S(""), "line 1, column 1: a value is expected, the text ends here"},
        {S("\xEF\xBB\xBF{}"),
            "line 1, column 1: the text begins with a byte order mark: save it without one"},
        {S("{\n  \"a\": 1,\n  \"b\" 2\n}"),
            "line 3, column 7: a colon is expected behind the name"},
        {S("[1,\n2,\n,3]"), "line 3, column 1: a value is expected"},
        {S("{\"a\":01}"), "line 1, column 7: a number has no leading zero"},
        {S("[1"), "line 1, column 3: ',' or ']' is expected here"},
        {S("{\"a\":1"), "line 1, column 7: ',' or '}' is expected here"},
        {S("{\"k\":1,\"k\":2}"), "line 1, column 12: the name \"k\" stands twice in one object"},
        {S(" \"abc"), "line 1, column 2: the string has no end"},
        {S("\"ab\\qc\""), "line 1, column 4: this escape does not exist"},
        {S("1 x"), "line 1, column 3: nothing may follow the value"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json *value;
        struct why why;
        assert_int_equal(json_parse(&arena, rows[i].text, 0, &value, &why), ERR_FORMAT);
        assert_string_equal(why.text, rows[i].sentence);
    }
}

static void a_very_long_name_that_stands_twice_fits_the_sentence(void **state UNUSED)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    for (int i = 0; i < 2; i++) {
        buf_add_text(&text, i == 0 ? "{\"" : ",\"");
        for (int k = 0; k < 3000; k++)
            buf_add_text(&text, "\xC3\xA4");
        buf_add_text(&text, "\":1");
    }
    buf_add_byte(&text, '}');
    assert_refused(buf_span(&text));
}

static void nesting_ends_at_the_depth_that_was_allowed(void **state UNUSED)
{
    for (unsigned allowed = 1; allowed <= 20; allowed++) {
        for (unsigned depth = 1; depth <= 21; depth++) {
            AUTO(buf_done) struct buf text = BUF_EMPTY;
            for (unsigned i = 0; i < depth; i++)
                buf_add_text(&text, i % 2 == 0 ? "[" : "{\"a\":");
            if (depth % 2 == 0)
                buf_add_byte(&text, '0');
            for (unsigned i = depth; i > 0; i--)
                buf_add_byte(&text, i % 2 == 1 ? ']' : '}');
            struct json *value;
            enum err err = json_parse(&arena, buf_span(&text), allowed, &value, NULL);
            assert_int_equal(err, depth <= allowed ? ERR_NONE : ERR_FORMAT);
        }
    }
}

static void a_hundred_thousand_brackets_do_not_hurt_the_stack(void **state UNUSED)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    char *room = buf_reserve(&text, 100000);
    assert_non_null(room);
    memset(room, '[', 100000);
    text.len = 100000;
    assert_refused(buf_span(&text));
}

static void every_cut_of_a_good_text_is_refused(void **state UNUSED)
{
    struct span whole = S("{\"a\":[1.5e3,true,null,\"x\\u00e4\\n\"],\"b\":{\"c\":-0}}");
    for (size_t len = 0; len < whole.len; len++) {
        /* A copy of exactly this size lets the sanitizer see a read past its end. */
        char *copy = mem_alloc(len);
        memcpy(copy, whole.ptr, len);
        assert_refused((struct span){copy, len});
        mem_free(copy);
    }
    parsed(whole);
}

static void whatever_allocation_fails_the_answer_is_no_memory(void **state UNUSED)
{
    static const char source[] =
        "{\"a\":[1,\"x\",{\"k1\":1,\"k2\":1,\"k3\":1,\"k4\":1,\"k5\":1,\"k6\":1,\"k7\":1,\"k8\":1,"
        "\"k9\":1,\"k10\":1,\"k11\":1,\"k12\":1,\"k13\":1}],\"b\":\"text\"}";
    enum err err = ERR_MEMORY;
    int runs = 0;
    for (; err == ERR_MEMORY; runs++) {
        struct arena small;
        struct json *value = NULL;
        arena_init(&small, 0);
        mem_fail_after(runs);
        err = json_parse(&small, span_of(source), 0, &value, NULL);
        mem_fail_after(-1);
        assert_int_equal(value == NULL, err == ERR_MEMORY);
        arena_done(&small);
    }
    assert_int_equal(err, ERR_NONE);
    assert_true(runs > 2);
}

static void whatever_the_arenas_limit_it_is_kept(void **state UNUSED)
{
    struct span text = S("{\"a\":[1,2,3,\"text\"],\"b\":{\"c\":\"d\"}}");
    enum err err = ERR_MEMORY;
    for (size_t limit = 1; err == ERR_MEMORY; limit += 8) {
        struct arena small;
        struct json *value;
        struct why why = {""};
        arena_init(&small, limit);
        err = json_parse(&small, text, 0, &value, &why);
        assert_true(small.used_bytes <= limit);
        assert_int_equal(err == ERR_NONE, why.text[0] == '\0');
        arena_done(&small);
    }
    assert_int_equal(err, ERR_NONE);
}

static void a_value_knows_where_it_began(void **state UNUSED)
{
    struct json *value = parsed(S("  {\"a\": 12, \"b\": [true]}"));
    assert_int_equal(value->offset, 2);
    assert_int_equal(json_find_text(value, "a")->offset, 8);
    assert_int_equal(json_find_text(value, "b")->offset, 17);
    assert_int_equal(json_find_text(value, "b")->first->offset, 18);
}

static void a_refusal_knows_its_place(void **state UNUSED)
{
    static const struct {
        const char *text;
        size_t fault;
    } rows[] = {
        {"", 0},
        {"{\"a\":}", 5},
        {"{\n \"a\": 1,\n \"\xc3\xa4\": 2 x}", 20},
        {"{\"a\":1,\"a\":2}", 11},
        {"[1] 2", 4},
        {"\"\\q\"", 1},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json *value = NULL;
        struct why why = {""};
        size_t fault = 999;
        assert_int_equal(
            json_parse_located(&arena, span_of(rows[i].text), 0, &value, &fault, &why), ERR_FORMAT);
        assert_int_equal(fault, rows[i].fault);
        assert_null(strstr(why.text, "line"));
        assert_true(why.text[0] != '\0');
    }
}

static void a_value_and_its_name_are_found_in_the_source(void **state UNUSED)
{
    static const struct {
        const char *name; /* as it is written */
        const char *value;
    } rows[] = {
        {"\"a\"", "12"},
        {"\"b\"", "-1.50e3"},
        {"\"c\"", "true"},
        {"\"\"", "null"},
        {"\"q\\\"q\"", "\"x\\\"}\\\\\""},
        {"\"back\\\\\"", "\"\""},
        {"\"\\\"\"", "[]"},
        {"\"\\\\\\\"\"", "{ }"},
        {"\"\\u0041\xc3\xa4\"", "{\"a\": [\"]}\\\"\", {\"b\" : [ 1 , 2 ]}]}"},
        {"\":\"", "\":\""},
        {"\"z\"", "[{}, \"[\", 1]"},
    };
    for (size_t form = 0; form < 3; form++) {
        AUTO(buf_done) struct buf text = BUF_EMPTY;
        buf_add_text(&text, " {");
        for (size_t i = 0; i < COUNT_OF(rows); i++)
            switch (form) {
            case 0:
                buf_add_format(&text, "%s%s:%s", i == 0 ? "" : ",", rows[i].name, rows[i].value);
                break;
            case 1:
                buf_add_format(
                    &text, "%s\n %s \t:\r\n %s ", i == 0 ? "" : ",", rows[i].name, rows[i].value);
                break;
            default:
                buf_add_format(
                    &text, "%s %s : %s\n", i == 0 ? "" : ",", rows[i].name, rows[i].value);
            }
        buf_add_text(&text, "}");
        struct json *object = parsed(buf_span(&text));
        size_t at = 0;
        json_each (member, object) {
            struct span name = json_name_source(buf_span(&text), member);
            struct span value = json_source(buf_span(&text), member);
            if (!span_is(name, rows[at].name) || !span_is(value, rows[at].value))
                fail_msg("'%.*s' '%.*s'", SPAN_ARG(name), SPAN_ARG(value));
            at++;
        }
        assert_int_equal(at, COUNT_OF(rows));
        struct span whole = json_source(buf_span(&text), object);
        assert_int_equal(whole.len, text.len - 1);
        assert_int_equal(json_name_source(buf_span(&text), object).len, 0);
    }
}

static void items_of_arrays_have_no_name(void **state UNUSED)
{
    struct span text = S("[1, \"a\" , {\"b\":[2]}]");
    struct json *array = parsed(text);
    assert_true(span_is(json_source(text, array), "[1, \"a\" , {\"b\":[2]}]"));
    json_each (item, array)
        assert_int_equal(json_name_source(text, item).len, 0);
    assert_true(span_is(json_source(text, array->first), "1"));
    assert_true(span_is(json_source(text, array->last), "{\"b\":[2]}"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_arena, close_arena)
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_compactly_comes_back_byte_for_byte),
        TEST(blanks_between_tokens_do_not_matter),
        TEST(escapes_become_their_bytes),
        TEST(texts_that_are_no_json_are_refused),
        TEST(a_name_that_stands_twice_is_refused_in_small_and_large_objects),
        TEST(a_refusal_says_where_and_what),
        TEST(a_very_long_name_that_stands_twice_fits_the_sentence),
        TEST(nesting_ends_at_the_depth_that_was_allowed),
        TEST(a_hundred_thousand_brackets_do_not_hurt_the_stack),
        TEST(every_cut_of_a_good_text_is_refused),
        TEST(whatever_allocation_fails_the_answer_is_no_memory),
        TEST(whatever_the_arenas_limit_it_is_kept),
        TEST(a_value_knows_where_it_began),
        TEST(a_refusal_knows_its_place),
        TEST(a_value_and_its_name_are_found_in_the_source),
        TEST(items_of_arrays_have_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
