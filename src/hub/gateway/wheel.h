/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines of many connections on one thread. A connection has one entry and moves its deadline
 * with almost every packet, nearly always to later; so moving to later only writes a number, and
 * the entry is looked at again where it was:
 *
 *     slot  0   1   2   3 …          entry in slot 3, deadline meanwhile tick 9:
 *          [ ] [ ] [ ] [e] …         at tick 3 it is put into slot 9, not expired
 *
 * libwebsockets' own timers are one sorted list, whose insertion walks it: not for 100,000 entries.
 * Deadlines past the horizon wait in the farthest slot. Pure: the caller says what tick it is.
 */
#ifndef GEMEL_GATEWAY_WHEEL_H
#define GEMEL_GATEWAY_WHEEL_H

#include "base.h"

#define WHEEL_SLOTS 256

struct wheel_entry {
    struct wheel_entry *next; /* NULL: in no wheel */
    struct wheel_entry *previous;
    int64_t due; /* the tick at which it expires */
    int64_t at;  /* the tick at which it is looked at: never behind `due` */
};

struct wheel {
    struct wheel_entry slots[WHEEL_SLOTS]; /* heads of rings */
    int64_t now;
};

void wheel_init(struct wheel *wheel, int64_t now);

/* Sets or moves a deadline; one that has passed expires at the next tick. */
void wheel_set(struct wheel *wheel, struct wheel_entry *entry, int64_t due);

/* Takes an entry out; fine if it is in no wheel. */
void wheel_cancel(struct wheel_entry *entry);

/* Called for an entry that expired and is in the wheel no more; may set, cancel or free any. */
typedef void wheel_expired(void *self, struct wheel_entry *entry);

/* Goes on to tick `now`, calling `expired` for each deadline that has come. */
void wheel_advance(struct wheel *wheel, int64_t now, wheel_expired *expired, void *self);

#endif
