/* SPDX-License-Identifier: Apache-2.0 */
/* What was acknowledged survives a killed process; a full medium is refused, survived and left. */
#include "store_harness.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define STREAMS 16
#define BODY_BYTES 65536

/* ---- a process that writes and says what was acknowledged ------------------------------------ */

struct acknowledgement {
    int64_t version;
    uint64_t sequence;
    int stream;
};

/* Writes a twin and an event in one transaction, tells the pipe, and begins again, for ever. */
struct stream_job {
    struct store_job job;
    struct fixture *fixture;
    int pipe;
    struct acknowledgement acknowledgement;
    char device_id[8];
};

static enum err run_stream(struct store_job *job, struct store_txn *txn)
{
    struct stream_job *stream = (struct stream_job *)job;
    int64_t hub_id = stream->fixture->hub_id;
    struct arena arena;
    arena_init(&arena, 0);
    struct twin_doc twin;
    enum err err =
        store_twin_get(txn, &arena, hub_id, span_of(stream->device_id), SPAN_NONE, &twin);
    if (err == ERR_NONE) {
        struct twin_doc next = twin_of_version(twin.version + 1);
        err =
            store_twin_put(txn, hub_id, span_of(stream->device_id), SPAN_NONE, &next, twin.version);
        stream->acknowledgement.version = next.version;
    }
    struct event event = {.device_id = span_of(stream->device_id),
        .system_properties = SPAN_LIT("{}"),
        .properties = SPAN_LIT("{}"),
        .body = SPAN_LIT("{\"a\":1}")};
    if (err == ERR_NONE)
        err = store_event_append(txn, hub_id, &event, &stream->acknowledgement.sequence);
    arena_done(&arena);
    return err;
}

static void done_stream(struct store_job *job, enum err result)
{
    struct stream_job *stream = (struct stream_job *)job;
    size_t size = sizeof(stream->acknowledgement);
    if (result != ERR_NONE || write(stream->pipe, &stream->acknowledgement, size) != (ssize_t)size)
        _exit(1);
    store_submit(stream->fixture->store, STORE_WRITE, job);
}

static void write_for_ever(struct fixture *fixture, int pipe)
{
    static struct stream_job jobs[STREAMS];
    fixture_open(fixture, 8, 0);
    for (int i = 0; i < STREAMS; i++) {
        jobs[i] = (struct stream_job){.job = {.run = run_stream, .done = done_stream},
            .fixture = fixture,
            .pipe = pipe,
            .acknowledgement.stream = i,
            .device_id = {'d', (char)('a' + i)}};
        store_submit(fixture->store, STORE_WRITE, &jobs[i].job);
    }
    for (;;)
        pause();
}

/* Lets a child write until `count` acknowledgements came, kills it, and returns how many came. */
static size_t kill_after(
    struct fixture *fixture, size_t count, struct acknowledgement *ret_last, uint64_t *ret_sequence)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(ends[0]);
        write_for_ever(fixture, ends[1]);
    }
    close(ends[1]);
    struct acknowledgement got;
    size_t seen = 0;
    while (read(ends[0], &got, sizeof(got)) == (ssize_t)sizeof(got)) {
        ret_last[got.stream] = got;
        if (got.sequence > *ret_sequence)
            *ret_sequence = got.sequence;
        if (++seen == count)
            kill(child, SIGKILL);
    }
    close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return seen;
}

struct survey {
    int64_t hub_id;
    struct acknowledgement *last; /* set to what was found */
    uint64_t expected;            /* the next sequence number of the log */
};

static enum err check_next(void *self, const struct event *event)
{
    struct survey *survey = self;
    assert_true(event->sequence == survey->expected);
    survey->expected++;
    return ERR_NONE;
}

static enum err check_survivors(struct store_txn *txn, void *argument)
{
    struct survey *survey = argument;
    struct arena arena;
    arena_init(&arena, 0);
    enum err err = ERR_NONE;
    for (int i = 0; i < STREAMS && err == ERR_NONE; i++) {
        char id[] = {'d', (char)('a' + i), '\0'};
        struct twin_doc twin;
        err = store_twin_get(txn, &arena, survey->hub_id, span_of(id), SPAN_NONE, &twin);
        /* At most one more than told: what was committed when the kill came. */
        assert_true(twin.version >= survey->last[i].version);
        assert_true(twin.version <= survey->last[i].version + 1);
        survey->last[i].version = twin.version;
    }
    arena_done(&arena);
    struct event_range range = {.limit = SIZE_MAX, .limit_bytes = SIZE_MAX};
    uint64_t next;
    if (err == ERR_NONE)
        err = store_event_read(txn, survey->hub_id, &range, check_next, survey, &next);
    return err;
}

static void every_acknowledged_write_survives_a_kill(void **state)
{
    struct fixture *fixture = *state;
    struct acknowledgement last[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        char id[] = {'d', (char)('a' + i), '\0'};
        add_identity(fixture, id, "");
        last[i] = (struct acknowledgement){2, 0, i};
    }
    fixture_close(fixture);
    uint64_t sequence = 0;
    for (size_t round = 0; round < 20; round++) {
        size_t wanted = 1 + round * round * 2; /* from the first acknowledgement to some hundred */
        assert_true(kill_after(fixture, wanted, last, &sequence) >= wanted);
        fixture_open(fixture, 8, 0); /* the lock went with the process */
        struct survey survey = {fixture->hub_id, last, 1};
        assert_int_equal(in_read(fixture, check_survivors, &survey), ERR_NONE);
        assert_true(survey.expected > sequence);
        fixture_close(fixture);
    }
}

/* ---- a full medium --------------------------------------------------------------------------- */

struct append {
    int64_t hub_id;
    struct span body;
    uint64_t sequence;
};

static enum err append_event(struct store_txn *txn, void *argument)
{
    struct append *append = argument;
    struct event event = {.enqueued_us = 1,
        .device_id = SPAN_LIT("d"),
        .system_properties = SPAN_LIT("{}"),
        .properties = SPAN_LIT("{}"),
        .body = append->body};
    return store_event_append(txn, append->hub_id, &event, &append->sequence);
}

static enum err count_event(void *self, const struct event *event)
{
    (void)event;
    ++*(size_t *)self;
    return ERR_NONE;
}

struct counting {
    int64_t hub_id;
    size_t events;
};

static enum err count_events(struct store_txn *txn, void *argument)
{
    struct counting *counting = argument;
    struct event_range range = {.limit = SIZE_MAX, .limit_bytes = SIZE_MAX};
    uint64_t next;
    return store_event_read(txn, counting->hub_id, &range, count_event, &counting->events, &next);
}

static enum err prune_all(struct store_txn *txn, void *argument)
{
    size_t dropped;
    return store_event_prune(txn, *(int64_t *)argument, INT64_MAX, SIZE_MAX, &dropped);
}

/* Appends until it is refused. Returns how many were accepted. */
static size_t fill(struct fixture *fixture, enum err *ret_err)
{
    static char body[BODY_BYTES];
    struct append append = {fixture->hub_id, {body, sizeof(body)}, 0};
    size_t accepted = 0;
    enum err err;
    while ((err = in_write(fixture, append_event, &append)) == ERR_NONE && accepted < 10000)
        accepted++;
    *ret_err = err;
    return accepted;
}

static bool holds(struct fixture *fixture, size_t events)
{
    struct counting counting = {fixture->hub_id, 0};
    return in_read(fixture, count_events, &counting) == ERR_NONE && counting.events == events;
}

/* Many at once, so that the group as a whole fails and each is judged alone. */
struct crowd_job {
    struct test_job test;
    struct append append;
    enum err result;
    int *left;
};

static void done_crowd(struct store_job *job, enum err result)
{
    struct crowd_job *crowd = (struct crowd_job *)job;
    crowd->result = result;
    --*crowd->left;
}

static void submit_crowd(struct fixture *fixture, struct crowd_job *jobs, size_t count, int *left)
{
    static char body[BODY_BYTES];
    *left = (int)count;
    for (size_t i = 0; i < count; i++) {
        jobs[i] = (struct crowd_job){.left = left,
            .append = {fixture->hub_id, {body, sizeof(body)}, 0},
            .test = test_job_of(append_event, &jobs[i].append)};
        jobs[i].test.job.done = done_crowd;
        store_submit(fixture->store, STORE_WRITE, &jobs[i].test.job);
    }
}

static void a_full_store_refuses_keeps_what_it_has_and_goes_on(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    fixture_open(fixture, 64, 2 * 1024 * 1024);
    enum err err;
    size_t accepted = fill(fixture, &err);
    assert_int_equal(err, ERR_STORAGE_FULL);
    assert_true(accepted > 10 && accepted < 40);
    assert_true(holds(fixture, accepted));
    static struct crowd_job jobs[40];
    int left = 0;
    submit_crowd(fixture, jobs, COUNT_OF(jobs), &left);
    fixture_close(fixture);
    assert_int_equal(left, 0);
    for (size_t i = 0; i < COUNT_OF(jobs); i++)
        assert_int_equal(jobs[i].result, ERR_STORAGE_FULL);
    fixture_open(fixture, 64, 2 * 1024 * 1024);
    assert_true(holds(fixture, accepted));
    assert_int_equal(in_write(fixture, prune_all, &fixture->hub_id), ERR_NONE);
    assert_true(fill(fixture, &err) > 10);
    assert_int_equal(err, ERR_STORAGE_FULL);
}

static void a_crowd_that_does_not_fit_as_a_whole_fits_in_part(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    fixture_open(fixture, 64, 2 * 1024 * 1024);
    static struct crowd_job jobs[60];
    int left = 0;
    submit_crowd(fixture, jobs, COUNT_OF(jobs), &left);
    fixture_close(fixture);
    size_t accepted = 0;
    for (size_t i = 0; i < COUNT_OF(jobs); i++) {
        accepted += jobs[i].result == ERR_NONE;
        assert_true(jobs[i].result == ERR_NONE || jobs[i].result == ERR_STORAGE_FULL);
    }
    assert_true(accepted > 10 && accepted < 40);
    fixture_open(fixture, 64, 2 * 1024 * 1024);
    assert_true(holds(fixture, accepted));
}

/* The kernel refuses to let files grow: what a quota, or a full disk, does to a running process. */
static void files_that_cannot_grow_are_survived(void **state)
{
    struct fixture *fixture = *state;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    struct rlimit small = {3 * 1024 * 1024, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err err;
    size_t accepted = fill(fixture, &err);
    bool kept = holds(fixture, accepted);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    signal(SIGXFSZ, before);
    assert_int_equal(err, ERR_STORAGE_FULL);
    assert_true(kept && accepted > 10);
    static char body[BODY_BYTES];
    struct append append = {fixture->hub_id, {body, sizeof(body)}, 0};
    assert_int_equal(in_write(fixture, append_event, &append), ERR_NONE);
    assert_true(holds(fixture, accepted + 1));
    fixture_close(fixture);
    fixture_open(fixture, 64, 0);
    assert_true(holds(fixture, accepted + 1));
}

/* The steps of the next test, in a child with a file system of its own; an exit status each. */
enum { DISK_GOOD, DISK_CANNOT = 77, DISK_NOT_FULL, DISK_LOST, DISK_STUCK };

static void write_text(const char *path, const char *text)
{
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file >= 0 && write(file, text, strlen(text)) < 0)
        print_message("%s: not written\n", path);
    if (file >= 0)
        close(file);
}

/* As root a mount namespace is enough; anybody else becomes root of a user namespace first. */
static bool mount_small_disk(const char *place)
{
    char map[32];
    snprintf(map, sizeof(map), "0 %u 1", geteuid());
    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        write_text("/proc/self/uid_map", map);
    }
    return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("gemel", place, "tmpfs", 0, "size=4m") == 0;
}

static int on_a_small_disk(struct fixture *fixture)
{
    if (!mount_small_disk(fixture->directory))
        return DISK_CANNOT;
    char ballast[96];
    snprintf(ballast, sizeof(ballast), "%s/ballast", fixture->directory);
    int file = open(ballast, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || fallocate(file, 0, 0, 1024 * 1024) != 0)
        return DISK_CANNOT;
    close(file);
    fixture_open(fixture, 64, 0);
    fixture->hub_id = add_hub(fixture, "disk", "disk.test");
    enum err err;
    size_t accepted = fill(fixture, &err);
    if (err != ERR_STORAGE_FULL)
        return DISK_NOT_FULL;
    if (!holds(fixture, accepted))
        return DISK_LOST;
    unlink(ballast);
    size_t more = fill(fixture, &err);
    if (more == 0 || err != ERR_STORAGE_FULL || !holds(fixture, accepted + more))
        return DISK_STUCK;
    fixture_close(fixture);
    fixture_open(fixture, 64, 0);
    return holds(fixture, accepted + more) ? DISK_GOOD : DISK_LOST;
}

static void a_full_disk_is_survived_and_used_again_when_there_is_room(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(on_a_small_disk(fixture));
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == DISK_CANNOT) {
        print_message("skipped: this process may not mount a small file system\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), DISK_GOOD);
}

/* ---- opening --------------------------------------------------------------------------------- */

static void a_second_server_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct store *second = NULL;
    struct why why = {0};
    assert_int_equal(fixture->backend->open(fixture->directory, 1, 0, &second, &why), ERR_CONFLICT);
    assert_non_null(strstr(why.text, fixture->directory));
    assert_non_null(strstr(why.text, "in use by another gemel-hub"));
    fixture_close(fixture);
    fixture_open(fixture, 1, 0);
}

static void opening_without_memory_leaves_nothing_open(void **state)
{
    struct fixture *fixture = *state;
    fixture_close(fixture);
    enum err err = ERR_MEMORY;
    long allocations = 0;
    for (; err == ERR_MEMORY && allocations < 100; allocations++) {
        struct why why = {0};
        mem_fail_after(allocations);
        err = fixture->backend->open(fixture->directory, 1, 0, &fixture->store, &why);
        mem_fail_after(-1);
    }
    assert_int_equal(err, ERR_NONE);
    assert_true(allocations > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_acknowledged_write_survives_a_kill),
        cmocka_unit_test(a_full_store_refuses_keeps_what_it_has_and_goes_on),
        cmocka_unit_test(a_crowd_that_does_not_fit_as_a_whole_fits_in_part),
        cmocka_unit_test(files_that_cannot_grow_are_survived),
        cmocka_unit_test(a_full_disk_is_survived_and_used_again_when_there_is_room),
        cmocka_unit_test(a_second_server_is_refused),
        cmocka_unit_test(opening_without_memory_leaves_nothing_open),
    };
    return run_for_every_backend("store crash", tests, COUNT_OF(tests));
}
