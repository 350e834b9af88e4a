/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the query language.
 *
 *   lexer.c    text -> tokens, each with its place
 *   parser.c   tokens -> tree; columns.c: the select list, and what fits together
 *   paths.c    the words of a path -> field and the names below it
 *   sieve.c    the condition -> what a store's indexes find, and the rest
 *   eval.c     tree and document -> value; functions.c: calls
 *   groups.c   documents -> groups -> rows
 */
#ifndef GEMEL_QUERY_PRIV_H
#define GEMEL_QUERY_PRIV_H

#include "query.h"

/* ---- tokens -------------------------------------------------------------------------------- */

enum token_kind {
    TOKEN_END,
    TOKEN_NAME,
    TOKEN_STRING,
    TOKEN_NUMBER,
    TOKEN_MARK, /* an operator or a bracket */
};

struct token {
    enum token_kind kind;
    size_t offset;
    struct span source; /* as it stands in the text */
    struct span text;   /* of a string, decoded */
    double number;
};

struct lexer {
    struct arena *arena;
    struct span text;
    size_t begin; /* from where places are told */
    size_t at;    /* behind the current token */
    struct why *why;
};

/* Says "line L, column C: …" and returns ERR_ARGUMENT. */
enum err lexer_fail(const struct lexer *lexer, size_t offset, const char *format, ...)
    PRINTF_LIKE(3, 4);

#ifdef __clang_analyzer__
/* It sees one file at a time: it must know that this is never ERR_NONE. */
#define lexer_fail(lexer, offset, ...) fail(ERR_ARGUMENT, (lexer)->why, __VA_ARGS__)
#endif

enum err lexer_next(struct lexer *lexer, struct token *ret_token) MUST_USE;

/* Whether the text goes on with this, with nothing between. */
bool lexer_sees(const struct lexer *lexer, char c);

/* Reads a name up to "]]", from behind its "[[". */
enum err lexer_bracketed(struct lexer *lexer, size_t offset, struct span *ret_name) MUST_USE;

/* ---- the tree ------------------------------------------------------------------------------ */

enum node_kind {
    NODE_CONST,
    NODE_LIST, /* constants in brackets */
    NODE_PATH,
    NODE_NEGATE,
    NODE_NOT,
    NODE_AND, /* of any number of children */
    NODE_OR,
    NODE_COMPARE,
    NODE_ARITHMETIC,
    NODE_IN, /* value, then list */
    NODE_CALL,
};

enum node_op {
    OP_NONE,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD
};

struct eval;
struct node;

typedef void call_fn(struct eval *eval, const struct query_value *arguments, size_t count,
    struct query_value *ret_value);

struct function {
    const char *name;
    const char *other;
    unsigned fewest;
    unsigned most;
    enum value_kind gives;
    call_fn *call;
};

#define FUNCTION_MAX_ARGUMENTS 32

const struct function *function_find(struct span name); /* NULL: there is none */

#define FUNCTION(name, other, fewest, most, gives, call) call_fn call;
#include "functions.def"
#undef FUNCTION

struct path {
    enum query_field field;
    const struct span *names; /* below the field */
    size_t count;
    struct span key; /* what a column of it is called */
};

struct node {
    enum node_kind kind;
    enum node_op op;
    bool negated; /* NODE_IN: NIN */
    size_t offset;
    struct query_value value; /* NODE_CONST; NODE_LIST: its JSON text */
    struct path path;
    const struct function *function;
    struct node *first; /* children */
    struct node *last;
    struct node *next;
    unsigned count;
};

void node_append(struct node *parent, struct node *child);

/* Whether two trees say the same path. */
bool path_equal(const struct path *a, const struct path *b);

/* Finds what the words of a path mean. False: no memory. */
bool path_resolve(struct arena *arena, enum query_collection collection, struct span *words,
    size_t count, struct path *ret_path) MUST_USE;

/* What must be read for it: bits of QUERY_USES. */
unsigned path_uses(const struct path *path);

/* ---- the query ----------------------------------------------------------------------------- */

enum aggregate {
    AGGREGATE_NONE,
    AGGREGATE_COUNT,
    AGGREGATE_SUM,
    AGGREGATE_AVG,
    AGGREGATE_MIN,
    AGGREGATE_MAX
};

struct column {
    struct column *next;
    enum aggregate aggregate;
    struct node *value; /* NULL: COUNT() */
    struct span key;
    bool named; /* by an alias */
    size_t offset;
    size_t group; /* of a grouped query: which attribute of GROUP BY it is */
};

#define QUERY_MAX_COLUMNS 100

struct query {
    enum query_collection collection;
    bool whole;
    bool grouped;
    uint64_t top;
    struct column *columns;
    size_t column_count;
    struct node *where;  /* the condition; NULL: none */
    struct node *rest;   /* what of it the sieve does not say; NULL: nothing */
    struct node *groups; /* a NODE_LIST of paths; NULL: none */
    struct query_sieve *sieve;
    struct query_sieve *facet;
    struct span job_id;
    struct span job_device_id;
    unsigned uses;
};

/* ---- reading ------------------------------------------------------------------------------- */

struct parser {
    struct lexer lexer;
    struct arena *arena;
    const struct query_limits *limits;
    struct token token; /* the current one */
    enum query_collection collection;
    unsigned depth;
    unsigned terms;
};

enum err parser_advance(struct parser *parser) MUST_USE;
bool parser_at_word(const struct parser *parser, const char *word);
bool parser_at_mark(const struct parser *parser, const char *mark);
/* What is expected instead of the current token; ERR_ARGUMENT. */
enum err parser_expected(const struct parser *parser, const char *what);
enum err parser_mark(struct parser *parser, const char *mark, const char *what) MUST_USE;
/* A word that has a meaning of its own and so begins no path, and is no alias. */
bool parser_is_reserved(struct span word);

enum err parser_condition(struct parser *parser, struct node **ret_node) MUST_USE;
enum err parser_expression(struct parser *parser, struct node **ret_node) MUST_USE;
enum err parser_path(struct parser *parser, struct node **ret_node) MUST_USE;

/* columns.c */
enum err parser_columns(struct parser *parser, struct query *query) MUST_USE;
enum err parser_groups(struct parser *parser, struct query *query) MUST_USE;
/* Judges what only the whole says. */
enum err parser_check(struct parser *parser, struct query *query) MUST_USE;

/* Finds what a store's indexes can do of the condition, and of GROUP BY. False: no memory. */
bool sieve_make(struct arena *arena, struct query *query) MUST_USE;

/* ---- evaluating ---------------------------------------------------------------------------- */

struct eval {
    const struct query_source *source;
    struct arena *arena;
    bool failed; /* no memory */
};

void eval_node(struct eval *eval, const struct node *node, struct query_value *ret_value);

#endif
