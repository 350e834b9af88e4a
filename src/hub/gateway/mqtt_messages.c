/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_messages.h"

#include "log.h"

/* So many may wait for their PUBACK at a time. */
#define WINDOW 16

struct flight {
    uint16_t packet_id;
    uint64_t sequence;
};

struct mqtt_messages {
    struct flight flights[WINDOW];
    size_t count;
    uint16_t last_id;
    bool taking; /* a take is at the service */
    bool more;   /* once it is back, look again */
};

struct message_op {
    struct mail mail; /* the service's reply */
    struct mqtt_session *session;
    struct message_call message;
};

static void take_next(struct mqtt_session *session);

void mqtt_messages_free(struct mqtt_messages *messages)
{
    mem_free(messages);
}

static bool is_taking_messages(const struct mqtt_session *session)
{
    return session->state == MQTT_STATE_LIVE && conn_is_open(&session->conn) &&
           !session->conn.thread->draining && mqtt_session_takes_messages(session);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void reply(struct call *call)
{
    struct message_op *op = call->owner;
    thread_post(op->session->conn.thread, &op->mail);
}

static struct message_op *new_op(
    struct mqtt_session *session, void (*deliver)(struct gateway_thread *thread, struct mail *mail))
{
    struct message_op *op = mem_alloc(sizeof *op);
    if (op == NULL) {
        log_error("gateway", "an MQTT connection is closed: no memory for a message to it");
        conn_fail(&session->conn);
        return NULL;
    }
    op->mail.deliver = deliver;
    op->session = session;
    call_init(&op->message.call, session->conn.thread->limits->arena_bytes, reply, op);
    op->message.identity = session->identity;
    op->message.session = session->number;
    session->conn.thread->calls++;
    mqtt_session_hold(session);
    return op;
}

static void end_op(struct message_op *op)
{
    struct mqtt_session *session = op->session;
    call_done(&op->message.call);
    mem_free(op);
    session->conn.thread->calls--;
    mqtt_session_release(session);
}

/* ---- completing ------------------------------------------------------------------------------ */

static void on_completed(struct gateway_thread *thread, struct mail *mail)
{
    (void)thread;
    struct message_op *op = lws_container_of(mail, struct message_op, mail);
    if (op->message.call.err != ERR_NONE)
        log_warn("gateway", "a message to %.*s is not completed and will come again: %s",
            SPAN_ARG(op->session->identity.device_id),
            why_text(&op->message.call.why, op->message.call.err));
    end_op(op);
}

/* `release`: it was not sent, and goes back into the queue. */
static void complete(struct mqtt_session *session, uint64_t sequence, bool release)
{
    struct message_op *op = new_op(session, on_completed);
    if (op == NULL)
        return;
    op->message.sequence = sequence;
    op->message.release = release;
    service_message_complete(session->conn.thread->service, &op->message);
}

void mqtt_messages_acknowledged(struct mqtt_session *session, uint16_t packet_id)
{
    struct mqtt_messages *messages = session->messages;
    if (messages == NULL)
        return;
    for (size_t i = 0; i < messages->count; i++) {
        if (messages->flights[i].packet_id != packet_id)
            continue;
        uint64_t sequence = messages->flights[i].sequence;
        messages->flights[i] = messages->flights[--messages->count];
        complete(session, sequence, false);
        take_next(session);
        return;
    }
}

/* ---- sending --------------------------------------------------------------------------------- */

static bool is_in_flight(const struct mqtt_messages *messages, uint16_t packet_id)
{
    for (size_t i = 0; i < messages->count; i++)
        if (messages->flights[i].packet_id == packet_id)
            return true;
    return false;
}

static uint16_t next_id(struct mqtt_messages *messages)
{
    do
        messages->last_id = messages->last_id == UINT16_MAX ? 1 : messages->last_id + 1;
    while (is_in_flight(messages, messages->last_id));
    return messages->last_id;
}

static void send_message(struct mqtt_session *session, const struct message_call *message)
{
    struct mqtt_messages *messages = session->messages;
    const struct topic_owner owner = mqtt_session_owner(session);
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    topic_write_c2d(&topic, &owner, message->properties);
    if (topic.failed) {
        conn_fail(&session->conn);
        return;
    }
    struct mqtt_publish publish = {.topic = buf_span(&topic)};
    if (session->message_qos > 0) {
        publish.qos = 1;
        publish.dup = message->again;
        publish.packet_id = next_id(messages);
        messages->flights[messages->count++] =
            (struct flight){publish.packet_id, message->sequence};
    }
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_publish_head(packet, &publish, message->body.len);
    mqtt_session_send(session, packet);
    conn_send(&session->conn, message->body);
    if (publish.qos == 0)
        complete(session, message->sequence, false);
}

static void on_taken(struct gateway_thread *thread, struct mail *mail)
{
    (void)thread;
    struct message_op *op = lws_container_of(mail, struct message_op, mail);
    struct mqtt_session *session = op->session;
    struct mqtt_messages *messages = session->messages;
    const struct message_call *message = &op->message;
    messages->taking = false;
    if (message->call.err != ERR_NONE)
        log_warn("gateway", "a message to %.*s cannot be taken: %s",
            SPAN_ARG(session->identity.device_id), why_text(&message->call.why, message->call.err));
    const bool found = message->call.err == ERR_NONE && message->found;
    if (found && is_taking_messages(session))
        send_message(session, message);
    else if (found && session->state == MQTT_STATE_LIVE)
        complete(session, message->sequence, true);
    if (found || messages->more)
        take_next(session);
    end_op(op);
}

static void take_next(struct mqtt_session *session)
{
    struct mqtt_messages *messages = session->messages;
    if (messages->taking || messages->count == WINDOW || !is_taking_messages(session))
        return;
    struct message_op *op = new_op(session, on_taken);
    if (op == NULL)
        return;
    messages->taking = true;
    messages->more = false;
    service_message_take(session->conn.thread->service, &op->message);
}

void mqtt_messages_told(struct mqtt_session *session)
{
    if (!is_taking_messages(session))
        return;
    if (session->messages == NULL)
        session->messages = mem_alloc(sizeof *session->messages);
    if (session->messages == NULL) {
        conn_fail(&session->conn);
        return;
    }
    session->messages->more = true;
    take_next(session);
}
