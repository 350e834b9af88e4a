/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at a directory of the test's own that is made like /proc, and at the real one. */
#include "process_poll.h"

#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct fixture {
    char dir[64];
    struct process_poll *poll;
    size_t count;
    pid_t seen[64];
    size_t of[PROCESS_EVENT_TYPES];
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    strcpy(f->dir, "/tmp/process_poll_test_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    return 0;
}

static void remove_process(struct fixture *f, pid_t pid)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%d/stat", f->dir, (int)pid);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%d/cmdline", f->dir, (int)pid);
    unlink(path);
    snprintf(path, sizeof(path), "%s/%d", f->dir, (int)pid);
    rmdir(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    process_poll_close(f->poll);
    for (pid_t pid = 0; pid < 3000; pid++)
        remove_process(f, pid);
    char path[128];
    snprintf(path, sizeof(path), "%s/self", f->dir);
    rmdir(path);
    assert_int_equal(rmdir(f->dir), 0);
    test_free(f);
    return 0;
}

static void add_process(struct fixture *f, pid_t pid, uint64_t start, unsigned flags)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%d", f->dir, (int)pid);
    mkdir(path, 0700);
    strcat(path, "/stat");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "%d (x) S 1 1 1 0 -1 %u 1 2 3 4 5 6 7 8 20 0 1 0 %llu 0\n", (int)pid, flags,
        (unsigned long long)start);
    fclose(file);
}

static void note(void *self, const struct process_sighting *sighting)
{
    struct fixture *f = self;
    pid_t pid = sighting->pid;
    f->of[sighting->type]++;
    if (sighting->type != PROCESS_EXEC)
        return;
    if (f->count < COUNT_OF(f->seen))
        f->seen[f->count] = pid;
    f->count++;
}

static size_t look(struct fixture *f)
{
    f->count = 0;
    assert_int_equal(process_poll_look(f->poll, note, f), ERR_NONE);
    return f->count;
}

static void open_poll(struct fixture *f)
{
    struct why why = {""};
    if (process_poll_open(f->dir, &f->poll, &why) != ERR_NONE)
        fail_msg("%s", why.text);
}

static void what_runs_at_the_start_is_not_new(void **state)
{
    struct fixture *f = *state;
    add_process(f, 1, 10, 0);
    add_process(f, 20, 10, 0);
    open_poll(f);
    assert_int_equal(look(f), 0);
}

static void each_new_process_is_told_once(void **state)
{
    struct fixture *f = *state;
    open_poll(f);
    for (pid_t pid = 700; pid > 0; pid -= 100) /* the order of a directory is no order */
        add_process(f, pid, 5, 0);
    assert_int_equal(look(f), 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(f->seen[i], 100 * (i + 1));
    assert_int_equal(look(f), 0);
    add_process(f, 150, 5, 0);
    remove_process(f, 200);
    assert_int_equal(look(f), 1);
    assert_int_equal(f->seen[0], 150);
}

static void a_pid_used_again_is_another_process(void **state)
{
    struct fixture *f = *state;
    add_process(f, 44, 100, 0);
    open_poll(f);
    char kept[160];
    snprintf(kept, sizeof(kept), "%s/self", f->dir);
    assert_int_equal(mkdir(kept, 0700), 0); /* takes the next inode, no pid */
    remove_process(f, 44);
    add_process(f, 43, 1, 0); /* may get the inode that was free */
    add_process(f, 44, 200, 0);
    assert_int_equal(look(f), 2);
    assert_int_equal(f->seen[1], 44);
}

static void a_directory_made_again_for_the_same_process_is_not_new(void **state)
{
    struct fixture *f = *state;
    add_process(f, 44, 100, 0);
    open_poll(f);
    remove_process(f, 44);
    add_process(f, 43, 100, 0);
    add_process(f, 44, 100, 0);
    assert_int_equal(look(f), 1);
    assert_int_equal(f->seen[0], 43);
}

static void kernel_threads_and_other_files_are_no_processes(void **state)
{
    struct fixture *f = *state;
    open_poll(f);
    char path[128];
    snprintf(path, sizeof(path), "%s/self", f->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    add_process(f, 50, 5, 0x00200000);
    add_process(f, 51, 5, 0x00400000);
    assert_int_equal(look(f), 1);
    assert_int_equal(f->seen[0], 51);
    assert_int_equal(look(f), 0);
}

static void a_fork_is_told_when_it_starts_a_program(void **state)
{
    struct fixture *f = *state;
    const unsigned forked = 0x00400040, executed = 0x00400000;
    add_process(f, 60, 5, forked);
    open_poll(f);
    add_process(f, 70, 5, forked);
    add_process(f, 80, 5, forked);
    assert_int_equal(look(f), 0);
    add_process(f, 70, 5, executed);
    assert_int_equal(look(f), 1);
    assert_int_equal(f->seen[0], 70);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(look(f), 0);
    add_process(f, 60, 5, executed); /* one that was there at the start */
    add_process(f, 80, 5, executed);
    size_t told = 0;
    for (unsigned i = 0; i < 20; i++)
        told += look(f);
    assert_int_equal(told, 2);
}

static void set_command_line(struct fixture *f, pid_t pid, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%d/cmdline", f->dir, (int)pid);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void a_program_is_told_when_it_has_its_command_line(void **state)
{
    struct fixture *f = *state;
    open_poll(f);
    add_process(f, 70, 5, 0);
    set_command_line(f, 70, "");
    assert_int_equal(look(f), 0);
    set_command_line(f, 70, "x");
    assert_int_equal(look(f), 1);
    assert_int_equal(look(f), 0);
}

static void a_program_that_never_has_one_is_told_after_a_while(void **state)
{
    struct fixture *f = *state;
    open_poll(f);
    add_process(f, 70, 5, 0);
    set_command_line(f, 70, "");
    size_t told = 0;
    for (unsigned i = 0; i < 100; i++)
        told += look(f);
    assert_int_equal(told, 1);
}

static void thousands_of_processes_are_told_apart(void **state)
{
    struct fixture *f = *state;
    open_poll(f);
    for (pid_t pid = 1; pid <= 1000; pid++)
        add_process(f, pid * 2, 5, 0);
    assert_int_equal(look(f), 1000);
    for (pid_t pid = 1; pid <= 1000; pid++)
        add_process(f, pid * 2 - 1, 5, 0);
    assert_int_equal(look(f), 1000);
    assert_int_equal(look(f), 0);
}

static void without_memory_the_next_look_finds_it(void **state)
{
    struct fixture *f = *state;
    open_poll(f);
    for (pid_t pid = 1; pid <= 600; pid++)
        add_process(f, pid, 5, 0);
    mem_fail_after(0);
    f->count = 0;
    assert_int_equal(process_poll_look(f->poll, note, f), ERR_MEMORY);
    mem_fail_after(-1);
    assert_int_equal(f->count, 0);
    assert_int_equal(look(f), 600);
    for (long allocations = 0; allocations < 2; allocations++) {
        struct process_poll *poll = NULL;
        mem_fail_after(allocations);
        assert_int_equal(process_poll_open(f->dir, &poll, NULL), ERR_MEMORY);
    }
    mem_fail_after(-1);
}

static void a_directory_that_is_not_there_is_refused_with_a_reason(void **state UNUSED)
{
    struct process_poll *poll;
    struct why why = {""};
    assert_int_equal(process_poll_open("/nowhere", &poll, &why), ERR_IO);
    assert_non_null(strstr(why.text, "/nowhere"));
}

static void a_real_process_is_found(void **state)
{
    struct fixture *f = *state;
    struct process_poll *poll;
    assert_int_equal(process_poll_open("/proc", &poll, NULL), ERR_NONE);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sleep", "sleep", "60", (char *)NULL);
        _exit(127);
    }
    bool found = false;
    for (unsigned tries = 0; tries < 100000 && !found; tries++) {
        f->count = 0;
        assert_int_equal(process_poll_look(poll, note, f), ERR_NONE);
        for (size_t i = 0; i < f->count && i < COUNT_OF(f->seen); i++)
            found = found || f->seen[i] == pid;
    }
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    process_poll_close(poll);
    assert_true(found);
}

static void forks_and_ends_are_told_and_none_of_the_kernels_threads(void **state)
{
    struct fixture *f = *state;
    add_process(f, 10, 100, 0x40);
    open_poll(f);
    add_process(f, 11, 101, 0x40); /* PF_FORKNOEXEC */
    add_process(f, 12, 102, 0);
    add_process(f, 13, 103, 0x200040); /* PF_KTHREAD */
    for (unsigned i = 0; i < 9; i++)
        (void)look(f);
    assert_int_equal(f->of[PROCESS_FORK], 2);
    assert_int_equal(f->of[PROCESS_EXEC], 1);
    assert_int_equal(f->of[PROCESS_EXIT], 0);
    for (pid_t pid = 10; pid < 14; pid++)
        remove_process(f, pid);
    (void)look(f);
    assert_int_equal(f->of[PROCESS_EXIT], 3);
    /* A pid that is used again between two looks is an end and a fork. */
    add_process(f, 10, 200, 0x40);
    (void)look(f);
    remove_process(f, 10);
    add_process(f, 9, 201, 0x40); /* so that the inode is another one */
    add_process(f, 10, 202, 0x40);
    (void)look(f);
    assert_int_equal(f->of[PROCESS_FORK], 5);
    assert_int_equal(f->of[PROCESS_EXIT], 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(forks_and_ends_are_told_and_none_of_the_kernels_threads),
        TEST(what_runs_at_the_start_is_not_new),
        TEST(each_new_process_is_told_once),
        TEST(a_pid_used_again_is_another_process),
        TEST(a_directory_made_again_for_the_same_process_is_not_new),
        TEST(kernel_threads_and_other_files_are_no_processes),
        TEST(a_fork_is_told_when_it_starts_a_program),
        TEST(a_program_is_told_when_it_has_its_command_line),
        TEST(a_program_that_never_has_one_is_told_after_a_while),
        TEST(thousands_of_processes_are_told_apart),
        TEST(without_memory_the_next_look_finds_it),
        TEST(a_directory_that_is_not_there_is_refused_with_a_reason),
        TEST(a_real_process_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
