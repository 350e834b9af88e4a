/* SPDX-License-Identifier: Apache-2.0 */
#include "twin_write.h"

#include "metrics.h"
#include "notices.h"

static enum err add_effect(
    struct twin_write *write, const struct identity *identity, const struct twin_change *change)
{
    struct effect *effect = arena_alloc(write->arena, sizeof(*effect));
    if (effect == NULL || !arena_span(write->arena, identity->device_id, &effect->device_id) ||
        !arena_span(write->arena, identity->module_id, &effect->module_id))
        return ERR_MEMORY;
    effect->hub_id = write->hub_id;
    effect->next = write->effects;
    if (change->desired_changed) {
        effect->payload = change->notification;
        effect->version = change->doc.desired.version;
    }
    write->effects = effect;
    return ERR_NONE;
}

static enum err note_history(struct twin_write *write, const struct identity *identity,
    const struct twin_change *change, const struct twin_author *author)
{
    size_t keep = write->service->options.limits.history_entries;
    char *name = arena_format(write->arena, "%s %.*s", author->from, SPAN_ARG(author->name));
    if (name == NULL)
        return ERR_MEMORY;
    const struct history_entry entry = {.time_us = now_us(write->service),
        .kind = HISTORY_PATCH,
        .tags_changed = change->tags_changed,
        .desired_changed = change->desired_changed,
        .author = span_of(name),
        .from = span_of(author->from),
        .desired_version = change->doc.desired.version,
        .tags = change->doc.tags,
        .desired = change->doc.desired.values};
    if (keep == 0)
        return ERR_NONE;
    return store_history_put(
        write->txn, write->hub_id, identity->device_id, identity->module_id, &entry, keep);
}

enum err twin_write_put(struct twin_write *write, const struct identity *identity, int64_t version,
    const struct twin_change *change, const struct json *patch, const struct twin_author *author)
{
    enum err err = add_effect(write, identity, change);
    if (err == ERR_NONE)
        err = store_twin_put(write->txn, write->hub_id, identity->device_id, identity->module_id,
            &change->doc, version);
    if (err != ERR_NONE || (!change->desired_changed && !change->tags_changed))
        return err;
    err = note_history(write, identity, change, author);
    const struct twin_notice notice = {
        identity->device_id, identity->module_id, TWIN_PATCH, patch, change};
    if (err == ERR_NONE)
        err = notice_twin(write->service, write->txn, write->hub_id, &notice);
    return err;
}

void twin_write_tell(struct service *service, int64_t hub_id, const struct effect *effects)
{
    struct bus *bus = service->options.bus;
    for (const struct effect *e = effects; e != NULL; e = e->next) {
        if (e->version > 0) {
            bus_desired(bus, e->hub_id, e->device_id, e->module_id, e->payload, e->version);
            metrics_add(METRIC_TWIN_UPDATES, TWIN_DESIRED_UPDATE, 1);
        }
        bus_twin_changed(bus, e->hub_id, e->device_id, e->module_id);
    }
    if (effects != NULL && notice_is_wanted(service, NOTICE_TWIN_UPDATED))
        bus_events_appended(bus, hub_id, 0);
}
