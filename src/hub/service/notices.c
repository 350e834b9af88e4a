/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events that the hub itself makes, with the names that IoT Hub gives them: identities that come
 * and go, twins that change, clients that connect. Each is appended in the transaction of what it
 * tells of, so that one is never there without the other.
 */
#include "notices.h"

#include "event_log.h"
#include "metrics.h"

#include <stdio.h>

static const struct {
    const char *device; /* opType */
    const char *module;
    const char *device_schema;
    const char *module_schema;
    enum event_source source;
} kinds[] = {
    [NOTICE_CREATED] = {"createDeviceIdentity", "createModuleIdentity",
        "deviceLifecycleNotification", "moduleLifecycleNotification", EVENT_LIFECYCLE},
    [NOTICE_DELETED] = {"deleteDeviceIdentity", "deleteModuleIdentity",
        "deviceLifecycleNotification", "moduleLifecycleNotification", EVENT_LIFECYCLE},
    [NOTICE_TWIN_UPDATED] = {"updateTwin", "updateTwin", "twinChangeNotification",
        "twinChangeNotification", EVENT_TWIN},
    [NOTICE_TWIN_REPLACED] = {"replaceTwin", "replaceTwin", "twinChangeNotification",
        "twinChangeNotification", EVENT_TWIN},
    [NOTICE_CONNECTED] = {"deviceConnected", "moduleConnected", "deviceConnectionStateNotification",
        "deviceConnectionStateNotification", EVENT_CONNECTION},
    [NOTICE_DISCONNECTED] = {"deviceDisconnected", "moduleDisconnected",
        "deviceConnectionStateNotification", "deviceConnectionStateNotification", EVENT_CONNECTION},
};

static bool is_wanted(const struct service *service, enum event_source source)
{
    const struct service_limits *limits = &service->options.limits;
    if (source == EVENT_LIFECYCLE)
        return limits->lifecycle_events != 0;
    if (source == EVENT_TWIN)
        return limits->twin_events != 0;
    return limits->connection_events != 0;
}

bool notice_is_wanted(const struct service *service, enum notice_kind kind)
{
    return is_wanted(service, kinds[kind].source);
}

/* ---- what the log holds ---------------------------------------------------------------------- */

/* Of the properties that is only the number of the kind: what else they say stands in other
 * columns, and is put together for whoever reads. Written out they would be three quarters of the
 * row. */
enum err notice_append(
    struct service *service, struct store_txn *txn, int64_t hub_id, const struct notice *notice)
{
    char number[4];
    uint64_t sequence;
    const enum event_source source = kinds[notice->kind].source;
    snprintf(number, sizeof(number), "%u", (unsigned)notice->kind % 100u);
    const struct event event = {.enqueued_us = now_us(service),
        .source = source,
        .device_id = notice->device_id,
        .module_id = notice->module_id,
        .properties = span_of(number),
        .body = notice->body};
    enum err err = store_event_append(txn, hub_id, &event, &sequence);
    if (err == ERR_NONE)
        metrics_add(METRIC_EVENTS, source, 1);
    return err;
}

static void write_system(const struct event *event, enum notice_kind kind, struct span hub_name,
    const char *time, struct buf *out)
{
    buf_add_text(out, "{\"content-type\":\"application/json\",\"content-encoding\":\"utf-8\"");
    buf_add_format(out, ",\"correlation-id\":\"%llx%08llx\"",
        (unsigned long long)event->enqueued_us, (unsigned long long)event->sequence);
    write_text_member(out, "user-id", hub_name);
    write_text_member(out, "iothub-connection-device-id", event->device_id);
    if (event->module_id.len > 0)
        write_text_member(out, "iothub-connection-module-id", event->module_id);
    write_text_member(
        out, "iothub-message-source", span_of(event_source_names[kinds[kind].source]));
    write_text_member(out, "iothub-enqueuedtime", span_of(time));
    buf_add_byte(out, '}');
}

static void write_properties(const struct event *event, enum notice_kind kind, struct span hub_name,
    const char *time, struct buf *out)
{
    bool module = event->module_id.len > 0;
    buf_add_format(out, "{\"opType\":\"%s\"", module ? kinds[kind].module : kinds[kind].device);
    write_text_member(out, "hubName", hub_name);
    write_text_member(out, "deviceId", event->device_id);
    if (module)
        write_text_member(out, "moduleId", event->module_id);
    write_text_member(out, "operationTimestamp", span_of(time));
    write_text_member(out, "iothub-message-schema",
        span_of(module ? kinds[kind].module_schema : kinds[kind].device_schema));
    buf_add_byte(out, '}');
}

enum err notice_complete(struct arena *arena, struct span hub_name, struct event *event)
{
    AUTO(buf_done) struct buf system = BUF_EMPTY;
    AUTO(buf_done) struct buf properties = BUF_EMPTY;
    char time[CLOCK_TEXT_SIZE];
    uint64_t kind = 0;
    if (event->system_properties.len > 0)
        return ERR_NONE;
    if (!span_u64(event->properties, COUNT_OF(kinds) - 1, &kind))
        return ERR_CORRUPT;
    clock_format(event->enqueued_us, time);
    write_system(event, (enum notice_kind)kind, hub_name, time, &system);
    write_properties(event, (enum notice_kind)kind, hub_name, time, &properties);
    if (system.failed || properties.failed ||
        !arena_span(arena, buf_span(&system), &event->system_properties) ||
        !arena_span(arena, buf_span(&properties), &event->properties))
        return ERR_MEMORY;
    return ERR_NONE;
}

/* ---- of REST calls --------------------------------------------------------------------------- */

static enum err append_for(struct rest *rest, const struct notice *notice)
{
    struct effect *effect;
    enum err err = notice_append(rest->service, rest->txn, rest->hub_id, notice);
    return err == ERR_NONE ? rest_add_effect(rest, EFFECT_EVENTS, &effect) : err;
}

enum err notice_lifecycle(struct rest *rest, enum notice_kind kind, const struct identity *identity,
    const struct twin_doc *twin)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    if (!notice_is_wanted(rest->service, kind))
        return ERR_NONE;
    write_twin(identity, twin, &body);
    const struct notice notice = {kind, identity->device_id, identity->module_id, buf_span(&body)};
    return body.failed ? ERR_MEMORY : append_for(rest, &notice);
}

static enum err delete_module(
    void *self, const struct identity *identity, const struct twin_doc *twin)
{
    return twin == NULL ? ERR_NONE : notice_lifecycle(self, NOTICE_DELETED, identity, twin);
}

/* A device goes with its modules. */
enum err notice_deletion(struct rest *rest, const struct identity *identity)
{
    struct twin_doc twin;
    if (!notice_is_wanted(rest->service, NOTICE_DELETED))
        return ERR_NONE;
    enum err err = store_twin_get(
        rest->txn, rest->arena, rest->hub_id, identity->device_id, identity->module_id, &twin);
    if (err != ERR_NONE)
        return err;
    const struct identity_range modules = {
        .modules = true, .device_id = identity->device_id, .limit = SIZE_MAX, .with_twins = true};
    if (identity->module_id.len == 0)
        err = store_identity_list(rest->txn, rest->hub_id, &modules, delete_module, rest);
    return err == ERR_NONE ? notice_lifecycle(rest, NOTICE_DELETED, identity, &twin) : err;
}

/* ---- twins ----------------------------------------------------------------------------------- */

struct stamp {
    const char *time;
    int64_t version; /* 0: of reported, which has none */
};

static bool is_property(const struct json *member)
{
    return !span_starts(member->key, SPAN_LIT("$"));
}

/* Of what was set: what was deleted has no metadata any more. */
static void write_metadata(const struct json *value, const struct stamp *stamp, struct buf *out)
{
    buf_add_format(out, "{\"$lastUpdated\":\"%s\"", stamp->time);
    if (stamp->version > 0)
        buf_add_format(out, ",\"$lastUpdatedVersion\":%lld", (long long)stamp->version);
    if (json_is(value, JSON_OBJECT)) {
        json_each (member, value) {
            if (!is_property(member) || member->kind == JSON_NULL)
                continue;
            buf_add_byte(out, ',');
            json_write_string(member->key, out);
            buf_add_byte(out, ':');
            write_metadata(member, stamp, out);
        }
    }
    buf_add_byte(out, '}');
}

/* A section as it was sent, with what the hub adds to it. */
static void write_section(const struct json *patch, const char *name, int64_t version,
    const struct stamp *stamp, struct buf *out)
{
    buf_add_format(out, ",\"properties\":{\"%s\":{", name);
    if (json_is(patch, JSON_OBJECT)) {
        json_each (member, patch) {
            if (!is_property(member))
                continue;
            json_write_string(member->key, out);
            buf_add_byte(out, ':');
            json_write(member, out);
            buf_add_byte(out, ',');
        }
    }
    buf_add_text(out, "\"$metadata\":");
    write_metadata(patch, stamp, out);
    buf_add_format(out, ",\"$version\":%lld}}", (long long)version);
}

static void write_update(const struct twin_notice *change, const char *time, struct buf *out)
{
    const struct twin_doc *doc = &change->change->doc;
    const struct json *body = change->body;
    const struct json *tags = json_find_text(body, "tags");
    const struct json *properties = json_find_text(body, "properties");
    const struct stamp desired = {time, doc->desired.version};
    const struct stamp reported = {time, 0};
    buf_add_format(out, "{\"version\":%lld", (long long)doc->version);
    if (change->kind == TWIN_REPORT) {
        write_section(body, "reported", doc->reported.version, &reported, out);
    } else {
        if (change->change->tags_changed) {
            buf_add_text(out, ",\"tags\":");
            if (tags != NULL)
                json_write(tags, out);
            else
                buf_add(out, doc->tags);
        }
        if (change->change->desired_changed)
            write_section(json_find_text(properties, "desired"), "desired", doc->desired.version,
                &desired, out);
    }
    buf_add_byte(out, '}');
}

/* All of the twin, and nothing of its identity but the ids. */
static void write_replaced(const struct twin_notice *change, struct buf *out)
{
    const struct twin_doc *doc = &change->change->doc;
    char etag[TWIN_ETAG_SIZE];
    buf_add_text(out, "{\"deviceId\":");
    json_write_string(change->device_id, out);
    if (change->module_id.len > 0)
        write_text_member(out, "moduleId", change->module_id);
    write_text_member(out, "etag", span_of(twin_etag(doc->etag, etag)));
    buf_add_format(out, ",\"version\":%lld,\"tags\":", (long long)doc->version);
    buf_add(out, doc->tags);
    buf_add_byte(out, ',');
    twin_write_properties(doc, out);
    buf_add_byte(out, '}');
}

enum err notice_twin(struct service *service, struct store_txn *txn, int64_t hub_id,
    const struct twin_notice *change)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    char time[CLOCK_TEXT_SIZE];
    if (!notice_is_wanted(service, NOTICE_TWIN_UPDATED))
        return ERR_NONE;
    if (change->kind == TWIN_REPLACE)
        write_replaced(change, &body);
    else
        write_update(change, clock_format(now_us(service), time), &body);
    const struct notice notice = {
        change->kind == TWIN_REPLACE ? NOTICE_TWIN_REPLACED : NOTICE_TWIN_UPDATED,
        change->device_id, change->module_id, buf_span(&body)};
    return body.failed ? ERR_MEMORY : notice_append(service, txn, hub_id, &notice);
}

enum err notice_twin_of(struct rest *rest, const struct twin_notice *change)
{
    struct effect *effect;
    if (!notice_is_wanted(rest->service, NOTICE_TWIN_UPDATED))
        return ERR_NONE;
    enum err err = notice_twin(rest->service, rest->txn, rest->hub_id, change);
    return err == ERR_NONE ? rest_add_effect(rest, EFFECT_EVENTS, &effect) : err;
}

/* ---- connections ----------------------------------------------------------------------------- */

/* The number grows with each connection of an identity and each end of one: 32 hexadecimal digits,
 * so that they compare as texts. */
enum err notice_connection(struct service *service, struct store_txn *txn, int64_t hub_id,
    struct span device_id, struct span module_id, uint64_t session, bool connected)
{
    char body[80];
    enum notice_kind kind = connected ? NOTICE_CONNECTED : NOTICE_DISCONNECTED;
    if (!notice_is_wanted(service, kind))
        return ERR_NONE;
    snprintf(body, sizeof(body), "{\"sequenceNumber\":\"%024llX%08X\"}",
        (unsigned long long)session, connected ? 1u : 2u);
    const struct notice notice = {kind, device_id, module_id, span_of(body)};
    return notice_append(service, txn, hub_id, &notice);
}
