/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Login collector on files as the system writes them (wtmp and btmp through the C library),
 * below a directory of the test's own; and lives that end at every moment.
 */
#include "harness.h"

#include <setjmp.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmpx.h>

static const struct collector *const table[] = {&login_collector};

#define START_S INT64_C(1700000000)

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
    char root[64];
    char state[80];
    uint64_t kept; /* messages, ever */
    enum err (*keep)(
        void *self, struct span body, size_t event_count, const struct ledger_tallies *tallies);
};

static struct fixture *current;

static enum err deliver(
    void *self, struct span body, size_t event_count, const struct ledger_tallies *tallies)
{
    enum err err = current->keep(self, body, event_count, tallies);
    current->kept += err == ERR_NONE;
    return err;
}

static uint64_t kept(void *self UNUSED)
{
    return current->kept;
}

static void begin_life(struct fixture *f)
{
    collectors_free(f->collectors);
    f->collectors = NULL;
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
    const char *field;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
}

static const char *path_of(struct fixture *f, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s%s", f->root, name);
    return path;
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    current = f;
    harness_init(&f->harness);
    settings_init(&f->settings);
    snprintf(f->root, sizeof(f->root), "login-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    static const char *const dirs[] = {"/var", "/var/log", "/var/lib", "/state"};
    for (size_t i = 0; i < COUNT_OF(dirs); i++)
        assert_int_equal(mkdir(path_of(f, dirs[i]), 0700), 0);
    snprintf(f->state, sizeof(f->state), "%s/state", f->root);
    f->keep = f->harness.options.deliver;
    f->harness.options.deliver = deliver;
    f->harness.options.kept = kept;
    f->harness.options.root_dir = f->root;
    f->harness.options.state_dir = f->state;
    *state = f;
    return 0;
}

static void remove_below(const char *dir)
{
    DIR *entries = opendir(dir);
    if (entries == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        char path[1024];
        int length = snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
        assert_in_range(length, 0, sizeof(path) - 1);
        if (entry->d_name[0] != '.' && unlink(path) != 0)
            remove_below(path);
    }
    closedir(entries);
    rmdir(dir);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    settings_done(&f->settings);
    harness_done(&f->harness);
    remove_below(f->root);
    test_free(f);
    return 0;
}

/* ---- what the system writes ---- */

static void append(struct fixture *f, const char *name, const void *bytes, size_t len)
{
    int fd = open(path_of(f, name), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    close(fd);
}

static void log_line(struct fixture *f, int64_t second, int pid, const char *message)
{
    char line[4096], time[CLOCK_TEXT_SIZE];
    int len = snprintf(line, sizeof(line), "%s host sshd[%d]: %s\n",
        clock_format((START_S + second) * SECOND, time), pid, message);
    append(f, "/var/log/auth.log", line, (size_t)len);
}

static void record(struct fixture *f, const char *name, short type, int64_t second, int pid,
    const char *line, const char *user, const char *address)
{
    struct utmpx entry;
    memset(&entry, 0, sizeof(entry));
    entry.ut_type = type;
    entry.ut_pid = pid;
    entry.ut_tv.tv_sec = (int32_t)(START_S + second);
    memcpy(entry.ut_line, line, strlen(line));
    memcpy(entry.ut_user, user, strnlen(user, sizeof(entry.ut_user)));
    if (address[0] != '\0') {
        memcpy(entry.ut_host, address, strlen(address));
        bool v6 = strchr(address, ':') != NULL;
        assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, address, entry.ut_addr_v6), 1);
    }
    /* The C library's own writer; it wants the file to be there. */
    append(f, name, "", 0);
    updwtmpx(path_of(f, name), &entry);
}

static void wtmp(struct fixture *f, short type, int64_t second, int pid, const char *line,
    const char *user, const char *address)
{
    record(f, "/var/log/wtmp", type, second, pid, line, user, address);
}

static void btmp(struct fixture *f, int64_t second, int pid, const char *user, const char *address)
{
    record(f, "/var/log/btmp", LOGIN_PROCESS, second, pid, "ssh:notty", user, address);
}

/* ---- what is sent ---- */

/* Collects, and writes all events as "operation pid user@address terminal; ". */
static const char *collect(struct fixture *f)
{
    static char text[8192];
    size_t len = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < 3; i++) { /* past the time that a rotated file is waited for */
        while (collectors_run(f->collectors) <= f->harness.mono_us)
            ;
        f->harness.mono_us += 6 * SECOND;
    }
    collectors_flush(f->collectors);
    size_t events = harness_events(&f->harness, "Login");
    for (size_t i = 0; i < events; i++) {
        const struct json *payload = harness_payload(&f->harness, "Login", i);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%.*s %lld %.*s@%.*s %.*s; ",
            SPAN_ARG(json_string_of(payload, "operation")),
            (long long)harness_number(payload, "process_id"),
            SPAN_ARG(json_string_of(payload, "user_name")),
            SPAN_ARG(json_string_of(payload, "remote_address")),
            SPAN_ARG(json_string_of(payload, "executable")));
        assert_true(len < sizeof(text));
    }
    harness_clear(&f->harness);
    return text;
}

static int64_t counter(struct fixture *f, const char *name)
{
    return harness_counter(&f->harness, f->collectors, "Login", name);
}

static void check_balance(struct fixture *f)
{
    assert_int_equal(harness_unaccounted(&f->harness, f->collectors, "Login"), 0);
}

/* ---- tests ---- */

static void logins_and_logouts_are_read_from_wtmp(void **state)
{
    struct fixture *f = *state;
    wtmp(f, USER_PROCESS, 0, 1, "tty1", "before", "");
    begin_life(f);
    assert_string_equal(collect(f), "");
    wtmp(f, LOGIN_PROCESS, 1, 9, "tty2", "LOGIN", "");
    wtmp(f, USER_PROCESS, 2, 2, "pts/0", "ann", "192.0.2.7");
    wtmp(f, USER_PROCESS, 3, 3, "pts/1", "bob", "2001:db8::1");
    wtmp(f, DEAD_PROCESS, 4, 0, "pts/0", "", "");
    wtmp(f, DEAD_PROCESS, 5, 0, "tty1", "", "");
    wtmp(f, DEAD_PROCESS, 6, 9, "tty2", "", "");
    wtmp(f, BOOT_TIME, 7, 0, "~", "reboot", "");
    wtmp(f, DEAD_PROCESS, 8, 0, "pts/1", "", "");
    assert_string_equal(collect(f),
        "Login 2 ann@192.0.2.7 pts/0; Login 3 bob@2001:db8::1 pts/1; Logout 2 ann@192.0.2.7 pts/0; "
        "Logout 1 before@0.0.0.0 tty1; ");
    check_balance(f);
}

static void a_login_in_two_files_is_one_event(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    log_line(f, 1, 100, "Failed password for root from 192.0.2.7 port 5 ssh2");
    btmp(f, 1, 100, "root", "192.0.2.7");
    log_line(f, 2, 100, "Accepted password for root from 192.0.2.7 port 5 ssh2");
    wtmp(f, USER_PROCESS, 4, 101, "pts/0", "root", "192.0.2.7");
    log_line(f, 30, 100, "pam_unix(sshd:session): session closed for user root");
    wtmp(f, DEAD_PROCESS, 30, 101, "pts/0", "", "");
    /* Without a terminal only the log knows. */
    log_line(f, 40, 102, "Accepted publickey for root from 192.0.2.7 port 6 ssh2: RSA SHA256:a");
    log_line(f, 41, 102, "pam_unix(sshd:session): session closed for user root");
    const char *got = collect(f);
    assert_non_null(strstr(got, "LoginFailed 100 root@192.0.2.7 ssh:notty; "));
    unsigned logins = 0, logouts = 0, failures = 0;
    for (const char *at = got; *at != '\0'; at = strstr(at, "; ") + 2) {
        logins += strncmp(at, "Login ", 6) == 0;
        logouts += strncmp(at, "Logout ", 7) == 0;
        failures += strncmp(at, "LoginFailed ", 12) == 0;
    }
    assert_int_equal(failures, 1);
    assert_int_equal(logins, 2);
    assert_int_equal(logouts, 2);
    check_balance(f);
}

static void two_of_the_same_user_stay_two(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    for (int i = 0; i < 2; i++) {
        log_line(f, i, 100 + i, "Accepted password for ann from 192.0.2.7 port 5 ssh2");
        wtmp(f, USER_PROCESS, i, 200 + i, i == 0 ? "pts/0" : "pts/1", "ann", "192.0.2.7");
    }
    assert_string_equal(
        collect(f), "Login 100 ann@192.0.2.7 pts/0; Login 101 ann@192.0.2.7 pts/1; ");
}

static void an_unknown_user_is_one_failure_an_attempt(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    log_line(f, 1, 100, "Invalid user bob from 192.0.2.7 port 5");
    btmp(f, 1, 100, "bob", "192.0.2.7"); /* so does sshd, for this line and for the next */
    log_line(f, 60, 100, "Failed password for invalid user bob from 192.0.2.7 port 5 ssh2");
    btmp(f, 60, 100, "bob", "192.0.2.7");
    log_line(f, 61, 100, "Failed password for invalid user bob from 192.0.2.7 port 5 ssh2");
    btmp(f, 61, 100, "bob", "192.0.2.7");
    log_line(f, 70, 101, "Invalid user key from 192.0.2.7 port 5");
    const char *got = collect(f);
    assert_int_equal(counter(f, "seen"), 3);
    assert_non_null(strstr(got, "LoginFailed 101 key@192.0.2.7 ssh:notty; "));
}

static void all_who_are_logged_in_are_known_when_they_leave(void **state)
{
    struct fixture *f = *state;
    enum { PEOPLE = 1500 };
    f->settings.values[SETTING_LOGIN_CACHE_SIZE].number = 2 * PEOPLE;
    begin_life(f);
    for (int i = 0; i < PEOPLE; i++) {
        char line[16], user[16];
        snprintf(line, sizeof(line), "pts/%d", i);
        snprintf(user, sizeof(user), "user%d", i);
        wtmp(f, USER_PROCESS, 1, 2 + i, line, user, "192.0.2.7");
    }
    while (collectors_run(f->collectors) <= f->harness.mono_us)
        ;
    f->harness.mono_us += 6 * SECOND;
    collectors_run(f->collectors);
    collectors_flush(f->collectors);
    assert_int_equal(harness_events(&f->harness, "Login"), PEOPLE);
    harness_clear(&f->harness);
    begin_life(f); /* another, which must look back far enough */
    for (int i = 0; i < PEOPLE; i++) {
        char line[16];
        snprintf(line, sizeof(line), "pts/%d", i);
        wtmp(f, DEAD_PROCESS, 9, 2 + i, line, "", "");
    }
    f->harness.mono_us += 6 * SECOND;
    while (collectors_run(f->collectors) <= f->harness.mono_us)
        ;
    collectors_flush(f->collectors);
    assert_int_equal(harness_events(&f->harness, "Login"), PEOPLE);
    const struct json *first = harness_payload(&f->harness, "Login", 0);
    assert_true(span_is(json_string_of(first, "operation"), "Logout"));
    assert_true(span_is(json_string_of(first, "user_name"), "user0"));
    harness_clear(&f->harness);
}

static void strangers_who_try_names_make_no_logout_be_forgotten(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_LOGIN_CACHE_SIZE].number = 1;
    begin_life(f);
    wtmp(f, USER_PROCESS, 1, 2, "pts/0", "ann", "192.0.2.7");
    for (int i = 0; i < 1000; i++)
        log_line(f, 2, 1000 + i, "Invalid user oracle from 192.0.2.9 port 5");
    (void)collect(f);
    wtmp(f, DEAD_PROCESS, 9, 0, "pts/0", "", "");
    assert_string_equal(collect(f), "Logout 2 ann@192.0.2.7 pts/0; ");
}

static void a_hostile_name_forges_nothing(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    log_line(f, 1, 100,
        "Failed password for invalid user root from 1.2.3.4 port 22 ssh2 from 192.0.2.7 port 5 "
        "ssh2");
    btmp(f, 1, 100, "root from 1.2.3.4 port 22 ssh2", "192.0.2.7");
    log_line(
        f, 2, 101, "Failed password for invalid user \xff\x01\"},{ from 192.0.2.8 port 5 ssh2");
    assert_string_equal(collect(f),
        "LoginFailed 100 root from 1.2.3.4 port 22 ssh2@192.0.2.7 ssh:notty; "
        "LoginFailed 101 \xef\xbf\xbd\x01\"},{@192.0.2.8 ssh:notty; ");
}

static void a_torn_record_hides_no_other(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    char torn[100] = {7, 0, 0, 0, 1};
    append(f, "/var/log/wtmp", torn, sizeof(torn));
    wtmp(f, USER_PROCESS, 2, 2, "tty1", "ann", "");
    char zeros[3 * sizeof(struct utmpx)] = {0};
    append(f, "/var/log/wtmp", zeros, sizeof(zeros));
    wtmp(f, USER_PROCESS, 3, 3, "tty2", "bob", "");
    assert_string_equal(collect(f), "Login 2 ann@0.0.0.0 tty1; Login 3 bob@0.0.0.0 tty2; ");
}

static void a_storm_in_two_files_is_counted_one_by_one(void **state)
{
    enum { FAILURES = 3000 };
    struct fixture *f = *state;
    f->settings.values[SETTING_LOGIN_CACHE_SIZE].number = FAILURES;
    begin_life(f);
    (void)collect(f); /* so that the next collection is not due for long */
    for (int i = 0; i < FAILURES; i++) {
        char user[32], message[128];
        snprintf(user, sizeof(user), "user-%d", i);
        snprintf(message, sizeof(message),
            "Failed password for invalid user %s from 192.0.2.7 port 5 ssh2", user);
        log_line(f, i / 100, 1000 + i, message);
        btmp(f, i / 100, 1000 + i, user, "192.0.2.7");
    }
    f->harness.mono_us += 2 * SECOND; /* it looks again */
    while (collectors_run(f->collectors) <= f->harness.mono_us)
        ;
    assert_int_equal(counter(f, "waiting"), FAILURES);
    f->settings.values[SETTING_LOGIN_CACHE_SIZE].number = 100;
    const char *field;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
    collectors_flush(f->collectors);
    assert_int_equal(counter(f, "seen"), FAILURES);
    assert_int_equal(counter(f, "sent"), 100);
    assert_int_equal(counter(f, "lost.cache_bound"), FAILURES - 100);
    const struct json *last = harness_payload(&f->harness, "Login", 99);
    assert_true(span_is(json_string_of(last, "user_name"), "user-2999"));
    check_balance(f);
}

static void a_restart_repeats_nothing_and_knows_who_is_there(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    log_line(f, 1, 100, "Accepted password for ann from 192.0.2.7 port 5 ssh2");
    assert_string_equal(collect(f), "Login 100 ann@192.0.2.7 ssh:notty; ");
    begin_life(f);
    /* The other half of what was sent, and its end. */
    wtmp(f, USER_PROCESS, 2, 101, "pts/0", "ann", "192.0.2.7");
    assert_string_equal(collect(f), "");
    begin_life(f);
    log_line(f, 60, 100, "pam_unix(sshd:session): session closed for user ann");
    wtmp(f, DEAD_PROCESS, 60, 101, "pts/0", "", "");
    assert_string_equal(collect(f), "Logout 100 ann@192.0.2.7 pts/0; ");
    begin_life(f);
    assert_string_equal(collect(f), "");
}

static void what_happened_while_it_was_down_is_told_after(void **state)
{
    struct fixture *f = *state;
    log_line(f, 0, 1, "Accepted password for old from 192.0.2.7 port 5 ssh2");
    begin_life(f); /* and ends without a collection */
    collectors_free(f->collectors);
    f->collectors = NULL;
    log_line(f, 1, 2, "Accepted password for ann from 192.0.2.7 port 5 ssh2");
    char old[300];
    snprintf(old, sizeof(old), "%s", path_of(f, "/var/log/auth.log.1"));
    assert_int_equal(rename(path_of(f, "/var/log/auth.log"), old), 0);
    log_line(f, 2, 3, "Accepted password for bob from 192.0.2.7 port 5 ssh2");
    begin_life(f);
    assert_string_equal(
        collect(f), "Login 2 ann@192.0.2.7 ssh:notty; Login 3 bob@192.0.2.7 ssh:notty; ");
}

static void the_pam_log_is_read_instead_when_told_and_kept_short(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    wtmp(f, USER_PROCESS, 1, 1, "tty1", "ann", "");
    assert_string_equal(collect(f), "Login 1 ann@0.0.0.0 tty1; ");
    static const char line[] =
        "2023-11-14T22:13:30+00:00,1700000010,7,open_session,sshd,a%2Cb,192.0.2.7,ssh,0\n";
    append(f, "/state/pam.log", line, sizeof(line) - 1); /* from before, of no interest */
    f->settings.values[SETTING_LOGIN_USE_PAM].number = 1;
    const char *field;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
    wtmp(f, USER_PROCESS, 2, 2, "tty2", "bob", "");
    append(f, "/state/pam.log", line, sizeof(line) - 1);
    assert_string_equal(collect(f), "Login 7 a,b@192.0.2.7 ssh; ");
    for (unsigned i = 0; i < 14000; i++)
        append(f, "/state/pam.log", line, sizeof(line) - 1);
    (void)collectors_run(f->collectors);
    f->settings.values[SETTING_LOGIN_CACHE_SIZE].number = 1;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
    (void)collect(f);
    struct stat stat_of;
    assert_int_equal(stat(path_of(f, "/state/pam.log"), &stat_of), -1);
    append(f, "/state/pam.log", line, sizeof(line) - 1);
    assert_string_equal(collect(f), "Login 7 a,b@192.0.2.7 ssh; ");
    assert_int_equal(counter(f, "seen"), 14003);
    check_balance(f);
    /* And back: what wtmp told meanwhile was told by the PAM log. */
    f->settings.values[SETTING_LOGIN_USE_PAM].number = 0;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
    assert_string_equal(collect(f), "");
}

static void what_is_switched_off_is_not_told_later(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    const char *field;
    f->settings.values[SETTING_LOGIN_DISABLED].number = 1;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
    wtmp(f, USER_PROCESS, 1, 1, "tty1", "ann", "");
    assert_string_equal(collect(f), "");
    begin_life(f);
    f->settings.values[SETTING_LOGIN_DISABLED].number = 0;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
    assert_string_equal(collect(f), "");
    wtmp(f, USER_PROCESS, 2, 2, "tty2", "bob", "");
    assert_string_equal(collect(f), "Login 2 bob@0.0.0.0 tty2; ");
}

static void switch_off(struct fixture *f, bool off)
{
    const char *field;
    f->settings.values[SETTING_LOGIN_DISABLED].number = off;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
}

static void what_happens_in_a_life_that_never_reads_is_not_told_later(void **state)
{
    struct fixture *f = *state;
    begin_life(f);
    f->settings.values[SETTING_LOGIN_DISABLED].number = 1;
    begin_life(f);
    wtmp(f, USER_PROCESS, 1, 1, "tty1", "ann", "");
    switch_off(f, false);
    assert_string_equal(collect(f), "");
    f->settings.values[SETTING_LOGIN_DISABLED].number = 1;
    begin_life(f);
    wtmp(f, USER_PROCESS, 2, 2, "tty2", "bob", "");
    f->settings.values[SETTING_LOGIN_DISABLED].number = 0;
    begin_life(f);
    assert_string_equal(collect(f), "");
    wtmp(f, USER_PROCESS, 3, 3, "tty3", "eve", "");
    assert_string_equal(collect(f), "Login 3 eve@0.0.0.0 tty3; ");
}

static void write_failures(struct fixture *f, unsigned count)
{
    char line[200];
    for (unsigned i = 0; i < count; i++) {
        snprintf(line, sizeof(line), "Failed password for user-%u from 192.0.2.7 port 5 ssh2", i);
        log_line(f, i, (int)(1000 + i), line);
    }
}

/* Far more than is read at once. */
static void of_a_storm_all_is_told_before_the_sources_are_left(void **state)
{
    struct fixture *f = *state;
    enum { FAILURES = 6000 };
    const char *field;
    f->settings.values[SETTING_LOGIN_CACHE_SIZE].number = 65536;
    begin_life(f);
    write_failures(f, FAILURES);
    switch_off(f, true);
    assert_int_equal(counter(f, "sent"), FAILURES);
    switch_off(f, false);
    write_failures(f, FAILURES);
    collectors_flush(f->collectors); /* as comes before every change */
    assert_int_equal(counter(f, "sent"), 2 * FAILURES);
    write_failures(f, FAILURES);
    f->settings.values[SETTING_LOGIN_USE_PAM].number = 1;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
    collectors_flush(f->collectors);
    assert_int_equal(counter(f, "sent"), 3 * FAILURES);
    check_balance(f);
}

static void the_budget_is_asked_once_for_each_login(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_AGENT_EVENTS_PER_SECOND].number = 1;
    begin_life(f);
    for (unsigned second = 0; second < 10; second += 2) {
        write_failures(f, 4);
        f->harness.mono_us += 2 * SECOND;
        collectors_flush(f->collectors);
    }
    assert_int_equal(counter(f, "seen"), 20);
    assert_int_equal(counter(f, "sent"), 10);
    assert_int_equal(counter(f, "lost.budget"), 10);
    f->settings.values[SETTING_AGENT_EVENTS_PER_SECOND].number = 0;
    const char *field;
    assert_int_equal(collectors_apply(f->collectors, &f->settings, &field, NULL), ERR_NONE);
    collectors_set_level(f->collectors, 2); /* one of two */
    write_failures(f, 20);
    collectors_flush(f->collectors);
    assert_int_equal(counter(f, "sent"), 20);
    assert_int_equal(counter(f, "lost.budget"), 20);
    check_balance(f);
}

/* ---- lives that end at any moment ---- */

static int outbox_fd;
static unsigned die_at; /* the delivery, from 1 on; 0: none */
static bool die_before; /* the message is kept */
static unsigned deliveries;

static uint64_t kept_on_disk(void *self UNUSED)
{
    char text[65536];
    uint64_t count = 0;
    ssize_t got = pread(outbox_fd, text, sizeof(text), 0);
    for (ssize_t i = 0; i < got; i++)
        count += text[i] == '\n';
    return count;
}

static enum err keep_on_disk(void *self UNUSED, struct span body, size_t event_count UNUSED,
    const struct ledger_tallies *tallies UNUSED)
{
    deliveries++;
    if (deliveries == die_at && die_before)
        _exit(9);
    if (write(outbox_fd, body.ptr, body.len) != (ssize_t)body.len || write(outbox_fd, "\n", 1) != 1)
        _exit(8);
    if (deliveries == die_at)
        _exit(9);
    return ERR_NONE;
}

/* Lives in a process of its own, reads everything and collects twice; returns how it ended. */
static int live(struct fixture *f)
{
    pid_t pid = fork();
    if (pid == 0) {
        deliveries = 0;
        f->harness.options.message_limit_bytes = 4000; /* some three events a message */
        f->harness.options.kept = kept_on_disk;
        f->harness.options.deliver = keep_on_disk;
        begin_life(f);
        while (collectors_run(f->collectors) <= f->harness.mono_us)
            ;
        collectors_flush(f->collectors);
        collectors_flush(f->collectors);
        _exit(0);
    }
    int result;
    assert_int_equal(waitpid(pid, &result, 0), pid);
    assert_true(WIFEXITED(result));
    return WEXITSTATUS(result);
}

static void wherever_a_life_ends_each_event_comes_once(void **state)
{
    enum { USERS = 16 };
    struct fixture *f = *state;
    outbox_fd = open(path_of(f, "/outbox"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(outbox_fd >= 0);
    bool ended = false;
    for (unsigned round = 0; !ended; round++) {
        assert_true(round < 64);
        die_at = 0;
        assert_int_equal(live(f), 0); /* from here on */
        assert_int_equal(ftruncate(outbox_fd, 0), 0);
        (void)unlink(path_of(f, "/state/logins"));
        assert_int_equal(live(f), 0);
        for (int i = 0; i < USERS; i++) {
            char user[32], message[128];
            snprintf(user, sizeof(user), "u%u-%02d", round, i);
            snprintf(message, sizeof(message),
                "Accepted password for %s from 192.0.2.7 port 5 ssh2", user);
            log_line(f, i, 1000 + i, message);
            if (i % 2 == 0)
                wtmp(f, USER_PROCESS, i, 2000 + i, "pts/0", user, "192.0.2.7");
        }
        die_at = round / 2 + 1;
        die_before = round % 2 == 0;
        ended = live(f) == 0;
        die_at = 0;
        assert_int_equal(live(f), 0);
        assert_int_equal(live(f), 0);
        char text[65536];
        ssize_t got = pread(outbox_fd, text, sizeof(text) - 1, 0);
        assert_true(got > 0);
        text[got] = '\0';
        for (int i = 0; i < USERS; i++) {
            char user[32];
            snprintf(user, sizeof(user), "\"u%u-%02d\"", round, i);
            const char *first = strstr(text, user);
            if (first == NULL)
                fail_msg("%s is lost, round %u", user, round);
            if (strstr(first + 1, user) != NULL)
                fail_msg("%s came twice, round %u", user, round);
        }
    }
    close(outbox_fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(logins_and_logouts_are_read_from_wtmp),
        TEST(a_login_in_two_files_is_one_event),
        TEST(two_of_the_same_user_stay_two),
        TEST(an_unknown_user_is_one_failure_an_attempt),
        TEST(all_who_are_logged_in_are_known_when_they_leave),
        TEST(strangers_who_try_names_make_no_logout_be_forgotten),
        TEST(a_hostile_name_forges_nothing),
        TEST(a_torn_record_hides_no_other),
        TEST(a_storm_in_two_files_is_counted_one_by_one),
        TEST(a_restart_repeats_nothing_and_knows_who_is_there),
        TEST(what_happened_while_it_was_down_is_told_after),
        TEST(the_pam_log_is_read_instead_when_told_and_kept_short),
        TEST(what_is_switched_off_is_not_told_later),
        TEST(what_happens_in_a_life_that_never_reads_is_not_told_later),
        TEST(of_a_storm_all_is_told_before_the_sources_are_left),
        TEST(the_budget_is_asked_once_for_each_login),
        TEST(wherever_a_life_ends_each_event_comes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
