/* SPDX-License-Identifier: Apache-2.0 */
#include "import_item.h"

#include "base64.h"
#include "ids.h"
#include "twin.h"

static const char *const modes[] = {"create", "createOrUpdate", "createOrUpdateIfMatchETag",
    "update", "updateIfMatchETag", "delete", "deleteIfMatchETag", "updateTwin",
    "updateTwinIfMatchETag"};

/* Members that mean the same in every form; `other` is how some tool spells it. */
static const struct {
    const char *name;
    const char *other;
} members[] = {
    {"status", NULL},
    {"statusReason", "status_reason"},
    {"authentication", NULL},
    {"capabilities", NULL},
    {"deviceScope", NULL},
    {"parentScopes", NULL},
    {"managedBy", "managed_by"},
};

static const struct json *find_either(
    const struct json *object, const char *name, const char *other)
{
    const struct json *member = json_find_text(object, name);
    if (member == NULL && other != NULL)
        member = json_find_text(object, other);
    return member == NULL || member->kind == JSON_NULL ? NULL : member;
}

static bool set_copy(
    struct arena *arena, struct json *object, const char *name, const struct json *value)
{
    return value == NULL || json_set(arena, object, span_of(name), json_copy(arena, value));
}

static struct span first_text(const struct json *object, const char *const *names)
{
    struct span text = SPAN_NONE;
    for (; *names != NULL && text.len == 0; names++)
        text = json_string_of(object, *names);
    return text;
}

static bool is_twin(const struct json *document)
{
    return json_find_text(document, "authenticationType") != NULL;
}

/* ---- the parts ------------------------------------------------------------------------------- */

static enum err put_ids(struct arena *arena, const struct import_document *document,
    struct import_item *item, struct why *why)
{
    static const char *const device_names[] = {"id", "deviceId", "device_id", NULL};
    static const char *const module_names[] = {"moduleId", "module_id", NULL};
    item->device_id = first_text(document->json, device_names);
    item->module_id = first_text(document->json, module_names);
    if (item->device_id.len == 0)
        return fail(ERR_ARGUMENT, why, "it has no id");
    enum err err = ids_check_device(item->device_id, why);
    if (err == ERR_NONE && item->module_id.len > 0)
        err = ids_check_module(item->module_id, why);
    if (err == ERR_NONE && document->of_module && item->module_id.len == 0)
        return fail(ERR_ARGUMENT, why, "it has no moduleId");
    if (err != ERR_NONE)
        return err;
    if (!json_set_text(arena, item->json, "id", item->device_id) ||
        (item->module_id.len > 0 && !json_set_text(arena, item->json, "moduleId", item->module_id)))
        return ERR_MEMORY;
    return ERR_NONE;
}

/* The system modules of an edge device come with it: only their twins are theirs to import. */
static bool is_system_module(struct span id)
{
    return span_is(id, "$edgeAgent") || span_is(id, "$edgeHub");
}

static enum err put_mode(struct arena *arena, const struct json *document,
    const struct import_policy *policy, struct import_item *item, struct why *why)
{
    const struct json *given = find_either(document, "importMode", NULL);
    struct span mode = given == NULL ? span_of(policy->mode) : given->text;
    size_t at = 0;
    while (at < COUNT_OF(modes) && !span_eq_nocase(mode, span_of(modes[at])))
        at++;
    if (at == COUNT_OF(modes) || (given != NULL && given->kind != JSON_STRING))
        return fail(ERR_ARGUMENT, why,
            "the importMode \"%.*s\" is none of create, "
            "createOrUpdate, update, delete, updateTwin, and these with "
            "IfMatchETag behind them",
            SPAN_ARG(mode));
    item->mode = span_of(modes[at]);
    if (policy->overwrite && span_is(item->mode, "create"))
        item->mode = SPAN_LIT("createOrUpdate");
    if (is_system_module(item->module_id) && span_starts(item->mode, SPAN_LIT("create")))
        item->mode = SPAN_LIT("updateTwin");
    return json_set_text(arena, item->json, "importMode", item->mode) ? ERR_NONE : ERR_MEMORY;
}

static enum err put_etags(struct arena *arena, const struct json *document, struct json *item)
{
    static const char *const of_lines[] = {"eTag", "etag", NULL};
    static const char *const of_twin[] = {"deviceEtag", NULL};
    static const char *const twin_of_lines[] = {"twinETag", "twinEtag", NULL};
    static const char *const twin_of_twin[] = {"etag", NULL};
    bool twin = is_twin(document);
    struct span etag = first_text(document, twin ? of_twin : of_lines);
    struct span twin_etag = first_text(document, twin ? twin_of_twin : twin_of_lines);
    struct span mode = json_string_of(item, "importMode");
    bool compares = span_find(mode, 'M') < mode.len; /* …IfMatchETag */
    if (!compares)
        return ERR_NONE; /* those of another hub would only be in the way */
    if ((etag.len > 0 && !json_set_text(arena, item, "eTag", etag)) ||
        (twin_etag.len > 0 && !json_set_text(arena, item, "twinETag", twin_etag)))
        return ERR_MEMORY;
    return ERR_NONE;
}

/* A twin tells the type and the thumbprints; the state of a hub adds the keys. */
static struct json *authentication_of_twin(struct arena *arena, const struct json *twin)
{
    struct json *authentication = json_new(arena, JSON_OBJECT);
    if (authentication == NULL ||
        !set_copy(arena, authentication, "type", json_find_text(twin, "authenticationType")) ||
        !set_copy(arena, authentication, "symmetricKey", json_find_text(twin, "symmetricKey")) ||
        !set_copy(arena, authentication, "x509Thumbprint", json_find_text(twin, "x509Thumbprint")))
        return NULL;
    return authentication;
}

static enum err put_identity(
    struct arena *arena, const struct json *document, struct import_item *item)
{
    for (size_t i = 0; i < COUNT_OF(members); i++)
        if (!set_copy(arena, item->json, members[i].name,
                find_either(document, members[i].name, members[i].other)))
            return ERR_MEMORY;
    if (is_twin(document) && !json_set(arena, item->json, SPAN_LIT("authentication"),
                                 authentication_of_twin(arena, document)))
        return ERR_MEMORY;
    const struct json *authentication = json_find_text(item->json, "authentication");
    struct span type = json_string_of(authentication, "type");
    item->without_keys =
        (type.len == 0 || span_is(type, "sas")) &&
        json_string_of(json_find_text(authentication, "symmetricKey"), "primaryKey").len == 0;
    return ERR_NONE;
}

static enum err put_twin(struct arena *arena, const struct json *document, struct json *item)
{
    const struct json *tags = json_find_text(document, "tags");
    const struct json *desired = json_find_text(json_find_text(document, "properties"), "desired");
    struct json *properties = json_new(arena, JSON_OBJECT);
    if (properties == NULL || !set_copy(arena, item, "tags", tags) ||
        !set_copy(arena, properties, "desired", desired))
        return ERR_MEMORY;
    struct json *copy = json_find_text(properties, "desired");
    if (json_is(copy, JSON_OBJECT)) {
        json_take(copy, SPAN_LIT("$metadata"));
        json_take(copy, SPAN_LIT("$version"));
    }
    if (desired != NULL && !json_set(arena, item, SPAN_LIT("properties"), properties))
        return ERR_MEMORY;
    return ERR_NONE;
}

enum err import_item_make(struct arena *arena, const struct import_document *document,
    const struct import_policy *policy, struct import_item *ret_item, struct why *why)
{
    struct import_item *item = ret_item;
    *item = (struct import_item){.json = json_new(arena, JSON_OBJECT)};
    if (item->json == NULL)
        return ERR_MEMORY;
    enum err err = put_ids(arena, document, item, why);
    if (err == ERR_NONE)
        err = put_mode(arena, document->json, policy, item, why);
    if (err == ERR_NONE)
        err = put_etags(arena, document->json, item->json);
    if (err == ERR_NONE && !span_starts(item->mode, SPAN_LIT("updateTwin")))
        err = put_identity(arena, document->json, item);
    const struct json *twin = document->twin != NULL ? document->twin : document->json;
    return err == ERR_NONE ? put_twin(arena, twin, item->json) : err;
}

/* ---- judging without a hub ------------------------------------------------------------------- */

static enum err check_keys(const struct json *authentication, struct why *why)
{
    static const char *const names[] = {"primaryKey", "secondaryKey"};
    const struct json *keys = json_find_text(authentication, "symmetricKey");
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct span key = json_string_of(keys, names[i]);
        if (key.len == 0 || base64_check_key(key, why) == ERR_NONE)
            continue;
        why_prefix(why, "%s", names[i]);
        return ERR_ARGUMENT;
    }
    return ERR_NONE;
}

enum err import_item_check(struct arena *arena, const struct import_item *item, struct why *why)
{
    struct twin_doc twin;
    struct twin_change change;
    struct span status = json_string_of(item->json, "status");
    if (status.len > 0 && !span_eq_nocase(status, SPAN_LIT("enabled")) &&
        !span_eq_nocase(status, SPAN_LIT("disabled")))
        return fail(ERR_ARGUMENT, why, "status is \"%.*s\", it must be enabled or disabled",
            SPAN_ARG(status));
    enum err err = check_keys(json_find_text(item->json, "authentication"), why);
    if (err == ERR_NONE)
        err = twin_new(arena, 0, &twin);
    if (err == ERR_NONE)
        err =
            twin_apply(arena, &twin, TWIN_PATCH, item->json, &twin_limits_default, 0, &change, why);
    return err;
}
