/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   condition  = and {OR and}            and = not {AND not}        not = {NOT} comparison
 *   comparison = sum [(= | != | <> | < | <= | > | >=) sum | [NOT] IN list | NIN list]
 *   sum        = product {(+ | -) product}        product = sign {(* | / | %) sign}
 *   sign       = {+ | -} primary
 *   primary    = "(" condition ")" | constant | list | NAME "(" [condition {, condition}] ")" |
 * path
 *
 * One grammar for conditions and values: what cannot be a condition is refused where one must
 * stand.
 */
#include "query_priv.h"

void node_append(struct node *parent, struct node *child)
{
    child->next = NULL;
    if (parent->last == NULL)
        parent->first = child;
    else
        parent->last->next = child;
    parent->last = child;
    parent->count++;
}

/* ---- tokens -------------------------------------------------------------------------------- */

enum err parser_advance(struct parser *parser)
{
    return lexer_next(&parser->lexer, &parser->token);
}

bool parser_at_word(const struct parser *parser, const char *word)
{
    return parser->token.kind == TOKEN_NAME && span_eq_nocase(parser->token.source, span_of(word));
}

bool parser_at_mark(const struct parser *parser, const char *mark)
{
    return parser->token.kind == TOKEN_MARK && span_is(parser->token.source, mark);
}

enum err parser_expected(const struct parser *parser, const char *what)
{
    const struct token *token = &parser->token;
    if (token->kind == TOKEN_END)
        return lexer_fail(
            &parser->lexer, token->offset, "the query ends where there must be %s", what);
    return lexer_fail(&parser->lexer, token->offset, "%.*s stands where there must be %s",
        SPAN_ARG(span_first(token->source, 60)), what);
}

enum err parser_mark(struct parser *parser, const char *mark, const char *what)
{
    return parser_at_mark(parser, mark) ? parser_advance(parser) : parser_expected(parser, what);
}

bool parser_is_reserved(struct span word)
{
    static const char *const words[] = {"SELECT", "FROM", "WHERE", "GROUP", "ORDER", "BY", "AND",
        "OR", "NOT", "IN", "NIN", "AS", "TOP", "LIKE", "JOIN", "TRUE", "FALSE", "NULL",
        "UNDEFINED"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (span_eq_nocase(word, span_of(words[i])))
            return true;
    return false;
}

/* ---- nodes --------------------------------------------------------------------------------- */

static enum err new_node(
    struct parser *parser, enum node_kind kind, size_t offset, struct node **ret_node)
{
    if (kind != NODE_LIST && ++parser->terms > parser->limits->terms)
        return lexer_fail(&parser->lexer, offset,
            "the query has more than %u terms (limits.query_terms)", parser->limits->terms);
    struct node *node = arena_alloc(parser->arena, sizeof(*node));
    if (node == NULL)
        return ERR_MEMORY;
    node->kind = kind;
    node->offset = offset;
    *ret_node = node;
    return ERR_NONE;
}

static enum err deeper(struct parser *parser)
{
    if (++parser->depth <= parser->limits->depth)
        return ERR_NONE;
    return lexer_fail(&parser->lexer, parser->token.offset,
        "the query is nested deeper than %u levels (limits.query_depth)", parser->limits->depth);
}

static enum err join(struct parser *parser, enum node_kind kind, enum node_op op, size_t offset,
    struct node *left, struct node *right, struct node **ret_node)
{
    struct node *node = NULL;
    enum err err = new_node(parser, kind, offset, &node);
    if (err != ERR_NONE)
        return err;
    node->op = op;
    node_append(node, left);
    node_append(node, right);
    *ret_node = node;
    return ERR_NONE;
}

/* ---- constants ----------------------------------------------------------------------------- */

static bool read_word_constant(const struct parser *parser, struct query_value *ret_value)
{
    struct query_value value = {0};
    if (parser_at_word(parser, "true") || parser_at_word(parser, "false"))
        value = query_value_bool(parser_at_word(parser, "true"));
    else if (parser_at_word(parser, "null"))
        value.kind = VALUE_NULL;
    else if (!parser_at_word(parser, "undefined"))
        return false;
    *ret_value = value;
    return true;
}

/* A constant of a list: also a number with a sign. */
static enum err read_item(struct parser *parser, struct query_value *ret_value)
{
    bool minus = parser_at_mark(parser, "-");
    enum err err = minus || parser_at_mark(parser, "+") ? parser_advance(parser) : ERR_NONE;
    if (err != ERR_NONE)
        return err;
    if (parser->token.kind == TOKEN_NUMBER)
        *ret_value = query_value_number(minus ? -parser->token.number : parser->token.number);
    else if (!minus && parser->token.kind == TOKEN_STRING)
        *ret_value = query_value_string(parser->token.text);
    else if (minus || !read_word_constant(parser, ret_value))
        return parser_expected(parser, "a constant");
    return parser_advance(parser);
}

static enum err read_items(struct parser *parser, const char *end, struct node *list)
{
    struct node *item;
    while (true) {
        item = arena_alloc(parser->arena, sizeof(*item));
        if (item == NULL)
            return ERR_MEMORY;
        item->kind = NODE_CONST;
        item->offset = parser->token.offset;
        enum err err = read_item(parser, &item->value);
        if (err != ERR_NONE)
            return err;
        node_append(list, item);
        if (!parser_at_mark(parser, ","))
            return parser_mark(parser, end, end[0] == ']' ? "a comma or ]" : "a comma or )");
        err = parser_advance(parser);
        if (err != ERR_NONE)
            return err;
    }
}

/* As a value, for functions and rows, a list is its JSON text. */
static enum err write_list(struct parser *parser, struct node *list)
{
    AUTO(buf_done) struct buf out = BUF_EMPTY;
    buf_add_byte(&out, '[');
    for (const struct node *item = list->first; item != NULL; item = item->next) {
        if (item->value.kind == VALUE_UNDEFINED)
            buf_add_text(&out, "null");
        query_value_write(&item->value, &out);
        if (item->next != NULL)
            buf_add_byte(&out, ',');
    }
    buf_add_byte(&out, ']');
    list->value.kind = VALUE_ARRAY;
    return !out.failed && arena_span(parser->arena, buf_span(&out), &list->value.text) ? ERR_NONE
                                                                                       : ERR_MEMORY;
}

/* "[" is the current token, or "(" behind IN. */
static enum err read_list(struct parser *parser, struct node **ret_list)
{
    const char *end = parser_at_mark(parser, "[") ? "]" : ")";
    struct node *list = NULL;
    enum err err = new_node(parser, NODE_LIST, parser->token.offset, &list);
    if (err == ERR_NONE)
        err = parser_advance(parser);
    if (err == ERR_NONE && parser_at_mark(parser, end))
        err = parser_advance(parser);
    else if (err == ERR_NONE)
        err = read_items(parser, end, list);
    if (err == ERR_NONE)
        err = write_list(parser, list);
    if (err == ERR_NONE)
        *ret_list = list;
    return err;
}

static enum err read_constant(
    struct parser *parser, struct query_value value, struct node **ret_node)
{
    struct node *node = NULL;
    enum err err = new_node(parser, NODE_CONST, parser->token.offset, &node);
    if (err != ERR_NONE)
        return err;
    node->value = value;
    *ret_node = node;
    return parser_advance(parser);
}

/* ---- paths --------------------------------------------------------------------------------- */

#define MAX_WORDS 32

struct words {
    struct span texts[MAX_WORDS];
    size_t count;
};

static enum err add_word(struct parser *parser, struct words *words, struct span text)
{
    if (words->count == MAX_WORDS)
        return lexer_fail(
            &parser->lexer, parser->token.offset, "a path has at most %d names", MAX_WORDS);
    words->texts[words->count++] = text;
    return ERR_NONE;
}

/* [[name]] or ["name"]; "[" is the current token. */
static enum err read_bracketed(struct parser *parser, struct words *words)
{
    size_t offset = parser->token.offset;
    struct span name;
    if (lexer_sees(&parser->lexer, '[')) {
        parser->lexer.at++;
        enum err err = lexer_bracketed(&parser->lexer, offset, &name);
        if (err == ERR_NONE)
            err = add_word(parser, words, name);
        return err == ERR_NONE ? parser_advance(parser) : err;
    }
    enum err err = parser_advance(parser);
    if (err == ERR_NONE && parser->token.kind != TOKEN_STRING)
        err = parser_expected(parser, "a quoted name, as in [\"my tag\"], or [[my tag]]");
    if (err == ERR_NONE)
        err = add_word(parser, words, parser->token.text);
    if (err == ERR_NONE)
        err = parser_advance(parser);
    return err == ERR_NONE ? parser_mark(parser, "]", "]") : err;
}

static enum err read_word(struct parser *parser, struct words *words)
{
    if (parser_at_mark(parser, "["))
        return read_bracketed(parser, words);
    if (parser->token.kind != TOKEN_NAME)
        return parser_expected(parser, "a name; one of other characters is written [[my name]]");
    enum err err = add_word(parser, words, parser->token.source);
    return err == ERR_NONE ? parser_advance(parser) : err;
}

static enum err read_words(struct parser *parser, struct words *words)
{
    enum err err = read_word(parser, words);
    while (err == ERR_NONE) {
        bool dot = parser_at_mark(parser, ".");
        if (!dot && !parser_at_mark(parser, "["))
            return ERR_NONE;
        if (dot)
            err = parser_advance(parser);
        if (err == ERR_NONE)
            err = read_word(parser, words);
    }
    return err;
}

enum err parser_path(struct parser *parser, struct node **ret_node)
{
    struct words words = {.count = 0};
    struct node *node = NULL;
    if (parser->token.kind == TOKEN_NAME && parser_is_reserved(parser->token.source))
        return parser_expected(parser, "a path, as tags.site");
    enum err err = new_node(parser, NODE_PATH, parser->token.offset, &node);
    if (err == ERR_NONE)
        err = read_words(parser, &words);
    if (err != ERR_NONE)
        return err;
    if (!path_resolve(parser->arena, parser->collection, words.texts, words.count, &node->path))
        return ERR_MEMORY;
    *ret_node = node;
    return ERR_NONE;
}

/* ---- calls --------------------------------------------------------------------------------- */

static enum err check_arguments(const struct parser *parser, const struct node *call)
{
    const struct function *function = call->function;
    if (call->count >= function->fewest && call->count <= function->most)
        return ERR_NONE;
    if (function->fewest == function->most)
        return lexer_fail(&parser->lexer, call->offset, "%s takes %u argument%s, not %u",
            function->name, function->fewest, function->fewest == 1 ? "" : "s", call->count);
    return lexer_fail(&parser->lexer, call->offset, "%s takes %u to %u arguments, not %u",
        function->name, function->fewest, function->most, call->count);
}

/* "NAME (" was read, the name is `name`. */
static enum err read_arguments(struct parser *parser, struct node *call)
{
    enum err err = ERR_NONE;
    while (err == ERR_NONE && !parser_at_mark(parser, ")")) {
        struct node *argument = NULL;
        err = parser_expression(parser, &argument);
        if (err != ERR_NONE)
            return err;
        node_append(call, argument);
        if (parser_at_mark(parser, ")"))
            break;
        err = parser_mark(parser, ",", "a comma or )");
        if (err == ERR_NONE && parser_at_mark(parser, ")"))
            err = parser_expected(parser, "an argument");
    }
    if (err == ERR_NONE)
        err = check_arguments(parser, call);
    return err == ERR_NONE ? parser_advance(parser) : err;
}

static bool is_aggregate(struct span name)
{
    static const char *const names[] = {"COUNT", "SUM", "AVG", "MIN", "MAX"};
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (span_eq_nocase(name, span_of(names[i])))
            return true;
    return false;
}

static enum err read_call(struct parser *parser, struct node **ret_node)
{
    struct node *call = NULL;
    struct span name = parser->token.source;
    size_t offset = parser->token.offset;
    enum err err = new_node(parser, NODE_CALL, offset, &call);
    if (err != ERR_NONE)
        return err;
    call->function = function_find(name);
    if (call->function == NULL && is_aggregate(name))
        return lexer_fail(
            &parser->lexer, offset, "%.*s may stand in the select list only", SPAN_ARG(name));
    if (call->function == NULL)
        return lexer_fail(
            &parser->lexer, offset, "there is no function %.*s", SPAN_ARG(span_first(name, 60)));
    err = deeper(parser);
    if (err == ERR_NONE)
        err = parser_advance(parser);
    if (err == ERR_NONE)
        err = parser_advance(parser); /* the bracket */
    if (err == ERR_NONE)
        err = read_arguments(parser, call);
    parser->depth--;
    if (err == ERR_NONE)
        *ret_node = call;
    return err;
}

static bool is_call(const struct parser *parser)
{
    struct span rest = span_trim(span_from(parser->lexer.text, parser->lexer.at));
    return parser->token.kind == TOKEN_NAME && span_starts(rest, SPAN_LIT("("));
}

/* ---- expressions --------------------------------------------------------------------------- */

static enum err read_parenthesis(struct parser *parser, struct node **ret_node)
{
    enum err err = deeper(parser);
    if (err == ERR_NONE)
        err = parser_advance(parser);
    if (err == ERR_NONE)
        err = parser_expression(parser, ret_node);
    if (err == ERR_NONE)
        err = parser_mark(parser, ")", ")");
    parser->depth--;
    return err;
}

static enum err read_primary(struct parser *parser, struct node **ret_node)
{
    struct query_value value = {0};
    if (parser_at_mark(parser, "("))
        return read_parenthesis(parser, ret_node);
    if (parser->token.kind == TOKEN_NUMBER)
        return read_constant(parser, query_value_number(parser->token.number), ret_node);
    if (parser->token.kind == TOKEN_STRING)
        return read_constant(parser, query_value_string(parser->token.text), ret_node);
    if (read_word_constant(parser, &value))
        return read_constant(parser, value, ret_node);
    if (parser_at_mark(parser, "[") && !lexer_sees(&parser->lexer, '['))
        return read_list(parser, ret_node);
    if (is_call(parser) && !parser_is_reserved(parser->token.source))
        return read_call(parser, ret_node);
    if (parser->token.kind == TOKEN_NAME || parser_at_mark(parser, "["))
        return parser_path(parser, ret_node);
    return parser_expected(parser, "a path, a constant or a function");
}

static enum err read_sign(struct parser *parser, struct node **ret_node)
{
    bool minus = parser_at_mark(parser, "-");
    if (!minus && !parser_at_mark(parser, "+"))
        return read_primary(parser, ret_node);
    struct node *node = NULL;
    struct node *value = NULL;
    enum err err = new_node(parser, NODE_NEGATE, parser->token.offset, &node);
    if (err == ERR_NONE)
        err = deeper(parser);
    if (err == ERR_NONE)
        err = parser_advance(parser);
    if (err == ERR_NONE)
        err = read_sign(parser, &value);
    parser->depth--;
    if (err != ERR_NONE)
        return err;
    if (minus && value->kind == NODE_CONST && value->value.kind == VALUE_NUMBER) {
        value->value.number = -value->value.number;
        *ret_node = value;
        return ERR_NONE;
    }
    node->negated = minus;
    node_append(node, value);
    *ret_node = node;
    return ERR_NONE;
}

struct operator
{
    const char *mark;
    enum node_op op;
};

static enum node_op find_operator(
    const struct parser *parser, const struct operator* operators, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (parser_at_mark(parser, operators[i].mark))
            return operators[i].op;
    return OP_NONE;
}

typedef enum err read_operand(struct parser *parser, struct node **ret_node);

static enum err read_chain(struct parser *parser, const struct operator* operators, size_t count,
    read_operand *read, struct node **ret_node)
{
    struct node *left = NULL;
    struct node *right = NULL;
    enum node_op op;
    enum err err = read(parser, &left);
    while (err == ERR_NONE && (op = find_operator(parser, operators, count)) != OP_NONE) {
        size_t offset = parser->token.offset;
        err = parser_advance(parser);
        if (err == ERR_NONE)
            err = read(parser, &right);
        if (err == ERR_NONE)
            err = join(parser, NODE_ARITHMETIC, op, offset, left, right, &left);
    }
    if (err == ERR_NONE)
        *ret_node = left;
    return err;
}

static enum err read_product(struct parser *parser, struct node **ret_node)
{
    static const struct operator operators[] = {{"*", OP_MUL}, {"/", OP_DIV}, {"%", OP_MOD}};
    return read_chain(parser, operators, COUNT_OF(operators), read_sign, ret_node);
}

static enum err read_sum(struct parser *parser, struct node **ret_node)
{
    static const struct operator operators[] = {{"+", OP_ADD}, {"-", OP_SUB}};
    return read_chain(parser, operators, COUNT_OF(operators), read_product, ret_node);
}

/* IN, NIN or NOT IN is the current word. */
static enum err read_in(struct parser *parser, struct node *left, struct node **ret_node)
{
    struct node *list = NULL;
    struct node *node = NULL;
    size_t offset = parser->token.offset;
    bool negated = !parser_at_word(parser, "IN");
    enum err err = ERR_NONE;
    if (parser_at_word(parser, "NOT"))
        err = parser_advance(parser);
    if (err == ERR_NONE && !parser_at_word(parser, "IN") && !parser_at_word(parser, "NIN"))
        err = parser_expected(parser, "IN");
    if (err == ERR_NONE)
        err = parser_advance(parser);
    if (err == ERR_NONE && !parser_at_mark(parser, "[") && !parser_at_mark(parser, "("))
        err = parser_expected(parser, "a list, as ['a', 'b']");
    if (err == ERR_NONE)
        err = read_list(parser, &list);
    if (err == ERR_NONE)
        err = join(parser, NODE_IN, OP_NONE, offset, left, list, &node);
    if (err != ERR_NONE)
        return err;
    node->negated = negated;
    *ret_node = node;
    return ERR_NONE;
}

static enum err read_comparison(struct parser *parser, struct node **ret_node)
{
    static const struct operator operators[] = {{"=", OP_EQ}, {"!=", OP_NE}, {"<>", OP_NE},
        {"<", OP_LT}, {"<=", OP_LE}, {">", OP_GT}, {">=", OP_GE}};
    struct node *left = NULL;
    struct node *right = NULL;
    enum err err = read_sum(parser, &left);
    if (err != ERR_NONE)
        return err;
    if (parser_at_word(parser, "IN") || parser_at_word(parser, "NIN") ||
        parser_at_word(parser, "NOT"))
        return read_in(parser, left, ret_node);
    enum node_op op = find_operator(parser, operators, COUNT_OF(operators));
    if (op == OP_NONE) {
        *ret_node = left;
        return ERR_NONE;
    }
    size_t offset = parser->token.offset;
    err = parser_advance(parser);
    if (err == ERR_NONE)
        err = read_sum(parser, &right);
    return err == ERR_NONE ? join(parser, NODE_COMPARE, op, offset, left, right, ret_node) : err;
}

/* ---- conditions ---------------------------------------------------------------------------- */

/* A path may be true; a number never is, and who writes one there meant something else. */
static enum err check_condition(const struct parser *parser, const struct node *node)
{
    bool fits = true;
    if (node->kind == NODE_CONST)
        fits = node->value.kind != VALUE_NUMBER && node->value.kind != VALUE_STRING;
    else if (node->kind == NODE_CALL)
        fits = node->function->gives == VALUE_BOOL;
    else if (node->kind == NODE_ARITHMETIC || node->kind == NODE_NEGATE || node->kind == NODE_LIST)
        fits = false;
    if (fits)
        return ERR_NONE;
    return lexer_fail(&parser->lexer, node->offset,
        "this is no condition: there must be a comparison, IN, or what is true or false");
}

static enum err read_not(struct parser *parser, struct node **ret_node)
{
    if (!parser_at_word(parser, "NOT"))
        return read_comparison(parser, ret_node);
    struct node *node = NULL;
    struct node *child = NULL;
    enum err err = new_node(parser, NODE_NOT, parser->token.offset, &node);
    if (err == ERR_NONE)
        err = deeper(parser);
    if (err == ERR_NONE)
        err = parser_advance(parser);
    if (err == ERR_NONE)
        err = read_not(parser, &child);
    parser->depth--;
    if (err == ERR_NONE)
        err = check_condition(parser, child);
    if (err != ERR_NONE)
        return err;
    node_append(node, child);
    *ret_node = node;
    return ERR_NONE;
}

/* One node for a whole chain, so that a long one is not deep. */
static enum err read_joined(struct parser *parser, const char *word, enum node_kind kind,
    read_operand *read, struct node **ret_node)
{
    struct node *node = NULL;
    struct node *child = NULL;
    enum err err = read(parser, &child);
    if (err != ERR_NONE || !parser_at_word(parser, word)) {
        if (err == ERR_NONE)
            *ret_node = child;
        return err;
    }
    err = new_node(parser, kind, parser->token.offset, &node);
    while (err == ERR_NONE) {
        err = check_condition(parser, child);
        if (err != ERR_NONE)
            return err;
        node_append(node, child);
        if (!parser_at_word(parser, word))
            break;
        err = parser_advance(parser);
        if (err == ERR_NONE)
            err = read(parser, &child);
    }
    if (err == ERR_NONE)
        *ret_node = node;
    return err;
}

static enum err read_and(struct parser *parser, struct node **ret_node)
{
    return read_joined(parser, "AND", NODE_AND, read_not, ret_node);
}

enum err parser_expression(struct parser *parser, struct node **ret_node)
{
    return read_joined(parser, "OR", NODE_OR, read_and, ret_node);
}

enum err parser_condition(struct parser *parser, struct node **ret_node)
{
    struct node *node = NULL;
    enum err err = parser_expression(parser, &node);
    if (err == ERR_NONE)
        err = check_condition(parser, node);
    if (err == ERR_NONE)
        *ret_node = node;
    return err;
}
