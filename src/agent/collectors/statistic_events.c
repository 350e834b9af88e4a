/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Says how the collectors fared since the last time: one event a collector, with what it sent and
 * what was lost, by reason. "sent" counts what was handed to the outbox before this moment, so that
 * what shares a message with the statistics, and the statistics themselves, are told of the next
 * time. What the outbox lost of it later is told then. What was told is kept with the ledger: added
 * up over all events, of all runs of the agent, the numbers are those of the status.
 */
#include "collector.h"

#include <stdio.h>

#define COLLECTORS_MAX 32u

struct statistics {
    size_t room; /* entries of one collection: StatisticEvents_CacheSize */
};

/* What is being written of one collector. */
struct report {
    struct arena *arena;
    struct json *events;
    size_t entries;
    size_t left_out; /* there was no room */
    bool failed;
};

static void add_entry(struct report *report, size_t *room, const char *description, uint64_t hits)
{
    if (*room == 0) {
        report->left_out++;
        return;
    }
    (*room)--;
    report->entries++;
    struct json *entry = json_new(report->arena, JSON_OBJECT);
    if (entry == NULL ||
        !json_set_text(report->arena, entry, "description", span_of(description)) ||
        !json_set_int(report->arena, entry, "hit_count", (int64_t)hits) ||
        !json_append(report->events, entry))
        report->failed = true;
}

/* How much a total grew since it was told. */
static uint64_t more(uint64_t total, uint64_t *told)
{
    uint64_t difference = total > *told ? total - *told : 0;
    *told = total;
    return difference;
}

static void report_differences(struct report *report, size_t *room, struct ledger_told *told,
    const struct collector_counts *counts)
{
    add_entry(report, room, "sent", more(counts->accepted, &told->sent));
    for (size_t i = 0; i < LOSS_COUNT; i++) {
        char description[64];
        uint64_t lost = more(counts->lost[i], &told->lost[i]);
        if (lost == 0)
            continue;
        snprintf(description, sizeof(description), "dropped: %s", loss_name((enum loss)i));
        add_entry(report, room, description, lost);
    }
}

/* Writes the event of one collector; what has no room in it is counted. */
static enum err write_one(struct collector_writer *writer, size_t *room, struct ledger_told *told,
    const char *name, const struct collector_counts *counts)
{
    struct report report = {0};
    struct json *payload = collector_payload(writer, &report.arena);
    if (payload != NULL)
        report.events = json_new(report.arena, JSON_ARRAY);
    if (report.events == NULL)
        return collector_write(writer, collector_now_us(writer), 1, NULL);
    report_differences(&report, room, told, counts);
    if (report.left_out > 0)
        collector_lose(writer, LOSS_CACHE_BOUND, report.left_out);
    if (report.entries == 0)
        return ERR_NONE;
    if (report.failed || !json_set_text(report.arena, payload, "name", span_of(name)) ||
        !json_set(report.arena, payload, SPAN_LIT("events"), report.events))
        payload = NULL;
    enum err err = collector_write(writer, collector_now_us(writer), report.entries, payload);
    if (err == ERR_TOO_LARGE)
        collector_lose(writer, LOSS_TOO_LARGE, report.entries);
    return err;
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    struct statistics *self = state;
    size_t room = self->room, count = 0;
    enum err first = ERR_NONE;
    const char *names[COLLECTORS_MAX];
    struct collector_counts counts[COLLECTORS_MAX];
    /* Before anything is written: writing changes our own. */
    while (count < COLLECTORS_MAX && collector_tally(writer, count, &names[count], &counts[count]))
        count++;
    for (size_t i = 0; i < count; i++) {
        enum err err = write_one(writer, &room, collector_told(writer, i), names[i], &counts[i]);
        if (err != ERR_NONE && first == ERR_NONE)
            first = fail(err, why, "the event about %s: %s", names[i], err_row(err)->text);
    }
    return first;
}

static enum err start(void *state, const struct settings *settings, const char **ret_field UNUSED,
    struct why *why UNUSED)
{
    struct statistics *self = state;
    self->room = (size_t)settings_int(settings, SETTING_STATISTIC_EVENTS_CACHE_SIZE);
    return ERR_NONE;
}

static enum err statistics_new(
    const struct collectors_options *options UNUSED, void **ret_state, struct why *why)
{
    struct statistics *self = mem_alloc(sizeof(*self));
    if (self == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    *ret_state = self;
    return ERR_NONE;
}

static void statistics_free(void *state)
{
    mem_free(state);
}

const struct collector statistic_events_collector = {
    .name = "StatisticEvents",
    .part = PART_STATISTIC_EVENTS,
    .disabled = SETTING_STATISTIC_EVENTS_DISABLED,
    .frequency = SETTING_STATISTIC_EVENTS_MESSAGE_FREQUENCY,
    .snapshot = true,
    .light = true,
    .new = statistics_new,
    .free = statistics_free,
    .start = start,
    .collect = collect,
};
