/* SPDX-License-Identifier: Apache-2.0 */
#include "configuration_engine.h"

#include "log.h"
#include "twin_write.h"

#define SLICE_US 15000
#define LOOKS_PER_CLOCK 16

static struct span device_of(const struct concern *concern)
{
    return (struct span){concern->ids, concern->device_length};
}

static struct span module_of(const struct concern *concern)
{
    return (struct span){concern->ids + concern->device_length, concern->module_length};
}

/* Has the hub's set be that of this transaction. `*ret_idle`: there is nothing to do. */
static enum err find_set(struct configuration_work *work, struct store_txn *txn, bool *ret_idle)
{
    struct hub_state *hub = work->hub;
    struct configuration_state state;
    enum err err = store_configuration_state(txn, hub->hub_id, &state);
    hub->gone = err == ERR_NOT_FOUND;
    *ret_idle = hub->gone || (state.count == 0 && state.swept == state.revision);
    if (hub->gone)
        return ERR_NONE;
    if (err != ERR_NONE || *ret_idle || (hub->set != NULL && hub->set->revision == state.revision))
        return err;
    configuration_set_free(hub->set);
    hub->set = NULL;
    return configuration_set_read(txn, hub->hub_id, &hub->set, &work->job.why);
}

static bool add_target(struct configuration_work *work, const struct identity *identity)
{
    struct concern *target =
        concern_new(work->hub->hub_id, identity->device_id, identity->module_id);
    if (target == NULL)
        return false;
    target->next = work->targets;
    work->targets = target;
    return true;
}

/* ---- looking --------------------------------------------------------------------------------- */

static enum err judge(
    struct configuration_work *work, const struct identity *identity, const struct twin_doc *twin)
{
    AUTO(arena_done) struct arena arena;
    struct configuration_verdict verdict;
    arena_init(&arena, 0);
    enum err err = configuration_judge(work->hub->set, &arena, identity, twin, &verdict);
    if (err == ERR_CORRUPT) {
        log_error("service", "the twin of %.*s %.*s is damaged: configurations pass it over",
            SPAN_ARG(identity->device_id), SPAN_ARG(identity->module_id));
        return ERR_NONE;
    }
    if (err == ERR_NONE && verdict.changes && !add_target(work, identity))
        return ERR_MEMORY;
    return err;
}

static enum err count_metrics(
    struct configuration_work *work, const struct identity *identity, const struct twin_doc *twin)
{
    AUTO(arena_done) struct arena arena;
    struct configuration_set *set = work->hub->set;
    arena_init(&arena, 0);
    for (size_t i = 0; i < set->count; i++) {
        for (size_t m = 0; m < set->items[i].metric_count; m++) {
            struct configuration_metric *metric = &set->items[i].metrics[m];
            bool takes = false;
            enum err err = configuration_takes(metric->query, identity, twin, &arena, &takes);
            if (err != ERR_NONE)
                return err;
            metric->count += takes ? 1 : 0;
        }
    }
    return ERR_NONE;
}

static bool note_place(struct place *place, const struct identity *identity)
{
    if (!span_copy(identity->device_id, place->device_id, sizeof(place->device_id)) ||
        !span_copy(identity->module_id, place->module_id, sizeof(place->module_id)))
        return false;
    place->device_length = identity->device_id.len;
    place->module_length = identity->module_id.len;
    return true;
}

/* ERR_CANCELLED ends a slice that took long. */
static enum err visit(void *self, const struct identity *identity, const struct twin_doc *twin)
{
    struct configuration_work *work = self;
    const struct clock *clock = work->configurator->service->options.clock;
    enum err err = twin == NULL ? ERR_NONE : judge(work, identity, twin);
    if (err == ERR_NONE && twin != NULL && work->hub->set->has_metrics)
        err = count_metrics(work, identity, twin);
    if (err == ERR_NONE && !note_place(&work->place, identity))
        err = ERR_CORRUPT;
    work->looks++;
    if (err == ERR_NONE && work->looks % LOOKS_PER_CLOCK == 0 &&
        clock_mono_us(clock) >= work->until_us)
        err = ERR_CANCELLED;
    return err;
}

static void begin_sweep(struct configuration_work *work)
{
    struct hub_state *hub = work->hub;
    pthread_mutex_lock(&work->configurator->lock);
    hub->sweeping = true;
    pthread_mutex_unlock(&work->configurator->lock);
    hub->revision = hub->set->revision;
    hub->place = (struct place){0};
    for (size_t i = 0; i < hub->set->count; i++)
        for (size_t m = 0; m < hub->set->items[i].metric_count; m++)
            hub->set->items[i].metrics[m].count = 0;
}

static enum err look_at_page(struct configuration_work *work, struct store_txn *txn)
{
    struct hub_state *hub = work->hub;
    if (!hub->sweeping || hub->revision != hub->set->revision)
        begin_sweep(work);
    work->place = hub->place;
    const struct identity_range range = {.modules = hub->place.modules,
        .after = {hub->place.device_id, hub->place.device_length},
        .after_module = {hub->place.module_id, hub->place.module_length},
        .limit = PAGE_TWINS,
        .with_twins = true};
    enum err err = store_identity_list(txn, hub->hub_id, &range, visit, work);
    bool sliced = err == ERR_CANCELLED;
    if (err != ERR_NONE && !sliced)
        return err;
    if (!sliced && work->looks < PAGE_TWINS) {
        work->ended = work->place.modules;
        work->place = (struct place){.modules = true};
    }
    return ERR_NONE;
}

static enum err look_at_twins(struct configuration_work *work, struct store_txn *txn)
{
    for (const struct concern *concern = work->concerns; concern != NULL; concern = concern->next) {
        AUTO(arena_done) struct arena arena;
        struct identity identity;
        struct twin_doc twin;
        arena_init(&arena, 0);
        enum err err = store_identity_get(
            txn, &arena, concern->hub_id, device_of(concern), module_of(concern), &identity);
        if (err == ERR_NONE)
            err = store_twin_get(
                txn, &arena, concern->hub_id, identity.device_id, identity.module_id, &twin);
        if (err == ERR_NONE)
            err = judge(work, &identity, &twin);
        if (err != ERR_NONE && err != ERR_NOT_FOUND)
            return err;
    }
    return ERR_NONE;
}

static enum err run_look(struct store_job *job, struct store_txn *txn)
{
    struct configuration_work *work = (struct configuration_work *)job;
    struct configurator *configurator = work->configurator;
    bool idle = false;
    concerns_free(work->targets);
    work->targets = NULL;
    work->looks = 0;
    work->ended = false;
    work->until_us = clock_mono_us(configurator->service->options.clock) + SLICE_US;
    enum err err = find_set(work, txn, &idle);
    if (err == ERR_NONE && idle)
        work->ended = true;
    else if (err == ERR_NONE)
        err = work->concerns != NULL ? look_at_twins(work, txn) : look_at_page(work, txn);
    pthread_mutex_lock(&configurator->lock);
    work->hub->idle = err == ERR_NONE && idle && !work->hub->wanted;
    work->hub->counts = err == ERR_NONE && !idle && work->hub->set->has_metrics;
    pthread_mutex_unlock(&configurator->lock);
    work->finish = err == ERR_NONE && !idle && work->concerns == NULL && work->ended;
    return err;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Makes the document. What a limit refuses is left as it is, and the twin says "Targeted". */
static enum err make_change(struct configuration_work *work, const struct twin_doc *twin,
    const struct configuration_verdict *verdict, const struct concern *target,
    struct twin_change *ret_change)
{
    const struct service *service = work->configurator->service;
    struct why why = {""};
    struct twin_change change = {.doc = *twin};
    enum err err = ERR_NONE;
    if (verdict->patch != NULL)
        err = twin_apply(&work->arena, twin, TWIN_PATCH, verdict->patch,
            &service->options.limits.twin, now_us(service), &change, &why);
    if (err == ERR_ARGUMENT) {
        change = (struct twin_change){.doc = *twin};
        change.doc.configurations = verdict->targeted;
        if (!span_eq(verdict->targeted, twin->configurations))
            log_warn("service", "the configuration %.*s cannot be applied to %.*s %.*s: %s",
                SPAN_ARG(verdict->author), SPAN_ARG(device_of(target)), SPAN_ARG(module_of(target)),
                why.text);
        err = ERR_NONE;
    } else if (err == ERR_NONE) {
        change.doc.configurations = verdict->configurations;
        change.doc.owned = verdict->owned;
    }
    if (err == ERR_NONE)
        *ret_change = change;
    return err;
}

static enum err change_twin(
    struct configuration_work *work, struct store_txn *txn, const struct concern *target)
{
    struct identity identity;
    struct twin_doc twin;
    struct twin_change change;
    struct configuration_verdict verdict;
    enum err err = store_identity_get(
        txn, &work->arena, target->hub_id, device_of(target), module_of(target), &identity);
    if (err == ERR_NONE)
        err = store_twin_get(
            txn, &work->arena, target->hub_id, identity.device_id, identity.module_id, &twin);
    if (err == ERR_NONE)
        err = configuration_judge(work->hub->set, &work->arena, &identity, &twin, &verdict);
    if (err != ERR_NONE || !verdict.changes)
        return err == ERR_NOT_FOUND || err == ERR_CORRUPT ? ERR_NONE : err;
    err = make_change(work, &twin, &verdict, target, &change);
    if (err != ERR_NONE ||
        (!change.desired_changed && span_eq(change.doc.configurations, twin.configurations) &&
            span_eq(change.doc.owned, twin.owned)))
        return err;
    struct twin_write write = {.service = work->configurator->service,
        .txn = txn,
        .arena = &work->arena,
        .hub_id = target->hub_id,
        .effects = work->effects};
    const struct twin_author author = {"configuration", verdict.author};
    err = twin_write_put(&write, &identity, twin.version, &change, verdict.patch, &author);
    work->effects = write.effects;
    if (err == ERR_NONE && !span_eq(change.doc.configurations, twin.configurations))
        err = store_configuration_target(
            txn, target->hub_id, identity.device_id, identity.module_id, change.doc.configurations);
    return err;
}

static enum err write_results(
    const struct hub_state *hub, struct store_txn *txn, const struct configuration_item *item)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    for (size_t m = 0; m < item->metric_count; m++) {
        buf_add_byte(&out, m == 0 ? '{' : ',');
        json_write_string(item->metrics[m].name, &out);
        buf_add_format(&out, ":%llu", (unsigned long long)item->metrics[m].count);
    }
    if (out.len == 0)
        return ERR_NONE;
    buf_add_byte(&out, '}');
    if (out.failed)
        return ERR_MEMORY;
    return store_configuration_results(txn, hub->hub_id, item->id, buf_span(&out));
}

static enum err finish_sweep(struct configuration_work *work, struct store_txn *txn)
{
    const struct hub_state *hub = work->hub;
    enum err err = ERR_NONE;
    if (hub->set->revision != hub->revision)
        return ERR_NONE; /* a newer one is looked at anew */
    for (size_t i = 0; i < hub->set->count && err == ERR_NONE; i++)
        err = write_results(hub, txn, &hub->set->items[i]);
    return err == ERR_NONE ? store_configuration_swept(txn, hub->hub_id, hub->revision) : err;
}

static enum err run_write(struct store_job *job, struct store_txn *txn)
{
    struct configuration_work *work = (struct configuration_work *)job;
    bool idle = false;
    size_t count = 0;
    arena_done(&work->arena);
    arena_init(&work->arena, 0);
    work->effects = NULL;
    enum err err = find_set(work, txn, &idle);
    if (err != ERR_NONE || idle)
        return err;
    const struct concern *target = work->targets;
    for (; target != NULL && count < WRITE_TWINS && err == ERR_NONE; target = target->next) {
        err = change_twin(work, txn, target);
        count++;
    }
    if (err == ERR_NONE && target == NULL && work->finish)
        err = finish_sweep(work, txn);
    return err;
}

static void submit_write(struct configuration_work *work);

/* Ends a step: what it found out is in force. */
static void step_done(struct configuration_work *work)
{
    struct configurator *configurator = work->configurator;
    if (work->concerns == NULL) {
        work->hub->place = work->place;
        if (work->ended)
            configuration_sweep_ended(configurator, work->hub);
    }
    concerns_free(work->concerns);
    arena_done(&work->arena);
    mem_free(work);
    configuration_chain(configurator);
}

static void write_done(struct store_job *job, enum err result)
{
    struct configuration_work *work = (struct configuration_work *)job;
    if (result != ERR_NONE) {
        configuration_pause(work, result);
        return;
    }
    twin_write_tell(work->configurator->service, work->hub->hub_id, work->effects);
    for (size_t i = 0; i < WRITE_TWINS && work->targets != NULL; i++) {
        struct concern *target = work->targets;
        work->targets = target->next;
        mem_free(target);
    }
    if (work->targets != NULL)
        submit_write(work);
    else
        step_done(work);
}

static void submit_write(struct configuration_work *work)
{
    work->job.run = run_write;
    work->job.done = write_done;
    store_submit(work->configurator->service->options.store, STORE_WRITE, &work->job);
}

static void look_done(struct store_job *job, enum err result)
{
    struct configuration_work *work = (struct configuration_work *)job;
    if (result != ERR_NONE)
        configuration_pause(work, result);
    else if (work->targets != NULL || work->finish)
        submit_write(work);
    else
        step_done(work);
}

void configuration_look(struct configuration_work *work)
{
    work->job.run = run_look;
    work->job.done = look_done;
    store_submit(work->configurator->service->options.store, STORE_READ, &work->job);
}
