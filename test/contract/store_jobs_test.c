/* SPDX-License-Identifier: Apache-2.0 */
/* How a store runs jobs: order, groups, bad ones beside good ones, readers beside the writer. */
#include "store_harness.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#define DEVICES 8
#define MANY 500

/* A job that counts up the version of one device's twin and notes how it went. */
struct count_job {
    struct store_job job;
    struct fixture *fixture;
    struct run_notes *notes;
    char device_id[16];
    int number;
    int fails_after_writes; /* so many writes, then an error; negative: it does not fail */
    bool submit_again;
    int64_t version; /* as written */
    enum err result;
    atomic_int runs;
};

/* What the done() calls note; all come on the writer's thread. */
struct run_notes {
    int order[MANY * 2];
    int count;
    sem_t all_done;
    int awaited;
};

static enum err run_count(struct store_job *job, struct store_txn *txn)
{
    struct count_job *count = (struct count_job *)job;
    atomic_fetch_add(&count->runs, 1);
    if (count->fails_after_writes == 0) {
        why_set(&job->why, "job %d cannot", count->number);
        return ERR_ARGUMENT;
    }
    struct arena arena;
    arena_init(&arena, 0);
    struct span device_id = span_of(count->device_id);
    int64_t hub_id = count->fixture->hub_id;
    struct twin_doc twin;
    enum err err = store_twin_get(txn, &arena, hub_id, device_id, SPAN_NONE, &twin);
    if (err == ERR_NONE) {
        struct twin_doc next = twin_of_version(twin.version + 1);
        err = store_twin_put(txn, hub_id, device_id, SPAN_NONE, &next, twin.version);
        count->version = next.version;
    }
    arena_done(&arena);
    if (err == ERR_NONE && count->fails_after_writes > 0) {
        why_set(&job->why, "job %d cannot after all", count->number);
        return ERR_ARGUMENT;
    }
    return err;
}

static void note_done(struct store_job *job, enum err result)
{
    struct count_job *count = (struct count_job *)job;
    struct run_notes *notes = count->notes;
    count->result = result;
    notes->order[notes->count++] = count->number;
    bool last = notes->count == notes->awaited;
    if (count->submit_again) {
        count->submit_again = false;
        store_submit(count->fixture->store, STORE_WRITE, job);
    }
    if (last)
        sem_post(&notes->all_done);
}

static void count_job_init(
    struct count_job *job, struct fixture *fixture, struct run_notes *notes, int number)
{
    *job = (struct count_job){.job = {.run = run_count, .done = note_done},
        .fixture = fixture,
        .notes = notes,
        .number = number,
        .fails_after_writes = -1,
        .result = ERR_COUNT};
    job->device_id[0] = 'd';
    job->device_id[1] = (char)('0' + number % DEVICES);
}

static void add_devices(struct fixture *fixture)
{
    char id[] = "d0";
    for (int i = 0; i < DEVICES; i++) {
        id[1] = (char)('0' + i);
        add_identity(fixture, id, "");
    }
}

struct version_get {
    int64_t hub_id;
    const char *device_id;
    int64_t version;
};

static enum err get_version(struct store_txn *txn, void *argument)
{
    struct version_get *get = argument;
    struct arena arena;
    arena_init(&arena, 0);
    struct twin_doc twin;
    enum err err =
        store_twin_get(txn, &arena, get->hub_id, span_of(get->device_id), SPAN_NONE, &twin);
    if (err == ERR_NONE)
        get->version = twin.version;
    arena_done(&arena);
    return err;
}

static int64_t version_of(struct fixture *fixture, const char *device_id)
{
    struct version_get get = {fixture->hub_id, device_id, 0};
    assert_int_equal(in_read(fixture, get_version, &get), ERR_NONE);
    return get.version;
}

/* Holds the writer until the semaphore is posted, so that what is submitted meanwhile is a group.
 */
struct gate_job {
    struct store_job job;
    sem_t entered;
    sem_t open;
};

static enum err run_gate(struct store_job *job, struct store_txn *txn)
{
    (void)txn;
    struct gate_job *gate = (struct gate_job *)job;
    sem_post(&gate->entered);
    sem_wait(&gate->open);
    return ERR_NONE;
}

static void done_gate(struct store_job *job, enum err result)
{
    (void)job;
    (void)result;
}

static void gate_close(struct gate_job *gate, struct fixture *fixture)
{
    *gate = (struct gate_job){.job = {.run = run_gate, .done = done_gate}};
    sem_init(&gate->entered, 0, 0);
    sem_init(&gate->open, 0, 0);
    store_submit(fixture->store, STORE_WRITE, &gate->job);
    sem_wait(&gate->entered);
}

/* ---- order and groups ------------------------------------------------------------------------ */

static void done_comes_in_the_order_of_submission_at_any_group_size(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    static const unsigned sizes[] = {1, 2, 7, 512};
    static struct count_job jobs[MANY];
    for (size_t s = 0; s < COUNT_OF(sizes); s++) {
        fixture_close(fixture);
        fixture_open(fixture, sizes[s], 0);
        struct run_notes notes = {.awaited = MANY};
        sem_init(&notes.all_done, 0, 0);
        struct gate_job gate;
        gate_close(&gate, fixture);
        for (int i = 0; i < MANY; i++) {
            count_job_init(&jobs[i], fixture, &notes, i);
            store_submit(fixture->store, STORE_WRITE, &jobs[i].job);
        }
        sem_post(&gate.open);
        sem_wait(&notes.all_done);
        for (int i = 0; i < MANY; i++) {
            assert_int_equal(notes.order[i], i);
            assert_int_equal(jobs[i].result, ERR_NONE);
            assert_int_equal(jobs[i].runs, 1);
        }
        assert_int_equal(version_of(fixture, "d0"), jobs[MANY / DEVICES * DEVICES].version);
    }
    /* Every job counted up by one: 2 + 4 rounds of 63 jobs on the first device. */
    assert_int_equal(version_of(fixture, "d0"), 2 + 4 * 63);
}

static void a_bad_job_hurts_none_of_its_neighbours(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    static const int writes_before_failing[] = {0, 1};
    static struct count_job jobs[24];
    for (size_t w = 0; w < COUNT_OF(writes_before_failing); w++) {
        int64_t before = version_of(fixture, "d1");
        struct run_notes notes = {.awaited = COUNT_OF(jobs)};
        sem_init(&notes.all_done, 0, 0);
        struct gate_job gate;
        gate_close(&gate, fixture);
        for (int i = 0; i < (int)COUNT_OF(jobs); i++) {
            count_job_init(&jobs[i], fixture, &notes, i);
            if (i == 9)
                jobs[i].fails_after_writes = writes_before_failing[w];
            store_submit(fixture->store, STORE_WRITE, &jobs[i].job);
        }
        sem_post(&gate.open);
        sem_wait(&notes.all_done);
        for (int i = 0; i < (int)COUNT_OF(jobs); i++) {
            assert_int_equal(notes.order[i], i);
            assert_int_equal(jobs[i].result, i == 9 ? ERR_ARGUMENT : ERR_NONE);
        }
        assert_string_equal(
            jobs[9].job.why.text, w == 0 ? "job 9 cannot" : "job 9 cannot after all");
        /* Jobs 1, 9 and 17 are of d1; 9 left nothing behind. */
        assert_int_equal(version_of(fixture, "d1"), before + 2);
        assert_int_equal(jobs[17].version, before + 2);
    }
}

static void a_job_may_be_submitted_again_by_its_done(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    static struct count_job jobs[20];
    struct run_notes notes = {.awaited = 2 * COUNT_OF(jobs)};
    sem_init(&notes.all_done, 0, 0);
    for (int i = 0; i < (int)COUNT_OF(jobs); i++) {
        count_job_init(&jobs[i], fixture, &notes, i);
        jobs[i].submit_again = true;
        store_submit(fixture->store, STORE_WRITE, &jobs[i].job);
    }
    sem_wait(&notes.all_done);
    assert_int_equal(version_of(fixture, "d0"), 2 + 2 * 3);
}

/* ---- readers --------------------------------------------------------------------------------- */

static void a_reader_does_not_wait_for_the_writer(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    struct gate_job gate;
    gate_close(&gate, fixture);
    assert_int_equal(version_of(fixture, "d0"), 2); /* while the writer stands in its job */
    sem_post(&gate.open);
    fixture_close(fixture); /* the gate stands on this stack */
}

/* Writes, and from done() asks for what was written: it must be there. */
struct look_job {
    struct store_job job;
    struct look_job *look;
    struct fixture *fixture;
    int64_t expected;
    atomic_int *missing;
    sem_t *finished;
};

static enum err run_look(struct store_job *job, struct store_txn *txn)
{
    struct look_job *look = (struct look_job *)job;
    struct version_get get = {look->fixture->hub_id, "d0", 0};
    enum err err = get_version(txn, &get);
    if (get.version < look->expected)
        atomic_fetch_add(look->missing, 1);
    return err;
}

static void done_look(struct store_job *job, enum err result)
{
    struct look_job *look = (struct look_job *)job;
    if (result != ERR_NONE)
        atomic_fetch_add(look->missing, 1);
    sem_post(look->finished);
}

static enum err run_write(struct store_job *job, struct store_txn *txn)
{
    struct look_job *write = (struct look_job *)job;
    struct twin_doc twin = twin_of_version(write->expected);
    return store_twin_put(
        txn, write->fixture->hub_id, SPAN_LIT("d0"), SPAN_NONE, &twin, write->expected - 1);
}

static void done_write(struct store_job *job, enum err result)
{
    struct look_job *write = (struct look_job *)job;
    if (result != ERR_NONE)
        atomic_fetch_add(write->missing, 1);
    store_submit(write->fixture->store, STORE_READ, &write->look->job);
}

static void a_read_after_done_sees_what_was_written(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    static struct look_job writes[200];
    static struct look_job looks[200];
    atomic_int missing = 0;
    sem_t finished;
    sem_init(&finished, 0, 0);
    for (int i = 0; i < 200; i++) {
        looks[i] = (struct look_job){.job = {.run = run_look, .done = done_look},
            .fixture = fixture,
            .expected = i + 3,
            .missing = &missing,
            .finished = &finished};
        writes[i] = looks[i];
        writes[i].job.run = run_write;
        writes[i].job.done = done_write;
        writes[i].look = &looks[i];
        store_submit(fixture->store, STORE_WRITE, &writes[i].job);
    }
    for (int i = 0; i < 200; i++)
        sem_wait(&finished);
    assert_int_equal(missing, 0);
}

static enum err ignore_inner(
    void *self, const struct identity *identity, const struct twin_doc *twin)
{
    (void)identity;
    (void)twin;
    ++*(int *)self;
    return ERR_NONE;
}

struct nested {
    struct store_txn *txn;
    int64_t hub_id;
    int seen;
};

static enum err list_inner(void *self, const struct identity *identity, const struct twin_doc *twin)
{
    struct nested *nested = self;
    char first[8];
    (void)twin;
    assert_true(span_copy(identity->device_id, first, sizeof(first)));
    struct identity_range range = {.limit = 100, .with_twins = true};
    enum err err =
        store_identity_list(nested->txn, nested->hub_id, &range, ignore_inner, &nested->seen);
    /* The row that the outer walk stands on is still what it was. */
    assert_true(span_is(identity->device_id, first));
    return err;
}

static enum err list_outer(struct store_txn *txn, void *argument)
{
    struct nested *nested = argument;
    nested->txn = txn;
    struct identity_range range = {.limit = 100};
    return store_identity_list(txn, nested->hub_id, &range, list_inner, nested);
}

static void a_visitor_may_ask_the_same_question(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    struct nested nested = {.hub_id = fixture->hub_id};
    assert_int_equal(in_read(fixture, list_outer, &nested), ERR_NONE);
    assert_int_equal(nested.seen, DEVICES * DEVICES);
}

/* ---- many threads ---------------------------------------------------------------------------- */

struct worker {
    struct fixture *fixture;
    pthread_t thread;
    int rounds;
    int failed;
};

static enum err count_up(struct store_txn *txn, void *argument)
{
    struct version_get *get = argument;
    enum err err = get_version(txn, get);
    if (err != ERR_NONE)
        return err;
    struct twin_doc next = twin_of_version(get->version + 1);
    return store_twin_put(
        txn, get->hub_id, span_of(get->device_id), SPAN_NONE, &next, get->version);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    int64_t last = 0;
    for (int i = 0; i < worker->rounds; i++) {
        struct version_get get = {worker->fixture->hub_id, "d0", 0};
        worker->failed += in_write(worker->fixture, count_up, &get) != ERR_NONE;
        worker->failed += in_read(worker->fixture, get_version, &get) != ERR_NONE;
        worker->failed += get.version <= last;
        last = get.version;
    }
    return NULL;
}

static void threads_count_up_one_twin_without_a_loss(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    struct worker workers[4];
    for (size_t i = 0; i < COUNT_OF(workers); i++) {
        workers[i] = (struct worker){.fixture = fixture, .rounds = 100};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (size_t i = 0; i < COUNT_OF(workers); i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].failed, 0);
    }
    assert_int_equal(version_of(fixture, "d0"), 2 + 400);
}

/* ---- closing --------------------------------------------------------------------------------- */

static void closing_finishes_what_is_queued_and_refuses_what_comes_after(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    static struct count_job jobs[200];
    struct run_notes notes = {.awaited = -1};
    for (int i = 0; i < (int)COUNT_OF(jobs); i++) {
        count_job_init(&jobs[i], fixture, &notes, i);
        store_submit(fixture->store, STORE_WRITE, &jobs[i].job);
    }
    fixture_close(fixture);
    assert_int_equal(notes.count, COUNT_OF(jobs));
    for (size_t i = 0; i < COUNT_OF(jobs); i++)
        assert_int_equal(jobs[i].result, ERR_NONE);
    fixture_open(fixture, 64, 0);
    assert_int_equal(version_of(fixture, "d0"), 2 + 25);
}

/* Submits itself over and over: only closing the store ends it. */
static void done_endless(struct store_job *job, enum err result)
{
    struct count_job *count = (struct count_job *)job;
    count->result = result;
    if (result != ERR_UNAVAILABLE)
        store_submit(count->fixture->store, STORE_WRITE, job);
}

static void a_job_that_comes_while_closing_gets_unavailable(void **state)
{
    struct fixture *fixture = *state;
    add_devices(fixture);
    struct count_job job;
    count_job_init(&job, fixture, NULL, 0);
    job.job.done = done_endless;
    store_submit(fixture->store, STORE_WRITE, &job.job);
    struct store *store = fixture->store;
    store_close(store); /* returns: the job was turned away */
    fixture->store = NULL;
    assert_int_equal(job.result, ERR_UNAVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(done_comes_in_the_order_of_submission_at_any_group_size),
        cmocka_unit_test(a_bad_job_hurts_none_of_its_neighbours),
        cmocka_unit_test(a_job_may_be_submitted_again_by_its_done),
        cmocka_unit_test(a_reader_does_not_wait_for_the_writer),
        cmocka_unit_test(a_read_after_done_sees_what_was_written),
        cmocka_unit_test(a_visitor_may_ask_the_same_question),
        cmocka_unit_test(threads_count_up_one_twin_without_a_loss),
        cmocka_unit_test(closing_finishes_what_is_queued_and_refuses_what_comes_after),
        cmocka_unit_test(a_job_that_comes_while_closing_gets_unavailable),
    };
    return run_for_every_backend("store jobs", tests, COUNT_OF(tests));
}
