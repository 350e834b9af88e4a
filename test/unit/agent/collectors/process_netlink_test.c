/* SPDX-License-Identifier: Apache-2.0 */
/* The connector's messages as bytes, and the real connector where this machine has it. */
#include "process_netlink.h"

#include "mem.h"

#include <setjmp.h>

#include <cmocka.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS PROCESS_EVENT_BIT(PROCESS_FORK)
#define EXECS PROCESS_EVENT_BIT(PROCESS_EXEC)
#define EXITS PROCESS_EVENT_BIT(PROCESS_EXIT)

#define MESSAGE_BYTES (NLMSG_HDRLEN + sizeof(struct cn_msg) + sizeof(struct proc_event))

/* Writes a message as the kernel does; returns its aligned length. */
static size_t put_message(char *at, uint32_t what, int32_t tgid, uint32_t answer_to, uint32_t error)
{
    struct nlmsghdr header = {.nlmsg_len = MESSAGE_BYTES, .nlmsg_type = NLMSG_DONE};
    struct cn_msg message = {
        .id = {CN_IDX_PROC, CN_VAL_PROC}, .ack = answer_to, .len = sizeof(struct proc_event)};
    struct proc_event event;
    memset(&event, 0, sizeof(event));
    memcpy(&event, &what, sizeof(what));
    if (what == PROC_EVENT_EXEC) {
        event.event_data.exec.process_pid = tgid + 1;
        event.event_data.exec.process_tgid = tgid;
    } else if (what == PROC_EVENT_FORK) {
        event.event_data.fork.parent_tgid = tgid + 1;
        event.event_data.fork.child_tgid = tgid;
    } else if (what == PROC_EVENT_EXIT) {
        event.event_data.exit.process_tgid = tgid;
        event.event_data.exit.exit_code = error;
    } else if (what == PROC_EVENT_UID) {
        event.event_data.id.process_tgid = tgid;
        event.event_data.id.r.ruid = error;
    } else if (what == PROC_EVENT_NONE) {
        event.event_data.ack.err = error;
    }
    memset(at, 0, NLMSG_ALIGN(MESSAGE_BYTES));
    memcpy(at, &header, sizeof(header));
    memcpy(at + NLMSG_HDRLEN, &message, sizeof(message));
    memcpy(at + NLMSG_HDRLEN + sizeof(message), &event, sizeof(event));
    return NLMSG_ALIGN(MESSAGE_BYTES);
}

static void messages_are_read_one_after_the_other(void **state UNUSED)
{
    char bytes[5 * NLMSG_ALIGN(MESSAGE_BYTES)];
    size_t len = put_message(bytes, PROC_EVENT_EXEC, 4711, 0, 0);
    len += put_message(bytes + len, PROC_EVENT_FORK, 4712, 0, 0);
    len += put_message(bytes + len, PROC_EVENT_EXIT, 4713, 0, 256);
    len += put_message(bytes + len, PROC_EVENT_UID, 4714, 0, 1000);
    len += put_message(bytes + len, PROC_EVENT_NONE, 0, 78, 1);
    struct span datagram = {bytes, len};
    struct process_message message;
    assert_true(process_message_next(&datagram, &message));
    assert_int_equal(message.what, PROC_EVENT_EXEC);
    assert_int_equal(message.process_id, 4711);
    assert_true(process_message_next(&datagram, &message));
    assert_int_equal(message.what, PROC_EVENT_FORK);
    assert_int_equal(message.process_id, 4712);
    assert_int_equal(message.parent_id, 4713);
    assert_true(process_message_next(&datagram, &message));
    assert_int_equal(message.what, PROC_EVENT_EXIT);
    assert_int_equal(message.process_id, 4713);
    assert_int_equal(message.exit_status, 256);
    assert_true(process_message_next(&datagram, &message));
    assert_int_equal(message.what, PROC_EVENT_UID);
    assert_int_equal(message.process_id, 4714);
    assert_int_equal(message.user_id, 1000);
    assert_true(process_message_next(&datagram, &message));
    assert_int_equal(message.what, PROC_EVENT_NONE);
    assert_int_equal(message.request, 78);
    assert_int_equal(message.error, 1);
    assert_false(process_message_next(&datagram, &message));
    assert_int_equal(datagram.len, 0);
}

static void a_message_of_another_connector_is_skipped(void **state UNUSED)
{
    char bytes[2 * NLMSG_ALIGN(MESSAGE_BYTES)];
    size_t len = put_message(bytes, PROC_EVENT_EXEC, 1, 0, 0);
    bytes[NLMSG_HDRLEN]++;
    len += put_message(bytes + len, PROC_EVENT_EXEC, 2, 0, 0);
    struct span datagram = {bytes, len};
    struct process_message message;
    assert_true(process_message_next(&datagram, &message));
    assert_int_equal(message.process_id, 2);
}

static void cut_anywhere_it_is_malformed_and_nothing_beyond_is_read(void **state UNUSED)
{
    char whole[NLMSG_ALIGN(MESSAGE_BYTES)];
    put_message(whole, PROC_EVENT_EXEC, 4711, 0, 0);
    const size_t enough = NLMSG_HDRLEN + sizeof(struct cn_msg) +
                          offsetof(struct proc_event, event_data.exec.process_tgid) + 4;
    for (size_t len = 0; len <= MESSAGE_BYTES; len++) {
        /* A copy of its very size, so that the sanitizer sees a byte too far. */
        char *bytes = test_malloc(len + 1);
        memcpy(bytes, whole, len);
        for (unsigned lies = 0; lies < 2; lies++) {
            if (lies == 0 && len >= NLMSG_HDRLEN) {
                uint32_t own = (uint32_t)len;
                memcpy(bytes, &own, sizeof(own));
            } else if (len >= NLMSG_HDRLEN) {
                memcpy(bytes, whole, sizeof(uint32_t));
            }
            struct span datagram = {bytes, len};
            struct process_message message;
            bool expected = lies == 0 ? len >= enough : len == MESSAGE_BYTES;
            assert_int_equal(process_message_next(&datagram, &message), expected);
        }
        test_free(bytes);
    }
}

static void a_length_of_nothing_ends_the_reading(void **state UNUSED)
{
    char bytes[NLMSG_ALIGN(MESSAGE_BYTES)];
    for (uint32_t length = 0; length < NLMSG_HDRLEN; length++) {
        put_message(bytes, PROC_EVENT_EXEC, 1, 0, 0);
        memcpy(bytes, &length, sizeof(length));
        struct span datagram = {bytes, sizeof(bytes)};
        struct process_message message;
        assert_false(process_message_next(&datagram, &message));
    }
}

/* Opens the real connector, or skips the test and says why. */
static struct process_netlink *open_or_skip(int buffer_bytes, unsigned events)
{
    struct process_netlink *netlink;
    struct why why = {""};
    if (process_netlink_open(buffer_bytes, events, &netlink, &why) != ERR_NONE) {
        print_message("# skipped: %s\n", why.text);
        skip();
    }
    return netlink;
}

#define ROOM (24 << 20) /* for what others start meanwhile */
#define CHILDREN_MAX 64u

/* What is told of our own children, by their pids; others start programs, too. */
struct watched {
    size_t count;
    struct child {
        pid_t pid;
        size_t of[PROCESS_EVENT_TYPES];
        pid_t parent;
        uint32_t exit_status;
        bool user_told;
        uint32_t user_id; /* at its exec */
        int64_t age_us;
    } children[CHILDREN_MAX];
    size_t execs; /* of all */
    size_t gaps;
};

static void note(void *self, const struct process_sighting *sighting)
{
    struct watched *watched = self;
    watched->execs += sighting->type == PROCESS_EXEC;
    watched->gaps += sighting->type == PROCESS_GAP;
    for (size_t i = 0; i < watched->count; i++) {
        struct child *child = &watched->children[i];
        if (child->pid != sighting->pid)
            continue;
        if (sighting->type == PROCESS_NEW_USER) {
            child->user_told = child->of[PROCESS_EXEC] == 0;
            child->user_id = sighting->user_id;
        }
        if (sighting->type >= PROCESS_EVENT_TYPES)
            continue;
        child->of[sighting->type]++;
        child->age_us = sighting->age_us;
        if (sighting->type == PROCESS_FORK)
            child->parent = sighting->parent;
        if (sighting->exit_known)
            child->exit_status = sighting->exit_status;
    }
}

static void read_all(struct process_netlink *netlink, struct watched *watched)
{
    while (process_netlink_read(netlink, note, watched) > 0)
        ;
}

/* Starts a program, as another user if that is not 0, and waits for its end. */
static pid_t run_as(uid_t user)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (user != 0 && setresuid(user, user, user) != 0)
            _exit(126);
        execl("/bin/true", "true", (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    return pid;
}

static pid_t run_true(void)
{
    return run_as(0);
}

static struct child *add_child(struct watched *watched, pid_t pid)
{
    assert_true(watched->count < CHILDREN_MAX);
    watched->children[watched->count] = (struct child){.pid = pid};
    return &watched->children[watched->count++];
}

static void an_exec_is_told_once_and_forks_and_ends_are_not(void **state UNUSED)
{
    struct process_netlink *netlink = open_or_skip(ROOM, EXECS);
    struct watched watched = {0};
    pid_t forked = fork();
    if (forked == 0)
        _exit(0);
    waitpid(forked, NULL, 0);
    const struct child *fork_only = add_child(&watched, forked);
    const struct child *program = add_child(&watched, run_true());
    read_all(netlink, &watched);
    assert_int_equal(program->of[PROCESS_EXEC], 1);
    assert_int_equal(program->of[PROCESS_FORK] + program->of[PROCESS_EXIT], 0);
    for (size_t i = 0; i < COUNT_OF(fork_only->of); i++)
        assert_int_equal(fork_only->of[i], 0);
    assert_int_equal(process_netlink_lost(netlink), 0);
    process_netlink_close(netlink);
}

static void *nothing(void *self UNUSED)
{
    return NULL;
}

static void forks_execs_and_ends_of_processes_are_told_and_none_of_threads(void **state UNUSED)
{
    struct process_netlink *netlink = open_or_skip(ROOM, EXECS | FORKS | EXITS);
    struct watched watched = {0};
    pid_t pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < 5; i++) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, nothing, NULL) != 0)
                _exit(1);
            pthread_join(thread, NULL);
        }
        execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    const struct child *child = add_child(&watched, pid);
    read_all(netlink, &watched);
    for (size_t i = 0; i < COUNT_OF(child->of); i++)
        assert_int_equal(child->of[i], 1);
    assert_int_equal(child->parent, getpid());
    assert_true(WIFEXITED((int)child->exit_status));
    assert_int_equal(WEXITSTATUS((int)child->exit_status), 7);
    process_netlink_close(netlink);
}

static void how_long_ago_it_happened_is_told(void **state UNUSED)
{
    enum { PAUSE_MS = 30 };
    struct process_netlink *netlink = open_or_skip(ROOM, EXECS);
    struct watched watched = {0};
    const struct child *child = add_child(&watched, run_true());
    poll(NULL, 0, PAUSE_MS);
    read_all(netlink, &watched);
    assert_true(child->age_us >= PAUSE_MS * 1000);
    process_netlink_close(netlink);
}

static void the_user_that_a_program_starts_as_is_told_before_it(void **state UNUSED)
{
    enum { USER = 4321, TIMES = 30 };
    if (geteuid() != 0) {
        print_message("# skipped: only root can become another user\n");
        skip();
    }
    struct process_netlink *netlink = open_or_skip(ROOM, EXECS | FORKS | EXITS);
    assert_true(process_netlink_tells_users(netlink));
    for (unsigned i = 0, gaps = 0; i < TIMES && gaps < 1000;) {
        struct watched watched = {0};
        const struct child *other = add_child(&watched, run_as(USER));
        const struct child *own = add_child(&watched, run_true());
        read_all(netlink, &watched);
        assert_int_equal(other->of[PROCESS_EXEC], 1);
        assert_int_equal(own->of[PROCESS_EXEC], 1);
        assert_false(own->user_told);
        /* Where others start too many programs for the bell, it says so. */
        gaps += watched.gaps > 0;
        if (watched.gaps > 0)
            continue;
        assert_true(other->user_told);
        assert_int_equal(other->user_id, USER);
        i++;
    }
    process_netlink_close(netlink);
}

static void what_is_let_through_changes_between_two_events(void **state UNUSED)
{
    static const unsigned lists[] = {EXECS, EXECS | EXITS, EXECS | FORKS | EXITS, EXECS | FORKS};
    struct process_netlink *netlink = open_or_skip(ROOM, EXECS);
    struct watched watched = {0};
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        add_child(&watched, run_true());
        if (i % 8 == 7) /* some wait to be read at the change, some do not */
            read_all(netlink, &watched);
        assert_true(process_netlink_set_events(netlink, lists[(i + 1) % COUNT_OF(lists)]));
    }
    read_all(netlink, &watched);
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &watched.children[i];
        unsigned events = lists[i % COUNT_OF(lists)];
        assert_int_equal(child->of[PROCESS_EXEC], 1);
        assert_int_equal(child->of[PROCESS_FORK], (events & FORKS) != 0);
        assert_int_equal(child->of[PROCESS_EXIT], (events & EXITS) != 0);
    }
    assert_int_equal(process_netlink_lost(netlink), 0);
    process_netlink_close(netlink);
}

static bool rings(const struct process_netlink *netlink)
{
    struct pollfd bell = {.fd = process_netlink_bell_fd(netlink), .events = POLLIN};
    return poll(&bell, 1, 0) == 1;
}

static void the_bell_rings_for_an_exec_and_takes_nothing_away(void **state UNUSED)
{
    struct process_netlink *netlink = open_or_skip(ROOM, EXECS | FORKS | EXITS);
    struct watched watched = {0};
    const struct child *child = add_child(&watched, run_true());
    assert_true(rings(netlink));
    read_all(netlink, &watched);
    for (size_t i = 0; i < COUNT_OF(child->of); i++)
        assert_int_equal(child->of[i], 1);
    process_netlink_close(netlink);
}

/* How often it rang for a process. */
static size_t count_rings(const struct process_netlink *netlink, pid_t pid)
{
    char bytes[256];
    size_t count = 0;
    ssize_t len;
    while ((len = recv(process_netlink_bell_fd(netlink), bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        struct span datagram = {bytes, (size_t)len};
        struct process_message message;
        while (process_message_next(&datagram, &message))
            count += message.process_id == pid;
    }
    return count;
}

static void the_bell_is_silent_at_forks_and_ends(void **state UNUSED)
{
    struct process_netlink *netlink = open_or_skip(ROOM, EXECS | FORKS | EXITS);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    assert_int_equal(count_rings(netlink, pid), 0);
    pid = run_true();
    assert_int_equal(count_rings(netlink, pid), 1);
    process_netlink_close(netlink);
}

static void there_is_no_bell_where_execs_are_alone_or_not_wanted(void **state UNUSED)
{
    const unsigned events[] = {EXECS, FORKS, FORKS | EXITS};
    for (size_t i = 0; i < COUNT_OF(events); i++) {
        struct process_netlink *netlink = open_or_skip(1 << 20, events[i]);
        assert_int_equal(process_netlink_bell_fd(netlink), -1);
        assert_false(process_netlink_tells_users(netlink));
        assert_true(process_netlink_set_events(netlink, EXECS | FORKS | EXITS));
        assert_true(process_netlink_bell_fd(netlink) >= 0);
        assert_true(process_netlink_set_events(netlink, events[i]));
        assert_int_equal(process_netlink_bell_fd(netlink), -1);
        process_netlink_close(netlink);
    }
}

/* With a tiny buffer and another listener with a large one that counts everything; returns by how
 * many they differ. */
static int64_t count_drops(void)
{
    enum { STARTS = 60 };
    struct process_netlink *all = open_or_skip(ROOM, EXECS);
    struct process_netlink *tiny = open_or_skip(1, EXECS);
    struct watched by_all = {0}, by_tiny = {0};
    for (unsigned i = 0; i < STARTS; i++)
        add_child(&by_all, run_true());
    by_tiny = by_all;
    read_all(tiny, &by_tiny);
    uint32_t lost = process_netlink_lost(tiny);
    read_all(all, &by_all);
    assert_int_equal(process_netlink_lost(all), 0);
    size_t told = 0;
    for (unsigned i = 0; i < STARTS; i++) {
        assert_int_equal(by_all.children[i].of[PROCESS_EXEC], 1);
        assert_in_range(by_tiny.children[i].of[PROCESS_EXEC], 0, 1);
        told += by_tiny.children[i].of[PROCESS_EXEC];
    }
    assert_true(by_tiny.execs > 0);
    assert_true(told < STARTS && told + lost >= STARTS);
    process_netlink_close(tiny);
    process_netlink_close(all);
    return (int64_t)by_all.execs - (int64_t)by_tiny.execs - lost;
}

/* Others start programs too, and some between the two openings or the two readings: but not every
 * time, and then the count is exact. */
static void what_the_kernel_drops_is_counted_to_the_last_exec(void **state UNUSED)
{
    int64_t difference = INT64_MAX;
    for (unsigned i = 0; i < 50 && difference != 0; i++)
        difference = count_drops();
    assert_int_equal(difference, 0);
}

static void after_a_loss_the_next_exec_is_told(void **state UNUSED)
{
    struct process_netlink *netlink = open_or_skip(1, EXECS);
    struct watched watched = {0};
    for (unsigned i = 0; i < 100; i++)
        run_true();
    assert_true(process_netlink_lost(netlink) > 0);
    read_all(netlink, &watched);
    /* The programs of others may fill the tiny buffer again before ours. */
    size_t told = 0;
    for (unsigned i = 0; i < 1000 && told == 0; i++) {
        struct watched one = {0};
        const struct child *child = add_child(&one, run_true());
        read_all(netlink, &one);
        told = child->of[PROCESS_EXEC];
    }
    assert_int_equal(told, 1);
    process_netlink_close(netlink);
}

static void gap(void *self, const struct process_sighting *sighting)
{
    *(unsigned *)self += sighting->type == PROCESS_GAP;
}

static void a_loss_is_told_before_what_comes_after_it(void **state UNUSED)
{
    struct process_netlink *netlink = open_or_skip(64 << 10, EXECS);
    unsigned gaps = 0;
    for (unsigned i = 0; i < 1000 && process_netlink_lost(netlink) == 0; i++)
        run_true();
    assert_true(process_netlink_read(netlink, gap, &gaps) > 0);
    assert_int_equal(gaps, 1);
    process_netlink_close(netlink);
}

static void without_memory_it_is_not_opened(void **state UNUSED)
{
    struct process_netlink *netlink;
    mem_fail_after(0);
    assert_int_equal(process_netlink_open(1 << 20, EXECS, &netlink, NULL), ERR_MEMORY);
    mem_fail_after(-1);
    process_netlink_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read_one_after_the_other),
        cmocka_unit_test(a_message_of_another_connector_is_skipped),
        cmocka_unit_test(cut_anywhere_it_is_malformed_and_nothing_beyond_is_read),
        cmocka_unit_test(a_length_of_nothing_ends_the_reading),
        cmocka_unit_test(an_exec_is_told_once_and_forks_and_ends_are_not),
        cmocka_unit_test(forks_execs_and_ends_of_processes_are_told_and_none_of_threads),
        cmocka_unit_test(how_long_ago_it_happened_is_told),
        cmocka_unit_test(the_user_that_a_program_starts_as_is_told_before_it),
        cmocka_unit_test(what_is_let_through_changes_between_two_events),
        cmocka_unit_test(the_bell_rings_for_an_exec_and_takes_nothing_away),
        cmocka_unit_test(the_bell_is_silent_at_forks_and_ends),
        cmocka_unit_test(there_is_no_bell_where_execs_are_alone_or_not_wanted),
        cmocka_unit_test(what_the_kernel_drops_is_counted_to_the_last_exec),
        cmocka_unit_test(after_a_loss_the_next_exec_is_told),
        cmocka_unit_test(a_loss_is_told_before_what_comes_after_it),
        cmocka_unit_test(without_memory_it_is_not_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
