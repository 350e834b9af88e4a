/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes that fork, start a program, end. A thread of its own watches one of two sources and
 * reads of each new program what /proc says, at once, since many live for a millisecond only; the
 * cache keeps the events until they are collected:
 *
 *   process connector ─┐              exec: /proc/PID ─┬─> facts ─> cache ─> collect() ─> events
 *                      ├─ thread ─────┤                │
 *   looks at /proc ────┘              └ fork, exit: lives
 *
 * A fork is its parent's copy, and shows the parent's program; of what has ended /proc tells
 * nothing any more. So the facts of what lives are remembered (process_lives.h).
 */
#include "collector.h"
#include "log.h"
#include "process_cache.h"
#include "process_lives.h"
#include "process_watch.h"
#include "users.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct process {
    const struct clock *clock;
    struct collector_gate *gate;
    const char *etc_dir;
    const char *proc_dir;
    int proc_fd;
    struct process_watch *watch; /* NULL: stopped */
    enum process_mode mode;      /* of the settings in force */
    uint32_t kernel_lost;        /* what `watch` lost, as far as counted */
    uint64_t told[LOSS_COUNT];   /* losses that were logged */
    struct process_facts facts;  /* the watching thread's, as are the next two */
    struct process_lives lives;
    uint64_t unswept; /* sightings since what is gone was looked for */

    pthread_mutex_t lock; /* guards what follows */
    struct process_cache cache;
    uint64_t seen;
    uint64_t lost[LOSS_COUNT];
};

static const char *const event_types[] = {
    [PROCESS_FORK] = "FORK", [PROCESS_EXEC] = "EXEC", [PROCESS_EXIT] = "EXIT"};

/* ---- in the watching thread ---- */

#define KTHREADD 2 /* whose children are the kernel's own threads */

/* Reads a process that lives, and remembers it. */
static void learn(struct process *process, pid_t pid)
{
    procfs_read(process->proc_fd, pid, &process->facts);
    process_lives_put(&process->lives, &process->facts);
}

static bool is_gone(void *self, uint32_t pid)
{
    const struct process *process = self;
    char name[16];
    snprintf(name, sizeof(name), "%u", pid);
    return faccessat(process->proc_fd, name, F_OK, 0) != 0;
}

/* Where ends were lost, what is remembered may be of the dead. */
static void sweep(struct process *process)
{
    process->unswept++;
    if (!process_lives_full(&process->lives) || process->unswept < PROCESS_LIVES_MAX)
        return;
    process_lives_sweep(&process->lives, is_gone, process);
    process->unswept = 0;
}

/* The facts of a fork: its parent's. False: it is none of a program. */
static bool take_fork(struct process *process, const struct process_sighting *sighting)
{
    uint32_t pid = (uint32_t)sighting->pid, parent = (uint32_t)sighting->parent;
    const struct process_live *from = process_lives_find(&process->lives, parent);
    if (sighting->parent == KTHREADD || (from != NULL && from->kernel_thread)) {
        process_lives_put_kernel_thread(&process->lives, pid);
        return false;
    }
    if (from == NULL && sighting->parent > 0)
        learn(process, sighting->parent);
    process_lives_fork(&process->lives, pid, parent);
    process_lives_facts(process_lives_find(&process->lives, parent), pid, parent, &process->facts);
    return true;
}

/* The facts of what has ended: what was remembered, or what the kernel keeps until its parent has
 * heard of it. */
static bool take_exit(struct process *process, const struct process_sighting *sighting)
{
    uint32_t pid = (uint32_t)sighting->pid;
    const struct process_live *live = process_lives_find(&process->lives, pid);
    bool kernel_thread = live != NULL && live->kernel_thread;
    if (live == NULL || (live->known == NULL && !kernel_thread))
        procfs_read(process->proc_fd, sighting->pid, &process->facts);
    else
        process_lives_facts(live, pid, live->parent, &process->facts);
    process_lives_remove(&process->lives, pid);
    return !kernel_thread;
}

/* Remembers what runs before the first is told. */
static void begin(void *self)
{
    struct process *process = self;
    process_lives_done(&process->lives);
    if (process_watch_events(process->watch) == PROCESS_EVENT_BIT(PROCESS_EXEC))
        return; /* nothing will be asked of it */
    DIR *directory = opendir(process->proc_dir);
    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        uint64_t pid;
        struct process_stat stat;
        if (!span_u64(span_of(entry->d_name), INT32_MAX, &pid) || pid == 0 ||
            !procfs_stat(process->proc_fd, (pid_t)pid, &stat))
            continue;
        if (stat.kernel_thread)
            process_lives_put_kernel_thread(&process->lives, (uint32_t)pid);
        else
            learn(process, (pid_t)pid);
    }
    closedir(directory);
}

/* Keeps what was seen. */
static void keep(void *self, const struct process_sighting *sighting)
{
    struct process *process = self;
    int64_t now_us = clock_wall_us(process->clock);
    bool exec = sighting->type == PROCESS_EXEC, wanted = true;
    if (exec && !collector_admit(process->gate, 1)) {
        process_lives_remove(&process->lives, (uint32_t)sighting->pid); /* it is another now */
        return;
    }
    if (sighting->type == PROCESS_FORK)
        wanted = take_fork(process, sighting);
    else if (sighting->type == PROCESS_EXIT)
        wanted = take_exit(process, sighting);
    else if (process_watch_events(process->watch) == PROCESS_EVENT_BIT(PROCESS_EXEC))
        procfs_read(process->proc_fd, sighting->pid, &process->facts);
    else
        learn(process, sighting->pid);
    sweep(process);
    if (!wanted || (!exec && !collector_admit(process->gate, 1)))
        return;

    pthread_mutex_lock(&process->lock);
    process->seen++;
    if (process_cache_add(&process->cache, now_us, sighting, &process->facts,
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
    process_lives_done(&process->lives);
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

/* Whether what watches now also does for other settings. */
static bool watch_serves(
    const struct process *process, unsigned events, enum process_mode mode, int64_t interval_us)
{
    if (process->watch == NULL || process_watch_events(process->watch) != events)
        return false;
    if (process_watch_is_netlink(process->watch))
        return mode != PROCESS_MODE_POLLING;
    /* Who turns to Auto wants netlink tried. */
    return interval_us == process_watch_interval_us(process->watch) &&
           (mode == process->mode || mode == PROCESS_MODE_POLLING);
}

/* The new watch is open before the old one ends: a process that starts in that very moment may be
 * seen twice, but is not missed. */
static enum err change_watch(struct process *process, unsigned events, enum process_mode mode,
    int64_t interval_us, struct why *why)
{
    const struct process_watch_options options = {.mode = mode,
        .interval_us = interval_us,
        .proc_dir = process->proc_dir,
        .gate = process->gate,
        .events = events,
        .begin = begin,
        .seen = keep,
        .self = process};
    struct process_watch *watch;
    enum err err = process_watch_new(&options, &watch, why);
    if (err != ERR_NONE)
        return err;
    stop(process);
    process->watch = watch;
    process_watch_go(watch);
    return ERR_NONE;
}

static enum err start(
    void *state, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct process *process = state;
    enum process_mode mode = (enum process_mode)settings_int(settings, SETTING_PROCESS_MODE);
    int64_t interval_us = settings_int(settings, SETTING_PROCESS_POLLING_INTERVAL);
    size_t bound = (size_t)settings_int(settings, SETTING_PROCESS_CACHE_SIZE);
    size_t old_bound = process->cache.entries_max;
    enum err err = ERR_NONE;

    *ret_field = NULL;
    if (bound > old_bound)
        err = set_bound(process, bound);
    if (err != ERR_NONE)
        return fail(err, why, "%s", err_row(err)->text);
    unsigned events = events_of(settings);
    if (!watch_serves(process, events, mode, interval_us))
        err = change_watch(process, events, mode, interval_us, why);
    if (err == ERR_REFUSED)
        *ret_field = setting_row(SETTING_PROCESS_MODE)->name;
    /* A smaller bound drops entries, so it comes when nothing can fail any more. Where the table
     * cannot shrink for want of memory, the larger bound does no harm. */
    if (err != ERR_NONE && old_bound > 0)
        (void)!set_bound(process, old_bound);
    if (err != ERR_NONE)
        return err;
    process->mode = mode;
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
    if (process->proc_fd >= 0)
        close(process->proc_fd);
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
    process->proc_fd = open(options->proc_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (process->proc_fd < 0) {
        enum err err = fail(ERR_IO, why, "%s: %s", options->proc_dir, strerror(errno));
        process_free(process);
        return err;
    }
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
