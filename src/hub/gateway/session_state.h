/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of connections, and which may follow which. Pure.
 *
 * MQTT:
 *
 *                  CONNECT            accepted
 *     NEW ------------------> ASKING ----------> LIVE
 *      |  \                    |   \               |
 *      |   +--bad CONNECT--+   |    refused        |
 *      |                   v   v                   |
 *      |                 REFUSED (CONNACK)         |
 *      |                      |                    |
 *      +------ socket gone ---+-- socket gone, ----+--> OVER
 *                                 or DISCONNECT
 *
 * HTTP; a connection that ends is not drawn, as it may at any point:
 *
 *     +--------------------------------- response sent, kept alive --------------+
 *     |                                                        (a piece: the next is asked for)
 *     v                                                                          |
 *   IDLE --first byte--> HEAD --Content-Length or chunks--> BODY --all--> ASKING --> ANSWERING
 *                          |                                  |                  ^
 *                          +---- refused (then it closes) ----+------------------+
 */
#ifndef GEMEL_GATEWAY_SESSION_STATE_H
#define GEMEL_GATEWAY_SESSION_STATE_H

#include "base.h"

enum mqtt_state {
    MQTT_STATE_NEW,
    MQTT_STATE_ASKING, /* the service judges the CONNECT */
    MQTT_STATE_LIVE,
    MQTT_STATE_REFUSED,
    MQTT_STATE_OVER,
    MQTT_STATE_COUNT
};

bool mqtt_state_may_become(enum mqtt_state from, enum mqtt_state to);

enum http_state {
    HTTP_IDLE,
    HTTP_HEAD,
    HTTP_BODY,
    HTTP_ASKING, /* the call is at the service */
    HTTP_ANSWERING,
    HTTP_STATE_COUNT
};

bool http_state_may_become(enum http_state from, enum http_state to);

#endif
