/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"
#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>

static void appends_of_every_kind_stand_behind_each_other(void **state UNUSED)
{
    AUTO(buf_done) struct buf buf = BUF_EMPTY;
    buf_add(&buf, SPAN_LIT("a\0b"));
    buf_add_text(&buf, "-text-");
    buf_add_byte(&buf, '!');
    buf_add_format(&buf, "%d %s", 42, "ok");
    assert_false(buf.failed);
    assert_true(span_eq(buf_span(&buf), SPAN_LIT("a\0b-text-!42 ok")));
    assert_int_equal(buf.ptr[buf.len], '\0');
}

static void an_append_of_nothing_changes_nothing(void **state UNUSED)
{
    AUTO(buf_done) struct buf buf = BUF_EMPTY;
    buf_add(&buf, SPAN_NONE);
    buf_add_text(&buf, "");
    buf_add_format(&buf, "%s", "");
    assert_false(buf.failed);
    assert_int_equal(buf.len, 0);
}

static void it_grows_over_many_sizes(void **state UNUSED)
{
    AUTO(buf_done) struct buf buf = BUF_EMPTY;
    for (unsigned i = 0; i < 5000; i++)
        buf_add_format(&buf, "%04u", i);
    assert_int_equal(buf.len, 20000);
    assert_memory_equal(buf.ptr + 4 * 4321, "4321", 4);
}

static void the_limit_is_reached_but_never_passed(void **state UNUSED)
{
    AUTO(buf_done) struct buf buf = {.limit_bytes = 4};
    buf_add_text(&buf, "abcd");
    assert_false(buf.failed);
    buf_add_text(&buf, "");
    assert_false(buf.failed);
    buf_add_byte(&buf, 'e');
    assert_true(buf.failed);
    assert_true(span_is(buf_span(&buf), "abcd"));
}

static void after_a_failure_appends_do_nothing_until_it_is_cleared(void **state UNUSED)
{
    AUTO(buf_done) struct buf buf = {.limit_bytes = 3};
    buf_add_text(&buf, "long text");
    buf_add_byte(&buf, 'x');
    assert_true(buf.failed);
    assert_int_equal(buf.len, 0);
    assert_null(buf_reserve(&buf, 0));
    buf_clear(&buf);
    buf_add_byte(&buf, 'x');
    assert_true(span_is(buf_span(&buf), "x"));
}

static void a_size_no_machine_has_is_refused(void **state UNUSED)
{
    AUTO(buf_done) struct buf buf = BUF_EMPTY;
    assert_null(buf_reserve(&buf, SIZE_MAX));
    assert_true(buf.failed);
}

static void want_of_memory_marks_it_failed_and_keeps_what_was_there(void **state UNUSED)
{
    AUTO(buf_done) struct buf buf = BUF_EMPTY;
    buf_add_text(&buf, "kept");
    mem_fail_after(0);
    for (int i = 0; i < 100; i++)
        buf_add_text(&buf, "0123456789");
    mem_fail_after(-1);
    assert_true(buf.failed);
    assert_memory_equal(buf.ptr, "kept", 4);
}

static void a_drop_moves_the_rest_to_the_front(void **state UNUSED)
{
    AUTO(buf_done) struct buf buf = BUF_EMPTY;
    buf_drop(&buf, 0);
    buf_add_text(&buf, "abcdef");
    buf_drop(&buf, 4);
    assert_string_equal(buf.ptr, "ef");
    buf_drop(&buf, 2);
    assert_int_equal(buf.len, 0);
    buf_add_text(&buf, "new");
    assert_string_equal(buf.ptr, "new");
}

static void a_take_leaves_an_empty_buffer_with_its_limit(void **state UNUSED)
{
    struct buf buf = {.limit_bytes = 8};
    size_t len;
    buf_add_text(&buf, "bytes");
    char *bytes = buf_take(&buf, &len);
    assert_string_equal(bytes, "bytes");
    assert_int_equal(len, 5);
    assert_null(buf.ptr);
    assert_int_equal(buf.limit_bytes, 8);
    mem_free(bytes);
    assert_null(buf_take(&buf, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends_of_every_kind_stand_behind_each_other),
        cmocka_unit_test(an_append_of_nothing_changes_nothing),
        cmocka_unit_test(it_grows_over_many_sizes),
        cmocka_unit_test(the_limit_is_reached_but_never_passed),
        cmocka_unit_test(after_a_failure_appends_do_nothing_until_it_is_cleared),
        cmocka_unit_test(a_size_no_machine_has_is_refused),
        cmocka_unit_test(want_of_memory_marks_it_failed_and_keeps_what_was_there),
        cmocka_unit_test(a_drop_moves_the_rest_to_the_front),
        cmocka_unit_test(a_take_leaves_an_empty_buffer_with_its_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
