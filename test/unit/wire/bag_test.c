/* SPDX-License-Identifier: Apache-2.0 */
#include "bag.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static void items_come_in_order_and_decoded(void **state UNUSED)
{
    const struct bag_item want[] = {
        {S("$.mid"), S("id 1"), true},
        {S("null"), S(""), false},
        {S("empty"), S(""), true},
        {S("a=b"), S("c=d"), true},
        {S("plus"), S("+"), true},
        {S("\xC3\xBC"), S("&"), true},
    };
    struct span rest = S("%24.mid=id%201&null&&empty=&a%3Db=c=d&plus=+&%C3%BC=%26&");
    struct arena arena;
    struct bag_item item;
    arena_init(&arena, 0);
    for (size_t i = 0; i < COUNT_OF(want); i++) {
        assert_int_equal(bag_next(&arena, &rest, &item, NULL), ERR_NONE);
        assert_true(span_eq(item.key, want[i].key));
        assert_true(span_eq(item.value, want[i].value));
        assert_int_equal(item.has_value, want[i].has_value);
    }
    assert_int_equal(bag_next(&arena, &rest, &item, NULL), ERR_NOT_FOUND);
    arena_done(&arena);
}

static void broken_items_are_refused(void **state UNUSED)
{
    const struct span rows[] = {S("=x"), S("a=%"), S("%2=x"), S("a=%FF"), S("a=%00"), S("%00")};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena;
        struct bag_item item;
        struct span rest = rows[i];
        struct why why = {""};
        arena_init(&arena, 0);
        assert_int_equal(bag_next(&arena, &rest, &item, &why), ERR_FORMAT);
        assert_non_null(strstr(why.text, "property"));
        arena_done(&arena);
    }
}

static void an_empty_bag_has_no_item(void **state UNUSED)
{
    const struct span rows[] = {SPAN_NONE, S(""), S("&"), S("&&")};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bag_item item;
        struct span rest = rows[i];
        assert_int_equal(bag_next(NULL, &rest, &item, NULL), ERR_NOT_FOUND);
    }
}

static void what_is_written_reads_back(void **state UNUSED)
{
    struct buf out = BUF_EMPTY;
    struct bag_writer writer = {&out, false};
    bag_add(&writer, S("$.to"), S("/devices/d1/messages/deviceBound"));
    bag_add(&writer, S("a b"), S(""));
    bag_add_null(&writer, S("n&"));
    assert_string_equal(out.ptr, "%24.to=%2Fdevices%2Fd1%2Fmessages%2FdeviceBound&a%20b=&n%26");
    buf_done(&out);
}

static void system_properties_are_found_by_key_and_by_name(void **state UNUSED)
{
    for (size_t i = 0; i < bag_system_count; i++) {
        assert_ptr_equal(bag_system_by_key(span_of(bag_systems[i].key)), &bag_systems[i]);
        assert_ptr_equal(bag_system_by_name(span_of(bag_systems[i].name)), &bag_systems[i]);
    }
    assert_string_equal(bag_system_by_key(S("$.ifid"))->name, "iothub-interface-id");
    assert_false(bag_system_by_key(S("$.cdid"))->from_client);
    assert_null(bag_system_by_key(S("$.nothing")));
    assert_null(bag_system_by_key(S("mid")));
    assert_null(bag_system_by_key(S("")));
    assert_null(bag_system_by_name(S("$.mid")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(items_come_in_order_and_decoded),
        cmocka_unit_test(broken_items_are_refused),
        cmocka_unit_test(an_empty_bag_has_no_item),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(system_properties_are_found_by_key_and_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
