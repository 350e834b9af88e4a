/* SPDX-License-Identifier: Apache-2.0 */
#include "query_priv.h"

#include "json.h"

#include <math.h>

static void eval_path(struct eval *eval, const struct path *path, struct query_value *ret_value)
{
    struct query_value value = {0};
    if (path->field == QUERY_UNKNOWN) {
        *ret_value = value;
        return;
    }
    if (!eval->source->field(eval->source, path->field, eval->arena, &value)) {
        eval->failed = true;
        value = (struct query_value){0};
    }
    if (path->count > 0 && value.kind == VALUE_OBJECT) {
        if (!query_value_at(eval->arena, value.text, path->names, path->count, &value))
            eval->failed = true;
    } else if (path->count > 0) {
        value = (struct query_value){0};
    }
    *ret_value = value;
}

/* What does not compare is undefined; nothing compares with null. */
static void eval_compare(struct eval *eval, const struct node *node, struct query_value *ret_value)
{
    struct query_value left;
    struct query_value right;
    int order = 0;
    eval_node(eval, node->first, &left);
    eval_node(eval, node->last, &right);
    if (!query_value_compare(&left, &right, &order)) {
        *ret_value = (struct query_value){0};
        return;
    }
    bool truth = node->op == OP_EQ   ? order == 0
                 : node->op == OP_NE ? order != 0
                 : node->op == OP_LT ? order < 0
                 : node->op == OP_LE ? order <= 0
                 : node->op == OP_GT ? order > 0
                                     : order >= 0;
    *ret_value = query_value_bool(truth);
}

/* In no list, and in none not, is what cannot be compared at all. */
static void eval_in(struct eval *eval, const struct node *node, struct query_value *ret_value)
{
    struct query_value value;
    bool found = false;
    eval_node(eval, node->first, &value);
    if (!query_value_is_primitive(&value) || value.kind == VALUE_NULL) {
        *ret_value = (struct query_value){0};
        return;
    }
    for (const struct node *item = node->last->first; item != NULL && !found; item = item->next) {
        int order = 0;
        found = query_value_compare(&value, &item->value, &order) && order == 0;
    }
    *ret_value = query_value_bool(found != node->negated);
}

static void eval_arithmetic(
    struct eval *eval, const struct node *node, struct query_value *ret_value)
{
    struct query_value left;
    struct query_value right;
    eval_node(eval, node->first, &left);
    eval_node(eval, node->last, &right);
    *ret_value = (struct query_value){0};
    if (left.kind != VALUE_NUMBER || right.kind != VALUE_NUMBER)
        return;
    double a = left.number;
    double b = right.number;
    bool by_zero = !(b < 0) && !(b > 0);
    if (by_zero && (node->op == OP_DIV || node->op == OP_MOD))
        return;
    *ret_value = query_value_number(node->op == OP_ADD   ? a + b
                                    : node->op == OP_SUB ? a - b
                                    : node->op == OP_MUL ? a * b
                                    : node->op == OP_DIV ? a / b
                                                         : fmod(a, b));
}

/* AND: false if one is, else undefined if one is neither true nor false. OR: likewise with true. */
static void eval_joined(struct eval *eval, const struct node *node, struct query_value *ret_value)
{
    bool decisive = node->kind == NODE_OR;
    bool known = true;
    for (const struct node *child = node->first; child != NULL; child = child->next) {
        struct query_value value;
        eval_node(eval, child, &value);
        if (value.kind != VALUE_BOOL) {
            known = false;
        } else if (value.truth == decisive) {
            *ret_value = value;
            return;
        }
    }
    *ret_value = known ? query_value_bool(!decisive) : (struct query_value){0};
}

static void eval_call(struct eval *eval, const struct node *node, struct query_value *ret_value)
{
    struct query_value arguments[FUNCTION_MAX_ARGUMENTS];
    size_t count = 0;
    for (const struct node *child = node->first; child != NULL; child = child->next)
        eval_node(eval, child, &arguments[count++]);
    *ret_value = (struct query_value){0};
    node->function->call(eval, arguments, count, ret_value);
}

void eval_node(struct eval *eval, const struct node *node, struct query_value *ret_value)
{
    struct query_value value = {0};
    switch (node->kind) {
    case NODE_CONST:
    case NODE_LIST:
        *ret_value = node->value;
        return;
    case NODE_PATH:
        eval_path(eval, &node->path, ret_value);
        return;
    case NODE_COMPARE:
        eval_compare(eval, node, ret_value);
        return;
    case NODE_IN:
        eval_in(eval, node, ret_value);
        return;
    case NODE_ARITHMETIC:
        eval_arithmetic(eval, node, ret_value);
        return;
    case NODE_AND:
    case NODE_OR:
        eval_joined(eval, node, ret_value);
        return;
    case NODE_CALL:
        eval_call(eval, node, ret_value);
        return;
    case NODE_NOT:
        eval_node(eval, node->first, &value);
        *ret_value =
            value.kind == VALUE_BOOL ? query_value_bool(!value.truth) : (struct query_value){0};
        return;
    case NODE_NEGATE:
        eval_node(eval, node->first, &value);
        *ret_value = value.kind == VALUE_NUMBER
                         ? query_value_number(node->negated ? -value.number : value.number)
                         : (struct query_value){0};
        return;
    }
}

static enum err judge(const struct node *condition, const struct query_source *source,
    struct arena *arena, bool *ret_truth)
{
    struct eval eval = {.source = source, .arena = arena};
    struct query_value value = query_value_bool(true);
    if (condition != NULL)
        eval_node(&eval, condition, &value);
    if (eval.failed)
        return ERR_MEMORY;
    *ret_truth = value.kind == VALUE_BOOL && value.truth;
    return ERR_NONE;
}

enum err query_matches(const struct query *query, const struct query_source *source,
    struct arena *arena, bool *ret_matches)
{
    return judge(query->rest, source, arena, ret_matches);
}

enum err query_takes(const struct query *query, const struct query_source *source,
    struct arena *arena, bool *ret_takes)
{
    return judge(query->where, source, arena, ret_takes);
}

/* Of columns with one name the last that has a value is shown. */
static bool is_hidden(const struct column *column, const struct query_value *value)
{
    for (const struct column *later = column->next; later != NULL; later = later->next)
        if ((++value)->kind != VALUE_UNDEFINED && span_eq(later->key, column->key))
            return true;
    return false;
}

enum err query_write_row(const struct query *query, const struct query_source *source,
    struct arena *arena, struct buf *out)
{
    struct eval eval = {.source = source, .arena = arena};
    struct query_value values[QUERY_MAX_COLUMNS];
    size_t at = 0;
    bool first = true;
    for (const struct column *column = query->columns; column != NULL; column = column->next)
        eval_node(&eval, column->value, &values[at++]);
    buf_add_byte(out, '{');
    at = 0;
    for (const struct column *column = query->columns; column != NULL; column = column->next) {
        const struct query_value *value = &values[at++];
        if (value->kind == VALUE_UNDEFINED || is_hidden(column, value))
            continue;
        if (!first)
            buf_add_byte(out, ',');
        first = false;
        json_write_string(column->key, out);
        buf_add_byte(out, ':');
        query_value_write(value, out);
    }
    buf_add_byte(out, '}');
    return eval.failed || out->failed ? ERR_MEMORY : ERR_NONE;
}
