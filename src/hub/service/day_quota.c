/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many messages each hub had today, carried over a restart: read before the first of them, then
 * written down every few seconds and at the end. A server that is killed forgets what came since.
 */
#include "gate.h"

#include "log.h"

#define SAVE_EVERY_US 5000000

static bool is_limited(const struct service *service)
{
    return service->gate != NULL && service->options.limits.throttle.daily_messages > 0;
}

struct load_job {
    struct store_job job;
    struct service *service;
};

static enum err load(struct store_job *job, struct store_txn *txn)
{
    struct service *service = ((struct load_job *)job)->service;
    const struct hub_record *hub;
    enum err err = ERR_NONE;
    const struct hub_table *table = hub_cache_lock(&service->hubs);
    for (size_t i = 0; err == ERR_NONE && (hub = hub_at(table, i)) != NULL; i++) {
        struct hub_day day;
        err = store_hub_day_get(txn, hub->id, &day);
        if (err == ERR_NONE)
            gate_set_day(service->gate, &(struct throttle_day){hub->id, day.day, day.messages});
    }
    hub_cache_unlock(&service->hubs);
    return err;
}

enum err day_quota_load(struct service *service, struct why *why)
{
    struct load_job load_job = {.job = {.run = load}, .service = service};
    if (!is_limited(service))
        return ERR_NONE;
    enum err err = store_run(service->options.store, STORE_READ, &load_job.job);
    if (err != ERR_NONE)
        why_set(why, "the messages of today cannot be read: %s", why_text(&load_job.job.why, err));
    return err;
}

struct save_job {
    struct store_job job;
    struct service *service;
    struct throttle_day day;
};

/* The hub may have been deleted. */
static enum err save_run(struct store_job *job, struct store_txn *txn)
{
    const struct throttle_day *day = &((struct save_job *)job)->day;
    const struct hub_day stored = {day->day, day->messages};
    enum err err = store_hub_day_put(txn, day->hub_id, &stored);
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}

static void save_done(struct store_job *job, enum err result)
{
    struct save_job *save = (struct save_job *)job;
    struct service *service = save->service;
    if (result != ERR_NONE)
        log_warn("service", "the messages of today cannot be written down: %s",
            why_text(&job->why, result));
    mem_free(save);
    own_job_end(service);
}

void day_quota_save(struct service *service)
{
    struct throttle_day day;
    while (is_limited(service) && gate_take_day(service->gate, &day)) {
        struct save_job *save = mem_alloc(sizeof(*save));
        if (save == NULL)
            return;
        *save = (struct save_job){
            .job = {.run = save_run, .done = save_done}, .service = service, .day = day};
        own_job_begin(service);
        store_submit(service->options.store, STORE_WRITE, &save->job);
    }
}

void day_quota_tick(struct service *service)
{
    int64_t now = clock_mono_us(service->options.clock);
    pthread_mutex_lock(&service->lock);
    bool due = now >= service->day_quota_mono_us;
    if (due)
        service->day_quota_mono_us = now + SAVE_EVERY_US;
    pthread_mutex_unlock(&service->lock);
    if (due)
        day_quota_save(service);
}
