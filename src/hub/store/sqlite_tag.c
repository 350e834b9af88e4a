/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of tags: a row for each boolean, number and short string at the end of a path. The
 * value is a text that says its kind, "s:north", "n:4.5", "b:true": equal values have equal texts,
 * whatever the spelling of a number.
 */
#include "sqlite_priv.h"

#include "json.h"

enum err sqlite_tag_format(struct buf *out, const struct tag_match *tag)
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
    }
    return out->failed ? ERR_MEMORY : ERR_NONE;
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

static bool is_indexed(const struct json *value, struct tag_match *tag)
{
    switch (value->kind) {
    case JSON_BOOL:
        tag->kind = TAG_BOOL;
        tag->truth = value->truth;
        return true;
    case JSON_NUMBER:
        tag->kind = TAG_NUMBER;
        return json_double(value, &tag->number);
    case JSON_STRING:
        tag->kind = TAG_STRING;
        tag->text = value->text;
        return value->text.len <= TAG_TEXT_BYTES;
    default:
        return false;
    }
}

static enum err insert_all(const struct owner *owner, const struct json *object, struct buf *path)
{
    size_t len = path->len;
    enum err err = ERR_NONE;
    json_each (member, object) {
        AUTO(buf_done) struct buf value = BUF_EMPTY;
        struct tag_match tag = {0};
        path->len = len;
        buf_add_text(path, len == 0 ? "" : ".");
        buf_add(path, member->key);
        if (path->failed)
            return ERR_MEMORY;
        if (member->kind == JSON_OBJECT) {
            err = insert_all(owner, member, path);
        } else if (is_indexed(member, &tag)) {
            err = sqlite_tag_format(&value, &tag);
            if (err == ERR_NONE)
                err = insert(owner, buf_span(path), buf_span(&value));
        }
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
        err = put(&owner, query_span(&query));
        if (err != ERR_NONE)
            return err;
    }
    return err == ERR_NOT_FOUND ? ERR_NONE : err;
}
