/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds what of a condition a store's indexes know. AND and OR of such parts are such parts again;
 * under NOT, where undefined stays undefined, nothing is looked for. A part is exact where what the
 * store finds is just what makes it true; what is not exact is judged once more in query->rest.
 */
#include "query_priv.h"

#include <stdlib.h>

/* Each leaf of a sieve is a walk of its own through an index. */
#define MOST_LEAVES 256

struct making {
    struct arena *arena;
    bool modules;
    size_t leaves;
    bool failed; /* no memory */
};

static struct query_sieve *new_sieve(struct making *self, enum query_sieve_kind kind)
{
    bool leaf = kind != QUERY_SIEVE_ALL && kind != QUERY_SIEVE_ANY;
    if (leaf && ++self->leaves > MOST_LEAVES)
        return NULL;
    struct query_sieve *sieve = arena_alloc(self->arena, sizeof(*sieve));
    if (sieve == NULL)
        self->failed = true;
    else
        sieve->kind = kind;
    return sieve;
}

/* What no document passes. */
static struct query_sieve *new_nothing(struct making *self)
{
    return new_sieve(self, QUERY_SIEVE_ANY);
}

static struct query_sieve *new_flag(struct making *self, enum query_sieve_kind kind, int flag)
{
    struct query_sieve *sieve = new_sieve(self, kind);
    if (sieve != NULL)
        sieve->flag = flag;
    return sieve;
}

static struct query_sieve *new_named(
    struct making *self, enum query_sieve_kind kind, struct span name, int flag)
{
    struct query_sieve *sieve = new_flag(self, kind, flag);
    if (sieve != NULL)
        sieve->name = name;
    return sieve;
}

/* Puts a part before the others; false where there is none: the whole finds nothing then. */
static bool add_part(struct query_sieve *whole, struct query_sieve *part)
{
    if (part == NULL)
        return false;
    part->next = whole->first;
    whole->first = part;
    whole->count++;
    return true;
}

/* Any of some flags, from the first on. */
static struct query_sieve *new_flags(
    struct making *self, enum query_sieve_kind kind, struct span name, int first, int last)
{
    struct query_sieve *any = new_sieve(self, QUERY_SIEVE_ANY);
    for (int flag = first; any != NULL && flag <= last; flag++)
        if (!add_part(any, new_named(self, kind, name, flag)))
            return NULL;
    return any;
}

/* ---- device ids --------------------------------------------------------------------------------
 */

static int compare_ids(const void *a, const void *b)
{
    return span_compare(*(const struct span *)a, *(const struct span *)b);
}

/* `items` are constants; what is no string equals no id. */
static struct query_sieve *of_ids(struct making *self, const struct node *items, size_t count)
{
    struct query_sieve *sieve = new_sieve(self, QUERY_SIEVE_DEVICES);
    struct span *ids = arena_alloc(self->arena, (count + 1) * sizeof(*ids));
    if (sieve == NULL || ids == NULL) {
        self->failed |= ids == NULL;
        return NULL;
    }
    size_t found = 0;
    for (const struct node *item = items; item != NULL && count > 0; item = item->next, count--)
        if (item->value.kind == VALUE_STRING)
            ids[found++] = item->value.text;
    qsort(ids, found, sizeof(*ids), compare_ids);
    for (size_t i = 0; i < found; i++)
        if (sieve->count == 0 || !span_eq(ids[sieve->count - 1], ids[i]))
            ids[sieve->count++] = ids[i];
    sieve->ids = ids;
    return sieve;
}

static struct query_sieve *of_prefix(struct making *self, const struct query_value *prefix)
{
    if (prefix->kind != VALUE_STRING)
        return new_nothing(self);
    if (prefix->text.len == 0)
        return NULL;
    struct query_sieve *sieve = new_named(self, QUERY_SIEVE_RANGE, prefix->text, 0);
    char *below = arena_text(self->arena, prefix->text);
    if (sieve == NULL || below == NULL) {
        self->failed |= below == NULL;
        return NULL;
    }
    /* UTF-8 has no byte of 0xFF that would have no next. */
    size_t last = prefix->text.len - 1;
    below[last] = (char)((unsigned char)below[last] + 1);
    sieve->below = (struct span){below, prefix->text.len};
    return sieve;
}

/* A NUL makes of a text the next one in bytewise order. */
static struct query_sieve *of_order(
    struct making *self, enum node_op op, const struct query_value *bound)
{
    if (bound->kind != VALUE_STRING)
        return new_nothing(self);
    struct query_sieve *sieve = new_sieve(self, QUERY_SIEVE_RANGE);
    char *copy = arena_text(self->arena, bound->text);
    if (sieve == NULL || copy == NULL) {
        self->failed |= copy == NULL;
        return NULL;
    }
    bool behind = op == OP_GT || op == OP_LE;
    struct span edge = {copy, bound->text.len + (behind ? 1 : 0)};
    if (op == OP_GT || op == OP_GE)
        sieve->name = edge;
    else if (edge.len > 0)
        sieve->below = edge;
    else
        return new_nothing(self);
    return sieve;
}

/* ---- what equals a constant --------------------------------------------------------------------
 */

static bool is_path(const struct node *node, enum query_field field, const char *name)
{
    if (node->kind != NODE_PATH || node->path.field != field)
        return false;
    return name == NULL ? node->path.count == 0
                        : node->path.count == 1 && span_is(node->path.names[0], name);
}

/* Of a field that is one of two words. */
static struct query_sieve *of_words(struct making *self, enum query_sieve_kind kind, bool equal,
    const struct query_value *value, const char *one, const char *zero)
{
    if (value->kind != VALUE_STRING)
        return new_nothing(self);
    bool is_one = span_is(value->text, one);
    if (is_one || span_is(value->text, zero))
        return new_flag(self, kind, is_one == equal ? 1 : 0);
    return equal ? new_nothing(self) : NULL;
}

static struct query_sieve *of_state(
    struct making *self, bool equal, const struct query_value *value, bool *exact)
{
    if (value->kind == VALUE_NULL || !query_value_is_primitive(value))
        return new_nothing(self);
    int state = value->kind != VALUE_STRING       ? QUERY_STATE_OTHER
                : span_is(value->text, "success") ? QUERY_STATE_SUCCESS
                : span_is(value->text, "failed")  ? QUERY_STATE_FAILED
                                                  : QUERY_STATE_OTHER;
    *exact = equal && state != QUERY_STATE_OTHER;
    if (equal)
        return new_flag(self, QUERY_SIEVE_STATE, state);
    struct query_sieve *any = new_sieve(self, QUERY_SIEVE_ANY);
    for (int other = QUERY_STATE_SUCCESS; any != NULL && other <= QUERY_STATE_OTHER; other++)
        if (other != state || state == QUERY_STATE_OTHER)
            if (!add_part(any, new_flag(self, QUERY_SIEVE_STATE, other)))
                return NULL;
    return any;
}

/* Joins the names of a tag; no name holds a dot, so that the joined names say the path. */
static bool tag_name(struct making *self, const struct path *path, struct span *ret_name)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    if (path->field != QUERY_TAGS || path->count == 0)
        return false;
    for (size_t i = 0; i < path->count; i++) {
        if (path->names[i].len == 0 || span_find(path->names[i], '.') < path->names[i].len)
            return false;
        buf_add_text(&out, i == 0 ? "" : ".");
        buf_add(&out, path->names[i]);
    }
    if (!out.failed && arena_span(self->arena, buf_span(&out), ret_name))
        return true;
    self->failed = true;
    return false;
}

static struct query_sieve *of_tag(
    struct making *self, const struct path *path, const struct query_value *value)
{
    struct span name;
    if (!tag_name(self, path, &name) ||
        (value->kind == VALUE_STRING && value->text.len > QUERY_TAG_BYTES))
        return NULL;
    if (value->kind == VALUE_NULL || !query_value_is_primitive(value))
        return new_nothing(self);
    struct query_sieve *sieve = new_named(self, QUERY_SIEVE_TAG, name, 0);
    if (sieve != NULL)
        sieve->value = *value;
    return sieve;
}

/* configurations.[[id]].status */
static bool is_configuration_status(const struct node *node)
{
    return node->kind == NODE_PATH && node->path.field == QUERY_CONFIGURATIONS &&
           node->path.count == 2 && span_is(node->path.names[1], "status");
}

static struct query_sieve *of_equal(struct making *self, const struct node *path, bool equal,
    const struct query_value *value, bool *exact)
{
    *exact = true;
    if (is_path(path, QUERY_CONNECTION_STATE, NULL))
        return of_words(self, QUERY_SIEVE_CONNECTED, equal, value, "Connected", "Disconnected");
    if (is_path(path, QUERY_STATUS, NULL))
        return of_words(self, QUERY_SIEVE_ENABLED, equal, value, "enabled", "disabled");
    if (is_configuration_status(path)) {
        struct query_sieve *sieve =
            of_words(self, QUERY_SIEVE_CONFIGURATION, equal, value, "Applied", "Targeted");
        if (sieve != NULL)
            sieve->name = path->path.names[0];
        return sieve;
    }
    if (self->modules && is_path(path, QUERY_REPORTED, "latest_state"))
        return of_state(self, equal, value, exact);
    if (!self->modules && is_path(path, QUERY_CAPABILITIES, "iotEdge")) {
        if (value->kind != VALUE_BOOL)
            return new_nothing(self);
        return new_flag(self, QUERY_SIEVE_EDGE, value->truth == equal ? 1 : 0);
    }
    if (!equal)
        return NULL;
    if (self->modules && is_path(path, QUERY_MODULE_ID, NULL)) {
        if (value->kind != VALUE_STRING || value->text.len == 0)
            return new_nothing(self);
        return new_named(self, QUERY_SIEVE_MODULE, value->text, 0);
    }
    return path->kind == NODE_PATH ? of_tag(self, &path->path, value) : NULL;
}

/* ---- conditions --------------------------------------------------------------------------------
 */

static enum node_op mirrored(enum node_op op)
{
    return op == OP_LT   ? OP_GT
           : op == OP_LE ? OP_GE
           : op == OP_GT ? OP_LT
           : op == OP_GE ? OP_LE
                         : op;
}

static struct query_sieve *of_compare(struct making *self, const struct node *node, bool *exact)
{
    const struct node *path = node->first;
    const struct node *constant = node->last;
    enum node_op op = node->op;
    if (path->kind == NODE_CONST) {
        path = node->last;
        constant = node->first;
        op = mirrored(op);
    }
    if (path->kind != NODE_PATH || constant->kind != NODE_CONST)
        return NULL;
    *exact = true;
    bool equal = op == OP_EQ;
    if (is_path(path, QUERY_DEVICE_ID, NULL))
        return equal         ? of_ids(self, constant, 1)
               : op == OP_NE ? NULL
                             : of_order(self, op, &constant->value);
    return equal || op == OP_NE ? of_equal(self, path, equal, &constant->value, exact) : NULL;
}

static struct query_sieve *of_in(struct making *self, const struct node *node, bool *exact)
{
    const struct node *path = node->first;
    const struct node *list = node->last;
    *exact = true;
    if (node->negated || path->kind != NODE_PATH)
        return NULL;
    if (is_path(path, QUERY_DEVICE_ID, NULL))
        return of_ids(self, list->first, list->count);
    struct query_sieve *any = new_sieve(self, QUERY_SIEVE_ANY);
    for (const struct node *item = list->first; any != NULL && item != NULL; item = item->next) {
        bool exact_item = true;
        struct query_sieve *part = of_equal(self, path, true, &item->value, &exact_item);
        if (!add_part(any, part))
            return NULL;
        *exact = *exact && exact_item;
    }
    return any;
}

static struct query_sieve *of_defined(struct making *self, const struct node *path)
{
    struct span name;
    if (path->kind != NODE_PATH)
        return NULL;
    if (is_configuration_status(path) ||
        (path->path.field == QUERY_CONFIGURATIONS && path->path.count == 1))
        return new_flags(self, QUERY_SIEVE_CONFIGURATION, path->path.names[0], 0, 1);
    if (self->modules && is_path(path, QUERY_REPORTED, "latest_state"))
        return new_flags(
            self, QUERY_SIEVE_STATE, SPAN_NONE, QUERY_STATE_SUCCESS, QUERY_STATE_OTHER);
    return tag_name(self, &path->path, &name) ? new_named(self, QUERY_SIEVE_TAGGED, name, 0) : NULL;
}

static struct query_sieve *of_call(struct making *self, const struct node *call)
{
    const struct node *path = call->first;
    if (call->function->call == call_is_defined)
        return of_defined(self, path);
    if (call->function->call == call_starts_with && is_path(path, QUERY_DEVICE_ID, NULL) &&
        path->next->kind == NODE_CONST)
        return of_prefix(self, &path->next->value);
    return NULL;
}

static struct query_sieve *of_node(struct making *self, const struct node *node, bool *exact);

/* Of OR every part must be found, of AND those that are found will do. */
static struct query_sieve *of_joined(struct making *self, const struct node *node, bool *exact)
{
    bool all = node->kind == NODE_AND;
    struct query_sieve *joined = new_sieve(self, all ? QUERY_SIEVE_ALL : QUERY_SIEVE_ANY);
    *exact = true;
    for (const struct node *child = node->first; joined != NULL && child != NULL;
         child = child->next) {
        bool exact_child = true;
        bool found = add_part(joined, of_node(self, child, &exact_child));
        if (!found && !all)
            return NULL;
        *exact = *exact && found && exact_child;
    }
    return joined != NULL && joined->count > 0 ? joined : NULL;
}

/* NULL: the indexes know nothing of it. No deeper than the text may be nested. */
static struct query_sieve *of_node(struct making *self, const struct node *node, bool *exact)
{
    static const struct query_value truth = {.kind = VALUE_BOOL, .truth = true};
    *exact = true;
    switch (node->kind) {
    case NODE_PATH:
        return of_equal(self, node, true, &truth, exact);
    case NODE_COMPARE:
        return of_compare(self, node, exact);
    case NODE_IN:
        return of_in(self, node, exact);
    case NODE_CALL:
        return of_call(self, node);
    case NODE_AND:
    case NODE_OR:
        return of_joined(self, node, exact);
    default:
        return NULL;
    }
}

/* Takes a part of the condition; true: it need not be judged again. */
typedef bool take_part(struct making *self, struct query *query, const struct node *part);

static bool take_twin_part(struct making *self, struct query *query, const struct node *part)
{
    bool exact = true;
    return add_part(query->sieve, of_node(self, part, &exact)) && exact;
}

/* A device's rows and a job's rows are found at once. */
static bool take_job_part(struct making *self UNUSED, struct query *query, const struct node *part)
{
    if (part->kind != NODE_COMPARE || part->op != OP_EQ)
        return false;
    bool turned = part->first->kind == NODE_CONST;
    const struct node *path = turned ? part->last : part->first;
    const struct node *constant = turned ? part->first : part->last;
    struct span *wanted = is_path(path, QUERY_JOB, "jobId")      ? &query->job_id
                          : is_path(path, QUERY_JOB, "deviceId") ? &query->job_device_id
                                                                 : NULL;
    if (wanted == NULL || wanted->len > 0 || constant->kind != NODE_CONST ||
        constant->value.kind != VALUE_STRING)
        return false;
    *wanted = constant->value.text;
    return wanted->len > 0;
}

/* Of a chain of ANDs what is taken need not be judged again: the rest is a shorter chain. */
static bool take_condition(struct making *self, struct query *query, take_part *take)
{
    if (query->where->kind != NODE_AND) {
        query->rest = take(self, query, query->where) ? NULL : query->where;
        return true;
    }
    struct node *rest = arena_alloc(self->arena, sizeof(*rest));
    if (rest == NULL)
        return false;
    rest->kind = NODE_AND;
    rest->offset = query->where->offset;
    for (const struct node *child = query->where->first; child != NULL; child = child->next) {
        if (take(self, query, child))
            continue;
        struct node *copy = arena_alloc(self->arena, sizeof(*copy));
        if (copy == NULL)
            return false;
        *copy = *child;
        node_append(rest, copy);
    }
    query->rest = rest->count > 0 ? rest : NULL;
    return true;
}

/* ---- groups ------------------------------------------------------------------------------------
 */

static bool only_counts(const struct query *query)
{
    if (query->groups == NULL || query->groups->count != 1 || query->rest != NULL)
        return false;
    for (const struct column *column = query->columns; column != NULL; column = column->next)
        if (column->aggregate != AGGREGATE_NONE && column->value != NULL)
            return false;
    return true;
}

/* A single part stands for the whole. */
static struct query_sieve *only_part(struct query_sieve *sieve)
{
    while (sieve->kind == QUERY_SIEVE_ALL && sieve->count == 1)
        sieve = (struct query_sieve *)(uintptr_t)sieve->first;
    return sieve->kind == QUERY_SIEVE_ALL && sieve->count == 0 ? NULL : sieve;
}

static struct query_sieve *facet_of(struct making *self, const struct node *path)
{
    struct span name;
    if (is_path(path, QUERY_CONNECTION_STATE, NULL))
        return new_flag(self, QUERY_SIEVE_CONNECTED, 0);
    if (is_path(path, QUERY_STATUS, NULL))
        return new_flag(self, QUERY_SIEVE_ENABLED, 0);
    if (self->modules && is_path(path, QUERY_MODULE_ID, NULL))
        return new_flag(self, QUERY_SIEVE_MODULE, 0);
    if (self->modules && is_path(path, QUERY_REPORTED, "latest_state"))
        return new_flag(self, QUERY_SIEVE_STATE, 0);
    if (!self->modules && is_path(path, QUERY_CAPABILITIES, "iotEdge"))
        return new_flag(self, QUERY_SIEVE_EDGE, 0);
    if (is_configuration_status(path))
        return new_named(self, QUERY_SIEVE_CONFIGURATION, path->path.names[0], 0);
    return tag_name(self, &path->path, &name) ? new_named(self, QUERY_SIEVE_TAG, name, 0) : NULL;
}

bool sieve_make(struct arena *arena, struct query *query)
{
    struct making self = {.arena = arena, .modules = query->collection == QUERY_MODULES};
    bool jobs = query->collection == QUERY_JOBS;
    query->sieve = new_sieve(&self, QUERY_SIEVE_ALL);
    if (query->sieve == NULL)
        return false;
    if (query->where != NULL &&
        !take_condition(&self, query, jobs ? take_job_part : take_twin_part))
        return false;
    query->sieve = only_part(query->sieve);
    if (!jobs && only_counts(query) &&
        (query->sieve == NULL || query->sieve->kind == QUERY_SIEVE_MODULE))
        query->facet = facet_of(&self, query->groups->first);
    return !self.failed;
}
