/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the collectors share: a clock that stands still until it is moved, random
 * numbers that are none, and an outbox that keeps messages as JSON trees.
 */
#ifndef GEMEL_COLLECTORS_HARNESS_H
#define GEMEL_COLLECTORS_HARNESS_H

#include "collector.h"

#define SECOND INT64_C(1000000)
#define HARNESS_MESSAGES 4096u

struct harness {
    struct clock clock;
    int64_t mono_us;
    int64_t wall_us;
    struct collectors_options options;
    enum err answer;   /* what the outbox says */
    bool memory_fails; /* the test lets it: for the collectors, not for the outbox here */
    struct arena arena;
    size_t count; /* messages so far, kept or not */
    size_t largest_bytes;
    struct json *messages[HARNESS_MESSAGES];
};

/* Begins with the fake clock; the options may be changed before they are used. */
void harness_init(struct harness *harness);
void harness_done(struct harness *harness);

/* Uses the machine's own clock. */
void harness_real_clock(struct harness *harness);

/* Forgets the messages. */
void harness_clear(struct harness *harness);

/* All events so far, or those of a payload type (NULL: any). */
size_t harness_events(const struct harness *harness, const char *payload_type);

/* The payload of the event number `at` of a payload type; fails the test if there is none. */
const struct json *harness_payload(
    const struct harness *harness, const char *payload_type, size_t at);

/* The sum of hit_count over the Process events for which `wanted` holds (NULL: all). */
int64_t harness_hits(const struct harness *harness,
    bool (*wanted)(const struct json *payload, const char *text), const char *text);

/* For harness_hits(): an EXEC whose command line begins with the text; whose state is the text. */
bool harness_command_line_begins(const struct json *payload, const char *text);
bool harness_state_is(const struct json *payload, const char *text);

int64_t harness_number(const struct json *object, const char *name);

/* The status of a collector, and one of its numbers ("seen", "lost.kernel_buffer": 0 if absent). */
const struct json *harness_status(
    struct harness *harness, struct collectors *collectors, const char *name);
int64_t harness_counter(
    struct harness *harness, struct collectors *collectors, const char *name, const char *counter);

/* All that a collector has lost; and what of all that happened is not accounted for: 0. Each is
 * read at one moment, while other programs of the machine go on. */
int64_t harness_lost(struct harness *harness, struct collectors *collectors, const char *name);
int64_t harness_unaccounted(
    struct harness *harness, struct collectors *collectors, const char *name);

#endif
