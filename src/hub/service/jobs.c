/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduled jobs as their users see them; job_engine.c does what they ask for. */
#include "job_document.h"

#include "ids.h"
#include "metrics.h"
#include "query_token.h"

#define SECONDS_DEFAULT 3600
#define ITEMS_DEFAULT 100
#define PAGE_BYTES (3u * 1024u * 1024u) /* as queries */
#define DROP_DEVICES 1000               /* of an old job, to make room for a new one */
#define DAY_US (INT64_C(86400) * 1000000)

/* ---- a new one ------------------------------------------------------------------------------- */

static bool is_absent(const struct json *member)
{
    return member == NULL || member->kind == JSON_NULL;
}

/* "query" is another path. */
static enum err check_id(struct rest *rest)
{
    const struct json *id = json_find_text(rest->body, "jobId");
    struct span name = rest->arguments[0];
    enum err err = ids_check_device(name, rest->why);
    if (err != ERR_NONE) {
        why_prefix(rest->why, "the id of the job");
        return err;
    }
    if (span_eq_nocase(name, SPAN_LIT("query")))
        return fail(ERR_ARGUMENT, rest->why, "\"query\" cannot be the id of a job");
    if (!is_absent(id) && (id->kind != JSON_STRING || !span_eq(id->text, name)))
        return fail(ERR_ARGUMENT, rest->why, "jobId of the body is not that of the path");
    return ERR_NONE;
}

static enum err read_kind(struct rest *rest, struct scheduled_job *job)
{
    const struct json *type = json_find_text(rest->body, "type");
    int kind = -1;
    if (json_is(type, JSON_STRING))
        (void)job_kind_find(type->text, &kind);
    if (kind < 0)
        return fail(ERR_ARGUMENT, rest->why,
            "type must be \"scheduleUpdateTwin\" or \"scheduleDeviceMethod\"");
    job->kind = (enum scheduled_kind)kind;
    return ERR_NONE;
}

/* Without a zone it is UTC: Python's isoformat() writes none. An empty one is none. */
static enum err read_start(struct rest *rest, const struct json *start, int64_t *start_us)
{
    struct why ignored;
    if (is_absent(start) || (start->kind == JSON_STRING && start->text.len == 0))
        return ERR_NONE;
    if (start->kind != JSON_STRING)
        return fail(ERR_ARGUMENT, rest->why, "startTime is %s, it must be a time as a string",
            json_kind_name(start));
    const char *zoned = arena_format(rest->arena, "%.*sZ", SPAN_ARG(start->text));
    if (zoned == NULL)
        return ERR_MEMORY;
    if (clock_parse(span_of(zoned), start_us, &ignored) == ERR_NONE)
        return ERR_NONE;
    if (clock_parse(start->text, start_us, rest->why) == ERR_NONE)
        return ERR_NONE;
    why_prefix(rest->why, "startTime");
    return ERR_ARGUMENT;
}

static enum err read_times(struct rest *rest, struct scheduled_job *job)
{
    const struct job_bounds *bounds = &rest->service->options.limits.job;
    const struct json *start = json_find_text(rest->body, "startTime");
    const struct json *seconds = json_find_text(rest->body, "maxExecutionTimeInSeconds");
    int64_t now = now_us(rest->service);
    job->start_us = now;
    job->seconds = SECONDS_DEFAULT < bounds->seconds ? SECONDS_DEFAULT : bounds->seconds;
    enum err err = read_start(rest, start, &job->start_us);
    if (err != ERR_NONE)
        return err;
    if (job->start_us < 0) /* .NET's unset time is in year 1 */
        job->start_us = now;
    if (job->start_us > now + (int64_t)bounds->start_days * DAY_US)
        return fail(ERR_ARGUMENT, rest->why,
            "startTime is more than %u days ahead (limits.job_start_days)", bounds->start_days);
    if (is_absent(seconds) || (json_int64(seconds, &job->seconds) && job->seconds >= 1 &&
                                  job->seconds <= (int64_t)bounds->seconds))
        return ERR_NONE;
    return fail(ERR_ARGUMENT, rest->why,
        "maxExecutionTimeInSeconds must be a whole number from 1 to %u (limits.job_seconds)",
        bounds->seconds);
}

enum err jobs_prepare(struct rest *rest)
{
    struct job_plan plan;
    struct scheduled_job *job = arena_alloc(rest->arena, sizeof(*job));
    if (job == NULL)
        return ERR_MEMORY;
    rest->input = job;
    if (!json_is(rest->body, JSON_OBJECT))
        return fail(ERR_ARGUMENT, rest->why, "the body is %s, it must be an object",
            json_kind_name(rest->body));
    enum err err = check_id(rest);
    if (err == ERR_NONE)
        err = read_kind(rest, job);
    if (err == ERR_NONE)
        err = read_times(rest, job);
    if (err == ERR_NONE)
        err = job_plan_read(rest->service, rest->arena, job->kind, rest->body, &plan, rest->why);
    if (err == ERR_NONE)
        err = job_document_write(rest->arena, job->kind, rest->body, &job->document);
    job->name = rest->arguments[0];
    return err;
}

/* ---- creating, reading, cancelling ----------------------------------------------------------- */

static enum err check_room(struct rest *rest)
{
    const struct job_bounds *bounds = &rest->service->options.limits.job;
    struct scheduled_totals totals;
    enum err err = store_scheduled_count(rest->txn, rest->hub_id, &totals);
    if (err == ERR_NONE && totals.open >= bounds->waiting)
        return fail(ERR_TOO_MANY_JOBS, rest->why,
            "%llu jobs of the hub wait or run, at most %zu may (limits.jobs)",
            (unsigned long long)totals.open, bounds->waiting);
    return err;
}

/* So that jobs that come and go fast are dropped as fast. */
static enum err drop_old(struct rest *rest)
{
    const struct job_bounds *bounds = &rest->service->options.limits.job;
    const struct scheduled_keep keep = {
        .since_us = INT64_MIN, .jobs = bounds->history, .devices = UINT64_MAX};
    size_t dropped;
    return store_scheduled_prune(rest->txn, rest->hub_id, &keep, DROP_DEVICES, &dropped);
}

static enum err respond(struct rest *rest, const struct scheduled_job *job)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = job_write(job, &body);
    return err == ERR_NONE ? respond_json(rest, 200, &body) : err;
}

static enum err get(struct rest *rest, struct scheduled_job *ret_job)
{
    enum err err =
        store_scheduled_get(rest->txn, rest->arena, rest->hub_id, rest->arguments[0], ret_job);
    if (err == ERR_NOT_FOUND)
        return fail(
            ERR_JOB_NOT_FOUND, rest->why, "there is no job \"%.*s\"", SPAN_ARG(rest->arguments[0]));
    return err;
}

enum err jobs_create(struct rest *rest)
{
    struct scheduled_job job = *(const struct scheduled_job *)rest->input;
    struct scheduled_job other;
    struct effect *effect;
    enum err err = get(rest, &other);
    if (err == ERR_NONE)
        return fail(
            ERR_JOB_EXISTS, rest->why, "there is a job \"%.*s\" already", SPAN_ARG(job.name));
    if (err == ERR_JOB_NOT_FOUND)
        err = check_room(rest);
    if (err == ERR_NONE)
        err = rest_add_effect(rest, EFFECT_JOBS, &effect);
    if (err != ERR_NONE)
        return err;
    job.hub_id = rest->hub_id;
    job.status = SCHEDULED_QUEUED;
    job.open = true;
    job.created_us = now_us(rest->service);
    err = store_scheduled_put(rest->txn, &job, &job.id);
    if (err == ERR_NONE)
        err = drop_old(rest);
    return err == ERR_NONE ? respond(rest, &job) : err;
}

enum err jobs_get(struct rest *rest)
{
    struct scheduled_job job;
    enum err err = get(rest, &job);
    return err == ERR_NONE ? respond(rest, &job) : err;
}

/* What has begun is ended by the engine, device by device; it is cancelled from now on. */
enum err jobs_cancel(struct rest *rest)
{
    struct scheduled_job job;
    struct effect *effect;
    enum err err = get(rest, &job);
    if (err != ERR_NONE)
        return err;
    if (job.status == SCHEDULED_CANCELLED)
        return respond(rest, &job);
    if (job.status == SCHEDULED_COMPLETED || job.status == SCHEDULED_FAILED)
        return fail(ERR_OPERATION, rest->why, "the job \"%.*s\" has ended, it cannot be cancelled",
            SPAN_ARG(job.name));
    err = rest_add_effect(rest, EFFECT_JOBS, &effect);
    if (err != ERR_NONE)
        return err;
    job.open = job.status == SCHEDULED_RUNNING;
    job.status = SCHEDULED_CANCELLED;
    job.end_us = now_us(rest->service);
    err = store_scheduled_update(rest->txn, &job);
    if (err == ERR_NONE)
        metrics_add(METRIC_JOBS, JOB_CANCELLED, 1);
    return err == ERR_NONE ? respond(rest, &job) : err;
}

/* ---- the list -------------------------------------------------------------------------------- */

struct listing {
    struct scheduled_range range;
    struct span text; /* what is asked for, by which a token is known */
    uint64_t items;
    struct buf rows;
    uint64_t count;
    int64_t last;
    bool more;
};

static void release(struct rest *rest)
{
    struct listing *listing = rest->input;
    buf_done(&listing->rows);
}

static enum err read_word(struct rest *rest, const char *name,
    bool (*find)(struct span word, int *ret_number), const char *(*words)(void), int *ret_number,
    bool *ret_given)
{
    struct span word;
    enum err err = rest_parameter(rest, name, &word);
    *ret_number = -1;
    *ret_given = err == ERR_NONE && word.len > 0;
    if (!*ret_given || find(word, ret_number))
        return err;
    return fail(ERR_ARGUMENT, rest->why, "%s is \"%.*s\", it must be one of: %s", name,
        SPAN_ARG(word), words());
}

static enum err read_place(struct rest *rest, struct listing *listing)
{
    struct query_token place = {0};
    const char *text =
        arena_format(rest->arena, "jobs %d %d", listing->range.kind, listing->range.status);
    if (text == NULL)
        return ERR_MEMORY;
    listing->text = span_of(text);
    listing->range.before = INT64_MAX;
    if (rest->call->continuation.len == 0)
        return ERR_NONE;
    enum err err = query_token_read(
        rest->arena, rest->call->continuation, listing->text, rest->hub_id, &place, rest->why);
    if (err == ERR_NONE && place.skip <= INT64_MAX)
        listing->range.before = (int64_t)place.skip;
    return err;
}

enum err jobs_prepare_list(struct rest *rest)
{
    struct listing *listing = arena_alloc(rest->arena, sizeof(*listing));
    bool kind_given;
    bool status_given;
    if (listing == NULL)
        return ERR_MEMORY;
    rest->input = listing;
    rest->release = release;
    enum err err = read_word(
        rest, "jobType", job_kind_find, job_kind_words, &listing->range.kind, &kind_given);
    if (err == ERR_NONE)
        err = read_word(rest, "jobStatus", job_status_find, job_status_words,
            &listing->range.status, &status_given);
    if (err == ERR_NONE)
        err = rest_max_items(rest, ITEMS_DEFAULT, &listing->items);
    if (err == ERR_NONE)
        err = read_place(rest, listing);
    if (err != ERR_NONE)
        return err;
    /* A word of IoT Hub that none of ours can be: there is no such job. */
    bool none =
        (kind_given && listing->range.kind < 0) || (status_given && listing->range.status < 0);
    listing->range.limit = none ? 0 : listing->items + 1;
    return ERR_NONE;
}

static enum err visit(void *self, const struct scheduled_job *job)
{
    struct listing *listing = self;
    if (listing->count >= listing->items || listing->rows.len >= PAGE_BYTES) {
        listing->more = true;
        return ERR_CANCELLED;
    }
    buf_add_text(&listing->rows, listing->count++ == 0 ? "" : ",");
    listing->last = job->id;
    return job_write(job, &listing->rows);
}

static enum err add_token(struct rest *rest, const struct listing *listing)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct span value;
    const struct query_token token = {.skip = (uint64_t)listing->last};
    if (!query_token_write(&token, listing->text, rest->hub_id, &text) ||
        !arena_span(rest->arena, buf_span(&text), &value))
        return ERR_MEMORY;
    respond_header(rest->call, "x-ms-continuation", value);
    return ERR_NONE;
}

enum err jobs_list(struct rest *rest)
{
    struct listing *listing = rest->input;
    buf_clear(&listing->rows);
    buf_add_byte(&listing->rows, '[');
    listing->count = 0;
    listing->more = false;
    enum err err = store_scheduled_list(rest->txn, rest->hub_id, &listing->range, visit, listing);
    if (err != ERR_NONE && !listing->more)
        return err;
    buf_add_byte(&listing->rows, ']');
    err = respond_json(rest, 200, &listing->rows);
    if (err != ERR_NONE)
        return err;
    respond_header(rest->call, "x-ms-item-type", SPAN_LIT("jobResponse"));
    return listing->more ? add_token(rest, listing) : ERR_NONE;
}
