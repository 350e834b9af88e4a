/* SPDX-License-Identifier: Apache-2.0 */
/* Queries as the service runs them: cut into slices, bounded in time and number. */
#include "service_harness.h"

#include <stdatomic.h>

#define QUERY(text) "{\"query\":\"" text "\"}"

static struct answer query(const char *body)
{
    return ask("POST", "/devices/query?" V, body, NULL);
}

/* A clock that goes on by so much at each look: a slow machine. */
static atomic_llong ticking_us;
static long long step_us;

static int64_t tick(void *self UNUSED)
{
    return atomic_fetch_add(&ticking_us, step_us);
}

static int64_t stand(void *self UNUSED)
{
    return START_US;
}

static const struct clock slow_clock = {.wall_us = stand, .mono_us = tick};

static void make_many(void)
{
    char id[16];
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "d%02d", i);
        make_device(id);
    }
}

static void slow_down(long long us)
{
    step_us = us;
    world.options.clock = &slow_clock;
    world_reopen_service();
}

static void a_scan_of_many_slices_misses_and_repeats_nothing(void **state UNUSED)
{
    make_many();
    slow_down(20000); /* each slice ends at the first look at the clock */
    struct answer answer = query(QUERY("SELECT COUNT() AS n FROM devices WHERE NOT tags.x = 1 OR "
                                       "status = 'enabled'"));
    assert_string_equal(answer.body, "[{\"n\":100}]");
    answer = query(QUERY("SELECT deviceId FROM devices WHERE ENDS_WITH(deviceId, '9')"));
    assert_int_equal(answer.status, 200);
    assert_int_equal(answer.json->count, 10);
    assert_string_equal(
        arena_text(&world.arena, json_string_of(answer.json->last, "deviceId")), "d99");
}

static void what_indexes_count_is_what_a_scan_counts(void **state UNUSED)
{
    static const char *const tags[] = {"{\"t\":1}", "{\"t\":1.0}", "{\"t\":\"1\"}", "{\"t\":[1]}",
        "{\"t\":{\"a\":1}}", "{\"t\":[1]}", "{\"t\":true}"};
    char path[64];
    char body[64];
    make_many();
    for (size_t i = 0; i < COUNT_OF(tags); i++) {
        snprintf(path, sizeof(path), "/twins/d%02zu?" V, i);
        snprintf(body, sizeof(body), "{\"tags\":%s}", tags[i]);
        assert_int_equal(ask("PATCH", path, body, NULL).status, 200);
    }
    slow_down(20000);
    struct answer answer = query(QUERY("SELECT COUNT() AS n FROM devices WHERE status = 'enabled' "
                                       "AND connectionState = 'Disconnected'"));
    assert_string_equal(answer.body, "[{\"n\":100}]");
    answer = query(QUERY("SELECT COUNT() AS n FROM devices WHERE tags.t = 1 OR deviceId < 'd02' "
                         "OR IS_DEFINED(tags.t.a)"));
    assert_string_equal(answer.body, "[{\"n\":3}]");
    answer = query(QUERY("SELECT status, COUNT() AS n FROM devices GROUP BY status"));
    assert_string_equal(answer.body, "[{\"status\":\"enabled\",\"n\":100}]");
    answer = query(QUERY("SELECT tags.t, COUNT() AS n FROM devices GROUP BY tags.t"));
    assert_string_equal(answer.body,
        "[{\"n\":93},{\"t\":\"1\",\"n\":1},{\"t\":1,\"n\":2},{\"t\":[1],\"n\":2},"
        "{\"t\":true,\"n\":1},{\"t\":{\"a\":1},\"n\":1}]");
    answer = query(QUERY("SELECT TOP 1 capabilities.iotEdge, COUNT() AS n FROM devices "
                         "GROUP BY capabilities.iotEdge"));
    assert_string_equal(answer.body, "[{\"iotEdge\":false,\"n\":100}]");
    answer = query(QUERY("SELECT COUNT() AS n FROM devices.modules GROUP BY moduleId"));
    assert_string_equal(answer.body, "[]");
}

static void a_page_that_takes_too_long_ends_early_and_a_count_is_refused(void **state UNUSED)
{
    make_many();
    world.options.limits.query.seconds = 1;
    slow_down(400000);
    struct answer answer =
        query(QUERY("SELECT deviceId FROM devices WHERE IS_STRING(deviceId) OR false"));
    assert_int_equal(answer.status, 200);
    assert_in_range(answer.json->count, 1, 99);
    answer = query(QUERY("SELECT COUNT() AS n FROM devices WHERE NOT tags.x"));
    assert_int_equal(answer.status, 504);
    assert_non_null(strstr(answer.body, "limits.query_seconds"));
}

static void too_many_at_once_are_told_to_wait(void **state UNUSED)
{
    world.options.limits.query.running = 0;
    world_reopen_service();
    struct answer answer = query(QUERY("SELECT * FROM devices"));
    assert_int_equal(answer.status, 429);
    world.options.limits.query.running = 1;
    world_reopen_service();
    for (int i = 0; i < 3; i++)
        assert_int_equal(query(QUERY("SELECT * FROM devices")).status, 200);
    assert_int_equal(query(QUERY("SELECT FROM devices")).status, 400);
    assert_int_equal(query(QUERY("SELECT * FROM devices")).status, 200);
}

static void the_bounds_of_a_query_are_settings(void **state UNUSED)
{
    world.options.limits.query.groups = 2;
    world.options.limits.query.terms = 3;
    world.options.limits.query.bytes = 100;
    world_reopen_service();
    make_device("a");
    make_device("b");
    assert_int_equal(query(QUERY("SELECT deviceId FROM devices GROUP BY deviceId")).status, 200);
    for (int i = 0; i < 3; i++) {
        char body[32];
        snprintf(body, sizeof(body), "{\"tags\":{\"t\":%d}}", i);
        assert_int_equal(
            ask("PATCH", i == 0 ? "/twins/a?" V : "/twins/b?" V, body, NULL).status, 200);
    }
    assert_int_equal(query(QUERY("SELECT tags.t FROM devices GROUP BY tags.t")).status, 200);
    make_device("c");
    assert_int_equal(query(QUERY("SELECT tags.t FROM devices GROUP BY tags.t")).status, 400);
    struct answer answer = query(QUERY("SELECT deviceId FROM devices GROUP BY deviceId"));
    assert_int_equal(answer.status, 400);
    assert_non_null(strstr(answer.body, "limits.query_groups"));
    assert_int_equal(query(QUERY("SELECT * FROM devices WHERE a = 1")).status, 200);
    assert_int_equal(query(QUERY("SELECT * FROM devices WHERE a + 1 = 1")).status, 400);
}

static void a_lack_of_memory_is_told_and_leaves_nothing(void **state UNUSED)
{
    make_device("a");
    struct answer answer = {.status = 0};
    for (long n = 0; answer.status != 200; n++) {
        world_fail_after(n);
        answer = query(QUERY("SELECT deviceId, tags.x, COUNT() AS n FROM devices WHERE "
                             "CONCAT(deviceId, 'x') = 'ax' GROUP BY deviceId, tags.x"));
        assert_true(answer.status == 200 || answer.status == 500);
        assert_true(n < 1000);
    }
    assert_string_equal(answer.body, "[{\"deviceId\":\"a\",\"n\":1}]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_open, world_close)
        TEST(a_scan_of_many_slices_misses_and_repeats_nothing),
        TEST(what_indexes_count_is_what_a_scan_counts),
        TEST(a_page_that_takes_too_long_ends_early_and_a_count_is_refused),
        TEST(too_many_at_once_are_told_to_wait),
        TEST(the_bounds_of_a_query_are_settings),
        TEST(a_lack_of_memory_is_told_and_leaves_nothing),
    };
    return cmocka_run_group_tests_name("service query", tests, NULL, NULL);
}
