/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_provision.h"

#include "log.h"
#include "mqtt_connect.h"
#include "provision.h"
#include "urlcode.h"

#define API_VERSION "api-version=2021-06-01"

/* Asks the client to come again, where that may help. */
#define RETRY_SECONDS 5u

struct mqtt_provision {
    struct span id_scope;
    struct span registration_id;
    struct span password;
    struct span certificates;
    bool subscribed;
    size_t size;
    char texts[];
};

struct provision_op {
    struct mail mail;
    struct mqtt_session *session;
    struct rest_call rest;
    size_t rid_len; /* 0: the CONNECT */
    char rid[];
};

void mqtt_provision_free(struct mqtt_provision *provision)
{
    if (provision == NULL)
        return;
    mem_wipe(provision->texts, provision->size);
    mem_free(provision);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void answer_connect(struct mqtt_session *session, int status)
{
    if (session->state != MQTT_STATE_ASKING)
        return;
    if (status != 204 || session->conn.thread->draining) {
        bool refused = status >= 400 && status < 429;
        mqtt_connect_refuse(session, refused ? MQTT_CODE_NOT_AUTHORIZED : MQTT_CODE_UNAVAILABLE);
        return;
    }
    mqtt_session_move(session, MQTT_STATE_LIVE);
    mqtt_session_arm(session);
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_connack(packet, false, MQTT_CODE_ACCEPTED);
    mqtt_session_send(session, packet);
}

static void answer_request(const struct provision_op *op)
{
    struct mqtt_session *session = op->session;
    AUTO(buf_done) struct buf topic = BUF_EMPTY;
    int status = op->rest.status;
    if (!conn_is_open(&session->conn) || !session->provision->subscribed)
        return;
    provision_write_topic(
        &topic, status, (struct span){op->rid, op->rid_len}, status >= 429 ? RETRY_SECONDS : 0);
    struct mqtt_publish publish = {.topic = buf_span(&topic), .payload = op->rest.body_out};
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_publish(packet, &publish);
    packet->failed |= topic.failed;
    mqtt_session_send(session, packet);
}

static void free_op(struct provision_op *op)
{
    /* The copy in the arena. */
    mem_wipe((char *)(uintptr_t)op->rest.authorization.ptr, op->rest.authorization.len);
    call_done(&op->rest.call);
    mem_free(op);
}

static void on_reply(struct gateway_thread *thread, struct mail *mail)
{
    struct provision_op *op = lws_container_of(mail, struct provision_op, mail);
    struct mqtt_session *session = op->session;
    thread->calls--;
    session->busy--;
    if (op->rid_len == 0)
        answer_connect(session, op->rest.status);
    else
        answer_request(op);
    free_op(op);
    mqtt_session_go_on(session);
    mqtt_session_release(session);
}

/* ---- questions ------------------------------------------------------------------------------- */

static void reply(struct call *call)
{
    struct provision_op *op = call->owner;
    thread_post(op->session->conn.thread, &op->mail);
}

static void write_path(const struct mqtt_provision *provision, const char *tail,
    struct span operation, struct buf *out)
{
    buf_add_byte(out, '/');
    url_encode(provision->id_scope, out);
    buf_add_text(out, "/registrations/");
    url_encode(provision->registration_id, out);
    buf_add_text(out, tail);
    url_encode(operation, out);
}

static bool fill(struct provision_op *op, const char *method, struct span path, struct span body)
{
    const struct mqtt_provision *provision = op->session->provision;
    struct rest_call *rest = &op->rest;
    struct arena *arena = &rest->call.arena;
    char peer[CONN_PEER_SIZE];
    rest->method = span_of(method);
    rest->query = SPAN_LIT(API_VERSION);
    return arena_span(arena, path, &rest->path) && arena_span(arena, body, &rest->body) &&
           arena_span(arena, span_of(conn_peer(&op->session->conn, peer)), &rest->peer) &&
           arena_span(arena, provision->password, &rest->authorization) &&
           arena_span(arena, provision->certificates, &rest->certificates);
}

static void ask(struct mqtt_session *session, const char *method, struct span path,
    struct span body, struct span rid)
{
    struct gateway_thread *thread = session->conn.thread;
    struct provision_op *op = mem_alloc(sizeof *op + rid.len);
    if (op == NULL) {
        conn_fail(&session->conn);
        return;
    }
    op->mail.deliver = on_reply;
    op->session = session;
    op->rid_len = rid.len;
    if (rid.len > 0)
        memcpy(op->rid, rid.ptr, rid.len);
    call_init(&op->rest.call, thread->limits->arena_bytes, reply, op);
    if (!fill(op, method, path, body)) {
        free_op(op);
        conn_fail(&session->conn);
        return;
    }
    mqtt_session_hold(session);
    session->busy++;
    thread->calls++;
    service_rest(thread->service, &op->rest);
}

/* ---- CONNECT --------------------------------------------------------------------------------- */

static enum err check_user(
    const struct mqtt_connect *connect, struct provision_user *ret_user, struct why *why)
{
    enum err err = provision_parse_user(connect->username, ret_user, why);
    if (err == ERR_NONE)
        err = provision_check_id(ret_user->registration_id, why);
    if (err == ERR_NONE && !span_eq(ret_user->registration_id, connect->client_id))
        err = fail(ERR_FORMAT, why, "the client id is not the registration id of the user name");
    return err;
}

static struct mqtt_provision *new_provision(
    const struct provision_user *user, const struct mqtt_connect *connect, struct span certificates)
{
    const struct span texts[] = {
        user->id_scope, user->registration_id, connect->password, certificates};
    size_t size = 0;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        size += texts[i].len;
    struct mqtt_provision *provision = mem_alloc(sizeof *provision + size);
    if (provision == NULL)
        return NULL;
    struct span *const places[] = {&provision->id_scope, &provision->registration_id,
        &provision->password, &provision->certificates};
    char *at = provision->texts;
    provision->size = size;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        if (texts[i].len > 0)
            memcpy(at, texts[i].ptr, texts[i].len);
        *places[i] = (struct span){at, texts[i].len};
        at += texts[i].len;
    }
    return provision;
}

void mqtt_provision_begin(struct mqtt_session *session, const struct mqtt_connect *connect)
{
    struct provision_user user;
    struct why why = {""};
    char peer[CONN_PEER_SIZE];
    AUTO(buf_done) struct buf chain = BUF_EMPTY, path = BUF_EMPTY;
    if (check_user(connect, &user, &why) != ERR_NONE) {
        log_info(
            "gateway", "%s may not be provisioned: %s", conn_peer(&session->conn, peer), why.text);
        mqtt_connect_refuse(session, MQTT_CODE_NOT_AUTHORIZED);
        return;
    }
    if (connect->password.len == 0)
        conn_add_certificates(&session->conn, &chain);
    session->provision = chain.failed ? NULL : new_provision(&user, connect, buf_span(&chain));
    if (session->provision != NULL)
        write_path(session->provision, "", SPAN_NONE, &path);
    if (session->provision == NULL || path.failed || session->conn.thread->draining) {
        mqtt_connect_refuse(session, MQTT_CODE_UNAVAILABLE);
        return;
    }
    mqtt_session_move(session, MQTT_STATE_ASKING);
    ask(session, "CONNECT", buf_span(&path), SPAN_NONE, SPAN_NONE);
}

/* ---- packets --------------------------------------------------------------------------------- */

static void take_publish(struct mqtt_session *session, const struct mqtt_publish *publish)
{
    struct provision_topic topic;
    struct why why;
    AUTO(buf_done) struct buf path = BUF_EMPTY;
    if (publish->qos > 1) {
        mqtt_session_fault(session, "it published with QoS 2, which is not offered");
        return;
    }
    enum err err = provision_parse_topic(publish->topic, &topic, &why);
    if (err != ERR_NONE) {
        mqtt_session_fault(session, "%s", why_text(&why, err));
        return;
    }
    if (publish->qos == 1) {
        struct buf *packet = mqtt_session_encoder(session);
        mqtt_write_ack(packet, MQTT_PUBACK, publish->packet_id);
        mqtt_session_send(session, packet);
    }
    write_path(session->provision, topic.is_status ? "/operations/" : "/register",
        topic.operation_id, &path);
    if (path.failed)
        conn_fail(&session->conn);
    else
        ask(session, topic.is_status ? "GET" : "PUT", buf_span(&path),
            topic.is_status ? SPAN_NONE : publish->payload, topic.rid);
}

static void take_subscribe(struct mqtt_session *session, struct mqtt_subscribe subscribe)
{
    AUTO(buf_done) struct buf codes = BUF_EMPTY;
    struct mqtt_filter asked;
    while (mqtt_next_filter(&subscribe, &asked)) {
        bool offered = provision_is_filter(asked.filter);
        session->provision->subscribed |= offered;
        buf_add_byte(&codes, (char)(!offered ? MQTT_SUBACK_FAILURE : asked.qos > 0 ? 1 : 0));
    }
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_suback(packet, subscribe.packet_id, buf_span(&codes));
    packet->failed |= codes.failed;
    mqtt_session_send(session, packet);
}

static void take_unsubscribe(struct mqtt_session *session, struct mqtt_subscribe unsubscribe)
{
    struct mqtt_filter asked;
    while (mqtt_next_filter(&unsubscribe, &asked))
        if (provision_is_filter(asked.filter))
            session->provision->subscribed = false;
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_ack(packet, MQTT_UNSUBACK, unsubscribe.packet_id);
    mqtt_session_send(session, packet);
}

bool mqtt_provision_take(struct mqtt_session *session, const struct mqtt_packet *packet)
{
    if (packet->kind == MQTT_PUBLISH)
        take_publish(session, &packet->publish);
    else if (packet->kind == MQTT_SUBSCRIBE)
        take_subscribe(session, packet->subscribe);
    else if (packet->kind == MQTT_UNSUBSCRIBE)
        take_unsubscribe(session, packet->subscribe);
    else
        return false;
    return true;
}
