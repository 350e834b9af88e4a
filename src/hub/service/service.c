/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

#include "gate.h"
#include "log.h"
#include "messages.h"
#include "methods.h"
#include "metrics.h"
#include "settings_doc.h"

const struct service_limits service_limits_default = {
    .twin = TWIN_LIMITS_DEFAULT,
    .query =
        {.bytes = 8192, .depth = 32, .terms = 500, .seconds = 30, .running = 32, .groups = 10000},
    .job =
        {
            .waiting = 100,
            .running = 10,
            .devices_second = 500,
            .methods = 200,
            .seconds = 172800,
            .start_days = 30,
            .answer_bytes = 8192,
            .history = 1000,
            .history_devices = 2000000,
            .history_days = 30,
        },
    .request_bytes = 1024 * 1024,
    .event_bytes = 256 * 1024,
    .method_bytes = 128 * 1024,
    .methods_per_device = 5000,
    .message_bytes = 64 * 1024,
    .messages_per_device = 50,
    .message_seconds = 3600,
    .message_hours = 48,
    .message_deliveries = 10,
    .message_lock_seconds = 60,
    .modules_per_device = 50,
    .certificates_per_hub = 25,
    .enrollments = 1000000,
    .enrollment_groups = 100,
    .devices_per_hub = 1000000,
    .configurations = 100,
    .configuration_metrics = 5,
    .configuration_seconds = 300,
    .bulk_items = 100,
    .list_items = 1000,
    .skew_seconds = 300,
    .event_retention_hours = 24,
    .lifecycle_events = 1,
    .twin_events = 1,
    .connection_events = 1,
    .history_entries = 50,
    .history_days = 365,
    .throttle = {.burst_seconds = 60, .queue_seconds = 10, .waiting = 10000, .callers = 65536},
    .access =
        {
            .session_idle_minutes = 480,
            .session_hours = 24,
            .session_note_seconds = 60,
            .sessions = 20,
            .accounts = 1000,
            .password_characters = 12,
            .password_threads = 2,
            .password_waiting = 64,
            .attempts = 3,
            .address_attempts = 20,
            .delay_seconds = 1,
            .delay_max_seconds = 300,
            .delay_forget_minutes = 60,
            .audit_retention_days = 365,
            .audit_entries = 10000000,
            .audit_items = 1000,
        },
};

struct open_job {
    struct store_job job;
    struct hub_table *table;
};

static enum err read_hubs(struct store_job *job, struct store_txn *txn)
{
    struct open_job *open = (struct open_job *)job;
    hub_table_free(open->table);
    open->table = NULL;
    return hub_table_read(txn, &open->table);
}

static bool prepare(struct service *service, const struct clock *clock)
{
    settings_write_schema(&service->schema);
    service->watches = watch_table_new();
    service->methods = method_table_new(clock);
    service->configurator = configurator_new(service);
    service->jobs = job_engine_new(service);
    return service->watches != NULL && service->methods != NULL && service->configurator != NULL &&
           service->jobs != NULL && !service->schema.failed;
}

static void service_free(struct service *service)
{
    if (service == NULL)
        return;
    watch_table_free(service->watches);
    method_table_free(service->methods);
    configurator_free(service->configurator);
    job_engine_free(service->jobs);
    buf_done(&service->schema);
    mem_free(service);
}

static bool name_operation(unsigned operation, const char **ret_method, const char **ret_path)
{
    if (operation >= rest_operation_count)
        return false;
    *ret_method = rest_operations[operation].method;
    *ret_path = rest_operations[operation].path;
    return true;
}

enum err service_open(
    const struct service_options *options, struct service **ret_service, struct why *why)
{
    struct open_job open = {.job = {.run = read_hubs}};
    struct service *service = mem_alloc(sizeof(*service));
    if (service == NULL || !prepare(service, options->clock)) {
        service_free(service);
        return fail(ERR_MEMORY, why, "no memory for the service");
    }
    enum err err = store_run(options->store, STORE_READ, &open.job);
    if (err != ERR_NONE) {
        why_set(why, "the hubs cannot be read: %s", why_text(&open.job.why, err));
        service_free(service);
        return err;
    }
    err = password_pool_new(options->clock, &options->limits.access, &service->passwords, why);
    if (err != ERR_NONE) {
        hub_table_free(open.table);
        service_free(service);
        return err;
    }
    err = gate_new(options->clock, &options->limits.throttle, &service->gate, why);
    if (err != ERR_NONE) {
        password_pool_free(service->passwords);
        hub_table_free(open.table);
        service_free(service);
        return err;
    }
    service->options = *options;
    hub_cache_init(&service->hubs);
    hub_cache_put(&service->hubs, open.table);
    err = hubs_cover_and_wait(service);
    if (err == ERR_NONE)
        err = day_quota_load(service, why);
    if (err != ERR_NONE) {
        gate_free(service->gate);
        hub_cache_done(&service->hubs);
        password_pool_free(service->passwords);
        service_free(service);
        return err;
    }
    must(pthread_mutex_init(&service->lock, NULL) == 0);
    must(pthread_cond_init(&service->idle, NULL) == 0);
    metrics_name_operations(name_operation);
    bus_set_event_listener(options->bus, events_appended, service);
    bus_set_twin_listener(options->bus, watches_wake, service);
    *ret_service = service;
    return ERR_NONE;
}

void service_close(struct service *service)
{
    if (service == NULL)
        return;
    service_release_parked(service);
    day_quota_save(service);
    pthread_mutex_lock(&service->lock);
    while (service->own_jobs > 0)
        pthread_cond_wait(&service->idle, &service->lock);
    pthread_mutex_unlock(&service->lock);
    /* Only now: the jobs tell the bus, which calls the listeners. */
    bus_set_event_listener(service->options.bus, NULL, NULL);
    bus_set_twin_listener(service->options.bus, NULL, NULL);
    gate_free(service->gate);
    password_pool_free(service->passwords);
    hub_cache_done(&service->hubs);
    pthread_cond_destroy(&service->idle);
    pthread_mutex_destroy(&service->lock);
    service_free(service);
}

void own_job_begin(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    service->own_jobs++;
    pthread_mutex_unlock(&service->lock);
}

void own_job_end(struct service *service)
{
    pthread_mutex_lock(&service->lock);
    if (--service->own_jobs == 0)
        pthread_cond_signal(&service->idle);
    pthread_mutex_unlock(&service->lock);
}

void service_tick(struct service *service)
{
    events_release(service, false);
    watches_release(service, false);
    methods_release(service, false);
    events_prune(service);
    history_prune(service);
    health_probe(service);
    configurator_tick(service);
    jobs_tick(service);
    messages_sweep(service);
    gate_release(service->gate, false);
    gate_tell(service->gate);
    day_quota_tick(service);
}

size_t service_finish_methods(struct service *service)
{
    return methods_finish(service);
}

void service_release_parked(struct service *service)
{
    events_release(service, true);
    watches_release(service, true);
    methods_release(service, true);
    gate_release(service->gate, true);
}

void service_abandon(struct service *service, struct call *call)
{
    gate_abandon(service->gate, call);
}

void call_init(
    struct call *call, size_t arena_limit_bytes, void (*reply)(struct call *call), void *owner)
{
    *call = (struct call){.reply = reply, .owner = owner};
    arena_init(&call->arena, arena_limit_bytes);
}

void call_done(struct call *call)
{
    arena_done(&call->arena);
}

void call_finish(struct call *call, enum err err, const struct why *why)
{
    call->err = err;
    if (why != NULL && why != &call->why)
        call->why = *why;
    call->reply(call);
}

enum err find_identity(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, struct identity *ret_identity, struct why *why)
{
    enum err err = store_identity_get(txn, arena, hub_id, device_id, module_id, ret_identity);
    if (err != ERR_NOT_FOUND)
        return err;
    if (module_id.len > 0) {
        struct identity device;
        err = store_identity_get(txn, arena, hub_id, device_id, SPAN_NONE, &device);
        if (err == ERR_NONE)
            return fail(ERR_MODULE_NOT_FOUND, why, "Module %.*s/%.*s is not registered",
                SPAN_ARG(device_id), SPAN_ARG(module_id));
        if (err != ERR_NOT_FOUND)
            return err;
    }
    return fail(ERR_DEVICE_NOT_FOUND, why, "Device %.*s is not registered", SPAN_ARG(device_id));
}
