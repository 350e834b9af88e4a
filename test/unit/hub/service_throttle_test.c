/* SPDX-License-Identifier: Apache-2.0 */
/* What is throttled, on a clock that the tests move: through REST, as accounts and as devices. */
#include "service_harness.h"

#include "gate.h"
#include "metrics.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static struct throttle_limits *limits(void)
{
    return &world.options.limits.throttle;
}

/* Rates are of a second's burst here, and nothing waits. */
static int open_world(void **state)
{
    if (world_open(state) != 0)
        return -1;
    limits()->burst_seconds = 1;
    limits()->queue_seconds = 0;
    return 0;
}

static void assert_throttled(const struct answer *answer, const char *retry_after)
{
    assert_int_equal(answer->status, 429);
    assert_string_equal(answer->error, "ThrottlingException");
    assert_string_equal(answer->retry_after, retry_after);
    assert_non_null(strstr(answer->body, "{\"Message\":\"ErrorCode:ThrottlingException;"));
}

/* ---- classes --------------------------------------------------------------------------------- */

static void every_operation_of_azure_has_a_class(void **state UNUSED)
{
    static const char *const free_ones[] = {"/statistics/devices", "/statistics/service",
        "/devices/{}/messages/deviceBound/{}", "/devices/{}/messages/deviceBound/{}/abandon",
        "/messages/serviceBound/feedback", "/messages/serviceBound/feedback/{}",
        "/messages/serviceBound/feedback/{}/abandon"};
    for (size_t i = 0; i < rest_operation_count; i++) {
        const struct operation *operation = &rest_operations[i];
        bool metered = gate_class_of(operation) != THROTTLE_NOTHING;
        bool expected = operation->guard == GUARD_POLICY || operation->guard == GUARD_DEVICE;
        for (size_t j = 0; j < COUNT_OF(free_ones); j++)
            expected &= strcmp(operation->path, free_ones[j]) != 0;
        if (operation->run == not_offered)
            continue;
        if (operation->guard == GUARD_GEMEL)
            expected = strstr(operation->path, "/messages/deviceBound") != NULL;
        if (metered != expected)
            fail_msg("%s %s", operation->method, operation->path);
    }
}

static void metrics_have_the_names_of_the_classes(void **state UNUSED)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    metrics_write(&text);
    buf_add_byte(&text, '\0');
    assert_false(text.failed);
    const char *at = text.ptr;
    for (int i = 0; i < THROTTLE_CLASSES; i++) {
        char line[128];
        snprintf(line, sizeof(line), "\ngemel_throttle_refused_total{class=\"%s\"} ",
            gate_class_name((enum throttle_class)i));
        const char *found = strstr(at, line); /* in their order, too */
        if (found == NULL) {
            fail_msg("%s", line);
            return;
        }
        at = found;
    }
    assert_null(strstr(at + 1, "\ngemel_throttle_refused_total{"));
}

/* ---- REST ------------------------------------------------------------------------------------ */

static void what_is_over_the_rate_is_refused_with_the_documented_error(void **state UNUSED)
{
    limits()->hub[THROTTLE_IDENTITIES] = 120;
    world_reopen_service();
    for (int i = 0; i < 2; i++)
        assert_int_equal(ask("GET", "/devices?" V, NULL, NULL).status, 200);
    struct answer answer = ask("GET", "/devices?" V, NULL, NULL);
    assert_throttled(&answer, "1");
    int64_t refused = metrics_sum(METRIC_THROTTLE_REFUSED, THROTTLE_IDENTITIES);
    answer = ask("PUT", "/devices/d?" V, "{\"deviceId\":\"d\"}", NULL);
    assert_throttled(&answer, "1");
    assert_int_equal(metrics_sum(METRIC_THROTTLE_REFUSED, THROTTLE_IDENTITIES), refused + 1);
    /* Other classes have their own, and who may not ask takes no token. */
    assert_int_equal(ask("GET", "/configurations?" V, NULL, NULL).status, 200);
    world_advance(1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(ask_with("SharedAccessSignature sr=hub.local&sig=AAAA&se=1&skn=owner",
                             "hub.local", "GET", "/devices?" V, NULL, NULL)
                             .status,
            401);
    assert_int_equal(ask("GET", "/devices/d?" V, NULL, NULL).status, 404);
}

static void what_waits_is_answered_in_its_turn(void **state UNUSED)
{
    limits()->hub[THROTTLE_TWIN_READS] = 1;
    limits()->queue_seconds = 2;
    make_device("d");
    world_reopen_service();
    int64_t delayed = metrics_sum(METRIC_THROTTLE_DELAYED, THROTTLE_TWIN_READS);
    assert_int_equal(ask("GET", "/twins/d?" V, NULL, NULL).status, 200);
    struct pending *first = ask_later("GET", "/twins/d?" V);
    struct pending *second = ask_later("GET", "/twins/d?" V);
    struct answer answer = ask("GET", "/twins/d?" V, NULL, NULL);
    assert_throttled(&answer, "1");
    service_tick(world.service);
    assert_false(has_answer(first));
    world_advance(1);
    service_tick(world.service);
    assert_int_equal(get_answer(first).status, 200);
    assert_false(has_answer(second));
    world_advance(1);
    service_tick(world.service);
    assert_int_equal(get_answer(second).status, 200);
    assert_int_equal(metrics_sum(METRIC_THROTTLE_DELAYED, THROTTLE_TWIN_READS), delayed + 2);
}

static void the_gates_own_thread_needs_no_tick(void **state UNUSED)
{
    limits()->hub[THROTTLE_TWIN_READS] = 20;
    limits()->burst_seconds = 0;
    limits()->queue_seconds = 2;
    make_device("d");
    world.options.clock = &clock_system;
    world_reopen_service();
    /* Tokens are judged by the world's clock, which that of the machine is years ahead of. */
    const char *sas = token_of("hub.local", NULL, NULL, "owner", HUB_KEY, INT32_MAX);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ask_with(sas, "hub.local", "GET", "/twins/d?" V, NULL, NULL).status, 200);
}

static void only_so_many_wait(void **state UNUSED)
{
    limits()->hub[THROTTLE_TWIN_READS] = 1;
    limits()->queue_seconds = 100;
    limits()->waiting = 1;
    make_device("d");
    world_reopen_service();
    assert_int_equal(ask("GET", "/twins/d?" V, NULL, NULL).status, 200);
    struct pending *waits = ask_later("GET", "/twins/d?" V);
    assert_int_equal(ask("GET", "/twins/d?" V, NULL, NULL).status, 429);
    assert_false(has_answer(waits));
    /* A server that shuts down lets them through. */
    service_release_parked(world.service);
    assert_int_equal(get_answer(waits).status, 200);
    assert_int_equal(ask("GET", "/twins/d?" V, NULL, NULL).status, 200);
}

static void a_bulk_counts_its_items(void **state UNUSED)
{
    limits()->hub[THROTTLE_IDENTITIES] = 180;
    world_reopen_service();
    assert_int_equal(
        ask("POST", "/devices?" V, "[{\"id\":\"a\"},{\"id\":\"b\"},{\"id\":\"c\"}]", NULL).status,
        200);
    struct answer answer = ask("GET", "/devices?" V, NULL, NULL);
    assert_throttled(&answer, "1");
}

static void a_method_counts_the_bytes_of_its_payload(void **state UNUSED)
{
    limits()->hub[THROTTLE_METHOD_BYTES] = 8192;
    make_device("d");
    world_reopen_service();
    char body[6000];
    snprintf(body, sizeof(body), "{\"methodName\":\"m\",\"payload\":\"%05000d\"}", 0);
    assert_int_equal(ask("POST", "/twins/d/methods?" V, body, NULL).status, 404);
    struct answer answer = ask("POST", "/twins/d/methods?" V, "{\"methodName\":\"m\"}", NULL);
    assert_throttled(&answer, "1");
    world_advance(1);
    assert_int_equal(
        ask("POST", "/twins/d/methods?" V, "{\"methodName\":\"m\"}", NULL).status, 404);
}

static void policies_and_accounts_are_callers_of_their_own(void **state UNUSED)
{
    limits()->each[THROTTLE_TWIN_READS] = 2;
    make_device("d");
    make_administrator();
    world_reopen_service();
    struct browser browser = sign_in("admin", "se:cret");
    static const char path[] = "/gemel/v1/hubs/h1/iothub/twins/d";
    for (int i = 0; i < 2; i++) {
        assert_int_equal(browse(&browser, "GET", path, NULL).status, 200);
        assert_int_equal(ask("GET", "/twins/d?" V, NULL, NULL).status, 200);
        assert_int_equal(
            ask_with(token("service", HUB_KEY), "hub.local", "GET", "/twins/d?" V, NULL, NULL)
                .status,
            200);
    }
    struct answer answer = browse(&browser, "GET", path, NULL);
    assert_throttled(&answer, "1");
    answer = ask("GET", "/twins/d?" V, NULL, NULL);
    assert_throttled(&answer, "1");
}

/* ---- devices --------------------------------------------------------------------------------- */

static void leave(const struct session *session)
{
    service_disconnect(world.service, &session->identity, session->number);
}

struct sending {
    struct event_call call;
    atomic_bool done;
};

static void on_event(struct call *call)
{
    atomic_store(&((struct sending *)call->owner)->done, true);
}

static void start_event(struct sending *event, const struct session *session)
{
    *event = (struct sending){.call = {.identity = session->identity, .body = SPAN_INIT("x")}};
    call_init(&event->call.call, 4 << 20, on_event, event);
    event->call.patient = true;
    service_event(world.service, &event->call);
}

static enum err end_event(struct sending *event)
{
    while (!atomic_load(&event->done))
        usleep(200);
    enum err err = event->call.call.err;
    call_done(&event->call.call);
    return err;
}

static void events_over_mqtt_wait_and_can_be_given_up(void **state UNUSED)
{
    struct heard heard;
    struct sending events[4];
    limits()->hub[THROTTLE_D2C_SENDS] = 1;
    make_device("d");
    world_reopen_service();
    heard_init(&heard);
    struct session session = connect_device("d", &heard);
    for (size_t i = 0; i < COUNT_OF(events); i++)
        start_event(&events[i], &session);
    assert_false(events[0].call.call.delayed);
    assert_int_equal(end_event(&events[0]), ERR_NONE);
    for (size_t i = 1; i < COUNT_OF(events); i++)
        assert_true(events[i].call.call.delayed && !atomic_load(&events[i].done));
    /* The connection of the first that waits goes; what it would have taken is there for others. */
    service_abandon(world.service, &events[1].call.call);
    assert_int_equal(end_event(&events[1]), ERR_CANCELLED);
    world_advance(3);
    service_tick(world.service);
    assert_int_equal(end_event(&events[2]), ERR_NONE);
    assert_int_equal(end_event(&events[3]), ERR_NONE);
    service_abandon(world.service, &events[3].call.call); /* too late: nothing happens */
    start_event(&events[0], &session);
    assert_false(events[0].call.call.delayed);
    assert_int_equal(end_event(&events[0]), ERR_NONE);
    struct answer answer = ask("GET", "/gemel/v1/events?from=1", NULL, NULL);
    unsigned count = 0;
    for (const char *at = answer.body; (at = strstr(at, "\"sequenceNumber\"")) != NULL; at++)
        count++;
    assert_int_equal(count, 4);
    leave(&session);
}

static void twin_requests_over_mqtt_are_refused(void **state UNUSED)
{
    struct heard heard;
    limits()->each[THROTTLE_TWIN_UPDATES] = 1;
    make_device("d");
    make_device("e");
    world_reopen_service();
    heard_init(&heard);
    struct session session = connect_device("d", &heard);
    assert_int_equal(send_report(&session, "{\"a\":1}"), ERR_NONE);
    assert_int_equal(send_report(&session, "{\"a\":2}"), ERR_THROTTLED);
    struct session other = connect_device("e", &heard);
    assert_int_equal(send_report(&other, "{\"a\":1}"), ERR_NONE);
    leave(&session);
    leave(&other);
}

static void too_many_connections_are_refused_and_strangers_are_not_counted(void **state UNUSED)
{
    struct heard heard;
    limits()->hub[THROTTLE_CONNECTIONS] = 2;
    make_device("d");
    world_reopen_service();
    heard_init(&heard);
    for (int i = 0; i < 5; i++)
        assert_int_equal(connect_as("d", NULL, "nonsense", &heard).err, ERR_UNAUTHORIZED);
    struct session first = connect_device("d", &heard);
    struct session second = connect_device("d", &heard);
    assert_true(first.err == ERR_NONE && second.err == ERR_NONE);
    const char *sas = token_of("hub.local", "d", NULL, NULL, HUB_KEY, START_US / 1000000 + 60);
    assert_int_equal(connect_as("d", NULL, sas, &heard).err, ERR_THROTTLED);
    world_advance(1);
    struct session third = connect_device("d", &heard);
    assert_int_equal(third.err, ERR_NONE);
    leave(&first);
    leave(&second);
    leave(&third);
}

static void a_day_has_only_so_many_messages(void **state UNUSED)
{
    struct heard heard;
    static char large[9000];
    limits()->daily_messages = 5;
    make_device("d");
    world_reopen_service();
    heard_init(&heard);
    struct session session = connect_device("d", &heard);
    assert_int_equal(send_event(&session, "", SPAN_LIT("x")), ERR_NONE);
    assert_int_equal(send_event(&session, "", (struct span){large, sizeof(large)}), ERR_NONE);
    assert_int_equal(
        ask("POST", "/gemel/v1/devices/d/messages/deviceBound", "{\"body\":\"x\"}", NULL).status,
        201);
    assert_int_equal(send_event(&session, "", SPAN_LIT("x")), ERR_QUOTA);
    struct answer answer =
        ask_with(token_of("hub.local", "d", NULL, NULL, HUB_KEY, START_US / 1000000 + 60),
            "hub.local", "POST", "/devices/d/messages/events?" V, "x", NULL);
    assert_int_equal(answer.status, 403);
    assert_string_equal(answer.error, "IotHubQuotaExceeded");
    assert_string_equal(answer.retry_after, "6400"); /* at 22:13:20 */
    assert_int_equal(send_report(&session, "{\"a\":1}"), ERR_NONE);
    leave(&session);
    world_reopen_service(); /* the server starts again: the day is the same */
    session = connect_device("d", &heard);
    assert_int_equal(send_event(&session, "", SPAN_LIT("x")), ERR_QUOTA);
    world_advance(6400);
    leave(&session);
    session = connect_device("d", &heard);
    assert_int_equal(send_event(&session, "", SPAN_LIT("x")), ERR_NONE);
    leave(&session);
}

static void no_memory_is_an_error_and_no_leak(void **state UNUSED)
{
    limits()->hub[THROTTLE_TWIN_READS] = 1;
    make_device("d");
    for (long i = 0; i < 3; i++) {
        struct service *service = NULL;
        struct why why;
        service_close(world.service);
        mem_fail_after(i);
        enum err err = service_open(&world.options, &service, &why);
        mem_fail_after(-1);
        service_close(service);
        assert_true(err == ERR_MEMORY || err == ERR_NONE);
        assert_int_equal(service_open(&world.options, &world.service, &why), ERR_NONE);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_world, world_close)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_of_azure_has_a_class),
        cmocka_unit_test(metrics_have_the_names_of_the_classes),
        TEST(what_is_over_the_rate_is_refused_with_the_documented_error),
        TEST(what_waits_is_answered_in_its_turn),
        TEST(the_gates_own_thread_needs_no_tick),
        TEST(only_so_many_wait),
        TEST(a_bulk_counts_its_items),
        TEST(a_method_counts_the_bytes_of_its_payload),
        TEST(policies_and_accounts_are_callers_of_their_own),
        TEST(events_over_mqtt_wait_and_can_be_given_up),
        TEST(twin_requests_over_mqtt_are_refused),
        TEST(too_many_connections_are_refused_and_strangers_are_not_counted),
        TEST(a_day_has_only_so_many_messages),
        TEST(no_memory_is_an_error_and_no_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
