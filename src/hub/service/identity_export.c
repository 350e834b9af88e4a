/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /gemel/v1/identities: identities with their twins, in the form of IoT Hub's export files, a
 * page after the other. First all devices, then all modules, so that what was exported can be
 * imported in that order. A page ends at its limit or when it is large; one without items is behind
 * the last.
 */
#include "service_priv.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
#define PAGE_BYTES (4u << 20)

struct export
{
    struct identity_range range;
    bool with_keys;
    struct buf body;
};

static enum err read_flag(struct rest *rest, const char *name, bool *ret_flag)
{
    struct span text;
    enum err err = rest_parameter(rest, name, &text);
    *ret_flag = err == ERR_NONE && span_is(text, "true");
    if (err != ERR_NONE || text.len == 0 || *ret_flag || span_is(text, "false"))
        return err;
    return fail(
        ERR_ARGUMENT, rest->why, "%s is \"%.*s\", it must be true or false", name, SPAN_ARG(text));
}

enum err export_prepare(struct rest *rest)
{
    uint64_t limit = LIMIT_DEFAULT;
    struct export *export = arena_alloc(rest->arena, sizeof(*export));
    if (export == NULL)
        return ERR_MEMORY;
    rest->input = export;
    enum err err = read_flag(rest, "modules", &export->range.modules);
    if (err == ERR_NONE)
        err = read_flag(rest, "keys", &export->with_keys);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "after", &export->range.after);
    if (err == ERR_NONE)
        err = rest_parameter(rest, "afterModule", &export->range.after_module);
    if (err == ERR_NONE)
        err = rest_number(rest, "limit", LIMIT_MAX, LIMIT_DEFAULT, &limit);
    export->range.limit = limit == 0 ? 1 : (size_t)limit;
    export->range.with_twins = true;
    return err;
}

static enum err add_item(void *self, const struct identity *identity, const struct twin_doc *twin)
{
    struct export *export = self;
    if (export->body.len > PAGE_BYTES)
        return ERR_FULL;
    buf_add_byte(&export->body, export->body.len == 0 ? '[' : ',');
    write_exported(identity, twin, export->with_keys, &export->body);
    return export->body.failed ? ERR_MEMORY : ERR_NONE;
}

enum err export_read(struct rest *rest)
{
    struct export *export = rest->input;
    export->body = BUF_EMPTY;
    enum err err = store_identity_list(rest->txn, rest->hub_id, &export->range, add_item, export);
    buf_add_text(&export->body, export->body.len == 0 ? "[]" : "]");
    if (err == ERR_NONE || err == ERR_FULL)
        err = respond_json(rest, 200, &export->body);
    mem_wipe(export->body.ptr, export->body.len);
    buf_done(&export->body);
    return err;
}
