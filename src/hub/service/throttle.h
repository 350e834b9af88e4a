/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often what may be asked: a rate for each class of throttle.def, of a hub and of each of its
 * callers (a device, a module, a policy, an account). Each rate is a bucket of tokens:
 *
 *   tokens are there            go
 *   none is left                wait; every request gets the moment at which its token comes
 *   that is too far away        refused, with how long until there is room again
 *   the day's messages are used up
 *                               quota
 *
 * A bucket is one number: the moment at which it would be full again. So the order of those who
 * wait, and how many may, follow from the same number. Callers are kept as keyed hashes in a table
 * of fixed size; where it is full, the bucket that is fullest gives way, as if it were full.
 *
 * Pure but for memory: the time comes in. Not for use from two threads at once.
 */
#ifndef GEMEL_SERVICE_THROTTLE_H
#define GEMEL_SERVICE_THROTTLE_H

#include "err.h"
#include "service.h"
#include "span.h"

struct throttle;

/* NULL: no memory. */
struct throttle *throttle_new(const struct throttle_limits *limits);
void throttle_free(struct throttle *throttle); /* NULL is fine */

/* Whether there is anything to be judged. */
bool throttle_limits_any(const struct throttle_limits *limits);

/* Stands for a caller of a class. Any thread. */
uint64_t throttle_key(const struct throttle *throttle, enum throttle_class class, int64_t hub_id,
    char kind, struct span name, struct span part);

/* Whether anything is asked of a class. Any thread. */
bool throttle_judges(const struct throttle *throttle, enum throttle_class class, unsigned messages);

struct throttle_request {
    enum throttle_class class;
    int64_t hub_id;
    uint64_t caller;   /* by throttle_key() */
    unsigned cost;     /* tokens */
    unsigned messages; /* of the day */
    bool patient;      /* waits however long it takes */
};

enum throttle_verdict { THROTTLE_GO, THROTTLE_WAIT, THROTTLE_REFUSED, THROTTLE_QUOTA };

/* Takes the tokens; `*ret_us` is how long it is to wait, or after what time to ask again. What is
 * refused takes none. */
enum throttle_verdict throttle_ask(struct throttle *throttle,
    const struct throttle_request *request, int64_t mono_us, int64_t wall_us, int64_t *ret_us);

struct throttle_day {
    int64_t hub_id;
    int64_t day; /* since 1970, UTC */
    uint64_t messages;
};

/* Goes on from what a hub had counted before; without memory it does not. */
void throttle_set_day(struct throttle *throttle, const struct throttle_day *day);

/* Gives a hub whose count is another than when it was last set or given; false: there is none. */
bool throttle_take_day(struct throttle *throttle, struct throttle_day *ret_day);

/* One that was to wait is given up: gives its tokens back. */
void throttle_give_back(struct throttle *throttle, const struct throttle_request *request);

#endif
