/* SPDX-License-Identifier: Apache-2.0 */
/* Custom events through the real socket, from good and from bad applications. */
#include "event_socket.h"
#include "harness.h"
#include "schema_check.h"

#include <setjmp.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *schema_dir;

static const struct collector *const table[] = {&custom_event_collector};

struct fixture {
    struct harness harness;
    struct settings settings;
    struct collectors *collectors;
    char dir[64];
    char socket[128];
};

static void apply(struct fixture *f)
{
    const char *field;
    struct why why = {""};
    if (collectors_apply(f->collectors, &f->settings, &field, &why) != ERR_NONE)
        fail_msg("%s: %s", field, why.text);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    harness_init(&f->harness);
    settings_init(&f->settings);
    f->settings.values[SETTING_CUSTOM_EVENT_RATE_MAX].number = 10000;
    snprintf(f->dir, sizeof(f->dir), "/tmp/gemel-events-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->socket, sizeof(f->socket), "%s/events.sock", f->dir);
    f->harness.options.state_dir = f->dir;
    assert_int_equal(
        collectors_new_of(&f->harness.options, table, COUNT_OF(table), &f->collectors, NULL),
        ERR_NONE);
    apply(f);
    collectors_run(f->collectors); /* the first collection is over */
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    collectors_free(f->collectors);
    assert_int_not_equal(access(f->socket, F_OK), 0); /* it leaves nothing behind */
    settings_done(&f->settings);
    harness_done(&f->harness);
    assert_int_equal(rmdir(f->dir), 0);
    test_free(f);
    return 0;
}

static int64_t counter(struct fixture *f, const char *name)
{
    return harness_counter(&f->harness, f->collectors, "CustomEvent", name);
}

static void submit(struct fixture *f, struct span body)
{
    struct why why = {""};
    if (event_socket_send(f->socket, body, &why) != ERR_NONE)
        fail_msg("%s", why.text);
    collectors_run(f->collectors);
}

static void collect(struct fixture *f)
{
    struct why why = {""};
    collectors_flush(f->collectors);
    for (size_t i = 0; i < f->harness.count; i++)
        if (!schema_check(schema_dir, "message.schema.json", f->harness.messages[i], &why))
            fail_msg("%s", why.text);
}

static void an_event_is_sent_as_it_was_submitted_with_who_did(void **state)
{
    struct fixture *f = *state;
    char program[4096];
    ssize_t len = readlink("/proc/self/exe", program, sizeof(program));
    submit(f, SPAN_LIT("{ \"door\": \"open\", \"level\": 1.50, \"source\": {\"user_id\": 7} }"));
    submit(f, SPAN_LIT("{}"));
    collect(f);
    assert_int_equal(harness_events(&f->harness, "CustomEvent"), 2);
    const struct json *payload = harness_payload(&f->harness, "CustomEvent", 0);
    const struct json *source = json_find_text(payload, "source");
    const struct json *body = json_find_text(payload, "body");
    assert_int_equal(harness_number(source, "process_id"), getpid());
    assert_int_equal(harness_number(source, "user_id"), getuid());
    assert_true(span_eq(json_string_of(source, "executable"), (struct span){program, (size_t)len}));
    assert_true(span_is(json_string_of(body, "door"), "open"));
    assert_true(span_is(json_find_text(body, "level")->text, "1.50"));
    assert_int_equal(harness_number(json_find_text(body, "source"), "user_id"), 7);
    assert_int_equal(counter(f, "seen"), 2);
    assert_int_equal(counter(f, "sent"), 2);
}

static void what_is_no_event_is_counted_and_harms_nobody(void **state)
{
    struct fixture *f = *state;
    static char deep[200], large[EVENT_BODY_MAX + 100];
    memset(deep, '[', sizeof(deep));
    memset(large, ' ', sizeof(large));
    memcpy(large, "{}", 2);
    submit(f, SPAN_LIT(""));
    submit(f, SPAN_LIT("[]"));
    submit(f, SPAN_LIT("\"text\""));
    submit(f, SPAN_LIT("{\"a\":1,\"a\":2}"));
    submit(f, SPAN_LIT("{\"a\":\"\xff\"}"));
    submit(f, SPAN_LIT("{\"a\":{"));
    submit(f, SPAN_LIT("{}{}"));
    submit(f, (struct span){deep, sizeof(deep)});
    assert_int_equal(counter(f, "malformed"), 8);
    assert_int_equal(counter(f, "seen"), 0);
    submit(f, (struct span){large, sizeof(large)});
    submit(f, (struct span){large, EVENT_BODY_MAX});
    collect(f);
    assert_int_equal(counter(f, "malformed"), 8);
    assert_int_equal(counter(f, "lost.too_large"), 1);
    assert_int_equal(counter(f, "seen"), 2);
    assert_int_equal(counter(f, "sent"), 1);
}

static void the_cache_is_bounded_in_events_and_in_bytes(void **state)
{
    struct fixture *f = *state;
    static char large[EVENT_BODY_MAX];
    f->settings.values[SETTING_CUSTOM_EVENT_CACHE_SIZE].number = 3;
    apply(f);
    for (unsigned i = 0; i < 10; i++)
        submit(f, SPAN_LIT("{\"same\":true}")); /* each is an event of its own */
    assert_int_equal(counter(f, "waiting"), 3);
    assert_int_equal(counter(f, "lost.cache_bound"), 7);
    f->settings.values[SETTING_CUSTOM_EVENT_CACHE_SIZE].number = 65536;
    apply(f);
    assert_int_equal(counter(f, "waiting"), 3);
    memset(large, 'x', sizeof(large));
    memcpy(large, "{\"a\":\"", 6);
    memcpy(large + sizeof(large) - 2, "\"}", 2);
    for (unsigned i = 0; i < 300; i++)
        submit(f, (struct span){large, sizeof(large)});
    assert_true(counter(f, "waiting") > 240);
    assert_true(counter(f, "waiting") < 257); /* 4 MiB */
    collect(f);
    assert_int_equal(counter(f, "seen"), counter(f, "sent") + counter(f, "lost.cache_bound"));
}

static void what_comes_too_fast_is_dropped_and_counted(void **state)
{
    struct fixture *f = *state;
    f->settings.values[SETTING_CUSTOM_EVENT_RATE_MAX].number = 10;
    apply(f);
    for (unsigned i = 0; i < 30; i++)
        submit(f, SPAN_LIT("{}"));
    assert_int_equal(counter(f, "waiting"), 10);
    assert_int_equal(counter(f, "lost.budget"), 20);
    f->harness.mono_us += SECOND / 2;
    for (unsigned i = 0; i < 30; i++)
        submit(f, SPAN_LIT("{}"));
    assert_int_equal(counter(f, "waiting"), 15);
    f->harness.mono_us += 3600 * SECOND; /* a pause earns no more than a second's worth */
    for (unsigned i = 0; i < 30; i++)
        submit(f, SPAN_LIT("{}"));
    collect(f);
    assert_int_equal(counter(f, "sent"), 25);
    assert_int_equal(counter(f, "seen"), 90);
    assert_int_equal(counter(f, "lost.budget"), 65);
}

static mode_t mode_of(const struct fixture *f)
{
    struct stat stat;
    assert_int_equal(lstat(f->socket, &stat), 0);
    return stat.st_mode & 0777;
}

static void set_text(struct fixture *f, enum setting_id id, const char *text)
{
    mem_free(f->settings.values[id].text);
    f->settings.values[id].text = mem_text(span_of(text));
}

static void it_is_the_agents_own_unless_it_is_opened(void **state)
{
    struct fixture *f = *state;
    struct stat stat;
    assert_int_equal(mode_of(f), 0600);
    set_text(f, SETTING_CUSTOM_EVENT_SOCKET_GROUP, "*");
    apply(f);
    assert_int_equal(mode_of(f), 0666);
    set_text(f, SETTING_CUSTOM_EVENT_SOCKET_GROUP, "no such group");
    apply(f);
    assert_int_equal(mode_of(f), 0600);
    if (getuid() == 0) {
        set_text(f, SETTING_CUSTOM_EVENT_SOCKET_GROUP, "daemon");
        apply(f);
        assert_int_equal(mode_of(f), 0660);
        assert_int_equal(lstat(f->socket, &stat), 0);
        assert_int_not_equal(stat.st_gid, getgid());
    }
    submit(f, SPAN_LIT("{}"));
    assert_int_equal(counter(f, "waiting"), 1);
}

static void the_socket_moves_with_its_setting_and_what_is_held_stays(void **state)
{
    struct fixture *f = *state;
    char other[128];
    struct why why = {""};
    snprintf(other, sizeof(other), "%s/other", f->dir);
    submit(f, SPAN_LIT("{}"));
    set_text(f, SETTING_CUSTOM_EVENT_SOCKET_PATH, other);
    apply(f);
    assert_int_equal(event_socket_send(f->socket, SPAN_LIT("{}"), &why), ERR_NOT_FOUND);
    assert_int_equal(event_socket_send(other, SPAN_LIT("{}"), &why), ERR_NONE);
    collect(f);
    assert_int_equal(counter(f, "sent"), 2);
}

/* As an application does, while the agent is busy elsewhere. */
static void send_unread(struct fixture *f)
{
    struct why why = {""};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(event_socket_send(f->socket, SPAN_LIT("{}"), &why), ERR_NONE);
}

static void what_waits_in_the_socket_is_taken_before_it_goes(void **state)
{
    struct fixture *f = *state;
    char other[128];
    snprintf(other, sizeof(other), "%s/other", f->dir);
    send_unread(f);
    set_text(f, SETTING_CUSTOM_EVENT_SOCKET_PATH, other);
    apply(f);
    set_text(f, SETTING_CUSTOM_EVENT_SOCKET_PATH, "");
    apply(f);
    send_unread(f);
    f->settings.values[SETTING_CUSTOM_EVENT_DISABLED].number = 1;
    apply(f);
    assert_int_equal(counter(f, "seen"), 10);
    assert_int_equal(counter(f, "sent"), 10);
}

static void who_ends_for_good_takes_in_what_waits_and_then_nothing(void **state)
{
    struct fixture *f = *state;
    struct why why = {""};
    send_unread(f);
    collectors_stop(f->collectors);
    assert_int_equal(counter(f, "sent"), 5);
    assert_int_equal(event_socket_send(f->socket, SPAN_LIT("{}"), &why), ERR_NOT_FOUND);
    collectors_run(f->collectors);
    collectors_flush(f->collectors);
    assert_int_equal(counter(f, "seen"), 5);
}

static void a_socket_left_behind_is_replaced_and_another_file_is_not(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(unlink(f->socket), 0); /* somebody cleans up: it comes back */
    collect(f);
    submit(f, SPAN_LIT("{}"));
    f->settings.values[SETTING_CUSTOM_EVENT_DISABLED].number = 1;
    apply(f);
    assert_int_not_equal(access(f->socket, F_OK), 0);
    int fd = open(f->socket, O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    close(fd);
    f->settings.values[SETTING_CUSTOM_EVENT_DISABLED].number = 0;
    apply(f);
    struct stat stat;
    assert_int_equal(lstat(f->socket, &stat), 0);
    assert_true(S_ISREG(stat.st_mode));
    assert_int_equal(unlink(f->socket), 0);
    f->harness.mono_us += 61 * SECOND; /* tried again after a while */
    collectors_run(f->collectors);
    submit(f, SPAN_LIT("{}"));
    collect(f);
    assert_int_equal(counter(f, "sent"), 2);
}

static void many_senders_are_all_heard(void **state)
{
    struct fixture *f = *state;
    enum { SENDERS = 4, EACH = 500 };
    harness_real_clock(&f->harness);
    f->settings.values[SETTING_CUSTOM_EVENT_CACHE_SIZE].number = 65536;
    apply(f);
    f->harness.mono_us += SECOND;
    for (unsigned i = 0; i < SENDERS; i++) {
        if (fork() != 0)
            continue;
        for (unsigned n = 0; n < EACH; n++)
            if (event_socket_send(f->socket, SPAN_LIT("{\"n\":1}"), NULL) != ERR_NONE)
                _exit(1);
        _exit(0);
    }
    for (unsigned done = 0; done < SENDERS;) {
        int result;
        collectors_run(f->collectors);
        if (waitpid(-1, &result, WNOHANG) <= 0)
            continue;
        assert_int_equal(result, 0);
        done++;
    }
    collect(f);
    assert_int_equal(counter(f, "sent"), SENDERS * EACH);
}

static void without_memory_an_event_is_lost_and_counted(void **state)
{
    struct fixture *f = *state;
    for (long allocations = 0; allocations < 20; allocations++) {
        struct why why = {""};
        assert_int_equal(event_socket_send(f->socket, SPAN_LIT("{\"a\":[1]}"), &why), ERR_NONE);
        mem_fail_after(allocations);
        collectors_run(f->collectors);
        mem_fail_after(-1);
    }
    collect(f);
    assert_int_equal(counter(f, "seen"), 20);
    assert_true(counter(f, "lost.memory") > 0);
    assert_int_equal(counter(f, "sent") + counter(f, "lost.memory"), 20);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    schema_dir = argv[1];
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_event_is_sent_as_it_was_submitted_with_who_did),
        TEST(what_is_no_event_is_counted_and_harms_nobody),
        TEST(the_cache_is_bounded_in_events_and_in_bytes),
        TEST(what_comes_too_fast_is_dropped_and_counted),
        TEST(it_is_the_agents_own_unless_it_is_opened),
        TEST(the_socket_moves_with_its_setting_and_what_is_held_stays),
        TEST(what_waits_in_the_socket_is_taken_before_it_goes),
        TEST(who_ends_for_good_takes_in_what_waits_and_then_nothing),
        TEST(a_socket_left_behind_is_replaced_and_another_file_is_not),
        TEST(many_senders_are_all_heard),
        TEST(without_memory_an_event_is_lost_and_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
