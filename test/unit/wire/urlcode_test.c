/* SPDX-License-Identifier: Apache-2.0 */
#include "urlcode.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static void all_but_unreserved_characters_are_encoded(void **state UNUSED)
{
    const struct {
        struct span text;
        struct span encoded;
    } rows[] = {
        {S(""), S("")},
        {S("azAZ09-._~"), S("azAZ09-._~")},
        {S("a b+c"), S("a%20b%2Bc")},
        {S("Hub.local/devices/d#1/x"), S("Hub.local%2Fdevices%2Fd%231%2Fx")},
        {S("!'()*"), S("%21%27%28%29%2A")},
        {S("\0\xC3\xBC"), S("%00%C3%BC")},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = BUF_EMPTY;
        struct arena arena;
        struct span back;
        arena_init(&arena, 0);
        url_encode(rows[i].text, &out);
        assert_true(span_eq(buf_span(&out), rows[i].encoded));
        assert_int_equal(url_decode(&arena, buf_span(&out), &back, NULL), ERR_NONE);
        assert_true(span_eq(back, rows[i].text));
        arena_done(&arena);
        buf_done(&out);
    }
}

static void decoding_takes_either_case_and_leaves_the_plus_alone(void **state UNUSED)
{
    struct arena arena;
    struct span text;
    arena_init(&arena, 0);
    assert_int_equal(url_decode(&arena, S("%2f%2F+%25"), &text, NULL), ERR_NONE);
    assert_true(span_is(text, "//+%"));
    arena_done(&arena);
}

static void broken_escapes_are_refused_with_their_place(void **state UNUSED)
{
    const struct span rows[] = {S("ab%"), S("ab%2"), S("ab%g0"), S("ab%0g"), S("ab%%20")};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena;
        struct span text = S("untouched");
        struct why why = {""};
        arena_init(&arena, 0);
        assert_int_equal(url_decode(&arena, rows[i], &text, &why), ERR_FORMAT);
        assert_true(span_is(text, "untouched"));
        assert_non_null(strstr(why.text, "character 3"));
        arena_done(&arena);
    }
}

static void text_must_be_utf8_without_nul(void **state UNUSED)
{
    struct arena arena;
    struct span text;
    arena_init(&arena, 0);
    assert_int_equal(url_decode_text(&arena, S("%C3%BC"), &text, NULL), ERR_NONE);
    assert_int_equal(url_decode_text(&arena, S("%C3"), &text, NULL), ERR_FORMAT);
    assert_int_equal(url_decode_text(&arena, S("\xFF"), &text, NULL), ERR_FORMAT);
    assert_int_equal(url_decode_text(&arena, S("a%00"), &text, NULL), ERR_FORMAT);
    mem_fail_after(0);
    assert_int_equal(url_decode_text(&arena, S("%41"), &text, NULL), ERR_NONE); /* room is left */
    mem_fail_after(-1);
    arena_done(&arena);
    mem_fail_after(0);
    assert_int_equal(url_decode_text(&arena, S("%41"), &text, NULL), ERR_MEMORY);
    mem_fail_after(-1);
}

static void a_parameter_is_found_by_its_whole_name(void **state UNUSED)
{
    const struct {
        struct span query;
        const char *value; /* NULL: not there */
    } rows[] = {
        {S("from=1&device=d%231"), "d%231"},
        {S("device=a&device=b"), "a"},
        {S("device"), ""},
        {S("device="), ""},
        {S("xdevice=1&devices=2"), NULL},
        {S("Device=1"), NULL},
        {S(""), NULL},
        {S("a=device=1"), NULL},
        {S("device=a=b"), "a=b"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span value = SPAN_NONE;
        assert_int_equal(url_query_find(rows[i].query, "device", &value), rows[i].value != NULL);
        if (rows[i].value != NULL)
            assert_true(span_is(value, rows[i].value));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_but_unreserved_characters_are_encoded),
        cmocka_unit_test(decoding_takes_either_case_and_leaves_the_plus_alone),
        cmocka_unit_test(broken_escapes_are_refused_with_their_place),
        cmocka_unit_test(text_must_be_utf8_without_nul),
        cmocka_unit_test(a_parameter_is_found_by_its_whole_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
