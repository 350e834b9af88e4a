/* SPDX-License-Identifier: Apache-2.0 */
#include "sender.h"

#include "mem.h"

struct flight {
    uint64_t sequence;
    size_t bytes;
    int token;
    int64_t since_us;
    bool acked;
};

struct sender {
    struct sender_options options;
    bool connected;
    struct flight *window; /* a ring: `count` from `first` on, by sequence */
    size_t first;
    size_t count;
    size_t bytes;
    struct buf body;
};

enum err sender_new(
    const struct sender_options *options, struct sender **ret_sender, struct why *why)
{
    struct sender *sender = mem_alloc(sizeof(*sender));
    if (sender == NULL)
        return fail(ERR_MEMORY, why, "no memory for sending messages");
    sender->options = *options;
    if (sender->options.window == 0)
        sender->options.window = SENDER_WINDOW_DEFAULT;
    sender->window = mem_alloc(sender->options.window * sizeof(*sender->window));
    if (sender->window == NULL) {
        mem_free(sender);
        return fail(ERR_MEMORY, why, "no memory for sending messages");
    }
    *ret_sender = sender;
    return ERR_NONE;
}

void sender_free(struct sender *sender)
{
    if (sender == NULL)
        return;
    buf_done(&sender->body);
    mem_free(sender->window);
    mem_free(sender);
}

static void empty_window(struct sender *sender)
{
    sender->first = sender->count = 0;
    sender->bytes = 0;
    outbox_rewind(sender->options.outbox);
}

void sender_connected(struct sender *sender)
{
    empty_window(sender);
    sender->connected = true;
}

void sender_lost(struct sender *sender)
{
    empty_window(sender);
    sender->connected = false;
}

static struct flight *flight_at(struct sender *sender, size_t place)
{
    return &sender->window[(sender->first + place) % sender->options.window];
}

void sender_acked(struct sender *sender, int token)
{
    uint64_t done = 0;
    for (size_t i = 0; i < sender->count; i++)
        if (flight_at(sender, i)->token == token)
            flight_at(sender, i)->acked = true;
    while (sender->count > 0 && flight_at(sender, 0)->acked) {
        done = flight_at(sender, 0)->sequence;
        sender->bytes -= flight_at(sender, 0)->bytes;
        sender->first = (sender->first + 1) % sender->options.window;
        sender->count--;
    }
    if (done > 0)
        outbox_ack(sender->options.outbox, done);
}

static bool has_room(const struct sender *sender)
{
    if (sender->count == 0)
        return true;
    return sender->count < sender->options.window &&
           sender->bytes + OUTBOX_MESSAGE_MAX_BYTES <= SENDER_WINDOW_BYTES;
}

/* False: nothing more can be sent now. */
static bool send_next(struct sender *sender)
{
    struct outbox_message message;
    int token;
    if (outbox_next(sender->options.outbox, &sender->body, &message) != ERR_NONE)
        return false;
    if (sender->options.publish(
            sender->options.self, message.id, buf_span(&sender->body), &token) != ERR_NONE) {
        outbox_put_back(sender->options.outbox);
        return false;
    }
    *flight_at(sender, sender->count) = (struct flight){.sequence = message.sequence,
        .bytes = sender->body.len,
        .token = token,
        .since_us = clock_mono_us(sender->options.clock)};
    sender->count++;
    sender->bytes += sender->body.len;
    return true;
}

int64_t sender_run(struct sender *sender)
{
    while (sender->connected && has_room(sender) && send_next(sender))
        ;
    /* A large message leaves a large buffer; what is idle should be small. */
    if (sender->count == 0)
        buf_done(&sender->body);
    return sender->count == 0 ? INT64_MAX : flight_at(sender, 0)->since_us + SENDER_ANSWER_US;
}

bool sender_silent(const struct sender *sender)
{
    return sender->count > 0 && clock_mono_us(sender->options.clock) >=
                                    sender->window[sender->first].since_us + SENDER_ANSWER_US;
}

size_t sender_in_flight(const struct sender *sender)
{
    return sender->count;
}
