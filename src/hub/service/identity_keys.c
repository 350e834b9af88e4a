/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /devices/keys/regenerate: new keys for up to 100 devices and modules in one request and one
 * commit. One that is refused is reported and leaves the others alone. A session that a former key
 * let in ends.
 */
#include "service_priv.h"

#include "ids.h"
#include "policies.h"

enum which_keys { PRIMARY = 1, SECONDARY = 2 };

static const struct {
    const char *name;
    unsigned keys;
} policy_keys[] = {
    {"primaryKey", PRIMARY},
    {"secondaryKey", SECONDARY},
    {"both", PRIMARY | SECONDARY},
};

struct renewal {
    struct renewal *next;
    struct identity_input input; /* the keys that are not to change are empty */
    enum err err;                /* of reading it */
    struct why why;
};

struct renewals {
    const char *policy_key;
    struct renewal *first;
    size_t count;
};

static enum err read_renewal(
    struct rest *rest, const struct json *body, unsigned keys, struct renewal *renewal)
{
    struct identity_input *input = &renewal->input;
    if (body->kind != JSON_OBJECT)
        return fail(ERR_ARGUMENT, &renewal->why, "an item is %s, it must be an object",
            json_kind_name(body));
    input->device_id = json_string_of(body, "id");
    input->module_id = json_string_of(body, "moduleId");
    if (input->device_id.len == 0)
        input->device_id = json_string_of(body, "deviceId");
    enum err err = ids_check_device(input->device_id, &renewal->why);
    if (err == ERR_NONE && input->module_id.len > 0)
        err = ids_check_module(input->module_id, &renewal->why);
    if (err != ERR_NONE)
        return err;
    input->has_auth = true;
    input->auth = AUTH_SAS;
    if ((keys & PRIMARY) != 0)
        input->primary_key = policies_new_key(rest->arena);
    if ((keys & SECONDARY) != 0)
        input->secondary_key = policies_new_key(rest->arena);
    bool missing = ((keys & PRIMARY) != 0 && input->primary_key.len == 0) ||
                   ((keys & SECONDARY) != 0 && input->secondary_key.len == 0);
    return missing ? ERR_MEMORY : ERR_NONE;
}

static enum err read_list(
    struct rest *rest, const struct json *devices, unsigned keys, struct renewals *renewals)
{
    size_t most = rest->service->options.limits.bulk_items;
    struct renewal **link = &renewals->first;
    if (!json_is(devices, JSON_ARRAY) || devices->count == 0)
        return fail(ERR_ARGUMENT, rest->why, "devices must be an array of {id, moduleId}");
    if (devices->count > most)
        return fail(ERR_TOO_MANY_DEVICES, rest->why,
            "devices has %u items, at most %zu are allowed (limits.bulk_items)", devices->count,
            most);
    json_each (body, devices) {
        struct renewal *renewal = arena_alloc(rest->arena, sizeof(*renewal));
        if (renewal == NULL)
            return ERR_MEMORY;
        renewal->err = read_renewal(rest, body, keys, renewal);
        if (renewal->err == ERR_MEMORY)
            return ERR_MEMORY;
        *link = renewal;
        link = &renewal->next;
        renewals->count++;
    }
    return ERR_NONE;
}

enum err keys_prepare(struct rest *rest)
{
    struct renewals *renewals = arena_alloc(rest->arena, sizeof(*renewals));
    struct span name = json_string_of(rest->body, "policyKey");
    if (renewals == NULL)
        return ERR_MEMORY;
    rest->input = renewals;
    for (size_t i = 0; i < COUNT_OF(policy_keys); i++) {
        if (!span_eq_nocase(name, span_of(policy_keys[i].name)))
            continue;
        renewals->policy_key = policy_keys[i].name;
        return read_list(
            rest, json_find_text(rest->body, "devices"), policy_keys[i].keys, renewals);
    }
    return fail(ERR_ARGUMENT, rest->why,
        "policyKey is \"%.*s\", it must be primaryKey, secondaryKey or both", SPAN_ARG(name));
}

static enum err renew(
    struct rest *rest, const struct renewal *renewal, struct identity *ret_identity)
{
    struct identity identity;
    const struct identity_input *input = &renewal->input;
    enum err err = find_identity(rest->txn, rest->arena, rest->hub_id, input->device_id,
        input->module_id, &identity, rest->why);
    if (err == ERR_NONE && identity.auth != AUTH_SAS)
        return fail(ERR_OPERATION, rest->why,
            "it has no keys: its type of authentication is %s, not sas", auth_name(identity.auth));
    return err == ERR_NONE ? registry_update(rest, input, &(struct match){0}, false, ret_identity)
                           : err;
}

static void write_ids(const struct renewal *renewal, struct buf *out)
{
    buf_add_text(out, out->len == 0 ? "{\"id\":" : ",{\"id\":");
    json_write_string(renewal->input.device_id, out);
    if (renewal->input.module_id.len > 0)
        write_text_member(out, "moduleId", renewal->input.module_id);
}

struct outcome {
    struct buf rotated;
    struct buf errors;
    struct buf noted; /* for the audit log */
    size_t done;
};

static enum err run_renewal(
    struct rest *rest, const struct renewal *renewal, struct outcome *outcome)
{
    struct why why = renewal->why;
    struct why *outer = rest->why;
    struct identity identity;
    rest->why = &why;
    enum err err = renewal->err == ERR_NONE ? renew(rest, renewal, &identity) : renewal->err;
    rest->why = outer;
    if (err != ERR_NONE && (err_row(err)->http_status >= 500 || err_row(err)->hub_code == 0))
        return err;
    if (err != ERR_NONE) {
        write_ids(renewal, &outcome->errors);
        write_text_member(&outcome->errors, "errorCode", span_of(err_row(err)->hub_name));
        write_text_member(&outcome->errors, "errorStatus", span_of(why_text(&why, err)));
        buf_add_byte(&outcome->errors, '}');
        return ERR_NONE;
    }
    outcome->done++;
    write_ids(renewal, &outcome->noted);
    buf_add_byte(&outcome->noted, '}');
    write_ids(renewal, &outcome->rotated);
    write_text_member(&outcome->rotated, "primaryKey", identity.primary_key);
    write_text_member(&outcome->rotated, "secondaryKey", identity.secondary_key);
    buf_add_byte(&outcome->rotated, '}');
    return ERR_NONE;
}

static enum err note(
    struct rest *rest, const struct renewals *renewals, const struct outcome *outcome)
{
    char *target = arena_format(rest->arena, "%zu identities", outcome->done);
    AUTO(buf_done) struct buf detail = BUF_EMPTY;
    buf_add_format(&detail, "{\"key\":\"%s\",\"refused\":%zu,\"items\":[", renewals->policy_key,
        renewals->count - outcome->done);
    buf_add(&detail, buf_span(&outcome->noted));
    buf_add_text(&detail, "]}");
    rest->audit.target = span_of(target);
    if (target == NULL || outcome->noted.failed || detail.failed ||
        !arena_span(rest->arena, buf_span(&detail), &rest->audit.detail))
        return ERR_MEMORY;
    return ERR_NONE;
}

/* 200: all of them; 207: some; 400: none. */
static enum err respond(
    struct rest *rest, const struct renewals *renewals, const struct outcome *outcome)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    bool all = outcome->done == renewals->count;
    buf_add_format(&body, "{\"policyKey\":\"%s\",\"rotatedKeys\":[", renewals->policy_key);
    buf_add(&body, buf_span(&outcome->rotated));
    buf_add_text(&body, "],\"errors\":[");
    buf_add(&body, buf_span(&outcome->errors));
    buf_add_text(&body, "]}");
    if (outcome->done == 0)
        respond_header(rest->call, "iothub-errorcode", span_of(err_row(ERR_BULK)->hub_name));
    enum err err = outcome->rotated.failed || outcome->errors.failed
                       ? ERR_MEMORY
                       : respond_json(rest,
                             all                 ? 200
                             : outcome->done > 0 ? 207
                                                 : 400,
                             &body);
    mem_wipe(body.ptr, body.len);
    return err;
}

enum err keys_regenerate(struct rest *rest)
{
    const struct renewals *renewals = rest->input;
    struct outcome outcome = {.done = 0};
    enum err err = ERR_NONE;
    for (const struct renewal *at = renewals->first; at != NULL && err == ERR_NONE; at = at->next)
        err = run_renewal(rest, at, &outcome);
    if (err == ERR_NONE)
        err = note(rest, renewals, &outcome);
    if (err == ERR_NONE)
        err = respond(rest, renewals, &outcome);
    mem_wipe(outcome.rotated.ptr, outcome.rotated.len);
    buf_done(&outcome.rotated);
    buf_done(&outcome.errors);
    buf_done(&outcome.noted);
    return err;
}
