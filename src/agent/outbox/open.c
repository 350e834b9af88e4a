/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "mem.h"
#include "outbox_priv.h"

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

void close_dir(struct outbox *outbox)
{
    int *fds[] = {&outbox->book.fd, &outbox->lock_fd, &outbox->dir_fd};
    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* A disk that takes nothing (ERR_STORAGE_FULL) is told from a directory that cannot be. */
static enum err dir_failed(const char *what, const char *dir, const char *name, struct why *why)
{
    bool takes_nothing = errno == ENOSPC || errno == EDQUOT || errno == EROFS;
    return fail(takes_nothing ? ERR_STORAGE_FULL : ERR_IO, why, "%s %s%s: %s", what, dir, name,
        strerror(errno));
}

/* What is read-only can be locked all the same. */
static enum err lock_dir(struct outbox *outbox, struct why *why)
{
    const char *dir = outbox->options.dir;
    enum err err = ERR_NONE;
    outbox->lock_fd = openat(outbox->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (outbox->lock_fd < 0) {
        err = dir_failed("opening", dir, "/lock", why);
        outbox->lock_fd = openat(outbox->dir_fd, "lock", O_RDONLY | O_CLOEXEC);
    }
    if (outbox->lock_fd >= 0 && flock(outbox->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return fail(errno == EWOULDBLOCK ? ERR_REFUSED : ERR_IO, why,
            "%s is in use: another gemel-agent runs on this state directory", dir);
    return err;
}

enum err open_dir(struct outbox *outbox, struct why *why)
{
    const char *dir = outbox->options.dir;
    if (mkdir(dir, 0700) != 0 && errno != EEXIST)
        return dir_failed("making", dir, "", why);
    outbox->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (outbox->dir_fd < 0)
        return dir_failed("opening", dir, "", why);
    enum err err = lock_dir(outbox, why);
    if (err == ERR_NONE) {
        outbox->book.fd = openat(outbox->dir_fd, "ledger", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (outbox->book.fd < 0)
            err = dir_failed("opening", dir, "/ledger", why);
    }
    if (err == ERR_STORAGE_FULL)
        outbox->book.fd = openat(outbox->dir_fd, "ledger", O_RDONLY | O_CLOEXEC);
    if (err != ERR_NONE)
        return err;
    /* A full disk must not keep us from noting what it costs; if it is full already, so be it. */
    (void)posix_fallocate(outbox->book.fd, 0, BOOK_BYTES);
    return ERR_NONE;
}

static enum err find_segments(struct outbox *outbox, struct why *why)
{
    DIR *dir = outbox->dir_fd < 0 ? NULL : fdopendir(dup(outbox->dir_fd));
    if (outbox->homeless && dir == NULL)
        return ERR_NONE;
    if (dir == NULL)
        return fail(ERR_IO, why, "reading %s: %s", outbox->options.dir, strerror(errno));
    enum err err = ERR_NONE;
    rewinddir(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL && err == ERR_NONE;
         entry = readdir(dir)) {
        uint64_t first;
        if (segment_of_name(entry->d_name, &first))
            err = segment_add(outbox, first, -1, why);
    }
    closedir(dir);
    return err;
}

/* What is found in the segments. */
struct found {
    struct buf body;
    bool known; /* the ledger was read, and ended at: */
    uint64_t end;
    uint64_t appended; /* messages that the ledger has not heard of */
    uint64_t missing;  /* messages between the sequences, if there is no ledger to tell */
    struct ledger_tallies unheard;
    struct ledger_tallies queued;
};

static void add_tallies(struct ledger_tallies *to, const struct ledger_tallies *tallies)
{
    for (size_t i = 0; i < COUNT_OF(to->of); i++)
        to->of[i] = ledger_sum(to->of[i], tallies->of[i]);
}

/* Counts a record that is still wanted. */
static void keep(struct outbox *outbox, struct segment *segment, const struct record *record,
    struct found *found)
{
    struct ledger_tallies tallies;
    book_tallies(&outbox->ledger, record, &tallies);
    if (outbox->kept == 0)
        outbox->head = (struct cursor){segment, segment->size};
    outbox->kept++;
    outbox->kept_bytes += record_size(record);
    segment->kept++;
    segment->kept_bytes += record_size(record);
    add_tallies(&segment->tallies, &tallies);
    add_tallies(&found->queued, &tallies);
    if (record->sequence >= found->end) {
        found->appended++;
        add_tallies(&found->unheard, &tallies);
    }
}

/* Counts the messages between this segment and the next that no segment has. */
static void count_missing(
    const struct outbox *outbox, const struct segment *segment, struct found *found)
{
    uint64_t wanted =
        outbox->end_sequence > outbox->head_sequence ? outbox->end_sequence : outbox->head_sequence;
    if (segment->next != NULL && segment->next->first > wanted)
        found->missing += segment->next->first - wanted;
}

/* Believes the summary of a segment, if all that it tells of is wanted and no news. */
static bool believe(struct outbox *outbox, struct segment *segment, struct found *found)
{
    struct summary summary;
    struct ledger_tallies tallies;
    if (!found->known || !summary_read(segment->fd, &summary) || summary.first != segment->first ||
        summary.first < outbox->head_sequence || summary.end > found->end ||
        summary.end <= summary.first || summary.records > summary.end - summary.first ||
        !ledger_read_tallies(&outbox->ledger,
            (struct span){(const char *)summary.tallies, summary.tallies_len}, &tallies))
        return false;
    if (segment->next != NULL && segment->next->first < summary.end)
        return false;
    if (segment->next == NULL && !outbox->homeless &&
        ftruncate(segment->fd, (off_t)summary.size) != 0)
        return false; /* it will be written on */
    if (outbox->kept == 0)
        outbox->head = (struct cursor){segment, 0};
    outbox->kept += summary.records;
    outbox->kept_bytes += summary.size;
    segment->kept = summary.records;
    segment->kept_bytes = segment->size = summary.size;
    segment->newest_us = summary.newest_us;
    add_tallies(&segment->tallies, &tallies);
    add_tallies(&found->queued, &tallies);
    outbox->end_sequence = summary.end;
    count_missing(outbox, segment, found);
    return true;
}

/* Reads a segment through and counts what is kept; cuts it where a record is not whole. */
static enum err scan(struct outbox *outbox, struct segment *segment, struct found *found)
{
    struct record record;
    struct why why;
    enum err err;
    while (
        (err = record_read(segment->fd, segment->size, &found->body, &record, &why)) == ERR_NONE) {
        if (record.sequence < outbox->end_sequence)
            break;
        if (record.sequence >= outbox->head_sequence)
            keep(outbox, segment, &record, found);
        segment->size += record_size(&record);
        if (segment->newest_us < record.wall_us)
            segment->newest_us = record.wall_us;
        outbox->end_sequence = record.sequence + 1;
    }
    if (err == ERR_MEMORY)
        return err;
    count_missing(outbox, segment, found);
    if (err == ERR_NOT_FOUND)
        return ERR_NONE;
    if (segment->next == NULL)
        log_info(PART, "a message that was being written when the agent stopped is cut off");
    if (!outbox->homeless && ftruncate(segment->fd, (off_t)segment->size) != 0)
        log_warn(PART, "cutting a segment: %s", strerror(errno));
    return ERR_NONE;
}

static enum err look_into(struct outbox *outbox, struct segment *segment, struct found *found)
{
    struct why why = {""};
    enum err err = segment_need(outbox, segment, &why);
    outbox->end_sequence = segment->first;
    if (err == ERR_NONE && !believe(outbox, segment, found))
        err = scan(outbox, segment, found);
    if (err != ERR_NONE && err != ERR_MEMORY) {
        /* As if nothing of it could be read. */
        log_warn(PART, "%s", why_text(&why, err));
        count_missing(outbox, segment, found);
        err = ERR_NONE;
    }
    segment_rest(outbox, segment);
    return err;
}

/* Makes the ledger agree with what was found. */
static void balance(struct outbox *outbox, const struct found *found)
{
    struct ledger_messages *messages = &outbox->ledger.messages;
    uint64_t gone = ledger_sum(ledger_sum(messages->sent, messages->expired),
        ledger_sum(messages->overflow, messages->damaged));
    messages->appended = ledger_sum(messages->appended, found->appended);
    if (!found->known)
        messages->appended = ledger_sum(messages->appended, found->missing);
    uint64_t known = ledger_sum(gone, outbox->kept);
    uint64_t lost = messages->appended > known ? messages->appended - known : 0;
    messages->damaged = ledger_sum(messages->damaged, lost);
    messages->appended = ledger_sum(known, lost);
    ledger_balance(&outbox->ledger, &found->unheard, &found->queued);
    if (lost > 0)
        log_warn(PART, "%" PRIu64 " damaged messages are dropped", lost);
}

/* Where the versions before the ledger noted what was done with. */
static uint64_t old_head(const struct outbox *outbox)
{
    uint64_t words[2] = {0, 0};
    int fd = openat(outbox->dir_fd, "head", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    bool whole = pread(fd, words, sizeof(words), 0) == (ssize_t)sizeof(words);
    close(fd);
    return whole && le64toh(words[0]) == ~le64toh(words[1]) ? le64toh(words[0]) : 0;
}

static void load_ledger(struct outbox *outbox, struct found *found)
{
    found->known = book_load(&outbox->book, &outbox->ledger, &outbox->head_sequence, &found->end);
    if (found->known)
        return;
    outbox->head_sequence = old_head(outbox);
    if (outbox->oldest != NULL && outbox->head_sequence == 0)
        log_warn(PART, "what became of earlier messages is not known: counting begins anew");
}

static enum err scan_all(struct outbox *outbox, struct why *why)
{
    struct found found = {.known = false};
    enum err err = ERR_NONE;
    load_ledger(outbox, &found);
    for (struct segment *segment = outbox->oldest; segment != NULL && err == ERR_NONE;
         segment = segment->next)
        err = look_into(outbox, segment, &found);
    buf_done(&found.body);
    if (err != ERR_NONE)
        return fail(ERR_MEMORY, why, "no memory to read the outbox");
    if (outbox->end_sequence < outbox->head_sequence)
        outbox->end_sequence = outbox->head_sequence;
    if (outbox->end_sequence == 0)
        outbox->end_sequence = 1;
    balance(outbox, &found);
    if (outbox->kept == 0)
        outbox->head_sequence = outbox->end_sequence;
    book_save(outbox);
    unlinkat(outbox->dir_fd, "head", 0);
    while (outbox->oldest != NULL && outbox->oldest != outbox->head.segment)
        segments_remove_oldest(outbox);
    outbox->next = outbox->head;
    return ERR_NONE;
}

/* What a start reads, and what is lost at once when there is no room, stays small. */
static uint64_t segment_bytes_of(uint64_t max_bytes)
{
    uint64_t bytes = max_bytes / 64;
    return bytes < SEGMENT_BYTES_MAX ? bytes : SEGMENT_BYTES_MAX;
}

enum err outbox_open(
    const struct outbox_options *options, struct outbox **ret_outbox, struct why *why)
{
    struct outbox *outbox = mem_alloc(sizeof(*outbox));
    if (outbox == NULL)
        return fail(ERR_MEMORY, why, "no memory for the outbox");
    *outbox = (struct outbox){.options = *options, .dir_fd = -1, .lock_fd = -1, .book.fd = -1};
    if (outbox->options.max_bytes == 0)
        outbox->options.max_bytes = OUTBOX_MAX_BYTES_DEFAULT;
    if (outbox->options.segment_bytes == 0)
        outbox->options.segment_bytes = segment_bytes_of(outbox->options.max_bytes);
    if (outbox->options.memory_bytes == 0)
        outbox->options.memory_bytes = OUTBOX_MEMORY_BYTES_DEFAULT;
    outbox->clock_offset_us = clock_wall_us(options->clock) - clock_mono_us(options->clock);
    struct why reason = {""};
    enum err err = open_dir(outbox, &reason);
    if (err == ERR_STORAGE_FULL) {
        outbox->homeless = true;
        note_disk(outbox, err, &reason);
        err = ERR_NONE;
    } else if (err != ERR_NONE) {
        err = fail(err, why, "%s", reason.text);
    }
    if (err == ERR_NONE)
        err = find_segments(outbox, why);
    if (err == ERR_NONE)
        err = scan_all(outbox, why);
    if (err != ERR_NONE) {
        outbox_close(outbox);
        return err;
    }
    outbox->opened = true;
    *ret_outbox = outbox;
    return ERR_NONE;
}

/* ---- later ---- */

static bool holds_messages(const struct outbox *outbox)
{
    struct book book = {.fd = outbox->book.fd};
    struct ledger ledger;
    uint64_t number;
    DIR *dir = fdopendir(dup(outbox->dir_fd));
    bool holds = dir == NULL || book_load(&book, &ledger, &number, &number);
    for (struct dirent *entry; !holds && (entry = readdir(dir)) != NULL;)
        holds = segment_of_name(entry->d_name, &number);
    if (dir != NULL)
        closedir(dir);
    return holds;
}

/* Whether the directory that is open now is the one of before, or one in which nothing is kept. */
static bool is_ours(const struct outbox *outbox, int dir_before)
{
    struct stat before;
    struct stat now;
    bool same = dir_before >= 0 && fstat(dir_before, &before) == 0 &&
                fstat(outbox->dir_fd, &now) == 0 && now.st_dev == before.st_dev &&
                now.st_ino == before.st_ino;
    return same || !holds_messages(outbox);
}

static void close_one(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* Opens the directory anew; where it cannot be used still, the old one goes on to be read. */
static enum err reopen_dir(struct outbox *outbox, struct why *why)
{
    const int dir_fd = outbox->dir_fd;
    const int book_fd = outbox->book.fd;
    close_one(outbox->lock_fd);
    outbox->dir_fd = outbox->lock_fd = outbox->book.fd = -1;
    enum err err = open_dir(outbox, why);
    if (err == ERR_NONE && !is_ours(outbox, dir_fd))
        err = fail(ERR_IO, why, "%s is another than at the start, and what it holds is left alone",
            outbox->options.dir);
    close_one(err == ERR_NONE ? dir_fd : outbox->dir_fd);
    close_one(err == ERR_NONE ? book_fd : outbox->book.fd);
    if (err != ERR_NONE) {
        outbox->dir_fd = dir_fd;
        outbox->book.fd = book_fd;
    }
    return err;
}

/* Files that were opened for reading alone are opened anew when they are needed. */
static enum err open_for_writing(struct outbox *outbox, struct why *why)
{
    struct segment *youngest = outbox->youngest;
    for (struct segment *segment = outbox->oldest; segment != NULL; segment = segment->next)
        if (!segment->in_memory)
            segment_close(outbox, segment);
    if (youngest == NULL || youngest->in_memory)
        return ERR_NONE;
    enum err err = segment_need(outbox, youngest, why);
    if (err == ERR_NONE && ftruncate(youngest->fd, (off_t)youngest->size) != 0)
        err = fail(ERR_IO, why, "cutting a segment: %s", strerror(errno));
    return err;
}

enum err come_home(struct outbox *outbox, struct why *why)
{
    enum err err = reopen_dir(outbox, why);
    if (err != ERR_NONE)
        return err;
    outbox->homeless = false;
    err = open_for_writing(outbox, why);
    if (err == ERR_NONE)
        err = segments_to_disk(outbox, why);
    if (err == ERR_NOT_FOUND)
        err = ERR_NONE;
    book_save(outbox);
    return err;
}

/* What is in memory still goes with the process; the book says so already. */
static void say_lost(const struct outbox *outbox)
{
    uint64_t lost = 0;
    for (const struct segment *segment = outbox->oldest; segment != NULL; segment = segment->next)
        lost += segment->in_memory ? segment->kept : 0;
    if (lost > 0)
        log_error(PART, "%" PRIu64 " messages that waited in memory are lost", lost);
}

void outbox_close(struct outbox *outbox)
{
    if (outbox == NULL)
        return;
    if (outbox->opened)
        outbox_settle(outbox, true);
    say_lost(outbox);
    outbox_sync(outbox);
    if (outbox->opened)
        book_sync(outbox);
    while (outbox->oldest != NULL) {
        struct segment *segment = outbox->oldest;
        outbox->oldest = segment->next;
        segment_close(outbox, segment);
        mem_free(segment);
    }
    close_dir(outbox);
    mem_free(outbox);
}
