/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cloud-to-device messages, inside of the service. A message waits in its identity's queue until a
 * client takes hold of it, and then is settled once:
 *
 *            take (MQTT: by its session; HTTPS: by a lock, for a time)
 *   WAITING -----------------------------------------------------------> HELD
 *    |  ^                                                                 |
 *    |  +---- abandoned, lock over, session over -------------------------+
 *    |                                                                    |
 *    +- expired, delivered too often, purged --> (feedback) <-- completed, rejected
 *
 * Feedback of those who asked for it goes into a list of its own, and into the event log.
 */
#ifndef GEMEL_SERVICE_MESSAGES_H
#define GEMEL_SERVICE_MESSAGES_H

#include "service_priv.h"

enum message_outcome {
    OUTCOME_SUCCESS,
    OUTCOME_EXPIRED,
    OUTCOME_DELIVERY_COUNT,
    OUTCOME_REJECTED,
    OUTCOME_PURGED,
};

/* Drops a message, with the feedback its sender asked for: then `*event` is that event's sequence.
 */
enum err message_settle(const struct service *service, struct arena *arena, struct store_txn *txn,
    const struct message_place *place, const struct message *message, enum message_outcome outcome,
    uint64_t *event) MUST_USE;

/* Finds the next that nobody holds, settling those before it that are over. ERR_NOT_FOUND. */
enum err message_find_next(const struct service *service, struct arena *arena,
    struct store_txn *txn, const struct message_place *place, struct message *ret_message,
    uint64_t *event) MUST_USE;

/* Whether a message was delivered as often as it may. */
bool message_is_spent(const struct service *service, const struct message *message);

/* "/devices/{id}/messages/deviceBound" */
void message_write_to(const struct message_place *place, struct buf *out);
const char *message_ack_name(unsigned ack);

/* Writes it in the form of IoT Hub's feedback messages, without the brace at its end. */
void message_write_feedback(const struct feedback *feedback, struct buf *out);

/* Adds the effects: that there are events (if `event` is not 0). */
enum err message_add_event_effect(struct rest *rest, uint64_t event) MUST_USE;

/* Settles what has expired, and lets clients know of what they held over HTTPS too long. */
void messages_sweep(struct service *service);

#endif
