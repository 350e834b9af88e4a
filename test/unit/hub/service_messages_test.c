/* SPDX-License-Identifier: Apache-2.0 */
/* Cloud-to-device messages: what is taken, held, completed and given up, by clocks that the test
 * moves, and without memory. */
#include "service_harness.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define SEND "/gemel/v1/devices/d/messages/deviceBound"
#define RECEIVE "/devices/d/messages/deviceBound"

static void send_one(const char *body)
{
    struct answer answer = ask("POST", SEND, body, NULL);
    if (answer.status != 201)
        fail_msg("%d %s", answer.status, answer.body);
}

struct taken {
    enum err err;
    bool found;
    bool again;
    uint64_t sequence;
    char body[64];
};

static void on_settled(struct call *call)
{
    atomic_store((atomic_bool *)call->owner, true);
}

static void wait_until(atomic_bool *done)
{
    while (!atomic_load(done))
        usleep(200);
}

static struct taken take(const struct session *session)
{
    atomic_bool done = false;
    struct message_call call = {.identity = session->identity, .session = session->number};
    call_init(&call.call, 4 << 20, on_settled, &done);
    service_message_take(world.service, &call);
    wait_until(&done);
    struct taken taken = {call.call.err, call.found, call.again, call.sequence, ""};
    if (call.found)
        assert_true(span_copy(call.body, taken.body, sizeof(taken.body)));
    call_done(&call.call);
    return taken;
}

static bool complete(const struct session *session, uint64_t sequence, bool release)
{
    atomic_bool done = false;
    struct message_call call = {.identity = session->identity,
        .session = session->number,
        .sequence = sequence,
        .release = release};
    call_init(&call.call, 4 << 20, on_settled, &done);
    service_message_complete(world.service, &call);
    wait_until(&done);
    assert_int_equal(call.call.err, ERR_NONE);
    bool found = call.found;
    call_done(&call.call);
    return found;
}

static const char *count(void)
{
    struct answer answer = ask("GET", "/devices/d?" V, NULL, NULL);
    struct answer queried = ask("POST", "/devices/query?" V,
        "{\"query\":\"SELECT cloudToDeviceMessageCount FROM devices WHERE deviceId = 'd'\"}", NULL);
    const char *count = member(&answer, "cloudToDeviceMessageCount");
    assert_string_equal(count, member(&queried, "0.cloudToDeviceMessageCount"));
    return count;
}

static void assert_feedback(size_t index, const char *id, const char *outcome)
{
    struct answer answer = ask("GET", "/gemel/v1/feedback", NULL, NULL);
    char path[64];
    snprintf(path, sizeof(path), "items.%zu.originalMessageId", index);
    const char *found = member(&answer, path);
    assert_non_null(found);
    assert_string_equal(found, id);
    snprintf(path, sizeof(path), "items.%zu.statusCode", index);
    assert_string_equal(member(&answer, path), outcome);
}

static void a_session_holds_what_it_took_until_it_is_over(void **state UNUSED)
{
    static struct heard heard;
    static struct heard next;
    make_device("d");
    send_one("{\"body\":\"a\"}");
    send_one("{\"body\":\"b\"}");
    struct session first = connect_device("d", &heard);
    struct taken a = take(&first);
    assert_string_equal(a.body, "a");
    assert_string_equal(take(&first).body, "b");
    assert_false(take(&first).found);
    world_advance(3000); /* no time ends it */
    assert_false(take(&first).found);
    assert_int_equal(ask("GET", RECEIVE, NULL, NULL).status, 204);

    struct session second = connect_device("d", &next);
    struct taken again = take(&second);
    assert_int_equal(again.sequence, a.sequence);
    assert_true(again.again);
    assert_false(complete(&first, a.sequence, false)); /* it holds it no more */
    assert_true(complete(&second, a.sequence, false));
    assert_false(complete(&second, a.sequence, false));
    assert_string_equal(count(), "1");
}

static void a_released_message_was_not_delivered(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    send_one("{\"body\":\"a\"}");
    struct session session = connect_device("d", &heard);
    for (int i = 0; i < 20; i++) {
        struct taken taken = take(&session);
        assert_true(taken.found);
        assert_false(taken.again);
        assert_true(complete(&session, taken.sequence, true));
    }
}

static void whoever_takes_messages_is_told(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    struct session session = connect_device("d", &heard);
    send_one("{\"body\":\"a\"}");
    assert_int_equal(heard_messages(&heard), 0);
    service_takes(world.service, &session.identity, session.number, SESSION_TAKES_MESSAGES);
    send_one("{\"body\":\"b\"}");
    assert_int_equal(heard_messages(&heard), 1);
}

static void wait_for_events(const char *count_text)
{
    for (int i = 0; i < 5000; i++) {
        struct answer answer = ask("GET", "/gemel/v1/events?from=earliest", NULL, NULL);
        if (strcmp(member(&answer, "next"), count_text) == 0)
            return;
        usleep(1000);
    }
    fail_msg("no event %s", count_text);
}

static void the_sweep_tells_of_what_expired_and_of_locks_that_ended(void **state UNUSED)
{
    static struct heard heard;
    make_device("d");
    send_one("{\"body\":\"a\",\"messageId\":\"m1\",\"ack\":\"negative\"}");
    send_one("{\"body\":\"b\",\"messageId\":\"m2\",\"ack\":\"full\",\"timeToLiveSeconds\":30}");
    send_one("{\"body\":\"c\",\"messageId\":\"m3\",\"ack\":\"positive\",\"timeToLiveSeconds\":30}");
    struct session session = connect_device("d", &heard);
    service_takes(world.service, &session.identity, session.number, SESSION_TAKES_MESSAGES);
    assert_int_equal(ask("GET", RECEIVE, NULL, NULL).status, 200);
    world_advance(31);
    service_tick(world.service);
    wait_for_events("2");
    assert_feedback(0, "m2", "Expired");
    assert_string_equal(count(), "1");
    assert_int_equal(heard_messages(&heard), 0); /* the first is still locked */
    world_advance(30);
    for (int i = 0; i < 5000 && heard_messages(&heard) == 0; i++) {
        service_tick(world.service); /* sweeps once the sweep of before is over */
        usleep(1000);
    }
    assert_int_equal(heard_messages(&heard), 1);
    assert_string_equal(take(&session).body, "a");
}

static void a_message_is_delivered_so_often_and_no_oftener(void **state UNUSED)
{
    make_device("d");
    send_one("{\"body\":\"a\",\"messageId\":\"m\",\"ack\":\"full\"}");
    for (unsigned i = 0; i < world.options.limits.message_deliveries; i++) {
        assert_int_equal(ask("GET", RECEIVE, NULL, NULL).status, 200);
        assert_int_equal(ask("GET", RECEIVE, NULL, NULL).status, 204);
        world_advance(61);
    }
    assert_int_equal(ask("GET", RECEIVE, NULL, NULL).status, 204);
    assert_feedback(0, "m", "DeliveryCountExceeded");
    assert_string_equal(count(), "0");
}

static void the_default_life_is_an_hour(void **state UNUSED)
{
    make_device("d");
    send_one("{\"body\":\"a\"}");
    world_advance(3599);
    assert_int_equal(ask("GET", RECEIVE, NULL, NULL).status, 200);
    world_advance(61);
    assert_int_equal(ask("GET", RECEIVE, NULL, NULL).status, 204);
}

static void messages_go_with_their_device_and_modules_have_their_own(void **state UNUSED)
{
    make_device("d");
    make_module("d", "m");
    send_one("{\"body\":\"a\"}");
    struct answer answer =
        ask("POST", "/gemel/v1/devices/d/modules/m/messages/deviceBound", "{}", NULL);
    assert_int_equal(answer.status, 201);
    answer = ask("GET", "/devices/d/modules/m?" V, NULL, NULL);
    assert_string_equal(member(&answer, "cloudToDeviceMessageCount"), "1");
    answer = ask("GET", "/twins/d?" V, NULL, NULL);
    assert_string_equal(member(&answer, "cloudToDeviceMessageCount"), "1");
    assert_int_equal(ask("DELETE", "/devices/d?" V, NULL, "*").status, 204);
    make_device("d");
    assert_string_equal(count(), "0");
}

#define FEEDBACK "/messages/serviceBound/feedback"

static struct answer settle_feedback(const char *method, const struct answer *held, const char *how)
{
    char target[128];
    snprintf(target, sizeof(target), FEEDBACK "/%.36s%s?" V, held->etag + 1, how);
    return ask(method, target, NULL, NULL);
}

static size_t records(const struct answer *answer)
{
    size_t count = 0;
    for (const char *at = answer->body; (at = strstr(at, "{\"originalMessageId\":")) != NULL; at++)
        count++;
    return count;
}

static void feedback_is_received_held_and_completed(void **state UNUSED)
{
    make_device("d");
    assert_int_equal(ask("GET", FEEDBACK "?" V, NULL, NULL).status, 204);
    assert_int_equal(ask("HEAD", FEEDBACK "?" V, NULL, NULL).status, 405);
    for (int i = 0; i < 65; i++) {
        char body[64];
        snprintf(body, sizeof(body), "{\"body\":1,\"messageId\":\"m%d\",\"ack\":\"full\"}", i);
        send_one(body);
        if (i % 50 == 49 || i == 64)
            assert_int_equal(ask("DELETE", "/devices/d/commands?" V, NULL, NULL).status, 200);
    }
    struct answer first = ask("GET", FEEDBACK "?" V, NULL, NULL);
    assert_int_equal(first.status, 200);
    assert_int_equal(records(&first), 64);
    assert_true(strncmp(first.body, "[{\"originalMessageId\":\"m0\",", 27) == 0);
    assert_non_null(strstr(first.body, "\"statusCode\":\"Purged\""));
    struct answer second = ask("GET", FEEDBACK "?" V, NULL, NULL);
    assert_int_equal(records(&second), 1);
    assert_int_equal(ask("GET", FEEDBACK "?" V, NULL, NULL).status, 204);
    assert_int_equal(settle_feedback("POST", &first, "/abandon").status, 204);
    assert_int_equal(settle_feedback("DELETE", &first, "").status, 412);
    assert_int_equal(settle_feedback("DELETE", &second, "").status, 204);
    first = ask("GET", FEEDBACK "?" V, NULL, NULL);
    assert_int_equal(records(&first), 64);
    world_advance(61); /* its lock ends by itself */
    assert_int_equal(settle_feedback("DELETE", &first, "").status, 412);
    first = ask("GET", FEEDBACK "?" V, NULL, NULL);
    assert_int_equal(settle_feedback("DELETE", &first, "").status, 204);
    world_advance(61);
    assert_int_equal(ask("GET", FEEDBACK "?" V, NULL, NULL).status, 204);
    struct answer wrong = ask("DELETE", FEEDBACK "/nonsense?" V, NULL, NULL);
    assert_int_equal(wrong.status, 412);
    assert_string_equal(wrong.error, "DeviceMessageLockLost");
    assert_feedback(64, "m64", "Purged"); /* in the list */
}

static void without_memory_nothing_is_half_done(void **state UNUSED)
{
    static const struct {
        const char *method;
        const char *target;
        const char *body;
        int status;
    } rows[] = {
        {"POST", SEND, "{\"body\":{\"a\":1},\"properties\":{\"k\":\"v\"},\"ack\":\"full\"}", 201},
        {"GET", RECEIVE, NULL, 200},
        {"POST", "/devices/d/messages/events", "text", 204},
        {"DELETE", "/devices/d/commands?" V, NULL, 200},
        {"GET", "/gemel/v1/feedback", NULL, 200},
        {"GET", FEEDBACK "?" V, NULL, 200},
    };
    make_device("d");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (long allocations = 0;; allocations++) {
            world_fail_after(allocations);
            struct answer answer = ask(rows[i].method, rows[i].target, rows[i].body, NULL);
            if (answer.status == rows[i].status)
                break;
            if (answer.status != 500)
                fail_msg("%s: %d %s", rows[i].target, answer.status, answer.body);
        }
        assert_string_equal(count(), i < 3 ? "1" : "0");
    }
}

/* The sinks of what is still connected are static. */
static int close_all(void **state)
{
    bus_end_hub(world.bus, world.hub_id);
    return world_close(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, close_all)
        TEST(a_session_holds_what_it_took_until_it_is_over),
        TEST(a_released_message_was_not_delivered),
        TEST(whoever_takes_messages_is_told),
        TEST(the_sweep_tells_of_what_expired_and_of_locks_that_ended),
        TEST(a_message_is_delivered_so_often_and_no_oftener),
        TEST(the_default_life_is_an_hour),
        TEST(messages_go_with_their_device_and_modules_have_their_own),
        TEST(feedback_is_received_held_and_completed),
        TEST(without_memory_nothing_is_half_done),
    };
    return cmocka_run_group_tests_name("service messages", tests, NULL, NULL);
}
