/* SPDX-License-Identifier: Apache-2.0 */
#include "websocket.h"

#include "log.h"
#include "websocket_frame.h"

struct websocket {
    struct websocket_frames frames;
    bool said_goodbye;
};

struct conn *websocket_accept(struct gateway_thread *thread, const struct conn_protocol *protocol)
{
    struct websocket *websocket = mem_alloc(sizeof *websocket);
    struct conn *conn = websocket == NULL ? NULL : protocol->accept(thread);
    if (conn == NULL) {
        mem_free(websocket);
        return NULL;
    }
    websocket_frames_init(&websocket->frames, thread->limits->websocket_bytes);
    conn->websocket = websocket;
    return conn;
}

void websocket_free(struct websocket *websocket)
{
    mem_free(websocket);
}

/* ---- sending --------------------------------------------------------------------------------- */

void websocket_send(struct conn *conn, struct span bytes)
{
    char head[WEBSOCKET_HEAD_BYTES];
    size_t size = websocket_write_head(bytes.len, head);
    conn_send_raw(conn, (struct span){head, size});
    conn_send_raw(conn, bytes);
}

static void send_control(struct conn *conn, const struct buf *frame)
{
    if (frame->failed)
        conn_fail(conn);
    else
        conn_send_raw(conn, buf_span(frame));
}

static void pong(struct conn *conn, struct span payload)
{
    AUTO(buf_done) struct buf frame = BUF_EMPTY;
    websocket_write_pong(&frame, payload);
    send_control(conn, &frame);
}

static void say_goodbye(struct conn *conn, unsigned code)
{
    AUTO(buf_done) struct buf frame = BUF_EMPTY;
    if (conn->websocket->said_goodbye)
        return;
    conn->websocket->said_goodbye = true;
    websocket_write_close(&frame, code);
    send_control(conn, &frame);
}

void websocket_say_goodbye(struct conn *conn)
{
    say_goodbye(conn, conn->thread->draining ? WEBSOCKET_GOING_AWAY : WEBSOCKET_NORMAL);
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void take(struct conn *conn, const struct websocket_event *event)
{
    switch (event->kind) {
    case WEBSOCKET_DATA:
        conn->protocol->data(conn, event->bytes);
        break;
    case WEBSOCKET_PING:
        pong(conn, event->bytes);
        break;
    case WEBSOCKET_PONG:
        break;
    case WEBSOCKET_CLOSE:
        say_goodbye(conn, event->code);
        conn_finish(conn);
        break;
    }
}

void websocket_receive(struct conn *conn, char *bytes, size_t size)
{
    struct websocket_input input = {bytes, size};
    while (conn_is_open(conn)) {
        struct websocket_event event = {.code = WEBSOCKET_PROTOCOL};
        struct why why = {""};
        enum err err = websocket_read(&conn->websocket->frames, &input, &event, &why);
        if (err == ERR_AGAIN)
            return;
        if (err == ERR_NONE) {
            take(conn, &event);
            continue;
        }
        char peer[CONN_PEER_SIZE];
        log_info(
            "gateway", "WebSocket of %s is closed: %s", conn_peer(conn, peer), why_text(&why, err));
        say_goodbye(conn, event.code);
        conn_finish(conn);
    }
}
