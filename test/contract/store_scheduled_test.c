/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs and what became of them on each device: names, counts, order, and what is dropped.
 */
#include "store_harness.h"
#include "store_scheduled.h"

#include <stdio.h>

struct question {
    int64_t hub_id;
    struct arena arena;
    struct scheduled_job job;
    struct device_job device;
    enum device_job_status from;
    struct scheduled_range range;
    struct device_job_range place;
    struct scheduled_keep keep;
    struct scheduled_totals totals;
    size_t limit;
    size_t count;
    char seen[512];
};

static struct question ask_of(struct fixture *fixture)
{
    return (struct question){.hub_id = fixture->hub_id,
        .job = {.hub_id = fixture->hub_id,
            .kind = SCHEDULED_METHOD,
            .open = true,
            .created_us = 1,
            .start_us = 2,
            .seconds = 60,
            .document = SPAN_INIT("{\"a\":1}")},
        .range = {.kind = -1, .status = -1, .before = INT64_MAX, .limit = 100},
        .limit = 100};
}

static enum err put(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_scheduled_put(txn, &question->job, &question->job.id);
}

static enum err get(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_scheduled_get(
        txn, &question->arena, question->hub_id, SPAN_LIT("j"), &question->job);
}

static enum err update(struct store_txn *txn, void *argument)
{
    return store_scheduled_update(txn, &((const struct question *)argument)->job);
}

static enum err add(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_device_job_add(txn, question->hub_id, question->job.id, question->device.device_id,
        question->device.module_id, 5);
}

static enum err move(struct store_txn *txn, void *argument)
{
    const struct question *question = argument;
    return store_device_job_move(txn, &question->device, question->from);
}

static enum err move_all(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_device_job_move_all(
        txn, &question->device, question->from, question->limit, &question->count);
}

static void note(struct question *question, struct span a, struct span b, struct span c)
{
    size_t used = strlen(question->seen);
    snprintf(question->seen + used, sizeof(question->seen) - used, "%.*s%s%.*s%s%.*s ", SPAN_ARG(a),
        b.len > 0 ? "/" : "", SPAN_ARG(b), c.len > 0 ? "/" : "", SPAN_ARG(c));
    question->count++;
}

static enum err see_job(void *self, const struct scheduled_job *job)
{
    note(self, job->name, SPAN_NONE, SPAN_NONE);
    return ERR_NONE;
}

static enum err see_device(void *self, const struct device_job *job)
{
    struct question *question = self;
    note(question, job->job_name, job->device_id, job->module_id);
    question->place.after_job = job->job_id;
    assert_true(span_copy(job->device_id, question->seen + 400, 20));
    assert_true(span_copy(job->module_id, question->seen + 420, 20));
    return question->count == question->limit ? ERR_CANCELLED : ERR_NONE;
}

static enum err list(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->seen[0] = '\0';
    return store_scheduled_list(txn, question->hub_id, &question->range, see_job, question);
}

static enum err open_ones(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->seen[0] = '\0';
    return store_scheduled_open(txn, see_job, question);
}

static enum err scan(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    question->seen[0] = '\0';
    question->count = 0;
    const struct device_job_range place = question->place;
    return store_device_job_scan(txn, question->hub_id, &place, see_device, question);
}

static enum err next(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    struct device_job *jobs;
    size_t count = 0;
    question->seen[0] = '\0';
    enum err err = store_device_job_list(
        txn, &question->arena, question->job.id, question->from, question->limit, &jobs, &count);
    for (size_t i = 0; i < count; i++)
        note(question, jobs[i].device_id, jobs[i].module_id, SPAN_NONE);
    return err;
}

static enum err prune(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_scheduled_prune(
        txn, question->hub_id, &question->keep, question->limit, &question->count);
}

static enum err count(struct store_txn *txn, void *argument)
{
    struct question *question = argument;
    return store_scheduled_count(txn, question->hub_id, &question->totals);
}

static void make(struct fixture *fixture, struct question *question, const char *name)
{
    question->job.name = span_of(name);
    assert_int_equal(in_write(fixture, put, question), ERR_NONE);
}

static void make_device(
    struct fixture *fixture, struct question *question, const char *device, const char *module)
{
    question->device = (struct device_job){
        .job_id = question->job.id, .device_id = span_of(device), .module_id = span_of(module)};
    assert_int_equal(in_write(fixture, add, question), ERR_NONE);
}

static void a_job_is_kept_as_it_was_put(void **state)
{
    struct fixture *fixture = *state;
    struct question question = ask_of(fixture);
    make(fixture, &question, "j");
    int64_t id = question.job.id;
    assert_int_equal(in_write(fixture, put, &question), ERR_CONFLICT);
    question.job.status = SCHEDULED_RUNNING;
    question.job.began_us = 7;
    question.job.after = SPAN_LIT("d");
    question.job.after_module = SPAN_LIT("m");
    question.job.message = SPAN_LIT("why");
    question.job.listed = true;
    assert_int_equal(in_write(fixture, update, &question), ERR_NONE);
    fixture_close(fixture);
    fixture_open(fixture, 8, 0);
    arena_init(&question.arena, 0);
    question.job = (struct scheduled_job){0};
    assert_int_equal(in_read(fixture, get, &question), ERR_NONE);
    assert_int_equal(question.job.id, id);
    assert_int_equal(question.job.kind, SCHEDULED_METHOD);
    assert_int_equal(question.job.status, SCHEDULED_RUNNING);
    assert_true(question.job.open && question.job.listed);
    assert_int_equal(question.job.created_us, 1);
    assert_int_equal(question.job.start_us, 2);
    assert_int_equal(question.job.began_us, 7);
    assert_int_equal(question.job.seconds, 60);
    check_span(question.job.name, "j");
    check_span(question.job.after, "d");
    check_span(question.job.after_module, "m");
    check_span(question.job.message, "why");
    check_span(question.job.document, "{\"a\":1}");
    question.job.id = 99;
    assert_int_equal(in_write(fixture, update, &question), ERR_NOT_FOUND);
    question.hub_id = 99;
    assert_int_equal(in_read(fixture, get, &question), ERR_NOT_FOUND);
    arena_done(&question.arena);
}

static void check_counts(struct fixture *fixture, struct question *question, const char *expected)
{
    char text[64];
    struct question read = {.hub_id = question->hub_id};
    arena_init(&read.arena, 0);
    assert_int_equal(in_read(fixture, get, &read), ERR_NONE);
    snprintf(text, sizeof(text), "%d %d %d %d %d", (int)read.job.devices, (int)read.job.pending,
        (int)read.job.running, (int)read.job.succeeded, (int)read.job.failed);
    assert_string_equal(text, expected);
    arena_done(&read.arena);
}

static void device_jobs_are_counted_as_they_move(void **state)
{
    struct fixture *fixture = *state;
    struct question question = ask_of(fixture);
    make(fixture, &question, "j");
    make_device(fixture, &question, "c", "");
    make_device(fixture, &question, "b", "m");
    make_device(fixture, &question, "b", "");
    make_device(fixture, &question, "a", "");
    assert_int_not_equal(in_write(fixture, add, &question), ERR_NONE); /* it is there */
    check_counts(fixture, &question, "4 4 0 0 0");
    arena_init(&question.arena, 0);
    question.limit = 3;
    question.from = DEVICE_JOB_PENDING;
    assert_int_equal(in_read(fixture, next, &question), ERR_NONE);
    assert_string_equal(question.seen, "a b b/m ");
    question.device.status = DEVICE_JOB_RUNNING; /* "a" */
    assert_int_equal(in_write(fixture, move, &question), ERR_NONE);
    assert_int_equal(in_write(fixture, move, &question), ERR_NOT_FOUND); /* pending no more */
    check_counts(fixture, &question, "4 3 1 0 0");
    question.from = DEVICE_JOB_RUNNING;
    question.device.status = DEVICE_JOB_COMPLETED;
    question.device.outcome = SPAN_LIT("{}");
    assert_int_equal(in_write(fixture, move, &question), ERR_NONE);
    check_counts(fixture, &question, "4 3 0 1 0");
    question.from = DEVICE_JOB_PENDING;
    question.device.status = DEVICE_JOB_FAILED;
    question.limit = 2;
    assert_int_equal(in_write(fixture, move_all, &question), ERR_NONE);
    assert_int_equal(question.count, 2);
    check_counts(fixture, &question, "4 1 0 1 2");
    question.device.status = DEVICE_JOB_CANCELLED;
    assert_int_equal(in_write(fixture, move_all, &question), ERR_NONE);
    assert_int_equal(question.count, 1);
    check_counts(fixture, &question, "4 0 0 1 2");
    arena_done(&question.arena);
}

static void jobs_are_listed_newest_first_and_open_ones_oldest_first(void **state)
{
    struct fixture *fixture = *state;
    struct question question = ask_of(fixture);
    make(fixture, &question, "a");
    question.job.kind = SCHEDULED_UPDATE_TWIN;
    make(fixture, &question, "b");
    int64_t second = question.job.id;
    question.job.open = false;
    question.job.status = SCHEDULED_COMPLETED;
    make(fixture, &question, "c");
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_string_equal(question.seen, "c b a ");
    question.range.kind = SCHEDULED_UPDATE_TWIN;
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_string_equal(question.seen, "c b ");
    question.range.status = SCHEDULED_COMPLETED;
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_string_equal(question.seen, "c ");
    question.range = (struct scheduled_range){-1, -1, second, 1};
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_string_equal(question.seen, "a ");
    assert_int_equal(in_read(fixture, open_ones, &question), ERR_NONE);
    assert_string_equal(question.seen, "a b ");
    assert_int_equal(in_read(fixture, count, &question), ERR_NONE);
    assert_int_equal(question.totals.jobs, 3);
    assert_int_equal(question.totals.open, 2);
}

static void device_jobs_are_walked_through_in_order_from_any_place(void **state)
{
    struct fixture *fixture = *state;
    struct question question = ask_of(fixture);
    make(fixture, &question, "x");
    make_device(fixture, &question, "b", "");
    make_device(fixture, &question, "a", "m");
    make_device(fixture, &question, "a", "");
    make(fixture, &question, "y");
    make_device(fixture, &question, "a", "");
    make_device(fixture, &question, "c", "");
    assert_int_equal(in_read(fixture, scan, &question), ERR_NONE);
    assert_string_equal(question.seen, "x/a x/a/m x/b y/a y/c ");
    question.place = (struct device_job_range){.device_id = SPAN_LIT("a")};
    assert_int_equal(in_read(fixture, scan, &question), ERR_NONE);
    assert_string_equal(question.seen, "x/a x/a/m y/a ");
    question.place = (struct device_job_range){.job_name = SPAN_LIT("y")};
    assert_int_equal(in_read(fixture, scan, &question), ERR_NONE);
    assert_string_equal(question.seen, "y/a y/c ");
    question.place =
        (struct device_job_range){.job_name = SPAN_LIT("x"), .device_id = SPAN_LIT("b")};
    assert_int_equal(in_read(fixture, scan, &question), ERR_NONE);
    assert_string_equal(question.seen, "x/b ");
    /* One at a time, each from where the last ended. */
    char all[512] = "";
    char device[20] = "";
    char module[20] = "";
    question.limit = 1;
    question.place = (struct device_job_range){0};
    while (in_read(fixture, scan, &question) == ERR_CANCELLED) {
        strcat(all, question.seen);
        memcpy(device, question.seen + 400, sizeof(device));
        memcpy(module, question.seen + 420, sizeof(module));
        question.place.after = span_of(device);
        question.place.after_module = span_of(module);
    }
    assert_string_equal(all, "x/a x/a/m x/b y/a y/c ");
    question.hub_id = 99;
    question.place = (struct device_job_range){0};
    assert_int_equal(in_read(fixture, scan, &question), ERR_NONE);
    assert_string_equal(question.seen, "");
}

static void what_is_old_goes_in_parts_and_what_is_open_stays(void **state)
{
    struct fixture *fixture = *state;
    struct question question = ask_of(fixture);
    question.job.open = false;
    question.job.end_us = 100;
    make(fixture, &question, "old");
    make_device(fixture, &question, "a", "");
    make_device(fixture, &question, "b", "");
    make_device(fixture, &question, "c", "");
    question.job.end_us = 200;
    make(fixture, &question, "newer");
    make_device(fixture, &question, "a", "");
    question.job.open = true;
    question.job.end_us = 0;
    make(fixture, &question, "open");
    question.keep = (struct scheduled_keep){.since_us = 50, .jobs = 10, .devices = 10};
    question.limit = 2;
    assert_int_equal(in_write(fixture, prune, &question), ERR_NONE);
    assert_int_equal(question.count, 0);
    question.keep.devices = 3;
    assert_int_equal(in_write(fixture, prune, &question), ERR_NONE);
    assert_int_equal(question.count, 2);
    assert_int_equal(in_read(fixture, count, &question), ERR_NONE);
    assert_int_equal(question.totals.devices, 2);
    question.keep = (struct scheduled_keep){.since_us = 150, .jobs = 10, .devices = 10};
    assert_int_equal(in_write(fixture, prune, &question), ERR_NONE);
    assert_int_equal(question.count, 2); /* the last device job, and the job */
    assert_int_equal(in_write(fixture, prune, &question), ERR_NONE);
    assert_int_equal(question.count, 0);
    question.keep.jobs = 0;
    question.keep.since_us = 0;
    assert_int_equal(in_write(fixture, prune, &question), ERR_NONE);
    assert_int_equal(in_write(fixture, prune, &question), ERR_NONE);
    assert_int_equal(in_read(fixture, list, &question), ERR_NONE);
    assert_string_equal(question.seen, "open ");
}

static enum err drop_hub(struct store_txn *txn, void *argument)
{
    return store_hub_delete(txn, ((const struct question *)argument)->hub_id);
}

static void jobs_go_with_their_hub_and_stay_without_their_devices(void **state)
{
    struct fixture *fixture = *state;
    struct question question = ask_of(fixture);
    make(fixture, &question, "j");
    make_device(fixture, &question, "no-such-device", "");
    check_counts(fixture, &question, "1 1 0 0 0");
    assert_int_equal(in_write(fixture, drop_hub, &question), ERR_NONE);
    assert_int_equal(in_read(fixture, open_ones, &question), ERR_NONE);
    assert_string_equal(question.seen, "");
    assert_int_equal(in_read(fixture, count, &question), ERR_NONE);
    assert_int_equal(question.totals.jobs, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_is_kept_as_it_was_put),
        cmocka_unit_test(device_jobs_are_counted_as_they_move),
        cmocka_unit_test(jobs_are_listed_newest_first_and_open_ones_oldest_first),
        cmocka_unit_test(device_jobs_are_walked_through_in_order_from_any_place),
        cmocka_unit_test(what_is_old_goes_in_parts_and_what_is_open_stays),
        cmocka_unit_test(jobs_go_with_their_hub_and_stay_without_their_devices),
    };
    return run_for_every_backend("scheduled jobs", tests, COUNT_OF(tests));
}
