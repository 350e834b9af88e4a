/* SPDX-License-Identifier: Apache-2.0 */
#include "process_lives.h"

#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static struct process_facts facts;
static struct process_lives lives;

static void put(uint32_t pid, const char *command_line)
{
    facts = (struct process_facts){.process_id = pid,
        .identity_known = true,
        .user_id = 1000,
        .parent_process_id = 1,
        .command_line_len = strlen(command_line)};
    memcpy(facts.command_line, command_line, facts.command_line_len);
    process_lives_put(&lives, &facts, true);
}

static const char *command_line_of(uint32_t pid)
{
    static char text[64];
    const struct process_live *live = process_lives_find(&lives, pid);
    if (live == NULL)
        return "none";
    process_lives_facts(live, pid, live->parent, &facts);
    memcpy(text, facts.command_line, facts.command_line_len);
    text[facts.command_line_len] = '\0';
    return facts.state == COMMAND_LINE_GONE ? "gone" : text;
}

static int teardown(void **state UNUSED)
{
    process_lives_done(&lives);
    return 0;
}

static void a_fork_is_what_its_parent_was_then(void **state UNUSED)
{
    put(10, "sh");
    process_lives_fork(&lives, 11, 10);
    put(10, "other");
    assert_string_equal(command_line_of(11), "sh");
    assert_string_equal(command_line_of(10), "other");
    process_lives_remove(&lives, 10);
    assert_string_equal(command_line_of(11), "sh");
    assert_int_equal(process_lives_find(&lives, 11)->parent, 10);
    process_lives_remove(&lives, 11);
    assert_int_equal(lives.count, 0);
    assert_int_equal(lives.bytes, 0);
    process_lives_fork(&lives, 12, 99);
    assert_string_equal(command_line_of(12), "gone");
}

/* Against the simplest of models: an array. */
static void any_order_of_comings_and_goings_is_kept(void **state UNUSED)
{
    enum { PIDS = 3000 };
    static bool alive[PIDS + 1];
    char name[16];
    srand(1);
    for (unsigned i = 0; i < 60000; i++) {
        uint32_t pid = 1 + (uint32_t)rand() % PIDS;
        /* More of them live in the first half, so that it grows and shrinks. */
        alive[pid] = rand() % 100 < (i < 30000 ? 70 : 3);
        snprintf(name, sizeof(name), "p%u", pid);
        if (alive[pid])
            put(pid, name);
        else
            process_lives_remove(&lives, pid);
    }
    size_t count = 0;
    for (uint32_t pid = 1; pid <= PIDS; pid++) {
        snprintf(name, sizeof(name), "p%u", pid);
        assert_string_equal(command_line_of(pid), alive[pid] ? name : "none");
        count += alive[pid];
    }
    assert_int_equal(lives.count, count);
}

static void a_user_is_one_process_s_own_and_its_forks_after_that(void **state UNUSED)
{
    static const struct {
        uint32_t pid;
        uint32_t user_id;
    } rows[] = {{10, 1000}, {11, 1000}, {12, 33}, {13, 33}};
    put(10, "daemon");
    process_lives_fork(&lives, 11, 10);
    process_lives_fork(&lives, 12, 10);
    process_lives_set_user(&lives, 12, 33);
    process_lives_set_user(&lives, 99, 33); /* nobody */
    process_lives_fork(&lives, 13, 12);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        process_lives_facts(process_lives_find(&lives, rows[i].pid), rows[i].pid, 1, &facts);
        assert_true(facts.identity_known);
        assert_int_equal(facts.user_id, rows[i].user_id);
    }
}

static void a_parent_is_known_while_it_lives_and_not_by_its_pid_alone(void **state UNUSED)
{
    put(10, "sh");
    process_lives_fork(&lives, 11, 10);
    assert_true(process_lives_has_parent(&lives, process_lives_find(&lives, 11)));
    put(10, "other"); /* the same process runs another program */
    assert_true(process_lives_has_parent(&lives, process_lives_find(&lives, 11)));
    process_lives_remove(&lives, 10);
    assert_false(process_lives_has_parent(&lives, process_lives_find(&lives, 11)));
    process_lives_fork(&lives, 10, 11); /* the pid comes again */
    assert_false(process_lives_has_parent(&lives, process_lives_find(&lives, 11)));
    assert_true(process_lives_has_parent(&lives, process_lives_find(&lives, 10)));
}

static bool is_odd(void *self UNUSED, uint32_t pid)
{
    return pid % 2 == 1;
}

static void it_is_bounded_in_entries_and_bytes(void **state UNUSED)
{
    for (uint32_t pid = 1; pid <= PROCESS_LIVES_MAX + 100; pid++)
        put(pid, "x");
    assert_true(process_lives_full(&lives));
    assert_int_equal(lives.count, PROCESS_LIVES_MAX);
    assert_string_equal(command_line_of(PROCESS_LIVES_MAX + 1), "none");
    process_lives_sweep(&lives, is_odd, NULL);
    assert_int_equal(lives.count, PROCESS_LIVES_MAX / 2);
    assert_string_equal(command_line_of(2), "x");
    assert_string_equal(command_line_of(3), "none");
    facts.command_line_len = PROCESS_COMMAND_LINE_MAX;
    memset(facts.command_line, 'y', PROCESS_COMMAND_LINE_MAX);
    facts.state = COMMAND_LINE_COMPLETE;
    for (uint32_t pid = 1; pid <= 2000; pid++) {
        facts.process_id = pid;
        process_lives_put(&lives, &facts, true);
    }
    assert_true(lives.bytes <= PROCESS_LIVES_BYTES_MAX);
}

static void without_memory_it_is_not_known(void **state UNUSED)
{
    for (long allocations = 0; allocations < 2; allocations++) {
        mem_fail_after(allocations);
        put(10, "sh");
        mem_fail_after(-1);
        assert_string_equal(command_line_of(10), allocations == 0 ? "none" : "gone");
        process_lives_done(&lives);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_fork_is_what_its_parent_was_then, teardown),
        cmocka_unit_test_teardown(a_user_is_one_process_s_own_and_its_forks_after_that, teardown),
        cmocka_unit_test_teardown(
            a_parent_is_known_while_it_lives_and_not_by_its_pid_alone, teardown),
        cmocka_unit_test_teardown(any_order_of_comings_and_goings_is_kept, teardown),
        cmocka_unit_test_teardown(it_is_bounded_in_entries_and_bytes, teardown),
        cmocka_unit_test_teardown(without_memory_it_is_not_known, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
