/* SPDX-License-Identifier: Apache-2.0 */
#include "throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000)
#define DAY (86400 * SECOND)

static struct throttle_limits limits;
static struct throttle *throttle;

static void begin(void)
{
    throttle_free(throttle);
    throttle = throttle_new(&limits);
    assert_non_null(throttle);
}

static int set_up(void **state)
{
    (void)state;
    limits = (struct throttle_limits){
        .burst_seconds = 10, .queue_seconds = 5, .waiting = 100, .callers = 64};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    throttle_free(throttle);
    throttle = NULL;
    return 0;
}

static struct throttle_request of(enum throttle_class class, const char *caller)
{
    return (struct throttle_request){.class = class,
        .hub_id = 1,
        .cost = 1,
        .caller = throttle_key(throttle, class, 1, 'd', span_of(caller), SPAN_NONE)};
}

static enum throttle_verdict ask(
    const struct throttle_request *request, int64_t now_us, int64_t *ret_us)
{
    return throttle_ask(throttle, request, now_us, now_us, ret_us);
}

/* How many of a kind are let through at one moment, until the first that is not. */
static unsigned pass(const struct throttle_request *request, int64_t now_us)
{
    int64_t us;
    unsigned count = 0;
    while (count < 100000 && ask(request, now_us, &us) == THROTTLE_GO)
        count++;
    return count;
}

static void test_nothing_is_judged_without_a_limit(void **state)
{
    (void)state;
    assert_false(throttle_limits_any(&limits));
    limits.each[THROTTLE_QUERIES] = 1;
    assert_true(throttle_limits_any(&limits));
    begin();
    assert_true(throttle_judges(throttle, THROTTLE_QUERIES, 0));
    assert_false(throttle_judges(throttle, THROTTLE_TWIN_READS, 1));
    struct throttle_request request = of(THROTTLE_TWIN_READS, "d1");
    assert_int_equal(pass(&request, 0), 100000);
}

static void test_a_burst_goes_then_a_queue_waits_then_all_are_refused(void **state)
{
    (void)state;
    limits.hub[THROTTLE_TWIN_READS] = 10;
    begin();
    struct throttle_request request = of(THROTTLE_TWIN_READS, "d1");
    int64_t us = 0;
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask(&request, SECOND, &us), THROTTLE_GO);
    /* One every tenth of a second from now on, those of five seconds may wait. */
    for (int i = 1; i <= 50; i++) {
        assert_int_equal(ask(&request, SECOND, &us), THROTTLE_WAIT);
        assert_in_range(us, i * 100000 - 2, i * 100000 + 2);
    }
    assert_int_equal(ask(&request, SECOND, &us), THROTTLE_REFUSED);
    assert_in_range(us, 100000 - 2, 100000 + 2);
    /* What was refused took nothing: when it is time to ask again there is room for one. */
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ask(&request, SECOND, &us), THROTTLE_REFUSED);
    assert_int_equal(ask(&request, SECOND + us, &us), THROTTLE_WAIT);
    assert_int_equal(ask(&request, SECOND + 100000, &us), THROTTLE_REFUSED);
}

static void test_a_bucket_fills_up_again_but_not_over(void **state)
{
    (void)state;
    limits.hub[THROTTLE_TWIN_UPDATES] = 10;
    limits.queue_seconds = 0;
    begin();
    struct throttle_request request = of(THROTTLE_TWIN_UPDATES, "d1");
    assert_int_equal(pass(&request, 0), 100);
    assert_int_equal(pass(&request, 2 * SECOND), 20);
    assert_int_equal(pass(&request, 3600 * SECOND), 100);
}

static void test_a_rate_per_minute_is_one(void **state)
{
    (void)state;
    limits.hub[THROTTLE_QUERIES] = 20;
    limits.queue_seconds = 0;
    limits.burst_seconds = 60;
    begin();
    struct throttle_request request = of(THROTTLE_QUERIES, "p");
    assert_int_equal(pass(&request, 0), 20);
    assert_int_equal(pass(&request, 2 * SECOND), 0);
    assert_int_equal(pass(&request, 3 * SECOND), 1);
    assert_int_equal(pass(&request, 63 * SECOND), 20);
}

static void test_one_request_goes_whatever_the_burst(void **state)
{
    (void)state;
    limits.hub[THROTTLE_QUERIES] = 1;
    limits.burst_seconds = 0;
    limits.queue_seconds = 0;
    begin();
    struct throttle_request request = of(THROTTLE_QUERIES, "p");
    assert_int_equal(pass(&request, 0), 1);
    assert_int_equal(pass(&request, 60 * SECOND), 1);
}

static void test_hubs_and_classes_have_buckets_of_their_own(void **state)
{
    (void)state;
    limits.hub[THROTTLE_TWIN_READS] = 10;
    limits.hub[THROTTLE_TWIN_UPDATES] = 1;
    limits.queue_seconds = 0;
    begin();
    struct throttle_request request = of(THROTTLE_TWIN_READS, "d1");
    assert_int_equal(pass(&request, 0), 100);
    request.hub_id = 65; /* which shares its chain with 1 */
    assert_int_equal(pass(&request, 0), 100);
    request = of(THROTTLE_TWIN_UPDATES, "d1");
    assert_int_equal(pass(&request, 0), 10);
}

static void test_one_caller_does_not_use_up_what_others_have(void **state)
{
    (void)state;
    limits.each[THROTTLE_D2C_SENDS] = 1;
    limits.hub[THROTTLE_D2C_SENDS] = 4;
    limits.queue_seconds = 0;
    begin();
    struct throttle_request loud = of(THROTTLE_D2C_SENDS, "loud");
    struct throttle_request calm = of(THROTTLE_D2C_SENDS, "calm");
    assert_int_equal(pass(&loud, 0), 10);
    assert_int_equal(pass(&calm, 0), 10);
    for (int i = 0; i < 2; i++) {
        char name[16];
        snprintf(name, sizeof(name), "d%d", i);
        struct throttle_request other = of(THROTTLE_D2C_SENDS, name);
        assert_int_equal(pass(&other, 0), 10);
    }
    /* Now it is the hub's that are used up. */
    struct throttle_request late = of(THROTTLE_D2C_SENDS, "late");
    assert_int_equal(pass(&late, 0), 0);
    assert_int_equal(pass(&late, SECOND), 4);
}

static void test_modules_and_policies_of_one_name_are_different_callers(void **state)
{
    (void)state;
    limits.each[THROTTLE_TWIN_READS] = 1;
    begin();
    const struct span name = SPAN_LIT("a");
    uint64_t keys[] = {
        throttle_key(throttle, THROTTLE_TWIN_READS, 1, 'd', name, SPAN_NONE),
        throttle_key(throttle, THROTTLE_TWIN_READS, 1, 'd', name, SPAN_LIT("b")),
        throttle_key(throttle, THROTTLE_TWIN_READS, 1, 'd', SPAN_LIT("ab"), SPAN_NONE),
        throttle_key(throttle, THROTTLE_TWIN_READS, 1, 'p', name, SPAN_NONE),
        throttle_key(throttle, THROTTLE_TWIN_READS, 2, 'd', name, SPAN_NONE),
    };
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        for (size_t j = 0; j < i; j++)
            assert_true(keys[i] != keys[j]);
    assert_true(throttle_key(throttle, THROTTLE_TWIN_UPDATES, 1, 'd', name, SPAN_NONE) == 0);
}

static void test_a_full_table_of_callers_forgets_who_asked_least(void **state)
{
    (void)state;
    limits.each[THROTTLE_D2C_SENDS] = 1;
    limits.callers = 8;
    limits.queue_seconds = 0;
    begin();
    struct throttle_request loud = of(THROTTLE_D2C_SENDS, "loud");
    assert_int_equal(pass(&loud, 0), 10);
    for (int i = 0; i < 1000; i++) {
        char name[16];
        int64_t us;
        snprintf(name, sizeof(name), "d%d", i);
        struct throttle_request other = of(THROTTLE_D2C_SENDS, name);
        assert_int_equal(ask(&other, 0, &us), THROTTLE_GO);
    }
    assert_int_equal(pass(&loud, 0), 0);
}

static void test_a_large_request_makes_those_behind_it_wait(void **state)
{
    (void)state;
    limits.hub[THROTTLE_METHOD_BYTES] = 4096;
    limits.burst_seconds = 1;
    begin();
    struct throttle_request request = of(THROTTLE_METHOD_BYTES, "p");
    int64_t us = 0;
    request.cost = 5 * 4096;
    assert_int_equal(ask(&request, 0, &us), THROTTLE_GO);
    request.cost = 4096;
    assert_int_equal(ask(&request, 0, &us), THROTTLE_WAIT);
    assert_in_range(us, 4 * SECOND, 4 * SECOND + 1000);
    assert_int_equal(ask(&request, 0, &us), THROTTLE_REFUSED);
}

static void test_the_patient_wait_and_get_their_tokens_back(void **state)
{
    (void)state;
    limits.hub[THROTTLE_D2C_SENDS] = 1;
    limits.burst_seconds = 1;
    begin();
    struct throttle_request request = of(THROTTLE_D2C_SENDS, "d1");
    int64_t us = 0;
    request.patient = true;
    assert_int_equal(ask(&request, 0, &us), THROTTLE_GO);
    for (int i = 1; i <= 100; i++) {
        assert_int_equal(ask(&request, 0, &us), THROTTLE_WAIT);
        assert_in_range(us, i * SECOND - 10, i * SECOND + 10);
    }
    for (int i = 0; i < 98; i++)
        throttle_give_back(throttle, &request);
    assert_int_equal(ask(&request, 0, &us), THROTTLE_WAIT);
    assert_in_range(us, 3 * SECOND - 10, 3 * SECOND + 10);
}

static void test_the_messages_of_a_day_are_counted_until_midnight(void **state)
{
    (void)state;
    limits.daily_messages = 10;
    begin();
    struct throttle_request request = of(THROTTLE_D2C_SENDS, "d1");
    int64_t us = 0;
    const int64_t noon = 20000 * DAY + DAY / 2;
    request.messages = 4;
    assert_true(throttle_judges(throttle, THROTTLE_D2C_SENDS, 4));
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_GO);
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_GO);
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_QUOTA);
    assert_true(us == DAY / 2);
    request.messages = 2;
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_GO);
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_QUOTA);
    request.hub_id = 2;
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_GO);
    request.hub_id = 1;
    assert_int_equal(throttle_ask(throttle, &request, 0, noon + DAY / 2, &us), THROTTLE_GO);
}

static void test_the_count_of_a_day_is_told_when_it_changed_and_goes_on_from_there(void **state)
{
    (void)state;
    limits.daily_messages = 10;
    begin();
    struct throttle_request request = of(THROTTLE_D2C_SENDS, "d1");
    struct throttle_day day;
    int64_t us = 0;
    const int64_t noon = 20000 * DAY + DAY / 2;
    request.messages = 4;
    assert_false(throttle_take_day(throttle, &day));
    throttle_set_day(throttle, &(struct throttle_day){1, 20000, 5});
    throttle_set_day(throttle, &(struct throttle_day){2, 19999, 10});
    assert_false(throttle_take_day(throttle, &day));
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_GO);
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_QUOTA);
    assert_true(throttle_take_day(throttle, &day));
    assert_int_equal(day.hub_id, 1);
    assert_int_equal(day.day, 20000);
    assert_int_equal(day.messages, 9);
    assert_false(throttle_take_day(throttle, &day));
    request.hub_id = 2; /* what it had was yesterday */
    assert_int_equal(throttle_ask(throttle, &request, 0, noon, &us), THROTTLE_GO);
    assert_true(throttle_take_day(throttle, &day));
    assert_int_equal(day.messages, 4);
}

static void test_without_memory_nobody_is_held_up(void **state)
{
    (void)state;
    limits.hub[THROTTLE_TWIN_READS] = 1;
    limits.burst_seconds = 0;
    begin();
    struct throttle_request request = of(THROTTLE_TWIN_READS, "d1");
    int64_t us;
    mem_fail_after(0);
    assert_int_equal(ask(&request, 0, &us), THROTTLE_GO);
    mem_fail_after(-1);
    assert_int_equal(ask(&request, 0, &us), THROTTLE_GO);
    assert_int_equal(ask(&request, 0, &us), THROTTLE_WAIT);
    mem_fail_after(0);
    assert_null(throttle_new(&limits));
    mem_fail_after(-1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_judged_without_a_limit),
        TEST(test_a_burst_goes_then_a_queue_waits_then_all_are_refused),
        TEST(test_a_bucket_fills_up_again_but_not_over),
        TEST(test_a_rate_per_minute_is_one),
        TEST(test_one_request_goes_whatever_the_burst),
        TEST(test_hubs_and_classes_have_buckets_of_their_own),
        TEST(test_one_caller_does_not_use_up_what_others_have),
        TEST(test_modules_and_policies_of_one_name_are_different_callers),
        TEST(test_a_full_table_of_callers_forgets_who_asked_least),
        TEST(test_a_large_request_makes_those_behind_it_wait),
        TEST(test_the_patient_wait_and_get_their_tokens_back),
        TEST(test_the_messages_of_a_day_are_counted_until_midnight),
        TEST(test_the_count_of_a_day_is_told_when_it_changed_and_goes_on_from_there),
        TEST(test_without_memory_nobody_is_held_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
