/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the configuration share: config.c talks with the hub, force.c judges documents,
 * puts them in force and takes them back.
 */
#ifndef GEMEL_CONFIG_PRIV_H
#define GEMEL_CONFIG_PRIV_H

#include "cache_priv.h"
#include "config.h"
#include "probation_priv.h"
#include "verdict.h"

#define PART "config"
#define CONF_MAX_BYTES (1u << 20)
#define DOCUMENT_MAX_BYTES ((size_t)8 << 20) /* memory of one document that the hub sent */
#define DEPTH_MAX 32

#define SECOND_US ((int64_t)1000000)
#define PAUSE_APPLY_US (10 * SECOND_US)

/* An agent that ends so often without being told to, while settings are on probation, goes back to
 * those before. */
#define STARTS_MAX 5

enum twin_state { TWIN_OFFLINE, TWIN_READING, TWIN_PAUSING, TWIN_IN_STEP, TWIN_STATE_COUNT };

/* A document and the memory it lives in. */
struct document {
    struct arena arena;
    struct json *root; /* NULL: not known */
};

struct config {
    struct config_options options;
    struct cache cache;

    enum twin_state state;
    int64_t due_us;  /* READING: when to give up; PAUSING: when to go on */
    unsigned pauses; /* in a row */
    unsigned older_reads;
    uint32_t last_request;
    uint32_t read_request; /* 0: none under way */
    uint32_t report_request;
    int64_t report_due_us;

    struct document desired;     /* with $version; always one version as a whole */
    int64_t version;             /* its $version; 0: not known */
    int64_t seen_version;        /* the newest heard of */
    struct document reported;    /* what the hub has */
    struct document report_sent; /* the patch under way */

    struct settings base; /* conf.json over the defaults */
    struct settings in_force;
    struct settings good; /* while there is a probation: what it falls back to */
    struct probation probation;
    int64_t in_force_version; /* 0: of no desired document */
    bool applied;
    bool judging_due;
    int64_t judge_at_us;
    bool judged; /* the verdict is about `desired` */
    bool told; /* `reported` was compared with settings and verdict, and all of them are as then */
    struct verdict verdict;
};

/* Judges `desired` and puts it in force if it is good; `verdict` says so. ERR_NONE: there is a
 * verdict, either way. Else there is none yet, and it is worth trying again. */
enum err force_judge(struct config *config) MUST_USE;

/* Ends a probation that is due to end, one way or the other. */
void force_run(struct config *config);

/* Takes back what is on probation; the sentence says why. */
void force_take_back(struct config *config, const char *reason);

void force_log_verdict(const char *what, const struct verdict *verdict);

#endif
