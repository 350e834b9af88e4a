/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IoT Hub's query language over twins and jobs (docs/reference/query-language.md). Pure: a text is
 * read to a tree and checked; the tree says what a store can narrow (query_narrow) and judges, cuts
 * and counts documents that it is shown through a query_source. Which documents those are, in what
 * order, and where a page ends, is the caller's.
 *
 *   text --query_parse--> query --query_narrow--> what the store may leave out
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
};

extern const struct query_limits query_limits_default;

enum query_collection { QUERY_DEVICES, QUERY_MODULES, QUERY_JOBS };

/* What must be read of a document to answer: bits. */
enum { QUERY_USES_TWIN = 1, QUERY_USES_METADATA = 2 };

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
 * What a store may leave out unread: documents that do not fit every member. Where a condition is
 * said by these alone, query_matches() does not look at it again.
 */
struct query_narrow {
    const struct span *device_ids; /* one of these: bytewise order, none twice; NULL: any */
    size_t device_id_count;
    struct span device_from;  /* ids from this on; empty: any */
    struct span device_below; /* and below this; empty: any */
    struct span module_id;    /* empty: any */
    int connected;            /* 0, 1; -1: any */
    int enabled;
    int iot_edge;
    int latest_state;             /* 1 "success", 2 "failed"; -1: any */
    struct span tag;              /* names, with dots between them; empty: none */
    struct query_value tag_value; /* a boolean, number or string that the tag equals */
    struct span job_id;           /* devices.jobs: of this job; empty: any */
    struct span job_device_id;    /* likewise of this device, with its modules */
    bool all;                     /* it says the whole condition */
};

const struct query_narrow *query_narrow(const struct query *query);

/* Longer strings are in no index of tags, and narrow nothing. */
#define QUERY_TAG_BYTES 256

/* Judges a document that fits the narrowing; `arena` is for this document's texts. ERR_MEMORY. */
enum err query_matches(const struct query *query, const struct query_source *source,
    struct arena *arena, bool *ret_matches) MUST_USE;

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
