/* SPDX-License-Identifier: Apache-2.0 */
#include "sqlite_priv.h"

static int64_t as_limit(size_t limit)
{
    return limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
}

/* ---- jobs ------------------------------------------------------------------------------------ */

static void put_state(struct query *query, const struct scheduled_job *job)
{
    query_put_int(query, job->status);
    query_put_int(query, job->open);
    query_put_int(query, job->listed);
    query_put_int(query, job->began_us);
    query_put_int(query, job->end_us);
    query_put_text(query, job->after);
    query_put_text(query, job->after_module);
    query_put_text(query, job->message);
}

/* In the order of JOB_READ; texts are borrowed until the next row. */
static void read_job(struct query *query, struct scheduled_job *ret_job)
{
    struct scheduled_job job = {.id = query_int(query)};
    job.hub_id = query_int(query);
    job.name = query_span(query);
    job.kind = (enum scheduled_kind)query_int(query);
    job.created_us = query_int(query);
    job.start_us = query_int(query);
    job.seconds = query_int(query);
    job.status = (enum scheduled_status)query_int(query);
    job.open = query_int(query) != 0;
    job.listed = query_int(query) != 0;
    job.began_us = query_int(query);
    job.end_us = query_int(query);
    job.after = query_span(query);
    job.after_module = query_span(query);
    job.message = query_span(query);
    job.devices = (uint64_t)query_int(query);
    job.pending = (uint64_t)query_int(query);
    job.running = (uint64_t)query_int(query);
    job.succeeded = (uint64_t)query_int(query);
    job.failed = (uint64_t)query_int(query);
    job.document = query_span(query);
    *ret_job = job;
}

static enum err take_job(struct query *query, struct arena *arena, struct scheduled_job *ret_job)
{
    struct scheduled_job job;
    enum err err = query_row(query);
    if (err != ERR_NONE)
        return err;
    read_job(query, &job);
    if (!arena_span(arena, job.name, &job.name) || !arena_span(arena, job.after, &job.after) ||
        !arena_span(arena, job.after_module, &job.after_module) ||
        !arena_span(arena, job.message, &job.message) ||
        !arena_span(arena, job.document, &job.document))
        return ERR_MEMORY;
    *ret_job = job;
    return ERR_NONE;
}

static enum err put_counter(struct store_txn *txn, int64_t id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_COUNTER_PUT);
    query_put_int(&query, id);
    return query_change(&query, NULL);
}

static enum err insert_job(struct store_txn *txn, const struct scheduled_job *job, int64_t *ret_id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_PUT);
    query_put_int(&query, job->hub_id);
    query_put_text(&query, job->name);
    query_put_int(&query, job->kind);
    query_put_int(&query, job->created_us);
    query_put_int(&query, job->start_us);
    query_put_int(&query, job->seconds);
    put_state(&query, job);
    query_put_text(&query, job->document);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_CONFLICT : err;
    query.txn->wrote = true;
    *ret_id = query_int(&query);
    return ERR_NONE;
}

enum err sqlite_scheduled_put(
    struct store_txn *txn, const struct scheduled_job *job, int64_t *ret_id)
{
    int64_t id = 0;
    enum err err = insert_job(txn, job, &id);
    if (err == ERR_NONE)
        err = put_counter(txn, id);
    if (err == ERR_NONE)
        *ret_id = id;
    return err;
}

enum err sqlite_scheduled_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span name, struct scheduled_job *ret_job)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_GET);
    query_put_int(&query, hub_id);
    query_put_text(&query, name);
    return take_job(&query, arena, ret_job);
}

enum err sqlite_scheduled_find(struct store_txn *txn, struct arena *arena, int64_t id,
    bool with_document, struct scheduled_job *ret_job)
{
    AUTO(query_done)
    struct query query = query_open(txn, with_document ? SQL_JOB_FIND_WHOLE : SQL_JOB_FIND);
    query_put_int(&query, id);
    return take_job(&query, arena, ret_job);
}

enum err sqlite_scheduled_update(struct store_txn *txn, const struct scheduled_job *job)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_UPDATE);
    put_state(&query, job);
    query_put_int(&query, job->id);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

static enum err visit_jobs(struct query *query, scheduled_visitor *visit, void *self)
{
    enum err err;
    while ((err = query_row(query)) == ERR_NONE) {
        struct scheduled_job job;
        read_job(query, &job);
        err = visit(self, &job);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err sqlite_scheduled_list(struct store_txn *txn, int64_t hub_id,
    const struct scheduled_range *range, scheduled_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_LIST);
    query_put_int(&query, hub_id);
    query_put_int(&query, range->before);
    query_put_int(&query, range->kind);
    query_put_int(&query, range->status);
    query_put_int(&query, as_limit(range->limit));
    return visit_jobs(&query, visit, self);
}

enum err sqlite_scheduled_open(struct store_txn *txn, scheduled_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_OPEN);
    return visit_jobs(&query, visit, self);
}

enum err sqlite_scheduled_count(
    struct store_txn *txn, int64_t hub_id, struct scheduled_totals *ret_totals)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_COUNT);
    query_put_int(&query, hub_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    ret_totals->jobs = (uint64_t)query_int(&query);
    ret_totals->open = (uint64_t)query_int(&query);
    ret_totals->devices = (uint64_t)query_int(&query);
    return ERR_NONE;
}

/* ---- dropping -------------------------------------------------------------------------------- */

static enum err change_two(
    struct store_txn *txn, enum sql sql, int64_t first, int64_t second, int64_t *ret_changed)
{
    AUTO(query_done) struct query query = query_open(txn, sql);
    query_put_int(&query, first);
    query_put_int(&query, second);
    return query_change(&query, ret_changed);
}

static enum err drop_job(struct store_txn *txn, int64_t id)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_DROP);
    query_put_int(&query, id);
    return query_change(&query, NULL);
}

static enum err drop_part(struct store_txn *txn, int64_t id, size_t limit, size_t *ret_dropped)
{
    int64_t rows = 0;
    enum err err = change_two(txn, SQL_JOB_DROP_DEVICES, id, as_limit(limit), &rows);
    if (err == ERR_NONE && rows > 0)
        err = change_two(txn, SQL_JOB_UNCOUNT, rows, id, NULL);
    bool all = (uint64_t)rows < limit;
    if (err == ERR_NONE && all)
        err = drop_job(txn, id);
    if (err == ERR_NONE)
        *ret_dropped = (size_t)rows + (all ? 1 : 0);
    return err;
}

static enum err find_oldest(
    struct store_txn *txn, int64_t hub_id, int64_t *ret_id, int64_t *ret_end_us)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_JOB_OLDEST);
    query_put_int(&query, hub_id);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    *ret_id = query_int(&query);
    *ret_end_us = query_int(&query);
    return ERR_NONE;
}

enum err sqlite_scheduled_prune(struct store_txn *txn, int64_t hub_id,
    const struct scheduled_keep *keep, size_t limit, size_t *ret_dropped)
{
    struct scheduled_totals totals;
    int64_t id = 0;
    int64_t end_us = 0;
    *ret_dropped = 0;
    enum err err = find_oldest(txn, hub_id, &id, &end_us);
    if (err != ERR_NONE)
        return err == ERR_NOT_FOUND ? ERR_NONE : err;
    err = sqlite_scheduled_count(txn, hub_id, &totals);
    if (err != ERR_NONE ||
        (end_us >= keep->since_us && totals.jobs <= keep->jobs && totals.devices <= keep->devices))
        return err;
    return drop_part(txn, id, limit, ret_dropped);
}

/* ---- device jobs ----------------------------------------------------------------------------- */

enum err sqlite_device_job_add(struct store_txn *txn, int64_t hub_id, int64_t job_id,
    struct span device_id, struct span module_id, int64_t now_us)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_DEVICE_JOB_ADD);
    query_put_int(&query, job_id);
    query_put_int(&query, hub_id);
    query_put_text(&query, device_id);
    query_put_text(&query, module_id);
    query_put_int(&query, now_us);
    return query_change(&query, NULL);
}

/* In the order of DEVICE_JOB_READ; texts are borrowed until the next row. */
static void read_device_job(struct query *query, struct device_job *ret_job)
{
    struct device_job job = {.job_id = query_int(query)};
    job.device_id = query_span(query);
    job.module_id = query_span(query);
    job.status = (enum device_job_status)query_int(query);
    job.created_us = query_int(query);
    job.start_us = query_int(query);
    job.end_us = query_int(query);
    job.outcome = query_span(query);
    job.error = query_span(query);
    *ret_job = job;
}

enum err sqlite_device_job_list(struct store_txn *txn, struct arena *arena, int64_t job_id,
    enum device_job_status status, size_t limit, struct device_job **ret_jobs, size_t *ret_count)
{
    size_t count = 0;
    struct device_job *jobs = arena_alloc(arena, (limit + 1) * sizeof(*jobs));
    if (jobs == NULL)
        return ERR_MEMORY;
    AUTO(query_done) struct query query = query_open(txn, SQL_DEVICE_JOB_LIST);
    query_put_int(&query, job_id);
    query_put_int(&query, status);
    query_put_int(&query, as_limit(limit));
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        struct device_job *job = &jobs[count++];
        read_device_job(&query, job);
        job->outcome = SPAN_NONE;
        job->error = SPAN_NONE;
        if (!arena_span(arena, job->device_id, &job->device_id) ||
            !arena_span(arena, job->module_id, &job->module_id))
            return ERR_MEMORY;
    }
    if (err != ERR_NOT_FOUND)
        return err;
    *ret_jobs = jobs;
    *ret_count = count;
    return ERR_NONE;
}

enum err sqlite_device_job_move(
    struct store_txn *txn, const struct device_job *job, enum device_job_status from)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_DEVICE_JOB_MOVE);
    query_put_int(&query, job->status);
    query_put_int(&query, job->start_us);
    query_put_int(&query, job->end_us);
    query_put_text(&query, job->outcome);
    query_put_text(&query, job->error);
    query_put_int(&query, job->job_id);
    query_put_text(&query, job->device_id);
    query_put_text(&query, job->module_id);
    query_put_int(&query, from);
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    return err == ERR_NONE && changed == 0 ? ERR_NOT_FOUND : err;
}

enum err sqlite_device_job_move_all(struct store_txn *txn, const struct device_job *to,
    enum device_job_status from, size_t limit, size_t *ret_moved)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_DEVICE_JOB_MOVE_ALL);
    query_put_int(&query, to->status);
    query_put_int(&query, to->end_us);
    query_put_text(&query, to->error);
    query_put_int(&query, to->job_id);
    query_put_int(&query, from);
    query_put_int(&query, as_limit(limit));
    int64_t changed = 0;
    enum err err = query_change(&query, &changed);
    if (err == ERR_NONE)
        *ret_moved = (size_t)changed;
    return err;
}

/* ---- walking through device jobs ------------------------------------------------------------- */

/* Those of one device: the index leads from job to job. */
static enum err scan_device(struct store_txn *txn, int64_t hub_id,
    const struct device_job_range *range, device_job_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_DEVICE_JOB_SCAN_DEVICE);
    /* The place may be behind another device of the same job. */
    int order = span_compare(range->after, range->device_id);
    static const struct span behind_all = SPAN_INIT("\xff"); /* no id has this byte */
    query_put_int(&query, hub_id);
    query_put_text(&query, range->device_id);
    query_put_int(&query, range->after_job);
    query_put_text(&query, order == 0 ? range->after_module : order > 0 ? behind_all : SPAN_NONE);
    query_put_text(&query, range->job_name);
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        struct device_job job;
        read_device_job(&query, &job);
        job.job_name = query_span(&query);
        job.kind = (enum scheduled_kind)query_int(&query);
        err = visit(self, &job);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

struct one_job {
    int64_t id;
    struct span name; /* in the arena */
    enum scheduled_kind kind;
};

/* The hub's next job from a number on, or the one of that name. ERR_NOT_FOUND: no more. */
static enum err next_job(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span name, int64_t from, struct one_job *ret_job)
{
    AUTO(query_done)
    struct query query = query_open(txn, name.len > 0 ? SQL_JOB_NAMED : SQL_JOB_AFTER);
    query_put_int(&query, hub_id);
    if (name.len > 0)
        query_put_text(&query, name);
    query_put_int(&query, from);
    enum err err = query_row(&query);
    if (err != ERR_NONE)
        return err;
    ret_job->id = query_int(&query);
    if (!query_copy(&query, arena, &ret_job->name))
        return ERR_MEMORY;
    ret_job->kind = (enum scheduled_kind)query_int(&query);
    return ERR_NONE;
}

static enum err scan_job(struct store_txn *txn, const struct one_job *one, struct span after,
    struct span after_module, device_job_visitor *visit, void *self)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_DEVICE_JOB_SCAN);
    query_put_int(&query, one->id);
    query_put_text(&query, after);
    query_put_text(&query, after_module);
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        struct device_job job;
        read_device_job(&query, &job);
        job.job_name = one->name;
        job.kind = one->kind;
        err = visit(self, &job);
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

enum err sqlite_device_job_scan(struct store_txn *txn, int64_t hub_id,
    const struct device_job_range *range, device_job_visitor *visit, void *self)
{
    if (range->device_id.len > 0)
        return scan_device(txn, hub_id, range, visit, self);
    int64_t from = range->after_job;
    enum err err = ERR_NONE;
    while (err == ERR_NONE) {
        AUTO(arena_done) struct arena arena;
        struct one_job one = {0};
        arena_init(&arena, 0);
        err = next_job(txn, &arena, hub_id, range->job_name, from, &one);
        bool begun = err == ERR_NONE && one.id == range->after_job;
        if (err == ERR_NONE)
            err = scan_job(txn, &one, begun ? range->after : SPAN_NONE,
                begun ? range->after_module : SPAN_NONE, visit, self);
        from = one.id + 1;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}
