/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduled jobs in the store: what is to be done to many devices, and what became of it on each.
 * (A struct store_job is something else: one transaction.)
 *
 *   scheduled_job 1 ---- n device_job      by job, device id, module id
 *
 * How many device jobs are in which state is counted by the store itself, in the transaction that
 * moves them. They go with their job, not with their device: they outlive it.
 */
#ifndef GEMEL_STORE_SCHEDULED_H
#define GEMEL_STORE_SCHEDULED_H

#include "store.h"

/* The numbers of all three stand in the database. */
enum scheduled_kind { SCHEDULED_UPDATE_TWIN, SCHEDULED_METHOD, SCHEDULED_KINDS };

enum scheduled_status {
    SCHEDULED_QUEUED,
    SCHEDULED_WAITING, /* for its time */
    SCHEDULED_RUNNING,
    SCHEDULED_COMPLETED,
    SCHEDULED_FAILED,
    SCHEDULED_CANCELLED,
    SCHEDULED_STATUSES
};

enum device_job_status {
    DEVICE_JOB_PENDING,
    DEVICE_JOB_RUNNING,
    DEVICE_JOB_COMPLETED,
    DEVICE_JOB_FAILED,
    DEVICE_JOB_CANCELLED,
    DEVICE_JOB_STATUSES
};

struct scheduled_job {
    int64_t id; /* given by the store: grows, never used twice */
    int64_t hub_id;
    struct span name; /* of the hub's jobs, exactly */
    enum scheduled_kind kind;
    enum scheduled_status status;
    bool open;   /* something is still to be done about it */
    bool listed; /* every device that it is for has its device job */
    int64_t created_us;
    int64_t start_us; /* not before */
    int64_t began_us; /* 0: not yet; likewise the end */
    int64_t end_us;
    int64_t seconds;   /* that it may take from when it began */
    struct span after; /* those up to here have a device job */
    struct span after_module;
    struct span message;  /* why it failed; empty: it did not */
    struct span document; /* JSON object text, the caller's */
    /* Only read. */
    uint64_t devices;
    uint64_t pending;
    uint64_t running;
    uint64_t succeeded;
    uint64_t failed;
};

/* Adds one; what is only read is 0 by then. ERR_CONFLICT: the hub has one of that name. */
enum err store_scheduled_put(
    struct store_txn *txn, const struct scheduled_job *job, int64_t *ret_id) MUST_USE;
enum err store_scheduled_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span name, struct scheduled_job *ret_job) MUST_USE; /* ERR_NOT_FOUND */
/* The same by its number, its document only if it is asked for. */
enum err store_scheduled_find(struct store_txn *txn, struct arena *arena, int64_t id,
    bool with_document, struct scheduled_job *ret_job) MUST_USE;
/* Writes status, open, listed, began_us, end_us, after, after_module and message of one. */
enum err store_scheduled_update(
    struct store_txn *txn, const struct scheduled_job *job) MUST_USE; /* ERR_NOT_FOUND */

typedef enum err scheduled_visitor(void *self, const struct scheduled_job *job);

struct scheduled_range {
    int kind;       /* -1: any */
    int status;     /* likewise */
    int64_t before; /* only jobs of lower numbers; INT64_MAX: from the newest */
    size_t limit;
};

/* Walks from the newest to the oldest. */
enum err store_scheduled_list(struct store_txn *txn, int64_t hub_id,
    const struct scheduled_range *range, scheduled_visitor *visit, void *self) MUST_USE;
/* Those of all hubs that are open, oldest first, without their documents. */
enum err store_scheduled_open(struct store_txn *txn, scheduled_visitor *visit, void *self) MUST_USE;

struct scheduled_totals {
    uint64_t jobs;
    uint64_t open;
    uint64_t devices; /* device jobs of them all */
};

enum err store_scheduled_count(
    struct store_txn *txn, int64_t hub_id, struct scheduled_totals *ret_totals) MUST_USE;

struct scheduled_keep {
    int64_t since_us; /* jobs that ended since then */
    uint64_t jobs;    /* this many at most */
    uint64_t devices; /* with this many device jobs, at most */
};

/* Drops, of the oldest jobs that ended, what is more than is kept: at most `limit` device jobs, of
 * one job. `*ret_dropped` 0: nothing is left to drop. */
enum err store_scheduled_prune(struct store_txn *txn, int64_t hub_id,
    const struct scheduled_keep *keep, size_t limit, size_t *ret_dropped) MUST_USE;

struct device_job {
    int64_t job_id;
    struct span device_id;
    struct span module_id;
    enum device_job_status status;
    int64_t created_us;
    int64_t start_us; /* 0: not yet; likewise the end */
    int64_t end_us;
    struct span outcome; /* JSON object text; empty: none */
    struct span error;   /* likewise */
    /* Only read. */
    struct span job_name;
    enum scheduled_kind kind;
};

/* Adds one that is pending. */
enum err store_device_job_add(struct store_txn *txn, int64_t hub_id, int64_t job_id,
    struct span device_id, struct span module_id, int64_t now_us) MUST_USE;
/* The first of a job with a status, by device and module: without outcome and error. */
enum err store_device_job_list(struct store_txn *txn, struct arena *arena, int64_t job_id,
    enum device_job_status status, size_t limit, struct device_job **ret_jobs,
    size_t *ret_count) MUST_USE;
/* Writes status, times, outcome and error of one that has the status `from`; ERR_NOT_FOUND: it has
 * not, or is not there. */
enum err store_device_job_move(
    struct store_txn *txn, const struct device_job *job, enum device_job_status from) MUST_USE;
/* The same of at most `limit` of a job, all alike: to->status, end_us and error. */
enum err store_device_job_move_all(struct store_txn *txn, const struct device_job *to,
    enum device_job_status from, size_t limit, size_t *ret_moved) MUST_USE;

struct device_job_range {
    struct span job_name;  /* empty: any */
    struct span device_id; /* likewise */
    int64_t after_job;     /* only what stands behind this place; 0: from the first */
    struct span after;
    struct span after_module;
};

typedef enum err device_job_visitor(void *self, const struct device_job *job);

/* Walks in the order of jobs, device ids, module ids; what the visitor is given lives for the call,
 * and its error ends the walk and is returned. */
enum err store_device_job_scan(struct store_txn *txn, int64_t hub_id,
    const struct device_job_range *range, device_job_visitor *visit, void *self) MUST_USE;

#endif
