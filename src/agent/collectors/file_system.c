/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to the files and directories below the paths of the settings: made, removed, moved,
 * written to, their metadata changed. That a file is read, opened or closed is not collected: it
 * would drown the rest. The kernel merges a write with one right before it that nobody has heard of
 * yet, so the hit count of Modified says "at least".
 */
#include "collector.h"
#include "file_watch.h"
#include "held_events.h"
#include "log.h"

#include <linux/capability.h>
#include <string.h>
#include <sys/inotify.h>

/* Bounds what hostile names can hold; the default 256 entries fit at their longest. */
#define CACHE_BYTES_MAX (8u * 1024 * 1024)

struct file_system {
    const struct clock *clock;
    struct file_watch *watch; /* NULL: stopped */
    struct held_events held;
    uint64_t overflows; /* of `watch`, as far as counted */
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
    held_events_add(
        &files->held, (struct span){key, path.len + 1}, (struct span){value, from.len + 1});
}

static void count_overflows(struct file_system *files)
{
    if (files->watch == NULL)
        return;
    uint64_t overflows = file_watch_state(files->watch).overflows;
    files->held.lost[LOSS_KERNEL_BUFFER] += overflows - files->overflows;
    files->overflows = overflows;
}

static void stop(void *state)
{
    struct file_system *files = state;
    if (files->watch != NULL && !file_watch_drain(files->watch))
        files->held.lost[LOSS_KERNEL_BUFFER]++; /* and nobody knows how much */
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
    size_t old_bound = files->held.cache.entries_max;
    bool opened = false;
    enum err err = ERR_NONE;
    *ret_field = NULL;
    if (bound > old_bound)
        err = held_events_set_bound(&files->held, bound);
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
        (void)!held_events_set_bound(&files->held, bound);
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

static struct json *payload_of(
    void *self UNUSED, struct collector_writer *writer, const struct event_entry *entry)
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

static enum err collect(void *state, struct collector_writer *writer, struct why *why)
{
    static const struct held_events_kind kind = {.part = "filesystem",
        .bound = SETTING_FILE_SYSTEM_CACHE_SIZE,
        .what = "an event of a file",
        .payload = payload_of};
    struct file_system *files = state;
    count_overflows(files);
    uint64_t overflows = held_events_untold(&files->held, LOSS_KERNEL_BUFFER);
    if (overflows > 0)
        log_warn("filesystem",
            "the kernel's queue was full %llu times, and an unknown number of events is lost; a "
            "larger sysctl fs.inotify.max_queued_events would keep them",
            (unsigned long long)overflows);
    enum err err = held_events_write(&files->held, &kind, files, writer, why);
    if (files->watch != NULL)
        file_watch_retry(files->watch);
    return err;
}

static void count(void *state, struct collector_counts *ret_counts)
{
    struct file_system *files = state;
    count_overflows(files);
    held_events_count(&files->held, ret_counts);
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
    held_events_done(&files->held);
    mem_free(files);
}

static enum err file_system_new(
    const struct collectors_options *options, void **ret_state, struct why *why)
{
    struct file_system *files = mem_alloc(sizeof(*files));
    if (files == NULL)
        return fail(ERR_MEMORY, why, "%s", err_row(ERR_MEMORY)->text);
    files->clock = options->clock;
    held_events_init(&files->held, options, CACHE_BYTES_MAX);
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
