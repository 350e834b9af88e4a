/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packs events into messages, the JSON form of the micro agent's schema 2.3:
 *
 *   {"security_module_id":…,"security_module_version":…,"timezone":…,"events":[
 *     {"id":…,"time":…,"collection_interval":…,"payload_type":…,"payload":{…}}, …]}
 *
 * A message is delivered when the next event would pass the limit, and at message_send(). An event
 * is never split. What became of the occurrences that the events of each source stand for is told
 * in `tallies`. No message is made without an event.
 */
#ifndef GEMEL_MESSAGE_H
#define GEMEL_MESSAGE_H

#include "json.h"
#include "ledger.h"

#define MESSAGE_SOURCES_MAX LEDGER_ENTRIES_MAX

struct message_tally {
    uint64_t sent;
    uint64_t refused; /* deliver() did not keep the message */
};

struct message {
    size_t limit_bytes;
    uint32_t (*random)(void);
    enum err (*deliver)(
        void *self, struct span body, size_t event_count, const struct ledger_tallies *tallies);
    void *self;
    int timezone_hours;
    struct message_tally tallies[MESSAGE_SOURCES_MAX];

    struct buf body; /* the message so far, without its end */
    struct buf event;
    size_t event_count;
    struct ledger_tallies packed; /* in `body`, not delivered yet */
};

struct message_event {
    const char *payload_type;
    int64_t time_us;    /* wall time */
    int64_t interval_s; /* of collection */
    const struct json *payload;
    size_t source; /* whose tally: its entry in the ledger */
    uint64_t occurrences;
};

/* Begins; limit_bytes, random, deliver, self and timezone_hours are the caller's to set. */
void message_init(struct message *ret_message);
void message_done(struct message *message);

/* Adds an event. ERR_TOO_LARGE: it passes the limit alone. ERR_MEMORY. */
enum err message_add(struct message *message, const struct message_event *event) MUST_USE;

/* Delivers what is packed. */
void message_send(struct message *message);

/* Adds a random UUID (RFC 9562, version 4). */
void message_add_uuid(struct buf *out, uint32_t (*random)(void));

/* The offset of local time from UTC at a moment, in whole hours, rounded toward zero. */
int message_timezone_hours(int64_t wall_us);

#endif
