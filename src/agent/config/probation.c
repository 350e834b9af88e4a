/* SPDX-License-Identifier: Apache-2.0 */
#include "probation_priv.h"

void probation_begin(struct probation *probation, int64_t now_us, int64_t length_us)
{
    probation->state = PROBATION_RUNNING;
    probation->length_us = length_us;
    probation->until_us = now_us + length_us;
    if (!probation->connected)
        probation->lost_us = now_us;
}

void probation_try_old(struct probation *probation, int64_t now_us)
{
    probation->state = PROBATION_TRIAL;
    probation->until_us = now_us + probation->length_us;
}

void probation_end(struct probation *probation)
{
    probation->state = PROBATION_NONE;
}

void probation_connected(struct probation *probation)
{
    probation->connected = true;
}

void probation_lost(struct probation *probation, int64_t now_us)
{
    probation->connected = false;
    probation->lost_us = now_us;
}

/* Until when a probation without a connection goes on. */
static int64_t end_without(const struct probation *probation)
{
    int64_t patience_us =
        probation->length_us < PROBATION_PATIENCE_US ? probation->length_us : PROBATION_PATIENCE_US;
    int64_t patient_us = probation->lost_us + patience_us;
    return patient_us > probation->until_us ? patient_us : probation->until_us;
}

int64_t probation_due(const struct probation *probation)
{
    if (probation->state == PROBATION_NONE)
        return INT64_MAX;
    if (probation->state == PROBATION_TRIAL)
        return probation->connected ? 0 : probation->until_us;
    return probation->connected ? probation->until_us : end_without(probation);
}

enum probation_outcome probation_judge(struct probation *probation, int64_t now_us)
{
    if (now_us < probation_due(probation))
        return PROBATION_GOES_ON;
    bool running = probation->state == PROBATION_RUNNING;
    probation_end(probation);
    if (running)
        return probation->connected ? PROBATION_PASSED : PROBATION_FAILED;
    return probation->connected ? PROBATION_CONVICTED : PROBATION_ACQUITTED;
}
