/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent may cost its device: it compares the use of processor and memory with its settings
 * (Agent_CpuPercent, Agent_MemoryBytes), averaged over Agent_BudgetSeconds, and says how far the
 * agent has to step back.
 *
 *   level   0 ----over----> 1 ----over----> 2 … BUDGET_LEVEL_MAX
 *             <--under x2--   <--under x2--      under: below four fifths of the bound
 *
 * Each step needs a whole average over the bound, each step back two below it in a row. What the
 * levels mean is the collectors' matter (collectors_set_level()). Looking costs two system calls,
 * at most every tenth of Agent_BudgetSeconds. One thread.
 */
#ifndef GEMEL_BUDGET_H
#define GEMEL_BUDGET_H

#include "clock.h"
#include "settings.h"

#define BUDGET_LEVEL_MAX 4u

/* What the agent uses now: of the processor since it began, and of memory. Negative: not known. */
struct budget_use {
    int64_t cpu_us;
    int64_t memory_bytes;
};

struct budget {
    const struct clock *clock;
    struct budget_use (*measure)(void *self);
    void *self;

    int64_t window_us;
    int64_t cpu_percent;  /* 0: no bound */
    int64_t memory_bytes; /* 0: no bound */

    unsigned level;
    unsigned calm;    /* averages below, in a row */
    bool memory_over; /* the last average was */
    char reason[160]; /* why the level is not 0: "uses …" */

    int64_t began_us; /* of the average that is being made */
    int64_t began_cpu_us;
    int64_t next_us;
    int64_t memory_sum;
    int64_t memory_count;
    uint64_t averages;         /* that were judged */
    int64_t last_cpu_permille; /* of the last average; -1: none yet */
    int64_t last_memory_bytes;
};

/* Begins at level 0; `measure` NULL: what the kernel says of this process. */
void budget_init(struct budget *ret_budget, const struct clock *clock,
    struct budget_use (*measure)(void *self), void *self);

/* Takes the bounds from settings; if they changed, a new average begins. */
void budget_set(struct budget *budget, const struct settings *settings);

/* Looks at what is used when that is due; returns when it is due again. */
int64_t budget_run(struct budget *budget);

#endif
