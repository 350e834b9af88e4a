/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shared access policies of a hub, as the portal shows them. Keys are shown to administrators
 * alone, and that they were is written down. A key that is made anew is worth nothing any more: the
 * cache of the hubs is refreshed, and the sessions that it let in end.
 */
#include "service_priv.h"

#include "connstr.h"
#include "policies.h"

static enum err read_hub(struct rest *rest, struct hub_record *ret_hub)
{
    const struct hub_record *hub = NULL;
    hub_table_free(rest->hubs);
    rest->hubs = NULL;
    enum err err = hub_table_read(rest->txn, &rest->hubs);
    if (err == ERR_NONE)
        hub = hub_find_by_name(rest->hubs, rest->hub_name);
    if (err == ERR_NONE && hub == NULL)
        return fail(
            ERR_HUB_NOT_FOUND, rest->why, "there is no hub \"%.*s\"", SPAN_ARG(rest->hub_name));
    if (err == ERR_NONE)
        *ret_hub = *hub;
    return err;
}

enum err policies_list(struct rest *rest)
{
    struct hub_record hub = {0};
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    enum err err = read_hub(rest, &hub);
    if (err != ERR_NONE)
        return err;
    buf_add_byte(&body, '[');
    for (size_t i = 0; i < hub.policy_count; i++) {
        buf_add_text(&body, i == 0 ? "{\"name\":" : ",{\"name\":");
        json_write_string(hub.policies[i].name, &body);
        buf_add_text(&body, ",\"rights\":");
        write_rights(hub.policies[i].rights, &body);
        buf_add_byte(&body, '}');
    }
    buf_add_byte(&body, ']');
    return respond_json(rest, 200, &body);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static void write_connection(
    const struct rest *rest, const struct policy *policy, struct span key, struct buf *out)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct connstr connection = {
        .host_name = rest->host_name, .key_name = policy->name, .key = key};
    connstr_write(&connection, &text);
    json_write_string(buf_span(&text), out);
    out->failed |= text.failed;
    mem_wipe(text.ptr, text.len);
}

static enum err respond_keys(struct rest *rest, const struct policy *policy)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    buf_add_text(&body, "{\"primaryKey\":");
    json_write_string(policy->primary_key, &body);
    write_text_member(&body, "secondaryKey", policy->secondary_key);
    buf_add_text(&body, ",\"primaryConnectionString\":");
    write_connection(rest, policy, policy->primary_key, &body);
    buf_add_text(&body, ",\"secondaryConnectionString\":");
    write_connection(rest, policy, policy->secondary_key, &body);
    buf_add_byte(&body, '}');
    enum err err = respond_json(rest, 200, &body);
    mem_wipe(body.ptr, body.len);
    return err;
}

static enum err find_policy(struct rest *rest, struct hub_record *hub, struct policy **ret_policy)
{
    for (size_t i = 0; i < hub->policy_count; i++) {
        if (!span_eq(hub->policies[i].name, rest->arguments[0]))
            continue;
        *ret_policy = &hub->policies[i];
        return ERR_NONE;
    }
    return fail(
        ERR_NO_ROUTE, rest->why, "the hub has no policy \"%.*s\"", SPAN_ARG(rest->arguments[0]));
}

enum err policies_show_keys(struct rest *rest)
{
    struct hub_record hub = {0};
    struct policy *policy = NULL;
    enum err err = read_hub(rest, &hub);
    if (err == ERR_NONE)
        err = find_policy(rest, &hub, &policy);
    return err == ERR_NONE ? respond_keys(rest, policy) : err;
}

/* ---- making one anew ------------------------------------------------------------------------- */

static enum err add_effects(struct rest *rest, struct span old_key)
{
    struct effect *effect;
    enum err err = rest_add_effect(rest, EFFECT_HUBS, &effect);
    if (err == ERR_NONE)
        err = rest_add_effect(rest, EFFECT_POLICY_KEY, &effect);
    if (err == ERR_NONE)
        effect->mark = auth_key_mark(old_key);
    return err;
}

static enum err note_key(struct rest *rest, struct span which)
{
    char *detail = arena_format(rest->arena, "{\"key\":\"%.*s\"}", SPAN_ARG(which));
    rest->audit.detail = span_of(detail);
    return detail == NULL ? ERR_MEMORY : ERR_NONE;
}

enum err policies_prepare_regenerate(struct rest *rest)
{
    struct span which = json_string_of(rest->body, "key");
    struct span *key = arena_alloc(rest->arena, sizeof(*key));
    if (!span_is(which, "primary") && !span_is(which, "secondary"))
        return fail(ERR_ARGUMENT, rest->why, "key must be \"primary\" or \"secondary\"");
    if (key == NULL)
        return ERR_MEMORY;
    *key = policies_new_key(rest->arena);
    rest->input = key;
    return key->len == 0 ? ERR_MEMORY : ERR_NONE;
}

enum err policies_regenerate(struct rest *rest)
{
    struct hub_record hub = {0};
    struct policy *policy = NULL;
    struct policy fresh;
    struct span which = json_string_of(rest->body, "key");
    enum err err = read_hub(rest, &hub);
    if (err == ERR_NONE)
        err = find_policy(rest, &hub, &policy);
    if (err != ERR_NONE)
        return err;
    struct span *place = span_is(which, "primary") ? &policy->primary_key : &policy->secondary_key;
    err = add_effects(rest, *place);
    if (err == ERR_NONE)
        err = note_key(rest, which);
    if (err != ERR_NONE)
        return err;
    auth_wipe(*place);
    *place = *(const struct span *)rest->input;
    fresh = *policy;
    if (!arena_span(rest->arena, policy->name, &fresh.name) ||
        !arena_span(rest->arena, policy->primary_key, &fresh.primary_key) ||
        !arena_span(rest->arena, policy->secondary_key, &fresh.secondary_key))
        err = ERR_MEMORY;
    if (err == ERR_NONE)
        err = store_hub_put(rest->txn, &hub, &hub.id);
    /* What was put into the table lies in the arena; the table outlives that. */
    *place = SPAN_NONE;
    hub_table_free(rest->hubs);
    rest->hubs = NULL;
    if (err == ERR_NONE)
        err = hub_table_read(rest->txn, &rest->hubs);
    if (err == ERR_NONE)
        err = respond_keys(rest, &fresh);
    auth_wipe(fresh.primary_key);
    auth_wipe(fresh.secondary_key);
    return err;
}
