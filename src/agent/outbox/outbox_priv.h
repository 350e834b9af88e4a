/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the outbox share: the segments in memory, and the book on disk.
 *
 *   dir/ledger    two slots of 16 KiB, written in turn; the newer one that is whole holds
 *
 *   0      4      8        12  16           24     32    40
 *   | GML1 | crc  | length | 0 | generation | head | end | ledger_encode() …
 *
 * The book is written in place on every change of what the outbox holds, after the record and
 * before a segment is removed. So after a kill it is the truth but for records from `end` on, which
 * are found by looking. It is made durable before a segment is removed: after a loss of power it
 * may be older than the segments, and messages are sent twice, but it never misses what was
 * delivered. What waits in memory for want of a disk is written down as lost, for that is what it
 * would be after a kill; once it is delivered or on the disk, the book says that.
 *
 * A start reads the segment that the head is in and the youngest; of those between it believes the
 * summaries (segment_priv.h), and finds out when reading if a record is damaged.
 */
#ifndef GEMEL_OUTBOX_PRIV_H
#define GEMEL_OUTBOX_PRIV_H

#include "ledger.h"
#include "outbox.h"
#include "segment_priv.h"

#define PART "outbox"
#define SEGMENT_NAME_SIZE 32
#define SEGMENT_BYTES_MAX (16u << 20)

struct segment {
    struct segment *next;          /* younger */
    int fd;                        /* negative: closed for now, see segment_need() */
    bool in_memory;                /* a file without a name, for the disk took nothing */
    uint64_t first;                /* sequence of its first record */
    uint64_t size;                 /* bytes of valid records */
    uint64_t kept;                 /* records that are still wanted */
    uint64_t kept_bytes;           /* of those */
    int64_t newest_us;             /* the latest time of a record */
    struct ledger_tallies tallies; /* of the records that are still wanted */
};

struct cursor {
    struct segment *segment; /* NULL while there is none */
    uint64_t offset;
};

struct book {
    int fd;
    unsigned slot; /* the one written last */
    uint64_t generation;
    bool unsynced;
    bool failing; /* the last write did, and that was said */
};

struct outbox {
    struct outbox_options options;
    int dir_fd;
    int lock_fd;
    struct book book;
    struct ledger ledger;
    struct segment *oldest;
    struct segment *youngest;
    struct cursor head;        /* the oldest message kept */
    struct cursor next;        /* the one to hand out */
    struct cursor before_next; /* the one handed out last */
    uint64_t handed_out;       /* messages between the two */
    uint64_t head_sequence;    /* everything before is done with */
    uint64_t end_sequence;     /* of the next append */
    int64_t timeout_us;        /* 0: none */
    unsigned open_files;       /* of segments */
    bool opened;               /* and so may be written down */
    bool homeless;     /* the directory could not be written at the start: see come_home() */
    bool disk_failing; /* what comes is kept in memory until the disk is tried again, at: */
    int64_t disk_due_us;
    bool unsynced;
    bool dir_unsynced;
    /* Messages older than a step of the wall clock are taken to be from that moment. */
    int64_t clock_offset_us;
    int64_t step_wall_us;
    uint64_t step_sequence;
    uint64_t kept;
    uint64_t kept_bytes;
    struct outbox_counters counters; /* as last handed out */
};

/* ---- book.c ---- */

#define BOOK_BYTES 32768u /* its file, with two slots */

/* Reads the newer of the slots that are whole; false: neither is, and the ledger is empty. */
bool book_load(
    struct book *book, struct ledger *ret_ledger, uint64_t *ret_head, uint64_t *ret_end) MUST_USE;
/* A failure is logged. */
void book_save(struct outbox *outbox);
void book_sync(struct outbox *outbox);

/* What a record stands for; of one that does not say, its events are LEDGER_OTHER's. */
void book_tallies(
    struct ledger *ledger, const struct record *record, struct ledger_tallies *ret_tallies);

/* ---- segments.c ---- */

/* Reads a segment's name; false: it is another file's. */
bool segment_of_name(const char *name, uint64_t *ret_first);

/* Links a segment in, in the order of the sequences; its file may be opened later (-1). */
enum err segment_add(struct outbox *outbox, uint64_t first, int fd, struct why *why) MUST_USE;

/* Opens a segment's file if it is closed: to be called before `fd` is used. ERR_MEMORY: not now. */
enum err segment_need(struct outbox *outbox, struct segment *segment, struct why *why) MUST_USE;
/* Closes it if too many are open and nobody reads it. */
void segment_rest(struct outbox *outbox, struct segment *segment);
void segment_close(struct outbox *outbox, struct segment *segment);

void segments_remove_oldest(struct outbox *outbox);

/* Begins a segment for what is appended next, on the disk; on failure nothing has changed. */
enum err segments_begin(struct outbox *outbox, struct why *why) MUST_USE;
/* The same in memory; the last segment may become it, if there is nothing in it. */
enum err segments_begin_in_memory(struct outbox *outbox, struct why *why) MUST_USE;
uint64_t segments_memory_bytes(const struct outbox *outbox);
/* Moves what is kept in memory to the disk, the oldest first, until that fails; ERR_NOT_FOUND:
 * there is nothing. */
enum err segments_to_disk(struct outbox *outbox, struct why *why) MUST_USE;

/* ---- open.c ---- */

/* ERR_STORAGE_FULL: it cannot be written; what can be read of it is open, the lock is held. */
enum err open_dir(struct outbox *outbox, struct why *why) MUST_USE;
void close_dir(struct outbox *outbox);

/* Tries to use the directory that could not be written at the start: what waits in memory goes
 * there, behind what it holds. Errors as of open_dir(). */
enum err come_home(struct outbox *outbox, struct why *why) MUST_USE;

/* ---- outbox.c ---- */

/* Says when the disk begins and ends to take nothing. */
void note_disk(struct outbox *outbox, enum err err, const struct why *why);

#endif
