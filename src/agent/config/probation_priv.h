/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of proof of new settings, and of the old ones after they were taken back:
 *
 *   NONE --begin--> RUNNING --connected at its end--------------------------> NONE   passed
 *                      |----without a connection, and that not just now-----> NONE   failed
 *                      |    (the agent is then put back, and on trial:)
 *   NONE --try_old--> TRIAL --connected in time: the new ones were to blame-> NONE
 *                      |----still not connected: they were not--------------> NONE   acquitted
 *
 * A connection that was lost shortly before the end gets as much time to come back as a probation
 * takes, at most PROBATION_PATIENCE_US: a token that is renewed, or a hub that is started anew, is
 * no reason to take settings back. Pure: time comes in.
 */
#ifndef GEMEL_PROBATION_PRIV_H
#define GEMEL_PROBATION_PRIV_H

#include "base.h"

#define PROBATION_PATIENCE_US (120 * (int64_t)1000000)

enum probation_state { PROBATION_NONE, PROBATION_RUNNING, PROBATION_TRIAL };

enum probation_outcome {
    PROBATION_GOES_ON,
    PROBATION_PASSED,
    PROBATION_FAILED,
    PROBATION_ACQUITTED, /* what was taken back was not to blame */
    PROBATION_CONVICTED
};

struct probation {
    enum probation_state state;
    int64_t length_us;
    int64_t until_us;
    bool connected;
    int64_t lost_us; /* since when it is not */
};

void probation_begin(struct probation *probation, int64_t now_us, int64_t length_us);
void probation_try_old(struct probation *probation, int64_t now_us);
void probation_end(struct probation *probation);

void probation_connected(struct probation *probation);
void probation_lost(struct probation *probation, int64_t now_us);

/* Says what is decided by now; anything but PROBATION_GOES_ON also ends it. */
enum probation_outcome probation_judge(struct probation *probation, int64_t now_us) MUST_USE;

/* When to judge next; INT64_MAX while there is nothing to judge. */
int64_t probation_due(const struct probation *probation);

#endif
