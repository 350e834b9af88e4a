/* SPDX-License-Identifier: Apache-2.0 */
#include "budget.h"

#include "json.h"
#include "verdict.h"

#include <setjmp.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_US INT64_C(1000000)
#define MIB (INT64_C(1) << 20)

static int64_t now_us;
static struct budget_use use;
static unsigned looks;
static struct budget budget;

static int64_t fake_time(void *self UNUSED)
{
    return now_us;
}

static const struct clock fake_clock = {fake_time, fake_time, NULL};

static struct budget_use measure(void *self UNUSED)
{
    looks++;
    return use;
}

static int set_up(void **state UNUSED)
{
    now_us = 1000 * SECOND_US;
    use = (struct budget_use){5 * SECOND_US, 3 * MIB};
    looks = 0;
    budget_init(&budget, &fake_clock, measure, NULL);
    return 0;
}

static void set(const char *desired)
{
    struct arena arena;
    struct json *document;
    struct settings defaults;
    struct settings settings;
    struct verdict verdict;
    arena_init(&arena, 0);
    settings_init(&defaults);
    settings_init(&settings);
    verdict_init(&verdict);
    assert_int_equal(json_parse(&arena, span_of(desired), 0, &document, NULL), ERR_NONE);
    assert_int_equal(settings_judge(&defaults, document, &settings, &verdict), ERR_NONE);
    budget_set(&budget, &settings);
    settings_done(&settings);
    verdict_done(&verdict);
    arena_done(&arena);
}

/* Lets a minute pass, in which so much is used, as the budget asks to be run. */
static void minute(int64_t cpu_percent, int64_t memory_bytes)
{
    use.memory_bytes = memory_bytes;
    int64_t end_us = now_us + 60 * SECOND_US;
    while (now_us < end_us) {
        int64_t due_us = budget_run(&budget);
        assert_true(due_us > now_us);
        if (due_us > end_us)
            due_us = end_us;
        use.cpu_us += (due_us - now_us) * cpu_percent / 100;
        now_us = due_us;
    }
    budget_run(&budget);
}

static void an_idle_agent_is_looked_at_rarely_and_stays_at_level_0(void **state UNUSED)
{
    for (int i = 0; i < 60; i++)
        minute(0, 3 * MIB);
    assert_int_equal(budget.level, 0);
    assert_string_equal(budget.reason, "");
    assert_true(looks < 60 * 12);
}

static void a_short_burst_is_averaged_out(void **state UNUSED)
{
    minute(1, 3 * MIB);
    use.cpu_us += 15 * SECOND_US;
    minute(1, 3 * MIB);
    assert_int_equal(budget.level, 0);
    assert_int_equal(budget.last_cpu_permille, 260);
}

static void it_steps_back_once_an_average_and_says_why(void **state UNUSED)
{
    minute(55, 3 * MIB);
    assert_int_equal(budget.level, 1);
    assert_string_equal(
        budget.reason, "used 55.0 % of a core over 60 s; Agent_CpuPercent allows 30");
    for (unsigned level = 2; level < 8; level++) {
        minute(55, 3 * MIB);
        assert_int_equal(budget.level, level < BUDGET_LEVEL_MAX ? level : BUDGET_LEVEL_MAX);
    }
}

static void it_steps_forward_after_two_calm_averages_and_stays_in_between(void **state UNUSED)
{
    minute(55, 3 * MIB);
    minute(55, 3 * MIB);
    for (int i = 0; i < 10; i++)
        minute(27, 3 * MIB); /* below the bound, but not by much */
    assert_int_equal(budget.level, 2);
    minute(5, 3 * MIB);
    minute(27, 3 * MIB);
    minute(5, 3 * MIB);
    assert_int_equal(budget.level, 2);
    minute(5, 3 * MIB);
    assert_int_equal(budget.level, 1);
    minute(5, 3 * MIB);
    minute(5, 3 * MIB);
    assert_int_equal(budget.level, 0);
    assert_string_equal(budget.reason, "");
}

static void memory_counts_as_the_processor_does(void **state UNUSED)
{
    minute(1, 65 * MIB);
    assert_int_equal(budget.level, 1);
    assert_true(budget.memory_over);
    assert_non_null(strstr(budget.reason, "Agent_MemoryBytes allows 67108864"));
    minute(1, 60 * MIB);
    assert_false(budget.memory_over);
    minute(1, 60 * MIB);
    assert_int_equal(budget.level, 1);
    minute(1, 10 * MIB);
    minute(1, 10 * MIB);
    assert_int_equal(budget.level, 0);
}

static void what_is_not_known_is_not_over(void **state UNUSED)
{
    use = (struct budget_use){-1, -1};
    now_us += 600 * SECOND_US;
    budget_run(&budget);
    assert_int_equal(budget.level, 0);
    assert_int_equal(budget.averages, 1);
    assert_int_equal(budget.last_cpu_permille, -1);
    assert_int_equal(budget.last_memory_bytes, -1);
}

static void other_bounds_hold_from_their_change_on(void **state UNUSED)
{
    set("{\"Agent_CpuPercent\":0,\"Agent_BudgetSeconds\":5}");
    minute(99, 3 * MIB);
    assert_int_equal(budget.level, 0);
    set("{\"Agent_CpuPercent\":98,\"Agent_BudgetSeconds\":60}");
    minute(99, 3 * MIB);
    assert_int_equal(budget.level, 1);
}

static void the_real_process_has_a_use(void **state UNUSED)
{
    struct budget real;
    budget_init(&real, &clock_system, NULL, NULL);
    assert_true(real.began_cpu_us >= 0);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(an_idle_agent_is_looked_at_rarely_and_stays_at_level_0),
        TEST(a_short_burst_is_averaged_out), TEST(it_steps_back_once_an_average_and_says_why),
        TEST(it_steps_forward_after_two_calm_averages_and_stays_in_between),
        TEST(memory_counts_as_the_processor_does), TEST(what_is_not_known_is_not_over),
        TEST(other_bounds_hold_from_their_change_on), TEST(the_real_process_has_a_use)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
