/* SPDX-License-Identifier: Apache-2.0 */
#include "job_document.h"

#include "configuration_set.h"

#include <inttypes.h>

/* The member that says what is to be done. */
static const struct {
    const char *name;
    const char *task;
} kinds[SCHEDULED_KINDS] = {
    [SCHEDULED_UPDATE_TWIN] = {"scheduleUpdateTwin", "updateTwin"},
    [SCHEDULED_METHOD] = {"scheduleDeviceMethod", "cloudToDeviceMethod"},
};

static const char *const status_names[SCHEDULED_STATUSES] = {
    [SCHEDULED_QUEUED] = "queued",
    [SCHEDULED_WAITING] = "scheduled",
    [SCHEDULED_RUNNING] = "running",
    [SCHEDULED_COMPLETED] = "completed",
    [SCHEDULED_FAILED] = "failed",
    [SCHEDULED_CANCELLED] = "cancelled",
};

/* Azure's rows spell the last one so. */
static const char *const device_status_names[DEVICE_JOB_STATUSES] = {
    [DEVICE_JOB_PENDING] = "pending",
    [DEVICE_JOB_RUNNING] = "running",
    [DEVICE_JOB_COMPLETED] = "completed",
    [DEVICE_JOB_FAILED] = "failed",
    [DEVICE_JOB_CANCELLED] = "canceled",
};

/* ---- words ----------------------------------------------------------------------------------- */

static bool is_word_of(struct span word, const char *words)
{
    struct span rest = span_of(words);
    struct span one;
    while (span_cut(&rest, ' ', &one))
        if (span_eq_nocase(one, word))
            return true;
    return false;
}

const char *job_kind_words(void)
{
    return "unknown export import backup readDeviceProperties writeDeviceProperties "
           "updateDeviceConfiguration rebootDevice factoryResetDevice firmwareUpdate "
           "scheduleDeviceMethod scheduleUpdateTwin restoreFromBackup failoverDataCopy";
}

const char *job_status_words(void)
{
    return "unknown enqueued running completed failed cancelled scheduled queued";
}

bool job_kind_find(struct span word, int *ret_kind)
{
    *ret_kind = -1;
    for (int i = 0; i < SCHEDULED_KINDS; i++)
        if (span_eq_nocase(word, span_of(kinds[i].name)))
            *ret_kind = i;
    return *ret_kind >= 0 || is_word_of(word, job_kind_words());
}

bool job_status_find(struct span word, int *ret_status)
{
    *ret_status = -1;
    for (int i = 0; i < SCHEDULED_STATUSES; i++)
        if (span_eq_nocase(word, span_of(status_names[i])))
            *ret_status = i;
    return *ret_status >= 0 || is_word_of(word, job_status_words());
}

const char *job_kind_name(enum scheduled_kind kind)
{
    return kinds[kind].name;
}

/* ---- what is asked --------------------------------------------------------------------------- */

static bool is_absent(const struct json *member)
{
    return member == NULL || member->kind == JSON_NULL;
}

static enum err read_condition(
    struct arena *arena, const struct json *json, struct query **ret_query, struct why *why)
{
    const struct json *text = json_find_text(json, "queryCondition");
    if (!json_is(text, JSON_STRING) || span_trim(text->text).len == 0)
        return fail(ERR_ARGUMENT, why,
            "queryCondition must be what stands behind WHERE, \"*\" for all devices, or \"FROM "
            "devices.modules WHERE …\"");
    return configuration_read_condition(arena, text->text, "queryCondition", ret_query, why);
}

/* Judged by what it would make of a new twin. */
static enum err read_update(const struct service *service, struct arena *arena,
    const struct json *update, struct job_plan *plan, struct why *why)
{
    struct twin_doc twin;
    struct twin_change change;
    const struct json *etag = json_find_text(update, "etag");
    if (!is_absent(etag) && etag->kind != JSON_STRING)
        return fail(ERR_ARGUMENT, why, "updateTwin.etag must be a string");
    if (!is_absent(etag))
        plan->match = match_of(etag->text);
    plan->update = update;
    enum err err = twin_new(arena, now_us(service), &twin);
    if (err == ERR_NONE)
        err = twin_apply(arena, &twin, TWIN_PATCH, update, &service->options.limits.twin,
            now_us(service), &change, why);
    if (err == ERR_ARGUMENT)
        why_prefix(why, "updateTwin");
    return err;
}

/* The task of this kind, and no other. */
static enum err find_task(const struct json *json, enum scheduled_kind kind,
    const struct json **ret_task, struct why *why)
{
    const struct json *task = json_find_text(json, kinds[kind].task);
    for (int i = 0; i < SCHEDULED_KINDS; i++)
        if (i != (int)kind && !is_absent(json_find_text(json, kinds[i].task)))
            return fail(ERR_ARGUMENT, why, "a job of type %s has %s, and not %s", kinds[kind].name,
                kinds[kind].task, kinds[i].task);
    if (!json_is(task, JSON_OBJECT))
        return fail(ERR_ARGUMENT, why, "a job of type %s needs %s, an object; it is %s",
            kinds[kind].name, kinds[kind].task, task == NULL ? "missing" : json_kind_name(task));
    *ret_task = task;
    return ERR_NONE;
}

enum err job_plan_read(const struct service *service, struct arena *arena, enum scheduled_kind kind,
    const struct json *json, struct job_plan *ret_plan, struct why *why)
{
    const struct json *task = NULL;
    struct job_plan plan = {0};
    enum err err = find_task(json, kind, &task, why);
    if (err == ERR_NONE)
        err = read_condition(arena, json, &plan.condition, why);
    if (err == ERR_NONE && kind == SCHEDULED_UPDATE_TWIN) {
        err = read_update(service, arena, task, &plan, why);
    } else if (err == ERR_NONE) {
        err =
            method_call_read(arena, task, service->options.limits.method_bytes, &plan.method, why);
        if (err == ERR_ARGUMENT)
            why_prefix(why, "cloudToDeviceMethod");
    }
    if (err == ERR_NONE)
        *ret_plan = plan;
    return err;
}

enum err job_document_write(struct arena *arena, enum scheduled_kind kind, const struct json *body,
    struct span *ret_document)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    buf_add_text(&out, "{\"queryCondition\":");
    json_write(json_find_text(body, "queryCondition"), &out);
    buf_add_format(&out, ",\"%s\":", kinds[kind].task);
    json_write(json_find_text(body, kinds[kind].task), &out);
    buf_add_byte(&out, '}');
    return !out.failed && arena_span(arena, buf_span(&out), ret_document) ? ERR_NONE : ERR_MEMORY;
}

/* ---- what is shown --------------------------------------------------------------------------- */

static void write_id(const char *name, struct span id, struct buf *out)
{
    buf_add_format(out, "\"%s\":", name);
    json_write_string(id, out);
}

static void write_counts(const struct scheduled_job *job, struct buf *out)
{
    buf_add_format(out,
        ",\"deviceJobStatistics\":{\"deviceCount\":%" PRIu64 ",\"failedCount\":%" PRIu64
        ",\"succeededCount\":%" PRIu64 ",\"runningCount\":%" PRIu64 ",\"pendingCount\":%" PRIu64
        "}",
        job->devices, job->failed, job->succeeded, job->running, job->pending);
}

enum err job_write(const struct scheduled_job *job, struct buf *out)
{
    if ((unsigned)job->kind >= SCHEDULED_KINDS || (unsigned)job->status >= SCHEDULED_STATUSES ||
        job->document.len < 2)
        return ERR_CORRUPT;
    buf_add_byte(out, '{');
    write_id("jobId", job->name, out);
    buf_add_byte(out, ',');
    /* The document is an object: its members stand among the others. */
    buf_add(out, (struct span){job->document.ptr + 1, job->document.len - 2});
    write_time_member(out, "createdTime", job->created_us);
    write_time_member(out, "startTime", job->start_us);
    if (job->end_us > 0)
        write_time_member(out, "endTime", job->end_us);
    buf_add_format(out, ",\"maxExecutionTimeInSeconds\":%" PRId64 ",\"type\":\"%s\"", job->seconds,
        kinds[job->kind].name);
    buf_add_format(out, ",\"status\":\"%s\"", status_names[job->status]);
    if (job->message.len > 0) {
        write_text_member(out, "failureReason", job->message);
        write_text_member(out, "statusMessage", job->message);
    }
    write_counts(job, out);
    buf_add_byte(out, '}');
    return out->failed ? ERR_MEMORY : ERR_NONE;
}

void device_job_write(const struct device_job *job, struct buf *out)
{
    int64_t updated_us = job->end_us > 0     ? job->end_us
                         : job->start_us > 0 ? job->start_us
                                             : job->created_us;
    buf_add_byte(out, '{');
    write_id("deviceId", job->device_id, out);
    if (job->module_id.len > 0)
        write_text_member(out, "moduleId", job->module_id);
    write_text_member(out, "jobId", job->job_name);
    write_text_member(out, "jobType", span_of(kinds[job->kind].name));
    write_text_member(out, "status", span_of(device_status_names[job->status]));
    if (job->start_us > 0)
        write_time_member(out, "startTimeUtc", job->start_us);
    if (job->end_us > 0)
        write_time_member(out, "endTimeUtc", job->end_us);
    write_time_member(out, "createdDateTimeUtc", job->created_us);
    write_time_member(out, "lastUpdatedDateTimeUtc", updated_us);
    buf_add_text(out, ",\"outcome\":");
    buf_add(out, job->outcome.len > 0 ? job->outcome : SPAN_LIT("{}"));
    if (job->error.len > 0) {
        buf_add_text(out, ",\"error\":");
        buf_add(out, job->error);
    }
    buf_add_byte(out, '}');
}

static bool field_of(const struct query_source *self, enum query_field field, struct arena *arena,
    struct query_value *ret_value)
{
    const struct device_job_document *document = (const struct device_job_document *)self;
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    struct span text;
    *ret_value = (struct query_value){0};
    if (field != QUERY_JOB)
        return true;
    device_job_write(document->job, &out);
    if (out.failed || !arena_span(arena, buf_span(&out), &text))
        return false;
    *ret_value = query_value_json(VALUE_OBJECT, text);
    return true;
}

struct device_job_document device_job_document_of(const struct device_job *job)
{
    return (struct device_job_document){.source = {.field = field_of}, .job = job};
}

void device_job_write_error(enum err err, const struct why *why, struct buf *out)
{
    buf_add_text(out, "{\"code\":");
    json_write_string(span_of(err_row(err)->hub_name), out);
    write_text_member(out, "description", span_of(why_text(why, err)));
    buf_add_byte(out, '}');
}
