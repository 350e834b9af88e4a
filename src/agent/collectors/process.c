/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that fork, start a program, end. A thread of its own (process_watch.h) watches one of
 * two sources and finds out what they are; the cache keeps the events until they are collected:
 *
 *   process connector ─┐
 *                      ├─ thread ─> census ─> facts ─> cache ─> collect() ─> events
 *   looks at /proc ────┘
 */
#include "collector.h"
#include "log.h"
#include "process_cache.h"
#include "process_watch.h"
#include "users.h"

#include <linux/capability.h>
#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct process {
    const struct clock *clock;
    struct collector_gate *gate;
    const char *etc_dir;
    const char *proc_dir;
    struct process_watch *watch; /* NULL: stopped */
    uint32_t kernel_lost;        /* what `watch` lost, as far as counted */
    uint64_t told[LOSS_COUNT];   /* losses that were logged */

    pthread_mutex_t lock; /* guards what follows */
    struct process_cache cache;
    uint64_t seen;
    uint64_t lost[LOSS_COUNT];
};

static const char *const event_types[] = {
    [PROCESS_FORK] = "FORK", [PROCESS_EXEC] = "EXEC", [PROCESS_EXIT] = "EXIT"};

/* ---- in the watching thread ---- */

static void keep(
    void *self, const struct process_sighting *sighting, const struct process_facts *facts)
{
    struct process *process = self;
    int64_t when_us = clock_wall_us(process->clock) - sighting->age_us;
    pthread_mutex_lock(&process->lock);
    process->seen++;
    if (process_cache_add(&process->cache, when_us, sighting, facts,
            &process->lost[LOSS_CACHE_BOUND]) != ERR_NONE)
        process->lost[LOSS_MEMORY]++;
    pthread_mutex_unlock(&process->lock);
}

/* ---- in the main thread ---- */

static void count_kernel_losses(struct process *process)
{
    if (process->watch == NULL)
        return;
    uint32_t lost = process_watch_lost(process->watch);
    pthread_mutex_lock(&process->lock);
    process->lost[LOSS_KERNEL_BUFFER] += lost - process->kernel_lost;
    pthread_mutex_unlock(&process->lock);
    process->kernel_lost = lost;
}

static enum err set_bound(struct process *process, size_t entries_max)
{
    pthread_mutex_lock(&process->lock);
    enum err err =
        process_cache_set_bound(&process->cache, entries_max, &process->lost[LOSS_CACHE_BOUND]);
    pthread_mutex_unlock(&process->lock);
    return err;
}

static void stop(void *state)
{
    struct process *process = state;
    if (process->watch == NULL)
        return;
    process_watch_stop(process->watch);
    count_kernel_losses(process);
    process_watch_free(process->watch);
    process->watch = NULL;
    process->kernel_lost = 0;
}

static unsigned events_of(const struct settings *settings)
{
    unsigned events = 0;
    for (unsigned i = 0; i < COUNT_OF(event_types); i++)
        if (settings_list_has(settings, SETTING_PROCESS_EVENTS, span_of(event_types[i])))
            events |= PROCESS_EVENT_BIT(i);
    return events;
}

static enum err plan_watch(
    struct process *process, const struct process_watch_plan *plan, struct why *why)
{
    if (process->watch != NULL)
        return process_watch_change(process->watch, plan, why);
    const struct process_watch_options options = {
        .proc_dir = process->proc_dir, .gate = process->gate, .seen = keep, .self = process};
    return process_watch_new(&options, plan, &process->watch, why);
}

static enum err start(
    void *state, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct process *process = state;
    const struct process_watch_plan plan = {
        .mode = (enum process_mode)settings_int(settings, SETTING_PROCESS_MODE),
        .interval_us = settings_int(settings, SETTING_PROCESS_POLLING_INTERVAL),
        .events = events_of(settings)};
    size_t bound = (size_t)settings_int(settings, SETTING_PROCESS_CACHE_SIZE);
    size_t old_bound = process->cache.entries_max;
    enum err err = ERR_NONE;

    *ret_field = NULL;
    if (bound > old_bound)
        err = set_bound(process, bound);
    if (err != ERR_NONE)
        return fail(err, why, "%s", err_row(err)->text);
    err = plan_watch(process, &plan, why);
    if (err == ERR_REFUSED)
        *ret_field = setting_row(SETTING_PROCESS_MODE)->name;
    /* A smaller bound drops entries, so it comes when nothing can fail any more. Where the table
     * cannot shrink for want of memory, the larger bound does no harm. */
    if (err != ERR_NONE && old_bound > 0)
        (void)!set_bound(process, old_bound);
    if (err != ERR_NONE)
        return err;
    if (bound < old_bound)
        (void)!set_bound(process, bound);
    return ERR_NONE;
}

static bool set_text(struct arena *arena, struct json *object, const char *name, struct span text)
{
    return text.len == 0 || json_set(arena, object, span_of(name), json_new_string(arena, text));
}

static const char *const states[] = {
    [COMMAND_LINE_COMPLETE] = NULL, /* not said */
    [COMMAND_LINE_CUT] = "CUT",
    [COMMAND_LINE_GONE] = "GONE",
    [COMMAND_LINE_UNREADABLE] = "UNREADABLE",
};

static bool set_exit(
    struct arena *arena, struct json *payload, const struct process_occurrences *of)
{
    if (!of->exit_known)
        return true;
    int status = (int)of->exit_status;
    return WIFSIGNALED(status) ? json_set_int(arena, payload, "exit_signal", WTERMSIG(status))
                               : json_set_int(arena, payload, "exit_code", WEXITSTATUS(status));
}

static struct json *payload_of(struct collector_writer *writer, const struct process_event *event,
    enum process_event_type type, struct span command_line, const struct users *users)
{
    const struct process_occurrences *of = &event->of[type];
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    if (payload == NULL)
        return NULL;
    enum command_line_state state = event->state;
    if (command_line.len < event->command_line.len)
        state = COMMAND_LINE_CUT;
    bool done = set_text(arena, payload, "executable", event->executable) &&
                json_set_int(arena, payload, "process_id", of->process_id);
    if (event->identity_known)
        done = done && json_set_int(arena, payload, "parent_process_id", of->parent_process_id) &&
               json_set_int(arena, payload, "user_id", event->user_id) &&
               set_text(arena, payload, "user_name", users_find(users, event->user_id));
    done =
        done &&
        json_set(arena, payload, SPAN_LIT("commandline"), json_new_string(arena, command_line)) &&
        set_text(arena, payload, "commandline_state", span_of(states[state])) &&
        set_text(arena, payload, "event_type", span_of(event_types[type])) &&
        set_exit(arena, payload, of) &&
        json_set_int(arena, payload, "hit_count", (int64_t)of->hit_count);
    return done ? payload : NULL;
}

/* Writes an event; one that is too large alone gets its command line cut until it fits. */
static enum err write_event(struct collector_writer *writer, const struct process_event *event,
    enum process_event_type type, const struct users *users)
{
    const struct process_occurrences *of = &event->of[type];
    struct span command_line = event->command_line;
    for (;;) {
        enum err err = collector_write(writer, of->time_us, of->hit_count,
            payload_of(writer, event, type, command_line, users));
        if (err != ERR_TOO_LARGE)
            return err;
        if (command_line.len == 0) {
            collector_lose(writer, LOSS_TOO_LARGE, of->hit_count);
            return err;
        }
        command_line.len /= 2;
    }
}

/* Writes what of an entry happened: up to an event of each type. */
static enum err write_entry(
    struct collector_writer *writer, const struct process_event *event, const struct users *users)
{
    enum err ret = ERR_NONE;
    for (unsigned type = 0; type < PROCESS_EVENT_TYPES; type++) {
        enum err err = ERR_NONE;
        if (event->of[type].hit_count > 0)
            err = write_event(writer, event, (enum process_event_type)type, users);
        if (err != ERR_NONE)
            ret = err;
    }
    return ret;
}

/* Says once a collection what was lost since the last one. */
static void tell_losses(struct process *process, const uint64_t lost[LOSS_COUNT], size_t bound)
{
    uint64_t count = lost[LOSS_KERNEL_BUFFER] - process->told[LOSS_KERNEL_BUFFER];
    if (count > 0)
        log_warn("process", "the kernel had no room for %llu events of processes",
            (unsigned long long)count);
    count = lost[LOSS_CACHE_BOUND] - process->told[LOSS_CACHE_BOUND];
    if (count > 0)
        log_warn("process",
            "%llu events of processes gave way to newer ones; a larger %s than %zu would keep them",
            (unsigned long long)count, setting_row(SETTING_PROCESS_CACHE_SIZE)->name, bound);
    memcpy(process->told, lost, sizeof(process->told));
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    struct process *process = state;
    uint64_t lost[LOSS_COUNT];
    count_kernel_losses(process);
    pthread_mutex_lock(&process->lock);
    memcpy(lost, process->lost, sizeof(lost));
    size_t bound = process->cache.entries_max;
    struct process_event *event = process_cache_take(&process->cache);
    pthread_mutex_unlock(&process->lock);
    tell_losses(process, lost, bound);

    AUTO(users_done) struct users users = {0};
    if (event != NULL)
        users_load(process->etc_dir, &users);
    enum err ret = ERR_NONE;
    while (event != NULL) {
        enum err err = write_entry(writer, event, &users);
        if (err != ERR_NONE)
            ret = fail(err, why, "a process event could not be written: %s", err_row(err)->text);
        struct process_event *next = event->next;
        mem_free(event);
        event = next;
    }
    return ret;
}

static void count(void *state, struct collector_counts *ret_counts)
{
    struct process *process = state;
    count_kernel_losses(process);
    pthread_mutex_lock(&process->lock);
    ret_counts->seen = process->seen;
    ret_counts->waiting = process->cache.hits;
    memcpy(ret_counts->lost, process->lost, sizeof(process->lost));
    pthread_mutex_unlock(&process->lock);
}

static bool status(void *state, struct arena *arena, struct json *object)
{
    const struct process *process = state;
    if (process->watch == NULL)
        return true;
    if (!process_watch_is_netlink(process->watch))
        return set_text(arena, object, "source", SPAN_LIT("polling"));
    return set_text(arena, object, "source", SPAN_LIT("netlink")) &&
           json_set_int(
               arena, object, "receive_buffer_bytes", process_watch_buffer_bytes(process->watch));
}

static void process_free(void *state)
{
    struct process *process = state;
    if (process == NULL)
        return;
    stop(process);
    process_cache_done(&process->cache);
    pthread_mutex_destroy(&process->lock);
    mem_free(process);
}

static enum err process_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct process *process = mem_alloc(sizeof(*process));
    if (process == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    /* The watching thread may have real-time priority, and must not wait for one that has none. */
    pthread_mutexattr_t attributes;
    must(pthread_mutexattr_init(&attributes) == 0);
    (void)pthread_mutexattr_setprotocol(&attributes, PTHREAD_PRIO_INHERIT);
    must(pthread_mutex_init(&process->lock, &attributes) == 0);
    pthread_mutexattr_destroy(&attributes);
    process->clock = options->clock;
    process->gate = options->gate;
    process->etc_dir = options->etc_dir;
    process->proc_dir = options->proc_dir;
    process_cache_init(&process->cache, (uint64_t)options->random() << 32 | options->random());
    *ret_state = process;
    return ERR_NONE;
}

const struct collector process_collector = {
    .name = "Process",
    .part = PART_PROCESS,
    .disabled = SETTING_PROCESS_DISABLED,
    .frequency = SETTING_PROCESS_MESSAGE_FREQUENCY,
    .capabilities =
        UINT64_C(1) << CAP_NET_ADMIN | UINT64_C(1) << CAP_SYS_PTRACE | UINT64_C(1) << CAP_SYS_NICE,
    .new = process_new,
    .free = process_free,
    .start = start,
    .stop = stop,
    .collect = collect,
    .count = count,
    .status = status,
};
