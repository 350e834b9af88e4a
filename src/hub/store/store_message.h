/* SPDX-License-Identifier: Apache-2.0 */
/* Cloud-to-device messages and feedback on them; a part of store.h, which says what holds for all.
 */
#ifndef GEMEL_STORE_MESSAGE_H
#define GEMEL_STORE_MESSAGE_H

#include "mem.h"

struct store_txn;

/* What the sender wants to hear of; both: everything. */
enum message_ack { MESSAGE_ACK_POSITIVE = 1, MESSAGE_ACK_NEGATIVE = 2 };

/* Each identity has a queue. Somebody may hold a message: the identity's present session, as long
 * as it is connected, or whoever knows the lock, until a time. */
struct message {
    uint64_t sequence; /* given by the store: grows, never used twice */
    int64_t enqueued_us;
    int64_t expires_us;
    unsigned ack;        /* of enum message_ack */
    unsigned deliveries; /* how often somebody took hold of it */
    uint64_t session;    /* of the last to hold it; 0: none */
    uint64_t lock;       /* likewise */
    int64_t locked_until_us;
    struct span message_id;
    struct span correlation_id; /* empty: none; so the following */
    struct span user_id;
    struct span content_type;
    struct span content_encoding;
    struct span properties; /* of the application: an encoded bag */
    struct span body;       /* any bytes */
};

/* Adds one behind the others. ERR_NOT_FOUND: no such identity; ERR_FULL: `most` wait already, not
 * counting those that have expired by its enqueued_us. */
enum err store_message_put(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, const struct message *message, size_t most,
    uint64_t *ret_sequence) MUST_USE;
/* The first that nobody holds, expired or not. ERR_NOT_FOUND. */
enum err store_message_next(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, int64_t now_us,
    struct message *ret_message) MUST_USE;
/* One of an identity. ERR_NOT_FOUND. */
enum err store_message_get(struct store_txn *txn, struct arena *arena, int64_t hub_id,
    struct span device_id, struct span module_id, uint64_t sequence,
    struct message *ret_message) MUST_USE;
/* Writes who holds it (session, or lock and its end), and how often it was delivered. */
enum err store_message_hold(struct store_txn *txn, const struct message *message) MUST_USE;
/* Drops one. ERR_NOT_FOUND. */
enum err store_message_delete(struct store_txn *txn, uint64_t sequence) MUST_USE;

struct message_place {
    int64_t hub_id;
    struct span device_id;
    struct span module_id;
    uint64_t generation; /* of the identity */
};

typedef enum err message_visitor(
    void *self, const struct message_place *place, const struct message *message);

/* All of an identity, in order, without body and properties. */
enum err store_message_list(struct store_txn *txn, int64_t hub_id, struct span device_id,
    struct span module_id, message_visitor *visit, void *self) MUST_USE;
/* Those of all hubs that nobody holds and that have expired; likewise. */
enum err store_message_expired(struct store_txn *txn, int64_t now_us, size_t limit,
    message_visitor *visit, void *self) MUST_USE;
/* Those whose lock has ended since it was taken; likewise. */
enum err store_message_lapsed(struct store_txn *txn, int64_t now_us, size_t limit,
    message_visitor *visit, void *self) MUST_USE;

/* What became of messages whose senders wanted to hear of it. */
struct feedback {
    uint64_t id; /* given by the store: grows */
    int64_t time_us;
    struct span message_id;
    struct span outcome; /* "Success" | … */
    struct span device_id;
    struct span module_id;
    uint64_t generation;
};

typedef enum err feedback_visitor(void *self, const struct feedback *feedback);

enum err store_feedback_append(
    struct store_txn *txn, int64_t hub_id, const struct feedback *feedback) MUST_USE;
/* Those behind `after`, oldest first. */
enum err store_feedback_read(struct store_txn *txn, int64_t hub_id, uint64_t after, size_t limit,
    feedback_visitor *visit, void *self) MUST_USE;

#define FEEDBACK_FOR_EVER INT64_MAX

struct feedback_lock {
    int64_t hub_id;
    uint64_t number;  /* from 1 to INT64_MAX; nobody can guess it */
    int64_t until_us; /* FEEDBACK_FOR_EVER: nobody gets it again */
};

/* Holds the oldest that nobody holds, and visits them. */
enum err store_feedback_hold(struct store_txn *txn, const struct feedback_lock *lock,
    int64_t now_us, size_t limit, feedback_visitor *visit, void *self) MUST_USE;
/* Puts another end to what the number holds, after which it holds nothing any more. ERR_NOT_FOUND:
 * it did not. */
enum err store_feedback_settle(
    struct store_txn *txn, const struct feedback_lock *lock, int64_t now_us) MUST_USE;
/* Drops those of all hubs from before this time, at most `limit`. */
enum err store_feedback_prune(
    struct store_txn *txn, int64_t before_us, size_t limit, size_t *ret_dropped) MUST_USE;

#endif
