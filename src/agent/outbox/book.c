/* SPDX-License-Identifier: Apache-2.0 */
#include "log.h"
#include "outbox_priv.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define SLOT_BYTES (BOOK_BYTES / 2)

static const char magic[4] = "GML1";

struct slot {
    char magic[4];
    uint32_t crc;
    uint32_t length;
    uint32_t zero;
    uint64_t generation;
    uint64_t head;
    uint64_t end;
};
_Static_assert(sizeof(struct slot) == 40, "the slot has no holes");

#define COVERED_FROM offsetof(struct slot, length)

static uint32_t slot_crc(const struct slot *slot, struct span body)
{
    struct span covered = {(const char *)slot + COVERED_FROM, sizeof(*slot) - COVERED_FROM};
    return crc32_of(crc32_of(0, covered), body);
}

static bool read_slot(int fd, unsigned at, struct slot *ret_slot, struct ledger *ret_ledger)
{
    AUTO(buf_done) struct buf bytes = BUF_EMPTY;
    char *room = buf_reserve(&bytes, SLOT_BYTES);
    ssize_t got = room == NULL ? -1 : pread(fd, room, SLOT_BYTES, (off_t)at * SLOT_BYTES);
    if (got < (ssize_t)sizeof(*ret_slot))
        return false;
    memcpy(ret_slot, room, sizeof(*ret_slot));
    struct span body = span_from((struct span){room, (size_t)got}, sizeof(*ret_slot));
    if (memcmp(ret_slot->magic, magic, sizeof(magic)) != 0 || le32toh(ret_slot->length) > body.len)
        return false;
    body = span_first(body, le32toh(ret_slot->length));
    return slot_crc(ret_slot, body) == le32toh(ret_slot->crc) && ledger_decode(body, ret_ledger);
}

bool book_load(struct book *book, struct ledger *ret_ledger, uint64_t *ret_head, uint64_t *ret_end)
{
    bool found = false;
    ledger_init(ret_ledger);
    for (unsigned at = 0; at < 2; at++) {
        struct slot slot;
        struct ledger ledger;
        if (!read_slot(book->fd, at, &slot, &ledger) ||
            (found && le64toh(slot.generation) <= book->generation))
            continue;
        found = true;
        book->slot = at;
        book->generation = le64toh(slot.generation);
        *ret_ledger = ledger;
        *ret_head = le64toh(slot.head);
        *ret_end = le64toh(slot.end);
    }
    return found;
}

/* The ledger as it would be if the agent were killed now. */
static struct ledger after_a_kill(const struct outbox *outbox)
{
    struct ledger ledger = outbox->ledger;
    struct ledger_messages *messages = &ledger.messages;
    if (!outbox->disk_failing)
        return ledger; /* nothing waits in memory */
    for (const struct segment *segment = outbox->oldest; segment != NULL; segment = segment->next) {
        if (!segment->in_memory)
            continue;
        ledger_lose(&ledger, LOSS_UNWRITTEN, &segment->tallies);
        messages->appended -= segment->kept < messages->appended ? segment->kept : 0;
        messages->unwritten = ledger_sum(messages->unwritten, segment->kept);
    }
    return ledger;
}

static void save_failed(struct book *book, const char *text)
{
    if (!book->failing)
        log_warn(PART, "cannot note what became of the messages: %s", text);
    book->failing = true;
}

void book_save(struct outbox *outbox)
{
    const struct ledger ledger = after_a_kill(outbox);
    if (outbox->book.fd < 0 || outbox->homeless)
        return; /* the directory is gone, or cannot be written, which was said */
    struct book *book = &outbox->book;
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    struct slot slot = {.generation = htole64(book->generation + 1),
        .head = htole64(outbox->head_sequence),
        .end = htole64(outbox->end_sequence)};
    buf_reserve(&body, sizeof(slot));
    buf_add(&body, (struct span){(const char *)&slot, sizeof(slot)});
    ledger_encode(&ledger, &body);
    if (body.failed) {
        save_failed(book, "no memory");
        return;
    }
    must(body.len <= SLOT_BYTES);
    memcpy(slot.magic, magic, sizeof(magic));
    slot.length = htole32((uint32_t)(body.len - sizeof(slot)));
    slot.crc = htole32(slot_crc(&slot, span_from(buf_span(&body), sizeof(slot))));
    memcpy(body.ptr, &slot, sizeof(slot));
    unsigned at = 1 - book->slot;
    if (pwrite(book->fd, body.ptr, body.len, (off_t)at * SLOT_BYTES) != (ssize_t)body.len) {
        save_failed(book, strerror(errno));
        return;
    }
    book->failing = false;
    book->slot = at;
    book->generation++;
    book->unsynced = true;
    outbox->ledger.changed = false;
}

void book_sync(struct outbox *outbox)
{
    if (outbox->ledger.changed)
        book_save(outbox);
    if (outbox->book.unsynced && outbox->book.fd >= 0 && fdatasync(outbox->book.fd) != 0)
        save_failed(&outbox->book, strerror(errno));
    outbox->book.unsynced = false;
}

void book_tallies(
    struct ledger *ledger, const struct record *record, struct ledger_tallies *ret_tallies)
{
    struct span bytes = {(const char *)record->tallies, record->tallies_len};
    if (record->tallies_len > 0 && ledger_read_tallies(ledger, bytes, ret_tallies))
        return;
    *ret_tallies = (struct ledger_tallies){.of[LEDGER_OTHER] = record->events};
}
