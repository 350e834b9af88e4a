/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler alone: collectors of the test's own, and a clock that it moves. */
#include "harness.h"

#include <setjmp.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define MINUTE (60 * SECOND)
#define HIGH (30 * MINUTE)
#define MEDIUM (120 * MINUTE)
#define LOW (1440 * MINUTE)

/* A collector that writes what it is told to, and notes what is done to it. */
struct fake {
    unsigned held; /* events */
    bool keeps;    /* it goes on holding them: a snapshot */
    enum err collect_error;
    enum err start_error;
    unsigned starts, stops, collections;
    int64_t started_with; /* Process_CacheSize, of the last start that succeeded */
    unsigned runs;
    int64_t wants_us; /* what run() returns */
    int fd;           /* 0: one that is none */
    unsigned unready; /* how often prepare() says to come again, at ask_us */
    int64_t ask_us;
};

static struct fake fakes[3];

static enum err new_fake(
    const struct collectors_options *options UNUSED, void **ret_state, struct why *why UNUSED)
{
    static size_t next;
    *ret_state = &fakes[next++ % COUNT_OF(fakes)];
    return ERR_NONE;
}

static enum err start_fake(
    void *state, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct fake *fake = state;
    if (fake->start_error != ERR_NONE) {
        *ret_field = "Process_Mode";
        why_set(why, "it does not start");
        return fake->start_error;
    }
    fake->starts++;
    fake->started_with = settings_int(settings, SETTING_PROCESS_CACHE_SIZE);
    return ERR_NONE;
}

static void stop_fake(void *state)
{
    ((struct fake *)state)->stops++;
}

static enum err collect_fake(void *state, struct collector_writer *writer, struct why *why)
{
    struct fake *fake = state;
    fake->collections++;
    for (unsigned i = 0; i < fake->held; i++) {
        struct arena *arena;
        struct json *payload = collector_payload(writer, &arena);
        assert_int_equal(collector_write(writer, collector_now_us(writer), 2, payload), ERR_NONE);
    }
    if (!fake->keeps)
        fake->held = 0;
    if (fake->collect_error != ERR_NONE)
        why_set(why, "it fails");
    return fake->collect_error;
}

static size_t descriptors_fake(void *state, int *ret_fds, size_t room)
{
    assert_true(room > 0);
    const struct fake *fake = state;
    ret_fds[0] = fake->fd > 0 ? fake->fd : 100 + (int)(fake - fakes);
    return 1;
}

static int64_t run_fake(void *state)
{
    struct fake *fake = state;
    fake->runs++;
    return fake->wants_us;
}

static int64_t prepare_fake(void *state)
{
    struct fake *fake = state;
    if (fake->unready == 0)
        return 0;
    fake->unready--;
    return fake->ask_us;
}

#define FAKE(title, PART)                                                                          \
    .name = title, .part = PART_##PART, .disabled = SETTING_##PART##_DISABLED,                     \
    .frequency = SETTING_##PART##_MESSAGE_FREQUENCY, .new = new_fake, .start = start_fake,         \
    .stop = stop_fake, .collect = collect_fake, .descriptors = descriptors_fake, .run = run_fake,  \
    .prepare = prepare_fake

static const struct collector fast = {FAKE("Fast", LOGIN)};
static const struct collector middle = {FAKE("Middle", PROCESS)};
static const struct collector slow = {FAKE("Slow", HEARTBEAT), .snapshot = true};
static const struct collector *const table[] = {&fast, &middle, &slow};

enum { FAST, MIDDLE, SLOW };

struct fixture {
    struct harness harness;
    struct collectors *collectors;
    struct settings settings;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    harness_init(&f->harness);
    settings_init(&f->settings);
    f->settings.values[SETTING_LOGIN_MESSAGE_FREQUENCY].number = FREQUENCY_HIGH;
    memset(fakes, 0, sizeof(fakes));
    for (size_t i = 0; i < COUNT_OF(fakes); i++)
        fakes[i].wants_us = INT64_MAX;
    fakes[SLOW].keeps = true;
    fakes[SLOW].held = 1;
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
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

static void apply(struct fixture *f)
{
    const char *field;
    struct why why = {""};
    if (collectors_apply(f->collectors, &f->settings, &field, &why) != ERR_NONE)
        fail_msg("%s: %s", field, why.text);
}

/* Moves the clock to each moment that comes up, until `span_us` have passed; returns how often. */
static unsigned run_for(struct fixture *f, int64_t span_us)
{
    int64_t end_us = f->harness.mono_us + span_us;
    unsigned times = 0;
    for (;;) {
        int64_t next_us = collectors_run(f->collectors);
        times++;
        assert_true(next_us > f->harness.mono_us);
        if (next_us > end_us)
            break;
        f->harness.wall_us += next_us - f->harness.mono_us;
        f->harness.mono_us = next_us;
    }
    f->harness.wall_us += end_us - f->harness.mono_us;
    f->harness.mono_us = end_us;
    return times;
}

static void nothing_runs_before_settings_are_in_force(void **state)
{
    struct fixture *f = *state;
    run_for(f, 3 * LOW);
    collectors_flush(f->collectors);
    assert_int_equal(f->harness.count, 0);
    assert_int_equal(fakes[SLOW].collections, 0);
}

static void the_first_collection_is_of_all_and_shares_a_message(void **state)
{
    struct fixture *f = *state;
    fakes[FAST].held = 2;
    fakes[MIDDLE].held = 3;
    apply(f);
    collectors_run(f->collectors);
    assert_int_equal(f->harness.count, 1);
    assert_int_equal(harness_events(&f->harness, NULL), 6);
}

static void who_is_not_ready_holds_up_nobody_and_is_collected_when_it_is(void **state)
{
    struct fixture *f = *state;
    fakes[FAST].held = 2;
    fakes[SLOW].unready = 2;
    apply(f);
    for (unsigned turn = 0; turn < 2; turn++) {
        fakes[SLOW].ask_us = f->harness.mono_us + SECOND;
        assert_int_equal(collectors_run(f->collectors), fakes[SLOW].ask_us);
        assert_int_equal(harness_events(&f->harness, "Fast"), 2);
        assert_int_equal(fakes[SLOW].collections, 0);
        f->harness.mono_us += SECOND;
    }
    collectors_run(f->collectors);
    assert_int_equal(fakes[SLOW].collections, 1);
    run_for(f, 2 * LOW); /* that it was late moves no later moment */
    assert_int_equal(fakes[SLOW].collections, 3);
    assert_int_equal(fakes[FAST].collections, 1 + 2 * LOW / HIGH);
}

static void the_first_collection_waits_a_random_time_within_its_bound(void **state)
{
    struct fixture *f = *state;
    int64_t delays[2];
    for (size_t i = 0; i < COUNT_OF(delays); i++) {
        collectors_free(f->collectors);
        f->harness.options.first_delay_us = 60 * SECOND;
        assert_int_equal(
            collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
            ERR_NONE);
        fakes[SLOW] = (struct fake){.keeps = true, .held = 1, .wants_us = INT64_MAX};
        apply(f);
        delays[i] = collectors_run(f->collectors) - f->harness.mono_us;
        assert_in_range(delays[i], 1, 60 * SECOND);
        assert_int_equal(fakes[SLOW].collections, 0);
        f->harness.mono_us += delays[i];
        collectors_run(f->collectors);
        assert_int_equal(fakes[SLOW].collections, 1);
    }
    assert_int_not_equal(delays[0], delays[1]);
}

static void each_runs_at_its_interval_and_multiples_coincide(void **state)
{
    struct fixture *f = *state;
    apply(f);
    unsigned moments = run_for(f, 2 * LOW);
    assert_int_equal(fakes[FAST].collections, 2 * 48 + 1);
    assert_int_equal(fakes[MIDDLE].collections, 2 * 12 + 1);
    assert_int_equal(fakes[SLOW].collections, 2 + 1);
    assert_int_equal(moments, 2 * 48 + 1);
}

static void a_late_run_collects_once_and_stays_on_the_grid(void **state)
{
    struct fixture *f = *state;
    apply(f);
    int64_t first_us = f->harness.mono_us;
    collectors_run(f->collectors);
    f->harness.mono_us = first_us + 10 * HIGH + 7 * SECOND;
    int64_t next_us = collectors_run(f->collectors);
    assert_int_equal(fakes[FAST].collections, 2);
    assert_int_equal(next_us, first_us + 11 * HIGH);
}

static void a_jump_of_the_wall_clock_changes_nothing(void **state)
{
    struct fixture *f = *state;
    apply(f);
    collectors_run(f->collectors);
    const int64_t jumps[] = {-2000000000 * SECOND, 4000000000 * SECOND, 0};
    for (size_t i = 0; i < COUNT_OF(jumps); i++) {
        f->harness.wall_us += jumps[i];
        run_for(f, HIGH);
        assert_int_equal(fakes[FAST].collections, 2 + i);
    }
}

static void without_data_there_is_no_message(void **state)
{
    struct fixture *f = *state;
    fakes[SLOW].held = 0;
    apply(f);
    run_for(f, 2 * LOW);
    assert_int_equal(f->harness.count, 0);
}

static void a_collector_that_fails_keeps_nobody_from_his(void **state)
{
    struct fixture *f = *state;
    fakes[FAST].collect_error = ERR_IO;
    fakes[FAST].held = 1;
    fakes[MIDDLE].held = 1;
    apply(f);
    collectors_run(f->collectors);
    assert_int_equal(harness_events(&f->harness, "Fast"), 1); /* what it wrote before */
    assert_int_equal(harness_events(&f->harness, "Middle"), 1);
    assert_int_equal(harness_events(&f->harness, "Slow"), 1);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Fast", "failures"), 1);
    run_for(f, HIGH);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Fast", "failures"), 2);
}

static void a_message_that_is_not_kept_is_counted_as_lost(void **state)
{
    struct fixture *f = *state;
    fakes[MIDDLE].held = 3;
    apply(f);
    f->harness.answer = ERR_STORAGE_FULL;
    collectors_run(f->collectors);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Middle", "seen"), 6);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Middle", "sent"), 0);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Middle", "lost.outbox"), 6);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Slow", "lost.outbox"), 2);
}

static void flushing_sends_what_is_held_and_takes_no_snapshot(void **state)
{
    struct fixture *f = *state;
    apply(f);
    run_for(f, 7 * SECOND);
    harness_clear(&f->harness);
    fakes[FAST].held = 2;
    collectors_flush(f->collectors);
    assert_int_equal(f->harness.count, 1);
    assert_int_equal(harness_events(&f->harness, "Fast"), 2);
    assert_int_equal(harness_events(&f->harness, "Slow"), 0);
    unsigned before = fakes[FAST].collections;
    run_for(f, HIGH); /* a flush moves no moment */
    assert_int_equal(fakes[FAST].collections, before + 1);
}

static void only_the_collector_concerned_is_started_again(void **state)
{
    struct fixture *f = *state;
    apply(f);
    f->settings.values[SETTING_PROCESS_CACHE_SIZE].number = 99;
    apply(f);
    assert_int_equal(fakes[FAST].starts, 1);
    assert_int_equal(fakes[MIDDLE].starts, 2);
    assert_int_equal(fakes[MIDDLE].started_with, 99);
    assert_int_equal(fakes[SLOW].starts, 1);
    apply(f);
    assert_int_equal(fakes[MIDDLE].starts, 2);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Middle", "starts"), 2);
}

static void a_changed_interval_moves_the_next_moment(void **state)
{
    struct fixture *f = *state;
    apply(f);
    int64_t first_us = f->harness.mono_us;
    run_for(f, HIGH + 5 * MINUTE);
    mem_free(f->settings.values[SETTING_COLLECTORS_CORE_PRIORITY_INTERVALS].text);
    f->settings.values[SETTING_COLLECTORS_CORE_PRIORITY_INTERVALS].text =
        mem_text(SPAN_LIT("10,20,1440"));
    apply(f);
    assert_int_equal(fakes[FAST].starts, 1); /* nobody is started again for that */
    assert_int_equal(collectors_run(f->collectors), first_us + 4 * 10 * MINUTE);
    f->settings.values[SETTING_LOGIN_MESSAGE_FREQUENCY].number = FREQUENCY_LOW;
    f->settings.values[SETTING_PROCESS_MESSAGE_FREQUENCY].number = FREQUENCY_LOW;
    apply(f);
    unsigned before = fakes[FAST].collections;
    run_for(f, LOW - HIGH - 6 * MINUTE);
    assert_int_equal(fakes[FAST].collections, before);
    run_for(f, 2 * MINUTE);
    assert_int_equal(fakes[FAST].collections, before + 1);
    assert_int_equal(
        harness_counter(&f->harness, f->collectors, "Fast", "interval_seconds"), 86400);
}

static void a_snapshot_is_taken_at_once_when_its_settings_change(void **state)
{
    struct fixture *f = *state;
    apply(f);
    run_for(f, HIGH);
    assert_int_equal(fakes[SLOW].collections, 1);
    f->settings.values[SETTING_HEARTBEAT_MESSAGE_FREQUENCY].number = FREQUENCY_MEDIUM;
    apply(f);
    run_for(f, SECOND);
    assert_int_equal(fakes[SLOW].collections, 2);
    run_for(f, MEDIUM - HIGH - 2 * SECOND);
    assert_int_equal(fakes[SLOW].collections, 2);
    run_for(f, 2 * SECOND);
    assert_int_equal(fakes[SLOW].collections, 3); /* and it is back on the grid */
}

static void what_is_disabled_is_silent(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_HEARTBEAT_DISABLED].number = 1;
    f->settings.values[SETTING_PROCESS_DISABLED].number = 1;
    fakes[MIDDLE].held = 5;
    apply(f);
    run_for(f, 2 * LOW);
    collectors_flush(f->collectors);
    assert_int_equal(f->harness.count, 0);
    assert_int_equal(fakes[SLOW].starts + fakes[MIDDLE].starts, 0);
    const struct json *status = harness_status(&f->harness, f->collectors, "Slow");
    assert_true(span_is(json_string_of(status, "state"), "disabled"));

    f->settings.values[SETTING_HEARTBEAT_DISABLED].number = 0;
    apply(f);
    run_for(f, LOW);
    assert_int_equal(harness_events(&f->harness, "Slow"), 2);
    assert_int_equal(harness_events(&f->harness, "Middle"), 0);
}

static void what_is_switched_off_sends_its_rest(void **state)
{
    struct fixture *f = *state;
    apply(f);
    run_for(f, SECOND);
    harness_clear(&f->harness);
    fakes[MIDDLE].held = 4;
    f->settings.values[SETTING_PROCESS_DISABLED].number = 1;
    apply(f);
    assert_int_equal(fakes[MIDDLE].stops, 1);
    assert_int_equal(harness_events(&f->harness, "Middle"), 4);
}

static void when_one_cannot_start_all_is_as_before(void **state)
{
    struct fixture *f = *state;
    apply(f);
    run_for(f, SECOND);
    harness_clear(&f->harness);
    fakes[MIDDLE].start_error = ERR_REFUSED;
    f->settings.values[SETTING_LOGIN_MESSAGE_FREQUENCY].number = FREQUENCY_LOW;
    f->settings.values[SETTING_HEARTBEAT_DISABLED].number = 1;
    f->settings.values[SETTING_PROCESS_CACHE_SIZE].number = 7;

    const char *field = "untouched";
    struct why why = {""};
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_REFUSED);
    assert_string_equal(field, "Process_Mode");
    assert_string_equal(why.text, "it does not start");
    assert_int_equal(fakes[FAST].starts, 3); /* first, with the new ones, and back */
    assert_int_equal(fakes[FAST].started_with, 256);
    assert_int_equal(fakes[MIDDLE].starts, 1);
    assert_int_equal(fakes[MIDDLE].stops, 0);
    assert_int_equal(f->harness.count, 0);
    run_for(f, LOW);
    assert_int_equal(fakes[FAST].collections, 48 + 1);
    assert_int_equal(fakes[SLOW].collections, 2);

    fakes[MIDDLE].start_error = ERR_NONE;
    apply(f);
    assert_int_equal(fakes[MIDDLE].started_with, 7);
}

static void what_did_not_run_is_stopped_again_when_another_cannot_start(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_LOGIN_DISABLED].number = 1;
    apply(f);
    fakes[MIDDLE].start_error = ERR_REFUSED;
    f->settings.values[SETTING_LOGIN_DISABLED].number = 0;
    f->settings.values[SETTING_PROCESS_CACHE_SIZE].number = 7;
    const char *field;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_REFUSED);
    assert_int_equal(fakes[FAST].starts, 1);
    assert_int_equal(fakes[FAST].stops, 2); /* and when it was not wanted in the first place */
    run_for(f, LOW);
    assert_int_equal(harness_counter(&f->harness, f->collectors, "Fast", "sent"), 0);
}

static void without_memory_applying_changes_nothing(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_COLLECTORS_CORE_PRIORITY_INTERVALS].text =
        mem_text(SPAN_LIT("10,20,1440"));
    const char *field = "untouched";
    mem_fail_after(0);
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_MEMORY);
    mem_fail_after(-1);
    assert_null(field);
    assert_int_equal(fakes[FAST].starts, 0);
    apply(f);
    assert_int_equal(fakes[FAST].starts, 1);
}

static void without_memory_there_are_no_collectors_and_no_leak(void **state)
{
    struct fixture *f = *state;
    struct collectors *collectors = NULL;
    struct why why = {""};
    long allocations = 0;
    for (enum err err = ERR_MEMORY; err != ERR_NONE; allocations++) {
        mem_fail_after(allocations);
        err = collectors_new(&f->harness.options, &collectors, &why);
        mem_fail_after(-1);
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
        assert_true(err == ERR_NONE || why.text[0] != '\0');
    }
    collectors_free(collectors);
    assert_true(allocations > 2);
}

static void without_memory_the_status_says_so(void **state)
{
    struct fixture *f = *state;
    apply(f);
    long allocations = 0;
    for (enum err err = ERR_MEMORY; err != ERR_NONE; allocations++) {
        struct arena arena;
        arena_init(&arena, 0);
        struct json *object = json_new(&arena, JSON_OBJECT);
        mem_fail_after(allocations);
        err = collectors_status(f->collectors, &arena, object);
        mem_fail_after(-1);
        assert_true(err == ERR_NONE || err == ERR_MEMORY);
        assert_true(err == ERR_MEMORY || object->count == COUNT_OF(table));
        arena_done(&arena);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void what_runs_gives_its_descriptors_and_is_run_when_it_asks(void **state)
{
    struct fixture *f = *state;
    int fds[COLLECTORS_DESCRIPTORS_MAX];
    assert_int_equal(collectors_descriptors(f->collectors, fds), 0);
    f->settings.values[SETTING_PROCESS_DISABLED].number = true;
    apply(f);
    assert_int_equal(collectors_descriptors(f->collectors, fds), 2);
    assert_int_equal(fds[0], 100 + FAST);
    assert_int_equal(fds[1], 100 + SLOW);

    fakes[FAST].wants_us = f->harness.mono_us + 7;
    f->harness.mono_us += 3;
    assert_int_equal(collectors_run(f->collectors), f->harness.mono_us + 4);
    assert_int_equal(fakes[MIDDLE].runs, 0);
    assert_true(fakes[FAST].runs > 0 && fakes[SLOW].runs > 0);
}

static void it_is_run_for_its_own_descriptor_or_at_its_moment_and_not_for_others(void **state)
{
    struct fixture *f = *state;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (size_t i = 0; i < COUNT_OF(fakes); i++)
        fakes[i].fd = ends[0];
    fakes[SLOW].fd = 0; /* it is always ready */
    apply(f);
    collectors_run(f->collectors); /* once after the start */
    run_for(f, LOW);
    fakes[MIDDLE].wants_us = f->harness.mono_us + 5;
    collectors_flush(f->collectors); /* a collection asks it, too */
    unsigned fast_before = fakes[FAST].runs, middle_before = fakes[MIDDLE].runs;
    unsigned slow_before = fakes[SLOW].runs;
    collectors_run(f->collectors);
    assert_int_equal(fakes[FAST].runs, fast_before);
    assert_int_equal(fakes[MIDDLE].runs, middle_before);
    assert_int_equal(fakes[SLOW].runs, slow_before + 1);
    slow_before++;
    f->harness.mono_us += 5;
    fakes[MIDDLE].wants_us = INT64_MAX;
    collectors_run(f->collectors);
    assert_int_equal(fakes[FAST].runs, fast_before);
    assert_int_equal(fakes[MIDDLE].runs, middle_before + 1);
    assert_int_equal(fakes[SLOW].runs, slow_before + 1);
    assert_int_equal(write(ends[1], "", 1), 1);
    collectors_run(f->collectors);
    assert_int_equal(fakes[FAST].runs, fast_before + 1);
    assert_int_equal(fakes[MIDDLE].runs, middle_before + 2);
    close(ends[0]);
    close(ends[1]);
}

static void what_was_said_to_be_ready_is_run_once_and_not_asked_again(void **state)
{
    struct fixture *f = *state;
    int ends[2], fds[COLLECTORS_DESCRIPTORS_MAX];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    for (size_t i = 0; i < COUNT_OF(fakes); i++)
        fakes[i].fd = ends[0];
    apply(f);
    collectors_run(f->collectors);
    struct pollfd polled[COUNT_OF(fakes)] = {[MIDDLE] = {.revents = POLLIN}};
    assert_int_equal(collectors_descriptors(f->collectors, fds), COUNT_OF(fakes));
    unsigned fast_before = fakes[FAST].runs, middle_before = fakes[MIDDLE].runs;
    collectors_woken(f->collectors, polled, COUNT_OF(polled));
    assert_int_equal(write(ends[1], "", 1), 1); /* for all of them, but too late */
    collectors_run(f->collectors);
    assert_int_equal(fakes[FAST].runs, fast_before);
    assert_int_equal(fakes[MIDDLE].runs, middle_before + 1);
    collectors_run(f->collectors);
    assert_int_equal(fakes[FAST].runs, fast_before + 1);
    close(ends[0]);
    close(ends[1]);
}

static void what_is_switched_off_takes_in_what_came_first(void **state)
{
    struct fixture *f = *state;
    apply(f);
    unsigned before = fakes[FAST].runs;
    f->settings.values[SETTING_LOGIN_DISABLED].number = true;
    apply(f);
    assert_int_equal(fakes[FAST].runs, before + 1);
    collectors_run(f->collectors);
    assert_int_equal(fakes[FAST].runs, before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_runs_before_settings_are_in_force),
        TEST(the_first_collection_is_of_all_and_shares_a_message),
        TEST(who_is_not_ready_holds_up_nobody_and_is_collected_when_it_is),
        TEST(the_first_collection_waits_a_random_time_within_its_bound),
        TEST(each_runs_at_its_interval_and_multiples_coincide),
        TEST(a_late_run_collects_once_and_stays_on_the_grid),
        TEST(a_jump_of_the_wall_clock_changes_nothing),
        TEST(without_data_there_is_no_message),
        TEST(a_collector_that_fails_keeps_nobody_from_his),
        TEST(a_message_that_is_not_kept_is_counted_as_lost),
        TEST(flushing_sends_what_is_held_and_takes_no_snapshot),
        TEST(only_the_collector_concerned_is_started_again),
        TEST(a_changed_interval_moves_the_next_moment),
        TEST(a_snapshot_is_taken_at_once_when_its_settings_change),
        TEST(what_is_disabled_is_silent),
        TEST(what_is_switched_off_takes_in_what_came_first),
        TEST(what_runs_gives_its_descriptors_and_is_run_when_it_asks),
        TEST(what_was_said_to_be_ready_is_run_once_and_not_asked_again),
        TEST(it_is_run_for_its_own_descriptor_or_at_its_moment_and_not_for_others),
        TEST(what_is_switched_off_sends_its_rest),
        TEST(when_one_cannot_start_all_is_as_before),
        TEST(what_did_not_run_is_stopped_again_when_another_cannot_start),
        TEST(without_memory_applying_changes_nothing),
        TEST(without_memory_there_are_no_collectors_and_no_leak),
        TEST(without_memory_the_status_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
