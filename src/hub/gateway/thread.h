/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One gateway thread: a libuv loop, a libwebsockets context on it, the listeners, the connections
 * it accepted, and a mailbox. Everything of a connection is touched by its thread alone; others
 * (the store's threads with a reply, the bus with a notification) leave a mail, which is delivered
 * here, in the order in which mails were left.
 *
 *   store thread --> thread_post() --> [mail, mail] --lws_cancel_service()--> mail->deliver()
 */
#ifndef GEMEL_GATEWAY_THREAD_H
#define GEMEL_GATEWAY_THREAD_H

#include "buf.h"
#include "gateway.h"
#include "wheel.h"

#include <libwebsockets.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

struct conn;
struct gateway_thread;

/* Part of what it is about; deliver() may free it. */
struct mail {
    struct mail *next;
    void (*deliver)(struct gateway_thread *thread, struct mail *mail);
};

enum { LISTEN_MQTT, LISTEN_HTTPS, LISTEN_COUNT };

/* The most that is read or written at once: what one TLS record holds, so that libwebsockets never
 * leaves decrypted bytes inside OpenSSL, for which no poll would wake us. */
#define THREAD_CHUNK_BYTES 16384

struct gateway_thread {
    struct gateway *gateway;
    const struct gateway_limits *limits;
    struct service *service;
    const struct clock *clock;

    uv_loop_t loop;
    uv_timer_t ticker;
    struct lws_context *context;
    struct lws_vhost *vhosts[LISTEN_COUNT];
    SSL_CTX *identity;  /* certificate, chain and key that new connections are shown */
    SSL_CTX *no_client; /* unused: or libwebsockets makes one for itself, and leaks it */
    int sockets[LISTEN_COUNT];
    uv_poll_t acceptors[LISTEN_COUNT];
    bool accepting;    /* the acceptors are open */
    bool out_of_fds;   /* accepting is paused until the next tick */
    int64_t told_tick; /* when the log last heard of that */

    struct wheel wheel;
    struct conn *conns; /* ring of all, NULL when there are none */
    size_t calls;       /* handed to the service and not back */
    bool draining;

    struct buf encoder;   /* packets are built here, then copied to a connection */
    unsigned char *chunk; /* LWS_PRE bytes, then what is being written */

    pthread_mutex_t lock; /* of the mailbox */
    struct mail *mails;
    struct mail **last_mail;

    struct mail drain_mail;
    struct mail abort_mail;
    atomic_bool drained;
    bool started;
    pthread_t handle;
};

/* Length of a tick of the wheel. */
#define TICK_MS 500

/* Prepares a thread with its listening sockets, which it takes. ERR_SERVER, ERR_MEMORY; then
 * thread_done() is still to be called. */
enum err thread_init(struct gateway_thread *thread, struct gateway *gateway,
    const struct gateway_options *options, SSL_CTX *identity, const int sockets[LISTEN_COUNT],
    struct why *why) MUST_USE;
enum err thread_start(struct gateway_thread *thread, struct why *why) MUST_USE;
/* Joins, if it was started, and frees. Any other thread. */
void thread_done(struct gateway_thread *thread);

/* Leaves a mail; any thread. */
void thread_post(struct gateway_thread *thread, struct mail *mail);

/* Shows new connections another certificate from now on; on its own thread, or before it started.
 */
void thread_use_identity(struct gateway_thread *thread, SSL_CTX *identity);

/* For the TLS context of the vhost that is being made. */
void thread_configure_tls(struct gateway_thread *thread, struct lws *wsi, SSL_CTX *context);

/* Delivers what is in the mailbox. */
void thread_deliver(struct gateway_thread *thread);

/* The tick of `ms` from now, never earlier. */
int64_t thread_tick_in(const struct gateway_thread *thread, int64_t ms);

#endif
