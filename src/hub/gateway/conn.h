/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One TLS connection, of either protocol: the only place that calls libwebsockets for it. It hands
 * bytes up, sends what it is given, keeps one deadline, and closes:
 *
 *   conn_fail()    now; what is unsent is lost
 *   conn_finish()  after what is unsent went out: close_notify, then up to two seconds in which
 *                  whatever still comes is thrown away, so that the peer gets our last words
 *                  instead of a reset
 *
 * An HTTP connection may become another's: conn_hand_over() gives its socket to an object of
 * another protocol. With a websocket (websocket.h) that protocol's bytes go in frames, of which it
 * knows nothing.
 *
 * The protocol's object begins with its struct conn. It is told gone() exactly once, after which
 * the connection has no socket and the object is the protocol's to free.
 */
#ifndef GEMEL_GATEWAY_CONN_H
#define GEMEL_GATEWAY_CONN_H

#include "outq.h"
#include "thread.h"

struct websocket;

struct conn_protocol {
    const char *name;
    /* Makes the object for a new connection, its conn by conn_init(); NULL without memory. */
    struct conn *(*accept)(struct gateway_thread *thread);
    void (*data)(struct conn *conn, struct span bytes); /* all of it is to be used or kept */
    void (*deadline)(struct conn *conn);                /* conn_set_deadline()'s time has come */
    void (*sent)(struct conn *conn);                    /* nothing is left to send; or NULL */
    void (*drain)(struct conn *conn);                   /* finish what is in flight, then close */
    void (*gone)(struct conn *conn);
};

extern const struct conn_protocol mqtt_protocol;
extern const struct conn_protocol http_protocol;

enum conn_phase {
    CONN_HANDSHAKE, /* TLS */
    CONN_OPEN,
    CONN_FINISHING, /* sends the rest */
    CONN_LINGERING, /* all is sent; waits for the peer to close */
    CONN_GONE,
};

struct conn {
    struct lws *wsi;
    struct gateway_thread *thread;
    const struct conn_protocol *protocol;
    struct conn *next; /* in the thread's ring */
    struct conn *previous;
    struct outq out;
    struct wheel_entry timer;
    int64_t due;                 /* the protocol's deadline */
    uint64_t sent_bytes;         /* handed to TLS so far */
    struct websocket *websocket; /* between the socket and the protocol; NULL: nothing is */
    struct conn *successor;      /* gets the socket when the callback returns */
    struct buf *unread;          /* input for the successor */
    enum conn_phase phase;
    bool paused;   /* not being read */
    bool entered;  /* inside one of its callbacks: closing waits until it returns */
    bool adopting; /* inside lws_adopt */
    bool doomed;   /* to be closed when the callback returns */
};

void conn_init(struct conn *conn, struct gateway_thread *thread,
    const struct conn_protocol *protocol, size_t send_bytes);

/* Adds a connection that accept() made without a socket of its own in the place of `conn`, once the
 * callback that this is called in returns: with what is left to be sent, and with `unread`, which
 * stays conn's. Then conn is gone(). */
void conn_hand_over(struct conn *conn, struct conn *successor, struct buf *unread);

/* Takes an accepted socket in. */
void conn_accept(
    struct gateway_thread *thread, int listener, const struct conn_protocol *protocol, int fd);

/* Queues bytes, in a frame if there is a websocket; a client that does not read, or a lack of
 * memory, ends the connection. */
void conn_send(struct conn *conn, struct span bytes);

/* Queues bytes as they are. */
void conn_send_raw(struct conn *conn, struct span bytes);

void conn_pause(struct conn *conn);
void conn_resume(struct conn *conn);

void conn_set_deadline(struct conn *conn, int64_t ms_from_now);

/* Around work on a connection that is not one of its callbacks: what ends it then does so when the
 * work is over. */
void conn_enter(struct conn *conn);
void conn_leave(struct conn *conn);

void conn_fail(struct conn *conn);
void conn_finish(struct conn *conn);

/* Whether it can still be talked on. */
static inline bool conn_is_open(const struct conn *conn)
{
    return (conn->phase == CONN_OPEN || conn->phase == CONN_HANDSHAKE) && !conn->doomed;
}

/* The peer's address as text. */
#define CONN_PEER_SIZE 64
const char *conn_peer(const struct conn *conn, char ret_text[CONN_PEER_SIZE]);

/* Adds the certificates that the peer showed; see tls.h. */
void conn_add_certificates(const struct conn *conn, struct buf *out);

/* The wheel's callback, and the callback of libwebsockets. */
void conn_expired(void *self, struct wheel_entry *entry);
int conn_callback(
    struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len);

#endif
