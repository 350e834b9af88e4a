/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /devices: up to 100 changes of identities and twins in one request and one commit. An item
 * that is refused is reported and leaves the others alone; a failure of the medium undoes all.
 */
#include "service_priv.h"

#include "ids.h"

enum mode_flags {
    MODE_CREATE = 1,
    MODE_UPDATE = 2,
    MODE_DELETE = 4,
    MODE_TWIN = 8,
    MODE_IF_MATCH = 16,
};

static const struct mode {
    const char *name; /* compared without regard to case */
    unsigned flags;
} modes[] = {
    {"create", MODE_CREATE},
    {"update", MODE_UPDATE},
    {"updateIfMatchETag", MODE_UPDATE | MODE_IF_MATCH},
    {"createOrUpdate", MODE_CREATE | MODE_UPDATE},
    {"createOrUpdateIfMatchETag", MODE_CREATE | MODE_UPDATE | MODE_IF_MATCH},
    {"delete", MODE_DELETE},
    {"deleteIfMatchETag", MODE_DELETE | MODE_IF_MATCH},
    {"updateTwin", MODE_TWIN},
    {"updateTwinIfMatchETag", MODE_TWIN | MODE_IF_MATCH},
};

struct item {
    struct item *next;
    const struct mode *mode;
    const struct json *body;
    struct identity_input input;
    struct match match;
    enum err err; /* of reading it */
    struct why why;
};

static const struct mode *find_mode(const struct json *body)
{
    const struct json *name = json_find_text(body, "importMode");
    if (name == NULL || name->kind == JSON_NULL)
        return &modes[0];
    for (size_t i = 0; i < COUNT_OF(modes); i++)
        if (name->kind == JSON_STRING && span_eq_nocase(name->text, span_of(modes[i].name)))
            return &modes[i];
    return NULL;
}

/* What is wrong with one item is its own result, not that of the request. */
static enum err read_item(struct rest *rest, const struct json *body, struct item *item)
{
    struct span device_id = json_string_of(body, "id");
    struct span module_id = json_string_of(body, "moduleId");
    if (device_id.len == 0)
        device_id = json_string_of(body, "deviceId");
    if (body->kind != JSON_OBJECT)
        return fail(
            ERR_ARGUMENT, &item->why, "an item is %s, it must be an object", json_kind_name(body));
    item->body = body;
    item->input.device_id = device_id; /* for the refusal */
    item->input.module_id = module_id;
    item->mode = find_mode(body);
    if (item->mode == NULL)
        return fail(ERR_ARGUMENT, &item->why, "the importMode is not one that is known");
    enum err err = ids_check_device(device_id, &item->why);
    if (err == ERR_NONE && module_id.len > 0)
        err = ids_check_module(module_id, &item->why);
    if (err == ERR_NONE)
        err = identity_input_read(rest->arena, body, &item->input, &item->why);
    item->input.device_id = device_id;
    item->input.module_id = module_id;
    if ((item->mode->flags & MODE_IF_MATCH) != 0) {
        bool of_twin = (item->mode->flags & MODE_TWIN) != 0;
        item->match = match_of(json_string_of(body, of_twin ? "twinETag" : "eTag"));
        item->match.given = true; /* no etag fits none */
    }
    return err;
}

enum err bulk_prepare(struct rest *rest)
{
    size_t most = rest->service->options.limits.bulk_items;
    struct item *first = NULL;
    struct item **link = &first;
    if (rest->body->kind != JSON_ARRAY)
        return fail(ERR_ARGUMENT, rest->why, "the body is %s, it must be an array",
            json_kind_name(rest->body));
    if (rest->body->count > most)
        return fail(ERR_TOO_MANY_DEVICES, rest->why,
            "the body has %u items, at most %zu are allowed (limits.bulk_items)", rest->body->count,
            most);
    json_each (body, rest->body) {
        struct item *item = arena_alloc(rest->arena, sizeof(*item));
        if (item == NULL)
            return ERR_MEMORY;
        item->err = read_item(rest, body, item);
        if (item->err == ERR_MEMORY)
            return ERR_MEMORY;
        *link = item;
        link = &item->next;
    }
    rest->input = first;
    rest->cost = (unsigned)rest->body->count;
    return ERR_NONE;
}

static bool has_twin(const struct json *body)
{
    return json_find_text(body, "tags") != NULL ||
           json_find_text(json_find_text(body, "properties"), "desired") != NULL;
}

static enum err patch_twin(struct rest *rest, const struct item *item, const struct match *match)
{
    struct identity identity;
    struct twin_doc twin;
    const struct twin_step step = {TWIN_PATCH, HISTORY_PATCH, item->body, match};
    return twins_change(
        rest, item->input.device_id, item->input.module_id, &step, &identity, &twin);
}

/* A twin that cannot be does not keep its identity from being registered: IoT Hub warns of it. */
static enum err create(struct rest *rest, const struct item *item, bool *ret_without_twin)
{
    struct identity identity;
    struct twin_doc twin;
    enum err err = registry_make_twin(rest, item->body, &twin);
    bool bad = err != ERR_NONE && err != ERR_MEMORY;
    if (err == ERR_MEMORY)
        return err;
    struct why why = {""};
    struct why *outer = rest->why;
    if (bad)
        rest->why = &why; /* what is wrong with the twin stays said */
    err = registry_create(rest, &item->input, false, bad ? NULL : item->body, &identity);
    rest->why = outer;
    if (bad && err != ERR_NONE)
        *rest->why = why;
    *ret_without_twin = bad && err == ERR_NONE;
    return err;
}

/* The twin's etag is looked at apart from the identity's. */
static enum err update(struct rest *rest, const struct item *item)
{
    struct identity identity;
    const struct match match = match_of(json_string_of(item->body, "twinETag"));
    enum err err = registry_update(rest, &item->input, &item->match, true, &identity);
    if (err != ERR_NONE || !has_twin(item->body))
        return err;
    err = patch_twin(rest, item, &match);
    if (err != ERR_NONE)
        why_prefix(rest->why, "the identity is updated, its twin is not");
    return err;
}

static enum err run_item(struct rest *rest, const struct item *item, bool *ret_without_twin)
{
    unsigned flags = item->mode->flags;
    *ret_without_twin = false;
    if ((flags & MODE_TWIN) != 0)
        return patch_twin(rest, item, &item->match);
    if ((flags & MODE_DELETE) != 0)
        return registry_delete(rest, item->input.device_id, item->input.module_id, &item->match);
    if ((flags & MODE_CREATE) != 0) {
        enum err err = create(rest, item, ret_without_twin);
        bool exists = err == ERR_DEVICE_EXISTS || err == ERR_MODULE_EXISTS;
        if (!exists || (flags & MODE_UPDATE) == 0)
            return err;
    }
    return update(rest, item);
}

static void write_warning(const struct item *item, const struct why *why, struct buf *out)
{
    buf_add_text(out, out->len == 0 ? "{\"deviceId\":" : ",{\"deviceId\":");
    json_write_string(item->input.device_id, out);
    if (item->input.module_id.len > 0)
        write_text_member(out, "moduleId", item->input.module_id);
    write_text_member(out, "warningCode", SPAN_LIT("DeviceRegisteredWithoutTwin"));
    write_text_member(out, "warningStatus", span_of(why->text));
    buf_add_byte(out, '}');
}

static void write_failure(
    const struct item *item, enum err err, const struct why *why, bool first, struct buf *out)
{
    buf_add_text(out, first ? "{\"deviceId\":" : ",{\"deviceId\":");
    json_write_string(item->input.device_id, out);
    if (item->input.module_id.len > 0)
        write_text_member(out, "moduleId", item->input.module_id);
    write_text_member(out, "errorCode", span_of(err_row(err)->hub_name));
    write_text_member(out, "errorStatus", span_of(why_text(why, err)));
    if (item->mode != NULL)
        write_text_member(out, "operation", span_of(item->mode->name));
    buf_add_byte(out, '}');
}

#define NOTED_MAX 1000u

static void note_item(const struct item *item, size_t place, struct buf *out)
{
    if (place >= NOTED_MAX)
        return;
    buf_add_text(out, place == 0 ? "{\"id\":" : ",{\"id\":");
    json_write_string(item->input.device_id, out);
    if (item->input.module_id.len > 0)
        write_text_member(out, "moduleId", item->input.module_id);
    write_text_member(out, "mode", span_of(item->mode->name));
    buf_add_byte(out, '}');
}

/* The audit log names each that was changed, up to a bound, and counts the rest. */
static enum err note_items(struct rest *rest, const struct buf *noted, size_t done, size_t refused)
{
    char *target = arena_format(rest->arena, "%zu identities", done);
    AUTO(buf_done) struct buf detail = BUF_EMPTY;
    buf_add_format(&detail, "{\"refused\":%zu,\"items\":[", refused);
    buf_add(&detail, buf_span(noted));
    buf_add_byte(&detail, ']');
    if (done > NOTED_MAX)
        buf_add_format(&detail, ",\"more\":%zu", done - NOTED_MAX);
    buf_add_byte(&detail, '}');
    rest->audit.target = span_of(target);
    if (target == NULL || noted->failed || detail.failed ||
        !arena_span(rest->arena, buf_span(&detail), &rest->audit.detail))
        return ERR_MEMORY;
    return ERR_NONE;
}

enum err bulk_run(struct rest *rest)
{
    AUTO(buf_done) struct buf noted = BUF_EMPTY;
    size_t done = 0;
    size_t refused = 0;
    AUTO(buf_done) struct buf errors = BUF_EMPTY;
    AUTO(buf_done) struct buf warnings = BUF_EMPTY;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    for (const struct item *item = rest->input; item != NULL; item = item->next) {
        struct why why = item->why;
        enum err err = item->err;
        bool without_twin = false;
        if (err == ERR_NONE) {
            struct why *outer = rest->why;
            rest->why = &why;
            err = run_item(rest, item, &without_twin);
            rest->why = outer;
        }
        if (without_twin)
            write_warning(item, &why, &warnings);
        if (err != ERR_NONE && (err_row(err)->http_status >= 500 || err_row(err)->hub_code == 0)) {
            if (rest->why != NULL)
                *rest->why = why;
            return err;
        }
        if (err != ERR_NONE) {
            refused++;
            write_failure(item, err, &why, errors.len == 0, &errors);
        } else {
            note_item(item, done++, &noted);
        }
    }
    if (errors.failed || warnings.failed || note_items(rest, &noted, done, refused) != ERR_NONE)
        return ERR_MEMORY;
    buf_add_format(&body, "{\"isSuccessful\":%s,\"errors\":[", errors.len == 0 ? "true" : "false");
    buf_add(&body, buf_span(&errors));
    buf_add_text(&body, "],\"warnings\":[");
    buf_add(&body, buf_span(&warnings));
    buf_add_text(&body, "]}");
    if (errors.len > 0)
        respond_header(rest->call, "iothub-errorcode", span_of(err_row(ERR_BULK)->hub_name));
    return respond_json(rest, errors.len == 0 ? 200 : 400, &body);
}
