/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of processes change while processes start and end on the real kernel: what was told
 * is compared one by one with what was done. Ours are known by an argument that each has for
 * itself; where the kernel refuses the process connector, the tests are skipped.
 */
#include "mem.h"
#include "process_netlink.h"
#include "process_place.h"
#include "process_watch.h"

#include <setjmp.h>

#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static char *storm_program;

static int setup(void **state)
{
    if (process_setup(state) != 0)
        return -1;
    process_set(*state, SETTING_PROCESS_CACHE_SIZE, 65536); /* others start programs, too */
    process_set(*state, SETTING_PROCESS_MODE, PROCESS_MODE_NETLINK);
    return 0;
}

static void set_events(struct fixture *f, const char *list)
{
    fixture_set_text(f, SETTING_PROCESS_EVENTS, list);
}

/* ---- what was told ---- */

#define PROGRAMS_MAX 2048u

/* Hits by the number that stands last in the command line of one of ours. */
static struct tally {
    struct span begin;
    int64_t hits[PROGRAMS_MAX][PROCESS_EVENT_TYPES];
    int64_t gone;       /* programs whose command line is not known */
    uint64_t forked_by; /* count forks of this process */
    int64_t forks;
} tally;

static bool add_to_tally(const struct json *payload, const char *text UNUSED)
{
    static const char *const types[] = {
        [PROCESS_FORK] = "FORK", [PROCESS_EXEC] = "EXEC", [PROCESS_EXIT] = "EXIT"};
    unsigned type = 0;
    while (type < PROCESS_EVENT_TYPES - 1 &&
           !span_is(json_string_of(payload, "event_type"), types[type]))
        type++;
    int64_t hits = harness_number(payload, "hit_count");
    struct span line = json_string_of(payload, "commandline");
    uint64_t number;
    if (type == PROCESS_EXEC && span_is(json_string_of(payload, "commandline_state"), "GONE"))
        tally.gone += hits;
    if (type == PROCESS_FORK &&
        (uint64_t)harness_number(payload, "parent_process_id") == tally.forked_by)
        tally.forks += hits;
    if (span_starts(line, tally.begin) &&
        span_u64(span_from(line, tally.begin.len), PROGRAMS_MAX - 1, &number))
        tally.hits[number][type] += hits;
    return true;
}

/* Counts what was told of the command lines "BEGIN NUMBER". */
static void count_told(struct fixture *f, const char *begin)
{
    memset(&tally, 0, sizeof(tally));
    tally.begin = span_of(begin);
    tally.forked_by = (uint64_t)getpid();
    harness_hits(&f->harness, add_to_tally, NULL);
}

/* ---- the tests ---- */

static pid_t start_storm(const char *mark, unsigned count)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", count);
    pid_t pid = fork();
    if (pid == 0) {
        if (freopen("/dev/null", "w", stdout) == NULL)
            _exit(126);
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
        execl(storm_program, storm_program, number, "4", "/bin/true", mark, "@", (char *)NULL);
        _exit(127);
    }
    return pid;
}

static bool has_ended(pid_t pid)
{
    int result;
    if (waitpid(pid, &result, WNOHANG) == 0)
        return false;
    assert_int_equal(result, 0);
    return true;
}

/* What is told of each program under settings that change all the time. */
static void in_a_storm_settings_lose_and_double_nothing(void **state)
{
    enum { STARTS = 2000 };
    static const char *const lists[] = {
        "EXEC", "EXEC,EXIT", "EXEC,FORK,EXIT", "EXEC,FORK", "FORK,EXEC,EXIT"};
    struct fixture *f = *state;
    process_need_netlink();
    fixture_apply(f);
    pid_t storm = start_storm(process_mark, STARTS);
    unsigned changes = 0;
    for (; !has_ended(storm); changes++) {
        set_events(f, lists[changes % COUNT_OF(lists)]);
        process_set(f, SETTING_PROCESS_CACHE_SIZE, 65536 - changes % 3);
        process_set(f, SETTING_PROCESS_POLLING_INTERVAL, 2000 + changes);
        process_set(
            f, SETTING_PROCESS_MESSAGE_FREQUENCY, changes % 2 ? FREQUENCY_LOW : FREQUENCY_HIGH);
        process_set(
            f, SETTING_PROCESS_MODE, changes % 2 ? PROCESS_MODE_NETLINK : PROCESS_MODE_AUTO);
        fixture_apply(f);
        collectors_flush(f->collectors);
        poll(NULL, 0, (int)(changes % 7) * 5);
    }
    process_set(f, SETTING_PROCESS_DISABLED, true);
    fixture_apply(f);
    process_check_balance(f);
    assert_int_equal(process_lost(f), 0);
    char begin[64];
    snprintf(begin, sizeof(begin), "/bin/true %s ", process_mark);
    count_told(f, begin);
    int64_t missing = 0;
    for (size_t i = 0; i < STARTS; i++) {
        assert_in_range(tally.hits[i][PROCESS_EXEC], 0, 1);
        assert_in_range(tally.hits[i][PROCESS_EXIT], 0, 1);
        missing += 1 - tally.hits[i][PROCESS_EXEC];
    }
    print_message("# %u changes; %lld of %d could not be read in time\n", changes,
        (long long)missing, STARTS);
    assert_true(missing <= tally.gone);
    assert_true(missing < STARTS / 2);
}

/* Starts a program and waits for its end. */
static void run_program(const char *mark, size_t number)
{
    char text[16];
    snprintf(text, sizeof(text), "%zu", number);
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/true", "/bin/true", mark, text, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
}

/* Between two changes some programs start and end, and none of it is waited for. */
static void what_happens_between_two_changes_is_told_as_was_wanted_then(void **state)
{
    enum { PHASES = 36, EACH = 8 };
    static const char *const lists[] = {"EXEC", "EXEC,FORK,EXIT", "EXIT", "", "FORK", "EXEC,EXIT",
        NULL /* disabled */, "FORK,EXIT", "EXEC,FORK,EXIT", NULL, "EXEC", "EXIT"};
    struct fixture *f = *state;
    int64_t forks = 0, expected_forks = 0;
    process_need_netlink();
    for (size_t phase = 0; phase <= PHASES; phase++) {
        const char *list = lists[phase % COUNT_OF(lists)];
        process_set(f, SETTING_PROCESS_DISABLED, list == NULL);
        if (list != NULL)
            set_events(f, list);
        fixture_apply(f);
        for (size_t i = 0; phase < PHASES && i < EACH; i++)
            run_program(process_mark, phase * EACH + i);
        expected_forks += phase < PHASES && list != NULL && strstr(list, "FORK") ? EACH : 0;
    }
    collectors_flush(f->collectors);
    process_check_balance(f);
    assert_int_equal(process_lost(f), 0);
    char begin[64];
    snprintf(begin, sizeof(begin), "/bin/true %s ", process_mark);
    count_told(f, begin);
    forks = tally.forks;
    int64_t missing = 0;
    for (size_t i = 0; i < PHASES * EACH; i++) {
        const char *list = lists[i / EACH % COUNT_OF(lists)];
        int64_t execs = list != NULL && strstr(list, "EXEC") != NULL;
        int64_t exits = list != NULL && strstr(list, "EXIT") != NULL;
        assert_in_range(tally.hits[i][PROCESS_EXEC], 0, execs);
        assert_in_range(tally.hits[i][PROCESS_EXIT], 0, exits);
        assert_int_equal(tally.hits[i][PROCESS_FORK], 0);
        missing += execs - tally.hits[i][PROCESS_EXEC];
        if (execs > 0 && exits > 0)
            assert_int_equal(tally.hits[i][PROCESS_EXIT], tally.hits[i][PROCESS_EXEC]);
    }
    print_message("# %lld could not be read in time\n", (long long)missing);
    assert_true(missing <= tally.gone);
    assert_true(forks >= expected_forks);
}

/* Starts a program that waits for its end; its command line is "sleeper MARK NUMBER". */
static pid_t start_sleeper(const char *mark, size_t number)
{
    char text[16];
    snprintf(text, sizeof(text), "%zu", number);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* also when a test fails */
        execl(storm_program, "sleeper", mark, text, (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void when_the_source_changes_nothing_is_lost_or_doubled(void **state)
{
    enum { ROUNDS = 40, EACH = 4, LIVES = 6 };
    static const struct {
        enum process_mode mode;
        const char *list;
    } plans[] = {{PROCESS_MODE_NETLINK, "EXEC,FORK,EXIT"}, {PROCESS_MODE_POLLING, "EXEC,EXIT"},
        {PROCESS_MODE_AUTO, "EXEC,EXIT"}, {PROCESS_MODE_POLLING, "EXEC,FORK,EXIT"},
        {PROCESS_MODE_POLLING, "EXEC,EXIT"}};
    struct fixture *f = *state;
    pid_t pids[ROUNDS * EACH];
    process_need_netlink();
    /* So many start meanwhile that the kernel tells some of the ends late. */
    pid_t storm = start_storm("beside", 4000);
    for (size_t round = 0; round < ROUNDS + LIVES; round++) {
        size_t plan = round % COUNT_OF(plans);
        for (size_t i = 0; round < ROUNDS && i < EACH / 2; i++)
            pids[round * EACH + i] = start_sleeper(process_mark, round * EACH + i);
        process_set(f, SETTING_PROCESS_MODE, plans[plan].mode);
        process_set(f, SETTING_PROCESS_POLLING_INTERVAL, 2000 + (int64_t)round);
        set_events(f, plans[plan].list);
        fixture_apply(f);
        /* What was started before the first plan was in force is not told of. */
        for (size_t i = EACH / 2; round < ROUNDS && i < EACH; i++)
            pids[round * EACH + i] = start_sleeper(process_mark, round * EACH + i);
        for (size_t i = 0; round >= LIVES && i < EACH; i++) {
            pid_t pid = pids[(round - LIVES) * EACH + i];
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
    }
    process_set(f, SETTING_PROCESS_DISABLED, true);
    fixture_apply(f);
    kill(storm, SIGKILL);
    waitpid(storm, NULL, 0);
    process_check_balance(f);
    char begin[64];
    snprintf(begin, sizeof(begin), "sleeper %s ", process_mark);
    count_told(f, begin);
    for (size_t i = EACH / 2; i < ROUNDS * EACH; i++) {
        if (tally.hits[i][PROCESS_EXEC] != 1 || tally.hits[i][PROCESS_EXIT] != 1)
            print_message("# number %zu, of round %zu: %lld starts, %lld ends\n", i, i / EACH,
                (long long)tally.hits[i][PROCESS_EXEC], (long long)tally.hits[i][PROCESS_EXIT]);
    }
    for (size_t i = EACH / 2; i < ROUNDS * EACH; i++) {
        assert_int_equal(tally.hits[i][PROCESS_EXEC], 1);
        assert_int_equal(tally.hits[i][PROCESS_EXIT], 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, process_teardown)

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    storm_program = argv[1];
    const struct CMUnitTest tests[] = {
        TEST(in_a_storm_settings_lose_and_double_nothing),
        TEST(what_happens_between_two_changes_is_told_as_was_wanted_then),
        TEST(when_the_source_changes_nothing_is_lost_or_doubled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
