/* SPDX-License-Identifier: Apache-2.0 */
#include "outbox.h"

#include "log.h"
#include "mem.h"
#include "segment_priv.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define PART "outbox"
#define SEGMENT_NAME_SIZE 32

/* A wall clock that moved against the monotonic one by more than this was set by somebody. */
#define CLOCK_STEP_US (60 * (int64_t)1000000)

struct segment {
    struct segment *next; /* younger */
    int fd;
    uint64_t first; /* sequence of its first record */
    uint64_t size;  /* bytes of valid records */
};

struct cursor {
    struct segment *segment; /* NULL while there is none */
    uint64_t offset;
};

struct outbox {
    struct outbox_options options;
    int dir_fd;
    int lock_fd;
    int head_fd;
    struct segment *oldest;
    struct segment *youngest;
    struct cursor head;        /* the oldest message kept */
    struct cursor next;        /* the one to hand out */
    struct cursor before_next; /* the one handed out last */
    uint64_t handed_out;       /* messages between the two */
    uint64_t head_sequence;    /* everything before is done with */
    uint64_t end_sequence;     /* of the next append */
    int64_t timeout_us;        /* 0: none */
    bool unsynced;
    bool dir_unsynced;
    /* Messages older than a step of the wall clock are taken to be from that moment. */
    int64_t clock_offset_us;
    int64_t step_wall_us;
    uint64_t step_sequence;
    struct outbox_counters counters;
};

static void segment_name(uint64_t first, char ret_name[SEGMENT_NAME_SIZE])
{
    snprintf(ret_name, SEGMENT_NAME_SIZE, "%016" PRIx64 ".segment", first);
}

static void save_head(struct outbox *outbox)
{
    /* Not synced: after a loss of power some messages are sent twice, which is allowed. */
    uint64_t words[2] = {htole64(outbox->head_sequence), htole64(~outbox->head_sequence)};
    if (pwrite(outbox->head_fd, words, sizeof(words), 0) != (ssize_t)sizeof(words))
        log_warn(PART, "cannot note what was sent: %s", strerror(errno));
}

static uint64_t load_head(const struct outbox *outbox)
{
    uint64_t words[2];
    if (pread(outbox->head_fd, words, sizeof(words), 0) != (ssize_t)sizeof(words))
        return 0;
    uint64_t sequence = le64toh(words[0]);
    return sequence == ~le64toh(words[1]) ? sequence : 0;
}

static void remove_oldest_segment(struct outbox *outbox)
{
    char name[SEGMENT_NAME_SIZE];
    struct segment *segment = outbox->oldest;
    must(segment != NULL);
    segment_name(segment->first, name);
    if (unlinkat(outbox->dir_fd, name, 0) != 0 && errno != ENOENT)
        log_warn(PART, "removing %s: %s", name, strerror(errno));
    close(segment->fd);
    outbox->oldest = segment->next;
    if (outbox->oldest == NULL)
        outbox->youngest = NULL;
    mem_free(segment);
}

/* Moves both cursors off the ends of segments, and removes the segments left behind. */
static void settle(struct outbox *outbox)
{
    while (outbox->head.segment != NULL && outbox->head.offset >= outbox->head.segment->size &&
           outbox->head.segment->next != NULL) {
        must(outbox->head.segment == outbox->oldest);
        bool together = outbox->next.segment == outbox->head.segment;
        outbox->head = (struct cursor){outbox->head.segment->next, 0};
        if (together)
            outbox->next = outbox->head;
        remove_oldest_segment(outbox);
    }
    if (outbox->handed_out == 0)
        outbox->next = outbox->head;
    while (outbox->next.segment != NULL && outbox->next.offset >= outbox->next.segment->size &&
           outbox->next.segment->next != NULL)
        outbox->next = (struct cursor){outbox->next.segment->next, 0};
}

/* Gives up what stands from an offset to the end of its segment. */
static void cut(struct outbox *outbox, struct segment *segment, uint64_t offset, uint64_t sequence)
{
    uint64_t behind = segment->next == NULL ? outbox->end_sequence : segment->next->first;
    uint64_t lost = behind > sequence ? behind - sequence : 0;
    log_warn(PART, "%" PRIu64 " damaged messages are dropped", lost);
    outbox->counters.damaged += lost;
    outbox->counters.kept -= lost < outbox->counters.kept ? lost : outbox->counters.kept;
    outbox->counters.kept_bytes -= segment->size - offset;
    segment->size = offset;
    if (ftruncate(segment->fd, (off_t)offset) != 0)
        log_warn(PART, "cutting a damaged segment: %s", strerror(errno));
}

/* Reads the header of the oldest message; false when there is none. */
static bool peek(struct outbox *outbox, struct record *ret_record)
{
    struct why why;
    for (;;) {
        settle(outbox);
        struct cursor *head = &outbox->head;
        if (head->segment == NULL || head->offset >= head->segment->size)
            return false;
        if (record_read(head->segment->fd, head->offset, NULL, ret_record, &why) == ERR_NONE)
            return true;
        outbox->handed_out = 0;
        cut(outbox, head->segment, head->offset, outbox->head_sequence);
    }
}

static void remove_oldest(struct outbox *outbox, const struct record *record)
{
    outbox->head.offset += record_size(record);
    outbox->head_sequence = record->sequence + 1;
    outbox->counters.kept--;
    outbox->counters.kept_bytes -= record_size(record);
    if (outbox->handed_out > 0)
        outbox->handed_out--;
    settle(outbox);
}

/* ---- opening ---- */

static void close_dir(struct outbox *outbox)
{
    int *fds[] = {&outbox->head_fd, &outbox->lock_fd, &outbox->dir_fd};
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

static enum err open_dir(struct outbox *outbox, struct why *why)
{
    const char *dir = outbox->options.dir;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return fail(errno == ENOSPC ? ERR_STORAGE_FULL : ERR_IO, why, "making %s: %s", dir,
            strerror(errno));
    outbox->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (outbox->dir_fd < 0)
        return fail(ERR_IO, why, "opening %s: %s", dir, strerror(errno));
    outbox->lock_fd = openat(outbox->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (outbox->lock_fd < 0)
        return fail(ERR_IO, why, "opening %s/lock: %s", dir, strerror(errno));
    if (flock(outbox->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return fail(errno == EWOULDBLOCK ? ERR_REFUSED : ERR_IO, why,
            "%s is in use: another gemel-agent runs on this state directory", dir);
    outbox->head_fd = openat(outbox->dir_fd, "head", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (outbox->head_fd < 0)
        return fail(ERR_IO, why, "opening %s/head: %s", dir, strerror(errno));
    return ERR_NONE;
}

static bool first_of_name(const char *name, uint64_t *ret_first)
{
    char again[SEGMENT_NAME_SIZE];
    if (sscanf(name, "%16" SCNx64, ret_first) != 1)
        return false;
    segment_name(*ret_first, again);
    return strcmp(name, again) == 0;
}

/* Links a segment in, in the order of the sequences. */
static enum err add_segment(struct outbox *outbox, uint64_t first, int flags, struct why *why)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(first, name);
    struct segment *segment = mem_alloc(sizeof(*segment));
    if (segment == NULL)
        return fail(ERR_MEMORY, why, "no memory for the outbox");
    segment->first = first;
    segment->fd = openat(outbox->dir_fd, name, O_RDWR | O_CLOEXEC | flags, 0600);
    if (segment->fd < 0) {
        enum err err = errno == ENOENT                      ? ERR_NOT_FOUND
                       : errno == ENOSPC || errno == EDQUOT ? ERR_STORAGE_FULL
                                                            : ERR_IO;
        why_set(why, "opening %s: %s", name, strerror(errno));
        mem_free(segment);
        return err;
    }
    struct segment **link = &outbox->oldest;
    while (*link != NULL && (*link)->first < first)
        link = &(*link)->next;
    segment->next = *link;
    *link = segment;
    if (segment->next == NULL)
        outbox->youngest = segment;
    return ERR_NONE;
}

static enum err find_segments(struct outbox *outbox, struct why *why)
{
    DIR *dir = fdopendir(dup(outbox->dir_fd));
    if (dir == NULL)
        return fail(ERR_IO, why, "reading %s: %s", outbox->options.dir, strerror(errno));
    enum err err = ERR_NONE;
    rewinddir(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL && err == ERR_NONE;
         entry = readdir(dir)) {
        uint64_t first;
        if (first_of_name(entry->d_name, &first))
            err = add_segment(outbox, first, 0, why);
    }
    closedir(dir);
    return err;
}

/* Reads a segment through and counts what is kept; cuts it where a record is not whole. */
static enum err scan(struct outbox *outbox, struct segment *segment, struct buf *body)
{
    struct record record;
    struct why why;
    enum err err;
    while ((err = record_read(segment->fd, segment->size, body, &record, &why)) == ERR_NONE) {
        if (record.sequence < outbox->end_sequence)
            break;
        if (record.sequence >= outbox->head_sequence) {
            if (outbox->counters.kept == 0)
                outbox->head = (struct cursor){segment, segment->size};
            outbox->counters.kept++;
            outbox->counters.kept_bytes += record_size(&record);
        }
        segment->size += record_size(&record);
        outbox->end_sequence = record.sequence + 1;
    }
    if (err == ERR_MEMORY)
        return err;
    uint64_t wanted =
        outbox->end_sequence > outbox->head_sequence ? outbox->end_sequence : outbox->head_sequence;
    if (segment->next != NULL && segment->next->first > wanted)
        outbox->counters.damaged += segment->next->first - wanted;
    if (err == ERR_NOT_FOUND)
        return ERR_NONE;
    if (segment->next == NULL)
        log_info(PART, "a message that was being written when the agent stopped is cut off");
    if (ftruncate(segment->fd, (off_t)segment->size) != 0)
        log_warn(PART, "cutting a segment: %s", strerror(errno));
    return ERR_NONE;
}

static enum err scan_all(struct outbox *outbox, struct why *why)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    outbox->head_sequence = load_head(outbox);
    for (struct segment *segment = outbox->oldest; segment != NULL; segment = segment->next) {
        outbox->end_sequence = segment->first;
        if (scan(outbox, segment, &body) != ERR_NONE)
            return fail(ERR_MEMORY, why, "no memory to read the outbox");
    }
    if (outbox->end_sequence < outbox->head_sequence)
        outbox->end_sequence = outbox->head_sequence;
    if (outbox->end_sequence == 0)
        outbox->end_sequence = 1;
    if (outbox->counters.kept == 0) {
        while (outbox->oldest != NULL)
            remove_oldest_segment(outbox);
        outbox->head_sequence = outbox->end_sequence;
        return ERR_NONE;
    }
    while (outbox->oldest != outbox->head.segment)
        remove_oldest_segment(outbox);
    outbox->next = outbox->head;
    if (outbox->counters.damaged > 0)
        log_warn(PART, "%" PRIu64 " damaged messages are dropped", outbox->counters.damaged);
    return ERR_NONE;
}

enum err outbox_open(
    const struct outbox_options *options, struct outbox **ret_outbox, struct why *why)
{
    struct outbox *outbox = mem_alloc(sizeof(*outbox));
    if (outbox == NULL)
        return fail(ERR_MEMORY, why, "no memory for the outbox");
    *outbox = (struct outbox){.options = *options, .dir_fd = -1, .lock_fd = -1, .head_fd = -1};
    if (outbox->options.max_bytes == 0)
        outbox->options.max_bytes = OUTBOX_MAX_BYTES_DEFAULT;
    if (outbox->options.segment_bytes == 0)
        outbox->options.segment_bytes = outbox->options.max_bytes / 64;
    outbox->clock_offset_us = clock_wall_us(options->clock) - clock_mono_us(options->clock);
    enum err err = open_dir(outbox, why);
    if (err == ERR_NONE)
        err = find_segments(outbox, why);
    if (err == ERR_NONE)
        err = scan_all(outbox, why);
    if (err != ERR_NONE) {
        outbox_close(outbox);
        return err;
    }
    *ret_outbox = outbox;
    return ERR_NONE;
}

void outbox_close(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    outbox_sync(outbox);
    while (outbox->oldest != NULL) {
        struct segment *segment = outbox->oldest;
        outbox->oldest = segment->next;
        close(segment->fd);
        mem_free(segment);
    }
    close_dir(outbox);
    mem_free(outbox);
}

/* ---- appending ---- */

static enum err begin_segment(struct outbox *outbox, struct why *why)
{
    outbox_sync(outbox);
    enum err err = add_segment(outbox, outbox->end_sequence, O_CREAT | O_TRUNC, why);
    if (err != ERR_NONE)
        return err;
    outbox->dir_unsynced = true;
    if (outbox->head.segment == NULL)
        outbox->head = outbox->next = (struct cursor){outbox->youngest, 0};
    return ERR_NONE;
}

/* Whether a segment's file was removed under our hands. */
static bool is_gone(const struct segment *segment)
{
    struct stat stat;
    return fstat(segment->fd, &stat) == 0 && stat.st_nlink == 0;
}

enum err outbox_renew(struct outbox *outbox, struct why *why)
{
    outbox_sync(outbox);
    close_dir(outbox);
    /* No two segments begin with one sequence, for that is their name. */
    if (outbox->youngest != NULL && outbox->youngest->size == 0)
        outbox->end_sequence++;
    enum err err = open_dir(outbox, why);
    if (err == ERR_NONE)
        err = begin_segment(outbox, why);
    if (err != ERR_NONE) {
        outbox->counters.unwritten++;
        return err;
    }
    save_head(outbox);
    return ERR_NONE;
}

static void make_room(struct outbox *outbox, uint64_t size)
{
    struct record record;
    uint64_t dropped = 0;
    while (
        outbox->counters.kept_bytes + size > outbox->options.max_bytes && peek(outbox, &record)) {
        remove_oldest(outbox, &record);
        dropped++;
    }
    if (dropped == 0)
        return;
    outbox->counters.overflow += dropped;
    save_head(outbox);
    log_warn(PART, "full: the oldest %" PRIu64 " messages are dropped", dropped);
}

static enum err append(struct outbox *outbox, struct span body, uint32_t events, struct why *why)
{
    struct record record = {.length = (uint32_t)body.len,
        .events = events,
        .sequence = outbox->end_sequence,
        .wall_us = clock_wall_us(outbox->options.clock)};
    for (size_t i = 0; i < sizeof(record.id); i += sizeof(uint32_t)) {
        uint32_t word = outbox->options.random();
        memcpy(record.id + i, &word, sizeof(word));
    }
    uint64_t size = record_size(&record);
    if (body.len > OUTBOX_MESSAGE_MAX_BYTES || size > outbox->options.max_bytes)
        return fail(
            ERR_TOO_LARGE, why, "a message of %zu bytes is more than the outbox takes", body.len);
    struct segment *segment = outbox->youngest;
    if (segment != NULL && is_gone(segment))
        return fail(ERR_NOT_FOUND, why, "%s was removed", outbox->options.dir);
    make_room(outbox, size);
    segment = outbox->youngest;
    if (segment == NULL ||
        (segment->size > 0 && segment->size + size > outbox->options.segment_bytes)) {
        enum err err = begin_segment(outbox, why);
        if (err != ERR_NONE)
            return err;
        segment = outbox->youngest;
    }
    enum err err = record_write(segment->fd, segment->size, &record, body, why);
    if (err != ERR_NONE)
        return err;
    segment->size += size;
    outbox->end_sequence++;
    outbox->counters.kept++;
    outbox->counters.kept_bytes += size;
    outbox->counters.appended++;
    outbox->unsynced = true;
    return ERR_NONE;
}

enum err outbox_append(struct outbox *outbox, struct span body, uint32_t events, struct why *why)
{
    enum err err = append(outbox, body, events, why);
    if (err != ERR_NONE && err != ERR_NOT_FOUND)
        outbox->counters.unwritten++;
    return err;
}

void outbox_sync(struct outbox *outbox)
{
    if (outbox->unsynced && fdatasync(outbox->youngest->fd) != 0)
        log_warn(PART, "syncing the outbox: %s", strerror(errno));
    if (outbox->dir_unsynced && fsync(outbox->dir_fd) != 0)
        log_warn(PART, "syncing %s: %s", outbox->options.dir, strerror(errno));
    outbox->unsynced = outbox->dir_unsynced = false;
}

/* ---- handing out ---- */

static uint64_t expected_at_next(const struct outbox *outbox)
{
    return outbox->head_sequence + outbox->handed_out;
}

enum err outbox_next(struct outbox *outbox, struct buf *body, struct outbox_message *ret_message)
{
    struct record record;
    struct why why;
    for (;;) {
        settle(outbox);
        struct cursor *next = &outbox->next;
        if (next->segment == NULL || next->offset >= next->segment->size)
            return ERR_NOT_FOUND;
        enum err err = record_read(next->segment->fd, next->offset, body, &record, &why);
        if (err == ERR_MEMORY)
            return err;
        if (err == ERR_NONE)
            break;
        cut(outbox, next->segment, next->offset, expected_at_next(outbox));
    }
    outbox->before_next = outbox->next;
    outbox->next.offset += record_size(&record);
    outbox->handed_out++;
    ret_message->sequence = record.sequence;
    ret_message->wall_us = record.wall_us;
    ret_message->events = record.events;
    for (size_t i = 0; i < sizeof(record.id); i++)
        snprintf(ret_message->id + 2 * i, 3, "%02x", record.id[i]);
    return ERR_NONE;
}

void outbox_put_back(struct outbox *outbox)
{
    must(outbox->handed_out > 0);
    outbox->handed_out--;
    outbox->next = outbox->before_next;
}

void outbox_rewind(struct outbox *outbox)
{
    outbox->handed_out = 0;
    settle(outbox);
}

void outbox_ack(struct outbox *outbox, uint64_t sequence)
{
    struct record record;
    uint64_t before = outbox->counters.sent;
    while (outbox->handed_out > 0 && peek(outbox, &record) && record.sequence <= sequence) {
        remove_oldest(outbox, &record);
        outbox->counters.sent++;
    }
    if (outbox->counters.sent != before)
        save_head(outbox);
}

/* ---- time ---- */

void outbox_set_timeout(struct outbox *outbox, int64_t timeout_us)
{
    outbox->timeout_us = timeout_us;
}

/* A device without a battery clock starts in the past; when its clock is set, what waits must not
 * look decades old. */
static void watch_clock(struct outbox *outbox, int64_t wall_us, int64_t mono_us)
{
    int64_t offset = wall_us - mono_us;
    int64_t moved = offset - outbox->clock_offset_us;
    outbox->clock_offset_us = offset;
    if (moved > -CLOCK_STEP_US && moved < CLOCK_STEP_US)
        return;
    outbox->step_wall_us = wall_us;
    outbox->step_sequence = outbox->end_sequence;
}

int64_t outbox_expire(struct outbox *outbox)
{
    struct record record;
    int64_t wall_us = clock_wall_us(outbox->options.clock);
    int64_t mono_us = clock_mono_us(outbox->options.clock);
    uint64_t dropped = 0;
    int64_t due = INT64_MAX;
    watch_clock(outbox, wall_us, mono_us);
    while (outbox->timeout_us > 0 && outbox->handed_out == 0 && peek(outbox, &record)) {
        int64_t since =
            record.sequence < outbox->step_sequence ? outbox->step_wall_us : record.wall_us;
        if (wall_us - since < outbox->timeout_us) {
            due = mono_us + outbox->timeout_us - (wall_us - since);
            break;
        }
        remove_oldest(outbox, &record);
        dropped++;
    }
    if (dropped == 0)
        return due;
    outbox->counters.expired += dropped;
    save_head(outbox);
    log_warn(PART,
        "%" PRIu64 " messages waited longer than IothubModule_MessageTimeout and are dropped",
        dropped);
    return due;
}

const struct outbox_counters *outbox_counters(const struct outbox *outbox)
{
    return &outbox->counters;
}
