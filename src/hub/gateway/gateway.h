/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front door of the hub: MQTT over TLS on one port, HTTPS for REST and MQTT over WebSocket on
 * another.
 *
 *   thread 0..n-1:  libuv loop -- libwebsockets context -- two listeners (SO_REUSEPORT)
 *                     |                 TLS, sockets
 *                     conn.h: bytes in, bytes out, deadlines, closing
 *                     |                 |
 *                     mqtt_session.h    http_session.h      protocol state
 *                     |                 |
 *                     v                 v
 *                   service.h: calls; replies come back through the thread's mailbox
 *
 * A connection lives on the thread that accepted it. Nothing on these threads blocks: they parse,
 * hand calls to the service, and write what comes back. Every bound on what a client can make the
 * hub hold stands in struct gateway_limits.
 */
#ifndef GEMEL_GATEWAY_H
#define GEMEL_GATEWAY_H

#include "service.h"

struct gateway;

struct gateway_limits {
    unsigned connections;          /* of all threads together */
    unsigned handshake_seconds;    /* for TLS */
    unsigned connect_seconds;      /* for the CONNECT packet, after which MQTT begins */
    unsigned keep_alive_seconds;   /* the longest silence of a client: 1767 */
    unsigned http_idle_seconds;    /* between requests, and without progress of a response */
    unsigned http_request_seconds; /* from a request's first byte to its last */
    size_t packet_bytes;           /* an MQTT packet */
    size_t websocket_bytes;        /* a WebSocket message */
    size_t header_bytes;           /* the head of an HTTP request */
    size_t body_bytes;             /* the body of an HTTP request */
    size_t arena_bytes;            /* what one call may use; see service.h */
    size_t send_bytes;             /* unsent bytes of an MQTT connection */
    unsigned subscriptions;        /* of one MQTT connection */
    size_t inflight_calls;         /* of one MQTT connection, before it is read no further */
    bool fault_injection;          /* clients may ask for faults; see mqtt_fault.h */
};

struct gateway_options {
    const struct clock *clock;
    struct gateway_limits limits;
    unsigned threads;   /* 0: one for each processor, at most 16 */
    unsigned backlog;   /* of the listening sockets */
    const char *listen; /* an address; NULL, empty or "::": every address, IPv6 and IPv4 */
    unsigned mqtt_port; /* 0: any free port */
    unsigned https_port;
    bool https_client_certificates; /* are asked for there, as they always are on the other */
    const char *certificate_file;   /* PEM, the server's first */
    const char *key_file;
    const char *portal_directory; /* NULL: none */
    unsigned hsts_seconds;        /* of the portal's pages; 0: not said */
};

/*
 * Binds both ports, loads certificate and key, makes the threads; nothing is accepted yet.
 * ERR_ARGUMENT (address, files), ERR_IO and ERR_TOO_LARGE (the portal's files), ERR_REFUSED (a port
 * is in use or needs a privilege), ERR_MEMORY, ERR_SERVER; the sentence says what to do.
 */
enum err gateway_open(
    const struct gateway_options *options, struct gateway **ret_gateway, struct why *why) MUST_USE;

/* The ports that were bound, and as text the address: "[::]" or "127.0.0.1". */
unsigned gateway_mqtt_port(const struct gateway *gateway);
unsigned gateway_https_port(const struct gateway *gateway);
const char *gateway_address(const struct gateway *gateway);

/* How many connections are open now; any thread. */
unsigned gateway_connections(const struct gateway *gateway);

/* Starts the threads, which bring their calls to the service. ERR_SERVER; then drain and close. */
enum err gateway_start(struct gateway *gateway, struct service *service, struct why *why) MUST_USE;

/*
 * Reads certificate and key anew; connections that begin after it returned are shown them, those
 * that are open stay as they are. Waits for the threads, so not on one of them; not once the
 * gateway is drained. ERR_ARGUMENT: the files are not usable, and nothing changes.
 */
enum err gateway_reload_certificate(struct gateway *gateway, struct why *why) MUST_USE;

/* Begins to drain: no new connection, what is in flight is finished, then sessions are closed. Let
 * the service answer parked calls meanwhile. */
void gateway_drain(struct gateway *gateway);

/* Whether every connection is closed and every call came back. */
bool gateway_is_drained(struct gateway *gateway);

/* Closes what is still open, at once. */
void gateway_abort(struct gateway *gateway);

/* Joins the threads and frees; must be drained, or never started. NULL is fine. */
void gateway_close(struct gateway *gateway);

#endif
