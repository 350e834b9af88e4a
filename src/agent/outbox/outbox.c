/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "outbox_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* A wall clock that moved against the monotonic one by more than this was set by somebody. */
#define CLOCK_STEP_US (60 * (int64_t)1000000)

/* A disk that took nothing is tried again so often. */
#define DISK_RETRY_US (5 * (int64_t)1000000)
/* Into so many pieces the memory in place of a disk is cut, each of which is free again when all of
 * it is delivered. */
#define MEMORY_SEGMENTS 8u

/* Expiring in one go is bounded, so that a long outage does not keep the loop from its work: in
 * messages, and a segment, which waits for the disk, is worth many. */
#define EXPIRE_WORK_AT_ONCE 4096u
#define EXPIRE_WORK_OF_SEGMENT 256u

/* What is read through stays open while there are few, for it is acknowledged soon. */
static void leave_next(struct outbox *outbox)
{
    struct segment *left = outbox->next.segment;
    outbox->next = (struct cursor){left->next, 0};
    segment_rest(outbox, left);
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
        segments_remove_oldest(outbox);
    }
    if (outbox->handed_out == 0)
        outbox->next = outbox->head;
    while (outbox->next.segment != NULL && outbox->next.offset >= outbox->next.segment->size &&
           outbox->next.segment->next != NULL)
        leave_next(outbox);
}

/* ---- what becomes of messages ---- */

/* The whole ways on which a message leaves. */
enum fate { FATE_SENT, FATE_EXPIRED, FATE_OVERFLOW, FATE_DAMAGED };

/* Books messages that leave a segment; no more than it has. */
static void book(struct outbox *outbox, struct segment *segment, enum fate fate, uint64_t count,
    const struct ledger_tallies *wanted)
{
    struct ledger *ledger = &outbox->ledger;
    struct ledger_tallies tallies = *wanted;
    for (size_t i = 0; i < COUNT_OF(tallies.of); i++) {
        if (tallies.of[i] > segment->tallies.of[i])
            tallies.of[i] = segment->tallies.of[i];
        segment->tallies.of[i] -= tallies.of[i];
    }
    static const struct {
        size_t counter;
        enum loss loss;
    } fates[] = {
        [FATE_SENT] = {offsetof(struct ledger_messages, sent), LOSS_COUNT},
        [FATE_EXPIRED] = {offsetof(struct ledger_messages, expired), LOSS_EXPIRED},
        [FATE_OVERFLOW] = {offsetof(struct ledger_messages, overflow), LOSS_OUTBOX_BOUND},
        [FATE_DAMAGED] = {offsetof(struct ledger_messages, damaged), LOSS_DAMAGED},
    };
    uint64_t *counter = (uint64_t *)(void *)((char *)&ledger->messages + fates[fate].counter);
    *counter = ledger_sum(*counter, count);
    if (fate == FATE_SENT)
        ledger_deliver(ledger, &tallies);
    else
        ledger_lose(ledger, fates[fate].loss, &tallies);
    outbox->kept -= count;
    segment->kept -= count;
}

static void give_back(struct outbox *outbox, struct segment *segment, uint64_t bytes)
{
    outbox->kept_bytes -= bytes;
    segment->kept_bytes -= bytes;
}

/* As record_read(). ERR_MEMORY: not now; of what else is not ERR_NONE no record can be had. */
static enum err read_record(struct outbox *outbox, struct segment *segment, uint64_t offset,
    struct buf *body, struct record *ret_record)
{
    struct why why;
    enum err err = segment_need(outbox, segment, &why);
    return err == ERR_NONE ? record_read(segment->fd, offset, body, ret_record, &why) : err;
}

/* What stands in a segment from its first wanted record to an offset, all of it handed out. */
static uint64_t handed_out_before(struct outbox *outbox, struct segment *segment, uint64_t to,
    uint64_t *ret_bytes, struct ledger_tallies *ret_tallies)
{
    struct record record;
    uint64_t count = 0;
    uint64_t from = outbox->head.segment == segment ? outbox->head.offset : 0;
    *ret_tallies = (struct ledger_tallies){{0}};
    *ret_bytes = to - from;
    for (; from < to && read_record(outbox, segment, from, NULL, &record) == ERR_NONE; count++) {
        struct ledger_tallies tallies;
        book_tallies(&outbox->ledger, &record, &tallies);
        for (size_t i = 0; i < COUNT_OF(tallies.of); i++)
            ret_tallies->of[i] = ledger_sum(ret_tallies->of[i], tallies.of[i]);
        from += record_size(&record);
    }
    return count;
}

/* Gives up what stands from an offset to the end of its segment. */
static void cut(struct outbox *outbox, struct segment *segment, uint64_t offset)
{
    uint64_t before_bytes;
    struct ledger_tallies before;
    uint64_t count = handed_out_before(outbox, segment, offset, &before_bytes, &before);
    struct ledger_tallies lost = segment->tallies;
    for (size_t i = 0; i < COUNT_OF(lost.of); i++)
        lost.of[i] -= before.of[i] < lost.of[i] ? before.of[i] : lost.of[i];
    uint64_t messages = segment->kept > count ? segment->kept - count : 0;
    log_warn(PART, "%" PRIu64 " damaged messages are dropped", messages);
    book(outbox, segment, FATE_DAMAGED, messages, &lost);
    give_back(outbox, segment,
        segment->kept_bytes > before_bytes ? segment->kept_bytes - before_bytes : 0);
    segment->size = offset;
    if (segment->fd >= 0 && ftruncate(segment->fd, (off_t)offset) != 0)
        log_warn(PART, "cutting a damaged segment: %s", strerror(errno));
    book_save(outbox);
}

/* Reads the header of the oldest message; false when there is none. */
static bool peek(struct outbox *outbox, struct record *ret_record)
{
    for (;;) {
        settle(outbox);
        struct cursor *head = &outbox->head;
        if (head->segment == NULL || head->offset >= head->segment->size)
            return false;
        enum err err = read_record(outbox, head->segment, head->offset, NULL, ret_record);
        if (err == ERR_NONE || err == ERR_MEMORY)
            return err == ERR_NONE;
        outbox->handed_out = 0;
        cut(outbox, head->segment, head->offset);
    }
}

static void remove_oldest(struct outbox *outbox, const struct record *record, enum fate fate)
{
    struct ledger_tallies tallies;
    struct segment *segment = outbox->head.segment;
    book_tallies(&outbox->ledger, record, &tallies);
    book(outbox, segment, fate, segment->kept > 0 ? 1 : 0, &tallies);
    outbox->head.offset += record_size(record);
    outbox->head_sequence = record->sequence + 1;
    give_back(outbox, segment,
        record_size(record) < segment->kept_bytes ? record_size(record) : segment->kept_bytes);
    if (outbox->handed_out > 0)
        outbox->handed_out--;
    settle(outbox);
}

/* Drops the oldest segment with all that is kept of it: many messages at the price of one. Not the
 * youngest, which is written to. Returns how many messages went. */
static uint64_t drop_segment(struct outbox *outbox, enum fate fate)
{
    struct segment *segment = outbox->head.segment;
    uint64_t count = segment->kept;
    must(segment->next != NULL);
    book(outbox, segment, fate, count, &segment->tallies);
    give_back(outbox, segment, segment->kept_bytes);
    outbox->head.offset = segment->size;
    outbox->head_sequence = segment->next->first;
    outbox->handed_out -= count < outbox->handed_out ? count : outbox->handed_out;
    settle(outbox);
    return count;
}

/* ---- appending ---- */

/* Whether the disk is to be tried: after a failure only now and then. */
static bool may_try_disk(const struct outbox *outbox)
{
    if (outbox->homeless)
        return false;
    return !outbox->disk_failing || clock_mono_us(outbox->options.clock) >= outbox->disk_due_us;
}

void note_disk(struct outbox *outbox, enum err err, const struct why *why)
{
    if (err == ERR_NONE && outbox->disk_failing)
        log_info(PART, "the disk takes messages again");
    if (err != ERR_NONE && !outbox->disk_failing)
        log_error(PART,
            "the disk takes no messages, they wait in memory, up to %" PRIu64 " bytes: %s",
            outbox->options.memory_bytes, why_text(why, err));
    outbox->disk_failing = err != ERR_NONE;
    if (err != ERR_NONE)
        outbox->disk_due_us = clock_mono_us(outbox->options.clock) + DISK_RETRY_US;
}

/* Whether the directory, or the youngest file in it, was removed under our hands. */
static bool is_gone(const struct outbox *outbox)
{
    struct stat stat;
    const struct segment *youngest = outbox->youngest;
    if (outbox->dir_fd < 0 || (fstat(outbox->dir_fd, &stat) == 0 && stat.st_nlink == 0))
        return true;
    return youngest != NULL && !youngest->in_memory && fstat(youngest->fd, &stat) == 0 &&
           stat.st_nlink == 0;
}

static void count_unwritten(struct outbox *outbox)
{
    outbox->ledger.messages.unwritten = ledger_sum(outbox->ledger.messages.unwritten, 1);
    outbox->ledger.changed = true;
}

/* Lets the next message begin where a new segment does. */
static void use_segment(struct outbox *outbox)
{
    if (outbox->head.segment == NULL)
        outbox->head = outbox->next = (struct cursor){outbox->youngest, 0};
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
        err = segments_to_disk(outbox, why);
    if (err == ERR_NONE || err == ERR_NOT_FOUND)
        err = segments_begin(outbox, why);
    note_disk(outbox, err, why);
    if (err != ERR_NONE) {
        close_dir(outbox);
        return err;
    }
    use_segment(outbox);
    book_save(outbox);
    return ERR_NONE;
}

static void make_room(struct outbox *outbox, uint64_t size)
{
    struct record record;
    uint64_t dropped = 0;
    while (outbox->kept_bytes + size > outbox->options.max_bytes && peek(outbox, &record)) {
        const struct segment *segment = outbox->head.segment;
        uint64_t without = outbox->kept_bytes - segment->kept_bytes;
        if (segment->next != NULL && without + size > outbox->options.max_bytes) {
            dropped += drop_segment(outbox, FATE_OVERFLOW);
        } else {
            remove_oldest(outbox, &record, FATE_OVERFLOW);
            dropped++;
        }
    }
    if (dropped == 0)
        return;
    book_save(outbox);
    log_warn(PART, "full: the oldest %" PRIu64 " messages are dropped", dropped);
}

static void make_record(struct outbox *outbox, size_t body_len, uint32_t events,
    const struct ledger_tallies *tallies, struct record *ret_record)
{
    *ret_record = (struct record){.length = (uint32_t)body_len,
        .events = events,
        .sequence = outbox->end_sequence,
        .wall_us = clock_wall_us(outbox->options.clock)};
    if (tallies != NULL)
        ret_record->tallies_len =
            (uint16_t)ledger_write_tallies(&outbox->ledger, tallies, ret_record->tallies);
    for (size_t i = 0; i < sizeof(ret_record->id); i += sizeof(uint32_t)) {
        uint32_t word = outbox->options.random();
        memcpy(ret_record->id + i, &word, sizeof(word));
    }
}

/* Counts a record that was written. */
static void accept(struct outbox *outbox, struct segment *segment, const struct record *record)
{
    struct ledger_tallies tallies;
    book_tallies(&outbox->ledger, record, &tallies);
    for (size_t i = 0; i < COUNT_OF(tallies.of); i++)
        segment->tallies.of[i] = ledger_sum(segment->tallies.of[i], tallies.of[i]);
    ledger_accept(&outbox->ledger, &tallies);
    outbox->ledger.messages.appended = ledger_sum(outbox->ledger.messages.appended, 1);
    if (segment->newest_us < record->wall_us)
        segment->newest_us = record->wall_us;
    segment->size += record_size(record);
    segment->kept++;
    segment->kept_bytes += record_size(record);
    outbox->kept++;
    outbox->kept_bytes += record_size(record);
    outbox->end_sequence++;
    outbox->unsynced = true;
    book_save(outbox);
}

static enum err write_record(
    struct outbox *outbox, const struct record *record, struct span body, struct why *why)
{
    struct segment *segment = outbox->youngest;
    use_segment(outbox);
    enum err err = record_write(segment->fd, segment->size, record, body, why);
    if (err == ERR_NONE)
        accept(outbox, segment, record);
    return err;
}

static enum err write_to_disk(
    struct outbox *outbox, const struct record *record, struct span body, struct why *why)
{
    enum err err = outbox->disk_failing ? segments_to_disk(outbox, why) : ERR_NOT_FOUND;
    if (err == ERR_NOT_FOUND)
        err = ERR_NONE;
    const struct segment *youngest = outbox->youngest;
    bool fits = youngest != NULL && !youngest->in_memory &&
                (youngest->size == 0 ||
                    youngest->size + record_size(record) <= outbox->options.segment_bytes);
    if (err == ERR_NONE && !fits)
        err = segments_begin(outbox, why);
    if (err == ERR_NONE)
        err = write_record(outbox, record, body, why);
    note_disk(outbox, err, why);
    return err;
}

static enum err write_to_memory(
    struct outbox *outbox, const struct record *record, struct span body, struct why *why)
{
    const struct segment *youngest = outbox->youngest;
    uint64_t size = record_size(record);
    if (segments_memory_bytes(outbox) + size > outbox->options.memory_bytes)
        return fail(ERR_STORAGE_FULL, why,
            "the disk takes no messages, and the memory in its place is full");
    bool fits = youngest != NULL && youngest->in_memory &&
                youngest->size + size <= outbox->options.memory_bytes / MEMORY_SEGMENTS;
    enum err err = fits ? ERR_NONE : segments_begin_in_memory(outbox, why);
    return err == ERR_NONE ? write_record(outbox, record, body, why) : err;
}

static enum err append(struct outbox *outbox, struct span body, uint32_t events,
    const struct ledger_tallies *tallies, struct why *why)
{
    struct record record;
    bool try_disk = may_try_disk(outbox);
    if (body.len > OUTBOX_MESSAGE_MAX_BYTES)
        return fail(
            ERR_TOO_LARGE, why, "a message of %zu bytes is more than the outbox takes", body.len);
    if (try_disk && is_gone(outbox))
        return fail(ERR_NOT_FOUND, why, "%s was removed", outbox->options.dir);
    make_record(outbox, body.len, events, tallies, &record);
    if (record_size(&record) > outbox->options.max_bytes)
        return fail(
            ERR_TOO_LARGE, why, "a message of %zu bytes is more than the outbox takes", body.len);
    make_room(outbox, record_size(&record));
    if (try_disk && write_to_disk(outbox, &record, body, why) == ERR_NONE)
        return ERR_NONE;
    return write_to_memory(outbox, &record, body, why);
}

enum err outbox_append(struct outbox *outbox, struct span body, uint32_t events,
    const struct ledger_tallies *tallies, struct why *why)
{
    enum err err = append(outbox, body, events, tallies, why);
    if (err != ERR_NONE && err != ERR_NOT_FOUND)
        count_unwritten(outbox);
    return err;
}

int64_t outbox_settle(struct outbox *outbox, bool now)
{
    struct why why = {""};
    bool due = now || clock_mono_us(outbox->options.clock) >= outbox->disk_due_us;
    if (outbox->homeless && due)
        note_disk(outbox, come_home(outbox, &why), &why);
    if (outbox->homeless)
        return outbox->disk_due_us;
    if (!outbox->disk_failing || is_gone(outbox))
        return INT64_MAX;
    if (due) {
        enum err err = segments_to_disk(outbox, &why);
        if (err == ERR_NOT_FOUND)
            return INT64_MAX; /* only the next message can tell */
        note_disk(outbox, err, &why);
    }
    return outbox->disk_failing ? outbox->disk_due_us : INT64_MAX;
}

uint64_t outbox_end(const struct outbox *outbox)
{
    return outbox->end_sequence;
}

void outbox_sync(struct outbox *outbox)
{
    /* What was dropped since needs no disk: there may be no segment any more. */
    bool on_disk = outbox->youngest != NULL && !outbox->youngest->in_memory;
    if (outbox->unsynced && on_disk && fdatasync(outbox->youngest->fd) != 0)
        log_warn(PART, "syncing the outbox: %s", strerror(errno));
    if (outbox->dir_unsynced && outbox->dir_fd >= 0 && fsync(outbox->dir_fd) != 0)
        log_warn(PART, "syncing %s: %s", outbox->options.dir, strerror(errno));
    outbox->unsynced = outbox->dir_unsynced = false;
}

/* ---- handing out ---- */

enum err outbox_next(struct outbox *outbox, struct buf *body, struct outbox_message *ret_message)
{
    struct record record;
    for (;;) {
        settle(outbox);
        struct cursor *next = &outbox->next;
        if (next->segment == NULL || next->offset >= next->segment->size)
            return ERR_NOT_FOUND;
        enum err err = read_record(outbox, next->segment, next->offset, body, &record);
        if (err == ERR_MEMORY)
            return err;
        if (err == ERR_NONE)
            break;
        cut(outbox, next->segment, next->offset);
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
    bool removed = false;
    while (outbox->handed_out > 0 && peek(outbox, &record) && record.sequence <= sequence) {
        remove_oldest(outbox, &record, FATE_SENT);
        removed = true;
    }
    if (removed)
        book_save(outbox);
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

/* Since when a message waits, as far as this clock can tell. */
static int64_t since(const struct outbox *outbox, uint64_t sequence, int64_t wall_us)
{
    return sequence < outbox->step_sequence ? outbox->step_wall_us : wall_us;
}

/* Whether everything that is kept of the oldest segment has waited too long. */
static bool all_expired(const struct outbox *outbox, const struct segment *segment, int64_t now_us)
{
    if (segment->next == NULL)
        return false;
    bool older = now_us - since(outbox, segment->first, segment->newest_us) >= outbox->timeout_us;
    uint64_t last = segment->next->first - 1;
    return older && now_us - since(outbox, last, segment->newest_us) >= outbox->timeout_us;
}

int64_t outbox_expire(struct outbox *outbox)
{
    struct record record;
    int64_t wall_us = clock_wall_us(outbox->options.clock);
    int64_t mono_us = clock_mono_us(outbox->options.clock);
    uint64_t before = outbox->ledger.messages.expired;
    unsigned work = 0;
    int64_t due = INT64_MAX;
    watch_clock(outbox, wall_us, mono_us);
    while (outbox->timeout_us > 0 && outbox->handed_out == 0 && peek(outbox, &record)) {
        if (work >= EXPIRE_WORK_AT_ONCE) {
            due = mono_us; /* others want their turn */
            break;
        }
        if (all_expired(outbox, outbox->head.segment, wall_us)) {
            drop_segment(outbox, FATE_EXPIRED);
            work += EXPIRE_WORK_OF_SEGMENT;
            continue;
        }
        int64_t waited_us = wall_us - since(outbox, record.sequence, record.wall_us);
        if (waited_us < outbox->timeout_us) {
            due = mono_us + outbox->timeout_us - waited_us;
            break;
        }
        remove_oldest(outbox, &record, FATE_EXPIRED);
        work++;
    }
    if (work == 0)
        return due;
    book_save(outbox);
    log_warn(PART,
        "%" PRIu64 " messages waited longer than IothubModule_MessageTimeout and are dropped",
        outbox->ledger.messages.expired - before);
    return due;
}

void outbox_note(struct outbox *outbox)
{
    if (outbox->ledger.changed)
        book_save(outbox);
}

struct ledger *outbox_ledger(struct outbox *outbox)
{
    return &outbox->ledger;
}

const struct outbox_counters *outbox_counters(struct outbox *outbox)
{
    const struct ledger_messages *messages = &outbox->ledger.messages;
    outbox->counters = (struct outbox_counters){.kept = outbox->kept,
        .kept_bytes = outbox->kept_bytes,
        .appended = messages->appended,
        .sent = messages->sent,
        .expired = messages->expired,
        .overflow = messages->overflow,
        .unwritten = messages->unwritten,
        .damaged = messages->damaged};
    return &outbox->counters;
}
