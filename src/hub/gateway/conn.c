/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include "gateway_priv.h"
#include "log.h"
#include "metrics.h"
#include "tls.h"
#include "websocket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <unistd.h>

#define LINGER_MS 2000

/* ---- the thread's ring ----------------------------------------------------------------------- */

static void ring_add(struct conn *conn)
{
    struct conn *first = conn->thread->conns;
    if (first == NULL) {
        conn->next = conn->previous = conn;
        conn->thread->conns = conn;
        return;
    }
    conn->next = first;
    conn->previous = first->previous;
    first->previous->next = conn;
    first->previous = conn;
}

static void ring_remove(struct conn *conn)
{
    if (conn->thread->conns == conn)
        conn->thread->conns = conn->next == conn ? NULL : conn->next;
    conn->next->previous = conn->previous;
    conn->previous->next = conn->next;
}

/* ---- counting -------------------------------------------------------------------------------- */

static unsigned kind_of(const struct conn *conn)
{
    if (conn->websocket != NULL)
        return BY_WEBSOCKET;
    return conn->protocol == &mqtt_protocol ? BY_MQTT : BY_HTTPS;
}

static void count_in(const struct conn *conn)
{
    metrics_add(METRIC_CONNECTIONS, kind_of(conn), 1);
    metrics_add(METRIC_CONNECTIONS_OPEN, kind_of(conn), 1);
}

static void count_out(const struct conn *conn)
{
    metrics_add(METRIC_CONNECTIONS_OPEN, kind_of(conn), -1);
}

/* ---- coming and going ------------------------------------------------------------------------ */

void conn_init(struct conn *conn, struct gateway_thread *thread,
    const struct conn_protocol *protocol, size_t send_bytes)
{
    *conn = (struct conn){.thread = thread, .protocol = protocol};
    outq_init(&conn->out, send_bytes);
}

/* What a client does not read waits with us, where it is counted, and not by the megabyte in the
 * kernel, which takes more only as long as less than this is unsent. */
#define UNSENT_BYTES (64 * 1024)

static void set_options(int fd)
{
    int on = 1, unsent = UNSENT_BYTES;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof unsent);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* Without a socket, from here on. */
static void depart(struct conn *conn)
{
    conn->phase = CONN_GONE;
    conn->wsi = NULL;
    wheel_cancel(&conn->timer);
    outq_done(&conn->out);
    websocket_free(conn->websocket);
    conn->websocket = NULL;
    conn->protocol->gone(conn);
}

static void let_go(struct conn *conn)
{
    struct conn *successor = conn->successor;
    count_out(conn);
    ring_remove(conn);
    atomic_fetch_sub(&conn->thread->gateway->connections, 1);
    depart(conn);
    if (successor != NULL)
        depart(successor);
}

void conn_accept(
    struct gateway_thread *thread, int listener, const struct conn_protocol *protocol, int fd)
{
    struct gateway *gateway = thread->gateway;
    if (atomic_fetch_add(&gateway->connections, 1) >= thread->limits->connections) {
        atomic_fetch_sub(&gateway->connections, 1);
        metrics_add(METRIC_CONNECTIONS_REFUSED, BY_NOTHING, 1);
        close(fd);
        return;
    }
    struct conn *conn = protocol->accept(thread);
    if (conn == NULL) {
        atomic_fetch_sub(&gateway->connections, 1);
        close(fd);
        return;
    }
    set_options(fd);
    count_in(conn);
    ring_add(conn);
    wheel_set(&thread->wheel, &conn->timer,
        thread_tick_in(thread, (int64_t)thread->limits->handshake_seconds * 1000));

    lws_adopt_desc_t description = {
        .vh = thread->vhosts[listener],
        .type = LWS_ADOPT_SOCKET | LWS_ADOPT_ALLOW_SSL,
        .fd = {.sockfd = fd},
        .opaque = conn,
    };
    conn->adopting = true;
    struct lws *wsi = lws_adopt_descriptor_vhost_via_info(&description);
    conn->adopting = false;
    if (wsi == NULL || conn->phase == CONN_GONE)
        let_go(conn);
    else
        conn->wsi = wsi;
}

const char *conn_peer(const struct conn *conn, char ret_text[CONN_PEER_SIZE])
{
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (getpeername(lws_get_socket_fd(conn->wsi), (struct sockaddr *)&storage, &size) == 0) {
        if (storage.ss_family == AF_INET6) {
            const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&storage;
            inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
            port = ntohs(six->sin6_port);
        } else {
            const struct sockaddr_in *four = (const struct sockaddr_in *)&storage;
            inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
            port = ntohs(four->sin_port);
        }
    }
    const char *plain = strncmp(host, "::ffff:", 7) == 0 ? host + 7 : host;
    snprintf(ret_text, CONN_PEER_SIZE, "%s:%u", plain, port);
    return ret_text;
}

void conn_add_certificates(const struct conn *conn, struct buf *out)
{
    tls_add_client_chain(lws_get_ssl(conn->wsi), out);
}

/* ---- what a protocol asks for ---------------------------------------------------------------- */

static void want_to_write(struct conn *conn)
{
    if (conn->wsi != NULL)
        lws_callback_on_writable(conn->wsi);
}

/* The kernel would go on for minutes offering what it holds to a client that does not read: with
 * this, closing throws it away. */
static void forget_unsent(const struct conn *conn)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    if (conn->wsi != NULL)
        setsockopt(lws_get_socket_fd(conn->wsi), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void conn_send_raw(struct conn *conn, struct span bytes)
{
    if (!conn_is_open(conn))
        return;
    enum err err = outq_add(&conn->out, bytes);
    if (err == ERR_NONE) {
        want_to_write(conn);
        return;
    }
    char peer[CONN_PEER_SIZE];
    log_warn("gateway", "%s connection of %s is closed: %s", conn->protocol->name,
        conn_peer(conn, peer),
        err == ERR_FULL ? "it does not read what it is sent" : err_row(err)->text);
    if (err == ERR_FULL)
        forget_unsent(conn);
    conn_fail(conn);
}

void conn_send(struct conn *conn, struct span bytes)
{
    if (conn->websocket != NULL && conn_is_open(conn))
        websocket_send(conn, bytes);
    else
        conn_send_raw(conn, bytes);
}

static void set_reading(struct conn *conn, bool reading)
{
    if (conn->paused == !reading || conn->wsi == NULL)
        return;
    conn->paused = !reading;
    lws_rx_flow_control(conn->wsi, reading);
}

void conn_pause(struct conn *conn)
{
    set_reading(conn, false);
}

void conn_resume(struct conn *conn)
{
    set_reading(conn, true);
}

void conn_set_deadline(struct conn *conn, int64_t ms_from_now)
{
    conn->due = thread_tick_in(conn->thread, ms_from_now);
    if (conn->phase == CONN_OPEN)
        wheel_set(&conn->thread->wheel, &conn->timer, conn->due);
}

static void receive(struct conn *conn, char *bytes, size_t size)
{
    if (conn->websocket != NULL)
        websocket_receive(conn, bytes, size);
    else
        conn->protocol->data(conn, (struct span){bytes, size});
}

/* ---- another protocol on the same socket ----------------------------------------------------- */

void conn_hand_over(struct conn *conn, struct conn *successor, struct buf *unread)
{
    must(conn->entered && conn->successor == NULL);
    conn->successor = successor;
    conn->unread = unread;
}

static void move_socket(struct conn *from, struct conn *to)
{
    to->wsi = from->wsi;
    to->phase = CONN_OPEN;
    to->paused = from->paused;
    lws_set_opaque_user_data(to->wsi, to);
    count_in(to);
    count_out(from);
    ring_add(to);
    ring_remove(from);
    if (to->due > 0)
        wheel_set(&to->thread->wheel, &to->timer, to->due);
    conn_send_raw(to, outq_first(&from->out, SIZE_MAX));
    conn_resume(to);
}

/* After a callback: who has the socket now, still to be closed if it is doomed. */
static struct conn *settle(struct conn *conn)
{
    struct conn *to = conn->successor;
    conn->entered = false;
    if (conn->doomed || to == NULL)
        return conn;
    conn->successor = NULL;
    to->entered = true;
    move_socket(conn, to);
    if (conn->unread->len > 0)
        receive(to, conn->unread->ptr, conn->unread->len);
    to->entered = false;
    depart(conn);
    return to;
}

/* Closes at once, gone() included. */
static void close_now(struct conn *conn)
{
    if (conn->wsi != NULL)
        lws_set_timeout(conn->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

void conn_fail(struct conn *conn)
{
    if (conn->phase == CONN_GONE || conn->doomed)
        return;
    conn->doomed = true;
    if (!conn->entered)
        close_now(conn);
}

void conn_enter(struct conn *conn)
{
    must(!conn->entered);
    conn->entered = true;
}

void conn_leave(struct conn *conn)
{
    conn = settle(conn);
    if (conn->doomed)
        close_now(conn);
}

void conn_finish(struct conn *conn)
{
    if (conn->phase == CONN_HANDSHAKE) {
        conn_fail(conn);
        return;
    }
    if (conn->phase != CONN_OPEN)
        return;
    if (conn->websocket != NULL)
        websocket_say_goodbye(conn);
    conn->phase = CONN_FINISHING;
    wheel_set(&conn->thread->wheel, &conn->timer,
        thread_tick_in(conn->thread, (int64_t)conn->thread->limits->http_idle_seconds * 1000));
    conn_resume(conn);
    want_to_write(conn);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* From here on our own deadlines count, not those that libwebsockets sets for a new connection. */
static void handshake_is_done(struct conn *conn)
{
    conn->phase = CONN_OPEN;
    lws_set_timeout(conn->wsi, NO_PENDING_TIMEOUT, 0);
    if (conn->due > 0)
        wheel_set(&conn->thread->wheel, &conn->timer, conn->due);
}

void conn_expired(void *self, struct wheel_entry *entry)
{
    (void)self;
    struct conn *conn = lws_container_of(entry, struct conn, timer);
    if (conn->phase == CONN_OPEN) {
        conn_enter(conn);
        conn->protocol->deadline(conn);
        conn_leave(conn);
        return;
    }
    if (conn->phase == CONN_HANDSHAKE && SSL_is_init_finished(lws_get_ssl(conn->wsi))) {
        handshake_is_done(conn);
        return;
    }
    if (conn->phase == CONN_FINISHING)
        forget_unsent(conn);
    conn_fail(conn);
}

/* ---- callbacks of libwebsockets -------------------------------------------------------------- */

static int on_data(struct conn *conn, char *bytes, size_t size)
{
    if (conn->phase == CONN_HANDSHAKE)
        handshake_is_done(conn);
    if (conn->phase != CONN_OPEN)
        return 0;
    conn->entered = true;
    receive(conn, bytes, size);
    return settle(conn)->doomed ? -1 : 0;
}

/* libwebsockets closes a raw socket without a close_notify, which some clients take for an attack;
 * and a reset would follow if the peer sent more, so that our last words could be lost. */
static void linger(struct conn *conn)
{
    conn->phase = CONN_LINGERING;
    SSL_shutdown(lws_get_ssl(conn->wsi));
    ERR_clear_error();
    shutdown(lws_get_socket_fd(conn->wsi), SHUT_WR);
    wheel_set(&conn->thread->wheel, &conn->timer, thread_tick_in(conn->thread, LINGER_MS));
}

static int write_some(struct conn *conn)
{
    struct span bytes = outq_first(&conn->out, THREAD_CHUNK_BYTES);
    unsigned char *chunk = conn->thread->chunk + LWS_PRE;
    memcpy(chunk, bytes.ptr, bytes.len);
    if (lws_write(conn->wsi, chunk, bytes.len, LWS_WRITE_RAW) < 0)
        return -1;
    conn->sent_bytes += bytes.len;
    outq_drop(&conn->out, bytes.len);
    lws_callback_on_writable(conn->wsi);
    return 0;
}

static int on_writable(struct conn *conn)
{
    if (conn->phase == CONN_HANDSHAKE)
        return 0;
    if (outq_size(&conn->out) > 0)
        return write_some(conn);
    if (conn->phase == CONN_FINISHING)
        linger(conn);
    if (conn->phase != CONN_OPEN || conn->protocol->sent == NULL)
        return 0;
    conn->entered = true;
    conn->protocol->sent(conn);
    return settle(conn)->doomed ? -1 : 0;
}

static void on_close(struct conn *conn)
{
    lws_set_opaque_user_data(conn->wsi, NULL);
    if (conn->adopting)
        conn->phase = CONN_GONE; /* conn_accept() does the rest */
    else
        let_go(conn);
}

int conn_callback(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct conn *conn;
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
        thread_configure_tls(lws_context_user(lws_get_context(wsi)), wsi, user);
        return 0;
    case LWS_CALLBACK_EVENT_WAIT_CANCELLED:
        thread_deliver(lws_context_user(lws_get_context(wsi)));
        return 0;
    case LWS_CALLBACK_RAW_ADOPT:
    case LWS_CALLBACK_RAW_RX:
    case LWS_CALLBACK_RAW_WRITEABLE:
    case LWS_CALLBACK_RAW_CLOSE:
        conn = lws_get_opaque_user_data(wsi);
        break;
    default:
        return 0;
    }
    if (conn == NULL)
        return reason == LWS_CALLBACK_RAW_CLOSE ? 0 : -1;
    conn->wsi = wsi;
    if (reason == LWS_CALLBACK_RAW_RX)
        return on_data(conn, in, len);
    if (reason == LWS_CALLBACK_RAW_WRITEABLE)
        return on_writable(conn);
    if (reason == LWS_CALLBACK_RAW_CLOSE)
        on_close(conn);
    return 0;
}
