/* SPDX-License-Identifier: Apache-2.0 */
#include "configuration_engine.h"

#include "log.h"

#define REST_US 5000000
/* Metrics are counted anew after changes, but counting is to take a small part of the time. */
#define RECOUNT_US 5000000
#define RECOUNT_PART 20

struct concern *concern_new(int64_t hub_id, struct span device_id, struct span module_id)
{
    if (device_id.len > CONFIGURATION_ID_BYTES || module_id.len > CONFIGURATION_ID_BYTES)
        return NULL;
    struct concern *concern = mem_alloc(sizeof(*concern) + device_id.len + module_id.len);
    if (concern == NULL)
        return NULL;
    concern->hub_id = hub_id;
    concern->device_length = device_id.len;
    concern->module_length = module_id.len;
    memcpy(concern->ids, device_id.ptr, device_id.len);
    if (module_id.len > 0)
        memcpy(concern->ids + device_id.len, module_id.ptr, module_id.len);
    return concern;
}

void concerns_free(struct concern *concern)
{
    while (concern != NULL) {
        struct concern *next = concern->next;
        mem_free(concern);
        concern = next;
    }
}

struct configurator *configurator_new(struct service *service)
{
    struct configurator *configurator = mem_alloc(sizeof(*configurator));
    if (configurator == NULL)
        return NULL;
    configurator->service = service;
    must(pthread_mutex_init(&configurator->lock, NULL) == 0);
    return configurator;
}

void configurator_free(struct configurator *configurator)
{
    if (configurator == NULL)
        return;
    for (struct hub_state *hub = configurator->hubs; hub != NULL;) {
        struct hub_state *next = hub->next;
        configuration_set_free(hub->set);
        mem_free(hub);
        hub = next;
    }
    concerns_free(configurator->first);
    pthread_mutex_destroy(&configurator->lock);
    mem_free(configurator);
}

/* A hub that is met for the first time is swept. NULL: no memory; the next full look will do. */
static struct hub_state *find_hub(struct configurator *configurator, int64_t hub_id)
{
    for (struct hub_state *hub = configurator->hubs; hub != NULL; hub = hub->next)
        if (hub->hub_id == hub_id)
            return hub;
    struct hub_state *hub = mem_alloc(sizeof(*hub));
    if (hub == NULL)
        return NULL;
    hub->hub_id = hub_id;
    hub->wanted = true;
    hub->next = configurator->hubs;
    configurator->hubs = hub;
    return hub;
}

/* ---- the chain ------------------------------------------------------------------------------- */

static struct hub_state *next_sweep(struct configurator *configurator)
{
    for (struct hub_state *hub = configurator->hubs; hub != NULL; hub = hub->next)
        if (hub->sweeping)
            return hub;
    for (struct hub_state *hub = configurator->hubs; hub != NULL; hub = hub->next) {
        if (!hub->wanted)
            continue;
        hub->wanted = false;
        hub->touched = false;
        hub->began_us = clock_mono_us(configurator->service->options.clock);
        return hub;
    }
    return NULL;
}

/* Takes those at the front that are of one hub. */
static struct concern *take_concerns(struct configurator *configurator)
{
    struct concern *first = configurator->first;
    struct concern *last = first;
    size_t count = 1;
    while (count < LOOK_TWINS && last->next != NULL && last->next->hub_id == first->hub_id) {
        last = last->next;
        count++;
    }
    configurator->first = last->next;
    if (configurator->first == NULL)
        configurator->last = NULL;
    configurator->waiting -= count;
    last->next = NULL;
    return first;
}

/* Gone hubs leave between two steps of the chain, when nobody holds them. */
static void drop_gone(struct configurator *configurator)
{
    for (struct hub_state **link = &configurator->hubs; *link != NULL;) {
        struct hub_state *hub = *link;
        if (!hub->gone) {
            link = &hub->next;
            continue;
        }
        *link = hub->next;
        configuration_set_free(hub->set);
        mem_free(hub);
    }
}

static bool find_work(struct configurator *configurator, struct configuration_work *work)
{
    drop_gone(configurator);
    bool twins = configurator->first != NULL;
    work->hub = twins && !configurator->sweeps ? NULL : next_sweep(configurator);
    configurator->sweeps = !configurator->sweeps && twins;
    if (work->hub == NULL && twins) {
        work->concerns = take_concerns(configurator);
        work->hub = find_hub(configurator, work->concerns->hub_id);
    }
    return work->hub != NULL;
}

void configuration_chain(struct configurator *configurator)
{
    struct service *service = configurator->service;
    pthread_mutex_lock(&service->lock);
    bool draining = service->draining;
    pthread_mutex_unlock(&service->lock);
    struct configuration_work *work = draining ? NULL : mem_alloc(sizeof(*work));
    pthread_mutex_lock(&configurator->lock);
    bool found = work != NULL && find_work(configurator, work);
    if (!found)
        configurator->running = false;
    pthread_mutex_unlock(&configurator->lock);
    if (!found) {
        if (work != NULL)
            concerns_free(work->concerns);
        mem_free(work);
        own_job_end(service);
        return;
    }
    work->configurator = configurator;
    arena_init(&work->arena, 0);
    configuration_look(work);
}

/* With the lock; true: the caller begins the chain without it. */
static bool may_begin(struct configurator *configurator)
{
    int64_t now = clock_mono_us(configurator->service->options.clock);
    if (configurator->running || now < configurator->rest_us)
        return false;
    configurator->running = true;
    own_job_begin(configurator->service);
    return true;
}

void configuration_pause(struct configuration_work *work, enum err err)
{
    struct configurator *configurator = work->configurator;
    struct service *service = configurator->service;
    log_warn("service", "configurations cannot be put into twins now, it is tried again: %s",
        why_text(&work->job.why, err));
    pthread_mutex_lock(&configurator->lock);
    work->hub->wanted = true;
    work->hub->idle = false;
    work->hub->sweeping = false;
    configurator->rest_us = clock_mono_us(service->options.clock) + REST_US;
    configurator->running = false;
    pthread_mutex_unlock(&configurator->lock);
    concerns_free(work->concerns);
    concerns_free(work->targets);
    arena_done(&work->arena);
    mem_free(work);
    own_job_end(service);
}

void configuration_sweep_ended(struct configurator *configurator, struct hub_state *hub)
{
    pthread_mutex_lock(&configurator->lock);
    hub->sweeping = false;
    hub->ended_us = clock_mono_us(configurator->service->options.clock);
    pthread_mutex_unlock(&configurator->lock);
}

/* ---- what asks for it ------------------------------------------------------------------------ */

static void want_all(struct configurator *configurator)
{
    const struct hub_record *record;
    const struct hub_table *table = hub_cache_lock(&configurator->service->hubs);
    for (size_t i = 0; (record = hub_at(table, i)) != NULL; i++) {
        struct hub_state *hub = find_hub(configurator, record->id);
        if (hub != NULL)
            hub->wanted = true;
    }
    hub_cache_unlock(&configurator->service->hubs);
}

static bool is_recount_due(const struct hub_state *hub, int64_t now)
{
    int64_t took = (hub->ended_us - hub->began_us) * RECOUNT_PART;
    return hub->touched && hub->counts && !hub->sweeping &&
           now >= hub->ended_us + (took > RECOUNT_US ? took : RECOUNT_US);
}

void configurator_tick(struct service *service)
{
    struct configurator *configurator = service->configurator;
    int64_t now = clock_mono_us(service->options.clock);
    bool work = false;
    pthread_mutex_lock(&service->lock);
    bool draining = service->draining;
    pthread_mutex_unlock(&service->lock);
    if (draining)
        return;
    pthread_mutex_lock(&configurator->lock);
    if (!configurator->begun || now >= configurator->full_us) {
        configurator->begun = true;
        configurator->full_us =
            now + (int64_t)service->options.limits.configuration_seconds * 1000000;
        want_all(configurator);
    }
    for (struct hub_state *hub = configurator->hubs; hub != NULL; hub = hub->next) {
        hub->wanted = hub->wanted || is_recount_due(hub, now);
        work = work || hub->wanted || hub->sweeping;
    }
    work = work || configurator->first != NULL;
    bool begin = work && may_begin(configurator);
    pthread_mutex_unlock(&configurator->lock);
    if (begin)
        configuration_chain(configurator);
}

static void add_concern(struct configurator *configurator, struct hub_state *hub,
    struct span device_id, struct span module_id)
{
    struct concern *concern = configurator->waiting < WAITING_TWINS
                                  ? concern_new(hub->hub_id, device_id, module_id)
                                  : NULL;
    if (concern == NULL) {
        hub->wanted = true;
        return;
    }
    if (configurator->last == NULL)
        configurator->first = concern;
    else
        configurator->last->next = concern;
    configurator->last = concern;
    configurator->waiting++;
}

void configurator_note_twin(
    struct service *service, int64_t hub_id, struct span device_id, struct span module_id)
{
    struct configurator *configurator = service->configurator;
    bool begin = false;
    pthread_mutex_lock(&configurator->lock);
    /* Before the first tick, which looks at everything, there is nothing to note. */
    struct hub_state *hub = configurator->begun ? find_hub(configurator, hub_id) : NULL;
    if (hub != NULL && !hub->idle) {
        hub->touched = true;
        add_concern(configurator, hub, device_id, module_id);
        begin = may_begin(configurator);
    }
    pthread_mutex_unlock(&configurator->lock);
    if (begin)
        configuration_chain(configurator);
}

void configurator_note_hub(struct service *service, int64_t hub_id)
{
    struct configurator *configurator = service->configurator;
    bool begin = false;
    pthread_mutex_lock(&configurator->lock);
    struct hub_state *hub = configurator->begun ? find_hub(configurator, hub_id) : NULL;
    if (hub != NULL) {
        hub->wanted = true;
        hub->idle = false;
        begin = may_begin(configurator);
    }
    pthread_mutex_unlock(&configurator->lock);
    if (begin)
        configuration_chain(configurator);
}
