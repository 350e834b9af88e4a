/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends what the outbox keeps, in order, some messages at a time without waiting for each: a
 * window of messages that are published and not yet acknowledged. Acknowledgements may come in any
 * order; the outbox forgets a message when it and all before it have theirs. A lost connection
 * empties the window, and the next one begins again at the oldest message: the hub may see some
 * twice, with the same id. One thread.
 */
#ifndef GEMEL_SENDER_H
#define GEMEL_SENDER_H

#include "outbox.h"

#define SENDER_WINDOW_DEFAULT 32u
/* Bounds the memory of a window of large messages; one message may always be under way. */
#define SENDER_WINDOW_BYTES (1u << 20)
/* A hub that leaves a message unanswered for so long is given up. */
#define SENDER_ANSWER_US (60 * (int64_t)1000000)

struct sender_options {
    const struct clock *clock;
    struct outbox *outbox;
    size_t window; /* messages under way at most; 0: the default */
    /* Publishes a message; `*ret_token` names it until it is acknowledged or the connection is
     * lost. Not ERR_NONE: not now. */
    enum err (*publish)(void *self, const char *id, struct span body, int *ret_token);
    void *self;
};

struct sender;

enum err sender_new(
    const struct sender_options *options, struct sender **ret_sender, struct why *why) MUST_USE;
void sender_free(struct sender *sender); /* NULL is fine */

void sender_connected(struct sender *sender);
void sender_lost(struct sender *sender);

/* The hub acknowledged a message; an unknown token is passed over. */
void sender_acked(struct sender *sender, int token);

/* Publishes while there is room in the window; call after every event and append. Returns the mono
 * time at which the hub's silence is too long (see sender_silent()). */
int64_t sender_run(struct sender *sender);

/* Whether a message has waited too long for its acknowledgement: connect anew. */
bool sender_silent(const struct sender *sender);

/* Messages that are published and not acknowledged. */
size_t sender_in_flight(const struct sender *sender);

#endif
