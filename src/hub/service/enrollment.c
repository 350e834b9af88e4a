/* SPDX-License-Identifier: Apache-2.0 */
#include "enrollment.h"

#include "base64.h"
#include "certificate.h"
#include "ids.h"
#include "policies.h"

#include <ctype.h>

/* What is taken from a body as it is. */
static const struct {
    const char *name;
    enum json_kind kind;
} members[] = {
    {"deviceId", JSON_STRING},
    {"iotHubHostName", JSON_STRING},
    {"iotHubs", JSON_ARRAY},
    {"allocationPolicy", JSON_STRING},
    {"provisioningStatus", JSON_STRING},
    {"reprovisionPolicy", JSON_OBJECT},
    {"capabilities", JSON_OBJECT},
    {"initialTwin", JSON_OBJECT},
    {"optionalDeviceInformation", JSON_OBJECT},
    {"modules", JSON_OBJECT},
};

struct span enrollment_id(struct arena *arena, struct span id)
{
    char *text = arena_text(arena, id);
    if (text == NULL)
        return SPAN_NONE;
    for (size_t i = 0; i < id.len; i++)
        text[i] = (char)tolower((unsigned char)text[i]);
    return (struct span){text, id.len};
}

/* ---- attestation: symmetric keys ------------------------------------------------------------- */

static enum err take_key(struct rest *rest, const struct json *given, const struct json *before,
    const char *name, struct json *keys)
{
    struct span key = json_string_of(given, name);
    if (key.len == 0)
        key = json_string_of(before, name);
    if (key.len == 0)
        key = policies_new_key(rest->arena);
    if (key.len == 0 || !json_set_text(rest->arena, keys, name, key))
        return ERR_MEMORY;
    enum err err = base64_check_key(key, rest->why);
    if (err != ERR_NONE)
        why_prefix(rest->why, "attestation.symmetricKey.%s", name);
    return err;
}

static enum err take_keys(struct rest *rest, const struct json *given, const struct json *before,
    struct json *attestation)
{
    struct json *keys = json_new(rest->arena, JSON_OBJECT);
    if (keys == NULL || !json_set(rest->arena, attestation, SPAN_LIT("symmetricKey"), keys))
        return ERR_MEMORY;
    given = json_find_text(given, "symmetricKey");
    before = json_find_text(before, "symmetricKey");
    enum err err = take_key(rest, given, before, "primaryKey", keys);
    return err == ERR_NONE ? take_key(rest, given, before, "secondaryKey", keys) : err;
}

/* ---- attestation: certificates --------------------------------------------------------------- */

static enum err take_certificate(struct rest *rest, bool authority, const struct json *given,
    const struct json *before, const char *name, struct json *certificates)
{
    AUTO(buf_done) struct buf text = BUF_EMPTY;
    struct json *certificate = json_new(rest->arena, JSON_OBJECT);
    struct span der;
    struct span source = json_string_of(json_find_text(given, name), "certificate");
    if (source.len == 0 && json_is(json_find_text(given, name), JSON_OBJECT))
        source = json_string_of(json_find_text(before, name), "certificate");
    if (source.len == 0)
        return ERR_NONE;
    enum err err = certificate_of_text(rest->arena, source, &der, rest->why);
    if (err == ERR_NONE && authority)
        err = certificate_check_authority(der, rest->why);
    if (err != ERR_NONE) {
        why_prefix(rest->why, "attestation.x509, %s", name);
        return err;
    }
    base64_write(der, &text);
    if (text.failed || certificate == NULL ||
        !json_set_text(rest->arena, certificate, "certificate", buf_span(&text)) ||
        !json_set(rest->arena, certificates, span_of(name), certificate))
        return ERR_MEMORY;
    return ERR_NONE;
}

static enum err take_reference(
    struct rest *rest, const struct json *given, const char *name, struct json *references)
{
    struct ca_certificate authority;
    struct span reference = json_string_of(given, name);
    if (reference.len == 0)
        return ERR_NONE;
    enum err err = store_ca_get(rest->txn, rest->arena, rest->hub_id, reference, &authority);
    if (err == ERR_NOT_FOUND)
        return fail(ERR_ARGUMENT, rest->why,
            "attestation.x509.caReferences.%s: the hub has no certificate \"%.*s\"", name,
            SPAN_ARG(reference));
    if (err == ERR_NONE && !json_set_text(rest->arena, references, name, reference))
        return ERR_MEMORY;
    return err;
}

static enum err take_certificates(struct rest *rest, enum enrollment_kind kind,
    const struct json *given, const struct json *before, struct json *attestation)
{
    bool group = kind == ENROLLMENT_GROUP;
    const char *word = group ? "signingCertificates" : "clientCertificates";
    struct json *x509 = json_new(rest->arena, JSON_OBJECT);
    struct json *parts = json_new(rest->arena, JSON_OBJECT);
    given = json_find_text(given, "x509");
    before = json_find_text(before, "x509");
    const struct json *references = json_find_text(given, "caReferences");
    bool by_name = group && json_is(references, JSON_OBJECT);
    if (x509 == NULL || parts == NULL ||
        !json_set(rest->arena, x509, by_name ? SPAN_LIT("caReferences") : span_of(word), parts) ||
        !json_set(rest->arena, attestation, SPAN_LIT("x509"), x509))
        return ERR_MEMORY;
    static const char *const names[] = {"primary", "secondary"};
    enum err err = ERR_NONE;
    for (size_t i = 0; i < COUNT_OF(names) && err == ERR_NONE; i++)
        err = by_name ? take_reference(rest, references, names[i], parts)
                      : take_certificate(rest, group, json_find_text(given, word),
                            json_find_text(before, word), names[i], parts);
    if (err == ERR_NONE && parts->count == 0)
        return fail(ERR_ARGUMENT, rest->why,
            "attestation.x509 needs %s%s with a primary certificate", word,
            group ? " or caReferences" : "");
    return err;
}

static enum err take_attestation(struct rest *rest, enum enrollment_kind kind,
    const struct json *body, const struct json *before, struct json *document)
{
    const struct json *given = json_find_text(body, "attestation");
    struct json *attestation = json_new(rest->arena, JSON_OBJECT);
    struct span type = json_string_of(given, "type");
    before = json_find_text(before, "attestation");
    if (attestation == NULL || !json_set_text(rest->arena, attestation, "type", type) ||
        !json_set(rest->arena, document, SPAN_LIT("attestation"), attestation))
        return ERR_MEMORY;
    if (span_is(type, "symmetricKey"))
        return take_keys(rest, given, before, attestation);
    if (span_is(type, "x509"))
        return take_certificates(rest, kind, given, before, attestation);
    return fail(ERR_ARGUMENT, rest->why,
        span_is(type, "tpm") ? "attestation by %.*s is not offered, it must be symmetricKey or x509"
                             : "attestation.type is \"%.*s\", it must be symmetricKey or x509",
        SPAN_ARG(type));
}

/* ---- the rest of the document ---------------------------------------------------------------- */

static enum err take_members(struct rest *rest, const struct json *body, struct json *document)
{
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        const struct json *member = json_find_text(body, members[i].name);
        if (member == NULL || member->kind == JSON_NULL)
            continue;
        if (member->kind != members[i].kind)
            return fail(ERR_ARGUMENT, rest->why, "%s must not be %s", members[i].name,
                json_kind_name(member));
        struct json *copy = json_copy(rest->arena, member);
        if (copy == NULL || !json_set(rest->arena, document, span_of(members[i].name), copy))
            return ERR_MEMORY;
    }
    return ERR_NONE;
}

static enum err check_choice(struct rest *rest, const struct json *document, const char *name,
    const char *const *choices, size_t count)
{
    AUTO(buf_done) struct buf all = BUF_EMPTY;
    struct span value = json_string_of(document, name);
    for (size_t i = 0; i < count; i++) {
        if (value.len == 0 || span_is(value, choices[i]))
            return ERR_NONE;
        buf_add_format(&all, "%s%s", i == 0 ? "" : i + 1 == count ? " or " : ", ", choices[i]);
    }
    return fail(ERR_ARGUMENT, rest->why, "%s is \"%.*s\", which is not offered, it may be %s", name,
        SPAN_ARG(value), all.failed ? "" : all.ptr);
}

static enum err check_choices(struct rest *rest, const struct json *document)
{
    static const char *const statuses[] = {"enabled", "disabled"};
    static const char *const policies[] = {"hashed", "geoLatency", "static"};
    enum err err = check_choice(rest, document, "provisioningStatus", statuses, COUNT_OF(statuses));
    if (err == ERR_NONE)
        err = check_choice(rest, document, "allocationPolicy", policies, COUNT_OF(policies));
    return err;
}

static bool is_name_of_hub(struct rest *rest, struct span name)
{
    char normal[HOST_SIZE];
    struct span host = host_normalise(name, normal);
    const struct hub_table *table = hub_cache_lock(&rest->service->hubs);
    const struct hub_record *hub = hub_find_by_host(table, host);
    bool is_this = hub != NULL && hub->id == rest->hub_id;
    hub_cache_unlock(&rest->service->hubs);
    return is_this;
}

static enum err check_host(struct rest *rest, const struct json *document)
{
    struct span host = json_string_of(document, "iotHubHostName");
    if (host.len > 0 && !is_name_of_hub(rest, host))
        return fail(ERR_ARGUMENT, rest->why,
            "iotHubHostName: \"%.*s\" is no host name of this hub, to which its id scope assigns",
            SPAN_ARG(host));
    return ERR_NONE;
}

static enum err check_twin(struct rest *rest, const char *where, const struct json *initial)
{
    struct twin_doc twin;
    if (!json_is(initial, JSON_OBJECT))
        return fail(ERR_ARGUMENT, rest->why, "%s is %s, it must be an object", where,
            json_kind_name(initial));
    json_each (member, initial) {
        if (!span_is(member->key, "tags") && !span_is(member->key, "properties"))
            return fail(ERR_ARGUMENT, rest->why,
                "%s has a member \"%.*s\", it may have tags and properties.desired", where,
                SPAN_ARG(member->key));
    }
    enum err err = registry_make_twin(rest, initial, &twin);
    if (err != ERR_NONE && err != ERR_MEMORY)
        why_prefix(rest->why, "%s", where);
    return err;
}

static enum err check_twins(struct rest *rest, const struct json *document)
{
    const struct json *initial = json_find_text(document, "initialTwin");
    const struct json *modules = json_find_text(document, "modules");
    enum err err = initial == NULL ? ERR_NONE : check_twin(rest, "initialTwin", initial);
    if (err != ERR_NONE || modules == NULL)
        return err;
    if (modules->count > rest->service->options.limits.modules_per_device)
        return fail(ERR_TOO_MANY_MODULES, rest->why,
            "modules has %u members, at most %zu are allowed (limits.modules_per_device)",
            modules->count, rest->service->options.limits.modules_per_device);
    json_each (module, modules) {
        err = ids_check_module(module->key, rest->why);
        if (err == ERR_NONE)
            err = check_twin(rest, "modules", module);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

enum err enrollment_make(struct rest *rest, enum enrollment_kind kind, const struct json *body,
    const struct json *before, struct json **ret_document)
{
    struct json *document = json_new(rest->arena, JSON_OBJECT);
    if (document == NULL)
        return ERR_MEMORY;
    enum err err = take_attestation(rest, kind, body, before, document);
    if (err == ERR_NONE)
        err = take_members(rest, body, document);
    if (err == ERR_NONE)
        err = check_choices(rest, document);
    if (err == ERR_NONE)
        err = check_host(rest, document);
    if (err == ERR_NONE)
        err = check_twins(rest, document);
    struct span device_id = json_string_of(document, "deviceId");
    if (err == ERR_NONE && device_id.len > 0)
        err = kind == ENROLLMENT_GROUP
                  ? fail(ERR_ARGUMENT, rest->why, "a group has no deviceId: it makes many devices")
                  : ids_check_device(device_id, rest->why);
    if (err == ERR_NONE)
        *ret_document = document;
    return err;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void write_certificate_info(struct arena *arena, const struct json *part, struct buf *out)
{
    struct span der;
    struct certificate facts;
    if (certificate_of_text(arena, json_string_of(part, "certificate"), &der, NULL) != ERR_NONE ||
        certificate_read(arena, der, &facts, NULL) != ERR_NONE) {
        buf_add_text(out, "{}");
        return;
    }
    buf_add_text(out, "{\"info\":{\"subjectName\":");
    json_write_string(facts.subject, out);
    write_text_member(out, "sha1Thumbprint", span_of(facts.sha1));
    write_text_member(out, "sha256Thumbprint", span_of(facts.sha256));
    write_time_member(out, "notBeforeUtc", facts.from_us);
    write_time_member(out, "notAfterUtc", facts.until_us);
    buf_add_text(out, "}}");
}

static void write_x509(struct arena *arena, const struct json *x509, struct buf *out)
{
    const struct json *kind = x509->first;
    buf_add_text(out, "{");
    json_write_string(kind->key, out);
    if (span_is(kind->key, "caReferences")) {
        buf_add_byte(out, ':');
        json_write(kind, out);
        buf_add_byte(out, '}');
        return;
    }
    buf_add_text(out, ":{");
    json_each (part, kind) {
        buf_add_text(out, part == kind->first ? "" : ",");
        json_write_string(part->key, out);
        buf_add_byte(out, ':');
        write_certificate_info(arena, part, out);
    }
    buf_add_text(out, "}}");
}

void enrollment_write_attestation(
    struct arena *arena, const struct json *document, bool with_keys, struct buf *out)
{
    const struct json *attestation = json_find_text(document, "attestation");
    const struct json *keys = json_find_text(attestation, "symmetricKey");
    const struct json *x509 = json_find_text(attestation, "x509");
    buf_add_text(out, "{\"type\":");
    json_write_string(json_string_of(attestation, "type"), out);
    if (keys != NULL && with_keys) {
        buf_add_text(out, ",\"symmetricKey\":");
        json_write(keys, out);
    }
    if (json_is(x509, JSON_OBJECT) && x509->first != NULL) {
        buf_add_text(out, ",\"x509\":");
        write_x509(arena, x509, out);
    }
    buf_add_byte(out, '}');
}

static void write_default(
    const struct json *document, const char *name, const char *fallback, struct buf *out)
{
    if (json_find_text(document, name) == NULL)
        buf_add_format(out, ",\"%s\":%s", name, fallback);
}

void enrollment_write(struct arena *arena, const struct enrollment *enrollment,
    const struct json *document, bool with_keys, struct buf *out)
{
    char etag[IDENTITY_ETAG_SIZE];
    bool group = enrollment->kind == ENROLLMENT_GROUP;
    buf_add_text(out, group ? "{\"enrollmentGroupId\":" : "{\"registrationId\":");
    json_write_string(enrollment->id, out);
    buf_add_text(out, ",\"attestation\":");
    enrollment_write_attestation(arena, document, with_keys, out);
    json_each (member, document) {
        if (span_is(member->key, "attestation"))
            continue;
        buf_add_byte(out, ',');
        json_write_string(member->key, out);
        buf_add_byte(out, ':');
        json_write(member, out);
    }
    write_default(document, "provisioningStatus", "\"enabled\"", out);
    write_default(document, "allocationPolicy", "\"hashed\"", out);
    write_default(document, "capabilities", "{\"iotEdge\":false}", out);
    write_default(document, "reprovisionPolicy",
        "{\"updateHubAssignment\":true,\"migrateDeviceData\":true}", out);
    write_text_member(out, "etag", span_of(identity_etag(enrollment->etag, etag)));
    write_time_member(out, "createdDateTimeUtc", enrollment->created_us);
    write_time_member(out, "lastUpdatedDateTimeUtc", enrollment->updated_us);
}
