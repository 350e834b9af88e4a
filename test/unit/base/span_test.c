/* SPDX-License-Identifier: Apache-2.0 */
#include "span.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static void a_cut_gives_every_part_and_a_last_empty_one(void **state UNUSED)
{
    const struct {
        struct span text;
        size_t count;
        const char *parts[4];
    } rows[] = {
        {S("a,b,c"), 3, {"a", "b", "c"}},
        {S("abc"), 1, {"abc"}},
        {S("a,"), 2, {"a", ""}},
        {S(","), 2, {"", ""}},
        {S(",,x"), 3, {"", "", "x"}},
        {S(""), 1, {""}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct span rest = rows[i].text;
        struct span part;
        size_t count = 0;
        while (span_cut(&rest, ',', &part)) {
            assert_true(count < rows[i].count);
            assert_true(span_is(part, rows[i].parts[count]));
            count++;
        }
        assert_int_equal(count, rows[i].count);
    }
}

static void nothing_can_be_cut_from_no_span(void **state UNUSED)
{
    struct span rest = SPAN_NONE;
    struct span part = S("untouched");
    assert_false(span_cut(&rest, ',', &part));
    assert_true(span_is(part, "untouched"));
}

static void numbers_are_digits_alone_and_keep_their_bound(void **state UNUSED)
{
    const struct {
        struct span text;
        uint64_t max;
        bool ok;
        uint64_t value;
    } rows[] = {
        {S("0"), 0, true, 0},
        {S("007"), 10, true, 7},
        {S("65535"), 65535, true, 65535},
        {S("65536"), 65535, false, 0},
        {S("18446744073709551615"), UINT64_MAX, true, UINT64_MAX},
        {S("18446744073709551616"), UINT64_MAX, false, 0},
        {S("99999999999999999999999"), UINT64_MAX, false, 0},
        {S(""), 10, false, 0},
        {S("+1"), 10, false, 0},
        {S("-1"), 10, false, 0},
        {S(" 1"), 10, false, 0},
        {S("1 "), 10, false, 0},
        {S("1x"), 10, false, 0},
        {S("1\0"), 10, false, 0},
        {S("0x1"), 10, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t value = 4711;
        assert_int_equal(span_u64(rows[i].text, rows[i].max, &value), rows[i].ok);
        assert_true(value == (rows[i].ok ? rows[i].value : 4711));
    }
}

static void utf8_is_judged_as_rfc_3629_says(void **state UNUSED)
{
    const struct {
        struct span text;
        bool ok;
    } rows[] = {
        {S(""), true},
        {S("plain\0text\x7F"), true},
        {S("\xC2\x80 \xDF\xBF"), true},
        {S("\xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF"), true},
        {S("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"), true},
        {S("\x80"), false},
        {S("\xBF"), false},
        {S("\xC0\xAF"), false},
        {S("\xC1\xBF"), false},
        {S("\xC2"), false},
        {S("\xC2 "), false},
        {S("\xE0\x9F\xBF"), false},
        {S("\xED\xA0\x80"), false},
        {S("\xED\xBF\xBF"), false},
        {S("\xE2\x82"), false},
        {S("\xF0\x8F\xBF\xBF"), false},
        {S("\xF4\x90\x80\x80"), false},
        {S("\xF5\x80\x80\x80"), false},
        {S("\xFE"), false},
        {S("\xFF"), false},
        {S("ok\xF0\x9F\x98"), false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(span_is_utf8(rows[i].text), rows[i].ok);
}

static void order_is_bytewise_and_a_prefix_comes_first(void **state UNUSED)
{
    static const char *const ordered[] = {"", "A", "Aa", "a", "a\x01", "aa", "b", "\xC3\xA4"};
    for (size_t i = 0; i < COUNT_OF(ordered); i++)
        for (size_t j = 0; j < COUNT_OF(ordered); j++) {
            int order = span_compare(span_of(ordered[i]), span_of(ordered[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
}

static void case_is_ignored_for_ascii_letters_only(void **state UNUSED)
{
    assert_true(span_eq_nocase(S("Hub.Example-1"), S("hUB.eXAMPLE-1")));
    assert_false(span_eq_nocase(S("\xC3\x84"), S("\xC3\xA4")));
    assert_false(span_eq_nocase(S("@"), S("`")));
    assert_false(span_eq_nocase(S("[a"), S("{a")));
    assert_false(span_eq_nocase(S("ab"), S("abc")));
}

static void a_copy_needs_room_for_its_end_and_no_nul_inside(void **state UNUSED)
{
    char text[4] = "old";
    assert_false(span_copy(S("four"), text, sizeof(text)));
    assert_false(span_copy(S("a\0b"), text, sizeof(text)));
    assert_string_equal(text, "old");
    assert_true(span_copy(S("abc"), text, sizeof(text)));
    assert_string_equal(text, "abc");
    assert_true(span_copy(SPAN_NONE, text, sizeof(text)));
    assert_string_equal(text, "");
}

static void parts_never_reach_past_the_end(void **state UNUSED)
{
    struct span text = S("abc");
    assert_true(span_is(span_from(text, 1), "bc"));
    assert_int_equal(span_from(text, 3).len, 0);
    assert_int_equal(span_from(text, 99).len, 0);
    assert_true(span_is(span_first(text, 2), "ab"));
    assert_true(span_is(span_first(text, 99), "abc"));
    assert_int_equal(span_find(text, 'c'), 2);
    assert_int_equal(span_find(text, 'x'), 3);
    assert_int_equal(span_find(SPAN_NONE, 'x'), 0);
}

static void empty_spans_are_alike_whatever_their_pointer(void **state UNUSED)
{
    assert_true(span_eq(SPAN_NONE, S("")));
    assert_true(span_is(SPAN_NONE, ""));
    assert_true(span_starts(S("x"), SPAN_NONE));
    assert_true(span_starts(SPAN_NONE, S("")));
    assert_false(span_starts(SPAN_NONE, S("x")));
    assert_int_equal(span_compare(SPAN_NONE, S("")), 0);
    assert_int_equal(span_of(NULL).len, 0);
}

static void a_trim_takes_blanks_at_the_ends_alone(void **state UNUSED)
{
    assert_true(span_is(span_trim(S(" \t\r\n a b \n")), "a b"));
    assert_int_equal(span_trim(S(" \t ")).len, 0);
    assert_true(span_is(span_trim(S("\va")), "\va"));
    assert_int_equal(span_trim(SPAN_NONE).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_gives_every_part_and_a_last_empty_one),
        cmocka_unit_test(nothing_can_be_cut_from_no_span),
        cmocka_unit_test(numbers_are_digits_alone_and_keep_their_bound),
        cmocka_unit_test(utf8_is_judged_as_rfc_3629_says),
        cmocka_unit_test(order_is_bytewise_and_a_prefix_comes_first),
        cmocka_unit_test(case_is_ignored_for_ascii_letters_only),
        cmocka_unit_test(a_copy_needs_room_for_its_end_and_no_nul_inside),
        cmocka_unit_test(parts_never_reach_past_the_end),
        cmocka_unit_test(empty_spans_are_alike_whatever_their_pointer),
        cmocka_unit_test(a_trim_takes_blanks_at_the_ends_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
