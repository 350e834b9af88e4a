/* SPDX-License-Identifier: Apache-2.0 */
#include "err.h"
#include "span.h"

#include <setjmp.h>

#include <cmocka.h>

static void every_row_has_a_name_a_status_and_a_sentence_without_semicolon(void **state UNUSED)
{
    for (unsigned i = 0; i < ERR_COUNT; i++) {
        const struct err_row *row = err_row((enum err)i);
        assert_true(row->name[0] != '\0');
        assert_true(row->text[0] != '\0');
        assert_null(strpbrk(row->text, ";\r\n"));
        assert_true(row->http_status == 200 || (row->http_status >= 400 && row->http_status < 600));
        assert_int_equal(row->http_status == 200, i == ERR_NONE);
        assert_int_equal(row->hub_code == 0, row->hub_name[0] == '\0');
    }
}

static void the_status_is_the_head_of_the_code(void **state UNUSED)
{
    for (unsigned i = 0; i < ERR_COUNT; i++) {
        const struct err_row *row = err_row((enum err)i);
        /* IoT Hub's own exception: an unknown hub is answered with 404 and a code of the 401s. */
        if (row->hub_code != 0 && i != ERR_HUB_NOT_FOUND)
            assert_int_equal(row->hub_code / 1000, row->http_status);
    }
}

static void one_code_has_one_name(void **state UNUSED)
{
    for (unsigned i = 0; i < ERR_COUNT; i++)
        for (unsigned j = 0; j < i; j++) {
            const struct err_row *a = err_row((enum err)i);
            const struct err_row *b = err_row((enum err)j);
            assert_string_not_equal(a->name, b->name);
            if (a->hub_code != 0)
                assert_int_equal(a->hub_code == b->hub_code, strcmp(a->hub_name, b->hub_name) == 0);
        }
}

static void fail_writes_the_sentence_and_hands_the_error_back(void **state UNUSED)
{
    struct why why = {"old"};
    assert_int_equal((fail)(ERR_ARGUMENT, &why, "%s is %d", "x", 5), ERR_ARGUMENT);
    assert_string_equal(why.text, "x is 5");
    assert_int_equal((fail)(ERR_IO, NULL, "%s", "nobody listens"), ERR_IO);
}

static void the_errors_own_text_speaks_where_no_sentence_was_written(void **state UNUSED)
{
    struct why why = {""};
    assert_string_equal(why_text(&why, ERR_TIMEOUT), "no answer in time");
    assert_string_equal(why_text(NULL, ERR_TIMEOUT), "no answer in time");
    why_set(&why, "waited 5 s");
    assert_string_equal(why_text(&why, ERR_TIMEOUT), "waited 5 s");
}

static void a_prefix_stands_before_the_old_sentence(void **state UNUSED)
{
    struct why why = {"no such file"};
    why_prefix(&why, "%s", "conf.json");
    assert_string_equal(why.text, "conf.json: no such file");
    why_prefix(NULL, "x");
    why_set(NULL, "x");
}

static void control_characters_become_blanks(void **state UNUSED)
{
    struct why why;
    why_set(&why, "a\nb\tc\x01"
                  "d\x7F");
    assert_string_equal(why.text, "a b c d ");
}

static void a_long_sentence_is_cut_between_characters(void **state UNUSED)
{
    for (size_t shift = 0; shift < 4; shift++) {
        char text[2000];
        struct why why;
        memset(text, 'x', shift);
        for (size_t i = shift; i + 2 < sizeof(text); i += 2)
            memcpy(text + i, "\xC3\xA4", 3);
        why_set(&why, "%s", text);
        assert_true(strlen(why.text) < sizeof(why.text));
        assert_true(span_is_utf8(span_of(why.text)));
        assert_string_equal(why.text + strlen(why.text) - 3, "...");
        why_prefix(&why, "%s", "prefix");
        assert_true(span_is_utf8(span_of(why.text)));
        assert_string_equal(why.text + strlen(why.text) - 3, "...");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_a_name_a_status_and_a_sentence_without_semicolon),
        cmocka_unit_test(the_status_is_the_head_of_the_code),
        cmocka_unit_test(one_code_has_one_name),
        cmocka_unit_test(fail_writes_the_sentence_and_hands_the_error_back),
        cmocka_unit_test(the_errors_own_text_speaks_where_no_sentence_was_written),
        cmocka_unit_test(a_prefix_stands_before_the_old_sentence),
        cmocka_unit_test(control_characters_become_blanks),
        cmocka_unit_test(a_long_sentence_is_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
