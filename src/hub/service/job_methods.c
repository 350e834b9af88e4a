/* SPDX-License-Identifier: Apache-2.0 */
#include "job_engine.h"

#include "log.h"
#include "metrics.h"

#include <inttypes.h>

struct job_call {
    struct method_call call;
    struct job_call *next;
    struct job_run *run;
    struct store_job job;
    struct device_job device;
    struct buf outcome;
    struct buf error;
    bool moved;
    char ids[]; /* of device and module */
};

struct job_call *job_call_new(struct job_run *run, const struct device_job *device)
{
    size_t device_len = device->device_id.len;
    size_t module_len = device->module_id.len;
    struct job_call *self = mem_alloc(sizeof(*self) + device_len + module_len);
    if (self == NULL)
        return NULL;
    memcpy(self->ids, device->device_id.ptr, device_len);
    if (module_len > 0)
        memcpy(self->ids + device_len, device->module_id.ptr, module_len);
    self->run = run;
    self->device = *device;
    self->device.device_id = (struct span){self->ids, device_len};
    self->device.module_id = (struct span){self->ids + device_len, module_len};
    self->call = run->plan.method;
    self->call.hub_id = run->hub->hub_id;
    self->call.device_id = self->device.device_id;
    self->call.module_id = self->device.module_id;
    return self;
}

void job_calls_free(struct job_call *calls)
{
    while (calls != NULL) {
        struct job_call *next = calls->next;
        buf_done(&calls->outcome);
        buf_done(&calls->error);
        mem_free(calls);
        calls = next;
    }
}

struct job_call *job_call_before(struct job_call *call, struct job_call *next)
{
    call->next = next;
    return call;
}

/* ---- storing what became of one -------------------------------------------------------------- */

/* It may be over by now: its job took too long. */
static enum err save_run(struct store_job *job, struct store_txn *txn)
{
    struct job_call *self = (struct job_call *)((char *)job - offsetof(struct job_call, job));
    enum err err = store_device_job_move(txn, &self->device, DEVICE_JOB_RUNNING);
    self->moved = err == ERR_NONE;
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static void keep_unsaved(struct job_call *self)
{
    struct job_engine *engine = self->run->engine;
    pthread_mutex_lock(&engine->lock);
    self->next = engine->unsaved;
    engine->unsaved = self;
    pthread_mutex_unlock(&engine->lock);
}

static void save_done(struct store_job *job, enum err result)
{
    struct job_call *self = (struct job_call *)((char *)job - offsetof(struct job_call, job));
    struct job_run *run = self->run;
    struct service *service = run->engine->service;
    if (result != ERR_NONE) {
        log_warn("service", "the outcome of a job's method cannot be stored now: %s",
            why_text(&job->why, result));
        keep_unsaved(self);
        own_job_end(service);
        return;
    }
    if (self->moved && self->device.status == DEVICE_JOB_COMPLETED)
        metrics_add(METRIC_JOB_DEVICES, JOB_COMPLETED, 1);
    else if (self->moved && self->device.status == DEVICE_JOB_FAILED)
        metrics_add(METRIC_JOB_DEVICES, JOB_FAILED, 1);
    job_calls_free(self);
    job_call_ended(run);
    own_job_end(service);
}

static void save(struct job_call *self)
{
    self->next = NULL;
    self->job.run = save_run;
    self->job.done = save_done;
    store_submit(self->run->engine->service->options.store, STORE_WRITE, &self->job);
}

void job_methods_save_again(struct job_engine *engine)
{
    struct service *service = engine->service;
    if (!store_can_write(service->options.store))
        return;
    pthread_mutex_lock(&engine->lock);
    struct job_call *unsaved = engine->unsaved;
    engine->unsaved = NULL;
    pthread_mutex_unlock(&engine->lock);
    while (unsaved != NULL) {
        struct job_call *next = unsaved->next;
        own_job_begin(service);
        save(unsaved);
        unsaved = next;
    }
}

/* ---- the outcome ----------------------------------------------------------------------------- */

static void note_error(struct job_call *self, enum err err, const struct why *why)
{
    device_job_write_error(err, why, &self->error);
}

static void note_answer(struct job_call *self, const struct method_response *response)
{
    const struct service_limits *limits = &self->run->engine->service->options.limits;
    AUTO(arena_done) struct arena arena;
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct json *payload = NULL;
    struct why why = {""};
    arena_init(&arena, 0);
    enum err err = method_answer_read(&arena, response, limits->method_bytes, &payload, &why);
    self->device.status = err == ERR_NONE ? DEVICE_JOB_COMPLETED : DEVICE_JOB_FAILED;
    if (err != ERR_NONE) {
        note_error(self, err, &why);
        return;
    }
    if (payload != NULL)
        json_write(payload, &text);
    bool kept = text.len > 0 && !text.failed && text.len <= limits->job.answer_bytes;
    if (text.len > limits->job.answer_bytes) {
        why_set(&why,
            "the answer has %zu bytes, of which none are kept beyond %zu "
            "(limits.job_answer_bytes)",
            text.len, limits->job.answer_bytes);
        note_error(self, ERR_TOO_LARGE, &why);
    }
    buf_add_text(&self->outcome, "{\"deviceMethodResponse\":{\"payload\":");
    buf_add(&self->outcome, kept ? buf_span(&text) : SPAN_LIT("null"));
    buf_add_format(&self->outcome, ",\"status\":%" PRId32 "}}", response->status);
}

/* What was not sent when the server stops waits for the next one. */
static void note_failure(struct job_call *self, const struct method_outcome *outcome)
{
    struct why why;
    self->device.status = DEVICE_JOB_FAILED;
    if (outcome->err != ERR_UNAVAILABLE) {
        note_error(self, outcome->err, outcome->why);
        return;
    }
    if (outcome->sent) {
        why_set(&why, "the server was stopped while the method was under way: whether the device "
                      "has done it is not known");
        note_error(self, outcome->err, &why);
        return;
    }
    self->device.status = DEVICE_JOB_PENDING;
    self->device.start_us = 0;
    self->device.end_us = 0;
}

static void method_done(struct method_call *call, const struct method_outcome *outcome)
{
    struct job_call *self = (struct job_call *)call;
    self->device.end_us = now_us(self->run->engine->service);
    if (outcome->err == ERR_NONE)
        note_answer(self, outcome->response);
    else
        note_failure(self, outcome);
    /* Without memory for the words, what counts is still said. */
    self->device.outcome = self->outcome.failed ? SPAN_NONE : buf_span(&self->outcome);
    self->device.error = self->error.failed ? SPAN_NONE : buf_span(&self->error);
    save(self);
}

void job_methods_begin(struct job_run *run, struct job_call *calls)
{
    struct job_engine *engine = run->engine;
    struct service *service = engine->service;
    pthread_mutex_lock(&engine->lock);
    for (const struct job_call *call = calls; call != NULL; call = call->next)
        run->calls++;
    pthread_mutex_unlock(&engine->lock);
    while (calls != NULL) {
        struct job_call *next = calls->next;
        calls->next = NULL;
        calls->call.done = method_done;
        own_job_begin(service);
        methods_begin(service, &calls->call);
        calls = next;
    }
}
