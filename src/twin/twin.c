/* SPDX-License-Identifier: Apache-2.0 */
#include "clock.h"
#include "twin_priv.h"

/* One change on its way: what came in, and the document as it grows. */
struct work {
    struct arena *arena;
    const struct twin_limits *limits;
    struct span now;
    struct twin_change *change;
    struct why *why;
};

/* What a request asks of a section: `body` is NULL where the section is to be emptied. */
struct edit {
    const char *name;
    size_t limit_bytes;
    const struct json *body;
    bool replace;
    bool (*skip)(struct span key);
    bool notify;
};

static enum err no_memory(struct why *why)
{
    return fail(ERR_MEMORY, why, "the twin needs more memory than is allowed");
}

/* Moves a buffer's bytes into the arena. */
static enum err keep(struct arena *arena, struct buf *text, struct span *ret_text, struct why *why)
{
    if (text->failed || !arena_span(arena, buf_span(text), ret_text))
        return no_memory(why);
    return ERR_NONE;
}

static void write_patch(const struct edit *edit, struct buf *out)
{
    json_each (member, edit->body) {
        if (edit->skip != NULL && edit->skip(member->key))
            continue;
        json_write_string(member->key, out);
        buf_add_byte(out, ':');
        json_write(member, out);
        buf_add_byte(out, ',');
    }
}

static enum err write_notification(const struct work *work, const struct edit *edit,
    const struct prop *before, const struct prop *after, int64_t version)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    enum err err = ERR_NONE;
    buf_add_byte(&out, '{');
    if (edit->replace)
        err = merge_write_difference(work->arena, before, after, &out);
    else
        write_patch(edit, &out);
    buf_add_format(&out, "\"$version\":%lld}", (long long)version);
    if (err != ERR_NONE)
        return no_memory(work->why);
    return keep(work->arena, &out, &work->change->notification, work->why);
}

static enum err write_section(const struct work *work, const struct prop *tree, int64_t version,
    struct twin_section *ret_section)
{
    AUTO(buf_done) struct buf values = BUF_EMPTY;
    AUTO(buf_done) struct buf metadata = BUF_EMPTY;
    struct twin_section section = {.version = version};
    render_values(tree, &values);
    enum err err = keep(work->arena, &values, &section.values, work->why);
    if (err == ERR_NONE && version > 0) {
        render_metadata(tree, &metadata);
        err = keep(work->arena, &metadata, &section.metadata, work->why);
    }
    if (err == ERR_NONE)
        *ret_section = section;
    return err;
}

/* Gives the tree of a section as it was: a second one, as merging changes the first in place. */
static enum err load_before(
    const struct work *work, const struct twin_section *old, struct prop **ret_before)
{
    return section_load(work->arena, old->values, old->metadata, ret_before, work->why);
}

/* Judges the size. What it was before matters only to a section that is over its limit. */
static enum err check_size(const struct work *work, const struct edit *edit,
    const struct twin_section *old, const struct prop *after)
{
    struct prop *before = NULL;
    enum err err =
        limits_check_size(work->limits, edit->name, edit->limit_bytes, before, after, work->why);
    if (err != ERR_ARGUMENT)
        return err;
    err = load_before(work, old, &before);
    if (err != ERR_NONE)
        return err;
    return limits_check_size(work->limits, edit->name, edit->limit_bytes, before, after, work->why);
}

/* Applies an edit to a section; tags are a section without version and metadata. */
static enum err edit_section(const struct work *work, const struct edit *edit,
    const struct twin_section *old, struct twin_section *ret_section)
{
    static const struct json nothing = {.kind = JSON_OBJECT};
    const struct json *patch = edit->body == NULL ? &nothing : edit->body;
    int64_t version = old->version == 0 ? 0 : old->version + 1;
    struct stamp stamp = {work->arena, work->now, edit->notify ? version : 0};
    struct prop *before = arena_alloc(work->arena, sizeof(*before));
    struct prop *after = arena_alloc(work->arena, sizeof(*after));
    if (before == NULL || after == NULL)
        return no_memory(work->why);
    enum err err = limits_check_patch(work->limits, edit->name, patch, edit->skip, work->why);
    if (err == ERR_NONE)
        err = load_before(work, old, edit->replace ? &before : &after);
    if (err == ERR_NONE && merge_patch(&stamp, after, patch, edit->skip) != ERR_NONE)
        err = ERR_MEMORY;
    if (err == ERR_NONE)
        err = check_size(work, edit, old, after);
    if (err == ERR_MEMORY)
        return no_memory(work->why);
    if (err == ERR_NONE && edit->notify)
        err = write_notification(work, edit, before, after, version);
    return err == ERR_NONE ? write_section(work, after, version, ret_section) : err;
}

/* Whether a service's body asks for anything: SDKs put empty parts beside the one that is meant. */
static bool names_something(const struct json *body)
{
    json_each (member, body) {
        if (!merge_is_reserved(member->key))
            return true;
    }
    return false;
}

/* Finds what a service's body wants of one part. `*ret_wanted` is false if nothing. */
static enum err plan_part(const struct json *part, enum twin_change_kind kind, struct edit *edit,
    bool *ret_wanted, struct why *why)
{
    if (part != NULL && part->kind != JSON_OBJECT && part->kind != JSON_NULL)
        return fail(ERR_ARGUMENT, why, "%s is %s, it must be an object, or null to clear it",
            edit->name, json_kind_name(part));
    edit->body = json_is(part, JSON_OBJECT) ? part : NULL;
    edit->replace = kind == TWIN_REPLACE || edit->body == NULL;
    edit->skip = merge_is_reserved;
    *ret_wanted =
        kind == TWIN_REPLACE || json_is(part, JSON_NULL) || (part != NULL && names_something(part));
    return ERR_NONE;
}

static enum err edit_desired(
    const struct work *work, const struct json *body, enum twin_change_kind kind)
{
    struct twin_change *change = work->change;
    const struct json *properties = json_find_text(body, "properties");
    struct edit edit = {
        .name = "properties.desired", .limit_bytes = work->limits->desired_bytes, .notify = true};
    if (properties != NULL && properties->kind != JSON_OBJECT)
        return fail(ERR_ARGUMENT, work->why, "\"properties\" is %s, it must be an object",
            json_kind_name(properties));
    enum err err = plan_part(
        json_find_text(properties, "desired"), kind, &edit, &change->desired_changed, work->why);
    if (err != ERR_NONE || !change->desired_changed)
        return err;
    return edit_section(work, &edit, &change->doc.desired, &change->doc.desired);
}

static enum err edit_tags(
    const struct work *work, const struct json *body, enum twin_change_kind kind)
{
    struct twin_change *change = work->change;
    struct edit edit = {.name = "tags", .limit_bytes = work->limits->tags_bytes};
    enum err err =
        plan_part(json_find_text(body, "tags"), kind, &edit, &change->tags_changed, work->why);
    if (err != ERR_NONE || !change->tags_changed)
        return err;
    struct twin_section tags = {.values = change->doc.tags};
    err = edit_section(work, &edit, &tags, &tags);
    if (err == ERR_NONE)
        change->doc.tags = tags.values;
    return err;
}

static enum err edit_reported(const struct work *work, const struct json *body)
{
    struct twin_change *change = work->change;
    struct edit edit = {
        .name = "properties.reported", .limit_bytes = work->limits->reported_bytes, .body = body};
    change->reported_changed = true;
    return edit_section(work, &edit, &change->doc.reported, &change->doc.reported);
}

enum err twin_apply(struct arena *arena, const struct twin_doc *doc, enum twin_change_kind kind,
    const struct json *change, const struct twin_limits *limits, int64_t now_us,
    struct twin_change *ret_change, struct why *why)
{
    char now[CLOCK_TEXT_SIZE];
    struct twin_change result = {.doc = *doc};
    struct work work = {arena, limits, span_of(clock_format(now_us, now)), &result, why};
    if (change->kind != JSON_OBJECT)
        return fail(
            ERR_ARGUMENT, why, "the body is %s, it must be an object", json_kind_name(change));
    enum err err;
    if (kind == TWIN_REPORT) {
        err = edit_reported(&work, change);
    } else {
        err = edit_tags(&work, change, kind);
        if (err == ERR_NONE)
            err = edit_desired(&work, change, kind);
    }
    if (err != ERR_NONE)
        return err;
    result.doc.etag += result.tags_changed || result.desired_changed;
    result.doc.version += result.tags_changed || result.desired_changed || result.reported_changed;
    *ret_change = result;
    return ERR_NONE;
}

enum err twin_new(struct arena *arena, int64_t now_us, struct twin_doc *ret_doc)
{
    char now[CLOCK_TEXT_SIZE];
    char *metadata = arena_format(arena, "{\"$lastUpdated\":\"%s\"}", clock_format(now_us, now));
    if (metadata == NULL)
        return ERR_MEMORY;
    struct twin_section fresh = {SPAN_LIT("{}"), span_of(metadata), 1};
    *ret_doc = (struct twin_doc){
        .tags = SPAN_LIT("{}"), .desired = fresh, .reported = fresh, .etag = 1, .version = 2};
    return ERR_NONE;
}
