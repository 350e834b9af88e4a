/* SPDX-License-Identifier: Apache-2.0 */
#include "buf.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char *agent_path;
static const char *manual_path;
static char dir[64];

static int set_up(void **state UNUSED)
{
    snprintf(dir, sizeof(dir), "/tmp/gemel-main-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int tear_down(void **state UNUSED)
{
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

/* Runs the agent in the test's directory; `output` gets both its streams. Returns its exit code. */
static int run(const char *arguments, struct buf *output)
{
    char command[1024];
    snprintf(command, sizeof(command), "cd '%s' && exec '%s' %s 2>&1 </dev/null", dir, agent_path,
        arguments);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    buf_clear(output);
    for (int c = getc(stream); c != EOF; c = getc(stream))
        buf_add_byte(output, (char)c);
    buf_add_byte(output, '\0');
    int status = pclose(stream);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void write_file(const char *name, const char *text)
{
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void the_exit_code_says_what_happened(void **state UNUSED)
{
    static const struct {
        const char *arguments;
        int code;
        const char *says;
    } rows[] = {
        {"--help", 0, "gemel-agent check"},
        {"--version", 0, "gemel-agent "},
        {"run --help", 0, "--state-dir DIR"},
        {"run -h", 0, "--state-dir DIR"},
        {"check -h", 0, "--output FORMAT"},
        {"schema -h", 0, "gemel-agent schema"},
        {"help status", 0, "--json"},
        {"help fly", 2, "unknown command: fly"},
        {"", 2, "a command is missing"},
        {"fly", 2, "unknown command: fly"},
        {"run --wings", 2, "unknown option: --wings; see gemel-agent run --help"},
        {"run --config-dir", 2, "needs a value: --config-dir"},
        {"run --config-dir=", 2, "needs a value"},
        {"run extra", 2, "not expected: extra"},
        {"run --log-level loud", 2, "--log-level"},
        {"run --first-delay -1", 2, "--first-delay"},
        {"status --json=yes", 2, "takes no value"},
        {"collect", 2, "missing: NAME"},
        {"collect Nothing", 2, "there are: SystemInformation"},
        {"collect --seconds soon Process", 2, "--seconds"},
        {"collect --config-dir . heartbeat", 0, "\"payload_type\": \"Heartbeat\""},
        {"collect --config-dir pipe heartbeat", 0, "conf.json is ignored"},
        {"collect --config-dir . --seconds 0 Process", 0, "\"events\""},
        {"check", 2, "missing: FILE"},
        {"check a b", 2, "not expected: b"},
        {"check --output yaml good.json", 2, "--output"},
        {"check good.json", 0, ""},
        {"check --output json bad.json", 1, "\"latest_invalid_fields\": \"Nope\""},
        {"check no.json", 2, ""},
        {"check nowhere.json", 2, "nowhere.json"},
        {"event nonsense", 2, "the event: line 1"},
        {"schema", 0, "Process_CacheSize"},
        {"status --state-dir .", 3, "no agent runs on ."},
        {"status --state-dir ./nowhere", 3, "no agent runs"},
        {"run --config-dir . --state-dir s", 2, "./connection_string.txt"},
        {"run --config-dir x --state-dir s", 2, "must hold"},
        {"run --config-dir y --state-dir nowhere/s", 1, "nowhere/s"},
    };
    AUTO(buf_done) struct buf output = BUF_EMPTY;
    char path[160];
    write_file("good.json", "{\"Process_CacheSize\":5}");
    write_file("bad.json", "{\"Nope\":5}");
    write_file("no.json", "[");
    snprintf(path, sizeof(path), "%s/x", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file("x/connection_string.txt", "HostName=h");
    snprintf(path, sizeof(path), "%s/y", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/pipe", dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/pipe/conf.json", dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    write_file("y/connection_string.txt",
        "HostName=localhost:9;DeviceId=d;ModuleId=m;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int code = run(rows[i].arguments, &output);
        if (code != rows[i].code || strstr(output.ptr, rows[i].says) == NULL)
            fail_msg("'%s' ended with %d and said: %s", rows[i].arguments, code, output.ptr);
    }
}

static void what_cannot_be_written_is_said(void **state UNUSED)
{
    char command[512];
    char line[128] = "";
    write_file("good.json", "{}");
    snprintf(
        command, sizeof(command), "'%s' check '%s/good.json' 2>&1 >/dev/full", agent_path, dir);
    FILE *stream = popen(command, "r");
    assert_non_null(stream);
    assert_non_null(fgets(line, sizeof(line), stream));
    assert_string_equal(line, "gemel-agent: writing the output: No space left on device\n");
    int status = pclose(stream);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

/* What the help names stands in the manual page, where "-" is written "\-". */
static void the_manual_names_every_command_and_option(void **state UNUSED)
{
    AUTO(buf_done) struct buf help = BUF_EMPTY;
    AUTO(buf_done) struct buf manual = BUF_EMPTY;
    FILE *file = fopen(manual_path, "r");
    assert_non_null(file);
    for (int c = getc(file); c != EOF; c = getc(file))
        if (c != '\\')
            buf_add_byte(&manual, (char)c);
    fclose(file);
    assert_int_equal(run("--help", &help), 0);
    struct span rest = buf_span(&help);
    struct span word;
    int found = 0;
    while (span_cut(&rest, '\n', &word)) {
        char text[64];
        word = span_trim(word);
        word = span_first(word, span_find(word, ' '));
        if (!span_starts(word, SPAN_LIT("--")) || !span_copy(word, text, sizeof(text)))
            continue;
        found++;
        if (strstr(manual.ptr, text) == NULL)
            fail_msg("the manual page does not name %s", text);
    }
    assert_true(found >= 6);
    static const char *const commands[] = {"run", "check", "schema", "status"};
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        char text[64];
        snprintf(text, sizeof(text), "gemel-agent %s", commands[i]);
        assert_non_null(strstr(manual.ptr, text));
    }
}

/* A socket that hears what the agent tells systemd. */
static int listen_for_notify(char ret_path[108])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    memcpy(ret_path, address.sun_path, sizeof(address.sun_path));
    return fd;
}

static void expect_notify(int fd, const char *expected)
{
    char text[64] = "";
    /* Between the states that are waited for, the watchdog may be fed. */
    do {
        ssize_t len = recv(fd, text, sizeof(text) - 1, 0);
        assert_true(len > 0);
        text[len] = '\0';
    } while (strcmp(text, expected) != 0);
}

static pid_t start_agent(const char *notify_path, bool without_streams)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    int null_fd = open("/dev/null", O_WRONLY);
    dup2(null_fd, STDERR_FILENO);
    dup2(null_fd, STDOUT_FILENO);
    for (int fd = STDIN_FILENO; without_streams && fd <= STDERR_FILENO; fd++)
        close(fd);
    setenv("NOTIFY_SOCKET", notify_path, 1);
    setenv("WATCHDOG_USEC", "400000", 1);
    if (chdir(dir) == 0)
        execl(agent_path, agent_path, "run", "--config-dir", ".", "--state-dir", "s", NULL);
    _exit(99);
}

static void without_a_hub_it_runs_says_how_it_is_and_stops_when_told(void **state UNUSED)
{
    AUTO(buf_done) struct buf output = BUF_EMPTY;
    char notify_path[108];
    int status;
    write_file("connection_string.txt",
        "HostName=localhost:9;DeviceId=d;ModuleId=m;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==\n");
    write_file("conf.json", "{\"Process_Disabled\":true,\"Heartbeat_Disabled\":true}");
    int notify_fd = listen_for_notify(notify_path);
    pid_t pid = start_agent(notify_path, false);
    expect_notify(notify_fd, "READY=1");
    expect_notify(notify_fd, "WATCHDOG=1");

    assert_int_equal(run("status --json --state-dir s", &output), 0);
    assert_non_null(strstr(output.ptr, "\"hub\":\"localhost:9\""));
    assert_non_null(strstr(output.ptr, "\"Process_Disabled\":true"));
    assert_null(strstr(output.ptr, "MDEyMzQ1"));
    assert_int_equal(run("status --state-dir s", &output), 0);
    assert_non_null(strstr(output.ptr, "Process_Disabled        true"));
    assert_int_equal(run("run --config-dir . --state-dir s", &output), 1);
    assert_non_null(strstr(output.ptr, "another gemel-agent"));
    assert_int_equal(run("status --json --state-dir s", &output), 0);

    write_file("conf.json", "{\"Process_Disabled\":true,\"Heartbeat_Disabled\":false}");
    assert_int_equal(kill(pid, SIGHUP), 0);
    for (int i = 0; i < 1000 && strstr(output.ptr, "\"Heartbeat_Disabled\":false") == NULL; i++)
        assert_int_equal(run("status --json --state-dir s", &output), 0);
    assert_non_null(strstr(output.ptr, "\"Heartbeat_Disabled\":false"));

    assert_int_equal(kill(pid, SIGTERM), 0);
    expect_notify(notify_fd, "STOPPING=1");
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(run("status --state-dir s", &output), 3);
    close(notify_fd);
}

/* What is opened first would be standard error, and the log would be written into it. */
static void without_standard_streams_the_log_goes_nowhere(void **state UNUSED)
{
    char notify_path[108];
    int status;
    write_file("connection_string.txt",
        "HostName=localhost:9;DeviceId=d;ModuleId=m;SharedAccessKey=MDEyMzQ1Njc4OWFiY2RlZg==\n");
    int notify_fd = listen_for_notify(notify_path);
    pid_t pid = start_agent(notify_path, true);
    expect_notify(notify_fd, "READY=1");
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        char link[64];
        char target[64] = "";
        snprintf(link, sizeof(link), "/proc/%d/fd/%d", (int)pid, fd);
        assert_true(readlink(link, target, sizeof(target) - 1) > 0);
        assert_string_equal(target, "/dev/null");
    }
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    close(notify_fd);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {TEST(the_exit_code_says_what_happened),
        TEST(what_cannot_be_written_is_said), TEST(the_manual_names_every_command_and_option),
        TEST(without_a_hub_it_runs_says_how_it_is_and_stops_when_told),
        TEST(without_standard_streams_the_log_goes_nowhere)};
    must(argc == 3);
    /* The tests run the program from directories of their own. */
    agent_path = realpath(argv[1], NULL);
    must(agent_path != NULL);
    manual_path = argv[2];
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    free((char *)(uintptr_t)agent_path);
    return failed;
}
