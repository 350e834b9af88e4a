/* SPDX-License-Identifier: Apache-2.0 */
/* The census of real processes, when the kernel tells of their ends late, or never. */
#include "process_census.h"

#include <setjmp.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct process_census census;

static int setup(void **state UNUSED)
{
    return process_census_open(&census, "/proc", NULL) == ERR_NONE ? 0 : -1;
}

static int teardown(void **state UNUSED)
{
    process_census_close(&census);
    return 0;
}

static pid_t start_sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void count_all(void)
{
    process_census_begin(&census);
    while (process_census_step(&census))
        continue;
}

static void an_end_that_is_told_after_a_count_has_its_name(void **state UNUSED)
{
    pid_t pid = start_sleeper();
    count_all();
    assert_non_null(process_lives_find(&census.lives, (uint32_t)pid));
    process_census_recount(&census);
    end(pid);
    while (process_census_step(&census))
        continue;
    const struct process_sighting told = {.type = PROCESS_EXIT, .pid = pid};
    assert_false(process_census_knows(&census, &told));
    assert_true(process_census_take(&census, &told));
    assert_int_equal(census.facts.state, COMMAND_LINE_COMPLETE);
    assert_true(census.facts.command_line_len > 0);
    assert_true(process_census_knows(&census, &told));
}

static void ends_that_were_missed_are_not_remembered(void **state UNUSED)
{
    pid_t gone = start_sleeper(), lives = start_sleeper();
    count_all();
    end(gone);
    const struct process_sighting gap = {.type = PROCESS_GAP};
    assert_false(process_census_take(&census, &gap));
    while (process_census_step(&census))
        continue;
    assert_null(process_lives_find(&census.lives, (uint32_t)gone));
    assert_non_null(process_lives_find(&census.lives, (uint32_t)lives));
    end(lives);
}

static void the_end_of_a_program_that_nobody_read_is_taken(void **state UNUSED)
{
    pid_t pid = start_sleeper();
    count_all();
    const struct process_sighting exec = {.type = PROCESS_EXEC, .pid = pid};
    process_census_pass(&census, &exec);
    end(pid);
    const struct process_sighting told = {.type = PROCESS_EXIT, .pid = pid};
    assert_false(process_census_knows(&census, &told));
    assert_true(process_census_take(&census, &told));
    assert_int_equal(census.facts.state, COMMAND_LINE_GONE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_end_that_is_told_after_a_count_has_its_name),
        TEST(ends_that_were_missed_are_not_remembered),
        TEST(the_end_of_a_program_that_nobody_read_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
