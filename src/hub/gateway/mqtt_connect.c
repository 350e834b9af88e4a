/* SPDX-License-Identifier: Apache-2.0 */
#include "mqtt_connect.h"

#include "log.h"
#include "metrics.h"
#include "mqtt_messages.h"
#include "mqtt_ops.h"
#include "mqtt_provision.h"
#include "provision.h"
#include "username.h"

/* What authentication may use; a user name and a token are at most 64 KiB each. */
#define CONNECT_ARENA_BYTES (512u * 1024)

/* A CONNECT that the service judges. */
struct connect_op {
    struct mail mail;
    struct mqtt_session *session;
    int64_t began_us; /* mono time */
    struct connect_call connect;
};

/* ---- what the bus tells ---------------------------------------------------------------------- */

struct desired_mail {
    struct mail mail;
    struct mqtt_session *session;
    int64_t version;
    size_t len;
    char payload[];
};

static void on_desired(struct gateway_thread *thread, struct mail *mail)
{
    (void)thread;
    struct desired_mail *told = lws_container_of(mail, struct desired_mail, mail);
    struct mqtt_session *session = told->session;
    mqtt_session_hold(session);
    mqtt_ops_desired(session, (struct span){told->payload, told->len}, told->version);
    mqtt_session_release(session);
    mem_free(told);
}

static void on_end(struct gateway_thread *thread, struct mail *mail)
{
    (void)thread;
    static const char *const reasons[] = {
        [SESSION_TAKEN_OVER] = "the same identity connected again",
        [SESSION_DELETED] = "the identity was deleted",
        [SESSION_DISABLED] = "the device was disabled",
        [SESSION_KEYS_CHANGED] = "its keys were changed",
    };
    struct mqtt_session *session = lws_container_of(mail, struct mqtt_session, end_mail);
    log_debug("gateway", "a session of %.*s ends: %s", SPAN_ARG(session->identity.device_id),
        (size_t)session->end_reason < COUNT_OF(reasons) ? reasons[session->end_reason] : "?");
    conn_fail(&session->conn);
}

/* The sink's functions run on any thread, under the bus's lock. */
static void sink_end(struct session_sink *sink, enum session_end reason)
{
    struct mqtt_session *session = lws_container_of(sink, struct mqtt_session, sink);
    session->end_reason = reason;
    session->end_mail.deliver = on_end;
    thread_post(session->conn.thread, &session->end_mail);
}

static void on_lost(struct gateway_thread *thread, struct mail *mail)
{
    (void)thread;
    struct mqtt_session *session = lws_container_of(mail, struct mqtt_session, lost_mail);
    log_error("gateway", "a session is closed: no memory for a notification of it");
    conn_fail(&session->conn);
}

/* A client that reads its twin after a reconnect has missed nothing; one that never hears of a
 * change has. */
static void lose(struct mqtt_session *session)
{
    if (session->lost)
        return;
    session->lost = true;
    session->lost_mail.deliver = on_lost;
    thread_post(session->conn.thread, &session->lost_mail);
}

static void sink_desired(struct session_sink *sink, struct span payload, int64_t version)
{
    struct mqtt_session *session = lws_container_of(sink, struct mqtt_session, sink);
    struct desired_mail *told = mem_alloc(sizeof *told + payload.len);
    if (told == NULL) {
        lose(session);
        return;
    }
    told->mail.deliver = on_desired;
    told->session = session;
    told->version = version;
    told->len = payload.len;
    memcpy(told->payload, payload.ptr, payload.len);
    thread_post(session->conn.thread, &told->mail);
}

struct method_mail {
    struct mail mail;
    struct mqtt_session *session;
    struct method_request request;
    char texts[];
};

static void on_method(struct gateway_thread *thread, struct mail *mail)
{
    (void)thread;
    struct method_mail *told = lws_container_of(mail, struct method_mail, mail);
    struct mqtt_session *session = told->session;
    mqtt_session_hold(session);
    mqtt_ops_method(session, &told->request);
    mqtt_session_release(session);
    mem_free(told);
}

static void on_message(struct gateway_thread *thread, struct mail *mail)
{
    (void)thread;
    struct mqtt_session *session = lws_container_of(mail, struct mqtt_session, message_mail);
    mqtt_session_hold(session);
    atomic_store(&session->message_told, false);
    mqtt_messages_told(session);
    mqtt_session_release(session);
}

static void sink_message(struct session_sink *sink)
{
    struct mqtt_session *session = lws_container_of(sink, struct mqtt_session, sink);
    if (atomic_exchange(&session->message_told, true))
        return;
    session->message_mail.deliver = on_message;
    thread_post(session->conn.thread, &session->message_mail);
}

static char *put_text(char *at, struct span text, struct span *ret_copy)
{
    if (text.len > 0)
        memcpy(at, text.ptr, text.len);
    *ret_copy = (struct span){at, text.len};
    return at + text.len;
}

static bool sink_method(struct session_sink *sink, const struct method_request *request)
{
    struct mqtt_session *session = lws_container_of(sink, struct mqtt_session, sink);
    struct method_mail *told = mem_alloc(
        sizeof *told + request->name.len + request->request_id.len + request->payload.len);
    if (told == NULL)
        return false;
    told->mail.deliver = on_method;
    told->session = session;
    char *at = put_text(told->texts, request->name, &told->request.name);
    at = put_text(at, request->request_id, &told->request.request_id);
    put_text(at, request->payload, &told->request.payload);
    thread_post(session->conn.thread, &told->mail);
    return true;
}

/* ---- the end --------------------------------------------------------------------------------- */

static void on_release(struct gateway_thread *thread, struct mail *mail)
{
    (void)thread;
    struct mqtt_session *session = lws_container_of(mail, struct mqtt_session, release_mail);
    mqtt_session_release(session);
}

/* The bus no longer knows the session: behind its mails comes this last one. */
static void let_go_of_bus(struct mqtt_session *session)
{
    session->release_mail.deliver = on_release;
    thread_post(session->conn.thread, &session->release_mail);
}

void mqtt_connect_farewell(struct mqtt_session *session)
{
    if (session->provision != NULL)
        return;
    metrics_add(METRIC_SESSIONS, BY_NOTHING, -1);
    if (session->will != NULL)
        mqtt_ops_will(session);
    service_disconnect(session->conn.thread->service, &session->identity, session->number);
    let_go_of_bus(session);
}

/* ---- the answer ------------------------------------------------------------------------------ */

static void send_connack(struct mqtt_session *session, enum mqtt_code code)
{
    struct buf *packet = mqtt_session_encoder(session);
    mqtt_write_connack(packet, code == MQTT_CODE_ACCEPTED && session->filters != 0, code);
    mqtt_session_send(session, packet);
}

void mqtt_connect_refuse(struct mqtt_session *session, enum mqtt_code code)
{
    mqtt_session_move(session, MQTT_STATE_REFUSED);
    send_connack(session, code);
    conn_finish(&session->conn);
}

static bool take_identity(struct mqtt_session *session, const struct connect_call *connect)
{
    const struct session_identity *given = &connect->identity;
    session->texts =
        mem_alloc(given->device_id.len + given->module_id.len + given->auth_method.len);
    if (session->texts == NULL)
        return false;
    session->identity = *given;
    char *at = put_text(session->texts, given->device_id, &session->identity.device_id);
    at = put_text(at, given->module_id, &session->identity.module_id);
    put_text(at, given->auth_method, &session->identity.auth_method);
    session->number = connect->session;
    session->expires_us = connect->expires_us;
    session->filters = connect->filters & ~MQTT_LASTING_QOS_0;
    session->message_qos = (connect->filters & MQTT_LASTING_QOS_0) == 0;
    return true;
}

static void accepted(struct mqtt_session *session, const struct connect_call *connect)
{
    struct gateway_thread *thread = session->conn.thread;
    if (session->state == MQTT_STATE_ASKING && !thread->draining &&
        take_identity(session, connect)) {
        mqtt_session_move(session, MQTT_STATE_LIVE);
        metrics_add(METRIC_SESSIONS, BY_NOTHING, 1);
        mqtt_session_arm(session);
        send_connack(session, MQTT_CODE_ACCEPTED);
        if (session->filters != 0)
            mqtt_session_tell_takes(session);
        mqtt_session_go_on(session);
        return;
    }
    /* Nobody is there any more to be told, or nothing to go on with. */
    service_disconnect(thread->service, &connect->identity, connect->session);
    let_go_of_bus(session);
    if (session->state == MQTT_STATE_ASKING)
        mqtt_connect_refuse(session, MQTT_CODE_UNAVAILABLE);
}

static void refused(struct mqtt_session *session, const struct connect_call *connect)
{
    const struct err_row *row = err_row(connect->call.err);
    let_go_of_bus(session);
    if (session->state != MQTT_STATE_ASKING)
        return;
    bool passing = row->retry || row->http_status >= 500;
    mqtt_connect_refuse(session, passing ? MQTT_CODE_UNAVAILABLE : MQTT_CODE_NOT_AUTHORIZED);
}

static void on_answer(struct gateway_thread *thread, struct mail *mail)
{
    struct connect_op *op = lws_container_of(mail, struct connect_op, mail);
    struct mqtt_session *session = op->session;
    thread->calls--;
    metrics_request(REQUEST_CONNECT, err_row(op->connect.call.err)->http_status,
        clock_mono_us(thread->clock) - op->began_us);
    if (op->connect.call.err == ERR_NONE)
        accepted(session, &op->connect);
    else
        refused(session, &op->connect);
    call_done(&op->connect.call);
    mem_free(op);
    mqtt_session_release(session);
}

/* ---- the question ---------------------------------------------------------------------------- */

static void reply(struct call *call)
{
    struct connect_op *op = call->owner;
    thread_post(op->session->conn.thread, &op->mail);
}

static struct mqtt_will *copy_will(struct span properties, const struct mqtt_connect *connect)
{
    struct mqtt_will *will = mem_alloc(sizeof *will + properties.len + connect->will_payload.len);
    if (will == NULL)
        return NULL;
    char *at = put_text((char *)(will + 1), properties, &will->properties);
    put_text(at, connect->will_payload, &will->payload);
    will->retain = connect->will_retain;
    return will;
}

static enum err take_will(struct mqtt_session *session, const struct mqtt_connect *connect,
    const struct username *username)
{
    struct topic_owner owner = {username->device_id, username->module_id};
    struct span properties;
    if (!connect->has_will)
        return ERR_NONE;
    if (!topic_is_will(connect->will_topic, &owner, &properties)) {
        log_info("gateway", "the will of %.*s is ignored: its topic is not that of its events",
            SPAN_ARG(username->device_id));
        return ERR_NONE;
    }
    session->will = copy_will(properties, connect);
    return session->will == NULL ? ERR_MEMORY : ERR_NONE;
}

/* Without a token it is the certificate that proves who connects. */
static enum err take_proof(struct connect_op *op, const struct mqtt_connect *connect)
{
    struct arena *arena = &op->connect.call.arena;
    AUTO(buf_done) struct buf chain = BUF_EMPTY;
    if (connect->password.len == 0)
        conn_add_certificates(&op->session->conn, &chain);
    if (chain.failed || !arena_span(arena, buf_span(&chain), &op->connect.certificates) ||
        !arena_span(arena, connect->password, &op->connect.password))
        return ERR_MEMORY;
    return ERR_NONE;
}

static enum err fill(struct connect_op *op, const struct mqtt_connect *connect, struct why *why)
{
    struct connect_call *call = &op->connect;
    struct arena *arena = &call->call.arena;
    struct mqtt_session *session = op->session;
    struct span text;
    struct username username;
    char peer[CONN_PEER_SIZE];

    if (!arena_span(arena, connect->username, &text) ||
        !arena_span(arena, span_of(conn_peer(&session->conn, peer)), &call->peer))
        return ERR_MEMORY;
    enum err err = username_parse(arena, text, &username, why);
    if (err == ERR_NONE)
        err = username_check_client_id(&username, connect->client_id, why);
    if (err == ERR_NONE)
        err = take_will(session, connect, &username);
    if (err != ERR_NONE)
        return err;
    call->host = username.host;
    call->device_id = username.device_id;
    call->module_id = username.module_id;
    call->model_id = username.model_id;
    call->sink = &session->sink;
    call->lasting = session->lasting;
    return take_proof(op, connect);
}

static void set_silence(struct mqtt_session *session, unsigned keep_alive_seconds)
{
    int64_t longest = (int64_t)session->conn.thread->limits->keep_alive_seconds * 1000;
    int64_t asked = (int64_t)keep_alive_seconds * 1500;
    session->silence_ms = asked == 0 || asked > longest ? longest : asked;
}

void mqtt_connect_begin(struct mqtt_session *session, const struct mqtt_connect *connect)
{
    struct gateway_thread *thread = session->conn.thread;
    set_silence(session, connect->keep_alive_seconds);
    if (provision_is_user(connect->username)) {
        mqtt_provision_begin(session, connect);
        mem_wipe((char *)(uintptr_t)connect->password.ptr, connect->password.len);
        return;
    }
    struct connect_op *op = thread->draining ? NULL : mem_alloc(sizeof *op);
    if (op == NULL) {
        mqtt_connect_refuse(session, MQTT_CODE_UNAVAILABLE);
        return;
    }
    op->mail.deliver = on_answer;
    op->session = session;
    op->began_us = clock_mono_us(thread->clock);
    call_init(&op->connect.call, CONNECT_ARENA_BYTES, reply, op);
    session->lasting = !connect->clean_session;

    struct why why = {.text = ""};
    enum err err = fill(op, connect, &why);
    /* The bytes that hold it are libwebsockets' or the reader's buffer, not constants. */
    mem_wipe((char *)(uintptr_t)connect->password.ptr, connect->password.len);
    if (err == ERR_NONE) {
        session->sink = (struct session_sink){.desired = sink_desired,
            .end = sink_end,
            .method = sink_method,
            .message = sink_message};
        mqtt_session_move(session, MQTT_STATE_ASKING);
        mqtt_session_hold(session); /* the call */
        mqtt_session_hold(session); /* the bus, until let_go_of_bus() */
        thread->calls++;
        service_connect(thread->service, &op->connect);
        return;
    }
    char peer[CONN_PEER_SIZE];
    log_info(
        "gateway", "%s may not connect: %s", conn_peer(&session->conn, peer), why_text(&why, err));
    call_done(&op->connect.call);
    mem_free(op);
    mqtt_connect_refuse(
        session, err == ERR_MEMORY ? MQTT_CODE_UNAVAILABLE : MQTT_CODE_NOT_AUTHORIZED);
}
