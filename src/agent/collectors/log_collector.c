/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends the agent's own log. Entries wait in the ring (log_ring.h), which hears them from the
 * agent's first line on. What sending them causes to be logged waits for the next collection, so
 * that it cannot set itself off.
 */
#include "collector.h"
#include "log_ring.h"

/* The text of one event, as it is kept: in JSON no byte takes more than three. */
#define EVENT_TEXT_BYTES (32u * 1024)

struct log_collector {
    size_t event_text_bytes;
    bool started;
};

/* The words of the published schema. */
static const char *const words[] = {[LOG_LEVEL_ERROR] = "ERROR",
    [LOG_LEVEL_WARN] = "WARN",
    [LOG_LEVEL_INFO] = "INFO",
    [LOG_LEVEL_DEBUG] = "DEBUG"};

static const enum log_level levels[] = {[LOG_COLLECTOR_LEVEL_ERROR] = LOG_LEVEL_ERROR,
    [LOG_COLLECTOR_LEVEL_WARN] = LOG_LEVEL_WARN,
    [LOG_COLLECTOR_LEVEL_INFO] = LOG_LEVEL_INFO,
    [LOG_COLLECTOR_LEVEL_DEBUG] = LOG_LEVEL_DEBUG};

static bool add_entry(struct arena *arena, struct json *logs, const struct log_ring_entry *entry)
{
    struct json *log = json_new(arena, JSON_OBJECT);
    return log != NULL &&
           json_set_text(arena, log, "message", (struct span){entry->text, entry->len}) &&
           json_set_text(arena, log, "level", span_of(words[entry->level])) &&
           json_set_int(arena, log, "timestamp", entry->time_s) &&
           json_set_int(arena, log, "line", entry->line) &&
           json_set_text(arena, log, "filename", span_of(entry->filename)) &&
           json_append(logs, log);
}

/* Takes entries out, at most `*left`, and writes them as one event; false when there was none. */
static bool write_event(const struct log_collector *self, struct collector_writer *writer,
    uint64_t *left, enum err *ret_err)
{
    struct log_ring_entry entry;
    size_t bytes = 0;
    uint64_t count = 0;
    int64_t first_us = 0;
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    struct json *logs = payload == NULL ? NULL : json_new(arena, JSON_ARRAY);
    bool done = logs != NULL;
    while (
        *left > 0 && bytes + LOG_RING_TEXT_MAX <= self->event_text_bytes && log_ring_take(&entry)) {
        (*left)--;
        if (count++ == 0)
            first_us = entry.time_s * 1000000;
        bytes += entry.len + 64; /* and its other members */
        done = done && add_entry(arena, logs, &entry);
    }
    if (count == 0)
        return false;
    if (!done || !json_set(arena, payload, SPAN_LIT("logs"), logs))
        payload = NULL;
    *ret_err = collector_write(writer, first_us, count, payload);
    if (*ret_err == ERR_TOO_LARGE)
        collector_lose(writer, LOSS_TOO_LARGE, count);
    return true;
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    const struct log_collector *self = state;
    enum err first = ERR_NONE, err = ERR_NONE;
    /* What is logged meanwhile waits: else this could go on for ever. */
    uint64_t left = log_ring_counts().waiting;
    while (write_event(self, writer, &left, &err))
        if (err != ERR_NONE && first == ERR_NONE)
            first = fail(err, why, "entries of the log: %s", err_row(err)->text);
    return first;
}

static enum err start(void *state, const struct settings *settings, const char **ret_field UNUSED,
    struct why *why UNUSED)
{
    ((struct log_collector *)state)->started = true;
    log_ring_listen(levels[settings_log_collector_level(settings)],
        (size_t)settings_int(settings, SETTING_LOG_COLLECTOR_CACHE_SIZE));
    return ERR_NONE;
}

/* What was kept since the agent's first line is of no use if the settings never wanted it. */
static void stop(void *state)
{
    if (((struct log_collector *)state)->started)
        log_ring_deafen();
    else
        log_ring_clear();
}

static void count(void *state UNUSED, struct collector_counts *ret_counts)
{
    struct log_ring_counts counts = log_ring_counts();
    ret_counts->seen = counts.seen;
    ret_counts->waiting = counts.waiting;
    ret_counts->lost[LOSS_CACHE_BOUND] = counts.dropped;
}

static enum err log_collector_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct log_collector *self = mem_alloc(sizeof(*self));
    if (self == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    size_t share = options->message_limit_bytes / 4;
    self->event_text_bytes = share < EVENT_TEXT_BYTES ? share : EVENT_TEXT_BYTES;
    if (self->event_text_bytes < LOG_RING_TEXT_MAX)
        self->event_text_bytes = LOG_RING_TEXT_MAX;
    *ret_state = self;
    return ERR_NONE;
}

static void log_collector_free(void *state)
{
    if (state != NULL)
        log_ring_clear();
    mem_free(state);
}

const struct collector log_collector_collector = {
    .name = "LogCollector",
    .part = PART_LOG_COLLECTOR,
    .disabled = SETTING_LOG_COLLECTOR_DISABLED,
    .frequency = SETTING_LOG_COLLECTOR_MESSAGE_FREQUENCY,
    .snapshot = false,
    .new = log_collector_new,
    .free = log_collector_free,
    .start = start,
    .stop = stop,
    .collect = collect,
    .count = count,
};
