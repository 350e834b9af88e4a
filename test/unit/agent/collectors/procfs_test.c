/* SPDX-License-Identifier: Apache-2.0 */
#include "procfs.h"

#include "harness.h"

#include <setjmp.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void stat_is_read_whatever_the_process_calls_itself(void **state UNUSED)
{
    static const struct {
        const char *text;
        bool ok;
        char process_state;
        uint32_t parent;
        bool kernel_thread;
        uint64_t start;
    } rows[] = {
        {"7 (cat) R 5 7 5 34816 7 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765 10 11\n", true, 'R', 5,
            false, 98765},
        {"7 (a) b) Z 5 7 5 34816 -1 4194304 1 2 3 4 5 6 7 8 -20 -5 1 0 98765\n", true, 'Z', 5,
            false, 98765},
        {"7 () ) S 1) (x) R 5 7 5 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 1", true, 'R', 5, false, 1},
        {"2 (kthreadd) S 0 0 0 0 -1 2129984 0 0 0 0 0 0 0 0 20 0 1 0 3 0", true, 'S', 0, true, 3},
        {"7 (cat) R 5 7 5 34816 7 4194304 1 2 3 4 5 6 7 8 20 0 1 0", false, 0, 0, false, 0},
        {"7 (cat) R 5 7 5 34816 7 x 1 2 3 4 5 6 7 8 20 0 1 0 4", false, 0, 0, false, 0},
        {"7 (cat) R -5 7", false, 0, 0, false, 0},
        {"7 cat R 5 7", false, 0, 0, false, 0},
        {"7 (cat)", false, 0, 0, false, 0},
        {"7 (cat) ", false, 0, 0, false, 0},
        {"", false, 0, 0, false, 0},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct process_stat stat;
        assert_int_equal(procfs_parse_stat(span_of(rows[i].text), &stat), rows[i].ok);
        if (!rows[i].ok)
            continue;
        assert_int_equal(stat.state, rows[i].process_state);
        assert_int_equal(stat.parent_process_id, rows[i].parent);
        assert_int_equal(stat.kernel_thread, rows[i].kernel_thread);
        assert_int_equal(stat.start_ticks, rows[i].start);
    }
}

/* Field 49 is where the command line ends; without rights the kernel says 0. */
static void whether_there_is_a_command_line_is_read(void **state UNUSED)
{
    static const char head[] = "7 (cat) R 5 7 5 34816 7 4194304 1 2 3 4 5 6 7 8 20 0 1 0 98765";
    static const struct {
        const char *tail;
        bool has_arguments;
    } rows[] = {
        {" 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50",
            true},
        {" 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 0 50",
            false},
        {" 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48", false},
        {" 23", false},
        {"", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char text[512];
        struct process_stat stat;
        snprintf(text, sizeof(text), "%s%s", head, rows[i].tail);
        assert_true(procfs_parse_stat(span_of(text), &stat));
        assert_int_equal(stat.has_arguments, rows[i].has_arguments);
        assert_int_equal(stat.start_ticks, 98765);
    }
    int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct process_stat own;
    assert_true(procfs_stat(proc_fd, getpid(), &own));
    assert_true(own.has_arguments);
    close(proc_fd);
}

static void status_is_read_line_by_line(void **state UNUSED)
{
    struct process_status status;
    assert_true(procfs_parse_status(SPAN_LIT("Name:\tPPid:\\t9\nState:\tZ (zombie)\nTgid:\t8\n"
                                             "PPid:\t7\nUid:\t1000\t0\t0\t0\nGid:\t0\n"),
        &status));
    assert_true(span_is(status.comm, "PPid:\\t9"));
    assert_int_equal(status.state, 'Z');
    assert_int_equal(status.parent_process_id, 7);
    assert_int_equal(status.user_id, 1000);
    static const char *const bad[] = {"", "\n\n", "Name", "Name:\tx\nPPid:\t7\n",
        "PPid:\t-1\nUid:\t0", "PPid:\t7\nUid:\t99999999999\t0", "PPid:\t7\nUid:\n"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(procfs_parse_status(span_of(bad[i]), &status));
}

/* Starts this program again as a sleeper with the given arguments. */
static pid_t start_sleeper(char **arguments)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        execv("/bin/sleep", arguments);
        _exit(127);
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* closed by exec */
    close(ends[0]);
    return pid;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static struct process_facts facts;

static void read_facts(pid_t pid)
{
    int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(proc_fd >= 0);
    memset(&facts, 0xAA, sizeof(facts));
    procfs_read(proc_fd, pid, &facts);
    close(proc_fd);
}

static struct span command_line(void)
{
    return (struct span){facts.command_line, facts.command_line_len};
}

static void a_real_process_is_read(void **state UNUSED)
{
    char name[] = "any name", long_time[] = "600";
    char *arguments[] = {name, long_time, NULL};
    pid_t pid = start_sleeper(arguments);
    read_facts(pid);
    end(pid);
    assert_int_equal(facts.state, COMMAND_LINE_COMPLETE);
    assert_true(span_is(command_line(), "any name 600"));
    assert_true(facts.identity_known);
    assert_int_equal(facts.parent_process_id, getpid());
    assert_int_equal(facts.user_id, getuid());
    assert_true(facts.executable_len > 0 && facts.executable[0] == '/');
}

static void a_hostile_command_line_is_kept_within_its_bound(void **state UNUSED)
{
    static const struct {
        const char *argument;
        size_t length;
        enum command_line_state state;
    } rows[] = {
        {"\n\r\x1b[2J\xff\xfe\"\\ binary", 0, COMMAND_LINE_COMPLETE},
        {"", 0, COMMAND_LINE_COMPLETE},
        {NULL, PROCESS_COMMAND_LINE_MAX - 4, COMMAND_LINE_COMPLETE}, /* with "600 " just full */
        {NULL, PROCESS_COMMAND_LINE_MAX - 3, COMMAND_LINE_CUT},
        {NULL, 120000, COMMAND_LINE_CUT},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *longer = test_malloc(120001);
        if (rows[i].argument != NULL) {
            strcpy(longer, rows[i].argument);
        } else {
            memset(longer, 'y', rows[i].length);
            longer[rows[i].length] = '\0';
        }
        /* In the place of the name: sleep ends at an argument that is no number. */
        char long_time[] = "600";
        char *arguments[] = {longer, long_time, NULL};
        pid_t pid = start_sleeper(arguments);
        read_facts(pid);
        end(pid);
        assert_int_equal(facts.state, rows[i].state);
        size_t expected = strlen(longer) + 4;
        if (expected > PROCESS_COMMAND_LINE_MAX)
            expected = PROCESS_COMMAND_LINE_MAX;
        assert_int_equal(facts.command_line_len, expected);
        size_t compared = strlen(longer) < expected ? strlen(longer) : expected;
        assert_memory_equal(facts.command_line, longer, compared);
        test_free(longer);
    }
}

static void two_mebibytes_of_arguments_do_no_harm(void **state UNUSED)
{
    enum { COUNT = 18, LENGTH = 100000 };
    char *arguments[COUNT + 2] = {0};
    for (size_t i = 0; i < COUNT; i++) {
        arguments[i] = test_malloc(LENGTH + 1);
        memset(arguments[i], '1', LENGTH);
        arguments[i][LENGTH] = '\0';
    }
    strcpy(arguments[1], "600");
    for (size_t i = 2; i < COUNT; i++)
        memset(arguments[i], '0', LENGTH);
    pid_t pid = start_sleeper(arguments);
    read_facts(pid);
    end(pid);
    for (size_t i = 0; i < COUNT; i++)
        test_free(arguments[i]);
    assert_int_equal(facts.state, COMMAND_LINE_CUT);
    assert_int_equal(facts.command_line_len, PROCESS_COMMAND_LINE_MAX);
}

static void a_zombie_is_gone_and_keeps_its_name_parent_and_user(void **state UNUSED)
{
    char name[] = "sleep", long_time[] = "600";
    char *arguments[] = {name, long_time, NULL};
    pid_t pid = start_sleeper(arguments);
    kill(pid, SIGKILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
    read_facts(pid);
    waitpid(pid, NULL, 0);
    assert_int_equal(facts.state, COMMAND_LINE_GONE);
    assert_int_equal(facts.command_line_len, 0);
    assert_true(facts.identity_known);
    assert_int_equal(facts.parent_process_id, getpid());
    assert_true(span_is((struct span){facts.executable, facts.executable_len}, "sleep"));
}

static void a_process_that_was_waited_for_is_gone_without_a_trace(void **state UNUSED)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    read_facts(pid);
    assert_int_equal(facts.state, COMMAND_LINE_GONE);
    assert_int_equal(facts.process_id, pid);
    assert_false(facts.identity_known);
    assert_int_equal(facts.executable_len, 0);
    int proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct process_stat stat;
    assert_false(procfs_stat(proc_fd, pid, &stat));
    close(proc_fd);
}

static void what_proc_does_not_show_is_unreadable(void **state UNUSED)
{
    char dir[] = "/tmp/procfs_test_XXXXXX";
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(dir_fd, "12", 0000), 0);
    assert_int_equal(mkdirat(dir_fd, "13", 0755), 0);
    pid_t pid = fork(); /* root would see all */
    if (pid == 0) {
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(2);
        procfs_read(dir_fd, 12, &facts);
        bool hidden = facts.state == COMMAND_LINE_UNREADABLE && !facts.identity_known;
        procfs_read(dir_fd, 13, &facts);
        bool empty = facts.state == COMMAND_LINE_GONE;
        _exit(hidden && empty ? 0 : 1);
    }
    int result;
    waitpid(pid, &result, 0);
    unlinkat(dir_fd, "12", AT_REMOVEDIR);
    unlinkat(dir_fd, "13", AT_REMOVEDIR);
    close(dir_fd);
    rmdir(dir);
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_is_read_whatever_the_process_calls_itself),
        cmocka_unit_test(whether_there_is_a_command_line_is_read),
        cmocka_unit_test(status_is_read_line_by_line),
        cmocka_unit_test(a_real_process_is_read),
        cmocka_unit_test(a_hostile_command_line_is_kept_within_its_bound),
        cmocka_unit_test(two_mebibytes_of_arguments_do_no_harm),
        cmocka_unit_test(a_zombie_is_gone_and_keeps_its_name_parent_and_user),
        cmocka_unit_test(a_process_that_was_waited_for_is_gone_without_a_trace),
        cmocka_unit_test(what_proc_does_not_show_is_unreadable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
