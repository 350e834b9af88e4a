/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include "log.h"

#include <setjmp.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct collector *const table[] = {&heartbeat_collector};

struct fixture {
    struct harness harness;
    struct collectors *collectors;
    char dir[64];
};

static unsigned warnings;

static void listen(
    void *self UNUSED, enum log_level level, const char *part UNUSED, const char *sentence UNUSED)
{
    warnings += level == LOG_LEVEL_WARN;
}

static void begin(struct fixture *f)
{
    struct settings settings;
    const char *field;
    struct why why = {""};
    settings_init(&settings);
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, &why),
        ERR_NONE);
    assert_int_equal(collectors_apply(f->collectors, &settings, &field, &why), ERR_NONE);
    settings_done(&settings);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    log_set_writer(listen, NULL);
    warnings = 0;
    harness_init(&f->harness);
    strcpy(f->dir, "/tmp/heartbeat_test_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->harness.options.state_dir = f->dir;
    begin(f);
    *state = f;
    return 0;
}

static void path_of(const struct fixture *f, const char *name, char ret_path[128])
{
    snprintf(ret_path, 128, "%s/%s", f->dir, name);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];
    collectors_free(f->collectors);
    harness_done(&f->harness);
    path_of(f, "heartbeat", path);
    unlink(path);
    rmdir(f->dir);
    test_free(f);
    log_set_writer(NULL, NULL);
    return 0;
}

static const struct json *beat(struct fixture *f)
{
    harness_clear(&f->harness);
    f->harness.mono_us += 1440 * 60 * SECOND;
    (void)collectors_run(f->collectors);
    assert_int_equal(harness_events(&f->harness, "Heartbeat"), 1);
    return harness_payload(&f->harness, "Heartbeat", 0);
}

static int64_t number(struct fixture *f)
{
    return harness_number(beat(f), "sequence");
}

static void restart(struct fixture *f)
{
    collectors_free(f->collectors);
    begin(f);
}

static void the_number_goes_on_across_restarts(void **state)
{
    struct fixture *f = *state;
    for (int64_t i = 1; i <= 20; i++) {
        assert_int_equal(number(f), i);
        if (i % 3 == 0)
            restart(f);
    }
    assert_int_equal(warnings, 0);
}

/* A child sends one and says which; it is killed without a chance to clean up. */
static void a_killed_agent_uses_no_number_again(void **state)
{
    struct fixture *f = *state;
    int64_t last = 0;
    for (int i = 0; i < 10; i++) {
        int fds[2];
        int64_t sent = 0;
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        if (pid == 0) {
            restart(f);
            sent = number(f);
            (void)!write(fds[1], &sent, sizeof(sent));
            for (;;)
                (void)number(f);
        }
        assert_int_equal(read(fds[0], &sent, sizeof(sent)), sizeof(sent));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        close(fds[0]);
        close(fds[1]);
        assert_true(sent > last);
        last = sent;
    }
    restart(f);
    assert_true(number(f) > last);
}

static void without_a_writable_directory_it_goes_out_and_the_log_says_so_once(void **state)
{
    struct fixture *f = *state;
    char path[128];
    assert_int_equal(number(f), 1);
    path_of(f, "heartbeat", path);
    unlink(path);
    rmdir(f->dir);
    const struct json *payload = beat(f);
    assert_int_equal(harness_number(payload, "sequence"), 2);
    assert_true(json_is(json_find_text(payload, "sequence_kept"), JSON_BOOL));
    assert_int_equal(number(f), 3);
    assert_int_equal(warnings, 1);
    assert_int_equal(mkdir(f->dir, 0700), 0);
    payload = beat(f);
    assert_int_equal(harness_number(payload, "sequence"), 4);
    assert_null(json_find_text(payload, "sequence_kept"));
    restart(f);
    assert_int_equal(number(f), 5);
}

static void a_damaged_number_makes_it_jump_ahead_of_all_that_were_used(void **state)
{
    struct fixture *f = *state;
    static const char *const damaged[] = {"", "x", "-4", "12 13", "99999999999999999999",
        "1111111111111111111111111111111111111111111111111111111111111111111111111111111"};
    for (size_t i = 0; i < COUNT_OF(damaged); i++) {
        char path[128];
        path_of(f, "heartbeat", path);
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        fputs(damaged[i], file);
        fclose(file);
        restart(f);
        assert_int_equal(number(f), f->harness.wall_us / SECOND + 1);
        assert_int_equal(warnings, i + 1);
    }
}

static void it_says_how_long_the_agent_runs_and_which_boot_this_is(void **state)
{
    struct fixture *f = *state;
    char boot_id[64] = "";
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (file != NULL) {
        assert_non_null(fgets(boot_id, sizeof(boot_id), file));
        fclose(file);
    }
    (void)beat(f);
    const struct json *payload = beat(f);
    assert_int_equal(harness_number(payload, "uptime_seconds"), 2 * 1440 * 60);
    assert_true(span_eq(json_string_of(payload, "boot_id"), span_trim(span_of(boot_id))));
}

static void without_memory_no_number_is_lost_or_used_twice(void **state)
{
    struct fixture *f = *state;
    int64_t last = number(f);
    f->harness.memory_fails = true;
    for (long allocations = 0; allocations < 30; allocations++) {
        harness_clear(&f->harness);
        f->harness.mono_us += 1440 * 60 * SECOND;
        mem_fail_after(allocations);
        (void)collectors_run(f->collectors);
        mem_fail_after(-1);
        if (harness_events(&f->harness, NULL) == 0)
            continue;
        int64_t next = harness_number(harness_payload(&f->harness, "Heartbeat", 0), "sequence");
        assert_true(next > last);
        last = next;
    }
    restart(f);
    assert_true(number(f) > last);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_number_goes_on_across_restarts),
        TEST(a_killed_agent_uses_no_number_again),
        TEST(without_a_writable_directory_it_goes_out_and_the_log_says_so_once),
        TEST(a_damaged_number_makes_it_jump_ahead_of_all_that_were_used),
        TEST(it_says_how_long_the_agent_runs_and_which_boot_this_is),
        TEST(without_memory_no_number_is_lost_or_used_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
