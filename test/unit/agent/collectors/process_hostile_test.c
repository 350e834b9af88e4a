/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that want to deceive or to break who watches them, on the real kernel: what is told of
 * each is compared with what it is. Each runs as a user of its own, so that nobody else's events
 * are counted together with it. Needs root and the process connector; else the tests are skipped.
 */
#include "harness.h"
#include "process_netlink.h"
#include "process_watch.h"

#include <setjmp.h>

#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char *original_program;    /* called "sleeper" it waits for its end */
static char sleeper_program[128]; /* a copy where everybody may read it */

static const struct collector *const table[] = {&process_collector};

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
    char dir[64];
    uid_t user; /* whom nobody else is */
};

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void copy_sleeper(const char *path, mode_t mode)
{
    int from = open(original_program, O_RDONLY | O_CLOEXEC);
    int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
    struct stat status;
    assert_true(from >= 0 && to >= 0);
    assert_int_equal(fstat(from, &status), 0);
    for (off_t left = status.st_size; left > 0;) {
        ssize_t sent = sendfile(to, from, NULL, (size_t)left);
        assert_true(sent > 0);
        left -= sent;
    }
    assert_int_equal(fchmod(to, mode), 0);
    close(from);
    close(to);
}

static int setup(void **state)
{
    static uid_t number;
    struct fixture *f = test_calloc(1, sizeof(*f));
    harness_init(&f->harness);
    harness_real_clock(&f->harness);
    settings_init(&f->settings);
    f->settings.values[SETTING_PROCESS_CACHE_SIZE].number = 65536; /* others start programs, too */
    f->settings.values[SETTING_PROCESS_MODE].number = PROCESS_MODE_NETLINK;
    f->user = 100000 + (uid_t)getpid() % 100000 * 100 + number++;
    strcpy(f->dir, "/tmp/process_hostile_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    assert_int_equal(chmod(f->dir, 0755), 0);
    f->harness.options.etc_dir = f->dir;
    snprintf(sleeper_program, sizeof(sleeper_program), "%s/sleeper", f->dir);
    copy_sleeper(sleeper_program, 0755);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    settings_done(&f->settings);
    harness_done(&f->harness);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/rm", "rm", "-rf", f->dir, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    test_free(f);
    return 0;
}

static void begin(struct fixture *f)
{
    const char *field;
    struct process_netlink *netlink;
    struct why why = {""};
    if (geteuid() != 0) {
        print_message("# skipped: only root can be many users\n");
        skip();
    }
    if (process_netlink_open(1 << 20, PROCESS_EVENT_BIT(PROCESS_EXEC), &netlink, &why) !=
        ERR_NONE) {
        print_message("# skipped: %s\n", why.text);
        skip();
    }
    process_netlink_close(netlink);
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
    if (collectors_apply(f->collectors, &f->settings, &field, &why) != ERR_NONE)
        fail_msg("%s: %s", field, why.text);
}

/* ---- what is started ---- */

struct start {
    const char *path; /* NULL: the sleeper */
    int fd;           /* instead of a path; 0: none */
    char *const *arguments;
    void (*prepare)(const struct fixture *f);
};

static void become_user(const struct fixture *f)
{
    if (setresuid(f->user, f->user, f->user) != 0)
        _exit(125);
}

static pid_t start_program(const struct fixture *f, const struct start *start)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (start->prepare == NULL ? become_user : start->prepare)(f);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
        if (start->fd > 0)
            fexecve(start->fd, start->arguments, environ);
        else
            execv(start->path == NULL ? sleeper_program : start->path, start->arguments);
        if (write(ends[1], "", 1) != 1)
            _exit(126);
        _exit(127);
    }
    close(ends[1]);
    ssize_t got = read(ends[0], &byte, 1); /* closed by exec */
    close(ends[0]);
    assert_int_equal(got, 0);
    return pid;
}

struct wanted {
    const char *type;
    int64_t user;
};

static const struct json *found;

static bool is_wanted(const struct json *payload, const char *text)
{
    const struct wanted *wanted = (const void *)text;
    bool is = span_is(json_string_of(payload, "event_type"), wanted->type) &&
              json_find_text(payload, "user_id") != NULL &&
              harness_number(payload, "user_id") == wanted->user;
    if (is)
        found = payload;
    return is;
}

/* What was told of this user's processes; NULL: nothing yet. */
static const struct json *told(struct fixture *f, const char *type, int64_t *ret_hits)
{
    const struct wanted wanted = {type, f->user};
    found = NULL;
    collectors_flush(f->collectors);
    *ret_hits = harness_hits(&f->harness, is_wanted, (const char *)&wanted);
    return found;
}

/* Waits for the one event of a type. */
static const struct json *await(struct fixture *f, const char *type)
{
    int64_t hits = 0;
    const struct json *payload = NULL;
    for (unsigned tries = 0; tries < 1000 && payload == NULL; tries++) {
        poll(NULL, 0, 10);
        payload = told(f, type, &hits);
    }
    assert_non_null(payload);
    assert_int_equal(hits, 1);
    return payload;
}

static void end(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

/* Starts it, waits until it is told, ends it, and gives what was told of its start; its end must be
 * told with the same words. */
static const struct json *start_and_end(struct fixture *f, const struct start *start)
{
    pid_t pid = start_program(f, start);
    const struct json *exec = await(f, "EXEC");
    assert_int_equal(harness_number(exec, "process_id"), pid);
    assert_int_equal(harness_number(exec, "parent_process_id"), getpid());
    end(pid);
    const struct json *exit = await(f, "EXIT");
    assert_int_equal(harness_number(exit, "process_id"), pid);
    assert_int_equal(harness_number(exit, "exit_signal"), SIGKILL);
    assert_true(span_eq(json_string_of(exit, "commandline"), json_string_of(exec, "commandline")));
    assert_true(span_eq(json_string_of(exit, "executable"), json_string_of(exec, "executable")));
    return exec;
}

static bool ends_with(struct span text, const char *end)
{
    size_t len = strlen(end);
    return text.len >= len && memcmp(text.ptr + text.len - len, end, len) == 0;
}

/* ---- command lines ---- */

static void a_command_line_may_hold_every_byte(void **state)
{
    struct fixture *f = *state;
    char name[] = "sleeper", ascii[128], high[129];
    for (int i = 1; i < 128; i++)
        ascii[i - 1] = (char)i;
    ascii[127] = '\0';
    for (int i = 0; i < 128; i++)
        high[i] = (char)(128 + i);
    high[128] = '\0';
    char *arguments[] = {name, ascii, high, NULL};
    begin(f);
    const struct json *exec = start_and_end(f, &(struct start){.arguments = arguments});
    struct span line = json_string_of(exec, "commandline");
    char expected[160];
    snprintf(expected, sizeof(expected), "sleeper %s ", ascii);
    assert_true(span_starts(line, span_of(expected)));
    assert_true(line.len > strlen(expected)); /* what is no UTF-8 has its substitute */
    assert_null(json_find_text(exec, "commandline_state"));
}

static void arguments_without_end_are_cut_and_marked(void **state)
{
    enum { COUNT = 10, LENGTH = 128 * 1024 - 1 };
    struct fixture *f = *state;
    char name[] = "sleeper", *arguments[COUNT + 2] = {name};
    for (size_t i = 1; i <= COUNT; i++) {
        arguments[i] = test_malloc(LENGTH + 1);
        memset(arguments[i], (int)('a' + i), LENGTH);
        arguments[i][LENGTH] = '\0';
    }
    begin(f);
    const struct json *exec = start_and_end(f, &(struct start){.arguments = arguments});
    for (size_t i = 1; i <= COUNT; i++)
        test_free(arguments[i]);
    assert_true(span_is(json_string_of(exec, "commandline_state"), "CUT"));
    assert_int_equal(json_string_of(exec, "commandline").len, PROCESS_COMMAND_LINE_MAX);
}

/* Kernels from 5.18 on add an empty one. */
static void no_arguments_at_all_are_an_empty_command_line(void **state)
{
    struct fixture *f = *state;
    char *arguments[] = {NULL};
    begin(f);
    const struct json *exec = start_and_end(f, &(struct start){.arguments = arguments});
    assert_int_equal(json_string_of(exec, "commandline").len, 0);
    assert_null(json_find_text(exec, "commandline_state"));
    assert_true(ends_with(json_string_of(exec, "executable"), "/sleeper"));
}

/* ---- executables ---- */

static void a_path_may_hold_newlines_and_what_is_no_text(void **state)
{
    struct fixture *f = *state;
    char path[128], name[] = "sleeper", *arguments[] = {name, NULL};
    snprintf(path, sizeof(path), "%s/a\n\x1b[2J\"\\\xff\xfe", f->dir);
    copy_sleeper(path, 0755);
    begin(f);
    const struct json *exec =
        start_and_end(f, &(struct start){.path = path, .arguments = arguments});
    struct span executable = json_string_of(exec, "executable");
    char expected[128];
    snprintf(expected, sizeof(expected), "%s/a\n\x1b[2J\"\\", f->dir);
    assert_true(span_starts(executable, span_of(expected)));
    assert_true(executable.len > strlen(expected));
}

static void a_deleted_executable_says_so(void **state)
{
    struct fixture *f = *state;
    char path[128], name[] = "sleeper", *arguments[] = {name, NULL};
    snprintf(path, sizeof(path), "%s/soon-gone", f->dir);
    copy_sleeper(path, 0755);
    int fd = open(path, O_PATH | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    begin(f);
    const struct json *exec = start_and_end(f, &(struct start){.fd = fd, .arguments = arguments});
    close(fd);
    assert_true(ends_with(json_string_of(exec, "executable"), "/soon-gone (deleted)"));
}

static void give_up_the_root(const struct fixture *f)
{
    char place[128], program[160];
    snprintf(place, sizeof(place), "%s/mount", f->dir);
    snprintf(program, sizeof(program), "%s/program", place);
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mkdir(place, 0755) != 0 || mount("none", place, "tmpfs", 0, NULL) != 0)
        _exit(124);
    copy_sleeper(program, 0755);
    become_user(f);
}

/* The path is the one that the process itself would see; here nobody has it. */
static void what_runs_in_another_mount_namespace_is_told_by_its_own_path(void **state)
{
    struct fixture *f = *state;
    char path[160], name[] = "sleeper", *arguments[] = {name, NULL};
    snprintf(path, sizeof(path), "%s/mount/program", f->dir);
    begin(f);
    const struct json *exec = start_and_end(
        f, &(struct start){.path = path, .arguments = arguments, .prepare = give_up_the_root});
    assert_true(ends_with(json_string_of(exec, "executable"), "/mount/program"));
    assert_int_equal(access(path, F_OK), -1);
}

/* ---- users ---- */

static void stay_root_in_effect(const struct fixture *f)
{
    if (setresuid(f->user, 0, 0) != 0)
        _exit(125);
}

static void the_user_is_who_started_it_and_not_what_it_may_do(void **state)
{
    struct fixture *f = *state;
    char name[] = "sleeper", *arguments[] = {name, NULL};
    begin(f);
    start_and_end(f, &(struct start){.arguments = arguments, .prepare = stay_root_in_effect});
}

static void a_setuid_program_is_of_who_started_it(void **state)
{
    struct fixture *f = *state;
    char path[128], name[] = "sleeper", *arguments[] = {name, NULL};
    snprintf(path, sizeof(path), "%s/setuid", f->dir);
    copy_sleeper(path, 04755);
    begin(f);
    start_and_end(f, &(struct start){.path = path, .arguments = arguments});
}

/* A daemon forks and then becomes another user: its child, which starts a program after that, is
 * still of the first. */
static void a_fork_is_of_the_user_that_its_parent_was_then(void **state)
{
    struct fixture *f = *state;
    int changed[2];
    begin(f);
    assert_int_equal(pipe2(changed, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        stay_root_in_effect(f);
        if (fork() == 0) {
            char byte;
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            (void)!read(changed[0], &byte, 1);
            execl(sleeper_program, "sleeper", "child", (char *)NULL);
            _exit(127);
        }
        if (setresuid(f->user + 50, 0, 0) != 0 || write(changed[1], "", 1) != 1)
            _exit(125);
        pause();
    }
    const struct json *exec = await(f, "EXEC");
    assert_true(span_is(json_string_of(exec, "commandline"), "sleeper child"));
    assert_int_equal(harness_number(exec, "parent_process_id"), pid);
    kill((pid_t)harness_number(exec, "process_id"), SIGKILL); /* its user lets it outlive us */
    end(pid);
    close(changed[0]);
    close(changed[1]);
}

static void a_user_name_may_hold_what_it_likes(void **state)
{
    struct fixture *f = *state;
    char path[128], text[256], name[] = "sleeper", *arguments[] = {name, NULL};
    snprintf(path, sizeof(path), "%s/passwd", f->dir);
    snprintf(text, sizeof(text), ":::\n\n::%u\nan\"n\\\x01 \xc3\xa4:x:%u:1::/:/bin/sh\n", f->user,
        f->user);
    write_file(path, text);
    begin(f);
    const struct json *exec = start_and_end(f, &(struct start){.arguments = arguments});
    assert_true(span_is(json_string_of(exec, "user_name"), "an\"n\\\x01 \xc3\xa4"));
}

/* ---- pids ---- */

/* Lets the next process have a pid; false where that is not to be had. */
static bool choose_next_pid(pid_t pid)
{
    char text[16];
    int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
    int len = snprintf(text, sizeof(text), "%d", (int)pid - 1);
    bool done = fd >= 0 && write(fd, text, (size_t)len) == len;
    if (fd >= 0)
        close(fd);
    return done;
}

static void a_pid_that_is_used_again_is_another_process(void **state)
{
    struct fixture *f = *state;
    char name[] = "sleeper", one[] = "one", *arguments[] = {name, one, NULL};
    begin(f);
    pid_t pid = start_program(f, &(struct start){.arguments = arguments}), again = 0;
    await(f, "EXEC"); /* who is not read before his pid is another's cannot be known any more */
    end(pid);
    for (unsigned tries = 0; tries < 100 && again != pid; tries++) {
        if (!choose_next_pid(pid)) {
            print_message("# skipped: pids cannot be chosen here\n");
            skip();
        }
        again = fork();
        if (again == 0) {
            become_user(f);
            _exit(3);
        }
        waitpid(again, NULL, 0);
    }
    int64_t hits = 0;
    for (unsigned tries = 0; tries < 1000 && hits < 2; tries++) {
        poll(NULL, 0, 10);
        told(f, "EXIT", &hits);
    }
    /* Ours, and those that were only forked: copies of this program, not of the sleeper. */
    size_t sleepers = 0;
    for (size_t i = 0; i < harness_events(&f->harness, "Process"); i++) {
        const struct json *payload = harness_payload(&f->harness, "Process", i);
        const struct wanted wanted = {"EXIT", f->user};
        if (is_wanted(payload, (const char *)&wanted) &&
            span_is(json_string_of(payload, "commandline"), "sleeper one"))
            sleepers += (size_t)harness_number(payload, "hit_count");
    }
    assert_int_equal(sleepers, 1);
    assert_true(hits >= 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    original_program = argv[1];
    const struct CMUnitTest tests[] = {
        TEST(a_command_line_may_hold_every_byte),
        TEST(arguments_without_end_are_cut_and_marked),
        TEST(no_arguments_at_all_are_an_empty_command_line),
        TEST(a_path_may_hold_newlines_and_what_is_no_text),
        TEST(a_deleted_executable_says_so),
        TEST(what_runs_in_another_mount_namespace_is_told_by_its_own_path),
        TEST(the_user_is_who_started_it_and_not_what_it_may_do),
        TEST(a_setuid_program_is_of_who_started_it),
        TEST(a_fork_is_of_the_user_that_its_parent_was_then),
        TEST(a_user_name_may_hold_what_it_likes),
        TEST(a_pid_that_is_used_again_is_another_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
