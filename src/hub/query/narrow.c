/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes out of a condition what a store answers from its indexes: of a chain of ANDs each part that
 * compares one of a few paths with a constant. A part is taken only where the store's answer is
 * exactly the language's; what is not taken stays in query->where.
 */
#include "query_priv.h"

#include <stdlib.h>

struct narrowing {
    struct arena *arena;
    struct query *query;
    bool failed; /* no memory */
};

static bool is_path(const struct node *node, enum query_field field, const char *name)
{
    if (node->kind != NODE_PATH || node->path.field != field)
        return false;
    return name == NULL ? node->path.count == 0
                        : node->path.count == 1 && span_is(node->path.names[0], name);
}

/* One of two words becomes 1 or 0. */
static bool take_word(int *flag, const struct query_value *value, const char *one, const char *zero)
{
    if (*flag >= 0 || value->kind != VALUE_STRING)
        return false;
    bool is_one = span_is(value->text, one);
    if (!is_one && !span_is(value->text, zero))
        return false;
    *flag = is_one ? 1 : 0;
    return true;
}

static int compare_ids(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* `items` are constants; what is no string equals no id. */
static bool take_ids(struct narrowing *self, const struct node *items, size_t count)
{
    struct query_narrow *narrow = &self->query->narrow;
    if (narrow->device_ids != NULL)
        return false;
    struct span *ids = arena_alloc(self->arena, (count + 1) * sizeof(*ids));
    if (ids == NULL) {
        self->failed = true;
        return false;
    }
    size_t found = 0;
    for (const struct node *item = items; item != NULL && count > 0; item = item->next, count--)
        if (item->value.kind == VALUE_STRING)
            ids[found++] = item->value.text;
    qsort(ids, found, sizeof(*ids), compare_ids);
    size_t kept = 0;
    for (size_t i = 0; i < found; i++)
        if (kept == 0 || !span_eq(ids[kept - 1], ids[i]))
            ids[kept++] = ids[i];
    narrow->device_ids = ids;
    narrow->device_id_count = kept;
    return true;
}

static bool take_tag(
    struct narrowing *self, const struct path *path, const struct query_value *value)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    struct query_narrow *narrow = &self->query->narrow;
    if (narrow->tag.len > 0 || value->kind == VALUE_NULL || !query_value_is_primitive(value) ||
        (value->kind == VALUE_STRING && value->text.len > QUERY_TAG_BYTES))
        return false;
    for (size_t i = 0; i < path->count; i++) {
        /* No name of a tag holds a dot, so that the joined names say the path. */
        if (path->names[i].len == 0 || span_find(path->names[i], '.') < path->names[i].len)
            return false;
        buf_add_text(&out, i == 0 ? "" : ".");
        buf_add(&out, path->names[i]);
    }
    if (out.failed || !arena_span(self->arena, buf_span(&out), &narrow->tag)) {
        self->failed = true;
        return false;
    }
    narrow->tag_value = *value;
    return true;
}

static bool take_module_id(struct query_narrow *narrow, const struct query_value *value)
{
    if (narrow->module_id.len > 0 || value->kind != VALUE_STRING || value->text.len == 0)
        return false;
    narrow->module_id = value->text;
    return true;
}

static bool take_latest_state(struct query_narrow *narrow, const struct query_value *value)
{
    int failed = narrow->latest_state >= 0 ? 0 : -1;
    if (!take_word(&failed, value, "failed", "success"))
        return false;
    narrow->latest_state = failed == 1 ? 2 : 1;
    return true;
}

/* A device's rows and a job's rows are found at once. */
static bool take_of_job(
    struct query_narrow *narrow, const struct node *path, const struct query_value *value)
{
    if (value->kind != VALUE_STRING || value->text.len == 0)
        return false;
    struct span *part = is_path(path, QUERY_JOB, "jobId")      ? &narrow->job_id
                        : is_path(path, QUERY_JOB, "deviceId") ? &narrow->job_device_id
                                                               : NULL;
    if (part == NULL || part->len > 0)
        return false;
    *part = value->text;
    return true;
}

/* Of `path = value`. */
static bool take_equal(struct narrowing *self, const struct node *path, const struct node *constant)
{
    struct query_narrow *narrow = &self->query->narrow;
    const struct query_value *value = &constant->value;
    bool modules = self->query->collection == QUERY_MODULES;
    if (path->kind != NODE_PATH || constant->kind != NODE_CONST)
        return false;
    if (self->query->collection == QUERY_JOBS)
        return take_of_job(narrow, path, value);
    if (is_path(path, QUERY_DEVICE_ID, NULL))
        return take_ids(self, constant, 1);
    if (is_path(path, QUERY_CONNECTION_STATE, NULL))
        return take_word(&narrow->connected, value, "Connected", "Disconnected");
    if (is_path(path, QUERY_STATUS, NULL))
        return take_word(&narrow->enabled, value, "enabled", "disabled");
    if (modules && is_path(path, QUERY_MODULE_ID, NULL))
        return take_module_id(narrow, value);
    if (modules && is_path(path, QUERY_REPORTED, "latest_state"))
        return take_latest_state(narrow, value);
    if (!modules && is_path(path, QUERY_CAPABILITIES, "iotEdge") && value->kind == VALUE_BOOL &&
        narrow->iot_edge < 0) {
        narrow->iot_edge = value->truth ? 1 : 0;
        return true;
    }
    return path->path.field == QUERY_TAGS && path->path.count > 0 &&
           take_tag(self, &path->path, value);
}

static bool take_prefix(struct narrowing *self, const struct node *call)
{
    struct query_narrow *narrow = &self->query->narrow;
    const struct node *id = call->first;
    if (call->function->call != call_starts_with || !is_path(id, QUERY_DEVICE_ID, NULL) ||
        id->next->kind != NODE_CONST || narrow->device_from.len > 0)
        return false;
    struct span prefix = id->next->value.text;
    if (id->next->value.kind != VALUE_STRING || prefix.len == 0)
        return false;
    char *below = arena_text(self->arena, prefix);
    if (below == NULL) {
        self->failed = true;
        return false;
    }
    /* UTF-8 has no byte of 0xFF that would have no next. */
    below[prefix.len - 1] = (char)((unsigned char)below[prefix.len - 1] + 1);
    narrow->device_from = prefix;
    narrow->device_below = (struct span){below, prefix.len};
    return true;
}

static bool take(struct narrowing *self, const struct node *node)
{
    static const struct node truth = {
        .kind = NODE_CONST, .value = {.kind = VALUE_BOOL, .truth = true}};
    switch (node->kind) {
    case NODE_PATH:
        return take_equal(self, node, &truth);
    case NODE_COMPARE:
        return node->op == OP_EQ && (take_equal(self, node->first, node->last) ||
                                        take_equal(self, node->last, node->first));
    case NODE_IN:
        return !node->negated && is_path(node->first, QUERY_DEVICE_ID, NULL) &&
               take_ids(self, node->last->first, node->last->count);
    case NODE_CALL:
        return take_prefix(self, node);
    default:
        return false;
    }
}

/* Takes what it can out of a chain. */
static void take_parts(struct narrowing *self, struct node *chain)
{
    struct node *rest = chain->first;
    chain->first = NULL;
    chain->last = NULL;
    chain->count = 0;
    while (rest != NULL) {
        struct node *part = rest;
        rest = rest->next;
        if (!take(self, part))
            node_append(chain, part);
    }
}

bool narrow_condition(struct arena *arena, struct query *query)
{
    struct narrowing self = {.arena = arena, .query = query};
    query->narrow =
        (struct query_narrow){.connected = -1, .enabled = -1, .iot_edge = -1, .latest_state = -1};
    if (query->where != NULL) {
        if (query->where->kind == NODE_AND) {
            take_parts(&self, query->where);
            query->where = query->where->count == 0 ? NULL : query->where;
        } else if (take(&self, query->where)) {
            query->where = NULL;
        }
    }
    query->narrow.all = query->where == NULL;
    return !self.failed;
}
