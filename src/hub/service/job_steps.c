/* SPDX-License-Identifier: Apache-2.0 */
#include "job_engine.h"

#include "query_document.h"
#include "query_scan.h"
#include "twin_write.h"

#define SECOND_US INT64_C(1000000)
#define SLICE_US 15000
#define LOOKS_PER_CLOCK 16

static struct job_run *run_of(struct store_job *job)
{
    return (struct job_run *)((char *)job - offsetof(struct job_run, job));
}

static const struct service *service_of(const struct job_run *run)
{
    return run->engine->service;
}

static bool error_text(struct job_run *run, enum err err, const struct why *why, struct span *ret)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    device_job_write_error(err, why, &out);
    return !out.failed && arena_span(&run->step_arena, buf_span(&out), ret);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static enum err complete(struct job_run *run, struct store_txn *txn, struct scheduled_job *row)
{
    row->status = SCHEDULED_COMPLETED;
    row->open = false;
    row->end_us = now_us(service_of(run));
    run->ended = SCHEDULED_COMPLETED;
    run->deadline_us = INT64_MAX;
    run->then = STEP_OVER;
    return store_scheduled_update(txn, row);
}

/* Its device jobs are ended by the steps that follow. */
static enum err give_up(
    struct job_run *run, struct store_txn *txn, struct scheduled_job *row, const char *message)
{
    if (!arena_span(&run->step_arena, span_of(message), &row->message))
        return ERR_MEMORY;
    row->status = SCHEDULED_FAILED;
    row->end_us = now_us(service_of(run));
    run->ended = SCHEDULED_FAILED;
    run->deadline_us = INT64_MAX;
    run->then = STEP_AGAIN;
    return store_scheduled_update(txn, row);
}

static enum err expire(struct job_run *run, struct store_txn *txn, struct scheduled_job *row)
{
    struct why why;
    why_set(&why, "the job took longer than the %lld s of maxExecutionTimeInSeconds",
        (long long)row->seconds);
    return give_up(run, txn, row, why.text);
}

static enum err move_all(struct job_run *run, struct store_txn *txn, enum device_job_status from,
    enum device_job_status to, struct span error, size_t *ret_moved)
{
    const struct device_job all = {
        .job_id = run->id, .status = to, .end_us = now_us(service_of(run)), .error = error};
    enum err err = store_device_job_move_all(txn, &all, from, JOB_SWEEP, ret_moved);
    if (err == ERR_NONE && to == DEVICE_JOB_FAILED)
        run->failed += *ret_moved;
    return err;
}

/* What a server before had in flight, nobody waits for any more. */
static enum err recover(
    struct job_run *run, struct store_txn *txn, const struct scheduled_job *row, bool *ret_more)
{
    struct why why;
    struct span error;
    size_t moved = 0;
    *ret_more = false;
    run->recovered_now = row->running == 0;
    if (run->recovered_now)
        return ERR_NONE;
    why_set(&why, "the server was stopped while the method was under way: whether the device has "
                  "done it is not known");
    if (!error_text(run, ERR_UNAVAILABLE, &why, &error))
        return ERR_MEMORY;
    enum err err = move_all(run, txn, DEVICE_JOB_RUNNING, DEVICE_JOB_FAILED, error, &moved);
    run->recovered_now = moved < JOB_SWEEP;
    *ret_more = true;
    run->then = STEP_AGAIN;
    return err;
}

/* Of a job that has ended otherwise than by itself. */
static enum err end_devices(struct job_run *run, struct store_txn *txn, struct scheduled_job *row)
{
    bool cancelled = row->status == SCHEDULED_CANCELLED;
    struct why why = {""};
    struct span error = SPAN_NONE;
    size_t moved = 0;
    run->then = STEP_OVER;
    if (!row->open)
        return ERR_NONE;
    why_set(&why, "%.*s", SPAN_ARG(row->message));
    if (!cancelled && !error_text(run, ERR_JOB_TIME, &why, &error))
        return ERR_MEMORY;
    enum err err = move_all(run, txn, DEVICE_JOB_PENDING,
        cancelled ? DEVICE_JOB_CANCELLED : DEVICE_JOB_FAILED, error, &moved);
    bool more = moved == JOB_SWEEP;
    /* Methods that are under way when a job is cancelled still have their outcome. */
    if (err == ERR_NONE && !more && !cancelled) {
        err = move_all(run, txn, DEVICE_JOB_RUNNING, DEVICE_JOB_FAILED, error, &moved);
        more = moved == JOB_SWEEP;
    }
    if (err != ERR_NONE || more || (cancelled && row->running > 0)) {
        run->then = more ? STEP_AGAIN : STEP_REST;
        return err;
    }
    row->open = false;
    return store_scheduled_update(txn, row);
}

/* ---- listing --------------------------------------------------------------------------------- */

static enum err visit(void *self, const struct identity *identity, const struct twin_doc *twin)
{
    struct job_run *run = self;
    const struct query *query = run->plan.condition;
    AUTO(arena_done) struct arena arena;
    struct query_document document = query_document_of(identity, twin);
    bool matches = false;
    arena_init(&arena, service_of(run)->options.limits.request_bytes);
    enum err err = (query_uses(query) & QUERY_USES_TWIN) != 0 && twin == NULL
                       ? ERR_NONE
                       : query_matches(query, &document.source, &arena, &matches);
    if (err != ERR_NONE)
        return err;
    if (!span_copy(identity->device_id, run->after, sizeof(run->after)) ||
        !span_copy(identity->module_id, run->after_module, sizeof(run->after_module)))
        return ERR_CORRUPT;
    if (matches) {
        struct job_match *match = arena_alloc(&run->page_arena, sizeof(*match));
        if (match == NULL ||
            !arena_span(&run->page_arena, identity->device_id, &match->device_id) ||
            !arena_span(&run->page_arena, identity->module_id, &match->module_id))
            return ERR_MEMORY;
        if (run->last_match == NULL)
            run->matches = match;
        else
            run->last_match->next = match;
        run->last_match = match;
        run->match_count++;
    }
    bool late = ++run->looks % LOOKS_PER_CLOCK == 0 &&
                clock_mono_us(service_of(run)->options.clock) >= run->slice_us;
    run->page_ended = !late && run->match_count < JOB_PAGE;
    return run->page_ended ? ERR_NONE : ERR_CANCELLED;
}

enum err job_page_run(struct store_job *job, struct store_txn *txn)
{
    struct job_run *run = run_of(job);
    struct twin_scan scan;
    arena_done(&run->page_arena);
    arena_init(&run->page_arena, 0);
    if (!query_scan_of(&run->page_arena, run->plan.condition, &scan))
        return ERR_MEMORY;
    run->matches = NULL;
    run->last_match = NULL;
    run->match_count = 0;
    run->looks = 0;
    run->page_ended = true;
    run->slice_us = clock_mono_us(service_of(run)->options.clock) + SLICE_US;
    memcpy(run->after, run->from, sizeof(run->after));
    memcpy(run->after_module, run->from_module, sizeof(run->after_module));
    scan.after = span_of(run->from);
    scan.after_module = span_of(run->from_module);
    enum err err = store_twin_scan(txn, run->hub->hub_id, &scan, visit, run);
    return err == ERR_CANCELLED && !run->page_ended ? ERR_NONE : err;
}

/* Whether the hub may have so many more device jobs; makes room if it can. */
static enum err make_room(struct job_run *run, struct store_txn *txn, bool *ret_room)
{
    uint64_t most = service_of(run)->options.limits.job.history_devices;
    struct scheduled_totals totals;
    const struct scheduled_keep keep = {.since_us = INT64_MIN,
        .jobs = UINT64_MAX,
        .devices = most > run->match_count ? most - run->match_count : 0};
    size_t dropped = 0;
    enum err err = store_scheduled_count(txn, run->hub->hub_id, &totals);
    *ret_room = err == ERR_NONE && totals.devices + run->match_count <= most;
    if (err != ERR_NONE || *ret_room)
        return err;
    run->then = STEP_PAGE; /* the same again, if something went */
    err = store_scheduled_prune(txn, run->hub->hub_id, &keep, JOB_SWEEP, &dropped);
    return err == ERR_NONE && dropped == 0 ? ERR_FULL : err;
}

static enum err put_page(struct job_run *run, struct store_txn *txn, struct scheduled_job *row)
{
    int64_t now = now_us(service_of(run));
    enum err err = ERR_NONE;
    for (const struct job_match *match = run->matches; match != NULL && err == ERR_NONE;
         match = match->next)
        err = store_device_job_add(
            txn, run->hub->hub_id, run->id, match->device_id, match->module_id, now);
    if (err != ERR_NONE)
        return err;
    row->after = span_of(run->after);
    row->after_module = span_of(run->after_module);
    row->listed = run->page_ended;
    run->then = STEP_AGAIN;
    return store_scheduled_update(txn, row);
}

static enum err list(struct job_run *run, struct store_txn *txn, struct scheduled_job *row)
{
    bool room = false;
    run->then = STEP_PAGE;
    if (!run->paged || !span_is(row->after, run->from) ||
        !span_is(row->after_module, run->from_module)) {
        bool fits = span_copy(row->after, run->from, sizeof(run->from)) &&
                    span_copy(row->after_module, run->from_module, sizeof(run->from_module));
        return fits ? ERR_NONE : ERR_CORRUPT;
    }
    enum err err = make_room(run, txn, &room);
    if (err == ERR_FULL)
        return give_up(
            run, txn, row, "the hub's jobs have too many device jobs (limits.job_history_devices)");
    return err == ERR_NONE && room ? put_page(run, txn, row) : err;
}

/* ---- twins ----------------------------------------------------------------------------------- */

/* What is wrong with this one, and not with the store. */
static bool is_of_device(enum err err)
{
    return err == ERR_DEVICE_NOT_FOUND || err == ERR_MODULE_NOT_FOUND || err == ERR_PRECONDITION ||
           err == ERR_ARGUMENT || err == ERR_CORRUPT;
}

static enum err change_twin(
    struct job_run *run, struct twin_write *write, const struct device_job *device, struct why *why)
{
    struct identity identity;
    struct twin_doc twin;
    struct twin_change change;
    char etag[TWIN_ETAG_SIZE];
    const struct twin_author author = {"job", run->name};
    enum err err = find_identity(write->txn, write->arena, write->hub_id, device->device_id,
        device->module_id, &identity, why);
    if (err == ERR_NONE)
        err = store_twin_get(
            write->txn, write->arena, write->hub_id, device->device_id, device->module_id, &twin);
    if (err == ERR_NOT_FOUND)
        return ERR_CORRUPT;
    if (err == ERR_NONE)
        err = match_check(&run->plan.match, span_of(twin_etag(twin.etag, etag)), why);
    if (err == ERR_NONE)
        err = twin_apply(write->arena, &twin, TWIN_PATCH, run->plan.update,
            &service_of(run)->options.limits.twin, now_us(service_of(run)), &change, why);
    if (err != ERR_NONE || change.doc.version == twin.version)
        return err;
    return twin_write_put(write, &identity, twin.version, &change, run->plan.update, &author);
}

static enum err end_device(struct job_run *run, struct store_txn *txn, struct device_job *device,
    enum err err, const struct why *why)
{
    device->status = err == ERR_NONE ? DEVICE_JOB_COMPLETED : DEVICE_JOB_FAILED;
    device->start_us = now_us(service_of(run));
    device->end_us = device->start_us;
    if (err != ERR_NONE && !error_text(run, err, why, &device->error))
        return ERR_MEMORY;
    run->completed += err == ERR_NONE;
    run->failed += err != ERR_NONE;
    return store_device_job_move(txn, device, DEVICE_JOB_PENDING);
}

/* The devices that are next, as many as the rate allows. */
static enum err take_devices(struct job_run *run, struct store_txn *txn,
    const struct scheduled_job *row, struct device_job **ret_devices, size_t *ret_count)
{
    *ret_count = 0;
    run->starving_now = row->pending > 0 && run->allowed == 0;
    run->then = STEP_REST;
    if (run->allowed == 0 || row->pending == 0)
        return ERR_NONE;
    enum err err = store_device_job_list(
        txn, &run->step_arena, run->id, DEVICE_JOB_PENDING, run->allowed, ret_devices, ret_count);
    run->used = *ret_count;
    run->then = STEP_AGAIN;
    return err;
}

static enum err update_twins(struct job_run *run, struct store_txn *txn, struct scheduled_job *row)
{
    struct device_job *devices = NULL;
    size_t count = 0;
    struct twin_write write = {.service = run->engine->service,
        .txn = txn,
        .arena = &run->step_arena,
        .hub_id = run->hub->hub_id};
    enum err err = take_devices(run, txn, row, &devices, &count);
    for (size_t i = 0; i < count && err == ERR_NONE; i++) {
        struct why why = {""};
        err = change_twin(run, &write, &devices[i], &why);
        if (err == ERR_NONE || is_of_device(err))
            err = end_device(run, txn, &devices[i], err, &why);
    }
    run->effects = write.effects;
    return err == ERR_NONE && row->pending == count ? complete(run, txn, row) : err;
}

/* ---- methods --------------------------------------------------------------------------------- */

static enum err begin_method(struct job_run *run, struct store_txn *txn, struct device_job *device)
{
    struct identity identity;
    struct why why = {""};
    enum err err = find_identity(txn, &run->step_arena, run->hub->hub_id, device->device_id,
        device->module_id, &identity, &why);
    if (err == ERR_DEVICE_NOT_FOUND || err == ERR_MODULE_NOT_FOUND)
        return end_device(run, txn, device, err, &why);
    if (err != ERR_NONE)
        return err;
    device->status = DEVICE_JOB_RUNNING;
    device->start_us = now_us(service_of(run));
    struct job_call *call = job_call_new(run, device);
    if (call == NULL)
        return ERR_MEMORY;
    run->calls_new = job_call_before(call, run->calls_new);
    return store_device_job_move(txn, device, DEVICE_JOB_PENDING);
}

static enum err begin_methods(struct job_run *run, struct store_txn *txn, struct scheduled_job *row)
{
    size_t count = 0;
    struct device_job *devices = NULL;
    if (row->pending == 0 && row->running == 0)
        return complete(run, txn, row);
    enum err err = take_devices(run, txn, row, &devices, &count);
    /* From the last on: each is put before those that there are. */
    for (size_t i = count; i > 0 && err == ERR_NONE; i--)
        err = begin_method(run, txn, &devices[i - 1]);
    return err;
}

/* ---- the step -------------------------------------------------------------------------------- */

static void reset(struct job_run *run)
{
    arena_done(&run->step_arena);
    arena_init(&run->step_arena, 0);
    run->used = 0;
    run->then = STEP_REST;
    run->starving_now = false;
    run->recovered_now = false;
    run->ended = SCHEDULED_RUNNING;
    run->completed = 0;
    run->failed = 0;
    run->effects = NULL;
    job_calls_free(run->calls_new);
    run->calls_new = NULL;
}

/* Once, with the document in the arena of the run. */
static enum err read_plan(struct job_run *run, const struct scheduled_job *row, struct why *why)
{
    struct span text;
    struct json *json;
    arena_done(&run->arena);
    arena_init(&run->arena, 0);
    if (!arena_span(&run->arena, row->document, &text) ||
        !arena_span(&run->arena, row->name, &run->name))
        return ERR_MEMORY;
    enum err err = json_parse(&run->arena, text, 0, &json, why);
    if (err == ERR_NONE)
        err = job_plan_read(run->engine->service, &run->arena, row->kind, json, &run->plan, why);
    run->planned = err == ERR_NONE;
    return err;
}

static enum err go_on(struct job_run *run, struct store_txn *txn, struct scheduled_job *row)
{
    struct why why = {""};
    if (now_us(service_of(run)) >= run->deadline_us)
        return expire(run, txn, row);
    enum err err = run->planned ? ERR_NONE : read_plan(run, row, &why);
    if (err == ERR_MEMORY)
        return err;
    /* Settings may have become stricter since it was accepted. */
    if (err != ERR_NONE)
        return give_up(run, txn, row, why_text(&why, err));
    if (!row->listed)
        return list(run, txn, row);
    return row->kind == SCHEDULED_METHOD ? begin_methods(run, txn, row)
                                         : update_twins(run, txn, row);
}

enum err job_step_run(struct store_job *job, struct store_txn *txn)
{
    struct job_run *run = run_of(job);
    struct scheduled_job row;
    bool more = false;
    reset(run);
    enum err err = store_scheduled_find(txn, &run->step_arena, run->id, !run->planned, &row);
    if (err == ERR_NOT_FOUND) { /* with its hub */
        run->then = STEP_OVER;
        run->deadline_us = INT64_MAX;
        return ERR_NONE;
    }
    if (err != ERR_NONE)
        return err;
    run->deadline_us =
        row.status == SCHEDULED_RUNNING ? row.began_us + row.seconds * SECOND_US : INT64_MAX;
    if (!run->recovered)
        err = recover(run, txn, &row, &more);
    if (err != ERR_NONE || more)
        return err;
    return row.status == SCHEDULED_RUNNING ? go_on(run, txn, &row) : end_devices(run, txn, &row);
}

void job_step_tell(struct job_run *run)
{
    struct service *service = run->engine->service;
    twin_write_tell(service, run->hub->hub_id, run->effects);
    for (const struct effect *e = run->effects; e != NULL; e = e->next)
        configurator_note_twin(service, e->hub_id, e->device_id, e->module_id);
    run->effects = NULL;
}
