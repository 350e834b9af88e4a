/* SPDX-License-Identifier: Apache-2.0 */
#include "wheel.h"

static void ring_init(struct wheel_entry *head)
{
    head->next = head;
    head->previous = head;
}

static void ring_add(struct wheel_entry *head, struct wheel_entry *entry)
{
    entry->next = head;
    entry->previous = head->previous;
    head->previous->next = entry;
    head->previous = entry;
}

static struct wheel_entry *slot_of(struct wheel *wheel, int64_t tick)
{
    return &wheel->slots[(uint64_t)tick % WHEEL_SLOTS];
}

static void put(struct wheel *wheel, struct wheel_entry *entry)
{
    int64_t horizon = wheel->now + WHEEL_SLOTS - 1;
    entry->at = entry->due > horizon ? horizon : entry->due;
    if (entry->at <= wheel->now)
        entry->at = wheel->now + 1;
    ring_add(slot_of(wheel, entry->at), entry);
}

void wheel_init(struct wheel *wheel, int64_t now)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        ring_init(&wheel->slots[i]);
    wheel->now = now;
}

void wheel_set(struct wheel *wheel, struct wheel_entry *entry, int64_t due)
{
    entry->due = due;
    if (entry->next != NULL && entry->at <= due)
        return;
    wheel_cancel(entry);
    put(wheel, entry);
}

void wheel_cancel(struct wheel_entry *entry)
{
    if (entry->next == NULL)
        return;
    entry->next->previous = entry->previous;
    entry->previous->next = entry->next;
    entry->next = NULL;
    entry->previous = NULL;
}

/* The slot's ring is moved to a head of our own and emptied from its front, so that whatever the
 * callback does to other entries of it leaves us on firm ground. */
static void expire_slot(struct wheel *wheel, wheel_expired *expired, void *self)
{
    struct wheel_entry *slot = slot_of(wheel, wheel->now);
    if (slot->next == slot)
        return;
    struct wheel_entry due = *slot;
    due.next->previous = &due;
    due.previous->next = &due;
    ring_init(slot);

    while (due.next != &due) {
        struct wheel_entry *entry = due.next;
        wheel_cancel(entry);
        if (entry->due > wheel->now)
            put(wheel, entry);
        else
            expired(self, entry);
    }
}

void wheel_advance(struct wheel *wheel, int64_t now, wheel_expired *expired, void *self)
{
    while (wheel->now < now) {
        wheel->now++;
        expire_slot(wheel, expired, self);
    }
}
