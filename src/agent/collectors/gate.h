/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether an event is still within the agent's budget: one question before it is kept, cheap enough
 * for every event, and from any thread.
 *
 *     if (!collector_admit(self->gate, 1))
 *         return;                        it is counted already, as seen and as LOSS_BUDGET
 *
 * Two things can close the gate: the rate (Agent_EventsPerSecond, with a second's worth at once, or
 * what a collector that looks less often finds),
 * and the level of the budget, at which only every so-manieth event is kept. A collector takes its
 * gate from the options of its new().
 */
#ifndef GEMEL_GATE_H
#define GEMEL_GATE_H

#include "clock.h"

struct collector_gate {
    const struct clock *clock;
    _Atomic uint32_t keep_one_of;  /* 0 and 1: all */
    _Atomic uint32_t per_second;   /* 0: no bound */
    _Atomic uint32_t slowness;     /* times longer between two looks; 0 and 1: as set */
    _Atomic uint64_t turn;         /* events asked for while sampling */
    _Atomic int64_t at_once_us;    /* what the rate allows in it, comes at once; less: a second */
    _Atomic int64_t full_until_ns; /* when the rate has room for the next, less that time */
    _Atomic uint64_t refused;      /* occurrences */
};

/* Whether to keep an event that stands for so many occurrences; false: it is counted already. NULL
 * admits everything. */
bool collector_admit(struct collector_gate *gate, uint64_t occurrences) MUST_USE;

/* How many times longer than set a collector that polls waits between two looks. */
uint32_t collector_slowness(const struct collector_gate *gate) MUST_USE;

#endif
