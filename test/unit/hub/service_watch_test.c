/* SPDX-License-Identifier: Apache-2.0 */
/* Watching a twin: an answer for each kind of news, none lost, none for what is somebody else's. */
#include "service_harness.h"

#include <pthread.h>
#include <unistd.h>

#define WATCH "/gemel/v1/twin-watch/"

static void patch(const char *target)
{
    struct answer answer = ask("PATCH", target, "{\"properties\":{\"desired\":{\"a\":1}}}", NULL);
    assert_int_equal(answer.status, 200);
}

/* Until the call is with the store no more: it is read by then, and parked if there is no news. */
static struct pending *watch_later(const char *target)
{
    struct pending *pending = ask_later("GET", target);
    for (int i = 0; i < 3; i++)
        ask("GET", "/twins/d?" V, NULL, NULL);
    return pending;
}

static void news_is_told_at_once(void **state UNUSED)
{
    make_device("d");
    struct answer answer = ask("GET", WATCH "d?since=1&wait=25", NULL, NULL);
    assert_int_equal(answer.status, 200);
    assert_string_equal(member(&answer, "twin.version"), "2");
    assert_string_equal(member(&answer, "twin.deviceId"), "d");
    assert_string_equal(member(&answer, "connectionState"), "Disconnected");
    assert_string_equal(member(&answer, "connectionStateUpdatedTime"), "0001-01-01T00:00:00Z");
    assert_string_equal(member(&answer, "delivered"), "null");
    assert_int_equal(ask("GET", WATCH "d?since=2", NULL, NULL).status, 204);
    assert_int_equal(
        ask("GET", WATCH "d?since=2&connection=Connected&wait=5", NULL, NULL).status, 200);
    assert_int_equal(ask("GET", WATCH "d?since=2&delivered=1&wait=5", NULL, NULL).status, 200);
    assert_int_equal(ask("GET", WATCH "d?since=2&connection=Disconnected", NULL, NULL).status, 204);
    assert_int_equal(ask("GET", WATCH "d?since=2&delivered=null", NULL, NULL).status, 204);
}

static void a_watch_without_news_ends_when_its_time_is_up(void **state UNUSED)
{
    make_device("d");
    struct pending *pending = watch_later(WATCH "d?since=2&wait=25");
    service_tick(world.service);
    assert_false(has_answer(pending));
    world_advance(24);
    service_tick(world.service);
    assert_false(has_answer(pending));
    world_advance(1);
    service_tick(world.service);
    struct answer answer = get_answer(pending);
    assert_int_equal(answer.status, 204);
    assert_string_equal(answer.body, "");
}

static void each_kind_of_news_wakes_who_watches_it(void **state UNUSED)
{
    struct heard heard;
    make_device("d");
    make_device("other");
    make_module("d", "m");
    struct pending *pending = watch_later(WATCH "d?since=2&wait=25");
    struct pending *module = watch_later(WATCH "d/m?since=2&wait=25");
    patch("/twins/other?" V);
    assert_false(has_answer(pending));
    patch("/twins/d?" V);
    struct answer answer = get_answer(pending);
    assert_string_equal(member(&answer, "twin.version"), "3");
    assert_false(has_answer(module));

    pending = watch_later(WATCH "d?since=3&connection=Disconnected&wait=25");
    struct pending *indifferent = watch_later(WATCH "d?since=3&wait=25");
    struct session session = connect_device("d", &heard);
    answer = get_answer(pending);
    assert_string_equal(member(&answer, "connectionState"), "Connected");
    assert_false(has_answer(indifferent));

    assert_int_equal(send_report(&session, "{\"r\":1}"), ERR_NONE);
    answer = get_answer(indifferent);
    assert_string_equal(member(&answer, "twin.properties.reported.r"), "1");

    pending = watch_later(WATCH "d?since=4&delivered=null&wait=25");
    service_delivered(world.service, session.number, 2);
    answer = get_answer(pending);
    assert_string_equal(member(&answer, "delivered"), "2");

    pending = watch_later(WATCH "d?since=4&connection=Connected&wait=25");
    service_disconnect(world.service, &session.identity, session.number);
    answer = get_answer(pending);
    assert_string_equal(member(&answer, "connectionState"), "Disconnected");
    assert_string_equal(member(&answer, "delivered"), "null");

    assert_int_equal(ask("DELETE", "/devices/d?" V, NULL, "*").status, 204);
    answer = get_answer(module);
    assert_int_equal(answer.status, 404);
    assert_string_equal(answer.error, "DeviceNotFound");
}

static void a_drain_ends_every_watch(void **state UNUSED)
{
    make_device("d");
    struct pending *pending = watch_later(WATCH "d?since=2&wait=25");
    service_release_parked(world.service);
    assert_int_equal(get_answer(pending).status, 204);
    assert_int_equal(ask("GET", WATCH "d?since=2&wait=25", NULL, NULL).status, 204);
}

static void *change_a_hundred_times(void *argument UNUSED)
{
    for (int i = 0; i < 100; i++)
        bus_twin_changed(world.bus, world.hub_id, SPAN_LIT("d"), SPAN_NONE);
    return NULL;
}

/* The clock stands still: a lost change would leave a watch waiting for ever. */
static void no_change_is_lost_between_looking_and_waiting(void **state UNUSED)
{
    make_device("d");
    for (int round = 0; round < 200; round++) {
        pthread_t noise;
        char target[80];
        snprintf(target, sizeof(target), WATCH "d?since=%d&wait=25", round + 2);
        assert_int_equal(pthread_create(&noise, NULL, change_a_hundred_times, NULL), 0);
        struct pending *pending = ask_later("GET", target);
        patch("/twins/d?" V);
        assert_int_equal(get_answer(pending).status, 200);
        pthread_join(noise, NULL);
    }
}

#define MANY 1000

static void a_thousand_watch_one_twin(void **state UNUSED)
{
    static struct pending *pending[MANY];
    make_device("d");
    for (size_t i = 0; i < MANY; i++)
        pending[i] = ask_later("GET", WATCH "d?since=2&wait=25");
    patch("/twins/d?" V);
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(get_answer(pending[i]).status, 200);
}

static void what_cannot_be_watched_is_refused(void **state UNUSED)
{
    static const struct {
        const char *target;
        int status;
    } rows[] = {
        {WATCH "none?since=1", 404},
        {WATCH "d/none?since=1", 404},
        {WATCH "d?since=x", 400},
        {WATCH "d?wait=26", 400},
        {WATCH "d?connection=connected", 400},
        {WATCH "d?delivered=x", 400},
    };
    make_device("d");
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(ask("GET", rows[i].target, NULL, NULL).status, rows[i].status);
    assert_int_equal(
        ask_with(token("read", HUB_KEY), "hub.local", "GET", WATCH "d", NULL, NULL).status, 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        TEST(news_is_told_at_once),
        TEST(a_watch_without_news_ends_when_its_time_is_up),
        TEST(each_kind_of_news_wakes_who_watches_it),
        TEST(a_drain_ends_every_watch),
        TEST(no_change_is_lost_between_looking_and_waiting),
        TEST(a_thousand_watch_one_twin),
        TEST(what_cannot_be_watched_is_refused),
    };
    return cmocka_run_group_tests_name("service watch", tests, NULL, NULL);
}
