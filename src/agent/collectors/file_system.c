/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to the files and directories below the paths of the settings: made, removed, moved,
 * written to, their metadata changed. That a file is read, opened or closed is not collected: it
 * would drown the rest. The kernel merges a write with one right before it that nobody has heard of
 * yet, so the hit count of Modified says "at least".
 */
#include "collector.h"
#include "event_cache.h"
#include "file_watch.h"
#include "log.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>

/* Bounds what hostile names can hold; the default 256 entries fit at their longest. */
#define CACHE_BYTES_MAX (8u * 1024 * 1024)

struct file_system {
    const struct clock *clock;
    struct collector_gate *gate;
    struct file_watch *watch; /* NULL: stopped */
    struct event_cache cache;
    uint64_t seen;
    uint64_t lost[LOSS_COUNT];
    uint64_t overflows; /* of `watch`, as far as counted */
    uint64_t told[LOSS_COUNT];
};

static const struct kind {
    uint32_t mask;
    const char *word;
    const char *direction;
} kinds[] = {
    {IN_CREATE, "Created", NULL},
    {IN_DELETE, "Deleted", NULL},
    {IN_MODIFY, "Modified", NULL},
    {IN_ATTRIB, "Metadata changed", NULL},
    {IN_MOVED_FROM, "Moved", "FROM"},
    {IN_MOVED_TO, "Moved", "TO"},
};

/* The key of an entry is the number of its kind, one byte, and the path; its value two flags and
 * the path it was moved from. */
enum { IS_DIRECTORY = 1, IS_CUT = 2 };

static void seen(void *self, const struct file_seen *what)
{
    struct file_system *files = self;
    char key[FILE_PATH_MAX + 1], value[FILE_PATH_MAX + 1];
    size_t kind = 0;
    while (kind < COUNT_OF(kinds) && (kinds[kind].mask & what->mask) == 0)
        kind++;
    if (kind == COUNT_OF(kinds))
        return;
    struct span path = span_first(what->path, FILE_PATH_MAX);
    struct span from = span_first(what->moved_from, FILE_PATH_MAX);
    key[0] = (char)kind;
    memcpy(key + 1, path.ptr, path.len);
    value[0] = (char)((what->directory ? IS_DIRECTORY : 0) | (what->cut ? IS_CUT : 0));
    if (from.len > 0)
        memcpy(value + 1, from.ptr, from.len);
    if (!collector_admit(files->gate, 1))
        return;
    files->seen++;
    if (event_cache_add(&files->cache, clock_wall_us(files->clock),
            (struct span){key, path.len + 1}, (struct span){value, from.len + 1},
            &files->lost[LOSS_CACHE_BOUND]) != ERR_NONE)
        files->lost[LOSS_MEMORY]++;
}

static void count_overflows(struct file_system *files)
{
    if (files->watch == NULL)
        return;
    uint64_t overflows = file_watch_state(files->watch).overflows;
    files->lost[LOSS_KERNEL_BUFFER] += overflows - files->overflows;
    files->overflows = overflows;
}

static void stop(void *state)
{
    struct file_system *files = state;
    if (files->watch != NULL && !file_watch_drain(files->watch))
        files->lost[LOSS_KERNEL_BUFFER]++; /* and nobody knows how much */
    count_overflows(files);
    file_watch_close(files->watch);
    files->watch = NULL;
    files->overflows = 0;
}

static enum err start(
    void *state, const struct settings *settings, const char **ret_field, struct why *why)
{
    struct file_system *files = state;
    const struct file_watch_options options = {.clock = files->clock, .seen = seen, .self = files};
    size_t bound = (size_t)settings_int(settings, SETTING_FILE_SYSTEM_CACHE_SIZE);
    size_t old_bound = files->cache.entries_max;
    bool opened = false;
    enum err err = ERR_NONE;
    *ret_field = NULL;
    if (bound > old_bound)
        err = event_cache_set_bound(&files->cache, bound, &files->lost[LOSS_CACHE_BOUND]);
    if (err != ERR_NONE)
        return fail(err, why, "%s", err_row(err)->text);
    bool any = settings_list(settings, SETTING_FILE_SYSTEM_PATHS).len > 0;
    if (any && files->watch == NULL) {
        err = file_watch_open(&options, &files->watch, why);
        opened = err == ERR_NONE;
        if (err == ERR_REFUSED)
            *ret_field = setting_row(SETTING_FILE_SYSTEM_PATHS)->name;
    }
    if (!any)
        stop(files);
    if (any && err == ERR_NONE)
        err = file_watch_set(files->watch, settings_list(settings, SETTING_FILE_SYSTEM_PATHS),
            settings_bool(settings, SETTING_FILE_SYSTEM_RECURSIVE),
            (size_t)settings_int(settings, SETTING_FILE_SYSTEM_WATCHES_MAX), why);
    if (err != ERR_NONE && opened)
        stop(files);
    /* A smaller bound drops entries, so it comes when nothing can fail any more. */
    if (bound < old_bound && err == ERR_NONE)
        (void)!event_cache_set_bound(&files->cache, bound, &files->lost[LOSS_CACHE_BOUND]);
    return err;
}

static size_t descriptors(void *state, int *ret_fds, size_t room)
{
    const struct file_system *files = state;
    return files->watch == NULL ? 0 : file_watch_descriptors(files->watch, ret_fds, room);
}

static int64_t run(void *state)
{
    struct file_system *files = state;
    return files->watch == NULL ? INT64_MAX : file_watch_run(files->watch);
}

static bool set_text(struct arena *arena, struct json *object, const char *name, struct span text)
{
    return text.len == 0 || json_set_text(arena, object, name, text);
}

static struct json *payload_of(struct collector_writer *writer, const struct event_entry *entry)
{
    struct arena *arena;
    struct json *payload = collector_payload(writer, &arena);
    if (payload == NULL)
        return NULL;
    const struct kind *kind = &kinds[(unsigned char)entry->key.ptr[0]];
    unsigned flags = (unsigned char)entry->value.ptr[0];
    bool done = json_set_text(arena, payload, "mask", span_of(kind->word)) &&
                json_set_text(arena, payload, "path", span_from(entry->key, 1)) &&
                json_set_bool(arena, payload, "is_directory", (flags & IS_DIRECTORY) != 0) &&
                set_text(arena, payload, "direction", span_of(kind->direction)) &&
                set_text(arena, payload, "moved_from", span_from(entry->value, 1)) &&
                set_text(arena, payload, "path_state", span_of((flags & IS_CUT) ? "CUT" : NULL)) &&
                json_set_int(arena, payload, "hit_count", (int64_t)entry->hit_count);
    return done ? payload : NULL;
}

/* Says once a collection what was lost since the last one. */
static void tell_losses(struct file_system *files)
{
    uint64_t count = files->lost[LOSS_KERNEL_BUFFER] - files->told[LOSS_KERNEL_BUFFER];
    if (count > 0)
        log_warn("filesystem",
            "the kernel's queue was full %llu times, and an unknown number of events is lost; a "
            "larger sysctl fs.inotify.max_queued_events would keep them",
            (unsigned long long)count);
    count = files->lost[LOSS_CACHE_BOUND] - files->told[LOSS_CACHE_BOUND];
    if (count > 0)
        log_warn("filesystem",
            "%llu events gave way to newer ones; a larger %s than %zu would keep "
            "them",
            (unsigned long long)count, setting_row(SETTING_FILE_SYSTEM_CACHE_SIZE)->name,
            files->cache.entries_max);
    memcpy(files->told, files->lost, sizeof(files->told));
}

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    struct file_system *files = state;
    count_overflows(files);
    tell_losses(files);
    enum err ret = ERR_NONE;
    struct event_entry *entry = event_cache_take(&files->cache);
    while (entry != NULL) {
        enum err err =
            collector_write(writer, entry->time_us, entry->hit_count, payload_of(writer, entry));
        if (err == ERR_TOO_LARGE)
            collector_lose(writer, LOSS_TOO_LARGE, entry->hit_count);
        if (err != ERR_NONE)
            ret = fail(err, why, "an event of a file could not be written: %s", err_row(err)->text);
        struct event_entry *next = entry->next;
        mem_free(entry);
        entry = next;
    }
    if (files->watch != NULL)
        file_watch_retry(files->watch);
    return ret;
}

static void count(void *state, struct collector_counts *ret_counts)
{
    struct file_system *files = state;
    count_overflows(files);
    ret_counts->seen = files->seen;
    ret_counts->waiting = files->cache.hits;
    memcpy(ret_counts->lost, files->lost, sizeof(files->lost));
}

static bool status(void *state, struct arena *arena, struct json *object)
{
    const struct file_system *files = state;
    if (files->watch == NULL)
        return true;
    struct file_watch_state watched = file_watch_state(files->watch);
    return json_set_int(arena, object, "watched", (int64_t)watched.watched) &&
           json_set_int(arena, object, "unwatched", (int64_t)watched.unwatched);
}

static void file_system_free(void *state)
{
    struct file_system *files = state;
    if (files == NULL)
        return;
    stop(files);
    event_cache_done(&files->cache);
    mem_free(files);
}

static enum err file_system_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct file_system *files = mem_alloc(sizeof(*files));
    if (files == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    files->clock = options->clock;
    files->gate = options->gate;
    event_cache_init(
        &files->cache, CACHE_BYTES_MAX, (uint64_t)options->random() << 32 | options->random());
    *ret_state = files;
    return ERR_NONE;
}

const struct collector file_system_collector = {
    .name = "FileSystem",
    .part = PART_FILE_SYSTEM,
    .disabled = SETTING_FILE_SYSTEM_DISABLED,
    .frequency = SETTING_FILE_SYSTEM_MESSAGE_FREQUENCY,
    .capabilities = UINT64_C(1) << CAP_DAC_READ_SEARCH,
    .new = file_system_new,
    .free = file_system_free,
    .start = start,
    .stop = stop,
    .descriptors = descriptors,
    .run = run,
    .collect = collect,
    .count = count,
    .status = status,
};
