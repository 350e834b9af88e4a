/* SPDX-License-Identifier: Apache-2.0 */
/*
 *   query  = SELECT [TOP n | TOP (n)] (* | column {, column}) FROM collection
 *            [WHERE condition] [GROUP BY path {, path}]
 *   column = (path | value | COUNT() | SUM(x) | AVG(x) | MIN(x) | MAX(x)) [[AS] alias]
 */
#include "query_priv.h"

#include <stdio.h>

const struct query_limits query_limits_default = {.text_bytes = 8192, .depth = 32, .terms = 500};

/* ---- the select list ----------------------------------------------------------------------- */

static enum aggregate find_aggregate(const struct parser *parser)
{
    static const char *const names[] = {[AGGREGATE_COUNT] = "COUNT",
        [AGGREGATE_SUM] = "SUM",
        [AGGREGATE_AVG] = "AVG",
        [AGGREGATE_MIN] = "MIN",
        [AGGREGATE_MAX] = "MAX"};
    struct span rest = span_trim(span_from(parser->lexer.text, parser->lexer.at));
    for (unsigned i = AGGREGATE_COUNT; i <= AGGREGATE_MAX; i++)
        if (parser_at_word(parser, names[i]) && span_starts(rest, SPAN_LIT("(")))
            return (enum aggregate)i;
    return AGGREGATE_NONE;
}

/* The name of an aggregate is the current token. */
static enum err read_aggregate(struct parser *parser, struct column *column)
{
    enum err err = parser_advance(parser);
    if (err == ERR_NONE)
        err = parser_advance(parser); /* the bracket */
    bool all = column->aggregate == AGGREGATE_COUNT &&
               (parser_at_mark(parser, ")") || parser_at_mark(parser, "*"));
    if (err == ERR_NONE && all && parser_at_mark(parser, "*"))
        err = parser_advance(parser);
    else if (err == ERR_NONE && !all)
        err = parser_expression(parser, &column->value);
    return err == ERR_NONE ? parser_mark(parser, ")", ")") : err;
}

static enum err read_alias(struct parser *parser, struct column *column)
{
    bool as = parser_at_word(parser, "AS");
    enum err err = as ? parser_advance(parser) : ERR_NONE;
    if (err != ERR_NONE)
        return err;
    bool name = parser->token.kind == TOKEN_NAME && !parser_is_reserved(parser->token.source);
    if (!name && parser->token.kind != TOKEN_STRING)
        return as ? parser_expected(parser, "an alias") : ERR_NONE;
    column->key = name ? parser->token.source : parser->token.text;
    column->named = true;
    return parser_advance(parser);
}

/* What has no name of its own is called as in the languages of this family: $1, $2, … */
static enum err name_column(struct parser *parser, struct column *column, unsigned *unnamed)
{
    if (column->named)
        return ERR_NONE;
    if (column->aggregate == AGGREGATE_NONE && column->value->kind == NODE_PATH) {
        column->key = column->value->path.key;
        return ERR_NONE;
    }
    const char *name = arena_format(parser->arena, "$%u", ++*unnamed);
    column->key = span_of(name);
    return name == NULL ? ERR_MEMORY : ERR_NONE;
}

static enum err read_column(struct parser *parser, struct column *column, unsigned *unnamed)
{
    column->offset = parser->token.offset;
    column->aggregate = find_aggregate(parser);
    enum err err = column->aggregate == AGGREGATE_NONE ? parser_expression(parser, &column->value)
                                                       : read_aggregate(parser, column);
    if (err == ERR_NONE)
        err = read_alias(parser, column);
    return err == ERR_NONE ? name_column(parser, column, unnamed) : err;
}

static enum err read_top(struct parser *parser, struct query *query)
{
    if (!parser_at_word(parser, "TOP"))
        return ERR_NONE;
    enum err err = parser_advance(parser);
    bool bracket = parser_at_mark(parser, "(");
    if (err == ERR_NONE && bracket)
        err = parser_advance(parser);
    if (err == ERR_NONE && (parser->token.kind != TOKEN_NUMBER ||
                               !span_u64(parser->token.source, INT64_MAX, &query->top)))
        err = parser_expected(parser, "a whole number");
    if (err == ERR_NONE)
        err = parser_advance(parser);
    return err == ERR_NONE && bracket ? parser_mark(parser, ")", ")") : err;
}

enum err parser_columns(struct parser *parser, struct query *query)
{
    struct column **link = &query->columns;
    unsigned unnamed = 0;
    enum err err = read_top(parser, query);
    if (err == ERR_NONE && parser_at_mark(parser, "*")) {
        query->whole = true;
        return parser_advance(parser);
    }
    while (err == ERR_NONE) {
        if (query->column_count++ == QUERY_MAX_COLUMNS)
            return lexer_fail(&parser->lexer, parser->token.offset,
                "a query has at most %d columns", QUERY_MAX_COLUMNS);
        *link = arena_alloc(parser->arena, sizeof(**link));
        if (*link == NULL)
            return ERR_MEMORY;
        err = read_column(parser, *link, &unnamed);
        query->grouped |= (*link)->aggregate != AGGREGATE_NONE;
        link = &(*link)->next;
        if (err != ERR_NONE || !parser_at_mark(parser, ","))
            break;
        err = parser_advance(parser);
    }
    return err;
}

/* ---- FROM ---------------------------------------------------------------------------------- */

static enum err read_collection(struct parser *parser)
{
    static const char wanted[] = "devices, devices.modules or devices.jobs";
    if (!parser_at_word(parser, "devices"))
        return parser_expected(parser, wanted);
    enum err err = parser_advance(parser);
    parser->collection = QUERY_DEVICES;
    if (err != ERR_NONE || !parser_at_mark(parser, "."))
        return err;
    err = parser_advance(parser);
    if (err != ERR_NONE)
        return err;
    if (parser_at_word(parser, "modules"))
        parser->collection = QUERY_MODULES;
    else if (parser_at_word(parser, "jobs"))
        parser->collection = QUERY_JOBS;
    else
        return parser_expected(parser, wanted);
    return parser_advance(parser);
}

/* The select list speaks of the collection that stands behind it: it is looked for first. A FROM in
 * a string or in a name with brackets is skipped with the string and the name. */
static enum err find_collection(struct parser *parser)
{
    struct lexer saved = parser->lexer;
    struct token token = parser->token;
    enum err err = ERR_NONE;
    bool after_dot = false;
    while (err == ERR_NONE && parser->token.kind != TOKEN_END &&
           (after_dot || !parser_at_word(parser, "FROM"))) {
        struct span ignored;
        after_dot = parser_at_mark(parser, ".");
        if (parser_at_mark(parser, "[") && lexer_sees(&parser->lexer, '[')) {
            parser->lexer.at++;
            err = lexer_bracketed(&parser->lexer, parser->token.offset, &ignored);
        }
        if (err == ERR_NONE)
            err = parser_advance(parser);
    }
    /* What is wrong is said where it is read for good. */
    if (err == ERR_NONE && parser_at_word(parser, "FROM"))
        err = parser_advance(parser);
    if (err == ERR_NONE)
        err = read_collection(parser);
    parser->lexer = saved;
    parser->token = token;
    return err == ERR_MEMORY ? err : ERR_NONE;
}

/* ---- GROUP BY ------------------------------------------------------------------------------ */

static const struct column *find_alias(const struct query *query, const struct path *path)
{
    if (path->field != QUERY_UNKNOWN || path->count != 1)
        return NULL;
    for (const struct column *column = query->columns; column != NULL; column = column->next)
        if (column->named && span_eq(column->key, path->names[0]) && column->value != NULL &&
            column->aggregate == AGGREGATE_NONE && column->value->kind == NODE_PATH)
            return column;
    return NULL;
}

enum err parser_groups(struct parser *parser, struct query *query)
{
    struct node *groups = arena_alloc(parser->arena, sizeof(*groups));
    if (groups == NULL)
        return ERR_MEMORY;
    groups->kind = NODE_LIST;
    query->groups = groups;
    query->grouped = true;
    while (true) {
        struct node *path = NULL;
        enum err err = parser_path(parser, &path);
        if (err != ERR_NONE)
            return err;
        const struct column *alias = find_alias(query, &path->path);
        if (alias != NULL)
            path->path = alias->value->path;
        node_append(groups, path);
        if (!parser_at_mark(parser, ","))
            return ERR_NONE;
        err = parser_advance(parser);
        if (err != ERR_NONE)
            return err;
    }
}

/* ---- what the whole says ------------------------------------------------------------------- */

static enum err check_grouped_column(
    const struct parser *parser, const struct query *query, struct column *column)
{
    size_t at = 0;
    if (column->aggregate != AGGREGATE_NONE)
        return ERR_NONE;
    if (query->groups != NULL && column->value->kind == NODE_PATH)
        for (const struct node *group = query->groups->first; group != NULL; group = group->next) {
            if (path_equal(&group->path, &column->value->path)) {
                column->group = at;
                return ERR_NONE;
            }
            at++;
        }
    return lexer_fail(
        &parser->lexer, column->offset, "beside aggregates there may be only what GROUP BY names");
}

static enum err check_jobs(const struct parser *parser, const struct query *query)
{
    if (query->collection != QUERY_JOBS || (query->whole && !query->grouped))
        return ERR_NONE;
    return lexer_fail(&parser->lexer, query->columns == NULL ? 0 : query->columns->offset,
        "jobs can be asked for as SELECT * only, without GROUP BY");
}

static void note_uses(struct query *query, const struct node *node)
{
    if (node == NULL)
        return;
    if (node->kind == NODE_PATH)
        query->uses |= path_uses(&node->path);
    for (const struct node *child = node->first; child != NULL; child = child->next)
        note_uses(query, child);
}

enum err parser_check(struct parser *parser, struct query *query)
{
    enum err err = check_jobs(parser, query);
    if (err == ERR_NONE && query->whole && query->grouped)
        err = lexer_fail(&parser->lexer, query->groups->first->offset,
            "GROUP BY needs a select list of what it names and of aggregates, not *");
    for (struct column *c = query->columns; c != NULL && err == ERR_NONE; c = c->next) {
        note_uses(query, c->value);
        if (query->grouped)
            err = check_grouped_column(parser, query, c);
    }
    if (err != ERR_NONE)
        return err;
    if (!sieve_make(parser->arena, query))
        return ERR_MEMORY;
    note_uses(query, query->rest);
    note_uses(query, query->groups);
    if (query->whole)
        query->uses |= QUERY_USES_TWIN | QUERY_USES_METADATA | QUERY_USES_MESSAGES;
    return ERR_NONE;
}

/* ---- the query ----------------------------------------------------------------------------- */

static enum err read_word(struct parser *parser, const char *word)
{
    return parser_at_word(parser, word) ? parser_advance(parser) : parser_expected(parser, word);
}

static enum err read_end(struct parser *parser, const struct query *query)
{
    if (parser->token.kind == TOKEN_END)
        return ERR_NONE;
    if (parser_at_word(parser, "ORDER"))
        return lexer_fail(&parser->lexer, parser->token.offset,
            "ORDER BY is not offered: rows come in the order of their ids");
    return parser_expected(parser, query->groups != NULL  ? "a comma or the end"
                                   : query->where != NULL ? "AND, OR, GROUP BY or the end"
                                                          : "WHERE, GROUP BY or the end");
}

static enum err read_query(struct parser *parser, struct query *query)
{
    enum err err = parser_advance(parser);
    if (err == ERR_NONE)
        err = read_word(parser, "SELECT");
    if (err == ERR_NONE)
        err = find_collection(parser);
    if (err == ERR_NONE)
        err = parser_columns(parser, query);
    if (err == ERR_NONE)
        err = read_word(parser, "FROM");
    if (err == ERR_NONE)
        err = read_collection(parser);
    query->collection = parser->collection;
    if (err == ERR_NONE && parser_at_word(parser, "WHERE")) {
        err = parser_advance(parser);
        if (err == ERR_NONE)
            err = parser_condition(parser, &query->where);
    }
    if (err == ERR_NONE && parser_at_word(parser, "GROUP")) {
        err = parser_advance(parser);
        if (err == ERR_NONE)
            err = read_word(parser, "BY");
        if (err == ERR_NONE)
            err = parser_groups(parser, query);
    }
    return err == ERR_NONE ? read_end(parser, query) : err;
}

enum err query_parse(struct arena *arena, struct span text, const struct query_limits *limits,
    struct query **ret_query, struct why *why)
{
    struct parser parser = {
        .lexer = {.arena = arena, .text = text, .begin = limits->added, .why = why},
        .arena = arena,
        .limits = limits};
    if (text.len > limits->text_bytes)
        return fail(ERR_ARGUMENT, why,
            "the query has %zu bytes, at most %zu are allowed (limits.query_bytes)", text.len,
            limits->text_bytes);
    if (!span_is_utf8(text))
        return fail(ERR_ARGUMENT, why, "the query is not UTF-8");
    struct query *query = arena_alloc(arena, sizeof(*query));
    if (query == NULL)
        return ERR_MEMORY;
    query->top = UINT64_MAX;
    enum err err = read_query(&parser, query);
    if (err == ERR_NONE)
        err = parser_check(&parser, query);
    if (err == ERR_NONE)
        *ret_query = query;
    return err;
}

enum query_collection query_collection(const struct query *query)
{
    return query->collection;
}

bool query_is_whole(const struct query *query)
{
    return query->whole;
}

bool query_is_grouped(const struct query *query)
{
    return query->grouped;
}

bool query_is_counting(const struct query *query)
{
    if (!query->grouped || query->groups != NULL)
        return false;
    for (const struct column *column = query->columns; column != NULL; column = column->next)
        if (column->value != NULL)
            return false;
    return true;
}

unsigned query_uses(const struct query *query)
{
    return query->uses;
}

uint64_t query_top(const struct query *query)
{
    return query->top;
}

const struct query_sieve *query_sieve(const struct query *query)
{
    return query->sieve;
}

struct span query_job_id(const struct query *query)
{
    return query->job_id;
}

struct span query_job_device_id(const struct query *query)
{
    return query->job_device_id;
}

bool query_is_sieved(const struct query *query)
{
    return query->rest == NULL;
}

const struct query_sieve *query_facet(const struct query *query)
{
    return query->facet;
}
