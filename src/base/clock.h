/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time comes in from outside, so that tests own it: whoever needs the time is given a clock.
 * Wall time is microseconds since 1970-01-01 UTC and may jump; mono time only grows and counts
 * from an arbitrary start. Texts are ISO 8601 in UTC with seven fractional digits, as IoT Hub
 * writes them: "2026-01-02T03:04:05.1234560Z"; the unset time is year 1.
 */
#ifndef GEMEL_CLOCK_H
#define GEMEL_CLOCK_H

#include "err.h"
#include "span.h"

struct clock {
    int64_t (*wall_us)(void *self);
    int64_t (*mono_us)(void *self);
    void *self;
};

/* The machine's own clocks (CLOCK_REALTIME, CLOCK_MONOTONIC). */
extern const struct clock clock_system;

static inline int64_t clock_wall_us(const struct clock *clock)
{
    return clock->wall_us(clock->self);
}

static inline int64_t clock_mono_us(const struct clock *clock)
{
    return clock->mono_us(clock->self);
}

#define CLOCK_TEXT_SIZE 32
#define CLOCK_UNSET INT64_MIN

/* Writes the text of a wall time; CLOCK_UNSET gives "0001-01-01T00:00:00Z". Returns `ret_text`. */
const char *clock_format(int64_t wall_us, char ret_text[CLOCK_TEXT_SIZE]);

/* Reads that form; fewer or no fractional digits and an offset "+hh:mm" are accepted. */
enum err clock_parse(struct span text, int64_t *ret_wall_us, struct why *why) MUST_USE;

#endif
