/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Process collector on the real kernel. What needs the process connector is skipped, with the
 * reason, where the kernel refuses it. Other programs start on the machine meanwhile: ours are told
 * by their command line.
 */
#include "process_netlink.h"
#include "process_place.h"
#include "process_watch.h"

#include <setjmp.h>

#include <cmocka.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char *storm_program;

static void apply_netlink_or_skip(struct fixture *f)
{
    process_need_netlink();
    process_set(f, SETTING_PROCESS_MODE, PROCESS_MODE_NETLINK);
    fixture_apply(f);
}

static void run(char *const *arguments)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL)
            _exit(126);
        execv(arguments[0], arguments);
        _exit(127);
    }
    int result;
    assert_int_equal(waitpid(pid, &result, 0), pid);
    assert_int_equal(result, 0);
}

/* Starts /bin/true MARK, or /bin/true MARK NUMBER. */
static void start_programs(unsigned count, unsigned parallel, bool distinct)
{
    char number[16], together[16], at[] = "@", program[] = "/bin/true";
    snprintf(number, sizeof(number), "%u", count);
    snprintf(together, sizeof(together), "%u", parallel);
    char *arguments[] = {
        storm_program, number, together, program, process_mark, distinct ? at : NULL, NULL};
    run(arguments);
}

static int64_t ours(struct fixture *f)
{
    char begin[64];
    snprintf(begin, sizeof(begin), "/bin/true %s", process_mark);
    return harness_hits(&f->harness, harness_command_line_begins, begin);
}

/* Lets the watching thread catch up: until a last program of ours has been seen. */
static void settle(struct fixture *f)
{
    for (unsigned calm = 0, tries = 0; calm < 3 && tries < 50; tries++) {
        int64_t before = fixture_counter(f, "seen");
        poll(NULL, 0, 20);
        calm = fixture_counter(f, "seen") == before ? calm + 1 : 0;
    }
}

static void a_storm_of_20000_programs_is_seen_to_the_last(void **state)
{
    enum { STARTS = 20000 };
    struct fixture *f = *state;
    apply_netlink_or_skip(f);
    start_programs(STARTS, 8, false);
    settle(f);
    collectors_flush(f->collectors);
    int64_t gone = harness_hits(&f->harness, harness_state_is, "GONE");
    print_message("# %lld with their command line, %lld were gone, %lld lost\n", (long long)ours(f),
        (long long)gone, (long long)process_lost(f));
    process_check_balance(f);
    /* Programs of others may be so many that they give way to each other; ours may not. */
    int64_t gave_way = fixture_counter(f, "lost.cache_bound");
    assert_int_equal(process_lost(f), gave_way);
    assert_true(ours(f) <= STARTS);
    assert_true(ours(f) + gone + gave_way >= STARTS);
    assert_true(fixture_counter(f, "seen") >= STARTS);
    assert_int_equal(harness_hits(&f->harness, NULL, NULL), fixture_counter(f, "sent"));
}

static void what_the_cache_cannot_hold_is_counted_as_lost(void **state)
{
    enum { STARTS = 1000, BOUND = 100 };
    struct fixture *f = *state;
    process_set(f, SETTING_PROCESS_CACHE_SIZE, BOUND);
    apply_netlink_or_skip(f);
    start_programs(STARTS, 4, true);
    settle(f);
    collectors_flush(f->collectors);
    assert_int_equal(fixture_counter(f, "lost.kernel_buffer"), 0);
    assert_true(fixture_counter(f, "lost.cache_bound") > 0);
    assert_true(harness_events(&f->harness, "Process") <= PROCESS_EVENT_TYPES * BOUND);
    /* Others start programs too, on a busy machine more than fit. */
    assert_true(ours(f) > 0 || fixture_counter(f, "lost.cache_bound") > STARTS);
    process_check_balance(f);
}

static void a_message_of_many_events_is_split(void **state)
{
    struct fixture *f = *state;
    process_set(f, SETTING_PROCESS_CACHE_SIZE, 5000);
    f->harness.options.message_limit_bytes = 4000;
    fixture_open(f);
    apply_netlink_or_skip(f);
    start_programs(200, 4, true);
    settle(f);
    collectors_flush(f->collectors);
    assert_true(f->harness.count > 10);
    assert_int_equal(process_lost(f), 0);
    process_check_balance(f);
}

static void a_command_line_that_no_message_holds_is_cut_and_marked(void **state)
{
    struct fixture *f = *state;
    f->harness.options.message_limit_bytes = 1500;
    process_set(f, SETTING_PROCESS_CACHE_SIZE, 65536); /* others start programs, too */
    fixture_open(f);
    apply_netlink_or_skip(f);
    char program[] = "/bin/true", *longer = test_malloc(60001);
    memset(longer, '\x01', 60000); /* six bytes each in JSON */
    longer[60000] = '\0';
    for (unsigned i = 0; i < 20; i++) {
        char *arguments[] = {program, process_mark, longer, NULL};
        run(arguments);
    }
    test_free(longer);
    settle(f);
    collectors_flush(f->collectors);
    process_check_balance(f);
    assert_int_equal(process_lost(f), 0);
    assert_true(ours(f) > 0);
    assert_true(harness_hits(&f->harness, harness_state_is, "CUT") >= ours(f));
}

/* Starts a sleeper called NAME. */
static pid_t start_sleeper(const char *name)
{
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
        execl("/bin/sleep", name, "600", (char *)NULL);
        _exit(127);
    }
    return pid;
}

struct wanted {
    const char *type;
    const char *begin;
};

static bool is_wanted(const struct json *payload, const char *text)
{
    const struct wanted *wanted = (const void *)text;
    return span_is(json_string_of(payload, "event_type"), wanted->type) &&
           span_starts(json_string_of(payload, "commandline"), span_of(wanted->begin));
}

static int64_t hits_of(struct fixture *f, const char *type, const char *begin)
{
    const struct wanted wanted = {type, begin};
    return harness_hits(&f->harness, is_wanted, (const char *)&wanted);
}

/* Waits until an event of that type was sent of a program of that name; returns how often. */
static int64_t await(struct fixture *f, const char *type, const char *name)
{
    int64_t hits = 0;
    for (unsigned tries = 0; tries < 1000 && hits == 0; tries++) {
        poll(NULL, 0, 10);
        collectors_flush(f->collectors);
        hits = hits_of(f, type, name);
    }
    return hits;
}

static void polling_sees_what_lives_long_enough(void **state)
{
    struct fixture *f = *state;
    process_set(f, SETTING_PROCESS_MODE, PROCESS_MODE_POLLING);
    process_set(f, SETTING_PROCESS_POLLING_INTERVAL, 5000);
    fixture_apply(f);
    const struct json *status = harness_status(&f->harness, f->collectors, "Process");
    assert_true(span_is(json_string_of(status, "source"), "polling"));
    char name[64];
    snprintf(name, sizeof(name), "sleep-%s", process_mark);
    pid_t pid = start_sleeper(name);
    assert_int_equal(await(f, "EXEC", name), 1);
    poll(NULL, 0, 30);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    collectors_flush(f->collectors);
    assert_int_equal(harness_hits(&f->harness, harness_command_line_begins, name), 1);
    process_check_balance(f);
}

static void an_event_says_who_what_and_when(void **state)
{
    struct fixture *f = *state;
    process_set(f, SETTING_PROCESS_MODE, PROCESS_MODE_POLLING);
    process_set(f, SETTING_PROCESS_POLLING_INTERVAL, 1000);
    fixture_apply(f);
    char name[64];
    snprintf(name, sizeof(name), "sleep-%s", process_mark);
    pid_t pid = start_sleeper(name);
    assert_int_equal(await(f, "EXEC", name), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    const struct json *payload = NULL;
    for (size_t i = 0; payload == NULL; i++) {
        const struct json *next = harness_payload(&f->harness, "Process", i);
        if (harness_command_line_begins(next, name))
            payload = next;
    }
    assert_int_equal(harness_number(payload, "process_id"), pid);
    assert_int_equal(harness_number(payload, "parent_process_id"), getpid());
    assert_int_equal(harness_number(payload, "user_id"), getuid());
    assert_true(span_is(json_string_of(payload, "event_type"), "EXEC"));
    assert_null(json_find_text(payload, "commandline_state"));
    if (getuid() == 0)
        assert_true(span_is(json_string_of(payload, "user_name"), "root"));
}

static void auto_uses_netlink_where_it_is_to_be_had(void **state)
{
    struct fixture *f = *state;
    apply_netlink_or_skip(f);
    process_set(f, SETTING_PROCESS_DISABLED, 1);
    fixture_apply(f);
    process_set(f, SETTING_PROCESS_DISABLED, 0);
    process_set(f, SETTING_PROCESS_MODE, PROCESS_MODE_AUTO);
    fixture_apply(f);
    const struct json *status = harness_status(&f->harness, f->collectors, "Process");
    assert_true(span_is(json_string_of(status, "source"), "netlink"));
    assert_true(harness_number(status, "receive_buffer_bytes") > 0);
}

static void a_change_of_the_cache_or_the_frequency_leaves_the_watch_alone(void **state)
{
    struct fixture *f = *state;
    apply_netlink_or_skip(f);
    start_programs(5, 1, false);
    settle(f);
    int64_t seen = fixture_counter(f, "seen");
    process_set(f, SETTING_PROCESS_CACHE_SIZE, 1000);
    process_set(f, SETTING_PROCESS_MESSAGE_FREQUENCY, FREQUENCY_LOW);
    process_set(f, SETTING_PROCESS_POLLING_INTERVAL, 5000);
    fixture_apply(f);
    process_set(f, SETTING_PROCESS_MODE, PROCESS_MODE_AUTO);
    fixture_apply(f);
    /* And what waited still waits, if others' programs do not push it out. */
    assert_true(fixture_counter(f, "waiting") + fixture_counter(f, "lost.cache_bound") >= seen);
    start_programs(5, 1, false);
    settle(f);
    collectors_flush(f->collectors);
    assert_true(fixture_counter(f, "sent") + fixture_counter(f, "lost.cache_bound") >= 10);
    process_check_balance(f);
}

static void a_change_of_mode_takes_over_without_a_gap(void **state)
{
    struct fixture *f = *state;
    process_set(f, SETTING_PROCESS_CACHE_SIZE, 65536); /* others start programs, too */
    apply_netlink_or_skip(f);
    pid_t pids[20];
    for (unsigned i = 0; i < COUNT_OF(pids); i++) {
        process_set(
            f, SETTING_PROCESS_MODE, i % 2 == 0 ? PROCESS_MODE_POLLING : PROCESS_MODE_NETLINK);
        process_set(f, SETTING_PROCESS_POLLING_INTERVAL, 2000 + i);
        pids[i] = start_sleeper(process_mark);
        fixture_apply(f);
    }
    settle(f);
    collectors_flush(f->collectors);
    for (unsigned i = 0; i < COUNT_OF(pids); i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    int64_t hits = harness_hits(&f->harness, harness_command_line_begins, process_mark);
    assert_int_equal(hits, COUNT_OF(pids));
    process_check_balance(f);
}

static void what_is_disabled_sees_nothing(void **state)
{
    struct fixture *f = *state;
    apply_netlink_or_skip(f);
    process_set(f, SETTING_PROCESS_DISABLED, 1);
    fixture_apply(f);
    harness_clear(&f->harness);
    int64_t seen = fixture_counter(f, "seen");
    start_programs(10, 1, false);
    collectors_flush(f->collectors);
    collectors_run(f->collectors);
    assert_int_equal(harness_events(&f->harness, NULL), 0);
    assert_int_equal(fixture_counter(f, "seen"), seen);
}

static void forks_and_ends_are_counted_one_by_one(void **state)
{
    enum { STARTS = 2000 };
    struct fixture *f = *state;
    char program[64], storm[256];
    process_set(f, SETTING_PROCESS_CACHE_SIZE, 65536); /* others start programs, too */
    apply_netlink_or_skip(f);
    start_programs(STARTS, 4, false);
    settle(f);
    collectors_flush(f->collectors);
    snprintf(program, sizeof(program), "/bin/true %s", process_mark);
    snprintf(storm, sizeof(storm), "%s %d 4 /bin/true %s", storm_program, STARTS, process_mark);
    assert_int_equal(process_lost(f), fixture_counter(f, "lost.cache_bound"));
    process_check_balance(f);
    if (process_lost(f) > 0) {
        print_message("# skipped: others' processes pushed ours out\n");
        skip();
    }
    int64_t gone = harness_hits(&f->harness, harness_state_is, "GONE");
    /* The leak sanitizer, where there is one, forks a process of its own at the end. */
    assert_in_range(hits_of(f, "FORK", storm), STARTS, STARTS + 1);
    assert_int_equal(hits_of(f, "EXEC", storm), 1);
    assert_int_equal(hits_of(f, "EXIT", storm), hits_of(f, "FORK", storm) - STARTS + 1);
    /* An end is of what the start was seen as. */
    assert_in_range(hits_of(f, "EXEC", program), STARTS - gone, STARTS);
    assert_int_equal(hits_of(f, "EXIT", program), hits_of(f, "EXEC", program));
}

static void an_end_says_how(void **state)
{
    struct fixture *f = *state;
    apply_netlink_or_skip(f);
    char name[64];
    snprintf(name, sizeof(name), "sleep-%s", process_mark);
    pid_t pid = start_sleeper(name);
    assert_int_equal(await(f, "EXEC", name), 1);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(await(f, "EXIT", name), 1);
    const struct json *payload = NULL;
    const struct wanted wanted = {"EXIT", name};
    for (size_t i = 0; payload == NULL; i++) {
        const struct json *next = harness_payload(&f->harness, "Process", i);
        if (is_wanted(next, (const char *)&wanted))
            payload = next;
    }
    assert_int_equal(harness_number(payload, "process_id"), pid);
    assert_int_equal(harness_number(payload, "parent_process_id"), getpid());
    assert_int_equal(harness_number(payload, "exit_signal"), SIGKILL);
    assert_null(json_find_text(payload, "exit_code"));
    assert_true(json_string_of(payload, "executable").len > 0);
}

static void only_what_is_wanted_is_told_and_a_change_is_in_force_at_once(void **state)
{
    static const char *const lists[] = {"EXEC", "EXIT", "FORK,EXIT", ""};
    struct fixture *f = *state;
    for (int64_t mode = PROCESS_MODE_NETLINK; mode <= PROCESS_MODE_POLLING; mode++) {
        for (size_t i = 0; i < COUNT_OF(lists); i++) {
            apply_netlink_or_skip(f);
            process_set(f, SETTING_PROCESS_MODE, mode);
            process_set(f, SETTING_PROCESS_POLLING_INTERVAL, 2000);
            fixture_set_text(f, SETTING_PROCESS_EVENTS, lists[i]);
            fixture_apply(f);
            collectors_flush(f->collectors);
            harness_clear(&f->harness);
            start_programs(20, 1, false);
            settle(f);
            collectors_flush(f->collectors);
            static const char *const types[] = {"EXEC", "FORK", "EXIT"};
            for (size_t t = 0; t < COUNT_OF(types); t++) {
                bool wanted = strstr(lists[i], types[t]) != NULL;
                if (!wanted || mode == PROCESS_MODE_NETLINK)
                    assert_int_equal(hits_of(f, types[t], "") > 0, wanted);
            }
            process_check_balance(f);
        }
    }
}

static void an_outbox_that_refuses_makes_a_loss_that_is_counted(void **state)
{
    struct fixture *f = *state;
    apply_netlink_or_skip(f);
    start_programs(10, 1, false);
    settle(f);
    f->harness.answer = ERR_STORAGE_FULL;
    collectors_flush(f->collectors);
    assert_true(fixture_counter(f, "lost.outbox") >= 10);
    assert_int_equal(fixture_counter(f, "sent"), 0);
    process_check_balance(f);
}

/* In a pid namespace of its own, where the kernel does not answer, or where it is refused. Runs in
 * a child, which exits with 0 if all is as it should be. */
static int in_a_namespace(struct fixture *f)
{
    const char *field = "";
    struct why why = {""};
    struct settings *settings = &f->settings;
    settings->values[SETTING_PROCESS_MODE].number = PROCESS_MODE_POLLING;
    settings->values[SETTING_PROCESS_POLLING_INTERVAL].number = 2000;
    if (collectors_apply(f->collectors, settings, &field, &why) != ERR_NONE)
        return 10;
    settings->values[SETTING_PROCESS_MODE].number = PROCESS_MODE_NETLINK;
    if (collectors_apply(f->collectors, settings, &field, &why) != ERR_REFUSED)
        return 11;
    if (field == NULL || strcmp(field, "Process_Mode") != 0 || why.text[0] == '\0')
        return 12;
    /* What ran before still runs. */
    pid_t pid = start_sleeper(process_mark);
    int64_t hits = await(f, "EXEC", process_mark);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    if (hits != 1)
        return 13;
    settings->values[SETTING_PROCESS_MODE].number = PROCESS_MODE_AUTO;
    if (collectors_apply(f->collectors, settings, &field, &why) != ERR_NONE)
        return 14;
    const struct json *status = harness_status(&f->harness, f->collectors, "Process");
    return span_is(json_string_of(status, "source"), "polling") ? 0 : 15;
}

static void where_netlink_is_refused_the_mode_is_blamed_and_auto_polls(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    if (pid == 0) {
        if (unshare(CLONE_NEWNET) != 0)
            _exit(77);
        _exit(in_a_namespace(f));
    }
    int result;
    waitpid(pid, &result, 0);
    if (WIFEXITED(result) && WEXITSTATUS(result) == 77) {
        print_message("# skipped: a network namespace needs root\n");
        skip();
    }
    assert_int_equal(result, 0);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    storm_program = argv[1];
    const struct CMUnitTest tests[] = {
        PROCESS_TEST(a_storm_of_20000_programs_is_seen_to_the_last),
        PROCESS_TEST(what_the_cache_cannot_hold_is_counted_as_lost),
        PROCESS_TEST(a_message_of_many_events_is_split),
        PROCESS_TEST(a_command_line_that_no_message_holds_is_cut_and_marked),
        PROCESS_TEST(polling_sees_what_lives_long_enough),
        PROCESS_TEST(an_event_says_who_what_and_when),
        PROCESS_TEST(auto_uses_netlink_where_it_is_to_be_had),
        PROCESS_TEST(a_change_of_the_cache_or_the_frequency_leaves_the_watch_alone),
        PROCESS_TEST(a_change_of_mode_takes_over_without_a_gap),
        PROCESS_TEST(what_is_disabled_sees_nothing),
        PROCESS_TEST(forks_and_ends_are_counted_one_by_one),
        PROCESS_TEST(an_end_says_how),
        PROCESS_TEST(only_what_is_wanted_is_told_and_a_change_is_in_force_at_once),
        PROCESS_TEST(an_outbox_that_refuses_makes_a_loss_that_is_counted),
        PROCESS_TEST(where_netlink_is_refused_the_mode_is_blamed_and_auto_polls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
