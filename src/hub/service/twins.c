/* SPDX-License-Identifier: Apache-2.0 */
#include "notices.h"

#include "metrics.h"

static enum err add_desired_effect(struct rest *rest, struct span device_id, struct span module_id,
    const struct twin_change *change)
{
    struct effect *effect;
    enum err err = rest_add_effect(rest, EFFECT_DESIRED, &effect);
    if (err != ERR_NONE)
        return err;
    effect->device_id = device_id;
    effect->module_id = module_id;
    effect->payload = change->notification;
    effect->version = change->doc.desired.version;
    return ERR_NONE;
}

static enum err add_twin_effect(struct rest *rest, struct span device_id, struct span module_id)
{
    struct effect *effect;
    enum err err = rest_add_effect(rest, EFFECT_TWIN, &effect);
    if (err != ERR_NONE)
        return err;
    effect->device_id = device_id;
    effect->module_id = module_id;
    return ERR_NONE;
}

/* Writes what changed, with its history, and says who is to hear of it. */
static enum err put_change(struct rest *rest, struct span device_id, struct span module_id,
    enum history_kind kind, const struct twin_change *change, int64_t version)
{
    enum err err = ERR_NONE;
    if (change->desired_changed)
        err = add_desired_effect(rest, device_id, module_id, change);
    if (err == ERR_NONE)
        err = add_twin_effect(rest, device_id, module_id);
    if (err == ERR_NONE)
        err = store_twin_put(rest->txn, rest->hub_id, device_id, module_id, &change->doc, version);
    if (err == ERR_NONE)
        err = history_note(rest, device_id, module_id, kind, change);
    return err;
}

enum err twins_change(struct rest *rest, struct span device_id, struct span module_id,
    const struct twin_step *step, struct identity *ret_identity, struct twin_doc *ret_twin)
{
    struct identity identity;
    struct twin_doc twin;
    struct twin_change change;
    char etag[TWIN_ETAG_SIZE];
    enum err err = find_identity(
        rest->txn, rest->arena, rest->hub_id, device_id, module_id, &identity, rest->why);
    if (err == ERR_NONE)
        err = store_twin_get(rest->txn, rest->arena, rest->hub_id, device_id, module_id, &twin);
    if (err == ERR_NONE)
        err = match_check(step->match, span_of(twin_etag(twin.etag, etag)), rest->why);
    if (err == ERR_NONE)
        err = twin_apply(rest->arena, &twin, step->kind, step->body,
            &rest->service->options.limits.twin, now_us(rest->service), &change, rest->why);
    if (err == ERR_NONE && change.doc.version != twin.version)
        err = put_change(rest, device_id, module_id, step->history, &change, twin.version);
    const struct twin_notice notice = {device_id, module_id, step->kind, step->body, &change};
    if (err == ERR_NONE && change.doc.version != twin.version)
        err = notice_twin_of(rest, &notice);
    if (err == ERR_NONE && change.desired_changed)
        metrics_add(METRIC_TWIN_UPDATES, TWIN_DESIRED_UPDATE, 1);
    if (err != ERR_NONE)
        return err;
    *ret_identity = identity;
    *ret_twin = change.doc;
    return ERR_NONE;
}

enum err respond_twin(
    struct rest *rest, const struct identity *identity, const struct twin_doc *twin)
{
    char etag[TWIN_ETAG_SIZE];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    write_twin(identity, twin, &body);
    enum err err = respond_json(rest, 200, &body);
    return err == ERR_NONE ? respond_etag(rest, twin_etag(twin->etag, etag)) : err;
}

enum err twins_get(struct rest *rest)
{
    struct identity identity;
    struct twin_doc twin;
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, rest->arguments[0],
        rest->arguments[1], &identity, rest->why);
    if (err == ERR_NONE)
        err = store_twin_get(
            rest->txn, rest->arena, rest->hub_id, rest->arguments[0], rest->arguments[1], &twin);
    return err == ERR_NONE ? respond_twin(rest, &identity, &twin) : err;
}

/* What became of it stands in the twin's history. */
enum err twins_note_version(struct rest *rest, const struct twin_doc *twin)
{
    char *detail = arena_format(rest->arena, "{\"version\":%lld,\"desiredVersion\":%lld}",
        (long long)twin->version, (long long)twin->desired.version);
    rest->audit.detail = span_of(detail);
    return detail == NULL ? ERR_MEMORY : ERR_NONE;
}

static enum err change_twin(
    struct rest *rest, enum twin_change_kind kind, enum history_kind history)
{
    struct identity identity;
    struct twin_doc twin;
    const struct twin_step step = {kind, history, rest->body, &rest->match};
    enum err err =
        twins_change(rest, rest->arguments[0], rest->arguments[1], &step, &identity, &twin);
    if (err == ERR_NONE)
        err = twins_note_version(rest, &twin);
    return err == ERR_NONE ? respond_twin(rest, &identity, &twin) : err;
}

enum err twins_patch(struct rest *rest)
{
    return change_twin(rest, TWIN_PATCH, HISTORY_PATCH);
}

enum err twins_replace(struct rest *rest)
{
    return change_twin(rest, TWIN_REPLACE, HISTORY_REPLACE);
}
