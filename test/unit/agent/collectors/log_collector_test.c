/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "log.h"
#include "log_ring.h"

#include <setjmp.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

static const struct collector *const table[] = {&log_collector_collector};

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
};

static void quiet(void *self UNUSED, enum log_level level UNUSED, const char *part UNUSED,
    const char *sentence UNUSED)
{
}

static void apply(struct fixture *f)
{
    const char *field;
    struct why why = {""};
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, &why), ERR_NONE);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    log_set_writer(quiet, NULL);
    harness_init(&f->harness);
    settings_init(&f->settings);
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
    log_set_writer(NULL, NULL);
    return 0;
}

static void pass_a_day(struct fixture *f)
{
    f->harness.mono_us += 1440 * 60 * SECOND;
    (void)collectors_run(f->collectors);
}

/* The entry number `at` of all that was sent; NULL past the end. */
static const struct json *sent(const struct fixture *f, size_t at)
{
    size_t events = harness_events(&f->harness, NULL);
    for (size_t i = 0; i < events; i++)
        json_each (log, json_find_text(harness_payload(&f->harness, "LogCollector", i), "logs"))
            if (at-- == 0)
                return log;
    return NULL;
}

static size_t sent_count(const struct fixture *f)
{
    size_t count = 0;
    while (sent(f, count) != NULL)
        count++;
    return count;
}

static int64_t counter(struct fixture *f, const char *name)
{
    return harness_counter(&f->harness, f->collectors, "LogCollector", name);
}

static void an_entry_is_sent_once_with_its_level_and_place(void **state)
{
    struct fixture *f = *state;
    apply(f);
    log_error("outbox", "%s \"full\"", "disk");
    const int64_t line = __LINE__ - 1;
    log_info("agent", "on");
    pass_a_day(f);
    const struct json *log = sent(f, 0);
    assert_true(span_is(json_string_of(log, "message"), "outbox: disk \"full\""));
    assert_true(span_is(json_string_of(log, "level"), "ERROR"));
    assert_true(span_is(json_string_of(log, "filename"), "log_collector_test.c"));
    assert_int_equal(harness_number(log, "line"), line);
    int64_t now_s = clock_wall_us(&clock_system) / SECOND;
    assert_in_range(harness_number(log, "timestamp"), now_s - 100, now_s);
    assert_true(span_is(json_string_of(sent(f, 1), "level"), "INFO"));
    assert_null(sent(f, 2));
    harness_clear(&f->harness);
    pass_a_day(f);
    assert_int_equal(harness_events(&f->harness, NULL), 0);
}

static void the_level_is_the_settings_and_not_that_of_the_device(void **state)
{
    struct fixture *f = *state;
    log_set_level(LOG_LEVEL_ERROR);
    for (int level = LOG_COLLECTOR_LEVEL_ERROR; level <= LOG_COLLECTOR_LEVEL_DEBUG; level++) {
        f->settings.values[SETTING_LOG_COLLECTOR_LEVEL].number = level;
        apply(f);
        harness_clear(&f->harness);
        log_error("p", "1");
        log_warn("p", "2");
        log_info("p", "3");
        log_debug("p", "4");
        pass_a_day(f);
        assert_int_equal(sent_count(f), level + 1);
    }
    log_set_level(LOG_LEVEL_INFO);
}

static void what_was_logged_before_the_settings_came_is_sent_unless_they_do_not_want_it(
    void **state)
{
    struct fixture *f = *state;
    log_ring_listen(LOG_LEVEL_INFO, 256);
    log_info("agent", "starts");
    apply(f);
    pass_a_day(f);
    assert_int_equal(sent_count(f), 1);

    collectors_free(f->collectors);
    harness_clear(&f->harness);
    log_ring_listen(LOG_LEVEL_INFO, 256);
    log_info("agent", "starts");
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
    f->settings.values[SETTING_LOG_COLLECTOR_DISABLED].number = 1;
    apply(f);
    log_info("agent", "goes on");
    assert_int_equal(counter(f, "seen"), 0);
    f->settings.values[SETTING_LOG_COLLECTOR_DISABLED].number = 0;
    apply(f);
    pass_a_day(f);
    assert_int_equal(sent_count(f), 0);
}

static void switched_off_it_sends_what_it_holds_and_hears_no_more(void **state)
{
    struct fixture *f = *state;
    apply(f);
    log_info("p", "held");
    f->settings.values[SETTING_LOG_COLLECTOR_DISABLED].number = 1;
    apply(f);
    assert_int_equal(sent_count(f), 1);
    log_info("p", "not heard");
    assert_int_equal(counter(f, "seen"), 1);
}

static void the_oldest_gives_way_and_is_counted(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_LOG_COLLECTOR_CACHE_SIZE].number = 10;
    apply(f);
    for (int i = 0; i < 35; i++)
        log_info("p", "%d", i);
    assert_int_equal(counter(f, "waiting"), 10);
    f->settings.values[SETTING_LOG_COLLECTOR_CACHE_SIZE].number = 4;
    apply(f);
    pass_a_day(f);
    assert_int_equal(sent_count(f), 4);
    assert_true(span_is(json_string_of(sent(f, 0), "message"), "p: 31"));
    assert_true(span_is(json_string_of(sent(f, 3), "message"), "p: 34"));
    assert_int_equal(counter(f, "lost.cache_bound"), 31);
    assert_int_equal(counter(f, "seen"), 35);
}

/* Round and round through the bytes, with entries of all lengths. */
static void its_bytes_are_bounded_too(void **state)
{
    struct fixture *f = *state;
    char text[2000];
    memset(text, '"', sizeof(text));
    f->settings.values[SETTING_LOG_COLLECTOR_CACHE_SIZE].number = 65536;
    apply(f);
    for (int i = 0; i < 3000; i++)
        log_info("p", "%d %.*s", i, i % (int)sizeof(text), text);
    int64_t waiting = counter(f, "waiting");
    assert_in_range(waiting, LOG_RING_BYTES / LOG_RING_TEXT_MAX, LOG_RING_BYTES / 400);
    pass_a_day(f);
    assert_int_equal(sent_count(f), waiting);
    assert_int_equal(counter(f, "sent"), waiting);
    assert_int_equal(counter(f, "lost.cache_bound"), 3000 - waiting);
    for (int i = 0; i < (int)waiting; i++) {
        char start[16];
        snprintf(start, sizeof(start), "p: %d ", 3000 - (int)waiting + i);
        assert_true(span_starts(json_string_of(sent(f, (size_t)i), "message"), span_of(start)));
    }
}

static void hostile_bytes_become_valid_json(void **state)
{
    struct fixture *f = *state;
    char text[1000];
    apply(f);
    for (int i = 0; i < 300; i++) {
        memset(text, i, sizeof(text));
        log_warn("p", "%.*s", (int)sizeof(text), text);
    }
    pass_a_day(f);                            /* the harness parses each message */
    assert_in_range(sent_count(f), 240, 256); /* as many as have room in the bytes */
}

static void *chatter(void *self)
{
    for (int i = 0; i < 5000; i++)
        log_info("thread", "%s %d", (const char *)self, i);
    return NULL;
}

static void threads_log_while_it_is_collected_and_nothing_goes_uncounted(void **state)
{
    struct fixture *f = *state;
    static char names[][2] = {"a", "b", "c"};
    pthread_t threads[COUNT_OF(names)];
    apply(f);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, chatter, names[i]), 0);
    for (int i = 0; i < 200; i++) {
        pass_a_day(f);
        harness_clear(&f->harness);
    }
    for (size_t i = 0; i < COUNT_OF(names); i++)
        pthread_join(threads[i], NULL);
    pass_a_day(f);
    assert_int_equal(counter(f, "seen"), 15000);
    assert_int_equal(counter(f, "waiting"), 0);
    assert_int_equal(counter(f, "sent") + counter(f, "lost.cache_bound"), 15000);
}

static void without_memory_entries_are_counted_as_lost(void **state)
{
    struct fixture *f = *state;
    f->harness.memory_fails = true;
    apply(f);
    int64_t lost = 0;
    for (long allocations = 0; allocations < 10; allocations++) {
        harness_clear(&f->harness);
        (void)counter(f, "seen");
        log_ring_clear();
        apply(f);
        log_ring_listen(LOG_LEVEL_ERROR, 256);
        log_error("p", "1");
        log_error("p", "2");
        mem_fail_after(allocations);
        pass_a_day(f);
        mem_fail_after(-1);
        if (harness_events(&f->harness, NULL) == 0)
            lost += 2;
        assert_int_equal(counter(f, "lost.memory"), lost);
    }
    assert_true(lost > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_sent_once_with_its_level_and_place),
        TEST(the_level_is_the_settings_and_not_that_of_the_device),
        TEST(what_was_logged_before_the_settings_came_is_sent_unless_they_do_not_want_it),
        TEST(switched_off_it_sends_what_it_holds_and_hears_no_more),
        TEST(the_oldest_gives_way_and_is_counted),
        TEST(its_bytes_are_bounded_too),
        TEST(hostile_bytes_become_valid_json),
        TEST(threads_log_while_it_is_collected_and_nothing_goes_uncounted),
        TEST(without_memory_entries_are_counted_as_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
