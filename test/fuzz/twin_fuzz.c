/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An input is "KIND\nFIRST\nSECOND": two changes of a new twin, the second of the kind 'P' (patch),
 * 'R' (replace) or 'D' (a device's report). What the engine accepts must be stored as JSON whose
 * metadata mirrors it.
 */
#include "twin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_mirror(const struct json *values, const struct json *metadata)
{
    must(json_is(metadata, JSON_OBJECT));
    must(json_find_text(metadata, "$lastUpdated") != NULL);
    uint32_t members = 0;
    if (values->kind == JSON_OBJECT) {
        json_each (member, values) {
            must_mirror(member, json_find(metadata, member->key));
            members++;
        }
    }
    json_each (member, metadata)
        members -= member->key.len == 0 || member->key.ptr[0] != '$';
    must(members == 0);
}

static void must_be_whole(struct arena *arena, const struct twin_section *section)
{
    struct json *values;
    struct json *metadata;
    must(json_parse(arena, section->values, 256, &values, NULL) == ERR_NONE);
    must(json_parse(arena, section->metadata, 256, &metadata, NULL) == ERR_NONE);
    must(values->kind == JSON_OBJECT);
    must_mirror(values, metadata);
}

static void change(
    struct arena *arena, struct twin_doc *doc, enum twin_change_kind kind, struct span text)
{
    struct json *body;
    struct json *told;
    struct twin_change done;
    struct why why = {""};
    if (json_parse(arena, text, 0, &body, NULL) != ERR_NONE)
        return;
    enum err err =
        twin_apply(arena, doc, kind, body, &twin_limits_default, 1700000000000000, &done, &why);
    must(err == ERR_NONE || err == ERR_ARGUMENT);
    must((err == ERR_NONE) == (why.text[0] == '\0'));
    if (err != ERR_NONE)
        return;
    must_be_whole(arena, &done.doc.desired);
    must_be_whole(arena, &done.doc.reported);
    must(done.desired_changed == (done.notification.len > 0));
    if (done.desired_changed)
        must(json_parse(arena, done.notification, 256, &told, NULL) == ERR_NONE);
    *doc = done.doc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = {(const char *)data, size};
    struct span kind = SPAN_NONE;
    struct span first = SPAN_NONE;
    struct arena arena;
    struct twin_doc doc;
    if (size == 0 || !span_cut(&rest, '\n', &kind) || !span_cut(&rest, '\n', &first))
        return 0;
    arena_init(&arena, 0);
    must(twin_new(&arena, 0, &doc) == ERR_NONE);
    change(&arena, &doc, span_is(kind, "D") ? TWIN_REPORT : TWIN_PATCH, first);
    change(&arena, &doc,
        span_is(kind, "D")   ? TWIN_REPORT
        : span_is(kind, "R") ? TWIN_REPLACE
                             : TWIN_PATCH,
        rest);
    arena_done(&arena);
    return 0;
}
