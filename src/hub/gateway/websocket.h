/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between a socket and a protocol whose bytes go in WebSocket frames:
 *
 *   TLS -- conn.c -- websocket.c -- mqtt_session.c
 *
 * The protocol sees a stream of bytes, as on a socket of its own. Each of its sends becomes one
 * binary message. Pings are answered here and are no sign of life to the protocol; a Close is
 * answered, and ends the connection like a socket that was closed.
 */
#ifndef GEMEL_GATEWAY_WEBSOCKET_H
#define GEMEL_GATEWAY_WEBSOCKET_H

#include "conn.h"

/* Makes the protocol's object with a websocket, for conn_hand_over(); NULL without memory. */
struct conn *websocket_accept(struct gateway_thread *thread, const struct conn_protocol *protocol);
void websocket_free(struct websocket *websocket); /* NULL is fine */

/* For conn.c: what came from the socket, and what the protocol sends. */
void websocket_receive(struct conn *conn, char *bytes, size_t size);
void websocket_send(struct conn *conn, struct span bytes);

/* Sends a Close, unless one was sent. */
void websocket_say_goodbye(struct conn *conn);

#endif
