/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors.h"

#include "collector.h"
#include "log.h"
#include "mem.h"
#include "message.h"

#include <stdio.h>
#include <string.h>

#define LONGEST_WAIT_US (INT64_C(3600) * 1000000)

/* One collector and how it fares. */
struct slot {
    const struct collector *collector;
    void *state;
    bool running;
    uint64_t starts;
    uint64_t failures;
    int64_t interval_us;
    int64_t due_us;                 /* mono */
    struct collector_counts counts; /* ours: sent, and what was lost in writing and after */
};

struct collectors {
    struct collectors_options options;
    struct settings settings; /* in force */
    bool applied;             /* there are settings in force */
    int64_t first_us;         /* mono: the first collection, from which all moments are counted */
    struct message message;
    struct arena arena; /* of the payload that is being written */
    size_t count;
    struct slot slots[MESSAGE_SOURCES_MAX];
};

struct collector_writer {
    struct collectors *collectors;
    size_t source;
    int64_t now_us; /* wall */
};

static const char *const losses[] = {
    [LOSS_KERNEL_BUFFER] = "kernel_buffer",
    [LOSS_CACHE_BOUND] = "cache_bound",
    [LOSS_TOO_LARGE] = "too_large",
    [LOSS_MEMORY] = "memory",
    [LOSS_OUTBOX] = "outbox",
};

const char *loss_name(enum loss loss)
{
    return losses[loss];
}

static const struct collector *const all[] = {
#define COLLECTOR(name) &name##_collector,
#include "collectors.def"
#undef COLLECTOR
};

static const char *text_or(const char *text, const char *otherwise)
{
    return text == NULL ? otherwise : text;
}

enum err collectors_new_of(const struct collectors_options *options,
    const struct collector *const *table, size_t count, struct collectors **ret_collectors,
    struct why *why)
{
    must(count <= MESSAGE_SOURCES_MAX);
    struct collectors *collectors = mem_alloc(sizeof(*collectors));
    if (collectors == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    collectors->options = *options;
    struct collectors_options *own = &collectors->options;
    own->proc_dir = text_or(own->proc_dir, "/proc");
    own->sys_dir = text_or(own->sys_dir, "/sys");
    own->etc_dir = text_or(own->etc_dir, "/etc");
    own->root_dir = text_or(own->root_dir, "");
    if (own->message_limit_bytes == 0)
        own->message_limit_bytes = COLLECTORS_MESSAGE_BYTES;
    settings_init(&collectors->settings);
    message_init(&collectors->message);
    collectors->message.limit_bytes = own->message_limit_bytes;
    collectors->message.random = own->random;
    collectors->message.deliver = own->deliver;
    collectors->message.self = own->self;

    uint64_t random = (uint64_t)own->random() << 32 | own->random();
    collectors->first_us = clock_mono_us(own->clock);
    if (own->first_delay_us > 0)
        collectors->first_us += (int64_t)(random % (uint64_t)own->first_delay_us);

    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &collectors->slots[i];
        slot->collector = table[i];
        enum err err = ERR_NONE;
        if (table[i]->new != NULL)
            err = table[i]->new (own, &slot->state, why);
        if (err != ERR_NONE) {
            why_prefix(why, "%s", table[i]->name);
            collectors_free(collectors);
            return err;
        }
        collectors->count++;
    }
    *ret_collectors = collectors;
    return ERR_NONE;
}

enum err collectors_new(
    const struct collectors_options *options, struct collectors **ret_collectors, struct why *why)
{
    return collectors_new_of(options, all, COUNT_OF(all), ret_collectors, why);
}

void collectors_free(struct collectors *collectors)
{
    if (collectors == NULL)
        return;
    for (size_t i = 0; i < collectors->count; i++) {
        struct slot *slot = &collectors->slots[i];
        if (slot->collector->stop != NULL)
            slot->collector->stop(slot->state);
        if (slot->collector->free != NULL)
            slot->collector->free(slot->state);
    }
    settings_done(&collectors->settings);
    message_done(&collectors->message);
    arena_done(&collectors->arena);
    mem_free(collectors);
}

struct json *collector_payload(struct collector_writer *writer, struct arena **ret_arena)
{
    struct arena *arena = &writer->collectors->arena;
    arena_done(arena);
    arena_init(arena, 0);
    struct json *payload = json_new(arena, JSON_OBJECT);
    if (payload != NULL)
        *ret_arena = arena;
    return payload;
}

void collector_lose(struct collector_writer *writer, enum loss loss, uint64_t occurrences)
{
    struct slot *slot = &writer->collectors->slots[writer->source];
    slot->counts.lost[loss] += occurrences;
    if (slot->collector->count == NULL)
        slot->counts.seen += occurrences;
}

int64_t collector_now_us(const struct collector_writer *writer)
{
    return writer->now_us;
}

enum err collector_write(struct collector_writer *writer, int64_t time_us, uint64_t occurrences,
    const struct json *payload)
{
    struct collectors *collectors = writer->collectors;
    struct slot *slot = &collectors->slots[writer->source];
    const struct message_event event = {.payload_type = slot->collector->name,
        .time_us = time_us,
        .interval_s = slot->interval_us / 1000000,
        .payload = payload,
        .source = writer->source,
        .occurrences = occurrences};
    enum err err = payload == NULL ? ERR_MEMORY : message_add(&collectors->message, &event);
    if (err == ERR_MEMORY)
        collector_lose(writer, LOSS_MEMORY, occurrences);
    else if (err == ERR_NONE && slot->collector->count == NULL)
        slot->counts.seen += occurrences;
    return err;
}

/* What a collector has seen, sent and lost, by its own count and ours. */
static struct collector_counts counts_of(const struct slot *slot)
{
    struct collector_counts counts = {0};
    if (slot->collector->count != NULL)
        slot->collector->count(slot->state, &counts);
    counts.seen += slot->counts.seen;
    counts.sent = slot->counts.sent;
    for (size_t i = 0; i < LOSS_COUNT; i++)
        counts.lost[i] += slot->counts.lost[i];
    return counts;
}

bool collector_tally(const struct collector_writer *writer, size_t at, const char **ret_name,
    struct collector_counts *ret_counts)
{
    if (at >= writer->collectors->count)
        return false;
    *ret_name = writer->collectors->slots[at].collector->name;
    *ret_counts = counts_of(&writer->collectors->slots[at]);
    return true;
}

/* Lets a collector take in what came; returns when it wants to be run again. */
static int64_t run(const struct slot *slot)
{
    if (!slot->running || slot->collector->run == NULL)
        return INT64_MAX;
    return slot->collector->run(slot->state);
}

static void collect(struct collectors *collectors, size_t at, int64_t wall_us)
{
    struct slot *slot = &collectors->slots[at];
    run(slot);
    struct collector_writer writer = {collectors, at, wall_us};
    struct why why = {""};
    enum err err = slot->collector->collect(slot->state, &writer, &why);
    if (err != ERR_NONE) {
        slot->failures++;
        log_warn("collectors", "%s: %s", slot->collector->name, why_text(&why, err));
    }
}

/* Delivers the message and books what became of it. */
static void deliver(struct collectors *collectors)
{
    struct message *message = &collectors->message;
    message_send(message);
    for (size_t i = 0; i < collectors->count; i++) {
        collectors->slots[i].counts.sent = message->tallies[i].sent;
        collectors->slots[i].counts.lost[LOSS_OUTBOX] = message->tallies[i].refused;
    }
    arena_done(&collectors->arena);
    arena_init(&collectors->arena, 0);
}

/* The first moment of an interval's grid that lies after `now`. */
static int64_t next_moment(const struct collectors *collectors, int64_t interval_us, int64_t now_us)
{
    if (now_us < collectors->first_us)
        return collectors->first_us;
    int64_t passed = (now_us - collectors->first_us) / interval_us;
    return collectors->first_us + (passed + 1) * interval_us;
}

static int64_t begin_message(struct collectors *collectors)
{
    int64_t wall_us = clock_wall_us(collectors->options.clock);
    collectors->message.timezone_hours = message_timezone_hours(wall_us);
    return wall_us;
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

size_t collectors_descriptors(
    struct collectors *collectors, int ret_fds[COLLECTORS_DESCRIPTORS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < collectors->count; i++) {
        const struct slot *slot = &collectors->slots[i];
        if (slot->running && slot->collector->descriptors != NULL)
            count += slot->collector->descriptors(
                slot->state, ret_fds + count, COLLECTORS_DESCRIPTORS_MAX - count);
    }
    return count;
}

int64_t collectors_run(struct collectors *collectors)
{
    int64_t now_us = clock_mono_us(collectors->options.clock);
    int64_t wall_us = begin_message(collectors);
    int64_t next_us = now_us + LONGEST_WAIT_US;
    for (size_t i = 0; i < collectors->count; i++) {
        struct slot *slot = &collectors->slots[i];
        if (!slot->running)
            continue;
        int64_t wanted_us = run(slot);
        if (slot->due_us <= now_us) {
            collect(collectors, i, wall_us);
            slot->due_us = next_moment(collectors, slot->interval_us, now_us);
        }
        next_us = earlier(next_us, earlier(wanted_us, slot->due_us));
    }
    deliver(collectors);
    return next_us;
}

void collectors_flush(struct collectors *collectors)
{
    int64_t wall_us = begin_message(collectors);
    for (size_t i = 0; i < collectors->count; i++)
        if (collectors->slots[i].running && !collectors->slots[i].collector->snapshot)
            collect(collectors, i, wall_us);
    deliver(collectors);
}

static bool wanted(const struct collector *collector, const struct settings *settings)
{
    return !settings_bool(settings, collector->disabled);
}

static enum err start(
    struct slot *slot, const struct settings *settings, const char **ret_field, struct why *why)
{
    *ret_field = NULL;
    enum err err = ERR_NONE;
    if (slot->collector->start != NULL)
        err = slot->collector->start(slot->state, settings, ret_field, why);
    if (err == ERR_NONE)
        slot->starts++;
    return err;
}

/* Ends a collector; what it still holds is delivered. */
static void switch_off(struct collectors *collectors, size_t at)
{
    struct slot *slot = &collectors->slots[at];
    run(slot);
    if (slot->collector->stop != NULL)
        slot->collector->stop(slot->state);
    slot->running = false;
    if (!slot->collector->snapshot) {
        collect(collectors, at, begin_message(collectors));
        deliver(collectors);
    }
}

/* Puts the settings that are in force back into the first `count` of the collectors that changed.
 */
static void put_back(struct collectors *collectors, uint32_t changed, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &collectors->slots[i];
        if ((changed & PART_BIT(slot->collector->part)) == 0)
            continue;
        if (!slot->running) {
            switch_off(collectors, i);
            continue;
        }
        const char *field;
        struct why why = {""};
        enum err err = start(slot, &collectors->settings, &field, &why);
        if (err != ERR_NONE)
            log_error("collectors", "%s goes on with settings that were refused: %s",
                slot->collector->name, why_text(&why, err));
    }
}

/* Fixes when a collector that is wanted is due, after its settings or its interval changed. */
static void schedule(
    struct collectors *collectors, struct slot *slot, const struct settings *settings, bool changed)
{
    int64_t interval_us = 1000000 * settings_interval_seconds(settings,
                                        settings_frequency(settings, slot->collector->frequency));
    int64_t now_us = clock_mono_us(collectors->options.clock);
    if (!collectors->applied)
        slot->due_us = collectors->first_us;
    else if (changed && slot->collector->snapshot && now_us >= collectors->first_us)
        slot->due_us = now_us; /* what it shows may be another now */
    else if (!slot->running || interval_us != slot->interval_us)
        slot->due_us = next_moment(collectors, interval_us, now_us);
    slot->interval_us = interval_us;
    slot->running = true;
}

enum err collectors_apply(struct collectors *collectors, const struct settings *settings,
    const char **ret_field, struct why *why)
{
    *ret_field = NULL;
    struct settings copy;
    enum err err = settings_copy(settings, &copy);
    if (err != ERR_NONE)
        return fail(err, why, "%s", err_row(err)->text);
    uint32_t changed = PART_ALL;
    if (collectors->applied)
        changed = settings_difference(&collectors->settings, settings);

    for (size_t i = 0; i < collectors->count; i++) {
        struct slot *slot = &collectors->slots[i];
        if ((changed & PART_BIT(slot->collector->part)) == 0 || !wanted(slot->collector, settings))
            continue;
        err = start(slot, &copy, ret_field, why);
        if (err != ERR_NONE) {
            put_back(collectors, changed, i);
            settings_done(&copy);
            return err;
        }
    }
    for (size_t i = 0; i < collectors->count; i++) {
        struct slot *slot = &collectors->slots[i];
        if (wanted(slot->collector, settings))
            schedule(collectors, slot, &copy, (changed & PART_BIT(slot->collector->part)) != 0);
        else if (slot->running)
            switch_off(collectors, i);
        else if (!collectors->applied && slot->collector->stop != NULL)
            slot->collector->stop(slot->state); /* it may have begun to listen when it was made */
    }
    settings_done(&collectors->settings);
    collectors->settings = copy;
    collectors->applied = true;
    return ERR_NONE;
}

static struct json *lost_of(struct arena *arena, const struct collector_counts *counts)
{
    struct json *lost = json_new(arena, JSON_OBJECT);
    for (size_t i = 0; lost != NULL && i < LOSS_COUNT; i++)
        if (counts->lost[i] > 0 && !json_set_int(arena, lost, losses[i], (int64_t)counts->lost[i]))
            return NULL;
    return lost;
}

static struct json *status_of(struct slot *slot, struct arena *arena)
{
    struct collector_counts counts = counts_of(slot);
    struct json *status = json_new(arena, JSON_OBJECT);
    bool done =
        status != NULL &&
        json_set_text(arena, status, "state", span_of(slot->running ? "running" : "disabled")) &&
        json_set_int(arena, status, "starts", (int64_t)slot->starts) &&
        json_set_int(arena, status, "failures", (int64_t)slot->failures) &&
        json_set_int(arena, status, "interval_seconds", slot->interval_us / 1000000) &&
        json_set_int(arena, status, "seen", (int64_t)counts.seen) &&
        json_set_int(arena, status, "waiting", (int64_t)counts.waiting) &&
        json_set_int(arena, status, "sent", (int64_t)counts.sent) &&
        json_set(arena, status, SPAN_LIT("lost"), lost_of(arena, &counts));
    if (done && slot->collector->status != NULL)
        done = slot->collector->status(slot->state, arena, status);
    return done ? status : NULL;
}

enum err collectors_status(struct collectors *collectors, struct arena *arena, struct json *object)
{
    for (size_t i = 0; i < collectors->count; i++) {
        struct slot *slot = &collectors->slots[i];
        struct json *status = status_of(slot, arena);
        if (!json_set(arena, object, span_of(slot->collector->name), status))
            return ERR_MEMORY;
    }
    return ERR_NONE;
}
