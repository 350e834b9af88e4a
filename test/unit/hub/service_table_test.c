/* SPDX-License-Identifier: Apache-2.0 */
/* The table of devices as the portal asks for it. */
#include "service_harness.h"

#define TABLE "/gemel/v1/device-table"

static const char *ids_of(const struct answer *answer)
{
    const char *text = "";
    json_each (item, json_find_text(answer->json, "items"))
        text = arena_format(&world.arena, "%s%s%.*s", text, text[0] == '\0' ? "" : " ",
            SPAN_ARG(json_string_of(item, "deviceId")));
    return text;
}

static void a_row_tells_what_a_table_shows(void **state UNUSED)
{
    struct heard heard;
    make_device("d");
    make_module("d", "m");
    make_module("d", "DefenderIotMicroAgent");
    const char *password = token_of(
        "hub.local", "d", "DefenderIotMicroAgent", NULL, HUB_KEY, START_US / 1000000 + 3600);
    struct session session = connect_as("d", "DefenderIotMicroAgent", password, &heard);
    assert_int_equal(session.err, ERR_NONE);
    assert_int_equal(send_report(&session, "{\"latest_state\":\"failed\"}"), ERR_NONE);
    struct answer answer = ask("GET", TABLE, NULL, NULL);
    assert_string_equal(answer.body,
        "{\"items\":[{\"deviceId\":\"d\",\"status\":\"enabled\","
        "\"connectionState\":\"Disconnected\",\"lastActivityTime\":\"0001-01-01T00:00:00Z\","
        "\"authenticationType\":\"sas\",\"modules\":2,\"latestState\":\"failed\"}],"
        "\"total\":1,\"next\":null}");
    service_disconnect(world.service, &session.identity, session.number);
}

static void pages_and_filters_go_together(void **state UNUSED)
{
    static const char *const ids[] = {"a_1", "b-3", "B4", "c5"};
    for (size_t i = 0; i < COUNT_OF(ids); i++)
        make_device(ids[i]);
    struct answer first = ask("GET", TABLE "?limit=2", NULL, NULL);
    assert_string_equal(ids_of(&first), "B4 a_1");
    assert_string_equal(member(&first, "total"), "4");
    assert_string_equal(member(&first, "next"), "0 a_1");
    struct answer second = ask("GET", TABLE "?limit=2&after=0%20a_1", NULL, NULL);
    assert_string_equal(ids_of(&second), "b-3 c5");
    assert_string_equal(member(&second, "next"), "null");
    struct answer found = ask("GET", TABLE "?filter=b&order=desc", NULL, NULL);
    assert_string_equal(ids_of(&found), "b-3 B4");
    assert_string_equal(member(&found, "total"), "2");
    found = ask("GET", TABLE "?filter=-&status=enabled&connection=Disconnected", NULL, NULL);
    assert_string_equal(ids_of(&found), "b-3");
    found = ask("GET", TABLE "?status=disabled&sort=lastActivityTime", NULL, NULL);
    assert_string_equal(found.body, "{\"items\":[],\"total\":0,\"next\":null}");
}

static void the_last_page_of_an_order_by_time_has_negative_keys(void **state UNUSED)
{
    make_device("a");
    make_device("b");
    struct answer first = ask("GET", TABLE "?sort=lastActivityTime&limit=1", NULL, NULL);
    assert_string_equal(ids_of(&first), "a");
    const char *target =
        arena_format(&world.arena, TABLE "?sort=lastActivityTime&limit=1&after=%.*s%%20a",
            (int)strcspn(member(&first, "next"), " "), member(&first, "next"));
    struct answer second = ask("GET", target, NULL, NULL);
    assert_string_equal(ids_of(&second), "b");
}

static void what_is_no_question_is_refused(void **state UNUSED)
{
    static const char *const targets[] = {TABLE "?status=x", TABLE "?connection=connected",
        TABLE "?sort=name", TABLE "?order=up", TABLE "?limit=501", TABLE "?limit=x",
        TABLE "?after=x", TABLE "?after=1", TABLE "?after=1%20", TABLE "?after=x%20d",
        TABLE "?after=--1%20d", TABLE "?filter=%ff"};
    for (size_t i = 0; i < COUNT_OF(targets); i++) {
        struct answer answer = ask("GET", targets[i], NULL, NULL);
        if (answer.status != 400)
            fail_msg("%s: %d", targets[i], answer.status);
    }
    assert_int_equal(
        ask_with(token("service", HUB_KEY), "hub.local", "GET", TABLE, NULL, NULL).status, 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        TEST(a_row_tells_what_a_table_shows),
        TEST(pages_and_filters_go_together),
        TEST(the_last_page_of_an_order_by_time_has_negative_keys),
        TEST(what_is_no_question_is_refused),
    };
    return cmocka_run_group_tests_name("service table", tests, NULL, NULL);
}
