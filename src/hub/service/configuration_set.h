/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configurations of a hub as they are in force: read, and in the order in which their contents
 * are laid (the lowest priority first; of equal ones the one that was made first). Pure but for
 * reading the rows: what to do to a twin is found here, and done by configuration_engine.c.
 */
#ifndef GEMEL_CONFIGURATION_SET_H
#define GEMEL_CONFIGURATION_SET_H

#include "query.h"
#include "store.h"

enum { CONFIGURATION_ID_BYTES = 128 };

struct configuration_metric {
    struct span name;
    struct query *query;
    uint64_t count; /* of the sweep that runs */
};

struct configuration_item {
    struct span id;
    int64_t priority;
    int64_t created_us;
    struct query *condition;    /* NULL: no twin is a target */
    const struct json *content; /* paths and values (overlay.h) */
    struct configuration_metric *metrics;
    size_t metric_count;
};

struct configuration_set {
    struct arena arena; /* of all that follows */
    int64_t revision;
    struct configuration_item *items;
    size_t count;
    bool has_metrics;
};

/* Reads the rows of a hub. The caller frees the set. ERR_NOT_FOUND: there is no such hub. */
enum err configuration_set_read(struct store_txn *txn, int64_t hub_id,
    struct configuration_set **ret_set, struct why *why) MUST_USE;
void configuration_set_free(struct configuration_set *set); /* NULL is fine */

/* Reads a target condition: "*" all devices, "" nothing (NULL), "from devices.modules …", or what
 * stands behind WHERE. ERR_TARGET_CONDITION. The text is copied into the arena. */
enum err configuration_condition(
    struct arena *arena, struct span text, struct query **ret_query, struct why *why) MUST_USE;
/* The same where nothing is no condition; `what` names it in the sentence. ERR_ARGUMENT. */
enum err configuration_read_condition(struct arena *arena, struct span text, const char *what,
    struct query **ret_query, struct why *why) MUST_USE;
/* Reads the query of a metric, whose rows are counted. ERR_CONFIGURATION_METRIC. */
enum err configuration_metric_query(
    struct arena *arena, struct span text, struct query **ret_query, struct why *why) MUST_USE;

/* Whether a query takes a twin. ERR_MEMORY. */
enum err configuration_takes(const struct query *query, const struct identity *identity,
    const struct twin_doc *twin, struct arena *arena, bool *ret_takes) MUST_USE;

/* What is to become of a twin. */
struct configuration_verdict {
    bool changes;             /* something below is other than the twin has it */
    const struct json *patch; /* for twin_apply(); NULL: desired is as it is to be */
    struct span configurations;
    struct span targeted; /* the same with no content in force: where the patch is refused */
    struct span owned;
    struct span author; /* the name of the configuration that asks for the change most of all */
};

enum err configuration_judge(const struct configuration_set *set, struct arena *arena,
    const struct identity *identity, const struct twin_doc *twin,
    struct configuration_verdict *ret_verdict) MUST_USE;

#endif
