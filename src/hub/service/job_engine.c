/* SPDX-License-Identifier: Apache-2.0 */
#include "job_engine.h"

#include "log.h"
#include "metrics.h"

#define REST_US 5000000
#define SECOND_US INT64_C(1000000)
#define DAY_US (INT64_C(86400) * SECOND_US)
#define PRUNE_EVERY_US (60 * SECOND_US)

struct job_engine *job_engine_new(struct service *service)
{
    struct job_engine *engine = mem_alloc(sizeof(*engine));
    if (engine == NULL)
        return NULL;
    engine->service = service;
    must(pthread_mutex_init(&engine->lock, NULL) == 0);
    return engine;
}

static void run_free(struct job_run *run)
{
    job_calls_free(run->calls_new);
    arena_done(&run->arena);
    arena_done(&run->step_arena);
    arena_done(&run->page_arena);
    mem_free(run);
}

void job_engine_free(struct job_engine *engine)
{
    if (engine == NULL)
        return;
    for (struct job_run *run = engine->runs; run != NULL;) {
        struct job_run *next = run->next;
        metrics_add(METRIC_JOBS_RUNNING, BY_NOTHING, -1);
        run_free(run);
        run = next;
    }
    for (struct job_hub *hub = engine->hubs; hub != NULL;) {
        struct job_hub *next = hub->next;
        mem_free(hub);
        hub = next;
    }
    job_calls_free(engine->unsaved);
    pthread_mutex_destroy(&engine->lock);
    mem_free(engine);
}

static bool is_draining(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    bool draining = service->draining || service->finishing;
    pthread_mutex_unlock(&service->lock);
    return draining;
}

static int64_t mono(const struct job_engine *engine)
{
    return clock_mono_us(engine->service->options.clock);
}

/* ---- hubs and their rate --------------------------------------------------------------------- */

/* NULL: no memory. */
static struct job_hub *find_hub(struct job_engine *engine, int64_t hub_id)
{
    for (struct job_hub *hub = engine->hubs; hub != NULL; hub = hub->next)
        if (hub->hub_id == hub_id)
            return hub;
    struct job_hub *hub = mem_alloc(sizeof(*hub));
    if (hub == NULL)
        return NULL;
    hub->hub_id = hub_id;
    hub->filled_us = mono(engine);
    hub->tokens_us = SECOND_US;
    hub->next = engine->hubs;
    engine->hubs = hub;
    return hub;
}

/* What a device costs, in the time that fills it up again. */
static int64_t price(const struct job_engine *engine)
{
    int64_t us = SECOND_US / (int64_t)engine->service->options.limits.job.devices_second;
    return us > 0 ? us : 1;
}

static size_t tokens_of(struct job_engine *engine, struct job_hub *hub)
{
    int64_t now = mono(engine);
    hub->tokens_us += now - hub->filled_us;
    hub->filled_us = now;
    if (hub->tokens_us > SECOND_US)
        hub->tokens_us = SECOND_US;
    return (size_t)(hub->tokens_us / price(engine));
}

/* What the next step may begin with: methods no more than may be under way. */
static size_t take_tokens(struct job_engine *engine, struct job_run *run)
{
    size_t most = run->kind == SCHEDULED_METHOD ? JOB_CALLS : JOB_TWINS;
    size_t methods = engine->service->options.limits.job.methods;
    size_t room = run->calls < methods ? methods - run->calls : 0;
    size_t tokens = tokens_of(engine, run->hub);
    if (run->kind == SCHEDULED_METHOD && most > room)
        most = room;
    size_t taken = tokens < most ? tokens : most;
    run->hub->tokens_us -= (int64_t)taken * price(engine);
    return taken;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void step_done(struct store_job *job, enum err result);
static void page_done(struct store_job *job, enum err result);

/* With the lock; true: the caller submits the step without it. */
static bool may_step(struct job_engine *engine, struct job_run *run)
{
    if (run->busy || mono(engine) < run->rest_us)
        return false;
    run->busy = true;
    run->wanted = false;
    run->starving = false;
    run->allowed = take_tokens(engine, run);
    own_job_begin(engine->service);
    return true;
}

static void submit_step(struct job_run *run)
{
    run->job.run = job_step_run;
    run->job.done = step_done;
    store_submit(run->engine->service->options.store, STORE_WRITE, &run->job);
}

static void submit_page(struct job_run *run)
{
    run->job.run = job_page_run;
    run->job.done = page_done;
    store_submit(run->engine->service->options.store, STORE_READ, &run->job);
}

static void unlink_run(struct job_engine *engine, const struct job_run *run)
{
    for (struct job_run **link = &engine->runs; *link != NULL; link = &(*link)->next) {
        if (*link != run)
            continue;
        *link = run->next;
        return;
    }
}

/* The chain ends, or goes on at once if something happened in between. */
static void chain_end(struct job_run *run, enum err err)
{
    struct job_engine *engine = run->engine;
    struct service *service = engine->service;
    pthread_mutex_lock(&engine->lock);
    run->busy = false;
    if (err != ERR_NONE) {
        run->rest_us = mono(engine) + REST_US;
        run->wanted = true;
    }
    bool over = err == ERR_NONE && run->then == STEP_OVER && run->calls == 0;
    if (over) {
        unlink_run(engine, run);
        engine->wanted = true; /* another may have its turn */
    }
    bool again = !over && run->wanted && !is_draining(service) && may_step(engine, run);
    pthread_mutex_unlock(&engine->lock);
    if (over) {
        metrics_add(METRIC_JOBS_RUNNING, BY_NOTHING, -1);
        run_free(run);
    }
    if (again)
        submit_step(run);
    own_job_end(service);
}

/* Gives back what was not used. */
static void settle_tokens(struct job_run *run)
{
    struct job_engine *engine = run->engine;
    pthread_mutex_lock(&engine->lock);
    run->hub->tokens_us += (int64_t)(run->allowed - run->used) * price(engine);
    run->until_us = run->deadline_us;
    run->recovered = run->recovered || run->recovered_now;
    run->starving = run->starving_now;
    pthread_mutex_unlock(&engine->lock);
    run->allowed = 0;
}

static void count_step(const struct job_run *run)
{
    metrics_add(METRIC_JOB_DEVICES, JOB_COMPLETED, (int64_t)run->completed);
    metrics_add(METRIC_JOB_DEVICES, JOB_FAILED, (int64_t)run->failed);
    if (run->ended != SCHEDULED_RUNNING)
        metrics_add(METRIC_JOBS, run->ended == SCHEDULED_COMPLETED ? JOB_COMPLETED : JOB_FAILED, 1);
}

static void step_done(struct store_job *job, enum err result)
{
    struct job_run *run = (struct job_run *)((char *)job - offsetof(struct job_run, job));
    struct job_engine *engine = run->engine;
    if (result != ERR_NONE) {
        log_warn("service", "a scheduled job cannot go on now, it is tried again: %s",
            why_text(&job->why, result));
        run->used = 0;
        run->recovered_now = false;
        run->starving_now = false;
        settle_tokens(run);
        chain_end(run, result);
        return;
    }
    settle_tokens(run);
    count_step(run);
    job_step_tell(run);
    run->paged = false;
    struct job_call *calls = run->calls_new;
    run->calls_new = NULL;
    job_methods_begin(run, calls);
    bool go_on =
        (run->then == STEP_AGAIN || run->then == STEP_PAGE) && !is_draining(engine->service);
    if (!go_on) {
        chain_end(run, ERR_NONE);
    } else if (run->then == STEP_PAGE) {
        submit_page(run);
    } else {
        pthread_mutex_lock(&engine->lock);
        run->allowed = take_tokens(engine, run);
        pthread_mutex_unlock(&engine->lock);
        submit_step(run);
    }
}

static void page_done(struct store_job *job, enum err result)
{
    struct job_run *run = (struct job_run *)((char *)job - offsetof(struct job_run, job));
    if (result != ERR_NONE) {
        log_warn("service", "the devices of a scheduled job cannot be found now: %s",
            why_text(&job->why, result));
        run->then = STEP_REST;
        chain_end(run, result);
        return;
    }
    run->paged = true;
    submit_step(run);
}

void job_call_ended(struct job_run *run)
{
    struct job_engine *engine = run->engine;
    bool draining = is_draining(engine->service);
    pthread_mutex_lock(&engine->lock);
    run->calls--;
    run->wanted = true;
    bool step = !draining && may_step(engine, run);
    pthread_mutex_unlock(&engine->lock);
    if (step)
        submit_step(run);
}

/* ---- the look: which jobs run ---------------------------------------------------------------- */

struct looked {
    struct looked *next;
    struct scheduled_job job;
    bool begins;
};

struct look {
    struct store_job job;
    struct job_engine *engine;
    struct arena arena;
    struct looked *first;
    struct looked *last;
    int64_t due_us;
};

static enum err note_open(void *self, const struct scheduled_job *job)
{
    struct look *look = self;
    struct looked *one = arena_alloc(&look->arena, sizeof(*one));
    if (one == NULL)
        return ERR_MEMORY;
    one->job = *job;
    if (!arena_span(&look->arena, job->after, &one->job.after) ||
        !arena_span(&look->arena, job->after_module, &one->job.after_module) ||
        !arena_span(&look->arena, job->message, &one->job.message))
        return ERR_MEMORY;
    if (look->last == NULL)
        look->first = one;
    else
        look->last->next = one;
    look->last = one;
    return ERR_NONE;
}

static unsigned count_running(const struct look *look, int64_t hub_id)
{
    unsigned running = 0;
    for (const struct looked *one = look->first; one != NULL; one = one->next)
        running += one->job.hub_id == hub_id && one->job.status == SCHEDULED_RUNNING;
    return running;
}

static bool is_before_its_run(const struct scheduled_job *job)
{
    return job->status == SCHEDULED_QUEUED || job->status == SCHEDULED_WAITING;
}

/* Moves one on, if it can be. */
static enum err look_at(struct look *look, struct store_txn *txn, struct looked *one)
{
    const struct service *service = look->engine->service;
    struct scheduled_job *job = &one->job;
    int64_t now = now_us(service);
    if (!is_before_its_run(job)) {
        one->begins = true; /* unless it is there already */
        return ERR_NONE;
    }
    if (job->start_us > now) {
        if (job->start_us < look->due_us)
            look->due_us = job->start_us;
        if (job->status == SCHEDULED_WAITING)
            return ERR_NONE;
        job->status = SCHEDULED_WAITING;
        return store_scheduled_update(txn, job);
    }
    if (count_running(look, job->hub_id) >= service->options.limits.job.running)
        return ERR_NONE;
    job->status = SCHEDULED_RUNNING;
    job->began_us = now;
    one->begins = true;
    return store_scheduled_update(txn, job);
}

static enum err look_run(struct store_job *job, struct store_txn *txn)
{
    struct look *look = (struct look *)job;
    arena_done(&look->arena);
    arena_init(&look->arena, 0);
    look->first = NULL;
    look->last = NULL;
    look->due_us = INT64_MAX;
    enum err err = store_scheduled_open(txn, note_open, look);
    for (struct looked *one = look->first; one != NULL && err == ERR_NONE; one = one->next)
        err = look_at(look, txn, one);
    return err;
}

static bool is_there(const struct job_engine *engine, int64_t id)
{
    for (const struct job_run *run = engine->runs; run != NULL; run = run->next)
        if (run->id == id)
            return true;
    return false;
}

/* With the lock. */
static bool add_run(struct job_engine *engine, const struct scheduled_job *job)
{
    struct job_hub *hub = find_hub(engine, job->hub_id);
    struct job_run *run = hub == NULL ? NULL : mem_alloc(sizeof(*run));
    if (run == NULL)
        return false;
    run->engine = engine;
    run->hub = hub;
    run->id = job->id;
    run->kind = job->kind;
    run->until_us = INT64_MAX;
    run->wanted = true;
    arena_init(&run->arena, 0);
    arena_init(&run->step_arena, 0);
    arena_init(&run->page_arena, 0);
    run->next = engine->runs;
    engine->runs = run;
    metrics_add(METRIC_JOBS_RUNNING, BY_NOTHING, 1);
    return true;
}

static bool needs_step(struct job_engine *engine, struct job_run *run)
{
    return run->wanted || now_us(engine->service) >= run->until_us ||
           (run->starving && tokens_of(engine, run->hub) > 0);
}

/* Begins a step of each run that has something to do. Without the lock. */
static void step_runs(struct job_engine *engine)
{
    struct job_run *ready[64];
    size_t count = 0;
    pthread_mutex_lock(&engine->lock);
    for (struct job_run *run = engine->runs; run != NULL && count < COUNT_OF(ready);
         run = run->next)
        if (needs_step(engine, run) && may_step(engine, run))
            ready[count++] = run;
    pthread_mutex_unlock(&engine->lock);
    for (size_t i = 0; i < count; i++)
        submit_step(ready[i]);
}

static void look_done(struct store_job *job, enum err result)
{
    struct look *look = (struct look *)job;
    struct job_engine *engine = look->engine;
    struct service *service = engine->service;
    bool failed = result != ERR_NONE;
    pthread_mutex_lock(&engine->lock);
    for (const struct looked *one = look->first; one != NULL && !failed; one = one->next)
        if (one->begins && !is_there(engine, one->job.id))
            failed = !add_run(engine, &one->job);
    engine->due_us = look->due_us;
    engine->looking = false;
    if (failed) {
        engine->wanted = true;
        engine->rest_us = mono(engine) + REST_US;
    }
    pthread_mutex_unlock(&engine->lock);
    if (failed)
        log_warn("service", "scheduled jobs cannot be begun now, it is tried again: %s",
            why_text(&job->why, result == ERR_NONE ? ERR_MEMORY : result));
    else if (!is_draining(service))
        step_runs(engine);
    arena_done(&look->arena);
    mem_free(look);
    own_job_end(service);
}

/* With the lock; the look is submitted without it. NULL: there is none to do. */
static struct look *begin_look(struct job_engine *engine)
{
    if (engine->looking || mono(engine) < engine->rest_us)
        return NULL;
    struct look *look = mem_alloc(sizeof(*look));
    if (look == NULL)
        return NULL;
    look->engine = engine;
    look->job.run = look_run;
    look->job.done = look_done;
    arena_init(&look->arena, 0);
    engine->looking = true;
    engine->wanted = false;
    own_job_begin(engine->service);
    return look;
}

static void submit_look(struct job_engine *engine, struct look *look)
{
    if (look != NULL)
        store_submit(engine->service->options.store, STORE_WRITE, &look->job);
}

void jobs_note(struct service *service, int64_t hub_id)
{
    struct job_engine *engine = service->jobs;
    struct look *look = NULL;
    bool draining = is_draining(service);
    pthread_mutex_lock(&engine->lock);
    for (struct job_run *run = engine->runs; run != NULL; run = run->next)
        run->wanted = run->wanted || run->hub->hub_id == hub_id;
    engine->wanted = true;
    if (engine->begun && !draining)
        look = begin_look(engine);
    pthread_mutex_unlock(&engine->lock);
    submit_look(engine, look);
}

/* ---- what is old ----------------------------------------------------------------------------- */

struct prune_job {
    struct store_job job;
    struct job_engine *engine;
    int64_t hub_id;
    size_t dropped;
};

static enum err prune_run(struct store_job *job, struct store_txn *txn)
{
    struct prune_job *prune = (struct prune_job *)job;
    const struct service *service = prune->engine->service;
    const struct job_bounds *bounds = &service->options.limits.job;
    const struct scheduled_keep keep = {
        .since_us = now_us(service) - (int64_t)bounds->history_days * DAY_US,
        .jobs = bounds->history,
        .devices = bounds->history_devices};
    return store_scheduled_prune(txn, prune->hub_id, &keep, JOB_SWEEP, &prune->dropped);
}

static void prune_done(struct store_job *job, enum err result)
{
    struct prune_job *prune = (struct prune_job *)job;
    struct job_engine *engine = prune->engine;
    if (result == ERR_NONE && prune->dropped > 0 && !is_draining(engine->service)) {
        store_submit(engine->service->options.store, STORE_WRITE, job);
        return;
    }
    pthread_mutex_lock(&engine->lock);
    engine->pruning = false;
    pthread_mutex_unlock(&engine->lock);
    mem_free(prune);
    own_job_end(engine->service);
}

/* A hub at a time. Every hub is known here: a look at the hubs' table, not at the disk. */
static void prune(struct job_engine *engine)
{
    struct service *service = engine->service;
    struct prune_job *job = NULL;
    const struct hub_record *record;
    int64_t now = mono(engine);
    const struct hub_table *table = hub_cache_lock(&service->hubs);
    pthread_mutex_lock(&engine->lock);
    for (size_t i = 0; !engine->pruning && (record = hub_at(table, i)) != NULL; i++) {
        struct job_hub *hub = find_hub(engine, record->id);
        if (hub == NULL || now < hub->prune_us)
            continue;
        hub->prune_us = now + PRUNE_EVERY_US;
        job = mem_alloc(sizeof(*job));
        if (job == NULL)
            break;
        *job = (struct prune_job){
            .job = {.run = prune_run, .done = prune_done}, .engine = engine, .hub_id = record->id};
        engine->pruning = true;
        own_job_begin(service);
    }
    pthread_mutex_unlock(&engine->lock);
    hub_cache_unlock(&service->hubs);
    if (job != NULL)
        store_submit(service->options.store, STORE_WRITE, &job->job);
}

void jobs_tick(struct service *service)
{
    struct job_engine *engine = service->jobs;
    struct look *look = NULL;
    if (is_draining(service))
        return;
    pthread_mutex_lock(&engine->lock);
    if (!engine->begun || engine->wanted || now_us(service) >= engine->due_us)
        look = begin_look(engine);
    engine->begun = true;
    pthread_mutex_unlock(&engine->lock);
    submit_look(engine, look);
    step_runs(engine);
    job_methods_save_again(engine);
    prune(engine);
}
