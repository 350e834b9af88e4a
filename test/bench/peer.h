/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many MQTT clients over TLS in one thread: what the load generators are made of. A peer connects,
 * sends CONNECT, and from then on hands every packet it gets to the load's own function.
 *
 *   STARTING -> HANDSHAKE -> CONNECTING -> ONLINE -> CLOSED
 *       ^                                              |
 *       +---------- after retry_ms, unless 0 ----------+
 */
#ifndef GEMEL_BENCH_PEER_H
#define GEMEL_BENCH_PEER_H

#include "mem.h"
#include "mqtt.h"

#include <openssl/ssl.h>

enum peer_state { PEER_STARTING, PEER_HANDSHAKE, PEER_CONNECTING, PEER_ONLINE, PEER_CLOSED };

struct swarm;

struct peer {
    struct swarm *swarm;
    enum peer_state state;
    int fd;
    SSL *ssl;
    struct mqtt_reader reader;
    struct buf out;
    char *client_id; /* owned, as are the two below */
    char *username;
    char *password;
    uint64_t started_ns;  /* of the request that is under way: the load's own */
    unsigned requests;    /* likewise */
    uint64_t due_ns;      /* when it may be started */
    struct peer *waiting; /* the one that is started after it */
};

struct swarm_options {
    const char *host; /* an address or name that resolves at once */
    const char *port;
    const char *ca_file;
    unsigned connecting_at_once;
    unsigned sources; /* of so many addresses, from 127.0.0.1 on, each peer has one; 0: no matter */
    unsigned retry_ms; /* until a peer that was closed is started again; 0: never */
    /* A packet came (not CONNACK); the peer went online: `packet` is NULL. */
    void (*packet)(struct peer *peer, const struct mqtt_packet *packet);
};

struct swarm {
    struct swarm_options options;
    SSL_CTX *tls;
    int epoll;
    struct peer *peers;
    size_t count;
    struct peer *waiting; /* to be started, in the order in which they are due */
    struct peer **last_waiting;
    size_t connecting;
    size_t online;
    size_t failed;
    void *self; /* the load's own */
};

/* Reads "client id TAB user name TAB password" lines, one a peer; exits with a sentence if it
 * cannot. */
void swarm_open(struct swarm *swarm, const struct swarm_options *options, const char *peers_file);
void swarm_close(struct swarm *swarm);

/* Waits for what happens next, at most `timeout_ms`, and handles it; starts peers as there is room.
 */
void swarm_run(struct swarm *swarm, int timeout_ms);

/* Sends what was added to peer->out. */
void peer_send(struct peer *peer);
void peer_close(struct peer *peer);

/* As if the network had failed: closed, and started again if the swarm does that. */
void peer_lose(struct peer *peer);

uint64_t bench_now_ns(void);

#endif
