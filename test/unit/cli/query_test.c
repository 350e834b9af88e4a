/* SPDX-License-Identifier: Apache-2.0 */
/* gemel query: pages are read until there are no more or there is enough. */
#include "fake_hub.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

static void pages_become_one_list(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = "[{\"n\":1},{\"n\":2}]", .continuation = "next=="},
        {.status = 200, .body = "[]", .continuation = "last"},
        {.status = 200, .body = "[{\"n\":3}]"},
    };
    struct fake_hub hub = {.answers = answers, .answer_count = 3};
    assert_int_equal(fake_run(&hub, "query -q SELECT"), EXIT_DONE);
    assert_int_equal(hub.asked_count, 3);
    assert_non_null(strstr(fake_asked(&hub, 0), "POST hub.local:8443 /devices/query?api-version="));
    assert_non_null(strstr(fake_asked(&hub, 0), "x-ms-max-item-count: 1000\n"));
    assert_non_null(strstr(fake_asked(&hub, 0), "{\"query\":\"SELECT\"}"));
    assert_null(strstr(fake_asked(&hub, 0), "x-ms-continuation"));
    assert_non_null(strstr(fake_asked(&hub, 1), "x-ms-continuation: next==\n"));
    assert_non_null(strstr(fake_asked(&hub, 2), "x-ms-continuation: last\n"));
    assert_string_equal(hub.out,
        "[\n  {\n    \"n\": 1\n  },\n  {\n    \"n\": 2\n  },\n  {\n    \"n\": 3\n  }\n]\n");
    fake_done(&hub);
}

static void enough_is_enough(void **state UNUSED)
{
    const struct fake_answer answers[] = {
        {.status = 200, .body = "[{\"n\":1},{\"n\":2}]", .continuation = "next"},
        {.status = 200, .body = "[{\"n\":3}]", .continuation = "more"},
    };
    struct fake_hub hub = {.answers = answers, .answer_count = 2};
    assert_int_equal(fake_run(&hub, "query -q SELECT --top 3"), EXIT_DONE);
    assert_int_equal(hub.asked_count, 2);
    assert_non_null(strstr(fake_asked(&hub, 0), "x-ms-max-item-count: 3\n"));
    assert_non_null(strstr(fake_asked(&hub, 1), "x-ms-max-item-count: 1\n"));
    fake_done(&hub);
}

static void a_table_has_the_columns_that_the_rows_have(void **state UNUSED)
{
    const struct fake_answer answers[] = {{.status = 200,
        .body = "[{\"deviceId\":\"a\",\"n\":1},{\"n\":20,\"o\":{},\"late\":true}]"}};
    struct fake_hub hub = {.answers = answers, .answer_count = 1};
    assert_int_equal(fake_run(&hub, "query -q SELECT -o table"), EXIT_DONE);
    assert_string_equal(hub.out, "deviceId  n   late\n"
                                 "--------  --  ----\n"
                                 "a         1   \n"
                                 "          20  true\n");
    fake_done(&hub);
}

static void refusals_are_told(void **state UNUSED)
{
    const struct fake_answer answers[] = {{.status = 400,
        .body = "{\"Message\":\"ErrorCode:ArgumentInvalid;the query, line 1, column 8: x\"}"}};
    struct fake_hub hub = {.answers = answers, .answer_count = 1};
    assert_int_equal(fake_run(&hub, "query -q SELECT"), EXIT_REFUSED);
    assert_non_null(strstr(hub.err, "line 1, column 8"));
    fake_done(&hub);
    hub = (struct fake_hub){0};
    assert_int_equal(fake_run(&hub, "query -q SELECT --top 0"), EXIT_USAGE);
    fake_done(&hub);
    hub = (struct fake_hub){0};
    assert_int_equal(fake_run(&hub, "query"), EXIT_USAGE);
    fake_done(&hub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_become_one_list),
        cmocka_unit_test(enough_is_enough),
        cmocka_unit_test(a_table_has_the_columns_that_the_rows_have),
        cmocka_unit_test(refusals_are_told),
    };
    return cmocka_run_group_tests_name("cli query", tests, NULL, NULL);
}
