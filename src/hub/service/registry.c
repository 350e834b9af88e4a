/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

#include "ids.h"
#include "notices.h"

#include <openssl/rand.h>

#define EDGE_SCOPE "ms-azure-iot-edge://"

/* Ticks of 100 ns from year 1 to 1970: generation ids are such ticks, as IoT Hub's are. */
#define TICKS_TO_1970 UINT64_C(621355968000000000)
/* ---- what an identity becomes --------------------------------------------------------------- */

static struct span or_else(struct span first, struct span second)
{
    return first.len > 0 ? first : second;
}

/* Keys that are missing: those there are, else fresh ones. */
static void put_authentication(const struct identity_input *input, struct identity *identity)
{
    if (!input->has_auth)
        return;
    bool had_keys = identity->auth == AUTH_SAS;
    identity->auth = input->auth;
    identity->primary_thumbprint = input->primary_thumbprint;
    identity->secondary_thumbprint = input->secondary_thumbprint;
    if (input->auth != AUTH_SAS) {
        identity->primary_key = SPAN_NONE;
        identity->secondary_key = SPAN_NONE;
        return;
    }
    struct span primary = had_keys ? identity->primary_key : SPAN_NONE;
    struct span secondary = had_keys ? identity->secondary_key : SPAN_NONE;
    identity->primary_key = or_else(input->primary_key, or_else(primary, input->fresh_primary));
    identity->secondary_key =
        or_else(input->secondary_key, or_else(secondary, input->fresh_secondary));
}

static enum err mirror_scope(struct arena *arena, struct identity *identity)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    buf_add_byte(&text, '[');
    json_write_string(identity->device_scope, &text);
    buf_add_byte(&text, ']');
    if (text.failed || !arena_span(arena, buf_span(&text), &identity->parent_scopes))
        return ERR_MEMORY;
    return ERR_NONE;
}

/* A scope is "ms-azure-iot-edge://{device}-{generation}": whether there is such a device. */
static enum err check_scope_exists(struct rest *rest, struct span scope)
{
    struct identity parent;
    struct span id = span_from(scope, sizeof(EDGE_SCOPE) - 1);
    while (id.len > 0 && id.ptr[id.len - 1] != '-')
        id.len--;
    if (span_starts(scope, SPAN_LIT(EDGE_SCOPE)) && id.len > 1) {
        id.len--;
        enum err err =
            store_identity_get(rest->txn, rest->arena, rest->hub_id, id, SPAN_NONE, &parent);
        if (err == ERR_NONE && parent.iot_edge && span_eq(parent.device_scope, scope))
            return ERR_NONE;
        if (err != ERR_NONE && err != ERR_NOT_FOUND)
            return err;
    }
    return fail(ERR_SCOPE, rest->why, "no edge device has the scope \"%.*s\"", SPAN_ARG(scope));
}

static enum err put_edge_scope(
    struct rest *rest, const struct identity_input *input, bool check, struct identity *identity)
{
    bool anew = identity->device_scope.len == 0 || !identity->iot_edge;
    if (anew && !check && span_starts(input->device_scope, SPAN_LIT(EDGE_SCOPE))) {
        /* Of a hub that it was exported from: its children name it so. */
        identity->device_scope = input->device_scope;
        identity->parent_scopes = SPAN_NONE;
    } else if (anew) {
        char *scope = arena_format(rest->arena, EDGE_SCOPE "%.*s-%llu",
            SPAN_ARG(identity->device_id), (unsigned long long)identity->generation);
        if (scope == NULL)
            return ERR_MEMORY;
        identity->device_scope = span_of(scope);
        identity->parent_scopes = SPAN_NONE;
    } else if (input->has_scope && input->device_scope.len > 0 &&
               !span_eq(input->device_scope, identity->device_scope)) {
        return fail(ERR_SCOPE, rest->why, "the scope of an edge device cannot be changed");
    }
    identity->iot_edge = true;
    if (input->has_parents)
        identity->parent_scopes = input->parent_scopes;
    return ERR_NONE;
}

static enum err put_scope(
    struct rest *rest, const struct identity_input *input, bool check, struct identity *identity)
{
    bool was_edge = identity->iot_edge;
    if (input->has_edge ? input->iot_edge : was_edge)
        return put_edge_scope(rest, input, check, identity);
    if (was_edge) {
        identity->iot_edge = false;
        identity->device_scope = SPAN_NONE;
        identity->parent_scopes = SPAN_NONE;
    }
    if (!input->has_scope || span_eq(input->device_scope, identity->device_scope))
        return ERR_NONE;
    if (check && input->device_scope.len > 0) {
        enum err err = check_scope_exists(rest, input->device_scope);
        if (err != ERR_NONE)
            return err;
    }
    identity->device_scope = input->device_scope;
    identity->parent_scopes = SPAN_NONE;
    return identity->device_scope.len > 0 ? mirror_scope(rest->arena, identity) : ERR_NONE;
}

static enum err put_input(struct rest *rest, const struct identity_input *input, bool check_scope,
    struct identity *identity)
{
    put_authentication(input, identity);
    if (identity->module_id.len > 0) {
        if (input->has_managed_by)
            identity->managed_by = input->managed_by;
        return ERR_NONE;
    }
    if (input->has_status && input->enabled != identity->enabled) {
        identity->enabled = input->enabled;
        identity->status_updated_us = now_us(rest->service);
    }
    if (input->has_reason)
        identity->status_reason = input->status_reason;
    return put_scope(rest, input, check_scope, identity);
}

/* ---- create --------------------------------------------------------------------------------- */

static enum err check_room(struct rest *rest, const struct identity_input *input)
{
    const struct service_limits *limits = &rest->service->options.limits;
    struct identity_counts counts;
    enum err err = store_identity_count(rest->txn, rest->hub_id, input->device_id, &counts);
    if (err != ERR_NONE)
        return err;
    if (input->module_id.len > 0 && counts.modules_of_device >= limits->modules_per_device)
        return fail(ERR_TOO_MANY_MODULES, rest->why,
            "the device has %llu modules, at most %zu are allowed (limits.modules_per_device)",
            (unsigned long long)counts.modules_of_device, limits->modules_per_device);
    if (input->module_id.len == 0 && counts.devices >= limits->devices_per_hub)
        return fail(ERR_TOO_MANY_DEVICES, rest->why,
            "the hub has %llu devices, at most %zu are allowed (limits.devices_per_hub)",
            (unsigned long long)counts.devices, limits->devices_per_hub);
    return ERR_NONE;
}

static enum err check_absent(struct rest *rest, const struct identity_input *input)
{
    struct identity other;
    if (input->module_id.len > 0) {
        enum err err = find_identity(
            rest->txn, rest->arena, rest->hub_id, input->device_id, SPAN_NONE, &other, rest->why);
        if (err != ERR_NONE)
            return err;
    }
    enum err err = store_identity_get(
        rest->txn, rest->arena, rest->hub_id, input->device_id, input->module_id, &other);
    if (err == ERR_NOT_FOUND)
        return ERR_NONE;
    if (err != ERR_NONE)
        return err;
    if (input->module_id.len > 0)
        return fail(ERR_MODULE_EXISTS, rest->why, "Module %.*s/%.*s is registered already",
            SPAN_ARG(input->device_id), SPAN_ARG(input->module_id));
    return fail(ERR_DEVICE_EXISTS, rest->why, "Device %.*s is registered already",
        SPAN_ARG(input->device_id));
}

/* An etag that an earlier identity of the same name is unlikely to have had. */
static uint64_t first_etag(void)
{
    uint32_t number = 0;
    (void)RAND_bytes((unsigned char *)&number, sizeof(number));
    return number % 1000000000u + 1;
}

static struct identity fresh_identity(
    const struct rest *rest, struct span device_id, struct span module_id, enum auth_type auth)
{
    return (struct identity){
        .device_id = device_id,
        .module_id = module_id,
        .generation = TICKS_TO_1970 + (uint64_t)now_us(rest->service) * 10,
        .etag = first_etag(),
        .enabled = true,
        .status_updated_us = CLOCK_UNSET,
        .connection_updated_us = CLOCK_UNSET,
        .last_activity_us = CLOCK_UNSET,
        .auth = auth,
    };
}

static enum err add_twin_effect(struct rest *rest, const struct identity *identity)
{
    struct effect *effect;
    enum err err = rest_add_effect(rest, EFFECT_TWIN, &effect);
    if (err != ERR_NONE)
        return err;
    effect->device_id = identity->device_id;
    effect->module_id = identity->module_id;
    return ERR_NONE;
}

static enum err insert(
    struct rest *rest, const struct identity *identity, const struct twin_doc *twin)
{
    enum err err = add_twin_effect(rest, identity);
    if (err == ERR_NONE)
        err = store_identity_insert(rest->txn, rest->hub_id, identity);
    if (err != ERR_NONE)
        return err;
    err =
        store_twin_put(rest->txn, rest->hub_id, identity->device_id, identity->module_id, twin, 0);
    const struct twin_change first = {.doc = *twin, .tags_changed = true, .desired_changed = true};
    if (err == ERR_NONE)
        err = history_note(rest, identity->device_id, identity->module_id, HISTORY_CREATE, &first);
    if (err == ERR_NONE)
        err = notice_lifecycle(rest, NOTICE_CREATED, identity, twin);
    return err;
}

/* The two modules that every edge device has. */
static enum err insert_edge_modules(
    struct rest *rest, struct span device_id, const struct twin_doc *twin)
{
    static const struct span names[] = {SPAN_INIT("$edgeAgent"), SPAN_INIT("$edgeHub")};
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct identity module;
        enum err err =
            store_identity_get(rest->txn, rest->arena, rest->hub_id, device_id, names[i], &module);
        if (err == ERR_NONE)
            continue;
        module = fresh_identity(rest, device_id, names[i], AUTH_NONE);
        if (err == ERR_NOT_FOUND)
            err = insert(rest, &module, twin);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

enum err registry_make_twin(
    struct rest *rest, const struct json *initial, struct twin_doc *ret_twin)
{
    struct twin_change change;
    int64_t now = now_us(rest->service);
    enum err err = twin_new(rest->arena, now, ret_twin);
    if (err != ERR_NONE || initial == NULL)
        return err;
    err = twin_apply(rest->arena, ret_twin, TWIN_PATCH, initial,
        &rest->service->options.limits.twin, now, &change, rest->why);
    if (err == ERR_NONE)
        *ret_twin = change.doc;
    return err;
}

enum err registry_create(struct rest *rest, const struct identity_input *input, bool check_scope,
    const struct json *initial_twin, struct identity *ret_identity)
{
    struct identity identity = fresh_identity(rest, input->device_id, input->module_id, AUTH_SAS);
    struct twin_doc empty;
    struct twin_doc twin;
    identity.primary_key = input->fresh_primary;
    identity.secondary_key = input->fresh_secondary;
    enum err err = check_absent(rest, input);
    if (err == ERR_NONE)
        err = check_room(rest, input);
    if (err == ERR_NONE)
        err = put_input(rest, input, check_scope, &identity);
    if (err == ERR_NONE)
        err = registry_make_twin(rest, NULL, &empty);
    if (err == ERR_NONE)
        err = registry_make_twin(rest, initial_twin, &twin);
    if (err == ERR_NONE)
        err = insert(rest, &identity, &twin);
    if (err == ERR_NONE && identity.iot_edge)
        err = insert_edge_modules(rest, identity.device_id, &empty);
    if (err == ERR_NONE)
        *ret_identity = identity;
    return err;
}

/* ---- update and delete ---------------------------------------------------------------------- */

static enum err end_session(
    struct rest *rest, struct span device_id, struct span module_id, enum session_end reason)
{
    struct effect *effect;
    enum err err = rest_add_effect(rest, EFFECT_END, &effect);
    if (err != ERR_NONE)
        return err;
    effect->device_id = device_id;
    effect->module_id = module_id;
    effect->reason = reason;
    return ERR_NONE;
}

static bool proof_changed(const struct identity *before, const struct identity *after)
{
    return before->auth != after->auth ||
           !span_eq(before->primary_thumbprint, after->primary_thumbprint) ||
           !span_eq(before->secondary_thumbprint, after->secondary_thumbprint);
}

/* A session lives on while the key that let it in does: that is what the second key is for. */
static enum err end_key(struct rest *rest, struct span key, const struct identity *after)
{
    struct effect *effect;
    if (key.len == 0 || span_eq(key, after->primary_key) || span_eq(key, after->secondary_key))
        return ERR_NONE;
    enum err err = rest_add_effect(rest, EFFECT_KEY_GONE, &effect);
    if (err != ERR_NONE)
        return err;
    effect->device_id = after->device_id;
    effect->module_id = after->module_id;
    effect->mark = auth_own_mark(key);
    return ERR_NONE;
}

static enum err add_update_effects(
    struct rest *rest, const struct identity *before, const struct identity *after)
{
    if (before->enabled && !after->enabled)
        return end_session(rest, after->device_id, after->module_id, SESSION_DISABLED);
    if (proof_changed(before, after))
        return end_session(rest, after->device_id, after->module_id, SESSION_KEYS_CHANGED);
    enum err err = end_key(rest, before->primary_key, after);
    return err == ERR_NONE ? end_key(rest, before->secondary_key, after) : err;
}

enum err registry_update(struct rest *rest, const struct identity_input *input,
    const struct match *match, bool check_scope, struct identity *ret_identity)
{
    struct identity before;
    struct twin_doc empty;
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, input->device_id,
        input->module_id, &before, rest->why);
    if (err == ERR_NONE)
        err = match_check(match, span_of(identity_etag(before.etag, etag)), rest->why);
    if (err != ERR_NONE)
        return err;
    struct identity after = before;
    after.etag++;
    err = put_input(rest, input, check_scope, &after);
    if (err == ERR_NONE)
        err = registry_make_twin(rest, NULL, &empty);
    if (err == ERR_NONE)
        err = add_update_effects(rest, &before, &after);
    if (err == ERR_NONE)
        err = add_twin_effect(rest, &after);
    if (err == ERR_NONE)
        err = store_identity_update(rest->txn, rest->hub_id, &after);
    if (err == ERR_NONE && after.iot_edge && !before.iot_edge)
        err = insert_edge_modules(rest, after.device_id, &empty);
    if (err == ERR_NONE)
        *ret_identity = after;
    return err;
}

enum err registry_delete(
    struct rest *rest, struct span device_id, struct span module_id, const struct match *match)
{
    struct identity identity;
    char etag[IDENTITY_ETAG_SIZE];
    enum err err = find_identity(
        rest->txn, rest->arena, rest->hub_id, device_id, module_id, &identity, rest->why);
    if (err == ERR_NONE)
        err = match_check(match, span_of(identity_etag(identity.etag, etag)), rest->why);
    if (err == ERR_NONE)
        err = end_session(rest, device_id, module_id, SESSION_DELETED);
    if (err == ERR_NONE)
        err = notice_deletion(rest, &identity);
    if (err != ERR_NONE)
        return err;
    return store_identity_delete(rest->txn, rest->hub_id, device_id, module_id);
}

/* ---- the operations ------------------------------------------------------------------------- */

static enum err respond_identity(struct rest *rest, const struct identity *identity)
{
    char etag[IDENTITY_ETAG_SIZE];
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    write_identity(identity, (rest->rights & RIGHT_REGISTRY_READ) != 0, &body);
    enum err err = respond_json(rest, 200, &body);
    mem_wipe(body.ptr, body.len);
    return err == ERR_NONE ? respond_etag(rest, identity_etag(identity->etag, etag)) : err;
}

enum err registry_get(struct rest *rest)
{
    struct identity identity;
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, rest->arguments[0],
        rest->arguments[1], &identity, rest->why);
    return err == ERR_NONE ? respond_identity(rest, &identity) : err;
}

/* An id in the body must be the path's; one that is missing is taken from there. */
static enum err check_id(struct rest *rest, const char *name, struct span id)
{
    const struct json *member = json_find_text(rest->body, name);
    if (member == NULL || (member->kind == JSON_STRING && span_eq(member->text, id)))
        return ERR_NONE;
    return fail(ERR_ARGUMENT, rest->why, "%s of the body is not that of the path", name);
}

enum err registry_prepare(struct rest *rest)
{
    bool module = rest->arguments[1].len > 0;
    struct identity_input *input = arena_alloc(rest->arena, sizeof(*input));
    if (input == NULL)
        return ERR_MEMORY;
    enum err err = ids_check_device(rest->arguments[0], rest->why);
    if (err == ERR_NONE && module)
        err = ids_check_module(rest->arguments[1], rest->why);
    if (err == ERR_NONE)
        err = identity_input_read(rest->arena, rest->body, input, rest->why);
    if (err == ERR_NONE)
        err = check_id(rest, "deviceId", rest->arguments[0]);
    if (err == ERR_NONE && module)
        err = check_id(rest, "moduleId", rest->arguments[1]);
    input->device_id = rest->arguments[0];
    input->module_id = rest->arguments[1];
    rest->input = input;
    return err;
}

enum err registry_put(struct rest *rest)
{
    const struct identity_input *input = rest->input;
    struct identity identity;
    bool module = input->module_id.len > 0;
    if (rest->match.given)
        rest->audit.action = module ? "module.update" : "device.update";
    enum err err = rest->match.given ? registry_update(rest, input, &rest->match, true, &identity)
                                     : registry_create(rest, input, true, NULL, &identity);
    return err == ERR_NONE ? respond_identity(rest, &identity) : err;
}

enum err registry_remove(struct rest *rest)
{
    enum err err = registry_delete(rest, rest->arguments[0], rest->arguments[1], &rest->match);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}

/* ---- lists and counts ----------------------------------------------------------------------- */

struct list {
    struct buf body;
    bool with_keys;
};

static enum err add_to_list(
    void *self, const struct identity *identity, const struct twin_doc *twin UNUSED)
{
    struct list *list = self;
    buf_add_byte(&list->body, list->body.len == 0 ? '[' : ',');
    write_identity(identity, list->with_keys, &list->body);
    return list->body.failed ? ERR_MEMORY : ERR_NONE;
}

static enum err respond_list(struct rest *rest, const struct identity_range *range)
{
    struct list list = {.with_keys = (rest->rights & RIGHT_REGISTRY_READ) != 0};
    enum err err = store_identity_list(rest->txn, rest->hub_id, range, add_to_list, &list);
    buf_add_text(&list.body, list.body.len == 0 ? "[]" : "]");
    if (err == ERR_NONE)
        err = respond_json(rest, 200, &list.body);
    mem_wipe(list.body.ptr, list.body.len);
    buf_done(&list.body);
    return err;
}

enum err registry_list(struct rest *rest)
{
    size_t most = rest->service->options.limits.list_items;
    uint64_t top;
    struct span text;
    enum err err = rest_parameter(rest, "top", &text);
    if (err != ERR_NONE)
        return err;
    if (!span_u64(text, most, &top) || top == 0)
        top = most;
    struct identity_range range = {.limit = (size_t)top};
    return respond_list(rest, &range);
}

enum err registry_list_modules(struct rest *rest)
{
    struct identity device;
    enum err err = find_identity(
        rest->txn, rest->arena, rest->hub_id, rest->arguments[0], SPAN_NONE, &device, rest->why);
    if (err != ERR_NONE)
        return err;
    struct identity_range range = {.modules = true,
        .device_id = rest->arguments[0],
        .limit = rest->service->options.limits.list_items};
    return respond_list(rest, &range);
}

static enum err respond_counts(struct rest *rest, bool connected)
{
    struct identity_counts counts;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = store_identity_count(rest->txn, rest->hub_id, SPAN_NONE, &counts);
    if (err != ERR_NONE)
        return err;
    if (connected)
        buf_add_format(
            &body, "{\"connectedDeviceCount\":%llu}", (unsigned long long)counts.connected_devices);
    else
        buf_add_format(&body,
            "{\"totalDeviceCount\":%llu,\"enabledDeviceCount\":%llu,\"disabledDeviceCount\":%llu}",
            (unsigned long long)counts.devices, (unsigned long long)counts.enabled_devices,
            (unsigned long long)(counts.devices - counts.enabled_devices));
    return respond_json(rest, 200, &body);
}

enum err registry_count_devices(struct rest *rest)
{
    return respond_counts(rest, false);
}

enum err registry_count_connected(struct rest *rest)
{
    return respond_counts(rest, true);
}
