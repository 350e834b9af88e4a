/* SPDX-License-Identifier: Apache-2.0 */
#include "collectors.h"

#include "collector.h"
#include "log.h"
#include "mem.h"
#include "message.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#define SLOTS_MAX 40u
#define LONGEST_WAIT_US (INT64_C(3600) * 1000000)

/* One collector and how it fares. */
struct slot {
    const struct collector *collector;
    void *state;
    bool running;
    uint64_t starts;
    uint64_t failures;
    int64_t interval_us;
    int64_t due_us;    /* mono */
    int64_t wanted_us; /* mono: when it wants to be run */
    bool ready;        /* one of its descriptors is */
    size_t entry;      /* of the ledger */
    struct collector_gate gate;
    struct collector_counts before; /* seen and lost in earlier runs */
    struct collector_counts counts; /* ours: what was lost in writing and after */
};

struct collectors {
    struct collectors_options options;
    struct settings settings; /* in force */
    bool applied;             /* there are settings in force */
    int64_t first_us;         /* mono: the first collection, from which all moments are counted */
    struct message message;
    struct arena arena; /* of the payload that is being written */
    unsigned level;     /* of the budget */
    struct ledger *ledger;
    struct ledger *own_ledger;    /* where there is no other; else NULL */
    bool woken;                   /* it was said which descriptors are ready */
    size_t begins[SLOTS_MAX + 1]; /* of each slot's in the descriptors last given */
    size_t count;
    struct slot slots[SLOTS_MAX];
};
_Static_assert(SLOTS_MAX < LEDGER_ENTRIES_MAX, "each collector finds an entry");

struct collector_writer {
    struct collectors *collectors;
    size_t source;
    int64_t now_us; /* wall */
};

static const struct collector *const all[] = {
#define COLLECTOR(name) &name##_collector,
#include "collectors.def"
#undef COLLECTOR
};

const struct collector *collectors_at(size_t at)
{
    return at < COUNT_OF(all) ? all[at] : NULL;
}

uint64_t collectors_capabilities(const struct settings *settings)
{
    uint64_t capabilities = 0;
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (settings == NULL || !settings_bool(settings, all[i]->disabled))
            capabilities |= all[i]->capabilities;
    return capabilities;
}

static const char *text_or(const char *text, const char *otherwise)
{
    return text == NULL ? otherwise : text;
}

/* The ledger's entry of a collector, and what earlier runs left in it. */
static void find_entry(struct ledger *ledger, struct slot *slot)
{
    slot->entry = ledger_entry(ledger, span_of(slot->collector->name));
    if (slot->collector->resumes)
        ledger_resume(ledger, slot->entry);
    const struct ledger_entry *entry = &ledger->entries[slot->entry];
    slot->before.seen = entry->seen;
    for (size_t i = 0; i < LOSS_COUNT; i++)
        if (loss_stage((enum loss)i) != LOSS_STAGE_OUTBOX)
            slot->before.lost[i] = entry->lost[i];
}

/* Notes what was seen before the message is handed on, so that the ledger has both or neither. */
static enum err hand_on(
    void *self, struct span body, size_t event_count, const struct ledger_tallies *tallies)
{
    struct collectors *collectors = self;
    collectors_note(collectors);
    enum err err =
        collectors->options.deliver(collectors->options.self, body, event_count, tallies);
    if (err == ERR_NONE && collectors->own_ledger != NULL) {
        ledger_accept(collectors->own_ledger, tallies);
        ledger_deliver(collectors->own_ledger, tallies);
    }
    return err;
}

static void take_options(struct collectors *collectors, const struct collectors_options *options)
{
    struct collectors_options *own = &collectors->options;
    *own = *options;
    own->proc_dir = text_or(own->proc_dir, "/proc");
    own->sys_dir = text_or(own->sys_dir, "/sys");
    own->etc_dir = text_or(own->etc_dir, "/etc");
    own->root_dir = text_or(own->root_dir, "");
    if (own->message_limit_bytes == 0)
        own->message_limit_bytes = COLLECTORS_MESSAGE_BYTES;
    message_init(&collectors->message);
    collectors->message.limit_bytes = own->message_limit_bytes;
    collectors->message.random = own->random;
    collectors->message.deliver = hand_on;
    collectors->message.self = collectors;

    uint64_t random = (uint64_t)own->random() << 32 | own->random();
    collectors->first_us = clock_mono_us(own->clock);
    if (own->first_delay_us > 0)
        collectors->first_us += (int64_t)(random % (uint64_t)own->first_delay_us);
}

static bool choose_ledger(struct collectors *collectors)
{
    collectors->ledger = collectors->options.ledger;
    if (collectors->ledger != NULL)
        return true;
    collectors->ledger = collectors->own_ledger = mem_alloc(sizeof(*collectors->own_ledger));
    if (collectors->ledger == NULL)
        return false;
    ledger_init(collectors->ledger);
    return true;
}

enum err collectors_new_of(const struct collectors_options *options,
    const struct collector *const *table, size_t count, struct collectors **ret_collectors,
    struct why *why)
{
    must(count <= SLOTS_MAX);
    struct collectors *collectors = mem_alloc(sizeof(*collectors));
    if (collectors == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    settings_init(&collectors->settings);
    take_options(collectors, options);
    if (!choose_ledger(collectors)) {
        collectors_free(collectors);
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    }
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = &collectors->slots[i];
        slot->collector = table[i];
        find_entry(collectors->ledger, slot);
        slot->gate.clock = options->clock;
        collectors->options.gate = &slot->gate;
        enum err err = ERR_NONE;
        if (table[i]->new != NULL)
            err = table[i]->new (&collectors->options, &slot->state, why);
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
    mem_free(collectors->own_ledger);
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
        .source = slot->entry,
        .occurrences = occurrences};
    enum err err = payload == NULL ? ERR_MEMORY : message_add(&collectors->message, &event);
    if (err == ERR_MEMORY)
        collector_lose(writer, LOSS_MEMORY, occurrences);
    else if (err == ERR_NONE && slot->collector->count == NULL)
        slot->counts.seen += occurrences;
    return err;
}

/* What the ledger says of what left the collector. */
static void add_sent(const struct ledger_entry *entry, struct collector_counts *counts)
{
    counts->queued = ledger_queued(entry);
    counts->accepted = entry->accepted;
    counts->delivered = entry->delivered;
    counts->sent = ledger_sum(counts->queued, counts->delivered);
    for (size_t i = 0; i < LOSS_COUNT; i++)
        if (loss_stage((enum loss)i) == LOSS_STAGE_OUTBOX)
            counts->lost[i] = entry->lost[i];
}

/* What a collector has seen, sent and lost, by its own count, ours and the ledger's. */
static struct collector_counts counts_of(const struct collectors *collectors, size_t at)
{
    const struct slot *slot = &collectors->slots[at];
    struct collector_counts counts = {0};
    if (slot->collector->count != NULL)
        slot->collector->count(slot->state, &counts);
    uint64_t refused = slot->gate.refused;
    counts.lost[LOSS_BUDGET] += refused;
    counts.seen += slot->counts.seen + slot->before.seen + refused;
    for (size_t i = 0; i < LOSS_COUNT; i++)
        counts.lost[i] += slot->counts.lost[i] + slot->before.lost[i];
    add_sent(&collectors->ledger->entries[slot->entry], &counts);
    return counts;
}

void collectors_note(struct collectors *collectors)
{
    for (size_t i = 0; i < collectors->count; i++) {
        struct collector_counts counts = counts_of(collectors, i);
        ledger_set_collected(
            collectors->ledger, collectors->slots[i].entry, counts.seen, counts.lost);
    }
}

bool collector_tally(const struct collector_writer *writer, size_t at, const char **ret_name,
    struct collector_counts *ret_counts)
{
    if (at >= writer->collectors->count)
        return false;
    *ret_name = writer->collectors->slots[at].collector->name;
    *ret_counts = counts_of(writer->collectors, at);
    return true;
}

struct ledger_told *collector_told(struct collector_writer *writer, size_t at)
{
    struct collectors *collectors = writer->collectors;
    must(at < collectors->count);
    collectors->ledger->changed = true;
    return &collectors->ledger->entries[collectors->slots[at].entry].told;
}

/* Lets a collector take in what came. */
static void run(struct slot *slot)
{
    slot->wanted_us = INT64_MAX;
    slot->ready = false;
    if (slot->running && slot->collector->run != NULL)
        slot->wanted_us = slot->collector->run(slot->state);
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
        struct slot *slot = &collectors->slots[i];
        slot->counts.lost[LOSS_OUTBOX] = message->tallies[slot->entry].refused;
    }
    arena_done(&collectors->arena);
    arena_init(&collectors->arena, 0);
    message_done(message); /* a large one may be the only one of the day */
}

uint64_t collector_begin(struct collector_writer *writer, size_t bytes)
{
    struct collectors *collectors = writer->collectors;
    const struct message *message = &collectors->message;
    if (message->event_count > 0 && message->body.len + bytes > message->limit_bytes)
        deliver(collectors);
    const struct collectors_options *options = &collectors->options;
    return options->kept == NULL ? 0 : options->kept(options->self);
}

size_t collector_message_bytes(const struct collector_writer *writer)
{
    return writer->collectors->message.limit_bytes;
}

/* The first moment of an interval's grid that lies after `now`. */
static int64_t next_moment(const struct collectors *collectors, int64_t interval_us, int64_t now_us)
{
    if (now_us < collectors->first_us)
        return collectors->first_us;
    int64_t passed = (now_us - collectors->first_us) / interval_us;
    return collectors->first_us + (passed + 1) * interval_us;
}

/* What a level of the budget means. */
static const struct {
    int64_t stretch;      /* of the intervals of snapshots */
    uint32_t slowness;    /* of polling */
    uint32_t keep_one_of; /* of what happens */
} levels[] = {{1, 1, 1}, {2, 4, 1}, {4, 16, 2}, {8, 64, 8}, {8, 256, 64}};

/* The interval as it is now. */
static int64_t interval_of(const struct collectors *collectors, const struct slot *slot)
{
    bool stretched = slot->collector->snapshot && !slot->collector->light;
    return slot->interval_us * (stretched ? levels[collectors->level].stretch : 1);
}

void collectors_set_level(struct collectors *collectors, unsigned level)
{
    int64_t now_us = clock_mono_us(collectors->options.clock);
    collectors->level = level < COUNT_OF(levels) ? level : COUNT_OF(levels) - 1;
    for (size_t i = 0; i < collectors->count; i++) {
        struct slot *slot = &collectors->slots[i];
        slot->gate.slowness = levels[collectors->level].slowness;
        slot->gate.keep_one_of = levels[collectors->level].keep_one_of;
        if (slot->running && slot->collector->snapshot && slot->due_us > now_us)
            slot->due_us = next_moment(collectors, interval_of(collectors, slot), now_us);
    }
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
        collectors->begins[i] = count;
        if (slot->running && slot->collector->descriptors != NULL)
            count += slot->collector->descriptors(
                slot->state, ret_fds + count, COLLECTORS_DESCRIPTORS_MAX - count);
    }
    collectors->begins[collectors->count] = count;
    return count;
}

void collectors_woken(struct collectors *collectors, const struct pollfd *polled, size_t count)
{
    must(count == collectors->begins[collectors->count]);
    for (size_t at = 0; at < collectors->count; at++)
        for (size_t i = collectors->begins[at]; i < collectors->begins[at + 1]; i++)
            if (polled[i].revents != 0)
                collectors->slots[at].ready = true;
    collectors->woken = true;
}

/* Where nobody has asked the descriptors since the last turn. */
static void find_ready(struct collectors *collectors)
{
    int fds[COLLECTORS_DESCRIPTORS_MAX];
    struct pollfd polled[COLLECTORS_DESCRIPTORS_MAX];
    size_t count = collectors_descriptors(collectors, fds);
    for (size_t i = 0; i < count; i++)
        polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
    if (count > 0 && poll(polled, (nfds_t)count, 0) > 0)
        collectors_woken(collectors, polled, count);
}

/* Collects what is due, if it is ready; returns when it is due next, or is to be asked again. */
static int64_t run_due(struct collectors *collectors, size_t at, int64_t now_us, int64_t wall_us)
{
    struct slot *slot = &collectors->slots[at];
    if (slot->due_us > now_us)
        return slot->due_us;
    if (slot->collector->prepare != NULL && !collectors->options.at_once) {
        int64_t again_us = slot->collector->prepare(slot->state);
        if (again_us > 0)
            return again_us;
    }
    collect(collectors, at, wall_us);
    slot->due_us = next_moment(collectors, interval_of(collectors, slot), now_us);
    return slot->due_us;
}

int64_t collectors_run(struct collectors *collectors)
{
    int64_t now_us = clock_mono_us(collectors->options.clock);
    int64_t wall_us = begin_message(collectors);
    int64_t next_us = now_us + LONGEST_WAIT_US;
    if (!collectors->woken)
        find_ready(collectors);
    collectors->woken = false;
    for (size_t i = 0; i < collectors->count; i++) {
        struct slot *slot = &collectors->slots[i];
        if (!slot->running)
            continue;
        if (slot->ready || slot->wanted_us <= now_us)
            run(slot);
        int64_t due_us = run_due(collectors, i, now_us, wall_us);
        next_us = earlier(next_us, earlier(slot->wanted_us, due_us));
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
    slot->wanted_us = INT64_MIN;
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

/* Who reads on in its next life is not told that it is switched off. */
void collectors_stop(struct collectors *collectors)
{
    collectors_flush(collectors);
    for (size_t i = 0; i < collectors->count; i++)
        if (collectors->slots[i].running && !collectors->slots[i].collector->resumes)
            switch_off(collectors, i);
        else
            collectors->slots[i].running = false;
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
    slot->gate.per_second = (uint32_t)settings_int(settings, SETTING_AGENT_EVENTS_PER_SECOND);
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

static bool add_counts(
    struct arena *arena, struct json *status, const struct collector_counts *counts)
{
    struct json *lost = json_new(arena, JSON_OBJECT);
    for (size_t i = 0; lost != NULL && i < LOSS_COUNT; i++)
        if (counts->lost[i] > 0 &&
            !json_set_int(arena, lost, loss_name((enum loss)i), (int64_t)counts->lost[i]))
            return false;
    return json_set_int(arena, status, "seen", (int64_t)counts->seen) &&
           json_set_int(arena, status, "waiting", (int64_t)counts->waiting) &&
           json_set_int(arena, status, "queued", (int64_t)counts->queued) &&
           json_set_int(arena, status, "delivered", (int64_t)counts->delivered) &&
           json_set_int(arena, status, "sent", (int64_t)counts->sent) &&
           json_set(arena, status, SPAN_LIT("lost"), lost);
}

static const char *state_of(const struct collectors *collectors, const struct slot *slot)
{
    if (slot->running)
        return "running";
    return collectors->applied && wanted(slot->collector, &collectors->settings) ? "stopped"
                                                                                 : "disabled";
}

static struct json *status_of(struct collectors *collectors, size_t at, struct arena *arena)
{
    struct slot *slot = &collectors->slots[at];
    struct collector_counts counts = counts_of(collectors, at);
    struct json *status = json_new(arena, JSON_OBJECT);
    bool done = status != NULL &&
                json_set_text(arena, status, "state", span_of(state_of(collectors, slot))) &&
                json_set_int(arena, status, "starts", (int64_t)slot->starts) &&
                json_set_int(arena, status, "failures", (int64_t)slot->failures) &&
                json_set_int(arena, status, "interval_seconds", slot->interval_us / 1000000) &&
                add_counts(arena, status, &counts);
    if (done && slot->collector->status != NULL)
        done = slot->collector->status(slot->state, arena, status);
    return done ? status : NULL;
}

/* What the ledger has of collectors that are not ours. */
static bool add_absent(
    const struct collectors *collectors, struct arena *arena, struct json *object)
{
    for (size_t i = 0; i < collectors->ledger->count; i++) {
        const struct ledger_entry *entry = &collectors->ledger->entries[i];
        struct collector_counts counts = {.seen = entry->seen};
        if (entry->seen == 0 || json_find_text(object, entry->name) != NULL)
            continue;
        memcpy(counts.lost, entry->lost, sizeof(counts.lost));
        add_sent(entry, &counts);
        struct json *status = json_new(arena, JSON_OBJECT);
        if (status == NULL || !json_set_text(arena, status, "state", SPAN_LIT("absent")) ||
            !add_counts(arena, status, &counts) ||
            !json_set(arena, object, span_of(entry->name), status))
            return false;
    }
    return true;
}

enum err collectors_status(struct collectors *collectors, struct arena *arena, struct json *object)
{
    for (size_t i = 0; i < collectors->count; i++) {
        struct json *status = status_of(collectors, i, arena);
        if (!json_set(arena, object, span_of(collectors->slots[i].collector->name), status))
            return ERR_MEMORY;
    }
    return add_absent(collectors, arena, object) ? ERR_NONE : ERR_MEMORY;
}
