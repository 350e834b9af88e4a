/* SPDX-License-Identifier: Apache-2.0 */
#include "service_priv.h"

#include "base64.h"
#include "ids.h"
#include "policies.h"

#define REASON_MAX_BYTES 128
#define SCOPE_MAX_BYTES 512

/* A member that is a text, or null, which counts as an empty one. */
static enum err take_text(const struct json *object, const char *name, size_t max_bytes,
    bool *ret_has, struct span *ret_text, struct why *why)
{
    const struct json *member = json_find_text(object, name);
    if (member == NULL) {
        *ret_has = false;
        return ERR_NONE;
    }
    if (member->kind != JSON_STRING && member->kind != JSON_NULL)
        return fail(
            ERR_ARGUMENT, why, "%s is %s, it must be a string", name, json_kind_name(member));
    if (member->text.len > max_bytes)
        return fail(ERR_ARGUMENT, why, "%s has %zu bytes, at most %zu are allowed", name,
            member->text.len, max_bytes);
    *ret_has = true;
    *ret_text = member->text;
    return ERR_NONE;
}

/* A member that is an object; NULL where it is absent or null. */
static enum err take_object(
    const struct json *object, const char *name, const struct json **ret_member, struct why *why)
{
    const struct json *member = json_find_text(object, name);
    if (member != NULL && member->kind != JSON_OBJECT && member->kind != JSON_NULL)
        return fail(
            ERR_ARGUMENT, why, "%s is %s, it must be an object", name, json_kind_name(member));
    *ret_member = json_is(member, JSON_OBJECT) ? member : NULL;
    return ERR_NONE;
}

static enum err read_status(const struct json *body, struct identity_input *input, struct why *why)
{
    struct span status = SPAN_NONE;
    enum err err = take_text(body, "status", 64, &input->has_status, &status, why);
    if (err == ERR_NONE)
        err = take_text(
            body, "statusReason", REASON_MAX_BYTES, &input->has_reason, &input->status_reason, why);
    if (err != ERR_NONE || !input->has_status)
        return err;
    input->has_status = status.len > 0;
    input->enabled = span_eq_nocase(status, SPAN_LIT("enabled"));
    if (status.len > 0 && !input->enabled && !span_eq_nocase(status, SPAN_LIT("disabled")))
        return fail(ERR_ARGUMENT, why, "status is \"%.*s\", it must be \"enabled\" or \"disabled\"",
            SPAN_ARG(status));
    return ERR_NONE;
}

static enum err read_keys(
    const struct json *authentication, struct identity_input *input, struct why *why)
{
    const struct json *keys = NULL;
    bool has;
    enum err err = take_object(authentication, "symmetricKey", &keys, why);
    if (err == ERR_NONE)
        err = take_text(keys, "primaryKey", SIZE_MAX, &has, &input->primary_key, why);
    if (err == ERR_NONE)
        err = take_text(keys, "secondaryKey", SIZE_MAX, &has, &input->secondary_key, why);
    if (err == ERR_NONE && input->primary_key.len > 0) {
        err = base64_check_key(input->primary_key, why);
        if (err != ERR_NONE)
            why_prefix(why, "primaryKey");
    }
    if (err == ERR_NONE && input->secondary_key.len > 0) {
        err = base64_check_key(input->secondary_key, why);
        if (err != ERR_NONE)
            why_prefix(why, "secondaryKey");
    }
    return err;
}

static enum err check_thumbprint(const char *name, struct span text, struct why *why)
{
    bool ok = text.len == 0 || text.len == 40 || text.len == 64;
    for (size_t i = 0; ok && i < text.len; i++) {
        char c = text.ptr[i];
        ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    }
    if (ok)
        return ERR_NONE;
    return fail(
        ERR_ARGUMENT, why, "%s must be 40 (SHA-1) or 64 (SHA-256) hexadecimal digits", name);
}

static enum err read_thumbprints(
    const struct json *authentication, struct identity_input *input, struct why *why)
{
    const struct json *thumbprints = NULL;
    bool has;
    enum err err = take_object(authentication, "x509Thumbprint", &thumbprints, why);
    if (err == ERR_NONE)
        err = take_text(
            thumbprints, "primaryThumbprint", SIZE_MAX, &has, &input->primary_thumbprint, why);
    if (err == ERR_NONE)
        err = take_text(
            thumbprints, "secondaryThumbprint", SIZE_MAX, &has, &input->secondary_thumbprint, why);
    if (err == ERR_NONE)
        err = check_thumbprint("primaryThumbprint", input->primary_thumbprint, why);
    if (err == ERR_NONE)
        err = check_thumbprint("secondaryThumbprint", input->secondary_thumbprint, why);
    return err;
}

static enum err read_type(struct span type, struct identity_input *input, struct why *why)
{
    static const struct {
        const char *name;
        enum auth_type type;
    } types[] = {
        {"sas", AUTH_SAS},
        {"selfSigned", AUTH_SELF_SIGNED},
        {"certificateAuthority", AUTH_CERTIFICATE_AUTHORITY},
        {"none", AUTH_NONE},
    };
    bool prints = input->primary_thumbprint.len > 0 || input->secondary_thumbprint.len > 0;
    if (type.len == 0) {
        input->auth = prints ? AUTH_SELF_SIGNED : AUTH_SAS;
        return ERR_NONE;
    }
    for (size_t i = 0; i < COUNT_OF(types); i++) {
        if (!span_eq_nocase(type, span_of(types[i].name)))
            continue;
        input->auth = types[i].type;
        if (input->auth == AUTH_SELF_SIGNED && !prints)
            return fail(ERR_ARGUMENT, why, "selfSigned needs a thumbprint");
        return ERR_NONE;
    }
    return fail(ERR_ARGUMENT, why,
        "the type of authentication is \"%.*s\", it must be sas, selfSigned, certificateAuthority "
        "or none",
        SPAN_ARG(type));
}

/* What belongs to another type of authentication is dropped, as keys beside thumbprints are. */
static void keep_what_fits(struct identity_input *input)
{
    if (input->auth != AUTH_SAS) {
        input->primary_key = SPAN_NONE;
        input->secondary_key = SPAN_NONE;
    }
    if (input->auth != AUTH_SELF_SIGNED) {
        input->primary_thumbprint = SPAN_NONE;
        input->secondary_thumbprint = SPAN_NONE;
    }
}

static enum err read_authentication(
    const struct json *body, struct identity_input *input, struct why *why)
{
    const struct json *authentication = NULL;
    struct span type = SPAN_NONE;
    bool has;
    enum err err = take_object(body, "authentication", &authentication, why);
    if (err != ERR_NONE || authentication == NULL)
        return err;
    input->has_auth = true;
    err = read_keys(authentication, input, why);
    if (err == ERR_NONE)
        err = read_thumbprints(authentication, input, why);
    if (err == ERR_NONE)
        err = take_text(authentication, "type", 64, &has, &type, why);
    if (err == ERR_NONE)
        err = read_type(type, input, why);
    keep_what_fits(input);
    return err;
}

static enum err read_parents(
    struct arena *arena, const struct json *body, struct identity_input *input, struct why *why)
{
    const struct json *parents = json_find_text(body, "parentScopes");
    if (parents == NULL || parents->kind == JSON_NULL)
        return ERR_NONE;
    if (parents->kind != JSON_ARRAY)
        return fail(ERR_ARGUMENT, why, "parentScopes must be an array of strings");
    json_each (scope, parents) {
        if (scope->kind != JSON_STRING || scope->text.len > SCOPE_MAX_BYTES)
            return fail(ERR_ARGUMENT, why, "parentScopes must be an array of strings");
    }
    input->has_parents = true;
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    if (parents->count > 0)
        json_write(parents, &text);
    if (text.failed || !arena_span(arena, buf_span(&text), &input->parent_scopes))
        return ERR_MEMORY;
    return ERR_NONE;
}

static enum err read_edge(
    struct arena *arena, const struct json *body, struct identity_input *input, struct why *why)
{
    const struct json *capabilities = NULL;
    enum err err = take_object(body, "capabilities", &capabilities, why);
    const struct json *edge = err == ERR_NONE ? json_find_text(capabilities, "iotEdge") : NULL;
    if (edge != NULL && edge->kind != JSON_BOOL && edge->kind != JSON_NULL)
        return fail(
            ERR_ARGUMENT, why, "iotEdge is %s, it must be true or false", json_kind_name(edge));
    input->has_edge = json_is(edge, JSON_BOOL);
    input->iot_edge = input->has_edge && edge->truth;
    if (err == ERR_NONE)
        err = take_text(
            body, "deviceScope", SCOPE_MAX_BYTES, &input->has_scope, &input->device_scope, why);
    if (err == ERR_NONE)
        err = read_parents(arena, body, input, why);
    if (err == ERR_NONE)
        err = take_text(
            body, "managedBy", ID_MAX_BYTES, &input->has_managed_by, &input->managed_by, why);
    return err;
}

enum err identity_input_read(
    struct arena *arena, const struct json *body, struct identity_input *ret_input, struct why *why)
{
    struct identity_input input = {0};
    if (body->kind != JSON_OBJECT)
        return fail(
            ERR_ARGUMENT, why, "the body is %s, it must be an object", json_kind_name(body));
    enum err err = read_status(body, &input, why);
    if (err == ERR_NONE)
        err = read_authentication(body, &input, why);
    if (err == ERR_NONE)
        err = read_edge(arena, body, &input, why);
    if (err != ERR_NONE)
        return err;
    input.fresh_primary = policies_new_key(arena);
    input.fresh_secondary = policies_new_key(arena);
    if (input.fresh_primary.len == 0 || input.fresh_secondary.len == 0)
        return ERR_MEMORY;
    *ret_input = input;
    return ERR_NONE;
}
