/* SPDX-License-Identifier: Apache-2.0 */
#include "service_harness.h"

#include <poll.h>
#include <unistd.h>

static void send_text(const struct session *session, const char *bag, const char *body)
{
    assert_int_equal(send_event(session, bag, span_of(body)), ERR_NONE);
}

static void an_event_is_stamped_and_keeps_its_properties(void **state UNUSED)
{
    struct heard heard;
    make_device("d#1");
    struct session session = connect_device("d#1", &heard);
    send_text(&session,
        "twice=1&mti=2.3-0-1-0&%24.mid=m%201&%24.ct=application%2Fjson&%24.ifid=urn%3Ax&empty=&"
        "alone&"
        "%24.cdid=forged&a%20b=%C3%A9&iothub-x=y&twice=2",
        "{\"a\":[1.50,\"\\u00e9\"]}");
    struct answer answer = ask("GET", "/gemel/v1/events?from=earliest", NULL, NULL);
    assert_int_equal(answer.status, 200);
    assert_string_equal(answer.body,
        "{\"events\":[{\"sequenceNumber\":1,\"enqueuedTime\":\"" START_TEXT
        "\",\"deviceId\":\"d#1\",\"moduleId\":null,\"systemProperties\":{"
        "\"message-id\":\"m 1\",\"content-type\":\"application/json\","
        "\"iothub-interface-id\":\"urn:x\",\"iothub-connection-device-id\":\"d#1\","
        "\"iothub-connection-auth-method\":"
        "\"{\\\"scope\\\":\\\"device\\\",\\\"type\\\":\\\"sas\\\",\\\"issuer\\\":\\\"iothub\\\"}\","
        "\"iothub-connection-auth-generation-id\":\"638355968000000000\","
        "\"iothub-message-source\":\"Telemetry\",\"iothub-enqueuedtime\":\"" START_TEXT "\"},"
        "\"properties\":{\"mti\":\"2.3-0-1-0\",\"empty\":\"\",\"alone\":null,"
        "\"a b\":\"\xC3\xA9\",\"iothub-x\":\"y\",\"twice\":\"2\"},"
        "\"body\":{\"a\":[1.50,\"\xC3\xA9\"]}}],\"next\":2}");
    service_disconnect(world.service, &session.identity, session.number);
}

static void a_body_is_shown_as_what_it_is(void **state UNUSED)
{
    static const struct {
        const char *bag;
        struct span body;
        const char *shown;
    } rows[] = {
        {"", SPAN_INIT("{\"a\":1}"), "{\"a\":1}"},
        {"", SPAN_INIT(" [1, 2]\n"), "[1,2]"},
        {"", SPAN_INIT("5"), "5"}, /* a text, for nothing says that it is JSON */
        {"%24.ct=application%2Fjson", SPAN_INIT("5"), "5"},
        {"%24.ct=Application%2FJSON%3B%20charset%3Dutf-8", SPAN_INIT("true"), "true"},
        {"%24.ct=text%2Fplain", SPAN_INIT("{\"a\":1}"), "{\"a\":1}"},
        {"", SPAN_INIT("{\"a\":"), "{\"a\":"},
        {"%24.ct=application%2Fjson", SPAN_INIT("{\"a\":1,\"a\":2}"), "{\"a\":1,\"a\":2}"},
        {"", SPAN_INIT("h\xC3\xA9llo\n"), "h\xC3\xA9llo\n"},
        {"", SPAN_INIT(""), ""},
        {"", SPAN_INIT("\xFF\x00\x01"), "{\"base64\":\"/wAB\"}"},
    };
    static const enum json_kind kinds[] = {JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER,
        JSON_BOOL, JSON_STRING, JSON_STRING, JSON_STRING, JSON_STRING, JSON_STRING, JSON_OBJECT};
    struct heard heard;
    make_device("d1");
    struct session session = connect_device("d1", &heard);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(send_event(&session, rows[i].bag, rows[i].body), ERR_NONE);
    struct answer answer = ask("GET", "/gemel/v1/events?from=1", NULL, NULL);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(
            member(&answer, arena_format(&world.arena, "events.%zu.body", i)), rows[i].shown);
        const struct json *event = json_find_text(answer.json, "events")->first;
        for (size_t j = 0; j < i; j++)
            event = event->next;
        assert_int_equal(json_find_text(event, "body")->kind, kinds[i]);
    }
    service_disconnect(world.service, &session.identity, session.number);
}

static void a_message_is_bounded_with_its_properties(void **state UNUSED)
{
    struct heard heard;
    make_device("d1");
    struct session session = connect_device("d1", &heard);
    size_t most = 256 * 1024;
    char *body = arena_alloc(&world.arena, most + 1);
    memset(body, 'x', most);
    assert_int_equal(send_event(&session, "", (struct span){body, most}), ERR_NONE);
    assert_int_equal(send_event(&session, "", (struct span){body, most + 1}), ERR_TOO_LARGE);
    assert_int_equal(send_event(&session, "ab=c", (struct span){body, most - 3}), ERR_NONE);
    assert_int_equal(send_event(&session, "ab=c", (struct span){body, most - 2}), ERR_TOO_LARGE);
    /* of a system property only the value counts */
    assert_int_equal(send_event(&session, "%24.mid=c", (struct span){body, most - 1}), ERR_NONE);
    assert_int_equal(send_event(&session, "a=%zz", SPAN_LIT("x")), ERR_FORMAT);
    assert_int_equal(send_event(&session, "=x", SPAN_LIT("x")), ERR_FORMAT);
    struct answer answer = ask("GET", "/gemel/v1/events?from=earliest&limit=10", NULL, NULL);
    assert_int_equal(json_find_text(answer.json, "events")->count, 3);
    service_disconnect(world.service, &session.identity, session.number);
}

struct row {
    const char *query;
    int status;
    size_t count;
    const char *next;
};

static void events_are_read_from_where_and_whom_one_asks(void **state UNUSED)
{
    static const struct row rows[] = {
        {"from=earliest", 200, 6, "7"},
        {"from=0", 200, 6, "7"},
        {"from=3", 200, 4, "7"},
        {"from=latest", 200, 0, "7"},
        {"", 200, 0, "7"},
        {"from=100", 200, 0, "100"},
        {"from=earliest&limit=2", 200, 2, "3"},
        {"from=earliest&limit=0", 200, 1, "2"},
        {"from=earliest&device=d1", 200, 4, "7"},
        {"from=earliest&device=d1&module=m1", 200, 2, "7"},
        {"from=earliest&device=d1&module=none", 200, 0, "7"},
        {"from=earliest&device=%64%32", 200, 2, "7"},
        {"from=yesterday", 400, 0, NULL},
        {"from=-1", 400, 0, NULL},
        {"wait=61", 400, 0, NULL},
        {"wait=x", 400, 0, NULL},
        {"limit=1001", 400, 0, NULL},
        {"device=%zz", 400, 0, NULL},
    };
    struct heard heard;
    make_device("d1");
    make_device("d2");
    make_module("d1", "m1");
    struct session one = connect_device("d1", &heard);
    struct session two = connect_device("d2", &heard);
    struct session module = connect_as("d1", "m1",
        token_of("hub.local", "d1", "m1", NULL, HUB_KEY, START_US / 1000000 + 60), &heard);
    for (int i = 0; i < 2; i++) {
        send_text(&one, "", "x");
        send_text(&two, "", "x");
        send_text(&module, "", "x");
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct answer answer = ask(
            "GET", arena_format(&world.arena, "/gemel/v1/events?%s", rows[i].query), NULL, NULL);
        if (answer.status != rows[i].status)
            fail_msg("%s: %s", rows[i].query, answer.body);
        if (answer.status != 200)
            continue;
        assert_int_equal(json_find_text(answer.json, "events")->count, rows[i].count);
        assert_string_equal(member(&answer, "next"), rows[i].next);
    }
    service_disconnect(world.service, &one.identity, one.number);
    service_disconnect(world.service, &two.identity, two.number);
    service_disconnect(world.service, &module.identity, module.number);
}

/* A call is parked once its read came back; there is nothing that tells, so we give it time. A
 * call that was not parked yet finds the event when it reads: the outcome is the same. */
static void give_time(void)
{
    usleep(20000);
}

static void a_long_poll_is_answered_by_the_next_event(void **state UNUSED)
{
    struct heard heard;
    make_device("d1");
    make_device("d2");
    struct session one = connect_device("d1", &heard);
    struct session two = connect_device("d2", &heard);
    struct pending *any = ask_later("GET", "/gemel/v1/events?wait=30");
    struct pending *only = ask_later("GET", "/gemel/v1/events?wait=30&device=d2");
    give_time();
    assert_false(has_answer(any));
    send_text(&one, "", "1");
    struct answer answer = get_answer(any);
    assert_string_equal(member(&answer, "events.0.body"), "1");
    assert_false(has_answer(only));
    send_text(&two, "", "2");
    answer = get_answer(only);
    assert_string_equal(member(&answer, "events.0.body"), "2");
    assert_string_equal(member(&answer, "next"), "3");
    service_disconnect(world.service, &one.identity, one.number);
    service_disconnect(world.service, &two.identity, two.number);
}

static void no_event_is_missed_between_reading_and_waiting(void **state UNUSED)
{
    struct heard heard;
    make_device("d1");
    struct session session = connect_device("d1", &heard);
    for (int i = 1; i <= 200; i++) {
        struct pending *poll =
            ask_later("GET", arena_format(&world.arena, "/gemel/v1/events?from=%d&wait=30", i));
        send_text(&session, "", "x");
        struct answer answer = get_answer(poll);
        assert_string_equal(member(&answer, "next"), arena_format(&world.arena, "%d", i + 1));
    }
    service_disconnect(world.service, &session.identity, session.number);
}

static void a_long_poll_ends_with_its_time_and_with_a_drain(void **state UNUSED)
{
    struct pending *poll = ask_later("GET", "/gemel/v1/events?wait=10");
    give_time();
    service_tick(world.service);
    assert_false(has_answer(poll));
    world_advance(10);
    service_tick(world.service);
    struct answer answer = get_answer(poll);
    assert_string_equal(answer.body, "{\"events\":[],\"next\":1}");
    poll = ask_later("GET", "/gemel/v1/events?wait=10");
    give_time();
    service_release_parked(world.service);
    assert_int_equal(get_answer(poll).status, 200);
    poll = ask_later("GET", "/gemel/v1/events?wait=10"); /* nothing is parked any more */
    assert_int_equal(get_answer(poll).status, 200);
}

static void old_events_are_dropped_with_time(void **state UNUSED)
{
    struct heard heard;
    make_device("d1");
    struct session session = connect_device("d1", &heard);
    send_text(&session, "", "old");
    world_advance(23 * 3600);
    send_text(&session, "", "young");
    service_tick(world.service);
    world_advance(2 * 3600);
    send_text(&session, "", "new");
    struct answer answer = {0};
    for (unsigned tries = 0; tries < 1000; tries++) {
        service_tick(world.service); /* prunes once the pruning of before is over */
        answer = ask("GET", "/gemel/v1/events?from=earliest", NULL, NULL);
        if (strcmp(member(&answer, "events.0.body"), "old") != 0)
            break;
        poll(NULL, 0, 5);
    }
    assert_string_equal(member(&answer, "events.0.body"), "young");
    assert_string_equal(member(&answer, "events.0.sequenceNumber"), "2");
    assert_string_equal(member(&answer, "events.1.body"), "new");
    service_disconnect(world.service, &session.identity, session.number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_event_is_stamped_and_keeps_its_properties, world_open, world_close),
        cmocka_unit_test_setup_teardown(a_body_is_shown_as_what_it_is, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_message_is_bounded_with_its_properties, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            events_are_read_from_where_and_whom_one_asks, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_long_poll_is_answered_by_the_next_event, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            no_event_is_missed_between_reading_and_waiting, world_open, world_close),
        cmocka_unit_test_setup_teardown(
            a_long_poll_ends_with_its_time_and_with_a_drain, world_open, world_close),
        cmocka_unit_test_setup_teardown(old_events_are_dropped_with_time, world_open, world_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
