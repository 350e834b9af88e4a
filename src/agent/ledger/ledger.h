/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The book of what became of everything that was seen, by collector, in occurrences: an event with
 * hit_count 5 counts five times. Its numbers are totals that outlive the agent's runs; the outbox
 * keeps them beside its messages, and changes them together.
 *
 *   happened = seen + lost[UNSEEN]
 *   seen     = waiting + accepted + lost[COLLECTOR]         waiting: only the collector knows
 *   accepted = queued + delivered + lost[OUTBOX]            queued: in the outbox, unacknowledged
 *
 * An entry is known by the collector's name, so that another version of the agent finds it again.
 * The collectors write `seen` and the losses of the first two stages, the outbox all else. Nothing
 * here does I/O. What was read from a disk is judged before it counts. One thread.
 */
#ifndef GEMEL_LEDGER_H
#define GEMEL_LEDGER_H

#include "buf.h"

enum loss {
#define LOSS(id, name, stage) LOSS_##id,
#include "loss.def"
#undef LOSS
    LOSS_COUNT
};

enum loss_stage { LOSS_STAGE_UNSEEN, LOSS_STAGE_COLLECTOR, LOSS_STAGE_OUTBOX };

/* The name of a loss in the status: "cache_bound". */
const char *loss_name(enum loss loss);
enum loss_stage loss_stage(enum loss loss);

#define LEDGER_ENTRIES_MAX 48u
#define LEDGER_NAME_SIZE 32u
#define LEDGER_NUMBER_MAX ((UINT64_C(1) << 53) - 1) /* what JSON carries; totals stop there */
/* Of what nobody can say whose it is: messages of older versions, names past the bound. */
#define LEDGER_OTHER 0u

/* What the statistics told of an entry so far. */
struct ledger_told {
    uint64_t sent;
    uint64_t lost[LOSS_COUNT];
};

struct ledger_entry {
    char name[LEDGER_NAME_SIZE];
    uint64_t seen;
    uint64_t accepted;
    uint64_t delivered;
    uint64_t lost[LOSS_COUNT];
    struct ledger_told told;
    /* LOSS_RESTART of the last ledger_balance(). Not stored, nor with the losses that are: until
     * ledger_resume() the agent may be killed again, and the next start finds the same. */
    uint64_t lost_now;
};

/* Whole messages of the outbox. */
struct ledger_messages {
    uint64_t appended;
    uint64_t sent;
    uint64_t expired;   /* older than the message timeout */
    uint64_t overflow;  /* the oldest, for want of room */
    uint64_t unwritten; /* neither disk nor memory took it, or it was too large */
    uint64_t damaged;   /* found unreadable */
};

struct ledger {
    struct ledger_messages messages;
    bool changed; /* since somebody wrote it down and set this to false */
    size_t count;
    struct ledger_entry entries[LEDGER_ENTRIES_MAX];
};

/* How many occurrences of each entry something stands for, by the entry's number. */
struct ledger_tallies {
    uint64_t of[LEDGER_ENTRIES_MAX];
};

/* Begins with LEDGER_OTHER alone. */
void ledger_init(struct ledger *ret_ledger);

/* Returns the number of a name's entry, made if it is new; LEDGER_OTHER when there is no room or
 * the name is none (letters, digits and '_', at most 31). */
size_t ledger_entry(struct ledger *ledger, struct span name);

/* Adds, and stops at LEDGER_NUMBER_MAX. */
uint64_t ledger_sum(uint64_t a, uint64_t b);

void ledger_accept(struct ledger *ledger, const struct ledger_tallies *tallies);
void ledger_deliver(struct ledger *ledger, const struct ledger_tallies *tallies);
void ledger_lose(struct ledger *ledger, enum loss loss, const struct ledger_tallies *tallies);

/* Sets what the collectors say of an entry: `seen`, and the losses that are not the outbox's. */
void ledger_set_collected(
    struct ledger *ledger, size_t entry, uint64_t seen, const uint64_t lost[LOSS_COUNT]);

/* What the outbox holds of an entry. */
uint64_t ledger_queued(const struct ledger_entry *entry);
/* All of an entry that was lost at a stage. */
uint64_t ledger_lost(const struct ledger_entry *entry, enum loss_stage stage);

/*
 * Makes the equations above hold again after a start, when nothing waits. `unheard` is what the
 * outbox holds that was appended after the ledger was written last, `queued` all that it holds.
 * What the outbox should hold and does not is LOSS_DAMAGED; what was seen and is nowhere was in
 * memory when the agent was killed, LOSS_RESTART.
 */
void ledger_balance(struct ledger *ledger, const struct ledger_tallies *unheard,
    const struct ledger_tallies *queued);

/* Takes back what the last ledger_balance() counted as LOSS_RESTART of an entry, for its collector
 * sees it again. */
void ledger_resume(struct ledger *ledger, size_t entry);

/* Tallies as bytes: for each entry a length, its name, its number. */
#define LEDGER_TALLIES_BYTES (LEDGER_ENTRIES_MAX * (1 + LEDGER_NAME_SIZE - 1 + 8))
size_t ledger_write_tallies(const struct ledger *ledger, const struct ledger_tallies *tallies,
    unsigned char ret_bytes[LEDGER_TALLIES_BYTES]);
/* False: these bytes are no tallies. */
bool ledger_read_tallies(
    struct ledger *ledger, struct span bytes, struct ledger_tallies *ret_tallies) MUST_USE;

/* The whole ledger as bytes. */
void ledger_encode(const struct ledger *ledger, struct buf *out);
/* False: these bytes are no ledger, and `*ret_ledger` is as after ledger_init(). */
bool ledger_decode(struct span bytes, struct ledger *ret_ledger) MUST_USE;

#endif
