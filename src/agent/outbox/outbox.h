/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outbox: finished messages that the hub has not acknowledged, on disk, first in first out. It
 * survives a crash of the process at any byte and is bounded in bytes and in time; what it cannot
 * keep it drops, oldest first, and counts by reason.
 *
 *   dir/lock            held while a process uses the outbox
 *   dir/ledger          what became of everything (ledger.h), and which message is the oldest that
 *                       is still wanted
 *   dir/<hex>.segment   records, appended only; named by the sequence of the first one
 *
 *        acknowledged        handed out          waiting
 *   ...|.............|head .............|next .............|end
 *
 * Where the disk takes nothing (it is full, read-only, gone), messages wait in memory, up to a
 * bound; when it takes them again they go there, in their places.
 *
 * A record is valid by its checksum, so a torn tail is cut at the next open. A message leaves when
 * it is acknowledged: the hub may see one twice (its id tells), never none. Appending writes to the
 * kernel at once and to the disk with the next outbox_sync(). One thread.
 */
#ifndef GEMEL_OUTBOX_H
#define GEMEL_OUTBOX_H

#include "clock.h"
#include "ledger.h"

#define OUTBOX_MAX_BYTES_DEFAULT (64u << 20)
#define OUTBOX_MEMORY_BYTES_DEFAULT (1u << 20)
#define OUTBOX_MESSAGE_MAX_BYTES (256u << 10)
#define OUTBOX_ID_SIZE 33 /* 32 hexadecimal digits and a NUL */

struct outbox;

struct outbox_options {
    const struct clock *clock;
    const char *dir;        /* made if it is missing; its parent must exist */
    uint64_t max_bytes;     /* records kept; on disk one segment more; 0: the default */
    uint64_t segment_bytes; /* a segment ends past this; 0: a 64th of max_bytes, at most 16 MiB */
    uint64_t memory_bytes;  /* kept in memory while the disk takes nothing; 0: the default */
    uint32_t (*random)(void);
};

struct outbox_message {
    uint64_t sequence; /* grows by one a message */
    int64_t wall_us;   /* when it was appended */
    uint32_t events;
    char id[OUTBOX_ID_SIZE]; /* stays the same however often the message is sent */
};

/* Messages, since the directory was made; `kept…` is now. */
struct outbox_counters {
    uint64_t kept;
    uint64_t kept_bytes;
    uint64_t appended;
    uint64_t sent;
    uint64_t expired;   /* older than the message timeout */
    uint64_t overflow;  /* the oldest, for want of room */
    uint64_t unwritten; /* neither disk nor memory took it, or it was too large */
    uint64_t damaged;   /* found unreadable */
};

/*
 * Opens the outbox and cuts what a crash left half-written. ERR_REFUSED if another process has it
 * open, ERR_IO, ERR_MEMORY. Damaged content is dropped and counted, never fatal. Where the disk
 * takes nothing from the start, what it holds is read, and outbox_settle() tries it again.
 */
enum err outbox_open(
    const struct outbox_options *options, struct outbox **ret_outbox, struct why *why) MUST_USE;
void outbox_close(struct outbox *outbox); /* syncs; NULL is fine */

/* Sets how long a message may wait; the shorter time holds for what waits already. */
void outbox_set_timeout(struct outbox *outbox, int64_t timeout_us);

/* Appends a message, and what it stands for (NULL: its events are nobody's); not ERR_NONE: it is
 * lost and counted, and the outbox is as it was. But with ERR_NOT_FOUND, the directory was removed,
 * it is not counted: outbox_renew(), and once more. */
enum err outbox_append(struct outbox *outbox, struct span body, uint32_t events,
    const struct ledger_tallies *tallies, struct why *why) MUST_USE;

/* The sequence that the next message will have. It grows across restarts. */
uint64_t outbox_end(const struct outbox *outbox);

/* Makes the directory anew after somebody removed it. What waits is sent still, but a crash would
 * lose it. Errors as of outbox_open(); then messages wait in memory for a while. */
enum err outbox_renew(struct outbox *outbox, struct why *why) MUST_USE;

/* Hands out the next message, its body in `body` (replaced); ERR_NOT_FOUND when none is left. */
enum err outbox_next(
    struct outbox *outbox, struct buf *body, struct outbox_message *ret_message) MUST_USE;

/* Takes back the message that outbox_next() just handed out. */
void outbox_put_back(struct outbox *outbox);

/* Begins again at the oldest message: what was handed out and not acknowledged is sent again. */
void outbox_rewind(struct outbox *outbox);

/* Removes everything up to this sequence, which was handed out: the hub has it. */
void outbox_ack(struct outbox *outbox, uint64_t sequence);

/* Drops what has waited too long, except what is handed out; returns the mono time of the next. */
int64_t outbox_expire(struct outbox *outbox);

/* Moves what waits in memory to the disk, if it is time to try (or now); returns the mono time of
 * the next try. */
int64_t outbox_settle(struct outbox *outbox, bool now);

/* Makes durable what was appended since the last call; nothing to do costs nothing. */
void outbox_sync(struct outbox *outbox);

/* Writes down what others changed in the ledger; nothing to do costs nothing. */
void outbox_note(struct outbox *outbox);

/* The ledger that is kept with the messages. Borrowed. */
struct ledger *outbox_ledger(struct outbox *outbox);

/* Borrowed until the next call. */
const struct outbox_counters *outbox_counters(struct outbox *outbox);

#endif
