/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request by which an HTTP/1.1 connection becomes a WebSocket that carries MQTT (RFC 6455, 4.2;
 * MQTT 3.1.1, 6): GET /$iothub/websocket with the subprotocol mqtt. A query is read over: clients
 * that authenticate by tokens send iothub-no-client-cert=true. Pure.
 */
#ifndef GEMEL_GATEWAY_WEBSOCKET_UPGRADE_H
#define GEMEL_GATEWAY_WEBSOCKET_UPGRADE_H

#include "buf.h"
#include "http_parse.h"

/* Whether the path is that of the WebSocket, whatever else the request asks for. */
bool websocket_is_path(struct span path);

/* Whether it asks for a WebSocket, at whatever path. */
bool websocket_is_asked(const struct http_request *request);

/* Checks all of it. ERR_FORMAT, with the status and the sentence of the refusal. */
enum err websocket_check_request(
    const struct http_request *request, struct http_fault *fault) MUST_USE;

/* Adds the response to a request that was checked: 101, with its head's end. */
void websocket_write_response(struct buf *out, const struct http_request *request);

#endif
