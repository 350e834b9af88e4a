/* SPDX-License-Identifier: Apache-2.0 */
#include "gate.h"

#include <stdatomic.h>

#define SECOND_NS INT64_C(1000000000)

/* Every so-manieth, without chance: who asks k times gets one. */
static bool has_its_turn(struct collector_gate *gate)
{
    uint32_t keep_one_of = atomic_load_explicit(&gate->keep_one_of, memory_order_relaxed);
    if (keep_one_of <= 1)
        return true;
    return atomic_fetch_add_explicit(&gate->turn, 1, memory_order_relaxed) % keep_one_of == 0;
}

/* The bucket as the moment at which it is empty again: one number, so one compare-and-swap. */
static bool is_within_rate(struct collector_gate *gate, uint64_t occurrences)
{
    uint32_t per_second = atomic_load_explicit(&gate->per_second, memory_order_relaxed);
    if (per_second == 0)
        return true;
    int64_t now_ns = clock_mono_us(gate->clock) * 1000;
    if (occurrences > per_second)
        occurrences = per_second;
    int64_t room_ns = 1000 * atomic_load_explicit(&gate->at_once_us, memory_order_relaxed);
    if (room_ns < SECOND_NS)
        room_ns = SECOND_NS;
    int64_t cost_ns = (int64_t)occurrences * SECOND_NS / per_second;
    int64_t full = atomic_load_explicit(&gate->full_until_ns, memory_order_relaxed);
    for (;;) {
        int64_t from = full > now_ns ? full : now_ns;
        if (from + cost_ns - now_ns > room_ns)
            return false;
        if (atomic_compare_exchange_weak_explicit(&gate->full_until_ns, &full, from + cost_ns,
                memory_order_relaxed, memory_order_relaxed))
            return true;
    }
}

bool collector_admit(struct collector_gate *gate, uint64_t occurrences)
{
    if (gate == NULL || (has_its_turn(gate) && is_within_rate(gate, occurrences)))
        return true;
    atomic_fetch_add_explicit(&gate->refused, occurrences, memory_order_relaxed);
    return false;
}

uint32_t collector_slowness(const struct collector_gate *gate)
{
    uint32_t slowness =
        gate == NULL ? 1 : atomic_load_explicit(&gate->slowness, memory_order_relaxed);
    return slowness == 0 ? 1 : slowness;
}
