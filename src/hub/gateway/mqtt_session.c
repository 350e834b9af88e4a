/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_session.h"

#include "log.h"
#include "mqtt_connect.h"
#include "mqtt_fault.h"
#include "mqtt_messages.h"
#include "mqtt_ops.h"
#include "mqtt_provision.h"

#include <stdio.h>

/* ---- states ---------------------------------------------------------------------------------- */

void mqtt_session_move(struct mqtt_session *session, enum mqtt_state state)
{
    must(mqtt_state_may_become(session->state, state));
    session->state = state;
}

/* ---- life ------------------------------------------------------------------------------------ */

void mqtt_session_hold(struct mqtt_session *session)
{
    session->holds++;
}

void mqtt_session_release(struct mqtt_session *session)
{
    must(session->holds > 0);
    if (--session->holds > 0)
        return;
    must(session->state == MQTT_STATE_OVER);
    mqtt_ops_done(session);
    mqtt_messages_free(session->messages);
    mqtt_reader_done(&session->reader);
    buf_done(&session->backlog);
    mqtt_provision_free(session->provision);
    mem_free(session->texts);
    mem_free(session->will);
    mem_free(session);
}

static struct conn *accept_session(struct gateway_thread *thread)
{
    struct mqtt_session *session = mem_alloc(sizeof *session);
    if (session == NULL)
        return NULL;
    conn_init(&session->conn, thread, &mqtt_protocol, thread->limits->send_bytes);
    mqtt_reader_init(&session->reader, MQTT_SERVER, thread->limits->packet_bytes);
    session->last_op = &session->ops;
    session->expires_us = INT64_MAX;
    session->message_qos = 1;
    session->holds = 1;
    conn_set_deadline(&session->conn, (int64_t)thread->limits->connect_seconds * 1000);
    return &session->conn;
}

static void gone(struct conn *conn)
{
    struct mqtt_session *session = (struct mqtt_session *)conn;
    bool was_live = session->state == MQTT_STATE_LIVE;
    if (session->state != MQTT_STATE_OVER)
        mqtt_session_move(session, MQTT_STATE_OVER);
    buf_done(&session->backlog);
    mqtt_reader_done(&session->reader);
    mqtt_ops_abandon(session);
    if (was_live)
        mqtt_connect_farewell(session);
    mqtt_session_release(session);
}

/* ---- sending and failing --------------------------------------------------------------------- */

struct buf *mqtt_session_encoder(struct mqtt_session *session)
{
    struct buf *encoder = &session->conn.thread->encoder;
    buf_clear(encoder);
    return encoder;
}

void mqtt_session_send(struct mqtt_session *session, struct buf *packet)
{
    if (packet->failed)
        conn_fail(&session->conn);
    else
        conn_send(&session->conn, buf_span(packet));
}

void mqtt_session_fault(struct mqtt_session *session, const char *format, ...)
{
    char sentence[320], peer[CONN_PEER_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    if (session->conn.wsi != NULL)
        log_info("gateway", "MQTT connection of %s%s%.*s is closed: %s",
            conn_peer(&session->conn, peer), session->identity.device_id.len > 0 ? ", " : "",
            SPAN_ARG(session->identity.device_id), sentence);
    conn_fail(&session->conn);
}

/* ---- time ------------------------------------------------------------------------------------ */

static int64_t now_ms(const struct mqtt_session *session)
{
    return clock_mono_us(session->conn.thread->clock) / 1000;
}

static int64_t token_left_ms(const struct mqtt_session *session)
{
    if (session->expires_us == INT64_MAX)
        return INT64_MAX;
    return (session->expires_us - clock_wall_us(session->conn.thread->clock)) / 1000;
}

void mqtt_session_arm(struct mqtt_session *session)
{
    int64_t silence = session->silence_ms - (now_ms(session) - session->heard_ms);
    int64_t token = token_left_ms(session);
    int64_t left = token < silence ? token : silence;
    if (session->fault_ms != 0 && session->fault_ms - now_ms(session) < left)
        left = session->fault_ms - now_ms(session);
    conn_set_deadline(&session->conn, left);
}

static void deadline(struct conn *conn)
{
    struct mqtt_session *session = (struct mqtt_session *)conn;
    if (session->state == MQTT_STATE_NEW) {
        mqtt_session_fault(session, "no CONNECT came in time");
    } else if (session->state == MQTT_STATE_LIVE && mqtt_fault_happens(session)) {
        return;
    } else if (session->state == MQTT_STATE_LIVE && token_left_ms(session) <= 0) {
        mqtt_session_fault(session, "its token expired");
    } else if (session->state == MQTT_STATE_LIVE && !conn->paused &&
               now_ms(session) - session->heard_ms >= session->silence_ms) {
        mqtt_session_fault(session, "it was silent for longer than its keep-alive allows");
    } else {
        /* Asked at the service, or not read at the moment, or a clock moved: look again. */
        if (conn->paused)
            session->heard_ms = now_ms(session);
        mqtt_session_arm(session);
    }
}

/* ---- packets --------------------------------------------------------------------------------- */

static void take_publish(struct mqtt_session *session, const struct mqtt_publish *publish)
{
    struct topic_owner owner = mqtt_session_owner(session);
    struct topic topic;
    struct why why;
    if (publish->qos > 1) {
        mqtt_session_fault(session, "it published with QoS 2, which is not offered");
        return;
    }
    enum err err = topic_parse_from_client(publish->topic, &owner, &topic, &why);
    if (err != ERR_NONE)
        mqtt_session_fault(session, "%s", why_text(&why, err));
    else
        mqtt_ops_publish(session, publish, &topic);
}

static uint8_t grant(struct mqtt_session *session, const struct mqtt_filter *asked, struct why *why)
{
    struct topic_owner owner = mqtt_session_owner(session);
    enum topic_filter filter;
    if (topic_parse_filter(asked->filter, &owner, &filter, why) != ERR_NONE)
        return MQTT_SUBACK_FAILURE;
    unsigned filters = session->filters | (unsigned)filter;
    unsigned most = session->conn.thread->limits->subscriptions;
    if ((unsigned)__builtin_popcount(filters) > most) {
        why_set(why, "it holds %u already (gateway.subscriptions)", most);
        return MQTT_SUBACK_FAILURE;
    }
    session->filters = filters;
    unsigned qos = asked->qos > 0 ? 1 : 0;
    if (((unsigned)filter & (TOPIC_FILTER_C2D | TOPIC_FILTER_MODULE)) != 0)
        session->message_qos = qos;
    return (uint8_t)qos;
}

void mqtt_session_tell_takes(struct mqtt_session *session)
{
    unsigned takes = 0;
    if ((session->filters & TOPIC_FILTER_METHODS) != 0)
        takes |= SESSION_TAKES_METHODS;
    if (mqtt_session_takes_messages(session))
        takes |= SESSION_TAKES_MESSAGES;
    service_takes(session->conn.thread->service, &session->identity, session->number, takes);
    mqtt_messages_told(session);
}

static void acknowledge(
    struct mqtt_session *session, uint16_t packet_id, struct span codes, uint32_t before)
{
    mqtt_ops_subscribe(session, packet_id, codes, before);
    if (mqtt_session_subscriptions(session) != before && session->state == MQTT_STATE_LIVE)
        mqtt_session_tell_takes(session);
}

static void take_subscribe(struct mqtt_session *session, struct mqtt_subscribe subscribe)
{
    AUTO(buf_done) struct buf codes = BUF_EMPTY;
    struct mqtt_filter asked;
    struct why why, first = {""};
    size_t refused = 0;
    uint32_t before = mqtt_session_subscriptions(session);
    while (mqtt_next_filter(&subscribe, &asked)) {
        uint8_t code = grant(session, &asked, &why);
        buf_add_byte(&codes, (char)code);
        if (code == MQTT_SUBACK_FAILURE && refused++ == 0)
            first = why;
    }
    if (refused > 0)
        log_info("gateway", "%.*s is refused %zu of its subscriptions, the first because: %s",
            SPAN_ARG(session->identity.device_id), refused, why_text(&first, ERR_ARGUMENT));
    if (codes.failed)
        conn_fail(&session->conn);
    else
        acknowledge(session, subscribe.packet_id, buf_span(&codes), before);
}

static void take_unsubscribe(struct mqtt_session *session, struct mqtt_subscribe unsubscribe)
{
    struct topic_owner owner = mqtt_session_owner(session);
    struct mqtt_filter asked;
    enum topic_filter filter;
    uint32_t before = mqtt_session_subscriptions(session);
    while (mqtt_next_filter(&unsubscribe, &asked))
        if (topic_parse_filter(asked.filter, &owner, &filter, NULL) == ERR_NONE)
            session->filters &= ~(unsigned)filter;
    acknowledge(session, unsubscribe.packet_id, SPAN_NONE, before);
}

static void take_ping(struct mqtt_session *session)
{
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_empty(packet, MQTT_PINGRESP);
    mqtt_session_send(session, packet);
}

static void take_disconnect(struct mqtt_session *session)
{
    mem_free(session->will);
    session->will = NULL;
    mqtt_session_move(session, MQTT_STATE_OVER);
    mqtt_connect_farewell(session);
    conn_finish(&session->conn);
}

static void take_packet(struct mqtt_session *session, const struct mqtt_packet *packet)
{
    if ((packet->kind == MQTT_CONNECT) != (session->state == MQTT_STATE_NEW)) {
        mqtt_session_fault(session,
            session->state == MQTT_STATE_NEW ? "its first packet is a %s, not a CONNECT"
                                             : "it sent a second %s",
            mqtt_kind_name(packet->kind));
        return;
    }
    if (session->provision != NULL && mqtt_provision_take(session, packet))
        return;
    switch (packet->kind) {
    case MQTT_CONNECT:
        mqtt_connect_begin(session, &packet->connect);
        break;
    case MQTT_PUBLISH:
        take_publish(session, &packet->publish);
        break;
    case MQTT_SUBSCRIBE:
        take_subscribe(session, packet->subscribe);
        break;
    case MQTT_UNSUBSCRIBE:
        take_unsubscribe(session, packet->subscribe);
        break;
    case MQTT_PINGREQ:
        take_ping(session);
        break;
    case MQTT_DISCONNECT:
        take_disconnect(session);
        break;
    case MQTT_PUBACK:
        mqtt_messages_acknowledged(session, packet->packet_id);
        break;
    default:
        mqtt_session_fault(
            session, "it sent a %s, which has no place here", mqtt_kind_name(packet->kind));
        break;
    }
}

/* ---- input ----------------------------------------------------------------------------------- */

static bool may_take_more(const struct mqtt_session *session)
{
    if (session->state == MQTT_STATE_NEW)
        return true;
    size_t most = session->provision != NULL ? 1 : session->conn.thread->limits->inflight_calls;
    return session->state == MQTT_STATE_LIVE && session->busy < most && session->op_count < most &&
           session->events_delayed == 0 && !session->conn.thread->draining;
}

static void bad_packet(struct mqtt_session *session, enum err err, const struct why *why)
{
    if (err == ERR_PROTOCOL && session->state == MQTT_STATE_NEW)
        mqtt_connect_refuse(session, MQTT_CODE_BAD_PROTOCOL);
    else
        mqtt_session_fault(session, "%s", why_text(why, err));
}

static void keep(struct mqtt_session *session, struct span input)
{
    conn_pause(&session->conn);
    buf_add(&session->backlog, input);
    if (session->backlog.failed)
        conn_fail(&session->conn);
}

static void take_input(struct mqtt_session *session, struct span input)
{
    while (conn_is_open(&session->conn) && may_take_more(session)) {
        struct mqtt_packet packet;
        struct why why;
        enum err err = mqtt_read(&session->reader, &input, &packet, &why);
        if (err == ERR_AGAIN)
            return;
        if (err == ERR_NONE)
            take_packet(session, &packet);
        else
            bad_packet(session, err, &why);
    }
    if (conn_is_open(&session->conn))
        keep(session, input);
}

static void data(struct conn *conn, struct span bytes)
{
    struct mqtt_session *session = (struct mqtt_session *)conn;
    session->heard_ms = now_ms(session);
    if (session->state == MQTT_STATE_LIVE)
        mqtt_session_arm(session);
    if (session->backlog.len > 0)
        keep(session, bytes);
    else
        take_input(session, bytes);
}

static void drain(struct conn *conn)
{
    struct mqtt_session *session = (struct mqtt_session *)conn;
    if (session->state == MQTT_STATE_ASKING || session->busy > 0)
        conn_pause(conn); /* until the service has answered */
    else
        conn_finish(conn);
}

void mqtt_session_go_on(struct mqtt_session *session)
{
    if (!conn_is_open(&session->conn) || session->state != MQTT_STATE_LIVE)
        return;
    if (session->conn.thread->draining) {
        drain(&session->conn);
        return;
    }
    if (!session->conn.paused)
        return;
    struct buf backlog = session->backlog;
    session->backlog = BUF_EMPTY;
    take_input(session, buf_span(&backlog));
    buf_done(&backlog);
    if (conn_is_open(&session->conn) && may_take_more(session))
        conn_resume(&session->conn);
}

const struct conn_protocol mqtt_protocol = {
    .name = "MQTT",
    .accept = accept_session,
    .data = data,
    .deadline = deadline,
    .drain = drain,
    .gone = gone,
};
