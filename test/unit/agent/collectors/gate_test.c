/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <pthread.h>
#include <setjmp.h>

#include <cmocka.h>

/* A collector that has one event at each collection, if it may; and a snapshot of the same. */
static struct collector_gate *gates[2];

static enum err new_busy(
    const struct collectors_options *options, void **ret_state, struct why *why UNUSED)
{
    gates[0] = options->gate;
    *ret_state = NULL;
    return ERR_NONE;
}

static enum err collect(void *state UNUSED, struct collector_writer *writer, struct why *why UNUSED)
{
    struct arena *arena;
    return collector_write(writer, collector_now_us(writer), 1, collector_payload(writer, &arena));
}

static const struct collector busy_collector = {.name = "Busy",
    .part = PART_LOGIN,
    .disabled = SETTING_LOGIN_DISABLED,
    .frequency = SETTING_LOGIN_MESSAGE_FREQUENCY,
    .new = new_busy,
    .collect = collect};

static const struct collector picture_collector = {.name = "Picture",
    .part = PART_SBOM,
    .disabled = SETTING_SBOM_DISABLED,
    .frequency = SETTING_SBOM_MESSAGE_FREQUENCY,
    .snapshot = true,
    .collect = collect};

static const struct collector light_collector = {.name = "Light",
    .part = PART_HEARTBEAT,
    .disabled = SETTING_HEARTBEAT_DISABLED,
    .frequency = SETTING_HEARTBEAT_MESSAGE_FREQUENCY,
    .snapshot = true,
    .light = true,
    .collect = collect};

static const struct collector *const table[] = {
    &busy_collector, &picture_collector, &light_collector};

struct fixture {
    struct harness harness;
    struct collectors *collectors;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    const char *field;
    struct settings defaults;
    harness_init(&fixture.harness);
    settings_init(&defaults);
    *state = &fixture;
    if (collectors_new_of(&fixture.harness.options, table, COUNT_OF(table), &fixture.collectors,
            NULL) != ERR_NONE ||
        collectors_apply(fixture.collectors, &defaults, &field, NULL) != ERR_NONE)
        return -1;
    collectors_run(fixture.collectors);
    harness_clear(&fixture.harness);
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    harness_done(&f->harness);
    return 0;
}

static unsigned admitted_of(unsigned asked)
{
    unsigned admitted = 0;
    for (unsigned i = 0; i < asked; i++)
        admitted += collector_admit(gates[0], 1);
    return admitted;
}

static void without_a_gate_or_a_level_everything_is_admitted(void **state UNUSED)
{
    assert_true(collector_admit(NULL, 5));
    assert_int_equal(collector_slowness(NULL), 1);
    assert_int_equal(admitted_of(10000), 10000);
    assert_int_equal(collector_slowness(gates[0]), 1);
}

static void each_level_keeps_fewer_and_counts_the_others(void **state)
{
    struct fixture *f = *state;
    static const unsigned kept[] = {6400, 6400, 3200, 800, 100, 100};
    unsigned asked = 0, admitted = 0;
    uint32_t slowness = 0;
    for (unsigned level = 0; level < COUNT_OF(kept); level++) {
        collectors_set_level(f->collectors, level);
        assert_int_equal(admitted_of(6400), kept[level]);
        asked += 6400;
        admitted += kept[level];
        assert_true(collector_slowness(gates[0]) >= slowness);
        slowness = collector_slowness(gates[0]);
    }
    assert_int_equal(
        harness_counter(&f->harness, f->collectors, "Busy", "lost.budget"), asked - admitted);
    /* What was kept is the collector's to count: here it holds nothing. */
    assert_int_equal(
        harness_counter(&f->harness, f->collectors, "Busy", "seen"), asked - admitted + 1);
    collectors_set_level(f->collectors, 0);
    assert_int_equal(admitted_of(100), 100);
}

static void apply(struct fixture *f, int64_t per_second)
{
    const char *field;
    struct settings settings;
    settings_init(&settings);
    settings.values[SETTING_AGENT_EVENTS_PER_SECOND].number = per_second;
    assert_int_equal(collectors_apply(f->collectors, &settings, &field, NULL), ERR_NONE);
}

static void a_rate_admits_a_second_s_worth_at_once_and_then_as_time_passes(void **state)
{
    struct fixture *f = *state;
    apply(f, 1000);
    assert_int_equal(admitted_of(5000), 1000);
    f->harness.mono_us += SECOND / 10;
    assert_int_equal(admitted_of(5000), 100);
    f->harness.mono_us += 100 * SECOND;
    assert_int_equal(admitted_of(5000), 1000);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Busy", "lost.budget"), 12900);
    apply(f, 0);
    assert_int_equal(admitted_of(5000), 5000);
}

static void an_event_larger_than_the_rate_takes_a_whole_second(void **state)
{
    struct fixture *f = *state;
    apply(f, 10);
    assert_true(collector_admit(gates[0], 1000));
    assert_false(collector_admit(gates[0], 1));
    f->harness.mono_us += SECOND;
    assert_true(collector_admit(gates[0], 1000));
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Busy", "lost.budget"), 1);
}

static void snapshots_come_less_often_unless_they_are_light(void **state)
{
    struct fixture *f = *state;
    collectors_set_level(f->collectors, 1);
    for (int day = 0; day < 8; day++) {
        f->harness.mono_us += 86400 * SECOND;
        collectors_run(f->collectors);
    }
    assert_int_equal(harness_events(&f->harness, "Light"), 8);
    assert_int_equal(harness_events(&f->harness, "Picture"), 4);
    collectors_set_level(f->collectors, 0);
    f->harness.mono_us += 86400 * SECOND;
    collectors_run(f->collectors);
    assert_int_equal(harness_events(&f->harness, "Picture"), 5);
}

static void *ask(void *ret_admitted)
{
    *(unsigned *)ret_admitted = admitted_of(100000);
    return NULL;
}

/* From several threads at once, nothing is counted twice or not at all. */
static void every_thread_may_ask(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    unsigned admitted[4];
    unsigned sum = 0;
    apply(f, 1000);
    collectors_set_level(f->collectors, 2);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &admitted[i]), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++) {
        pthread_join(threads[i], NULL);
        sum += admitted[i];
    }
    assert_int_equal(sum, 1000);
    assert_int_equal(
        harness_counter(&f->harness, f->collectors, "Busy", "lost.budget"), 400000 - 1000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(without_a_gate_or_a_level_everything_is_admitted),
        TEST(each_level_keeps_fewer_and_counts_the_others),
        TEST(a_rate_admits_a_second_s_worth_at_once_and_then_as_time_passes),
        TEST(an_event_larger_than_the_rate_takes_a_whole_second),
        TEST(snapshots_come_less_often_unless_they_are_light), TEST(every_thread_may_ask)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
