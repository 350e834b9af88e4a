/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#define TOKEN "0123456789abcdef"

static int open_with_token(void **state)
{
    int status = world_open(state);
    make_administrator();
    world.options.metrics_token = SPAN_LIT(TOKEN);
    world_reopen_service();
    return status;
}

static struct answer ask_nobody(const char *target)
{
    return ask_with(NULL, "no-hub.at.all", "GET", target, NULL, NULL);
}

static void health_is_told_to_anybody(void **state UNUSED)
{
    struct answer answer = ask_nobody("/healthz");
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body, "alive\n");
    assert_int_equal(ask_nobody("/readyz").status, 200);
    assert_int_equal(ask_with(NULL, "x", "POST", "/healthz", NULL, NULL).status, 405);
}

static void who_leaves_lives_but_is_not_ready(void **state UNUSED)
{
    service_begin_leaving(world.service);
    struct answer answer = ask_nobody("/readyz");
    assert_int_equal(answer.status, 503);
    assert_string_equal(answer.body, "stopping\n");
    assert_int_equal(ask_nobody("/healthz").status, 200);
    make_device("d"); /* still served */
}

static void metrics_need_the_token_or_an_administrator(void **state UNUSED)
{
    static const struct {
        const char *authorization;
        int status;
    } rows[] = {
        {"Bearer " TOKEN, 200},
        {"bearer  " TOKEN " ", 200},
        {"Basic YWRtaW46c2U6Y3JldA==", 200}, /* admin:se:cret */
        {"Bearer " TOKEN "x", 401},
        {"Bearer 0123456789abcdeX", 401},
        {"Bearer ", 401},
        {"Bearer", 401},
        {NULL, 401},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask_with(rows[i].authorization, "x", "GET", "/metrics", NULL, NULL);
        assert_int_equal(answer.status, rows[i].status);
        assert_int_equal(strstr(answer.body, "gemel_requests_total") != NULL, answer.status == 200);
    }
    assert_int_equal(ask("GET", "/metrics", NULL, NULL).status, 401);
}

static void without_a_token_none_opens_the_metrics(void **state UNUSED)
{
    world.options.metrics_token = SPAN_NONE;
    world_reopen_service();
    assert_int_equal(ask_with("Bearer ", "x", "GET", "/metrics", NULL, NULL).status, 401);
    assert_int_equal(ask_with("Bearer " TOKEN, "x", "GET", "/metrics", NULL, NULL).status, 401);
}

static void an_administrator_of_a_hub_alone_sees_no_metrics(void **state UNUSED)
{
    struct grant whole = {GRANT_EVERY_HUB, ROLE_ADMINISTRATOR};
    struct grant one = {world.hub_id, ROLE_ADMINISTRATOR};
    make_account("whole", "se:cret-se:cret", &whole, 1);
    make_account("one", "se:cret-se:cret", &one, 1);
    struct browser browser = sign_in("whole", "se:cret-se:cret");
    assert_int_equal(browse(&browser, "GET", "/metrics", NULL).status, 200);
    browser = sign_in("one", "se:cret-se:cret");
    assert_int_equal(browse(&browser, "GET", "/metrics", NULL).status, 403);
}

static bool tells(const char *line)
{
    return strstr(ask_with("Bearer " TOKEN, "x", "GET", "/metrics", NULL, NULL).body, line) != NULL;
}

static void requests_are_counted_by_row_and_status(void **state UNUSED)
{
    make_device("d#1");
    assert_int_equal(ask("GET", "/twins/d%231?" V, NULL, NULL).status, 200);
    assert_int_equal(ask("GET", "/twins/none?" V, NULL, NULL).status, 404);
    assert_int_equal(ask("GET", "/nothing/here", NULL, NULL).status, 404);
#define COUNTED(operation, code)                                                                   \
    "gemel_requests_total{protocol=\"https\",operation=\"" operation "\",code=\"" code "\"}"
    assert_true(tells(COUNTED("GET /twins/{}", "200")));
    assert_true(tells(COUNTED("GET /twins/{}", "404")));
    assert_true(tells(COUNTED("PUT /devices/{}", "200")));
    assert_true(tells(COUNTED("none", "404")));
    assert_true(tells("gemel_store_queue{access=\"write\"} 0\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_with_token, world_close)
        TEST(health_is_told_to_anybody),
        TEST(who_leaves_lives_but_is_not_ready),
        TEST(metrics_need_the_token_or_an_administrator),
        TEST(without_a_token_none_opens_the_metrics),
        TEST(an_administrator_of_a_hub_alone_sees_no_metrics),
        TEST(requests_are_counted_by_row_and_status),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
