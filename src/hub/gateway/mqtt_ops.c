/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_ops.h"

#include "log.h"
#include "metrics.h"
#include "mqtt_fault.h"

/* After so many reads that were overtaken by a newer change the client is told to try later. */
#define GET_ATTEMPTS 16

enum op_kind {
    OP_NOTHING, /* is only acknowledged, in its turn */
    OP_EVENT,
    OP_WILL,
    OP_TWIN_GET,
    OP_REPORT,
    OP_SUBSCRIBE, /* or UNSUBSCRIBE */
};

struct mqtt_op {
    struct mail mail; /* the service's reply */
    struct mqtt_op *next;
    struct mqtt_session *session;
    enum op_kind kind;
    uint16_t packet_id;    /* of a PUBLISH; 0: needs no acknowledgement */
    uint16_t subscribe_id; /* of a SUBSCRIBE or UNSUBSCRIBE */
    bool done;
    bool waiting; /* a GET behind reports */
    unsigned attempts;
    int64_t began_us; /* mono time */
    union {
        struct call call;
        struct event_call event;
        struct twin_get_call get;
        struct reported_call report;
        struct subscriptions_call subscriptions;
    };
    struct span text; /* of a twin's operation its $rid, of a SUBSCRIBE the codes of its answer */
    char text_bytes[];
};

static void on_reply(struct gateway_thread *thread, struct mail *mail);

/* ---- the list -------------------------------------------------------------------------------- */

static struct mqtt_op *add_op(struct mqtt_session *session, enum op_kind kind, struct span text,
    const struct mqtt_publish *publish)
{
    struct mqtt_op *op = mem_alloc(sizeof *op + text.len);
    if (op == NULL)
        return NULL;
    op->mail.deliver = on_reply;
    op->session = session;
    op->kind = kind;
    op->packet_id = publish != NULL && publish->qos > 0 ? publish->packet_id : 0;
    if (text.len > 0)
        memcpy(op->text_bytes, text.ptr, text.len);
    op->text = (struct span){op->text_bytes, text.len};
    *session->last_op = op;
    session->last_op = &op->next;
    session->op_count++;
    session->busy++;
    return op;
}

static void send_ack(struct mqtt_session *session, uint16_t packet_id)
{
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_ack(packet, MQTT_PUBACK, packet_id);
    mqtt_session_send(session, packet);
}

static void acknowledge_in_order(struct mqtt_session *session)
{
    struct mqtt_op *op;
    while ((op = session->ops) != NULL && op->done) {
        if (op->packet_id != 0)
            send_ack(session, op->packet_id);
        session->ops = op->next;
        if (session->ops == NULL)
            session->last_op = &session->ops;
        session->op_count--;
        mem_free(op);
    }
}

static void finish_op(struct mqtt_op *op)
{
    op->done = true;
    op->session->busy--;
    if (op->kind == OP_REPORT)
        op->session->reports_busy--;
}

void mqtt_ops_abandon(struct mqtt_session *session)
{
    for (struct mqtt_op *op = session->ops; op != NULL; op = op->next)
        if (op->kind == OP_EVENT && !op->done && op->call.delayed && op->packet_id != 0)
            service_abandon(session->conn.thread->service, &op->call);
}

void mqtt_ops_done(struct mqtt_session *session)
{
    struct mqtt_op *op;
    while ((op = session->ops) != NULL) {
        session->ops = op->next;
        mem_free(op);
    }
    session->last_op = &session->ops;
    session->op_count = 0;
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void reply(struct call *call)
{
    struct mqtt_op *op = call->owner;
    thread_post(op->session->conn.thread, &op->mail);
}

static void begin_call(struct mqtt_op *op)
{
    call_init(&op->call, op->session->conn.thread->limits->arena_bytes, reply, op);
    op->session->conn.thread->calls++;
    if (op->began_us == 0)
        op->began_us = clock_mono_us(op->session->conn.thread->clock);
    mqtt_session_hold(op->session);
}

static void end_call(struct mqtt_op *op)
{
    if (op->kind == OP_EVENT || op->kind == OP_WILL)
        op->session->events_delayed -= op->call.delayed;
    call_done(&op->call);
    op->session->conn.thread->calls--;
    mqtt_session_release(op->session);
}

/* The packet could not be taken in: the client is to send it again on a new connection. */
static void out_of_memory(struct mqtt_op *op)
{
    struct mqtt_session *session = op->session;
    finish_op(op);
    op->packet_id = 0;
    log_error("gateway", "an MQTT connection is closed: no memory for a packet of it");
    conn_fail(&session->conn);
    end_call(op);
}

static void submit_event(struct mqtt_op *op)
{
    op->event.patient = op->kind == OP_EVENT;
    service_event(op->session->conn.thread->service, &op->event);
    op->session->events_delayed += op->call.delayed;
}

static void start_event(
    struct mqtt_op *op, struct span properties, bool retain, struct span payload)
{
    begin_call(op);
    op->event.identity = op->session->identity;
    op->event.retain = retain;
    op->event.is_will = op->kind == OP_WILL;
    struct arena *arena = &op->call.arena;
    if (arena_span(arena, properties, &op->event.properties) &&
        arena_span(arena, payload, &op->event.body))
        submit_event(op);
    else
        out_of_memory(op);
}

static void start_get(struct mqtt_op *op)
{
    op->waiting = false;
    op->attempts++;
    begin_call(op);
    op->get.identity = op->session->identity;
    op->get.again = op->attempts > 1;
    service_twin_get(op->session->conn.thread->service, &op->get);
}

static void start_report(struct mqtt_op *op, int64_t version, struct span patch)
{
    op->session->reports_busy++;
    begin_call(op);
    op->report.identity = op->session->identity;
    op->report.expected_version = version;
    if (arena_span(&op->call.arena, patch, &op->report.patch))
        service_reported(op->session->conn.thread->service, &op->report);
    else
        out_of_memory(op);
}

static void start_waiting_gets(struct mqtt_session *session)
{
    if (session->reports_busy > 0 || session->state != MQTT_STATE_LIVE)
        return;
    for (struct mqtt_op *op = session->ops; op != NULL; op = op->next)
        if (op->waiting)
            start_get(op);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void send_publish(struct mqtt_session *session, struct span topic, struct span payload)
{
    struct mqtt_publish publish = {.topic = topic};
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_publish_head(packet, &publish, payload.len);
    mqtt_session_send(session, packet);
    conn_send(&session->conn, payload);
}

/* Nobody hears an answer who has not subscribed to answers. */
static void send_twin_answer(struct mqtt_op *op, int status, int64_t version, struct span payload)
{
    struct mqtt_session *session = op->session;
    if ((session->filters & TOPIC_FILTER_TWIN_RESPONSES) == 0)
        return;
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    topic_write_twin_response(&topic, status, op->text, version);
    if (topic.failed)
        conn_fail(&session->conn);
    else
        send_publish(session, buf_span(&topic), payload);
}

static void send_twin_error(struct mqtt_op *op, enum err err, const struct why *why)
{
    AUTO(buf_done) struct buf body = BUF_EMPTY;
    service_write_mqtt_error(op->session->conn.thread->service, err, why, &body);
    if (body.failed)
        conn_fail(&op->session->conn);
    else
        send_twin_answer(op, err_row(err)->http_status, 0, buf_span(&body));
}

static bool is_throttled(enum err err)
{
    return err == ERR_THROTTLED || err == ERR_QUOTA;
}

static void answer_event(struct mqtt_op *op)
{
    if (op->call.err == ERR_NONE)
        return;
    struct mqtt_session *session = op->session;
    if (!is_throttled(op->call.err)) /* of which the service tells, but not of each */
        log_info("gateway", "an event of %.*s was not stored: %s",
            SPAN_ARG(session->identity.device_id), why_text(&op->call.why, op->call.err));
    if (op->packet_id == 0)
        return;
    op->packet_id = 0;
    conn_fail(&session->conn);
}

static void tell_delivered(const struct mqtt_session *session, int64_t version)
{
    service_delivered(session->conn.thread->service, session->number, version);
}

/* False: the twin is being read once more. */
static bool answer_get(struct mqtt_op *op)
{
    if (op->call.err != ERR_NONE) {
        send_twin_error(op, op->call.err, &op->call.why);
        return true;
    }
    if (op->get.desired_version >= op->session->desired_told) {
        send_twin_answer(op, 200, 0, op->get.body);
        tell_delivered(op->session, op->get.desired_version);
        return true;
    }
    if (op->attempts < GET_ATTEMPTS)
        return false;
    struct why why;
    why_set(&why, "the twin changes faster than it can be read");
    send_twin_error(op, ERR_THROTTLED, &why);
    return true;
}

static void answer_report(struct mqtt_op *op)
{
    if (op->call.err == ERR_NONE)
        send_twin_answer(op, 204, op->report.version, SPAN_NONE);
    else
        send_twin_error(op, op->call.err, &op->call.why);
}

static void send_suback(struct mqtt_session *session, uint16_t packet_id, struct span codes)
{
    struct buf *packet = mqtt_session_encoder(session);
    if (codes.len > 0)
        mqtt_write_suback(packet, packet_id, codes);
    else
        mqtt_write_ack(packet, MQTT_UNSUBACK, packet_id);
    mqtt_session_send(session, packet);
}

static void answer_subscribe(struct mqtt_op *op)
{
    struct mqtt_session *session = op->session;
    if (op->call.err == ERR_NONE) {
        send_suback(session, op->subscribe_id, op->text);
        return;
    }
    log_info("gateway", "a subscription of %.*s was not stored: %s",
        SPAN_ARG(session->identity.device_id), why_text(&op->call.why, op->call.err));
    conn_fail(&session->conn);
}

static bool answer(struct mqtt_op *op)
{
    switch (op->kind) {
    case OP_EVENT:
    case OP_WILL:
        answer_event(op);
        return true;
    case OP_TWIN_GET:
        return answer_get(op);
    case OP_REPORT:
        answer_report(op);
        return true;
    case OP_SUBSCRIBE:
        answer_subscribe(op);
        return true;
    case OP_NOTHING:
        break;
    }
    return true;
}

static void count(const struct mqtt_op *op, const struct gateway_thread *thread)
{
    static const enum metrics_request requests[] = {
        [OP_NOTHING] = REQUEST_OTHER,
        [OP_EVENT] = REQUEST_EVENT,
        [OP_WILL] = REQUEST_EVENT,
        [OP_TWIN_GET] = REQUEST_TWIN_GET,
        [OP_REPORT] = REQUEST_REPORT,
        [OP_SUBSCRIBE] = REQUEST_SUBSCRIBE,
    };
    bool known = (size_t)op->kind < COUNT_OF(requests);
    metrics_request(known ? requests[op->kind] : REQUEST_OTHER, err_row(op->call.err)->http_status,
        clock_mono_us(thread->clock) - op->began_us);
}

static void on_reply(struct gateway_thread *thread, struct mail *mail)
{
    struct mqtt_op *op = lws_container_of(mail, struct mqtt_op, mail);
    struct mqtt_session *session = op->session;
    mqtt_session_hold(session);

    bool answered = session->state != MQTT_STATE_LIVE || answer(op);
    if (answered && op->call.err != ERR_CANCELLED)
        count(op, thread);
    end_call(op);
    if (!answered && session->state == MQTT_STATE_LIVE) {
        start_get(op);
    } else {
        finish_op(op);
        acknowledge_in_order(session);
        start_waiting_gets(session);
        mqtt_session_go_on(session);
    }
    mqtt_session_release(session);
}

static void take_response(
    struct mqtt_session *session, const struct mqtt_publish *publish, const struct topic *topic)
{
    const struct method_response response = {
        .request_id = topic->rid, .status = topic->status, .payload = publish->payload};
    service_method_response(session->conn.thread->service, &session->identity, &response);
}

/* ---- packets --------------------------------------------------------------------------------- */

void mqtt_ops_publish(
    struct mqtt_session *session, const struct mqtt_publish *publish, const struct topic *topic)
{
    static const enum op_kind kinds[] = {
        [TOPIC_EVENTS] = OP_EVENT,
        [TOPIC_TWIN_GET] = OP_TWIN_GET,
        [TOPIC_TWIN_REPORTED] = OP_REPORT,
        [TOPIC_METHOD_RESPONSE] = OP_NOTHING,
    };
    must((size_t)topic->kind < COUNT_OF(kinds));
    struct mqtt_op *op = add_op(session, kinds[topic->kind], topic->rid, publish);
    if (op == NULL) {
        conn_fail(&session->conn);
        return;
    }
    if (op->kind == OP_EVENT && session->conn.thread->limits->fault_injection &&
        mqtt_fault_take(session, topic->properties)) {
        finish_op(op);
        acknowledge_in_order(session);
        return;
    }
    switch (op->kind) {
    case OP_EVENT:
        start_event(op, topic->properties, publish->retain, publish->payload);
        break;
    case OP_TWIN_GET:
        if (session->reports_busy > 0)
            op->waiting = true;
        else
            start_get(op);
        break;
    case OP_REPORT:
        start_report(op, topic->version, publish->payload);
        break;
    case OP_NOTHING:
        take_response(session, publish, topic);
        finish_op(op);
        acknowledge_in_order(session);
        break;
    case OP_WILL:
    case OP_SUBSCRIBE:
        finish_op(op);
        acknowledge_in_order(session);
        break;
    }
}

void mqtt_ops_subscribe(
    struct mqtt_session *session, uint16_t packet_id, struct span codes, uint32_t before)
{
    if (!session->lasting || mqtt_session_subscriptions(session) == before) {
        send_suback(session, packet_id, codes);
        return;
    }
    struct mqtt_op *op = add_op(session, OP_SUBSCRIBE, codes, NULL);
    if (op == NULL) {
        conn_fail(&session->conn);
        return;
    }
    op->subscribe_id = packet_id;
    begin_call(op);
    op->subscriptions.identity = session->identity;
    op->subscriptions.filters = mqtt_session_subscriptions(session);
    service_subscriptions(session->conn.thread->service, &op->subscriptions);
}

void mqtt_ops_will(struct mqtt_session *session)
{
    struct mqtt_op *op = add_op(session, OP_WILL, SPAN_NONE, NULL);
    if (op != NULL)
        start_event(op, session->will->properties, session->will->retain, session->will->payload);
}

void mqtt_ops_desired(struct mqtt_session *session, struct span payload, int64_t version)
{
    if (version > session->desired_told)
        session->desired_told = version;
    if (session->state != MQTT_STATE_LIVE || (session->filters & TOPIC_FILTER_TWIN_DESIRED) == 0)
        return;
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    topic_write_twin_desired(&topic, version);
    if (topic.failed) {
        conn_fail(&session->conn);
        return;
    }
    send_publish(session, buf_span(&topic), payload);
    tell_delivered(session, version);
}

void mqtt_ops_method(struct mqtt_session *session, const struct method_request *request)
{
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    bool takes = session->state == MQTT_STATE_LIVE && conn_is_open(&session->conn) &&
                 (session->filters & TOPIC_FILTER_METHODS) != 0;
    if (!takes ||
        topic_write_method(&topic, request->name, request->request_id, NULL) != ERR_NONE ||
        topic.failed)
        service_method_returned(
            session->conn.thread->service, &session->identity, request->request_id);
    else
        send_publish(session, buf_span(&topic), request->payload);
}
