/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IoT Hub's query language over twins and jobs (docs/reference/query-language.md). Pure: a text is
 * read to a tree and checked; the tree says what a store's indexes find (query_sieve) and judges,
 * cuts and counts documents that it is shown through a query_source. Which documents those are, in
 * what order, and where a page ends, is the caller's.
 *
 *   text --query_parse--> query --query_sieve--> what the store's indexes find
 *                           |
 *   document (source) ------+--query_matches--> yes | no
 *                           +--query_write_row--> {"deviceId":…}          rows
 *                           +--query_groups_add … query_groups_write      aggregates
 *
 * Conditions know three truths: what compares nothing is undefined, NOT of it too, and a document
 * is taken only by true. A query and all it refers to live in the arena that it was given.
 */
#ifndef GEMEL_QUERY_H
#define GEMEL_QUERY_H

#include "query_value.h"

struct query_limits {
    size_t text_bytes; /* 8192 */
    unsigned depth;    /* of parentheses, calls and NOT: 32 */
    unsigned terms;    /* paths, constants outside lists, operators and calls: 500 */
    size_t added;      /* bytes that the asker did not write: places are told from behind them */
};

extern const struct query_limits query_limits_default;

enum query_collection { QUERY_DEVICES, QUERY_MODULES, QUERY_JOBS };

/* What must be read of a document to answer: bits. */
enum { QUERY_USES_TWIN = 1, QUERY_USES_METADATA = 2, QUERY_USES_MESSAGES = 4 };

/* What a source is asked for. */
enum query_field {
#define FIELD(id, path, uses) QUERY_##id,
#define ALIAS(id, path, uses)
#include "fields.def"
#undef FIELD
#undef ALIAS
    QUERY_DESIRED_WHOLE, /* with $metadata and $version */
    QUERY_REPORTED_WHOLE,
    QUERY_JOB, /* a job's whole document */
    QUERY_FIELD_COUNT,
    QUERY_UNKNOWN = QUERY_FIELD_COUNT /* no document has it; no source is asked for it */
};

/* One document. */
struct query_source {
    /* Gives a field: containers as JSON text, undefined where the document has none. What it gives
     * lives as long as the document or in the arena. False: no memory. */
    bool (*field)(const struct query_source *self, enum query_field field, struct arena *arena,
        struct query_value *ret_value);
};

struct query;

/*
 * Reads a query. ERR_ARGUMENT with "line L, column C: …", what is wrong there and what may stand
 * there; ERR_MEMORY. The text must live as long as the query.
 */
enum err query_parse(struct arena *arena, struct span text, const struct query_limits *limits,
    struct query **ret_query, struct why *why) MUST_USE;

enum query_collection query_collection(const struct query *query);
bool query_is_whole(const struct query *query);    /* SELECT *: the documents themselves */
bool query_is_grouped(const struct query *query);  /* aggregates, or GROUP BY */
bool query_is_counting(const struct query *query); /* COUNT() of all, and nothing else */
unsigned query_uses(const struct query *query);

/* The most rows that TOP allows; UINT64_MAX: any. */
uint64_t query_top(const struct query *query);

/*
 * What of a condition a store finds by its indexes: a tree. Every document that the condition takes
 * passes the sieve; whether one that passes is taken says query_matches().
 */
enum query_sieve_kind {
    QUERY_SIEVE_ALL,       /* passes every part */
    QUERY_SIEVE_ANY,       /* passes one; without parts: nothing does */
    QUERY_SIEVE_DEVICES,   /* `ids`: bytewise order, none twice */
    QUERY_SIEVE_RANGE,     /* device ids from `name` on (empty: the first) and below `below` (empty:
                              any) */
    QUERY_SIEVE_MODULE,    /* `name` */
    QUERY_SIEVE_CONNECTED, /* `flag`: 0, 1 */
    QUERY_SIEVE_ENABLED,
    QUERY_SIEVE_EDGE,
    QUERY_SIEVE_STATE,        /* `flag`: of enum query_state */
    QUERY_SIEVE_TAG,          /* `name` with dots between the names; equals `value` */
    QUERY_SIEVE_TAGGED,       /* has the tag `name` */
    QUERY_SIEVE_CONFIGURATION /* `name`; `flag`: 0 "Targeted", 1 "Applied" */
};

/* Of a module's properties.reported.latest_state. */
enum query_state { QUERY_STATE_NONE, QUERY_STATE_SUCCESS, QUERY_STATE_FAILED, QUERY_STATE_OTHER };

struct query_sieve {
    enum query_sieve_kind kind;
    const struct query_sieve *first; /* parts */
    const struct query_sieve *next;
    const struct span *ids;
    size_t count; /* of ids, or of parts */
    struct span name;
    struct span below;
    int flag;
    struct query_value value; /* a boolean, number or string */
};

/* NULL: the whole collection. */
const struct query_sieve *query_sieve(const struct query *query);
/* Of devices.jobs: the one job, and the one device, that are asked for; empty: any. */
struct span query_job_id(const struct query *query);
struct span query_job_device_id(const struct query *query);

/* What passes the sieve, or is of that job and device, is taken, unseen. */
bool query_is_sieved(const struct query *query);

/*
 * Of a query that only counts groups of what an index knows: what they are groups of, a flag, the
 * names of modules (SIEVE_MODULE) or a tag. NULL: of no other query. Its sieve is NULL or one name
 * of a module.
 */
const struct query_sieve *query_facet(const struct query *query);

/* Longer strings are in no index of tags, and narrow nothing. */
#define QUERY_TAG_BYTES 256

/* Judges a document that passed the sieve; `arena` is for this document's texts. ERR_MEMORY. */
enum err query_matches(const struct query *query, const struct query_source *source,
    struct arena *arena, bool *ret_matches) MUST_USE;

/* Judges any document of the collection. */
enum err query_takes(const struct query *query, const struct query_source *source,
    struct arena *arena, bool *ret_takes) MUST_USE;

/* Writes the row of a document, an object: for queries that are neither whole nor grouped. */
enum err query_write_row(const struct query *query, const struct query_source *source,
    struct arena *arena, struct buf *out) MUST_USE;

/* ---- groups ---------------------------------------------------------------------------------- */

struct query_groups;

/* Makes an empty set of groups, at most `limit`, in the arena; NULL without memory. */
struct query_groups *query_groups_new(
    const struct query *query, struct arena *arena, size_t limit) MUST_USE;

/* Adds a document to its group. ERR_ARGUMENT: there are more groups than the limit. */
enum err query_groups_add(struct query_groups *groups, const struct query_source *source,
    struct arena *arena, struct why *why) MUST_USE;

/* Counts documents unseen: for query_is_counting(). */
enum err query_groups_count(struct query_groups *groups, uint64_t documents) MUST_USE;

/* Counts documents of one value: for query_facet(). ERR_ARGUMENT: as in query_groups_add(). */
enum err query_groups_count_of(struct query_groups *groups, const struct query_value *value,
    uint64_t documents, struct why *why) MUST_USE;

/* A place among the groups, which stand in the order of their keys: behind the first `skip` of
 * those that begin with `prefix`. Both 0 at the start. */
struct query_place {
    struct span prefix;
    uint64_t skip;
};

#define QUERY_PREFIX_BYTES 1024

/*
 * Writes at most `count` rows from a place on, with commas between them, and ends early behind
 * `max_bytes`. `*ret_place` is where the next page begins; `*ret_more`: whether there is one.
 */
enum err query_groups_write(struct query_groups *groups, const struct query_place *place,
    uint64_t count, size_t max_bytes, struct buf *out, uint64_t *ret_written,
    struct query_place *ret_place, bool *ret_more) MUST_USE;

#endif
