/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where requests wait for their turn; throttle.h judges. Everything that is metered comes through
 * gate_enter(), once it is known who asks and what it costs, and before it takes the store:
 *
 *   REST           after prepare            rest_enter()
 *   MQTT CONNECT   once authenticated       session.c
 *   MQTT packets   after they were read     events.c, session.c
 *
 * Without a limit there is no gate (service->gate is NULL), and nothing of it is called.
 */
#ifndef GEMEL_SERVICE_GATE_H
#define GEMEL_SERVICE_GATE_H

#include "service_priv.h"
#include "throttle.h"

struct gate;

/* NULL in `ret_gate` where there is no limit. */
enum err gate_new(const struct clock *clock, const struct throttle_limits *limits,
    struct gate **ret_gate, struct why *why) MUST_USE;
void gate_free(struct gate *gate); /* nothing waits any more; NULL is fine */

/* It is the call's turn, or `err` says why it never is. On any thread, without a lock. */
typedef void gate_step(struct call *call, enum err err, const struct why *why);

/* Steps that hand the call's job to the store. */
gate_step gate_to_reader, gate_to_writer;

struct gate_ask {
    enum throttle_class class;
    int64_t hub_id;
    char kind; /* of caller: 'd'evice or module, 'p'olicy, 'a'ccount */
    struct span name;
    struct span part;  /* a module's own id */
    unsigned cost;     /* in the unit of the class */
    unsigned messages; /* that count for the day */
    bool patient;      /* waits however long it takes */
};

void gate_judge(struct gate *gate, struct call *call, const struct gate_ask *ask, gate_step *go);

/* Calls `go`, before it returns or later; then call->delayed was set before it returned. */
static inline void gate_enter(
    struct gate *gate, struct call *call, const struct gate_ask *ask, gate_step *go)
{
    if (gate == NULL)
        go(call, ERR_NONE, NULL);
    else
        gate_judge(gate, call, ask, go);
}

/* Gives up a call that waits: its step hears of ERR_CANCELLED. Others are left alone. */
void gate_abandon(struct gate *gate, struct call *call);

/* Lets through what is due, which the gate's own thread does as well; or everything, and whatever
 * comes later. */
void gate_release(struct gate *gate, bool all);

/* Tells the log, at most once a minute, what was delayed and refused. */
void gate_tell(struct gate *gate);

/* throttle_set_day() and throttle_take_day(), where there is a limit for a day. Any thread. */
void gate_set_day(struct gate *gate, const struct throttle_day *day);
bool gate_take_day(struct gate *gate, struct throttle_day *ret_day);

/* day_quota.c: the count of each hub's day, read once the hubs are known; written from time to
 * time, and at once, by jobs of the service's own. */
enum err day_quota_load(struct service *service, struct why *why) MUST_USE;
void day_quota_tick(struct service *service);
void day_quota_save(struct service *service);

/* Of messages, how many the day's quota counts for one of that size. */
static inline unsigned gate_messages(size_t size_bytes)
{
    return size_bytes <= 4096 ? 1 : (unsigned)((size_bytes + 4095) / 4096);
}

/* The class of an operation; THROTTLE_NOTHING: it is not metered. */
enum throttle_class gate_class_of(const struct operation *operation);

const char *gate_class_name(enum throttle_class class);

#endif
