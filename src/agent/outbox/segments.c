/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "mem.h"
#include "outbox_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* Open files are scarce: of a larger outbox, those between the head and the youngest are closed. */
#define OPEN_FILES 64u

static void segment_name(uint64_t first, char ret_name[SEGMENT_NAME_SIZE])
{
    snprintf(ret_name, SEGMENT_NAME_SIZE, "%016" PRIx64 ".segment", first);
}

bool segment_of_name(const char *name, uint64_t *ret_first)
{
    char again[SEGMENT_NAME_SIZE];
    if (sscanf(name, "%16" SCNx64, ret_first) != 1)
        return false;
    segment_name(*ret_first, again);
    return strcmp(name, again) == 0;
}

static enum err no_file(int error, const char *name, struct why *why)
{
    bool full = error == ENOSPC || error == EDQUOT;
    bool scarce = error == EMFILE || error == ENFILE || error == ENOMEM;
    enum err err = full ? ERR_STORAGE_FULL : scarce ? ERR_MEMORY : ERR_IO;
    return fail(err, why, "opening %s: %s", name, strerror(error));
}

static enum err open_file(
    struct outbox *outbox, uint64_t first, int flags, int *ret_fd, struct why *why)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(first, name);
    int access = outbox->homeless ? O_RDONLY : O_RDWR;
    int fd = openat(outbox->dir_fd, name, access | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return no_file(errno, name, why);
    outbox->open_files++;
    *ret_fd = fd;
    return ERR_NONE;
}

static void remove_file(struct outbox *outbox, uint64_t first)
{
    char name[SEGMENT_NAME_SIZE];
    segment_name(first, name);
    if (outbox->dir_fd < 0 || outbox->homeless)
        return; /* the next start finds that it is done with */
    if (unlinkat(outbox->dir_fd, name, 0) != 0 && errno != ENOENT)
        log_warn(PART, "removing %s: %s", name, strerror(errno));
}

void segment_close(struct outbox *outbox, struct segment *segment)
{
    if (segment->fd < 0)
        return;
    close(segment->fd);
    segment->fd = -1;
    outbox->open_files--;
}

static bool may_close(const struct outbox *outbox, const struct segment *segment)
{
    return !segment->in_memory && segment->next != NULL && segment != outbox->head.segment &&
           segment != outbox->next.segment;
}

void segment_rest(struct outbox *outbox, struct segment *segment)
{
    if (outbox->open_files > OPEN_FILES && may_close(outbox, segment))
        segment_close(outbox, segment);
}

enum err segment_need(struct outbox *outbox, struct segment *segment, struct why *why)
{
    return segment->fd >= 0 ? ERR_NONE : open_file(outbox, segment->first, 0, &segment->fd, why);
}

/* Links a segment in, in the order of the sequences. */
static void link_in(struct outbox *outbox, struct segment *segment)
{
    struct segment **link = &outbox->oldest;
    if (outbox->youngest != NULL && outbox->youngest->first < segment->first)
        link = &outbox->youngest->next;
    while (*link != NULL && (*link)->first < segment->first)
        link = &(*link)->next;
    segment->next = *link;
    *link = segment;
    if (segment->next == NULL)
        outbox->youngest = segment;
}

enum err segment_add(struct outbox *outbox, uint64_t first, int fd, struct why *why)
{
    struct segment *segment = mem_alloc(sizeof(*segment));
    if (segment == NULL)
        return fail(ERR_MEMORY, why, "no memory for the outbox");
    *segment = (struct segment){.first = first, .fd = fd};
    link_in(outbox, segment);
    return ERR_NONE;
}

void segments_remove_oldest(struct outbox *outbox)
{
    struct segment *segment = outbox->oldest;
    must(segment != NULL);
    /* What its records do not say any more, for somebody wrote into them. */
    for (size_t i = 0; i < COUNT_OF(segment->tallies.of); i++)
        if (segment->tallies.of[i] > 0) {
            ledger_lose(&outbox->ledger, LOSS_DAMAGED, &segment->tallies);
            break;
        }
    outbox->oldest = segment->next;
    if (outbox->oldest == NULL)
        outbox->youngest = NULL;
    if (!segment->in_memory) {
        book_sync(outbox);
        remove_file(outbox, segment->first);
    }
    segment_close(outbox, segment);
    mem_free(segment);
}

/* ---- the end of a segment ---- */

/* Whether everything that was ever written to a segment is wanted still. */
static bool is_whole(const struct outbox *outbox, const struct segment *segment)
{
    return segment != outbox->head.segment || outbox->head.offset == 0;
}

/* Writes behind the records of a segment what stands in it, so that the next start need not read
 * them. It is no misfortune if that fails. */
static void seal(struct outbox *outbox, struct segment *segment)
{
    unsigned char tallies[LEDGER_TALLIES_BYTES];
    struct summary summary = {.first = segment->first,
        .end = outbox->end_sequence,
        .records = segment->kept,
        .size = segment->size,
        .newest_us = segment->newest_us};
    if (segment->fd < 0 || segment->in_memory || segment->kept == 0 || !is_whole(outbox, segment))
        return;
    size_t len = ledger_write_tallies(&outbox->ledger, &segment->tallies, tallies);
    summary_write(segment->fd, &summary, (struct span){(const char *)tallies, len});
}

/* Takes an open file as the youngest segment. No two begin with one sequence, so one that took
 * nothing becomes it. */
static enum err begin_with(struct outbox *outbox, int fd, bool in_memory, struct why *why)
{
    struct segment *youngest = outbox->youngest;
    if (youngest != NULL && youngest->first == outbox->end_sequence) {
        must(youngest->size == 0);
        if (in_memory && !youngest->in_memory)
            remove_file(outbox, youngest->first);
        segment_close(outbox, youngest);
        youngest->fd = fd;
    } else if (segment_add(outbox, outbox->end_sequence, fd, why) != ERR_NONE) {
        close(fd);
        outbox->open_files--;
        if (!in_memory)
            remove_file(outbox, outbox->end_sequence);
        return ERR_MEMORY;
    }
    must(outbox->youngest != NULL && outbox->youngest->fd == fd);
    outbox->youngest->in_memory = in_memory;
    return ERR_NONE;
}

enum err segments_begin(struct outbox *outbox, struct why *why)
{
    int fd = -1;
    struct segment *before = outbox->youngest;
    if (before != NULL)
        seal(outbox, before);
    outbox_sync(outbox);
    enum err err = open_file(outbox, outbox->end_sequence, O_CREAT | O_TRUNC, &fd, why);
    if (err == ERR_NONE)
        err = begin_with(outbox, fd, false, why);
    if (err != ERR_NONE)
        return err;
    outbox->dir_unsynced = true;
    if (before != NULL)
        segment_rest(outbox, before);
    return ERR_NONE;
}

/* ---- memory in place of the disk ---- */

enum err segments_begin_in_memory(struct outbox *outbox, struct why *why)
{
    int fd = memfd_create("gemel-outbox", MFD_CLOEXEC);
    if (fd < 0)
        return fail(ERR_MEMORY, why, "no memory in place of the disk: %s", strerror(errno));
    outbox->open_files++;
    return begin_with(outbox, fd, true, why);
}

uint64_t segments_memory_bytes(const struct outbox *outbox)
{
    uint64_t bytes = 0;
    for (const struct segment *segment = outbox->oldest; segment != NULL; segment = segment->next)
        bytes += segment->in_memory ? segment->size : 0;
    return bytes;
}

static enum err copy_file(int from, int to, uint64_t size, struct why *why)
{
    char bytes[16384];
    for (uint64_t at = 0; at < size;) {
        size_t want = size - at < sizeof(bytes) ? (size_t)(size - at) : sizeof(bytes);
        ssize_t got = pread(from, bytes, want, (off_t)at);
        if (got <= 0)
            return fail(ERR_IO, why, "reading what waits in memory: %s", strerror(errno));
        ssize_t put = pwrite(to, bytes, (size_t)got, (off_t)at);
        if (put <= 0)
            return fail(ERR_STORAGE_FULL, why, "moving messages to the disk: %s", strerror(errno));
        at += (uint64_t)put;
    }
    return fdatasync(to) == 0 ? ERR_NONE
                              : fail(ERR_IO, why, "syncing the outbox: %s", strerror(errno));
}

static enum err move_to_disk(struct outbox *outbox, struct segment *segment, struct why *why)
{
    int fd = -1;
    enum err err = open_file(outbox, segment->first, O_CREAT | O_TRUNC, &fd, why);
    if (err != ERR_NONE)
        return err;
    err = copy_file(segment->fd, fd, segment->size, why);
    if (err != ERR_NONE) {
        close(fd);
        outbox->open_files--;
        remove_file(outbox, segment->first);
        return err;
    }
    segment_close(outbox, segment);
    segment->fd = fd;
    segment->in_memory = false;
    outbox->dir_unsynced = true;
    return ERR_NONE;
}

enum err segments_to_disk(struct outbox *outbox, struct why *why)
{
    enum err err = ERR_NONE;
    bool moved = false;
    for (struct segment *segment = outbox->oldest; segment != NULL && err == ERR_NONE;
         segment = segment->next) {
        if (!segment->in_memory || segment->kept == 0)
            continue;
        err = move_to_disk(outbox, segment, why);
        moved = moved || err == ERR_NONE;
    }
    if (moved)
        book_save(outbox); /* after the files: what it took for lost is not */
    return err == ERR_NONE && !moved ? ERR_NOT_FOUND : err;
}
