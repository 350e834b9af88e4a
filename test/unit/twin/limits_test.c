/* SPDX-License-Identifier: Apache-2.0 */
#include "in_arena.h"
#include "twin.h"

#include <setjmp.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#define NOW 1700000000000000

static struct twin_doc new_doc(void)
{
    struct twin_doc doc;
    assert_int_equal(twin_new(&arena, NOW, &doc), ERR_NONE);
    return doc;
}

static char *repeat(const char *text, size_t times)
{
    struct buf out = BUF_EMPTY;
    for (size_t i = 0; i < times; i++)
        buf_add_text(&out, text);
    char *copy = arena_text(&arena, buf_span(&out));
    assert_non_null(copy);
    buf_done(&out);
    return copy;
}

static enum err desire(
    struct twin_doc *doc, const char *section, const struct twin_limits *limits, struct why *why)
{
    struct twin_change change;
    char *body = arena_format(&arena, "{\"properties\":{\"desired\":%s}}", section);
    enum err err = twin_apply(&arena, doc, TWIN_PATCH, json_of(body), limits, NOW, &change, why);
    if (err == ERR_NONE)
        *doc = change.doc;
    return err;
}

static enum err report(struct twin_doc *doc, const char *section, struct why *why)
{
    struct twin_change change;
    enum err err = twin_apply(
        &arena, doc, TWIN_REPORT, json_of(section), &twin_limits_default, NOW, &change, why);
    if (err == ERR_NONE)
        *doc = change.doc;
    return err;
}

struct row {
    const char *section;
    const char *sentence; /* NULL: accepted */
};

#define NAMES ", names must be free of '.', '$', '#', blanks and control characters"

static void names_and_values_are_judged_one_by_one(void **state UNUSED)
{
    static const struct row rows[] = {
        {"{\"a\":4503599627370495}", NULL},
        {"{\"a\":-4503599627370496}", NULL},
        {"{\"a\":4503599627370496}",
            "properties.desired.a is 4503599627370496, integers from -4503599627370496 to "
            "4503599627370495 are allowed"},
        {"{\"a\":{\"b\":[0,{\"c\":-4503599627370497}]}}",
            "properties.desired.a.b[1].c is -4503599627370497, integers from -4503599627370496 to "
            "4503599627370495 are allowed"},
        {"{\"a\":99999999999999999999999}",
            "properties.desired.a is 99999999999999999999999, integers from -4503599627370496 to "
            "4503599627370495 are allowed"},
        {"{\"a\":1e20,\"b\":4503599627370496.5,\"c\":1.7e308}", NULL},
        {"{\"a\":1e400}", "properties.desired.a is 1e400, which is beyond a double's range"},
        {"{\"a\":[]}", NULL},
        {"{\"a\":[null]}", "properties.desired.a[0] is null, arrays must be free of null"},
        {"{\"a\":[1,[2,null]]}", "properties.desired.a[1][1] is null, arrays must be free of null"},
        {"{\"a\":[{\"b\":{\"c\":null}}]}",
            "properties.desired.a[0].b.c is null, arrays must be free of null"},
        {"{\"x.y\":1}", "the name of properties.desired.x.y contains a '.'" NAMES},
        {"{\"a\":{\"$b\":1}}", "the name of properties.desired.a.$b contains a '$'" NAMES},
        {"{\"a\":{\"$version\":1}}",
            "the name of properties.desired.a.$version contains a '$'" NAMES},
        {"{\"$other\":1}", "the name of properties.desired.$other contains a '$'" NAMES},
        {"{\"a#\":null}", "the name of properties.desired.a# contains a '#'" NAMES},
        {"{\"a b\":1}", "the name of properties.desired.a b contains a blank" NAMES},
        {"{\"a\\u00a0b\":1}", "the name of properties.desired.a\xC2\xA0"
                              "b contains a blank" NAMES},
        {"{\"a\\u3000\":1}", "the name of properties.desired.a\xE3\x80\x80 contains a blank" NAMES},
        {"{\"a\\nb\":1}", "the name of properties.desired.a?b contains a control character" NAMES},
        {"{\"\\u0000\":1}", "the name of properties.desired.? contains a control character" NAMES},
        {"{\"\\u007f\":1}", "the name of properties.desired.? contains a control character" NAMES},
        {"{\"\\u0085\":1}",
            "the name of properties.desired.\xC2\x85 contains a control character" NAMES},
        {"{\"\":1}", "properties.desired has a member with an empty name"},
        {"{\"a\":[{\"\":1}]}", "properties.desired.a[0] has a member with an empty name"},
        {"{\"a-b_c:d;e@f\":1,\"\\u00e9\\u4e2d\\ud83d\\ude00\":2}", NULL},
        {"{\"a\":\"\\u0000\\u0001 . $ #\"}", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct twin_doc doc = new_doc();
        struct why why = {""};
        enum err err = desire(&doc, rows[i].section, &twin_limits_default, &why);
        assert_int_equal(err, rows[i].sentence == NULL ? ERR_NONE : ERR_ARGUMENT);
        if (rows[i].sentence != NULL)
            assert_string_equal(why.text, rows[i].sentence);
    }
}

static void a_device_may_not_send_reserved_names_at_all(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct why why = {""};
    assert_int_equal(report(&doc, "{\"$version\":1}", &why), ERR_ARGUMENT);
    assert_string_equal(why.text, "the name of properties.reported.$version contains a '$'" NAMES);
    assert_int_equal(report(&doc, "{\"ok\":1,\"$metadata\":{}}", &why), ERR_ARGUMENT);
    assert_int_equal(report(&doc, "{\"ok\":1}", &why), ERR_NONE);
}

struct length_row {
    const char *before;
    const char *unit;
    size_t units;
    const char *behind;
    bool accepted;
};

static void lengths_are_accepted_up_to_their_limit(void **state UNUSED)
{
    static const struct length_row rows[] = {
        {"{\"", "k", 1024, "\":1}", true},
        {"{\"", "k", 1025, "\":1}", false},
        {"{\"", "\xC3\xA9", 512, "\":1}", true},
        {"{\"", "\xC3\xA9", 513, "\":1}", false},
        {"{\"a\":\"", "v", 4096, "\"}", true},
        {"{\"a\":\"", "v", 4097, "\"}", false},
        {"{\"a\":\"", "\xC3\xA9", 2048, "\"}", true},
        {"{\"a\":\"", "\xC3\xA9", 2049, "\"}", false},
        {"{\"a\":[\"", "v", 4097, "\"]}", false},
        {"{\"a\":0.", "0", 126, "}", true},
        {"{\"a\":0.", "0", 127, "}", false},
        {"{\"a\":[", "1,", 511, "1]}", true}, /* 4096 by the rule */
        {"{\"a\":[", "1,", 512, "1]}", false},
        {"{\"a\":[", "true,", 1023, "true]}", true},
        {"{\"a\":[", "true,", 1024, "true]}", false},
        {"{\"a\":[\"", "\\u0001", 4096, "\"]}", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct twin_doc doc = new_doc();
        struct why why = {""};
        char *body = arena_format(
            &arena, "%s%s%s", rows[i].before, repeat(rows[i].unit, rows[i].units), rows[i].behind);
        enum err err = desire(&doc, body, &twin_limits_default, &why);
        if (err != (rows[i].accepted ? ERR_NONE : ERR_ARGUMENT))
            fail_msg("row %zu: %d %s", i, (int)err, why.text);
    }
}

static void ten_levels_are_allowed_and_eleven_are_not(void **state UNUSED)
{
    static const struct {
        const char *open;
        const char *close;
        unsigned levels;
        bool accepted;
    } rows[] = {
        {"{\"a\":", "}", 10, true},
        {"{\"a\":", "}", 11, false},
        {"[", "]", 10, true},
        {"[", "]", 11, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct twin_doc doc = new_doc();
        struct why why = {""};
        char *body = arena_format(&arena, "{\"top\":%s1%s}", repeat(rows[i].open, rows[i].levels),
            repeat(rows[i].close, rows[i].levels));
        enum err err = report(&doc, body, &why);
        assert_int_equal(err, rows[i].accepted ? ERR_NONE : ERR_ARGUMENT);
        if (!rows[i].accepted)
            assert_non_null(strstr(why.text, "at level 11, at most 10 levels are allowed"));
    }
}

/* 31 properties of 1000 + key bytes and one that fills up, by the counting rule. */
static void fill(struct twin_doc *doc, size_t total)
{
    struct why why = {""};
    size_t used = 0;
    for (int i = 0; used < total; i++) {
        size_t size = total - used > 1004 ? 1000 : total - used - 4;
        char *body = arena_format(&arena, "{\"k%03d\":\"%s\"}", i, repeat("v", size));
        assert_int_equal(report(doc, body, &why), ERR_NONE);
        used += size + 4;
    }
}

static void the_size_of_a_section_counts_after_the_merge(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct why why = {""};
    fill(&doc, 32768);
    assert_int_equal(report(&doc, "{\"x\":\"\"}", &why), ERR_ARGUMENT);
    assert_string_equal(
        why.text, "properties.reported would take 32769 bytes, at most 32768 are allowed");
    assert_int_equal(report(&doc, "{\"k000\":null,\"x\":{\"y\":1}}", &why), ERR_NONE);
    assert_int_equal(report(&doc, "{\"k001\":\"\",\"y\":[true,1,\"ab\"]}", &why), ERR_NONE);
}

static void tags_have_a_limit_of_their_own(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct twin_change change;
    struct why why = {""};
    char *half = repeat("v", 4094);
    char *body = arena_format(&arena, "{\"tags\":{\"a1\":\"%s\",\"b1\":\"%s\"}}", half, half);
    assert_int_equal(twin_apply(&arena, &doc, TWIN_PATCH, json_of(body), &twin_limits_default, NOW,
                         &change, &why),
        ERR_NONE);
    assert_int_equal(twin_apply(&arena, &change.doc, TWIN_PATCH, json_of("{\"tags\":{\"c\":true}}"),
                         &twin_limits_default, NOW, &change, &why),
        ERR_ARGUMENT);
    assert_string_equal(why.text, "tags would take 8197 bytes, at most 8192 are allowed");
}

static void one_property_may_take_4_kib(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct why why = {""};
    char *body = arena_format(
        &arena, "{\"p\":{\"a\":\"%s\",\"b\":\"%s\"}}", repeat("v", 2000), repeat("v", 2094));
    assert_int_equal(report(&doc, body, &why), ERR_NONE);
    assert_int_equal(report(&doc, "{\"p\":{\"c\":\"\"}}", &why), ERR_ARGUMENT);
    assert_string_equal(why.text, "the value of properties.reported.p would take 4097 bytes, at "
                                  "most 4096 are allowed for one property");
}

static void what_the_rule_takes_for_nothing_is_bounded_too(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct why why = {""};
    char *body = arena_format(&arena, "{\"a\":[[]%s]}", repeat(",[]", 90000));
    assert_int_equal(report(&doc, body, &why), ERR_ARGUMENT);
    assert_non_null(strstr(why.text, "bytes as JSON text, at most 262144 are allowed"));
}

static void a_section_over_a_lowered_limit_may_shrink_but_not_grow(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct twin_limits low = twin_limits_default;
    struct why why = {""};
    char *body =
        arena_format(&arena, "{\"a\":\"%s\",\"b\":\"%s\"}", repeat("v", 1000), repeat("v", 1000));
    assert_int_equal(desire(&doc, body, &low, &why), ERR_NONE);
    low.desired_bytes = 500;
    low.property_bytes = 500;
    assert_int_equal(desire(&doc, "{\"c\":1}", &low, &why), ERR_ARGUMENT);
    assert_int_equal(desire(&doc, "{\"b\":null}", &low, &why), ERR_NONE);
    low.string_bytes = 2000;
    body = arena_format(&arena, "{\"a\":\"%s\"}", repeat("w", 1001));
    assert_int_equal(desire(&doc, body, &low, &why), ERR_ARGUMENT);
    body = arena_format(&arena, "{\"a\":\"%s\"}", repeat("w", 1000));
    assert_int_equal(desire(&doc, body, &low, &why), ERR_NONE);
}

static void a_long_name_is_cut_in_the_sentence(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct why why = {""};
    char *body = arena_format(&arena, "{\"%s\":{\"b.c\":1}}", repeat("\xC3\xA9", 200));
    assert_int_equal(report(&doc, body, &why), ERR_ARGUMENT);
    assert_true(span_is_utf8(span_of(why.text)));
    assert_non_null(strstr(why.text, "....b.c contains a '.'"));
}

/* Ten thousand members merged with as many must not take their product in steps. */
static void a_section_of_many_small_members_is_merged_by_index(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct why why = {""};
    struct twin_limits wide = twin_limits_default;
    wide.desired_bytes = 1 << 20;
    struct buf body = BUF_EMPTY;
    for (int i = 0; i < 10000; i++)
        buf_add_format(&body, "%c\"k%d\":\"\"", i == 0 ? '{' : ',', i * 7919 % 10000);
    buf_add_byte(&body, '}');
    assert_int_equal(desire(&doc, arena_text(&arena, buf_span(&body)), &wide, &why), ERR_NONE);
    buf_clear(&body);
    for (int i = 0; i < 10000; i++)
        buf_add_format(&body, "%c\"k%d\":%s", i == 0 ? '{' : ',', i, i % 2 == 0 ? "null" : "\"x\"");
    buf_add_byte(&body, '}');
    assert_int_equal(desire(&doc, arena_text(&arena, buf_span(&body)), &wide, &why), ERR_NONE);
    struct json *values;
    assert_int_equal(json_parse(&arena, doc.desired.values, 0, &values, &why), ERR_NONE);
    assert_int_equal(values->count, 5000);
    buf_done(&body);
}

/* Before sizes are judged the patch is merged: what does not fit must not cost more for it. */
static void a_patch_of_very_many_members_costs_little(void **state UNUSED)
{
    struct twin_doc doc = new_doc();
    struct buf text = BUF_EMPTY;
    struct why why = {""};
    for (unsigned i = 0; i < 80000; i++)
        buf_add_format(&text, "%c\"k%u\":1", i == 0 ? '{' : ',', i);
    buf_add_text(&text, "}");
    const char *section = arena_text(&arena, buf_span(&text));
    buf_done(&text);
    clock_t begin = clock();
    assert_int_equal(desire(&doc, section, &twin_limits_default, &why), ERR_ARGUMENT);
    assert_true((clock() - begin) / CLOCKS_PER_SEC < 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            names_and_values_are_judged_one_by_one, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_device_may_not_send_reserved_names_at_all, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            lengths_are_accepted_up_to_their_limit, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            ten_levels_are_allowed_and_eleven_are_not, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            the_size_of_a_section_counts_after_the_merge, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(tags_have_a_limit_of_their_own, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(one_property_may_take_4_kib, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            what_the_rule_takes_for_nothing_is_bounded_too, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_section_over_a_lowered_limit_may_shrink_but_not_grow, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_long_name_is_cut_in_the_sentence, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_section_of_many_small_members_is_merged_by_index, open_arena, close_arena),
        cmocka_unit_test_setup_teardown(
            a_patch_of_very_many_members_costs_little, open_arena, close_arena),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
