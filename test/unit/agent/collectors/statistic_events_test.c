/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>

/* A collector that has seen, and lost, what the test says. */
static struct collector_counts seen_so_far;
static uint64_t to_send;

static enum err busy_new(
    const struct collectors_options *options UNUSED, void **ret_state, struct why *why UNUSED)
{
    *ret_state = &seen_so_far;
    return ERR_NONE;
}

static void busy_free(void *state UNUSED)
{
}

static enum err busy_collect(
    void *state UNUSED, struct collector_writer *writer, struct why *why UNUSED)
{
    struct arena *arena;
    if (to_send == 0)
        return ERR_NONE;
    return collector_write(
        writer, collector_now_us(writer), to_send, collector_payload(writer, &arena));
}

static void busy_count(void *state UNUSED, struct collector_counts *ret_counts)
{
    *ret_counts = seen_so_far;
}

static const struct collector busy_collector = {.name = "Busy",
    .part = PART_PROCESS,
    .disabled = SETTING_PROCESS_DISABLED,
    .frequency = SETTING_PROCESS_MESSAGE_FREQUENCY,
    .new = busy_new,
    .free = busy_free,
    .collect = busy_collect,
    .count = busy_count};

static const struct collector *const table[] = {&busy_collector, &statistic_events_collector};

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
};

static void apply(struct fixture *f)
{
    const char *field;
    struct why why = {""};
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_NONE);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    seen_so_far = (struct collector_counts){0};
    to_send = 0;
    harness_init(&f->harness);
    settings_init(&f->settings);
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
    apply(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    settings_done(&f->settings);
    harness_done(&f->harness);
    test_free(f);
    return 0;
}

static void pass_a_day(struct fixture *f)
{
    harness_clear(&f->harness);
    f->harness.mono_us += 1440 * 60 * SECOND;
    (void)collectors_run(f->collectors);
}

/* The hit count of a description in what was sent of a collector; -1 if it was not named. */
static int64_t told(const struct fixture *f, const char *name, const char *description)
{
    int64_t hits = -1;
    size_t count = harness_events(&f->harness, "StatisticEvents");
    for (size_t i = 0; i < count; i++) {
        const struct json *payload = harness_payload(&f->harness, "StatisticEvents", i);
        if (!span_is(json_string_of(payload, "name"), name))
            continue;
        json_each (event, json_find_text(payload, "events"))
            if (span_is(json_string_of(event, "description"), description))
                hits = harness_number(event, "hit_count");
    }
    return hits;
}

static void each_collector_tells_what_it_sent_and_lost_since_the_last_time(void **state)
{
    struct fixture *f = *state;
    to_send = 7;
    pass_a_day(f);
    assert_int_equal(told(f, "Busy", "sent"), 0); /* it shares this message: told of next time */
    assert_int_equal(told(f, "Busy", "dropped: cache_bound"), -1);
    seen_so_far.lost[LOSS_CACHE_BOUND] = 3;
    seen_so_far.lost[LOSS_KERNEL_BUFFER] = 2;
    to_send = 0;
    pass_a_day(f);
    assert_int_equal(told(f, "Busy", "sent"), 7);
    assert_int_equal(told(f, "Busy", "dropped: cache_bound"), 3);
    assert_int_equal(told(f, "Busy", "dropped: kernel_buffer"), 2);
    seen_so_far.lost[LOSS_CACHE_BOUND] = 4;
    pass_a_day(f);
    assert_int_equal(told(f, "Busy", "sent"), 0);
    assert_int_equal(told(f, "Busy", "dropped: cache_bound"), 1);
    assert_int_equal(told(f, "Busy", "dropped: kernel_buffer"), -1);
}

static void the_statistics_count_themselves_and_add_up_to_the_status(void **state)
{
    struct fixture *f = *state;
    int64_t sum = 0, last = 0;
    for (int i = 0; i < 5; i++) {
        to_send = (uint64_t)i;
        pass_a_day(f);
        assert_int_equal(told(f, "StatisticEvents", "sent"), last);
        last = 2; /* one number of each of the two */
        sum += told(f, "StatisticEvents", "sent");
    }
    pass_a_day(f);
    sum += told(f, "StatisticEvents", "sent") + 2;
    assert_int_equal(harness_counter(&f->harness, f->collectors, "StatisticEvents", "sent"), sum);
}

static void what_the_outbox_refused_is_told_as_dropped(void **state)
{
    struct fixture *f = *state;
    to_send = 5;
    f->harness.answer = ERR_STORAGE_FULL;
    pass_a_day(f);
    f->harness.answer = ERR_NONE;
    to_send = 0;
    pass_a_day(f);
    assert_int_equal(told(f, "Busy", "sent"), 0);
    assert_int_equal(told(f, "Busy", "dropped: outbox"), 5);
    assert_int_equal(told(f, "StatisticEvents", "dropped: outbox"), 2);
}

static void what_passes_the_cache_size_is_counted(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_STATISTIC_EVENTS_CACHE_SIZE].number = 2;
    seen_so_far.lost[LOSS_CACHE_BOUND] = seen_so_far.lost[LOSS_MEMORY] = 1;
    apply(f);
    pass_a_day(f);
    assert_int_equal(told(f, "Busy", "dropped: cache_bound"), 1);
    assert_int_equal(told(f, "Busy", "dropped: memory"), -1);
    assert_int_equal(told(f, "StatisticEvents", "sent"), -1);
    assert_int_equal(
        harness_counter(&f->harness, f->collectors, "StatisticEvents", "lost.cache_bound"), 2);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "StatisticEvents", "seen"), 4);
}

static void every_loss_has_a_name(void **state UNUSED)
{
    for (size_t i = 0; i < LOSS_COUNT; i++) {
        assert_non_null(loss_name((enum loss)i));
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(loss_name((enum loss)i), loss_name((enum loss)j));
    }
}

static void without_memory_it_is_counted(void **state)
{
    struct fixture *f = *state;
    f->harness.memory_fails = true;
    int64_t lost = 0;
    for (long allocations = 0; allocations < 12; allocations++) {
        harness_clear(&f->harness);
        f->harness.mono_us += 1440 * 60 * SECOND;
        mem_fail_after(allocations);
        (void)collectors_run(f->collectors);
        mem_fail_after(-1);
        if (harness_events(&f->harness, "StatisticEvents") < 2)
            lost++;
    }
    assert_true(lost > 0);
    assert_true(
        harness_counter(&f->harness, f->collectors, "StatisticEvents", "lost.memory") >= lost);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_collector_tells_what_it_sent_and_lost_since_the_last_time),
        TEST(the_statistics_count_themselves_and_add_up_to_the_status),
        TEST(what_the_outbox_refused_is_told_as_dropped),
        TEST(what_passes_the_cache_size_is_counted),
        TEST(every_loss_has_a_name),
        TEST(without_memory_it_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
