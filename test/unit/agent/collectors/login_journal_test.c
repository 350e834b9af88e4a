/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The journal, in real journal files, which systemd-journal-remote makes of entries in the export
 * format. Skipped, with the reason, where that program is not installed.
 */
#include "harness.h"
#include "login_journal.h"

#include <setjmp.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REMOTE "/lib/systemd/systemd-journal-remote"
#define START_S INT64_C(1700000000)

struct fixture {
    char root[64];
    char got[4096];
    int64_t second; /* of the next entry */
};

static const char *path_of(const struct fixture *f, const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s%s", f->root, name);
    return path;
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    snprintf(f->root, sizeof(f->root), "journal-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    static const char *const dirs[] = {"/var", "/var/log", "/var/log/journal", "/state"};
    for (size_t i = 0; i < COUNT_OF(dirs); i++)
        assert_int_equal(mkdir(path_of(f, dirs[i]), 0700), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"/var/log/journal/system.journal",
        "/var/log/journal/archived.journal", "/var/log/auth.log", "/state/logins"};
    static const char *const dirs[] = {"/var/log/journal", "/var/log", "/var", "/state", ""};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        (void)unlink(path_of(f, names[i]));
    for (size_t i = 0; i < COUNT_OF(dirs); i++)
        (void)rmdir(path_of(f, dirs[i]));
    test_free(f);
    return 0;
}

/* Adds an entry, as journald would write it of a process of that user and name. */
static void add(struct fixture *f, const char *user, const char *comm, int pid, const char *message)
{
    if (access(REMOTE, X_OK) != 0) {
        print_message("# skipped: systemd-journal-remote is not installed\n");
        skip();
    }
    char text[2048], output[300];
    int len = snprintf(text, sizeof(text),
        "__REALTIME_TIMESTAMP=%lld\n__MONOTONIC_TIMESTAMP=%lld\n"
        "_BOOT_ID=0123456789abcdef0123456789abcdef\n_UID=%s\n_COMM=%s\n_PID=%d\nMESSAGE=%s\n\n",
        (long long)(START_S + f->second) * 1000000, (long long)(1 + f->second) * 1000000, user,
        comm, pid, message);
    f->second++;
    snprintf(output, sizeof(output), "--output=%s", path_of(f, "/var/log/journal/system.journal"));
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t child = fork();
    if (child == 0) {
        int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(pipe_fds[0], STDIN_FILENO);
        dup2(null_fd, STDERR_FILENO);
        close(pipe_fds[1]);
        execl(REMOTE, REMOTE, output, "--split-mode=none", "-", (char *)NULL);
        _exit(127);
    }
    close(pipe_fds[0]);
    assert_int_equal(write(pipe_fds[1], text, (size_t)len), len);
    close(pipe_fds[1]);
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
}

static struct login_journal *open_journal(const struct fixture *f)
{
    struct login_journal *journal;
    struct why why = {""};
    if (login_journal_open(f->root, &journal, &why) != ERR_NONE)
        fail_msg("%s", why.text);
    return journal;
}

static void take(void *self, const struct login_journal_entry *entry)
{
    struct fixture *f = self;
    size_t len = strlen(f->got);
    snprintf(f->got + len, sizeof(f->got) - len, "%.*s[%u]+%lld %.*s; ", SPAN_ARG(entry->program),
        entry->process_id, (long long)(entry->time_us / 1000000 - START_S),
        SPAN_ARG(entry->message));
}

static const char *run(struct fixture *f, struct login_journal *journal)
{
    static char got[sizeof(f->got)];
    while (login_journal_run(journal, 2, take, f))
        ;
    memcpy(got, f->got, sizeof(got));
    f->got[0] = '\0';
    return got;
}

static void what_others_write_under_a_name_of_sshd_is_not_read(void **state)
{
    struct fixture *f = *state;
    add(f, "0", "sshd", 1, "old");
    struct login_journal *journal = open_journal(f);
    login_journal_begin_at_end(journal);
    assert_string_equal(run(f, journal), "");
    add(f, "0", "sshd", 2, "a");
    add(f, "1000", "sshd", 3, "forged");
    add(f, "0", "cron", 4, "other");
    add(f, "0", "sshd-session", 5, "b");
    add(f, "0", "login", 6, "c");
    assert_string_equal(run(f, journal), "sshd[2]+1 a; sshd-session[5]+4 b; login[6]+5 c; ");
    login_journal_close(journal);
}

static void it_goes_on_behind_its_cursor_and_looks_back(void **state)
{
    struct fixture *f = *state;
    char cursor[LOGIN_CURSOR_MAX + 1];
    add(f, "0", "sshd", 1, "one");
    add(f, "0", "sshd", 2, "two");
    struct login_journal *journal = open_journal(f);
    login_journal_begin_at_end(journal);
    add(f, "0", "sshd", 3, "three");
    assert_string_equal(run(f, journal), "sshd[3]+2 three; ");
    assert_true(span_copy(login_journal_cursor(journal), cursor, sizeof(cursor)));
    login_journal_close(journal);
    /* Rotated meanwhile. */
    char old[300];
    snprintf(old, sizeof(old), "%s", path_of(f, "/var/log/journal/archived.journal"));
    assert_int_equal(rename(path_of(f, "/var/log/journal/system.journal"), old), 0);
    add(f, "0", "sshd", 4, "four");
    journal = open_journal(f);
    assert_true(login_journal_begin_at(journal, span_of(cursor), 1, take, f));
    assert_string_equal(f->got, "sshd[2]+1 two; sshd[3]+2 three; ");
    f->got[0] = '\0';
    assert_string_equal(run(f, journal), "sshd[4]+3 four; ");
    login_journal_close(journal);
}

static void the_collector_reads_it_where_there_is_no_auth_log(void **state)
{
    static const struct collector *const table[] = {&login_collector};
    struct fixture *f = *state;
    struct harness harness;
    struct settings settings;
    const char *field;
    add(f, "0", "sshd", 1, "Accepted password for old from 192.0.2.7 port 5 ssh2");
    login_journal_close(open_journal(f));
    harness_init(&harness);
    settings_init(&settings);
    harness.options.root_dir = f->root;
    char state_dir[300];
    snprintf(state_dir, sizeof(state_dir), "%s", path_of(f, "/state"));
    harness.options.state_dir = state_dir;
    for (unsigned life = 0; life < 3; life++) {
        struct collectors *collectors;
        char message[100];
        assert_int_equal(
            collectors_new_of(&harness.options, table, COUNT_OF(table), &collectors, NULL),
            ERR_NONE);
        assert_int_equal(collectors_apply(collectors, &settings, &field, NULL), ERR_NONE);
        snprintf(
            message, sizeof(message), "Accepted password for u%u from 192.0.2.7 port 5 ssh2", life);
        add(f, "0", "sshd", 10 + (int)life, message);
        collectors_flush(collectors);
        assert_int_equal(harness_events(&harness, "Login"), life + 1);
        const struct json *payload = harness_payload(&harness, "Login", life);
        assert_int_equal(harness_number(payload, "process_id"), 10 + life);
        assert_true(span_is(json_string_of(payload, "remote_address"), "192.0.2.7"));
        collectors_free(collectors);
    }
    settings_done(&settings);
    harness_done(&harness);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_others_write_under_a_name_of_sshd_is_not_read),
        TEST(it_goes_on_behind_its_cursor_and_looks_back),
        TEST(the_collector_reads_it_where_there_is_no_auth_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
