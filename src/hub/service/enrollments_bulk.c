/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /enrollments and /enrollmentGroups: one operation on many enrollments, in one commit. One
 * that is refused is reported and leaves the others alone.
 */
#include "enrollment.h"

#include "provision.h"

enum bulk_mode { BULK_CREATE, BULK_UPDATE, BULK_UPDATE_IF_MATCH, BULK_DELETE };

static const char *const mode_names[] = {
    [BULK_CREATE] = "create",
    [BULK_UPDATE] = "update",
    [BULK_UPDATE_IF_MATCH] = "updateIfMatchETag",
    [BULK_DELETE] = "delete",
};

struct bulk {
    enum bulk_mode mode;
    const struct json *items;
    const char *id_name;
};

enum err enrollments_prepare_bulk(struct rest *rest)
{
    bool group = enrollments_kind(rest) == ENROLLMENT_GROUP;
    const char *list = group ? "enrollmentGroups" : "enrollments";
    size_t most = rest->service->options.limits.bulk_items;
    struct span name = json_string_of(rest->body, "mode");
    struct bulk *bulk = arena_alloc(rest->arena, sizeof(*bulk));
    if (bulk == NULL)
        return ERR_MEMORY;
    bulk->items = json_find_text(rest->body, list);
    bulk->id_name = group ? "enrollmentGroupId" : "registrationId";
    rest->input = bulk;
    while (
        bulk->mode < COUNT_OF(mode_names) && !span_eq_nocase(name, span_of(mode_names[bulk->mode])))
        bulk->mode++;
    if (bulk->mode == COUNT_OF(mode_names))
        return fail(ERR_ARGUMENT, rest->why,
            "mode is \"%.*s\", it must be create, update, updateIfMatchETag or delete",
            SPAN_ARG(name));
    if (!json_is(bulk->items, JSON_ARRAY))
        return fail(ERR_ARGUMENT, rest->why, "%s must be an array", list);
    if (bulk->items->count > most)
        return fail(ERR_ARGUMENT, rest->why,
            "%s has %u items, at most %zu are allowed (limits.bulk_items)", list,
            bulk->items->count, most);
    return ERR_NONE;
}

static enum err run_item(struct rest *rest, const struct bulk *bulk, const struct json *item)
{
    struct enrollment row;
    struct json *document;
    struct match match = match_of(json_string_of(item, "etag"));
    struct span id = json_string_of(item, bulk->id_name);
    if (item->kind != JSON_OBJECT)
        return fail(
            ERR_ARGUMENT, rest->why, "an item is %s, it must be an object", json_kind_name(item));
    enum err err = provision_check_id(id, rest->why);
    if (err != ERR_NONE)
        return err;
    match.given = bulk->mode == BULK_UPDATE_IF_MATCH; /* no etag fits none */
    if (bulk->mode == BULK_DELETE)
        return enrollments_remove(rest, id, &match);
    const struct enrollment_change change = {.id = id,
        .body = item,
        .match = &match,
        .must_exist = bulk->mode != BULK_CREATE,
        .must_be_new = bulk->mode == BULK_CREATE};
    return enrollments_store(rest, &change, &row, &document);
}

static void write_failure(const struct bulk *bulk, const struct json *item, enum err err,
    const struct why *why, struct buf *out)
{
    buf_add_format(out, "%s{\"%s\":", out->len == 0 ? "" : ",", bulk->id_name);
    json_write_string(json_string_of(item, bulk->id_name), out);
    buf_add_format(out, ",\"errorCode\":%u", err_row(err)->hub_code);
    write_text_member(out, "errorStatus", span_of(why_text(why, err)));
    buf_add_byte(out, '}');
}

static enum err note(struct rest *rest, const struct bulk *bulk, size_t refused)
{
    char *target = arena_format(rest->arena, "%zu enrollments", bulk->items->count - refused);
    AUTO(buf_done) struct buf detail = BUF_EMPTY;
    buf_add_format(
        &detail, "{\"mode\":\"%s\",\"refused\":%zu,\"items\":[", mode_names[bulk->mode], refused);
    json_each (item, bulk->items) {
        buf_add_text(&detail, item == bulk->items->first ? "" : ",");
        json_write_string(json_string_of(item, bulk->id_name), &detail);
    }
    buf_add_text(&detail, "]}");
    rest->audit.target = span_of(target);
    return target != NULL && !detail.failed &&
                   arena_span(rest->arena, buf_span(&detail), &rest->audit.detail)
               ? ERR_NONE
               : ERR_MEMORY;
}

enum err enrollments_run_bulk(struct rest *rest)
{
    const struct bulk *bulk = rest->input;
    AUTO(buf_done) struct buf errors = BUF_EMPTY;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    size_t refused = 0;
    json_each (item, bulk->items) {
        struct why why = {""};
        struct why *outer = rest->why;
        rest->why = &why;
        enum err err = run_item(rest, bulk, item);
        rest->why = outer;
        if (err != ERR_NONE && (err_row(err)->http_status >= 500 || err_row(err)->hub_code == 0)) {
            if (rest->why != NULL)
                *rest->why = why;
            return err;
        }
        if (err == ERR_NONE)
            continue;
        refused++;
        write_failure(bulk, item, err, &why, &errors);
    }
    buf_add_format(&body, "{\"isSuccessful\":%s,\"errors\":[", refused == 0 ? "true" : "false");
    buf_add(&body, buf_span(&errors));
    buf_add_text(&body, "]}");
    enum err err = errors.failed ? ERR_MEMORY : note(rest, bulk, refused);
    return err == ERR_NONE ? respond_json(rest, 200, &body) : err;
}
