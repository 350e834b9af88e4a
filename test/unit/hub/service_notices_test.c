/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#include <string.h>

static int open_with_notices(void **state)
{
    int status = world_open(state);
    world.options.limits.lifecycle_events = 1;
    world.options.limits.twin_events = 1;
    world.options.limits.connection_events = 1;
    world_reopen_service();
    return status;
}

#define EVENTS "/gemel/v1/events?from=earliest&limit=1000"

static size_t count_of(const char *query)
{
    struct answer answer = ask("GET", arena_format(&world.arena, EVENTS "%s", query), NULL, NULL);
    assert_int_equal(answer.status, 200);
    return json_find_text(answer.json, "events")->count;
}

static const char *of(const struct answer *answer, size_t place, const char *path)
{
    return member(answer, arena_format(&world.arena, "events.%zu.%s", place, path));
}

static void only_what_clients_sent_is_shown_unless_asked_for_more(void **state UNUSED)
{
    struct heard heard;
    make_device("d");
    struct session session = connect_device("d", &heard);
    assert_int_equal(send_event(&session, "", SPAN_LIT("x")), ERR_NONE);
    assert_int_equal(send_report(&session, "{\"a\":1}"), ERR_NONE);
    assert_int_equal(count_of(""), 1);
    assert_int_equal(count_of("&source=telemetry"), 1);
    assert_int_equal(count_of("&source=deviceLifecycleEvents"), 1);
    assert_int_equal(count_of("&source=twinChangeEvents"), 1);
    assert_int_equal(count_of("&source=deviceConnectionStateEvents"), 1);
    assert_int_equal(count_of("&source=all"), 4);
    assert_int_equal(count_of("&source=twinChangeEvents,Telemetry"), 2);
    assert_int_equal(ask("GET", EVENTS "&source=other", NULL, NULL).status, 400);
    assert_int_equal(ask("GET", EVENTS "&source=telemetry,", NULL, NULL).status, 400);
    service_disconnect(world.service, &session.identity, session.number);
}

static void identities_that_come_and_go_are_told_of(void **state UNUSED)
{
    make_device("d");
    make_module("d", "m");
    assert_int_equal(ask("DELETE", "/devices/d?" V, NULL, NULL).status, 204);
    struct answer answer = ask("GET", EVENTS "&source=deviceLifecycleEvents", NULL, NULL);
    static const char *const types[] = {"createDeviceIdentity", "createModuleIdentity",
        "deleteModuleIdentity", "deleteDeviceIdentity"};
    assert_int_equal(json_find_text(answer.json, "events")->count, 4);
    for (size_t i = 0; i < COUNT_OF(types); i++)
        assert_string_equal(of(&answer, i, "properties.opType"), types[i]);
    assert_string_equal(of(&answer, 0, "properties.hubName"), "h1");
    assert_string_equal(of(&answer, 0, "properties.deviceId"), "d");
    assert_string_equal(
        of(&answer, 0, "properties.iothub-message-schema"), "deviceLifecycleNotification");
    assert_string_equal(of(&answer, 0, "properties.operationTimestamp"), START_TEXT);
    assert_string_equal(
        of(&answer, 1, "properties.iothub-message-schema"), "moduleLifecycleNotification");
    assert_string_equal(of(&answer, 1, "moduleId"), "m");
    assert_string_equal(of(&answer, 1, "properties.moduleId"), "m");
    assert_string_equal(
        of(&answer, 0, "systemProperties.iothub-message-source"), "deviceLifecycleEvents");
    assert_string_equal(of(&answer, 0, "body.deviceId"), "d");
    assert_null(strstr(answer.body, HUB_KEY));
}

static void what_is_refused_is_no_event(void **state UNUSED)
{
    make_device("d");
    size_t before = count_of("&source=all");
    assert_int_equal(ask("PUT", "/devices/d?" V, "{\"deviceId\":\"d\"}", NULL).status, 409);
    assert_int_equal(ask("DELETE", "/devices/none?" V, NULL, NULL).status, 404);
    assert_int_equal(ask("PATCH", "/twins/d?" V, "{\"tags\":{\"a.b\":1}}", NULL).status, 400);
    assert_int_equal(ask("PATCH", "/twins/d?" V, "{\"tags\":{\"a\":1}}", "\"old\"").status, 412);
    assert_int_equal(count_of("&source=all"), before);
}

static void a_change_of_a_twin_is_told_as_it_was_sent(void **state UNUSED)
{
    struct heard heard;
    make_device("d");
    struct session session = connect_device("d", &heard);
    assert_int_equal(ask("PATCH", "/twins/d?" V,
                         "{\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"a\":{\"b\":null,"
                         "\"c\":5},\"$version\":7}}}",
                         NULL)
                         .status,
        200);
    assert_int_equal(send_report(&session, "{\"r\":[1]}"), ERR_NONE);
    assert_int_equal(
        ask("PUT", "/twins/d?" V, "{\"properties\":{\"desired\":{\"x\":2}}}", NULL).status, 200);
    struct answer answer = ask("GET", EVENTS "&source=twinChangeEvents", NULL, NULL);
#define AT "\"$lastUpdated\":\"" START_TEXT "\""
    assert_non_null(strstr(answer.body,
        "\"body\":{\"version\":3,\"tags\":{\"t\":1},\"properties\":{\"desired\":{\"a\":{\"b\":null,"
        "\"c\":"
        "5},\"$metadata\":{" AT ",\"$lastUpdatedVersion\":2,\"a\":{" AT
        ",\"$lastUpdatedVersion\":2,\"c\":{" AT ",\"$lastUpdatedVersion\":2}}},\"$version\":2}}}"));
    assert_non_null(strstr(answer.body,
        "\"body\":{\"version\":4,\"properties\":{\"reported\":{\"r\":[1],\"$metadata\":{" AT
        ",\"r\":{" AT "}},\"$version\":2}}}"));
    assert_non_null(strstr(answer.body,
        "\"body\":{\"deviceId\":\"d\",\"etag\":\"AAAAAAAAAAM=\",\"version\":5,\"tags\":{},"
        "\"properties\":{\"desired\":{\"x\":2,\"$metadata\":{" AT));
    assert_non_null(strstr(answer.body, "\"reported\":{\"r\":[1],\"$metadata\":{" AT));
    /* What IoT Hub's events say of themselves. */
    assert_string_equal(of(&answer, 0, "systemProperties.user-id"), "h1");
    assert_string_not_equal(of(&answer, 0, "systemProperties.correlation-id"),
        of(&answer, 1, "systemProperties.correlation-id"));
    assert_string_equal(of(&answer, 0, "properties.opType"), "updateTwin");
    assert_string_equal(of(&answer, 2, "properties.opType"), "replaceTwin");
    service_disconnect(world.service, &session.identity, session.number);
}

static void connections_are_told_in_an_order_that_numbers_show(void **state UNUSED)
{
    struct heard first_heard;
    struct heard second_heard;
    make_device("d");
    struct session first = connect_device("d", &first_heard);
    struct session second = connect_device("d", &second_heard); /* takes over */
    service_disconnect(world.service, &first.identity, first.number);
    service_disconnect(world.service, &second.identity, second.number);
    world_reopen_service(); /* waits for what nobody waits for */
    struct answer answer = ask("GET", EVENTS "&source=deviceConnectionStateEvents", NULL, NULL);
    static const char *const types[] = {"deviceConnected", "deviceConnected", "deviceDisconnected"};
    assert_int_equal(json_find_text(answer.json, "events")->count, COUNT_OF(types));
    const char *last = "";
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        assert_string_equal(of(&answer, i, "properties.opType"), types[i]);
        const char *number = of(&answer, i, "body.sequenceNumber");
        assert_int_equal(strlen(number), 32);
        assert_true(strcmp(last, number) < 0);
        last = number;
    }
}

static void each_class_may_be_switched_off(void **state UNUSED)
{
    struct heard heard;
    world.options.limits.lifecycle_events = 0;
    world.options.limits.twin_events = 0;
    world_reopen_service();
    make_device("d");
    struct session session = connect_device("d", &heard);
    assert_int_equal(send_report(&session, "{\"a\":1}"), ERR_NONE);
    assert_int_equal(count_of("&source=all"), 1);
    assert_int_equal(count_of("&source=deviceConnectionStateEvents"), 1);
    service_disconnect(world.service, &session.identity, session.number);
}

static void events_are_chosen_by_their_properties(void **state UNUSED)
{
    struct heard heard;
    make_device("d");
    struct session session = connect_device("d", &heard);
    assert_int_equal(send_event(&session, "level=high&n=1", SPAN_LIT("a")), ERR_NONE);
    assert_int_equal(send_event(&session, "level=low&%24.mid=m1", SPAN_LIT("b")), ERR_NONE);
    assert_int_equal(send_event(&session, "level=high&n=2&x%3Dy=a%26b", SPAN_LIT("c")), ERR_NONE);
    assert_int_equal(count_of("&property=level%3Dhigh"), 2);
    assert_int_equal(count_of("&property=level=high"), 2);
    assert_int_equal(count_of("&property=level=high&property=n=2"), 1);
    assert_int_equal(count_of("&property=message-id=m1"), 1);
    assert_int_equal(count_of("&property=level="), 0);
    assert_int_equal(count_of("&property=level=High"), 0);
    service_disconnect(world.service, &session.identity, session.number);
    assert_int_equal(ask("GET", EVENTS "&property=level", NULL, NULL).status, 400);
    assert_int_equal(ask("GET", EVENTS "&property==x", NULL, NULL).status, 400);
    assert_int_equal(ask("GET", EVENTS "&property=%zz=x", NULL, NULL).status, 400);
}

static void the_log_is_kept_below_its_size_and_the_newest_stay(void **state UNUSED)
{
    struct heard heard;
    static char body[1000];
    memset(body, 'x', sizeof(body));
    world.options.limits.event_retention_bytes = 20000;
    world_reopen_service();
    make_device("d");
    struct session session = connect_device("d", &heard);
    for (int i = 0; i < 40; i++)
        assert_int_equal(send_event(&session, "", (struct span){body, sizeof(body)}), ERR_NONE);
    service_disconnect(world.service, &session.identity, session.number);
    world_advance(61);
    service_tick(world.service);
    world_reopen_service();
    struct answer answer = ask("GET", EVENTS, NULL, NULL);
    size_t count = json_find_text(answer.json, "events")->count;
    assert_in_range(count, 10, 19);
    /* Nothing is dropped a second time, and what is new counts. */
    world_advance(61);
    service_tick(world.service);
    world_reopen_service();
    assert_int_equal(count_of(""), count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_with_notices, world_close)
        TEST(only_what_clients_sent_is_shown_unless_asked_for_more),
        TEST(identities_that_come_and_go_are_told_of),
        TEST(what_is_refused_is_no_event),
        TEST(a_change_of_a_twin_is_told_as_it_was_sent),
        TEST(connections_are_told_in_an_order_that_numbers_show),
        TEST(each_class_may_be_switched_off),
        TEST(events_are_chosen_by_their_properties),
        TEST(the_log_is_kept_below_its_size_and_the_newest_stay),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
