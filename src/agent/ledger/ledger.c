/* SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include <endian.h>

static const char *const loss_names[LOSS_COUNT] = {
#define LOSS(id, name, stage) [LOSS_##id] = (name),
#include "loss.def"
#undef LOSS
};

static const enum loss_stage loss_stages[LOSS_COUNT] = {
#define LOSS(id, name, stage) [LOSS_##id] = LOSS_STAGE_##stage,
#include "loss.def"
#undef LOSS
};

const char *loss_name(enum loss loss)
{
    must((unsigned)loss < LOSS_COUNT);
    return loss_names[loss];
}

enum loss_stage loss_stage(enum loss loss)
{
    must((unsigned)loss < LOSS_COUNT);
    return loss_stages[loss];
}

uint64_t ledger_sum(uint64_t a, uint64_t b)
{
    return a > LEDGER_NUMBER_MAX || b > LEDGER_NUMBER_MAX - a ? LEDGER_NUMBER_MAX : a + b;
}

static bool is_name(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '_'))
            return false;
    }
    return name.len > 0 && name.len < LEDGER_NAME_SIZE;
}

void ledger_init(struct ledger *ret_ledger)
{
    *ret_ledger = (struct ledger){.count = 0};
    must(ledger_entry(ret_ledger, SPAN_LIT("other")) == LEDGER_OTHER);
}

size_t ledger_entry(struct ledger *ledger, struct span name)
{
    for (size_t i = 0; i < ledger->count; i++)
        if (span_is(name, ledger->entries[i].name))
            return i;
    if (ledger->count == LEDGER_ENTRIES_MAX || !is_name(name))
        return LEDGER_OTHER;
    struct ledger_entry *entry = &ledger->entries[ledger->count];
    *entry = (struct ledger_entry){.seen = 0};
    memcpy(entry->name, name.ptr, name.len);
    ledger->changed = true;
    return ledger->count++;
}

void ledger_accept(struct ledger *ledger, const struct ledger_tallies *tallies)
{
    for (size_t i = 0; i < ledger->count; i++)
        ledger->entries[i].accepted = ledger_sum(ledger->entries[i].accepted, tallies->of[i]);
    ledger->changed = true;
}

void ledger_deliver(struct ledger *ledger, const struct ledger_tallies *tallies)
{
    for (size_t i = 0; i < ledger->count; i++)
        ledger->entries[i].delivered = ledger_sum(ledger->entries[i].delivered, tallies->of[i]);
    ledger->changed = true;
}

void ledger_lose(struct ledger *ledger, enum loss loss, const struct ledger_tallies *tallies)
{
    for (size_t i = 0; i < ledger->count; i++) {
        uint64_t *lost = &ledger->entries[i].lost[loss];
        *lost = ledger_sum(*lost, tallies->of[i]);
    }
    ledger->changed = true;
}

static void set(struct ledger *ledger, uint64_t *number, uint64_t to)
{
    if (to > LEDGER_NUMBER_MAX)
        to = LEDGER_NUMBER_MAX;
    ledger->changed = ledger->changed || *number != to;
    *number = to;
}

void ledger_set_collected(
    struct ledger *ledger, size_t entry, uint64_t seen, const uint64_t lost[LOSS_COUNT])
{
    must(entry < ledger->count);
    set(ledger, &ledger->entries[entry].seen, seen);
    for (size_t i = 0; i < LOSS_COUNT; i++)
        if (loss_stages[i] != LOSS_STAGE_OUTBOX)
            set(ledger, &ledger->entries[entry].lost[i], lost[i]);
}

uint64_t ledger_lost(const struct ledger_entry *entry, enum loss_stage stage)
{
    uint64_t lost = 0;
    for (size_t i = 0; i < LOSS_COUNT; i++)
        if (loss_stages[i] == stage)
            lost = ledger_sum(lost, entry->lost[i]);
    return lost;
}

static uint64_t difference(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

uint64_t ledger_queued(const struct ledger_entry *entry)
{
    return difference(
        entry->accepted, ledger_sum(entry->delivered, ledger_lost(entry, LOSS_STAGE_OUTBOX)));
}

void ledger_balance(struct ledger *ledger, const struct ledger_tallies *unheard,
    const struct ledger_tallies *queued)
{
    ledger_accept(ledger, unheard);
    for (size_t i = 0; i < ledger->count; i++) {
        struct ledger_entry *entry = &ledger->entries[i];
        uint64_t missing = difference(ledger_queued(entry), queued->of[i]);
        uint64_t surplus = difference(queued->of[i], ledger_queued(entry));
        entry->lost[LOSS_DAMAGED] = ledger_sum(entry->lost[LOSS_DAMAGED], missing);
        entry->accepted = ledger_sum(entry->accepted, surplus);
        uint64_t known = ledger_sum(entry->accepted, ledger_lost(entry, LOSS_STAGE_COLLECTOR));
        uint64_t gone = difference(entry->seen, known);
        entry->lost[LOSS_RESTART] = ledger_sum(entry->lost[LOSS_RESTART], gone);
        entry->seen = ledger_sum(known, gone);
        entry->lost_now = gone;
    }
}

void ledger_resume(struct ledger *ledger, size_t entry)
{
    must(entry < ledger->count);
    struct ledger_entry *at = &ledger->entries[entry];
    at->lost[LOSS_RESTART] -= at->lost_now;
    at->seen -= at->lost_now;
    at->lost_now = 0;
}

/* ---- bytes ---- */

/* Takes from the front of what was read; false when there is not so much. */
static bool take(struct span *bytes, void *to, size_t size)
{
    if (bytes->len < size)
        return false;
    memcpy(to, bytes->ptr, size);
    *bytes = span_from(*bytes, size);
    return true;
}

static bool take_number(struct span *bytes, uint64_t *ret_number)
{
    uint64_t word;
    if (!take(bytes, &word, sizeof(word)) || le64toh(word) > LEDGER_NUMBER_MAX)
        return false;
    *ret_number = le64toh(word);
    return true;
}

size_t ledger_write_tallies(const struct ledger *ledger, const struct ledger_tallies *tallies,
    unsigned char ret_bytes[LEDGER_TALLIES_BYTES])
{
    size_t len = 0;
    for (size_t i = 0; i < ledger->count; i++) {
        if (tallies->of[i] == 0)
            continue;
        struct span name = span_of(ledger->entries[i].name);
        uint64_t word = htole64(tallies->of[i]);
        ret_bytes[len++] = (unsigned char)name.len;
        memcpy(ret_bytes + len, name.ptr, name.len);
        memcpy(ret_bytes + len + name.len, &word, sizeof(word));
        len += name.len + sizeof(word);
    }
    return len;
}

bool ledger_read_tallies(
    struct ledger *ledger, struct span bytes, struct ledger_tallies *ret_tallies)
{
    struct ledger_tallies tallies = {{0}};
    for (unsigned i = 0; bytes.len > 0; i++) {
        unsigned char len;
        uint64_t number;
        if (i == LEDGER_ENTRIES_MAX || !take(&bytes, &len, 1) || len > bytes.len)
            return false;
        struct span name = span_first(bytes, len);
        bytes = span_from(bytes, len);
        if (!is_name(name) || !take_number(&bytes, &number))
            return false;
        uint64_t *of = &tallies.of[ledger_entry(ledger, name)];
        *of = ledger_sum(*of, number);
    }
    *ret_tallies = tallies;
    return true;
}

static void add_number(struct buf *out, uint64_t number)
{
    uint64_t word = htole64(number);
    buf_add(out, (struct span){(const char *)&word, sizeof(word)});
}

/* The losses that this version knows, its entries, and then all numbers. */
void ledger_encode(const struct ledger *ledger, struct buf *out)
{
    const struct ledger_messages *messages = &ledger->messages;
    const uint64_t numbers[] = {LOSS_COUNT, ledger->count, messages->appended, messages->sent,
        messages->expired, messages->overflow, messages->unwritten, messages->damaged};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        add_number(out, numbers[i]);
    for (size_t i = 0; i < ledger->count; i++) {
        const struct ledger_entry *entry = &ledger->entries[i];
        buf_add(out, (struct span){entry->name, sizeof(entry->name)});
        add_number(out, entry->seen);
        add_number(out, entry->accepted);
        add_number(out, entry->delivered);
        for (size_t k = 0; k < LOSS_COUNT; k++)
            add_number(out, difference(entry->lost[k], k == LOSS_RESTART ? entry->lost_now : 0));
        add_number(out, entry->told.sent);
        for (size_t k = 0; k < LOSS_COUNT; k++)
            add_number(out, entry->told.lost[k]);
    }
}

/* A newer version may know more losses than this one: those count as damaged. */
static bool decode_losses(struct span *bytes, size_t count, uint64_t ret_lost[LOSS_COUNT])
{
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        uint64_t *lost = &ret_lost[i < LOSS_COUNT ? i : LOSS_DAMAGED];
        if (!take_number(bytes, &number))
            return false;
        *lost = ledger_sum(*lost, number);
    }
    return true;
}

static bool decode_entry(struct span *bytes, size_t losses, struct ledger *ledger)
{
    char name[LEDGER_NAME_SIZE];
    if (!take(bytes, name, sizeof(name)) || memchr(name, '\0', sizeof(name)) == NULL ||
        !is_name(span_of(name)))
        return false;
    size_t known = ledger->count;
    size_t at = ledger_entry(ledger, span_of(name));
    struct ledger_entry *entry = &ledger->entries[at];
    if (at != LEDGER_OTHER && at < known)
        return false;
    if (!take_number(bytes, &entry->seen) || !take_number(bytes, &entry->accepted) ||
        !take_number(bytes, &entry->delivered))
        return false;
    return decode_losses(bytes, losses, entry->lost) && take_number(bytes, &entry->told.sent) &&
           decode_losses(bytes, losses, entry->told.lost);
}

static bool decode(struct span bytes, struct ledger *ledger)
{
    struct ledger_messages *messages = &ledger->messages;
    uint64_t losses;
    uint64_t entries;
    uint64_t *numbers[] = {&losses, &entries, &messages->appended, &messages->sent,
        &messages->expired, &messages->overflow, &messages->unwritten, &messages->damaged};
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        if (!take_number(&bytes, numbers[i]))
            return false;
    if (losses > 64 || entries > LEDGER_ENTRIES_MAX)
        return false;
    for (uint64_t i = 0; i < entries; i++)
        if (!decode_entry(&bytes, (size_t)losses, ledger))
            return false;
    return bytes.len == 0;
}

bool ledger_decode(struct span bytes, struct ledger *ret_ledger)
{
    ledger_init(ret_ledger);
    bool done = decode(bytes, ret_ledger);
    if (!done)
        ledger_init(ret_ledger);
    return done;
}
