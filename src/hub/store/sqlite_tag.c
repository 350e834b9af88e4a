/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of tags: a row for each path. The value is a text that says its kind, "s:north",
 * "n:4.5", "b:true": equal values have equal texts, whatever the spelling of a number. It is empty
 * for what is looked up by its path alone: objects, arrays and long strings.
 */
#include "sqlite_priv.h"

#include "json.h"

#include <stdlib.h>

enum err sqlite_tag_format(struct buf *out, const struct tag_value *tag)
{
    switch (tag->kind) {
    case TAG_BOOL:
        buf_add_text(out, tag->truth ? "b:true" : "b:false");
        break;
    case TAG_NUMBER:
        /* 0.0 makes one of 0 and -0. */
        buf_add_format(out, "n:%.17g", tag->number + 0.0);
        break;
    case TAG_STRING:
        buf_add_text(out, "s:");
        buf_add(out, tag->text);
        break;
    case TAG_OTHER:
        break;
    }
    return out->failed ? ERR_MEMORY : ERR_NONE;
}

bool sqlite_tag_parse(struct span value, struct tag_value *ret_tag)
{
    struct tag_value tag = {.kind = TAG_OTHER};
    char digits[40];
    char *end = digits;
    if (value.len >= 2) {
        tag.text = span_from(value, 2);
        tag.truth = span_is(tag.text, "true");
        tag.kind = value.ptr[0] == 'b' ? TAG_BOOL : value.ptr[0] == 'n' ? TAG_NUMBER : TAG_STRING;
    }
    if (tag.kind == TAG_NUMBER) {
        if (!span_copy(tag.text, digits, sizeof(digits)))
            return false;
        tag.number = strtod(digits, &end);
    }
    if (tag.kind == TAG_NUMBER && (end == digits || *end != '\0'))
        return false;
    if (tag.kind != TAG_STRING)
        tag.text = SPAN_NONE;
    *ret_tag = tag;
    return true;
}

/* Whose tags are put. */
struct owner {
    struct store_txn *txn;
    int64_t identity;
    int64_t hub_id;
    struct span device_id;
    struct span module_id;
};

static enum err insert(const struct owner *owner, struct span path, struct span value)
{
    AUTO(query_done) struct query query = query_open(owner->txn, SQL_TAG_INSERT);
    query_put_int(&query, owner->identity);
    query_put_text(&query, path);
    query_put_text(&query, value);
    query_put_int(&query, owner->hub_id);
    query_put_text(&query, owner->device_id);
    query_put_text(&query, owner->module_id);
    return query_change(&query, NULL);
}

static struct tag_value value_of(const struct json *json)
{
    struct tag_value tag = {.kind = TAG_OTHER};
    if (json->kind == JSON_BOOL) {
        tag.kind = TAG_BOOL;
        tag.truth = json->truth;
    } else if (json->kind == JSON_NUMBER && json_double(json, &tag.number)) {
        tag.kind = TAG_NUMBER;
    } else if (json->kind == JSON_STRING && json->text.len <= TAG_TEXT_BYTES) {
        tag.kind = TAG_STRING;
        tag.text = json->text;
    }
    return tag;
}

static enum err insert_all(const struct owner *owner, const struct json *object, struct buf *path)
{
    size_t len = path->len;
    enum err err = ERR_NONE;
    json_each (member, object) {
        AUTO(buf_done) struct buf value = BUF_EMPTY;
        const struct tag_value tag = value_of(member);
        path->len = len;
        buf_add_text(path, len == 0 ? "" : ".");
        buf_add(path, member->key);
        if (path->failed)
            return ERR_MEMORY;
        err = sqlite_tag_format(&value, &tag);
        if (err == ERR_NONE)
            err = insert(owner, buf_span(path), buf_span(&value));
        if (err == ERR_NONE && member->kind == JSON_OBJECT)
            err = insert_all(owner, member, path);
        if (err != ERR_NONE)
            return err;
    }
    return ERR_NONE;
}

static enum err put(const struct owner *owner, struct span tags)
{
    AUTO(arena_done) struct arena arena;
    AUTO(buf_done) struct buf path = BUF_EMPTY;
    struct json *tree = NULL;
    arena_init(&arena, 0);
    enum err err = json_parse(&arena, tags, 0, &tree, owner->txn->why);
    if (err != ERR_NONE)
        return err == ERR_FORMAT ? ERR_CORRUPT : err;
    return insert_all(owner, tree, &path);
}

static enum err drop(struct store_txn *txn, int64_t identity)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_TAG_DELETE);
    query_put_int(&query, identity);
    return query_change(&query, NULL);
}

enum err sqlite_tag_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, struct span tags)
{
    struct owner owner = {
        .txn = txn, .hub_id = hub_id, .device_id = device_id, .module_id = module_id};
    {
        AUTO(query_done) struct query query = query_open(txn, SQL_IDENTITY_ROW);
        query_put_int(&query, hub_id);
        query_put_text(&query, device_id);
        query_put_text(&query, module_id);
        enum err err = query_row(&query);
        if (err != ERR_NONE)
            return err;
        owner.identity = query_int(&query);
    }
    enum err err = drop(txn, owner.identity);
    return err == ERR_NONE ? put(&owner, tags) : err;
}

enum err sqlite_tag_fill(struct store_txn *txn)
{
    AUTO(query_done) struct query query = query_open(txn, SQL_TAG_ALL);
    enum err err;
    while ((err = query_row(&query)) == ERR_NONE) {
        struct owner owner = {.txn = txn};
        owner.identity = query_int(&query);
        owner.hub_id = query_int(&query);
        owner.device_id = query_span(&query);
        owner.module_id = query_span(&query);
        err = drop(txn, owner.identity);
        if (err == ERR_NONE)
            err = put(&owner, query_span(&query));
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}
