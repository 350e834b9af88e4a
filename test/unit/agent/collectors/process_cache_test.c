/* SPDX-License-Identifier: Apache-2.0 */
#include "process_cache.h"

#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>

static struct process_facts facts;
static const struct process_sighting exec_of = {.type = PROCESS_EXEC};

static int setup(void **state)
{
    struct process_cache *cache = test_calloc(1, sizeof(*cache));
    process_cache_init(cache, 12345);
    uint64_t dropped = 0;
    assert_int_equal(process_cache_set_bound(cache, 3, &dropped), ERR_NONE);
    *state = cache;
    return 0;
}

static int teardown(void **state)
{
    process_cache_done(*state);
    test_free(*state);
    return 0;
}

static void set_facts(const char *command_line, uint32_t user_id, uint32_t process_id)
{
    facts = (struct process_facts){
        .process_id = process_id, .identity_known = true, .user_id = user_id};
    facts.command_line_len = strlen(command_line);
    memcpy(facts.command_line, command_line, facts.command_line_len);
    facts.executable_len = 4;
    memcpy(facts.executable, "/bin", 4);
}

/* Adds one; returns the hits that fell out. */
static uint64_t add(
    struct process_cache *cache, const char *command_line, uint32_t user_id, uint32_t process_id)
{
    uint64_t dropped = 0;
    set_facts(command_line, user_id, process_id);
    assert_int_equal(process_cache_add(cache, process_id, &exec_of, &facts, &dropped), ERR_NONE);
    return dropped;
}

/* Takes all and writes them as "line/user*hits@pid …". */
static const char *take(struct process_cache *cache)
{
    static char text[4096];
    size_t len = 0;
    text[0] = '\0';
    struct process_event *event = process_cache_take(cache);
    while (event != NULL) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s/%u*%llu@%u",
            len == 0 ? "" : " ", SPAN_ARG(event->command_line), event->user_id,
            (unsigned long long)event->of[PROCESS_EXEC].hit_count,
            event->of[PROCESS_EXEC].process_id);
        assert_int_equal(event->of[PROCESS_EXEC].time_us, event->of[PROCESS_EXEC].process_id);
        struct process_event *next = event->next;
        mem_free(event);
        event = next;
    }
    assert_int_equal(cache->entries + cache->hits + cache->bytes, 0);
    return text;
}

static void identical_ones_are_one_event_that_keeps_the_first(void **state)
{
    struct process_cache *cache = *state;
    add(cache, "a", 0, 1);
    add(cache, "b", 0, 2);
    add(cache, "a", 0, 3);
    add(cache, "a", 7, 4);
    add(cache, "a", 0, 5);
    assert_int_equal(cache->hits, 5);
    assert_string_equal(take(cache), "b/0*1@2 a/7*1@4 a/0*3@1");
    assert_string_equal(take(cache), "");
}

static void at_the_bound_the_oldest_gives_way(void **state)
{
    struct process_cache *cache = *state;
    assert_int_equal(add(cache, "a", 0, 1), 0);
    assert_int_equal(add(cache, "a", 0, 2), 0);
    assert_int_equal(add(cache, "b", 0, 3), 0);
    assert_int_equal(add(cache, "c", 0, 4), 0);
    assert_int_equal(add(cache, "d", 0, 5), 2); /* both hits of a */
    assert_int_equal(add(cache, "e", 0, 6), 1);
    assert_string_equal(take(cache), "c/0*1@4 d/0*1@5 e/0*1@6");
}

static void what_occurs_again_and_again_is_kept(void **state)
{
    struct process_cache *cache = *state;
    uint64_t dropped = 0;
    char other[16];
    for (uint32_t i = 0; i < 100; i++) {
        dropped += add(cache, "cron", 0, 1000 + i);
        snprintf(other, sizeof(other), "other %u", i);
        dropped += add(cache, other, 0, 2000 + i);
    }
    assert_int_equal(dropped, 98);
    assert_string_equal(take(cache), "other 98/0*1@2098 cron/0*100@1000 other 99/0*1@2099");
}

static void seen_is_what_waits_and_what_fell_out(void **state)
{
    struct process_cache *cache = *state;
    uint64_t dropped = 0;
    assert_int_equal(process_cache_set_bound(cache, 200, &dropped), ERR_NONE);
    uint32_t random = 1;
    for (uint32_t i = 0; i < 20000; i++) {
        char line[16];
        random = random * 1664525 + 1013904223;
        snprintf(line, sizeof(line), "%u", (random >> 16) % 400);
        dropped += add(cache, line, random >> 31, i);
        if (i % 1000 == 0)
            assert_int_equal(process_cache_set_bound(cache, 100 + i % 7 * 50, &dropped), ERR_NONE);
        assert_int_equal(cache->hits + dropped, i + 1);
        assert_true(cache->entries <= cache->entries_max);
    }
}

static void a_smaller_bound_drops_and_a_larger_one_keeps(void **state)
{
    struct process_cache *cache = *state;
    uint64_t dropped = 0;
    add(cache, "a", 0, 1);
    add(cache, "b", 0, 2);
    add(cache, "b", 0, 3);
    add(cache, "c", 0, 4);
    assert_int_equal(process_cache_set_bound(cache, 100000, &dropped), ERR_NONE);
    assert_int_equal(dropped, 0);
    add(cache, "c", 0, 5);
    assert_int_equal(process_cache_set_bound(cache, 1, &dropped), ERR_NONE);
    assert_int_equal(dropped, 3);
    assert_string_equal(take(cache), "c/0*2@4");
}

static void the_unreadable_are_told_apart_by_name_and_from_the_readable(void **state)
{
    struct process_cache *cache = *state;
    uint64_t dropped = 0;
    assert_int_equal(process_cache_set_bound(cache, 10, &dropped), ERR_NONE);
    static const struct {
        enum command_line_state state;
        bool known;
        const char *name;
    } rows[] = {{COMMAND_LINE_COMPLETE, true, "x"}, {COMMAND_LINE_GONE, true, "x"},
        {COMMAND_LINE_GONE, true, "y"}, {COMMAND_LINE_GONE, false, "x"},
        {COMMAND_LINE_UNREADABLE, true, "x"}};
    for (unsigned round = 0; round < 2; round++) {
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            set_facts("", 0, 1);
            facts.state = rows[i].state;
            facts.identity_known = rows[i].known;
            facts.executable_len = 1;
            facts.executable[0] = rows[i].name[0];
            assert_int_equal(process_cache_add(cache, 1, &exec_of, &facts, &dropped), ERR_NONE);
        }
    }
    assert_int_equal(cache->entries, COUNT_OF(rows));
    assert_int_equal(cache->hits, 2 * COUNT_OF(rows));
}

static void long_command_lines_are_bounded_together(void **state)
{
    struct process_cache *cache = *state;
    uint64_t dropped = 0;
    assert_int_equal(process_cache_set_bound(cache, 100000, &dropped), ERR_NONE);
    for (uint32_t i = 0; i < 5000; i++) {
        set_facts("", 0, i);
        facts.command_line_len = PROCESS_COMMAND_LINE_MAX;
        memcpy(facts.command_line, &i, sizeof(i));
        assert_int_equal(process_cache_add(cache, i, &exec_of, &facts, &dropped), ERR_NONE);
        assert_true(cache->bytes <= PROCESS_CACHE_BYTES_MAX);
    }
    assert_int_equal(cache->hits + dropped, 5000);
    assert_in_range(cache->entries, 2000, 2050);
}

static void without_memory_an_occurrence_is_refused_and_the_rest_stays(void **state)
{
    struct process_cache *cache = *state;
    uint64_t dropped = 0;
    add(cache, "a", 0, 1);
    set_facts("b", 0, 2);
    mem_fail_after(0);
    assert_int_equal(process_cache_add(cache, 2, &exec_of, &facts, &dropped), ERR_MEMORY);
    mem_fail_after(0);
    assert_int_equal(process_cache_set_bound(cache, 100000, &dropped), ERR_MEMORY);
    mem_fail_after(-1);
    assert_int_equal(cache->entries_max, 3);
    assert_int_equal(dropped, 0);
    add(cache, "a", 0, 3);
    assert_string_equal(take(cache), "a/0*2@1");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void types_are_counted_apart_in_one_entry(void **state)
{
    struct process_cache *cache = *state;
    const struct process_sighting fork_of = {.type = PROCESS_FORK};
    const struct process_sighting exits[] = {
        {.type = PROCESS_EXIT, .exit_known = true, .exit_status = 256},
        {.type = PROCESS_EXIT, .exit_known = true, .exit_status = 9}};
    uint64_t dropped = 0;
    add(cache, "a", 1, 10);
    add(cache, "a", 1, 11);
    set_facts("a", 1, 12);
    assert_int_equal(process_cache_add(cache, 12, &fork_of, &facts, &dropped), ERR_NONE);
    for (size_t i = 0; i < COUNT_OF(exits); i++)
        assert_int_equal(process_cache_add(cache, 13, &exits[i], &facts, &dropped), ERR_NONE);
    assert_int_equal(cache->entries, 1);
    assert_int_equal(cache->hits, 5);
    /* What falls out counts all of them. */
    assert_int_equal(add(cache, "b", 1, 1) + add(cache, "c", 1, 2), 0);
    assert_int_equal(add(cache, "d", 1, 3), 5);
    set_facts("b", 1, 12);
    for (size_t i = 0; i < COUNT_OF(exits); i++)
        assert_int_equal(process_cache_add(cache, 14, &exits[i], &facts, &dropped), ERR_NONE);
    struct process_event *event = process_cache_take(cache);
    while (event != NULL) {
        struct process_event *next = event->next;
        if (span_is(event->command_line, "b")) {
            assert_int_equal(event->of[PROCESS_FORK].hit_count, 0);
            assert_int_equal(event->of[PROCESS_EXEC].hit_count, 1);
            assert_int_equal(event->of[PROCESS_EXIT].hit_count, 2);
            assert_int_equal(event->of[PROCESS_EXIT].exit_status, 256); /* the first one's */
        }
        mem_free(event);
        event = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(types_are_counted_apart_in_one_entry),
        TEST(identical_ones_are_one_event_that_keeps_the_first),
        TEST(at_the_bound_the_oldest_gives_way),
        TEST(what_occurs_again_and_again_is_kept),
        TEST(seen_is_what_waits_and_what_fell_out),
        TEST(a_smaller_bound_drops_and_a_larger_one_keeps),
        TEST(the_unreadable_are_told_apart_by_name_and_from_the_readable),
        TEST(long_command_lines_are_bounded_together),
        TEST(without_memory_an_occurrence_is_refused_and_the_rest_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
