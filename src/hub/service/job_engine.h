/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside of the engine that does what scheduled jobs ask for. The store has everything that must
 * survive; what is here can be made again from it.
 *
 *   QUEUED ----> WAITING ----> RUNNING ----> COMPLETED | FAILED
 *     |  (startTime ahead)       |  (by steps, see below)
 *     +------------> RUNNING     +---------> CANCELLED      (as the two before, by who asked)
 *
 * The look (a write) moves the first two on and finds what a server before left running. Each job
 * that runs then has one chain of store jobs, of which each is bounded:
 *
 *   step (a write) -> device jobs for the next page of its condition --+
 *     |    ^  ^                                                        |
 *     |    |  +---- page (a read: a slice of the scan) <---------------+  until all are listed
 *     |    +------- twins: some pending device jobs, each twin in the transaction of its device job
 *     +-----------> methods: some device jobs become running, then they are invoked; the outcome of
 *                   each is a write of its own
 *
 * A twin is therefore changed once. A method is sent once at most: what a server that was killed
 * had in flight is said to be unknown. A chain rests when the rate of its hub is used up, or while
 * only devices are waited for.
 */
#ifndef GEMEL_JOB_ENGINE_H
#define GEMEL_JOB_ENGINE_H

#include "ids.h"
#include "job_document.h"

enum {
    JOB_PAGE = 256,   /* devices listed in one step */
    JOB_TWINS = 32,   /* twins changed in one */
    JOB_CALLS = 64,   /* methods begun in one */
    JOB_SWEEP = 1000, /* device jobs ended at once */
};

/* What all jobs of a hub share. */
struct job_hub {
    struct job_hub *next;
    int64_t hub_id;
    int64_t tokens_us; /* devices that may be begun with, each second / rate; filled as time goes */
    int64_t filled_us;
    int64_t prune_us; /* mono time at which it is looked next for what is old */
};

enum step_next {
    STEP_REST,  /* until something happens */
    STEP_AGAIN, /* there is more to do */
    STEP_PAGE,  /* more devices must be found first */
    STEP_OVER,  /* nothing is left to be done about this job */
};

struct job_match {
    struct job_match *next;
    struct span device_id;
    struct span module_id;
};

struct job_call;

struct job_run {
    struct job_run *next;
    struct job_engine *engine;
    struct job_hub *hub;
    int64_t id;
    /* of the engine's lock */
    bool busy;        /* its chain is under way */
    bool wanted;      /* something happened: there may be work */
    bool starving;    /* it has work and no tokens */
    size_t calls;     /* methods that are under way */
    int64_t until_us; /* wall time at which it has run too long; INT64_MAX: not known */
    int64_t rest_us;  /* mono time before which it is not tried again */
    /* of the chain */
    struct store_job job;
    bool recovered;     /* nothing of a server before is left running */
    struct arena arena; /* of the plan, which is read once */
    bool planned;
    enum scheduled_kind kind;
    struct job_plan plan;
    struct span name;
    /* of one step, and the page before it */
    struct arena step_arena;
    size_t allowed; /* devices that may be begun with */
    size_t used;
    enum step_next then;
    bool recovered_now;
    bool starving_now;
    int64_t deadline_us;
    enum scheduled_status ended; /* in this step; SCHEDULED_RUNNING: it did not */
    size_t completed;
    size_t failed;
    struct effect *effects;
    struct job_call *calls_new; /* methods to be invoked after the commit */
    struct arena page_arena;
    bool paged;
    struct job_match *matches;
    struct job_match *last_match;
    size_t match_count;
    char from[ID_MAX_BYTES + 1]; /* where the page begins; and where it ended */
    char from_module[ID_MAX_BYTES + 1];
    char after[ID_MAX_BYTES + 1];
    char after_module[ID_MAX_BYTES + 1];
    bool page_ended; /* nothing is left behind it */
    unsigned looks;
    int64_t slice_us;
};

struct job_engine {
    struct service *service;
    pthread_mutex_t lock; /* of what follows */
    struct job_run *runs;
    struct job_hub *hubs;
    struct job_call *unsaved; /* outcomes that the store did not take */
    bool begun;               /* the first tick was */
    bool looking;
    bool wanted;     /* a look */
    int64_t due_us;  /* wall time of the next job's beginning */
    int64_t rest_us; /* mono time before which no look is tried again */
    bool pruning;
};

/* job_steps.c: the transaction of a step, and what comes after its commit. */
enum err job_step_run(struct store_job *job, struct store_txn *txn) MUST_USE;
void job_step_tell(struct job_run *run);
/* The transaction of a page. */
enum err job_page_run(struct store_job *job, struct store_txn *txn) MUST_USE;

/* job_methods.c. A call holds the device job whose method it is; NULL: no memory. */
struct job_call *job_call_new(struct job_run *run, const struct device_job *device) MUST_USE;
/* Puts one before others. */
struct job_call *job_call_before(struct job_call *call, struct job_call *next);
void job_calls_free(struct job_call *calls);
/* Takes the calls and invokes their methods. Without the lock. */
void job_methods_begin(struct job_run *run, struct job_call *calls);
/* Tries again to store outcomes. */
void job_methods_save_again(struct job_engine *engine);

/* A method of the run is over, and stored: without the lock. */
void job_call_ended(struct job_run *run);

#endif
