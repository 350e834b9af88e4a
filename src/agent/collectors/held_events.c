/* SPDX-License-Identifier: Apache-2.0 */
#include "held_events.h"

#include "log.h"

void held_events_init(
    struct held_events *ret_held, const struct collectors_options *options, size_t bytes_max)
{
    *ret_held = (struct held_events){.clock = options->clock, .gate = options->gate};
    event_cache_init(
        &ret_held->cache, bytes_max, (uint64_t)options->random() << 32 | options->random());
}

void held_events_done(struct held_events *held)
{
    event_cache_done(&held->cache);
}

enum err held_events_set_bound(struct held_events *held, size_t entries_max)
{
    return event_cache_set_bound(&held->cache, entries_max, &held->lost[LOSS_CACHE_BOUND]);
}

void held_events_add(struct held_events *held, struct span key, struct span value)
{
    if (collector_admit(held->gate, 1))
        held_events_keep(held, key, value);
}

void held_events_keep(struct held_events *held, struct span key, struct span value)
{
    held->seen++;
    enum err err = event_cache_add(
        &held->cache, clock_wall_us(held->clock), key, value, &held->lost[LOSS_CACHE_BOUND]);
    if (err != ERR_NONE)
        held->lost[err == ERR_TOO_LARGE ? LOSS_TOO_LARGE : LOSS_MEMORY]++;
}

uint64_t held_events_untold(struct held_events *held, enum loss loss)
{
    uint64_t count = held->lost[loss] - held->told[loss];
    held->told[loss] = held->lost[loss];
    return count;
}

static void tell_bound(struct held_events *held, const struct held_events_kind *kind)
{
    uint64_t count = held_events_untold(held, LOSS_CACHE_BOUND);
    if (count > 0)
        log_warn(kind->part,
            "%llu events gave way to newer ones; a larger %s than %zu would keep them",
            (unsigned long long)count, setting_row(kind->bound)->name, held->cache.entries_max);
}

enum err held_events_write(struct held_events *held, const struct held_events_kind *kind,
    void *self, struct collector_writer *writer, struct why *why)
{
    enum err ret = ERR_NONE;
    tell_bound(held, kind);
    struct event_entry *entry = event_cache_take(&held->cache);
    while (entry != NULL) {
        enum err err = collector_write(
            writer, entry->time_us, entry->hit_count, kind->payload(self, writer, entry));
        if (err == ERR_TOO_LARGE)
            collector_lose(writer, LOSS_TOO_LARGE, entry->hit_count);
        if (err != ERR_NONE)
            ret = fail(err, why, "%s could not be written: %s", kind->what, err_row(err)->text);
        struct event_entry *next = entry->next;
        mem_free(entry);
        entry = next;
    }
    return ret;
}

void held_events_count(const struct held_events *held, struct collector_counts *ret_counts)
{
    ret_counts->seen = held->seen;
    ret_counts->waiting = held->cache.hits;
    memcpy(ret_counts->lost, held->lost, sizeof(held->lost));
}
