/* SPDX-License-Identifier: Apache-2.0 */
#include "username.h"

#include <setjmp.h>

#include <cmocka.h>

#define S(literal) SPAN_LIT(literal)

static void every_form_that_clients_send_is_read(void **state UNUSED)
{
    const struct {
        struct span text;
        struct username want;
    } rows[] = {
        {S("hub.local/d1/?api-version=2021-04-12&DeviceClientType=azure-iot-device%2F1.18.4%20(x)"),
            {S("hub.local"), S("d1"), S(""), S("2021-04-12"), S("azure-iot-device/1.18.4 (x)"),
                S(""), S("")}},
        {S("Hub:18883/d1/m1/?api-version=2020-09-30&model-id=dtmi:a:b;1&DeviceClientType=c"),
            {S("Hub:18883"), S("d1"), S("m1"), S("2020-09-30"), S("c"), S("dtmi:a:b;1"), S("")}},
        {S("h/d/?DeviceClientType=c&api-version=1&auth-chain=p%2F%24edgeHub"),
            {S("h"), S("d"), S(""), S("1"), S("c"), S(""), S("p/$edgeHub")}},
        {S("h/d/?api-version=1&model-id=a/b?c"),
            {S("h"), S("d"), S(""), S("1"), S(""), S("a/b?c"), S("")}},
        {S("h/d/?api-version=1&Foo=x&&"), {S("h"), S("d"), S(""), S("1"), S(""), S(""), S("")}},
        {S("h/d/?api-version=1&DeviceClientType1=x"),
            {S("h"), S("d"), S(""), S("1"), S(""), S(""), S("")}},
        /* without '?' */
        {S("h/d/api-version=2010-01-01&DeviceClientType=c&model-id=m"),
            {S("h"), S("d"), S(""), S("2010-01-01"), S("c"), S("m"), S("")}},
        {S("h/d/m/api-version=2010-01-01&"),
            {S("h"), S("d"), S("m"), S("2010-01-01"), S(""), S(""), S("")}},
        /* the oldest */
        {S("h/d/m/api-version=2017-06-30/DeviceClientType=a.b/1.5.1-preview-003"),
            {S("h"), S("d"), S("m"), S("2017-06-30"), S("a.b/1.5.1-preview-003"), S(""), S("")}},
        {S("h/d/api-version=2016-11-14/DeviceClientType=a/1"),
            {S("h"), S("d"), S(""), S("2016-11-14"), S("a/1"), S(""), S("")}},
        /* ids that look like something else */
        {S("h/?a#+%25@/?m/?api-version=1"),
            {S("h"), S("?a#+%25@"), S("?m"), S("1"), S(""), S(""), S("")}},
        {S("h/d?api-version=2/m/?api-version=1"),
            {S("h"), S("d?api-version=2"), S("m"), S("1"), S(""), S(""), S("")}},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena;
        struct username got = {0};
        struct why why = {""};
        arena_init(&arena, 0);
        if (username_parse(&arena, rows[i].text, &got, &why) != ERR_NONE)
            fail_msg("row %zu: %s", i, why.text);
        assert_true(span_eq(got.host, rows[i].want.host));
        assert_true(span_eq(got.device_id, rows[i].want.device_id));
        assert_true(span_eq(got.module_id, rows[i].want.module_id));
        assert_true(span_eq(got.api_version, rows[i].want.api_version));
        assert_true(span_eq(got.client_type, rows[i].want.client_type));
        assert_true(span_eq(got.model_id, rows[i].want.model_id));
        assert_true(span_eq(got.auth_chain, rows[i].want.auth_chain));
        arena_done(&arena);
    }
}

static void what_is_no_user_name_is_refused(void **state UNUSED)
{
    const struct span rows[] = {
        S(""),
        S("h"),
        S("h/d"),
        S("h/d/"),
        S("h/d/fooBar"),
        S("h/d/api-version"),
        S("h/d/?api-version"),
        S("h/d/?api-version="),
        S("h/d/m/fooBar"),
        S("h/d/m/api-version"),
        S("h/d/m"),
        S("h/d/m/?version=2010-01-01&DeviceClientType=c"),
        S("h/d?api-version=2010-01-01"),
        S("h/d/m?api-version=2010-01-01?DeviceClientType=c"),
        S("h?api-version=2010-01-01&DeviceClientType=c"),
        S("h//?api-version=2010-01-01"),
        S("/d/?api-version=2010-01-01"),
        S("h/d//?api-version=2010-01-01"),
        S("h/d/m/x/?api-version=2010-01-01"),
        S("h/d/m/DeviceClientType=c"),
        S("h/d/m/x&DeviceClientType=c"),
        S("h/d/m/api-version=1/tooManySegments"),
        S("h/d/m/api-version=1/DeviceClientType=a/1/prodInfo"),
        S("h/d/m/api-version=1/DeviceClientType=a"),
        S("h/d/m/api-version=/DeviceClientType=a/1"),
        S("h/d/m/api-version=1/DeviceClientType=/1"),
        S("h/d/?api-version=1&DeviceClientType=%zz"),
        S("h/d/?api-version=1&model-id=%FF"),
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct arena arena;
        struct username got = {0};
        struct why why = {""};
        arena_init(&arena, 0);
        if (username_parse(&arena, rows[i], &got, &why) != ERR_FORMAT)
            fail_msg("accepted: %.*s", SPAN_ARG(rows[i]));
        assert_null(got.host.ptr);
        assert_int_not_equal(why.text[0], '\0');
        arena_done(&arena);
    }
}

static void the_client_id_must_name_the_same_identity(void **state UNUSED)
{
    const struct username device = {.device_id = S("d1")};
    const struct username module = {.device_id = S("d1"), .module_id = S("m1")};
    const struct {
        const struct username *name;
        struct span client_id;
        bool same;
    } rows[] = {
        {&device, S("d1"), true},
        {&device, S("D1"), false},
        {&device, S("d1/"), false},
        {&device, S("d1/m1"), false},
        {&device, S(""), false},
        {&module, S("d1/m1"), true},
        {&module, S("d1"), false},
        {&module, S("d1/m1/x"), false},
        {&module, S("d1/M1"), false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(username_check_client_id(rows[i].name, rows[i].client_id, NULL),
            rows[i].same ? ERR_NONE : ERR_FORMAT);
}

static void without_memory_nothing_is_returned(void **state UNUSED)
{
    struct arena arena;
    struct username got = {0};
    arena_init(&arena, 0);
    mem_fail_after(0);
    assert_int_equal(
        username_parse(&arena, S("h/d/?api-version=1&DeviceClientType=%41"), &got, NULL),
        ERR_MEMORY);
    mem_fail_after(-1);
    assert_null(got.host.ptr);
    arena_done(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_that_clients_send_is_read),
        cmocka_unit_test(what_is_no_user_name_is_refused),
        cmocka_unit_test(the_client_id_must_name_the_same_identity),
        cmocka_unit_test(without_memory_nothing_is_returned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
