/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTPS connection: reads a request, hands it to the service as a rest_call, sends what comes
 * back, and so on while the client keeps the connection; session_state.h has the drawing.
 *
 * Further requests that a client sends ahead wait in the input buffer, whose bound is that of a
 * request's head. When the client goes away while its call is at the service, the answer is thrown
 * away. MQTT over WebSocket, which shares this port, begins where the head of its request is
 * complete: the socket is handed over to an MQTT session, behind a websocket.h.
 */
#ifndef GEMEL_GATEWAY_HTTP_SESSION_H
#define GEMEL_GATEWAY_HTTP_SESSION_H

#include "conn.h"
#include "http_parse.h"
#include "session_state.h"

struct http_op;

struct http_session {
    struct conn conn; /* first: one is the other */
    enum http_state state;
    struct buf in;        /* bytes that are not used yet */
    struct http_op *op;   /* the request at work; NULL in IDLE and HEAD */
    uint64_t sent_before; /* conn.sent_bytes when the deadline was set: whether there is progress */
};

#endif
