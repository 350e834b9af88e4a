/* SPDX-License-Identifier: Apache-2.0 */
/* What Gemel adds: what a hub says of itself, and the hubs of the server. */
#include "service_priv.h"

#include "ids.h"
#include "policies.h"

#define HOST_NAMES_MAX 16u

static const struct {
    unsigned right;
    const char *name;
} right_names[] = {
    {RIGHT_REGISTRY_READ, "RegistryRead"},
    {RIGHT_REGISTRY_WRITE, "RegistryWrite"},
    {RIGHT_SERVICE_CONNECT, "ServiceConnect"},
    {RIGHT_DEVICE_CONNECT, "DeviceConnect"},
};

enum err admin_about(struct rest *rest)
{
    const struct service_options *options = &rest->service->options;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"hubName\":");
    json_write_string(rest->hub_name, &body);
    write_text_member(&body, "hostName", rest->host_name);
    buf_add_format(&body, ",\"mqttPort\":%u,\"httpsPort\":%u,\"version\":\"%s\"}",
        options->mqtt_port, options->https_port, GEMEL_VERSION);
    return respond_json(rest, 200, &body);
}

/* ---- hubs ----------------------------------------------------------------------------------- */

static void write_summary(const struct hub_record *hub, struct buf *out)
{
    buf_add_text(out, "{\"name\":");
    json_write_string(hub->name, out);
    write_text_or_null(out, "hostName", hub->host_name_count > 0 ? hub->host_names[0] : SPAN_NONE);
    buf_add_text(out, ",\"hostNames\":[");
    for (size_t i = 0; i < hub->host_name_count; i++) {
        buf_add_text(out, i == 0 ? "" : ",");
        json_write_string(hub->host_names[i], out);
    }
    buf_add_byte(out, ']');
    write_text_member(out, "idScope", hub->id_scope);
    write_time_member(out, "createdTime", hub->created_us);
}

void write_rights(unsigned rights, struct buf *out)
{
    bool first = true;
    buf_add_byte(out, '[');
    for (size_t i = 0; i < COUNT_OF(right_names); i++) {
        if ((rights & right_names[i].right) == 0)
            continue;
        buf_add_format(out, "%s\"%s\"", first ? "" : ",", right_names[i].name);
        first = false;
    }
    buf_add_byte(out, ']');
}

static void write_policy(const struct hub_record *hub, const struct policy *policy, struct buf *out)
{
    buf_add_text(out, "{\"name\":");
    json_write_string(policy->name, out);
    buf_add_text(out, ",\"rights\":");
    write_rights(policy->rights, out);
    write_text_member(out, "primaryKey", policy->primary_key);
    write_text_member(out, "secondaryKey", policy->secondary_key);
    buf_add_text(out, ",\"connectionString\":\"HostName=");
    buf_add(out, hub->host_names[0]);
    buf_add_text(out, ";SharedAccessKeyName=");
    buf_add(out, policy->name);
    buf_add_text(out, ";SharedAccessKey=");
    buf_add(out, policy->primary_key);
    buf_add_text(out, "\"}");
}

static void write_hub(const struct hub_record *hub, struct buf *out)
{
    write_summary(hub, out);
    buf_add_text(out, ",\"policies\":[");
    for (size_t i = 0; i < hub->policy_count && hub->host_name_count > 0; i++) {
        buf_add_text(out, i == 0 ? "" : ",");
        write_policy(hub, &hub->policies[i], out);
    }
    buf_add_text(out, "]}");
}

static enum err respond_hub(struct rest *rest, int status, const struct hub_record *hub)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    write_hub(hub, &body);
    enum err err = respond_json(rest, status, &body);
    mem_wipe(body.ptr, body.len);
    return err;
}

static enum err find_hub(struct rest *rest, const struct hub_record **ret_hub)
{
    enum err err = hub_table_read(rest->txn, &rest->hubs);
    if (err != ERR_NONE)
        return err;
    const struct hub_record *hub = hub_find_by_name(rest->hubs, rest->arguments[0]);
    if (hub == NULL)
        return fail(
            ERR_HUB_NOT_FOUND, rest->why, "there is no hub \"%.*s\"", SPAN_ARG(rest->arguments[0]));
    *ret_hub = hub;
    return ERR_NONE;
}

static bool has_part(struct span text, struct span part)
{
    for (size_t i = 0; i + part.len <= text.len; i++)
        if (span_eq_nocase((struct span){text.ptr + i, part.len}, part))
            return true;
    return false;
}

static bool is_looked_for(const struct hub_record *hub, struct span search)
{
    bool found = has_part(hub->name, search);
    for (size_t i = 0; i < hub->host_name_count && !found; i++)
        found = has_part(hub->host_names[i], search);
    return found;
}

static enum err list_hub(
    struct rest *rest, const struct hub_record *hub, enum role role, struct buf *out)
{
    struct identity_counts counts;
    enum err err = store_identity_count(rest->txn, hub->id, SPAN_NONE, &counts);
    if (err != ERR_NONE)
        return err;
    buf_add_text(out, out->len == 1 ? "" : ",");
    write_summary(hub, out);
    buf_add_format(out, ",\"devices\":%llu,\"connected\":%llu,\"role\":\"%s\"}",
        (unsigned long long)counts.devices, (unsigned long long)counts.connected_devices,
        access_role_name(role));
    return ERR_NONE;
}

/* The hubs for which the account has a role. */
enum err admin_list_hubs(struct rest *rest)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    const struct hub_record *hub = NULL;
    struct span search;
    enum err err = hub_table_read(rest->txn, &rest->hubs);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "search", &search);
    buf_add_byte(&body, '[');
    for (size_t i = 0; err == ERR_NONE && (hub = hub_at(rest->hubs, i)) != NULL; i++) {
        enum role role = access_role(&rest->access->account, hub->id);
        if (role != ROLE_NONE && is_looked_for(hub, search))
            err = list_hub(rest, hub, role, &body);
    }
    if (err != ERR_NONE)
        return err;
    buf_add_byte(&body, ']');
    return respond_json(rest, 200, &body);
}

enum err admin_get_hub(struct rest *rest)
{
    const struct hub_record *hub = NULL;
    enum err err = find_hub(rest, &hub);
    return err == ERR_NONE ? respond_hub(rest, 200, hub) : err;
}

/* ---- making one ----------------------------------------------------------------------------- */

static enum err add_host_name(struct rest *rest, struct hub_record *hub, const struct json *name)
{
    char normal[HOST_SIZE];
    struct span text = name->kind == JSON_STRING ? host_normalise(name->text, normal) : SPAN_NONE;
    if (text.len == 0)
        return fail(ERR_ARGUMENT, rest->why, "\"%.*s\" is no host name", SPAN_ARG(name->text));
    if (!arena_span(rest->arena, text, &hub->host_names[hub->host_name_count++]))
        return ERR_MEMORY;
    return ERR_NONE;
}

static enum err read_host_names(struct rest *rest, struct hub_record *hub)
{
    const struct json *names = json_find_text(rest->body, "hostNames");
    const struct json *name = json_find_text(rest->body, "hostName");
    hub->host_names = arena_alloc(rest->arena, HOST_NAMES_MAX * sizeof(struct span));
    if (hub->host_names == NULL)
        return ERR_MEMORY;
    if (names == NULL && name != NULL)
        return add_host_name(rest, hub, name);
    if (names == NULL || names->kind != JSON_ARRAY || names->count == 0 ||
        names->count > HOST_NAMES_MAX)
        return fail(ERR_ARGUMENT, rest->why,
            "a hub needs hostNames, an array of 1 to %u host names", HOST_NAMES_MAX);
    enum err err = ERR_NONE;
    for (const struct json *host = names->first; host != NULL && err == ERR_NONE; host = host->next)
        err = add_host_name(rest, hub, host);
    return err;
}

enum err admin_prepare_hub(struct rest *rest)
{
    struct hub_record *hub = arena_alloc(rest->arena, sizeof(*hub));
    if (hub == NULL)
        return ERR_MEMORY;
    if (rest->body->kind != JSON_OBJECT)
        return fail(ERR_ARGUMENT, rest->why, "the body is %s, it must be an object",
            json_kind_name(rest->body));
    hub->name = json_string_of(rest->body, "name");
    enum err err = ids_check_hub(hub->name, rest->why);
    if (err == ERR_NONE)
        err = read_host_names(rest, hub);
    if (err == ERR_NONE)
        err = policies_make(rest->arena, hub);
    rest->input = hub;
    return err;
}

/* ---- the certificate ------------------------------------------------------------------------ */

/* Tells in the answer, the document of a hub, whether clients will trust the server under its
 * names. The hub is there in any case: its names may be covered by what stands before this server.
 */
static enum err tell_cover(struct rest *rest, enum err cover, const struct why *why)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct span document = rest->call->body_out;
    buf_add(&body, span_first(document, document.len - 1));
    buf_add_format(&body, ",\"certificateCovers\":%s", cover == ERR_NONE ? "true" : "false");
    if (cover != ERR_NONE)
        write_text_member(&body, "certificateMessage", span_of(why_text(why, cover)));
    buf_add_byte(&body, '}');
    bool done = !body.failed && arena_span(rest->arena, buf_span(&body), &rest->call->body_out);
    mem_wipe(body.ptr, body.len);
    return done ? ERR_NONE : ERR_MEMORY;
}

static void covered(struct cover *cover, enum err err, const struct why *why)
{
    struct rest *rest = (struct rest *)((char *)cover - offsetof(struct rest, cover));
    enum err told = ERR_NONE;
    if (rest->call->status == 201)
        told = tell_cover(rest, err, why);
    rest_finish(rest, told, NULL);
}

bool hubs_await_cover(struct rest *rest)
{
    const struct service_options *options = &rest->service->options;
    if (rest->cover.names == NULL || options->cover_names == NULL)
        return false;
    rest->cover.done = covered;
    options->cover_names(options->keeper, &rest->cover);
    return true;
}

/* The hubs as they will be after the commit. */
static enum err read_new_hubs(struct rest *rest)
{
    enum err err = hub_table_read(rest->txn, &rest->hubs);
    if (err == ERR_NONE)
        err = hub_all_names(rest->hubs, rest->arena, &rest->cover.names, &rest->cover.count);
    return err;
}

/* ---- coming and going ----------------------------------------------------------------------- */

enum err admin_create_hub(struct rest *rest)
{
    struct hub_record hub = *(const struct hub_record *)rest->input;
    struct effect *effect;
    hub.created_us = now_us(rest->service);
    rest->audit.hub = hub.name;
    rest->audit.target = hub.name;
    enum err err = rest_add_effect(rest, EFFECT_HUBS, &effect);
    if (err == ERR_NONE)
        err = store_hub_put(rest->txn, &hub, &hub.id);
    if (err == ERR_NONE)
        err = read_new_hubs(rest);
    if (err != ERR_NONE)
        return err;
    hub.id_scope = hub_find_by_name(rest->hubs, hub.name)->id_scope;
    return respond_hub(rest, 201, &hub);
}

enum err admin_delete_hub(struct rest *rest)
{
    const struct hub_record *hub = NULL;
    struct effect *effect;
    enum err err = find_hub(rest, &hub);
    if (err != ERR_NONE)
        return err;
    int64_t id = hub->id;
    rest->audit.hub = rest->arguments[0];
    hub_table_free(rest->hubs);
    rest->hubs = NULL;
    err = rest_add_effect(rest, EFFECT_HUBS, &effect);
    if (err == ERR_NONE)
        err = rest_add_effect(rest, EFFECT_HUB_GONE, &effect);
    if (err == ERR_NONE) {
        effect->hub_id = id;
        err = store_hub_delete(rest->txn, id);
    }
    if (err == ERR_NONE)
        err = read_new_hubs(rest);
    return err == ERR_NONE ? respond_empty(rest, 204) : err;
}
